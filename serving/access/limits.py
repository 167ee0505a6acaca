"""How often one key may ask: a token bucket, filled at a steady rate up to a burst."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


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
