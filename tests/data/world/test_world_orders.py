"""What people buy of their own accord."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from data.world.almanac import DAY_US, START_US
from data.world.orders import (
    MINI_PROGRAM,
    POS,
    OrderSettings,
    category_shares,
    draw_orders,
    first_days,
    last_days,
)
from data.world.products import CATEGORIES

DAYS = 60


@pytest.fixture(scope="module")
def shopping(shop_in):
    return shop_in(DAYS)


@pytest.fixture(scope="module")
def shoppers(inhabitants):
    return inhabitants(8_000, days=DAYS)


@pytest.fixture(scope="module")
def bought(shopping, shoppers, village):
    generator = np.random.default_rng(5)
    return draw_orders(OrderSettings(), village, shopping.almanac, shopping.products, shoppers, generator)


def test_visits_come_in_order_of_time_and_each_buys_something(bought):
    visits, lines = bought

    assert (np.diff(visits.at) >= 0).all()
    assert (np.bincount(lines.visit, minlength=len(visits)) > 0).all()
    assert (lines.quantity > 0).all()
    assert (lines.offer == -1).all()


def test_nobody_orders_before_joining_or_without_ever_ordering(bought, shoppers):
    visits, _ = bought
    buyers = visits.person

    assert (visits.at >= shoppers.members["registered_at"][buyers]).all()
    assert (shoppers.cadence[buyers] > 0).all()
    assert (visits.day == (visits.at - START_US) // DAY_US).all()


def test_tills_are_open_by_day_and_the_mini_program_always(bought):
    visits, _ = bought
    hour = (visits.at - START_US) % DAY_US / (DAY_US / 24)
    till = visits.channel == POS

    assert ((hour[till] >= 7) & (hour[till] < 22.5)).all()
    assert ((hour < 7) | (hour >= 22.5))[~till].any()


def test_the_mini_program_always_knows_who_buys_and_the_till_nearly_always(bought):
    visits, _ = bought

    assert visits.card[visits.channel == MINI_PROGRAM].all()
    assert (~visits.card).mean() == pytest.approx(OrderSettings().no_card, abs=0.01)


def test_people_shop_at_their_stores_by_their_weights(bought, shoppers):
    visits, _ = bought
    usual = (visits.store - shoppers.city[visits.person]) // 2

    assert np.bincount(usual) / len(visits) == pytest.approx([0.6, 0.3, 0.1], abs=0.02)


def test_the_second_basket_comes_later_on_the_same_day(bought):
    visits, lines = bought

    assert (visits.second_at >= visits.at).all()
    assert ((visits.second_at - START_US) // DAY_US == visits.day).all()
    assert 0.02 < lines.second.mean() < 0.1


def test_visits_and_lines_are_as_many_as_the_rates_say(shopping, shoppers, village):
    settings = OrderSettings()
    visits, lines = draw_orders(
        settings, village, shopping.almanac, shopping.products, shoppers, np.random.default_rng(8)
    )

    pace = np.pad(np.cumsum(shopping.almanac.visits, axis=1), ((0, 0), (1, 0)))
    start, stop = first_days(shoppers, DAYS), last_days(shoppers, DAYS)
    stop = np.maximum(start, stop)
    keen = pace[shoppers.city, stop] - pace[shoppers.city, start]
    tired = pace[shoppers.city, -1] - pace[shoppers.city, stop]
    attempts = shoppers.cadence * (keen + settings.lapsed * tired)
    empty = (1 + settings.lines * shoppers.basket / settings.lines_shape) ** -settings.lines_shape

    # Demand differs a little from 1 by day; the tolerance leaves room for it.
    assert len(visits) == pytest.approx((attempts * (1 - empty)).sum(), rel=0.03)
    assert len(lines) == pytest.approx((attempts * settings.lines * shoppers.basket).sum(), rel=0.06)


def test_people_buy_what_they_like(bought, shoppers, shopping):
    visits, lines = bought
    category = shopping.products.category[lines.product]
    shares = category_shares(shoppers, shopping.products)
    favourite = np.argmax(shares, axis=1)[visits.person[lines.visit]]

    expected = shares.max(axis=1)[visits.person[lines.visit]].mean()
    assert (category == favourite).mean() == pytest.approx(expected, abs=0.02)


def test_hot_days_sell_more_water(shopping, shoppers, village):
    almanac = shopping.almanac
    hot = replace(almanac, category=almanac.category.copy())
    hot.category[:, :, CATEGORIES.index("water")] *= 1.5

    shares = []
    for days in (almanac, hot):
        _, lines = draw_orders(OrderSettings(), village, days, shopping.products, shoppers, np.random.default_rng(2))
        shares.append((shopping.products.category[lines.product] == CATEGORIES.index("water")).mean())

    assert shares[1] > 1.3 * shares[0]


def test_whoever_lost_the_habit_hardly_comes_any_more(bought, shoppers):
    visits, _ = bought
    lapse = last_days(shoppers, DAYS)
    early = (lapse < DAYS // 2) & (shoppers.cadence > 0)
    days_before, days_after = lapse[early].sum(), (DAYS - lapse[early]).sum()
    theirs = early[visits.person]

    before = np.count_nonzero(theirs & (visits.day < lapse[visits.person])) / days_before
    after = np.count_nonzero(theirs & (visits.day >= lapse[visits.person])) / days_after
    assert after < 0.3 * before


def test_weekends_are_busier(bought, shopping):
    visits, _ = bought
    a_day = np.bincount(visits.day, minlength=DAYS)
    off = shopping.almanac.day_off

    assert a_day[off].mean() > 1.08 * a_day[~off].mean()
