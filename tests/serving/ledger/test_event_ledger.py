"""The log: what went in is found again, whole, once, in order, and by nobody without the secret."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from data.errors import DataError, UsageError
from serving.ledger.ledger import Entry, Ledger, Place, following
from serving.ledger.writer import Full, Writer

SECRET = "0123456789abcdef" * 4


def test_what_was_committed_is_found_again_also_after_a_restart(desk, folder, open_desk):
    asked = desk.ask(1, record=b"pay")
    for _ in range(2):
        found = desk.ledger.find(asked.identity)
        assert found == (asked.digest, b"pay", False, 1, True)
        assert desk.ledger.find(bytes(16)) is None
        assert desk.close()
        desk = open_desk(folder)
    assert desk.ledger.last == Place(1, asked.seen_at)
    assert desk.close()


def test_what_waits_for_its_commit_is_found_and_said_to_wait(desk):
    desk.writer.stop()
    entry = desk.entry(1)
    desk.ledger.queue(entry)

    assert desk.ledger.find(entry.identity) == (entry.digest, b"answer", False, 1, False)
    desk.ledger.commit([entry])
    assert desk.ledger.find(entry.identity).committed


def test_events_come_back_in_order_as_they_were_taken_in(desk):
    entries = [desk.ask(number) for number in range(1, 8)]
    found = list(desk.ledger.entries())

    assert [batch.last for batch in found][-1] == desk.ledger.last
    instants = np.concatenate([np.frombuffer(batch.events["scans"].seen_at, np.int64) for batch in found])
    assert instants.tolist() == [entry.seen_at for entry in entries]
    prizes = np.concatenate([np.frombuffer(batch.events["scans"].numbers["prize_fen"], np.int64) for batch in found])
    assert prizes.tolist() == list(range(1, 8))
    assert [one for batch in found for one in batch.events["scans"].others["status"]] == [
        entry.events[0][1]["status"] for entry in entries
    ]
    assert [batch.last.sequence for batch in desk.ledger.entries(after=5)] == [
        batch.last.sequence for batch in found if batch.last.sequence > 5
    ]


def test_an_entry_without_member_decision_or_events_is_an_entry(desk):
    entry = desk.ask(1, member=None, record=b"")
    bare = Entry(*following(desk.last, 0), "labels", b"i" * 16, b"d" * 16, (), None, b"")
    desk.writer.submit(bare, lambda: None)

    assert desk.writer.drain(5)
    assert desk.ledger.find(entry.identity) == (entry.digest, None, False, 1, True)
    assert desk.ledger.find(bare.identity) == (bare.digest, None, False, 2, True)
    assert desk.ledger.verify().holds


@pytest.mark.usefixtures("desk")
def test_a_second_process_is_refused_by_name(folder):
    code = (
        "import sys; from pathlib import Path; from data.errors import UsageError\n"
        "from serving.ledger.ledger import Ledger\n"
        "try: Ledger.open(Path(sys.argv[1]), sys.argv[2])\n"
        "except UsageError as error: print(error)"
    )
    command = [sys.executable, "-c", code, str(folder), SECRET]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - ourselves

    assert f"process {os.getpid()} has it open" in done.stdout
    with pytest.raises(UsageError, match=f"process {os.getpid()} has it open"):
        Ledger.open(folder, SECRET)


def test_another_secret_is_refused_and_does_not_harm(desk, folder, open_desk):
    asked = desk.ask(1)
    desk.close()
    for opened in (Ledger.open, Ledger.read):
        with pytest.raises(UsageError, match="another secret"):
            opened(folder, "f" * 64)
    desk = open_desk(folder)
    assert desk.ledger.find(asked.identity).record == b"answer"
    desk.close()


def test_a_reader_looks_on_while_the_service_writes(desk, folder):
    first = desk.ask(1)
    reader = Ledger.read(folder, SECRET)
    second = desk.ask(2)

    assert [reader.find(entry.identity).sequence for entry in (first, second)] == [1, 2]
    reader.close()
    with pytest.raises(DataError, match="found no ledger"):
        Ledger.read(folder / "elsewhere", SECRET)


def test_the_order_is_one_and_the_clock_may_jump(desk):
    hour = 3_600_000_000
    clocks = [10 * hour, 9 * hour, 9 * hour, 11 * hour, 0]
    instants = [desk.ask(number, clock=clock).seen_at for number, clock in enumerate(clocks)]

    assert instants == [10 * hour, 10 * hour + 1, 10 * hour + 2, 11 * hour, 11 * hour + 1]
    entry = desk.entry(9)
    late = Entry(entry.sequence, instants[-1], *(getattr(entry, name) for name in Entry.__slots__[2:]))
    with pytest.raises(UsageError, match="one order"):
        desk.writer.submit(late, lambda: None)
    with pytest.raises(UsageError, match="one order"):
        desk.writer.submit(
            Entry(1, entry.seen_at, *(getattr(entry, name) for name in Entry.__slots__[2:])), lambda: None
        )


def test_the_place_goes_on_after_a_restart_whatever_the_clock_says(desk, folder, open_desk):
    last = desk.ask(1, clock=5_000_000)
    desk.close()
    desk = open_desk(folder)
    assert desk.ask(2, clock=1_000).seen_at == last.seen_at + 1
    desk.close()


def test_a_full_queue_refuses_and_keeps_nothing(folder):
    ledger = Ledger.open(folder, SECRET)
    writer = Writer(ledger, most_waiting=0)
    entry = Entry(1, 1, "scans", b"i" * 16, b"d" * 16, (), None, b"")
    with pytest.raises(Full, match="0 entries wait"):
        writer.submit(entry, lambda: None)
    assert ledger.find(entry.identity) is None
    writer.stop()
    with pytest.raises(Full):
        writer.submit(entry, lambda: None)
    ledger.close()


def test_a_stopped_writer_takes_nothing_more(desk):
    desk.ask(1)
    desk.writer.stop()
    with pytest.raises(UsageError, match="stopped"):
        desk.writer.submit(desk.entry(2), lambda: None)


def test_done_is_called_once_in_order_after_the_commit(desk):
    called = []
    for number in range(300):
        entry = desk.entry(number)
        desk.writer.submit(entry, lambda entry=entry: called.append((entry.sequence, desk.ledger.last.sequence)))
    assert desk.writer.drain(10)
    while len(called) < 300:
        pass
    assert [sequence for sequence, _ in called] == list(range(1, 301))
    assert all(committed >= sequence for sequence, committed in called)
    assert desk.writer.commits < 300


def test_entries_may_come_while_others_are_committed(folder, open_desk):
    often = sys.getswitchinterval()
    desk = open_desk(folder)
    sys.setswitchinterval(1e-6)
    try:
        for number in range(4_000):
            entry = Entry(*following(desk.last, 0), "scans", b"%016d" % number, bytes(16), (), None, b"")
            desk.last = Place(entry.sequence, entry.seen_at)
            desk.writer.submit(entry, lambda: None)
        assert desk.close()
    finally:
        sys.setswitchinterval(often)
    desk = open_desk(folder)
    assert desk.ledger.last.sequence == 4_000
    desk.close()


def test_a_writer_that_ended_is_no_writer_that_succeeds(desk, monkeypatch):
    monkeypatch.setattr(desk.writer._thread, "is_alive", lambda: False)
    assert "has ended" in desk.writer.failing


def test_one_who_cannot_be_told_keeps_the_log_from_nobody(desk, caplog):
    def gone():
        raise RuntimeError("the loop is closed")

    desk.writer.submit(desk.entry(1), gone)
    assert desk.ask(2).sequence == 2
    assert "could not be told" in caplog.text
    assert desk.writer.failing is None


def test_what_no_log_can_hold_is_said_and_not_acknowledged(desk):
    entry = desk.entry(1)
    entry.events[0][1]["status"] = object()
    desk.writer.submit(entry, lambda: None)
    assert not desk.writer.drain(0.2)
    assert "expected numbers, text or None" in desk.writer.failing
    assert desk.ledger.last.sequence == 0
    desk.writer._waiting.clear()


def test_nothing_personal_lies_in_the_files(desk, folder):
    desk.ask(1, member="ann-of-the-north", record=b"secret answer of ann-of-the-north")
    desk.ledger.vault.alias("device_id", "phone-1")
    everything = b"".join(path.read_bytes() for path in folder.iterdir())

    assert len(everything) > 1_000
    for text in (b"ann-of-the-north", b"phone-1", b"secret answer", desk.ledger.vault.member("x").slot):
        assert text not in everything
    assert {path.stat().st_mode & 0o077 for path in folder.iterdir() if path.suffix == ".sqlite"} == {0}
