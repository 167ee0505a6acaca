"""Who waits until when: one timer for all, since they come in the order of their deadlines."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from serving.live.bodies import ScanBody
    from serving.live.pending import Waiter

_LEAST_WAIT: Final = 0.001


class Deadlines:
    """Tells those whose deadline is past.

    Args:
        loop: Where the timer runs.
        expire: Answers one whose time is over: who waits, for which scan, and its identity.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        expire: Callable[[Waiter, ScanBody, bytes], None],
    ) -> None:
        self._loop, self._expire = loop, expire
        self._waiting: deque[tuple[float, Waiter, ScanBody, bytes]] = deque()
        self._timing = False

    def add(self, seconds: float, waiter: Waiter, scan: ScanBody, identity: bytes) -> None:
        """One more waits, for so many seconds from now on."""
        waiting = self._waiting
        while waiting and waiting[0][1].done():
            waiting.popleft()
        waiting.append((time.perf_counter() + seconds, waiter, scan, identity))
        if not self._timing:
            self._time(seconds)

    def _look(self) -> None:
        self._timing, waiting, now = False, self._waiting, time.perf_counter()
        while waiting and (waiting[0][0] <= now or waiting[0][1].done()):
            _, waiter, scan, identity = waiting.popleft()
            self._expire(waiter, scan, identity)
        if waiting:
            self._time(waiting[0][0] - now)

    def _time(self, seconds: float) -> None:
        self._timing = True
        self._loop.call_later(max(seconds, _LEAST_WAIT), self._look)
