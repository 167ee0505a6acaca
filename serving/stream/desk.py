"""Where several scorers judge scans in one order: each appends to the stream, and takes in all that stands there.

A scorer's turn is one script: it appends what waits here and brings what the others appended before. The scorer takes
that in, then its own, and judges its own; so every scorer holds the whole state and none adds anything up in Redis.
What was appended and not judged, because Redis or the scorer went away just then, is judged when its scorer reads it in
the stream. Without Redis the answer is degraded, and nothing is acknowledged.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from data.errors import DataError, UsageError
from serving.ledger.entry import Entry, Found, Place
from serving.ledger.vault import MemberKey
from serving.live.event_desk import DecisionTask, EventsAnswer, EventsTask
from serving.live.judging import ObservedScan
from serving.live.pending import Answered, PendingScan
from serving.live.scan_desk import ScanDesk, nobody_waits
from serving.stream.answers import Answers
from serving.stream.awaited import Awaited
from serving.stream.draft import Drafts
from serving.stream.group import TO_JUDGE, Drafting, request_of, scans_judged, status_of
from serving.stream.keeping import latest, scorer_name
from serving.stream.link import AWAY, Link, known
from serving.stream.members import Members
from serving.stream.presence import Presence
from serving.stream.script import FORGOTTEN, KNOWN, NEW, OTHER_KEY
from serving.stream.taking import take_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serving.ledger.ledger import Ledger
    from serving.ledger.vault import Seal
    from serving.ledger.writer import Writer
    from serving.live.bodies import ScanBody
    from serving.live.judging import Watch
    from serving.live.models import Models
    from serving.live.pending import Task, Waiter
    from serving.live.registers import Registers
    from serving.stream.draft import Payload
    from serving.stream.group import Asked
    from serving.stream.link import Passed, Turn

PAGE: Final = 128
"""Entries that are taken in at once; requests are read between two pages."""
LONG_TAIL: Final = 200_000
"""After so many entries a snapshot is worth its time."""
IDLE_SECONDS: Final = 0.02
"""So far behind the stream is a scorer that is asked nothing."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
_LEAVE_SECONDS: Final = 2.0
_logger = logging.getLogger("serving")


class _Group(NamedTuple):
    """What one request asks of the stream."""

    item: PendingScan | Task
    asked: list[Asked]


