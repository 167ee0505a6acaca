"""The network plan (布点方案): which sites to open, and which stores to close, under budget, spacing and caps.

What a set of moves is worth is asked of whoever knows, such as `SiteScorer.network`: every worth is that of the whole
chain, so what a site takes from sister stores and from the other sites of the plan is in it.

Where few sets of moves could be meant, all that keep to the limits are asked, and the plan is the best there is.
Elsewhere it is built twice by lazy greedy choice, by gain and by gain for each fen of cost, and the better one is
improved by exchanges until none helps. For a worth with falling returns, a limit on the number alone, and no
closings, greedy choice is at least 1 - 1/e of the best (Nemhauser, Wolsey and Fisher 1978); with a budget the better
of the two is at least (1 - 1/e) / 2 of it (Leskovec et al. 2007). Lazy choice finds the same and asks less.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import TYPE_CHECKING, Protocol

import numpy as np

from data.errors import UsageError
from features.distance import degrees_apart_km

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

Chosen = tuple[int, ...]

FEW_SETS = 1_200
"""So many sets of moves are all asked; a minute at most where an answer takes a twentieth of a second."""

_LEAST_GAIN = 1e-9
"""As a share of what the plan is worth; a smaller gain is rounding."""


class Worth(Protocol):
    """What the chain is worth with a set of moves made, in fen."""

    def __call__(self, chosen: Chosen, /) -> float:
        """The worth with those moves, given as rising places in the list of moves; with none that of today."""


@dataclass(frozen=True)
class Moves:
    """What may be done: sites to open, stores to close; one entry each, alike in all fields.

    Attributes:
        name: Of the site or store.
        lat: WGS-84 degrees, shape (moves,); `lon` likewise.
        city: The city of each; caps count by it.
        cost_fen: What the move costs, once, shape (moves,).
        closing: Whether it closes a store instead of opening a site, shape (moves,).
    """

    name: tuple[str, ...]
    lat: NDArray[np.float64]
    lon: NDArray[np.float64]
    city: tuple[str, ...]
    cost_fen: NDArray[np.float64]
    closing: NDArray[np.bool_]


@dataclass(frozen=True)
class Limits:
    """What a plan has to keep to.

    Attributes:
        openings: Most sites to open.
        budget_fen: Most to spend on all moves; None for no limit.
        spacing_m: Least distance between two sites of the plan, and to `stores` that stay open.
        city_cap: Most sites to open in one city; None for no limit.
        closings: Most stores to close.
    """

    openings: int
    budget_fen: float | None = None
    spacing_m: float = 0.0
    city_cap: int | None = None
    closings: int = 0

    def __post_init__(self) -> None:
        """Refuse limits under which nothing could be chosen, all at once."""
        told = {"openings": self.openings, "budget_fen": self.budget_fen, "spacing_m": self.spacing_m}
        told |= {"city_cap": self.city_cap, "closings": self.closings}
        wrong = [f"{name} is {value}" for name, value in told.items() if value is not None and value < 0]
        if wrong:
            raise UsageError(f"a plan's limits: found {'; '.join(wrong)}, expected 0 or more")


@dataclass(frozen=True)
class Step:
    """One move of a plan, in the order that gains most first.

    Attributes:
        move: Its place in the moves.
        gain_fen: What it adds to the moves before it.
    """

    move: int
    gain_fen: float


@dataclass(frozen=True)
class NetworkPlan:
    """Moves to make.

    Attributes:
        steps: The moves, the one that adds most first.
        before_fen: What the chain is worth today.
        after_fen: What it would be worth.
        cost_fen: What all moves cost.
        asked: How many sets the worth was asked of.
    """

    steps: tuple[Step, ...]
    before_fen: float
    after_fen: float
    cost_fen: float
    asked: int

    @property
    def gain_fen(self) -> float:
        """What the plan adds."""
        return self.after_fen - self.before_fen


class Rules:
    """Whether a set of moves keeps to the limits.

    Args:
        moves: What may be done.
        limits: What to keep to.
        stores: Latitude and longitude of the own stores that trade, from which sites keep their distance too; None for
            sites among themselves alone. A store that the plan closes, known by its place, no longer counts.
    """

    def __init__(
        self, moves: Moves, limits: Limits, stores: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
    ) -> None:
        self.moves, self.limits = moves, limits
        self._near = _nearer(moves.lat, moves.lon, moves.lat, moves.lon, limits.spacing_m)
        lat, lon = stores or (np.zeros(0), np.zeros(0))
        near = _nearer(moves.lat, moves.lon, lat, lon, limits.spacing_m)
        self._crowded = [set(np.flatnonzero(row).tolist()) for row in near]
        same = _nearer(moves.lat, moves.lon, lat, lon, 1.0)
        self._store = [set(np.flatnonzero(row).tolist()) for row in same]

    def kept(self, chosen: Chosen) -> bool:
        """Whether all limits are kept."""
        moves, limits = self.moves, self.limits
        opened = [one for one in chosen if not moves.closing[one]]
        closed = [one for one in chosen if moves.closing[one]]
        if len(opened) > limits.openings or len(closed) > limits.closings:
            return False
        if limits.budget_fen is not None and moves.cost_fen[list(chosen)].sum() > limits.budget_fen:
            return False
        cities = [moves.city[one] for one in opened]
        if limits.city_cap is not None and any(cities.count(city) > limits.city_cap for city in set(cities)):
            return False
        if any(self._near[one, other] for one, other in combinations(opened, 2)):
            return False
        gone = set().union(*(self._store[one] for one in closed))
        return all(self._crowded[one] <= gone for one in opened)


class _Asked:
    """A worth that remembers what it was asked."""

    def __init__(self, worth: Worth) -> None:
        self._worth, self._known = worth, dict[Chosen, float]()

    def __call__(self, chosen: Chosen, /) -> float:
        key = tuple(sorted(chosen))
        if key not in self._known:
            self._known[key] = float(self._worth(key))
        return self._known[key]

    def __len__(self) -> int:
        return len(self._known)


def network_plan(worth: Worth, rules: Rules) -> NetworkPlan:
    """The best plan: of all sets of moves where they are few, else of two greedy ones the better, then exchanged.

    Its moves stand in the order of their gains.

    Args:
        worth: What a set of moves is worth.
        rules: The moves and what a plan has to keep to.
    """
    asked = _Asked(worth)
    best = exhaustive(asked, rules) if _sets(rules) <= FEW_SETS else _found(asked, rules)
    return NetworkPlan(
        _steps(asked, best), asked(()), asked(best), float(rules.moves.cost_fen[list(best)].sum()), len(asked)
    )


def _sets(rules: Rules) -> int:
    """How many sets of moves there are, whether they keep to the limits or not."""
    most = rules.limits.openings + rules.limits.closings
    return sum(comb(len(rules.moves.name), size) for size in range(most + 1))


def _found(asked: Worth, rules: Rules) -> Chosen:
    """Two greedy plans, the better improved by exchanges."""
    by_gain = greedy(asked, rules, lambda gain, _: gain)
    costs = np.maximum(rules.moves.cost_fen, 1.0)
    by_rate = greedy(asked, rules, lambda gain, move: gain / float(costs[move])) if rules.limits.budget_fen else by_gain
    return exchanged(asked, rules, max(by_gain, by_rate, key=asked))


def greedy(worth: Worth, rules: Rules, score: Callable[[float, int], float]) -> Chosen:
    """Take the move with the best score of its gain, again and again, until none gains or none is allowed.

    A move's gain can only have fallen since it was last asked, as long as no store was closed: so the heap's top, once
    asked anew and still on top, is the best. After a closing every gain may have risen, and all are asked again.

    Args:
        worth: What a set of moves is worth.
        rules: The limits.
        score: Of a gain and a move; what is highest is taken.
    """
    moves, chosen = rules.moves, Chosen()

    def gain(move: int) -> float:
        return worth((*chosen, move)) - worth(chosen)

    def heap(left: Sequence[int]) -> list[tuple[float, int, int]]:
        made = [(-score(gain(move), move), move, len(chosen)) for move in left]
        heapq.heapify(made)
        return made

    waiting = heap([move for move in range(len(moves.name)) if not moves.closing[move] or rules.limits.closings])
    aside: list[tuple[float, int, int]] = []
    while waiting:
        bound, move, asked_at = heapq.heappop(waiting)
        if not rules.kept((*chosen, move)):
            aside.append((bound, move, asked_at))  # a closing later may make room for it
        elif asked_at < len(chosen):
            heapq.heappush(waiting, (-score(gain(move), move), move, len(chosen)))
        elif -bound <= 0 or gain(move) <= _LEAST_GAIN * abs(worth(chosen)):
            aside.append((bound, move, asked_at))
        else:
            chosen = (*chosen, move)
            if moves.closing[move]:
                waiting, aside = heap([one for _, one, _ in (*waiting, *aside)]), []
    return tuple(sorted(chosen))


def exchanged(worth: Worth, rules: Rules, chosen: Chosen) -> Chosen:
    """Add, drop or swap moves, in the end two at once, as long as that is worth more."""
    while True:
        here = worth(chosen)
        allowed = [other for other in _neighbours(chosen, len(rules.moves.name)) if rules.kept(other)]
        best = max(allowed, key=worth, default=chosen)
        if worth(best) - here <= _LEAST_GAIN * abs(here):
            best = _pairs_swapped(worth, rules, chosen)
        if worth(best) - here <= _LEAST_GAIN * abs(here):
            return chosen
        chosen = best


def exhaustive(worth: Worth, rules: Rules) -> Chosen:
    """The very best plan, by asking every set that keeps to the limits: for small numbers of moves, as certificate."""
    most = rules.limits.openings + rules.limits.closings
    places = range(len(rules.moves.name))
    every = (one for size in range(most + 1) for one in combinations(places, size) if rules.kept(one))
    return max(every, key=worth)


def _neighbours(chosen: Chosen, count: int) -> Iterator[Chosen]:
    """Every set that lies one move added, dropped or swapped away."""
    others = [move for move in range(count) if move not in chosen]
    for new in others:
        yield tuple(sorted((*chosen, new)))
    for old in chosen:
        kept = tuple(one for one in chosen if one != old)
        yield kept
        for new in others:
            yield tuple(sorted((*kept, new)))


def _pairs_swapped(worth: Worth, rules: Rules, chosen: Chosen) -> Chosen:
    """The first better plan with up to two moves exchanged for up to two others; the same where none is found.

    With falling returns a pair adds no more than each of it alone, so what could not be better by that is not asked.
    """
    here, today, count = worth(chosen), worth(()), len(rules.moves.name)
    least = here + _LEAST_GAIN * abs(here)
    alone = [worth((move,)) - today if rules.kept((move,)) else 0.0 for move in range(count)]
    others = [move for move in range(count) if move not in chosen]
    for out in (*((one,) for one in chosen), *combinations(chosen, 2)):
        kept = tuple(one for one in chosen if one not in out)
        short = least - worth(kept)
        for new in (*((one,) for one in others), *combinations(others, 2)):
            if sum(alone[move] for move in new) > short:
                other = tuple(sorted((*kept, *new)))
                if rules.kept(other) and worth(other) > least:
                    return other
    return chosen


def _steps(worth: Worth, chosen: Chosen) -> tuple[Step, ...]:
    """The moves in the order in which each adds most to those before it."""
    made, left, steps = Chosen(), list(chosen), []
    while left:
        move = max(left, key=lambda one: worth((*made, one)))
        steps.append(Step(move, worth((*made, move)) - worth(made)))
        made = (*made, move)
        left.remove(move)
    return tuple(steps)


def _nearer(
    lat: NDArray[np.float64],
    lon: NDArray[np.float64],
    other_lat: NDArray[np.float64],
    other_lon: NDArray[np.float64],
    metres: float,
) -> NDArray[np.bool_]:
    """Which pairs lie nearer than so many metres."""
    return degrees_apart_km(lat[:, None], lon[:, None], other_lat, other_lon) * 1000 < metres
