from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from serving.ledger.ledger import Entry, Ledger, following
from serving.ledger.writer import Writer

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "0123456789abcdef" * 4


@dataclass
class Desk:
    """Asks, as the service does: places, hands in, and waits until it is committed."""

    ledger: Ledger
    writer: Writer

    def __post_init__(self):
        self.last = self.ledger.last

    def entry(self, number, member="ann", clock=0, record=b"answer"):
        vault = self.ledger.vault
        self.last = following(self.last, clock)
        event = {
            "seen_at": 0,
            "scan_id": vault.alias("scan_id", str(number)),
            "member_id": vault.member(member).alias if member else None,
            "device_id": vault.alias("device_id", f"phone-{number % 7}"),
            "status": "first" if number % 3 else "repeat",
            "prize_fen": number,
            "wifi_id": None,
        }
        return Entry(
            *self.last,
            "scans",
            vault.identity("scans", str(number)),
            vault.digest(b"content %d" % number),
            (("scans", event),),
            vault.member(member) if member else None,
            record,
        )

    def ask(self, number, member="ann", clock=0, record=b"answer"):
        done = threading.Event()
        entry = self.entry(number, member, clock, record)
        self.writer.submit(entry, done.set)
        assert done.wait(10)
        return entry

    def many(self, numbers, member="ann"):
        entries = [self.entry(number, member) for number in numbers]
        for entry in entries:
            self.writer.submit(entry, lambda: None)
        assert self.writer.drain(30)
        return entries

    def close(self):
        drained = self.writer.stop()
        self.ledger.close()
        return drained


@pytest.fixture
def folder(tmp_path: Path):
    return tmp_path / "ledger"


@pytest.fixture
def desk(folder):
    opened = at_desk(folder)
    yield opened
    opened.close()


def at_desk(folder, **options):
    ledger = Ledger.open(folder, SECRET)
    return Desk(ledger, Writer(ledger, gather_seconds=0.001, **options))


@pytest.fixture
def open_desk():
    return at_desk
