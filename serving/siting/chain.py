"""What a chain is worth with sites opened and stores closed, as the network plan asks it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data.errors import DataError
from serving.siting.plan import Moves

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serving.siting.plan import Chosen

    Doubles = NDArray[np.float64]

Sales = Callable[[Sequence[int], Sequence[str]], float]
"""What the whole chain sells in a year, fen, with those sites (by place) opened and those stores (by id) closed."""


@dataclass(frozen=True)
class Shops:
    """Sites or stores as a plan sees them; one entry each.

    Attributes:
        name: Ids.
        lat: WGS-84 degrees; `lon` likewise.
        city: The city of each.
        cost_fen: What opening it, or closing it, costs once.
        rent_fen: Rent of a year; 0 where a plan goes by sales.
    """

    name: tuple[str, ...]
    lat: Doubles
    lon: Doubles
    city: tuple[str, ...]
    cost_fen: Doubles
    rent_fen: Doubles


@dataclass(frozen=True)
class Chain:
    """The worth of a set of moves: sales of the whole chain times margin, less the rents of what is moved.

    With a margin of 1 and no rents that is the chain's sales, and no closing gains; with both it is what is left
    before other costs, and a store that earns less than its rent is better closed.

    Attributes:
        sales: What the chain sells, as `SiteScorer.network` says.
        sites: What may open.
        stores: Own stores that may be closed.
        margin: What is left of a fen of sales before rent.
    """

    sales: Sales
    sites: Shops
    stores: Shops
    margin: float = 1.0

    def __post_init__(self) -> None:
        """Refuse costs and rents that are not known, all at once."""
        money = {"cost_fen": "what the move costs", "rent_fen": "the rent"}
        unknown = [
            f"{meaning} of {name}"
            for shops in (self.sites, self.stores)
            for field, meaning in money.items()
            for name in np.array(shops.name)[np.isnan(getattr(shops, field))]
        ]
        if unknown:
            told = "; ".join(unknown[:10]) + (f" and {len(unknown) - 10} more" if len(unknown) > 10 else "")
            raise DataError(
                f"a network plan: not known is {told}; fill rent_fen and opening_cost_fen of the table sites, and"
                " rent_fen of the table stores where stores may close"
            )

    def moves(self) -> Moves:
        """Every opening, then every closing."""
        both = (self.sites, self.stores)
        return Moves(
            name=(*self.sites.name, *self.stores.name),
            lat=np.concatenate([shops.lat for shops in both]),
            lon=np.concatenate([shops.lon for shops in both]),
            city=(*self.sites.city, *self.stores.city),
            cost_fen=np.concatenate([shops.cost_fen for shops in both]),
            closing=np.arange(sum(len(shops.name) for shops in both)) >= len(self.sites.name),
        )

    def __call__(self, chosen: Chosen, /) -> float:
        """Fen a year with those moves made."""
        known = len(self.sites.name)
        opened = [move for move in chosen if move < known]
        closed = [move - known for move in chosen if move >= known]
        sales = self.sales(opened, [self.stores.name[one] for one in closed])
        rent = float(self.sites.rent_fen[opened].sum() - self.stores.rent_fen[closed].sum())
        return self.margin * sales - rent
