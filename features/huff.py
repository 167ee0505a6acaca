"""Huff's model: how the shoppers of each cell divide what they spend among the stores around them.

Of what cell i spends, store j gets the share (Huff 1963; Nakanishi and Cooper 1974 for the powers)

    P_ij = A_j^alpha f(d_ij) / (o + sum_k A_k^alpha f(d_ik)),   f(d) = d^-beta  or  exp(-beta d),  d in kilometres

with A attractiveness (such as the sales floor), d the distance but never less than a floor, and o what is spent
elsewhere: online or not at all; without it the shares of a cell sum to 1. The market of a store is the sum over cells
of demand times share. A store that opens or closes is judged by what it changes for every store.

Everything is computed on logarithms and for all stores at once, so that a steep decay over a long way is no 0 / 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

from data.errors import DataError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from features.kernel import Doubles

Decay: TypeAlias = Literal["power", "exponential"]

PRIMARY_SHARE: Final = 0.4
"""A cell belongs to the primary trade area of a store that gets a larger share of it (Esri's convention)."""

_BLOCK: Final = 1 << 22


@dataclass(frozen=True)
class Opening:
    """What candidates would change, each opening alone.

    Attributes:
        market: What each candidate would get, shape (candidates,), in the unit of demand a year or month.
        change: What each store there is would lose by it, 0 or less, shape (candidates, stores).
    """

    market: Doubles
    change: Doubles


@dataclass(frozen=True)
class Catchment:
    """Where a store's custom comes from: cells, the largest share first.

    Attributes:
        cells: Positions of the cells, shape (cells of the catchment,).
        share: The store's share of each of them.
        market: What it gets from each of them, in the unit of demand.
        primary: Which of them are its primary trade area, with a share above 40 %.
    """

    cells: NDArray[np.int64]
    share: Doubles
    market: Doubles
    primary: NDArray[np.bool_]


@dataclass(frozen=True)
class Huff:
    """How attractiveness draws and distance keeps away.

    Attributes:
        alpha: Power of attractiveness.
        beta: Decay with distance: its power, or the rate per kilometre of an exponential.
        decay: `power` or `exponential`.
        floor_m: Distance in metres below which nearer draws no more; half the side of a cell is a fair choice, as
            shoppers are told to the cell.
        elsewhere: Pull of all that is no store, in units of a store of attractiveness 1 at one kilometre (of a power).

    Raises:
        UsageError: A decay of another name, a number that is not finite, a beta, floor or pull below 0, or a power
            without a floor; all that is wrong at once.
    """

    alpha: float = 1.0
    beta: float = 2.0
    decay: Decay = "power"
    floor_m: float = 350.0
    elsewhere: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what cannot be a model."""
        numbers = {"alpha": self.alpha, "beta": self.beta, "floor_m": self.floor_m, "elsewhere": self.elsewhere}
        problems = [f"{name}: found {one}; expected a number" for name, one in numbers.items() if not np.isfinite(one)]
        problems += [
            f"{name}: found {numbers[name]}; expected 0 or more"
            for name in ("beta", "floor_m", "elsewhere")
            if numbers[name] < 0
        ]
        if self.decay not in {"power", "exponential"}:
            problems.append(f"decay: found {self.decay!r}; expected power or exponential")
        if self.decay == "power" and self.floor_m == 0:
            problems.append("floor_m: found 0; expected more, as a power of no distance is without bound")
        if problems:
            raise UsageError("\n".join(["the Huff model is wrong:", *(f"  - {one}" for one in problems)]))

    def log_pull(self, attractiveness: Doubles, apart_m: Doubles) -> Doubles:
        """The logarithm of A^alpha f(d), elementwise over shapes that broadcast; -inf for a store without any pull."""
        return self.alpha * log_attractiveness(attractiveness) - self.beta * self.hindrance(apart_m)

    def hindrance(self, apart_m: Doubles) -> Doubles:
        """What beta multiplies: the logarithm of the kilometres, or the kilometres, above the floor; elementwise."""
        kilometres = np.maximum(apart_m, self.floor_m) / 1000.0
        found: Doubles = np.log(kilometres) if self.decay == "power" else kilometres
        return found

    def shares(self, attractiveness: Doubles, apart_m: Doubles) -> Doubles:
        """Which part of its demand each cell spends at each store.

        Args:
            attractiveness: Above 0, such as square metres; 0 for a store that is shut; shape (stores,) or, where
                cells see stores differently, (cells, stores).
            apart_m: Metres from each cell to each store, shape (cells, stores).

        Returns:
            Shape (cells, stores), 0 to 1. A cell sums to 1 less what is spent elsewhere, and to 0 where no store pulls.

        Raises:
            DataError: Attractiveness or distance that is negative or not finite.
        """
        pull, total = self._pulls(attractiveness, apart_m)
        return _exp(pull, total)

    def markets(self, attractiveness: Doubles, apart_m: Doubles, demand: Doubles) -> Doubles:
        """What each store gets of all cells' demand, shape (stores,), in the unit of `demand`, shape (cells,)."""
        found: Doubles = demand @ self.shares(attractiveness, apart_m)
        return found

    def opened(
        self,
        attractiveness: Doubles,
        apart_m: Doubles,
        demand: Doubles,
        candidate_attractiveness: Doubles,
        candidate_apart_m: Doubles,
    ) -> Opening:
        """What each candidate would get, opening alone, and what every store there is would lose by it.

        A candidate that gets the share s of a cell leaves every store 1 - s of what it had there, so thousands of
        candidates are one matrix product.

        Args:
            attractiveness: Of the stores there are, shape (stores,).
            apart_m: Metres from cells to them, shape (cells, stores).
            demand: What each cell spends, shape (cells,).
            candidate_attractiveness: Shape (candidates,).
            candidate_apart_m: Metres from cells to candidates, shape (cells, candidates).

        Raises:
            DataError: As `shares`.
        """
        pull, total = self._pulls(attractiveness, apart_m)
        had = demand[:, None] * _exp(pull, total)
        _require(candidate_attractiveness, candidate_apart_m)
        market = np.empty(candidate_apart_m.shape[1])
        change = np.empty((candidate_apart_m.shape[1], had.shape[1]))
        step = max(1, _BLOCK // max(len(demand), 1))
        for first in range(0, len(market), step):
            block = slice(first, first + step)
            share = _logistic(self.log_pull(candidate_attractiveness[block], candidate_apart_m[:, block]), total)
            market[block] = demand @ share
            change[block] = -(share.T @ had)
        return Opening(market, change)

    def closed(self, attractiveness: Doubles, apart_m: Doubles, demand: Doubles) -> Doubles:
        """What every store would gain if one closed, shape (closing, stores); the diagonal is what that one loses.

        What a cell spent at the only store that pulls it is lost to all. Raises as `shares`.
        """
        share = self.shares(attractiveness, apart_m)
        left = 1.0 - share
        weight = np.divide(demand[:, None] * share, left, out=np.zeros_like(share), where=left > 0)
        change: Doubles = weight.T @ share
        np.fill_diagonal(change, -(demand @ share))
        return change

    def _pulls(self, attractiveness: Doubles, apart_m: Doubles) -> tuple[Doubles, Doubles]:
        """The logarithms of all pulls and of their sum for each cell, with what is spent elsewhere."""
        _require(attractiveness, apart_m)
        pull = self.log_pull(attractiveness, apart_m)
        away = np.log(self.elsewhere) if self.elsewhere > 0 else -np.inf
        most = np.maximum(pull.max(axis=1, initial=-np.inf), away)
        safe = np.where(np.isfinite(most), most, 0.0)
        summed = np.exp(pull - safe[:, None]).sum(axis=1) + np.exp(away - safe)
        return pull, np.log(summed, out=np.full_like(summed, -np.inf), where=summed > 0) + safe


def catchment(share: Doubles, demand: Doubles, least: float = 0.01) -> Catchment:
    """The cells from which a store draws, by its share of them.

    Args:
        share: The store's share of each cell, shape (cells,): a column of `Huff.shares`.
        demand: What each cell spends, shape (cells,).
        least: Cells with a smaller share are left out.
    """
    by_share = np.argsort(-share, kind="stable")
    cells = by_share[share[by_share] >= least]
    return Catchment(cells, share[cells], share[cells] * demand[cells], share[cells] > PRIMARY_SHARE)


def log_attractiveness(attractiveness: Doubles) -> Doubles:
    """The logarithm, elementwise, and -inf for none."""
    found: Doubles = np.log(attractiveness, out=np.full(np.shape(attractiveness), -np.inf), where=attractiveness > 0)
    return found


def _exp(pull: Doubles, total: Doubles) -> Doubles:
    finite = np.where(np.isfinite(total), total, 0.0)
    found: Doubles = np.exp(pull - finite[:, None])
    return found


def _logistic(pull: Doubles, total: Doubles) -> Doubles:
    """The share u / (T + u) from both logarithms, T one for each cell; 0 for no pull at all."""
    none = ~np.isfinite(pull)
    behind = np.subtract(total[:, None], pull, out=np.full(pull.shape, np.inf), where=~none)
    found: Doubles = np.exp(-np.logaddexp(0.0, behind))
    return found


def _require(attractiveness: Doubles, apart_m: Doubles) -> None:
    found = {"attractiveness": attractiveness, "distance in metres": apart_m}
    problems = [
        f"{name}: found {int(wrong.sum())} of {wrong.size} values that are negative or not finite; expected 0 or more"
        for name, values in found.items()
        if (wrong := ~(np.isfinite(values) & (np.asarray(values) >= 0))).any()
    ]
    if apart_m.ndim != 2 or np.shape(attractiveness)[-1:] != apart_m.shape[1:]:
        problems.append(
            f"shapes: found {np.shape(attractiveness)} attractiveness and {apart_m.shape} distances; "
            "expected (stores,) and (cells, stores)"
        )
    if problems:
        raise DataError("\n".join(["the Huff model cannot divide this demand:", *(f"  - {one}" for one in problems)]))
