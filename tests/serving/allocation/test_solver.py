"""The allocation keeps every limit, comes as near the exact optimum as it says, and its prices answer alone."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from data.errors import DataError, UsageError
from serving.allocation import problem as problem_module
from serving.allocation.prices import choose
from serving.allocation.problem import Problem, Service, Stock
from serving.allocation.solver import solve

QUIET = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
SEEDS = st.integers(0, 10**6)
SEGMENTS = ("new", "loyal", "lapsed")


def _problem(seed, members, offers, budgets=1, tight=0.3, extras=False, whole=False):
    """Random members; with extras also scarce stock and a least service of two segments."""
    draw = np.random.default_rng(seed)
    face = draw.choice([100.0, 200.0, 300.0, 500.0, 800.0], offers)
    cost = draw.uniform(0.05, 0.6, (members, offers)) * face
    value = cost * draw.lognormal(0.2, 0.6, (members, offers)) - 20 * draw.random((members, offers))
    if whole:
        value, cost = np.round(value / 10) * 10.0, np.round(cost / 20) * 20.0
    names = tuple(f"offer-{number}" for number in range(offers))
    paid_by = [f"budget-{number}" for number in range(budgets)]
    most = float(cost.max(axis=1).sum())
    more = {}
    if extras:
        more = {
            "stock": {names[0]: Stock(max(1, members // 10)), names[-1]: Stock(0.1 * members, "redemption", face[-1])},
            "segment": draw.integers(-1, 3, members),
            "segments": SEGMENTS,
            "service": (Service("new", 0.2, "reachable"), Service("lapsed", 0.1, "reachable")),
        }
        more["stock"] = dict(list(more["stock"].items())[: 2 if offers > 1 else 1])
    return Problem(
        value,
        cost,
        draw.random((members, offers)) < 0.8,
        names,
        tuple(draw.choice(paid_by, offers).tolist()),
        {name: float(round(most * tight * draw.uniform(0.5, 1.5) / budgets)) for name in paid_by},
        **more,
    )


def _rows(problem):
    """Every limit as a row of a linear programme over members x offers, and what it may come to at most."""
    shape = problem.value.shape
    rows, most = [], []

    def add(weight, limit):
        rows.append(np.broadcast_to(weight, shape).ravel())
        most.append(limit)

    for name, fen in problem.budgets.items():
        add(problem.cost * [paid == name for paid in problem.budget_of], fen)
    for name, stock in problem.stock.items():
        each = problem.cost / stock.face_fen if stock.counted == "redemption" else np.ones(shape)
        add(each * [offer == name for offer in problem.offers], stock.pieces)
    for service in problem.service:
        inside = problem.segment == SEGMENTS.index(service.segment)
        reachable = inside & problem.allowed.any(axis=1)
        people = inside.sum() if service.of == "members" else reachable.sum()
        add(-1.0 * inside[:, None], -math.ceil(service.share * people - 1e-9))
    for member in range(shape[0]):
        add(1.0 * (np.arange(shape[0]) == member)[:, None], 1.0)
    return np.array(rows), np.array(most)


def _relaxed(problem):
    """The optimum if members could be split, by HiGHS; None where no allocation keeps the limits."""
    rows, most = _rows(problem)
    bounds = np.column_stack([np.zeros(problem.value.size), problem.allowed.ravel()])
    found = linprog(-problem.value.ravel(), A_ub=rows, b_ub=most, bounds=bounds, method="highs")
    return -found.fun if found.status == 0 else None


def _exact(problem):
    """The optimum, by the branch and bound of HiGHS."""
    rows, most = _rows(problem)
    found = milp(
        -problem.value.ravel(),
        constraints=LinearConstraint(rows, ub=most),
        bounds=Bounds(0, problem.allowed.ravel().astype(float)),
        integrality=np.ones(problem.value.size),
    )
    return -found.fun if found.status == 0 else None


def _assert_kept(problem, found):
    """Counted anew, member by member, exactly."""
    taken = [(member, offer) for member, offer in enumerate(found.choice.tolist()) if offer >= 0]
    assert all(problem.allowed is None or problem.allowed[pair] for pair in taken)
    for name, fen in problem.budgets.items():
        spent = math.fsum(float(problem.cost[pair]) for pair in taken if problem.budget_of[pair[1]] == name)
        assert spent <= fen
        assert spent <= found.spend[name] <= fen or math.isinf(fen)
    for name, stock in problem.stock.items():
        pairs = [pair for pair in taken if problem.offers[pair[1]] == name]
        used = len(pairs)
        if stock.counted == "redemption":
            used = math.fsum(float(problem.cost[pair]) for pair in pairs) / stock.face_fen
        assert used <= stock.pieces
        assert used <= found.used[name] <= stock.pieces
    for code, name in enumerate(problem.segments):
        served = sum(problem.segment[member] == code for member, _ in taken)
        assert served == found.served[name]
        assert served + found.shortfall.get(name, 0) >= problem.needed()[code]
    assert found.value == pytest.approx(math.fsum(float(problem.value[pair]) for pair in taken))


@pytest.mark.parametrize("seed", range(24))
def test_small_cases_stand_beside_the_exact_optimum(seed):
    problem = _problem(
        seed, 10 + 3 * seed, 1 + seed % 5, 1 + seed % 3, 0.2 + 0.01 * seed, extras=seed % 4 > 1, whole=seed % 2 == 0
    )
    relaxed, exact = _relaxed(problem), _exact(problem)
    assert exact is not None
    found = solve(problem, tolerance=1e-11)
    _assert_kept(problem, found)
    assert found.settled
    assert found.shortfall == {}
    assert found.dual_value == pytest.approx(relaxed, rel=1e-6)
    assert (1 - found.gap) * exact - 1e-6 <= found.value <= exact + 1e-6
    # Each limit splits at most one member of the relaxed optimum, so mending should lose a few members' worth.
    limits = len(problem.budgets) + len(problem.stock) + len(problem.service)
    assert found.value >= exact - 2 * limits * np.abs(problem.value).max()


def test_a_service_that_nothing_can_pay_is_refused_as_the_exact_solver_would():
    refused = 0
    for seed in range(40):
        problem = _problem(seed, 20, 3, 2, tight=0.01, extras=True)
        if _relaxed(problem) is None:
            with pytest.raises(DataError, match="least service that costs more than the budgets"):
                solve(problem)
            refused += 1
        else:
            _assert_kept(problem, solve(problem))
    assert 5 < refused < 40


@QUIET
@given(SEEDS, st.integers(1, 60), st.integers(1, 6), st.integers(1, 3), st.floats(0, 1.5), st.booleans())
def test_no_limit_and_no_mask_is_ever_broken(seed, members, offers, budgets, tight, extras):
    problem = _problem(seed, members, offers, budgets, tight, extras, whole=seed % 2 == 0)
    try:
        found = solve(problem)
    except DataError:
        assume(False)
    _assert_kept(problem, found)
    assert found.value <= found.dual_value * (1 + 1e-9) + 1e-6


@QUIET
@given(SEEDS, st.integers(1, 60), st.integers(1, 6), st.floats(0, 1), st.floats(0, 1), st.booleans())
def test_a_larger_budget_never_lowers_the_value(seed, members, offers, one, other, whole):
    problem = _problem(seed, members, offers, whole=whole)
    most = float(problem.cost.max(axis=1).sum())
    small, large = (solve(replace(problem, budgets={"budget-0": most * share})) for share in sorted((one, other)))
    assert small.value <= large.value + 1e-6
    assert small.dual_value <= large.dual_value * (1 + 1e-9) + 1e-6
    assert small.prices.budgets["budget-0"] >= large.prices.budgets["budget-0"] * (1 - 1e-6)


@QUIET
@given(SEEDS, st.integers(1, 60), st.integers(1, 6), st.integers(1, 3), st.booleans())
def test_what_is_not_scarce_has_no_price(seed, members, offers, budgets, tight_one):
    problem = _problem(seed, members, offers, budgets)
    plenty = {name: 1.0 + float(problem.cost.sum()) for name in problem.budgets}
    if tight_one:
        plenty["budget-0"] = problem.budgets["budget-0"]
    found = solve(replace(problem, budgets=plenty))
    assert all(found.prices.budgets[name] == 0 for name in list(plenty)[1 if tight_one else 0 :])
    if not tight_one:
        masked = np.where(problem.allowed, problem.value, 0)
        assert found.value == pytest.approx(np.maximum(masked.max(axis=1), 0).sum())
        assert found.gap == pytest.approx(0, abs=1e-12)


@QUIET
@given(SEEDS, st.integers(1, 60), st.integers(1, 6), st.integers(1, 3), st.booleans())
def test_the_prices_alone_answer_for_one_as_the_batch_does_for_all(seed, members, offers, budgets, extras):
    problem = _problem(seed, members, offers, budgets, extras=extras)
    try:
        found = solve(problem)
    except DataError:
        assume(False)
    segment = problem.segment if extras else None
    alone = [
        int(
            choose(
                problem.value[[row]],
                problem.cost[[row]],
                problem.allowed[[row]],
                found.prices,
                None if segment is None else segment[[row]],
            )[0]
        )
        for row in range(members)
    ]
    assert (found.choice != alone).sum() == found.mended


@pytest.mark.parametrize("budgets", [1, 3])
def test_a_large_case_is_solved_to_a_thousandth_and_prices_answer_for_nearly_all(budgets):
    problem = _problem(5, 80_000, 6, budgets, extras=budgets > 1)
    found = solve(problem, threads=2)
    assert found.settled
    assert found.gap < 1e-4
    assert found.shortfall == {}
    assert found.mended < 200
    assert all(spent <= problem.budgets[name] for name, spent in found.spend.items())


def test_threads_and_runs_do_not_change_a_bit(monkeypatch):
    monkeypatch.setattr(problem_module, "CHUNK", 500)
    problem = _problem(6, 4_000, 5, 2, extras=True)
    one, again, two = solve(problem, threads=1), solve(problem, threads=1), solve(problem, threads=3)
    for other in (again, two):
        assert one.choice.tolist() == other.choice.tolist()
        assert (one.prices, one.value, one.dual_value, one.spend) == (
            other.prices,
            other.value,
            other.dual_value,
            other.spend,
        )


def test_members_who_are_all_alike_share_the_budget_to_the_last_fen():
    problem = Problem(np.full((10, 1), 7.0), np.full((10, 1), 5.0), None, ("tea",), ("year",), {"year": 25.0})
    found = solve(problem)
    assert found.choice.tolist() == [0] * 5 + [-1] * 5
    assert found.spend == {"year": 25.0}
    assert found.gap == 0
    assert found.prices.budgets["year"] == pytest.approx(1.4)


def test_what_a_large_increment_leaves_is_filled_by_the_most_value_for_each_fen():
    value, cost = np.array([[100.0], [9.0], [8.0], [8.0]]), np.array([[10.0], [3.0], [2.0], [2.0]])
    found = solve(Problem(value, cost, None, ("tea",), ("year",), {"year": 4.0}))
    assert found.choice.tolist() == [-1, -1, 0, 0]
    assert found.dual_value == pytest.approx(40)


def test_campaigns_that_share_a_budget_share_its_price():
    value, cost = np.array([[9.0, 1.0], [1.0, 8.0], [7.0, 6.0]]), np.full((3, 2), 4.0)
    found = solve(Problem(value, cost, None, ("tea", "nuts"), ("year", "year"), {"year": 8.0}))
    assert found.choice.tolist() == [0, 1, -1]
    assert found.value == 17


def test_a_least_service_is_met_where_it_costs_value():
    value, cost = np.array([[9.0], [8.0], [-1.0], [-5.0]]), np.full((4, 1), 4.0)
    problem = Problem(
        value,
        cost,
        None,
        ("tea",),
        ("year",),
        {"year": 8.0},
        segment=np.array([0, 0, 1, 1]),
        segments=("loyal", "new"),
        service=(Service("new", 0.5),),
    )
    found = solve(problem)
    assert found.choice.tolist() == [0, -1, 0, -1]
    assert found.served == {"loyal": 1, "new": 1}
    assert found.prices.segments["new"] > 0


def test_stock_counts_sends_or_expected_uses_as_it_says():
    value, cost = np.array([[9.0], [8.0], [7.0], [6.0]]), np.array([[50.0], [50.0], [25.0], [50.0]])

    def sent(stock):
        return solve(Problem(value, cost, None, ("tea",), ("year",), {"year": math.inf}, {"tea": stock}))

    assert sent(Stock(2)).choice.tolist() == [0, 0, -1, -1]
    assert sent(Stock(2)).used == {"tea": 2.0}
    by_use = sent(Stock(1.25, "redemption", 100.0))
    assert by_use.choice.tolist() == [0, 0, 0, -1]
    assert by_use.used == {"tea": 1.25}


def test_options_out_of_range_are_refused():
    problem = _problem(1, 3, 2)
    for wrong in ({"tolerance": 0.0}, {"most_looks": 0}, {"threads": 0}):
        with pytest.raises(UsageError, match="expected a tolerance between 0 and 1"):
            solve(problem, **wrong)
