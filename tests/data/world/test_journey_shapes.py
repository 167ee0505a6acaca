"""How people buy, beside real grocery purchases: quantiles counted in ninety days of Complete Journey."""

from __future__ import annotations

import numpy as np
import pytest

SHARES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.99)


def _per_order(lived):
    lines = lived.life.lines
    _, first, order = np.unique(lines["order"], return_index=True, return_inverse=True)
    return lines[first], np.bincount(order, lines["amount_fen"]), np.bincount(order)


def test_amounts_of_baskets_spread_as_in_complete_journey(lived):
    _, amount, _ = _per_order(lived)

    found = np.quantile(amount / np.median(amount), SHARES)
    assert found == pytest.approx([0.16, 0.41, 1.0, 2.09, 3.97, 9.71], rel=0.2)


def test_gaps_between_baskets_are_as_irregular_as_in_complete_journey(lived):
    orders, _, _ = _per_order(lived)
    known = np.sort(orders[orders["member"] >= 0], order=["member", "at"])
    same = np.diff(known["member"]) == 0
    pace = np.bincount(known["member"])[known["member"][1:]] / np.ptp(known["at"])

    found = np.quantile((np.diff(known["at"]) * pace)[same], SHARES[2:])
    assert found == pytest.approx([0.72, 1.34, 2.08, 4.23], rel=0.25)


def test_members_differ_in_how_often_they_come_as_in_complete_journey(lived):
    orders, _, _ = _per_order(lived)
    often = np.bincount(orders["member"][orders["member"] >= 0])
    often = often[often > 0]

    # In a year: 0.68, 1.31, 2.17 and 5.3 times the mean. Sixty days cannot show the rarest shoppers.
    found = np.quantile(often / often.mean(), SHARES[2:])
    assert found == pytest.approx([0.68, 1.31, 2.17, 5.3], rel=0.35)


def test_people_come_back_to_their_categories_as_in_complete_journey(lived):
    lines, products = lived.life.lines, lived.shopping.products
    lines = lines[lines["member"] >= 0]
    held = np.unique(np.stack([lines["order"], products.category[lines["product"]]]), axis=1)
    orders, index = np.unique(lines["order"], return_index=True)
    baskets = np.zeros((len(orders), 12), bool)
    baskets[np.searchsorted(orders, held[0]), held[1]] = True
    place = np.lexsort((lines["at"][index], lines["member"][index]))
    member, baskets = lines["member"][index][place], baskets[place]
    again = np.flatnonzero(np.diff(member) == 0)

    popular = baskets.mean(axis=0)
    now, before = baskets[again + 1], baskets[again]
    lift = (now & before).sum() / (now * popular).sum()
    assert lift == pytest.approx(1.32, rel=0.2)
