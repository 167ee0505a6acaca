from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from data.errors import DataError, GateRefused, UsageError
from serving.bundle import read
from serving.effects import OfferValues, head_scorer
from serving.manifest import head_file
from serving.scorer import Scorer
from training.effect.release import BASKET, TOP_UP, USUAL, release_effects, value_gap
from training.effect.study import MODEL, fit_effects

NAMES = ("model", "propensity", "send_all", "send_none")


def test_the_model_sends_to_those_who_would_not_have_come(fitted_offers):
    model, test = fitted_offers.model, fitted_offers.test
    said = model.value(test.matrix)
    columns = dict(zip(model.purchase.features, test.matrix.T, strict=True))
    anyway = columns["member_offer_offer_line_count_90d"] > 5
    won = columns["member_basket_count_lifetime"] < 6
    neither = ~anyway & ~won  # buy every week, but nothing that the offer is good for, sent or not
    assert 0.1 < anyway.mean() < 0.4
    assert won.mean() == 0.5
    assert said.mean[anyway].mean() < 0
    assert said.mean[won].mean() > 300
    assert abs(said.mean[neither].mean()) < 20
    assert said.redeems.mean() == pytest.approx(test.redeemed[test.treated].mean(), abs=0.1)
    sent = said.lower(model.task.caution) > 0
    assert sent[won].mean() > 0.9
    assert sent[~won].mean() < 0.1


def test_it_earns_more_than_whatever_else_would_be_done(fitted_offers):
    record = fitted_offers.record
    assert set(record.policies) == set(record.budgeted) == set(record.margin) == set(NAMES)
    assert record.policies["send_none"]["gain"].low > 0
    assert record.policies["propensity"]["gain"].low > 0
    assert record.budgeted["propensity"]["gain"].value > 0
    assert record.policies[MODEL]["value"].value > record.policies["send_all"]["value"].value
    assert record.price > 0
    assert record.spend["model"] < record.spend["all"]
    assert json.loads(json.dumps(record.as_dict()))["learner"] == record.learner


def test_the_first_learner_stays_unless_another_is_surely_better(fitted_offers):
    record = fitted_offers.record
    gain = record.learners["t"]["gain"]
    assert record.learner == ("t" if gain.high < 0 else "s")
    assert "gain" not in record.learners["s"]


def test_a_fit_repeats(small_task, offers_brand, fitted_offers, tmp_path):
    again = fit_effects(small_task, offers_brand, home=tmp_path)
    rows = fitted_offers.test.matrix
    np.testing.assert_array_equal(again.model.value(rows).mean, fitted_offers.model.value(rows).mean)
    assert again.record == fitted_offers.record


@pytest.fixture(scope="module")
def bundle(fitted_offers, tmp_path_factory):
    return release_effects(
        tmp_path_factory.mktemp("bundles"),
        fitted_offers,
        version="v1",
        data_hash="0" * 64,
        generator=np.random.default_rng(1),
    )


def test_every_graph_of_the_bundle_is_its_forest(bundle, fitted_offers):
    proofs = [bundle.manifest.parity, *(head.parity for head in bundle.manifest.effects.heads.values())]
    assert (
        {*fitted_offers.model.purchase.heads, BASKET, USUAL, TOP_UP}
        == set(bundle.heads)
        == set(bundle.manifest.effects.heads)
    )
    for proof in proofs:
        assert (proof.wrong_leaves, proof.max_raw_difference) == (0, 0)
        assert proof.rows >= len(fitted_offers.test)
        assert proof.edge_rows > 100


def test_the_bundle_values_offers_as_the_model_does(bundle, fitted_offers):
    rows = fitted_offers.test.matrix
    assert value_gap(bundle, fitted_offers.model, rows) < 1e-9
    values = OfferValues(bundle)
    whole, alone = values.value(rows), values.value(rows[3:4])
    for name in ("mean", "sd", "cost", "redeems", "extra"):
        assert getattr(alone, name)[0] == getattr(whole, name)[3]
    np.testing.assert_array_equal(whole.lower(1.5), whole.mean - 1.5 * whole.sd)
    assert (whole.sd > 0).all()


def test_what_stands_in_the_manifest_is_what_was_found(bundle, fitted_offers):
    effects = read(bundle.folder).manifest.effects
    assert effects.shrinkage == fitted_offers.model.shrinkage
    assert (effects.caution, effects.price) == (1.0, fitted_offers.record.price)
    assert bundle.manifest.metrics["propensity_gain_fen_low"] > 0


def test_the_model_of_the_bundle_is_still_the_chance_to_redeem(bundle, fitted_offers):
    rows = fitted_offers.test.matrix
    np.testing.assert_allclose(Scorer(bundle).probability(rows), fitted_offers.model.redeems(rows), atol=1e-12)


def test_a_head_that_was_changed_is_refused(fitted_offers, tmp_path):
    other = release_effects(
        tmp_path, fitted_offers, version="v2", data_hash="0" * 64, generator=np.random.default_rng(1)
    )
    path = other.folder / head_file(BASKET)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DataError, match=r"found head-basket\.onnx with sha256"):
        read(other.folder)
    path.unlink()
    with pytest.raises(DataError, match=r"head-basket\.onnx: found none that can be read"):
        read(other.folder)


def test_a_bundle_that_would_answer_otherwise_is_refused(fitted_offers, tmp_path, monkeypatch):
    monkeypatch.setattr("training.effect.release.value_gap", lambda *_: float("nan"))
    with pytest.raises(GateRefused, match="values offers otherwise than the model"):
        release_effects(tmp_path, fitted_offers, version="v1", data_hash="", generator=np.random.default_rng(1))


def test_a_bundle_of_something_else_says_nothing_of_offers(bundle):
    other = replace(bundle, manifest=type(bundle.manifest)(**{**_fields(bundle.manifest), "effects": None}))
    with pytest.raises(DataError, match="found no effects"):
        OfferValues(other)
    with pytest.raises(DataError, match="found no head 'price'"):
        head_scorer(bundle, "price")


def _fields(manifest):
    return {name: getattr(manifest, name) for name in manifest.__struct_fields__}


def test_a_question_that_cannot_be_asked_is_refused(small_task):
    with pytest.raises(UsageError) as refusal:
        replace(small_task, learners={}, face_value="price", budget=2.0)
    for words in ("found no learner", "found the features price", "found budget 2.0"):
        assert words in str(refusal.value)
