"""The lot is fair, keyed, repeats itself, and says truly how likely every action was."""

import hashlib
from dataclasses import asdict

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import UsageError
from serving.holdout import PASSIVE, Holdout, draw, lots

KEY = bytes(range(32))
IDS = [f"decision-{number}" for number in range(40_000)]


def test_the_lot_is_even_and_does_not_hang_on_the_order():
    drawn = lots(IDS, KEY)
    counts, _ = np.histogram(drawn, bins=20, range=(0, 1))
    assert ((counts - 2_000) ** 2 / 2_000).sum() < 43.8  # 0.999 of chi squared with 19 degrees
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 0.02
    assert lots(IDS[::-1], KEY).tolist() == drawn[::-1].tolist()


def test_another_key_draws_other_lots():
    mine, others = lots(IDS, KEY) < 0.5, lots(IDS, KEY[::-1]) < 0.5
    assert abs((mine == others).mean() - 0.5) < 0.02


def test_the_lot_of_an_id_stays_for_ever():
    # Written with the standard library alone: a log of years ago must still replay.
    digest = hashlib.blake2b("decision-7 扫码".encode(), key=KEY, person=b"allow-holdout", digest_size=8).digest()
    whole = int.from_bytes(digest, "little")
    assert lots(["decision-7 扫码"], KEY).tolist() == [(whole >> 11) / 2**53]
    assert lots(["decision-0"], KEY).tolist() == [0.679030435830979]


@given(st.lists(st.tuples(st.text(max_size=12), st.integers(0, 4), st.floats(0, 0.999)), max_size=30))
def test_every_row_is_let_through_or_left_alone_with_its_true_chance(rows):
    ids, meant, share = [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]
    drawn = draw(ids, np.array(meant, np.int64), np.array(share, float), KEY)
    allowed = lots(ids, KEY) < np.array(share)
    assert drawn.allowed_at_random.tolist() == allowed.tolist()
    for row, (action, chance) in enumerate(zip(drawn.action, drawn.propensity, strict=True)):
        assert action == (PASSIVE if allowed[row] else meant[row])
        if meant[row] == PASSIVE:
            assert chance == 1
        else:
            assert chance == (share[row] if allowed[row] else 1 - share[row])
        assert 0 < chance <= 1


def test_the_chance_of_an_action_is_how_often_it_comes():
    share = np.full(len(IDS), 0.1)
    drawn = draw(IDS, np.full(len(IDS), 4), share, KEY)
    paid = drawn.action == PASSIVE
    assert paid.mean() == pytest.approx(0.1, abs=0.006)
    assert np.unique(drawn.propensity[paid]).tolist() == [0.1]
    assert np.unique(drawn.propensity[~paid]).tolist() == [0.9]
    # Weighted with its propensity, each action stands for all decisions.
    assert (paid / drawn.propensity).mean() == pytest.approx(1, abs=0.06)


def test_a_larger_share_keeps_whom_the_smaller_let_through():
    meant = np.full(len(IDS), 2)
    small, large = (draw(IDS, meant, np.full(len(IDS), share), KEY).allowed_at_random for share in (0.01, 0.05))
    assert small.sum() > 300
    assert not (small & ~large).any()


def test_a_campaign_may_have_a_share_of_its_own():
    holdout = Holdout(0.01, "campaign_id", {"flash": 0.0, "spring": 0.2})
    assert holdout.of(["flash", "spring", "other", None], 4).tolist() == [0.0, 0.2, 0.01, 0.01]
    assert Holdout(0.03).of(None, 2).tolist() == [0.03, 0.03]
    off = draw(IDS, np.full(len(IDS), 4), np.zeros(len(IDS)), KEY)
    assert not off.allowed_at_random.any()
    assert (off.propensity == 1).all()


def test_a_manifest_can_hold_it():
    holdout = Holdout(0.02, "campaign_id", {"flash": 0.0})
    assert msgspec.json.decode(msgspec.json.encode(holdout), type=Holdout) == holdout
    assert asdict(holdout) == {"share": 0.02, "group": "campaign_id", "shares": {"flash": 0.0}}


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(UsageError, match=r"found the shares \[1\.0, -0\.1\].*column that names the group"):
        Holdout(1.0, "", {"flash": -0.1})
    with pytest.raises(UsageError, match="expected 0 or more"):
        Holdout(float("nan"))


@pytest.mark.parametrize("size", [0, 15, 65])
def test_a_key_that_is_too_short_or_too_long_is_refused(size):
    with pytest.raises(UsageError, match=f"a key of {size} bytes, expected 16 to 64"):
        lots(["decision-0"], bytes(size))


def test_rows_that_do_not_fit_together_are_refused():
    with pytest.raises(UsageError, match="1 decision ids, 2 actions and 1 shares"):
        draw(["decision-0"], np.array([0, 1]), np.array([0.1]), KEY)
