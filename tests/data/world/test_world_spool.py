"""Nothing is lost on the way through the spool, and ties are broken by lot."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from data.world.spool import Slices, Spool, arranged

RECORD = np.dtype([("at", "i8"), ("number", "i8")])


def _records(instants):
    records = np.zeros(len(instants), RECORD)
    records["at"] = instants
    records["number"] = np.arange(len(instants))
    return records


@given(
    lots=st.lists(st.lists(st.integers(-50, 150), max_size=20), max_size=5),
    count=st.integers(1, 12),
)
def test_each_record_comes_back_once_from_the_slice_of_its_instant(tmp_path_factory, lots, count):
    slices = Slices(start=0, width=9, count=count)
    spool = Spool(tmp_path_factory.mktemp("spool") / "records", RECORD, slices)
    records = _records([instant for lot in lots for instant in lot])
    first = 0
    for lot in lots:
        spool.put(records[first : first + len(lot)], records["at"][first : first + len(lot)])
        first += len(lot)

    taken = [spool.take(place) for place in range(count)]

    for place, found in enumerate(taken):
        assert (slices.of(found["at"]) == place).all()
        assert (np.diff(found["number"]) > 0).all()
    assert sorted(np.concatenate(taken)["number"].tolist()) == records["number"].tolist()
    assert all(len(spool.take(place)) == 0 for place in range(count))


def test_records_of_one_instant_come_in_an_order_by_lot():
    records = _records(np.repeat([3, 1, 2], 400))

    found = arranged(records, records["at"], np.random.default_rng(1))

    assert (np.diff(found["at"]) >= 0).all()
    assert sorted(found["number"].tolist()) == records["number"].tolist()
    within = np.corrcoef(np.arange(400), found["number"][:400])[0, 1]
    assert abs(within) < 0.2
