"""How time divides the rows: what is learned from, what is chosen on, and what is looked at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from data.errors import DataError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MICROSECONDS = 1_000_000
NEVER = np.iinfo(np.int64).max
"""When the label of a row closes that has none."""


@dataclass(frozen=True)
class Division:
    """Row numbers on either side of the cut, and those on neither.

    Attributes:
        train: Before the cut, their label closed by it.
        test: From the cut on, with a label.
        dropped: Before the cut, their label not closed by it; a task may learn from them as unlabelled.
        test_from: The cut.
    """

    train: NDArray[np.intp]
    test: NDArray[np.intp]
    dropped: NDArray[np.intp]
    test_from: datetime


@dataclass(frozen=True)
class Fold:
    """Row numbers to learn from and to choose on; every label of the first was known when the second began.

    Attributes:
        fit: To learn from.
        validate: To choose on.
        unlabelled: Before the second begin, their label not closed then.
        unjudged: While the second last, without a label to judge by.
    """

    fit: NDArray[np.intp]
    validate: NDArray[np.intp]
    unlabelled: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))
    unjudged: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))


@dataclass(frozen=True)
class Temporal:
    """The past teaches, the future judges.

    A row is learned from if its label had closed by the cut (less `gap`), is tested on if it begins at the cut or
    later, and is dropped and counted if it spans the cut. A row without a label closes at `NEVER`.

    Attributes:
        test_from: The cut as an instant; or
        test: the length of the test, counted back from the latest row.
        gap: How long before the cut a label must have closed.
        group: Rows with one value of this column (a campaign) are never divided between folds.
        folds: How many forward-chained folds the search is judged on.
        validate_from: Rows before this moment have too little history behind them to be judged on; they are learned
            from all the same. By default the first block of groups is never judged on.
    """

    test_from: datetime | None = None
    test: timedelta | None = None
    gap: timedelta = timedelta(0)
    group: str = "as_of"
    folds: int = 4
    validate_from: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse a split that names no cut, or two."""
        if (self.test_from is None) == (self.test is None):
            raise UsageError("a temporal split needs either test_from (an instant) or test (a length), and not both")
        if self.test_from is not None and self.test_from.tzinfo is None:
            raise UsageError(f"test_from is {self.test_from}, a time without zone: write datetime(..., tzinfo=UTC)")

    def divide(self, as_of: NDArray[np.int64], closes_at: NDArray[np.int64]) -> Division:
        """Rows before the cut, after it, and across it.

        Args:
            as_of: Moment of each row, microseconds since 1970 in UTC.
            closes_at: Moment from which its label no longer changes, likewise.

        Raises:
            DataError: One side is empty.
        """
        cut = self._cut(as_of)
        train = np.flatnonzero((closes_at <= cut - _microseconds(self.gap)) & (as_of < cut))
        test = np.flatnonzero((as_of >= cut) & (closes_at < NEVER))
        dropped = np.setdiff1d(np.flatnonzero(as_of < cut), train)
        if not len(train) or not len(test):
            possible = int(closes_at.min()) <= int(as_of.max())
            mend = "name another cut with --test-from" if possible else "no cut can have both: give a longer history"
            raise DataError(
                f"the cut at {_instant(cut):%Y-%m-%d %H:%M} UTC leaves {len(train)} rows to learn from and "
                f"{len(test)} to test on (rows lie between {_day(as_of.min())} and {_day(as_of.max())}, "
                f"{_closing(closes_at)}): expected some "
                f"on both sides; {mend}"
            )
        return Division(train, test, dropped, _instant(cut))

    def chain(
        self, as_of: NDArray[np.int64], closes_at: NDArray[np.int64], groups: NDArray[np.int64], train: NDArray[np.intp]
    ) -> tuple[Fold, ...]:
        """Forward-chained folds over the rows to learn from: each judges later groups than it learns from.

        Groups are put in the order of their start and cut into blocks of about equal numbers of rows; every block to be
        judged on is so once, by what had closed before it began.

        Args:
            as_of: Moment of each row.
            closes_at: Moment from which its label no longer changes.
            groups: Code of the group of each row.
            train: Row numbers to divide.

        Raises:
            DataError: Too few groups for one fold.
        """
        judged = train
        if self.validate_from is not None:
            judged = train[as_of[train] >= _since_1970(self.validate_from)]
        warm_up = int(self.validate_from is None)
        blocks = _blocks(as_of[judged], groups[judged], self.folds + warm_up)
        judged_on = np.zeros(len(as_of), np.bool_)
        judged_on[train] = True
        folds = []
        for block in range(warm_up, self.folds + warm_up):
            validate = judged[blocks == block]
            if not len(validate):
                continue
            begins = as_of[validate].min()
            known = (closes_at[train] <= begins - _microseconds(self.gap)) & (as_of[train] < begins)
            fit = train[known & ~np.isin(groups[train], groups[validate])]
            if not len(fit):
                continue
            late = (as_of < begins) & (closes_at > begins - _microseconds(self.gap))
            during = ~judged_on & (as_of >= begins) & (as_of <= as_of[validate].max())
            unlabelled = np.flatnonzero(late & ~np.isin(groups, groups[validate]))
            folds.append(Fold(fit, validate, unlabelled, np.flatnonzero(during)))
        if not folds:
            number = len(np.unique(groups[train]))
            raise DataError(
                f"found {len(train):,} rows before the test, from {_day(as_of[train].min())} to "
                f"{_day(as_of[train].max())}, in {number:,} group{'' if number == 1 else 's'} of {self.group}: no "
                "forward-chained fold can be made of them; expected one group at least whose labels close before a "
                "later one begins; give a longer history, or a later cut with --test-from"
            )
        return tuple(folds)

    def _cut(self, as_of: NDArray[np.int64]) -> int:
        if self.test_from is not None:
            return _since_1970(self.test_from)
        if self.test is None or not len(as_of):
            raise DataError("there are no rows to split: found an empty table, expected rows over some time")
        return int(as_of.max()) - _microseconds(self.test)


def _blocks(as_of: NDArray[np.int64], groups: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The block of each row: groups in the order of their start, blocks of about equal numbers of rows."""
    if not len(groups):
        return np.empty(0, np.int64)
    codes, inverse, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    starts = np.full(len(codes), np.iinfo(np.int64).max)
    np.minimum.at(starts, inverse, as_of)
    order = np.lexsort((codes, starts))
    middle = np.cumsum(sizes[order]) - sizes[order] / 2
    block = np.empty(len(codes), np.int64)
    block[order] = np.minimum((middle * count / len(as_of)).astype(np.int64), count - 1)
    return block[inverse]


def _since_1970(moment: datetime) -> int:
    return _microseconds(moment - datetime(1970, 1, 1, tzinfo=UTC))


def _microseconds(length: timedelta) -> int:
    return length // timedelta(microseconds=1)


def _closing(closes_at: NDArray[np.int64]) -> str:
    labelled = closes_at[closes_at < NEVER]
    if not len(labelled):
        return "none has a label"
    return f"their labels close between {_day(labelled.min())} and {_day(labelled.max())}"


def _day(microseconds: np.int64) -> str:
    return f"{_instant(int(microseconds)):%Y-%m-%d}"


def _instant(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / MICROSECONDS, UTC)
