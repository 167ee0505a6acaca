"""What waits for its turn at the desk, and what its callers are told."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

from serving.ledger.record import decode_record

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from serving.ledger.ledger import Entry, Found, Place
    from serving.live.bodies import ScanBody
    from serving.live.scan_desk import ScanDesk


class Answered(NamedTuple):
    """What a caller gets.

    Attributes:
        status: Of HTTP: 200; 409 for another content under a known id; 410 for a forgotten member's; 429 where too many
            wait; 503 where the log takes no more.
        body: The answer's bytes where the status is 200.
        why: What is wrong, where it is not.
    """

    status: int
    body: bytes = b""
    why: str = ""


class Waiter(Protocol):
    """Who is to be told an answer, once; a future is one."""

    def done(self) -> bool:
        """Whether it was told, or does not wait any more."""

    def set_result(self, result: Answered, /) -> None:
        """Tell it; it raises nothing."""


class PendingScan:
    """A scan on its way.

    Args:
        scan: What was sent.
        identity: The keyed hash of its id.
        digest: The keyed hash of its content.
        new: Whether nothing waited before it that may bring the same id.
    """

    __slots__ = ("began", "digest", "identity", "new", "scan", "taken", "waiting")

    def __init__(self, scan: ScanBody, identity: bytes, digest: bytes, *, new: bool = True) -> None:
        self.scan, self.identity, self.digest = scan, identity, digest
        self.waiting: list[Waiter] = []
        self.new = new
        self.began = self.taken = time.perf_counter()

    @property
    def wanted(self) -> bool:
        """Whether anybody still waits for it."""
        return any(not one.done() for one in self.waiting)


class Task(Protocol):
    """Something else that is taken in in its turn: rows of events, a decision made elsewhere."""

    future: asyncio.Future[Answered]

    @property
    def size(self) -> int:
        """How many entries it may make."""

    def prepare(self, desk: ScanDesk, seen_at: int) -> Answered | None:
        """Looks at it in its turn, and changes nothing: what is answered at once; None where it is to be taken in."""

    def entries(self, desk: ScanDesk, places: Sequence[Place]) -> tuple[list[Entry], Answered]:
        """Takes it in, as it was prepared: the entries to log, and what is answered once they are."""


def waiters(item: PendingScan | Task) -> Sequence[Waiter]:
    """Who waits for something."""
    return item.waiting if isinstance(item, PendingScan) else [item.future]


def again(found: Found, digest: bytes) -> Answered:
    """What was answered before, if the same was asked."""
    if found.forgotten:
        return Answered(410, why="forgotten")
    if found.digest != digest:
        return Answered(409, why="another content")
    answer = decode_record(found.record).answer if found.record else b""
    return Answered(200, answer) if answer else Answered(409, why="an event that was not to be judged")
