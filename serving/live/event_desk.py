"""Rows that come in by `POST /v1/events`, and decisions made elsewhere: taken in once, in the one order."""

from __future__ import annotations

import asyncio
import logging
from math import isqrt
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from data.errors import DataError
from features.compiled import TooLarge
from serving.contracts import Problem
from serving.ledger.ledger import Entry
from serving.ledger.record import Record, decode_record, encode_record
from serving.live.bodies import KEYS, ScanBody, content
from serving.live.pending import Answered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serving.ledger.ledger import Place
    from serving.ledger.vault import MemberKey, Vault
    from serving.live.bodies import EventsBody
    from serving.live.intake import Event, Events
    from serving.live.scan_desk import ScanDesk

DECISIONS: Final = "decisions"
REGISTRATIONS: Final = "registrations"
_COUNTED: Final = frozenset({"scans", "payouts", "orders"})
"""Tables whose rows bring numbers that are added up."""
_logger = logging.getLogger("serving")
_TAKEN: Final = msgspec.json.Encoder()


class EventsAnswer(msgspec.Struct, frozen=True):
    """What became of some rows; all of them, or none where it is refused.

    Attributes:
        recorded: How many were taken in now; the lines of an order are one.
        repeated: How many had come before and count once.
    """

    recorded: int
    repeated: int


class Row(NamedTuple):
    """One thing of a request, a row or the lines of an order, with all that is made of it before its turn.

    Attributes:
        table: Its table.
        number: Its place there.
        id: As it was sent.
        sent: The row, or the lines.
        identity: The keyed hash of its id.
        digest: The keyed hash of its content.
        record: What is kept of it.
    """

    table: str
    number: int
    id: str
    sent: Any
    identity: bytes
    digest: bytes
    record: bytes


class EventsTask:
    """The rows of one request, all taken in or none.

    What can be made of them without the state is made here, where a fault concerns nobody else.

    Args:
        body: The rows.
        vault: Hashes and names them.

    Attributes:
        problems: Why they are refused, where they are.
        rows: What it brings, in order.
        scans: Those among it, by id.
    """

    def __init__(self, body: EventsBody, vault: Vault) -> None:
        self.future: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self.problems: list[Problem] = []
        self.rows = _rows(body, vault)
        self.scans = {scan.scan_id: scan for scan in body.scans}
        self._fresh: list[tuple[Row, ScanBody | None]] = []
        self._repeated = 0

    @property
    def size(self) -> int:
        """How many entries they may make."""
        return len(self.rows)

    def prepare(self, desk: ScanDesk, seen_at: int) -> Answered | None:
        """Finds the rows that did not come before; refuses all where one cannot be taken in."""
        fresh, statuses = self._fresh, {200}
        sent: dict[bytes, bytes] = {}
        for row in self.rows:
            identity, digest = row.identity, row.digest
            before = sent.get(identity)
            found = None if before is not None else desk.known(identity)
            known = before if before is not None else (found.digest if found else None)
            scan = None
            if found is not None and found.forgotten:
                statuses.add(self.refuse(row, 410))
            elif known is not None and known != digest:
                statuses.add(self.refuse(row, 409))
            elif known is not None:
                self._repeated += 1
            else:
                if row.table == "scan_labels":
                    status, scan = self._judged(desk, row.id)
                    if status != 200:
                        statuses.add(self.refuse(row, status))
                        continue
                sent[identity] = digest
                fresh.append((row, scan))
        statuses |= self._too_large(desk, seen_at, fresh)
        return None if statuses == {200} else Answered(max(statuses), why="refused")

    def entries(self, desk: ScanDesk, places: Sequence[Place]) -> tuple[list[Entry], Answered]:
        """Takes in the rows that did not come before."""
        entries = [self._entry(desk, place, row, scan) for place, (row, scan) in zip(places, self._fresh, strict=False)]
        return entries, Answered(200, _TAKEN.encode(EventsAnswer(len(entries), self._repeated)))

    def _judged(self, desk: ScanDesk, scan_id: str) -> tuple[int, ScanBody | None]:
        """The scan that a verdict is on: of this request, or of the log."""
        if scan_id in self.scans:
            return 200, self.scans[scan_id]
        found = desk.ledger.find(desk.ledger.vault.identity("scans", scan_id))
        if found is None:
            return 422, None
        if found.forgotten or found.record is None:
            return 410, None
        return 200, msgspec.convert(decode_record(found.record).request, ScanBody)

    def _too_large(self, desk: ScanDesk, seen_at: int, fresh: Sequence[tuple[Row, ScanBody | None]]) -> set[int]:
        """Refuse rows that would leave what the state can add up; nothing is taken in.

        Each is tried with what all rows of the request together bring, so that they also fit one after the other.
        """
        tried = [
            (row, log, event)
            for row, scan in fresh
            if row.table in _COUNTED
            for log, event in _events(desk, row, scan, seen_at)
            if log in desk.logs
        ]
        together = {
            (log, column): _together(
                [abs(event[column] or 0) for _, its, event in tried if its == log], squared=squared
            )
            for log in {log for _, log, _ in tried}
            for column, squared in desk.added_up.get(log, {}).items()
        }
        refused = set()
        for row, log, event in tried:
            known = [column for column in desk.added_up.get(log, ()) if event[column] is not None]
            try:
                desk.state.attempt(log, event | {column: together[log, column] for column in known})
            except TooLarge as error:
                refused.add(self.refuse(row, 422, error))
        return refused

    def refuse(self, row: Row, status: int, too_large: TooLarge | None = None) -> int:
        """Say what is wrong with a row; answers the status."""
        found, expected, fix = REFUSED[status]
        where = f"body.{row.table}.{row.number}"
        if too_large is not None:
            where = f"{where}.{too_large.column}"
            found = f"an amount that does not fit what was counted for its {too_large.key} before"
            expected, fix = (
                "sums, and sums of squares, below 2**62",
                "mend the amounts, here or in what was sent before",
            )
        self.problems.append(Problem(where=where, found=found, expected=expected, fix=fix))
        return status

    def _entry(self, desk: ScanDesk, place: Place, row: Row, scan: ScanBody | None) -> Entry:
        events = _events(desk, row, scan, place.seen_at)
        kept = tuple(one for one in events if _taken_in(desk, *one))
        sent = row.sent[0] if isinstance(row.sent, tuple) else row.sent
        member_id = scan.member_id if scan is not None else getattr(sent, "member_id", None)
        member = None if member_id is None else desk.ledger.vault.member(member_id)
        return Entry(place.sequence, place.seen_at, row.table, row.identity, row.digest, kept, member, row.record)


