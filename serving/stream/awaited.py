"""Scans that another scorer is at: whoever asked about one here gets the very answer that is given there."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from serving.live.pending import Answered, again
from serving.stream.answers import LOOK_SECONDS
from serving.stream.link import AWAY

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving.ledger.ledger import Ledger
    from serving.live.pending import PendingScan
    from serving.stream.answers import Answers
    from serving.stream.link import Known


class Awaited:
    """What is looked for until its deciders tell of it.

    Args:
        ledger: This scorer's own.
        answers: Those of all.
        done: Is given each scan with its answer, or None where nobody waits for it any more or Redis went away.
    """

    def __init__(self, ledger: Ledger, answers: Answers, done: Callable[[PendingScan, Answered | None], None]) -> None:
        self._ledger, self._answers, self._done = ledger, answers, done
        self._looking: set[asyncio.Task[None]] = set()

    def look_for(self, item: PendingScan, found: Known) -> None:
        """Wait for what is decided about a scan that stands in the stream."""
        task = asyncio.create_task(self._look(item, found))
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)

    async def close(self) -> None:
        """Look for nothing any more."""
        for task in self._looking:
            task.cancel()
        await asyncio.gather(*self._looking, return_exceptions=True)

    async def _look(self, item: PendingScan, found: Known) -> None:
        answer = None
        with contextlib.suppress(*AWAY):
            while answer is None and item.wanted:
                mine = self._ledger.find(item.identity)
                there = mine if mine is not None and mine.committed else await self._answers.find(item.identity)
                if there is None or (there.record is None and not there.forgotten and found.digest == item.digest):
                    await asyncio.sleep(LOOK_SECONDS)
                else:
                    answer = again(there, item.digest)
        self._done(item, answer)
