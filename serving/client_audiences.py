"""The audiences of the typed client: `Client(...).audiences`. They are described by `docs/audiences.md`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar
from urllib.parse import quote

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

_JSON: Final = "application/json"
_AT_ONCE: Final = 10_000

T = TypeVar("T")


class Count(msgspec.Struct, frozen=True):
    """What the last refresh found."""

    as_of: datetime
    size: int
    everybody: int
    share: float


class Filter(msgspec.Struct, frozen=True):
    """What a filter says, as it is printed back."""

    filter: str
    sentence_zh: str
    fingerprint: str


class Audience(msgspec.Struct, frozen=True):
    """A saved audience; `counted` is None until the definition that is saved has been counted."""

    filter: str
    sentence_zh: str
    fingerprint: str
    name: str
    note: str
    counted: Count | None


class Members(msgspec.Struct, frozen=True):
    """Some members of an audience, in order of their id; `next_offset` is None at the end."""

    name: str
    fingerprint: str
    as_of: datetime
    size: int
    members: tuple[str, ...]
    next_offset: int | None


class Profile(msgspec.Struct, frozen=True):
    """What an audience is like beside everybody."""

    name: str
    as_of: datetime
    profile: dict[str, Any]


class _All(msgspec.Struct, frozen=True):
    audiences: tuple[Audience, ...]


class _Belongs(msgspec.Struct, frozen=True):
    belongs: bool


class Asked(Protocol):
    """Sends one request, and gives the body of its answer."""

    def __call__(self, method: str, path: str, body: bytes | None = None, kind: str | None = None) -> bytes:
        """Send it; errors as `serving.client.Client.score`."""


class Audiences:
    """Asks about audiences; errors of every call as `serving.client.Client.score`.

    Args:
        asked: Sends requests.
    """

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def all(self) -> tuple[Audience, ...]:
        """All that are saved and can be read."""
        return self._get("", _All).audiences

    def get(self, name: str) -> Audience:
        """One that is saved."""
        return self._get(f"/{_quoted(name)}", Audience)

    def check(self, condition: str) -> Filter:
        """Whether a filter means something, printed back."""
        body = msgspec.json.encode({"filter": condition})
        return msgspec.json.decode(self._asked("POST", "/v1/audiences/check", body, _JSON), type=Filter)

    def save(self, name: str, condition: str, note: str = "") -> Audience:
        """Save a filter under a name, in place of what was there."""
        body = msgspec.json.encode({"filter": condition, "note": note})
        return msgspec.json.decode(self._asked("PUT", f"/v1/audiences/{_quoted(name)}", body, _JSON), type=Audience)

    def remove(self, name: str) -> None:
        """Remove one that no other refers to."""
        self._asked("DELETE", f"/v1/audiences/{_quoted(name)}")

    def page(self, name: str, offset: int = 0, limit: int = 1_000) -> Members:
        """Some of the members as of the last refresh."""
        return self._get(f"/{_quoted(name)}/members?offset={offset}&limit={limit}", Members)

    def members(self, name: str) -> Iterator[str]:
        """All of the members as of the last refresh, part by part; begin again where it is refreshed meanwhile."""
        offset: int | None = 0
        while offset is not None:
            found = self.page(name, offset, _AT_ONCE)
            yield from found.members
            offset = found.next_offset

    def belongs(self, name: str, member_id: str) -> bool:
        """Whether a member belonged to it at the last refresh."""
        return self._get(f"/{_quoted(name)}/members/{_quoted(member_id)}", _Belongs).belongs

    def profile(self, name: str) -> Profile:
        """Its members beside everybody, as of the last refresh."""
        return self._get(f"/{_quoted(name)}/profile", Profile)

    def _get(self, path: str, kind: type[T]) -> T:
        return msgspec.json.decode(self._asked("GET", f"/v1/audiences{path}"), type=kind)


def _quoted(part: str) -> str:
    return quote(part, safe="")
