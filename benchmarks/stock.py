"""The stock of a flash sale: who gets it, request by request, when a judge refuses some or queues them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from benchmarks.truth import RATE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Flags: TypeAlias = NDArray[np.bool_]
    Reals: TypeAlias = NDArray[np.float64]
    Int64: TypeAlias = NDArray[np.int64]

COLLECTED_SECONDS: Final = 60.0
"""How long requests are collected where they are served by their scores."""


@dataclass(frozen=True)
class Sales:
    """The requests of flash sales as they are judged, in the order of arrival within each sale.

    Attributes:
        sale: Which sale each belongs to, from 0.
        stock: Pieces of each sale.
        opening: Whether it belongs to the first sale of its world.
        seconds: From the opening of the sale to its arrival.
        member: Code of who asks.
        valid: Whether it is one that a shop answers: in time, with a ticket that it gave out.
        honest: By the truth.
        crowd: Name of the honest crowd, `none` outside them.
        unit: Code of the independent unit: the ring, else the member.
    """

    sale: Int64
    stock: Int64
    opening: Flags
    seconds: Reals
    member: Int64
    valid: Flags
    honest: Flags
    crowd: NDArray[np.str_]
    unit: Int64

    def at(self, rows: Flags) -> Sales:
        """Those of some requests; sales that lose all of theirs sell nothing and do not count."""
        left, sale = np.unique(self.sale[rows], return_inverse=True)
        return Sales(
            sale=sale.astype(np.int64),
            stock=self.stock[left],
            opening=self.opening[rows],
            seconds=self.seconds[rows],
            member=self.member[rows],
            valid=self.valid[rows],
            honest=self.honest[rows],
            crowd=self.crowd[rows],
            unit=self.unit[rows],
        )


def pooled(worlds: Sequence[Sales]) -> Sales:
    """The sales of several worlds as though of one; nobody is in two of them."""
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in Sales.__dataclass_fields__}
    above = dict.fromkeys(("sale", "member", "unit"), 0)
    for one in worlds:
        for name, pieces in parts.items():
            codes = getattr(one, name)
            pieces.append(codes + above.get(name, 0) if name in above else codes)
        for name in above:
            above[name] = int(parts[name][-1].max()) + 1
    return Sales(**{name: np.concatenate(pieces) for name, pieces in parts.items()})


def reached(sales: Sales, refused: Flags, weights: Reals | None = None) -> float:
    """The share of the stock that goes to honest shoppers.

    Args:
        sales: The requests.
        refused: Which of them the judge refuses, shape (requests,).
        weights: How many of each there are, one if not given; each takes a piece of its own.
    """
    counted = np.ones(len(refused)) if weights is None else weights
    to_honest = 0.0
    for sale, stock in enumerate(sales.stock):
        asking = np.flatnonzero((sales.sale == sale) & sales.valid & ~refused)
        to_honest += _sold_to_honest(sales, asking, int(stock), counted)
    return to_honest / float(sales.stock.sum())


def least_suspicious_first(sales: Sales, score: Reals, weights: Reals | None = None) -> float:
    """The share of the stock that goes to honest shoppers where the first requests wait and are served by their scores.

    Of each member the most suspicious request of that time counts. What is left of the stock goes to whoever comes
    later, first come, first served.

    Args:
        sales: The requests.
        score: How suspicious each is, shape (requests,).
        weights: How many of each there are, one if not given; each takes a piece of its own.
    """
    counted = np.ones(len(score)) if weights is None else weights
    order = np.lexsort((np.arange(len(score)), _worst_so_far(sales, score)))
    early = sales.valid & (sales.seconds < COLLECTED_SECONDS)
    queue = np.concatenate([order[early[order]], np.flatnonzero(sales.valid & ~early)])
    to_honest = 0.0
    for sale, stock in enumerate(sales.stock):
        mine = queue[sales.sale[queue] == sale]
        to_honest += _sold_to_honest(sales, mine, int(stock), counted)
    return to_honest / float(sales.stock.sum())


def _sold_to_honest(sales: Sales, asking: Int64, stock: int, counted: Reals) -> float:
    """Pieces that honest shoppers get of one sale whose requests are served in this order, one a member."""
    first = asking[np.sort(np.unique(sales.member[asking], return_index=True)[1])]
    taken = np.minimum(np.cumsum(counted[first]), stock)
    return float(np.diff(taken, prepend=0.0)[sales.honest[first]].sum())


def _worst_so_far(sales: Sales, score: Reals) -> Reals:
    """The highest score that the member of each request has in its sale while requests are collected."""
    pair = sales.sale * (sales.member.max(initial=0) + 1) + sales.member
    inverse = np.unique(pair, return_inverse=True)[1]
    worst = np.full(inverse.max(initial=-1) + 1, -np.inf)
    early = sales.seconds < COLLECTED_SECONDS
    np.maximum.at(worst, inverse[early], score[early])
    return np.asarray(worst[inverse], np.float64)


def threshold(score: Reals, honest: Flags, weights: Reals | None = None, rate: float = RATE) -> float:
    """The least score above which at most this rate of the honest requests lies; what scores more is refused."""
    counted = np.ones(len(score)) if weights is None else weights
    order = np.argsort(-score[honest], kind="stable")
    ranked, passed = score[honest][order], np.cumsum(counted[honest][order])
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    allowed = int((passed[ends] <= rate * passed[-1]).sum())
    return float(np.append(ranked[ends], -np.inf)[allowed])
