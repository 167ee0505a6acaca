"""Every member's lifetime value from the tables to a file: how often they will buy, for how much, and if at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from data.contracts import TABLES
from data.errors import DataError, UsageError
from data.logs import LOGS
from data.member_list import require_table_name, write_table
from training.lifetime_value import PurchaseModel, SpendModel, lifetime_value
from training.purchase_history import read_histories

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    import duckdb
    from numpy.typing import NDArray

    from data.sources import DataSet
    from data.steps import Steps
    from training.interval import Interval
    from training.purchase_history import Histories

    Reals = NDArray[np.float64]

LEAST_DAYS: Final = 28
"""Told from less than four weeks of purchases, rates and leaving cannot be told apart."""


@dataclass(frozen=True, kw_only=True)
class Horizon:
    """What is asked for.

    Attributes:
        at: The moment, with a time zone; nothing of it or later is seen.
        days: How far ahead.
        margin: Share of an amount that is earned; None for that of all purchases so far.
        yearly_discount: Share that money loses by coming a year later.
        time_zone: In which a day begins at midnight.
    """

    at: datetime
    days: float = 365.0
    margin: float | None = None
    yearly_discount: float = 0.0
    time_zone: str = "UTC"

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be meant.

        Raises:
            UsageError: A number is out of its range; all such findings at once.
        """
        problems = []
        if not 0 < self.days < float("inf"):
            problems.append(f"days ahead: found {self.days}, expected more than 0")
        if self.margin is not None and not 0 < self.margin <= 1:
            problems.append(f"margin: found {self.margin}, expected a share above 0 and at most 1")
        if not 0 <= self.yearly_discount < 1:
            problems.append(f"yearly discount: found {self.yearly_discount}, expected a share from 0 to below 1")
        if problems:
            raise UsageError("; ".join(problems))


@dataclass(frozen=True)
class ValueRun:
    """What was found, and where it lies.

    Attributes:
        horizon: What was asked for.
        margin: Share of an amount that is earned.
        purchases: How often members buy, and leave.
        spend: What a purchase is worth.
        table: A row a member who ever bought, in order of their id.
        members: Who had registered by then, with those who never bought; None without a table of members.
        out: The file.
    """

    horizon: Horizon
    margin: float
    purchases: PurchaseModel
    spend: SpendModel
    table: pa.Table
    members: int | None
    out: Path

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        intervals = {**self.purchases.intervals(), **self.spend.intervals()}
        return {
            "as_of": self.horizon.at.isoformat(),
            "days": self.horizon.days,
            "margin": self.margin,
            "yearly_discount": self.horizon.yearly_discount,
            "buyers": self.table.num_rows,
            "members": self.members,
            **self._summary(),
            "parameters": {name: one.as_dict() for name, one in intervals.items()},
            "out": str(self.out),
        }

    def text(self) -> str:
        """For people."""
        told = self._summary()
        never = "" if self.members is None else f"; {self.members - self.table.num_rows:,} others never bought"
        intervals = {**self.purchases.intervals(), **self.spend.intervals()}
        given = "of all purchases so far" if self.horizon.margin is None else "as given"
        everybody = (
            f"expected of all of them: {told['purchases']:,.0f} purchases, {told['value_fen']:,.0f} fen of margin "
            f"({self.margin:.1%} of what is paid, {given})"
        )
        here = (
            f"still here: {told['alive']:,.0f} by the sum of their chances; the best tenth holds "
            f"{told['share_of_best_tenth']:.0%} of the value"
        )
        lines = [
            f"as of {self.horizon.at.isoformat()}, {self.horizon.days:,.0f} days ahead",
            f"{self.table.num_rows:,} members who ever bought{never}",
            everybody,
            here,
            "purchases (BG/NBD, in days): " + _listed(intervals, ("r", "alpha", "a", "b")),
            "worth (gamma-gamma, in fen): " + _listed(intervals, ("p", "q", "v")),
            f"a row a member, by their id, in {self.out}",
        ]
        return "\n".join(lines)

    def _summary(self) -> dict[str, float]:
        value = np.sort(_reals(self.table["value_fen"]))[::-1]
        best = float(value[: max(1, round(len(value) / 10))].sum())
        total = float(value.sum())
        return {
            "purchases": float(_reals(self.table["purchases_expected"]).sum()),
            "alive": float(_reals(self.table["chance_alive"]).sum()),
            "value_fen": total,
            "share_of_best_tenth": best / total if total else 0.0,
        }


