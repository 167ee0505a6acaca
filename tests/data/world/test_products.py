"""The range: own label beside rivals on every shelf."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.contracts import TABLES
from data.world.products import BRANDS, CATEGORIES, OWN_BRAND, ProductSettings, draw_products


@pytest.fixture(scope="module")
def products():
    return draw_products(ProductSettings(), 3)


def test_every_category_has_own_label_and_rivals(products):
    for category in range(len(CATEGORIES)):
        shelf = products.category == category
        rivals = {BRANDS[brand] for brand in products.brand[shelf & ~products.own]}
        assert products.own[shelf].sum() == ProductSettings().own_products
        assert len(rivals) == ProductSettings().rival_brands
        assert OWN_BRAND not in rivals


def test_only_own_products_bear_the_own_brand(products):
    assert ((products.brand == BRANDS.index(OWN_BRAND)) == products.own).all()


def test_own_label_is_cheaper_and_earns_a_larger_share(products):
    log_price, share = np.log(products.price_fen), products.margin_fen / products.price_fen

    assert log_price[products.own].mean() < log_price[~products.own].mean()
    assert share[products.own].mean() > share[~products.own].mean() + 0.05
    assert ((products.margin_fen > 0) & (products.margin_fen < products.price_fen)).all()


def test_chances_add_up_to_one_in_each_category_and_label(products):
    group = 2 * products.category + products.own

    assert np.bincount(group, products.weight) == pytest.approx(np.ones(2 * len(CATEGORIES)))
    assert np.bincount(group, products.cheap_weight) == pytest.approx(np.ones(2 * len(CATEGORIES)))
    assert products.demand.sum() == pytest.approx(1)


@given(seed=st.integers(0, 2**32), count=st.integers(0, 200))
def test_a_product_picked_is_of_the_category_and_label_asked_for(products, seed, count):
    generator = np.random.default_rng(seed)
    category, own = generator.integers(0, len(CATEGORIES), count), generator.random(count) < 0.5

    found = products.pick(generator, category, own, generator.random(count) < 0.5)

    assert (products.category[found] == category).all()
    assert (products.own[found] == own).all()


def test_products_are_picked_by_their_chances_and_an_eye_for_price_picks_cheaper_ones(products):
    generator, count = np.random.default_rng(1), 40_000
    category, own = np.full(count, 4), np.ones(count, bool)

    plain = products.pick(generator, category, own, np.zeros(count, bool))
    cheap = products.pick(generator, category, own, np.ones(count, bool))

    shelf = (products.category == 4) & products.own
    assert np.bincount(plain, minlength=len(products))[shelf] / count == pytest.approx(products.weight[shelf], abs=0.01)
    assert products.price_fen[cheap].mean() < products.price_fen[plain].mean()


def test_the_products_table_has_the_columns_of_its_contract(products):
    table = products.table(3)

    assert table.column_names == [column.name for column in TABLES["products"].columns]
    assert len(set(table["product_id"].to_pylist())) == table.num_rows == len(products)
    assert "kiwifruit" in table["category"].to_pylist()
