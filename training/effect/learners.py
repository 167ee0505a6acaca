"""Five ways to learn what an offer changes; none is best everywhere, and policy value decides between them.

S, T and X learners: Kunzel, Sekhon, Bickel and Yu, "Metalearners for estimating heterogeneous treatment effects using
machine learning", PNAS 116 (2019). DR learner: Kennedy, "Towards optimal doubly robust estimation of heterogeneous
causal effects", Electronic Journal of Statistics 17 (2023). Class transformation: Jaskowski and Jaroszewicz, "Uplift
modeling for clinical trial data", ICML workshop (2012); for amounts the transformed outcome of Athey and Imbens,
"Recursive partitioning for heterogeneous causal effects", PNAS 113 (2016).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from data.errors import UsageError
from training.effect.model import ARM, EffectLearner, EffectModel, Head, Term, with_arm
from training.effect.trees import Trees

if TYPE_CHECKING:
    import lightgbm
    from numpy.typing import NDArray

    from training.effect.model import Trial


@dataclass(frozen=True)
class SLearner(EffectLearner):
    """One forest that sees whether the offer was sent; the effect is what it says with the offer less without.

    Attributes:
        trees: How it is grown; with the face value in `more_is_likelier`, the chance to buy rises with it in every row.
        dose: The column that is 0 where nothing was sent, such as the face value; empty where there is none.
    """

    trees: Trees = field(default_factory=Trees)
    dose: str = ""

    def learned(self, trial: Trial, generator: np.random.Generator) -> EffectModel:  # noqa: D102 - as in EffectLearner
        dose = _column(trial, self.dose)
        rows = with_arm(trial.matrix, trial.treated, dose)
        names = (*trial.features, ARM)
        booster = self.trees.grown(names, rows, trial.outcome, trial.weight, trial.kind, generator)
        head = Head(booster, trial.kind, sees_arm=True, dose=dose)
        terms = (Term("outcome", 1.0, sent=True), Term("outcome", -1.0, sent=False))
        return EffectModel(trial.features, {"outcome": head}, terms)


@dataclass(frozen=True)
class TLearner(EffectLearner):
    """A forest for each arm; the effect is the difference of what they say.

    Attributes:
        trees: How each is grown; `more_is_likelier` holds for the sent arm alone.
    """

    trees: Trees = field(default_factory=Trees)

    def learned(self, trial: Trial, generator: np.random.Generator) -> EffectModel:  # noqa: D102 - as in EffectLearner
        sent, withheld = _arms(self.trees, trial, generator)
        terms = (Term("sent", 1.0), Term("withheld", -1.0, sent=False))
        return EffectModel(trial.features, {"sent": sent, "withheld": withheld}, terms)


@dataclass(frozen=True)
class XLearner(EffectLearner):
    """What each arm did beyond what the other arm's forest expects of it; two forests of these, averaged.

    The weights of the two are the shares of the arms: the effect learned on the smaller arm leans on the forest of the
    larger one, which knows more.

    Attributes:
        trees: How each is grown.
    """

    trees: Trees = field(default_factory=Trees)

    def learned(self, trial: Trial, generator: np.random.Generator) -> EffectModel:  # noqa: D102 - as in EffectLearner
        sent, withheld = _arms(self.trees, trial, generator)
        heads = {}
        for name, rows, gained in (
            ("gained_sent", trial.treated, trial.outcome - withheld.answer(trial.matrix, sent=False)),
            ("gained_withheld", ~trial.treated, sent.answer(trial.matrix, sent=True) - trial.outcome),
        ):
            heads[name] = Head(_gain(self.trees, trial.at(rows), gained[rows], generator), "amount")
        share = float(np.average(trial.propensity, weights=trial.weight))
        terms = (Term("gained_sent", 1.0 - share), Term("gained_withheld", share))
        return EffectModel(trial.features, heads, terms)


@dataclass(frozen=True)
class DRLearner(EffectLearner):
    """One forest of a score whose mean is the effect wherever the chance of being sent is right (doubly robust).

    The score is what two forests expect the offer to change, corrected by what became of the row in the arm it was in,
    by inverse propensity. Each row's expectation comes from forests that have not seen it.

    Attributes:
        trees: How each is grown.
        folds: In how many parts the rows are cut for that.
    """

    trees: Trees = field(default_factory=Trees)
    folds: int = 3

    def learned(self, trial: Trial, generator: np.random.Generator) -> EffectModel:  # noqa: D102 - as in EffectLearner
        head = Head(_gain(self.trees, trial, self.scores(trial, generator), generator), "amount")
        return EffectModel(trial.features, {"gained": head}, (Term("gained", 1.0),))

    def expected(self, trial: Trial, generator: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What is expected of each row sent and withheld, by forests that have not seen it, shape (rows,) each."""
        return _expected(self.trees, trial, self.folds, generator)

    def arms(self, trial: Trial, generator: np.random.Generator) -> tuple[Head, Head]:
        """Forests of the outcome if sent and if withheld, of all rows: to be asked of others."""
        return _arms(self.trees, trial, generator)

    def scores(self, trial: Trial, generator: np.random.Generator) -> NDArray[np.float64]:
        """The doubly robust score of each row, shape (rows,): its mean over any rows is their mean effect."""
        return doubly_robust(trial, *self.expected(trial, generator))


