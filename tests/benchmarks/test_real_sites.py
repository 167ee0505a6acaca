"""The benchmarks on real sites: their arithmetic on made-up rows, and what they read where the data are."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import brand_sites, footfall, forecasts, grocery_sites, restaurant_revenue
from benchmarks.margins import real_data
from training.interval import Resampling
from training.sites.brand_features import BrandAreas, cosine_of_brands
from training.sites.folds import random_folds
from training.sites.known_places import held_back
from training.sites.members import Recipe
from training.sites.study import known_stores

BENCHMARKS = {
    "brand_sites": brand_sites,
    "footfall": footfall,
    "grocery_sites": grocery_sites,
    "restaurant_revenue": restaurant_revenue,
}


def _draws(rows):
    return Resampling(np.arange(rows), np.random.default_rng(0), 200)


def _needed(name):
    if not (real_data() / name).is_dir():
        pytest.skip(f"the real set {name} is not on this machine")
    return real_data() / name


@pytest.mark.parametrize("name", BENCHMARKS)
def test_without_the_sites_there_is_no_figure(name, tmp_path):
    assert BENCHMARKS[name].measure(tmp_path) is None


def test_brands_count_once_and_those_without_a_hidden_area_do_not():
    new = np.array([[0, 1, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0]], bool)
    asked = np.array([[0, 1, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0]], bool)
    score = np.array([[9.0, 3, 2, 1], [4, 3, 2, 1], [1, 1, 1, 1]])
    found = brand_sites.values(new, asked, {"model": score})
    assert found["model", "recall_at_20"][:2].tolist() == [1, 1]
    best = 1 + 1 / np.log2(3)
    assert found["model", "ndcg_at_20"][:2].tolist() == pytest.approx([1, (0.5 + 1 / np.log2(5)) / best])
    assert np.isnan(found["model", "recall_at_20"][2])


def test_a_brands_splits_are_averaged_before_brands_are():
    keys = [(name, metric.name) for name in ("model", "popularity", "brand_knn") for metric in brand_sites.METRICS]
    first = {key: np.array([0.6, 0.2, np.nan]) if key[0] == "model" else np.array([0.2, 0.2, np.nan]) for key in keys}
    second = {key: np.array([0.2, np.nan, np.nan]) for key in keys}
    found = brand_sites.figures([first, second], _draws(3))
    assert found["model"]["recall_at_20"]["value"] == pytest.approx(0.3)
    gain = found["gain_over"]["brand_knn"]
    assert gain["recall_at_20"]["value"] == pytest.approx(0.1)
    assert gain["ndcg_at_20_share"]["value"] == pytest.approx(0.5)
    assert found["brands_judged"] == 2


def test_errors_and_ranks_of_a_forecast():
    target = np.array([1.0, 2, 3, 4])
    found = forecasts.errors(target, {"model": target[::-1], "mean": np.full(4, 2.5), "exact": target * 10}, _draws(4))
    assert found["model"]["rmse"]["value"] == pytest.approx(np.sqrt(5))
    assert found["model"]["rank_correlation"]["value"] == pytest.approx(-1)
    assert found["exact"]["rank_correlation"]["value"] == pytest.approx(1)
    assert found["mean"]["rmse_saved"]["value"] == pytest.approx(1 - np.sqrt(5) / np.sqrt(1.25))
    assert np.isnan(found["mean"]["rank_correlation"]["value"])


def test_folds_hold_whole_groups_and_are_about_equal():
    group = np.repeat(np.arange(12), np.arange(1, 13))
    dealt = forecasts.group_folds(group, 4, np.random.default_rng(0))
    assert all(len(np.unique(dealt.fold[group == one])) == 1 for one in range(12))
    assert np.ptp(np.bincount(dealt.fold)) <= 3
    assert not set(dealt.learned(1)) & set(np.flatnonzero(dealt.fold == 1))


def test_the_mean_of_a_kind_is_of_other_folds_and_of_all_kinds_where_it_is_new():
    target, kind = np.array([1.0, 3, 5, 100]), np.array([0, 0, 0, 1])
    folds = forecasts.group_folds(np.arange(4), 4, np.random.default_rng(0))
    assert forecasts.means_elsewhere(target, kind, folds).tolist() == pytest.approx([4, 3, 2, 3])
    assert restaurant_revenue.mean_elsewhere(target, folds).tolist() == pytest.approx([36, 106 / 3, 104 / 3, 3])


def test_a_county_without_sales_takes_those_of_the_nearest():
    county = np.array([0, 0, 1, 2])
    folds = forecasts.group_folds(county, 3, np.random.default_rng(0))
    lat = np.array([30.0, 30.2, 30.3, 34])
    said = grocery_sites.nearest_mean(np.array([1.0, 3, 10, 20]), county, lat, np.full(4, 120.0), folds)
    assert said.tolist() == [10, 10, 2, 10]


def test_a_true_place_is_held_against_its_own_others():
    found = grocery_sites.aucs({"model": np.array([[2.0, 1, 3], [2, 2, 2]]), "rivals": np.zeros((2, 3))}, _draws(2))
    assert found["model"]["auc"]["value"] == 0.5
    assert found["rivals"]["gain"]["value"] == 0.0


def _groceries():
    generator = np.random.default_rng(0)
    place = {"lat": 34 + generator.random(40), "lon": -118 + generator.random(40)}
    people = {name: generator.uniform(10, 100, 40) for name in (*grocery_sites._TRACT, "med_hhinc", "med_rent")}
    people["med_rent"][0] = np.nan
    stores = {name: one[:20] for name, one in place.items()} | {"log_size": generator.random(20)}
    county = np.arange(20) % 2
    return grocery_sites.Groceries(stores, np.zeros(20, np.int64), county, place | people, np.arange(40) % 2, 1)


def test_surroundings_leave_out_the_store_itself_and_what_is_unknown():
    groceries = _groceries()
    lat, lon = groceries.stores["lat"], groceries.stores["lon"]
    alone, seen = (grocery_sites.surroundings(groceries, lat, lon, own) for own in (np.ones(20), np.zeros(20)))
    assert (seen["stores_2km"] - alone["stores_2km"]).tolist() == [1] * 20
    assert (alone["stores_2km"] >= 0).all()
    assert all(np.isfinite(one).all() for one in alone.values())


def test_places_at_random_are_of_the_stores_county():
    groceries = _groceries()
    tract = grocery_sites.drawn(groceries, np.arange(20), np.random.default_rng(1))
    assert np.array_equal(groceries.tract_county[tract], np.repeat(groceries.county[:, None], 10, axis=1))


def test_the_model_of_sites_forecasts_a_line_it_has_not_seen_better_than_the_mean():
    generator = np.random.default_rng(3)
    features = generator.normal(size=(120, 3)).astype(np.float32)
    target = features[:, 0] + 0.1 * generator.normal(size=120)
    stores = known_stores(("one", "two", "three"), features, target)
    folds = random_folds(120, 4, generator)
    said = forecasts.forecasts(stores, folds, Recipe(rounds=20))
    found = forecasts.errors(target, said | {"mean": np.zeros(120)}, _draws(120))
    assert found["mean"]["rmse_saved"]["low"] > 0.5


@pytest.mark.parametrize(("city", "brands", "areas"), [("chicago", 206, 774), ("singapore", 394, 275)])
def test_brand_knn_gives_the_published_figures(city, brands, areas):
    places = brand_sites.read(_needed("brand_sites") / f"{city}_kg_plus.parquet")
    ranked = np.flatnonzero(places.of_brand() >= brand_sites.FEWEST)
    assert (len(ranked), len(places.areas)) == (brands, areas)
    hidden = held_back(places, 0.2, np.random.default_rng(0)) & np.isin(places.brand, ranked)
    known = BrandAreas(places.at(~hidden), ranked)
    new = (places.at(hidden).counts()[ranked] > 0) & ~known.present
    asked = ~known.present & new.any(axis=1, keepdims=True)
    found = brand_sites.values(new, asked, {"knn": cosine_of_brands(known.present.astype(float))})
    published = {"chicago": (0.243, 0.135), "singapore": (0.509, 0.269)}[city]
    figures = [np.nanmean(found["knn", metric.name]) for metric in brand_sites.METRICS]
    assert figures == pytest.approx(published, abs=0.03)


def test_sites_of_real_sets_are_read_whole():
    stores, genre, place, _, _ = footfall.read(_needed("footfall"))
    assert (len(stores.log_revenue), len(genre), place.max() + 1) == (829, 829, 108)
    assert restaurant_revenue.read(_needed("restaurant_revenue") / "train.parquet").features.shape[0] == 137
    groceries = grocery_sites.read(_needed("grocery_sites"))
    assert np.nanmin(groceries.tracts["med_hhinc"]) >= 0
    assert np.isnan(groceries.tracts["med_rent"]).any()
    assert groceries.chains == groceries.chain.max() + 1 == 27
