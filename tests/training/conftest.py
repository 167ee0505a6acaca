from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.sources import open_folder
from training.catalogue import find
from training.pipeline import fit
from training.release import release

DAY = 86_400_000_000
START = 1_700_000_000_000_000


def _write_contracts(folder):
    """One flat table: contracts that lapse the likelier, the more the customer complained."""
    generator = np.random.default_rng(7)
    size = 1_500
    complaints, years = generator.poisson(1.5, size), generator.integers(0, 15, size)
    chance = 1 / (1 + np.exp(-(0.9 * complaints - 0.15 * years - 1)))
    day = np.sort(generator.integers(0, 540, size))
    table = pa.table(
        {
            "contract_id": [f"contract-{number}" for number in range(size)],
            "customer_id": [f"customer-{number}" for number in generator.integers(0, 900, size)],
            "ends_at": pa.array(START + day * DAY, pa.timestamp("us", tz="UTC")),
            "month": day // 30,
            "complaints": complaints,
            "years": pa.array(years, mask=generator.random(size) < 0.1),
            "lapsed": (generator.random(size) < chance).astype(np.int64),
        }
    )
    folder.mkdir()
    pq.write_table(table, folder / "contracts.parquet")
    return folder


@pytest.fixture
def contracts(tmp_path):
    """A folder of a brand with the table `contracts` of the task renewal."""
    return _write_contracts(tmp_path / "brand")


@pytest.fixture(scope="session")
def renewal():
    """A task from outside the repository, on one flat table."""
    return find(str(Path(__file__).parent / "resources" / "renewal.py"))


@pytest.fixture(scope="session")
def fitted(renewal, tmp_path_factory):
    """That task, fitted once; its features lie in `home` beside the brand."""
    folder = tmp_path_factory.mktemp("renewal")
    return fit(renewal, open_folder(_write_contracts(folder / "brand")), home=folder / "home", trials=1)


@pytest.fixture(scope="session")
def released(fitted, tmp_path_factory):
    """Its bundle, exported once."""
    return release(fitted, tmp_path_factory.mktemp("released"))
