"""The one order: which request comes before which, and the instant at which each is taken in.

Embedded, one process gives places from its own ledger. Several scorers share a stream that gives them
(`serving.stream`); both are an `Order`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from serving.ledger.ledger import Place, following

if TYPE_CHECKING:
    from collections.abc import Callable


class Order(Protocol):
    """Gives places. A place that is given and not used is a gap, which does no harm."""

    async def place(self, count: int) -> list[Place]:
        """The next places, in order: sequence and instant of each are above those of the one before."""


class EmbeddedOrder:
    """The order of one process that owns state and log.

    Args:
        last: The last place of the log.
        clock: Nanoseconds since 1970 UTC; instants rise even where it goes back.
    """

    def __init__(self, last: Place, clock: Callable[[], int] = time.time_ns) -> None:
        self._last, self._clock = last, clock

    async def place(self, count: int) -> list[Place]:
        """The next places."""
        now, places = self._clock() // 1_000, []
        for _ in range(count):
            self._last = following(self._last, now)
            places.append(self._last)
        return places
