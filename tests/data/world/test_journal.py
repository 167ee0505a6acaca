"""From scans on their way to rows: order of arrival, prizes, deals, blocks, verdicts and payouts that follow."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from data.sources import open_folder
from data.world.almanac import DAY_US, START_US
from data.world.brand_table import batch_columns, campaign_columns
from data.world.campaigns import CAMPAIGN, EVERGREEN, FLASH_SALE
from data.world.codes import BATCH
from data.world.coupons import COUPON_CAMPAIGN
from data.world.journal import Journal, JournalSettings
from data.world.ledger import Ledger
from data.world.payouts import Purses
from data.world.records import MEMBER, SCAN
from data.world.scan_table import Names
from data.world.spool import Slices
from data.world.writer import TableWriter

DAYS, MEMBERS, SCANS, STOCK = 3, 300, 4_000, 7
TABLES = ("scans", "scan_labels", "payouts", "truth/scans")


class Prizes:
    """Every code of an even serial wins 50 fen; tickets win nothing."""

    def prize(self, batch, serial, campaign):  # noqa: ARG002 - the seam
        return np.where((serial % 2 == 0) & (campaign == 0), 50, 0)


class Wary:
    """Blocks every scan of a member whose id ends in a letter below H."""

    def __init__(self):
        self.days = []

    def judge(self, day, scans):
        self.days.append(day)
        assert scans["status"].type == pa.string()
        return np.array([member[-1] < "H" for member in scans["member_id"].to_pylist()])


def _campaigns():
    rows = np.zeros(2, CAMPAIGN)
    rows["campaign"] = (0, 1)
    rows["kind"] = (EVERGREEN, FLASH_SALE)
    rows["starts_at"], rows["ends_at"] = START_US, START_US + DAYS * DAY_US
    rows["odds"] = (0.5, np.nan)
    rows["stock"], rows["discount_fen"] = (0, STOCK), (0, 2_000)
    return rows


def _batches():
    rows = np.zeros(3, BATCH)
    rows["batch"] = np.arange(3)
    rows["activated_at"] = (START_US - DAY_US, START_US + DAY_US, START_US)
    rows["first_serial"], rows["codes"], rows["city"] = (1, 500, 1), 2_000, (0, 0, -1)
    return rows


def _scans(generator):
    made = np.zeros(SCANS, SCAN)
    made["at"] = START_US + generator.integers(0, DAYS * DAY_US, SCANS)
    made["member"] = generator.integers(0, MEMBERS, SCANS)
    made["device"], made["wifi"] = made["member"], -1
    made["mobile_address"] = generator.integers(1, 1 << 32, SCANS)
    made["lat"], made["lon"] = 30.0, 104.0
    made["batch"] = generator.choice([0, 0, 0, 1, 2], SCANS)
    made["campaign"] = made["batch"] == 2
    made["serial"] = generator.integers(0, 2_000, SCANS)
    made["family"] = made["member"] < 30
    made["ring"] = np.where(made["family"] > 0, made["member"] % 3, -1)
    return made


def _written(folder, defence=None):
    products = pa.table({"product_id": ["tea"]})
    seed, batches, campaigns = 11, _batches(), _campaigns()
    ids = products["product_id"].combine_chunks()
    names = Names.of(
        seed,
        batches=pa.table(batch_columns(seed, batches, products=ids, regions=pa.array(["here"]))),
        product_of=batches["product"],
        products=products,
        campaigns=pa.table(campaign_columns(seed, campaigns, np.zeros(0, COUPON_CAMPAIGN))),
        agents=("phone",),
    )
    members = np.zeros(MEMBERS, MEMBER)
    members["member"] = members["account"] = np.arange(MEMBERS)
    members["cash_out_fen"], members["cash_out_us"] = 100, DAY_US // 2
    purses = Purses.of(folder / "purses", MEMBERS)
    purses.open(members)
    tables = folder / "tables"
    writers = {name: TableWriter(tables, name) for name in TABLES}
    slices = Slices(START_US, DAY_US if defence else DAY_US // 4, DAYS if defence else 4 * DAYS)
    ledger = Ledger(folder / "ledger", batches["activated_at"], batches["codes"])
    journal = Journal(
        JournalSettings(), seed, folder, slices, names, ledger, purses, Prizes(), campaigns, writers, defence
    )
    scans = _scans(np.random.default_rng(6))
    for block in range(4):
        journal.take_in(scans[block * 1_000 : (block + 1) * 1_000], "test", block)
    entered = [journal.enter(place) for place in range(slices.count)]
    for day in (*range(DAYS), *journal.closing_days):
        journal.close_day(day)
    for writer in writers.values():
        writer.close()
    return journal, entered, {name: _read(tables, name) for name in TABLES}


def _read(tables, name):
    with open_folder(tables / name).connect() as connection:
        return connection.sql('SELECT * FROM "part-00000"').to_arrow_table()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return _written(tmp_path_factory.mktemp("journal"))


@pytest.fixture(scope="module")
def defended(tmp_path_factory):
    defence = Wary()
    return defence, *_written(tmp_path_factory.mktemp("defended"), defence)


def test_every_scan_is_written_once_in_order_of_arrival(written):
    _, _, tables = written
    scans = tables["scans"]
    received = scans["received_at"].to_numpy()

    assert len(set(scans["scan_id"].to_pylist())) == SCANS
    assert (received[1:] >= received[:-1]).all()
    assert tables["truth/scans"]["scan_id"].equals(scans["scan_id"])


def test_a_code_is_valid_once_and_only_then_it_wins(written):
    _, _, tables = written
    scans = tables["scans"].to_pylist()
    valid = [one["code_id"] for one in scans if one["status"] == "valid"]

    assert len(set(valid)) == len(valid)
    assert {one["status"] for one in scans if one["prize_fen"]} == {"valid"}
    assert {one["status"] for one in scans} == {"valid", "repeat", "inactive", "forged"}
    assert {one["batch_id"] for one in scans if one["status"] == "forged"} == {None}


def test_the_deals_of_a_flash_sale_go_to_the_first_who_ask(written):
    _, _, tables = written
    asked = [one["prize_fen"] for one in tables["scans"].to_pylist() if one["serial"] and one["prize_fen"] != 50]
    dealt = [place for place, prize in enumerate(asked) if prize == 2_000]

    assert len(dealt) == STOCK


def test_outcomes_and_counts_are_those_of_the_rows(written):
    journal, entered, tables = written
    truth, scans = tables["truth/scans"], tables["scans"]
    wool = np.array([family != "honest" for family in truth["family"].to_pylist()])

    assert np.concatenate([one.scans["family"] > 0 for one in entered]).tolist() == wool.tolist()
    assert np.concatenate([one.prize_fen for one in entered]).tolist() == scans["prize_fen"].to_pylist()
    assert not any(one.blocked.any() for one in entered)
    assert wool.sum() == journal.by_family[1:].sum()
    assert journal.by_crowd.sum() == SCANS - wool.sum()


def test_payouts_come_after_the_prizes_and_leave_less_than_a_withdrawal_behind(written):
    _, _, tables = written
    paid = tables["payouts"]
    won = {}
    for one in tables["scans"].to_pylist():
        if one["prize_fen"] == 50:
            won[one["member_id"]] = won.get(one["member_id"], 0) + 50
    out = {}
    for one in paid.to_pylist():
        out[one["member_id"]] = out.get(one["member_id"], 0) + one["amount_fen"]

    assert out
    assert all(0 <= won[member] - out.get(member, 0) < 100 for member in won)
    assert (np.diff(paid["ts"].to_numpy().astype(np.int64)) >= 0).all()


def test_verdicts_are_about_scans_that_arrived_before(written):
    _, _, tables = written
    received = dict(zip(*(tables["scans"][name].to_pylist() for name in ("scan_id", "received_at")), strict=True))
    labels = tables["scan_labels"].to_pylist()

    assert labels
    assert all(one["landed_at"] > received[one["scan_id"]] for one in labels)
    assert len({one["scan_id"] for one in labels}) == len(labels)


def test_what_is_blocked_wins_nothing_and_uses_up_no_deal(defended):
    defence, _, entered, tables = defended
    scans = tables["scans"].to_pylist()
    blocked = [one for one in scans if one["member_id"][-1] < "H"]

    assert defence.days == [0, 1, 2]
    assert blocked
    assert {one["prize_fen"] for one in blocked} == {0}
    assert sum(one["prize_fen"] == 2_000 for one in scans) == STOCK
    assert sum(one.blocked.sum() for one in entered) == len(blocked)
