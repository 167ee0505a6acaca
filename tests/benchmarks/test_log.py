"""The benchmark's log has the skew that it claims, and its peers answer what we do."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.compared import COMPARED
from benchmarks.features import beside_peers
from benchmarks.log import DAYS, START, SkewedLog
from data.sources import open_folder

ROOT = Path(__file__).parents[2]
SHARES = {"member_id": (0.5, 0.58), "device_id": (0.5, 0.58), "ip": (0.38, 0.49)}


@pytest.fixture(scope="module")
def log():
    pieces = list(SkewedLog(600_000).pieces())
    return tuple(pa.concat_tables([piece[side] for piece in pieces]) for side in (0, 1))


@pytest.mark.parametrize("column", SHARES)
def test_the_busiest_hold_most_of_the_scans(log, column):
    counts = np.sort(log[0][column].drop_null().combine_chunks().value_counts().field("counts").to_numpy())[::-1]
    low, high = SHARES[column]
    assert low < counts[: len(counts) // 20].sum() / counts.sum() < high


def test_scans_come_in_order_with_ties_late_ones_and_nulls(log):
    scans, orders = log
    at = scans["received_at"].cast(pa.int64()).to_numpy()
    assert (np.diff(at) >= 0).all()
    assert 0.03 < (np.diff(at) == 0).mean() < 0.05
    assert at[0] >= START
    assert at[-1] < START + DAYS * 86_400_000_000
    late = at - scans["ts"].cast(pa.int64()).to_numpy()
    assert 0.005 < (late > 0).mean() < 0.02
    assert late.max() < 3_600_000_000
    nulls = {name: scans[name].null_count / len(at) for name in ("member_id", "cell_id", "prize_fen")}
    assert nulls == pytest.approx({"member_id": 0.02, "cell_id": 0.1, "prize_fen": 0.02}, rel=0.1)
    assert orders.num_rows == len(at) // 5


def test_the_same_seed_gives_the_same_bytes_and_our_contracts(tmp_path):
    one, two = (SkewedLog(3_000).write(tmp_path / name) for name in ("one", "two"))
    assert open_folder(one).content_hash() == open_folder(two).content_hash()
    with open_folder(one).connect() as connection:
        assert connection.sql("SELECT count(*), count(DISTINCT scan_id) FROM scans").fetchall() == [(3_000, 3_000)]
        known = connection.sql("SELECT count(*) FROM scans SEMI JOIN batches USING (batch_id)").fetchall()
    assert known == [(3_000,)]
    assert pq.read_table(one / "members.parquet").num_rows == SkewedLog(3_000).members


def test_polars_and_duckdb_answer_what_we_answer():
    measured = beside_peers(4_000)
    assert measured["peer_differences"] == {"polars": 0, "duckdb": 0}
    assert len(COMPARED.names) == 34


def test_the_benchmark_starts_and_its_help_is_short():
    command = [sys.executable, "-m", "benchmarks.features", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=60)  # noqa: S603
    assert "--quick" in done.stdout


def test_a_build_of_its_own_process_is_measured(tmp_path):
    SkewedLog(2_000).write(tmp_path / "log")
    command = [sys.executable, "-m", "benchmarks.features", "--build", str(tmp_path / "log"), "--memory", str(1 << 30)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=60)  # noqa: S603
    measured = json.loads(done.stdout)
    assert (measured["rows"], measured["features"]) == (2_000, 34)
    assert 0 < measured["peak_bytes"] < 1 << 30
