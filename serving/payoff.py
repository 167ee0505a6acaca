"""What an action is worth: the pay-off table of a task, the cap on the harm it may do, and what keeping the cap costs.

An amount may hang on what is at stake in a row, such as the prize of a scan: every cell of the table is a straight
line in it. So one table says both that a review costs 300 fen and that paying the wool party loses the prize.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from data.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Table = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Cap:
    """The most harm that may be done: which share of the rows of one outcome may get one of some actions.

    Attributes:
        actions: What harms: hold, block.
        outcome: Whom it harms: honest.
        rate: The largest share, 0.001 for one in a thousand.
        group: The column of the rows whose values may have a rate of their own, such as `campaign_id`; empty where one
            rate holds for all.
        rates: The rates of those that have.
    """

    actions: tuple[str, ...]
    outcome: str
    rate: float
    group: str = ""
    rates: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Prices:
    """What keeping the cap costs: fen taken off each capped action for each row that it would harm.

    It is the multiplier of Lagrange of the cap, found on rows that the model was not fitted on. It moves the choice and
    is no money: values in fen are told without it.

    Attributes:
        default: The price where no other is given; 0 where the actions that earn most keep the cap by themselves.
        by_group: The prices of groups with a rate of their own.
    """

    default: float = 0.0
    by_group: dict[str, float] = field(default_factory=dict)

    def of(self, groups: Sequence[str | None] | NDArray[np.object_] | None, rows: int) -> NDArray[np.float64]:
        """The price of each row, shape (rows,), given the group of each; none where the cap has no groups."""
        if groups is None:
            return np.full(rows, self.default)
        return np.array([self.default if group is None else self.by_group.get(group, self.default) for group in groups])


@dataclass(frozen=True)
class Payoff:
    """What each action earns or costs under each outcome, in fen.

    The first action is what happens if nobody decides (pay the prize, send no coupon): it wins ties, and an answer
    whose best action it is recommends nothing. With two outcomes the second is the one that the model predicts.

    Attributes:
        actions: Names of the actions, the passive one first.
        outcomes: Names of what may happen; exactly one does.
        value_fen: One row an action, one number an outcome.
        value_of_stake: Likewise, what is added for each fen at stake; empty where nothing is.
        stake: The column of the rows that says what is at stake, in fen; empty where nothing is.
        stakes_shown: Stakes at which thresholds are shown to people, in fen.
        cap: The most harm that may be done; None where money alone decides.
    """

    actions: tuple[str, ...]
    outcomes: tuple[str, ...]
    value_fen: Table
    value_of_stake: Table = ()
    stake: str = ""
    stakes_shown: tuple[float, ...] = ()
    cap: Cap | None = None

    def __post_init__(self) -> None:
        """Refuse a table that is not one number for each action and outcome, and a cap on what is not in it."""
        problems = [
            *_name_problems("actions", self.actions, 1),
            *_name_problems("outcomes", self.outcomes, 2),
            *self._table_problems("value_fen", self.value_fen),
            *self._stake_problems(),
            *(self._cap_problems(self.cap) if self.cap else ()),
        ]
        if problems:
            raise UsageError("Payoff: " + "; ".join(problems) + ". Mend the table in the task's declaration.")

    def values(self, stake: NDArray[np.float64] | None, rows: int) -> NDArray[np.float64]:
        """The table of each row in fen, shape (rows, actions, outcomes), or (1, actions, outcomes) where all share one.

        Args:
            stake: What is at stake in each row, in fen, shape (rows,); None where the table hangs on no stake.
            rows: How many rows there are.

        Raises:
            UsageError: The table needs a stake and none was given, or one that is negative or unknown.
        """
        fixed = np.array(self.value_fen, dtype=np.float64)[None]
        if not self.stake:
            return fixed
        if stake is None or stake.shape != (rows,) or not (np.isfinite(stake) & (stake >= 0)).all():
            found = "none" if stake is None else f"{stake.dtype} of shape {stake.shape}, or negative or unknown ones"
            raise UsageError(
                f"decide: found as stakes {found}, expected {self.stake!r} of each of {rows} rows, 0 fen or more; "
                "pass the column of that name."
            )
        return fixed + np.array(self.value_of_stake, dtype=np.float64)[None] * stake[:, None, None]

    def _table_problems(self, name: str, table: Table) -> list[str]:
        problems = []
        if len(table) != len(self.actions):
            problems.append(f"found {len(table)} rows of {name}, expected one for each action")
        for number, row in enumerate(table, start=1):
            if len(row) != len(self.outcomes):
                problems.append(f"row {number} of {name}: found {len(row)} values, expected one for each outcome")
            if not all(np.isfinite(value) for value in row):
                problems.append(f"row {number} of {name}: found {list(row)}, expected finite numbers of fen")
        return problems

    def _stake_problems(self) -> list[str]:
        problems = self._table_problems("value_of_stake", self.value_of_stake) if self.value_of_stake else []
        if bool(self.stake) != bool(self.value_of_stake):
            problems.append("found one of stake and value_of_stake, expected both or neither")
        if self.stakes_shown and not self.stake:
            problems.append("found stakes_shown, expected none without a stake")
        if not all(np.isfinite(stake) and stake >= 0 for stake in self.stakes_shown):
            problems.append(f"found stakes_shown {list(self.stakes_shown)}, expected 0 fen or more")
        return problems

    def _cap_problems(self, cap: Cap) -> list[str]:
        problems = []
        unknown = [action for action in cap.actions if action not in self.actions]
        if unknown or not set(self.actions) - set(cap.actions) or not cap.actions:
            problems.append(f"cap: found the actions {list(cap.actions)}, expected some, not all, of the table's")
        if cap.outcome not in self.outcomes:
            problems.append(f"cap: found the outcome {cap.outcome!r}, expected one of {list(self.outcomes)}")
        if not all(0 < rate <= 1 for rate in chain((cap.rate,), cap.rates.values())):
            problems.append(f"cap: found the rates {[cap.rate, *cap.rates.values()]}, expected shares above 0, up to 1")
        if cap.rates and not cap.group:
            problems.append("cap: found rates of groups, expected the column that names the group")
        return problems


def _name_problems(what: str, names: tuple[str, ...], least: int) -> list[str]:
    problems = []
    if len(names) < least:
        problems.append(f"found {len(names)} {what}, expected at least {least}")
    if len(set(names)) != len(names):
        problems.append(f"found {what} {list(names)}, expected each name once")
    if not all(names):
        problems.append(f"found an empty name among {what}")
    return problems


AN_ORDER = Payoff(("place",), ("not_taken", "taken"), ((0.0, 0.0),))
"""Stands in the bundle of an order, which has nothing to choose between: what a place is worth nobody has said."""
