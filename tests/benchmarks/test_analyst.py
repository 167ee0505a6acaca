"""The analyst's rules find a plain farm, a scan's own columns do not; what they are judged by is exact."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.analyst import LIMITS_ON, Limit, RuleList, baselines, pick_rules
from benchmarks.log import SkewedLog
from benchmarks.truth import CIRCUMSTANCES, Scans, judge, read_scans
from data.errors import DataError
from data.sources import open_folder
from training.metrics import tpr_at

RINGS = 12


@pytest.fixture(scope="module")
def farmed(tmp_path_factory):
    """A log in which rings of members scan on one phone a ring, and half of their scans are found out in a week."""
    folder = SkewedLog(12_000).write(tmp_path_factory.mktemp("analyst") / "world")
    generator = np.random.default_rng(3)
    members = pq.read_table(folder / "members.parquet")["member_id"].to_pylist()
    drawn = generator.integers(0, 12 * RINGS, len(members))
    ring = dict(zip(members, drawn.tolist(), strict=True))
    scans = pa.concat_tables([pq.read_table(path) for path in open_folder(folder).files["scans"]])
    rings = np.array([ring.get(member, RINGS) for member in scans["member_id"].to_pylist()])
    wool = rings < RINGS
    phones = np.where(wool, [f"farm-{one}" for one in rings], scans["device_id"].to_numpy(zero_copy_only=False))
    scans = scans.set_column(scans.column_names.index("device_id"), "device_id", pa.array(phones, pa.string()))
    truth = pa.table(
        {
            "scan_id": scans["scan_id"],
            "family": np.where(wool, "device_farm", "honest"),
            "ring_id": pa.array([f"r{one}" for one in rings], mask=~wool),
            "crowd": ["none"] * len(rings),
        }
    )
    judged = np.flatnonzero(generator.random(len(wool)) < np.where(wool, 0.5, 0.2))
    week = pa.scalar(7 * 86_400_000_000, pa.duration("us"))
    labels = pa.table(
        {
            "scan_id": scans["scan_id"].take(judged),
            "is_wool": wool[judged].astype(np.int64),
            "landed_at": pc.add(scans["received_at"], week).take(judged),
            "origin": ["audit"] * len(judged),
        }
    )
    for name in ("scans", "scan_labels"):
        shutil.rmtree(folder / name)
    (folder / "truth").mkdir()
    for table, name in ((scans, "scans"), (labels, "scan_labels"), (truth, "truth/scans")):
        pq.write_table(table, folder / f"{name}.parquet")
    return folder


def test_rules_find_a_plain_farm_and_columns_without_history_do_not(farmed):
    found = baselines(open_folder(farmed), farmed / "truth", np.random.default_rng(1))
    rules, own = found["rules"], found["own_columns"]
    assert rules.caught["all"].value > 0.2
    assert set(rules.caught) == {"all", "device_farm"}
    assert any("device" in limit for limit in rules.notes["limits"])
    assert rules.notes["as_tuned"]["caught"] > 0.25
    assert rules.notes["as_tuned"]["blocked"] < 0.01
    assert rules.honest_blocked["none"] <= 0.001
    assert own.caught["all"].value < 0.1


def test_nothing_that_landed_after_the_cut_is_learned_from(farmed):
    with open_folder(farmed).connect() as connection:
        scans = read_scans(connection, farmed / "truth", LIMITS_ON)
        landed = dict(connection.sql("SELECT scan_id, epoch_us(landed_at) FROM scan_labels").fetchall())
    ids, instants = scans.rows["row_id"].to_pylist(), scans.rows["as_of"].cast(pa.int64()).to_pylist()
    cut = min(at for at, test in zip(instants, scans.test, strict=True) if test)
    learned = [one for one, known in zip(ids, scans.known_wool | scans.known_audited, strict=True) if known]
    assert learned
    assert max(landed[one] for one in learned) < cut
    assert (max(instants) - cut) // 86_400_000_000 == 13
    assert not (scans.test & (scans.known_wool | scans.known_audited)).any()


def test_the_truth_of_another_world_is_refused(farmed, tmp_path):
    truth = pq.read_table(farmed / "truth" / "scans.parquet")
    pq.write_table(truth.slice(5), tmp_path / "scans.parquet")
    with open_folder(farmed).connect() as connection, pytest.raises(DataError, match="found no truth of 5 scans"):
        read_scans(connection, tmp_path, LIMITS_ON)


def _scans(family, unit, test, known):
    rows = pa.table({"row_id": np.arange(len(family)).astype(str)})
    crowd = np.full(len(family), "none")
    holds = dict.fromkeys(CIRCUMSTANCES, np.ones(len(family), np.bool_))
    return Scans(rows, np.asarray(family), crowd, np.asarray(unit), test, known, ~known, holds)


@given(st.integers(0, 10**6), st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_what_is_caught_is_what_the_metric_of_training_says(seed, ties):
    generator = np.random.default_rng(seed)
    size = 400
    wool = generator.random(size) < 0.2
    wool[:2] = True, False
    score = np.round(generator.normal(size=size) + wool, ties - 1)
    everything = np.ones(size, np.bool_)
    scans = _scans(np.where(wool, "device_farm", "honest"), np.arange(size), everything, ~everything)
    caught, blocked = judge(scans, score, generator, rate=0.05, resamples=20)
    assert caught["all"].value == pytest.approx(tpr_at(0.05).of(wool.astype(float), score))
    assert caught["all"] == caught["device_farm"]
    assert blocked["none"] <= 0.05


def test_the_interval_is_that_of_rings_and_not_of_scans():
    generator = np.random.default_rng(1)
    rings, each = 20, 200
    unit = np.concatenate([np.arange(4_000), 4_000 + np.repeat(np.arange(rings), each)])
    wool = unit >= 4_000
    found = generator.random(rings) < 0.5
    score = np.where(wool, np.append(np.zeros(4_000), np.repeat(found, each)), generator.random(len(unit)) / 2)
    everything = np.ones(len(unit), np.bool_)
    scans = _scans(np.where(wool, "cap_resale", "honest"), unit, everything, ~everything)
    caught = judge(scans, score, generator, resamples=300)[0]["all"]
    assert caught.value == pytest.approx(found.mean(), abs=0.01)
    assert 0.25 < caught.high - caught.low < 0.6


def test_the_most_telling_rule_comes_first_and_is_in_force():
    generator = np.random.default_rng(1)
    size = 20_000
    known = np.arange(size) < 400
    values = {name: generator.random(size) for name in LIMITS_ON.names}
    values["device_distinct_member_7d"] = np.where(known, 9.0, generator.integers(1, 4, size))
    values["member_scan_count_1h"] = np.where(known & (np.arange(size) % 2 == 0), 30.0, generator.integers(0, 31, size))
    values["member_kmh"] = np.full(size, np.nan)
    family = np.where(known, "device_farm", "honest")
    table = pa.table(values)
    rules = pick_rules(_scans(family, np.arange(size), np.zeros(size, np.bool_), known), table)
    assert rules.limits[0].feature == "device_distinct_member_7d"
    assert rules.limits[0].above == 3.0
    assert str(Limit("a", 3.0)) == "a > 3"
    assert str(Limit("a", 0.5, "by link")) == "a > 0.5, by link"
    assert rules.in_force >= 1
    holds = dict.fromkeys(CIRCUMSTANCES, np.ones(size, np.bool_))
    assert (rules.score(table, holds)[:400] > len(rules.limits) - 1).all()


def test_an_unknown_value_breaks_no_limit():
    rules = RuleList((Limit("a", 1.0), Limit("b", 1.0, "by link")), 2)
    table = pa.table({"a": [None, 2.0, 0.0, 2.0, 0.0], "b": [None, None, 2.0, 2.0, 2.0]})
    holds = {"always": np.ones(5, np.bool_), "by link": np.array([True, True, True, True, False])}
    assert np.ceil(rules.score(table, holds)).tolist() == [0, 2, 1, 2, 0]


def test_further_beyond_a_limit_is_more_suspicious_but_never_more_than_an_earlier_rule():
    rules = RuleList((Limit("a", 1.0), Limit("b", 1.0)), 2)
    table = pa.table({"a": [0.0, 0.0, 1.5], "b": [2.0, 1e9, 0.0]})
    score = rules.score(table, {"always": np.ones(3, np.bool_)})
    assert score[0] < score[1] < score[2]
