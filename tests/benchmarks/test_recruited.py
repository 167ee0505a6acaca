"""The fraud task as a judge: live features are those of its training table, and the same world is judged the same."""

from dataclasses import replace

import numpy as np
import pyarrow.compute as pc
import pytest

from benchmarks.adapting import FULL, QUICK
from benchmarks.cosimulation import play
from benchmarks.recruited import Recruited, observed, ruling
from benchmarks.told import SCANS
from data.world.almanac import DAY_US, START_US
from data.world.request import Request
from features.batch import compute
from training.dataset import task_rows
from training.learner import Binary
from training.tasks.fraud import TASK

REQUEST = Request(members=300, days=14, seed=3)
FEW = (
    *("member_scan_count_1d", "device_distinct_member_7d", "device_sum_prize_fen_1d", "ip_scan_count_5m"),
    *("member_scan_count_within_10s_1d", "code_scan_count_lifetime", "registration_age_seconds"),
)
LIGHT = TASK.features.only(*FEW)
SMALL = Binary({"num_iterations": 8, "num_leaves": 4, "min_data_in_leaf": 5, "max_bin": 31}, 1, calibration="sigmoid")


class Watching(Recruited):
    """Learns nothing; keeps the features of every scan, and blocks every fourth."""

    def __init__(self, folder):
        super().__init__((), folder)
        self.matrices = []
        self.names = []

    def judge(self, day, scans):
        self._day = day
        self.told_so_far.add(SCANS, scans, day)
        latest = pc.max(scans["received_at"]).as_py()
        self.matrices.append(observed(self.state, self.told_so_far.since(latest, scans)))
        self.names += scans["scan_id"].to_pylist()
        return np.arange(len(scans)) % 4 == 0


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    folder = tmp_path_factory.mktemp("watching")
    watching = Watching(folder)
    play(REQUEST, watching, folder, 4)
    return watching


def test_what_it_sees_of_a_scan_is_what_its_training_table_says(judge):
    past = judge.told_so_far.past(REQUEST.days + 60)
    with past.connect() as connection:
        rows = task_rows(TASK, connection)
        table = compute(TASK.features, connection, rows)
    place = {name: number for number, name in enumerate(table["row_id"].to_pylist())}
    order = np.array([place[name] for name in judge.names])
    live = np.concatenate(judge.matrices)
    assert len(live) == rows.num_rows > 800
    differ = []
    for number, name in enumerate(TASK.features.names):
        expected = table[name].to_numpy().astype(np.float32)[order]
        differ += [] if np.array_equal(expected, live[:, number], equal_nan=True) else [name]
    assert differ == []
    for name in ("campaign_verdict_count_wool_30d", "member_payout_count_30d"):
        assert np.nanmax(live[:, TASK.features.names.index(name)]) > 0


def test_the_past_of_a_morning_holds_nothing_later(judge):
    with judge.told_so_far.past(9).connect() as connection:
        for table, column in (
            ("scans", "received_at"),
            ("scan_labels", "landed_at"),
            ("payouts", "ts"),
            ("orders", "ts"),
            ("members", "registered_at"),
        ):
            latest, rows = connection.sql(f"SELECT epoch_us(max({column})), count(*) FROM {table}").fetchall()[0]
            assert rows > 0
            assert latest < START_US + 9 * DAY_US, table
        assert connection.sql("SELECT count(*) FROM products").fetchall()[0][0] > 0


def test_actions_are_played_out_as_the_pay_off_says():
    found = ruling(TASK.payoff, np.arange(5))
    assert found.honest.tolist() == pytest.approx([0, 0.8, 0.05, 0, 1])
    assert found.wool.tolist() == pytest.approx([0, 0.8, 0.7, 0.9, 1])


def _played(folder, mornings):
    folder.mkdir()
    judge = Recruited(mornings, folder, replace(TASK, features=LIGHT, learner=SMALL))
    return play(Request(members=2_000, days=31, seed=1), judge, folder, mornings[0]), judge


def test_it_learns_on_its_mornings_and_the_same_world_is_judged_the_same(tmp_path):
    once, judge = _played(tmp_path / "once", [24])
    twice, _ = _played(tmp_path / "twice", [24])
    assert judge.learned_on == [24]
    for name in ("day", "prize_fen", "won_fen", "stopped", "action", "unit"):
        np.testing.assert_array_equal(getattr(once, name), getattr(twice, name))
    assert once.day[once.action > 0].min() >= 24
    assert once.stopped[once.wool & once.judged].mean() > once.stopped[~once.wool & once.judged].mean()


def test_the_quick_size_is_a_part_of_the_full_one():
    assert QUICK.members < FULL.members
    assert QUICK.judged < FULL.judged == 60
