import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from data.contracts import TABLES
from data.world.atlas import city_tables, city_truth, mapped
from data.world.city import City, CitySettings
from data.world.identifiers import identifiers

DAYS = 60

_DIGEST = """
import hashlib
from dataclasses import replace
from data.world.atlas import city_tables, city_truth
from data.world.city import City, CitySettings
settings = CitySettings()
city = City(replace(settings, towns=settings.towns[:2], people=900_000.0), 23)
digest = hashlib.sha256()
for columns in (*city_tables(city, 60).values(), *city_truth(city).values()):
    for values in columns.values():
        digest.update(repr(values.to_pylist()).encode())
print(digest.hexdigest())
"""


@pytest.fixture(scope="module")
def city() -> City:
    settings = CitySettings()
    return City(replace(settings, towns=settings.towns[:3], people=2_400_000.0), 17)


@pytest.fixture(scope="module")
def tables(city) -> dict[str, pa.Table]:
    return {name: pa.table(columns) for name, columns in city_tables(city, DAYS).items()}


@pytest.fixture(scope="module")
def truth(city) -> dict[str, pa.Table]:
    return {name: pa.table(columns) for name, columns in city_truth(city).items()}


def test_the_tables_are_those_of_the_contract(tables):
    assert set(tables) == {"cells", "places", "stores", "store_sales", "sites"}
    for name, table in tables.items():
        declared = TABLES[name]
        assert {column.name for column in declared.columns} <= set(table.column_names)
        for column in declared.columns:
            assert column.nullable or table[column.name].null_count == 0
        key = table.select(list(declared.key))
        assert key.group_by(list(declared.key)).aggregate([]).num_rows == table.num_rows


def test_what_is_hidden_stands_in_no_table(tables):
    shown = {column for table in tables.values() for column in table.column_names}
    assert not shown & {"taste", "hidden_taste", "quality", "hidden_quality", "pull", "ripening_months"}


def test_the_tables_estimate_what_the_truth_knows(city, tables, truth):
    estimates = city.settings.estimates
    assert tables["cells"]["cell_id"].equals(truth["cells"]["cell_id"])
    for name in ("population", "income", "footfall", "jobs"):
        true = truth["cells"][name].to_numpy()
        wrong = np.log(tables["cells"][name].to_numpy()[true > 50] / true[true > 50])
        assert wrong.std() == pytest.approx(getattr(estimates, f"{name}_sd"), rel=0.15)


def test_the_map_lacks_places_by_district_and_not_by_sort(city, tables):
    shown = mapped(city)
    assert tables["places"].num_rows == shown.sum()
    least, most = city.settings.estimates.unmapped
    assert least < 1 - shown.mean() < most
    for sort in np.unique(city.place_sort):
        of_sort = city.place_sort == sort
        spread = 4 * np.sqrt(0.11 * 0.89 / of_sort.sum()) + 0.05
        assert abs(shown[of_sort].mean() - shown.mean()) < spread


def test_sales_are_told_of_the_months_in_which_a_store_traded(tables):
    stores = {row["store_id"]: row for row in tables["stores"].to_pylist()}
    for row in tables["store_sales"].to_pylist():
        store = stores[row["store_id"]]
        assert row["revenue_fen"] > 0
        assert (store["opened_on"].year, store["opened_on"].month) <= (row["month"].year, row["month"].month)
        assert store["closed_on"] is None or row["month"] < store["closed_on"]
    sold = {row["store_id"] for row in tables["store_sales"].to_pylist()}
    assert {key for key, store in stores.items() if store["closed_on"] is None} <= sold


def test_truth_speaks_of_the_same_stores_and_sites_as_the_tables(city, tables, truth):
    for name, key in (("sites", "site_id"), ("stores", "store_id")):
        assert set(truth[name][key].to_pylist()) == set(tables[name][key].to_pylist())
    assert set(tables["places"]["place_id"].to_pylist()) <= set(truth["places"]["place_id"].to_pylist())
    assert set(truth["cannibalisation"]["store_id"].to_pylist()) <= set(tables["stores"]["store_id"].to_pylist())
    numbers = identifiers(city.seed, "store", np.arange(city.store_lat.size)).to_pylist()
    assert truth["stores"]["store_id"].to_pylist() == numbers


def test_site_truth_adds_up_in_whole_fen(truth):
    sites = truth["sites"]
    gain = sites["expected_yearly_revenue_fen"].to_numpy() - sites["taken_fen"].to_numpy()
    assert np.abs(gain - sites["network_gain_fen"].to_numpy()).max() <= 1


def test_the_parameters_of_the_model_are_told_by_name(city, truth):
    told = dict(zip(truth["gravity"]["name"].to_pylist(), truth["gravity"]["value"].to_pylist(), strict=True))
    assert told["gravity.residents.decay"] == city.settings.gravity.residents.decay
    assert told["gravity.complements.mall"] == dict(city.settings.gravity.complements)["mall"]
    assert told["stores.quality_sd"] == city.settings.stores.quality_sd


def test_rows_of_places_stores_and_sites_stand_in_order_of_their_ids(tables):
    for name, key in (("places", "place_id"), ("stores", "store_id"), ("sites", "site_id")):
        ids = tables[name][key].to_pylist()
        assert ids == sorted(ids)


def test_longer_worlds_only_move_the_months(city, tables):
    later = city_tables(city, 300)
    for name in ("cells", "places", "stores", "sites"):
        assert pa.table(later[name]).equals(tables[name])
    assert max(later["store_sales"]["month"].to_pylist()) > max(tables["store_sales"]["month"].to_pylist())


def test_processes_with_other_numbers_of_threads_write_the_same():
    told = {
        subprocess.run(  # noqa: S603 - our own code
            [sys.executable, "-c", _DIGEST],
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    }
    assert len(told) == 1
    assert len(told.pop().strip()) == 64
