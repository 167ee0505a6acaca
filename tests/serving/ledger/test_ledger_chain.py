"""Whatever is altered in the log's stored bytes is found, and the entry is named."""

from __future__ import annotations

import sqlite3

import pytest

ENTRIES = 40
ALTERED = 23


@pytest.fixture
def written(desk, folder):
    """A file of forty entries that nobody has open."""
    for start in range(0, ENTRIES, 10):
        desk.many(range(start, start + 10), member=f"member-{start}")
    head = desk.ledger.verify().head
    desk.close()
    return folder / "ledger.sqlite", head


def verified(open_desk, folder, noted=None):
    desk = open_desk(folder)
    report = desk.ledger.verify(noted)
    desk.close()
    return report


def altered(path, *statements):
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def test_what_nobody_touched_holds_and_the_head_is_found_again_later(written, open_desk, folder):
    _, head = written
    report = verified(open_desk, folder, head)
    assert (report.holds, report.entries, report.last, report.head) == (True, ENTRIES, ENTRIES, head)
    desk = open_desk(folder)
    desk.ask(ENTRIES)
    assert desk.ledger.verify(head).holds
    desk.close()


FLIP = "substr({0}, 1, 20) || x'{1:02x}' || substr({0}, 22)"


@pytest.mark.parametrize(
    "statement",
    [
        f"UPDATE entries SET seen_at = seen_at + 1 WHERE sequence = {ALTERED}",
        f"UPDATE entries SET owner = owner + 1 WHERE sequence = {ALTERED}",
        f"UPDATE entries SET log = 'orders' WHERE sequence = {ALTERED}",
        f"UPDATE entries SET identity = randomblob(16) WHERE sequence = {ALTERED}",
        f"UPDATE entries SET identity = randomblob(15) WHERE sequence = {ALTERED}",
        f"UPDATE entries SET chain = randomblob(32) WHERE sequence = {ALTERED}",
        f"UPDATE sealed SET content = content || x'00' WHERE sequence = {ALTERED}",
        f"DELETE FROM sealed WHERE sequence = {ALTERED}",
    ],
)
def test_an_altered_entry_is_named(written, open_desk, folder, statement):
    altered(written[0], statement)
    report = verified(open_desk, folder)

    assert not report.holds
    assert report.broken[0].sequence == ALTERED
    assert len(report.broken) <= 2


@pytest.mark.parametrize("place", range(0, 60, 7))
def test_one_byte_of_what_is_sealed_is_enough(written, open_desk, folder, place):
    with sqlite3.connect(written[0]) as connection:
        query = f"SELECT content FROM sealed WHERE sequence = {ALTERED}"
        content = bytearray(connection.execute(query).fetchone()[0])
        content[place % len(content)] ^= 1
        connection.execute(f"UPDATE sealed SET content = ? WHERE sequence = {ALTERED}", (bytes(content),))
    connection.close()
    assert [one.sequence for one in verified(open_desk, folder).broken] == [ALTERED]


def test_altered_events_are_named_by_the_last_entry_of_their_commit(written, open_desk, folder):
    path, _ = written
    with sqlite3.connect(path) as connection:
        last = connection.execute("SELECT min(sequence) FROM blocks").fetchone()[0]
    connection.close()
    altered(path, f"UPDATE blocks SET content = x'00' || substr(content, 2) WHERE sequence = {last}")
    assert [one.sequence for one in verified(open_desk, folder).broken] == [last]


def test_an_entry_that_is_gone_breaks_the_next(written, open_desk, folder):
    altered(written[0], f"DELETE FROM entries WHERE sequence = {ALTERED}")
    assert [one.sequence for one in verified(open_desk, folder).broken] == [ALTERED + 1]


def test_a_log_that_was_cut_short_shows_by_a_noted_head(written, open_desk, folder):
    path, head = written
    altered(path, "DELETE FROM entries WHERE sequence > 35")
    assert verified(open_desk, folder).holds
    report = verified(open_desk, folder, head)
    assert not report.holds
    assert "cut short" in report.broken[0].what


def test_entries_that_changed_places_are_named(written, open_desk, folder):
    altered(
        written[0],
        "UPDATE entries SET sequence = -1 WHERE sequence = 7",
        "UPDATE entries SET sequence = 7 WHERE sequence = 8",
        "UPDATE entries SET sequence = 8 WHERE sequence = -1",
    )
    assert {one.sequence for one in verified(open_desk, folder).broken} >= {7, 8}
