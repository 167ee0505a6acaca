from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.sources import open_folder
from data.steps import Steps
from data.world.request import Request
from data.world.simulation import simulate
from training.catalogue import find
from training.pipeline import fit
from training.ranking_pipeline import fit_order
from training.release import release
from training.sites.journey import fit_and_release
from training.sites.members import Recipe
from training.sites.task import SiteTask

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
def written_contracts():
    """What writes them, for fixtures that last longer than a test."""
    return _write_contracts


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


def _write_visits(folder):
    """One flat table: what visitors of a shop take of twelve things, by what they like and what others do."""
    generator = np.random.default_rng(5)
    visits, each = 400, 12
    visit = np.repeat(np.arange(visits), each)
    liking, popularity = generator.normal(size=(2, visits * each))
    mood = np.repeat(generator.normal(size=visits), each)
    chance = 1 / (1 + np.exp(-(1.2 * liking + 1.2 * popularity - 2 + mood)))
    taken = (generator.random(visits * each) < chance).astype(np.int64)
    table = pa.table(
        {
            "row_id": [f"row-{number}" for number in range(visits * each)],
            "visit": [f"visit-{number}" for number in visit],
            "member_id": [f"member-{number % 150}" for number in visit],
            "day": pa.array(START + np.sort(visit) * DAY, pa.timestamp("us", tz="UTC")),
            "liking": liking,
            "popularity": pa.array(popularity, mask=generator.random(visits * each) < 0.1),
            "mood": mood,
            "taken": taken,
            "wanted": np.bincount(visit, taken).astype(np.int64)[visit],
        }
    )
    folder.mkdir()
    pq.write_table(table, folder / "candidates.parquet")
    return open_folder(folder)


@pytest.fixture(scope="session")
def visits(tmp_path_factory):
    """A folder of a brand with the table `candidates` of the task shelf."""
    return _write_visits(tmp_path_factory.mktemp("ranking") / "brand")


@pytest.fixture(scope="session")
def fitted_order(visits, tmp_path_factory):
    """A task from outside the repository that puts lists in order, fitted once."""
    task = find(str(Path(__file__).parent / "resources" / "shelf.py"))
    return fit_order(task, visits, home=tmp_path_factory.mktemp("home"), trials=2)


@pytest.fixture(scope="session")
def released_order(fitted_order, tmp_path_factory):
    """Its bundle, exported once."""
    return release(fitted_order, tmp_path_factory.mktemp("released"))


@pytest.fixture(scope="session")
def made_site(tmp_path_factory):
    """The task of sites on the chain of a small world, with trees of a handful: fit, bundle and figures."""
    home = tmp_path_factory.mktemp("sites")
    simulate(Request(members=100, days=14, seed=1), home / "world")
    task = SiteTask(name="site", folds=4, recipe=Recipe(rounds=5))
    return fit_and_release(task, open_folder(home / "world"), 217, home=home, seed=0, steps=Steps())
