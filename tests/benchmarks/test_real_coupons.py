"""The benchmarks on real coupons: their arithmetic on made-up rows, and what they find where the data are."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import email, promotion, three_coupons, voucher
from benchmarks.margins import real_data
from training.effect.learners import TLearner
from training.effect.trees import Trees
from training.interval import Resampling
from training.learner import Binary

BENCHMARKS = {"voucher": voucher, "three_coupons": three_coupons, "promotion_rct": promotion, "email_rct": email}


def _draws(rows, resamples=200):
    return Resampling(np.arange(rows), np.random.default_rng(0), resamples)


def _needed(name):
    if not (real_data() / name).is_dir():
        pytest.skip(f"the real set {name} is not on this machine")
    return real_data()


@pytest.mark.parametrize("name", BENCHMARKS)
def test_without_the_data_there_is_no_figure(name, tmp_path):
    assert BENCHMARKS[name].measure(tmp_path) is None


def test_a_voucher_goes_to_whom_it_is_expected_to_earn_from():
    reorders = np.array([0.0, 0, 1, 1])
    found = voucher.earned(np.array([0.1, 0.23, 0.231, 0.22]), reorders, _draws(4))
    assert found["revenue"]["value"] == pytest.approx(1.5 + 1.5 - 5)  # the third is spared: 0.231 > 1.5 / 6.5
    assert found["share_of_oracle"]["value"] == pytest.approx(-2 / 3)
    assert found["gain_over_send_all"]["value"] == pytest.approx(-2 - (3 - 10))
    assert (found["send_all"], found["oracle"], found["share_sent"]["value"]) == (-7, 3, 0.75)


def test_knowing_everything_is_the_oracle():
    reorders = (np.random.default_rng(1).random(300) < 0.2).astype(float)
    found = voucher.earned(reorders, reorders, _draws(300))
    assert found["share_of_oracle"] == {"value": 1, "low": 1, "high": 1}


def test_the_official_error_weighs_misses_by_the_squared_mean_of_what_is_foretold():
    truth = {"coupon1": [1.0, 0], "coupon2": [1, 1], "coupon3": [0, 1], "basket": [100, 300]}
    columns = {"orders": np.ones(2)}
    for name, value in truth.items():
        columns |= {name: np.array(value), f"{name}_ours": np.array([0.25, 0]), f"{name}_means": np.array([0.5, 0])}
    found = three_coupons.errors(columns, _draws(2))
    assert found["coupons"]["error"]["value"] == pytest.approx(0.25 * (4 + 1 + 4))
    assert found["basket"]["error_of_means"]["value"] == pytest.approx(0.5 / 200**2)
    assert found["official"]["error"]["value"] == pytest.approx(0.25 * (9 + 1 / 200**2))
    assert found["official"]["saved"]["value"] == pytest.approx(0.5)


def test_a_basket_lies_between_the_members_mean_and_everybodys():
    found = three_coupons.baskets(np.array([0.0, 0, 1]), np.array([100.0, 200, 60_000]), np.array([0.0, 1, 2]))
    usual = (100 + 200 + 5_000) / 3
    np.testing.assert_allclose(found, [(300 + usual) / 3, (5_000 + usual) / 2, usual])


def test_nir_and_irr_are_what_their_names_say():
    treated = np.array([True] * 4 + [False] * 4)
    bought = np.array([1.0, 1, 0, 0, 1, 0, 0, 0])
    chosen = {
        promotion.OURS: np.ones(8),
        promotion.PLAIN: np.array([1.0, 0, 0, 0, 1, 0, 0, 0]),
    }
    found = promotion.earned(chosen, treated, bought, _draws(8))
    scale = promotion.SCALED_TO / 8
    assert found["irr"]["value"] == pytest.approx(0.25)
    assert found["nir"]["value"] == pytest.approx(scale * (20 - 0.15 * 4 - 10))
    assert found["gain_over_t_learner"]["value"] == pytest.approx(scale * (9.4 - (-0.15)))


def _promoted(generator, rows=4_000):
    """Whom the promotion brings are customers of code 1; others it keeps away."""
    code = generator.integers(0, 2, rows)
    treated = generator.random(rows) < 0.5
    bought = (generator.random(rows) < 0.1 + np.where(code == 1, 0.2, -0.08) * treated).astype(float)
    return code, treated, bought


def test_policies_find_who_buys_because_of_the_promotion(monkeypatch):
    trees = Trees(bags=1)
    monkeypatch.setattr(promotion, "LEARNERS", {"t": TLearner(trees)})
    monkeypatch.setattr(promotion, "BAGS", 1)
    monkeypatch.setattr(promotion, "FOLDS", 2)
    generator = np.random.default_rng(3)
    code, treated, bought = _promoted(generator)
    names = [f"V{number}" for number in range(1, 8)]
    matrix = np.column_stack([code, *generator.normal(size=(6, len(code)))]).astype(np.float32)
    chosen = promotion.policies(names, matrix, treated, bought, generator, dealings=1)
    assert chosen[promotion.OURS][code == 1].mean() > 0.98
    assert chosen[promotion.OURS][code == 0].mean() < 0.1
    found = promotion.earned(chosen, treated, bought, _draws(len(code)))
    assert found["irr"]["low"] > found["policies"]["everybody"]["irr"]["value"]
    assert found["nir"]["value"] > found["policies"]["everybody"]["nir"]["value"]


def test_a_score_that_knows_the_effect_is_ahead_in_every_half():
    generator = np.random.default_rng(4)
    code, treated, bought = _promoted(generator)
    halves = [generator.random(len(code)) < 0.5 for _ in range(3)]
    said = {"truth": [code[half].astype(float) for half in halves], "none": [np.zeros(half.sum()) for half in halves]}
    found = email.judged(said, treated, bought, halves, _draws(len(code)))
    assert found["truth"]["qini"]["low"] > 0
    assert found["none"]["qini"]["value"] == pytest.approx(0, abs=1e-12)
    assert found["truth"]["uplift_at_0.3"]["value"] == pytest.approx(0.2, abs=0.06)
    assert found["everybody"] == pytest.approx(0.06, abs=0.04)


def test_facts_of_a_coupon_tell_nothing_of_its_own_order_or_of_the_class_file():
    folder = _needed("three_coupons") / "three_coupons"
    names, table = three_coupons.read(
        *(folder / name for name in ("train.parquet", "class.parquet", "realclass.parquet"))
    )
    asked = table["asked"] == 1
    assert (int(asked.sum()), len(asked)) == (3 * 669, 3 * (6_053 + 669))
    assert not {"used", "basket", "asked", "member"} & set(names)
    assert table["slot_shown"][asked].max() == 6_053  # all of the training orders, and none of the class file
    first = np.flatnonzero(table["slot"] == 1)[:50]
    np.testing.assert_array_equal(table["slot_shown"][first], np.arange(50))
    used = np.concatenate(([0], np.cumsum(table["used"][first])[:-1]))
    np.testing.assert_allclose(table["slot_rate"][first], (used + 0.8) / (np.arange(50) + 4))


def test_three_coupons_are_foretold_better_than_by_their_means(monkeypatch):
    quick = {**three_coupons.LEARNER.parameters, "num_iterations": 60, "learning_rate": 0.1}
    monkeypatch.setattr(three_coupons, "LEARNER", Binary(quick, bags=1))
    found = three_coupons.measure(_needed("three_coupons"), resamples=200)
    assert found["orders"] == 669
    assert found["coupons"]["saved"]["low"] > 0


def test_rows_of_the_promotion_are_read_with_a_column_a_code():
    names, matrix, treated, bought = promotion.read(_needed("promotion_rct").joinpath("promotion_rct", "train.parquet"))
    assert len(names) == len(set(names)) == 7 + 4 * 3
    assert matrix.shape == (84_534, len(names))
    assert (int(treated.sum()), int(bought.sum())) == (42_364, 1_040)
    codes = [place for place, name in enumerate(names) if name.startswith("V5_is_")]
    np.testing.assert_array_equal(matrix[:, codes].sum(axis=1), 1)
