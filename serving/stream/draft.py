"""What goes into the stream: a request without its instant, under aliases, and what is made of it once it has one.

The instant decides what was known (who had joined, which batch was active), and it is given when the entry is appended;
so every scorer makes the events itself, from what the entry holds and from who joined before it in the stream. Nothing
else goes in: scorers with other tables would still take in the same.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from data.errors import DataError
from data.scan_event import address_block, scan_event
from serving.ledger.vault import KeyRow
from serving.live.bodies import MemberBody, OrderLineBody, PayoutBody, ScanBody, ScanLabelBody
from serving.live.intake import Intake

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving.ledger.vault import MemberKey, Vault
    from serving.live.intake import Event, Events
    from serving.live.registers import Registers

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_REGISTERED: Final = ("registered_at", "referrer_id", "phone_prefix", "city")
_BATCH: Final = ("activated_at", "shipped_at", "region", "first_serial", "last_serial")
_CAMPAIGN: Final = ("starts_at", "time_zone", "prize_odds")
_PLAIN: Final = ("ts", "batch_id", "serial", "product_id", "campaign_id", "lat", "lon", "entry", "status", "prize_fen")
_ALIASED: Final = (("device_id", "device"), ("wifi_id", "wifi"), ("user_agent", "agent"))


class Scanned(msgspec.Struct, array_like=True, frozen=True):
    """A scan under aliases, with what the tables say of its member, batch and campaign.

    Attributes:
        names: Numbers of scan, code, member, device, wireless network, user agent, address and its block.
        values: What is told in clear.
        member: When they joined, by whom, with which number, from where; None where nothing is known.
        batch: When it was activated and shipped, where to, and its serials.
        campaign: When it starts, in which zone, with which odds.
    """

    names: list[int | None]
    values: list[Any]
    member: list[Any] | None
    batch: list[Any] | None
    campaign: list[Any] | None


class Registered(msgspec.Struct, array_like=True, frozen=True):
    """Somebody who joined; `grandparent` brought who brought them, as far as the tables know."""

    event: dict[str, Any]
    grandparent: int | None


class Payload(msgspec.Struct, array_like=True, frozen=True):
    """What every scorer takes in of one entry: a scan, somebody who joined, or events that hang on no instant."""

    scan: Scanned | None = None
    registered: Registered | None = None
    events: list[tuple[str, dict[str, Any]]] = []


_encode: Final = msgspec.msgpack.Encoder().encode
_decoder: Final = msgspec.msgpack.Decoder(Payload)


class Drafts:
    """Makes payloads of what is sent, and events of payloads.

    Args:
        registers: What the folder of tables knows.
        vault: Gives aliases and seals.
        members: Gives the keys of members; the vault where nobody else draws any.

    Attributes:
        intake: Makes the events that hang on no instant, and knows who joined.
    """

    def __init__(self, registers: Registers, vault: Vault, members: Callable[[str], MemberKey] | None = None) -> None:
        self._registers, self._vault = registers, vault
        self._member = members or vault.member
        self._named: dict[str, MemberKey] = {}
        self.intake = Intake(registers, self)  # by way of us, so that whom it names is noted, too

    def alias(self, kind: str, value: str, /) -> int:
        """As the vault gives it."""
        return self._vault.alias(kind, value)

    def member(self, member_id: str) -> MemberKey:
        """As the vault gives it; it goes with the next entry."""
        key = self._named[member_id] = self._member(member_id)
        return key

    def named(self) -> list[MemberKey]:
        """The keys of all members that were named since the last call."""
        named, self._named = list(self._named.values()), {}
        return named

    def scan(self, scan: ScanBody) -> Payload:
        """The payload of a scan."""
        alias, registers = self.alias, self._registers
        names: list[int | None] = [alias("scan", scan.scan_id), alias("code", scan.code_id)]
        names.append(None if scan.member_id is None else self.member(scan.member_id).alias)
        for name, kind in _ALIASED:
            value = getattr(scan, name)
            names.append(None if value is None else alias(kind, value))
        block = address_block(scan.ip)
        names.append(None if scan.ip is None else alias("address", scan.ip))
        names.append(None if block is None else alias("block", block))
        batch = None if scan.batch_id is None else registers.batches.row(scan.batch_id)
        campaign = None if scan.campaign_id is None else registers.campaigns.row(scan.campaign_id)
        return Payload(
            Scanned(
                names,
                [getattr(scan, name) for name in _PLAIN],
                self._registered(scan.member_id),
                None if batch is None else [batch[name] for name in _BATCH],
                None if campaign is None else [campaign[name] for name in _CAMPAIGN],
            )
        )

    def row(self, sent: Any, scan: ScanBody | None = None) -> Payload:  # noqa: ANN401 - a row of any table
        """The payload of a row of events; empty where no log of a state is made of its table.

        Args:
            sent: The row; the lines of a basket are one.
            scan: What a verdict is on.
        """
        match sent:
            case ScanBody():
                return self.scan(sent)
            case MemberBody():
                return self._joining(sent)
            case ScanLabelBody():
                return Payload(events=[("scan_labels", self.intake.label(sent, scan, 0))])
            case PayoutBody():
                return Payload(events=[("payouts", self.intake.payout(sent, 0))])
            case (OrderLineBody(), *_):
                return Payload(events=list(self.intake.order(sent, 0)))
            case _:
                return Payload()

    def sealed(self, payload: Payload, identity: bytes) -> bytes:
        """The payload as the stream holds it."""
        return self._vault.deployment.seal(_encode(payload), identity)

    def opened(self, sealed: bytes, identity: bytes) -> Payload:
        """What `sealed` gave.

        Raises:
            DataError: It was altered, or is of another release.
        """
        try:
            return _decoder.decode(self._vault.deployment.unseal(sealed, identity))
        except msgspec.DecodeError as error:
            raise DataError(f"an entry of the stream is not of this release: {error}") from error

    def events(self, payload: Payload, seen_at: int) -> Events:
        """What the state takes in at an instant; the register learns of who joins.

        Raises:
            DataError: No events can be made of it: whatever the fault, every scorer finds the same one.
        """
        try:
            return self._made(payload, seen_at)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise DataError(f"an entry of the stream is no event: {type(error).__name__}") from error

    def _made(self, payload: Payload, seen_at: int) -> Events:
        if payload.scan is not None:
            return (("scans", self._scan(payload.scan, seen_at)),)
        if payload.registered is not None:
            return self._joined(payload.registered, seen_at)
        return tuple((log, event | {"seen_at": seen_at}) for log, event in payload.events)

    def _scan(self, scanned: Scanned, seen_at: int) -> Event:
        scan_id, code, member, device, wifi, agent, address, block = scanned.names
        row: Event = dict(zip(_PLAIN, scanned.values, strict=True))
        row["received_at"] = _EPOCH + seen_at * _MICROSECOND
        joined = None if member is None else self.intake.joined.get(member)
        known = joined._asdict() if joined is not None else _row(_REGISTERED, scanned.member)
        event: Event = scan_event(row, known, _row(_BATCH, scanned.batch), _row(_CAMPAIGN, scanned.campaign))
        del event["received_at"], event["ts"], event["lat"], event["lon"]
        event |= {"seen_at": seen_at, "scan_id": scan_id, "code_id": code, "member_id": member, "device_id": device}
        event |= {"wifi_id": wifi, "user_agent": agent, "ip": address, "ip24": block}
        return event

    def _joined(self, registered: Registered, seen_at: int) -> Events:
        event = registered.event | {"seen_at": seen_at}
        self.intake.join(event)
        referrer, events = event["referrer_id"], [("registrations", event)]
        if referrer is None:
            return tuple(events)
        events.append(("referrals", _referral(seen_at, referrer, event["member_id"], 1)))
        parent = self.intake.joined.get(referrer)
        grandparent = registered.grandparent if parent is None else parent.referrer_id
        if grandparent is not None:
            events.append(("referrals", _referral(seen_at, grandparent, event["member_id"], 2)))
        return tuple(events)

    def _joining(self, sent: MemberBody) -> Payload:
        parent = self._registered(sent.referrer_id)
        event = {
            "member_id": self.member(sent.member_id).alias,
            "registered_at": (sent.registered_at - _EPOCH) // _MICROSECOND,
            "referrer_id": None if sent.referrer_id is None else self.member(sent.referrer_id).alias,
            "phone_prefix": None if sent.phone_prefix is None else self.alias("phone", sent.phone_prefix),
            "city": sent.city,
            "channel": sent.channel,
        }
        return Payload(registered=Registered(event, None if parent is None else parent[1]))

    def _registered(self, member_id: str | None) -> list[Any] | None:
        """What the tables say of a member, under aliases."""
        row = None if member_id is None else self._registers.members.row(member_id)
        if row is None:
            return None
        referrer, prefix = row["referrer_id"], row["phone_prefix"]
        return [
            row["registered_at"],
            None if referrer is None else self.member(referrer).alias,
            None if prefix is None else self.alias("phone", prefix),
            row["city"],
        ]


def key_row(key: MemberKey) -> KeyRow:
    """A member's key as it is stored."""
    return KeyRow(key.alias, key.slot, key.wrapped)


def _row(names: tuple[str, ...], values: list[Any] | None) -> dict[str, Any] | None:
    return None if values is None else dict(zip(names, values, strict=True))


def _referral(seen_at: int, referrer: int | None, child: int, generation: int) -> Event:
    return {"seen_at": seen_at, "member_id": referrer, "child_id": child, "generation": generation}
