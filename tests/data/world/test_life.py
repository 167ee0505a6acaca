"""A block of members, from what they buy to what tables say of it."""

from __future__ import annotations

import numpy as np
import pytest

from data.world.almanac import DAY_US, START_US
from data.world.life import NUMBERS_A_BLOCK, LifeSettings, life
from data.world.offers import OFFERS
from data.world.records import EFFECT, LINE, REDEMPTION, SEND


def test_records_have_the_shapes_that_others_read(lived):
    assert lived.life.lines.dtype == LINE
    assert lived.life.sends.dtype == SEND
    assert lived.life.redemptions.dtype == REDEMPTION
    assert lived.life.effects.dtype == EFFECT
    assert len(lived.life.effects) == len(lived.people) * len(OFFERS)


def test_all_happens_inside_the_world_and_in_order(lived):
    for records in (lived.life.lines, lived.life.sends, lived.life.occasions):
        assert records["at"].min() >= START_US
        assert records["at"].max() < START_US + 60 * DAY_US
    assert (np.diff(lived.life.lines["at"]) >= 0).all()
    assert (np.diff(lived.life.sends["at"]) >= 0).all()


def test_numbers_are_unique_over_the_blocks(shop_in, inhabitants):
    shopping = shop_in(30)
    parts = [
        life(LifeSettings(), shopping, block, inhabitants(400, block=block, first=400 * block)) for block in (0, 3)
    ]

    for records, name in (("lines", "line"), ("sends", "send")):
        numbers = [getattr(part, records)[name] for part in parts]
        assert len(np.unique(np.concatenate(numbers))) == sum(map(len, numbers))
        assert numbers[1].min() == 3 * NUMBERS_A_BLOCK
    orders = [np.unique(part.lines["order"]) for part in parts]
    assert not np.intersect1d(*orders).size


def test_money_adds_up_to_the_fen(lived):
    lines, products = lived.life.lines, lived.shopping.products
    value = lines["quantity"] * products.price_fen[lines["product"]]

    assert (lines["amount_fen"] + lines["discount_fen"] == value).all()
    assert (lines["amount_fen"] > 0).all()
    assert (lines["coupon_discount_fen"] <= lines["discount_fen"]).all()
    margin = lines["quantity"] * products.margin_fen[lines["product"]] - lines["discount_fen"]
    assert (lines["margin_fen"] == margin).all()


def test_a_coupon_takes_off_its_face_value_from_its_threshold_on(lived):
    lines, products = lived.life.lines, lived.shopping.products
    used = lines[lines["offer"] >= 0]
    face, threshold = (np.array([getattr(offer, name) for offer in OFFERS]) for name in ("face_fen", "threshold_fen"))
    value = used["quantity"] * products.price_fen[used["product"]]

    assert len(used) > 100
    assert (used["coupon_discount_fen"] == face[used["offer"]]).all()
    assert (value >= threshold[used["offer"]]).all()
    assert not lines["coupon_discount_fen"][lines["offer"] < 0].any()


def test_an_order_is_one_basket_of_one_shopper_at_one_store(lived):
    lines = lived.life.lines
    _, first, order = np.unique(lines["order"], return_index=True, return_inverse=True)

    for name in ("at", "member", "store", "channel"):
        assert (lines[name] == lines[name][first][order]).all()


def test_redemptions_answer_coupons_that_were_sent_and_stand_on_the_line(lived):
    sends, lines, redemptions = lived.life.sends, lived.life.lines, lived.life.redemptions
    sent = dict(zip(sends["send"].tolist(), sends, strict=True))
    on_line = {(line["order"], line["offer"]): line for line in lines[lines["offer"] >= 0]}

    assert len(np.unique(redemptions["send"])) == len(redemptions) == np.count_nonzero(lines["offer"] >= 0)
    for redemption in redemptions:
        send = sent[redemption["send"]]
        line = on_line[redemption["order"], send["offer"]]
        assert send["treated"]
        assert line["member"] == send["member"]
        assert line["at"] == redemption["at"]
        assert 0 < redemption["at"] - send["at"] <= 15 * DAY_US


def test_the_holdout_is_the_same_people_in_every_wave(lived):
    sends = lived.life.sends
    held = np.unique(sends["member"][sends["campaign"] == lived.shopping.campaigns_offset])
    others = np.unique(sends["member"][sends["campaign"] != lived.shopping.campaigns_offset])

    assert len(held) / len(lived.people) == pytest.approx(0.05, abs=0.015)
    assert not np.intersect1d(held, others).size
    assert not np.isin(lived.life.lines["member"][lived.life.lines["offer"] >= 0], held).any()


def test_every_own_brand_unit_is_an_occasion_to_scan(lived):
    occasions, lines, products = lived.life.occasions, lived.life.lines, lived.shopping.products
    own = products.own[lines["product"]]

    assert products.own[occasions["product"]].all()
    assert np.count_nonzero(occasions["store"] >= 0) == lines["quantity"][own].sum()
    assert np.isin(occasions["member"], lived.people.members["member"]).all()


def test_occasions_fall_near_home_and_after_joining(lived):
    occasions, people = lived.life.occasions, lived.people
    place = occasions["member"]
    apart_km = 111.2 * np.hypot(
        occasions["lat"] - people.lat[place],
        (occasions["lon"] - people.lon[place]) * np.cos(np.radians(people.lat[place])),
    )
    elsewhere = occasions["store"] < 0

    assert (occasions["at"] >= people.members["registered_at"][place]).all()
    assert np.median(apart_km[elsewhere]) < 2
    assert (occasions["city"] == people.city[place]).all()


def test_own_brand_units_are_about_as_many_as_planned(lived):
    a_day = len(lived.life.occasions) / len(lived.people) / 60

    assert 0.4 < a_day < 0.65


def test_the_same_seed_lives_the_same_life_and_another_another(shop_in, inhabitants):
    people = inhabitants(500)
    once, again = (life(LifeSettings(), shop_in(30), 0, people) for _ in range(2))
    other = life(LifeSettings(), shop_in(30, seed=2), 0, people)

    for name in ("lines", "sends", "redemptions", "effects", "occasions"):
        assert getattr(once, name).tobytes() == getattr(again, name).tobytes()
    assert once.lines.tobytes() != other.lines.tobytes()


@pytest.mark.parametrize(("count", "days"), [(1, 14), (7, 15), (300, 14)])
def test_the_smallest_worlds_are_lived_too(shop_in, inhabitants, count, days):
    made = life(LifeSettings(), shop_in(days), 0, inhabitants(count, days=days))

    assert len(made.effects) == count * len(OFFERS)
    assert np.isfinite(made.effects["margin_fen"]).all()


def test_baskets_are_many_small_ones_and_few_large(lived):
    _, lines = np.unique(lived.life.lines["order"], return_counts=True)

    assert np.median(lines) <= 4
    assert np.quantile(lines, 0.99) > 6 * np.median(lines)
    assert 4 < lines.mean() < 7
