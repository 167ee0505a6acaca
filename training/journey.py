"""From checked tables to a bundle proven equal to its model: what is tracked, and what `verify` makes again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from training.catalogue import effect_of
from training.declaration import declaration
from training.effect.money import by_policy
from training.effect.study import fit_effects
from training.leakage import refuse_look_ahead
from training.pipeline import Fitted, fit
from training.ranking_pipeline import fit_order
from training.release import proven, release, release_offers
from training.sites.journey import fit_and_release
from training.sites.task import SiteTask
from training.skew import refuse_skew
from training.task import RankingTask, Task

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from data.sources import DataSet
    from data.steps import Steps
    from training.effect.study import FittedEffects
    from training.provenance import Provenance
    from training.ranking_pipeline import FittedOrder
    from training.release import Released
    from training.sites.pipeline import FittedSites
    from training.task import AnyTask


@dataclass(frozen=True)
class Made:
    """A task's model with its bundle, not tracked yet.

    Attributes:
        fitted: Model, predictions and record.
        released: The bundle, and where it lies.
        figures: All that are to be tracked beside the record's.
        changes: What sending offers changes, of a task that asks it.
    """

    fitted: Fitted | FittedOrder | FittedSites
    released: Released
    figures: Mapping[str, float]
    changes: FittedEffects | None = None


def make(  # noqa: PLR0913 - what a command says, and the run that is made again
    task: AnyTask,
    data_set: DataSet,
    checked: int,
    *,
    home: Path,
    trials: int,
    seed: int,
    steps: Steps,
    earlier: Provenance | None = None,
    moment: datetime | None = None,
) -> Made:
    """Fit and judge, prove the features, and export.

    Args:
        task: What to learn.
        data_set: Tables that keep their contracts.
        checked: How many rows do.
        home: Where features, search journals and bundles are kept.
        trials: How many sets of parameters are tried in all.
        seed: Where chance starts.
        steps: Collects how long each step took.
        earlier: A run to be made again: its parameters, moment and measurements are taken as they were.
        moment: Which the version names; that of the export if not given.

    Raises:
        UsageError: The task declares what can be told from nothing else.
        GateRefused: A feature saw what came later, serving would see other values, or the export could not be proven
            exact; nothing was exported.
    """
    declaration(task)  # what can be told from nothing is refused before anything is learned
    if isinstance(task, SiteTask):
        return Made(
            *fit_and_release(task, data_set, checked, home=home, seed=seed, steps=steps, earlier=earlier, moment=moment)
        )
    fitted = _fitted(task, data_set, home=home, trials=trials, seed=seed, steps=steps, earlier=earlier)
    effect = effect_of(task)
    changes = None
    if effect is not None and isinstance(fitted, Fitted):
        changes = fit_effects(effect, data_set, home=home, seed=seed, steps=steps, redemption=fitted.model)
        fitted = replace(fitted, record=by_policy(fitted.record, changes.record))
    with steps.step("look for leakage") as step:
        step.rows = looked = refuse_look_ahead(task, data_set, _middle(fitted))
    with steps.step("replay event by event") as step:
        replayed = refuse_skew(task, data_set, np.random.default_rng([seed, 3]))
        step.rows = replayed.rows
    with steps.step("export and prove parity") as step:
        proofs = proven(checked, looked, replayed.values, replayed.mismatches)
        moment, measured = (earlier.moment, earlier.measured) if earlier else (moment, None)
        released = (
            release(fitted, home, moment, proofs, measured)
            if changes is None
            else release_offers(changes, fitted.record, home, moment, proofs, measured)
        )
        parity = released.bundle.manifest.parity
        step.rows = parity.rows + parity.edge_rows
    return Made(fitted, released, released.bundle.manifest.metrics, changes)


def _fitted(
    task: Task | RankingTask,
    data_set: DataSet,
    *,
    home: Path,
    trials: int,
    seed: int,
    steps: Steps,
    earlier: Provenance | None,
) -> Fitted | FittedOrder:
    tuned = earlier.tuned() if earlier else None
    if isinstance(task, RankingTask):
        return fit_order(task, data_set, home=home, trials=trials, seed=seed, steps=steps, earlier=tuned)
    return fit(task, data_set, home=home, trials=trials, seed=seed, steps=steps, earlier=tuned)


def _middle(fitted: Fitted | FittedOrder) -> datetime:
    """The moment of the middle row of the test."""
    moments = np.sort(fitted.predictions.as_of)
    return datetime.fromtimestamp(int(moments[len(moments) // 2]) / 1_000_000, UTC)
