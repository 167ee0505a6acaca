"""A brand that learns plays its past again to the bit, sees nothing of what is to come, and is judged by the truth."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from benchmarks.cosimulation import HORIZON, Game, Part, Recorded, gain, play
from data.errors import DataError
from data.world.almanac import DAY_US, START_US
from data.world.request import Request

REQUEST = Request(members=1_500, days=14, seed=3)


class Barred:
    """Blocks members by name."""

    def __init__(self, members):
        self.members = pa.array(members, pa.string())

    def judge(self, day, scans):
        del day
        return pc.is_in(scans["member_id"].cast(pa.string()), self.members).to_numpy()


def _known_wool(world, day):
    """Bars whoever had a verdict of wool party by that morning; fails where later things show."""
    with world.connect() as connection:
        for table, column in (("scans", "coalesce(received_at, ts)"), ("scan_labels", "landed_at"), ("payouts", "ts")):
            latest, rows = connection.sql(f"SELECT epoch_us(max({column})), count(*) FROM {table}").fetchall()[0]
            assert rows > 0
            assert latest < START_US + day * DAY_US
        assert connection.sql("SELECT count(*) FROM products").fetchall()[0][0] > 0
        found = connection.sql("""
            SELECT DISTINCT member_id FROM scans JOIN scan_labels USING (scan_id) WHERE is_wool = 1 AND member_id <> ''
        """).fetchall()
    return Barred([name for (name,) in found])


def test_who_learns_every_week_blocks_the_wool_party_and_few_others(tmp_path):
    game = play(REQUEST, _known_wool, tmp_path, 7, 7)  # one morning: each costs a world
    told = game.as_dict(1, 50)
    assert [week["first_day"] for week in told["weeks"]] == [7]
    assert game.blocked.any()
    assert game.day[game.blocked].min() >= 7
    assert told["weeks"][0]["caught"]["value"] > 3 * told["weeks"][0]["honest_blocked"]["value"]
    assert not any(tmp_path.iterdir())


def _scans(*names):
    return pa.table({"scan_id": list(names), "prize_fen": [100] * len(names), "member_id": list(names)})


def test_what_was_decided_is_played_again_and_then_decided():
    first = Recorded([], Barred(["a"]))
    assert first.judge(0, _scans("a", "b")).tolist() == [True, False]
    second = Recorded(first.parts, Barred(["b"]))
    assert second.judge(0, _scans("a", "b")).tolist() == [True, False]
    assert second.judge(1, _scans("a", "b")).tolist() == [False, True]
    assert [part.day for part in second.parts] == [0, 1]
    assert len(first.parts) == 1


@pytest.mark.parametrize(("day", "names"), [(0, ("a", "c")), (1, ("a", "b"))])
def test_a_past_that_does_not_come_again_is_refused(day, names):
    part = Part(0, _scans("a", "b")["scan_id"], np.array([1, 1]), np.array([False, True]))
    with pytest.raises(DataError, match=f"found other scans on day {day}"):
        Recorded([part], None).judge(day, _scans(*names))


def _game(rows, first=2):
    day, ring, blocked, prize = (np.array(values) for values in zip(*rows, strict=True))
    family = np.where(ring >= 0, "device_farm", "honest")
    return Game(day, prize.astype(float), blocked.astype(bool), family, ring, first)


def test_a_ring_is_caught_when_half_of_its_week_is_blocked():
    rows = [(day, 7, day >= 6, 100) for day in range(2, 12)]
    rows += [(day, 8, False, 100) for day in range(12)]
    rows += [(day, -1, day == 3, 50) for day in range(12)]
    game = _game(rows)
    caught, days = game.caught_after()
    # Ring 7 works from day 2 and is stopped from day 6 on; by day 9 four of its last seven scans were.
    assert days.tolist() == [7.0, HORIZON]
    assert caught.tolist() == [True, False]
    told = game.as_dict(1, 20)
    assert told["rings"] == 2
    assert told["caught_within_a_week"]["value"] == 0.5
    assert [week["lost_fen"] for week in told["weeks"]] == [400 + 700, 300]
    assert told["weeks"][0]["honest_blocked"]["value"] == pytest.approx(1 / 7)


def test_what_the_wool_party_no_longer_gets_is_the_gain():
    rows = [(day, ring, 0, 100) for day in range(2, 12) for ring in range(20)]
    half = [(day, ring, ring % 2, 100) for day, ring, _, _ in rows]
    found = gain(_game(half), _game(rows), 1, 200)
    assert found.value == pytest.approx(0.5)
    assert found.low < 0.5 < found.high
