"""Lookalikes: found where seeds have something in common, not found where they have not, and never from the future."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.errors import DataError
from data.sources import open_folder
from features.audience.population import population
from training.lookalike import FEWEST, SIZES, _credits, _Deal, lookalike

AT = datetime(2025, 6, 1, tzinfo=UTC)
MEMBERS = 700
KEEN = 140


def _write(folder, *, later=False):
    """Members of whom the first 140 buy more fruit than milk; half of those, by lot, are on the list of seeds."""
    draw = np.random.default_rng(3)
    rows = []
    for member in range(MEMBERS):
        for day in draw.integers(1, 300, size=draw.integers(2, 9)):
            fruit = draw.random() < (0.8 if member < KEEN else 0.2)
            rows.append((f"m{member:03}", AT - timedelta(days=int(day)), "p0" if fruit else "p1"))
    if later:
        rows += [(f"m{member:03}", AT + timedelta(days=1), "p0") for member in range(300, 500)]
    tables = {
        "members": {"member_id": [f"m{n:03}" for n in range(MEMBERS)], "registered_at": [None] * MEMBERS},
        "products": {"product_id": ["p0", "p1"], "category": ["fruit", "milk"], "brand": ["ours", "ours"]},
        "orders": {
            "line_id": [f"l{n}" for n in range(len(rows))],
            "order_id": [f"o{n}" for n in range(len(rows))],
            "ts": [at for _, at, _ in rows],
            "member_id": [member for member, _, _ in rows],
            "product_id": [product for _, _, product in rows],
            "quantity": [1] * len(rows),
            "amount_fen": [500] * len(rows),
        },
    }
    folder.mkdir()
    for name, columns in tables.items():
        instants = {
            key: pa.array(values, pa.timestamp("us", tz="UTC"))
            for key, values in columns.items()
            if key in ("ts", "registered_at")
        }
        pq.write_table(pa.table(columns | instants), folder / f"{name}.parquet")
    return open_folder(folder)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return _write(tmp_path_factory.mktemp("lookalike") / "shop")


KEEN_SEEDS = [f"m{n:03}" for n in np.random.default_rng(4).permutation(KEEN)[: KEEN // 2]]
RANDOM_SEEDS = [f"m{n:03}" for n in np.random.default_rng(5).permutation(MEMBERS)[:100]]


def _found(data_set, seeds, seed=1, at=AT):
    with population(data_set, at) as everybody:
        return lookalike(everybody, data_set, seeds, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def keen(shop):
    return _found(shop, [*KEEN_SEEDS, "stranger", KEEN_SEEDS[0]])


def test_those_who_are_like_the_seeds_come_first(keen):
    ranked = keen.ranked.to_pylist()

    assert {row["member_id"] for row in ranked} == {f"m{n:03}" for n in range(MEMBERS)} - set(KEEN_SEEDS)
    assert [row["rank"] for row in ranked] == list(range(1, len(ranked) + 1))
    assert all(0 <= row["score"] <= 1 for row in ranked)
    assert [row["score"] for row in ranked] == sorted((row["score"] for row in ranked), reverse=True)
    first = sum(row["member_id"] < f"m{KEEN:03}" for row in ranked[:70])
    assert first > 35  # of 70 who are as keen and were not on the list, where chance would give 8


def test_the_lift_of_held_out_seeds_is_above_chance_and_above_matching_segments(keen):
    assert tuple(one.size for one in keen.lifts) == SIZES
    for one in keen.lifts[1:]:
        assert one.lift.low > 1.5
        assert one.lift.value <= 1 / one.size
        assert one.gain.low > 0
        assert one.gain.value == pytest.approx(one.lift.value - one.baseline.value)


def test_seeds_are_counted_once_and_strangers_left_out(keen):
    assert (keen.given, keen.known, keen.everybody) == (len(KEEN_SEEDS) + 1, len(KEEN_SEEDS), MEMBERS)
    assert "1 seeds were no members then" in keen.text()
    said = json.loads(json.dumps(keen.as_dict(), allow_nan=False))
    assert said["seeds"] == {"given": len(KEEN_SEEDS) + 1, "known": len(KEEN_SEEDS)}
    assert [one["size"] for one in said["lifts"]] == list(SIZES)
    assert set(said["lifts"][0]["lift"]) == {"value", "low", "high"}


def test_seeds_drawn_by_lot_have_no_lift(shop):
    for one in _found(shop, RANDOM_SEEDS).lifts[2:]:
        assert one.lift.low < 1.15
        assert one.lift.value < 1.5


def test_what_comes_later_changes_nothing_and_the_same_seed_gives_the_same(keen, tmp_path):
    again = _found(_write(tmp_path / "later", later=True), [*KEEN_SEEDS, "stranger"])

    assert again.ranked == keen.ranked
    assert again.lifts == keen.lifts


def test_too_few_seeds_or_too_few_others_are_refused(shop):
    with pytest.raises(
        DataError, match=rf"found {FEWEST - 1} members .*\(of {FEWEST} ids given\), expected at least 50"
    ):
        _found(shop, [*KEEN_SEEDS[: FEWEST - 1], "stranger"])
    with pytest.raises(DataError, match="found 20 members who are none, expected at least 50"):
        _found(shop, [f"m{n:03}" for n in range(MEMBERS - 20)])


def test_equal_scores_share_the_room():
    seed = np.array([True, False, True, False, False])
    fold = np.zeros(5, np.int64)
    plain = _credits(_Deal(fold, np.zeros(5)), seed)
    first = _credits(_Deal(fold, np.array([9.0, 1, 0, 0, 0])), seed)

    np.testing.assert_allclose(plain, np.tile(SIZES, (2, 1)))
    np.testing.assert_allclose(first[0], np.minimum(1, np.array(SIZES) * 5))
    np.testing.assert_allclose(first[1], 0)
