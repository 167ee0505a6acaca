from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.errors import DataError, ShepherdError, UsageError
from data.logs import LOGS
from features import batch, history
from features.batch import FINGERPRINT_KEY, build, compute
from features.spec import (
    DAY,
    LIFETIME,
    FeatureSet,
    Log,
    Where,
    column,
    count,
    derived,
    distinct,
    mean,
    since,
    std,
    sum_,
)

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SCANS = Log("scans", entities=("member_id", ("member_id", "code_id")))
SCAN = FeatureSet(
    sum_(SCANS, "prize_fen", by="member_id", over=(DAY, LIFETIME)),
    count(SCANS, by=("member_id", "code_id"), over=DAY),
    since(SCANS, by="member_id"),
    column("entry", "kind", "How the code was opened"),
    derived("prize_over_three", lambda member_sum_prize_fen_1d: member_sum_prize_fen_1d / 3, "fen", "A third"),
)


@pytest.fixture
def connection():
    events = {
        "seen_at": [NOON - timedelta(hours=hours) for hours in (30, 20, 10, 1)],
        "member_id": ["ann", "ann", "bo", "ann"],
        "code_id": ["x", "x", "x", "y"],
        "prize_fen": [100, 7, 50, None],
    }
    with duckdb.connect() as connection:
        connection.register("scans", pa.table(events))
        yield connection


def _rows(**changed):
    columns = {
        "row_id": ["r3", "r1", "r2", "r4"],
        "as_of": pa.array([NOON, NOON, NOON - timedelta(hours=15), NOON], pa.timestamp("ms", "Asia/Shanghai")),
        "store": ["s", "t", "u", None],
        "member_id": pa.array(["ann", "new", "ann", None], pa.large_string()),
        "code_id": pa.array(["x", "x", "y", "x"]).dictionary_encode(),
        "entry": pa.array([1, None, 0, 2], pa.int8()),
        **changed,
    }
    return pa.table({name: values for name, values in columns.items() if values is not None})


EXPECTED = {
    "row_id": ["r3", "r1", "r2", "r4"],
    "as_of": [NOON, NOON, NOON - timedelta(hours=15), NOON],
    "store": ["s", "t", "u", None],
    "member_id": ["ann", "new", "ann", None],
    "code_id": ["x", "x", "y", "x"],
    "member_sum_prize_fen_1d": [7.0, 0.0, 107.0, None],
    "member_sum_prize_fen_lifetime": [107.0, 0.0, 107.0, None],
    "member_code_scan_count_1d": [1.0, 0.0, 0.0, None],
    "member_scan_since": [3_600.0, None, 18_000.0, None],
    "entry": [1.0, None, 0.0, 2.0],
    "prize_over_three": [float(np.float32(7 / 3)), 0.0, float(np.float32(107 / 3)), None],
}


def test_the_file_holds_rows_in_order_with_nulls_as_nulls(connection, tmp_path):
    told = []
    report = build(
        SCAN, connection, _rows(), tmp_path / "new" / "scan.parquet", lambda *progress: told.append(progress)
    )
    written = pq.read_table(report.destination)
    assert written.to_pydict() == EXPECTED
    assert written.schema.field("as_of").type == pa.timestamp("us", "UTC")
    assert {written.schema.field(name).type for name in SCAN.names} == {pa.float32()}
    assert written.schema.metadata[FINGERPRINT_KEY] == SCAN.fingerprint().encode()
    assert (report.rows, report.features, report.events) == (4, 6, {"scans": 4})
    assert report.fingerprint == SCAN.fingerprint()
    assert [done for _, done, _ in told] == [1, 2, 3, 4]
    assert told[-1] == ("scans by member_id and code_id", 4, 4)
    assert list(tmp_path.joinpath("new").iterdir()) == [report.destination]


def test_memory_and_file_agree(connection, tmp_path, monkeypatch):
    in_memory = compute(SCAN, connection, _rows())
    monkeypatch.setattr(batch, "_ROWS_AT_ONCE", 3)
    assert pq.read_table(build(SCAN, connection, _rows(), tmp_path / "x.parquet").destination).equals(in_memory)


def test_a_thinned_set_computes_silent_inputs_and_does_not_write_them(connection):
    thin = compute(SCAN.only("prize_over_three"), connection, _rows(entry=None))
    assert thin["prize_over_three"].to_pylist() == EXPECTED["prize_over_three"]
    assert "member_sum_prize_fen_1d" not in thin.column_names


