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
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import msgspec
import numpy as np

from data.errors import DataError
from features.online import columns_by_log
from features.program import added_up
from serving.ledger.ledger import Entry
from serving.ledger.record import Record, decode_record, encode_record
from serving.live.admission import AT_ONCE, Admission
from serving.live.answer import Asked, answer_bytes, degraded_bytes, draw
from serving.live.bodies import content
from serving.live.compared import compared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from features.online import LiveState
    from serving.ledger.ledger import Found, Ledger, Place
    from serving.ledger.vault import MemberKey
    from serving.ledger.writer import Writer
    from serving.live.answer import Decided, Degraded
    from serving.live.bodies import ScanBody
    from serving.live.intake import Events, Intake
    from serving.live.models import Loaded, Models, Pair
    from serving.live.order import Order
    from serving.telemetry.metrics import Compared

_MOST_AHEAD: Final = 256
_MOST_UNWRITTEN: Final = 4_096
_PACE: Final = 0.003
_LEAST_WAIT: Final = 0.001
_BODY_SCANS: Final = "scans"
_logger = logging.getLogger("serving")


class Answered(NamedTuple):
    """What a caller gets.

    Attributes:
        status: Of HTTP: 200; 409 for another content under a known id; 410 for a forgotten member's; 429 where too many
            wait; 503 where the log takes no more.
        body: The answer's bytes where the status is 200.
        why: What is wrong, where it is not.
    """

    status: int
    body: bytes = b""
    why: str = ""


class Watch(Protocol):
    """Who is told of decisions, for metrics."""

    def observe_decision(self, task: str, version: str, action: str, seconds: float, degraded: str) -> None:
        """One decision was answered."""

    def observe_shadow(self, task: str, version: str, told: Compared) -> None:
        """Some decisions were looked at by the challenger, too."""


class Waiter(Protocol):
    """Who is to be told an answer, once; a future is one."""

    def done(self) -> bool:
        """Whether it was told, or does not wait any more."""

    def set_result(self, result: Answered, /) -> None:
        """Tell it; it raises nothing."""


class PendingScan:
    """A scan on its way."""

    __slots__ = ("began", "digest", "identity", "placed", "scan", "taken", "waiting")

    def __init__(self, scan: ScanBody, identity: bytes, digest: bytes) -> None:
        self.scan, self.identity, self.digest = scan, identity, digest
        self.waiting: list[Waiter] = []
        self.placed = False
        self.began = self.taken = time.perf_counter()

    @property
    def wanted(self) -> bool:
        """Whether anybody still waits for it."""
        return any(not one.done() for one in self.waiting)


