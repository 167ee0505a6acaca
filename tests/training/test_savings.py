"""Money saved is estimated without bias, its intervals hold what they promise, and the lot alone is believed."""

from dataclasses import replace

import numpy as np
import pytest

from data.errors import DataError, UsageError
from serving.holdout import draw
from training.decision_log import UNKNOWN, Logged
from training.interval import Resampling
from training.payoff import Payoff, Stakes, chosen_actions, earnings
from training.savings import savings
from training.scan_costs import ACTIONS, ScanCosts

PAYOFF = ScanCosts().payoff()
PAY, BLOCK = ACTIONS.index("pay"), ACTIONS.index("block")
SHARE = 0.2
TURNS = 80


class Population:
    """Scans of rings and members; what a model says of them, and what a rule that looks elsewhere would do."""

    def __init__(self, generator, units=600):
        size = 1 + generator.poisson(3, units)
        self.unit = np.repeat(np.arange(units), size)
        ring = generator.random(units) < 0.25
        chance = np.where(ring, 0.9, 0.02)[self.unit]
        self.outcome = (generator.random(len(self.unit)) < chance).astype(np.int64)
        mood = (1.2 * generator.normal(size=units))[self.unit]
        self.probability = 1 / (1 + np.exp(-(np.log(chance / (1 - chance)) + mood)))
        self.stake = generator.choice([0.0, 100.0, 500.0, 2_000.0], len(self.unit), p=[0.2, 0.4, 0.3, 0.1])
        self.meant = chosen_actions(PAYOFF, self.probability, Stakes(self.stake, np.full(len(self.unit), "c", object)))
        self.rules = np.where((size[self.unit] > 4) & (generator.random(len(self.unit)) < 0.8), BLOCK, PAY)

    def saved(self, against):
        """What was truly saved, in fen a decision."""
        rows = np.arange(len(self.unit))
        worth = earnings(PAYOFF, self.outcome.astype(float), Stakes(self.stake))
        return float((worth[rows, self.meant] - worth[rows, against]).mean())

    def logged(self, key, share=SHARE):
        """What the log holds of them after one lot."""
        ids = [f"decision-{row}" for row in range(len(self.unit))]
        allowed = draw(ids, self.meant, np.full(len(ids), share), key).allowed_at_random
        return Logged(
            meant=self.meant,
            outcome=np.where(allowed, self.outcome, UNKNOWN),
            chance=np.full(len(ids), share),
            unit=self.unit,
            stake=self.stake,
            probability=self.probability,
        )


def _resampling(unit, seed=0, resamples=300):
    return Resampling(unit, np.random.default_rng(seed), resamples)


def _key(number):
    return number.to_bytes(16, "little")


def _against(population, rival):
    return population.rules if rival == "rules" else np.full(len(population.unit), PAY)


@pytest.mark.parametrize("rival", ["paying everything", "rules"])
def test_over_many_lots_the_mean_estimate_is_what_was_saved(rival):
    population = Population(np.random.default_rng(1))
    against = _against(population, rival)
    found = [
        savings(PAYOFF, population.logged(_key(turn)), _resampling(population.unit, resamples=2), against)
        for turn in range(250)
    ]
    truth = population.saved(against)
    for name in ("ips", "snips", "doubly_robust"):
        values = np.array([getattr(one, name).value for one in found])
        assert values.mean() == pytest.approx(truth, abs=4 * values.std() / np.sqrt(len(values))), name
        assert values.std() < 0.5 * abs(truth)
    steadiness = [np.std([getattr(one, name).value for one in found]) for name in ("ips", "snips", "doubly_robust")]
    assert steadiness[2] < steadiness[1] < steadiness[0]


@pytest.mark.parametrize("rival", ["paying everything", "rules"])
def test_nineteen_of_twenty_intervals_hold_what_is_truly_saved(rival):
    many = Population(np.random.default_rng(99), units=200_000)
    truth = many.saved(_against(many, rival))
    held = dict.fromkeys(("ips", "snips", "doubly_robust"), 0)
    for turn in range(TURNS):
        population = _drawn(turn)
        logged, against = population.logged(_key(turn)), _against(population, rival)
        found = savings(PAYOFF, logged, _resampling(population.unit, turn, 200), against)
        for name in held:
            held[name] += getattr(found, name).low <= truth <= getattr(found, name).high
    assert all(count >= 0.87 * TURNS for count in held.values()), held
    assert sum(held.values()) < len(held) * TURNS, held  # one of three may hold in every turn by chance


