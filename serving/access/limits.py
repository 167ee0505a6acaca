"""How often one key may ask: a token bucket, filled at a steady rate up to a burst. How slow a connection may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

LEAST_PROGRESS: Final = 16 * 1024
"""Bytes of a body that have to come in each period, until it ends."""


@dataclass(frozen=True)
class Bounds:
    """How long and how many.

    Attributes:
        head_seconds: After which an unfinished head, or a new connection without one, is refused.
        body_seconds: The period in which a body has to end or to bring `LEAST_PROGRESS`, and in which a client has to
            take something of its answer.
        most_connections: At once; one more is told 503 and closed.
    """

    head_seconds: float = 10.0
    body_seconds: float = 10.0
    most_connections: int = 800


class TokenBucket:
    """Lets a burst through, then so many requests a second.

    Args:
        rate: Requests a second that flow in, above 0.
        burst: Most that gather while nobody asks, 1 or more.
        clock: Seconds that never run backwards, such as `time.monotonic`.

    >>> bucket = TokenBucket(rate=2.0, burst=1, clock=lambda: 0.0)
    >>> bucket.take(), bucket.take()
    (0.0, 0.5)
    """

    __slots__ = ("_at", "_burst", "_clock", "_rate", "_tokens")

    def __init__(self, rate: float, burst: int, clock: Callable[[], float]) -> None:
        self._rate, self._burst, self._clock = rate, float(burst), clock
        self._tokens, self._at = float(burst), clock()

    def take(self) -> float:
        """Take one token: 0.0 where there was one, else the seconds until there will be, and nothing is taken."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = now
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return 0.0
        return (1.0 - self._tokens) / self._rate
