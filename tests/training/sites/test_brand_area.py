"""The order of areas for a brand: what its features are, what it may not see, and that it finds a planted order."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import DataError, UsageError
from training.learner import Binary
from training.ranking import Ranking
from training.sites.brand_area import Rehearsals, fit_brand_areas, ranked_brands
from training.sites.brand_features import EASE_OVER_BRANDS, BrandAreas, cosine_of_brands
from training.sites.known_places import held_back, known_places

QUICK = {"num_iterations": 30, "num_leaves": 4, "min_data_in_leaf": 20, "feature_fraction": 0.5, "learning_rate": 0.1}


def _table(brand, area, category=None):
    area = np.asarray(area)
    return pa.table(
        {
            "brand": [f"brand {one:02}" for one in brand],
            "area": [f"area {one:02}" for one in area],
            "category": [f"kind {one}" for one in (category if category is not None else np.zeros(len(area), int))],
            "lat": 30.0 + 0.01 * (area // 6),
            "lon": 120.0 + 0.01 * (area % 6),
        }
    )


def _town(seed, brands=24, areas=36, places=10):
    """Brands of two tastes, each in its own half of the areas nine times of ten."""
    generator = np.random.default_rng(seed)
    brand = np.repeat(np.arange(brands), places)
    half = np.where(generator.random(len(brand)) < 0.9, brand % 2, 1 - brand % 2)
    area = 2 * generator.integers(areas // 2, size=len(brand)) + half
    return known_places(_table(brand, area, generator.integers(3, size=brands)[brand]))


@pytest.fixture(scope="module")
def fitted():
    return _fit(_town(1), 5)


def _fit(places, seed):
    return fit_brand_areas(
        places,
        np.random.default_rng(seed),
        rehearsals=Rehearsals(3, 0.2, 1.0),
        order=Ranking(QUICK, bags=1),
        chance=Binary(QUICK, bags=1),
    )


def test_a_place_without_an_area_is_left_out_and_codes_lead_back_to_names():
    table = _table([0, 1, 1], [3, 4, 3]).set_column(1, "area", pa.array(["east", None, "west"]))
    places = known_places(table)
    assert [places.brands[code] for code in places.brand] == ["brand 00", "brand 01"]
    assert [places.areas[code] for code in places.area] == ["east", "west"]


def test_missing_columns_are_named_all_at_once():
    with pytest.raises(UsageError, match="area, lat") as error:
        known_places(pa.table({"brand": ["a"], "lon": [1.0], "category": ["b"]}))
    assert "rename" in str(error.value)


def test_no_places_are_told():
    with pytest.raises(DataError, match="found none"):
        known_places(_table([0], [0]).slice(0, 0))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.floats(0, 1), st.integers(0, 99))
def test_of_each_brand_its_share_is_held_back_rounded_down(brand, share, seed):
    places = known_places(_table(brand, np.arange(len(brand)) % 7))
    hidden = held_back(places, share, np.random.default_rng(seed))
    assert places.at(hidden).of_brand().tolist() == np.floor(share * places.of_brand()).tolist()


def test_brand_knn_weighs_the_brands_of_an_area_by_areas_in_common():
    present = np.array([[1.0, 1, 0, 0], [1, 1, 1, 0], [0, 0, 0, 1]])
    scores = cosine_of_brands(present)
    assert scores[0].tolist() == pytest.approx([2 / np.sqrt(6)] * 3 + [0.0])


def test_ease_is_a_ridge_of_each_brand_on_the_others():
    known = BrandAreas(_town(2), np.arange(24))
    names, matrix = known.features()
    present = known.present.astype(float)
    for brand in (0, 7):
        others = np.delete(present, brand, axis=0)
        weight = np.linalg.solve(others @ others.T + EASE_OVER_BRANDS * np.eye(23), others @ present[brand])
        assert matrix[brand, :, names.index("ease_over_brands")] == pytest.approx(weight @ others, abs=1e-6)


def test_own_places_do_not_count_as_places_of_the_category():
    known = BrandAreas(known_places(_table([0, 0, 1], [0, 0, 1])), np.arange(2))
    names, matrix = known.features()
    assert matrix[..., names.index("category_0")].tolist() == [[0, 1], [2, 0]]


def test_features_do_not_depend_on_the_order_of_the_places():
    places = _town(3)
    shuffled = places.at(np.random.default_rng(0).permutation(len(places)))
    first, second = (BrandAreas(one, np.arange(24)).features()[1] for one in (places, shuffled))
    assert np.allclose(first, second, atol=1e-4, equal_nan=True)


def test_a_brand_is_expected_in_areas_of_its_kind(fitted):
    known, score = fitted.known, fitted.scores()["model"]
    kind = np.arange(len(known.places.areas)) % 2 == (np.arange(24) % 2)[:, None]
    free = ~known.present
    ahead = [score[one][free[one] & kind[one]].mean() - score[one][free[one] & ~kind[one]].mean() for one in range(24)]
    assert np.mean(np.array(ahead) > 0) > 0.9


def test_a_score_is_on_one_scale_and_unknown_where_the_brand_is(fitted):
    for score in (fitted.scores()[name] for name in ("lambdamart", "chance")):
        assert np.array_equal(np.isnan(score), fitted.known.present)
        assert np.nanmean(score, axis=1) == pytest.approx(np.zeros(24), abs=1e-9)
        assert np.nanstd(score, axis=1) == pytest.approx(np.ones(24))


def test_areas_are_named_best_first_without_those_it_is_in(fitted):
    named = fitted.areas("brand 05", most=40)
    score = fitted.scores()["model"][5]
    codes = [fitted.known.places.areas.index(one) for one in named]
    assert len(codes) == int((~fitted.known.present[5]).sum())
    assert not fitted.known.present[5, codes].any()
    assert (np.diff(score[codes]) <= 0).all()
    assert fitted.areas("brand 05", most=3) == named[:3]


def test_the_same_seed_gives_the_same_order(fitted):
    assert np.array_equal(_fit(_town(1), 5).scores()["model"], fitted.scores()["model"], equal_nan=True)


def test_a_brand_that_is_not_known_is_refused(fitted):
    with pytest.raises(UsageError, match="expected one of 24 brands"):
        fitted.areas("nowhere")


def test_brands_of_three_places_are_not_ranked_and_alone_teach_nothing():
    places = known_places(_table([0, 0, 0, 1], [0, 1, 2, 3]))
    assert not len(ranked_brands(places))
    with pytest.raises(DataError, match="no brand with 4 places"):
        fit_brand_areas(places, np.random.default_rng(0))


def test_places_in_one_area_teach_no_order():
    with pytest.raises(DataError, match="no hidden place"):
        fit_brand_areas(known_places(_table([0] * 8, [0] * 8)), np.random.default_rng(0))
