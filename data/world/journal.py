"""The brand's day: scans arrive, codes are redeemed, prizes are won and paid out, and all of it is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from data.world.almanac import DAY_US
from data.world.campaigns import FLASH_SALE
from data.world.commerce_table import label_columns, payout_columns
from data.world.defence import Chances
from data.world.labels import LABEL, LabelSettings, verdicts
from data.world.ledger import VALID
from data.world.masks import MaskSettings, arrivals, masked
from data.world.payouts import PAYOUT
from data.world.records import CROWDS, FAMILIES
from data.world.scan_table import ARRIVED, plain, scan_columns
from data.world.spool import Slices, Spool, arranged
from data.world.streams import stream
from data.world.truth import scan_truth

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from data.world.defence import Defence
    from data.world.ledger import Ledger
    from data.world.payouts import Purses
    from data.world.scan_table import Names
    from data.world.writer import TableWriter

CLOSING_DAYS: Final = 45
"""Scans and orders end with the last day; verdicts and payouts that follow from them are waited for so long."""


class Prizes(Protocol):
    """What is printed with the codes."""

    def prize(self, batch: NDArray[Any], serial: NDArray[Any], campaign: NDArray[Any]) -> NDArray[np.int64]:
        """What a valid scan of each code wins under its campaign, in fen."""


@dataclass(frozen=True)
class JournalSettings:
    """What reaches the brand, and how its risk desk works."""

    masks: MaskSettings = field(default_factory=MaskSettings)
    labels: LabelSettings = field(default_factory=LabelSettings)


@dataclass(frozen=True)
class Entered:
    """Scans that were written, in order of arrival.

    Attributes:
        scans: Records of `ARRIVED`.
        blocked: Which of them were blocked.
        prize_fen: What each won.
    """

    scans: NDArray[Any]
    blocked: NDArray[np.bool_]
    prize_fen: NDArray[np.int64]


@dataclass
class Journal:
    """Takes scans in any order and writes them, and what follows from them, in the order in which they arrive.

    Attributes:
        settings: What reaches the brand, and how its risk desk works.
        seed: The seed of the world.
        folder: Where scans, verdicts and payouts wait for their turn.
        slices: The stretches of time that are in memory at once: whole hours, a whole number of them a day.
        names: Texts of the tables.
        ledger: Which codes were redeemed.
        purses: What members have won.
        codes: What the codes win.
        campaigns: Records of `CAMPAIGN`, for the stocks of flash sales.
        writers: Of the tables `scans`, `scan_labels`, `payouts`, and of the truth about scans as `truth/scans`.
        defence: Who blocks scans; nobody if not given.
        by_family: Scans written so far by family.
        by_crowd: Honest scans written so far by crowd.
    """

    settings: JournalSettings
    seed: int
    folder: Path
    slices: Slices
    names: Names
    ledger: Ledger
    purses: Purses
    codes: Prizes
    campaigns: NDArray[Any]
    writers: dict[str, TableWriter]
    defence: Defence | None = None
    by_family: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(FAMILIES), np.int64))
    by_crowd: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(CROWDS), np.int64))
    _scans: Spool = field(init=False, repr=False)
    _labels: Spool = field(init=False, repr=False)
    _payouts: Spool = field(init=False, repr=False)
    _deals: NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Lay out what waits."""
        slices = self.slices
        days = slices.count * slices.width // DAY_US
        later = Slices(slices.start, DAY_US, days + CLOSING_DAYS)
        self._scans = Spool(self.folder / "scans", ARRIVED, slices)
        self._labels = Spool(self.folder / "labels", LABEL, later)
        self._payouts = Spool(self.folder / "payouts", PAYOUT, later)
        self._deals = np.where(self.campaigns["kind"] == FLASH_SALE, self.campaigns["stock"], 0).astype(np.int64)

    def take_in(self, scans: NDArray[Any], part: str, *places: int) -> None:
        """Scans (records of `SCAN`) are on their way; part and places name where their chance comes from.

        What is made outside the days of the world is not the world's, and is left out.
        """
        end = self.slices.start + self.slices.width * self.slices.count
        inside = (scans["at"] >= self.slices.start) & (scans["at"] < end)
        scans = scans if inside.all() else scans[inside]
        arrived = np.empty(len(scans), ARRIVED)
        for name in scans.dtype.names or ():
            arrived[name] = scans[name]
        generator = stream(self.seed, f"arrivals {part}", *places)
        arrived["at"], arrived["received_at"] = arrivals(self.settings.masks, generator, scans["at"])
        self._scans.put(arrived, arrived["received_at"])

    def enter(self, place: int) -> Entered:
        """Write a slice of time; slices come in order."""
        arrived = self._scans.take(place)
        arrived = arranged(arrived, arrived["received_at"], stream(self.seed, "arrival ties", place))
        seen = masked(self.settings.masks, stream(self.seed, "masks", place), arrived)
        batch = np.where(seen.misread, -1, arrived["batch"].astype(np.int64))
        status = self.ledger.enter(batch, arrived["serial"], arrived["received_at"])
        valid = np.flatnonzero(status == VALID)
        prize = np.zeros(len(arrived), np.int64)
        prize[valid] = self.codes.prize(batch[valid], arrived["serial"][valid], arrived["campaign"][valid])
        blocked = np.zeros(len(arrived), np.bool_)
        first = self.writers["scans"].rows
        if self.defence is not None and len(arrived):
            day = place * self.slices.width // DAY_US
            shown = scan_columns(self.names, arrived, seen, status, prize, first)
            blocked = self._stopped(place, self.defence.judge(day, plain(shown)), arrived["family"] > 0)
            prize = np.where(blocked, 0, prize)  # not in place: the judge may keep what it was shown
        dealt = self._deal(arrived, (status == VALID) & ~blocked)
        columns = scan_columns(self.names, arrived, seen, status, prize + dealt, first)
        self.writers["scans"].write(columns)
        self.writers["truth/scans"].write(scan_truth(self.seed, columns["scan_id"], arrived))
        self._follow(place, first, arrived, prize)
        self.by_family += np.bincount(arrived["family"], minlength=len(FAMILIES))
        self.by_crowd += np.bincount(arrived["crowd"][arrived["family"] == 0], minlength=len(CROWDS))
        return Entered(arrived, blocked, prize + dealt)

    def close_day(self, day: int) -> None:
        """Write the verdicts that landed and the prizes that were paid on a day; all of its scans are entered."""
        labels = self._labels.take(day)
        labels = arranged(labels, labels["at"], stream(self.seed, "label ties", day))
        self.writers["scan_labels"].write(label_columns(self.seed, labels))
        payouts = self._payouts.take(day)
        payouts = arranged(payouts, payouts["at"], stream(self.seed, "payout ties", day))
        writer = self.writers["payouts"]
        writer.write(payout_columns(self.seed, payouts, writer.rows))

    @property
    def closing_days(self) -> range:
        """Days after the last one of the world on which verdicts and payouts still come."""
        later = self._labels.slices
        return range(later.count - CLOSING_DAYS, later.count)

    def _stopped(self, place: int, judged: NDArray[np.bool_] | Chances, wool: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which scans of a slice win nothing; where that hangs on who made them, by lot."""
        if not isinstance(judged, Chances):
            return np.asarray(judged, np.bool_)
        lot = stream(self.seed, "checks", place).random(len(wool))
        return np.asarray(lot < np.where(wool, judged.wool, judged.honest), np.bool_)

    def _follow(self, place: int, first: int, arrived: NDArray[Any], prize: NDArray[np.int64]) -> None:
        """Verdicts and payouts that come of a slice; what comes after the closing is left out."""
        when = arrived["received_at"]
        generator = stream(self.seed, "verdicts", place)
        labels = verdicts(self.settings.labels, self.seed, generator, arrived, when, prize)
        labels["scan"] += first
        payouts = self.purses.pay_in(arrived["member"], prize, when)
        later = self._labels.slices
        closing = later.start + later.width * later.count
        for spool, records in ((self._labels, labels), (self._payouts, payouts)):
            kept = records[records["at"] < closing]
            spool.put(kept, kept["at"])

    def _deal(self, arrived: NDArray[Any], paid: NDArray[np.bool_]) -> NDArray[np.int64]:
        """What each request of a flash sale gets, in fen: the first paid ones the deal, until the stock is gone."""
        dealt = np.zeros(len(arrived), np.int64)
        for campaign in np.flatnonzero(self._deals > 0):
            asking = np.flatnonzero(paid & (arrived["campaign"] == campaign))[: self._deals[campaign]]
            dealt[asking] = self.campaigns["discount_fen"][campaign]
            self._deals[campaign] -= len(asking)
        return dealt