class Task(Protocol):
    """Something else that is taken in in its turn: rows of events, a decision made elsewhere."""

    future: asyncio.Future[Answered]

    @property
    def size(self) -> int:
        """How many entries it may make."""

    def entries(self, desk: ScanDesk, places: Sequence[Place]) -> tuple[list[Entry], Answered]:
        """Takes it in, in its turn: the entries to log, and what is answered once they are."""


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
        self._order, self._deadline, self._canary, self._watch = order, deadline, canary, watch
        self._queue: deque[PendingScan | Task] = deque()
        self._pending: dict[bytes, PendingScan] = {}
        self._late: list[tuple[Waiter, Answered]] = []
        self._deadlines: deque[tuple[float, Waiter, ScanBody, bytes]] = deque()
        self._timing = False
        self._awake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.admission = Admission(deadline)
        self._closing = False
        self.logs = frozenset(columns_by_log(state.plan))
        self.added_up = added_up(state.plan)
        self._rings = [(plan.name, column) for plan in state.plan.rings for column in plan.keys]

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
        return self.ledger.vault.identity(_BODY_SCANS, scan_id).hex()

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
        identity, digest = vault.identity(_BODY_SCANS, scan.scan_id), vault.digest(content(scan))
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
            item = self._pending[identity] = PendingScan(scan, identity, digest)
            self._queue.append(item)
            self._awake.set()
        elif item.digest != digest:
            return Answered(409, why="another content")
        item.waiting.append(waiter)
        waiting = self._deadlines
        while waiting and waiting[0][1].done():
            waiting.popleft()
        waiting.append((time.perf_counter() + self._deadline, waiter, scan, identity))
        if not self._timing:
            self._time(self._deadline)
        return None

    async def take(self, task: Task, patience: float) -> Answered:
        """Let something else have its turn; 503 where that takes too long, in seconds, and it was not acknowledged."""
        if self._obstacle():
            return Answered(503, why="the log or the state is not there")
        if self.full:
            return Answered(429, why="too many wait")
        self._queue.append(task)
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
            batch.append(item)
        return batch

    async def _work(self, batch: list[PendingScan | Task]) -> None:
        sizes = [1 if isinstance(item, PendingScan) else item.size for item in batch]
        places = await self._order.place(sum(sizes))
        try:
            self._settle(batch, sizes, places)
        except Exception as error:  # whatever it is, state and log may be out of step, and nothing may be acknowledged
            self.broken = f"{type(error).__name__}: state and log are out of step; restart the service"
            _logger.exception("nothing is judged any more until a restart")
            for item in batch:
                self._give_up(item)

    def _settle(self, batch: list[PendingScan | Task], sizes: list[int], places: list[Place]) -> None:
        """Take in each of a batch in order, judge its scans together, and hand over the entries."""
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
            else:
                made[number], answers[number] = item.entries(self, mine)
        for one, entry, answer in self._judge(observed):
            made[one.number], answers[one.number] = [entry], answer
        entries = [entry for each in made for entry in each]
        done = [(item, answer) for item, answer in zip(batch, answers, strict=True) if answer is not None]
        if not entries:
            self._answer_late(done)
            return
        for entry in entries[:-1]:
            self.writer.submit(entry, nobody_waits)
        self.writer.submit(entries[-1], partial(self._committed, done))

    def _observe(self, number: int, item: PendingScan, place: Place) -> ObservedScan | Answered:
        """What is known of a scan, which the state takes in."""
        scan, state = item.scan, self.state
        member = None if scan.member_id is None else self.ledger.vault.member(scan.member_id)
        try:
            event = self.intake.scan(scan, place.seen_at, None if member is None else member.alias)
            row = state.observe(_BODY_SCANS, event)
        except DataError as error:
            _logger.warning("a scan was not taken in: %s", error)
            return Answered(422, why="numbers that cannot be added up")
        rings = [ring for name, column in self._rings if (ring := state.ring(name, column, event[column]))]
        ring = max(rings, key=lambda one: one.members, default=None)
        event_tuple = ((_BODY_SCANS, event),)
        told = None if ring is None else (ring.ring_id, ring.members)
        return ObservedScan(number, item, place, row.copy(), event_tuple, member, told)

    def _judge(self, observed: list[ObservedScan]) -> list[tuple[ObservedScan, Entry, Answered]]:
        """Ask the models about all that were observed, each once for its share."""
        pair: Pair = self.models.pair
        both = [one for one in pair if one is not None]
        answering = [pair.answering(one.item.identity.hex(), self._canary) for one in observed]
        shadows: list[dict[str, float]] = [{} for _ in observed]
        verdicts: dict[int, tuple[Loaded, Decided, Asked]] = {}
        for loaded in both:
            rows = [row for row, one in enumerate(answering) if one is loaded]
            if rows:
                features, asked = _features(observed, rows), _asked(loaded, [observed[row] for row in rows])
                decided = answer_bytes(loaded.scorer, features, asked)
                for row, verdict, told in zip(rows, decided, asked, strict=True):
                    verdicts[row] = loaded, verdict, told
                if loaded.drift is not None:
                    loaded.drift.add(features, np.array([one.probability for one in decided]))
            others = [row for row, one in enumerate(answering) if one is not loaded]
            if others:
                chances = loaded.scorer.probability(_features(observed, others)).tolist()
                for row, chance in zip(others, chances, strict=True):
                    shadows[row][loaded.version] = chance
        if self._watch is not None and pair.challenger is not None and observed:
            in_order = [verdicts[row] for row in range(len(observed))]
            sums = compared(pair.champion, pair.challenger, in_order, shadows)
            self._watch.observe_shadow(self.models.task, pair.challenger.version, sums)
        return [(one, *self._recorded(one, *verdicts[row], shadows[row])) for row, one in enumerate(observed)]

    def _recorded(
        self, one: ObservedScan, which: Loaded, decided: Decided, asked: Asked, shadow: dict[str, float]
    ) -> tuple[Entry, Answered]:
        item, place = one.item, one.place
        record = Record(
            decision_id=asked.decision_id,
            task=which.scorer.manifest.task,
            version=which.version,
            request=msgspec.to_builtins(item.scan),
            features=one.row.tobytes(),
            answer=decided.answer,
            stake=asked.stake,
            group=asked.group,
            lot=decided.lot,
            shadow=shadow,
            ring=asked.ring,
        )
        entry = Entry(
            place.sequence,
            place.seen_at,
            _BODY_SCANS,
            item.identity,
            item.digest,
            one.events,
            one.member,
            encode_record(record),
        )
        if self._watch is not None:
            seconds = time.perf_counter() - item.began
            self._watch.observe_decision(record.task, record.version, decided.action, seconds, "none")
        return entry, Answered(200, decided.answer)

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
            for waiter in _waiters(item):
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
            self._late += [(waiter, answer) for waiter in _waiters(item)]

    def _give_up(self, item: PendingScan | Task) -> None:
        for waiter in _waiters(item):
            if waiter.done():
                continue
            if isinstance(item, PendingScan):
                waiter.set_result(self._degraded(item.scan, item.identity, "state"))
            else:
                waiter.set_result(Answered(503, why="the state is not there"))
        if isinstance(item, PendingScan):
            self._pending.pop(item.identity, None)

    def _expire_some(self) -> None:
        """Answer those whose deadline is past: one timer for all, since they come in the order of their deadlines."""
        self._timing, waiting, now = False, self._deadlines, time.perf_counter()
        while waiting and (waiting[0][0] <= now or waiting[0][1].done()):
            _, waiter, scan, identity = waiting.popleft()
            self._expire(waiter, scan, identity)
        if waiting:
            self._time(waiting[0][0] - now)

    def _time(self, seconds: float) -> None:
        self._timing = True
        self._loop.call_later(max(seconds, _LEAST_WAIT), self._expire_some)

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