def test_scans_of_one_ring_are_drawn_together():
    population = Population(np.random.default_rng(7))
    once = population.logged(_key(7), share=0.9)
    names = ("meant", "outcome", "chance", "unit", "stake", "probability")
    tenfold = Logged(*(np.repeat(getattr(once, name), 10) for name in names))
    rings = savings(PAYOFF, tenfold, _resampling(tenfold.unit))
    alone = savings(PAYOFF, tenfold, _resampling(np.arange(len(tenfold.unit))))
    for name in ("ips", "snips", "doubly_robust"):
        wide, narrow = getattr(rings, name), getattr(alone, name)
        assert (
            wide.value
            == narrow.value
            == pytest.approx(getattr(savings(PAYOFF, once, _resampling(once.unit)), name).value)
        )
        assert wide.high - wide.low > 2 * (narrow.high - narrow.low), name


def _drawn(seed):
    return Population(np.random.default_rng(seed), units=1_000)


def test_what_nobody_drew_by_lot_says_nothing():
    population = Population(np.random.default_rng(2))
    logged = population.logged(_key(2))
    half = population.unit % 2 == 0
    silent = replace(logged, chance=np.where(half, SHARE, 0.0), outcome=np.where(half, logged.outcome, UNKNOWN))
    found = savings(PAYOFF, silent, _resampling(population.unit))
    of_half = savings(
        PAYOFF,
        Logged(*(getattr(logged, name)[half] for name in ("meant", "outcome", "chance", "unit", "stake"))),
        _resampling(population.unit[half]),
    )
    assert found.outside == (population.meant[~half] != PAY).sum()
    assert found.revealed == of_half.revealed
    # Those that were meant to be paid anyway differ in nothing, so they are known without a lot.
    assert found.decisions == of_half.decisions + (population.meant[~half] == PAY).sum()
    assert found.ips.value * found.decisions == pytest.approx(of_half.ips.value * of_half.decisions)
    assert of_half.doubly_robust is None


def test_where_the_policies_do_the_same_nothing_is_saved_for_certain():
    population = Population(np.random.default_rng(3))
    found = savings(PAYOFF, population.logged(_key(3)), _resampling(population.unit), population.meant)
    assert (found.ips.low, found.ips.value, found.ips.high) == (0.0, 0.0, 0.0)
    assert (found.snips.value, found.doubly_robust.value) == (0.0, 0.0)
    assert (found.differing, found.revealed, found.effective_rows) == (0, 0, 0.0)


def test_effective_rows_are_fewer_where_weights_differ():
    population = Population(np.random.default_rng(4))
    even = savings(PAYOFF, population.logged(_key(4)), _resampling(population.unit))
    assert even.effective_rows == pytest.approx(even.revealed)
    logged = population.logged(_key(4))
    uneven = replace(logged, chance=np.where(population.unit % 2 == 0, 0.02, 0.2))
    found = savings(PAYOFF, uneven, _resampling(population.unit))
    assert found.effective_rows < 0.75 * found.revealed
    assert 0 < found.units <= found.revealed


def test_the_lot_costs_what_those_let_through_would_have_saved():
    population = Population(np.random.default_rng(5))
    costs = [
        savings(PAYOFF, population.logged(_key(turn)), _resampling(population.unit, resamples=2)).holdout_cost.value
        for turn in range(200)
    ]
    assert np.mean(costs) == pytest.approx(SHARE * population.saved(np.full(len(population.unit), PAY)), rel=0.05)


def test_a_log_without_any_outcome_is_refused():
    population = Population(np.random.default_rng(6))
    logged = replace(population.logged(_key(6)), outcome=np.full(len(population.unit), UNKNOWN))
    with pytest.raises(DataError, match=r"policies differ and no outcome .* larger share"):
        savings(PAYOFF, logged, _resampling(population.unit))


def test_a_log_that_cannot_be_weighed_is_refused():
    population = Population(np.random.default_rng(6))
    logged = population.logged(_key(6))
    with pytest.raises(DataError, match="rows with an outcome that had no chance to be revealed"):
        replace(logged, chance=np.zeros(len(population.unit)))
    with pytest.raises(DataError, match="rows whose chance is not from 0 to 1"):
        replace(logged, chance=np.full(len(population.unit), np.nan))


def test_probabilities_of_one_outcome_are_refused_where_there_are_three():
    payoff = Payoff(("pay", "block"), ("honest", "wool", "clerk"), ((0, -9, -9), (-5, 0, 0)))
    logged = Logged(
        np.array([1, 0]), np.array([2, UNKNOWN]), np.full(2, 0.5), np.arange(2), probability=np.array([0.9, 0.1])
    )
    with pytest.raises(UsageError, match="found probabilities of one outcome and 3 outcomes"):
        savings(payoff, logged, _resampling(np.arange(2)))
    found = savings(payoff, replace(logged, probability=None), _resampling(np.arange(2)))
    assert (found.ips.value, found.snips.value) == (9.0, 4.5)
