"""What a scorer has on its disk, and that the others know of it: the stream lets go of nothing that one still needs."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Final

from serving.stream.keeping import durable, write
from serving.stream.link import AWAY

if TYPE_CHECKING:
    from pathlib import Path

    from features.online import LiveState
    from serving.ledger.entry import Place
    from serving.live.intake import Intake
    from serving.stream.link import Link

REPORT_SECONDS: Final = 60.0
"""So often a scorer says what it has on its disk."""


class Presence:
    """A scorer among the others.

    Args:
        link: The way to them.
        state: What it knows.
        intake: Knows who joined.
        ledger: The folder of its ledger.
    """

    def __init__(self, link: Link, state: LiveState, intake: Intake, ledger: Path) -> None:
        self._link, self._state, self._intake, self._ledger = link, state, intake, ledger
        self._told: float | None = None

    async def tell(self) -> None:
        """Say what is on the disk, if that was not said within the last minute."""
        now = time.monotonic()
        if self._told is not None and now - self._told < REPORT_SECONDS:
            return
        self._told = now
        with contextlib.suppress(*AWAY):  # the next turn finds out, too
            await self._link.report(durable(self._state.feature_set, self._ledger))

    async def keep(self, place: Place) -> None:
        """Write down what is known as of a place, and say so; nobody may use the state meanwhile."""
        await asyncio.to_thread(write, self._state, self._intake, place, self._ledger)
        self._told = None
        await self.tell()
