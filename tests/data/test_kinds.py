"""A value is read out of text and out of every Parquet type alike, or it is refused: never guessed."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pytest

from data.contracts import Column, Kind
from data.kinds import MACROS, SQL_TYPES, reading

ZONES = (
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Shanghai",
    "Europe/Dublin",
    "Pacific/Apia",
    "Africa/Casablanca",
)


def read(kind: Kind, values: pa.Array, *, is_text: bool, zone: str | None = None) -> list[object]:
    """Each value as its kind says, or the name of the fault that refuses it."""
    with duckdb.connect(config={"autoinstall_known_extensions": False}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for macro in MACROS:
            connection.execute(macro)
        connection.register("given", pa.table({"x": values}))
        ((_, found, *_),) = connection.execute("DESCRIBE given").fetchall()
        how = reading(Column("x", kind, "a value"), found, is_text=is_text, zone=zone)
        assert how is not None
        faults = " ".join(f"WHEN {fault.condition} THEN '{fault.name}'" for fault in how.faults)
        named = f"CASE {faults} END" if faults else "NULL"
        query = f"SELECT {how.sql()} AS value, {named} AS fault, typeof({how.sql()}) AS type FROM given"
        rows = connection.sql(query).to_arrow_table().to_pylist()
    assert {row["type"] for row in rows} <= {SQL_TYPES[kind].replace("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE")}
    return [row["value"] if row["fault"] is None else row["fault"] for row in rows]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("text", "0012", "0012"),
        ("integer", "-12", -12),
        ("integer", "1.0", "integer"),
        ("integer", "9223372036854775808", "integer"),
        ("integer", " 1", "integer"),
        ("integer", "1e3", "integer"),
        ("money", "1999", 1999),
        ("money", "19.99", "money"),
        ("real", "1.5e3", 1500.0),
        ("real", ".5", 0.5),
        ("real", "nan", "real"),
        ("real", "inf", "real"),
        ("real", "1e999", "real"),
        ("real", "1,5", "real"),
        ("flag", "1", 1),
        ("flag", "FALSE", 0),
        ("flag", "yes", "flag"),
        ("day", "2024-02-29", datetime(2024, 2, 29, tzinfo=UTC).date()),
        ("day", "2023-02-29", "day"),
        ("day", "29/02/2024", "day"),
        ("month", "2024-02", datetime(2024, 2, 1, tzinfo=UTC).date()),
        ("month", "2024-02-01", datetime(2024, 2, 1, tzinfo=UTC).date()),
        ("month", "2024-02-02", "month"),
        ("month", "2024-13", "month"),
        ("text_list", "a|b", ["a", "b"]),
        ("text_list", "a||b", "text_list"),
        ("instant", "2017-01-01T10:00:00+08:00", datetime(2017, 1, 1, 2, tzinfo=UTC)),
        ("instant", "2017-01-01 10:00+0800", datetime(2017, 1, 1, 2, tzinfo=UTC)),
        ("instant", "2017-01-01T10:00:00.25Z", datetime(2017, 1, 1, 10, 0, 0, 250_000, tzinfo=UTC)),
        ("instant", "2017-01-01T10:00:00", "naive"),
        ("instant", "2017-02-30T10:00:00Z", "instant"),
        ("instant", "2017-01-01T24:00:00Z", "instant"),
        ("instant", "2017-01-01", "instant"),
        ("instant", "1483236000", "instant"),
        ("instant", "infinity", "instant"),
    ],
)
def test_text_is_read_to_the_letter(kind: Kind, text: str, value: object) -> None:
    (got,) = read(kind, pa.array([text]), is_text=True)
    assert got == value


@pytest.mark.parametrize(
    ("kind", "stored", "values"),
    [
        ("integer", pa.array([1, None], pa.int32()), [1, None]),
        ("integer", pa.array([1, 2**64 - 1], pa.uint64()), [1, "integer"]),
        ("money", pa.array([Decimal("12.00"), Decimal("12.50")], pa.decimal128(10, 2)), [12, "money"]),
        ("money", pa.array([12.0, 12.5, float("nan"), float("inf"), 1e300]), [12, "money", "money", "money", "money"]),
        ("real", pa.array([1, None], pa.int64()), [1.0, None]),
        ("real", pa.array([1.5, float("nan"), float("-inf")]), [1.5, "real", "real"]),
        ("real", pa.array([Decimal("1.50")]), [1.5]),
        ("text", pa.array([12, None], pa.int64()), ["12", None]),
        ("text", pa.array(["a", ""], pa.large_string()), ["a", None]),
        ("text", pa.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
        ("flag", pa.array([True, False]), [1, 0]),
        ("flag", pa.array([1, 2], pa.int8()), [1, "flag"]),
        ("day", pa.array([datetime(2024, 2, 29), datetime(2024, 2, 29, 1)]), [datetime(2024, 2, 29).date(), "day"]),  # noqa: DTZ001
        ("month", pa.array(["2024-02", "x"]), [datetime(2024, 2, 1, tzinfo=UTC).date(), "month"]),
        ("text_list", pa.array([["a"], [None], [""], None, []]), [["a"], "text_list", "text_list", None, []]),
        ("text_list", pa.array([[1, 2]]), [["1", "2"]]),
    ],
)
def test_parquet_types_are_widened_where_nothing_is_lost(kind: Kind, stored: pa.Array, values: list[object]) -> None:
    assert read(kind, stored, is_text=False) == values


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("text", "DOUBLE"),
        ("text", "BLOB"),
        ("integer", "VARCHAR"),
        ("money", "BOOLEAN"),
        ("real", "VARCHAR"),
        ("flag", "VARCHAR"),
        ("flag", "DOUBLE"),
        ("instant", "VARCHAR"),
        ("instant", "BIGINT"),
        ("instant", "DATE"),
        ("instant", "TIMESTAMP"),
        ("day", "TIMESTAMP WITH TIME ZONE"),
        ("text_list", "VARCHAR"),
        ("text_list", "DOUBLE[]"),
    ],
)
def test_other_parquet_types_are_refused(kind: Kind, found: str) -> None:
    assert reading(Column("x", kind, "a value"), found, is_text=False, zone=None) is None


def _moments(clock: datetime, zone: ZoneInfo) -> set[datetime]:
    """The judge: every instant at which a clock on that wall shows this reading."""
    candidates = {clock.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return {moment for moment in candidates if moment.astimezone(zone).replace(tzinfo=None) == clock}


def _clocks_near_changes(wall: ZoneInfo) -> list[datetime]:
    """Every quarter of an hour, as the wall shows it, within 27 hours of each change of six years."""
    start = datetime(2009, 1, 1, tzinfo=UTC)
    hours = [start + timedelta(hours=hour) for hour in range(24 * 365 * 6)]
    offsets = [hour.astimezone(wall).utcoffset() for hour in hours]
    changes = [hour for hour, (before, after) in zip(hours[1:], pairwise(offsets), strict=True) if before != after]
    quarters = [timedelta(minutes=15 * quarter) for quarter in range(-108, 108)]
    return [change.replace(tzinfo=None) + quarter for change in changes or [start] for quarter in quarters]


@pytest.mark.parametrize("zone", ZONES)
def test_a_wall_clock_is_an_instant_only_where_there_is_exactly_one(zone: str) -> None:
    clocks = _clocks_near_changes(ZoneInfo(zone))
    expected: list[object] = []
    for clock in clocks:
        moments = _moments(clock, ZoneInfo(zone))
        expected.append("skipped" if not moments else "repeated" if len(moments) > 1 else moments.pop())
    texts = pa.array([clock.isoformat(sep=" ") for clock in clocks])
    assert read("instant", texts, is_text=True, zone=zone) == expected
    assert read("instant", pa.array(clocks, pa.timestamp("us")), is_text=False, zone=zone) == expected
    if zone != "Asia/Shanghai":
        assert {"skipped", "repeated"} <= {found for found in expected if isinstance(found, str)}


def test_an_offset_outweighs_the_zone_given() -> None:
    texts = pa.array(["2017-01-01T10:00:00+01:00", "2017-01-01T10:00:00"])
    expected = [datetime(2017, 1, 1, 9, tzinfo=UTC), datetime(2017, 1, 1, 2, tzinfo=UTC)]
    assert read("instant", texts, is_text=True, zone="Asia/Shanghai") == expected
