"""What does not fit into memory: the same bits, within the limit."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.errors import DataError, UsageError
from features import streaming
from features.batch import build, compute
from features.memory import Limits
from tests.features.judge import connect, table
from tests.features.stream import ALL, drawn, events, questions

GIBIBYTE = 1 << 30
ROOT = Path(__file__).parents[2]


def _held(memory_limit=8 * GIBIBYTE):
    return Limits(duckdb=memory_limit // 4, unit=1)


@pytest.fixture
def many_units(monkeypatch):
    """Every bucket on its own, and pieces of a few rows."""
    monkeypatch.setattr(streaming, "_ROWS_AT_ONCE", 7)
    monkeypatch.setattr("features.batch.limits", _held)


def _limit(connection):
    (told,) = connection.execute("SELECT current_setting('memory_limit')").fetchall()[0]
    number, unit = told.split()
    return float(number) * {"MiB": 2**20, "GiB": 2**30}[unit]


def _same(log, rows, tmp_path):
    with connect(log) as connection:
        asked = table(rows)
        expected = compute(ALL, connection, asked)
        limit = _limit(connection)
        report = build(ALL, connection, asked, tmp_path / "streamed.parquet", memory_limit=8 * GIBIBYTE)
        assert _limit(connection) == pytest.approx(limit, rel=0.02)  # told with one digit behind the point
        connection.register("asked", asked)
        related = build(ALL, connection, connection.table("asked"), tmp_path / "r.parquet", memory_limit=8 * GIBIBYTE)
    assert (report.rows, report.events) == (len(rows), {"events": len(log)})
    assert pq.read_table(report.destination).equals(expected)
    assert pq.read_table(related.destination).equals(expected)
    return expected


@pytest.mark.usefixtures("many_units")
def test_a_busy_log_streams_to_the_same_bits(tmp_path):
    log, rows = drawn(np.random.default_rng(5), 300)
    told = _same(log, rows[:100], tmp_path)
    assert told.num_rows == 100


@pytest.mark.usefixtures("many_units")
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(log=st.lists(events, max_size=20), rows=st.lists(questions, max_size=9))
def test_any_log_streams_to_the_same_bits(tmp_path, log, rows):
    _same(log, rows, tmp_path)


@pytest.mark.usefixtures("many_units")
def test_a_row_id_that_comes_twice_is_refused_across_pieces(tmp_path):
    log, rows = drawn(np.random.default_rng(5), 20)
    asked = table(rows)
    twice = asked.set_column(0, "row_id", pa.array([0, *range(19)]))
    with connect(log) as connection, pytest.raises(DataError, match=r"names rows more than once: 0$"):
        build(ALL, connection, twice, tmp_path / "x.parquet", memory_limit=GIBIBYTE)
    assert list(tmp_path.iterdir()) == []


def test_a_limit_below_what_is_held_is_refused(tmp_path):
    log, rows = drawn(np.random.default_rng(5), 20)
    with (
        connect(log) as connection,
        pytest.raises(UsageError, match=r"found 100,000,000 bytes, of which this process holds"),
    ):
        build(ALL, connection, table(rows), tmp_path / "x.parquet", memory_limit=100_000_000)


_LIMITED = """
import json, sys, duckdb
from pathlib import Path
from benchmarks.compared import COMPARED, relations
from features.batch import build
from features.memory import peak_bytes
folder, limit = Path(sys.argv[1]), json.loads(sys.argv[2])
with duckdb.connect() as connection:
    rows = relations(connection, folder)
    report = build(COMPARED, connection, rows, folder / f"features-{limit}.parquet", memory_limit=limit)
print(json.dumps([report.rows, peak_bytes()]))
"""


def _peak(folder, limit):
    command = [sys.executable, "-c", _LIMITED, str(folder), json.dumps(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=ROOT)  # noqa: S603
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_build_keeps_within_its_memory_limit(tmp_path):
    from benchmarks.log import SkewedLog  # noqa: PLC0415 - only this test needs a large log

    SkewedLog(900_000).write(tmp_path)
    limit = 600 << 20
    rows, free = _peak(tmp_path, None)
    assert rows == 900_000
    assert free > limit
    assert _peak(tmp_path, limit)[1] <= limit
    free_table, limited = (pq.read_table(tmp_path / f"features-{one}.parquet") for one in (None, limit))
    assert limited.equals(free_table)
