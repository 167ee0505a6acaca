"""What the OpenAPI page says of the gate: the key, the scope of every operation, and the refusals that all share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from serving.access.routes import OPEN, Routes

if TYPE_CHECKING:
    from collections.abc import Callable

_REFUSED: Final = {
    "401": "No key that is known here.",
    "403": "The key has not the scope, or the question comes from another machine.",
    "429": "The key asks too often; Retry-After says how long to wait.",
}
_UNREADABLE: Final = {
    "400": "A body that cannot be read, or is too deep.",
    "413": "A body that is too large.",
    "422": "A request that breaks its contract; all problems are named.",
}
_ERROR: Final = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}


def describing_the_gate(page: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    """Let a page say what the gate asks of every operation."""

    def described() -> dict[str, Any]:
        found = page()  # the application keeps it, and hands out the very same again
        components = found.setdefault("components", {})
        if "securitySchemes" not in components:
            components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            for path, methods in found["paths"].items():
                for method, operation in methods.items():
                    _describe(path, method, operation)
        return found

    return described


def _describe(path: str, method: str, operation: dict[str, Any]) -> None:
    guarded = Routes().find(path)
    scope = guarded.scope(method.upper()) if guarded else None
    shared: dict[str, str] = {}
    if scope is not None and scope != OPEN:
        operation["security"] = [{"key": []}]
        operation["description"] = (
            f"{operation.get('description', '')}\n\nNeeds a key with the scope `{scope}`.".strip()
        )
        shared |= _REFUSED
    if "requestBody" in operation or method in {"post", "put"}:
        shared |= _UNREADABLE
    elif "parameters" in operation:
        shared |= {"422": _UNREADABLE["422"], "404": "Nothing of this name."}
    for status, said in shared.items():
        operation["responses"].setdefault(status, {"description": said, "content": _ERROR})
