"""How well a week's scores did and what its actions earned, where it is known what came of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from training.decision_log import UNKNOWN, Logged
from training.interval import Interval, Resampling, compare
from training.payoff import Stakes, chosen_actions
from training.record import Bin
from training.savings import savings
from training.studentised import studentised

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from training.bundles import Manifest
    from training.metrics import Metric
    from training.monitoring.served import Served
    from training.monitoring.truth import Truth
    from training.savings import Savings

LEAST_POSITIVES: Final = 20
"""Fewer that came true say little about a metric."""

LEAST_REVEALED: Final = 50
"""With fewer outcomes by lot an interval of money holds less often than it says (`training.savings`)."""

SMALLEST_SLICE: Final = 30
_TENTHS: Final = 10


@dataclass(frozen=True)
class Calibration:
    """Said chances beside what came true, by rows of a lot, each standing for as many as its chance says.

    Attributes:
        gap: How much more was said than came, in the mean.
        said: What was said in the mean.
        came: What share came true.
        bins: Tenths by chance.
    """

    gap: Interval
    said: float
    came: float
    bins: tuple[Bin, ...]


def draws(units: NDArray[np.int64]) -> Resampling:
    """The same draws of the units at every call, so that all comparisons are paired and a week repeats to the bit."""
    return Resampling(units, np.random.default_rng([0, 1]))


def metrics_of(
    scores: Mapping[str, NDArray[np.float64]],
    truth: Truth,
    units: NDArray[np.int64],
    metrics: Sequence[Metric],
    rows: NDArray[np.bool_] | None = None,
) -> dict[str, dict[str, Interval]]:
    """Each metric of each score over the rows of which something is known; none where one outcome alone came about.

    Args:
        scores: As `training.interval.compare` takes them, shape (rows,).
        truth: What came of all rows.
        units: Of all rows.
        metrics: What to measure.
        rows: Which of them; all if not given.
    """
    inside = truth.known if rows is None else truth.known & rows
    label = truth.outcome[inside].astype(np.float64)
    if len(np.unique(label)) < 2:
        return {}
    return compare(label, {name: one[inside] for name, one in scores.items()}, metrics, draws(units[inside]))


def calibration_of(probability: NDArray[np.float64], truth: Truth, units: NDArray[np.int64]) -> Calibration | None:
    """Whether chances hold; None where no lot had anything told."""
    rows = truth.by_chance != UNKNOWN
    if not rows.any():
        return None
    weight, said = 1 / truth.chance[rows], probability[rows]
    label = truth.outcome[rows].astype(np.float64)
    columns = np.column_stack((weight, weight * said, weight * label))
    (gap,) = studentised(columns, [lambda sums: (sums[1] - sums[2]) / sums[0]], draws(units[rows]))
    whole, told, came = columns.sum(axis=0).tolist()
    parts = (part for part in np.array_split(np.argsort(said, kind="stable"), _TENTHS) if len(part))
    bins = tuple(
        Bin(
            len(part),
            float(np.average(said[part], weights=weight[part])),
            float(np.average(label[part], weights=weight[part])),
        )
        for part in parts
    )
    return Calibration(gap, told / whole, came / whole, bins)


def stakes_of(served: Served, manifest: Manifest) -> Stakes:
    """What the pay-off of a version asks of the decisions."""
    payoff = manifest.payoff
    return Stakes(
        fen=np.nan_to_num(served.stake) if payoff.stake else None,
        group=served.group if payoff.cap is not None and payoff.cap.group else None,
    )


def meant_by(manifest: Manifest, score: NDArray[np.float64], stakes: Stakes) -> NDArray[np.int64]:
    """The actions that a version would choose by its scores, an index into its actions; `UNKNOWN` where it has none."""
    asked = ~np.isnan(score)
    chosen = np.full(len(score), UNKNOWN)
    if asked.any():
        chosen[asked] = chosen_actions(manifest.payoff, score[asked], stakes.at(asked), manifest.prices)
    return chosen


def money_of(
    served: Served,
    truth: Truth,
    manifest: Manifest,
    meant: NDArray[np.int64],
    against: NDArray[np.int64] | int = 0,
    rows: NDArray[np.bool_] | None = None,
) -> Savings | str:
    """What actions earned beyond others, by what a lot had told of both; or why nobody can say.

    Args:
        served: The decisions.
        truth: What came of them.
        manifest: Whose pay-off.
        meant: The actions, an index into the pay-off's.
        against: The others; the passive action for all if not given.
        rows: Which decisions; all if not given.
    """
    inside = np.ones(len(meant), np.bool_) if rows is None else rows
    theirs = np.broadcast_to(np.asarray(against, np.int64), meant.shape)[inside]
    ours, known = meant[inside], truth.by_chance[inside]
    if not len(ours):
        return "no decision to compare"
    if (ours != theirs).any() and not ((ours != theirs) & (known != UNKNOWN)).any():
        return "no outcome by lot (audit, or feedback on what the holdout let through) where the actions differ"
    payoff, stakes = manifest.payoff, stakes_of(served, manifest)
    logged = Logged(
        meant=ours,
        outcome=known,
        chance=truth.chance[inside],
        unit=served.unit[inside],
        stake=None if stakes.fen is None else stakes.fen[inside],
        probability=served.probability[inside] if len(payoff.outcomes) == 2 else None,
    )
    return savings(payoff, logged, draws(served.unit[inside]), theirs)


def judged(truth: Truth) -> NDArray[np.object_]:
    """How each outcome came to be known; None of those that are not."""
    told = np.where(truth.by_lot, "by lot", "on suspicion").astype(object)
    told[~truth.known] = None
    return told


def slices_of(
    columns: Mapping[str, NDArray[np.object_]],
    score: NDArray[np.float64],
    units: NDArray[np.int64],
    truth: Truth,
    metrics: Sequence[Metric],
    shares: Mapping[str, NDArray[np.bool_]],
) -> dict[str, dict[str, dict[str, Interval]]]:
    """By column and value: the metrics, and each share, of the slices that are large enough.

    Args:
        columns: What rows are told apart by, each shape (rows,), None for unknown.
        score: What was said of each, shape (rows,).
        units: What is independent, shape (rows,).
        truth: What came of them.
        metrics: What to measure.
        shares: By name, of which rows something holds.
    """
    found: dict[str, dict[str, dict[str, Interval]]] = {}
    for name, values in columns.items():
        for value in sorted({str(one) for one in values.tolist() if one is not None}):
            rows = np.array([str(one) == value for one in values.tolist()])
            if rows.sum() < SMALLEST_SLICE:
                continue
            told = metrics_of({"model": score}, truth, units, metrics, rows).get("model", {})
            held = {one: _share(of[rows], units[rows]) for one, of in shares.items()}
            found.setdefault(name, {})[value] = {**told, **held}
    return found


def _share(of: NDArray[np.bool_], units: NDArray[np.int64]) -> Interval:
    columns = np.column_stack((np.ones(len(of)), of.astype(np.float64)))
    (share,) = studentised(columns, [lambda sums: sums[1] / sums[0]], draws(units))
    return share