@dataclass(frozen=True)
class ClassTransformation(EffectLearner):
    """One forest of whether a row did what the offer wants: bought when sent, or did not when withheld.

    Each arm counts as half of the rows. Then twice the chance of that, less one, is the effect. For amounts the forest
    learns the outcome by inverse propensity, with the sign of the arm.

    Attributes:
        trees: How it is grown.
    """

    trees: Trees = field(default_factory=Trees)

    def learned(self, trial: Trial, generator: np.random.Generator) -> EffectModel:  # noqa: D102 - as in EffectLearner
        chance = np.where(trial.treated, trial.propensity, 1.0 - trial.propensity)
        if trial.kind == "amount":
            sign = np.where(trial.treated, 1.0, -1.0)
            head = Head(_gain(self.trees, trial, sign * trial.outcome / chance, generator), "amount")
            return EffectModel(trial.features, {"gained": head}, (Term("gained", 1.0),))
        wanted = np.where(trial.treated, trial.outcome, 1.0 - trial.outcome)
        weight = trial.weight / (2.0 * chance)
        booster = self.trees.grown(trial.features, trial.matrix, wanted, weight, "chance", generator)
        return EffectModel(trial.features, {"wanted": Head(booster, "chance")}, (Term("wanted", 2.0),), constant=-1.0)


def doubly_robust(trial: Trial, sent: NDArray[np.float64], withheld: NDArray[np.float64]) -> NDArray[np.float64]:
    """The effect expected of each row, corrected by what became of it in its arm, by inverse propensity.

    Args:
        trial: The rows.
        sent: What is expected of each if it is sent the offer, by a model that has not seen it, shape (rows,).
        withheld: Likewise if it is withheld.
    """
    surprise = trial.outcome - np.where(trial.treated, sent, withheld)
    score: NDArray[np.float64] = (
        sent - withheld + np.where(trial.treated, surprise / trial.propensity, -surprise / (1.0 - trial.propensity))
    )
    return score


def _arms(trees: Trees, trial: Trial, generator: np.random.Generator) -> tuple[Head, Head]:
    """A forest of the outcome in each arm: sent, and withheld, which nothing about the face value is asked of."""
    heads = []
    for rows, rising in ((trial.treated, True), (~trial.treated, False)):
        part = trial.at(rows)
        grown = trees.grown(part.features, part.matrix, part.outcome, part.weight, part.kind, generator, rising=rising)
        heads.append(Head(grown, trial.kind))
    return heads[0], heads[1]


def _expected(
    trees: Trees, trial: Trial, folds: int, generator: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What is expected of each row sent and withheld, by forests of the other folds."""
    sent, withheld = np.empty(len(trial.outcome)), np.empty(len(trial.outcome))
    for asked in _folds(trial.treated, folds, generator):
        known = np.ones(len(trial.outcome), np.bool_)
        known[asked] = False
        heads = _arms(trees, trial.at(known), generator)
        sent[asked] = heads[0].answer(trial.matrix[asked], sent=True)
        withheld[asked] = heads[1].answer(trial.matrix[asked], sent=False)
    return sent, withheld


def _folds(treated: NDArray[np.bool_], folds: int, generator: np.random.Generator) -> list[NDArray[np.intp]]:
    """Rows in so many parts, each with its share of both arms."""
    smaller = min(np.count_nonzero(treated), np.count_nonzero(~treated))
    if not 2 <= folds <= smaller:
        raise UsageError(f"Effect: found {folds} folds, expected 2 up to the {smaller} rows of the smaller arm")
    parts = [np.array_split(generator.permutation(np.flatnonzero(arm)), folds) for arm in (treated, ~treated)]
    return [np.sort(np.concatenate(pair)) for pair in zip(*parts, strict=True)]


def _gain(trees: Trees, trial: Trial, target: NDArray[np.float64], generator: np.random.Generator) -> lightgbm.Booster:
    return trees.grown(trial.features, trial.matrix, target, trial.weight, "amount", generator)


def _column(trial: Trial, name: str) -> int | None:
    if name and name not in trial.features:
        raise UsageError(f"SLearner: found the dose {name!r}, expected one of the columns {', '.join(trial.features)}")
    return trial.features.index(name) if name else None
