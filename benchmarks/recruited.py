"""The shipped fraud task as the judge of a world that runs: it learns on some mornings and scores scan by scan.

On a morning the task learns from the tables as they stand, as `shepherd train` would; its last week is held back to
judge it. Every scan is read through the live state in the order of arrival, whoever judges, and the pay-off with its
cap decides. What the pay-off says of an action is played out: a blocked scan wins nothing; a check, a review or a
reduced prize keeps from honest people and from the wool party what their columns of the table say, by lot.

The judge knows less than a service would: verdicts and payouts reach it once a day (`benchmarks.told`), and what its
checks and reviews find out does not come back to it as labels. Features and training see what a scan might have won,
not what was kept from it, so that what was blocked does not look like a scan that won nothing.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.cosimulation import Ruling
from benchmarks.learned import TRIALS
from benchmarks.told import ROW, SCANS, SEEN_AT, Told
from benchmarks.unseen import morning
from features.online import LiveState
from training.payoff import Stakes, chosen_actions
from training.pipeline import fit
from training.tasks.fraud import TASK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from numpy.typing import NDArray

    from training.payoff import Payoff
    from training.pipeline import Model
    from training.task import Task

HELD_BACK: Final = timedelta(days=7)


class Recruited:
    """A judge that begins to block on its first morning.

    Attributes:
        told: What it knows.
        state: The features as of now.
        model: What it learned last; None before its first morning.
        learned_on: The mornings on which it did.
    """

    def __init__(self, mornings: Sequence[int], folder: Path, task: Task = TASK, seed: int = 0) -> None:
        """A judge that knows nothing yet.

        Args:
            mornings: The days on which it learns, in order.
            folder: Where it writes what it was told and what it learns from.
            task: What it learns; baselines and slices, which judge it for a report, are left out.
            seed: Where the chance of learning starts.
        """
        self.task = replace(task, baselines=(), slices=())
        self.told_so_far = Told(self.task, folder / "told")
        self.state = LiveState(self.task.features)
        self.model: Model | None = None
        self.learned_on: list[int] = []
        self._mornings = list(mornings)
        self._home = folder / "home"
        self._seed = seed
        self._day = 0

    def told(self, table: str, rows: pa.Table) -> None:
        """Takes down what reaches the brand; scans as they were when they were judged, with what they might win."""
        if table != SCANS:
            self.told_so_far.add(table, rows, self._day)

    def judge(self, day: int, scans: pa.Table) -> Ruling:
        """What to do about each scan, by what was known before it; nothing before the first morning."""
        self._day = day
        while self._mornings and self._mornings[0] <= day:
            self.model = self._learned(self._mornings.pop(0))
        self.told_so_far.add(SCANS, scans, day)
        events = self.told_so_far.since(_last(scans), scans)
        payoff = self.task.payoff
        if self.model is None:
            self.state.replay(events)
            return ruling(payoff, np.zeros(len(scans), np.int64))
        probability = self.model.probability(observed(self.state, events))
        stakes = Stakes(
            np.asarray(scans[payoff.stake], np.float64),
            np.array(scans[payoff.cap.group].to_pylist(), np.object_) if payoff.cap and payoff.cap.group else None,
        )
        return ruling(payoff, chosen_actions(payoff, probability, stakes, self.model.prices))

    def _learned(self, day: int) -> Model:
        task = self.task.cut_at(morning(day) - HELD_BACK)
        self.learned_on.append(day)
        return fit(task, self.told_so_far.past(day), home=self._home, trials=TRIALS, seed=self._seed).model


def ruling(payoff: Payoff, action: NDArray[np.int64]) -> Ruling:
    """Actions, and what they keep from whom: a prize that shrinks by a share is one that is lost as often.

    A fen that is at stake is worth 1 less to the brand where the wool party gets it; withheld from an honest shopper it
    costs `ScanCosts.broken_promise`, which is 1 in the task.
    """
    honest, wool = np.array(payoff.value_of_stake).T
    return Ruling(honest=-honest[action], wool=1 + wool[action], action=action)


def observed(state: LiveState, events: Mapping[str, pa.Table]) -> NDArray[np.float32]:
    """The features of each scan as of its own instant, in the order of `ROW`; all events are taken in on the way."""
    found = np.full((len(events[SCANS]), len(state.names)), np.nan, np.float32)
    for log, event in _in_turn(events):
        if log == SCANS:
            found[event[ROW]] = state.observe(log, event)
        else:
            state.append(log, event)
    return found


def _in_turn(events: Mapping[str, pa.Table]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of all logs in the order of their instants, as Python values."""
    logs = [log for log, table in events.items() if len(table)]
    tables = [_with_microseconds(events[log]) for log in logs]
    instants = np.concatenate([np.asarray(table[SEEN_AT], np.int64) for table in tables])
    turns = np.repeat(np.arange(len(logs)), [len(table) for table in tables])[np.argsort(instants, kind="stable")]
    rows = [iter(table.to_pylist()) for table in tables]
    for turn in turns.tolist():
        yield logs[turn], next(rows[turn])


def _with_microseconds(table: pa.Table) -> pa.Table:
    place = table.column_names.index(SEEN_AT)
    return table.set_column(place, SEEN_AT, table[SEEN_AT].cast(pa.timestamp("us", "UTC")).cast(pa.int64()))


def _last(scans: pa.Table) -> datetime:
    """When the last of these scans arrived."""
    latest: datetime = pc.max(pc.coalesce(scans["received_at"], scans["ts"])).as_py()
    return latest
