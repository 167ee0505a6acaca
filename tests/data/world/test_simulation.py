"""A small world from end to end: it keeps the contracts, hides the truth, and is the same every time."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pytest

from data.checks import check
from data.errors import UsageError
from data.sources import open_folder
from data.world.almanac import DAY_US, START_US
from data.world.records import CROWDS, FAMILIES
from data.world.request import Request
from data.world.simulation import simulate

START = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=START_US)
SIZE = Request(members=2_500, days=14, seed=3)
TINY = Request(members=200, days=14, seed=3)
FROZEN_ROWS = {
    "scans": 8_353,
    "scan_labels": 499,
    "members": 2_588,
    "payouts": 173,
    "orders": 10_407,
    "sends": 1_690,
}
FROZEN_FAMILIES = {
    "honest": 7_795,
    "device_farm": 68,
    "rented_phones": 55,
    "cap_resale": 76,
    "leaked_codes": 58,
    "referral_star": 62,
    "bonus_hunters": 44,
    "flash_bots": 34,
    "cloned_codes": 83,
    "store_clerks": 78,
}
FROZEN_PRIZES = 205_386
TRUTH = ("scans", "members", "effects", "rings", "sites", "cannibalisation", "stores")


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return simulate(SIZE, tmp_path_factory.mktemp("worlds") / "world")


@pytest.fixture(scope="module")
def tables(report):
    """A connection with every table, and the truth as views named truth_NAME."""
    with open_folder(report.folder).connect() as connection:
        for name in TRUTH:
            path = report.folder / "truth" / name
            found = f"{path}/*.parquet" if path.is_dir() else f"{path}.parquet"
            connection.execute(f"CREATE VIEW truth_{name} AS SELECT * FROM read_parquet('{found}')")
        yield connection


def _one(tables, query):
    ((value,),) = tables.execute(query).fetchall()
    return value


def _families(folder):
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"SELECT family, count(*) FROM read_parquet('{folder}/truth/scans/*.parquet') GROUP BY family"
        ).fetchall()
    return dict(rows)


def test_the_world_keeps_every_contract(report):
    found = check(open_folder(report.folder), datetime.now(UTC))

    assert found.passed, found.text()
    assert found.tables == report.rows
    assert found.notes == ()


def test_every_family_and_every_crowd_is_there(report, tables):
    assert set(report.families) == set(FAMILIES)
    assert min(report.families.values()) > 0
    assert min(count for name, count in report.crowds.items() if name in CROWDS) > 0
    assert sum(report.families.values()) == report.rows["scans"]
    assert _families(report.folder) == report.families
    wool = 1 - report.families["honest"] / report.rows["scans"]
    assert 0.04 < wool < 0.1
    assert 0.2 < report.families["honest"] / (SIZE.members * SIZE.days) < 0.32
    assert _one(tables, "SELECT count(*) FROM scan_labels WHERE is_wool = 1") > 0


def test_the_frozen_world_is_still_the_one_that_was_frozen(report, tables):
    """Code that draws otherwise makes another world of the same parameters: that is a v2 too."""
    counted = {name: report.rows[name] for name in ("scans", "scan_labels", "members", "payouts", "orders", "sends")}

    assert counted == FROZEN_ROWS
    assert report.families == FROZEN_FAMILIES
    assert _one(tables, "SELECT sum(prize_fen) FROM scans") == FROZEN_PRIZES


def test_rows_come_in_order_of_arrival(report, tables):
    for table, moment in (
        ("scans", "received_at"),
        ("orders", "ts"),
        ("payouts", "ts"),
        ("scan_labels", "landed_at"),
        ("members", "registered_at"),
    ):
        parts = sorted((report.folder / table).iterdir())
        moments = np.concatenate(
            [
                tables.sql(f"SELECT epoch_us({moment}) AS at FROM read_parquet('{part}')").fetchnumpy()["at"]
                for part in parts
            ]
        )
        assert (np.diff(moments) >= 0).all(), table


def test_scans_and_orders_lie_inside_the_world_and_follow_registration(tables):
    end = START + timedelta(days=SIZE.days)
    for table in ("scans", "orders", "sends"):
        outside = f"SELECT count(*) FROM {table} WHERE ts < '{START}' OR ts >= '{end}'"
        assert _one(tables, outside) == 0
        early = (
            f"SELECT count(*) FROM {table} JOIN members USING (member_id) WHERE ts < registered_at - INTERVAL 1 SECOND"
        )
        assert _one(tables, early) == 0, table


def test_the_truth_tells_of_every_scan_and_member(report, tables):
    assert _one(tables, "SELECT count(*) FROM scans SEMI JOIN truth_scans USING (scan_id)") == _one(
        tables, "SELECT count(*) FROM truth_scans"
    )
    assert _one(tables, "SELECT count(*) FROM truth_members ANTI JOIN members USING (member_id)") == 0
    assert _one(tables, "SELECT count(*) FROM truth_scans WHERE (family = 'honest') <> (ring_id IS NULL)") == 0
    assert (
        _one(tables, "SELECT count(*) FROM truth_scans ANTI JOIN truth_rings USING (ring_id) WHERE ring_id IS NOT NULL")
        == 0
    )
    offers = _one(tables, "SELECT count(*) FROM offers")
    assert _one(tables, "SELECT count(*) FROM truth_effects") == offers * report.rows["members"]
    assert _one(tables, "SELECT count(*) FROM sends ANTI JOIN truth_effects USING (member_id, offer_id)") == 0


def test_some_of_the_wool_party_shop_as_others_do(tables):
    shops = dict(
        tables.execute(
            "SELECT family <> 'honest', avg((known.member_id IS NOT NULL)::INT) FROM truth_members"
            " LEFT JOIN (SELECT DISTINCT member_id FROM orders) AS known USING (member_id) GROUP BY 1"
        ).fetchall()
    )
    assert 0.2 < shops[False] < 0.5
    assert 0.3 * shops[False] < shops[True] < shops[False]


def test_readers_of_the_tables_do_not_see_the_truth(report):
    data_set = open_folder(report.folder)
    before = data_set.content_hash()
    (report.folder / "truth" / "added.parquet").write_bytes(b"")

    assert set(data_set.files) == set(report.rows)
    assert open_folder(report.folder).content_hash() == before == report.content_hash


def test_the_same_request_is_not_written_twice(report):
    again = simulate(SIZE, report.folder)

    assert again.reused
    assert again.content_hash == report.content_hash
    with pytest.raises(UsageError, match="found another world there"):
        simulate(TINY, report.folder)


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")

    with pytest.raises(UsageError, match="found something else there"):
        simulate(TINY, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_families_left_out_or_late_change_nothing_about_the_others(tmp_path):
    whole = simulate(TINY, tmp_path / "whole")
    asked = Request(
        members=200, days=14, seed=3, leave_out=("device_farm",), arrive={"rented_phones": 9}, csv=("scans", "offers")
    )
    other = simulate(asked, tmp_path / "other")

    assert other.families["device_farm"] == 0
    assert whole.families["device_farm"] > 0
    moved = {"device_farm", "rented_phones"}
    assert [other.families[name] for name in FAMILIES if name not in moved] == [
        whole.families[name] for name in FAMILIES if name not in moved
    ]
    assert check(open_folder(other.folder), datetime.now(UTC)).passed
    with open_folder(other.folder).connect() as connection:
        first = _one(
            connection,
            f"SELECT epoch_us(min(ts)) FROM scans JOIN read_parquet('{other.folder}/truth/scans/*.parquet')"
            " USING (scan_id) WHERE family = 'rented_phones'",
        )
    assert first >= START_US + 9 * DAY_US


class Wall:
    """Blocks everything, until it fails."""

    def __init__(self, last=10**6):
        self.last = last

    def judge(self, day, scans):
        if day > self.last:
            raise RuntimeError("out of order")
        return np.ones(scans.num_rows, bool)


def test_what_is_blocked_pays_nobody(tmp_path):
    report = simulate(TINY, tmp_path / "world", defence=Wall())

    assert "payouts" not in report.rows
    assert report.defence == "Wall"
    with open_folder(report.folder).connect() as connection:
        assert _one(connection, "SELECT sum(prize_fen) FROM scans") == 0
    with pytest.raises(UsageError, match="another world"):
        simulate(TINY, report.folder)


def test_a_world_that_breaks_off_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError, match="out of order"):
        simulate(TINY, tmp_path / "world", defence=Wall(last=4))

    assert list(tmp_path.iterdir()) == []


def test_a_wool_party_that_adapts_is_judged_by_simple_rules(tmp_path):
    told = []
    report = simulate(
        Request(members=1_500, days=16, seed=3, adapt=True),
        tmp_path / "world",
        progress=lambda _, done, total: told.append((done, total)),
    )

    with open_folder(report.folder).connect() as connection:
        rings = f"read_parquet('{report.folder}/truth/rings.parquet')"
        assert _one(connection, f"SELECT sum(blocked) FROM {rings}") > 0
    assert told[-1][0] == told[-1][1] == len(told)
    assert json.loads((report.folder / "world.json").read_text())["request"]["adapt"] is True
