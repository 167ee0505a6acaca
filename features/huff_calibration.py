"""The powers of Huff's model out of what is known: who shops where, or only what each store takes.

Counts by cell and store (orders or members by home cell) say a great deal: among the stores of the table each customer
chose one, and the chance of that is a conditional logit in log attractiveness and distance (McFadden 1974), whose
likelihood has one summit. What is spent elsewhere cancels out, so the chain's own stores suffice.

Totals of stores say little: many pairs of powers give nearly the same totals, as a weak draw with a gentle decay does
what a strong draw with a steep decay does (`weakly identified`). Their fit comes with intervals and a flag; a flagged
fit should rank sites, not tell money. The intervals take the form of the model for granted: what is spent elsewhere,
two ways of coming to a shop in place of one, or unseen quality that neighbours share move the powers further than that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

from data.errors import DataError
from features.huff import Huff, log_attractiveness

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from features.kernel import Doubles

    Wholes: TypeAlias = NDArray[np.int64]

Basis: TypeAlias = Literal["flows", "totals"]

WIDE: Final = 1.0
"""A power whose 95 % interval is wider than this is weakly identified."""

_ROUNDS: Final = 200
_CLOSE: Final = 1e-8
_EXACT: Final = 1e-20  # less noise than this is rounding
_NORMAL: Final = 1.959963984540054
_LARGEST: Final = 12.0
_STARTS: Final = tuple((alpha, beta) for alpha in (0.5, 1.2) for beta in (1.0, 2.2))


@dataclass(frozen=True)
class Calibration:
    """Powers found, and how sure they are.

    Attributes:
        huff: The model with them.
        basis: What they were found from.
        alpha: Its 95 % interval, (low, high); endless where the data say nothing.
        beta: The same.
        correlation: Of the two errors; near 1, only a mix of both is known.
        curvature: Smaller and larger eigenvalue of the information on (alpha, beta); a smaller one near 0 is a ridge.
        rows: Stores or cells that were used.
    """

    huff: Huff
    basis: Basis
    alpha: tuple[float, float]
    beta: tuple[float, float]
    correlation: float
    curvature: tuple[float, float]
    rows: int

    @property
    def weakly_identified(self) -> bool:
        """Whether an interval is wider than 1: other powers say nearly the same."""
        return any(not high - low <= WIDE for low, high in (self.alpha, self.beta))


def from_flows(start: Huff, attractiveness: Doubles, apart_m: Doubles, counts: Doubles) -> Calibration:
    """The powers out of how many customers, orders or fen of each cell went to each store.

    Intervals let customers of one cell resemble each other (errors grouped by cell), for they do.

    Args:
        start: The model whose decay and floor hold; its powers are where the search starts.
        attractiveness: Shape (stores,), above 0.
        apart_m: Metres, shape (cells, stores).
        counts: How many of each cell chose each store, shape (cells, stores), 0 or more.

    Raises:
        DataError: No cell chose, a store without attractiveness, numbers that are negative or not finite.
    """
    _require("counts", counts, attractiveness, counts.shape == apart_m.shape and counts.sum() > 0)
    asked = np.flatnonzero(counts.sum(axis=1) > 0)
    chosen = counts[asked]
    levers = _levers(start, attractiveness, apart_m[asked])
    powers = np.array([start.alpha, start.beta])
    value = _log_likelihood(levers, chosen, powers)
    for _ in range(_ROUNDS):
        slope, information, _ = _slopes(levers, chosen, powers)
        step: Doubles = np.asarray(np.linalg.lstsq(information, slope, rcond=1e-12)[0], np.float64)
        powers, value, moved = _climbed(levers, chosen, powers, step, value)
        if moved < _CLOSE:
            break
    _, information, by_cell = _slopes(levers, chosen, powers)
    spread = _sandwich(information, by_cell)
    return _calibration(start, "flows", powers, spread, information, len(asked))


def from_totals(
    start: Huff, attractiveness: Doubles, apart_m: Doubles, demand: Doubles, totals: Doubles
) -> Calibration:
    """The powers out of what stores take in all: least squares of its logarithm, the level left free.

    Args:
        start: The model whose decay, floor and pull of elsewhere hold.
        attractiveness: Of all stores that compete, shape (stores,), above 0.
        apart_m: Metres, shape (cells, stores).
        demand: Of each cell, shape (cells,); its unit does not matter.
        totals: What each store takes, shape (stores,); NaN where it is not known, as for rivals.

    Raises:
        DataError: Fewer than four known totals, a store without attractiveness, numbers out of range.
    """
    known = np.flatnonzero(np.isfinite(totals) & (totals > 0)).astype(np.int64)
    _require("totals", totals[known], attractiveness, len(known) > 3)
    levers = _levers(start, attractiveness, apart_m)
    goal = np.log(totals[known])
    searched = [_least_squares(start, levers, demand, known, goal, np.array(pair)) for pair in _STARTS]
    powers, lack, slopes = min(searched, key=lambda one: one[1])
    freedom = len(known) - 3
    noise = max(lack / freedom, _EXACT)
    information = slopes.T @ slopes / noise
    spread = _inverse(information)
    student = (_NORMAL + (_NORMAL**3 + _NORMAL) / (4 * freedom)) / _NORMAL
    return _calibration(start, "totals", powers, spread * student**2, information, len(known))


def _levers(start: Huff, attractiveness: Doubles, apart_m: Doubles) -> Doubles:
    """What alpha and beta multiply, shape (2, cells, stores)."""
    draws = np.broadcast_to(log_attractiveness(attractiveness), apart_m.shape)
    return np.stack([draws, -start.hindrance(apart_m)])


def _log_shares(levers: Doubles, powers: Doubles, elsewhere: float = 0.0) -> Doubles:
    pull = np.tensordot(powers, levers, axes=1)
    most = pull.max(axis=1, keepdims=True)
    summed = np.exp(pull - most).sum(axis=1, keepdims=True) + elsewhere * np.exp(-most)
    found: Doubles = pull - most - np.log(summed)
    return found


def _log_likelihood(levers: Doubles, counts: Doubles, powers: Doubles) -> float:
    return float((counts * _log_shares(levers, powers)).sum())


def _slopes(levers: Doubles, counts: Doubles, powers: Doubles) -> tuple[Doubles, Doubles, Doubles]:
    """Slope and information of the likelihood, and the slope of each cell."""
    shares = np.exp(_log_shares(levers, powers))
    chosen = counts.sum(axis=1)
    about = levers - (levers * shares).sum(axis=2, keepdims=True)
    by_cell = (about * counts).sum(axis=2)
    information = np.einsum("aij,bij,ij,i->ab", about, about, shares, chosen, optimize=True)
    return by_cell.sum(axis=1), information, by_cell


def _climbed(
    levers: Doubles, counts: Doubles, powers: Doubles, step: Doubles, value: float
) -> tuple[Doubles, float, float]:
    """Goes up, halving the step until it does; how far it went is 0 at the summit."""
    for halved in range(40):
        further = np.clip(powers + step * 0.5**halved, [-_LARGEST, 0.0], _LARGEST)
        found = _log_likelihood(levers, counts, further)
        if found > value:
            return further, found, float(np.abs(further - powers).max())
    return powers, value, 0.0


def _least_squares(
    start: Huff, levers: Doubles, demand: Doubles, known: Wholes, goal: Doubles, powers: Doubles
) -> tuple[Doubles, float, Doubles]:
    """Levenberg's search from one start: the powers, the sum of squares, the slopes of the residuals."""
    damping = 1e-2
    residuals, slopes = _residuals(start, levers, demand, known, goal, powers)
    for _ in range(_ROUNDS):
        information = slopes.T @ slopes
        damped = information + damping * np.diag(np.maximum(information.diagonal(), 1e-9))
        further = np.clip(powers - np.linalg.solve(damped, slopes.T @ residuals), [-_LARGEST, 0.0], _LARGEST)
        found = _residuals(start, levers, demand, known, goal, further)
        moved = float(np.abs(further - powers).max())
        if found[0] @ found[0] < residuals @ residuals:
            powers, (residuals, slopes), damping = further, found, damping / 5
        else:
            damping *= 5
        if moved < _CLOSE:
            break
    return powers, float(residuals @ residuals), slopes


