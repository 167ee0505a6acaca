"""Proof that an exported graph is the trained model: rows chosen to tell them apart, and the comparison.

Leaves are compared as integers and raw scores to the bit. The rows are float32, as everything that is ever scored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import lightgbm as lgb
    from numpy.typing import NDArray

    from training.calibrate import Calibrator
    from training.trees import Forest, Tree

    Rows = NDArray[np.float32]

_STREWN_ROWS = 512
_CELLS = 1 << 22  # leaf indices compared at a time
_REACHING_CELLS = 1 << 22  # leaf indices of the rows made for single nodes: a second or two
_SAMPLE = 128  # rows that are explained, and scored alone


class Trace(Protocol):
    """The outputs of one run over some rows."""

    @property
    def raw(self) -> NDArray[np.float64]:
        """Raw scores, shape (rows,)."""

    @property
    def probability(self) -> NDArray[np.float64]:
        """Calibrated probabilities, shape (rows,); (0,) of an order, which has none."""

    @property
    def leaves(self) -> NDArray[np.int64]:
        """Leaf index in every tree, shape (rows, trees)."""


class Model(Protocol):
    """What scores as the service will: `serving.scorer.Scorer`, seen from here."""

    def trace(self, features: Rows, /) -> Trace:
        """Raw score, probability and leaves of each row."""

    def contributions(self, features: Rows, /) -> NDArray[np.float64]:
        """What each feature adds to the base, as `features`."""


@dataclass(frozen=True)
class Comparison:
    """How far a graph is from the booster over some rows; all zero but the last two is the proof.

    Attributes:
        rows: Rows compared.
        wrong_leaves: Leaves that differ over all rows and trees.
        rows_changed_by_company: Rows, of a sample, whose score alone is not their score among others.
        max_raw_difference: Largest difference of raw scores.
        max_probability_difference: Largest difference of the probability to the calibrator in numpy.
        max_contribution_gap: Largest difference of base plus contributions to the raw score, relative to 1 + |raw|.
    """

    rows: int = 0
    wrong_leaves: int = 0
    rows_changed_by_company: int = 0
    max_raw_difference: float = 0.0
    max_probability_difference: float = 0.0
    max_contribution_gap: float = 0.0

    def __add__(self, other: Comparison) -> Comparison:
        """Join the comparisons of two lots of rows."""
        return Comparison(
            self.rows + other.rows,
            self.wrong_leaves + other.wrong_leaves,
            self.rows_changed_by_company + other.rows_changed_by_company,
            max(self.max_raw_difference, other.max_raw_difference),
            max(self.max_probability_difference, other.max_probability_difference),
            max(self.max_contribution_gap, other.max_contribution_gap),
        )


def compare(model: Model, base: float, booster: lgb.Booster, calibrator: Calibrator | None, rows: Rows) -> Comparison:
    """Score rows with the exported model and with the booster itself.

    Args:
        model: The exported model, as the service loads it.
        base: The raw score to which its contributions are added.
        booster: The booster that was exported.
        calibrator: The calibrator that was exported; None where there is none, as of an order.
        rows: Features, float32, shape (rows, features), NaN for unknown, at least one row.

    Returns:
        The differences found; a difference that is no number counts as infinite.
    """
    batch = max(1, _CELLS // booster.num_trees())
    total = Comparison()
    for start in range(0, len(rows), batch):
        total += _compare_batch(model, booster, calibrator, rows[start : start + batch])
    return total + _compare_sample(model, base, rows[np.linspace(0, len(rows) - 1, _SAMPLE).astype(np.int64)])


def edge_rows(forest: Forest, sample: Rows, generator: np.random.Generator) -> Rows:
    """Make the rows on which an export goes wrong, if it does.

    Three lots: every feature runs through all its thresholds and the float32 values one step to either side, and
    through unknown, infinite, huge and tiny values; real rows in which such values and unknowns are strewn; and for
    every distinct threshold of the model three rows that reach a node with it, from both sides and as unknown (for a
    random choice of thresholds where the model has thousands of trees).

    Args:
        forest: The trees of the model.
        sample: Real rows, float32, shape (rows, features), at least one.
        generator: Source of the random choices.

    Returns:
        float32, shape (rows, features).
    """
    values = [_edge_values(forest, feature) for feature in range(len(forest.feature_names))]
    length = max(value.size for value in values)
    swept = np.column_stack([np.resize(generator.permutation(value), length) for value in values])
    strewn = _drawn(sample, _STREWN_ROWS, generator)
    drawn = np.column_stack([generator.choice(value, _STREWN_ROWS) for value in values])
    strewn = np.where(generator.random(strewn.shape) < 0.5, drawn, strewn)
    holes = np.where(generator.random(strewn.shape) < 0.4, np.float32(np.nan), strewn)
    nothing = np.full((1, strewn.shape[1]), np.nan, dtype=np.float32)
    return np.concatenate((swept, strewn, holes, nothing, _reaching_rows(forest, sample, generator)))


def floor_float32(value: NDArray[np.float64]) -> Rows:
    """The largest float32 that is not above each value: for a float32 x, `x <= value` and `x <= floor` are the same."""
    with np.errstate(over="ignore"):
        nearest = value.astype(np.float32)
        return np.where(nearest > value, np.nextafter(nearest, np.float32(-np.inf)), nearest)


def _compare_batch(model: Model, booster: lgb.Booster, calibrator: Calibrator | None, rows: Rows) -> Comparison:
    native = np.asarray(booster.predict(rows, raw_score=True), dtype=np.float64)
    native_leaves = np.asarray(booster.predict(rows, pred_leaf=True)).reshape(len(rows), -1)
    found = model.trace(rows)
    expected = found.probability if calibrator is None else calibrator.apply(found.raw)
    return Comparison(
        rows=len(rows),
        wrong_leaves=int(np.count_nonzero(found.leaves != native_leaves)),
        max_raw_difference=_largest(found.raw - native),
        max_probability_difference=_largest(found.probability - expected),
    )


def _compare_sample(model: Model, base: float, rows: Rows) -> Comparison:
    found, moved = model.trace(rows), model.contributions(rows)
    alone = [model.trace(rows[row : row + 1]) for row in range(len(rows))]
    return Comparison(
        rows_changed_by_company=sum(
            float(one.raw[0]) != float(found.raw[row]) or (one.probability != found.probability[row : row + 1]).any()
            for row, one in enumerate(alone)
        ),
        max_contribution_gap=_largest((base + moved.sum(axis=1) - found.raw) / (1.0 + np.abs(found.raw))),
    )


def _largest(difference: NDArray[np.float64]) -> float:
    size = np.abs(difference)
    return float(np.where(np.isnan(size), np.inf, size).max(initial=0.0))


def _edge_values(forest: Forest, feature: int) -> Rows:
    thresholds = np.unique(np.concatenate([tree.threshold[tree.feature == feature] for tree in forest.trees]))
    below = floor_float32(thresholds)
    hostile = [np.nan, np.inf, -np.inf, 0, 1e-35, -1e-35, 1e-36, -1e-36, 3.4e38, -3.4e38, 1e30, -1e30]
    extreme = np.array(hostile, dtype=np.float32)
    return np.unique(np.concatenate((below, _next(below, -np.inf), _next(below, np.inf), extreme)))


def _next(values: Rows, towards: float) -> Rows:
    with np.errstate(over="ignore"):
        return np.nextafter(values, np.float32(towards))


def _drawn(sample: Rows, count: int, generator: np.random.Generator) -> Rows:
    return sample[generator.integers(0, len(sample), count)]


def _reaching_rows(forest: Forest, sample: Rows, generator: np.random.Generator) -> Rows:
    places = {
        (int(feature), float(threshold)): (tree, node)
        for tree in forest.trees
        for node, (feature, threshold) in enumerate(zip(tree.feature, tree.threshold, strict=True))
    }
    most = max(1, _REACHING_CELLS // (3 * len(forest.trees)))
    found = list(places.items())
    chosen = [found[place] for place in generator.permutation(len(found))[:most]]
    rows = np.repeat(_drawn(sample, len(chosen), generator), 3, axis=0)
    for number, ((feature, threshold), (tree, node)) in enumerate(chosen):
        three = rows[3 * number : 3 * number + 3]
        for asked, (above, upto) in _box(tree, node).items():
            value = float(three[0, asked])
            if not above < value <= upto:
                three[:, asked] = _inside(above, upto)
        below = floor_float32(np.array([threshold]))
        three[:, feature] = below[0], _next(below, np.inf)[0], np.nan
    return rows


def _box(tree: Tree, node: int) -> dict[int, tuple[float, float]]:
    """What a row has to satisfy to reach a node: each feature asked on the way is above one value, up to another."""
    box: dict[int, tuple[float, float]] = {}
    for parent, goes_left in _ancestors(tree, node):
        feature, threshold = int(tree.feature[parent]), float(tree.threshold[parent])
        above, upto = box.get(feature, (-np.inf, np.inf))
        box[feature] = (above, min(upto, threshold)) if goes_left else (max(above, threshold), upto)
    return box


def _ancestors(tree: Tree, node: int) -> Iterator[tuple[int, bool]]:
    while node:
        left = np.flatnonzero(tree.left == node)
        parent = int(left[0]) if left.size else int(np.flatnonzero(tree.right == node)[0])
        yield parent, bool(left.size)
        node = parent


def _inside(above: float, upto: float) -> np.float32:
    if np.isfinite(upto) or not np.isfinite(above):
        return np.float32(floor_float32(np.array([upto]))[0])
    return np.float32(_next(floor_float32(np.array([above])), np.inf)[0])
