"""What is about to be sold can be taken once, where and while it stands there."""

from __future__ import annotations

import numpy as np
import pytest

from data.world.shelf import ON_SHELF, Shelf, ShelfSettings
from data.world.spool import Slices, Spool

DAY = 86_400_000_000


@pytest.fixture
def shelf(tmp_path):
    made = Shelf(ShelfSettings(days=2), Spool(tmp_path / "shelf", ON_SHELF, Slices(0, DAY, 6)))
    codes = np.zeros(120, ON_SHELF)
    codes["serial"] = np.arange(120)
    codes["batch"] = np.arange(120) // 20
    codes["city"] = np.arange(120) % 2
    made.put(codes, (np.arange(120) // 20) * DAY + 5)
    return made


def test_only_the_next_days_stand_there(shelf):
    for day in range(5):
        shelf.open(day)
        found = shelf.sample(np.random.default_rng(day), 0, 3)
        assert set(found["batch"]) <= {day + 1, day + 2}
        assert set(found["serial"] % 2) == {0}


def test_nothing_is_handed_out_twice_and_no_more_than_there_is(shelf):
    shelf.open(0)
    generator = np.random.default_rng(1)

    found = [shelf.sample(generator, 1, 8) for _ in range(4)]

    serials = np.concatenate(found)["serial"]
    assert [len(lot) for lot in found] == [8, 8, 4, 0]
    assert sorted(serials.tolist()) == list(range(21, 60, 2))


def test_a_city_without_codes_gives_none(shelf):
    shelf.open(0)

    assert len(shelf.sample(np.random.default_rng(1), 7, 5)) == 0
