"""How many may wait, and who still has a chance: what keeps answers in time when more is asked than can be done."""

from __future__ import annotations

from typing import Final

AT_ONCE: Final = 16
"""Requests of one batch."""
_FEWEST, _MOST = 2 * AT_ONCE, 1_024
_SHARE_OF_DEADLINE: Final = 0.7
_LONGEST_AFTER: Final = 0.5
_SMOOTHING: Final = 0.1


class Admission:
    """Learns from batch to batch what a request takes, and from it how long the queue may be.

    Under overload most of the time between two batches goes to those who are refused, so it counts. What is past its
    chance is not worked on: it would be late, and make those behind it late.

    Args:
        deadline: Seconds in which a request has to be answered.

    Attributes:
        most: How many may wait.
    """

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._each, self._after = deadline / _MOST, 0.0
        self.most = _MOST

    def learn(self, seconds: float, requests: int) -> None:
        """Take note of a batch: how long it was since the one before, and how many requests it had."""
        self._each += _SMOOTHING * (seconds / requests - self._each)
        room = (_SHARE_OF_DEADLINE * self._deadline - self.after) / self._each
        self.most = int(min(max(room, _FEWEST), _MOST))

    def answered(self, seconds: float) -> None:
        """Take note of a request that was answered so long after it was taken up: with model, commit and all."""
        self._after += _SMOOTHING / AT_ONCE * (seconds - self._after)

    @property
    def after(self) -> float:
        """Seconds from taking a request up to its answer, as of late; never so many that nothing has a chance."""
        return min(self._after, _LONGEST_AFTER * self._deadline)
