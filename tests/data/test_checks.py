"""A bad folder is told what is wrong, where, what was expected and how to mend it: everything at once."""

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.checks import check, require
from data.errors import DataError
from data.findings import CheckReport, Finding
from data.sources import open_folder

Tables = dict[str, Any]
Writer = Callable[..., Path]
Spoil = Callable[[Tables], None]

NOW = datetime(2026, 6, 1, tzinfo=UTC)
MAY = datetime(2026, 5, 1, 2, tzinfo=UTC)
STORES = "store_id,lat,lon,opened_on,format\na,31.1,121.2,2020-01-01,小店\nb,31.1,121.2,2020-01-01,\n"
NO_PAYOUT = {
    "payout_id": pa.array([], pa.string()),
    "ts": pa.array([], pa.timestamp("us", "UTC")),
    "member_id": pa.array([], pa.string()),
    "account_id": pa.array([], pa.string()),
    "amount_fen": pa.array([], pa.int64()),
}


def found(root: Path, time_zone: str | None = None) -> CheckReport:
    return check(open_folder(root, time_zone), NOW)


def only(report: CheckReport) -> Finding:
    (finding,) = report.findings
    return finding


def missing_column(tables: Tables) -> None:
    del tables["campaigns"]["time_zone"]


def wrong_type(tables: Tables) -> None:
    tables["orders"]["quantity"] = ["1", "2", "two"]


def duplicate_id(tables: Tables) -> None:
    tables["offers"] = {name: [*values, *values] for name, values in tables["offers"].items()}


def naive_time(tables: Tables) -> None:
    tables["sends"]["ts"] = [datetime(2026, 5, 1, 2), datetime(2026, 5, 1, 3)]  # noqa: DTZ001


def negative_money(tables: Tables) -> None:
    tables["orders"]["amount_fen"] = [500, -1200, -1]


def unknown_reference(tables: Tables) -> None:
    tables["orders"]["member_id"] = ["ann", "zoe", None]


def empty_table(tables: Tables) -> None:
    tables["payouts"] = NO_PAYOUT


def truncated_parquet(tables: Tables) -> None:
    whole = io.BytesIO()
    pq.write_table(pa.table({"place_id": ["school"], "lat": [31.0], "lon": [121.0], "category": ["school"]}), whole)
    tables["places.parquet"] = whole.getvalue()[:600]


def unreadable_encoding(tables: Tables) -> None:
    tables["stores.csv"] = STORES.encode("gb18030")


def future_date(tables: Tables) -> None:
    tables["members"]["registered_at"] = [MAY, datetime(2062, 5, 1, tzinfo=UTC)]


# The ten kinds of bad folder, and what each is told.
BAD: dict[str, tuple[Spoil, str]] = {
    "missing_column": (
        missing_column,
        """\
campaigns.time_zone in campaigns.parquet, every row (1)
  found     columns campaign_id, starts_at, ends_at
  expected  a column time_zone (zone in which its days and nights are counted, such as Asia/Shanghai)
  to mend   add the column time_zone""",
    ),
    "future": (
        future_date,
        """\
members.registered_at in members.parquet, row 2
  found     2062-05-01T00:00:00+00:00
  expected  nothing later than now (2026-06-01T00:00:00+00:00)
  to mend   correct the clock, or the zone in which it was written""",
    ),
    "empty_table": (
        empty_table,
        """\
payouts in payouts.parquet
  found     no row
  expected  at least one row (one payment of prize money)
  to mend   fill it, or remove it: an empty table claims that nothing of the kind ever was""",
    ),
    "wrong_type": (
        wrong_type,
        """\
orders.quantity in orders.parquet, every row (3)
  found     the type VARCHAR
  expected  a whole number
  to mend   store it as int64""",
    ),
    "negative_money": (
        negative_money,
        """\
orders.amount_fen in orders.parquet, rows 2, 3 (2 rows)
  found     -1200, -1
  expected  whole fen, at least 0
  to mend   correct the sign, and leave refunds out: money is never negative here""",
    ),
    "unknown_reference": (
        unknown_reference,
        """\
orders.member_id in orders.parquet, row 2
  found     'zoe'
  expected  a member_id of the table members
  to mend   add them to members, or correct them, or leave them empty""",
    ),
    "duplicate_key": (
        duplicate_id,
        """\
offers.offer_id in offers.parquet, rows 1, 2 (2 rows)
  found     'ten-off' in 2 rows
  expected  each offer_id in one row of the table
  to mend   remove the repeats; give rows that differ keys of their own""",
    ),
    "naive_time": (
        naive_time,
        """\
sends.ts in sends.parquet, every row (2)
  found     TIMESTAMP without a time zone
  expected  an instant with its offset, such as 2026-05-01T10:00:00+08:00
  to mend   write times with their offset, or give the zone they were written in (time_zone)""",
    ),
    "unreadable_encoding": (
        unreadable_encoding,
        """\
stores in stores.csv, row 1
  found     bytes that are not UTF-8
  expected  a CSV file in UTF-8
  to mend   save it as UTF-8; one from a Chinese Excel: iconv -f GB18030 -t UTF-8""",
    ),
    "truncated_parquet": (
        truncated_parquet,
        """\
places in places.parquet
  found     a Parquet file that breaks off after 600 bytes
  expected  a complete Parquet or CSV file
  to mend   write or copy it again; it may have been cut off while it was written or moved""",
    ),
}

