"""Folds that keep their distance, weights on the simplex, and intervals that keep their promise."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import DataError
from features.distance import degrees_apart_km
from serving.site_answers import payback_months
from serving.site_gravity import Demand, Gravity, Market, Spots
from serving.site_model import cv_plus, nearest
from training.sites.folds import random_folds, spatial_folds
from training.sites.members import GIVE_OR_TAKE, Recipe, blend, fit_members
from training.sites.study import fit_sites, held_out, known_stores
from training.sites.target import Maturity, yearly_sales

GRAVITY = Gravity(
    alpha=0.8,
    beta=2.0,
    floor_m=350.0,
    elsewhere=2.0,
    passers=0.1,
    income_power=0.5,
    rivals=(),
    usual_area_m2=300.0,
    misfit=0.2,
)


def towns(stores=120, seed=0):
    draw = np.random.default_rng(seed)
    return 30 + 0.15 * draw.random(stores) + 2 * draw.integers(3, size=stores), 104 + 0.15 * draw.random(stores)


def chain(stores=120, seed=0):
    draw = np.random.default_rng(seed)
    features = draw.normal(size=(stores, 4)).astype(np.float32)
    noise = 0.2 * draw.normal(size=stores)
    return known_stores(("a", "b", "c", "d"), features, 15 + features[:, 0] - 0.5 * features[:, 1] + noise)


def test_no_store_learned_from_is_within_the_buffer_of_a_held_out_one():
    lat, lon = towns()
    folds = spatial_folds(lat, lon, 8, 3.0)
    apart = degrees_apart_km(lat[:, None], lon[:, None], lat, lon)

    assert np.bincount(folds.fold).min() >= 120 // 8 - 4
    for fold in range(folds.count):
        assert apart[np.ix_(folds.learned(fold), folds.fold == fold)].min() > 3.0


def test_a_chain_in_one_street_cannot_be_judged_on_unknown_places():
    with pytest.raises(DataError, match="too close together"):
        spatial_folds(np.linspace(30, 30.001, 60), np.full(60, 104.0), 6, 3.0)


@given(st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_no_weights_on_the_simplex_are_better_than_the_blend(seed):
    draw = np.random.default_rng(seed)
    said, truth = draw.normal(size=(30, 3)), draw.normal(size=30)
    found = np.array(blend(said, truth, (0, 1, 2)))
    others = draw.dirichlet(np.ones(3), size=200)
    firm = ((said - truth[:, None]) ** 2).mean(axis=0).min() / GIVE_OR_TAKE**2

    def error(weights):
        return ((weights @ said.T - truth) ** 2).sum(axis=-1) + firm * ((weights - 1 / 3) ** 2).sum(axis=-1)

    assert found.min() >= 0
    assert found.sum() == pytest.approx(1)
    assert error(found) <= error(others).min() + 1e-9


def test_few_stores_leave_the_weights_alike_and_many_tell_them_apart():
    draw = np.random.default_rng(4)
    truth = draw.normal(size=4_000)
    said = truth[:, None] + np.array([0.2, 0.4, 0.4]) * draw.normal(size=(4_000, 3))
    few, many = (np.array(blend(said[:rows], truth[:rows], (0, 1, 2))) for rows in (4, 4_000))

    assert np.abs(few - 1 / 3).max() < 0.2
    assert many == pytest.approx([2 / 3, 1 / 6, 1 / 6], abs=0.03)
    assert blend(said, truth, (0, 2))[1] == 0


@pytest.mark.parametrize("telling", [False, True])
def test_surroundings_are_heard_only_where_they_tell_something(telling):
    draw = np.random.default_rng(6)
    kind, around = draw.integers(0, 2, 160), draw.normal(size=(160, 20))
    truth = 0.8 * kind + telling * around[:, 0] + 0.8 * draw.normal(size=160)
    names = ("kind", *(f"around_{place}" for place in range(20)))
    stores = known_stores(names, np.column_stack((kind, around)).astype(np.float32), truth)
    lot = random_folds(160, 5, draw)
    coefficients = np.array(fit_members(stores, np.arange(160), Recipe(rounds=1), lot.fold, 0).linear.coefficients)

    assert coefficients[0] * np.ptp(stores.rows[:, 0]) == pytest.approx(0.8, abs=0.3)
    assert np.abs(coefficients[2:]).max() < (0.3 if telling else 0.03)
    assert (coefficients[1] > 0.7) == telling


def test_stores_that_are_alike_in_all_are_averaged():
    picked, counts = nearest(np.zeros((2, 12)), 8)

    assert picked.shape == (2, 8)
    assert counts == pytest.approx(np.full((2, 8), 1 / 8))


def test_cv_plus_takes_the_order_statistics_of_the_paper():
    said = np.array([[10.0, 20.0]])
    fold, missed = np.array([0, 0, 1, 1]), np.array([1.0, -2.0, 3.0, -4.0])

    low, high = cv_plus(said, fold, missed, 0.6)  # ceil(0.6 * 5) = third: of 9, 8, 17, 16 and of 11, 12, 23, 24

    assert (low[0], high[0]) == (9.0, 23.0)
    assert np.isinf(cv_plus(said, fold, missed, 0.9)[0]).all()


def test_cv_plus_of_one_constant_model_covers_as_often_as_theory_says():
    draw = np.random.default_rng(3)
    inside = []
    for _ in range(400):
        truth = draw.normal(size=41)
        fold = np.arange(40) % 5
        means = np.array([truth[:40][fold != one].mean() for one in range(5)])
        low, high = cv_plus(means[None, :], fold, truth[:40] - means[fold], 0.8)
        inside.append(low[0] <= truth[40] <= high[0])

    assert 0.8 - 0.06 < np.mean(inside) < 0.8 + 0.08  # at least 0.6 is guaranteed, about 0.8 expected


def test_held_out_stores_lie_inside_their_intervals_and_small_chains_get_no_trees():
    stores, lot = chain(), random_folds(120, 6, np.random.default_rng(1))
    recipe = Recipe(more_sells_more=("a",), rounds=20)
    held = held_out(stores, lot, recipe, 0)
    low, high = held.intervals[0.9]

    assert 0.82 < ((low <= stores.log_revenue) & (stores.log_revenue <= high)).mean() <= 1
    assert np.abs(held.blend - stores.log_revenue).mean() < 0.25
    few = chain(60, seed=2)
    assert fit_sites(few, random_folds(60, 6, np.random.default_rng(1)), recipe, 0).model.weights[1] == 0


def test_the_same_seed_gives_the_same_forecast():
    stores, lot = chain(90), random_folds(90, 5, np.random.default_rng(1))
    first, second = (held_out(stores, lot, Recipe(rounds=20), 7) for _ in range(2))

    np.testing.assert_array_equal(first.blend, second.blend)


def sold(closed=None):
    months = np.arange("2022-01", "2025-01", dtype="datetime64[M]")
    ids = ["old", "closed", "young"]
    opened = np.array(["2015-01-01", "2015-01-01", "2024-02-01"], "datetime64[D]")
    stores = pa.table(
        {
            "store_id": ids,
            "opened_on": pa.array(opened),
            "closed_on": pa.array([None, closed, None], pa.date32()),
        }
    )
    rows = [
        (one, month.astype("datetime64[D]"), int(level * (1.2 if month.astype(int) % 12 == 11 else 1)))
        for one, level, start in zip(ids, (1e6, 2e6, 5e5), opened, strict=True)
        for month in months
        if month.astype("datetime64[D]") >= start
    ]
    store, month, revenue = zip(*rows, strict=True)
    return stores, pa.table({"store_id": store, "month": [one.item() for one in month], "revenue_fen": revenue})


def test_a_year_holds_each_season_once_and_closed_stores_teach_too():
    stores, sales = sold(closed=np.datetime64("2024-03-01").item())
    found = yearly_sales(stores, sales, Maturity(months=0, youngest=0))

    np.testing.assert_allclose(found.revenue_fen, np.array([1e6, 2e6, 5e5]) * 12.2, rtol=1e-6)
    assert (found.from_day[1] < found.from_day[0]).all()


def test_a_chain_without_enough_months_is_told_so():
    stores, sales = sold()
    with pytest.raises(DataError, match="full months"):
        yearly_sales(stores, sales, Maturity(least=99))


def market(gravity=GRAVITY):
    lat, lon = (one.ravel() for one in np.meshgrid(30 + np.arange(12) * 0.006, 104 + np.arange(12) * 0.006))
    demand = Demand(lat, lon, np.full(144, 900.0), np.full(144, np.nan), np.zeros(144))
    rivals = Spots(np.array([30.03]), np.array([104.05]), np.array([500.0]))
    return Market(
        gravity, demand, rivals, Spots(np.array([30.02, 30.05]), np.array([104.02, 104.06]), np.full(2, 300.0))
    )


def test_what_a_site_takes_is_the_change_of_the_markets_and_more_when_nearer():
    here = market()
    sites = here.pull(Spots(np.array([30.021, 30.045]), np.array([104.021, 104.0]), np.full(2, 300.0)))
    lost = here.lost_shares(sites)
    before, _ = here.markets()
    after, _ = here.markets(sites[:, :1])

    np.testing.assert_allclose(lost[0], 1 - after / before, rtol=1e-12)
    assert lost[0, 0] > lost[0, 1] > 0
    assert lost[0, 0] > lost[1, 0]


def test_a_closing_gives_the_others_more():
    before, _ = market().markets()
    after, _ = market().markets(closed=np.array([True, False]))

    assert after[0] == 0
    assert after[1] > before[1]


def test_a_site_that_earns_nothing_never_pays_back():
    assert payback_months(1e6, -1.0) is None
    assert payback_months(1e6, 5e5) == pytest.approx(24)
