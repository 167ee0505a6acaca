"""Scans in their whole: models, log, state and registers opened, served, and closed without losing anything."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from features.warming import warm
from serving.ledger.ledger import Ledger, Place
from serving.ledger.record import Record, decode_record
from serving.ledger.recovery import SNAPSHOTS, keep, recover
from serving.ledger.writer import GATHER_SECONDS, Writer
from serving.live.answer import Asked, answer_bytes
from serving.live.event_desk import DECISIONS, DecisionTask, EventsTask
from serving.live.intake import Intake
from serving.live.joined import Joins
from serving.live.models import Models
from serving.live.order import EmbeddedOrder
from serving.live.registers import Registers
from serving.live.scan_desk import ScanDesk

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving.contracts import Problem
    from serving.ledger.entry import Found
    from serving.live.bodies import EventsBody
    from serving.live.pending import Answered
    from serving.settings import Settings
    from serving.telemetry.metrics import Metrics

EVENTS_SECONDS: Final = 5.0
DRAIN_SECONDS: Final = 8.0
_DECISION_HEX: Final = 32
_logger = logging.getLogger("serving")


class DecisionView(msgspec.Struct, frozen=True):
    """One decision as it is kept.

    Attributes:
        decision_id: What it is called.
        task: Whose model decided.
        version: Which version.
        sequence: Its place in the one order.
        request: What was asked.
        answer: What was answered, as it was.
        features: What the model was given, by name, null where unknown; null where others than this version's.
        degraded: Why the model was not asked; `none` where it was.
        shadow: What other versions would have said, by version.
    """

    decision_id: str
    task: str
    version: str
    sequence: int
    request: dict[str, Any]
    answer: msgspec.Raw
    features: dict[str, float | None] | None
    degraded: str
    shadow: dict[str, float]


class LiveService:
    """What judges scans while a server runs; made by `open`, within its event loop.

    Attributes:
        models: The models.
        desk: Where scans are judged.
    """

    def __init__(self, models: Models, desk: ScanDesk, ledger: Ledger, writer: Writer) -> None:
        self.models, self.desk = models, desk
        self._ledger, self._writer = ledger, writer
        self._running = asyncio.create_task(desk.run())
        self._watching = asyncio.create_task(models.watch())

    @classmethod
    def open(cls, settings: Settings, metrics: Metrics | None = None) -> LiveService:
        """Open the log, bring the state back, load the models and the registers.

        Raises:
            DataError: A model, a register or the log is not as it should be.
            UsageError: The log is another process's, or the settings do not fit.
        """
        models = Models(settings.bundles, settings.scan_task, settings.pointer, settings.lottery_key())
        registers = Registers.read(settings.tables) if settings.tables else Registers()
        secret = None if settings.secret is None else settings.secret.get_secret_value()
        ledger = Ledger.open(settings.ledger, secret, settings.durability)
        try:
            state = recover(ledger, models.feature_set, settings.ledger / SNAPSHOTS)
            _warm(models)
            intake = Intake(registers, ledger.vault)
            Joins(settings.ledger).bring_back(ledger, intake)
            writer = watched_writer(ledger, metrics, gather_seconds=0.0)  # the desk gathers
        except BaseException:
            ledger.close()
            raise
        # What the state saw before the log began may lie ahead of this clock.
        order = EmbeddedOrder(Place(ledger.last.sequence, max(ledger.last.seen_at, state.clock)))
        desk = ScanDesk(
            models,
            state,
            intake,
            ledger,
            writer,
            order,
            deadline=settings.deadline_ms / 1_000,
            canary=settings.canary,
            watch=metrics,
        )
        live = cls(models, desk, ledger, writer)
        if metrics is not None:
            live.show(metrics)
        return live

    def show(self, metrics: Metrics) -> None:
        """Let metrics say which models answer, how they drift, what waits, and whether scans are judged."""
        models, desk = self.models, self.desk

        def told(outcome: str = "") -> None:
            champion, challenger = models.pair
            named = [(champion.version, "champion")]
            if challenger is not None:
                named.append((challenger.version, "challenger"))
            metrics.serving(models.task, named)
            metrics.watch_drift(models.task, champion.version, models.feature_set.names, champion.drift)
            if outcome:
                metrics.swapped(models.task, outcome)

        told()
        models.changed = told
        metrics.watch_queue("requests", lambda: desk.depth)
        metrics.watch_queue("writer", lambda: self._writer.depth)
        metrics.watch_state(
            lambda: self._ledger.members, lambda: sum(one.nbytes for one in desk.state.arrays().values())
        )
        metrics.watch_ready(lambda: not self.obstacle)

    @property
    def obstacle(self) -> str:
        """Why scans are not judged at present; empty while they are."""
        if self.desk.broken:
            return self.desk.broken
        failing = self._writer.failing
        return "" if failing is None else f"the log cannot be written: {failing}"

    async def close(self) -> None:
        """Answer all that waits, commit, and write the state down."""
        self.desk.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._running, DRAIN_SECONDS)
        self._watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._watching
        drained = await asyncio.to_thread(self._writer.stop, DRAIN_SECONDS)
        if drained and not self.desk.broken:
            await asyncio.to_thread(self._save)
        self._ledger.close()

    async def take(self, body: EventsBody) -> tuple[Answered, list[Problem]]:
        """Take in rows of events; what is answered, and every problem where they are refused."""
        task = EventsTask(body, self._ledger.vault)
        return await self.desk.take(task, EVENTS_SECONDS), task.problems

    async def keep(self, record: Record, member_id: str | None) -> None:
        """Keep a decision that was made elsewhere; without a log it is not kept, and answered all the same."""
        try:
            task = DecisionTask(record, member_id)
        except OverflowError:
            _logger.warning("a decision of %s was not kept: it holds a number beyond 64 bits", record.task)
            return
        answered = await self.desk.take(task, EVENTS_SECONDS)
        if answered.status != 200:
            _logger.warning("a decision of %s was not kept: %s", record.task, answered.why)

    def versions(self) -> bytes:
        """Which versions answer, as JSON."""
        pair = self.models.pair
        challenger = None if pair.challenger is None else pair.challenger.version
        return msgspec.json.encode({"champion": pair.champion.version, "challenger": challenger})

    def decision(self, decision_id: str) -> tuple[int, bytes]:
        """A decision that was kept: 200 and JSON, 404, or 410 where its member was forgotten."""
        ledger, found = self._ledger, None
        if len(decision_id) == _DECISION_HEX:
            with contextlib.suppress(ValueError):
                found = ledger.find(bytes.fromhex(decision_id))
        found = found or ledger.find(ledger.vault.identity(DECISIONS, decision_id))
        if found is None or not found.committed:
            return 404, b""
        return self.viewed(found)

    async def look_up(self, decision_id: str) -> tuple[int, bytes]:
        """As `decision`; of whichever scorer where several share an order."""
        return self.decision(decision_id)

    def viewed(self, found: Found) -> tuple[int, bytes]:
        """An entry as a decision; errors as `decision`."""
        if found.forgotten or found.record is None:
            return 410, b""
        record = decode_record(found.record)
        if not record.answer:
            return 404, b""
        view = DecisionView(
            record.decision_id,
            record.task,
            record.version,
            found.sequence,
            record.request,
            msgspec.Raw(record.answer),
            self._features(record),
            record.degraded,
            record.shadow,
        )
        return 200, msgspec.json.encode(view)

    def _features(self, record: Record) -> dict[str, float | None] | None:
        names = self.models.feature_set.names
        values = memoryview(record.features).cast("f").tolist() if record.features else []
        if record.task != self.models.task or len(values) != len(names):
            return None
        return {name: value if value - value == 0 else None for name, value in zip(names, values, strict=True)}

    def _save(self) -> None:
        Joins(self._ledger.folder).write(self.desk.intake, self._ledger.last.sequence)
        keep(self._ledger, self.desk.state, self._ledger.folder / SNAPSHOTS)


def watched_writer(ledger: Ledger, metrics: Metrics | None, gather_seconds: float = GATHER_SECONDS) -> Writer:
    """What commits to a log, its commits and its failures counted where there are metrics."""
    return Writer(
        ledger,
        gather_seconds=gather_seconds,
        committed=None if metrics is None else _counted(metrics),
        failed=None if metrics is None else metrics.commit_failed,
    )


def _counted(metrics: Metrics) -> Callable[[int, float], None]:
    return lambda entries, seconds: metrics.committed(seconds, entries)


def _warm(models: Models) -> None:
    """Take in events of nobody, and judge one: what is compiled takes seconds to come."""
    warm(models.feature_set)
    for loaded in models.pair:
        if loaded is not None:
            nobody = np.full((1, len(models.feature_set.names)), np.nan, np.float32)
            answer_bytes(loaded.scorer, nobody, [Asked("", "warm", 0.0, None, None, None)])
