"""A process that appends to a ledger until it is killed; it says on standard output what it acknowledges.

    python appending.py FOLDER FIRST SEED

A number is acknowledged by eight bytes. One that the log holds already is acknowledged again, as the service does.
"""

from __future__ import annotations

import os
import random
import sys
import time
from pathlib import Path

from serving.ledger.ledger import Entry, Ledger, following
from serving.ledger.writer import Writer

SECRET = "0123456789abcdef" * 4
MEMBERS = 50


def content(ledger, number):
    """Identity, digest and decision of a number, the same in every process."""
    vault = ledger.vault
    text = b"%d" % number * 50
    return vault.identity("scans", str(number)), vault.digest(text), text


def append(folder, first, seed):
    generator = random.Random(seed)  # noqa: S311 - to hurry and to dawdle
    ledger = Ledger.open(folder, SECRET)
    writer = Writer(ledger, gather_seconds=generator.choice([0.0, 0.0005, 0.003]))
    last, number = ledger.last, first
    while True:
        identity, digest, record = content(ledger, number)

        def acknowledge(number=number):
            os.write(1, number.to_bytes(8, "little"))

        found = ledger.find(identity)
        if found is not None:
            acknowledge()
        else:
            last = following(last, time.time_ns() // 1_000)
            member = ledger.vault.member(f"member-{number % MEMBERS}")
            event = {"scan_id": number, "member_id": member.alias, "prize_fen": 1}
            writer.submit(Entry(*last, "scans", identity, digest, (("scans", event),), member, record), acknowledge)
        number += 1
        if generator.random() < 0.05:
            time.sleep(generator.random() / 500)
        while writer.depth > 500:
            time.sleep(0.001)


if __name__ == "__main__":
    append(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
