"""A world is played against a judge: what it decides is written down, and held against the truth."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from benchmarks.cosimulation import HORIZON, Game, Recorded, Ruling, gain, play
from data.world.request import Request
from training.tasks.fraud import TASK

REQUEST = Request(members=1_000, days=14, seed=3)
PAY, BLOCK = TASK.payoff.actions.index("pay"), TASK.payoff.actions.index("block")
REDUCE = TASK.payoff.actions.index("reduce")


class Barred:
    """Blocks members by name."""

    def __init__(self, members):
        self.members = pa.array(members, pa.string())

    def judge(self, day, scans):
        del day
        return pc.is_in(scans["member_id"].cast(pa.string()), self.members).to_numpy()


class Suspicious:
    """Bars whoever had a verdict of wool party by then."""

    def __init__(self):
        self.member_of = {}
        self.known = set()

    def told(self, table, rows):
        if table == "scan_labels":
            wool = rows.filter(pc.equal(rows["is_wool"], 1))["scan_id"].to_pylist()
            self.known |= {self.member_of[name] for name in wool} - {None}

    def judge(self, day, scans):
        del day
        names = scans["member_id"].to_pylist()
        self.member_of |= dict(zip(scans["scan_id"].to_pylist(), names, strict=True))
        return np.array([name in self.known for name in names])


def test_who_hears_verdicts_blocks_the_wool_party_and_few_others(tmp_path):
    game = play(REQUEST, Suspicious(), tmp_path, 7)
    told = game.as_dict(1, 50)
    assert [week["first_day"] for week in told["weeks"]] == [7]
    assert game.day[game.action == BLOCK].min() >= 7
    assert told["winning_stopped"]["value"] > 3 * told["honest_blocked"]["value"]
    # Whoever is blocked wins nothing, whoever is not wins what there is; deals of flash sales run out.
    code = game.deal_fen == 0
    np.testing.assert_array_equal(game.won_fen[code], (game.prize_fen * (1 - game.stopped))[code])
    assert not any(tmp_path.iterdir())


def _scans(*names, **columns):
    count = len(names)
    held = {"prize_fen": [100] * count, "campaign_id": ["always"] * count, "status": ["valid"] * count, **columns}
    return pa.table({"scan_id": list(names), "member_id": list(names), **held})


def test_flags_count_from_the_first_day_on():
    judged = Recorded(Barred(["a"]), 1)
    assert judged.judge(0, _scans("a", "b")).wool.tolist() == [0, 0]
    assert judged.judge(1, _scans("a", "b")).wool.tolist() == [1, 0]
    assert [part.ruling.action.tolist() for part in judged.parts] == [[PAY, PAY], [BLOCK, PAY]]
    assert [part.day for part in judged.parts] == [0, 1]


class Stakes:
    """Keeps what it was shown as prizes."""

    def judge(self, day, scans):
        self.seen = (day, scans["prize_fen"].to_pylist())
        return np.zeros(len(scans), np.bool_)


def test_a_deal_is_at_stake_at_a_flash_sale_while_its_code_is_valid():
    stakes = Stakes()
    judged = Recorded(stakes, 0)
    campaigns = {"campaign_id": ["always", "sale"], "kind": ["evergreen", "flash_sale"]}
    judged.told("campaigns", pa.table({**campaigns, "budget_fen": [None, 72_000], "stock": [None, 36]}))
    columns = {
        "prize_fen": [100, 0, 0],
        "campaign_id": ["always", "sale", "sale"],
        "status": ["valid"] * 2 + ["repeat"],
    }
    judged.judge(3, _scans("a", "b", "c", **columns))
    assert stakes.seen == (3, [100, 2_000, 0])
    assert judged.parts[0].prize_fen.tolist() == [100, 0, 0]
    assert judged.parts[0].deal_fen.tolist() == [0, 2_000, 0]


def _game(rows, first=2):
    day, ring, blocked, prize = (np.array(values) for values in zip(*rows, strict=True))
    stopped = blocked.astype(float)
    return Game(
        day=day,
        prize_fen=prize.astype(float),
        deal_fen=np.zeros(len(day)),
        won_fen=prize * (1 - stopped),
        stopped=stopped,
        action=np.where(blocked, BLOCK, PAY),
        family=np.where(ring >= 0, "device_farm", "honest"),
        unit=ring,
        first=first,
    )


def test_a_ring_is_caught_when_half_of_what_its_week_might_win_is_kept():
    rows = [(day, 7, day >= 6, 100) for day in range(2, 12)]
    rows += [(day, 7, day < 6, 0) for day in range(2, 12)]  # blocking what wins nothing catches nobody
    rows += [(day, 8, False, 100) for day in range(12)]
    rows += [(day, -1, day == 3, 50) for day in range(12)]
    game = _game(rows)
    caught, days = game.caught_after()
    # Ring 7 works from day 2 and is stopped from day 6 on; by day 9 four of its last seven prizes were kept.
    assert days.tolist() == [7.0, HORIZON]
    assert caught.tolist() == [True, False]
    told = game.as_dict(1, 20)
    assert told["rings"] == 2
    assert told["caught_within_a_week"]["value"] == 0.5
    assert told["lost_fen"] == 400 + 1_000
    assert [week["lost_fen"] for week in told["weeks"]] == [400 + 700, 300]
    assert told["weeks"][0]["honest_blocked"]["value"] == pytest.approx(1 / 7)


def test_what_it_costs_is_the_pay_off_given_who_scanned():
    game = _game([(2, 7, True, 100), (2, 7, False, 100), (2, -1, True, 50), (2, -1, False, 50)])
    assert game.cost_fen.tolist() == [0, 100, 1_500 + 50, 0]


def test_what_the_wool_party_no_longer_gets_is_the_gain():
    rows = [(day, ring, 0, 100) for day in range(2, 12) for ring in range(20)]
    half = [(day, ring, ring % 2, 100) for day, ring, _, _ in rows]
    found = gain(_game(half), _game(rows), 1, 200)
    assert found["lost"].value == pytest.approx(0.5)
    assert found["lost"].low < 0.5 < found["lost"].high
    assert found["cost"].value == pytest.approx(0.5)


def test_a_ruling_is_kept_with_its_chances():
    class Reducing:
        def judge(self, day, scans):
            del day
            return Ruling(np.full(len(scans), 0.8), np.full(len(scans), 0.8), np.full(len(scans), REDUCE))

    judged = Recorded(Reducing(), 0)
    assert judged.judge(0, _scans("a")).wool.tolist() == [0.8]
    assert judged.parts[0].ruling.action.tolist() == [REDUCE]
