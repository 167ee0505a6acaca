"""What a line is expected to earn, by person and offer, in closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data.world.coupons import CouponSettings
    from data.world.orders import OrderSettings
    from data.world.people import People
    from data.world.products import Products

    Flags = NDArray[np.bool_]
    Floats = NDArray[np.float64]


class Money:
    """Expected margins of lines: with the range, the promotions and the pieces given, all by shares of the person.

    A line is own label or not, and chosen by price or not; within each of these four kinds and a category everything is
    the same for everybody, so that a person's expectation is a mixture of four constants.
    """

    def __init__(
        self, orders: OrderSettings, coupons: CouponSettings, products: Products, good_for: Flags, own_only: Flags
    ) -> None:
        self._good_for, self._own_only = good_for, own_only
        self._companions = coupons.effects.companions
        thresholds = np.array([offer.threshold_fen for offer in coupons.offers])
        pieces, chances = np.array(orders.pieces), np.array(orders.piece_chances)
        needed = -(-thresholds[:, None] // products.price_fen)
        filled = (np.maximum(pieces, needed[:, :, None]) * chances).sum(axis=2)
        plain = np.full(filled.shape[1:], float((pieces * chances).sum()))
        self._depth = float(np.mean(orders.deals))
        self._plain = self._by_kind(products, plain[None])
        self._filled = self._by_kind(products, filled)

    @staticmethod
    def _by_kind(products: Products, pieces: Floats) -> Floats:
        """Margin and list value of lines of so many pieces: money, offer, category, own, by price."""
        made = np.zeros((2, len(pieces), products.categories, 2, 2))
        kind = 2 * products.category + products.own
        for cheap, weight in enumerate((products.weight, products.cheap_weight)):
            for money, fen in enumerate((products.margin_fen, products.price_fen)):
                for offer, fill in enumerate(pieces):
                    total = np.bincount(kind, fill * weight * fen, 2 * products.categories)
                    made[money, offer, :, :, cheap] = total.reshape(-1, 2)
        return made

    def expected(self, people: People, shares: Floats, local: Floats) -> tuple[Floats, Floats, Floats]:
        """By person and offer, in fen: a line it is good for, its top-up to the threshold, a purchase that is won.

        Args:
            people: who.
            shares: of the categories in their lines at 18 C.
            local: the same as the days' demand moves them.
        """
        kinds = self._kinds(people)
        plain = np.broadcast_to(self._plain, self._filled.shape)
        target, topped = self._averaged(kinds, (plain, self._filled), people, local)
        (won,) = self._averaged(kinds, (self._filled,), people, shares)
        own = np.stack([1.0 - people.own_share, people.own_share], axis=1)
        along = np.einsum("pa,pmb,pc,mcab->p", own, kinds, shares, self._plain[:, 0], optimize=True)
        return target, topped - target, won + self._companions * along[:, None]

    def _kinds(self, people: People) -> Floats:
        """How margin and list value, of lines chosen without and with an eye for price, make up a person's margin."""
        eye = np.stack([1.0 - people.price_eye, people.price_eye], axis=1)
        deal = people.deal_share * self._depth
        return np.stack([eye, -deal[:, None] * eye], axis=1)

    def _averaged(self, kinds: Floats, money: tuple[Floats, ...], people: People, shares: Floats) -> list[Floats]:
        """Mean margin of the lines of a person that each offer is good for, for each kind of line."""
        own = np.where(self._own_only, 1.0, people.own_share[:, None])
        lines = shares @ self._good_for.T
        # By person: kind of money, eye for price and category; by column: kind of line, offer and label.
        parts = (kinds[:, :, :, None] * shares[:, None, None, :]).reshape(len(shares), -1)
        columns = np.stack([one * self._good_for[:, :, None, None] for one in money])
        total = parts @ columns.transpose(1, 5, 3, 0, 2, 4).reshape(parts.shape[1], -1)
        made = total.reshape(len(shares), len(money), len(self._own_only), 2)
        return [(one[..., 0] * (1.0 - own) + one[..., 1] * own) / lines for one in made.swapaxes(0, 1)]
