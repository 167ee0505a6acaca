"""An audience's offers from its tables to a file: who they are, what runs, what each is worth, who gets what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from data.errors import DataError, UsageError
from data.member_list import require_table_name, write_table
from features.audience.filter import Everybody
from features.audience.library import Library
from features.audience.population import population
from training.allocation import Decider, allocate, policy_of, write_prices
from training.bundles import bundles, read, resolve
from training.catalogue import find
from training.offer_candidates import Sending, build_candidates

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from data.sources import DataSet
    from data.steps import Steps
    from training.allocation import Allocated, OfferPolicy


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is asked for.

    Attributes:
        at: The moment of sending, with a time zone.
        audience: Name of a saved audience; None for every member.
        budget_fen: What all sends together may be expected to cost; None for the prices of the bundle.
        campaign: In which offers go out; None for each offer's newest running one.
        fraud: Parquet or CSV file of member_id and fraud_probability; None where nothing is known of that.
        task: The task that decides.
        pointer: Which of its models.
    """

    at: datetime
    audience: str | None = None
    budget_fen: float | None = None
    campaign: str | None = None
    fraud: Path | None = None
    task: str = "offers"
    pointer: Literal["champion", "challenger"] = "champion"


@dataclass(frozen=True)
class OfferRun:
    """What was decided, and where it lies.

    Attributes:
        order: What was asked for.
        allocated: What each member gets.
        version: Of the bundle.
        out: The decisions.
        rows: What was known of each member with each offer, for the service to answer from.
        prices: At which it was decided, likewise.
    """

    order: Order
    allocated: Allocated
    version: str
    out: Path
    rows: Path
    prices: Path

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "audience": self.order.audience,
            "at": self.order.at.isoformat(),
            "task": self.order.task,
            "version": self.version,
            **self.allocated.as_dict(),
            "out": str(self.out),
            "rows": str(self.rows),
            "price_file": str(self.prices),
        }

    def text(self) -> str:
        """For people."""
        told = self.allocated.as_dict()
        margin, budget = told["expected_margin_fen"], self.order.budget_fen
        within = "" if budget is None else f" of {budget:,.0f} ({_share(told['gap'])} below the best there can be)"
        live = f"SHEPHERD_OFFERS={self.rows} SHEPHERD_PRICES={self.prices} shepherd serve"
        lines = [
            f"{self.order.audience or 'every member'} as of {self.order.at.isoformat()}",
            f"{told['members']:,} members, {told['offers']} offers, {told['sends']:,} sends",
            f"expected cost {told['spend_fen']:,.0f} fen{within}",
            f"expected extra margin after cost {_interval(margin)} fen, of it {told['counted_on_fen']:,.0f} counted on",
            *_counts("gets nothing", told["no_offer"], "members"),
            *_counts("ruled out", told["ruled_out"], "offers"),
            *_counts("not known, so not held against", told["unknown"], "members"),
            f"decisions in {self.out}; to answer the same live: {live}",
        ]
        return "\n".join(lines)


def decide(data_set: DataSet, order: Order, out: Path, home: Path, steps: Steps) -> OfferRun:
    """Decide for an audience and write the decisions, beside them the rows and the prices that they rest on.

    Args:
        data_set: Tables that keep their contracts.
        order: What is asked for.
        out: The file, .parquet or .csv.
        home: Where bundles and audiences lie.
        steps: Collects how long each step took.

    Raises:
        DataError: There is no model, no running offer, or the tables are not as they should be.
        UsageError: The file's name, the audience or the model is none that this can be done with.
    """
    require_table_name(out)
    bundle = read(resolve(bundles(home), order.task, order.pointer))
    if bundle.manifest.effects is None:
        raise UsageError(
            f"task {order.task!r}: found a model of redemption alone, expected one of what offers change; train and "
            "promote one of the task offers"
        )
    policy = policy_of(bundle.manifest.effects)
    rows, prices = out.with_name(f"{out.stem}.rows.parquet"), out.with_name(f"{out.stem}.prices.json")
    with steps.step("choose members") as step:
        members = _members(data_set, order, home)
        step.rows = members.num_rows
    with steps.step("build what is known of each offer") as step:
        sending = Sending(order.at, order.campaign, _whole_days(policy), _fraud(order.fraud))
        features = find(order.task).features
        step.rows = build_candidates(features, data_set, members, sending, rows, step.reach)
    with steps.step("value, rule out and allocate") as step:
        step.rows = members.num_rows
        asked = [str(one) for one in members["member_id"].to_pylist()]
        found = allocate(Decider.of(bundle, rows), asked, order.at, order.budget_fen)
    write_prices(found.prices, prices)
    write_table(found.table(), out)
    return OfferRun(order, found, bundle.manifest.version, out, rows, prices)


def _members(data_set: DataSet, order: Order, home: Path) -> pa.Table:
    library = Library(home / "audiences")
    named = order.audience
    condition = Everybody() if named is None else library.expanded(library.get(named).condition)
    with population(data_set, order.at) as everybody:
        members = everybody.select(condition).members
    if not members.num_rows:
        raise DataError(
            f"audience {order.audience!r} as of {order.at.isoformat()}: found nobody, expected members; ask as of "
            "another moment with --at, or change the filter"
        )
    return members


def _whole_days(policy: OfferPolicy) -> int:
    days = policy.limits.sends_days
    if days != int(days):
        raise UsageError(f"limit sends_days: found {days}, expected whole days to count sends over")
    return int(days)


def _fraud(path: Path | None) -> pa.Table | None:
    if path is None:
        return None
    require_table_name(path)
    types: dict[str, pa.DataType] = {"member_id": pa.string(), "fraud_probability": pa.float64()}
    options = pa_csv.ConvertOptions(column_types=types, include_columns=[*types])
    try:
        table = pq.read_table(path, columns=[*types]) if path.suffix == ".parquet" else _csv(path, options)
        plain = table.select([*types]).cast(pa.schema(types))
    except (OSError, pa.ArrowException, KeyError) as error:
        raise DataError(
            f"{path}: found no table of member_id and fraud_probability ({str(error).splitlines()[0]}), expected both "
            "columns; mend the file"
        ) from error
    if len(set(plain["member_id"].to_pylist())) != plain.num_rows:
        raise DataError(f"{path}: found a member twice, expected each member_id once")
    return plain


def _csv(path: Path, options: pa_csv.ConvertOptions) -> pa.Table:
    return pa_csv.read_csv(path, convert_options=options)


def _interval(figure: object) -> str:
    if not isinstance(figure, dict):
        return str(figure)
    return f"{figure['value']:,.0f} [{figure['low']:,.0f}, {figure['high']:,.0f}]"


def _share(gap: object) -> str:
    return f"{100 * gap:.2g} %" if isinstance(gap, float) else "nothing"


def _counts(what: str, found: object, of: str) -> list[str]:
    if not isinstance(found, dict) or not found:
        return []
    counted: Mapping[str, int] = found
    return [f"{what} ({of}): " + ", ".join(f"{name} {count:,}" for name, count in counted.items())]
