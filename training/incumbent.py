"""The present champion beside a new model: both decide on the same test rows, and what each earns is compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.export import Scorer
from training.interval import Resampling, of_mean
from training.payoff import chosen_actions, earnings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.bundles import Bundle, Manifest
    from training.interval import Interval
    from training.pipeline import Fitted


def gain_in_money(fitted: Fitted, champion: Bundle) -> Interval | None:
    """Fen a row that the new model earns beyond the champion, on the test rows that stand for all, paired.

    Both are valued by the task's pay-off of today; each acts as it was exported to act.

    Returns:
        None where the champion cannot decide on these rows: it asks a feature that they lack or that means something
        else by now, or knows other actions.
    """
    model, said, rows = fitted.model, fitted.predictions, fitted.predictions.by_lot
    matrix = _asked(fitted, champion.manifest)
    theirs = champion.manifest.payoff
    if matrix is None or theirs.actions != model.task.payoff.actions or theirs.outcomes != model.task.payoff.outcomes:
        return None
    stakes = said.stakes.at(rows)
    worth = earnings(model.task.payoff, said.label[rows], stakes)
    ours = chosen_actions(model.task.payoff, said.probability[rows], stakes, model.prices)
    others = chosen_actions(theirs, Scorer(champion).probability(matrix[rows]), stakes, champion.manifest.prices)
    every = np.arange(len(worth))
    resampling = Resampling(said.unit[rows], np.random.default_rng([fitted.record.seed, 1]))
    return of_mean(worth[every, ours] - worth[every, others], resampling)


def _asked(fitted: Fitted, manifest: Manifest) -> NDArray[np.float32] | None:
    """The columns that the champion asks, in its order; None where one is not there with the same meaning."""
    places = {
        (one.name, one.unit, one.meaning, one.null_rule): place for place, one in enumerate(fitted.model.task.features)
    }
    asked = [places.get((one.name, one.unit, one.meaning, one.null_rule)) for one in manifest.features]
    known = [place for place in asked if place is not None]
    return fitted.predictions.matrix[:, known] if len(known) == len(asked) else None
