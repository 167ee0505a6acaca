"""A judge that listens hears what reaches the books and changes nothing by it; what hangs on who scans goes by lot."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.sources import open_folder
from data.world.almanac import DAY_US, START_US
from data.world.defence import Chances
from data.world.request import Request
from data.world.simulation import simulate

REQUEST = Request(members=300, days=14, seed=5)


class Barring:
    """Blocks every third scan."""

    def judge(self, day, scans):
        return np.arange(len(scans)) % 3 == day % 3


class Ear(Barring):
    """The same, and keeps what it is told and shown."""

    def __init__(self):
        self.heard = []
        self.shown = []

    def told(self, table, rows):
        self.heard.append((table, rows))

    def judge(self, day, scans):
        self.heard.append(("judge", scans))
        self.shown.append((scans, scans["prize_fen"].to_pylist()))
        return super().judge(day, scans)


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    ear, folder = Ear(), tmp_path_factory.mktemp("worlds") / "heard"
    return ear, simulate(REQUEST, folder, ear)


def test_listening_changes_nothing(played, tmp_path):
    _, report = played
    assert simulate(REQUEST, tmp_path / "unheard", Barring()).content_hash == report.content_hash


def test_what_is_told_is_what_is_written(played):
    ear, report = played
    tables = {name for name, _ in ear.heard} - {"judge"}
    assert tables == {
        *("scans", "scan_labels", "members", "payouts", "orders", "sends", "redemptions"),
        *("products", "campaigns", "batches", "offers", "weather"),
    }
    for name in tables:
        path = report.folder / name
        held = [pq.read_table(part) for part in sorted(path.iterdir())] if path.is_dir() else None
        written = pa.concat_tables(held) if held else pq.read_table(path.with_suffix(".parquet"))
        assert pa.concat_tables([rows for told, rows in ear.heard if told == name]).to_pylist() == written.to_pylist()


def test_purchases_come_before_the_scans_of_their_day_and_verdicts_after(played):
    ear, _ = played
    judged, moments = -1, {"orders": "ts", "scan_labels": "landed_at", "payouts": "ts"}
    for name, rows in ear.heard:
        if name == "judge":
            judged += 1
        elif name in moments and judged < REQUEST.days - 1:
            days = (rows[moments[name]].cast(pa.int64()).to_numpy() - START_US) // DAY_US
            assert set(days.tolist()) <= {judged + (name == "orders")}
    assert judged == REQUEST.days - 1


def test_what_a_judge_was_shown_stays_as_it_was(played):
    ear, _ = played
    assert all(scans["prize_fen"].to_pylist() == prizes for scans, prizes in ear.shown)
    assert any(sum(prizes) for _, prizes in ear.shown)


class Checking:
    """Stops the wool party and hardly anybody else; keeps what it was shown."""

    def __init__(self, honest, wool):
        self.chances = (honest, wool)
        self.shown = []

    def judge(self, day, scans):
        del day
        self.shown.append(scans)
        return Chances(*(np.full(len(scans), chance) for chance in self.chances))


def test_a_check_stops_by_lot_and_by_who_is_asked(tmp_path):
    judge = Checking(0.1, 0.7)
    report = simulate(REQUEST, tmp_path / "world", judge)
    with open_folder(report.folder).connect() as connection:
        connection.register("shown", pa.concat_tables(judge.shown))
        truth = f"read_parquet('{report.folder}/truth/scans/*.parquet')"
        stopped = connection.sql(f"""
            SELECT family <> 'honest' AS wool, count(*) AS scans, avg((scans.prize_fen = 0)::INTEGER) AS share
            FROM shown JOIN scans USING (scan_id) JOIN {truth} USING (scan_id)
            WHERE shown.prize_fen > 0 GROUP BY wool ORDER BY wool
        """).to_arrow_table()
    honest, wool = stopped["share"].to_pylist()
    spread = np.sqrt(0.25 / stopped["scans"].to_numpy())
    assert abs(honest - 0.1) < 3 * spread[0]
    assert abs(wool - 0.7) < 3 * spread[1]
