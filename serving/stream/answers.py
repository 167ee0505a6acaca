"""What was decided, where every scorer finds it: told once the decider's own log holds it, and never changed."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from serving.ledger.entry import Found
from serving.stream.link import AWAY

if TYPE_CHECKING:
    from serving.stream.link import Link
    from serving.stream.members import Members

LOOK_SECONDS: Final = 0.004
_PAUSE_SECONDS: Final = 0.05
_AT_ONCE: Final = 128


class Answers:
    """The records of all scorers; made within an event loop.

    Args:
        link: The way to Redis.
        members: Open what is sealed.
    """

    def __init__(self, link: Link, members: Members) -> None:
        self._link, self._members = link, members
        self._untold: list[tuple[bytes, bytes]] = []
        self._some = asyncio.Event()
        self._telling = asyncio.create_task(self._run())

    @property
    def untold(self) -> int:
        """How many records the others cannot find yet."""
        return len(self._untold)

    async def find(self, identity: bytes) -> Found | None:
        """An entry of any scorer by its identity; its record is None while its scorer is at it.

        Raises:
            RedisError: Redis is not there.
        """
        found, sealed = await self._link.known(identity)
        if found is None:
            return None
        seal = await self._members.seal_of(found.owner, identity)
        if seal is None:
            return Found(b"", None, forgotten=True, sequence=found.sequence)
        record = None if sealed is None else seal.unseal(sealed, identity)
        return Found(found.digest, record, forgotten=False, sequence=found.sequence)

    def tell(self, records: list[tuple[bytes, bytes]]) -> None:
        """Lets the others find records, each with its identity; without Redis once it is back."""
        self._untold += records
        self._some.set()

    async def close(self, seconds: float) -> None:
        """Tells what is untold, within some seconds, and ends."""
        until = time.monotonic() + seconds
        while self._untold and time.monotonic() < until:  # noqa: ASYNC110 - it ends by the clock
            await asyncio.sleep(LOOK_SECONDS)
        self._telling.cancel()
        await asyncio.gather(self._telling, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            self._some.clear()
            if not self._untold:
                await self._some.wait()
            records = self._untold[:_AT_ONCE]
            try:
                await self._link.keep(records)
            except AWAY:
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                del self._untold[: len(records)]
