from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from data.errors import DataError, UsageError
from serving.bundle import read
from serving.scorer import Scorer

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def scorer(home: Path) -> Scorer:
    return Scorer(read(home / "bundles" / "coupon" / "v1"))


def test_outputs_have_their_shapes(scorer: Scorer) -> None:
    features = np.full((4, 3), np.nan, dtype=np.float32)

    assert scorer.raw(features).shape == scorer.probability(features).shape == (4,)
    assert scorer.leaves(features).shape == (4, 20)
    assert scorer.leaves(features).dtype == np.int64
    assert scorer.contributions(features).shape == (4, 3)
    assert scorer.trace(features).raw.tolist() == scorer.raw(features).tolist()


def test_no_rows_have_no_scores(scorer: Scorer) -> None:
    assert scorer.probability(np.empty((0, 3), dtype=np.float32)).shape == (0,)


@pytest.mark.parametrize(
    "features",
    [np.zeros((2, 3)), np.zeros((2, 4), np.float32), np.zeros(3, np.float32)],
    ids=["double", "wide", "flat"],
)
def test_features_of_another_kind_are_refused(scorer: Scorer, features: np.ndarray) -> None:
    with pytest.raises(UsageError, match=r"expected float32 of shape \(rows, 3\)"):
        scorer.raw(features)


def test_features_of_other_declarations_are_refused(scorer: Scorer) -> None:
    scorer.check_fingerprint(scorer.manifest.feature_fingerprint)

    with pytest.raises(DataError, match="fingerprint other, expected"):
        scorer.check_fingerprint("other")
