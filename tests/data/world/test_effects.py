"""What coupons truly do: told by the truth, obeyed by the orders."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from data.world.coupons import CouponSettings
from data.world.effects import Truth, draw_hidden
from data.world.life import LifeSettings, life
from data.world.offers import OFFERS, scopes
from data.world.orders import OrderSettings

DAYS, WAVE = 25, 10
"""A world of one wave, whose window lies inside it."""

COUNT = 20_000


def _settings(**coupons):
    return replace(LifeSettings(), coupons=replace(CouponSettings(), holdout=0.0, random_share=1.0, **coupons))


@pytest.fixture(scope="module")
def shopping(shop_in):
    return shop_in(DAYS)


@pytest.fixture(scope="module")
def people(inhabitants):
    return inhabitants(COUNT, days=DAYS)


@pytest.fixture(scope="module")
def twins(shopping, people):
    """The same people, drawn the same offers in the same world: once nobody is sent them, once everybody."""
    return tuple(life(_settings(treated=share), shopping, 0, people) for share in (0.0, 1.0))


@pytest.fixture(scope="module")
def truth(twins):
    """EFFECT of each send, in order of sends, which is the same in both worlds."""
    sends, effects = twins[1].sends, twins[1].effects
    return effects.reshape(COUNT, len(OFFERS))[sends["member"], sends["offer"]]


def _bought(lived, products):
    """For each send whether its member bought, in the window, something the offer is good for."""
    sends, lines = lived.sends, lived.lines
    good_for, own_only = scopes(OFFERS)
    held = np.full(COUNT, -1)
    held[sends["member"]] = sends["offer"]
    known = lines[lines["member"] >= 0]
    offer = held[known["member"]]
    product = known["product"]
    good = (offer >= 0) & good_for[offer, products.category[product]] & (products.own[product] | ~own_only[offer])
    day = (known["at"] - sends["at"].min()) // 86_400_000_000
    good &= day >= 0
    first_moment = np.int64(1_740_931_200_000_000) + (WAVE + 1) * 86_400_000_000
    good &= known["at"] >= first_moment
    buyers = np.zeros(COUNT, bool)
    buyers[known["member"][good]] = True
    return buyers[sends["member"]]


def _within(seen, expected, variance):
    return abs(seen.sum() - expected.sum()) <= 3 * np.sqrt(variance.sum())


@pytest.mark.parametrize(("world", "chance"), [(0, "buys_untreated"), (1, "buys_treated")])
def test_as_many_buy_as_the_truth_says(twins, truth, shopping, world, chance):
    seen = _bought(twins[world], shopping.products)

    assert _within(seen, truth[chance], truth[chance] * (1 - truth[chance]))


def test_the_difference_between_sent_and_withheld_is_the_mean_effect(shopping, people):
    lived = life(_settings(), shopping, 0, people)
    effects = lived.effects.reshape(COUNT, -1)[lived.sends["member"], lived.sends["offer"]]
    bought, treated = _bought(lived, shopping.products), lived.sends["treated"]

    seen = bought[treated].mean() - bought[~treated].mean()
    error = np.sqrt(bought[treated].var() / treated.sum() + bought[~treated].var() / (~treated).sum())
    assert abs(seen - (effects["buys_treated"] - effects["buys_untreated"]).mean()) < 3 * error


def test_the_chance_to_buy_is_right_for_every_kind_of_shopper(twins, truth, shopping):
    seen = _bought(twins[0], shopping.products)
    tenth = np.digitize(truth["buys_untreated"], [0.001, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7])

    for place in np.unique(tenth):
        inside = tenth == place
        chance = truth["buys_untreated"][inside]
        assert abs(seen[inside].sum() - chance.sum()) <= 4 * np.sqrt((chance * (1 - chance)).sum()) + 1e-9


def test_as_many_redeem_as_the_truth_says(twins, truth):
    sends, redemptions = twins[1].sends, twins[1].redemptions
    chance = truth["redeems_treated"]

    assert _within(np.isin(sends["send"], redemptions["send"]), chance, chance * (1 - chance))
    assert len(twins[0].redemptions) == 0


def test_sending_gains_the_margin_that_the_truth_says(twins, truth):
    gained = np.zeros(COUNT)
    for lived, sign in zip(twins, (-1, 1), strict=True):
        known = lived.lines[lived.lines["member"] >= 0]
        gained += sign * np.bincount(known["member"], known["margin_fen"], COUNT)

    seen = gained[twins[1].sends["member"]]
    assert abs(seen.mean() - truth["margin_fen"].mean()) <= 3 * seen.std() / np.sqrt(len(seen))
    assert np.count_nonzero(seen) > 1_000


@pytest.mark.parametrize("offer", [0, 6, 14, 15])
def test_the_margin_is_right_for_each_kind_of_offer(people, shopping, offer):
    # Four offers are looked at and margins have long tails: hence four standard errors.
    only = (OFFERS[offer],)
    lives = [life(_settings(treated=share, offers=only), shopping, 0, people) for share in (0.0, 1.0)]
    gained = np.zeros(COUNT)
    for lived, sign in zip(lives, (-1, 1), strict=True):
        known = lived.lines[lived.lines["member"] >= 0]
        gained += sign * np.bincount(known["member"], known["margin_fen"], COUNT)

    sent = lives[1].sends["member"]
    expected = lives[1].effects["margin_fen"][sent]
    assert abs(gained[sent].mean() - expected.mean()) <= 4 * gained[sent].std() / np.sqrt(len(sent))


def _truth_of(people, shopping, hidden, **effects):
    coupons = replace(CouponSettings(), effects=replace(CouponSettings().effects, **effects))
    truth = Truth(OrderSettings(), coupons, shopping.almanac, shopping.products, people, hidden)
    return truth.effects(WAVE)


def test_what_tables_could_reveal_is_the_mean_over_what_nothing_shows(inhabitants, shopping):
    few = inhabitants(60, days=DAYS)
    generator = np.random.default_rng(4)
    drawn = [_truth_of(few, shopping, draw_hidden(generator, 60, len(OFFERS))) for _ in range(250)]
    margin = np.array([effects["margin_fen"] for effects in drawn])
    gain = np.array([effects["buys_treated"] - effects["buys_untreated"] for effects in drawn])

    for seen, revealed in ((margin, "revealed_margin_fen"), (gain, "revealed_buys")):
        error = seen.std(axis=0) / np.sqrt(len(drawn))
        apart = np.abs(seen.mean(axis=0) - drawn[0][revealed]) / np.maximum(error, 1e-12)
        assert np.mean(apart < 3) > 0.98
        assert apart.max() < 6


def test_members_who_never_order_differ_only_by_what_nothing_shows_and_when_they_joined(people, shopping):
    effects = _truth_of(people, shopping, draw_hidden(np.random.default_rng(4), COUNT, len(OFFERS)))
    never = people.cadence == 0
    settled = people.members["registered_at"] < shopping.almanac.start_us[0] - 60 * 86_400_000_000
    revealed = effects["revealed_buys"].reshape(COUNT, -1)[never & settled]

    assert not effects["buys_untreated"].reshape(COUNT, -1)[never].any()
    assert np.ptp(revealed, axis=0) == pytest.approx(np.zeros(len(OFFERS)), abs=1e-9)
    assert np.ptp(effects["buys_treated"].reshape(COUNT, -1)[never & settled], axis=0).min() > 0.01


def test_without_a_hidden_part_tables_could_reveal_all(inhabitants, shopping):
    few = inhabitants(60, days=DAYS)
    hidden = draw_hidden(np.random.default_rng(4), 60, len(OFFERS))

    effects = _truth_of(few, shopping, hidden, gain_hidden=0.0, loss_hidden=0.0)

    assert effects["margin_fen"] == pytest.approx(effects["revealed_margin_fen"], abs=0.05)


@pytest.fixture(scope="module")
def aligned(people, shopping):
    hidden = draw_hidden(np.random.default_rng(4), COUNT, len(OFFERS))
    return {way: _truth_of(people, shopping, hidden, alignment=way) for way in (1.0, 0.0, -1.0)}


def _together(effects):
    gained = effects["buys_treated"] - effects["buys_untreated"]
    return np.corrcoef(effects["redeems_treated"], gained)[0, 1]


def test_redemption_and_effect_go_together_or_apart_as_the_preset_says(aligned):
    assert _together(aligned[1.0]) > 0.4
    assert abs(_together(aligned[0.0])) < 0.15
    assert _together(aligned[-1.0]) < -0.2


def test_the_three_presets_have_effects_of_one_size(aligned):
    for effects in aligned.values():
        assert 0.005 < (effects["buys_treated"] - effects["buys_untreated"]).mean() < 0.035
        assert 0.06 < effects["redeems_treated"].mean() < 0.12


def test_all_four_kinds_of_people_are_there(aligned):
    effects = aligned[0.0]
    gained = effects["buys_treated"] - effects["buys_untreated"]
    sure, lost = effects["buys_untreated"] > 0.5, effects["buys_treated"] < 0.03

    assert np.mean(sure & (np.abs(gained) < 0.05)) > 0.01
    assert np.mean(gained > 0.05) > 0.05
    assert np.mean(lost) > 0.2
    assert np.mean(gained < -0.02) > 0.03


def test_part_of_the_effect_shows_in_behaviour_and_part_does_not(aligned):
    for effects in aligned.values():
        shown = np.var(effects["revealed_margin_fen"]) / np.var(effects["margin_fen"])
        assert 0.5 < shown < 0.95


def test_sending_by_what_tables_reveal_beats_sending_to_the_likeliest_redeemers(aligned):
    for way in (0.0, -1.0):
        effects = {name: aligned[way][name].reshape(COUNT, -1) for name in aligned[way].dtype.names}
        rows = np.arange(COUNT)
        by_margin, by_redemption = (
            effects["margin_fen"][rows, effects[name].argmax(axis=1)][np.argsort(-effects[name].max(axis=1))]
            for name in ("revealed_margin_fen", "redeems_treated")
        )
        assert by_margin[: COUNT // 5].sum() > by_redemption[: COUNT // 5].sum()
