from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

DAY = 86_400_000_000
START = 1_700_000_000_000_000


@pytest.fixture
def contracts(tmp_path):
    """A folder with one flat table: contracts that lapse the likelier, the more the customer complained."""
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
    folder = tmp_path / "brand"
    folder.mkdir()
    pq.write_table(table, folder / "contracts.parquet")
    return folder