class DecisionTask:
    """A decision that was made elsewhere, to be found again by its id.

    Raises:
        OverflowError: It holds a number that no record does; said here, where nothing has happened yet.
    """

    def __init__(self, record: Record, member_id: str | None) -> None:
        self.future: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self.record, self.member_id = record, member_id
        self.encoded = encode_record(record)

    size: Final = 1

    def prepare(self, desk: ScanDesk, seen_at: int) -> Answered | None:  # noqa: ARG002 - as of any task
        """Sees whether it is kept already: the same question has the same id."""
        identity = desk.ledger.vault.identity(DECISIONS, self.record.decision_id)
        return None if desk.known(identity) is None else Answered(200)

    def entries(self, desk: ScanDesk, places: Sequence[Place]) -> tuple[list[Entry], Answered]:
        """Keeps it."""
        vault, place = desk.ledger.vault, places[0]
        identity = vault.identity(DECISIONS, self.record.decision_id)
        member: MemberKey | None = None if self.member_id is None else vault.member(self.member_id)
        digest = vault.digest(self.record.answer)
        entry = Entry(place.sequence, place.seen_at, DECISIONS, identity, digest, (), member, self.encoded)
        return [entry], Answered(200)


def record_of(table: str, sent: Any, identity: bytes) -> Record:  # noqa: ANN401 - a row of any table
    """What is kept of a row."""
    told = msgspec.to_builtins(sent)
    request = {"lines": told} if table == "orders" else told
    return Record(decision_id=identity.hex(), task="", version="", request=request, features=b"", answer=b"")


def _row(table: str, number: int, id_: str, sent: Any, vault: Vault) -> Row:  # noqa: ANN401 - of any table
    identity, digest = vault.identity(table, id_), vault.digest(content(sent))
    return Row(table, number, id_, sent, identity, digest, encode_record(record_of(table, sent, identity)))


REFUSED: Final = {
    409: ("another content under an id that came before", "the same content, or a new id", "send what was sent first"),
    410: ("an id of somebody who was forgotten", "ids of members who are known", "leave the row out"),
    422: ("a verdict on a scan that did not come here", "a scan that was scored or sent before", "send the scan first"),
}


def _together(sizes: Sequence[int], *, squared: bool) -> int:
    """One value that adds as much as several do."""
    return 1 + isqrt(sum(size * size for size in sizes)) if squared else sum(sizes)


def _rows(body: EventsBody, vault: Vault) -> list[Row]:
    rows: list[Row] = []
    for table, key in KEYS.items():
        sent = getattr(body, table)
        if table != "orders":
            rows += [_row(table, number, getattr(one, key), one, vault) for number, one in enumerate(sent)]
            continue
        baskets: dict[str, list[Any]] = {}
        for line in sent:
            baskets.setdefault(line.order_id, []).append(line)
        rows += [_row(table, number, id_, tuple(lines), vault) for number, (id_, lines) in enumerate(baskets.items())]
    return rows


def _taken_in(desk: ScanDesk, log: str, event: Event) -> bool:
    """Whether an event is kept in the log: the state took it in, or the register did."""
    if log not in desk.logs:
        return log == REGISTRATIONS
    try:
        desk.state.append(log, event)
    except DataError as error:
        _logger.warning("a row is recorded, and counts for nothing: %s", error)
        return False
    return True


def _events(desk: ScanDesk, row: Row, scan: ScanBody | None, seen_at: int) -> Events:
    """What a row means to the state; nothing where no log of a state is made of its table."""
    intake, sent = desk.intake, row.sent
    match row.table:
        case "members":
            return intake.registration(sent, seen_at)
        case "scans":
            return (("scans", intake.scan(sent, seen_at)),)
        case "scan_labels":
            return (("scan_labels", intake.label(sent, scan, seen_at)),)
        case "payouts":
            return (("payouts", intake.payout(sent, seen_at)),)
        case "orders":
            return intake.order(sent, seen_at)
        case _:
            return ()
