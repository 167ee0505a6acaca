"""Writes a forest and its calibrator as one ONNX graph in double precision.

One `ai.onnx.ml` opset 5 `TreeEnsemble` sums the leaf values, a second one names the leaf of every tree, and a table
looked up by leaf gives the path attributions; the calibrator follows the sum. Input: `features`, double, shape
(rows, features), NaN for unknown, each value a float32. Outputs:

- `raw`, double (rows,): the sum of leaf values, equal to LightGBM's raw score to the bit on one thread;
- `probability`, double (rows,): the calibrated raw score; absent where there is no calibrator, as of an order;
- `leaves`, int64 (rows, trees): leaf index of every tree, as `predict(pred_leaf=True)`;
- `contributions`, double (rows, features): path attributions; with `forest_base` they sum to the raw score.

onnxruntime computes all of a graph, whatever is asked of it; the scorer cuts out what it asks (`serving.graph_cut`).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

from training.calibrate import Isotonic, Sigmoid, Spline
from training.trees import node_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import onnx
    from numpy.typing import NDArray

    from training.calibrate import Calibrator
    from training.trees import Forest, Tree

_IR_VERSION, _OPSET, _ML_OPSET = 9, 18, 5
_SUM, _NO_TRANSFORM, _BRANCH_LEQ = 1, 0, 0
_ZERO = float(np.float32(1e-35))  # LightGBM reads a value this small as 0


def write_graph(forest: Forest, calibrator: Calibrator | None) -> bytes:
    """Write the model file for a forest and the calibrator of its raw score; without one it has no probability."""
    nodes = _Nodes()
    raw = _scores(nodes, forest)
    chances = []
    if calibrator is not None:
        _calibrate(nodes, calibrator, raw)
        chances = [helper.make_tensor_value_info("probability", TensorProto.DOUBLE, ["rows"])]
    _reasons(nodes, forest)
    features, trees = len(forest.feature_names), len(forest.trees)
    model = helper.make_model(
        helper.make_graph(
            nodes.nodes,
            "shepherd",
            [helper.make_tensor_value_info("features", TensorProto.DOUBLE, ["rows", features])],
            [
                helper.make_tensor_value_info("raw", TensorProto.DOUBLE, ["rows"]),
                *chances,
                helper.make_tensor_value_info("leaves", TensorProto.INT64, ["rows", trees]),
                helper.make_tensor_value_info("contributions", TensorProto.DOUBLE, ["rows", features]),
            ],
            nodes.constants,
        ),
        opset_imports=[helper.make_opsetid("", _OPSET), helper.make_opsetid("ai.onnx.ml", _ML_OPSET)],
        ir_version=_IR_VERSION,
        producer_name="shepherd",
    )
    checker.check_model(model)
    return bytes(model.SerializeToString())


def split_points(threshold: NDArray[np.float64]) -> NDArray[np.float64]:
    """The thresholds that say `<=` in ONNX what LightGBM means: it reads values of at most 1e-35 in size as 0."""
    below = np.nextafter(-_ZERO, -np.inf)
    return np.where(
        (threshold >= -_ZERO) & (threshold < 0),
        below,
        np.where((threshold >= 0) & (threshold < _ZERO), _ZERO, threshold),
    )


class _Nodes:
    """The nodes and constants of a graph under construction."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, operator: str, inputs: Sequence[str], output: str, domain: str = "", **attributes: Any) -> str:  # noqa: ANN401 - whatever the operator takes
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, domain=domain, **attributes))
        return output

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name


def _scores(nodes: _Nodes, forest: Forest) -> str:
    weights = np.concatenate([tree.leaf_value for tree in forest.trees])
    _ensemble(nodes, forest, "sum", np.zeros(weights.size, dtype=np.int64), weights)
    return nodes.add("Reshape", ["sum", nodes.constant("flat", np.array([-1]))], "raw")


def _reasons(nodes: _Nodes, forest: Forest) -> None:
    leaves = [tree.leaf_value.size for tree in forest.trees]
    trees = np.repeat(np.arange(len(leaves)), leaves)
    indices = np.concatenate([np.arange(count, dtype=np.float64) for count in leaves])
    _ensemble(nodes, forest, "leaves_real", trees, indices)
    nodes.add("Cast", ["leaves_real"], "leaves", to=TensorProto.INT64)
    offsets = nodes.constant("leaf_offsets", np.concatenate(([0], np.cumsum(leaves)[:-1])).astype(np.int64))
    table = nodes.constant(
        "leaf_contributions", np.concatenate([_leaf_contributions(forest, tree) for tree in forest.trees])
    )
    nodes.add("Add", ["leaves", offsets], "leaf_rows")
    nodes.add("Gather", [table, "leaf_rows"], "tree_contributions", axis=0)
    nodes.add("ReduceSum", ["tree_contributions", nodes.constant("second", np.array([1]))], "contributions", keepdims=0)


def _leaf_contributions(forest: Forest, tree: Tree) -> NDArray[np.float64]:
    """What each step of the path to each leaf adds, booked on the feature that was asked; shape (leaves, features)."""
    table = np.zeros((tree.leaf_value.size, len(forest.feature_names)))
    paths = np.zeros((tree.threshold.size, len(forest.feature_names)))
    value = node_values(tree)
    for node, feature in enumerate(tree.feature):
        for child in (tree.left[node], tree.right[node]):
            row = table[~child] if child < 0 else paths[child]
            row[:] = paths[node]
            row[feature] += (tree.leaf_value[~child] if child < 0 else value[child]) - value[node]
    return table


