"""What a policy would have earned, out of a log of what another one did: the proof before a launch.

A log in which every action was drawn with a known chance can judge any policy that it gave a chance to: what came of a
logged action counts for as many rows as the new policy takes it more often (`training.importance` names the three
estimators). What the log never did, nothing can be said of, and where it hardly ever did what the policy would do, a
few rows speak for all; `Overlap` tells both, and a figure with warnings is no proof.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from data.errors import DataError, UsageError
from training.importance import Weighed
from training.studentised import effective_rows, studentised

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from training.interval import Interval, Resampling

TINY: Final = 0.001
"""A chance so small that a single row stands for a thousand."""

FEW_ROWS: Final = 200.0
"""With fewer effective rows the intervals hold less often than they say (`python -m benchmarks.estimators`)."""

FEW_TELLING: Final = 5.0
"""Likewise with fewer rows that the error rests on, as where few bought."""

LARGE_SHARE: Final = 0.05
"""More than this share of all weight on one row makes the figure that row's."""

_OFF: Final = 1e-4
"""Chances come rounded: so far may their sum lie from 1."""


@dataclass(frozen=True)
class LoggedActions:
    """What was done, drawn with a known chance, and what came of it.

    Attributes:
        action: What was done in each row, from 0, shape (rows,).
        reward: What it was worth: 0 or 1 for a purchase, fen for a margin, shape (rows,).
        propensity: The chance with which just this was drawn, shape (rows,).
        unit: Code of the independent unit (member, household) of each row.
        chances: The chances of all actions, shape (rows, actions), where they were logged: the only way to know what
            the log could never do. None otherwise.
        foretold: What a model that did not learn from the row expects of each action in it, shape (rows, actions);
            None leaves the doubly robust estimate out.
    """

    action: NDArray[np.int64]
    reward: NDArray[np.float64]
    propensity: NDArray[np.float64]
    unit: NDArray[np.int64]
    chances: NDArray[np.float64] | None = None
    foretold: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        """Refuse a log that cannot be weighed.

        Raises:
            DataError: It has no rows, its columns differ in length, an action had no chance, or a number is none.
        """
        rows = len(self.action)
        columns = {"reward": self.reward, "propensity": self.propensity, "unit": self.unit}
        tables = {"chances": self.chances, "foretold": self.foretold}
        problems = [] if rows else ["no row"]
        problems += [f"{len(column)} rows of {name}" for name, column in columns.items() if len(column) != rows]
        problems += [
            f"{name} of the shape {table.shape}"
            for name, table in tables.items()
            if table is not None and (table.ndim != 2 or len(table) != rows)
        ]
        problems = problems or self._odd_values()
        if problems:
            raise DataError(
                f"log of actions: found {'; '.join(problems)} beside {rows} actions; expected a row each, with the "
                "chance above 0 with which it was drawn. Log the propensity when the draw is made."
            )

    def _odd_values(self) -> list[str]:
        unlikely = ~((self.propensity > 0) & (self.propensity <= 1 + _OFF))
        odd: dict[str, NDArray[np.bool_]] = {
            "rows whose propensity is not above 0 and up to 1": unlikely,
            "rows whose reward is no number": ~np.isfinite(self.reward),
            "negative actions": self.action < 0,
        }
        if self.chances is not None:
            said = np.take_along_axis(self.chances, self.action[:, None] % self.chances.shape[1], axis=1)[:, 0]
            odd["rows whose chances do not sum to 1"] = np.abs(self.chances.sum(axis=1) - 1) > _OFF
            odd["rows whose propensity is not the chance of the action"] = np.abs(said / self.propensity - 1) > _OFF
        if self.foretold is not None:
            odd["rows in which a forecast is no number"] = np.asarray(~np.isfinite(self.foretold).all(axis=1))
        return [f"{int(rows.sum())} {what}" for what, rows in odd.items() if rows.any()]


