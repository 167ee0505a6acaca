"""Two workers, and one of them killed: the same bits."""

import os
import signal
import threading
import time

import pyarrow.parquet as pq
import pytest

from benchmarks.compared import COMPARED, ORDERS, SCANS, arrived, questions
from benchmarks.log import SkewedLog
from data.errors import DataError, DependencyDown
from data.sources import open_folder
from features.batch import compute
from features.cluster import build_on_cluster
from features.spec import FeatureSet, Log, count, days

distributed = pytest.importorskip("distributed")

# Processes of a cluster end on their own time and leave sockets to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A data set of scans and orders, the rows that ask about them, and what one machine answers."""
    folder = tmp_path_factory.mktemp("data")
    scans, orders = arrived(SkewedLog(120_000))
    pq.write_table(scans, folder / f"{SCANS.name}.parquet")
    pq.write_table(orders, folder / f"{ORDERS.name}.parquet")
    data_set = open_folder(folder)
    rows = questions(scans)
    with data_set.connect() as connection:
        return data_set, rows, compute(COMPARED, connection, rows)


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        yield cluster


def test_two_workers_give_the_same_bits(asked, cluster, tmp_path):
    data_set, rows, expected = asked
    told = []
    report = build_on_cluster(
        COMPARED, data_set, rows, tmp_path / "x.parquet", cluster.scheduler_address, lambda *one: told.append(one)
    )
    assert pq.read_table(report.destination).equals(expected)
    assert (report.rows, report.features) == (rows.num_rows, 34)
    assert told[-1][1:] == (34, 34)
    assert list(tmp_path.iterdir()) == [report.destination]


def test_a_worker_killed_in_the_middle_changes_no_bit(asked, cluster, tmp_path):
    data_set, rows, expected = asked
    killed = []
    with distributed.Client(cluster.scheduler_address) as onlooker:
        processes = onlooker.run(os.getpid)

        def kill_one_at_work():
            give_up = time.monotonic() + 60
            while not killed and time.monotonic() < give_up:
                for address, tasks in onlooker.processing().items():
                    if tasks and not killed:
                        os.kill(processes[address], signal.SIGKILL)
                        killed.append(tasks)

        killer = threading.Thread(target=kill_one_at_work)
        killer.start()
        report = build_on_cluster(COMPARED, data_set, rows, tmp_path / "x.parquet", cluster.scheduler_address)
        killer.join()
    assert killed
    assert pq.read_table(report.destination).equals(expected)


def test_rows_may_be_a_query_and_faults_of_workers_come_back(asked, cluster, tmp_path):
    data_set = asked[0]
    query = f"SELECT scan_id AS row_id, seen_at AS as_of, member_id FROM {SCANS.name} LIMIT 100"
    some = FeatureSet(count(SCANS, by="member_id", over=days(1)))
    assert build_on_cluster(some, data_set, query, tmp_path / "x.parquet", cluster.scheduler_address).rows == 100
    absent = FeatureSet(count(Log("walks", entities=("member_id",)), by="member_id", over=days(1)))
    with pytest.raises(DataError, match="log walks"):
        build_on_cluster(absent, data_set, query, tmp_path / "y.parquet", cluster.scheduler_address)


def test_no_cluster_is_said_clearly(asked, tmp_path, monkeypatch):
    monkeypatch.setattr("features.cluster._PATIENCE", 1.0)
    with pytest.raises(DependencyDown, match=r"cluster tcp://127\.0\.0\.1:1: no scheduler with workers answered"):
        build_on_cluster(COMPARED, asked[0], asked[1], tmp_path / "x.parquet", "tcp://127.0.0.1:1")
