"""What every learner of an effect takes and gives: a few forests, and the sum of their answers that is the effect.

An effect is a difference of two answers that are never both seen, so no learner is judged by its fit. What they have in
common is that their model is a handful of forests over the same columns, each asked with the offer sent or withheld,
and a weighted sum of what they say: that is what is exported and served, whichever learner it came from.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from data.errors import DataError, UsageError
from training.calibrate import Sigmoid
from training.learner import raw_scores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import lightgbm
    from numpy.typing import NDArray

    from training.formulas import Changed, Response

ARM = "offer_sent"
"""The column that a forest which learns from both arms sees behind all others: 1 where the offer was sent."""

Kind = Literal["chance", "amount"]


@dataclass(frozen=True)
class Head:
    """One forest, and how it is asked.

    Attributes:
        booster: The trees.
        kind: Whether it says a chance (its raw score is log-odds) or an amount (its raw score is the amount).
        sees_arm: Whether its last column is `ARM`.
        dose: The column that is 0 where the offer is withheld, such as the face value; None where there is none, or the
            forest does not see the arm.
    """

    booster: lightgbm.Booster
    kind: Kind
    sees_arm: bool = False
    dose: int | None = None

    def rows(self, matrix: NDArray[np.float32], *, sent: bool) -> NDArray[np.float32]:
        """The rows as this forest is asked them, with the offer sent or withheld."""
        return with_arm(matrix, np.full(len(matrix), sent), self.dose) if self.sees_arm else matrix

    def answer(self, matrix: NDArray[np.float32], *, sent: bool) -> NDArray[np.float64]:
        """What it says of each row, shape (rows,): a chance between 0 and 1, or an amount."""
        raw = raw_scores(self.booster, self.rows(matrix, sent=sent))
        return Sigmoid().apply(raw) if self.kind == "chance" else raw


@dataclass(frozen=True)
class Term:
    """One summand of an effect: what a head says, with the offer sent or withheld, times a weight."""

    head: str
    weight: float
    sent: bool = True


@dataclass(frozen=True)
class EffectModel:
    """A fitted effect: the weighted sum of what a few forests say of a row.

    Attributes:
        features: Names of the columns that it is asked with.
        heads: The forests by name.
        terms: The summands.
        constant: What is added to them.
        response: Who is won and who is put off, in place of the summands, where the model tells them apart.
    """

    features: tuple[str, ...]
    heads: Mapping[str, Head]
    terms: tuple[Term, ...]
    constant: float = 0.0
    response: Response | None = None

    def effect(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """What sending changes in each row, in the outcome's unit, shape (rows,); a row's is its own alone.

        Args:
            matrix: Feature values as they are served, float32, shape (rows, features), NaN for null, each row with the
                facts of the offer it is about.

        Raises:
            UsageError: The matrix has other columns than the model.
        """
        if matrix.ndim != 2 or matrix.shape[1] != len(self.features) or matrix.dtype != np.float32:
            raise UsageError(
                f"Effect: found {matrix.dtype} rows of shape {matrix.shape}, expected float32 of shape (rows, "
                f"{len(self.features)}); pass the columns that the model was fitted on, in their order."
            )
        changed = self._changed(matrix)
        if changed is not None:
            return changed.won - changed.lost
        total = np.full(len(matrix), self.constant)
        for term in self.terms:
            total += term.weight * self.heads[term.head].answer(matrix, sent=term.sent)
        return total

    def lost(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """The chance of each row to be put off, taken off the effect already; 0 where the model cannot tell."""
        changed = self._changed(matrix)
        return np.zeros(len(matrix)) if changed is None else changed.lost

    def _changed(self, matrix: NDArray[np.float32]) -> Changed | None:
        if self.response is None:
            return None
        anyway = self.heads[self.response.anyway].answer(matrix, sent=False)
        return self.response.apply(self.features, matrix, anyway)

    @property
    def boosters(self) -> Mapping[str, lightgbm.Booster]:
        """The forests alone, by name, for export."""
        return {name: head.booster for name, head in self.heads.items()}


class EffectLearner(ABC):
    """A way to learn what an offer changes from rows of which a lot decided who was sent it.

    Attributes:
        drawn_in: Whether a prior has drawn its effects in already, so that nothing is left for halves to shrink.
    """

    drawn_in: ClassVar[bool] = False

    def fit(
        self,
        features: Sequence[str],
        matrix: NDArray[np.float32],
        treated: NDArray[np.bool_],
        outcome: NDArray[np.float64],
        propensity: NDArray[np.float64],
        generator: np.random.Generator,
        weight: NDArray[np.float64] | None = None,
    ) -> EffectModel:
        """The effect that these rows tell of.

        Args:
            features: Name of each column.
            matrix: Feature values as they are served, shape (rows, features), NaN for null. Of several offers each row
                has the facts of its own (face value, threshold), in the control arm those of the offer withheld.
            treated: Whether the offer was sent, shape (rows,).
            outcome: What came of it: 0 and 1 alone for a purchase, any number for margin; shape (rows,).
            propensity: The chance with which it was sent, above 0 and below 1, shape (rows,).
            generator: Where the seeds of the bags and the folds come from; the same gives the same model.
            weight: What each row counts, shape (rows,); 1 each if not given.

        Raises:
            DataError: An arm is empty, or values are out of place; all such faults at once.
            UsageError: The learner names a column that is not there.
        """
        return self.learned(Trial.of(features, matrix, treated, outcome, propensity, weight), generator)

    @abstractmethod
    def learned(self, trial: Trial, generator: np.random.Generator) -> EffectModel:
        """The effect that checked rows tell of."""


@dataclass(frozen=True)
class Trial:
    """The rows of an experiment, checked.

    Attributes:
        features: Name of each column of `matrix`.
        matrix: Feature values, float32, shape (rows, features).
        treated: Whether the offer was sent.
        outcome: What came of it.
        propensity: The chance with which it was sent.
        weight: What each row counts.
        kind: `chance` where the outcome is 0 and 1 alone, else `amount`.
        redeemed: Who redeemed, 0 or 1; None where that is not told.
    """

    features: tuple[str, ...]
    matrix: NDArray[np.float32]
    treated: NDArray[np.bool_]
    outcome: NDArray[np.float64]
    propensity: NDArray[np.float64]
    weight: NDArray[np.float64]
    kind: Kind
    redeemed: NDArray[np.float64] | None = None

    @staticmethod
    def of(
        features: Sequence[str],
        matrix: NDArray[np.float32],
        treated: NDArray[np.bool_],
        outcome: NDArray[np.float64],
        propensity: NDArray[np.float64],
        weight: NDArray[np.float64] | None = None,
    ) -> Trial:
        """Arguments, shapes and errors as in `EffectLearner.fit`."""
        counted = np.ones(len(outcome)) if weight is None else np.asarray(weight, np.float64)
        whole = Trial(
            tuple(features),
            np.asarray(matrix, np.float32),
            np.asarray(treated).astype(np.bool_),
            np.asarray(outcome, np.float64),
            np.asarray(propensity, np.float64),
            counted,
            "chance" if np.isin(outcome, (0.0, 1.0)).all() else "amount",
        )
        problems = whole.problems()
        if problems:
            raise DataError("Effect: " + "; ".join(problems) + ". Pass the rows that a lot divided into two arms.")
        return whole

    def at(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Trial:
        """Some of the rows; of one arm alone as well."""
        return Trial(
            self.features,
            self.matrix[rows],
            self.treated[rows],
            self.outcome[rows],
            self.propensity[rows],
            self.weight[rows],
            self.kind,
            None if self.redeemed is None else self.redeemed[rows],
        )

    def problems(self) -> list[str]:
        """What keeps these rows from telling an effect, in words; empty if nothing does."""
        size = len(self.outcome)
        columns = {"treated": self.treated, "propensity": self.propensity, "weight": self.weight}
        found = [
            f"found {name} of shape {column.shape}, expected ({size},)"
            for name, column in columns.items()
            if column.shape != (size,)
        ]
        if self.matrix.shape != (size, len(self.features)):
            found.append(f"found a matrix of shape {self.matrix.shape}, expected ({size}, {len(self.features)})")
        if not 0 < np.count_nonzero(self.treated) < len(self.treated):
            found.append(f"found {np.count_nonzero(self.treated)} of {len(self.treated)} rows sent, expected both arms")
        if not np.isfinite(self.outcome).all():
            found.append(f"found {np.count_nonzero(~np.isfinite(self.outcome))} outcomes that are no numbers")
        outside = ~((self.propensity > 0) & (self.propensity < 1))
        if outside.any():
            found.append(
                f"found {np.count_nonzero(outside)} chances of being sent that are not between 0 and 1, "
                "expected rows that could have been in either arm"
            )
        if not (np.isfinite(self.weight) & (self.weight >= 0)).all():
            found.append("found weights that are negative or no numbers")
        return found


def with_arm(matrix: NDArray[np.float32], sent: NDArray[np.bool_], dose: int | None) -> NDArray[np.float32]:
    """The rows with `ARM` behind their columns, and no dose where the offer is withheld; shape (rows, features + 1)."""
    made = np.empty((len(matrix), matrix.shape[1] + 1), np.float32)
    made[:, :-1], made[:, -1] = matrix, sent
    if dose is not None:
        made[~sent, dose] = 0.0
    return made
