"""A snapshot beside a scorer that runs, made from the stream; and the stream's beginning, which is let go of then.

The stream holds what a scorer that starts has to take in. Once each has on its disk what came of an entry, and the
entry's id is old enough to be forgotten, nobody needs it. What a scorer still has to do itself (judge an entry that an
accident left behind, let the others know what it decided) it does when it reads the entry again; so no snapshot of it
goes past such an entry.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from data.errors import DataError, DependencyDown
from features.online import columns_by_log
from serving.live.registers import Registers
from serving.stream.draft import Drafts
from serving.stream.keeping import durable, latest, scorer_name, write
from serving.stream.link import AWAY, Link
from serving.stream.members import Members
from serving.stream.script import FORGOTTEN
from serving.stream.taking import take_in

if TYPE_CHECKING:
    from features.spec import FeatureSet
    from serving.ledger.ledger import Ledger
    from serving.stream.draft import Payload
    from serving.stream.link import Passed

PATIENCE_SECONDS: Final = 5.0
PAGE: Final = 1_000
TRIMMED_AT_ONCE: Final = 200
_DAY_SECONDS: Final = 86_400.0
_PAUSE_SECONDS: Final = 0.005


class Refreshed(NamedTuple):
    """What came of a refresh.

    Attributes:
        events: How many entries the latest snapshot did not hold.
        trimmed: How many the stream let go of.
    """

    events: int
    trimmed: int


def refresh(url: str, ledger: Ledger, feature_set: FeatureSet, days: float) -> Refreshed:
    """Write a snapshot of what a scorer knows by now, and let the stream go of what nobody needs any more.

    Args:
        url: `SHEPHERD_STATE`.
        ledger: The scorer's, to look at; its service may write to it meanwhile.
        feature_set: What its state answers.
        days: So long ids are remembered; 0 for ever, and nothing is let go of.

    Raises:
        DataError: The stream is another deployment's, or lacks entries that the scorer has not taken in.
        DependencyDown: Redis is not there.
    """
    try:
        return asyncio.run(_refresh(url, ledger, feature_set, days))
    except AWAY as error:
        raise DependencyDown(
            f"SHEPHERD_STATE: Redis does not answer ({error}); run the same again when it does"
        ) from error


async def _refresh(url: str, ledger: Ledger, feature_set: FeatureSet, days: float) -> Refreshed:
    link = Link(url, scorer_name(ledger.folder), PATIENCE_SECONDS)
    try:
        events = await _Follower(link, ledger, feature_set).followed()
        await link.report(durable(feature_set, ledger.folder))
        return Refreshed(events, await _trimmed(link, days * _DAY_SECONDS) if days else 0)
    finally:
        await link.close()


async def _trimmed(link: Link, seconds: float) -> int:
    trimmed = 0
    while gone := await link.trim(seconds, TRIMMED_AT_ONCE):
        trimmed += gone
        await asyncio.sleep(_PAUSE_SECONDS)  # the scorers take turns meanwhile
    return trimmed


class _Follower:
    """Takes the stream in from a scorer's latest snapshot on, and judges nothing."""

    def __init__(self, link: Link, ledger: Ledger, feature_set: FeatureSet) -> None:
        self._link, self._ledger = link, ledger
        self._members = Members(ledger, link)
        self._drafts = Drafts(Registers(), ledger.vault, self._members.of)
        self._state, self._place = latest(feature_set, self._drafts.intake, ledger.folder)
        self._logs = frozenset(columns_by_log(self._state.plan))

    async def followed(self) -> int:
        """Take in what may be, and write it down; how many entries there were."""
        begun = self._place.sequence
        await self._link.greet(self._ledger.vault.fingerprint, self._place)
        end = await self._link.end()
        while page := await self._link.read(self._place.sequence, end, PAGE):
            if not await self._take_in(page):
                break
        if self._place.sequence > begun:
            write(self._state, self._drafts.intake, self._place, self._ledger.folder)
        return self._place.sequence - begun

    async def _take_in(self, page: list[Passed]) -> bool:
        """Takes in a page; False where the scorer itself has yet to see to an entry of it."""
        told = dict.fromkeys((one.identity for one in page if one.scorer == self._link.scorer), False)
        told = dict(zip(told, await self._link.told(list(told)), strict=True))
        for one in page:
            if one.log == FORGOTTEN:
                self._members.forgotten(one.identity)
            else:
                payload = self._drafts.opened(one.payload, one.identity)
                mine = one.scorer == self._link.scorer
                if mine and not await self._is_done(one, payload, told=told[one.identity]):
                    return False
                take_in(self._state, self._drafts, self._logs, payload, one.place)
            self._place = one.place
        return True

    async def _is_done(self, one: Passed, payload: Payload, *, told: bool) -> bool:
        """Whether the scorer has nothing left to do about an entry of its own."""
        found = self._ledger.find(one.identity)
        if found is not None:
            return told or found.record is None
        return await self._members.seal_of(one.owner, one.identity) is None or self._counts_for_nothing(payload, one)

    def _counts_for_nothing(self, payload: Payload, one: Passed) -> bool:
        """Whether an entry is a scan that every scorer refuses, so that no log holds it."""
        if payload.scan is None:
            return False
        try:
            self._drafts.events(payload, one.place.seen_at)
        except DataError:
            return True
        return False
