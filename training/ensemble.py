"""Many boosters as one: their mean, written as a single LightGBM model.

Averaging models that were fitted on different seeds or folds steadies the ranking. The mean is itself a sum of trees,
so it is exported, proved and served like any one booster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from data.errors import UsageError
from training.trees import ModelText, read_text, tree_fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    import lightgbm as lgb

_SCALED = ("leaf_value", "internal_value")
_SHARED = ("version", "num_class", "num_tree_per_iteration", "max_feature_idx", "objective", "feature_names")


def average(boosters: Sequence[lgb.Booster]) -> lgb.Booster:
    """Combine boosters into one whose raw score is the mean of theirs, and whose leaf indices are theirs side by side.

    Every leaf value is divided by the number of boosters, which has to be a power of two so that the division is exact:
    the mean then differs from averaging the raw scores only by the rounding of the sum (about 1e-15). Each booster
    enters as its `predict` uses it, up to its best iteration.

    Raises:
        UsageError: The number is no power of two, or the boosters differ in features, objective or kind of tree.
    """
    import lightgbm as lgb

    texts = [read_text(booster) for booster in boosters]
    problems = [*_count_problems(len(texts)), *_difference_problems(texts), *_kind_problems(texts)]
    if problems:
        raise UsageError("These boosters cannot be averaged:\n" + "\n".join(f"- {problem}" for problem in problems))
    trees = [_scale(tree, len(texts)) for text in texts for tree in text.trees]
    return lgb.Booster(model_str=_write(texts[0], trees))


def _count_problems(count: int) -> list[str]:
    if count > 0 and count & (count - 1) == 0:
        return []
    return [f"found {count} boosters, expected 1, 2, 4, 8, ... so that the mean is exact; add or drop some."]


def _difference_problems(texts: Sequence[ModelText]) -> list[str]:
    return [
        f"found {len(found)} different values of {name}, expected one; fit all boosters on the same columns with the "
        "same objective."
        for name in _SHARED
        if len(found := {text.settings.get(name) for text in texts}) > 1
    ]


def _kind_problems(texts: Sequence[ModelText]) -> list[str]:
    problems = []
    if any("average_output" in text.settings for text in texts):
        problems.append("found averaged output (boosting=rf), expected a sum of trees; train with boosting=gbdt.")
    if any("is_linear=1" in tree for text in texts for tree in text.trees):
        problems.append("found linear leaves, expected constant leaves; train without linear_tree.")
    return problems


def _scale(tree: str, count: int) -> str:
    fields = dict(tree_fields(tree))
    for name in _SCALED:
        if name in fields:
            fields[name] = " ".join(format(float(word) / count, ".17g") for word in fields[name].split())
    return "\n".join(f"{name}={value}" for name, value in fields.items())


def _write(first: ModelText, trees: Sequence[str]) -> str:
    blocks = [f"Tree={number}\n{tree}\n\n\n" for number, tree in enumerate(trees)]
    sizes = "tree_sizes=" + " ".join(str(len(block)) for block in blocks)
    header = "\n".join((*first.header, sizes))
    return f"{header}\n\n{''.join(blocks)}end of trees\n{first.parameters}"
