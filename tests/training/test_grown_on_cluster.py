"""Trees grown by two workers rank as those of one machine do."""

import numpy as np
import pytest

pytest.importorskip("distributed")

from training.cluster import fit_on_cluster
from training.learner import FIXED, Binary, raw_scores

pytestmark = pytest.mark.filterwarnings("ignore")


def test_two_workers_learn_what_one_machine_learns():
    generator = np.random.default_rng(2)
    matrix = generator.normal(size=(2_000, 3)).astype(np.float32)
    matrix[generator.random(matrix.shape) < 0.05] = np.nan
    label = (np.nan_to_num(matrix[:, 0]) + generator.normal(size=2_000) * 0.3 > 0).astype(np.float64)
    settings = {**FIXED, "num_iterations": 10, "seed": 3, "num_leaves": 7, "monotone_constraints": [1, 0, 0]}
    names = ("worth", "noise", "more_noise")
    (apart,) = fit_on_cluster([settings], names, matrix, label)
    alone = Binary({"num_leaves": 7, "num_iterations": 10}, bags=1, more_is_likelier=("worth",)).fit(
        names, matrix, label, {}, np.random.default_rng(3)
    )
    asked = Binary({"num_leaves": 7, "num_iterations": 10}, bags=1, more_is_likelier=("worth",), cluster="local")
    through = asked.fit(names, matrix, label, {}, np.random.default_rng(3))
    assert np.corrcoef(raw_scores(through, matrix), raw_scores(alone, matrix))[0, 1] > 0.98
    assert apart.feature_name() == list(names)
    assert apart.num_trees() == 10
    scores, others = raw_scores(apart, matrix), raw_scores(alone, matrix)
    assert np.corrcoef(scores, others)[0, 1] > 0.98
    rising = np.column_stack([np.linspace(-2, 2, 50), np.zeros(50), np.zeros(50)]).astype(np.float32)
    assert (np.diff(raw_scores(apart, rising)) >= 0).all()
