"""Scans of one deployment judged by several scorers: what `serving.live.service` opens where an order is shared."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from serving.ledger.ledger import Ledger
from serving.live.models import Models
from serving.live.registers import Registers
from serving.live.service import DRAIN_SECONDS, LiveService, _warm, watched_writer
from serving.stream.desk import StreamDesk
from serving.stream.link import AWAY

if TYPE_CHECKING:
    from serving.settings import Settings
    from serving.telemetry.metrics import Metrics


class StreamService(LiveService):
    """One of several scorers that share the order of a stream."""

    desk: StreamDesk

    @classmethod
    def open(cls, settings: Settings, metrics: Metrics | None = None) -> StreamService:
        """Open log, snapshot, models and registers; the stream is read once the loop runs, and `obstacle` says so.

        Raises:
            DataError: A model, a register or the log is not as it should be.
            UsageError: The log is another process's, or the settings do not fit.
        """
        models = Models(settings.bundles, settings.scan_task, settings.pointer, settings.lottery_key())
        registers = Registers.read(settings.tables) if settings.tables else Registers()
        secret = None if settings.secret is None else settings.secret.get_secret_value()
        ledger = Ledger.open(settings.ledger, secret, settings.durability)
        try:
            _warm(models)
            writer = watched_writer(ledger, metrics)
            desk = StreamDesk(
                models,
                registers,
                ledger,
                writer,
                settings.state,
                deadline=settings.deadline_ms / 1_000,
                canary=settings.canary,
                watch=metrics,
            )
        except BaseException:
            ledger.close()
            raise
        live = cls(models, desk, ledger, writer)
        if metrics is not None:
            live.show(metrics)
        return live

    async def close(self) -> None:
        """Answer all that waits, commit, let the others know, and write the state down."""
        self.desk.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._running, DRAIN_SECONDS)
        self._watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._watching
        drained = await asyncio.to_thread(self._writer.stop, DRAIN_SECONDS)
        await self.desk.leave(drained=drained)
        self._ledger.close()

    async def look_up(self, decision_id: str) -> tuple[int, bytes]:
        """A decision of any scorer."""
        status, body = self.decision(decision_id)
        if status != 404:
            return status, body
        with contextlib.suppress(ValueError, *AWAY):
            found = await self.desk.find(bytes.fromhex(decision_id))
            if found is not None and (found.forgotten or found.record is not None):
                return self.viewed(found)
        return 404, b""
