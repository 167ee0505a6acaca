"""How offers are given out: the price of the budget, the rules that come before it, and the offers that both know."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import msgspec

from data.errors import DataError, UsageError
from serving.allocation.prices import OfferTerms, ShadowPrices
from serving.allocation.rules import Limits, OfferRules

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

BUDGET: Final = "offers"
"""The budget that pays what no other does."""


class Found(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the prices were found on.

    Attributes:
        rows: Offers that could be sent, each a row.
        budget_fen: What the budget was.
        spend_fen: What the sends are expected to cost.
        value_fen: What they can be counted on to earn, that cost taken off.
        gap: How far that is below what no allocation can pass, as a share of it.
    """

    rows: int
    budget_fen: float
    spend_fen: float
    value_fen: float
    gap: float


class OfferPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The rules and prices by which offers are given out; it stands in a bundle's manifest as it is.

    An offer that nothing here names, such as one of a later campaign, is paid by `budget` at its price and holds for
    everybody while its campaign runs.

    Attributes:
        prices: What the budget costs, and how the offers that it names are charged.
        limits: The numbers of the guardrails.
        offers: For whom and when certain offers hold.
        budget: The budget that pays an offer that prices do not name.
        found: What the prices were found on; None where they were typed.

    Raises:
        UsageError: There is no price of the budget.
    """

    prices: ShadowPrices
    limits: Limits = Limits()
    offers: tuple[OfferRules, ...] = ()
    budget: str = BUDGET
    found: Found | None = None

    def __post_init__(self) -> None:
        """Refuse a budget without a price."""
        if self.budget not in self.prices.budgets:
            raise UsageError(
                f"Policy of offers: found the budget {self.budget!r}, expected one with a price "
                f"({', '.join(self.prices.budgets) or 'none has one'})"
            )

    @property
    def fingerprint(self) -> str:
        """Hash of the rules and prices: equal ones answer equally."""
        return hashlib.sha256(msgspec.json.encode(msgspec.structs.replace(self, found=None))).hexdigest()

    def priced(self, prices: ShadowPrices) -> OfferPolicy:
        """The same rules at other prices, as a night's allocation leaves them.

        Raises:
            UsageError: The prices do not know the budget.
        """
        return msgspec.structs.replace(self, prices=prices, found=None)

    def prices_of(self, offers: Sequence[str], names: Sequence[str]) -> ShadowPrices:
        """The prices of some columns.

        Args:
            offers: The offer of each column.
            names: The name of each column, each once.
        """
        known = {terms.offer: terms for terms in self.prices.offers}
        terms = [known.get(offer, OfferTerms(offer, self.budget)) for offer in offers]
        charged = tuple(msgspec.structs.replace(one, offer=name) for one, name in zip(terms, names, strict=True))
        return msgspec.structs.replace(self.prices, offers=charged)


def read_prices(path: Path) -> ShadowPrices:
    """Prices that were written to a file.

    Raises:
        DataError: There are none.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=ShadowPrices)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(
            f"Prices {path}: found none that can be read ({error}), expected the JSON that `shepherd offers` writes; "
            "check the path, or allocate again."
        ) from error


def write_prices(prices: ShadowPrices, path: Path) -> None:
    """Write prices whole or not at all."""
    aside = path.with_name(f".{path.name}.aside")
    try:
        aside.write_bytes(msgspec.json.format(msgspec.json.encode(prices), indent=2) + b"\n")
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
