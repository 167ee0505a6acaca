"""Which stretch of time is looked at: by default the seven days up to the newest decision. All instants are UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from data.errors import UsageError

DAYS: Final = timedelta(days=7)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True)
class Week:
    """Decisions from `since` on and before `until`, by when they came in.

    Attributes:
        since: The first instant that belongs to it.
        until: The first that does not.
    """

    since: datetime
    until: datetime

    def __post_init__(self) -> None:
        """Refuse a stretch that holds no instant."""
        if self.since >= self.until:
            raise UsageError(
                f"shepherd monitor: found --from {self.since:%Y-%m-%d %H:%M:%S} and --until "
                f"{self.until:%Y-%m-%d %H:%M:%S} (UTC), expected the first before the second"
            )

    @classmethod
    def of(cls, newest: int, since: datetime | None = None, until: datetime | None = None) -> Week:
        """The stretch that is asked for.

        Args:
            newest: When the newest decision came, microseconds since 1970 UTC; the week ends with it.
            since: Where it is to begin; seven days before its end if not given.
            until: Where it is to end; right after the newest decision if not given.
        """
        end = until or instant(newest) + _MICROSECOND
        return cls(since or end - DAYS, end)

    @property
    def first(self) -> int:
        """`since` in microseconds since 1970 UTC."""
        return microseconds(self.since)

    @property
    def last(self) -> int:
        """`until` in microseconds since 1970 UTC."""
        return microseconds(self.until)

    def __str__(self) -> str:
        """Both ends to the second.

        >>> str(Week(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 8, tzinfo=UTC)))
        '2026-01-01 00:00:00 to 2026-01-08 00:00:00 UTC'
        """
        return f"{self.since:%Y-%m-%d %H:%M:%S} to {self.until:%Y-%m-%d %H:%M:%S} UTC"


def instant(at: int) -> datetime:
    """A moment out of microseconds since 1970 UTC."""
    return _EPOCH + timedelta(microseconds=at)


def microseconds(at: datetime) -> int:
    """Microseconds since 1970 UTC of a moment with a zone."""
    return (at - _EPOCH) // _MICROSECOND


def moment(told: datetime | str) -> int:
    """Microseconds since 1970 UTC of a moment as a log or a table tells it: ISO 8601 text, or a moment with a zone."""
    return microseconds(told if isinstance(told, datetime) else msgspec.convert(told, datetime))
