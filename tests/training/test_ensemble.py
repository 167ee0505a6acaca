from __future__ import annotations

import lightgbm as lgb
import numpy as np
import pytest

from data.errors import UsageError
from training.ensemble import average
from training.trees import read_text

QUIET = {"verbose": -1, "num_threads": 1, "deterministic": True, "force_row_wise": True, "num_leaves": 7}


def rows(columns: int = 4, count: int = 600) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(7)
    features = generator.normal(size=(count, columns)).astype(np.float32)
    features[generator.random(features.shape) < 0.2] = np.nan
    return features, (np.nan_to_num(features[:, 0]) + generator.normal(size=count) > 0).astype(float)


def booster(seed: int, trees: int = 12, columns: int = 4, **parameters: object) -> lgb.Booster:
    features, label = rows(columns)
    settings = {"objective": "binary", "bagging_fraction": 0.6, "bagging_freq": 1, "seed": seed, **QUIET, **parameters}
    return lgb.train(settings, lgb.Dataset(features, label), trees)


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_the_mean_scores_the_mean_of_its_parts_and_keeps_every_leaf(count: int) -> None:
    features, _ = rows()
    parts = [booster(seed, trees=5 + seed) for seed in range(count)]

    mean = average(parts)

    expected = np.mean([part.predict(features, raw_score=True) for part in parts], axis=0)
    assert np.abs(mean.predict(features, raw_score=True) - expected).max() < 1e-12
    leaves = np.hstack([part.predict(features, pred_leaf=True) for part in parts])
    assert np.array_equal(mean.predict(features, pred_leaf=True), leaves)
    assert mean.num_trees() == sum(part.num_trees() for part in parts)


def test_the_mean_of_one_scores_the_same_bits() -> None:
    features, _ = rows()
    only = booster(3)

    assert np.array_equal(average([only]).predict(features), only.predict(features))


def test_leaf_values_are_scaled_exactly_and_names_are_kept() -> None:
    features, label = rows()
    named = lgb.train({"objective": "binary", **QUIET}, lgb.Dataset(features, label, feature_name=list("abcd")), 3)
    mean = average([named, named])

    for leaf in range(7):
        assert mean.get_leaf_output(0, leaf) == named.get_leaf_output(0, leaf) / 2
    assert mean.feature_name() == ["a", "b", "c", "d"]
    assert mean.feature_importance().tolist() == (2 * named.feature_importance()).tolist()


def test_the_text_survives_a_round_trip() -> None:
    mean = average([booster(1), booster(2)])

    assert lgb.Booster(model_str=mean.model_to_string()).model_to_string() == mean.model_to_string()


def test_a_part_enters_up_to_its_best_iteration() -> None:
    features, _ = rows()
    stopped = booster(1)
    stopped.best_iteration = 5

    mean = average([stopped, stopped])

    assert mean.num_trees() == 10
    assert np.abs(mean.predict(features) - stopped.predict(features)).max() < 1e-12


def test_a_mean_can_be_averaged_again() -> None:
    features, _ = rows()
    parts = [booster(seed) for seed in range(4)]

    twice = average([average(parts[:2]), average(parts[2:])])

    assert np.abs(twice.predict(features) - average(parts).predict(features)).max() < 1e-12
    assert len(read_text(twice).trees) == 48


def test_all_that_forbids_a_mean_is_said_at_once() -> None:
    with pytest.raises(UsageError) as refused:
        average([booster(1), booster(2, columns=3), booster(3, objective="regression", linear_tree=True)])

    message = str(refused.value)
    assert "found 3 boosters, expected 1, 2, 4, 8" in message
    assert "2 different values of objective" in message
    assert "2 different values of max_feature_idx" in message
    assert "linear leaves" in message


def test_nothing_has_no_mean() -> None:
    with pytest.raises(UsageError, match="found 0 boosters"):
        average([])
