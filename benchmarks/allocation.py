"""The allocation of offers to a brand's members: time, memory, how near the optimum, and whether any rule is broken.

    python -m benchmarks.allocation            # 1M and 5M members x 20 offers, and the peers: minutes on two cores
    python -m benchmarks.allocation --quick    # 100,000 and 500,000

Members are made up a part at a time, so that each part can be made again: values and costs that differ by member and
offer, three budgets that campaigns share, two scarce offers, two segments that must be served, and every guardrail.
The answer is counted anew by other code, rule by rule and fen by fen. Each size runs in a process of its own.

Peers: the plain bisection with numpy (one budget, 60 halvings over whole matrices), and the relaxed problem by HiGHS.
Prints one JSON object, last.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array, eye_array, kron, vstack

from features.memory import peak_bytes
from serving.allocation.guardrails import Guardrails
from serving.allocation.problem import Problem, Service, Stock
from serving.allocation.rules import Coded, Limits, Members, OfferRules
from serving.allocation.solver import Allocation, solve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Amounts = NDArray[np.float32]

_PART: Final = 100_000
_SEED: Final = 20260601
_NOW: Final = datetime(2026, 6, 1, tzinfo=UTC)
_FACES: Final = (300.0, 500.0, 800.0, 1_000.0, 1_500.0)
_CATEGORIES: Final = ("drinks", "fruit")
_REGIONS: Final = ("north", "south", "west")
_SEGMENTS: Final = ("new", "loyal", "lapsed", "sleeping")
_BUDGETS: Final = ("spring", "brand", "region")
_LIMITS: Final = Limits()
_ROUNDS: Final = 3
_HALVINGS: Final = 60


@dataclass(frozen=True)
class Part:
    """Some members: what the rules ask about them, and what each offer would earn and cost."""

    rows: slice
    members: Members
    value: Amounts
    cost: Amounts


def offer_rules(offers: int) -> tuple[OfferRules, ...]:
    """Offers of which some hold for a category, a region or a segment, one is over and one is gone."""
    return tuple(
        OfferRules(
            offer=f"offer-{number}",
            face_fen=_FACES[number % len(_FACES)],
            starts_at=_NOW - timedelta(days=10),
            ends_at=_NOW + timedelta(days=-1 if number == 17 else 20),
            category=_CATEGORIES[number % 2] if number % 3 == 0 else "",
            regions=(_REGIONS[number % 3],) if number % 7 == 5 else (),
            segments=("new", "lapsed") if number % 6 == 4 else (),
            pieces_left=0.0 if number == 19 else None,
        )
        for number in range(offers)
    )


def parts(members: int, offers: int) -> Iterator[Part]:
    """All members, some at a time; the same call gives the same members again."""
    faces = np.array([offer.face_fen for offer in offer_rules(offers)])
    for number, start in enumerate(range(0, members, _PART)):
        rows = slice(start, min(start + _PART, members))
        draw, count = np.random.default_rng((_SEED, number)), rows.stop - rows.start
        chance = np.clip(draw.beta(2, 12, (count, 1)) * draw.uniform(0.5, 1.5, (count, offers)), 0.0, 1.0)
        cost = (chance * faces).astype(np.float32)
        worth = cost * draw.lognormal(0.3, 0.7, (count, offers)) - 30 * draw.random((count, offers))
        facts = Members(
            fraud_probability=np.where(draw.random(count) < 0.001, np.nan, draw.beta(1, 12, count)),
            opted_out=draw.random(count) < 0.03,
            sends=draw.poisson(1.5, count),
            days_since_send=np.where(draw.random(count) < 0.3, np.nan, draw.exponential(20, count)),
            days_since_redemption=np.where(draw.random(count) < 0.8, np.nan, draw.exponential(60, count)),
            basket_margin_fen=np.where(draw.random(count) < 0.05, np.nan, draw.lognormal(7.5, 0.6, count)),
            region=Coded(draw.integers(-1, len(_REGIONS), count), _REGIONS),
            segment=Coded(draw.integers(0, len(_SEGMENTS), count), _SEGMENTS),
            holdout=draw.random(count) < 0.05,
            categories={name: draw.random(count) < 0.8 for name in _CATEGORIES},
        )
        yield Part(rows, facts, worth.astype(np.float32), cost)


def measure(members: int, offers: int = 20, threads: int | None = None) -> dict[str, Any]:
    """Make up members, hold the rules against them, allocate, and count anew what came out.

    Args:
        members: How many.
        offers: How many offers.
        threads: How many look at members at once; as many as there are processors if not given.

    Returns:
        Seconds of each step, the peak of the process in bytes, gap, overspend (share of a budget, the largest) and the
        number of broken rules.
    """
    value, cost = np.empty((members, offers), np.float32), np.empty((members, offers), np.float32)
    allowed, segment = np.empty((members, offers), np.bool_), np.empty(members, np.int32)
    guardrails, guarded = Guardrails(_LIMITS, offer_rules(offers)), 0.0
    for part in parts(members, offers):
        value[part.rows], cost[part.rows] = part.value, part.cost
        began = time.process_time()
        allowed[part.rows] = guardrails.broken(part.members, part.value, part.cost, _NOW) == 0
        guarded += time.process_time() - began
        if part.members.segment is not None:
            segment[part.rows] = part.members.segment.codes
    began, cpu = time.perf_counter(), time.process_time()
    problem = Problem(
        value,
        cost,
        allowed,
        tuple(offer.offer for offer in guardrails.offers),
        tuple(_BUDGETS[min(number % 4 // 2 + (number >= 16), 2)] for number in range(offers)),
        {"spring": 20.0 * members, "brand": 8.0 * members, "region": 1.0 * members},
        {"offer-0": Stock(members // 50), "offer-7": Stock(members / 2_000, "redemption", 800.0)},
        segment,
        _SEGMENTS,
        (Service("new", 0.5, "reachable"), Service("sleeping", 0.2)),
    )
    found = solve(problem, threads=threads)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    peak = peak_bytes()
    return {
        "members": members,
        "offers": offers,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),
        "guardrail_cpu_seconds": round(guarded, 2),
        "peak_bytes": peak,
        "data_bytes": value.nbytes + cost.nbytes + allowed.nbytes,
        "dual_gap": found.gap,
        "overspend": max(_spent(problem, found, name) / fen - 1 for name, fen in problem.budgets.items()),
        "violations": sum(_broken(problem, found).values()),
        "broken": _broken(problem, found),
        "allocations": members,
        "sent": sum(found.sends.values()),
        "mended": found.mended,
        "looks": found.looks,
        "settled": found.settled,
        "prices": found.prices.budgets,
        "load_average": round(os.getloadavg()[0], 2),
    }


def _spent(problem: Problem, found: Allocation, budget: str) -> float:
    """Cost of a budget in fen, summed exactly."""
    paid = np.array([name == budget for name in problem.budget_of])
    mine = np.flatnonzero((found.choice >= 0) & paid[found.choice])
    return math.fsum(problem.cost[mine, found.choice[mine]].tolist())


def _broken(problem: Problem, found: Allocation) -> dict[str, int]:
    """How often each rule is broken by what was sent: rules of members and offers by pair, limits by limit."""
    choice, broken = found.choice, dict.fromkeys(("guardrails", "budgets", "stock", "service"), 0)
    for part in parts(problem.members, len(problem.offers)):
        broken["guardrails"] += _broken_pairs(part, choice[part.rows], offer_rules(len(problem.offers)))
    broken["budgets"] = sum(_spent(problem, found, name) > fen for name, fen in problem.budgets.items())
    for name, stock in problem.stock.items():
        mine = np.flatnonzero(choice == problem.offers.index(name))
        costs = problem.cost[mine, problem.offers.index(name)].tolist()
        used = len(mine) if stock.counted == "send" else math.fsum(costs) / stock.face_fen
        broken["stock"] += used > stock.pieces
    assert problem.segment is not None
    assert problem.allowed is not None
    for service in problem.service:
        inside = problem.segment == _SEGMENTS.index(service.segment)
        people = inside & problem.allowed.any(axis=1) if service.of == "reachable" else inside
        broken["service"] += int((choice[inside] >= 0).sum()) < service.share * int(people.sum()) - 1e-6
    return broken


def _broken_pairs(part: Part, choice: NDArray[np.int64], rules: tuple[OfferRules, ...]) -> int:
    """Members of a part who got what they should not, each fact looked at by itself."""
    facts, broken = part.members, 0
    assert facts.region is not None
    assert facts.segment is not None
    names = {"region": np.array([*_REGIONS, ""]), "segment": np.array([*_SEGMENTS, ""])}
    for row in np.flatnonzero(choice >= 0).tolist():
        offer = rules[choice[row]]
        value, cost = float(part.value[row, choice[row]]), float(part.cost[row, choice[row]])
        fine = (
            _at(facts.fraud_probability, row) <= 0.5
            and not _at(facts.opted_out, row)
            and not _at(facts.holdout, row)
            and _at(facts.sends, row) < 4
            and not _at(facts.days_since_send, row) < 3
            and not _at(facts.days_since_redemption, row) < 7
            and not offer.face_fen > _at(facts.basket_margin_fen, row)
            and (not offer.regions or names["region"][facts.region.codes[row]] in offer.regions)
            and (not offer.segments or names["segment"][facts.segment.codes[row]] in offer.segments)
            and (not offer.category or bool(facts.categories[offer.category][row]))
            and offer.starts_at <= _NOW < offer.ends_at
            and offer.pieces_left != 0
            and value - cost >= 0
        )
        broken += not fine
    return broken


def _at(facts: NDArray[Any] | None, row: int) -> float:
    assert facts is not None
    return float(facts[row])


def beside_peers(members: int = 200_000, offers: int = 5) -> dict[str, Any]:
    """One budget: CPU seconds of ours and of the plain bisection, by interleaved rounds, and what each earns."""
    draw = np.random.default_rng(_SEED)
    cost = draw.beta(2, 12, (members, offers)) * np.array(_FACES[:offers])
    value = cost * draw.lognormal(0.3, 0.7, (members, offers))
    budget = 20.0 * members
    problem = Problem(value, cost, None, tuple("abcdefgh"[:offers]), ("year",) * offers, {"year": budget})
    solve(problem)  # compiles
    engines: dict[str, Callable[[], float]] = {
        "ours": lambda: solve(problem, threads=1).value,
        "numpy": lambda: _plain(value, cost, budget),
    }
    taken: dict[str, list[float]] = {name: [] for name in engines}
    earned = {}
    for _ in range(_ROUNDS):
        for name, engine in engines.items():
            began = time.process_time()
            earned[name] = engine()
            taken[name].append(time.process_time() - began)
    cpu = {name: median(seconds) for name, seconds in taken.items()}
    return {
        "members": members,
        "offers": offers,
        "cpu_seconds": {name: round(seconds, 2) for name, seconds in cpu.items()},
        "ratio": round(cpu["numpy"] / cpu["ours"], 1),
        "value": {name: round(fen) for name, fen in earned.items()},
    }


def _plain(value: NDArray[np.float64], cost: NDArray[np.float64], budget: float) -> float:
    """The bisection that one writes first: whole matrices, 60 halvings."""
    rows, low, high = np.arange(len(value)), 0.0, 1e3

    def at(price: float) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        worth = value - price * cost
        best = worth.argmax(axis=1)
        return best, worth[rows, best] > 0

    for _ in range(_HALVINGS):
        price = (low + high) / 2
        best, taken = at(price)
        low, high = (low, price) if cost[rows, best][taken].sum() <= budget else (price, high)
    best, taken = at(high)
    return float(value[rows, best][taken].sum())


def beside_highs(members: int = 5_000, offers: int = 20) -> dict[str, Any]:
    """Three budgets: seconds of the relaxed optimum by HiGHS and of ours, and how far our bound is from it."""
    part = next(parts(members, offers))
    value, cost = part.value.astype(np.float64), part.cost.astype(np.float64)
    budget_of = tuple(_BUDGETS[number % 3] for number in range(offers))
    budgets = dict.fromkeys(_BUDGETS, 8.0 * members)
    problem = Problem(value, cost, None, tuple(str(number) for number in range(offers)), budget_of, budgets)
    began = time.process_time()
    found = solve(problem, threads=1)
    ours = time.process_time() - began
    limits = [csr_array((cost * [name == paid for paid in budget_of]).reshape(1, -1)) for name in _BUDGETS]
    one_each = kron(eye_array(members), np.ones((1, offers)))
    most = np.concatenate([np.full(len(_BUDGETS), 8.0 * members), np.ones(members)])
    matrix = vstack([*limits, one_each], format="csr")
    began = time.process_time()
    relaxed = linprog(-value.ravel(), A_ub=matrix, b_ub=most, bounds=(0, 1), method="highs")
    highs = time.process_time() - began
    assert relaxed.x is not None
    return {
        "members": members,
        "offers": offers,
        "cpu_seconds": {"ours": round(ours, 2), "highs": round(highs, 2)},
        "bound_difference": abs(found.dual_value / float(value.ravel() @ relaxed.x) - 1),
        "gap": found.gap,
    }


def grown(members: int, offers: int = 20) -> dict[str, Any]:
    """Offers to so many members and to five times as many, each in a process of its own."""
    one, five = _alone(members, offers), _alone(5 * members, offers)
    return {
        "dual_gap": max(one["dual_gap"], five["dual_gap"]),
        "overspend": max(one["overspend"], five["overspend"], 0.0),
        "violations": one["violations"] + five["violations"],
        "allocation": one,
        "allocation_of_five_times": five,
        "growth": round(five["cpu_seconds"] / one["cpu_seconds"] / 5, 2),
    }


def _alone(members: int, offers: int) -> dict[str, Any]:
    """One size in a process of its own; it compiles beforehand, on a few members."""
    command = [sys.executable, "-m", "benchmarks.allocation", "--alone", str(members), "--offers", str(offers)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - ourselves
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def main() -> None:
    """Measure what the command asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the members")
    parser.add_argument("--offers", type=int, default=20)
    parser.add_argument("--alone", type=int, default=0, help="only so many members, in this process")
    chosen = parser.parse_args()
    if chosen.alone:
        measure(1_000, chosen.offers)
        print(json.dumps(measure(chosen.alone, chosen.offers)))
        return
    size = 100_000 if chosen.quick else 1_000_000
    found = grown(size, chosen.offers)
    print(json.dumps({**found, "beside_numpy": beside_peers(size // 5), "beside_highs": beside_highs()}))


if __name__ == "__main__":
    main()
