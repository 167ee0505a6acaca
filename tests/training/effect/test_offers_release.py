"""The task of offers on its way to a champion: the chance that was judged is the one that is served, by its policy."""

import numpy as np
import pytest

from serving.bundle import read
from serving.scorer import Scorer
from training.catalogue import effect_of, find
from training.effect.release import POLICY, RIVALS
from training.effect.study import fit_effects
from training.pipeline import fit
from training.registry import gates
from training.release import release_offers


@pytest.fixture(scope="module")
def released(small_task, offers_brand, tmp_path_factory):
    home = tmp_path_factory.mktemp("released")
    fitted = fit(small_task.redemption, offers_brand, home=home, trials=1)
    changes = fit_effects(small_task, offers_brand, home=home, redemption=fitted.model)
    proofs = {"contract/rows": 9.0, "leakage/rows": 9.0, "replay/values": 9.0, "replay/mismatches": 0.0}
    return fitted, changes, release_offers(changes, fitted.record, home, proofs=proofs)


def test_the_chance_that_was_judged_is_the_one_that_is_served(released):
    fitted, changes, done = released
    rows = fitted.predictions.matrix

    assert read(done.folder).manifest.version == done.bundle.manifest.version == done.folder.name
    np.testing.assert_allclose(Scorer(done.bundle).probability(rows), fitted.predictions.probability, atol=1e-12)
    np.testing.assert_array_equal(changes.model.redeems(rows), fitted.predictions.probability)


def test_it_becomes_champion_by_what_its_policy_earns(released):
    _, changes, done = released
    passed = {gate.name: gate for gate in gates(done.bundle.manifest)}

    general = {"data contract", "leakage", "replay", "parity", "latency", "judged", "calibration", "label rate"}
    assert set(passed) == {*general, *(f"{rival}: gain in {POLICY}" for rival in RIVALS)}
    assert [str(gate) for gate in passed.values() if not gate.passed] == []
    gain = changes.record.budgeted["propensity"]["gain"].value
    assert done.bundle.manifest.metrics[f"baseline/propensity/gain_{POLICY}"] == gain > 0


def test_the_policy_stands_in_the_bundle_with_the_price_of_its_budget(released):
    policy = released[2].bundle.manifest.effects.policy

    assert policy.found.spend_fen <= policy.found.budget_fen
    assert policy.found.rows == len(released[1].test)
    assert policy.prices.budgets[policy.budget] > 0


def test_the_task_of_offers_alone_has_effects():
    task = find("offers")
    effect = effect_of(task)

    assert effect is not None
    assert effect.redemption is task
    assert effect_of(find("coupon")) is None
    assert effect_of(find("coupon_rank")) is None
