"""Which coupons there are, when they go out, and to whom."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.contracts import TABLES
from data.world.almanac import DAY_US, START_US
from data.world.coupons import (
    HOLDOUT_CAMPAIGN,
    CouponSettings,
    coupon_campaigns,
    experiment_campaign,
    judged_wave,
    wave_days,
)
from data.world.offers import OFFERS, offer_table, scopes
from data.world.products import CATEGORIES
from data.world.sending import History, draw_wave, naive_policy

SETTINGS = CouponSettings()


def _nothing_known(count):
    return History(np.zeros((count, len(CATEGORIES))), np.zeros(count, np.int64), np.full(count, -1))


@given(days=st.integers(14, 540))
def test_the_coupons_of_a_wave_run_out_before_the_next_is_sent(days):
    waves = wave_days(SETTINGS, days)

    assert waves
    assert all(later - earlier > SETTINGS.window_days for earlier, later in pairwise(waves))
    assert waves[-1] < days - 1
    judged = waves[judged_wave(SETTINGS, days)]
    assert judged + 1 + SETTINGS.window_days <= days or judged == waves[0]


@given(days=st.integers(14, 540), offset=st.integers(0, 99))
def test_each_wave_has_two_campaigns_beside_the_holdout(days, offset):
    campaigns, waves = coupon_campaigns(SETTINGS, days, offset), wave_days(SETTINGS, days)

    assert (campaigns["campaign"] == offset + np.arange(1 + 2 * len(waves))).all()
    assert (campaigns["starts_at"] < campaigns["ends_at"]).all()
    for place, day in enumerate(waves):
        pair = campaigns[experiment_campaign(place) : experiment_campaign(place) + 2]
        assert (pair["starts_at"] == START_US + day * DAY_US).all()


def test_every_offer_takes_less_than_half_of_its_threshold_off():
    assert all(0 < 2 * offer.face_fen <= offer.threshold_fen for offer in OFFERS)
    assert 12 <= len(OFFERS) <= 20
    assert scopes(OFFERS)[0].any(axis=0).all()


def test_the_offers_table_lists_the_products_each_offer_is_good_for(shop_in):
    products = shop_in(60).products
    table = offer_table(SETTINGS, products, 60, 1)
    goods = products.table(1).to_pylist()

    assert {column.name for column in TABLES["offers"].columns} - {"stock"} <= set(table.column_names)
    for row in table.to_pylist():
        expected = {
            product["product_id"]
            for product in goods
            if row["category"] in (None, product["category"]) and row["brand"] in (None, product["brand"])
        }
        assert set(row["product_ids"]) == expected


@pytest.fixture(scope="module")
def wave(inhabitants):
    people = inhabitants(20_000)
    holdout = np.random.default_rng(1).random(len(people)) < SETTINGS.holdout
    history = _nothing_known(len(people))
    history.spent_fen[:, 3] = np.random.default_rng(2).exponential(5_000, len(people))
    places, sends = draw_wave(SETTINGS, people, (1, 26), holdout, history, np.random.default_rng(3))
    return people, holdout, history, places, sends


def test_nobody_is_sent_two_offers_and_nobody_who_wants_none_or_is_not_there(wave):
    people, _, _, places, sends = wave
    members = people.members[places]

    assert (np.diff(places) > 0).all()
    assert (sends["member"] == members["member"]).all()
    assert not members["opted_out"].any()
    assert (members["registered_at"] < sends["at"]).all()
    assert ((sends["at"] - START_US) // DAY_US == 26).all()


def test_the_holdout_is_drawn_an_offer_and_never_sent_it(wave):
    _, holdout, _, places, sends = wave
    held = holdout[places]

    assert held.any()
    assert not sends["treated"][held].any()
    assert (sends["propensity"][held] == 1.0).all()
    assert ((sends["campaign"] == HOLDOUT_CAMPAIGN) == held).all()


def test_the_experiment_draws_offers_and_arms_with_the_chances_it_logs(wave):
    *_, sends = wave
    drawn = sends[sends["campaign"] == experiment_campaign(1)]

    assert len(drawn) > 8_000
    assert drawn["treated"].mean() == pytest.approx(SETTINGS.treated, abs=0.015)
    assert (drawn["propensity"] == np.where(drawn["treated"], SETTINGS.treated, 1 - SETTINGS.treated)).all()
    assert np.bincount(drawn["offer"]) / len(drawn) == pytest.approx(np.full(16, 1 / 16), abs=0.01)
    assert (drawn["offer_propensity"] == 1 / 16).all()


def test_the_naive_policy_courts_the_heaviest_spenders_and_logs_no_chance(wave):
    people, holdout, history, places, sends = wave
    courted = sends["campaign"] == experiment_campaign(1) + 1
    spent = history.spent_fen[:, 3]
    left = np.setdiff1d(np.flatnonzero(~holdout & ~people.members["opted_out"]), places)
    left = left[people.members["registered_at"][left] < START_US + 26 * DAY_US]

    assert sends["treated"][courted].all()
    assert np.isnan(sends["propensity"][courted]).all()
    assert np.isnan(sends["offer_propensity"][courted]).all()
    assert spent[places[courted]].min() >= spent[left].max()


@given(st.data())
def test_whoever_redeemed_is_courted_with_the_same_again_and_others_with_their_category(data):
    count = data.draw(st.integers(4, 40))
    history = _nothing_known(count)
    favourite = np.array(data.draw(st.lists(st.integers(0, 11), min_size=count, max_size=count)))
    history.spent_fen[np.arange(count), favourite] = 100.0
    history.last_offer[0], history.redemptions[0] = 5, 1

    offer = naive_policy(SETTINGS, history, np.ones(count, bool))

    good_for, _ = scopes(SETTINGS.offers)
    assert offer[0] == 5
    assert np.count_nonzero(offer >= 0) == int(SETTINGS.courted * count)
    for place in np.flatnonzero(offer[1:] >= 0) + 1:
        assert good_for[offer[place], favourite[place]]


def test_whoever_is_not_known_to_spend_is_not_courted():
    assert (naive_policy(SETTINGS, _nothing_known(9), np.ones(9, bool)) == -1).all()
