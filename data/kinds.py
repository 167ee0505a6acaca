"""How a value of each kind is read out of what a file holds, as SQL: one truth for the checks and for the readers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from data.parts import literal, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from data.contracts import Column, Kind

SQL_TYPES: Mapping[Kind, str] = {
    "text": "VARCHAR",
    "instant": "TIMESTAMPTZ",
    "day": "DATE",
    "month": "DATE",
    "integer": "BIGINT",
    "money": "BIGINT",
    "real": "DOUBLE",
    "flag": "BIGINT",
    "text_list": "VARCHAR[]",
}

EXPECTED: Mapping[Kind, str] = {
    "text": "text",
    "instant": "an instant with its offset, such as 2026-05-01T10:00:00+08:00",
    "day": "a calendar day, such as 2026-05-01",
    "month": "a calendar month, such as 2026-05",
    "integer": "a whole number",
    "money": "whole fen",
    "real": "a finite number",
    "flag": "0 or 1",
    "text_list": "a list of texts (in a CSV separated by |)",
}

_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
NAIVE = ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS")
NAIVE_FIX = "write times with their offset, or give the zone they were written in (time_zone)"
_CLOCK = r"\d{4}-\d{2}-\d{2}[T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?"
_OFFSET = r"(Z|[+-]([01]\d|2[0-3])(:?[0-5]\d)?)"

# A zone's clock skips and repeats hours. DuckDB gives a skipped reading to an instant that shows another, and a
# repeated one to its later instant; the earlier is found by the offset that was in force a day before.
MACROS = (
    "CREATE MACRO ahead(moment, zone) AS timezone(zone, moment) - timezone('UTC', moment)",
    """CREATE MACRO earlier(moment, zone) AS
        moment + ahead(moment, zone) - ahead(moment - INTERVAL 1 DAY, zone)
    """,
    "CREATE MACRO is_skipped(clock, zone) AS timezone(zone, timezone(zone, clock)) <> clock",
    """CREATE MACRO is_repeated(clock, zone) AS
        earlier(timezone(zone, clock), zone) <> timezone(zone, clock)
        AND timezone(zone, earlier(timezone(zone, clock), zone)) = clock
    """,
)


@dataclass(frozen=True)
class Fault:
    """One way in which a value cannot be read: the SQL condition, and what to tell its owner."""

    name: str
    condition: str
    expected: str
    fix: str


@dataclass(frozen=True)
class Reading:
    """How one column is read: `raw` as it stands, `value` in its kind where no fault holds."""

    raw: str
    value: str
    faults: tuple[Fault, ...] = ()

    def sql(self, otherwise: str = "NULL") -> str:
        """The value, and where a fault holds `otherwise`."""
        if not self.faults:
            return self.value
        broken = " OR ".join(f"({fault.condition})" for fault in self.faults)
        return f"CASE WHEN {broken} THEN {otherwise} ELSE {self.value} END"


def reading(column: Column, found: str, *, is_text: bool, zone: str | None) -> Reading | None:
    """How to read a column that the file holds as the DuckDB type `found`; None if that type cannot carry its kind."""
    raw = quoted(column.name)
    if is_text:
        return _from_text(column.kind, raw, zone)
    return _from_typed(column.kind, raw, found, zone)


def _from_text(kind: Kind, raw: str, zone: str | None) -> Reading | None:
    if kind == "text":
        return Reading(raw, raw)
    if kind == "instant":
        return _instant_text(raw, zone)
    if kind == "text_list":
        return Reading(raw, f"string_split({raw}, '|')", (_unless(kind, raw, r"[^|]+(\|[^|]+)*"),))
    pattern, value = {
        "day": (r"\d{4}-\d{2}-\d{2}", f"TRY_CAST({raw} AS DATE)"),
        "month": (r"\d{4}-\d{2}(-01)?", f"TRY_CAST(left({raw}, 7) || '-01' AS DATE)"),
        "integer": (r"[+-]?\d{1,19}", f"TRY_CAST({raw} AS BIGINT)"),
        "money": (r"[+-]?\d{1,19}", f"TRY_CAST({raw} AS BIGINT)"),
        "real": (r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", f"TRY_CAST({raw} AS DOUBLE)"),
        "flag": (r"0|1|(?i:true|false)", f"TRY_CAST({raw} AS BOOLEAN)::BIGINT"),
    }[kind]
    unread = f"NOT isfinite({value})" if kind == "real" else f"{value} IS NULL"
    return Reading(raw, value, (_unless(kind, raw, pattern, f"coalesce({unread}, true)"),))


def _from_typed(kind: Kind, raw: str, found: str, zone: str | None) -> Reading | None:
    if kind == "text":
        return _text(raw, found)
    if kind == "instant":
        return _instant(raw, found, zone)
    if kind == "day" or (kind == "month" and found != "VARCHAR"):
        return _date(kind, raw, found)
    if kind == "month":
        return _from_text(kind, raw, zone)
    if kind == "flag":
        return _flag(raw, found)
    return _list(raw, found) if kind == "text_list" else _number(kind, raw, found)


def _text(raw: str, found: str) -> Reading | None:
    if found == "VARCHAR" or found.startswith("ENUM"):
        return Reading(raw, f"nullif({raw}::VARCHAR, '')")
    return Reading(raw, f"{raw}::VARCHAR") if found in (*_WHOLE, "UUID") else None


def _list(raw: str, found: str) -> Reading | None:
    if found.removesuffix("[]") == found or found.removesuffix("[]") not in (*_WHOLE, "VARCHAR"):
        return None
    texts = f"{raw}::VARCHAR[]"
    blank = f"len(list_filter({texts}, lambda text: coalesce(text, '') = '')) > 0"
    return Reading(raw, texts, (Fault("text_list", blank, EXPECTED["text_list"], _FIXES["text_list"]),))


def _instant(raw: str, found: str, zone: str | None) -> Reading | None:
    if found == "TIMESTAMP WITH TIME ZONE":
        return Reading(raw, raw)
    return _clock(raw, f"{raw}::TIMESTAMP", zone) if found in NAIVE and zone else None


def _flag(raw: str, found: str) -> Reading | None:
    if found == "BOOLEAN":
        return Reading(raw, f"{raw}::BIGINT")
    return _checked("flag", raw, "BIGINT", f"{raw} NOT IN (0, 1)") if found in _WHOLE else None


def _date(kind: Literal["day", "month"], raw: str, found: str) -> Reading | None:
    if found not in ("DATE", *NAIVE):
        return None
    return _checked(kind, raw, "DATE", f"{raw}::TIMESTAMP <> date_trunc('{kind}', {raw}::TIMESTAMP)")


def _number(kind: Kind, raw: str, found: str) -> Reading | None:
    fractional = found in ("FLOAT", "DOUBLE")
    if not (fractional or found in _WHOLE or found.startswith("DECIMAL")):
        return None
    if kind == "real":
        return _checked(kind, raw, "DOUBLE", f"NOT isfinite({raw})") if fractional else Reading(raw, f"{raw}::DOUBLE")
    if found in _WHOLE and found not in ("UBIGINT", "HUGEINT"):
        return Reading(raw, f"{raw}::BIGINT")
    # Frames turn whole numbers with gaps into floats: welcome as long as each still is whole and exact.
    exact = f" OR NOT abs({raw}) <= 9007199254740992" if fractional else ""
    whole = "" if found in _WHOLE else f" OR {raw} <> trunc({raw})"
    return _checked(kind, raw, "BIGINT", f"TRY_CAST({raw} AS BIGINT) IS NULL{whole}{exact}")


def _checked(kind: Kind, raw: str, cast: str, condition: str) -> Reading:
    fault = Fault(kind, f"{raw} IS NOT NULL AND ({condition})", EXPECTED[kind], _FIXES[kind])
    return Reading(raw, f"TRY_CAST({raw} AS {cast})", (fault,))


def _unless(kind: Kind, raw: str, pattern: str, condition: str = "false") -> Fault:
    matches = f"regexp_full_match({raw}, {literal(pattern)})"
    return Fault(kind, f"{raw} IS NOT NULL AND (NOT {matches} OR {condition})", EXPECTED[kind], _FIXES[kind])


def _instant_text(raw: str, zone: str | None) -> Reading:
    has_offset = f"regexp_full_match({raw}, {literal(_CLOCK + _OFFSET)})"
    has_none = f"regexp_full_match({raw}, {literal(_CLOCK)})"
    clock = _clock(raw, f"CASE WHEN {has_none} THEN TRY_CAST({raw} AS TIMESTAMP) END", zone)
    unread = Fault(
        "instant",
        f"{raw} IS NOT NULL AND NOT ({has_offset} AND TRY_CAST({raw} AS TIMESTAMPTZ) IS NOT NULL)"
        f" AND NOT ({has_none} AND TRY_CAST({raw} AS TIMESTAMP) IS NOT NULL)",
        EXPECTED["instant"],
        _FIXES["instant"],
    )
    value = f"CASE WHEN {has_offset} THEN TRY_CAST({raw} AS TIMESTAMPTZ) ELSE {clock.value} END"
    return Reading(raw, value, (unread, *clock.faults))


def _clock(raw: str, clock: str, zone: str | None) -> Reading:
    """Read a wall clock without an offset: refused without a zone, and where the zone skips or repeats the hour."""
    if zone is None:
        naive = Fault(
            "naive",
            f"({clock}) IS NOT NULL",
            EXPECTED["instant"],
            NAIVE_FIX,
        )
        return Reading(raw, "NULL::TIMESTAMPTZ", (naive,))
    name = literal(zone)
    skipped = Fault(
        "skipped",
        f"is_skipped({clock}, {name})",
        f"a time that exists in {zone}, whose clocks were put forward over it",
        "write the time with its offset",
    )
    repeated = Fault(
        "repeated",
        f"is_repeated({clock}, {name})",
        f"a time that happened once in {zone}, whose clocks were put back and showed it twice",
        "write the time with its offset",
    )
    return Reading(raw, f"timezone({name}, {clock})", (skipped, repeated))


_FIXES: Mapping[Kind, str] = {
    "text": "write the identifier or name as text",
    "instant": "write ISO 8601 with the offset, or a Parquet timestamp with a time zone",
    "day": "write YYYY-MM-DD, or a Parquet date",
    "month": "write YYYY-MM, or the month's first day",
    "integer": "write digits only",
    "money": "count in fen: multiply yuan by 100 and round",
    "real": "write a plain decimal number, and leave it empty where it is unknown",
    "flag": "write 0 or 1",
    "text_list": "write a Parquet list of strings, or a|b|c",
}


STORED: Mapping[Kind, str] = {
    "text": "a string",
    "instant": "timestamp[us, tz=UTC]",
    "day": "date32",
    "month": "date32, the month's first day",
    "integer": "int64",
    "money": "int64, counted in fen",
    "real": "double",
    "flag": "bool or int8",
    "text_list": "list<string>",
}


def fix_of(kind: Kind) -> str:
    """How to write a value of that kind."""
    return _FIXES[kind]