class StreamDesk(ScanDesk):
    """Judges scans in the order of a stream that other scorers share.

    Args:
        models: Who judges.
        registers: What the folder of tables knows.
        ledger: This scorer's own; its decisions are kept there, without the events, which the stream has.
        writer: Commits its entries.
        url: Of Redis or Valkey.
        deadline: As for `ScanDesk`, like the two below.
        canary: As there.
        watch: As there.
    """

    def __init__(  # noqa: PLR0913 - as its base
        self,
        models: Models,
        registers: Registers,
        ledger: Ledger,
        writer: Writer,
        url: str,
        *,
        deadline: float = 0.05,
        canary: float = 0.0,
        watch: Watch | None = None,
    ) -> None:
        self._away, self._fatal = "the stream was not read yet", ""
        self._link = Link(url, scorer_name(ledger.folder))
        self._members = Members(ledger, self._link)
        self._drafts = Drafts(registers, ledger.vault, self._members.of)
        self._drafting = Drafting(self._drafts, self._members, ledger.vault)
        state, self.place = latest(models.feature_set, self._drafts.intake, ledger.folder)
        intake, order = self._drafts.intake, _Elsewhere()
        super().__init__(models, state, intake, ledger, writer, order, deadline=deadline, canary=canary, watch=watch)
        self._answers = Answers(self._link, self._members)
        self._awaited = Awaited(ledger, self._answers, self._found)
        self._presence = Presence(self._link, state, intake, ledger.folder)
        self._asking = False

    @property
    def broken(self) -> str:
        """Why nothing is judged at present; empty while scans are."""
        return self._fatal or self._away

    @broken.setter
    def broken(self, why: str) -> None:
        self._fatal = why

    async def run(self) -> None:
        """Take turns, until `close`; without Redis, look for it."""
        pause = _FIRST_PAUSE
        while not (self._closing and (self.broken or not self._queue)):
            if self.broken:
                self._give_up_all()
                pause = await self._come_back(pause)
                continue
            pause, batch, began = _FIRST_PAUSE, self._next(), time.perf_counter()
            await self._work(batch)
            if batch:
                self.admission.learn(time.perf_counter() - began, len(batch))
            await self._presence.tell()
            if self._queue:
                await asyncio.sleep(0)
            else:
                await self._rest(IDLE_SECONDS)
        self._give_up_all()

    async def find(self, identity: bytes) -> Found | None:
        """As `serving.stream.answers.Answers.find`."""
        return await self._answers.find(identity)

    async def leave(self, *, drained: bool) -> None:
        """Let the others know what was decided here, write down what is known, and let go of Redis.

        Args:
            drained: Whether the log holds all that was judged.
        """
        await self._awaited.close()
        await self._answers.close(0.0 if self.broken else _LEAVE_SECONDS)
        if drained and not self._fatal and not self._answers.untold and self.place.sequence:
            await self._presence.keep(self.place)
        await self._link.close()

    async def _rest(self, seconds: float) -> None:
        self._awake.clear()
        if self._queue or self._closing:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._awake.wait(), seconds)

    async def _come_back(self, pause: float) -> float:
        """Looks for Redis, and takes in what was missed; answers how long to wait before the next look."""
        if self._fatal:
            await self._rest(_LONGEST_PAUSE)
            return pause
        before = self.place.sequence
        try:
            await self._link.greet(self.ledger.vault.fingerprint, self.place)
            turn = await self._link.turn(self.place.sequence, PAGE, [])
            await self._catch_up(turn.missed, turn.end)
            if self.place.sequence - before >= LONG_TAIL and not self.writer.depth and not self._answers.untold:
                await self._presence.keep(self.place)
            await self._link.warn()
        except AWAY as error:
            self._away = f"Redis is away: {type(error).__name__}"
        except DataError as error:
            if str(error) != self._away:
                _logger.error("scans are not judged: %s", error)  # noqa: TRY400 - the message says all
            self._away = str(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the state may have taken in half an entry
            self._stop(error)
        else:
            self._away = ""
            _logger.info("the stream was taken in up to entry %s", self.place.sequence)
            return _FIRST_PAUSE
        await asyncio.sleep(pause)
        return min(2 * pause, _LONGEST_PAUSE)

    async def _work(self, batch: list[PendingScan | Task]) -> None:
        self._asking = True
        try:
            groups = await self._groups(batch)
            turn = await self._link.turn(
                self.place.sequence, PAGE, [[one.draft for one in group.asked] for group in groups]
            )
            self._asking = False
            await self._catch_up(turn.missed, turn.end)
            self._take(groups, turn)
        except AWAY as error:
            _logger.warning("Redis is away: %s", error)
            self._away = f"Redis is away: {type(error).__name__}"
        except Exception as error:  # noqa: BLE001 - as in the base: state and stream may be out of step
            self._stop(error)
        finally:
            self._asking = False
        if self.broken:
            for item in batch:
                self._give_up(item)

    async def _groups(self, batch: list[PendingScan | Task]) -> list[_Group]:
        """What each request asks of the stream; those that ask nothing are answered."""
        groups = []
        for item in batch:
            try:
                asked = await self._drafted(item)
            except AWAY:
                raise
            except Exception:  # whatever it is, nothing was appended, and it concerns nobody else
                _logger.exception("a request could not be made an entry of the stream, and was refused")
                self._resolve([(item, Answered(422, why="what no entry can be made of"))])
                continue
            if isinstance(item, EventsTask) and item.problems:
                self._resolve([(item, Answered(status_of(item), why="refused"))])
            else:
                groups.append(_Group(item, asked))
        return groups

    async def _drafted(self, item: PendingScan | Task) -> list[Asked]:
        """The entries of a request, before they have a place."""
        if isinstance(item, PendingScan):
            return [self._drafting.scan(item.scan, item.identity, item.digest)]
        if isinstance(item, DecisionTask):
            return [self._drafting.decision(item)]
        if isinstance(item, EventsTask):
            return self._drafting.rows(item, await scans_judged(item, self.ledger, self._answers.find))
        raise UsageError(f"a request: found {type(item).__name__}, expected a scan, rows of events or a decision")

    async def _catch_up(self, missed: list[Passed], to: int) -> None:
        """Takes in what others appended, up to a sequence.

        Raises:
            DataError: Entries are missing or altered.
        """
        while True:
            await self._take_in(missed)
            if self.place.sequence >= to:
                return
            if self._away:
                self._away = f"{self.place.sequence:,} of {to:,} entries of the stream were taken in"
            await asyncio.sleep(0)
            missed = await self._link.read(self.place.sequence, to, PAGE)
            if not missed:
                raise DataError(f"the stream has no entry after {self.place.sequence}, expected entries up to {to}")

    async def _take_in(self, missed: list[Passed]) -> None:
        """Takes in a page; entries of this very scorer were left behind by an accident, and are judged now."""
        mine = {}
        for one in missed:
            if one.scorer == self._link.scorer:
                seal = await self._members.seal_of(one.owner, one.identity)
                if seal is not None:
                    mine[one.identity] = seal
        observed: list[ObservedScan] = []
        kept: list[Entry] = []
        for number, one in enumerate(missed):
            if one.log == FORGOTTEN:
                self._members.forgotten(one.identity)
            else:
                payload = self._drafts.opened(one.payload, one.identity)
                seal = mine.get(one.identity)
                found = None if seal is None else self.ledger.find(one.identity)
                if seal is None or found is not None:
                    self._append(payload, one.place)
                    if seal is not None and found is not None and found.record:
                        self._answers.tell([(one.identity, seal.seal(found.record, one.identity))])
                else:
                    left = self._left_behind(number, one, payload, seal)
                    observed += [left] if isinstance(left, ObservedScan) else []
                    kept += [left] if isinstance(left, Entry) else []
            self.place = one.place
        judged = [entry for _, entry, _ in self._judging.judge(observed)] if observed else []
        if judged or kept:
            self._hand_over(sorted(judged + kept, key=lambda one: one.sequence), judged, [])

    def _left_behind(
        self, number: int, one: Passed, payload: Payload, seal: MemberKey | Seal
    ) -> ObservedScan | Entry | None:
        """An entry of ours that the log does not have: on its way to the model, or to the log."""
        kind, opened = one.request[:1], seal.unseal(one.request[1:], one.identity)
        member = seal if isinstance(seal, MemberKey) else None
        if kind == TO_JUDGE:
            try:
                scan = request_of(opened)
            except msgspec.MsgspecError:
                _logger.exception("a scan in the stream cannot be read and is judged by nobody; all take it in")
                self._append(payload, one.place)
                return None
            item = PendingScan(scan, one.identity, one.digest)
            seen = self._see(number, item, one.place, payload, member)
            return seen if isinstance(seen, ObservedScan) else None
        self._append(payload, one.place)
        place = one.place
        return Entry(place.sequence, place.seen_at, one.log, one.identity, one.digest, (), member, opened)

    def _append(self, payload: Payload, place: Place) -> None:
        """The state takes in what is not to be judged here."""
        self.place = place
        take_in(self.state, self._drafts, self.logs, payload, place)

    def _see(
        self, number: int, item: PendingScan, place: Place, payload: Payload, member: MemberKey | None
    ) -> ObservedScan | Answered:
        """What is known of a scan, which the state takes in; the stream keeps its event."""
        self.place = place
        try:
            ((_, event),) = self._drafts.events(payload, place.seen_at)
            return self._judging.observed(number, item, place, event, member)._replace(events=())
        except DataError as error:
            _logger.warning("a scan was not taken in: %s", error)
            return Answered(422, why="numbers that cannot be added up")

    def _take(self, groups: list[_Group], turn: Turn) -> None:
        """Takes in what was appended here, in order, judges its scans together, and hands over the entries."""
        observed: list[ObservedScan] = []
        entries: list[Entry] = []
        done: list[tuple[PendingScan | Task, Answered]] = []
        again_later: list[PendingScan | Task] = []
        for number, ((item, asked), told) in enumerate(zip(groups, turn.results, strict=True)):
            others = [one for one in told if one[0] == OTHER_KEY]
            if others:
                for _, slot, row in others:
                    self._members.corrected(slot, row)
                again_later.append(item)
            elif not isinstance(item, PendingScan):
                made, answer = self._taken(item, asked, told)
                entries += made
                done.append((item, answer))
            elif told[0][0] == KNOWN:
                self._awaited.look_for(item, known(told[0][1]))
            else:
                self._members.appended(asked[0].draft)
                seen = self._see(number, item, _place(told[0]), asked[0].payload, asked[0].member)
                if isinstance(seen, ObservedScan):
                    observed.append(seen)
                else:
                    done.append((item, seen))
        self._queue.extendleft(reversed(again_later))
        judged = []
        for one, entry, answer in self._judging.judge(observed) if observed else ():
            judged.append(entry)
            done.append((one.item, answer))
        self._hand_over(sorted(entries + judged, key=lambda one: one.sequence), judged, done)

    def _taken(self, item: Task, asked: list[Asked], told: list[list[bytes]]) -> tuple[list[Entry], Answered]:
        """The entries of rows, which the state takes in, and what is answered."""
        entries, repeated = [], 0
        for one, said in zip(asked, told, strict=True):
            if said[0] == NEW:
                place = _place(said)
                self._members.appended(one.draft)
                self._append(one.payload, place)
                draft = one.draft
                entries.append(
                    Entry(
                        place.sequence,
                        place.seen_at,
                        draft.log,
                        draft.identity,
                        draft.digest,
                        (),
                        one.member,
                        one.record,
                    )
                )
            elif said[0] == KNOWN and known(said[1]).digest == one.draft.digest:
                repeated += 1
            elif said[0] == KNOWN and isinstance(item, EventsTask):
                item.refuse(item.rows[one.number], 409)
        if not isinstance(item, EventsTask):
            return entries, Answered(200)
        if item.problems:
            return [], Answered(status_of(item), why="refused")
        repeated += item.size - len(asked)
        return entries, Answered(200, _encode(EventsAnswer(len(entries), repeated)))

    def _hand_over(
        self, entries: Sequence[Entry], judged: Sequence[Entry], done: list[tuple[PendingScan | Task, Answered]]
    ) -> None:
        if not entries:
            self._answer_late(done)
            return
        records = [(one.identity, self._drafting.sealed(one.member, one.record, one.identity)) for one in judged]
        for entry in entries[:-1]:
            self.writer.submit(entry, nobody_waits)
        self.writer.submit(entries[-1], partial(self._kept, done, records))

    def _kept(self, done: list[tuple[PendingScan | Task, Answered]], records: list[tuple[bytes, bytes]]) -> None:
        """Called in the writer's thread: the log holds it, so it stays, and the others may find it."""
        self._committed(done)
        with contextlib.suppress(RuntimeError):  # the loop is gone; the next start tells the others
            self._loop.call_soon_threadsafe(self._answers.tell, records)

    def _found(self, item: PendingScan, answer: Answered | None) -> None:
        if answer is None:
            self._give_up(item)
        else:
            self._resolve([(item, answer)])

    def _expire(self, waiter: Waiter, scan: ScanBody, identity: bytes) -> None:
        if self._asking and not waiter.done() and self.writer.failing is None:
            waiter.set_result(self._degraded(scan, identity, "state"))
        else:
            super()._expire(waiter, scan, identity)

    def _give_up_all(self) -> None:
        while self._queue:
            self._give_up(self._queue.popleft())

    def _stop(self, error: Exception) -> None:
        self._fatal = f"{type(error).__name__}: state and stream are out of step; restart the service"
        _logger.error("nothing is judged any more until a restart", exc_info=error)


class _Elsewhere:
    """The stream gives places as it appends."""

    async def place(self, count: int) -> list[Place]:
        raise UsageError(f"{count} places were asked for; expected them of the stream, which gives them as it appends")


def _place(told: Sequence[bytes]) -> Place:
    return Place(int(told[1]), int(told[2]))


_encode: Final = msgspec.json.Encoder().encode
