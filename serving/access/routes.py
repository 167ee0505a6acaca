"""Which scope every route asks for. A route that does not stand here cannot be reached."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from serving.access.keys import Scope

OPEN: Final = "open"
"""In place of a scope: anybody may ask, without a key."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """A path, and what each of its methods asks for.

    Attributes:
        pattern: As the OpenAPI page writes it; `{name}` is any text without a slash.
        scopes: The scope by method.
    """

    pattern: str
    scopes: Mapping[str, Scope | str]

    def scope(self, method: str) -> Scope | str | None:
        """What a method asks for; None where the path has no such method. HEAD asks for what GET does."""
        return self.scopes.get("GET" if method == "HEAD" else method)


GUARDED: Final = (
    Guarded("/livez", {"GET": OPEN}),
    Guarded("/readyz", {"GET": OPEN}),
    # How to ask is no secret; what is known is.
    Guarded("/openapi.json", {"GET": OPEN}),
    Guarded("/docs", {"GET": OPEN}),
    Guarded("/docs/oauth2-redirect", {"GET": OPEN}),
    Guarded("/redoc", {"GET": OPEN}),
    Guarded("/metrics", {"GET": "read"}),
    Guarded("/v1/scans/score", {"POST": "score"}),
    Guarded("/v1/sites/score", {"POST": "score"}),
    Guarded("/v1/members/{member_id}/offers", {"POST": "score"}),
    Guarded("/v1/events", {"POST": "events"}),
    Guarded("/v1/coupon/batch", {"POST": "batch"}),
    Guarded("/v1/{task}/batch", {"POST": "batch"}),
    Guarded("/v1/{task}/score", {"POST": "score"}),
    Guarded("/v1/decisions/{decision_id}", {"GET": "read"}),
    Guarded("/v1/models", {"GET": "read"}),
    Guarded("/v1/models/{task}/load", {"POST": "admin"}),
    Guarded("/v1/audiences", {"GET": "read"}),
    Guarded("/v1/audiences/check", {"POST": "read"}),
    # Who asks for batches of members says which: saving an audience changes nothing else of the service.
    Guarded("/v1/audiences/{name}", {"GET": "read", "PUT": "batch", "DELETE": "batch"}),
    Guarded("/v1/audiences/{name}/members", {"GET": "read"}),
    Guarded("/v1/audiences/{name}/members/{member_id}", {"GET": "read"}),
    Guarded("/v1/audiences/{name}/profile", {"GET": "read"}),
)


class Routes:
    """Finds the route of a path: at once where it has no part that varies, else the first that fits."""

    def __init__(self, guarded: Sequence[Guarded] = GUARDED) -> None:
        self._plain = {one.pattern: one for one in guarded if "{" not in one.pattern}
        self._varied = tuple((_pattern(one.pattern), one) for one in guarded if "{" in one.pattern)

    def find(self, path: str) -> Guarded | None:
        """The route of a decoded path; None where there is none.

        >>> Routes().find("/v1/fraud/batch").pattern
        '/v1/{task}/batch'
        """
        found = self._plain.get(path)
        if found is not None:
            return found
        return next((one for pattern, one in self._varied if pattern.fullmatch(path)), None)


def _pattern(text: str) -> re.Pattern[str]:
    parts = re.split(r"\{[a-z_]+\}", text)
    return re.compile("[^/]+".join(map(re.escape, parts)))
