"""One scan as the log of scans would give it: for the live side, which gets scans one at a time and has no SQL.

The query of the log (`data.scan_logs`) is what training reads; a test holds the two to the same values.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeAlias
from zoneinfo import ZoneInfo

from data.errors import DataError
from data.place import MICRO, PLACE_COLUMNS, PLACE_STEP

if TYPE_CHECKING:
    from collections.abc import Mapping

Row: TypeAlias = "Mapping[str, object]"
"""One row of a table by column; a column that is missing counts as null. Instants are datetimes with a zone."""

CRATE: Final = 24
"""Neighbouring codes of a batch that are taken to have travelled together: a case of bottles holds so many."""

_IPV4: Final = re.compile(r"([0-9]+\.[0-9]+\.[0-9]+)\.[0-9]+\Z")
_IPV6: Final = re.compile(r"((?:[0-9A-Fa-f]{1,4}:){3}[0-9A-Fa-f]{1,4}):")
_FIRST_DAY: Final = datetime(1970, 1, 1, tzinfo=UTC).date()
_SECOND: Final = timedelta(seconds=1)


def scan_event(scan: Row, member: Row | None, batch: Row | None, campaign: Row | None) -> dict[str, object]:
    """The event of a scan, with what was known of its member, batch and campaign when it arrived.

    Args:
        scan: A row of `scans`; ``received_at`` is when it arrived here.
        member: Its row of `members`; None where it has none, as for the others.
        batch: Its row of `batches`.
        campaign: Its row of `campaigns`.

    Returns:
        The columns of the scan and those that the log of scans adds; None is null.

    Raises:
        DataError: When a value is not of the kind that its contract asks for, or the scan has no instant.
    """
    seen_at = _instant(scan, "received_at") or _instant(scan, "ts")
    if seen_at is None:
        raise DataError("a scan without ts has no place in time; its contract asks for one")
    known = member if member and (_instant(member, "registered_at") or seen_at) <= seen_at else None
    return {
        **scan,
        "seen_at": seen_at,
        **_place(scan),
        "ip24": address_block(_text(scan, "ip")),
        **_clock(_instant(scan, "ts"), campaign),
        "referrer_id": known.get("referrer_id") if known else None,
        "phone_prefix": known.get("phone_prefix") if known else None,
        "registration_age_seconds": _since(seen_at, known, "registered_at"),
        "region_mismatch": _differ(_text(known, "city"), _text(batch, "region")),
        **_of_batch(seen_at, batch),
        "crate": _crate(scan, batch),
        "campaign_age_seconds": _seconds(seen_at, _instant(campaign, "starts_at")),
        **_odds(campaign),
    }


def address_block(ip: str | None) -> str | None:
    """The /24 of an IPv4 address, the /64 of an IPv6 address; None for one written otherwise."""
    if ip is None:
        return None
    found = _IPV4.match(ip)
    if found:
        return found[1]
    found = _IPV6.match(ip)
    return found[1].lower() if found else None


def _place(scan: Row) -> dict[str, int | None]:
    lat_e6, lon_e6 = (_millionths(_number(scan, name)) for name in ("lat", "lon"))
    grids = {"place": (PLACE_STEP, PLACE_COLUMNS), "cell": (10_000, 36_001), "town": (100_000, 3_601)}
    found: dict[str, int | None] = {"lat_e6": lat_e6, "lon_e6": lon_e6}
    for name, (step, columns) in grids.items():
        north, east = (lat_e6 or 0) + 90 * MICRO, (lon_e6 or 0) + 180 * MICRO
        found[name] = None if lat_e6 is None or lon_e6 is None else north // step * columns + east // step
    return found


def _clock(made_at: datetime | None, campaign: Row | None) -> dict[str, int | None]:
    zone = _text(campaign, "time_zone")
    if made_at is None or zone is None:
        return {"local_hour": None, "local_day": None}
    try:
        local = made_at.astimezone(ZoneInfo(zone))
    except OverflowError as error:
        raise DataError(f"ts: found {made_at.isoformat()}, expected an instant that clocks of {zone} show") from error
    return {"local_hour": local.hour, "local_day": (local.date() - _FIRST_DAY).days}


def _of_batch(seen_at: datetime, batch: Row | None) -> dict[str, int | None]:
    activated_at = _instant(batch, "activated_at")
    first, last = _number(batch, "first_serial"), _number(batch, "last_serial")
    return {
        "batch_active": None if batch is None else int(activated_at is not None and activated_at <= seen_at),
        "batch_codes": None if first is None or last is None else int(last) - int(first) + 1,
        "activation_lag_seconds": _since(seen_at, batch, "activated_at"),
        "shipping_lag_seconds": _since(seen_at, batch, "shipped_at"),
    }


def _crate(scan: Row, batch: Row | None) -> int | None:
    """Which crate of its batch a code was packed in, counted from 0; None where that is not known."""
    serial, first = _number(scan, "serial"), _number(batch, "first_serial")
    return None if serial is None or first is None or serial < first else int(serial - first) // CRATE


def _odds(campaign: Row | None) -> dict[str, int | None]:
    odds = _number(campaign, "prize_odds")
    variance = None if odds is None else odds * (1 - odds)
    return {"prize_odds_e6": _millionths(odds), "prize_variance_e6": _millionths(variance)}


def _since(seen_at: datetime, row: Row | None, column: str) -> int | None:
    """Whole seconds from something that may lie ahead; None while it does, since nobody knew then."""
    earlier = _instant(row, column)
    return None if earlier is None or earlier > seen_at else _seconds(seen_at, earlier)


def _seconds(later: datetime, earlier: datetime | None) -> int | None:
    return None if earlier is None else (later - earlier) // _SECOND


def _differ(one: str | None, other: str | None) -> int | None:
    return None if one is None or other is None else int(one != other)


def _millionths(value: float | None) -> int | None:
    """The nearest whole number of millionths, halves away from zero, as SQL rounds."""
    if value is None:
        return None
    scaled = value * MICRO
    below = math.floor(scaled)
    beyond = scaled - below
    return below + int(beyond > 0.5 or (beyond == 0.5 and scaled > 0))


def _instant(row: Row | None, column: str) -> datetime | None:
    value = row.get(column) if row else None
    if value is not None and not (isinstance(value, datetime) and value.tzinfo is not None):
        raise DataError(f"{column}: found {value!r}, expected a datetime with a time zone")
    return value


def _text(row: Row | None, column: str) -> str | None:
    value = row.get(column) if row else None
    if value is not None and not isinstance(value, str):
        raise DataError(f"{column}: found {value!r}, expected text")
    return value


def _number(row: Row | None, column: str) -> float | None:
    value = row.get(column) if row else None
    if value is not None and not isinstance(value, int | float):
        raise DataError(f"{column}: found {value!r}, expected a number")
    return value