@dataclass(frozen=True)
class Overlap:
    """How much of what the policy would do the log has seen.

    Attributes:
        rows: Rows of the log.
        effective_rows: How many rows on which the policy did the same as the log would say as much.
        telling_rows: How many rows of like weight and surprise the error of the figure rests on: few where few bought.
        mean_weight: Share of the policy that the log could have done, as the weights tell it: about 1 where the log
            gave a chance to everything.
        never_done: Share of the policy on actions that the log gave no chance; None where not all chances were logged.
        tiny: Share of the policy on actions whose chance was above 0 and below `TINY`; where not all chances were
            logged, the share of all weight on rows that were drawn with such a chance.
        largest_weight_share: The heaviest row's share of all weight.
        clipped: Share of the rows whose weight was cut; None where none was to be.
        warnings: What makes the figures doubtful, each a sentence; empty where nothing does.
    """

    rows: int
    effective_rows: float
    telling_rows: float
    mean_weight: Interval
    never_done: float | None
    tiny: float
    largest_weight_share: float
    clipped: float | None
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "rows": self.rows,
            "effective_rows": round(self.effective_rows, 1),
            "telling_rows": round(self.telling_rows, 1),
            "mean_weight": self.mean_weight.as_dict(),
            "never_done": self.never_done,
            "tiny": self.tiny,
            "largest_weight_share": self.largest_weight_share,
            "clipped": self.clipped,
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True)
class PolicyValue:
    """What a policy earns a row, or how much more than another, with 95 % intervals that resample whole units.

    Attributes:
        ips: By inverse propensity: without bias, and wide.
        snips: Self-normalised: hardly biased, and steadier.
        dr: Doubly robust; without bias, and the narrowest where the forecasts are any good. None without forecasts.
        overlap: By name of the policy: what the log can say of it.
        clip: The largest weight allowed, which makes all three biased towards 0; None for no limit.
    """

    ips: Interval
    snips: Interval
    dr: Interval | None
    overlap: Mapping[str, Overlap]
    clip: float | None

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "ips": self.ips.as_dict(),
            "snips": self.snips.as_dict(),
            "dr": None if self.dr is None else self.dr.as_dict(),
            "overlap": {name: overlap.as_dict() for name, overlap in self.overlap.items()},
            "clip": self.clip,
        }


def value_of(
    policy: NDArray[np.float64], logged: LoggedActions, resampling: Resampling, clip: float | None = None
) -> PolicyValue:
    """What the policy would have earned a row of the log.

    Args:
        policy: The chance with which it takes each action in each row, shape (rows, actions); see `always`.
        logged: The log.
        resampling: Draws of `logged.unit`.
        clip: Cuts larger weights down to this one, and says so; None leaves the estimates without bias.

    Raises:
        UsageError: The policy is none, or does not fit the log.
    """
    weighed = _weighed(policy, logged, clip)
    measures = weighed.measures()
    *found, mean_weight = studentised(
        weighed.columns(), [*measures.values(), lambda sums: sums[2] / sums[0]], resampling
    )
    named = dict(zip(measures, found, strict=True))
    overlap = _overlap(policy, logged, weighed, mean_weight, clip)
    return PolicyValue(named["ips"], named["snips"], named.get("dr"), {"policy": overlap}, clip)


def gain_of(
    policy: NDArray[np.float64],
    over: NDArray[np.float64],
    logged: LoggedActions,
    resampling: Resampling,
    clip: float | None = None,
) -> PolicyValue:
    """How much more a policy would have earned a row than another one, on the same log and the same draws (paired).

    Much narrower than two intervals side by side: rows in which both do the same fall out.

    Args:
        policy: As in `value_of`.
        over: The other policy, likewise.
        logged: The log.
        resampling: Draws of `logged.unit`.
        clip: As in `value_of`.

    Raises:
        UsageError: A policy is none, or does not fit the log.
    """
    ours, theirs = _weighed(policy, logged, clip), _weighed(over, logged, clip)
    pairs = [(one, ours.measures()[one], other) for one, other in theirs.measures(start=6).items()]
    gains = [lambda sums, one=one, other=other: one(sums) - other(sums) for _, one, other in pairs]
    weights = [lambda sums: sums[2] / sums[0], lambda sums: sums[8] / sums[6]]
    *found, mean, mean_over = studentised(np.hstack((ours.columns(), theirs.columns())), [*gains, *weights], resampling)
    named = {name: figure for (name, _, _), figure in zip(pairs, found, strict=True)}
    overlap = {
        "policy": _overlap(policy, logged, ours, mean, clip),
        "over": _overlap(over, logged, theirs, mean_over, clip),
    }
    return PolicyValue(named["ips"], named["snips"], named.get("dr"), overlap, clip)


def always(action: NDArray[np.int64], actions: int) -> NDArray[np.float64]:
    """The policy that takes one action in each row for certain, as chances of shape (rows, actions).

    >>> always(np.array([1, 0]), 2)
    array([[0., 1.],
           [1., 0.]])
    """
    return np.eye(actions)[action]


