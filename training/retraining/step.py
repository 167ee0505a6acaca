"""One idempotent step for a scheduler: new data checked, drift measured, a challenger trained, judged and left there.

Called again for the same data it says that nothing is new. Killed anywhere and called again it goes on from the last
stage that was whole: features and trials are kept as they are made, a registered model is not made again, and a bundle
that never came to be registered is made anew under the same name.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from data.checks import require
from data.errors import DataError
from training.bundles import bundles, champion_of, discard, read
from training.reconcile import pointed, reconcile, registered
from training.registry import challenge, promote, shown
from training.retraining.lock import held
from training.retraining.outcome import Outcome
from training.retraining.state import Question, State, Verdict, path_of, write
from training.retraining.state import read as read_state
from training.task import require_tables
from training.tracking.measured import log_measured
from training.tracking.stores import client, store

if TYPE_CHECKING:
    from pathlib import Path

    from data.sources import DataSet
    from data.steps import Steps
    from training.task import AnyTask

FOLDER = "retrain"
KIND = "retraining"
_FINISHED = "FINISHED"


@dataclass(frozen=True)
class Order:
    """What is asked for beside the task and its data.

    Attributes:
        trials: Sets of parameters to try in all.
        seed: Where chance starts.
        promote: Whether the challenger becomes champion if no gate refuses.
        force: Whether to train although nothing is new.
        wait: Seconds to wait for another retraining of the task to end.
    """

    trials: int
    seed: int = 0
    promote: bool = False
    force: bool = False
    wait: float = 0.0


def retrain(task: AnyTask, data_set: DataSet, order: Order, *, home: Path, now: datetime, steps: Steps) -> Outcome:
    """Bring a task up to its data: check, measure drift, train, judge, leave a challenger; promote it if asked to.

    Args:
        task: What is retrained.
        data_set: The new tables.
        order: What is asked for.
        home: Where everything is written.
        now: The moment.
        steps: Collects how long each step took.

    Raises:
        DataError: The data break their contracts, and nothing was written; or they changed meanwhile.
        DependencyDown: Another retraining of the task has not ended, or the tracking store does not answer.
        GateRefused: A proof failed, so nothing was released. Gates of a promotion do not raise: the outcome has them.
    """
    began = time.perf_counter()
    with steps.step("check the tables") as step:
        step.rows = checked = sum(require(data_set, now).tables.values())
    require_tables(task, data_set)
    question = Question.of(task, data_set.content_hash(), order.seed, order.trials)
    with held(home / FOLDER / task.name, order.wait):
        with steps.step("reach the MLflow store"):
            mended = reconcile(home).words
        job = _Job(task, data_set, question, order, home, steps)
        before = read_state(job.path)
        resumed = before is not None and before.ended is None
        stands, reason = ("", "") if resumed else job.known(before)
        if stands:
            state = job.asked_again(before) if before else None
        else:
            state = job.done(before if before and resumed else job.begun(now, reason), checked)
        return Outcome(
            task=task.name,
            trained=not stands,
            resumed=resumed,
            data_hash=question.data_hash,
            state=state,
            version=state.version if state else stands,
            champion=job.champion,
            challenger=pointed(job.folder, "challenger"),
            mended=mended,
            seconds=time.perf_counter() - began,
            steps=tuple(one.as_dict() for one in steps.done),
        )


@dataclass(frozen=True)
class _Job:
    """A retraining while nobody else does it."""

    task: AnyTask
    data_set: DataSet
    question: Question
    order: Order
    home: Path
    steps: Steps

    @property
    def path(self) -> Path:
        """Where its state lies."""
        return path_of(self.home / FOLDER / self.task.name, self.question)

    @property
    def folder(self) -> Path:
        """Where the bundles of the task lie."""
        return bundles(self.home) / self.task.name

    @property
    def champion(self) -> str:
        """Who is champion now."""
        return pointed(self.folder, "champion")

    def known(self, before: State | None) -> tuple[str, str]:
        """The version that answers the question already; or none, and what is new."""
        if self.order.force:
            return "", "that was asked for"
        if before is not None:
            stands = (self.folder / before.version).is_dir()
            return (before.version, "") if stands else ("", f"the bundle of {before.version} is gone")
        versions = dict.fromkeys(filter(None, (pointed(self.folder, "challenger"), self.champion)))
        news = {version: self._new(version) for version in versions}
        for version, new in news.items():
            if not new:
                return version, ""
        return "", next(iter(news.values()), "no model was made before")

    def _new(self, version: str) -> str:
        """What is new since a version was made, in words; empty where nothing is."""
        manifest = read(self.folder / version).manifest
        if manifest.data_hash != self.question.data_hash:
            return f"the data are other than those of {version}"
        if not manifest.declaration:
            return f"{version} was made before declarations were kept"
        if manifest.declaration != self.question.declaration:
            return f"the task declares other things than {version} was made of"
        tracked = client(store(self.home))
        found = registered(tracked, self.task.name, version)
        given = tracked.get_run(str(found.run_id)).data.params if found else {}
        then = (given.get("seed", "unknown"), given.get("trials", "unknown"))
        if then != (str(self.question.seed), str(self.question.trials)):
            return f"{version} was made with seed {then[0]} and {then[1]} trials"
        return ""

    def begun(self, now: datetime, reason: str) -> State:
        """A fresh state, of a second that no version names yet."""
        moment = now.astimezone(UTC).replace(microsecond=0)
        while any(self.folder.glob(f"{State(self.question, moment).prefix}*")):
            moment += timedelta(seconds=1)
        return write(self.path, State(self.question, moment, reason))

    def done(self, state: State, checked: int) -> State:
        """The state at the end, each stage written down as soon as it is whole."""
        from training.retraining.measurement import measure

        if state.moved is None:
            beside = champion_of(bundles(self.home), self.task.name)
            moved = measure(self.task, self.data_set, beside, self.home, self.steps)
            state = self._written(state, moved=moved)
        if not state.version:
            state = self._written(state, **self._made(state, checked))
        champion = self.champion
        if state.verdict is None or champion not in {state.verdict.champion, state.version}:
            challenge(self.task.name, state.version, self.home)
            state = self._written(state, verdict=self._verdict(state))
        self._promoted(state)
        if not state.logged:
            state = self._written(state, logged=self._logged(state))
        return self._written(state, ended=datetime.now(UTC))

    def asked_again(self, state: State) -> State:
        """The same state; judged anew where a promotion is asked for that was not, or that another champion refused."""
        verdict, champion = state.verdict, self.champion
        settled = verdict is not None and verdict.asked and verdict.champion == champion
        if not self.order.promote or settled or state.version in {champion, ""}:
            return state
        if pointed(self.folder, "challenger") != state.version:
            return state
        state = self._written(state, verdict=self._verdict(state))
        self._promoted(state)
        return state

    def _made(self, state: State, checked: int) -> dict[str, str]:
        """The version with its run: that of an earlier call where it came to be registered, else a new one."""
        from training.walk import learn

        tracked = client(store(self.home))
        for left in sorted(self.folder.glob(f"{state.prefix}*")):
            found = registered(tracked, self.task.name, left.name)
            if found is not None and tracked.get_run(str(found.run_id)).info.status == _FINISHED:
                return {"version": left.name, "run_id": str(found.run_id)}
            discard(left)
        trained = learn(
            self.task,
            self.data_set,
            checked,
            home=self.home,
            trials=self.order.trials,
            seed=self.order.seed,
            steps=self.steps,
            moment=state.began,
        )
        if (found_hash := trained.fitted.record.data_hash) != self.question.data_hash:
            raise DataError(
                f"{self.data_set.root}: found other tables ({found_hash}) than those that were checked "
                f"({self.question.data_hash}), expected them to stay as they are meanwhile; nothing challenges. Call "
                "again when they are whole, best from a folder that is renamed into its place"
            )
        return {"version": trained.released.bundle.manifest.version, "run_id": trained.tracked.run_id}

    def _verdict(self, state: State) -> Verdict:
        champion = self.champion
        manifest = read(self.folder / state.version).manifest
        beside = "" if champion == state.version else champion
        return Verdict(beside, shown(manifest, champion), self.order.promote)

    def _promoted(self, state: State) -> None:
        """Make the version champion where that is asked for and no gate refuses."""
        verdict = state.verdict
        if self.order.promote and verdict and not verdict.refused and state.version != self.champion:
            with self.steps.step("promote"):
                promote(self.task.name, self.home, state.version)

    def _logged(self, state: State) -> str:
        """A run of what was measured, beside that of the model."""
        moved = state.moved
        tags = {"shepherd.task": self.task.name, "shepherd.bundle": state.version, "shepherd.run": state.run_id}
        return log_measured(
            store(self.home),
            KIND,
            f"{self.task.name} {state.version}",
            figures=moved.figures() if moved else {},
            tags=tags,
            told=msgspec.to_builtins(state),
        )

    def _written(self, state: State, **found: object) -> State:
        return write(self.path, msgspec.structs.replace(state, **found))
