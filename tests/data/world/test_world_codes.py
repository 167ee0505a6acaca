"""Printed codes: handed out once, of the right age and place, and never in two hands."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.world.almanac import DAY_US, START_US
from data.world.batches import CRATE, TICKETS, own_demand
from data.world.campaigns import Campaigns, CampaignSettings
from data.world.city import City, CitySettings
from data.world.codes import CodeBook, CodeSettings
from data.world.products import ProductSettings, draw_products

CITY = City(CitySettings(), 3)
RANGE = draw_products(ProductSettings(), 3)
DAYS, MEMBERS = 60, 40_000
CAMPAIGNS = Campaigns(CampaignSettings(), CITY, RANGE, MEMBERS, DAYS, 3)
BOOK = CodeBook(CodeSettings(), CITY, RANGE, CAMPAIGNS, MEMBERS, DAYS, 3)


def _key(batch, serial):
    return batch * (1 << 32) + serial


def _purchases(generator, count):
    cells = CITY.draw_homes(generator, count)
    at = START_US + (generator.random(count) * DAYS * DAY_US).astype(np.int64)
    return BOOK.pieces(generator, count), CITY.city[cells], at, CITY.jitter(generator, cells)


@pytest.fixture(scope="module")
def sold():
    """What all three blocks buy at the rate for which codes are printed, with the codes they got."""
    lots = []
    for block in range(BOOK.blocks):
        generator = np.random.default_rng(block)
        bought = _purchases(generator, round(MEMBERS / BOOK.blocks * 0.25 * DAYS))
        lots.append((*bought[:3], *BOOK.on_shelf(generator, block, *bought)))
    return [np.concatenate(column) for column in zip(*lots, strict=True)]


def test_each_code_is_handed_out_once_among_all_blocks(sold):
    *_, batch, serial = sold
    found = batch >= 0
    keys = _key(batch[found], serial[found])
    assert len(np.unique(keys)) == len(keys)


def test_shelves_are_hardly_ever_empty(sold):
    assert (sold[3] < 0).mean() < 0.005


def test_codes_lie_inside_their_batch_and_carry_the_product_asked_for(sold):
    product, _, _, batch, serial = sold
    found = batch >= 0
    assert np.all(serial[found] < BOOK.batches["codes"][batch[found]])
    assert np.all(serial[found] >= 0)
    assert np.array_equal(BOOK.batches["product"][batch[found]], product[found])


def test_codes_are_sold_five_to_sixty_days_after_shipping_and_active_by_then(sold):
    _, _, at, batch, _ = sold
    found = batch >= 0
    age = (at[found] - BOOK.batches["shipped_at"][batch[found]]) / DAY_US
    assert age.min() >= 5
    assert age.max() <= 60
    assert np.all(at[found] >= BOOK.batches["activated_at"][batch[found]])


def test_few_codes_are_bought_in_another_city(sold):
    _, city, _, batch, _ = sold
    found = batch >= 0
    strayed = (BOOK.batches["city"][batch[found]] != city[found]).mean()
    assert strayed == pytest.approx(0.03, abs=0.003)


def test_nearly_a_third_of_well_sold_codes_is_scanned(sold):
    batch = sold[3][sold[3] >= 0]
    # Batches that were on sale for all of their life inside the world.
    shipped = BOOK.batches["shipped_at"]
    whole = (shipped > START_US - 5 * DAY_US) & (shipped < START_US) & (BOOK.batches["sale"] < 0)
    whole &= BOOK.batches["codes"] > 2_000
    scanned = np.isin(batch, np.flatnonzero(whole)).sum() / BOOK.batches["codes"][whole].sum()
    assert 0.2 < scanned < 0.36


def test_codes_bought_side_by_side_within_days_come_from_few_crates():
    generator = np.random.default_rng(9)
    count = 24
    one = np.full(count, np.flatnonzero(RANGE.own)[0])
    spot = (np.full(count, CITY.lat[0]), np.full(count, CITY.lon[0]))
    at = START_US + 30 * DAY_US + np.arange(count)
    found = BOOK.on_shelf(generator, 0, one, np.full(count, CITY.city[0]), at, spot)
    crates = len(np.unique(_key(found.batch, found.serial // CRATE)))
    assert crates <= 4 * len(np.unique(found.batch))


def test_dealers_depots_and_small_shops_never_hold_what_shelves_hold(sold):
    generator = np.random.default_rng(4)
    *_, batch, serial = sold
    shelf = np.unique(_key(batch, serial // CRATE))
    at = START_US + (generator.random(3_000) * DAYS * DAY_US).astype(np.int64)
    city = generator.integers(0, len(CITY.cities), 3_000)
    runs = BOOK.recycled_runs(generator, 3_000, at)
    opened = BOOK.opened_cases(generator, 1, 300, city[:300], at[:300])
    opened = type(opened)(*(column[opened.batch >= 0] for column in opened))
    loose = BOOK.loose(generator, BOOK.pieces(generator, 3_000), city, at)
    lots = [_key(runs.batch, runs.first // CRATE), _key(opened.batch, opened.first // CRATE)]
    lots.append(_key(loose.batch, loose.serial // CRATE))
    for lot in lots:
        assert not np.isin(lot, shelf).any()
    assert not np.isin(lots[0], lots[1]).any()
    assert not np.isin(lots[0], lots[2]).any()


def test_recycled_runs_stay_in_one_crate_of_the_city_asked_for_and_are_weeks_old():
    generator = np.random.default_rng(5)
    at = START_US + 40 * DAY_US
    runs = BOOK.recycled_runs(generator, 500, at, 2)
    assert np.array_equal(runs.first // CRATE, (runs.first + runs.length - 1) // CRATE)
    assert set(BOOK.batches["city"][runs.batch]) == {2}
    assert np.all((runs.length >= 6) & (runs.length <= CRATE))
    assert np.all(at - BOOK.batches["shipped_at"][runs.batch] > 7 * DAY_US)


def test_depots_open_crates_of_their_block_alone_and_none_twice():
    generator = np.random.default_rng(6)
    count = 400
    at = START_US + (generator.random(count) * DAYS * DAY_US).astype(np.int64)
    city = generator.integers(0, len(CITY.cities), count)
    lots = [BOOK.opened_cases(generator, block, count, city, at) for block in range(BOOK.blocks)]
    kept = [_key(lot.batch, lot.first)[lot.batch >= 0] for lot in lots]
    together = np.concatenate(kept)
    assert len(np.unique(together)) == len(together)
    assert min(map(len, kept)) > 0.3 * count
    for lot in lots:
        inside = lot.batch >= 0
        assert np.all(BOOK.batches["activated_at"][lot.batch[inside]] <= at[inside])


def test_leaked_lists_are_of_batches_activated_within_days_and_lie_inside_them():
    generator = np.random.default_rng(7)
    at = START_US + 30 * DAY_US
    lists = BOOK.leaked_lists(generator, 40, 500, at)
    assert len(lists.batch) == 40
    assert len(np.unique(lists.batch)) == 40
    lag = BOOK.batches["activated_at"][lists.batch] - at
    assert np.all((lag > -DAY_US) & (lag < 4 * DAY_US))
    assert (lag > 0).any()
    assert np.all(lists.first + lists.length <= BOOK.batches["codes"][lists.batch])


@given(sale=st.integers(0, 1), first=st.integers(0, TICKETS // 2 - 500), wool=st.booleans())
@settings(max_examples=25)
def test_tickets_are_all_different_and_say_nothing_of_who_asked(sale, first, wool):
    campaign = np.full(500, CAMPAIGNS.flash_sales["campaign"][sale])
    numbers = first + np.arange(500)
    mine = BOOK.tickets(campaign, numbers, wool=wool)
    theirs = BOOK.tickets(campaign, numbers, wool=not wool)
    both = np.concatenate([mine.serial, theirs.serial])
    assert len(np.unique(both)) == 1_000
    assert np.all((both >= 0) & (both < TICKETS))
    assert np.all(BOOK.batches["sale"][mine.batch] == campaign)
    # Evenly spread over all tickets: a mean this far off has a chance below one in a million.
    assert abs(mine.serial.mean() / TICKETS - 0.5) < 5 / np.sqrt(12 * 500)


def test_tickets_beyond_a_sides_half_are_refused():
    with pytest.raises(ValueError, match="expected 0"):
        BOOK.tickets(CAMPAIGNS.flash_sales["campaign"][:1], np.array([TICKETS // 2]))


def test_the_prize_hangs_on_the_code_alone(sold):
    batch, serial = sold[3][:5_000], sold[4][:5_000]
    draw = BOOK.prize_draw(batch, serial)
    backwards = BOOK.prize_draw(batch[::-1], serial[::-1])[::-1]
    assert np.array_equal(draw, backwards)
    evergreen = np.zeros(len(batch), int)
    assert (BOOK.prize(batch, serial, evergreen) > 0).mean() == pytest.approx(0.12, abs=0.025)


def test_batches_are_numbered_in_place_activated_within_days_and_of_own_products():
    batches = BOOK.batches
    printed = batches[batches["sale"] < 0]
    wait = (printed["activated_at"] - printed["shipped_at"]) / DAY_US
    assert np.array_equal(batches["batch"], np.arange(len(batches)))
    assert np.all((wait >= 0) & (wait <= 3))
    assert RANGE.own[batches["product"]].all()
    assert printed["shipped_at"].max() < START_US + DAYS * DAY_US
    assert np.all(printed["codes"] % CRATE == 0)


def test_better_sold_products_are_printed_more():
    printed = BOOK.batches[BOOK.batches["sale"] < 0]
    codes = np.bincount(printed["product"], printed["codes"], len(RANGE))
    assert np.corrcoef(codes, own_demand(RANGE))[0, 1] > 0.95


def test_a_tiny_world_has_codes_for_everybody():
    book = CodeBook(CodeSettings(), CITY, RANGE, CAMPAIGNS, 50, 14, 3)
    generator = np.random.default_rng(8)
    product, city, _, place = _purchases(generator, 400)
    at = START_US + (generator.random(400) * 14 * DAY_US).astype(np.int64)
    found = book.on_shelf(generator, 0, product, city, at, place)
    assert np.all(found.batch >= 0)
