"""What becomes of scans: the book on disk beside the plain story of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.world.ledger import FORGED, INACTIVE, REPEAT, VALID, Ledger

ACTIVATED = (0, 50, 1_000)
CODES = (3, 17, 9)

CODE = st.one_of(
    st.just((-1, 12)),
    *(st.tuples(st.just(batch), st.integers(0, codes - 1)) for batch, codes in enumerate(CODES)),
)


def _story(scans):
    """One scan after the other, with a set of what was redeemed."""
    redeemed = set()
    for (batch, serial), arrived in scans:
        if batch < 0:
            yield FORGED
        elif arrived < ACTIVATED[batch]:
            yield INACTIVE
        elif (batch, serial) in redeemed:
            yield REPEAT
        else:
            redeemed.add((batch, serial))
            yield VALID


@given(codes=st.lists(CODE, max_size=80), step=st.integers(1, 40), cut=st.integers(0, 80))
def test_the_book_tells_the_story_however_the_scans_are_cut(tmp_path_factory, codes, step, cut):
    ledger = Ledger(tmp_path_factory.mktemp("ledger") / "bits", np.array(ACTIVATED), np.array(CODES))
    arrived = np.arange(len(codes)) * step
    batch, serial = (np.array([code[part] for code in codes], np.int64) for part in (0, 1))

    found = np.concatenate(
        [ledger.enter(batch[part], serial[part], arrived[part]) for part in (slice(None, cut), slice(cut, None))]
    )

    assert found.tolist() == list(_story(zip(codes, arrived, strict=True)))


def test_a_scan_before_activation_leaves_the_code_to_its_buyer(tmp_path):
    ledger = Ledger(tmp_path / "bits", np.array([100]), np.array([8]))

    found = ledger.enter(np.zeros(3, np.int64), np.full(3, 5), np.array([99, 100, 101]))

    assert found.tolist() == [INACTIVE, VALID, REPEAT]


@pytest.mark.parametrize("serial", [-1, 8])
def test_a_serial_that_its_batch_does_not_have_is_refused(tmp_path, serial):
    ledger = Ledger(tmp_path / "bits", np.array([0]), np.array([8]))

    with pytest.raises(ValueError, match="beyond the last"):
        ledger.enter(np.array([0]), np.array([serial]), np.array([5]))