def _weighed(policy: NDArray[np.float64], logged: LoggedActions, clip: float | None) -> Weighed:
    _require(policy, logged, clip)
    done = logged.action[:, None]
    weight = np.take_along_axis(policy, done, axis=1)[:, 0] / logged.propensity
    everywhere = np.ones(len(weight), np.bool_)
    foretold = logged.foretold
    return Weighed(
        weight=weight if clip is None else np.minimum(weight, clip),
        reward=logged.reward,
        counted=everywhere,
        open=everywhere,
        direct=None if foretold is None else (policy * foretold).sum(axis=1),
        foretold=None if foretold is None else np.take_along_axis(foretold, done, axis=1)[:, 0],
    )


def _require(policy: NDArray[np.float64], logged: LoggedActions, clip: float | None) -> None:
    """Refuse a policy that is no table of chances for the log's rows and actions."""
    tables = [table for table in (logged.chances, logged.foretold) if table is not None]
    rows, actions = len(logged.action), int(logged.action.max()) + 1
    problems = []
    if policy.ndim != 2 or len(policy) != rows or policy.shape[1] < actions:
        problems.append(f"the shape {policy.shape}, expected ({rows}, {actions} or more)")
    elif any(table.shape != policy.shape for table in tables):
        problems.append(f"the shape {policy.shape}, expected that of the log's chances and forecasts")
    else:
        none = ~((np.abs(policy.sum(axis=1) - 1) <= _OFF) & (policy >= 0).all(axis=1))
        problems += [f"{int(none.sum())} rows that are no chances, expected 0 or more and a sum of 1"] * bool(
            none.any()
        )
    if clip is not None and not clip > 0:
        problems.append(f"a clip of {clip}, expected a weight above 0, or none")
    if problems:
        raise UsageError(
            f"policy: found {'; '.join(problems)}. Give a chance for each action in each row; `always` makes them of "
            "a policy that does not draw."
        )


def _overlap(
    policy: NDArray[np.float64], logged: LoggedActions, weighed: Weighed, mean_weight: Interval, clip: float | None
) -> Overlap:
    weight, chances = weighed.weight, logged.chances
    whole = np.take_along_axis(policy, logged.action[:, None], axis=1)[:, 0] / logged.propensity
    mean = float((weight * weighed.reward).sum() / weight.sum()) if weight.any() else 0.0
    never_done = None if chances is None else float(policy[chances <= 0].sum()) / len(weight)
    small = policy[(chances > 0) & (chances < TINY)].sum() / len(weight) if chances is not None else 0.0
    if chances is None and whole.any():
        small = whole[logged.propensity < TINY].sum() / whole.sum()
    unclipped = Overlap(
        rows=len(weight),
        effective_rows=effective_rows(weight),
        telling_rows=effective_rows((weight * (weighed.reward - mean)) ** 2),
        mean_weight=mean_weight,
        never_done=never_done,
        tiny=float(small),
        largest_weight_share=float(weight.max() / weight.sum()) if weight.any() else 1.0,
        clipped=None if clip is None else float((whole > clip).mean()),
        warnings=(),
    )
    return Overlap(**{**vars(unclipped), "warnings": tuple(_warnings(unclipped, weighed))})


def _warnings(overlap: Overlap, weighed: Weighed) -> list[str]:
    said = weighed.reward[weighed.weight > 0]
    mean, effective = overlap.mean_weight, overlap.effective_rows
    doubts = {
        f"{overlap.never_done or 0:.1%} of the policy is on actions that the log gave no chance: nothing is known of "
        "it, and it counts as worth 0 (ips), as the rest (snips), or as foretold (dr)": (overlap.never_done or 0) > 0,
        f"the weights have a mean of {mean} where 1 was to be expected: the log did not do all that the policy does, "
        "or its propensities are wrong": overlap.clipped is None and not mean.low <= 1 <= mean.high,
        f"{overlap.tiny:.1%} of the policy is on actions with a chance below {TINY:g}": overlap.tiny > LARGE_SHARE,
        f"the log says as much of the policy as {effective:.0f} rows of its own, fewer than {FEW_ROWS:.0f}": effective
        < FEW_ROWS,
        f"the error rests on as few as {overlap.telling_rows:.0f} rows: intervals hold less often than they say": 0
        < overlap.telling_rows
        < FEW_TELLING,
        f"one row has {overlap.largest_weight_share:.1%} of all weight": overlap.largest_weight_share > LARGE_SHARE,
        "every row that counts brought the same reward, so how sure the figures are cannot be told": len(said) == 0
        or bool(np.ptp(said) == 0),
    }
    return [doubt for doubt, holds in doubts.items() if holds]