ALL_TEN_CLOSE = """\
campaigns                1 rows
members                  2 rows
products                 2 rows
payouts                  0 rows
orders                   3 rows
offers                   2 rows
sends                    2 rows
redemptions              1 rows
stores                   0 rows
places                   0 rows

not judged: the values of stores in stores.csv, because it cannot be read
not judged: the values of places in places.parquet, because it cannot be read

brand: 10 findings"""


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_folder_is_told_what_is_wrong(kind: str, sound: Tables, write: Writer) -> None:
    spoil, message = BAD[kind]
    spoil(sound)
    finding = only(found(write(sound)))
    assert finding.text() == message
    assert finding.rule == ("unreadable_file" if kind in ("unreadable_encoding", "truncated_parquet") else kind)


def test_all_ten_kinds_in_one_folder_are_told_at_once(sound: Tables, write: Writer, tmp_path: Path) -> None:
    for spoil, _ in BAD.values():
        spoil(sound)
    with pytest.raises(DataError) as refused:
        require(open_folder(write(sound)), NOW)
    messages = [message for _, message in BAD.values()]
    assert str(refused.value).replace(str(tmp_path / "brand"), "brand") == "\n\n".join([*messages, ALL_TEN_CLOSE])
    assert refused.value.exit_code == 3


def test_a_sound_folder_passes_and_says_what_it_could_not_judge(sound: Tables, write: Writer) -> None:
    sound["orders"]["store_id"] = ["here", None, None]
    sound["store"] = {"x": [1, 2]}
    report = require(open_folder(write(sound)), NOW)
    assert report.passed
    assert report.tables == {
        "campaigns": 1, "members": 2, "products": 2, "orders": 3, "offers": 1, "sends": 2, "redemptions": 1, "store": 2
    }  # fmt: skip
    assert report.notes == (
        "store, because no contract knows such a table; if stores is meant, rename it",
        "orders.store_id, because the table stores is not there",
    )
    assert json.loads(json.dumps(report.as_dict())) == {
        "root": report.root, "passed": True, "tables": dict(report.tables), "findings": [], "notes": list(report.notes)
    }  # fmt: skip


def test_a_report_is_plain_for_machines(sound: Tables, write: Writer) -> None:
    sound["orders"]["amount_fen"] = [500, -1200, -1]
    findings = json.loads(json.dumps(found(write(sound)).as_dict()))["findings"]
    assert findings == [
        {
            "rule": "negative_money",
            "table": "orders",
            "file": "orders.parquet",
            "column": "amount_fen",
            "rows": [2, 3],
            "count": 2,
            "found": "-1200, -1",
            "expected": "whole fen, at least 0",
            "fix": "correct the sign, and leave refunds out: money is never negative here",
        }
    ]


