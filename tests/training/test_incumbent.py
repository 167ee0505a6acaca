"""A new model beside the champion on the same rows, and how far those rows are from what was learned from."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from training.drift import drift, weighted
from training.incumbent import gain_in_money
from training.latency import latency


def test_a_model_gains_nothing_over_itself(fitted, released):
    gain = gain_in_money(fitted, released.bundle)

    assert (gain.value, gain.low, gain.high) == (0.0, 0.0, 0.0)


def test_a_model_that_errs_loses_money_against_the_champion(fitted, released):
    said = fitted.predictions
    wrong = replace(fitted, predictions=replace(said, probability=1 - said.probability))

    gain = gain_in_money(wrong, released.bundle)

    assert gain.high < 0


@pytest.mark.parametrize("change", ["meaning", "actions"])
def test_a_champion_that_asks_or_does_something_else_gives_no_figure(fitted, released, change):
    manifest = released.bundle.manifest
    if change == "meaning":
        first, *others = manifest.features
        manifest = msgspec.structs.replace(manifest, features=(msgspec.structs.replace(first, meaning="?"), *others))
    else:
        renamed = tuple(f"{action}_now" for action in manifest.payoff.actions)
        manifest = msgspec.structs.replace(manifest, payoff=replace(manifest.payoff, actions=renamed))

    assert gain_in_money(fitted, replace(released.bundle, manifest=manifest)) is None


def test_drift_is_none_among_the_same_rows_and_near_the_square_of_a_shift():
    generator = np.random.default_rng(1)
    learned = generator.normal(size=(20_000, 2)).astype(np.float32)
    moved = learned + np.float32([0.0, 0.5])

    found = drift(learned, moved, ("still", "moved"))

    assert found["still"] == pytest.approx(0, abs=1e-9)
    assert found["moved"] == pytest.approx(0.25, abs=0.05)


def test_drift_counts_by_what_the_model_leans_on(fitted):
    record = replace(fitted.record, drift={"a": 2.0, "b": 0.4}, attributions={"a": 0.0, "b": 3.0})

    assert weighted(record) == pytest.approx(0.4)
    assert np.isnan(weighted(replace(record, drift={})))


def test_latency_is_of_single_rows():
    asked = []

    def answer(rows):
        asked.append(rows.shape)
        return np.zeros(len(rows))

    found = latency(answer, np.zeros((7, 3), np.float32))

    assert set(asked) == {(1, 3)}
    assert 0 < found["latency/p50_ms"] <= found["latency/p99_ms"]
