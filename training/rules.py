"""The analyst's rules: limits on velocity and sharing, such as "more than 4 members on this phone in a week".

Each is a feature and a limit out of the tail of the past, some holding in one circumstance only. They are picked one
after the other, always the one whose further catch holds the largest share of known yeses, rows without a label taken
for a no: they are diluted, not reordered, as long as labels miss the yeses evenly. It is the most that limits on single
features can do, and what a learned model has to beat.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import numpy as np

from data.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from training.dataset import Examples
    from training.unlabelled import Past

    Flags = NDArray[np.bool_]
    Reals = NDArray[np.float64]

Key = TypeVar("Key")

TAILS: Final = (0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002, 0.0001)
LONGEST_LIST: Final = 60
OTHERS_LOOKED_AT: Final = 100_000
FEWEST_MORE: Final = 10
DOUBT: Final = 20.0


@dataclass(frozen=True)
class Circumstance:
    """When a rule holds: an analyst sets tighter limits for newcomers, links, and codes that ought not to be there.

    Attributes:
        name: In the analyst's words; empty for always.
        column: A feature, or a slice column of the task.
        below: It holds where the feature is below this.
        equal: It holds where the slice column says this.
    """

    name: str = ""
    column: str = ""
    below: float | None = None
    equal: str | None = None

    def holds(self, table: Examples, rows: NDArray[np.intp]) -> Flags:
        """Whether it holds in each of some rows; an unknown value never does.

        Raises:
            UsageError: The table has no such column.
        """
        if not self.column:
            return np.ones(len(rows), np.bool_)
        if self.below is not None:
            held: Flags = _values(table, self.column, rows) < self.below
            return held
        if self.column not in table.slices:
            raise UsageError(
                f"the circumstance {self.name!r} asks for the slice {self.column!r}, found {', '.join(table.slices)}; "
                "name it among the slices of the task"
            )
        return np.asarray(table.slices[self.column][rows] == self.equal, np.bool_)


@dataclass(frozen=True)
class Limit:
    """One rule: more than so much of a feature is caught.

    Attributes:
        feature: What is limited.
        above: The limit.
        circumstance: When it holds.
    """

    feature: str
    above: float
    circumstance: Circumstance

    def __str__(self) -> str:
        """As an analyst would write it.

        >>> str(Limit("device_distinct_member_7d", 4.0, Circumstance("new member", "age", below=30)))
        'device_distinct_member_7d > 4, new member'
        """
        limit = f"{self.feature} > {self.above:g}"
        return f"{limit}, {self.circumstance.name}" if self.circumstance.name else limit


@dataclass(frozen=True)
class RuleList:
    """Rules in the order in which they were picked.

    Attributes:
        limits: The most telling first.
        in_force: How many of them keep the share of rows drawn by lot that are a no, and are caught, within the rate.
    """

    limits: tuple[Limit, ...]
    in_force: int

    def score(self, table: Examples, rows: NDArray[np.intp]) -> Reals:
        """How early in the list the first rule comes that catches a row, and within it how far the limit is passed.

        Shape (rows,), 0 where no rule catches. A threshold on it is a shorter list whose last limit is tightened.
        """
        score = np.zeros(len(rows))
        for place, limit in reversed(list(enumerate(self.limits))):
            value = _values(table, limit.feature, rows)
            caught = limit.circumstance.holds(table, rows) & (value > limit.above)
            beyond = (value[caught] - limit.above) / max(abs(limit.above), 1.0)
            score[caught] = len(self.limits) - place - 1 / (2 + beyond)
        return score


def pick_rules(past: Past, limited: Sequence[str], circumstances: Sequence[Circumstance], rate: float) -> RuleList:
    """The rules that an analyst would arrive at.

    Args:
        past: What is known; rows whose label had not closed are looked at too, thinned to 100 000.
        limited: Features of which more is more suspicious.
        circumstances: Limits of their own are tried in each.
        rate: The share of rows drawn by lot that are a no which the rules in force may catch.
    """
    table = past.table
    yes = past.labelled[table.label[past.labelled] == 1]
    no = past.labelled[(table.label[past.labelled] == 0) & table.by_lot[past.labelled]]
    others = np.sort(np.concatenate((past.unlabelled, past.labelled[table.label[past.labelled] == 0])))
    every = max(1, -(-len(others) // OTHERS_LOOKED_AT))
    rows = np.concatenate((yes, others[::every]))
    desk = Desk(
        np.arange(len(rows)) < len(yes),
        {circumstance: circumstance.holds(table, rows) for circumstance in circumstances},
        ((name, _values(table, name, rows)) for name in limited),
        float(every),
    )
    limits: list[Limit] = []
    in_force = 0
    caught = np.zeros(len(no), np.bool_)
    while len(limits) < LONGEST_LIST:
        picked = desk.pick()
        if picked is None:
            break
        limit = Limit(*picked)
        limits.append(limit)
        caught |= limit.circumstance.holds(table, no) & (_values(table, limit.feature, no) > limit.above)
        if len(no) and caught.mean() <= rate:
            in_force = len(limits)
    return RuleList(tuple(limits), in_force)


class Desk(Generic[Key]):
    """What the analyst looks at: rows of the past that no rule catches yet.

    Args:
        known: Which of them are known yeses, shape (rows,).
        holds: In which of them each circumstance holds; of rules that tell alike, the earlier circumstance's is picked.
        values: What limits are set on, shape (rows,) each, NaN where unknown.
        weight: How many rows each of the others stands for.
    """

    def __init__(
        self, known: Flags, holds: Mapping[Key, Flags], values: Iterable[tuple[str, Reals]], weight: float
    ) -> None:
        self._known = known
        self._holds = dict(holds)
        self._steps = {name: _steps(column, known) for name, column in values}
        self._weight = weight

    def pick(self) -> tuple[str, float, Key] | None:
        """The feature, limit and circumstance whose further catch holds the largest share of known yeses.

        Takes that catch away.
        """
        best = max(self._candidates(), key=lambda found: found[:3], default=None)
        if best is None:
            return None
        _, name, place, circumstance = best
        limits, step = self._steps[name]
        left = ~(self._holds[circumstance] & (step > place))
        self._known = self._known[left]
        self._holds = {key: holds[left] for key, holds in self._holds.items()}
        self._steps = {key: (one, step[left]) for key, (one, step) in self._steps.items()}
        return name, float(limits[place]), circumstance

    def _candidates(self) -> Iterator[tuple[float, str, int, Key]]:
        for circumstance, holds in self._holds.items():
            known = holds & self._known
            for name, (limits, step) in self._steps.items():
                yes = _beyond(step[known], len(limits))
                if not yes[:1].sum():
                    continue
                others = _beyond(step[holds], len(limits)) - yes
                share = yes / (yes + self._weight * others + DOUBT)
                for place in np.flatnonzero(yes >= FEWEST_MORE).tolist():
                    yield float(share[place]), name, place, circumstance


def _values(table: Examples, name: str, rows: NDArray[np.intp]) -> Reals:
    if name not in table.features:
        raise UsageError(
            f"the rules limit a feature that the task has not: found {name!r}, expected one of "
            f"{', '.join(table.features)}"
        )
    return np.asarray(table.matrix[rows, table.features.index(name)], np.float64)


def _steps(values: Reals, known: Flags) -> tuple[Reals, NDArray[np.intp]]:
    """The limits to try, ascending, and how many of them each value lies above."""
    usual = values[~known & ~np.isnan(values)]
    limits = np.unique(np.quantile(usual, [1 - tail for tail in TAILS])) if len(usual) else np.empty(0)
    return limits, np.searchsorted(limits, np.nan_to_num(values, nan=-np.inf), side="left")


def _beyond(step: NDArray[np.intp], limits: int) -> NDArray[np.int64]:
    """How many values lie above each limit."""
    counts = np.bincount(step, minlength=limits + 1)
    return counts[::-1].cumsum()[::-1][1:].astype(np.int64)
