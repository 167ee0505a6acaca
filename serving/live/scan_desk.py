"""Where scans are judged and events taken in, one after the other, each once, and answered when the log holds them.

Requests wait in one bounded queue. One task takes up to sixteen, gives them their places, lets the state observe each
in order, asks the model once for all, and hands the entries to the log's writer; answers go out when its commit is
done. What is past its deadline is answered without judgement and acknowledges nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final

from data.errors import DataError
from features.online import columns_by_log
from features.program import added_up
from serving.ledger.entry import Found
from serving.live.admission import AT_ONCE, Admission
from serving.live.answer import degraded_bytes
from serving.live.bodies import content
from serving.live.deadlines import Deadlines
from serving.live.judging import SCANS, Judging, ObservedScan
from serving.live.pending import Answered, PendingScan, again, waiters

if TYPE_CHECKING:
    from features.online import LiveState
    from serving.ledger.ledger import Entry, Ledger, Place
    from serving.ledger.writer import Writer
    from serving.live.answer import Degraded
    from serving.live.bodies import ScanBody
    from serving.live.intake import Intake
    from serving.live.judging import Watch
    from serving.live.models import Models
    from serving.live.order import Order
    from serving.live.pending import Task, Waiter

_MOST_AHEAD: Final = 256
_MOST_UNWRITTEN: Final = 4_096
_PACE: Final = 0.003
_logger = logging.getLogger("serving")


class ScanDesk:
    """Judges scans in the one order.

    Args:
        models: Who judges.
        state: What is known; it is in step with the ledger.
        intake: Makes events of what is sent.
        ledger: Where answers are found again.
        writer: Commits entries.
        order: Gives places.
        deadline: Seconds after which a scan is answered without judgement.
        canary: Share of decisions that the challenger answers.
        watch: Told of every decision; None where nobody counts.

    Attributes:
        logs: The logs that the state reads.
        admission: How many may wait.
        added_up: By log the columns whose values it adds up.
        broken: Why nothing is judged any more until a restart: state and log are not in step; empty while they are.
    """

    def __init__(  # noqa: PLR0913 - the parts that are put together in one place
        self,
        models: Models,
        state: LiveState,
        intake: Intake,
        ledger: Ledger,
        writer: Writer,
        order: Order,
        *,
        deadline: float = 0.05,
        canary: float = 0.0,
        watch: Watch | None = None,
    ) -> None:
        self.models, self.state, self.intake, self.ledger, self.writer = models, state, intake, ledger, writer
        self.broken = ""
        self._order, self._deadline, self._watch = order, deadline, watch
        self._queue: deque[PendingScan | Task] = deque()
        self._pending: dict[bytes, PendingScan] = {}
        self._tasks = 0
        self._fresh: dict[bytes, bytes] = {}
        self._late: list[tuple[Waiter, Answered]] = []
        self._awake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._deadlines = Deadlines(self._loop, self._expire)
        self._judging = Judging(models, state, canary, watch)
        self.admission = Admission(deadline)
        self._closing = False
        self.logs = frozenset(columns_by_log(state.plan))
        self.added_up = added_up(state.plan)

    @property
    def depth(self) -> int:
        """How many wait to be taken up."""
        return len(self._queue)

    @property
    def full(self) -> bool:
        """Whether one more would wait too long."""
        return len(self._queue) >= self.admission.most

    @property
    def _ahead(self) -> bool:
        """Whether so much is judged that the log's writer needs the processor more: nothing is answered before it."""
        writer = self.writer
        return writer.depth > _MOST_AHEAD and writer.failing is None and not self._closing

    def decision_id(self, scan_id: str) -> str:
        """What the decision on a scan is called."""
        return self.ledger.vault.identity(SCANS, scan_id).hex()

    async def score(self, scan: ScanBody) -> Answered:
        """Judge a scan, or answer as it was answered before."""
        future: asyncio.Future[Answered] = self._loop.create_future()
        self.ask(scan, future)
        return await future

    def ask(self, scan: ScanBody, waiter: Waiter) -> None:
        """As `score`, for one who is told the answer: before this returns, or as soon as there is one."""
        known = self._ask(scan, waiter)
        if known is not None:
            waiter.set_result(known)

    def _ask(self, scan: ScanBody, waiter: Waiter) -> Answered | None:
        """What is known at once; None where the answer is to come."""
        vault = self.ledger.vault
        identity, digest = vault.identity(SCANS, scan.scan_id), vault.digest(content(scan))
        item = self._pending.get(identity)
        if item is None:
            found = self.ledger.find(identity)
            if found is not None:
                return again(found, digest)
            why = self._obstacle()
            if why:
                return self._degraded(scan, identity, why)
            if self.full:
                return Answered(429, why="too many scans wait")
            item = self._pending[identity] = PendingScan(scan, identity, digest, new=not self._tasks)
            self._queue.append(item)
            self._awake.set()
        elif item.digest != digest:
            return Answered(409, why="another content")
        item.waiting.append(waiter)
        self._deadlines.add(self._deadline, waiter, scan, identity)
        return None

    async def take(self, task: Task, patience: float) -> Answered:
        """Let something else have its turn; 503 where that takes too long, in seconds, and it was not acknowledged."""
        if self._obstacle():
            return Answered(503, why="the log or the state is not there")
        if self.full:
            return Answered(429, why="too many wait")
        self._queue.append(task)
        self._tasks += 1
        self._awake.set()
        try:
            return await asyncio.wait_for(task.future, patience)
        except TimeoutError:
            return Answered(503, why="the log did not take it in time")

    async def run(self) -> None:
        """Take up what waits, until `close`."""
        began = started = time.perf_counter()
        while not (self._closing and not self._queue):
            if len(self._queue) < AT_ONCE and not self._closing:
                await self._gather(started)
                began = time.perf_counter()
            if self._ahead:
                await asyncio.sleep(_PACE)
                continue
            started = time.perf_counter()
            batch = self._next()
            if batch:
                await self._work(batch)
            await asyncio.sleep(0)  # whoever asks meanwhile is read between two batches
            if batch:  # from batch to batch: under overload most of it goes to those who are refused
                ended = time.perf_counter()
                self.admission.learn(ended - began, len(batch))
                began = ended

    def close(self) -> None:
        """Take nothing new; `run` ends when all that waits was taken up."""
        self._closing = True
        self._awake.set()

    def _obstacle(self) -> Degraded | None:
        """Why nothing can be judged now."""
        if self.broken or self._closing:
            return "state"
        return "log" if self.writer.failing is not None or self.writer.depth > _MOST_UNWRITTEN else None

    async def _gather(self, started: float) -> None:
        """Wait for requests, and a moment for more if the batch before began only now: a batch costs more than a row.

        Args:
            started: When the batch before was begun, in seconds.
        """
        if not self._queue:
            self._awake.clear()
            await self._awake.wait()
        pause = started + _PACE - time.perf_counter()
        if pause > 0 and len(self._queue) < AT_ONCE and not self._closing:
            await asyncio.sleep(pause)

    def _next(self) -> list[PendingScan | Task]:
        """The next few, without those that nobody waits for any more, or that are past their chance."""
        batch: list[PendingScan | Task] = []
        now = time.perf_counter()
        while self._queue and len(batch) < AT_ONCE:
            item = self._queue.popleft()
            if isinstance(item, PendingScan):
                if now - item.began > self._deadline - self.admission.after:
                    self._despair(item)
                if not item.wanted:
                    del self._pending[item.identity]
                    continue
                item.taken = now
            else:
                self._tasks -= 1
            batch.append(item)
        return batch

    async def _work(self, batch: list[PendingScan | Task]) -> None:
        sizes = [1 if isinstance(item, PendingScan) else item.size for item in batch]
        try:
            self._settle(batch, sizes, await self._order.place(sum(sizes)))
        except Exception as error:  # whatever it is, state and log may be out of step, and nothing may be acknowledged
            self.broken = f"{type(error).__name__}: state and log are out of step; restart the service"
            _logger.exception("nothing is judged any more until a restart")
            for item in batch:
                self._give_up(item)

    def _settle(self, batch: list[PendingScan | Task], sizes: list[int], places: list[Place]) -> None:
        """Take in each of a batch in order, judge its scans together, and hand over the entries."""
        self._fresh = {}
        made: list[list[Entry]] = [[] for _ in batch]
        answers: list[Answered | None] = [None] * len(batch)
        observed: list[ObservedScan] = []
        start = 0
        for number, (item, size) in enumerate(zip(batch, sizes, strict=True)):
            mine, start = places[start : start + size], start + size
            if isinstance(item, PendingScan):
                seen = self._observe(number, item, mine[0])
                if isinstance(seen, Answered):
                    answers[number] = seen
                else:
                    observed.append(seen)
                    self._fresh[item.identity] = item.digest
                continue
            answers[number] = self._prepare(item, mine[0].seen_at)
            if answers[number] is None:
                made[number], answers[number] = item.entries(self, mine)
                self._fresh |= {entry.identity: entry.digest for entry in made[number]}
        for one, entry, answer in self._judging.judge(observed):
            made[one.number], answers[one.number] = [entry], answer
        entries = [entry for each in made for entry in each]
        done = [(item, answer) for item, answer in zip(batch, answers, strict=True) if answer is not None]
        if not entries:
            self._answer_late(done)
            return
        for entry in entries[:-1]:
            self.writer.submit(entry, nobody_waits)
        self.writer.submit(entries[-1], partial(self._committed, done))

    def known(self, identity: bytes) -> Found | None:
        """What came before under an identity, also what was taken in a moment ago and is on its way to the log.

        Raises:
            DataError: What the log holds of it was altered.
        """
        digest = self._fresh.get(identity)
        if digest is not None:
            return Found(digest, None, False, 0, committed=False)  # noqa: FBT003 - as the ledger says it
        return self.ledger.find(identity)

    def _prepare(self, task: Task, seen_at: int) -> Answered | None:
        """What is answered to a task without taking anything in; None where it is to be taken in."""
        try:
            return task.prepare(self, seen_at)
        except Exception:  # whatever it is, nothing was taken in, and it concerns nobody else
            _logger.exception("rows or a decision could not be looked at, and were not taken in")
            return Answered(503, why="it could not be looked at")

    def _observe(self, number: int, item: PendingScan, place: Place) -> ObservedScan | Answered:
        """A scan that the state takes in; or what is answered without."""
        scan = item.scan
        try:
            if not item.new and (found := self.known(item.identity)) is not None:
                return again(found, item.digest)
            member = None if scan.member_id is None else self.ledger.vault.member(scan.member_id)
            event = self.intake.scan(scan, place.seen_at, None if member is None else member.alias)
        except DataError as error:
            return _not_added_up(error)
        except Exception:  # whatever it is, nothing was taken in, and it concerns nobody else
            _logger.exception("a scan could not be looked at, and was not taken in")
            return self._degraded(scan, item.identity, "state")
        try:
            return self._judging.observed(number, item, place, event, member)
        except DataError as error:
            return _not_added_up(error)

    def _committed(self, done: list[tuple[PendingScan | Task, Answered]]) -> None:
        """Called in the writer's thread."""
        with contextlib.suppress(RuntimeError):  # the loop is gone, and with it all that waited
            self._loop.call_soon_threadsafe(self._resolve, done)

    def _resolve(self, done: list[tuple[PendingScan | Task, Answered]]) -> None:
        """The commit is done: everybody is answered."""
        now = time.perf_counter()
        for item, answer in done:
            if isinstance(item, PendingScan):
                self._pending.pop(item.identity, None)
                self.admission.answered(now - item.taken)
            for waiter in waiters(item):
                if not waiter.done():
                    waiter.set_result(answer)

        late, self._late = self._late, []
        for waiter, answer in late:
            if not waiter.done():
                waiter.set_result(answer)

    def _answer_late(self, done: list[tuple[PendingScan | Task, Answered]]) -> None:
        """Answer what made no entry: with the next commit, since what had come before it may still wait for that."""
        if not self.writer.depth:
            self._resolve(done)
            return
        for item, answer in done:
            if isinstance(item, PendingScan):
                self._pending.pop(item.identity, None)
            self._late += [(waiter, answer) for waiter in waiters(item)]

    def _give_up(self, item: PendingScan | Task) -> None:
        for waiter in waiters(item):
            if waiter.done():
                continue
            if isinstance(item, PendingScan):
                waiter.set_result(self._degraded(item.scan, item.identity, "state"))
            else:
                waiter.set_result(Answered(503, why="the state is not there"))
        if isinstance(item, PendingScan):
            self._pending.pop(item.identity, None)

    def _despair(self, item: PendingScan) -> None:
        """Answer now what would be answered too late: judged, it would only make those behind it late."""
        for waiter in item.waiting:
            self._expire(waiter, item.scan, item.identity)

    def _expire(self, waiter: Waiter, scan: ScanBody, identity: bytes) -> None:
        if not waiter.done():
            why: Degraded = "log" if self.writer.failing is not None else "deadline"
            waiter.set_result(self._degraded(scan, identity, why))

    def _degraded(self, scan: ScanBody, identity: bytes, why: Degraded) -> Answered:
        manifest = self.models.pair.champion.scorer.manifest
        if self._watch is not None:
            passive = manifest.payoff.actions[0]
            self._watch.observe_decision(manifest.task, manifest.version, passive, self._deadline, why)
        return Answered(200, degraded_bytes(manifest, identity.hex(), scan.scan_id, why))


def _not_added_up(error: DataError) -> Answered:
    _logger.warning("a scan was not taken in: %s", error)
    return Answered(422, why="numbers that cannot be added up")


def nobody_waits() -> None:
    """Entries of a batch are committed in order, so the last one speaks for all."""