def value_members(data_set: DataSet, horizon: Horizon, out: Path, steps: Steps) -> ValueRun:
    """Fit both models on what was known at a moment, and write what each member is expected to be worth.

    The file has a row a member who ever bought: `days_bought` (days with a purchase), `days_since_purchase`,
    `chance_alive`, `purchases_expected` with its 95 % interval (of the expectation, not of chance), `purchase_fen`
    (paid for a purchase, on average) and `value_fen` (margin over the days ahead).

    Args:
        data_set: With the table `orders`; `members` says who never bought.
        horizon: What is asked for.
        out: The file, .parquet or .csv.
        steps: Collects how long each step took.

    Raises:
        DataError: There are too few purchases or days of them, or there are no margins and none is given.
        UsageError: The file's name or a number is none that this can be done with.
    """
    require_table_name(out)
    with steps.step("read purchases") as step, data_set.connect() as connection:
        LOGS["baskets"].require(connection)
        histories = read_histories(connection, horizon.at, horizon.time_zone)
        _require_days(histories, horizon)
        margin = _margin(connection, horizon) if horizon.margin is None else horizon.margin
        members = _members(connection, horizon) if "members" in data_set.files else None
        step.rows = len(histories.member)
    with steps.step("fit purchases and their worth") as step:
        purchases, spend = PurchaseModel.fit(histories), SpendModel.fit(histories)
        step.rows = len(histories.member)
    with steps.step("value members") as step:
        table = _table(purchases, spend, histories, horizon, margin)
        step.rows = table.num_rows
    write_table(table, out)
    return ValueRun(horizon, margin, purchases, spend, table, members, out)


def _table(
    purchases: PurchaseModel, spend: SpendModel, histories: Histories, horizon: Horizon, margin: float
) -> pa.Table:
    low, high = purchases.purchases_between(histories, horizon.days)
    value = lifetime_value(purchases, spend, histories, horizon.days, margin, horizon.yearly_discount)
    return pa.table(
        {
            "member_id": pa.array(histories.member, pa.string()),
            "days_bought": pa.array((histories.frequency + 1).astype(np.int64)),
            "days_since_purchase": histories.age - histories.recency,
            "chance_alive": purchases.alive(histories),
            "purchases_expected": purchases.purchases(histories, horizon.days),
            "purchases_expected_low": low,
            "purchases_expected_high": high,
            "purchase_fen": spend.mean_amount(histories),
            "value_fen": value,
        }
    )


def _require_days(histories: Histories, horizon: Horizon) -> None:
    longest = float(histories.age.max())
    if longest < LEAST_DAYS:
        raise DataError(
            f"orders: found purchases of {longest:.0f} days before {horizon.at.isoformat()}, expected {LEAST_DAYS} at "
            "least, to tell who buys seldom from who has left; give a longer log, or ask as of a later moment with --at"
        )


def _margin(connection: duckdb.DuckDBPyConnection, horizon: Horizon) -> float:
    """What is earned of all that was paid before the moment, by the lines whose margin is known."""
    arrival = f"coalesce({', '.join(TABLES['orders'].arrival)})"
    query = f"""
        SELECT sum(margin_fen) / nullif(sum(amount_fen), 0) FROM orders
        WHERE {arrival} < ? AND margin_fen IS NOT NULL AND member_id IS NOT NULL
    """
    ((found,),) = connection.execute(query, [horizon.at]).fetchall()
    if found is None or not 0 < found <= 1:
        raise DataError(
            f"orders.margin_fen: found {'no margin' if found is None else f'a margin of {found:.1%} of what is paid'}, "
            "expected a share above 0 and at most 1; fill the column, or give a share with --margin"
        )
    return float(found)


def _members(connection: duckdb.DuckDBPyConnection, horizon: Horizon) -> int:
    query = """
        SELECT count(DISTINCT member_id) FROM members WHERE registered_at IS NULL OR registered_at < ?
        OR member_id IN (SELECT member_id FROM orders WHERE ts < ?)
    """
    ((found,),) = connection.execute(query, [horizon.at, horizon.at]).fetchall()
    return int(found)


def _reals(column: pa.ChunkedArray[pa.DoubleScalar]) -> Reals:
    return np.asarray(column.to_numpy(), np.float64)


def _listed(intervals: dict[str, Interval], names: tuple[str, ...]) -> str:
    return ", ".join(f"{name} {intervals[name]}" for name in names)
