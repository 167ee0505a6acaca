"""Who the members are, and how they joined."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.world.almanac import DAY_US, START_US
from data.world.people import BLOCK, NEVER_US, PeopleSettings
from data.world.registers import CHANNELS


@pytest.fixture(scope="module")
def block(inhabitants):
    return inhabitants(BLOCK, days=90)


def test_numbers_follow_each_other_and_nobody_is_suspect(block, inhabitants):
    second = inhabitants(100, block=1, first=BLOCK)

    assert (block.members["member"] == np.arange(BLOCK)).all()
    assert second.first_member == BLOCK
    assert not block.members["family"].any()
    assert not block.members["crowd"].any()
    assert (block.members["ring"] == -1).all()


def test_the_same_block_is_drawn_alike_and_others_differently(inhabitants):
    once, again = inhabitants(50), inhabitants(50)
    others = (inhabitants(50, block=1), inhabitants(50, part="wool"), inhabitants(50, seed=2))

    assert (once.members == again.members).all()
    assert (once.lat == again.lat).all()
    for other in others:
        assert (once.lat != other.lat).any()


@given(count=st.integers(1, 60), seed=st.integers(0, 2**32))
def test_a_household_lives_under_one_roof(inhabitants, count, seed):
    people = inhabitants(count, seed=seed)
    head = people.household - people.first_member

    assert (head <= np.arange(count)).all()
    assert (people.lat == people.lat[head]).all()
    assert (people.lon == people.lon[head]).all()
    assert (people.household_size == np.bincount(head, minlength=count)[head]).all()


def test_most_joined_before_the_world_and_some_on_every_day_of_it(block):
    day = (block.members["registered_at"] - START_US) // DAY_US
    fresh = day[day >= 0]

    assert 0.08 < len(fresh) / BLOCK < 0.25
    assert fresh.max() < 90
    assert (np.bincount(fresh, minlength=90) > 0).all()


def test_whoever_was_brought_was_brought_by_an_earlier_member_mostly_from_town(block):
    members = block.members
    brought = members[members["referrer"] >= 0]
    friend = members[brought["referrer"]]

    assert len(brought) / BLOCK == pytest.approx(PeopleSettings().register.referred, abs=0.02)
    assert (friend["registered_at"] < brought["registered_at"]).all()
    assert (friend["city"] == brought["city"]).mean() > 0.8
    assert (brought["channel"] == CHANNELS.index("friend")).all()


def test_some_honest_people_bring_very_many(block):
    brought = np.bincount(block.members["referrer"][block.members["referrer"] >= 0])

    assert brought.max() > 20
    assert np.median(brought[brought > 0]) <= 2


def test_phone_numbers_have_seven_first_digits_shared_by_neighbours(block):
    prefix, city = block.members["phone_prefix"], block.members["city"]

    assert ((prefix >= 1_300_000) & (prefix <= 1_999_999)).all()
    here, there = (set(prefix[city == place].tolist()) for place in (0, 1))
    assert len(here & there) < 0.5 * len(here)


def test_a_few_are_paid_on_the_account_of_the_member_before_them(block):
    members = block.members
    other = members["account"] != members["member"]

    assert 0.02 < other.mean() < 0.06
    assert (members["account"][other] == members["member"][other] - 1).all()
    assert (members["cash_out_fen"] > 0).all()
    assert (members["cash_out_us"] > 0).all()


def test_phones_are_ones_own_and_change_at_their_time(block):
    changed = np.flatnonzero(block.changed_us < NEVER_US)
    before, after = (block.device_at(changed, block.changed_us[changed] + shift) for shift in (-1, 0))

    assert 0.05 < len(changed) / BLOCK < 0.2
    assert (before != after).all()
    assert len(np.unique(block.devices)) == 2 * BLOCK


def test_traits_are_shares_and_cadence_is_heavy_tailed(block):
    for share in (block.own_share, block.price_eye, block.deal_share, block.mini_share, block.scan_share):
        assert ((share >= 0) & (share <= 1)).all()
    shoppers = block.cadence[block.cadence > 0]

    assert len(shoppers) / BLOCK == pytest.approx(PeopleSettings().shoppers, abs=0.02)
    assert np.quantile(shoppers, 0.99) > 5 * np.median(shoppers)
    assert block.taste.sum(axis=1) == pytest.approx(np.ones(BLOCK))


def test_hours_of_the_day_gather_around_ones_own(block):
    generator, places = np.random.default_rng(1), np.repeat(np.arange(200), 50)

    hour = block.hours(generator, places)

    apart = np.abs((hour - block.main_hour[places] + 12) % 24 - 12)
    assert ((hour >= 0) & (hour < 24)).all()
    assert np.median(apart) < 4
