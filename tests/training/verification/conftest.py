from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.sources import open_folder
from data.steps import Steps
from training.bundles import read
from training.catalogue import find
from training.promotions import Override
from training.registry import gates, promote
from training.tracking.snapshot import Snapshot, snapshot
from training.tracking.stores import store
from training.verification.derive import champion_of_then, data_differ, derive
from training.verification.origin import tables_of
from training.verification.verdict import derived_from, differences
from training.walk import Trained, train

SIDE, STORES = 24, 60
SITES = str(Path(__file__).parent / "resources" / "few_sites.py")


@dataclass(frozen=True)
class Kept:
    """A run in its store under `home`, and what was derived of it once."""

    home: Path
    brand: Path
    trained: Trained
    again: Snapshot

    @property
    def run_id(self):
        return self.trained.tracked.run_id

    def found(self, folder):
        """What a verification finds now, without deriving anything again."""
        run = snapshot(store(self.home), self.run_id, folder)
        origin, task, told = derived_from(run, None, ours=True)
        other_data = data_differ(run, tables_of(origin.data, task, None, self.home, Steps()))
        return (*told, other_data) if other_data else differences(told, run, self.again, self.home)


def kept(task, brand, home, folder, **settings):
    """Train, and derive once."""
    trained = train(task, open_folder(brand), now=datetime.now(UTC), home=home, **settings)
    run = snapshot(store(home), trained.tracked.run_id, folder / "run")
    origin, declared, told = derived_from(run, None, ours=True)
    assert told == ()
    tables = tables_of(origin.data, declared, None, home, Steps())
    champion = champion_of_then(origin, run, home, store(home), folder / "champion")
    return Kept(home, brand, trained, derive(origin, declared, tables, folder / "again", champion, Steps()))


@pytest.fixture(scope="module", autouse=True)
def alone():
    """No store but the one under --home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield


@pytest.fixture(scope="module")
def renewed(renewal, written_contracts, tmp_path_factory):
    """A model whose money was compared with that of a champion that somebody signed, itself signed later."""
    folder = tmp_path_factory.mktemp("renewed")
    brand, home = written_contracts(folder / "brand"), folder / "home"
    train(renewal, open_folder(brand), now=datetime.now(UTC), home=home, trials=1, seed=5)
    signed(home, "Ana")
    second = kept(renewal, brand, home, folder, trials=3, seed=1)
    signed(home, "Bo")
    return second


def signed(home, by):
    """Promote the challenger, over every gate that refuses."""
    challenger = (home / "bundles" / "renewal" / "challenger").read_text().strip()
    manifest = read(home / "bundles" / "renewal" / challenger).manifest
    refused = tuple(gate.name for gate in gates(manifest) if not gate.passed)
    promote("renewal", home, None, Override(refused or ("none",), by, "read it"))


@pytest.fixture(scope="module")
def sited(tmp_path_factory):
    """A forecast of sites in two towns."""
    folder = tmp_path_factory.mktemp("sited")
    (folder / "brand").mkdir()
    for name, table in towns().items():
        pq.write_table(table, folder / "brand" / f"{name}.parquet")
    return kept(find(SITES), folder / "brand", folder / "home", folder)


def towns(seed=5):
    """Two towns whose stores sell by the people around them and by their floor."""
    draw = np.random.default_rng(seed)
    steps = np.arange(SIDE) * 0.006
    lat, lon = (np.r_[one.ravel(), one.ravel() + 1.0] for one in np.meshgrid(30 + steps, 104 + steps))
    town = np.r_[np.zeros(SIDE**2), np.ones(SIDE**2)]
    people = 4_000 * np.exp(-np.hypot(lat - 30.075 - town, lon - 104.075 - town) / 0.04)
    at = draw.choice(len(lat), STORES, p=people / people.sum(), replace=False)
    floor = 300.0 * np.exp(0.3 * draw.normal(size=STORES))
    ids = [f"s{number:02}" for number in range(STORES)]
    level = 1e7 * (people[at] / 1_000) ** 0.6 * (floor / 300) ** 0.7 * np.exp(0.1 * draw.normal(size=STORES))
    months = np.arange("2023-01", "2024-07", dtype="datetime64[M]").astype("datetime64[D]")
    return {
        "cells": pa.table(
            {
                "cell_id": [f"c{number}" for number in range(len(lat))],
                "lat": lat,
                "lon": lon,
                "area_km2": np.full(len(lat), 0.4),
                "population": people.round().astype(np.int64),
                "city": [("West", "East")[int(one)] for one in town],
            }
        ),
        "stores": pa.table(
            {
                "store_id": ids,
                "lat": lat[at] + 0.002 * draw.normal(size=STORES),
                "lon": lon[at] + 0.002 * draw.normal(size=STORES),
                "opened_on": pa.array([np.datetime64("2018-01-01").item()] * STORES, pa.date32()),
                "area_m2": floor,
            }
        ),
        "store_sales": pa.table(
            {
                "store_id": np.repeat(ids, len(months)),
                "month": pa.array(np.tile(months, STORES)),
                "revenue_fen": np.rint(np.repeat(level, len(months))).astype(np.int64),
            }
        ),
    }
