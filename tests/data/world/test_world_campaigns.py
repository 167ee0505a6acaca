"""Campaigns: every scan has one, prizes follow the odds, and the draw printed with a code decides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.world.almanac import DAY_US, START_US
from data.world.campaigns import (
    CAMPAIGN,
    EVERGREEN,
    FLASH_SALE,
    LAUNCH,
    LIVE_STREAM,
    MINUTE,
    PROMOTION,
    Campaigns,
    CampaignSettings,
)
from data.world.city import City, CitySettings
from data.world.products import ProductSettings, draw_products

CITY = City(CitySettings(), 3)
RANGE = draw_products(ProductSettings(), 3)
DAYS = 90
CAMPAIGNS = Campaigns(CampaignSettings(), CITY, RANGE, 40_000, DAYS, 3)


def _one(product, city, at, *, linked=False):
    found = CAMPAIGNS.campaign_of(np.array([product]), np.array([city]), np.array([at]), np.array([linked]))
    return int(found[0])


def test_numbers_are_places_and_the_evergreen_campaign_is_the_first():
    assert CAMPAIGNS.rows.dtype == CAMPAIGN
    assert CAMPAIGNS.rows["campaign"].tolist() == list(range(len(CAMPAIGNS.rows)))
    assert CAMPAIGNS.rows["kind"][0] == EVERGREEN
    assert set(CAMPAIGNS.rows["kind"]) == {EVERGREEN, PROMOTION, LAUNCH, LIVE_STREAM, FLASH_SALE}


@pytest.mark.parametrize("days", [14, 90, 540])
def test_campaigns_start_inside_the_world_and_grow_in_number_with_it(days):
    made = Campaigns(CampaignSettings(), CITY, RANGE, 1_000, days, 5)
    started = made.rows["starts_at"][1:]
    assert np.all((started >= START_US) & (started < START_US + days * DAY_US))
    assert np.all(made.rows["ends_at"] > made.rows["starts_at"])
    assert len(made.of_kind(PROMOTION)) == max(1, round(5 * days / 90))


@given(
    product=st.sampled_from(np.flatnonzero(RANGE.own).tolist()),
    city=st.integers(0, len(CITY.cities) - 1),
    at=st.integers(START_US, START_US + DAYS * DAY_US - 1),
    linked=st.booleans(),
)
def test_a_scan_falls_under_the_best_campaign_that_covers_it(product, city, at, linked):
    rows = CAMPAIGNS.rows
    covering = [
        number
        for number in range(len(rows))
        if rows["kind"][number] != FLASH_SALE
        and CAMPAIGNS.products[number, product]
        and CAMPAIGNS.cities[number, city]
        and rows["starts_at"][number] <= at < rows["ends_at"][number]
        and (linked or rows["kind"][number] != LIVE_STREAM)
    ]
    found = _one(product, city, at, linked=linked)
    assert found in covering
    assert rows["odds"][found] == max(rows["odds"][covering])


def test_only_own_products_are_ever_promoted():
    assert not CAMPAIGNS.products[:, ~RANGE.own].any()
    assert CAMPAIGNS.products.any(axis=1).all()


def test_wins_come_at_the_odds_and_pay_what_is_expected():
    draws = np.random.default_rng(1).random(400_000)
    for number in (0, *(int(CAMPAIGNS.of_kind(kind)[0]) for kind in (PROMOTION, LAUNCH, LIVE_STREAM))):
        campaign = np.full(len(draws), number)
        won = CAMPAIGNS.prize(campaign, draws)
        odds = CAMPAIGNS.rows["odds"][number]
        error = np.sqrt(odds * (1 - odds) / len(draws))
        assert abs((won > 0).mean() - odds) < 5 * error
        expected = CAMPAIGNS.expected_prize_fen(np.array([number]))[0]
        assert abs(won.mean() - expected) < 5 * won.std() / np.sqrt(len(won))


def test_a_draw_that_wins_at_low_odds_wins_at_better_ones():
    draws = np.random.default_rng(2).random(5_000)
    best = int(CAMPAIGNS.of_kind(LAUNCH)[0])
    evergreen = CAMPAIGNS.prize(np.zeros(len(draws), int), draws) > 0
    launched = CAMPAIGNS.prize(np.full(len(draws), best), draws) > 0
    assert launched[evergreen].all()
    assert launched.sum() > evergreen.sum()


def test_flash_sales_have_a_stock_below_what_honest_shoppers_ask_for_and_no_prize():
    sales = CAMPAIGNS.flash_sales
    assert len(sales) == 3
    assert np.all((sales["stock"] > 0) & (sales["stock"] < 40_000 * CAMPAIGNS.settings.flash_shoppers))
    assert np.all(sales["ends_at"] - sales["starts_at"] == 10 * MINUTE)
    assert np.isnan(sales["odds"]).all()
    assert CAMPAIGNS.prize(sales["campaign"], np.zeros(len(sales))).sum() == 0


def test_prizes_rise_at_the_start_of_promotions_launches_and_streams():
    rows = CAMPAIGNS.rows
    rising = rows["starts_at"][np.isin(rows["kind"], (PROMOTION, LAUNCH, LIVE_STREAM))]
    assert CAMPAIGNS.rises.tolist() == sorted(rising.tolist())


def test_the_same_seed_gives_the_same_campaigns_and_another_one_others():
    again = Campaigns(CampaignSettings(), CITY, RANGE, 40_000, DAYS, 3)
    other = Campaigns(CampaignSettings(), CITY, RANGE, 40_000, DAYS, 4)
    assert again.rows.tobytes() == CAMPAIGNS.rows.tobytes()
    assert other.rows.tobytes() != CAMPAIGNS.rows.tobytes()
