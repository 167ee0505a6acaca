"""The batch evaluator on many machines, to the same bits.

The calling machine reads rows and logs once and deals them out by a hash of each group's key into a folder that all
machines see (the destination's: a shared file system). Workers evaluate the very same units as `features.batch` does
within a memory limit, and leave their answers there; they go back to the rows by position. A worker that dies loses
nothing: what a unit needs lies in the folder, and another worker takes it up. Rings cannot be divided and are computed
by the calling machine.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from distributed import Client, LocalCluster, as_completed

from data.errors import DependencyDown
from features.batch import written
from features.plan import compile_plan
from features.streaming import Workers, stream
from features.unit import answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import pyarrow as pa

    from data.sources import DataSet
    from features.batch import BuildReport, Progress
    from features.spec import FeatureSet
    from features.unit import Unit, UnitAnswers

_UNITS_A_WORKER: Final = 6
_UNIT_SHARE: Final = 0.4
_LOCAL_WORKERS: Final = 2
_PATIENCE: Final = 60.0


def build_on_cluster(
    feature_set: FeatureSet,
    data_set: DataSet,
    rows: pa.Table | str,
    destination: Path,
    address: str | None = None,
    progress: Progress | None = None,
) -> BuildReport:
    """Writes the features of rows to a Parquet file, as `features.batch.build` does, with the work done by Dask.

    Args:
        feature_set: What to compute.
        data_set: Where the logs are.
        rows: The rows as for `features.batch.build`, or a query over the data set that gives them.
        destination: The file; the workers have to see its folder under the same path.
        address: Of the scheduler, such as ``tcp://10.0.0.1:8786``; None for two workers on this machine.
        progress: Told after each group.

    Raises:
        DataError: As `features.batch.build` does.
        DependencyDown: No scheduler answers, or a worker does not see the folder.
    """
    plan = compile_plan(feature_set)
    with connected(address) as client, data_set.connect() as connection:
        asked = connection.sql(rows) if isinstance(rows, str) else rows
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        most = min(worker["memory_limit"] // worker["nthreads"] for worker in workers)
        fewest = _UNITS_A_WORKER * sum(worker["nthreads"] for worker in workers)

        def answer_all(units: Iterable[Unit]) -> Iterator[UnitAnswers]:
            return _answers(client, units)

        share = Workers(answer_all, int(most * _UNIT_SHARE), fewest)
        return written(
            feature_set, destination, lambda folder: stream(plan, connection, asked, folder, share, progress)
        )


@contextmanager
def connected(address: str | None) -> Iterator[Client]:
    """A client of a cluster; of one on this machine that ends with it where no address is given.

    Raises:
        DependencyDown: No scheduler answers, or it has no workers.
    """
    if address is None:
        with (
            LocalCluster(n_workers=_LOCAL_WORKERS, threads_per_worker=1, dashboard_address=None) as cluster,
            Client(cluster) as client,
        ):
            yield client
        return
    try:
        client = Client(address, timeout=_PATIENCE)
        client.wait_for_workers(1, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        raise DependencyDown(
            f"cluster {address}: no scheduler with workers answered within {_PATIENCE:g} s ({error}); start one with "
            "`dask scheduler` and `dask worker`, or leave the address out to use this machine"
        ) from error
    with client:
        yield client


def _answers(client: Client, units: Iterable[Unit]) -> Iterator[UnitAnswers]:
    futures = client.map(_answer_there, list(units), pure=False)
    for future in as_completed(futures):
        answers: UnitAnswers = future.result()
        yield answers


def _answer_there(unit: Unit) -> UnitAnswers:
    if not unit.folder.is_dir():
        raise DependencyDown(
            f"cluster: a worker does not see the folder {unit.folder}; write the destination to a file system that is "
            "mounted under the same path on all machines"
        )
    return answer(unit)
