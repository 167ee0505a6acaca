"""The brand's book of codes: which were redeemed already, so what becomes of each scan."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

STATUSES: Final = ("valid", "repeat", "inactive", "forged")
VALID, REPEAT, INACTIVE, FORGED = range(4)

_BITS: Final = np.left_shift(1, np.arange(8)).astype(np.uint8)


@dataclass
class Ledger:
    """One bit a printed code, on disk: whether it was redeemed.

    Attributes:
        path: The file of the bits.
        activated: When the codes of each batch became valid; microseconds since 1970 UTC.
        codes: How many codes each batch has.
    """

    path: Path
    activated: NDArray[np.int64]
    codes: NDArray[np.int64]
    _starts: NDArray[np.int64] = field(init=False, repr=False)
    _redeemed: np.memmap[tuple[int, ...], np.dtype[np.uint8]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Lay out the bits of all batches one after the other, none of them redeemed."""
        ends = np.cumsum(self.codes, dtype=np.int64)
        self._starts = ends - self.codes
        self._redeemed = np.memmap(self.path, np.uint8, "w+", shape=(int(ends[-1]) // 8 + 1,))

    def enter(
        self, batch: NDArray[np.int64], serial: NDArray[np.int64], arrived: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """What becomes of scans, in places of `STATUSES`; those that are valid redeem their code.

        A code is inactive until its batch is activated, and a scan of it then leaves it as it is. Of the others the
        first to arrive is valid and each later one a repeat.

        Args:
            batch: Batch of each code, in order of arrival and after all that was entered before; -1 for a forged one.
            serial: The code's place in its batch, from 0.
            arrived: When each scan arrived; microseconds since 1970 UTC.

        Raises:
            ValueError: A serial that its batch does not have.
        """
        status = np.full(len(batch), FORGED, np.int64)
        printed = np.flatnonzero(batch >= 0)
        of, place = batch[printed], serial[printed]
        if np.any((place < 0) | (place >= self.codes[of])):
            raise ValueError("serials beyond the last of their batch")
        active = self.activated[of] <= arrived[printed]
        status[printed[~active]] = INACTIVE
        redeemable, codes = printed[active], self._starts[of[active]] + place[active]
        _, first = np.unique(codes, return_index=True)
        fresh = np.zeros(len(codes), np.bool_)
        fresh[first] = True
        fresh &= ~self._is_redeemed(codes)
        status[redeemable] = np.where(fresh, VALID, REPEAT)
        self._redeem(codes[fresh])
        return status

    def _is_redeemed(self, codes: NDArray[np.int64]) -> NDArray[np.bool_]:
        redeemed: NDArray[np.bool_] = (self._redeemed[codes >> 3] & _BITS[codes & 7]) > 0
        return redeemed

    def _redeem(self, codes: NDArray[np.int64]) -> None:
        """Set the bits of codes, each named once; bit by bit, so that no byte is written twice at once."""
        for bit in range(8):
            chosen = codes[(codes & 7) == bit] >> 3
            self._redeemed[chosen] |= _BITS[bit]
