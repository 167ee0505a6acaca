"""How far back a feature looks: the windows of time that declarations name."""

from __future__ import annotations

from dataclasses import dataclass

_SECOND = 1_000_000
_UNITS = (("day", "d", 86_400 * _SECOND), ("hour", "h", 3_600 * _SECOND), ("minute", "m", 60 * _SECOND))


@dataclass(frozen=True)
class Window:
    """A stretch of time that ends just before the moment asked about.

    Asked at t, a window of length W sees the events with ``t - W <= seen_at < t``. A day is 24 hours, whatever the
    clocks of a city do.

    Attributes:
        label: How the window is written at the end of a feature's name, such as ``7d``.
        microseconds: Its length; None for everything ever seen.
    """

    label: str
    microseconds: int | None

    @property
    def phrase(self) -> str:
        """The window in a sentence: ``in the last 7 days``."""
        if self.microseconds is None:
            return "in all time"
        for word, _, length in _UNITS:
            if self.microseconds % length == 0:
                number = self.microseconds // length
                return f"in the last {word}" if number == 1 else f"in the last {number} {word}s"
        return f"in the last {self.microseconds / _SECOND:g} seconds"


def days(number: int) -> Window:
    """A window of whole days of 24 hours.

    >>> days(90)
    Window(label='90d', microseconds=7776000000000)
    """
    return Window(f"{number}d", number * 86_400 * _SECOND)


MIN_5 = Window("5m", 300 * _SECOND)
HOUR = Window("1h", 3_600 * _SECOND)
DAY = days(1)
WEEK = days(7)
DAYS_30 = days(30)
LIFETIME = Window("lifetime", None)
