"""What came of decisions on scans: verdicts and feedback, out of the log and out of tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from data.errors import DataError
from training.decision_log import UNKNOWN
from training.monitoring.week import microseconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from data.sources import DataSet
    from training.monitoring.journal import Line
    from training.monitoring.served import Served

AUDIT: Final = "audit"
_VERDICTS: Final = "scan_labels"
_FEEDBACK: Final = "feedback"


@dataclass(frozen=True)
class Told:
    """One verdict or feedback.

    Attributes:
        landed_at: When it was known, microseconds since 1970 UTC.
        outcome: 0 or 1, or the name of an outcome.
        by_lot: Whether the row was drawn by lot to be told of: audited, or let through.
    """

    landed_at: int
    outcome: int | str
    by_lot: bool


@dataclass
class Heard:
    """Everything that was told so far; of two verdicts on one thing the first counts.

    Attributes:
        verdicts: By scan.
        feedback: By decision.
    """

    verdicts: dict[str, Told] = field(default_factory=dict)
    feedback: dict[str, Told] = field(default_factory=dict)

    def hear(self, line: Line) -> None:
        """Take in an entry of the log, if it is one of these."""
        if line.record is None or line.log not in {_VERDICTS, _FEEDBACK}:
            return
        asked = line.record.request
        landed = asked.get("landed_at")
        at = microseconds(msgspec.convert(landed, datetime)) if landed else line.seen_at
        self._hear(line.log, asked, at)

    def read(self, data_set: DataSet, served: Served) -> None:
        """Take in the tables of a folder, as far as they are about the decisions of the week.

        Raises:
            DataError: The folder has neither of the tables, or they cannot be read.
        """
        tables = [name for name in (_VERDICTS, _FEEDBACK) if name in data_set.files]
        if not tables:
            raise DataError(
                f"{data_set.root}: found no table {_VERDICTS} or {_FEEDBACK}, expected one of them with what came of "
                "decisions; leave --data out where the log has all of it"
            )
        keys = {_VERDICTS: ("scan_id", served.scan_id), _FEEDBACK: ("decision_id", served.decision_id)}
        with data_set.connect() as connection:
            for table in tables:
                key, ids = keys[table]
                connection.register("asked_about", pa.table({key: pa.array(ids.tolist(), pa.string())}))
                rows = connection.sql(
                    f'SELECT *, epoch_us(landed_at) AS heard_at FROM "{table}" SEMI JOIN asked_about USING ({key})'
                ).to_arrow_table()
                for row in rows.to_pylist():
                    self._hear(table, row, row["heard_at"])
                connection.unregister("asked_about")

    def _hear(self, table: str, row: Mapping[str, Any], at: int) -> None:
        if table == _VERDICTS:
            _first(self.verdicts, row["scan_id"], Told(at, int(row["is_wool"]), row.get("origin") == AUDIT))
        else:
            told = Told(at, str(row["outcome"]), bool(row["allowed_at_random"]))
            _first(self.feedback, row["decision_id"], told)


def _first(told: dict[str, Told], key: str, one: Told) -> None:
    before = told.get(key)
    if before is None or one.landed_at < before.landed_at:
        told[key] = one


@dataclass(frozen=True)
class Truth:
    """What came of each decision, shape (rows,).

    Attributes:
        outcome: Index into the pay-off's outcomes; `UNKNOWN` where nobody told yet.
        by_lot: Whether it was a lot that had it told, so that such rows stand for all.
        chance: With which chance a lot has a row like it told; 0 where no lot does.
        lot: Which lot: `audits`, `holdout`, or nothing where there was none.
        days: Days from the decision until it was told; NaN where it was not.
    """

    outcome: NDArray[np.int64]
    by_lot: NDArray[np.bool_]
    chance: NDArray[np.float64]
    lot: str
    days: NDArray[np.float64]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Of which rows something was told."""
        known: NDArray[np.bool_] = self.outcome != UNKNOWN
        return known

    @property
    def by_chance(self) -> NDArray[np.int64]:
        """The outcomes that a lot had told; `UNKNOWN` for others."""
        return np.where(self.by_lot, self.outcome, UNKNOWN)


def truth_of(served: Served, heard: Heard, outcomes: tuple[str, ...]) -> Truth:
    """Join decisions with what was told of them; feedback counts before a verdict.

    Feedback on what the holdout let through stands for all by the inverse of its share, within those that were meant
    the same. Where there is none, audits do: they are drawn from all scans alike, each standing for as many.

    Raises:
        DataError: An outcome is none of the pay-off's, or feedback says let through where the log says not.
    """
    rows = len(served.decision_id)
    outcome, by_lot, days = np.full(rows, UNKNOWN), np.zeros(rows, np.bool_), np.full(rows, np.nan)
    told = list(_told(served, heard))
    holdout = any(one.by_lot for row, one in told if isinstance(one.outcome, str))
    problems = []
    for row, one in told:
        value = outcomes.index(one.outcome) if one.outcome in outcomes else one.outcome
        if isinstance(value, str) or not 0 <= value < len(outcomes):
            problems.append(f"{served.decision_id[row]}: the outcome {one.outcome!r}")
            continue
        of_holdout = isinstance(one.outcome, str)
        if of_holdout and one.by_lot and not served.allowed[row]:
            problems.append(f"{served.decision_id[row]}: let through at random, which the log denies")
        outcome[row], by_lot[row] = value, one.by_lot and of_holdout == holdout
        days[row] = (one.landed_at - served.seen_at[row]) / 86_400e6
    if problems:
        raise DataError(
            f"feedback: found {len(problems)} rows that the log contradicts ({'; '.join(problems[:10])}), expected the "
            f"outcomes {', '.join(outcomes)} and the holdout of the same service; mend them at their source"
        )
    lot = ("holdout" if holdout else "audits") if by_lot.any() else ""
    return Truth(outcome, by_lot, _chance(served, by_lot, lot), lot, days)


def _told(served: Served, heard: Heard) -> Iterator[tuple[int, Told]]:
    named: Iterable[tuple[str, str]] = zip(served.decision_id.tolist(), served.scan_id.tolist(), strict=True)
    for row, (decision_id, scan_id) in enumerate(named):
        one = heard.feedback.get(decision_id) or heard.verdicts.get(scan_id)
        if one is not None:
            yield row, one


def _chance(served: Served, by_lot: NDArray[np.bool_], lot: str) -> NDArray[np.float64]:
    if not lot:
        return np.zeros(len(by_lot))
    if lot == "audits":
        return np.full(len(by_lot), by_lot.mean())
    through = served.allowed
    chance = served.share.copy()
    for action in set(served.meant.tolist()):
        alike = served.meant == action
        if (through & alike).any():
            chance[alike] *= by_lot[alike].sum() / (through & alike).sum()
    return chance
