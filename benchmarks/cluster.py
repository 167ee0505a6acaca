"""The feature build on two Dask workers held against one process, also with a worker killed; prints one JSON object.

    python -m benchmarks.cluster                   # 5M events; some minutes
    python -m benchmarks.cluster --scans 200000    # the same, small

Every value of every column is compared by its bits. The second build on the cluster loses a worker by SIGKILL while it
has work in hand; the workers of the cluster are processes of this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import distributed
import pyarrow.parquet as pq

from benchmarks.compared import COMPARED, ORDERS, SCANS, arrived, questions
from benchmarks.log import SkewedLog
from data.sources import open_folder
from features.batch import build
from features.cluster import build_on_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

_WORKERS: Final = 2
_LOOKS: Final = 20
_PAUSE: Final = 0.01


def measure(scans: int, folder: Path) -> dict[str, Any]:
    """Seconds of the three builds, and columns of the two on the cluster that differ anywhere from the first."""
    asked, bought = arrived(SkewedLog(scans))
    for name, log in ((SCANS.name, asked), (ORDERS.name, bought)):
        pq.write_table(log, folder / f"{name}.parquet")
    data_set, rows = open_folder(folder), questions(asked)
    alone, shared, bereft = (folder / "built" / f"{name}.parquet" for name in ("alone", "shared", "bereft"))
    alone.parent.mkdir()
    seconds = {}
    began = time.perf_counter()
    with data_set.connect() as connection:
        build(COMPARED, connection, rows, alone)
    seconds["one_process"] = round(time.perf_counter() - began, 1)
    with distributed.LocalCluster(n_workers=_WORKERS, threads_per_worker=1, dashboard_address=None) as cluster:
        began = time.perf_counter()
        build_on_cluster(COMPARED, data_set, rows, shared, cluster.scheduler_address)
        seconds["two_workers"] = round(time.perf_counter() - began, 1)
        began = time.perf_counter()
        with _one_killed(cluster.scheduler_address) as killed:
            build_on_cluster(COMPARED, data_set, rows, bereft, cluster.scheduler_address)
        seconds["one_killed"] = round(time.perf_counter() - began, 1)
    expected = pq.read_table(alone)
    return {
        "scans": scans,
        "rows": rows.num_rows,
        "features": len(COMPARED.names),
        "seconds": seconds,
        "differing_columns": {"two_workers": _differing(expected, shared), "one_killed": _differing(expected, bereft)},
        "killed_with_tasks_in_hand": killed,
    }


@contextmanager
def _one_killed(address: str) -> Iterator[list[int]]:
    """While inside, the first worker that was seen at work often enough is killed; gives how many tasks it had."""
    killed: list[int] = []
    over = threading.Event()

    def kill(client: distributed.Client, processes: dict[str, int]) -> None:
        looks = 0
        while not killed and not over.wait(_PAUSE):
            for worker, tasks in client.processing().items():
                looks += bool(tasks)
                if tasks and looks > _LOOKS and worker in processes:
                    os.kill(processes[worker], signal.SIGKILL)
                    killed.append(len(tasks))
                    break

    with distributed.Client(address) as client:
        watch = threading.Thread(target=kill, args=(client, client.run(os.getpid)))
        watch.start()
        try:
            yield killed
        finally:
            over.set()
            watch.join()


def _differing(expected: pa.Table, path: Path) -> list[str]:
    found = pq.read_table(path)
    return [name for name in expected.column_names if not expected[name].equals(found[name])]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__.partition("\n")[0])
    parser.add_argument("--scans", type=int, default=5_000_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shepherd-benchmark-") as folder:
        result = measure(asked.scans, Path(folder))
    print(json.dumps(result | {"load_average": round(os.getloadavg()[0], 2)}))


if __name__ == "__main__":
    main()
