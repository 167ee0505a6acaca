"""What goes wrong with disks and processes: nothing that was acknowledged is lost or counted twice."""

from __future__ import annotations

import logging
import os
import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from data.errors import UsageError
from serving.ledger.ledger import Ledger
from tests.counts import times
from tests.serving.ledger.appending import SECRET, content

KILLS = times(20, 200)
ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.faults


def appended(folder, first, seed, generator):
    """Lets a process append, kills it at a random moment, and gives what it acknowledged."""
    command = [sys.executable, str(Path(__file__).with_name("appending.py")), str(folder), str(first), str(seed)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:  # noqa: S603 - ourselves
        acknowledged = process.stdout.read(8 * generator.randrange(1, 400))
        time.sleep(generator.random() * 0.02)
        process.kill()
        acknowledged += process.stdout.read()
        assert process.wait() == -9
    return np.frombuffer(acknowledged[: len(acknowledged) // 8 * 8], np.int64).tolist()


def test_killed_at_any_point_nothing_acknowledged_is_lost_or_doubled(folder):
    generator = random.Random(11)  # noqa: S311 - moments to kill at
    acknowledged, lost, doubled, kept = set(), 0, 0, 0
    for kill in range(KILLS):
        first = max(acknowledged, default=-1) + 1
        acknowledged.update(appended(folder, max(0, first - 5), kill, generator))
        ledger = Ledger.open(folder, SECRET)
        assert ledger.verify().holds
        events = [
            number
            for batch in ledger.entries()
            for number in np.frombuffer(batch.events["scans"].numbers["scan_id"], np.int64).tolist()
        ]
        kept = len(list(ledger.identities("scans")))
        doubled += len(events) - len(set(events)) + abs(kept - len(events))
        counted = set(events)
        for number in acknowledged:
            identity, digest, record = content(ledger, number)
            found = ledger.find(identity)
            lost += found is None or (found.digest, found.record) != (digest, record) or number not in counted
        ledger.close()
    assert len(acknowledged) > 50 * KILLS
    assert kept >= len(acknowledged)
    assert (lost, doubled) == (0, 0)


def submitted(desk, numbers):
    acknowledged = []
    for number in numbers:
        desk.writer.submit(desk.entry(number), lambda number=number: acknowledged.append(number))
    return acknowledged


def until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("fault", "mend", "said"),
    [
        ("PRAGMA max_page_count = 1", "PRAGMA max_page_count = 1073741823", "full"),
        ("PRAGMA query_only = ON", "PRAGMA query_only = OFF", "readonly"),
    ],
)
def test_while_the_disk_takes_nothing_it_is_said_and_later_all_is_there_in_order(desk, fault, mend, said, caplog):
    before = [desk.ask(number) for number in range(20)]
    with caplog.at_level(logging.WARNING):
        desk.ledger._writing.execute(fault)
        acknowledged = submitted(desk, range(100, 400))
        until(lambda: desk.writer.failing)
        assert said in desk.writer.failing
        assert acknowledged == []
        assert desk.writer.depth == 300
        assert desk.ledger.find(before[0].identity).record == b"answer"
        assert not desk.ledger.find(desk.ledger.vault.identity("scans", "100")).committed
        assert not desk.writer.drain(0.05)

        until(lambda: _mended(desk, mend))
        assert desk.writer.drain(10)
    until(lambda: len(acknowledged) == 300)
    assert acknowledged == list(range(100, 400))
    assert desk.writer.failing is None
    assert len([one for one in caplog.records if "cannot be written" in one.message]) == 1
    assert desk.ledger.last.sequence == 320
    assert desk.ledger.verify().holds


def _mended(desk, mend):
    try:
        desk.ledger._writing.execute(mend)
    except sqlite3.Error:
        return False
    return True


FULL = """
import resource, sys, time
from pathlib import Path
from serving.ledger.ledger import Entry, Ledger, following
from serving.ledger.writer import Writer
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
ledger = Ledger.open(Path(sys.argv[1]), sys.argv[2])
writer = Writer(ledger)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, most))
acknowledged, last = [], ledger.last
for number in range(2_000):
    last = following(last, 0)
    entry = Entry(*last, "scans", b"%016d" % number, bytes(16), (), None, bytes(1_000))
    writer.submit(entry, lambda number=number: acknowledged.append(number))
assert not writer.drain(2), "the limit did not bite"
failing, before = writer.failing, len(acknowledged)
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
assert writer.drain(20), writer.failing
assert writer.stop()
assert acknowledged == list(range(2_000))
assert ledger.verify().holds and ledger.last.sequence == 2_000
print(failing, before)
"""


def test_on_a_disk_that_is_full_for_a_while_nothing_is_lost(folder):
    command = [sys.executable, "-c", FULL, str(folder), SECRET]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ourselves
    assert done.returncode == 0, done.stderr
    assert any(word in done.stdout for word in ("full", "disk I/O error"))


def test_a_folder_that_cannot_be_written_is_said_at_the_start(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UsageError, match="cannot be written"):
        Ledger.open(tmp_path / "file" / "ledger", SECRET)


def test_a_disk_that_is_read_only_is_said_at_the_start(tmp_path):
    script = (
        'mount -t tmpfs -o size=1m tmpfs "$0" && mount -o remount,ro "$0" || exit 77; '
        'exec "$1" -c "import sys; from pathlib import Path; from serving.ledger.ledger import Ledger; '
        'Ledger.open(Path(sys.argv[1]) / \'ledger\', sys.argv[2])" "$0" "$2"'
    )
    command = ["unshare", "--mount", "sh", "-c", script, str(tmp_path), sys.executable, SECRET]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ourselves
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("nothing may be mounted here")
    assert "UsageError" in done.stderr
    assert "Read-only file system" in done.stderr


def test_a_clock_an_hour_back_or_ahead_moves_no_entry_out_of_order(desk):
    hour, now = 3_600_000_000, 1_760_000_000_000_000
    clocks = [now, now - hour, now + 1, now + hour, now + 2, now - hour]
    entries = [desk.ask(number, clock=clock) for number, clock in enumerate(clocks)]
    instants = [entry.seen_at for entry in entries]

    assert instants == sorted(set(instants))
    assert [batch.last.seen_at for batch in desk.ledger.entries()] == instants
    assert desk.ledger.verify().holds
