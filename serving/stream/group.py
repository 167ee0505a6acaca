"""What a request asks of the stream: its entries, appended all or none, and what is answered by what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from serving.ledger.record import Record, decode_record
from serving.live.bodies import ScanBody
from serving.live.event_desk import DECISIONS, REFUSED
from serving.stream.draft import Payload
from serving.stream.link import Draft

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from serving.ledger.ledger import Found, Ledger
    from serving.ledger.vault import MemberKey, Vault
    from serving.live.event_desk import DecisionTask, EventsTask
    from serving.stream.draft import Drafts
    from serving.stream.members import Members

TO_JUDGE, KEPT = b"J", b"R"
"""How a request in the stream begins: a scan that its scorer is to judge; a record that its scorer keeps."""
_encode: Final = msgspec.msgpack.Encoder().encode
_decoder: Final = msgspec.msgpack.Decoder(ScanBody)


class Asked(NamedTuple):
    """One entry of a request, on its way to the stream.

    Attributes:
        draft: What goes there.
        payload: The same before it was sealed.
        member: Whose it is.
        record: What is kept of it; empty where that is known later.
        number: Which row of its request it is.
    """

    draft: Draft
    payload: Payload
    member: MemberKey | None
    record: bytes
    number: int = 0


class Drafting:
    """Makes entries of what is asked.

    Args:
        drafts: Makes payloads.
        members: Says whose an entry is.
        vault: Seals.
    """

    def __init__(self, drafts: Drafts, members: Members, vault: Vault) -> None:
        self._drafts, self._members, self._vault = drafts, members, vault

    def scan(self, scan: ScanBody, identity: bytes, digest: bytes) -> Asked:
        """A scan that is to be judged."""
        payload = self._drafts.scan(scan)
        return self._asked("scans", identity, digest, payload, scan.member_id, request=_encode(scan))

    def rows(self, task: EventsTask, scans: Mapping[str, ScanBody]) -> list[Asked]:
        """Rows of events, each id once.

        Args:
            task: The rows; what cannot be taken in is refused there.
            scans: Those that verdicts are on.
        """
        asked: dict[bytes, Asked] = {}
        for place, row in enumerate(task.rows):
            identity, digest = row.identity, row.digest
            before = asked.get(identity)
            if before is not None:
                if before.draft.digest != digest:
                    task.refuse(row, 409)
                continue
            scan = scans.get(row.id) if row.table == "scan_labels" else None
            payload = self._drafts.row(row.sent, scan)
            sent = row.sent[0] if isinstance(row.sent, tuple) else row.sent
            member_id = scan.member_id if scan is not None else getattr(sent, "member_id", None)
            asked[identity] = self._asked(
                row.table, identity, digest, payload, member_id, record=row.record, number=place
            )
        return list(asked.values())

    def decision(self, task: DecisionTask) -> Asked:
        """A decision made elsewhere."""
        record, member_id = task.record, task.member_id
        identity = self._vault.identity(DECISIONS, record.decision_id)
        digest = self._vault.digest(record.answer)
        return self._asked(DECISIONS, identity, digest, Payload(), member_id, record=task.encoded)

    def sealed(self, member: MemberKey | None, content: bytes, identity: bytes) -> bytes:
        """A record or a request as all scorers find it."""
        return (self._vault.deployment if member is None else member).seal(content, identity)

    def _asked(  # noqa: PLR0913 - the parts of one entry
        self,
        log: str,
        identity: bytes,
        digest: bytes,
        payload: Payload,
        member_id: str | None,
        *,
        record: bytes = b"",
        request: bytes = b"",
        number: int = 0,
    ) -> Asked:
        member = None if member_id is None else self._drafts.member(member_id)
        kept = self.sealed(member, record, identity) if record else b""
        draft = Draft(
            log,
            identity,
            digest,
            self._members.owner(member, identity),
            self._drafts.sealed(payload, identity),
            KEPT + kept if record else TO_JUDGE + self.sealed(member, request, identity),
            kept,
            self._members.told(self._drafts.named()),
        )
        return Asked(draft, payload, member, record, number)


def request_of(opened: bytes) -> ScanBody:
    """The scan of an opened request."""
    return _decoder.decode(opened)


async def scans_judged(
    task: EventsTask, ledger: Ledger, find: Callable[[bytes], Awaitable[Found | None]]
) -> dict[str, ScanBody]:
    """The scans that a request's verdicts are on, of whichever scorer; what has none is refused."""
    scans = dict(task.scans)
    for row in task.rows:
        if row.table == "scan_labels" and row.id not in scans:
            identity = ledger.vault.identity("scans", row.id)
            found = ledger.find(identity) or await find(identity)
            record = None if found is None or found.record is None else decode_record(found.record)
            scan = _scan_of(record)
            if scan is not None:
                scans[row.id] = scan
            else:
                task.refuse(row, 410 if found is not None and found.forgotten else 422)
    return scans


def status_of(task: EventsTask) -> int:
    """What a refused request is answered with: the gravest of its rows."""
    return max(_STATUSES[problem.found] for problem in task.problems)


_STATUSES: Final = {found: status for status, (found, _, _) in REFUSED.items()}


def _scan_of(record: Record | None) -> ScanBody | None:
    """The scan that a record is of; None where it is of something else."""
    request: dict[str, Any] = {} if record is None else record.request
    return msgspec.convert(request, ScanBody, strict=False) if "scan_id" in request and "code_id" in request else None
