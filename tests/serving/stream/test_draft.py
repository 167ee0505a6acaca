"""What goes through the stream means what the embedded intake means by the same request, also after it was packed."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from serving.ledger.vault import Vault
from serving.live.bodies import MemberBody, OrderLineBody, PayoutBody, ScanLabelBody
from serving.live.intake import Intake
from serving.live.registers import Registers
from serving.stream.draft import Drafts
from tests.serving.stream.conftest import NoStore

if TYPE_CHECKING:
    from pathlib import Path

    from serving.live.bodies import ScanBody

IDENTITY = b"i" * 16
NOW = 1_760_000_000_000_000


@pytest.fixture
def vault() -> Vault:
    return Vault.open(b"s" * 32, NoStore())


def through(drafts: Drafts, sent: Any, at: int, scan: ScanBody | None = None) -> Any:
    """The events of what was sent, by way of the bytes of the stream."""
    return drafts.events(drafts.opened(drafts.sealed(drafts.row(sent, scan), IDENTITY), IDENTITY), at)


def test_scans_of_a_world_are_the_events_of_the_embedded_intake(
    world: Path, scans: list[ScanBody], vault: Vault
) -> None:
    registers = Registers.read(world)
    embedded, drafts = Intake(registers, vault), Drafts(registers, vault)
    instants = [int(scan.ts.timestamp() * 1e6) + late for scan in scans for late in (0, 10**12)]

    for scan, at in zip([scan for scan in scans for _ in range(2)], instants, strict=True):
        assert through(drafts, scan, at) == (("scans", embedded.scan(scan, at)),)


def test_other_rows_are_the_events_of_the_embedded_intake(world: Path, scans: list[ScanBody], vault: Vault) -> None:
    registers = Registers.read(world)
    embedded, drafts = Intake(registers, vault), Drafts(registers, vault)
    scan, clock = next(one for one in scans if one.member_id and one.device_id), count(NOW)
    joins = [
        MemberBody(member_id=f"new-{n}", registered_at=scan.ts, referrer_id=who, phone_prefix="138", city="Wuhan")
        for n, who in enumerate((None, "new-0", "new-1", scan.member_id, "nobody"))
    ]
    lines = [
        OrderLineBody(
            line_id=f"l{n}", order_id="o", ts=scan.ts, product_id="p", quantity=n, amount_fen=7 * n, member_id=who
        )
        for n, who in enumerate(("new-1", None, "new-2"))
    ]
    payout = PayoutBody(payout_id="p", ts=scan.ts, member_id="new-1", account_id="a", amount_fen=5)
    label = ScanLabelBody(scan_id=scan.scan_id, is_wool=1)
    again = msgspec.structs.replace(scan, scan_id="again", member_id="new-2")

    for joining in joins:
        at = next(clock)
        assert through(drafts, joining, at) == embedded.registration(joining, at)
    at = next(clock)
    assert through(drafts, tuple(lines), at) == embedded.order(lines, at)
    assert through(drafts, payout, at) == (("payouts", embedded.payout(payout, at)),)
    assert through(drafts, label, at, scan) == (("scan_labels", embedded.label(label, scan, at)),)
    assert through(drafts, again, at) == (("scans", embedded.scan(again, at)),)


def test_whoever_joins_before_a_scan_in_the_stream_is_known_to_it(
    world: Path, scans: list[ScanBody], vault: Vault
) -> None:
    drafts = Drafts(Registers.read(world), vault)
    scan = msgspec.structs.replace(scans[0], member_id="new")
    written = drafts.scan(scan)  # before anybody knew of the registration
    joining = MemberBody(member_id="new", registered_at=scan.ts, referrer_id="patron", city="Wuhan")

    ((_, before),) = drafts.events(written, NOW)
    through(drafts, joining, NOW + 1)
    ((_, after),) = drafts.events(written, NOW + 2)

    assert before["referrer_id"] is None
    assert after["referrer_id"] == vault.member("patron").alias
    assert after["registration_age_seconds"] == (NOW + 2 - int(scan.ts.timestamp() * 1e6)) // 1_000_000


def test_an_entry_names_the_keys_of_all_whom_it_names(scans: list[ScanBody], vault: Vault) -> None:
    drafts = Drafts(Registers(), vault)
    joining = MemberBody(member_id="new", registered_at=scans[0].ts, referrer_id="patron")

    drafts.row(joining)

    assert [one.alias for one in drafts.named()] == [vault.member("new").alias, vault.member("patron").alias]
    assert drafts.named() == []