def test_a_failed_build_leaves_the_old_file_and_nothing_else(connection, tmp_path):
    destination = tmp_path / "scan.parquet"
    destination.write_text("old")
    broken = derived("odd", lambda member_scan_since: member_scan_since[:1], "seconds", "Not a number a row")
    with pytest.raises(UsageError, match=r"derived feature odd: its function gave shape \(1,\) for 4 rows"):
        build(FeatureSet(SCAN, broken), connection, _rows(), destination)
    assert [path.name for path in tmp_path.iterdir()] == ["scan.parquet"]
    assert destination.read_text() == "old"


def test_no_rows_and_no_events_are_fine(connection, tmp_path):
    assert pq.read_table(build(SCAN, connection, _rows()[:0], tmp_path / "none.parquet").destination).num_rows == 0
    connection.sql("CREATE TEMP VIEW silence AS SELECT * FROM scans WHERE false")
    silence = Log("silence", entities=("member_id",))
    features = FeatureSet(
        count(silence, by="member_id", over=DAY),
        mean(silence, "prize_fen", by="member_id", over=DAY),
        distinct(silence, "code_id", by="member_id", over=DAY),
        since(silence, by="member_id"),
    )
    assert compute(features, connection, _rows()).select(features.names).to_pydict() == {
        "member_silence_count_1d": [0.0, 0.0, 0.0, None],
        "member_mean_prize_fen_1d": [None] * 4,
        "member_distinct_code_1d": [0.0, 0.0, 0.0, None],
        "member_silence_since": [None] * 4,
    }


def test_all_that_is_wrong_with_rows_is_said_at_once(connection):
    with pytest.raises(DataError) as refusal:
        compute(SCAN, connection, _rows(as_of=None, member_id=None, entry=None, member_scan_since=[1, 2, 3, 4]))
    assert str(refusal.value).splitlines() == [
        "the rows cannot be given features:",
        "  - column 'as_of' is missing; found row_id, store, code_id, member_scan_since",
        "  - column 'member_id' is missing; found row_id, store, code_id, member_scan_since",
        "  - column 'entry' is missing; found row_id, store, code_id, member_scan_since",
        "  - column 'member_scan_since' has the name of a feature that is computed; rename it",
    ]
    with pytest.raises(DataError) as refusal:
        compute(
            SCAN,
            connection,
            _rows(row_id=[1, 2, 2, 1], as_of=[NOON.replace(tzinfo=None)] * 4, entry=["link"] * 4, code_id=[1.5] * 4),
        )
    assert str(refusal.value).splitlines() == [
        "the rows cannot be given features:",
        "  - column 'as_of' must hold instants with a time zone (timestamp[us, UTC]); found timestamp[us]",
        "  - column 'row_id' names 2 rows more than once: 1, 2",
        "  - column 'entry' is a feature, so it must hold numbers; found string",
        "  - column 'code_id' is a key, so it must hold text or integers; found double",
    ]
    with pytest.raises(DataError, match=r"column 'as_of' is null in 1 rows(.|\n)*column 'row_id' is null in 2 rows"):
        compute(SCAN, connection, _rows(row_id=["a", None, None, "b"], as_of=[NOON, NOON, None, NOON]))


def test_all_that_a_log_lacks_is_said_at_once(connection):
    late = Where("prize_fen", "==", "late", "late")
    missing = FeatureSet(
        SCAN,
        sum_(SCANS, "prise_fen", by="member_id", over=DAY),
        mean(SCANS, "code_id", by="member_id", over=DAY),
        count(SCANS, by="member_id", over=DAY, where=late),
        count(Log("walks", entities=("member_id",)), by="member_id", over=DAY),
    )
    with pytest.raises(DataError) as refusal:
        compute(missing, connection, _rows())
    assert str(refusal.value).splitlines() == [
        "the logs do not hold what the features read:",
        (
            "  - log scans: no column 'prise_fen'; it has seen_at, member_id, code_id, prize_fen; "
            "did you mean 'prize_fen'?"
        ),
        "  - log scans, column code_id: is string, expected integers (fen, seconds, 0 and 1)",
        "  - log scans, column prize_fen: is int64, but condition 'late' compares with 'late'",
        f"  - log walks: neither a log of data.logs ({', '.join(LOGS)}) nor a relation of the connection",
    ]


