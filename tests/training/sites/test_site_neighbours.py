"""What neighbours tell: the surface of what stores were missed by, and how strongly sisters answer to openings."""

from __future__ import annotations

import numpy as np
import pytest

from features.distance import degrees_apart_km
from serving.site_gravity import REACH_M, Demand, Gravity, Market, Spots
from serving.site_nearby import Nearby
from serving.site_network import Network
from training.sites.gravity import Books, strengthened
from training.sites.nearby import fit_nearby, foretold

MONTHS, STORES, RIVALS = 30, 40, 60
GRAVITY = Gravity(
    alpha=0.8,
    beta=2.0,
    floor_m=350.0,
    elsewhere=2.0,
    passers=0.0,
    income_power=0.0,
    rivals=(),
    usual_area_m2=300.0,
    misfit=0.2,
)


def _stores(draw, count=150):
    return 30 + 0.3 * draw.random(count), 104 + 0.3 * draw.random(count)


def _missed(draw, lat, lon, smooth, noise, length_km):
    apart = degrees_apart_km(lat[:, None], lon[:, None], lat, lon)
    covariance = smooth * np.exp(-apart / length_km) + noise * np.eye(len(lat))
    return np.linalg.cholesky(covariance) @ draw.normal(size=len(lat))


def test_a_surface_is_found_where_there_is_one_and_foretells_stores_that_were_not_heard():
    draw = np.random.default_rng(2)
    lat, lon = _stores(draw, 240)
    missed = _missed(draw, lat, lon, 0.03, 0.01, 4.0)
    heard, asked = np.arange(160), np.arange(160, 240)
    found = fit_nearby(lat[heard], lon[heard], missed[heard])

    assert found is not None
    assert 1.5 <= found.length_km <= 12
    told = foretold(found, (lat, lon), missed, heard, asked)
    assert ((missed[asked] - told) ** 2).mean() < 0.7 * (missed[asked] ** 2).mean()


def test_noise_has_no_surface():
    draw = np.random.default_rng(5)
    lat, lon = _stores(draw)
    found = [fit_nearby(lat, lon, 0.2 * draw.normal(size=len(lat))) for _ in range(6)]

    assert sum(one is not None for one in found) <= 1
    assert (foretold(None, (lat, lon), lat, np.arange(9), np.arange(3)) == 0).all()


def test_at_a_store_the_surface_says_much_and_far_from_all_nothing():
    lat, lon = np.array([30.0, 30.01]), np.array([104.0, 104.01])
    sharp = Nearby(smooth=0.04, noise=1e-9, length_km=3.0)
    brought = sharp.weighed(lat, lon, np.array([0.3, -0.1]))

    at_stores = sharp.foretold(sharp.likeness(lat, lon, lat, lon), brought)
    np.testing.assert_allclose(at_stores, [0.3, -0.1], atol=1e-6)
    far = sharp.foretold(sharp.likeness(np.array([31.0]), np.array([105.0]), lat, lon), brought)
    assert abs(far[0]) < 1e-9
    blurred = Nearby(smooth=0.04, noise=0.04, length_km=3.0)
    assert abs(blurred.foretold(blurred.likeness(lat, lon, lat, lon), blurred.weighed(lat, lon, np.ones(2)))).max() < 1


def _town(draw):
    north, east = (one.ravel() for one in np.meshgrid(np.arange(24) * 0.006, np.arange(24) * 0.006))
    demand = Demand(30 + north, 104 + east, np.full(576, 900.0), np.full(576, np.nan), np.zeros(576))
    return demand, *(
        Spots(30 + 0.138 * draw.random(count), 104 + 0.138 * draw.random(count), np.full(count, 300.0))
        for count in (STORES, RIVALS)
    )


