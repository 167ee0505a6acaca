"""A LightGBM model as plain arrays, read from its text form.

The text form is the exact one: thresholds and leaf values carry 17 digits and an infinite threshold says `inf`, where
the JSON dump turns it into 1e300. Whatever `predict` would use is read: the best iteration where early stopping named
one, all trees otherwise.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data.errors import GateRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    import lightgbm as lgb
    from numpy.typing import NDArray

_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_MISSING_NONE, _MISSING_ZERO = 0, 1


@dataclass(frozen=True)
class ModelText:
    """The text of a booster in its three parts.

    Attributes:
        header: `key=value` lines before the trees, without `tree_sizes`, in their order.
        trees: The body of each tree, without its `Tree=` line.
        parameters: The block of training parameters behind the trees.
    """

    header: tuple[str, ...]
    trees: tuple[str, ...]
    parameters: str

    @property
    def settings(self) -> Mapping[str, str]:
        """The header as names and values; a line without a value (`average_output`) has an empty one."""
        return {name: value for name, _, value in (line.partition("=") for line in self.header)}


@dataclass(frozen=True)
class Tree:
    """One decision tree; node 0 is the root, and a child below zero is the leaf `~child`.

    Attributes:
        feature: Feature index of each node, int64.
        threshold: A value at or below it goes left, float64.
        missing_left: Whether an unknown value goes left, bool.
        left: Left child of each node, int64.
        right: Right child of each node, int64.
        leaf_value: Raw score of each leaf, float64; a tree with one leaf has no nodes.
        leaf_rows: Training rows of each leaf, int64.
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    missing_left: NDArray[np.bool_]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    leaf_value: NDArray[np.float64]
    leaf_rows: NDArray[np.int64]


@dataclass(frozen=True)
class Forest:
    """All trees of a booster in the order in which their leaf values are summed."""

    feature_names: tuple[str, ...]
    trees: tuple[Tree, ...]


def read_text(booster: lgb.Booster) -> ModelText:
    """Take the text of a booster apart, as `predict` would use it (up to the best iteration)."""
    text = booster.model_to_string()
    head, _, rest = text.partition("\nend of trees\n")
    first, *trees = re.split(r"(?m)^Tree=\d+\n", head + "\n")
    header = tuple(line for line in first.splitlines() if line and not line.startswith("tree_sizes="))
    _, mark, parameters = rest.partition("\nparameters:\n")
    return ModelText(header, tuple(tree.strip("\n") for tree in trees), mark + parameters)


def tree_fields(tree: str) -> Mapping[str, str]:
    """The `key=value` lines of one tree."""
    return {name: value for name, _, value in (line.partition("=") for line in tree.splitlines())}


def read_forest(booster: lgb.Booster) -> Forest:
    """Read a booster whose score is one plain sum over numeric trees.

    Raises:
        GateRefused: The model uses something that the exported graph cannot say to the bit; all such things are named.
    """
    text = read_text(booster)
    fields = [tree_fields(tree) for tree in text.trees]
    problems = [*_model_problems(text), *_tree_problems(fields)]
    if problems:
        raise GateRefused(
            "This LightGBM model cannot be exported:\n" + "\n".join(f"- {problem}" for problem in problems)
        )
    return Forest(tuple(text.settings["feature_names"].split(" ")), tuple(_read_tree(tree) for tree in fields))


def forest_base(forest: Forest) -> float:
    """The raw score before anything is known of a row: the sum over trees of the mean over training rows."""
    return math.fsum(float(node_values(tree)[0]) for tree in forest.trees)


def node_values(tree: Tree) -> NDArray[np.float64]:
    """Mean leaf value of the training rows that pass each node; of the single leaf where a tree has no node."""
    nodes = tree.threshold.size
    if not nodes:
        return tree.leaf_value
    value, rows = np.zeros(nodes), np.zeros(nodes)
    for node in range(nodes - 1, -1, -1):  # a child is always numbered after its parent
        children = [
            (tree.leaf_value[~child], max(float(tree.leaf_rows[~child]), 1.0))
            if child < 0
            else (value[child], rows[child])
            for child in (tree.left[node], tree.right[node])
        ]
        rows[node] = children[0][1] + children[1][1]
        value[node] = (children[0][0] * children[0][1] + children[1][0] * children[1][1]) / rows[node]
    return value


def _model_problems(text: ModelText) -> list[str]:
    settings = text.settings
    problems = []
    if settings["num_class"] != "1" or settings["num_tree_per_iteration"] != "1":
        problems.append(
            f"found {settings['num_class']} classes, expected one score a row; train one model for each class, or a "
            "binary or regression objective."
        )
    if "average_output" in settings:
        problems.append(
            "found averaged output (boosting=rf), expected a sum of trees; train with boosting=gbdt and average "
            "boosters with training.ensemble."
        )
    if not text.trees:
        problems.append("found no trees, expected at least one; train at least one iteration.")
    return problems


def _tree_problems(trees: list[Mapping[str, str]]) -> list[str]:
    decisions = [_integers(tree.get("decision_type", "")) for tree in trees]
    categorical = sum(bool((kinds & _CATEGORICAL).any()) for kinds in decisions)
    zero = sum(bool((((kinds >> 2) & 3) == _MISSING_ZERO).any()) for kinds in decisions)
    linear = sum(tree.get("is_linear", "0") != "0" for tree in trees)
    problems = []
    if categorical:
        problems.append(
            f"found categorical splits in {categorical} trees, expected numeric ones; encode categories as numbers "
            "and leave categorical_feature empty."
        )
    if zero:
        problems.append(
            f"found zero taken as missing in {zero} trees, expected unknown values as NaN; train without "
            "zero_as_missing."
        )
    if linear:
        problems.append(f"found linear leaves in {linear} trees, expected constant leaves; train without linear_tree.")
    return problems


def _read_tree(fields: Mapping[str, str]) -> Tree:
    threshold = _reals(fields.get("threshold", ""))
    decision = _integers(fields.get("decision_type", ""))
    never_missing = ((decision >> 2) & 3) == _MISSING_NONE
    leaf_value = _reals(fields["leaf_value"])
    leaf_rows = _integers(fields.get("leaf_count", ""))
    return Tree(
        feature=_integers(fields.get("split_feature", "")),
        threshold=threshold,
        # Where training saw no unknown value, LightGBM reads one as 0, whatever the default direction says.
        missing_left=np.where(never_missing, threshold >= 0, (decision & _DEFAULT_LEFT) != 0),
        left=_integers(fields.get("left_child", "")),
        right=_integers(fields.get("right_child", "")),
        leaf_value=leaf_value,
        leaf_rows=leaf_rows if leaf_rows.size == leaf_value.size else np.ones(leaf_value.size, dtype=np.int64),
    )


def _integers(words: str) -> NDArray[np.int64]:
    return np.array([int(word) for word in words.split()], dtype=np.int64)


def _reals(words: str) -> NDArray[np.float64]:
    return np.array([float(word) for word in words.split()], dtype=np.float64)
