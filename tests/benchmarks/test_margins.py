"""Distances to the real margins: 0 for the same, large for others, and a margin that is missing says why."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmarks.log import SkewedLog
from benchmarks.margins import MARGINS, crowding, distance, largest_gap, purchases, real_data, reality_check
from data.errors import UsageError
from data.journey import complete_journey
from data.sources import open_folder

SAMPLES = arrays(np.float64, st.integers(1, 30), elements=st.integers(-5, 5).map(float))
BY_NAME = {margin.name: margin for margin in MARGINS}


@given(SAMPLES, SAMPLES)
@settings(max_examples=60)
def test_the_largest_gap_is_that_of_the_slow_way(one, other):
    steps = np.union1d(one, other)
    slow = max(abs((one <= step).mean() - (other <= step).mean()) for step in steps)
    assert largest_gap(one, other) == pytest.approx(slow)


@given(SAMPLES)
@settings(max_examples=20)
def test_a_sample_is_no_distance_from_itself(one):
    assert largest_gap(one, one) == 0
    assert largest_gap(one, one + 100) == 1


def test_a_ratio_does_not_care_which_is_larger():
    ends = [distance(BY_NAME["redemption_share"], *map(np.array, pair)) for pair in ([[0.1], [0.4]], [[0.4], [0.1]])]
    assert [one.value for one in ends] == [4.0, 4.0]
    assert not ends[0].passes
    assert distance(BY_NAME["redemption_share"], np.array([0.1]), np.array([0.0])).value == float("inf")


def test_events_that_come_by_chance_have_exponential_gaps_and_machines_have_none():
    generator = np.random.default_rng(1)
    at = np.sort(generator.integers(0, 10**12, 40_000))
    by_chance = crowding(generator.integers(0, 4_000, 40_000), at)
    assert by_chance["events_an_address"].mean() == pytest.approx(10, rel=0.02)
    assert np.median(by_chance["address_gap"]) == pytest.approx(np.log(2), rel=0.05)
    even = crowding(np.tile(np.arange(4_000), 10), np.arange(40_000) * 1_000)
    assert even["address_gap"] == pytest.approx(1.0, rel=0.01)
    assert even["busiest_addresses"] == pytest.approx(0.01)


def test_a_sparse_log_is_looked_at_for_longer_than_a_dense_one():
    generator = np.random.default_rng(2)
    at = np.sort(generator.integers(0, 10**12, 60_000))
    found = crowding(generator.integers(0, 6_000, 60_000), at, mean_events=3.0)
    assert found["events_an_address"].mean() == pytest.approx(3.0, rel=0.05)
    all_of_it = crowding(generator.integers(0, 50_000, 60_000), at, mean_events=30.0)
    assert all_of_it["events_an_address"].sum() == 60_000


def _tables(folder, lines, sends):
    folder.mkdir()
    written = {
        "orders.csv": (
            "line_id,order_id,ts,member_id,product_id,quantity,amount_fen",
            [
                f"{place},{order},2025-03-{day:02}T08:00:00Z,{member},{product},1,{amount}"
                for place, (order, day, member, product, amount) in enumerate(lines)
            ],
        ),
        "products.csv": ("product_id,category,brand", ["kiwi,fruit,ours", "cola,drinks,theirs", "milk,dairy,ours"]),
        "sends.csv": (
            "send_id,ts,member_id,offer_id,campaign_id,arm",
            [f"s{place},2025-03-01T08:00:00Z,{member},o,,{arm}" for place, (member, arm, _) in enumerate(sends)],
        ),
        "redemptions.csv": (
            "send_id,ts",
            [f"s{place},2025-03-05T08:00:00Z" for place, (_, _, used) in enumerate(sends) if used],
        ),
    }
    for name, (head, rows) in written.items():
        (folder / name).write_text("\n".join([head, *rows]) + "\n")
    return open_folder(folder)


def test_purchases_are_counted_as_told(tmp_path):
    lines = [
        ("a", 1, "ann", "kiwi", 500),
        ("a", 1, "ann", "cola", 300),
        ("b", 3, "ann", "kiwi", 500),
        ("c", 7, "ann", "milk", 700),
        ("d", 9, "bob", "cola", 300),
    ]
    sends = [("ann", "treated", True), ("ann", "treated", False), ("bob", "treated", False), ("cid", "control", False)]
    with _tables(tmp_path / "brand", lines, sends).connect() as connection:
        found = purchases(connection, None)
    assert sorted(found["basket_lines"]) == [1, 1, 1, 2]
    assert sorted(found["basket_amount"]) == pytest.approx([0.5, 5 / 6, 7 / 6, 8 / 6])
    assert found["purchase_gap_days"] == [3.0]
    assert sorted(found["purchase_gap"]) == pytest.approx([2 * 3 / 8, 4 * 3 / 8])
    assert found["redemption_share"] == pytest.approx(1 / 3)
    assert found["redeemers"] == [0.5]
    # ann's second basket repeats kiwi, her third repeats nothing; 1 of 2, where fruit is in 2 of 4 and dairy in 1 of 4.
    assert found["category_repeat"] == pytest.approx(0.5 / 0.375)


def test_only_the_days_asked_for_are_looked_at(tmp_path):
    lines = [("a", 1, "ann", "kiwi", 500), ("b", 20, "ann", "kiwi", 500), ("c", 21, "bob", "kiwi", 500)]
    with _tables(tmp_path / "brand", lines, [("ann", "treated", True)]).connect() as connection:
        assert len(purchases(connection, ("2025-03-10", 30))["basket_lines"]) == 2


def test_what_is_missing_is_named(tmp_path):
    world = SkewedLog(3_000).write(tmp_path / "world")
    for table in ("offers", "sends", "redemptions"):
        columns = {"sends": "send_id,ts,member_id,offer_id,campaign_id,arm", "redemptions": "send_id,ts"}
        if table in columns:
            (world / f"{table}.csv").write_text(columns[table] + "\n")
    found = reality_check(open_folder(world), tmp_path / "no real data")
    assert set(found.distances) | set(found.skipped) == set(BY_NAME)
    assert "slice_a.parquet" in found.skipped["events_an_address"]
    assert found.skipped["redemption_share"] == "the world holds no such events"


def test_the_journey_is_no_distance_from_itself(tmp_path):
    try:
        journey = complete_journey(tmp_path / "journey")
    except UsageError as refusal:
        pytest.skip(str(refusal))
    with journey.connect() as connection:
        found = purchases(connection, ("2017-03-06", 90))
    with journey.connect() as connection:
        later = purchases(connection, ("2017-07-03", 90))
    for name in ("basket_lines", "basket_amount", "purchase_gap", "purchase_gap_days"):
        margin = BY_NAME[name]
        assert distance(margin, found[name], found[name]).passes
        seasons = distance(margin, found[name], later[name]).value
        assert seasons <= (0.05 if margin.kind == "gap" else 1.2), name


def test_real_clicks_differ_from_clicks_by_chance():
    path = real_data() / "clicks" / "slice_a.parquet"
    if not path.is_file():
        pytest.skip(f"found no {path}")
    from benchmarks.margins import _clicks  # noqa: PLC0415 - only where the set is there

    address, at = _clicks(path)
    real = crowding(address, at)
    shuffled = crowding(np.random.default_rng(1).integers(0, 26_697, len(at)), at)
    assert not distance(BY_NAME["busiest_addresses"], real["busiest_addresses"], shuffled["busiest_addresses"]).passes
    assert not distance(BY_NAME["events_an_address"], real["events_an_address"], shuffled["events_an_address"]).passes