def _ensemble(
    nodes: _Nodes,
    forest: Forest,
    output: str,
    targets: NDArray[np.int64],
    weights: NDArray[np.float64],
) -> None:
    """Add a TreeEnsemble over `features`; its leaves, in forest order, add a weight to a target."""
    trees = [_with_node(tree) for tree in forest.trees]
    node_offsets = np.concatenate(([0], np.cumsum([tree.threshold.size for tree in trees])[:-1]))
    leaf_offsets = np.concatenate(([0], np.cumsum([tree.leaf_value.size for tree in forest.trees])[:-1]))
    threshold = split_points(_joined(tree.threshold for tree in trees))

    def children(sides: Iterable[NDArray[np.int64]]) -> list[int]:
        moved = [
            np.where(side < 0, ~side + leaf, side + node)
            for side, node, leaf in zip(sides, node_offsets, leaf_offsets, strict=True)
        ]
        flat: list[int] = _joined(moved).tolist()
        return flat

    nodes.add(
        "TreeEnsemble",
        ["features"],
        output,
        domain="ai.onnx.ml",
        aggregate_function=_SUM,
        post_transform=_NO_TRANSFORM,
        n_targets=int(targets[-1]) + 1,
        tree_roots=node_offsets.tolist(),
        nodes_featureids=_joined(tree.feature for tree in trees).tolist(),
        nodes_splits=numpy_helper.from_array(threshold, "splits"),
        nodes_modes=numpy_helper.from_array(np.full(threshold.size, _BRANCH_LEQ, dtype=np.uint8), "modes"),
        nodes_missing_value_tracks_true=_joined(tree.missing_left for tree in trees).astype(np.int64).tolist(),
        nodes_truenodeids=children(tree.left for tree in trees),
        nodes_trueleafs=_joined(tree.left < 0 for tree in trees).astype(np.int64).tolist(),
        nodes_falsenodeids=children(tree.right for tree in trees),
        nodes_falseleafs=_joined(tree.right < 0 for tree in trees).astype(np.int64).tolist(),
        leaf_targetids=targets.tolist(),
        leaf_weights=numpy_helper.from_array(weights, "weights"),
    )


def _joined(parts: Iterable[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(list(parts))


def _with_node(tree: Tree) -> Tree:
    """A tree of one leaf becomes a node whose both children are that leaf, because the operator knows only nodes."""
    if tree.threshold.size:
        return tree
    zero, leaf = np.zeros(1, dtype=np.int64), np.full(1, ~0, dtype=np.int64)
    return replace(
        tree, feature=zero, threshold=np.zeros(1), missing_left=np.ones(1, dtype=bool), left=leaf, right=leaf
    )


def _calibrate(nodes: _Nodes, calibrator: Calibrator, raw: str) -> None:
    match calibrator:
        case Sigmoid():
            nodes.add("Mul", [raw, nodes.constant("slope", np.array(calibrator.slope))], "stretched")
            nodes.add("Add", ["stretched", nodes.constant("intercept", np.array(calibrator.intercept))], "log_odds")
            _logistic(nodes)
        case Spline():
            _polygon(nodes, calibrator, raw, "log_odds")
            _logistic(nodes)
        case Isotonic():
            x, y = np.array(calibrator.x), np.array(calibrator.y)
            nodes.add("Clip", [raw, nodes.constant("low", x[0]), nodes.constant("high", x[-1])], "inside")
            _polygon(nodes, calibrator, "inside", "polygon")
            ends = nodes.constant("lowest", y[0]), nodes.constant("highest", y[-1])
            nodes.add("Clip", ["polygon", *ends], "probability")


def _logistic(nodes: _Nodes) -> None:
    one = nodes.constant("certain", np.array(1.0))
    nodes.add("Neg", ["log_odds"], "log_odds_against")
    # Pow works number by number; Exp takes several at once, and a number's last bit then depends on its neighbours.
    nodes.add("Pow", [nodes.constant("e", np.array(math.e)), "log_odds_against"], "odds_against")
    nodes.add("Add", [one, "odds_against"], "one_plus_odds")
    nodes.add("Div", [one, "one_plus_odds"], "probability")


def _polygon(nodes: _Nodes, line: Isotonic | Spline, score: str, output: str) -> None:
    """The height of a line through knots at a score, going straight on beyond its ends."""
    knots = nodes.constant("knots", np.array(line.x))
    heights = nodes.constant("heights", np.array(line.y))
    slopes = nodes.constant("slopes", np.array(line.slopes))
    last = nodes.constant("last", np.array([1]))
    zero, one = nodes.constant("zero", np.array(0)), nodes.constant("one", np.array(1))
    nodes.add("Unsqueeze", [score, last], "score_column")
    nodes.add("GreaterOrEqual", ["score_column", knots], "reached")
    nodes.add("Cast", ["reached"], "reached_count", to=TensorProto.INT64)
    nodes.add("ReduceSum", ["reached_count", last], "passed", keepdims=0)
    nodes.add("Sub", ["passed", one], "before")
    nodes.add("Clip", ["before", zero, nodes.constant("last_piece", np.array(len(line.x) - 2))], "knot")
    nodes.add("Gather", [heights, "knot"], "height")
    nodes.add("Gather", [knots, "knot"], "start")
    nodes.add("Gather", [slopes, "knot"], "slope_there")
    nodes.add("Sub", [score, "start"], "run")
    nodes.add("Mul", ["run", "slope_there"], "rise")
    nodes.add("Add", ["height", "rise"], output)
