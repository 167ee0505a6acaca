"""Calibrates the Huff model of a chain on what its stores sell, and on what they lost when sisters opened nearby.

Two sources, because one does not suffice. Sales across stores tell how size and distance draw: a coarse grid is
searched, one constant after the other, for the smallest spread of log sales over market. They hardly tell how much of a
new store's sales comes from its sisters. The books of months do: within each store, log sales are held against the
log of its market as own stores opened and closed around it, and the slope is the `strength` of every later answer.
Rivals open where sisters open, so what they take enters beside it and is not put down to the sisters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from training.formulas import Demand, Gravity, Market, Near, Spots, within_reach

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

GRID: Mapping[str, Sequence[float]] = {
    "beta": (1.0, 1.3, 1.6, 1.9, 2.2, 2.6, 3.0),
    "elsewhere": (1.0, 3.0, 6.0, 10.0, 20.0, 40.0, 80.0),
    "alpha": (0.4, 0.55, 0.7, 0.85, 1.0),
    "passers": (0.0, 0.05, 0.1, 0.2, 0.4),
    "income_power": (0.0, 0.25, 0.5, 0.75, 1.0),
}
ROUNDS = 2
SURE = 0.5
_NO_CHANGE = 1e-9


@dataclass(frozen=True)
class Books:
    """Full months of trade after the ramp; arrays of one length, and the presence that made them.

    Attributes:
        store: Own store of each month's figure.
        month: Number of the month.
        log_revenue: Logarithm of what it took, ramp and age taken out.
        presence: How far each own store had come in each month, 0 shut to 1 mature; shape (stores, months).
        rivalry: Which rivals were there in each month, 0 or 1; shape (rivals, months).
    """

    store: NDArray[np.intp]
    month: NDArray[np.intp]
    log_revenue: Floats
    presence: Floats
    rivalry: Floats


def calibrate(start: Gravity, demand: Demand, rivals: Spots, stores: Spots, revenue_fen: Floats) -> Gravity:
    """The constants of size and distance under which sales follow markets most closely.

    Args:
        start: Where the search begins; what the grid does not name stays.
        demand: The cells.
        rivals: Shops of others that trade.
        stores: Own stores that trade.
        revenue_fen: What each sells in a year, NaN where it is not known yet.
    """
    known = np.flatnonzero(~np.isnan(revenue_fen))
    own, others = within_reach(demand, stores), within_reach(demand, rivals)
    tried: dict[tuple[float, ...], float] = {}
    best = start
    steps = [(name, value) for name, values in GRID.items() for value in values]
    for name, value in steps * ROUNDS:
        one = msgspec.structs.replace(best, **{name: value})
        key = tuple(getattr(one, each) for each in GRID)
        if key not in tried:
            markets = _markets(one, demand, own, others, len(stores.lat))
            tried[key] = float(np.std(np.log(revenue_fen[known] / markets[known])))
        if tried[key] < best.misfit:
            best = msgspec.structs.replace(one, misfit=tried[key])
    return best


def strengthened(gravity: Gravity, demand: Demand, rivals: Spots, stores: Spots, books: Books) -> Gravity:
    """The same with the strength of answers that the books show; 1 stays where its standard error is above one half.

    Args:
        gravity: The calibrated constants.
        demand: The cells.
        rivals: Shops of others, whenever they traded, as numbered in the books.
        stores: Own stores, those that closed included, as numbered in the books.
        books: What they took month by month.
    """
    slope, error = _answer(gravity, demand, rivals, stores, books)
    if not np.isfinite(error) or error > SURE:
        return gravity
    return msgspec.structs.replace(gravity, strength=max(slope, 0.0), strength_error=error)


def _markets(gravity: Gravity, demand: Demand, own: Near, others: Near, stores: int) -> Floats:
    cells, pulled = len(demand.lat), own.pull(gravity)
    total = np.bincount(own.cell, pulled, cells) + np.bincount(others.cell, others.pull(gravity), cells)
    each = demand.heads(gravity) / (total + gravity.elsewhere)
    return np.bincount(own.shop, pulled * each[own.cell], stores).astype(np.float64)


def _answer(gravity: Gravity, demand: Demand, rivals: Spots, stores: Spots, books: Books) -> tuple[float, float]:
    """Slope of log sales on what sisters change of the log market; its standard error by store (Liang and Zeger).

    Within stores and months, beside what rivals change while sisters stay as on average. A store counts as mature in
    its own market, for the ramp is out of its sales too.
    """
    market = Market(gravity, demand, Spots(*(np.empty(0) for _ in range(3))), stores)
    pulled, spent = market.stores, market.spent
    against = market.pull(rivals) @ books.rivalry + market.against[:, None]
    sisters = pulled @ books.presence
    left = np.empty((len(stores.lat), books.presence.shape[1]))
    for store, young in enumerate(1.0 - books.presence):
        own = pulled[:, [store]]
        left[store] = (spent * own[:, 0]) @ (1.0 / (against + sisters + own * young))
    taken = pulled.T @ (spent[:, None] / (against + sisters.mean(axis=1, keepdims=True)))
    row = books.store, books.month
    month = np.eye(books.presence.shape[1])[books.month]
    columns = np.column_stack((np.log(left / taken)[row], np.log(taken)[row], books.log_revenue, month))
    _, code = np.unique(books.store, return_inverse=True)
    size = np.bincount(code).astype(np.float64)
    within = columns - np.stack([np.bincount(code, one) / size for one in columns.T], axis=1)[code]
    kept = within[:, [0, 2]] - _explained(within[:, [0, 2]], within[:, [1, *range(3, columns.shape[1])]])
    spread = float(kept[:, 0] @ kept[:, 0])
    if spread < _NO_CHANGE:
        return 1.0, float("inf")
    slope = float(kept[:, 0] @ kept[:, 1]) / spread
    score = np.bincount(code, kept[:, 0] * (kept[:, 1] - slope * kept[:, 0]))
    return slope, float(np.sqrt(score @ score)) / spread


def _explained(values: Floats, by: Floats) -> Floats:
    solved, *_ = np.linalg.lstsq(by, values, rcond=None)
    explained: Floats = by @ solved
    return explained
