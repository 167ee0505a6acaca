"""From what is sent to what the state takes in: the events of its logs, as `data.logs` gives them, under aliases.

Names and values are those of the queries that training reads; a test holds the two to the same features. Ids of people
and their things are replaced by numbers that only this deployment's secret gives (`serving.ledger.vault`).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import msgspec

from data.scan_event import address_block, scan_event

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from serving.ledger.vault import MemberKey
    from serving.live.bodies import MemberBody, OrderLineBody, PayoutBody, ScanBody, ScanLabelBody
    from serving.live.registers import Registers

Event = dict[str, Any]
Events = tuple[tuple[str, Event], ...]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_NO_KEYS: Final = dict.fromkeys(
    (
        "member_id",
        "device_id",
        "ip",
        "ip24",
        "code_id",
        "batch_id",
        "product_id",
        "campaign_id",
        "wifi_id",
        "user_agent",
    )
)

KINDS: Final[Mapping[str, str]] = {
    "scan_id": "scan",
    "code_id": "code",
    "device_id": "device",
    "ip": "address",
    "ip24": "block",
    "wifi_id": "wifi",
    "user_agent": "agent",
    "payout_id": "payout",
    "account_id": "account",
    "phone_prefix": "phone",
    "line_id": "line",
    "order_id": "order",
}
"""Columns of events that hold an alias, and of what kind."""
MEMBERS: Final = frozenset({"member_id", "referrer_id", "child_id"})
"""Columns of events that hold a member's number."""
LOGS: Final = frozenset({"scans", "scan_labels", "payouts", "registrations", "referrals", "orders", "baskets"})
"""The logs that what is sent makes events of."""


class Names(Protocol):
    """Gives aliases; a vault of the ledger is one."""

    def alias(self, kind: str, value: str, /) -> int:
        """The number of a device, an address, a code, ..."""

    def member(self, member_id: str) -> MemberKey:
        """The key of a member, whose `alias` is their number."""


class Joined(NamedTuple):
    """What is known of one member, under aliases.

    Attributes:
        registered_at: When they joined; None for those known before records began.
        referrer_id: Who brought them.
        phone_prefix: How their phone number begins.
        city: Where they live.
    """

    registered_at: datetime | None
    referrer_id: int | None
    phone_prefix: int | None
    city: str | None


