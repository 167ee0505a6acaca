"""A forgotten member's records open for nobody, whoever holds the files and the secret; the chain holds."""

from __future__ import annotations

import time

import pytest

from data.errors import DataError, DependencyDown, UsageError
from serving.ledger.forget import Forgotten, forget
from serving.ledger.ledger import Ledger

SECRET = "0123456789abcdef" * 4


@pytest.fixture
def asked(desk):
    """Five entries of ann, three of bob, one of nobody."""
    ann = [desk.ask(number, member="ann", record=b"of ann") for number in range(5)]
    bob = [desk.ask(number, member="bob", record=b"of bob") for number in range(10, 13)]
    return {"ann": ann, "bob": bob, None: [desk.ask(20, member=None, record=b"of nobody")]}


def test_beside_a_running_service_all_of_one_member_is_gone_and_nothing_else(asked, desk, folder):
    head = desk.ledger.verify().head
    wrapped, alias = desk.ledger.vault.member("ann").wrapped, desk.ledger.vault.member("ann").alias
    assert forget(folder, SECRET, "ann") == Forgotten(known=True, records=5, readable=0)
    desk.ask(30, member="bob")  # the service notices before its next commit

    for entry in asked["ann"]:
        assert desk.ledger.find(entry.identity) == (b"", None, True, entry.sequence, True)
    for member in ("bob", None):
        for entry in asked[member]:
            assert not desk.ledger.find(entry.identity).forgotten
            assert desk.ledger.find(entry.identity).record == entry.record
    assert desk.ledger.verify(head).holds
    everything = b"".join(path.read_bytes() for path in folder.iterdir())
    assert wrapped not in everything
    assert asked["ann"][0].member.slot not in everything
    assert desk.ledger.vault.member("ann").alias != alias


def test_an_idle_service_notices_too(asked, desk, folder):
    assert not desk.ledger.find(asked["ann"][0].identity).forgotten  # so that the key is in memory
    forget(folder, SECRET, "ann")
    deadline = time.monotonic() + 5
    while desk.ledger.vault.known("ann") is not None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert desk.ledger.find(asked["ann"][0].identity).forgotten


def test_what_was_on_its_way_is_written_and_opens_for_nobody(asked, desk, folder):
    desk.writer.stop()
    waiting = desk.entry(40, member="ann")
    forget(folder, SECRET, "ann")
    desk.ledger.commit([waiting])

    assert desk.ledger.find(waiting.identity).forgotten
    assert desk.ledger.verify().holds
    assert len(asked["ann"]) + 5 == desk.ledger.last.sequence


def test_a_member_who_comes_again_is_a_new_one(asked, desk, folder):
    before = asked["ann"][0].member.alias
    forget(folder, SECRET, "ann")
    desk.ask(50, member="bob")
    again = desk.ask(51, member="ann")
    other = desk.ask(52, member="ann")

    assert again.member.alias == other.member.alias != before
    assert [desk.ledger.find(one.identity).forgotten for one in (again, other)] == [False, False]
    assert forget(folder, SECRET, "ann") == Forgotten(known=True, records=2, readable=0)


def test_after_a_restart_it_is_still_forgotten(asked, desk, folder, open_desk):
    forget(folder, SECRET, "ann")
    desk.close()
    desk = open_desk(folder)
    assert all(desk.ledger.find(entry.identity).forgotten for entry in asked["ann"])
    desk.close()
    assert forget(folder, SECRET, "ann") == Forgotten(known=False, records=0, readable=0)


def test_a_member_never_seen_is_said_so(desk, folder):
    desk.ask(1)
    assert not forget(folder, SECRET, "carol").known


def test_a_long_read_that_keeps_the_journal_is_said(asked, desk, folder):
    reader = Ledger.read(folder, SECRET)
    desk.ask(60, member="bob")
    rows = reader._reading.execute("SELECT * FROM entries")
    rows.fetchone()
    with pytest.raises(DependencyDown, match="run the same again"):
        forget(folder, SECRET, "ann", patience=0.1)
    rows.close()
    reader.close()
    assert forget(folder, SECRET, "ann") == Forgotten(known=False, records=0, readable=0)
    assert (folder / "ledger.sqlite-wal").stat().st_size == 0
    assert len(asked) == 3


def test_without_ledger_or_secret_nothing_is_forgotten(desk, folder, tmp_path):
    desk.ask(1)
    with pytest.raises(DataError, match="found no ledger"):
        forget(tmp_path, SECRET, "ann")
    with pytest.raises(UsageError, match="another secret"):
        forget(folder, "f" * 64, "ann")