def test_the_first_ten_rows_are_named_and_all_are_counted_across_batches(sound: Tables, write: Writer) -> None:
    rows = 300_000
    negative = {7 * row for row in range(1, rows // 7 + 1)}
    sound["orders"] = {
        "line_id": pa.array(range(rows)),
        "order_id": pa.array(range(rows)),
        "ts": pa.array([MAY] * rows),
        "member_id": pa.array(["ann"] * rows),
        "product_id": pa.array(["tea"] * rows),
        "quantity": pa.array([1] * rows),
        "amount_fen": pa.array([-row if row in negative else row for row in range(1, rows + 1)]),
    }
    finding = only(found(write(sound)))
    assert finding.rows == tuple(7 * row for row in range(1, 11))
    assert finding.count == len(negative)
    assert finding.text().startswith(
        "orders.amount_fen in orders.parquet, rows 7, 14, 21, 28, 35, 42, 49, 56, 63, 70 … (42,857 rows)\n"
        "  found     -7, -14, -21\n"
    )


def test_keys_and_references_are_judged_across_parts_and_formats(sound: Tables, write: Writer) -> None:
    orders = sound.pop("orders")
    root = write({**sound, "orders/a": orders})
    lines = "line_id,order_id,ts,member_id,product_id,quantity,amount_fen\n"
    lines += "3-a,3,2026-05-01T10:00:00+08:00,bo,tea,1,5\n2-a,3,2026-05-01T10:00:00+08:00,,coal,1,5\n"
    (root / "orders" / "b.csv").write_text(lines)
    report = found(root)
    assert [(finding.rule, finding.file, finding.rows, finding.found) for finding in report.findings] == [
        ("duplicate_key", "orders/a.parquet", (3,), "'2-a' in 2 rows"),
        ("duplicate_key", "orders/b.csv", (2,), "'2-a' in 2 rows"),
        ("unknown_reference", "orders/b.csv", (2,), "'coal'"),
    ]
    assert report.tables["orders"] == 5


def test_a_key_of_two_columns_may_repeat_either(tmp_path: Path) -> None:
    (tmp_path / "weather.csv").write_text(
        "city,day,temperature_c,rain_mm\nA,2026-01-01,1,0\nA,2026-01-02,1,0\nB,2026-01-01,1,0\nA,2026-01-01,2,0\n"
    )
    finding = only(found(tmp_path))
    assert (finding.column, finding.rows, finding.found) == ("city, day", (1, 4), "'A, 2026-01-01' in 2 rows")


def test_a_table_that_refers_to_itself_is_judged(sound: Tables, write: Writer) -> None:
    sound["members"]["referrer_id"] = ["bo", "max"]
    assert only(found(write(sound))).found == "'max'"


def test_a_part_with_another_schema_is_told_by_its_name(sound: Tables, write: Writer) -> None:
    members = sound.pop("members")
    other = {"Member_ID": ["cy"], "registered_at": [MAY]}
    finding = only(found(write({**sound, "members/a": members, "members/b": other})))
    assert finding.text() == (
        "members.member_id in members/b.parquet, every row (1)\n"
        "  found     columns Member_ID, registered_at\n"
        "  expected  a column member_id (the member)\n"
        "  to mend   rename Member_ID, or add the column member_id"
    )


def test_references_into_a_table_that_cannot_be_read_whole_are_not_guessed(sound: Tables, write: Writer) -> None:
    sound["orders"]["product_id"] = ["tea", "coal", "tea"]
    root = write(sound)
    (root / "products.parquet").write_bytes(b"no Parquet at all")
    report = found(root)
    assert only(report).found == "17 bytes that do not begin as Parquet does"
    assert report.notes == (
        "the values of products in products.parquet, because it cannot be read",
        "orders.product_id, because the table products could not be read whole",
    )


def test_a_parquet_file_spoilt_inside_is_found_when_its_values_are_read(sound: Tables, write: Writer) -> None:
    sound["orders"]["amount_fen"] = [500, 1200, 450]
    root = write(sound)
    path = root / "orders.parquet"
    spoilt = bytearray(path.read_bytes())
    spoilt[4:40] = bytes(255 for _ in range(36))
    path.write_bytes(bytes(spoilt))
    finding = only(found(root))
    assert finding.rule == "unreadable_file"
    assert finding.found.startswith("a file that cannot be read to its end")


def test_values_of_a_csv_are_told_as_they_stand(tmp_path: Path) -> None:
    (tmp_path / "sends.csv").write_text(
        "send_id,ts,member_id,offer_id,campaign_id,arm,propensity\n"
        "1,2026-05-01T10:00:00+08:00,a,o,,treated,0.5\n"
        "2,2026-05-01T10:00:00,a,o,,Treated,1.5\n"
        ",yesterday,a,o,,control,-1\n"
        '4,2026-05-01T10:00:00Z,"",o,,,half\n'
    )
    report = found(tmp_path)
    assert [(finding.rule, finding.column, finding.rows, finding.found) for finding in report.findings] == [
        ("missing_value", "send_id", (3,), "nothing"),
        ("wrong_type", "ts", (3,), "'yesterday'"),
        ("naive_time", "ts", (2,), "'2026-05-01T10:00:00'"),
        ("missing_value", "member_id", (4,), "nothing"),
        ("missing_value", "arm", (4,), "nothing"),
        ("unknown_choice", "arm", (2,), "'Treated'"),
        ("wrong_type", "propensity", (4,), "'half'"),
        ("too_small", "propensity", (3,), "-1.0"),
        ("too_large", "propensity", (2,), "1.5"),
    ]


def test_hours_that_a_zone_skips_or_repeats_are_said_and_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "redemptions.csv").write_text(
        "send_id,ts\n1,2026-03-08 02:30:00\n2,2025-11-02 01:30:00\n3,2025-11-02 01:30:00-05:00\n4,2026-03-08 03:30:00\n"
    )
    report = found(tmp_path, "America/New_York")
    assert [(finding.rule, finding.rows, finding.found) for finding in report.findings] == [
        ("skipped_time", (1,), "'2026-03-08 02:30:00'"),
        ("repeated_time", (2,), "'2025-11-02 01:30:00'"),
    ]
    assert {finding.fix for finding in report.findings} == {"write the time with its offset"}


def test_days_and_months_to_come_are_found_where_they_tell_of_the_past(tmp_path: Path) -> None:
    (tmp_path / "store_sales.csv").write_text("store_id,month,revenue_fen\na,2026-06,1\na,2026-07,1\n")
    assert only(found(tmp_path)).rows == (2,)


def test_numbers_that_are_none_are_found(tmp_path: Path) -> None:
    lat = [float("nan"), float("inf"), 1.0, 91.0]
    cells = {"cell_id": ["a", "b", "c", "d"], "lat": lat, "lon": [1.0, 1.0, None, 1.0], "population": [1, 1, 1, 1]}
    pq.write_table(pa.table(cells), tmp_path / "cells.parquet")
    assert [(finding.rule, finding.rows, finding.found) for finding in found(tmp_path).findings] == [
        ("wrong_type", (1, 2), "'nan', 'inf'"),
        ("too_large", (4,), "91.0"),
        ("missing_value", (3,), "nothing"),
    ]


@pytest.mark.parametrize(
    ("text", "rows", "what"),
    [
        ("a,1\n\nb,1,2\nc\n", (2, 3), "rows of 1, 3 cells"),
        ('a,1\n"b,1\n', (2,), "a cell that does not end (unexpected end of data)"),
        ('a,1\n"b"x,1\n', (2,), "a cell that does not end (',' expected after '\"')"),
    ],
)
def test_csv_rows_that_are_no_rows_are_found(tmp_path: Path, text: str, rows: tuple[int, ...], what: str) -> None:
    (tmp_path / "stores.csv").write_text("store_id,lat\n" + text)
    unread, *missing = found(tmp_path).findings
    assert (unread.rule, unread.rows, unread.found) == ("unreadable_file", rows, what)
    assert {finding.rule for finding in missing} == {"missing_column"}


def test_every_bad_line_of_a_csv_is_counted_with_its_row_even_under_quoted_line_ends(tmp_path: Path) -> None:
    lines = [b"store_id,format", b'a,"two', b'lines"', b"b,\xff", b"c,ok", b'd,"one', b'\xff two"']
    (tmp_path / "stores.csv").write_bytes(b"\n".join(lines))
    finding = found(tmp_path).findings[0]
    assert (finding.rows, finding.count) == ((2, 4), 2)


def test_what_is_listed_but_no_table_is_a_finding_too(sound: Tables, write: Writer) -> None:
    root = write(sound)
    (root / "stores.json").touch()
    (root / "scans").mkdir()
    assert [(finding.rule, finding.file) for finding in found(root).findings] == [
        ("unsupported_file", "scans"),
        ("unsupported_file", "stores.json"),
    ]


def test_a_stranger_that_cannot_be_read_is_found(sound: Tables, write: Writer) -> None:
    root = write(sound)
    (root / "other.parquet").write_bytes(b"PAR1")
    (root / "third.csv").write_text("a,b\n1\n")
    assert [(finding.table, finding.rule) for finding in found(root).findings] == [
        ("other", "unreadable_file"),
        ("third", "unreadable_file"),
    ]


def test_now_must_say_its_zone(sound: Tables, write: Writer) -> None:
    with pytest.raises(ValueError, match="without a zone"):
        check(open_folder(write(sound)), datetime(2026, 6, 1))  # noqa: DTZ001