class Intake:
    """Makes events of what is sent.

    Args:
        registers: What the folder of tables knows.
        names: Gives aliases.

    Attributes:
        joined: Members who joined while the service ran, by alias: they go before those of the folder.
    """

    def __init__(self, registers: Registers, names: Names) -> None:
        self._registers, self._names = registers, names
        self.joined: dict[int, Joined] = {}

    def scan(self, scan: ScanBody, seen_at: int, whose: int | None = None) -> Event:
        """The event of a scan that arrives now, with what is known of its member, batch and campaign.

        Args:
            scan: What was sent.
            seen_at: Its instant, microseconds since 1970 UTC.
            whose: The alias of its member, where that is known already.
        """
        registers, alias = self._registers, self._names.alias
        if whose is None and scan.member_id is not None:
            whose = self._names.member(scan.member_id).alias
        member = None if scan.member_id is None or whose is None else self._member(scan.member_id, whose)
        batch = None if scan.batch_id is None else registers.batches.row(scan.batch_id)
        campaign = None if scan.campaign_id is None else registers.campaigns.row(scan.campaign_id)
        row: Event = {name: getattr(scan, name) for name in _SCAN_COLUMNS}
        row["received_at"] = _EPOCH + seen_at * _MICROSECOND
        event = scan_event(row, member, batch, campaign)
        del event["received_at"], event["ts"], event["lat"], event["lon"]
        event["seen_at"] = seen_at
        event["scan_id"] = alias("scan", scan.scan_id)
        event["code_id"] = alias("code", scan.code_id)
        for name, kind in _ALIASED:
            value: Any = event[name]
            if value is not None:
                event[name] = alias(kind, value)
        event["member_id"] = whose
        return event

    def label(self, label: ScanLabelBody, scan: ScanBody | None, seen_at: int) -> Event:
        """The event of a verdict, with the keys of its scan; without them where nothing of it may be known any more."""
        event: Event = {"scan_id": self._names.alias("scan", label.scan_id), "is_wool": label.is_wool} | _NO_KEYS
        event["seen_at"] = seen_at
        if scan is None:
            return event
        alias = self._names.alias
        given = {**msgspec.structs.asdict(scan), "ip24": address_block(scan.ip)}
        event |= {name: given[name] for name in ("batch_id", "product_id", "campaign_id")}
        event |= {name: None if given[name] is None else alias(kind, given[name]) for name, kind in _ALIASED}
        event["code_id"] = alias("code", scan.code_id)
        event["member_id"] = None if scan.member_id is None else self._names.member(scan.member_id).alias
        return event

    def payout(self, payout: PayoutBody, seen_at: int) -> Event:
        """The event of a payment."""
        return {
            "payout_id": self._names.alias("payout", payout.payout_id),
            "seen_at": seen_at,
            "member_id": self._names.member(payout.member_id).alias,
            "account_id": self._names.alias("account", payout.account_id),
            "amount_fen": payout.amount_fen,
        }

    def registration(self, member: MemberBody, seen_at: int) -> Events:
        """The events of somebody's joining: theirs, and one for each who brought them, or their bringer.

        Known from now on, which is when the register learns of it.
        """
        alias = self._names.member(member.member_id).alias
        referrer = None if member.referrer_id is None else self._names.member(member.referrer_id).alias
        prefix = None if member.phone_prefix is None else self._names.alias("phone", member.phone_prefix)
        instant = (member.registered_at - _EPOCH) // _MICROSECOND
        event: Event = {
            "member_id": alias,
            "seen_at": seen_at,
            "registered_at": instant,
            "referrer_id": referrer,
            "phone_prefix": prefix,
            "city": member.city,
            "channel": member.channel,
        }
        events = [("registrations", event)]
        self.join(event)
        if member.referrer_id is None:
            return tuple(events)
        events.append(("referrals", _referral(seen_at, referrer, alias, 1)))
        parent = None if referrer is None else self._member(member.referrer_id, referrer)
        if parent is not None and parent["referrer_id"] is not None:
            events.append(("referrals", _referral(seen_at, parent["referrer_id"], alias, 2)))
        return tuple(events)

    def join(self, registration: Mapping[str, Any]) -> None:
        """Lets the register know of a registration: live, and again from the log when the service starts."""
        instant = registration["registered_at"]
        self.joined[registration["member_id"]] = Joined(
            None if instant is None else _EPOCH + instant * _MICROSECOND,
            registration["referrer_id"],
            registration["phone_prefix"],
            registration["city"],
        )

    def joined_rows(self) -> Iterator[tuple[int, tuple[int | None, int | None, int | None, str | None]]]:
        """Who joined, by alias: instant in microseconds, referrer, phone prefix and city."""
        for alias, one in list(self.joined.items()):
            instant = None if one.registered_at is None else (one.registered_at - _EPOCH) // _MICROSECOND
            yield alias, (instant, one.referrer_id, one.phone_prefix, one.city)

    def order(self, lines: Sequence[OrderLineBody], seen_at: int) -> Events:
        """The events of one basket: each of its lines, and the basket."""
        members = {line.member_id for line in lines if line.member_id is not None}
        aliases = {member: self._names.member(member).alias for member in members}
        events: list[tuple[str, Event]] = []
        for line in lines:
            event: Event = msgspec.structs.asdict(line) | {"seen_at": seen_at}
            product = self._registers.products.row(line.product_id)
            event["category"], event["brand"] = (product["category"], product["brand"]) if product else (None, None)
            event["line_id"] = self._names.alias("line", line.line_id)
            event["order_id"] = self._names.alias("order", line.order_id)
            event["member_id"] = None if line.member_id is None else aliases[line.member_id]
            del event["ts"]
            events.append(("orders", event))
        first = events[0][1]
        basket: Event = {
            "order_id": first["order_id"],
            "seen_at": seen_at,
            "member_id": aliases[min(members)] if members else None,
            "store_id": first["store_id"],
            "channel": first["channel"],
            "lines": len(lines),
            "products": len({line.product_id for line in lines}),
        }
        basket |= {name: _sum(event[name] for _, event in events) for name in _SUMMED}
        return (*events, ("baskets", basket))

    def _member(self, member_id: str, alias: int) -> dict[str, Any] | None:
        """What is known of a member, under aliases."""
        joined = self.joined.get(alias)
        if joined is not None:
            return joined._asdict()
        row = self._registers.members.row(member_id)
        if row is None:
            return None
        referrer, prefix = row["referrer_id"], row["phone_prefix"]
        return {
            "registered_at": row["registered_at"],
            "referrer_id": None if referrer is None else self._names.member(referrer).alias,
            "phone_prefix": None if prefix is None else self._names.alias("phone", prefix),
            "city": row["city"],
        }


_SCAN_COLUMNS: Final = (
    *("ts", "device_id", "ip", "batch_id", "serial", "product_id", "campaign_id", "lat", "lon", "entry", "user_agent"),
    *("wifi_id", "status", "prize_fen", "member_id"),
)
_ALIASED: Final = tuple((name, KINDS[name]) for name in ("device_id", "ip", "ip24", "wifi_id", "user_agent"))
_SUMMED: Final = ("quantity", "amount_fen", "discount_fen", "coupon_discount_fen", "margin_fen")


def _referral(seen_at: int, referrer: int | None, child: int, generation: int) -> Event:
    return {"seen_at": seen_at, "member_id": referrer, "child_id": child, "generation": generation}


def _sum(values: Any) -> int | None:  # noqa: ANN401 - numbers and nulls
    known = [value for value in values if value is not None]
    return sum(known) if known else None