def _residuals(
    start: Huff, levers: Doubles, demand: Doubles, known: Wholes, goal: Doubles, powers: Doubles
) -> tuple[Doubles, Doubles]:
    """How far the logarithms of the markets lie above those of the totals, the mean taken off; and the slopes."""
    shares = np.exp(_log_shares(levers, powers, start.elsewhere))
    about = levers - (levers * shares).sum(axis=2, keepdims=True)
    markets = np.maximum(demand @ shares, np.finfo(float).tiny)
    slopes = np.stack([demand @ (shares * one) for one in about], axis=1)[known] / markets[known, None]
    residuals = np.log(markets[known]) - goal
    return residuals - residuals.mean(), slopes - slopes.mean(axis=0)


def _sandwich(information: Doubles, by_cell: Doubles) -> Doubles:
    inverse, cells = _inverse(information), by_cell.shape[1]
    with np.errstate(invalid="ignore"):
        spread: Doubles = inverse @ (by_cell @ by_cell.T) @ inverse * cells / max(cells - 1, 1)
    return spread


def _inverse(information: Doubles) -> Doubles:
    """The inverse; endless where the data say nothing in some direction."""
    least, most = np.linalg.eigvalsh(information)
    if not least > 1e-12 * most:
        return np.full_like(information, np.inf)
    return np.asarray(np.linalg.inv(information), np.float64)


def _calibration(
    start: Huff, basis: Basis, powers: Doubles, spread: Doubles, information: Doubles, rows: int
) -> Calibration:
    errors = np.sqrt(np.where(np.isfinite(spread.diagonal()), spread.diagonal(), np.inf))
    alpha, beta = (_interval(float(value), float(error)) for value, error in zip(powers, errors, strict=True))
    sure = bool(np.isfinite(errors).all() and (errors > 0).all())
    correlation = float(spread[0, 1] / (errors[0] * errors[1])) if sure else float("nan")
    least, most = np.linalg.eigvalsh(information)
    huff = replace(start, alpha=float(powers[0]), beta=float(powers[1]))
    return Calibration(huff, basis, alpha, beta, correlation, (float(least), float(most)), rows)


def _interval(value: float, error: float) -> tuple[float, float]:
    return value - _NORMAL * error, value + _NORMAL * error


def _require(name: str, values: Doubles, attractiveness: Doubles, enough: bool) -> None:  # noqa: FBT001 - a verdict
    problems = []
    if not (np.isfinite(values).all() and (values >= 0).all()):
        problems.append(f"{name}: found values that are negative or not finite; expected 0 or more")
    if not (np.isfinite(attractiveness).all() and (attractiveness > 0).all()):
        problems.append("attractiveness: found values of 0 or less, or none; expected above 0, leave shut stores out")
    if not enough:
        expected = "counts of cells x stores with some above 0" if name == "counts" else "at least four known totals"
        problems.append(f"{name}: found shape {values.shape}; expected {expected}")
    if problems:
        raise DataError("\n".join(["the Huff model cannot be calibrated:", *(f"  - {one}" for one in problems)]))