def test_events_without_an_instant_are_refused(connection):
    connection.sql("CREATE TEMP VIEW timeless AS SELECT * REPLACE (NULL::TIMESTAMPTZ AS seen_at) FROM scans")
    timeless = FeatureSet(count(Log("timeless", entities=("member_id",)), by="member_id", over=DAY))
    with pytest.raises(DataError, match="log timeless, column seen_at: 4 events have none"):
        compute(timeless, connection, _rows())


def test_logs_that_are_given_as_tables_answer_alike(connection):
    table = connection.sql("SELECT * FROM scans").to_arrow_table()
    given = compute(SCAN, {"scans": table}, _rows())
    assert given.equals(compute(SCAN, connection, _rows()))
    coarse = table.set_column(0, "seen_at", table["seen_at"].cast(pa.timestamp("s", "Asia/Shanghai")))
    assert compute(SCAN, {"scans": coarse}, _rows()).equals(given)


def test_what_tables_of_logs_lack_is_said_at_once(connection):
    table = connection.sql("SELECT * FROM scans").to_arrow_table()
    with pytest.raises(DataError, match=r"log scans: no such table was given; found orders"):
        compute(SCAN, {"orders": table}, _rows())
    with pytest.raises(DataError, match=r"log scans: no column 'seen_at'(.|\n)*no column 'prize_fen'"):
        compute(SCAN, {"scans": table.select(["member_id", "code_id"])}, _rows())
    for kind in (pa.timestamp("us"), pa.timestamp("ns", "UTC"), pa.int64()):
        held = table.set_column(0, "seen_at", table["seen_at"].cast(kind))
        with pytest.raises(DataError, match=r"log scans, column seen_at: is .*, expected instants with a time zone"):
            compute(SCAN, {"scans": held}, _rows())
    unknown = table.set_column(0, "seen_at", pa.nulls(len(table), table.schema.field("seen_at").type))
    with pytest.raises(DataError, match="4 events have none"):
        compute(SCAN, {"scans": unknown}, _rows())


def test_keys_of_another_kind_are_refused(connection):
    with pytest.raises(DataError, match="key member_id: the rows hold int64, log scans holds string"):
        compute(SCAN, connection, _rows(member_id=[1, 2, 3, 4]))


@pytest.mark.parametrize("operator", [sum_, std])
def test_sums_that_would_overflow_are_refused(connection, operator):
    prize = 3 * 10**18 if operator is sum_ else 2 * 10**9
    connection.sql(f"CREATE TEMP VIEW riches AS SELECT * REPLACE ({prize} AS prize_fen) FROM scans")
    riches = FeatureSet(operator(Log("riches", entities=("member_id",)), "prize_fen", by="member_id", over=DAY))
    with pytest.raises(DataError, match=r"log riches, column prize_fen: the \w+ of one member_id add up to"):
        compute(riches, connection, _rows())


def test_a_large_log_of_modest_keys_is_no_overflow(connection):
    connection.sql(
        "CREATE TEMP VIEW many AS SELECT seen_at, 'm' || i AS member_id, 2000000000 AS prize_fen "
        "FROM scans, range(1000) keys(i) WHERE prize_fen = 7"
    )
    many = FeatureSet(sum_(Log("many", entities=("member_id",)), "prize_fen", by="member_id", over=DAY))
    many += FeatureSet(std(Log("many", entities=("member_id",)), "prize_fen", by="member_id", over=DAY))
    built = compute(many, connection, _rows(member_id=["m0", "m7", "m999", "ann"]))
    assert built["member_sum_prize_fen_1d"].to_pylist() == [2e9, 2e9, 2e9, 0.0]


def test_a_wrong_code_never_reaches_the_compiled_loops(connection, monkeypatch):
    monkeypatch.setattr(history, "key_codes", lambda *_: (np.array([0, 1, 2, 3], np.int32), np.zeros(4, np.int32), 3))
    with pytest.raises(ShepherdError, match=r"a key code lies outside -1\.\.2"):
        compute(SCAN, connection, _rows())


def test_more_rows_than_positions_can_name_are_refused(monkeypatch):
    monkeypatch.setattr(history, "_MOST_ROWS", 3)
    with pytest.raises(DataError, match="log scans: found 4 rows, expected at most 3 in one piece"):
        history.moments(np.zeros(4, np.int64), pa.table({}), "log scans")