def _books(draw, strength, rivalry_strength):
    """A third of the stores and half of the rivals open within the books, rivals where sisters do."""
    demand, stores, rivals = _town(draw)
    months = np.arange(MONTHS)
    opened = np.where(np.arange(STORES) % 3 == 0, draw.integers(2, MONTHS, STORES), -1)
    near = degrees_apart_km(rivals.lat[:, None], rivals.lon[:, None], stores.lat, stores.lon).argmin(axis=1)
    rival_opened = np.where(np.arange(RIVALS) % 2 == 0, np.maximum(opened[near], 0) + draw.integers(0, 3, RIVALS), -1)
    presence = (opened[:, None] <= months).astype(np.float64)
    rivalry = (rival_opened[:, None] <= months).astype(np.float64)
    market = Market(GRAVITY, demand, Spots(*(np.empty(0) for _ in range(3))), stores)
    pulled, shops = market.pull(rivals), market.stores
    sisters, mean = shops @ presence, (shops @ presence).mean(axis=1, keepdims=True)
    against = pulled @ rivalry + GRAVITY.elsewhere
    young = np.stack(
        [
            (market.spent * one) @ (1 / (against + sisters + one[:, None] * (1 - there)))
            for one, there in zip(shops.T, presence, strict=True)
        ]
    )
    rested = shops.T @ (market.spent[:, None] / (against + mean))
    log_revenue = 15 + strength * np.log(young / rested) + rivalry_strength * np.log(rested)
    store, month = np.nonzero(presence)
    said = log_revenue[store, month] + 0.03 * draw.normal(size=len(store))
    return demand, rivals, stores, Books(store, month, said, presence, rivalry)


@pytest.mark.parametrize(("strength", "rivalry"), [(1.0, 1.0), (1.8, 0.4), (0.6, 1.5)])
def test_the_books_tell_how_strongly_sisters_answer_whatever_rivals_do_beside_them(strength, rivalry):
    demand, rivals, stores, books = _books(np.random.default_rng(4), strength, rivalry)
    found = strengthened(GRAVITY, demand, rivals, stores, books)

    assert found.strength_error is not None
    assert abs(found.strength - strength) < 3 * found.strength_error
    assert found.strength_error < 0.3


def test_without_openings_the_strength_stays_one():
    demand, rivals, stores, books = _books(np.random.default_rng(4), 1.8, 1.0)
    store, month = (one.ravel() for one in np.meshgrid(np.arange(STORES), np.arange(MONTHS), indexing="ij"))
    still = Books(store, month, np.ones(len(store)), np.ones((STORES, MONTHS)), books.rivalry)

    assert strengthened(GRAVITY, demand, rivals, stores, still) == GRAVITY


def test_cells_beyond_reach_are_no_market():
    demand, stores, rivals = _town(np.random.default_rng(1))
    market = Market(GRAVITY, demand, rivals, stores)
    far = Spots(np.array([30.07, 31.0]), np.array([104.07, 104.07]), np.full(2, 300.0))
    pulled = market.pull(far)

    assert (pulled[:, 0] > 0).all()
    assert (pulled[:, 1] == 0).all()
    assert REACH_M == 15_000
    assert (market.lost_shares(pulled)[1] == 0).all()


def test_wider_trade_areas_are_the_same_market_with_a_softer_decay():
    demand, stores, rivals = _town(np.random.default_rng(1))
    wide = Market(GRAVITY, demand, rivals, stores).widened(1.25)
    anew = Market(GRAVITY.scaled(1.25), demand, rivals, stores)

    np.testing.assert_array_equal(wide.against, anew.against)
    np.testing.assert_array_equal(wide.stores, anew.stores)


def test_a_plan_asks_the_market_no_more_than_one_by_one():
    demand, stores, rivals = _town(np.random.default_rng(3))
    market = Market(GRAVITY, demand, rivals, stores)
    sites = Spots(np.array([30.05, 30.1, 31.0]), np.array([104.05, 104.02, 104.0]), np.full(3, 300.0))
    network = Network.of(market, sites, np.full(3, 1e8), np.full(STORES, 1e9))
    nobody = np.zeros(STORES, np.bool_)
    plan = network.sales([0], nobody)

    np.testing.assert_allclose(1 - plan.stores_fen / 1e9, market.lost_shares(market.pull(sites))[0], atol=1e-12)
    assert plan.sites_fen[0] == pytest.approx(1e8)
    assert network.sales([2], nobody).total_fen == pytest.approx(STORES * 1e9 + 1e8)
    shut = np.arange(STORES) == 7
    assert network.sales([], shut).stores_fen[7] == 0
    assert network.sales([], shut).total_fen > (STORES - 1) * 1e9
