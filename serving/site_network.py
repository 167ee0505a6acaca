"""What a chain sells under a plan: each store's own sales and each site's forecast, by the ratio of their markets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from serving.site_gravity import Market, Spots

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class NetworkSales:
    """What a chain sells in a year under a plan, fen.

    Attributes:
        before_fen: Of all stores as they are.
        total_fen: Of stores and opened sites under the plan.
        stores_fen: Of each own store under the plan, 0 for one that closes.
        sites_fen: Of each opened site.
    """

    before_fen: float
    total_fen: float
    stores_fen: Floats
    sites_fen: Floats


@dataclass(frozen=True)
class Network:
    """Own stores and candidates in one market: whatever no plan changes is computed once.

    Attributes:
        market: The demand and everyone who competes for it.
        pulled: What each candidate pulls in each cell, shape (cells, sites).
        today: Market of each own store as it is, shape (stores,).
        alone: Market of each candidate, opened alone, shape (sites,).
        forecast_fen: What each candidate sells in a year, opened alone.
        revenue_fen: What each own store sells in a year.
    """

    market: Market
    pulled: Floats
    today: Floats
    alone: Floats
    forecast_fen: Floats
    revenue_fen: Floats

    @classmethod
    def of(cls, market: Market, sites: Spots, forecast_fen: Floats, revenue_fen: Floats) -> Network:
        """Own stores of a market and sites that may open in it."""
        pulled = market.pull(sites)
        total = (market.against + market.own)[:, None] + pulled
        alone = market.spent @ (pulled / total)
        return cls(market, pulled, market.markets()[0], alone, forecast_fen, revenue_fen)

    def sales(self, opened: Sequence[int], shut: NDArray[np.bool_]) -> NetworkSales:
        """What the chain sells with some candidates opened and some stores shut.

        Args:
            opened: Places of the candidates that open.
            shut: Which own stores close, shape (stores,).
        """
        some = list(opened)
        stores, sites = self.market.markets(self.pulled[:, some], shut if shut.any() else None)
        power = self.market.gravity.strength
        stores_fen = self.revenue_fen * _ratio(stores, self.today) ** power * ~shut
        sites_fen = self.forecast_fen[some] * _ratio(sites, self.alone[some]) ** power
        total = float(stores_fen.sum() + sites_fen.sum())
        return NetworkSales(float(self.revenue_fen.sum()), total, stores_fen, sites_fen)


def _ratio(market: Floats, before: Floats) -> Floats:
    """How many times as large; 1 for a shop out of reach of every cell, which nobody can take from."""
    ratio: Floats = np.divide(market, before, out=np.ones_like(market), where=before > 0)
    return ratio