class ObservedScan(NamedTuple):
    """A scan that the state has taken in, on its way to the model."""

    number: int
    item: PendingScan
    place: Place
    row: NDArray[np.float32]
    events: Events
    member: MemberKey | None
    ring: tuple[str, int] | None


def again(found: Found, digest: bytes) -> Answered:
    """What was answered before, if the same was asked."""
    if found.forgotten:
        return Answered(410, why="forgotten")
    if found.digest != digest:
        return Answered(409, why="another content")
    answer = decode_record(found.record).answer if found.record else b""
    return Answered(200, answer) if answer else Answered(409, why="an event that was not to be judged")


def _asked(loaded: Loaded, observed: list[ObservedScan]) -> list[Asked]:
    manifest, scans = loaded.scorer.manifest, [one.item.scan for one in observed]
    ids = [one.item.identity.hex() for one in observed]
    cap, stake, lottery = manifest.payoff.cap, manifest.payoff.stake, loaded.lottery
    column = lottery.holdout.group if lottery else ""
    drawn = draw(lottery, ids, [getattr(scan, column) if column else None for scan in scans])
    return [
        Asked(
            decision_id,
            scan.scan_id,
            float(getattr(scan, stake)) if stake else None,
            getattr(scan, cap.group) if cap and cap.group else None,
            lot,
            one.ring,
        )
        for decision_id, scan, lot, one in zip(ids, scans, drawn, observed, strict=True)
    ]


def _features(observed: list[ObservedScan], rows: list[int]) -> NDArray[np.float32]:
    return np.stack([observed[row].row for row in rows])


def _waiters(item: PendingScan | Task) -> Sequence[Waiter]:
    return item.waiting if isinstance(item, PendingScan) else [item.future]


def nobody_waits() -> None:
    """Entries of a batch are committed in order, so the last one speaks for all."""
