"""What scarcity costs, and the offer that is best at those prices: one rule, for one member now and millions at night.

The price of a budget is its multiplier of Lagrange: the fen of value that its last fen must earn. With it the answer
for a member needs nobody else: the offer whose value less price x cost is highest, if that is above 0.

This file stays light, for the service to import: no compiler. The compiled loops of the batch take the same steps in
the same order, and a test holds the two together to the bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
import numpy as np

from data.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Amounts = NDArray[np.float32] | NDArray[np.float64]
    Doubles = NDArray[np.float64]

NO_OFFER: Final = -1
Counted = Literal["send", "redemption"]


class OfferTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How an offer is charged.

    Attributes:
        offer: Its name.
        budget: The budget that pays it.
        stock_fen: The price of a piece, in fen; 0 where stock is no limit.
        counted: What takes a piece.
        face_fen: What one use costs, where uses take pieces.
    """

    offer: str
    budget: str
    stock_fen: float = 0.0
    counted: Counted = "send"
    face_fen: float = 0.0


class ShadowPrices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a limit costs at the optimum; it stands in a bundle's manifest as it is.

    Attributes:
        budgets: For each budget the value in fen that a fen of expected cost has to earn; 0 where money is left over.
        offers: How each offer is charged, in the order of the columns.
        segments: What it is worth to serve a member of each segment, in fen, in the order of their codes.
    """

    budgets: dict[str, float]
    offers: tuple[OfferTerms, ...]
    segments: dict[str, float] = {}

    def __post_init__(self) -> None:
        """Refuse prices that are none, and offers of unknown budgets."""
        problems = [
            f"price of {name}: found {price}, expected a finite number, 0 or more"
            for name, price in [
                *self.budgets.items(),
                *((terms.offer, terms.stock_fen) for terms in self.offers),
                *self.segments.items(),
            ]
            if not 0 <= price < float("inf")
        ]
        problems += [
            f"offer {terms.offer}: found the budget {terms.budget!r}, expected one of {list(self.budgets)}"
            for terms in self.offers
            if terms.budget not in self.budgets
        ]
        if problems:
            raise DataError("Shadow prices: " + "; ".join(problems) + ".")

    def at(self, **budgets: float) -> ShadowPrices:
        """The same with other prices of some budgets, as a pacer sets them.

        Raises:
            DataError: A name is no budget's.
        """
        unknown = sorted(set(budgets) - set(self.budgets))
        if unknown:
            raise DataError(
                f"Shadow prices: found {', '.join(unknown)}, expected budgets among {', '.join(self.budgets)}."
            )
        return msgspec.structs.replace(self, budgets={**self.budgets, **budgets})

    def charges(self) -> tuple[Doubles, Doubles, Doubles]:
        """What each offer is charged for a fen of cost, and for a send, shape (offers,); and what each segment adds."""
        per_cost = [
            self.budgets[terms.budget] + (terms.stock_fen / terms.face_fen if terms.counted == "redemption" else 0.0)
            for terms in self.offers
        ]
        per_send = [terms.stock_fen if terms.counted == "send" else 0.0 for terms in self.offers]
        return np.array(per_cost), np.array(per_send), np.array([*self.segments.values()], np.float64)


def choose(
    value: Amounts,
    cost: Amounts,
    allowed: NDArray[np.bool_] | None,
    prices: ShadowPrices,
    segment: NDArray[np.integer[Any]] | None = None,
) -> NDArray[np.int64]:
    """The offer of each member at given prices: the highest value - price x cost among the allowed, if above 0.

    Args:
        value: Expected extra margin in fen, shape (members, offers), in the order of `prices.offers`.
        cost: Expected cost in fen, likewise.
        allowed: What the guardrails leave, likewise; None for all.
        prices: The prices.
        segment: Code of each member's segment, -1 for none; None where prices know no segments.

    Returns:
        Index of the offer, -1 for no offer, shape (members,). Of equals the cheapest, then the first. A row's answer
        does not depend on the rows beside it, nor on whether the same numbers came as float32 or float64.

    Raises:
        DataError: A shape does not fit the prices.
    """
    worth = scores(value, cost, allowed, prices, segment)
    top = worth.max(axis=1)
    cheapest = np.where(worth == top[:, None], cost, np.inf).argmin(axis=1)
    return np.where(top > 0, cheapest, NO_OFFER)


def scores(
    value: Amounts,
    cost: Amounts,
    allowed: NDArray[np.bool_] | None,
    prices: ShadowPrices,
    segment: NDArray[np.integer[Any]] | None = None,
) -> NDArray[np.float64]:
    """What each offer is worth after its charges, by which `choose` ranks, in fen, shape (members, offers).

    Minus infinity where the offer is not allowed. Arguments and errors as in `choose`.
    """
    _require_fit(value, cost, allowed, prices, segment)
    per_cost, per_send, bonus = prices.charges()
    with np.errstate(invalid="ignore"):  # what is not allowed may hold anything
        worth = value.astype(np.float64) - (per_cost * cost.astype(np.float64) + per_send)
    if segment is not None:
        worth += np.append(bonus, 0.0)[segment][:, None]  # the code -1 reads the last
    return worth if allowed is None else np.where(allowed, worth, -np.inf)


def _require_fit(
    value: Amounts,
    cost: Amounts,
    allowed: NDArray[np.bool_] | None,
    prices: ShadowPrices,
    segment: NDArray[np.integer[Any]] | None,
) -> None:
    count = len(prices.offers)
    problems = []
    if value.ndim != 2 or value.shape[1] != count:
        problems.append(f"value: found shape {value.shape}, expected a column for each of {count} offers")
    if cost.shape != value.shape or cost.dtype != value.dtype or value.dtype.kind != "f":
        found = f"{cost.dtype} of {cost.shape} beside {value.dtype}"
        problems.append(f"cost: found {found}, expected floats of the type and shape of value")
    if allowed is not None and (allowed.shape != value.shape or allowed.dtype != np.bool_):
        problems.append(f"allowed: found {allowed.dtype} of {allowed.shape}, expected bool of the shape of value")
    if (segment is None) != (not prices.segments) or (segment is not None and segment.shape != value.shape[:1]):
        problems.append(
            f"segment: expected one of each member if and only if prices name segments ({len(prices.segments)})"
        )
    elif segment is not None and len(segment) and not -1 <= segment.min() <= segment.max() < len(prices.segments):
        problems.append(f"segment: found codes up to {segment.max()}, expected -1 to {len(prices.segments) - 1}")
    if problems:
        raise DataError("choose: " + "; ".join(problems) + ".")
