"""Scans where the log or the state could not be opened: answered by the passive action, and nothing is acknowledged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from serving.live.answer import degraded_bytes
from serving.live.pending import Answered

if TYPE_CHECKING:
    from serving.live.answer import Degraded
    from serving.live.bodies import ScanBody
    from serving.live.pending import Waiter
    from serving.manifest import Manifest


class Scans(Protocol):
    """Who answers scans."""

    @property
    def full(self) -> bool:
        """Whether one more would wait too long."""

    def decision_id(self, scan_id: str) -> str:
        """What the decision on a scan is called."""

    def ask(self, scan: ScanBody, waiter: Waiter) -> None:
        """Judge a scan, or answer as it was answered before: now or later."""

    async def score(self, scan: ScanBody) -> Answered:
        """The same, waiting for it."""


class Stranded:
    """Answers by the policy of a model that cannot be asked.

    Args:
        manifest: The model's.
        why: What is missing, the log or the state.
    """

    full: Final = False

    def __init__(self, manifest: Manifest, why: Degraded) -> None:
        self._manifest, self._why = manifest, why

    @staticmethod
    def decision_id(_: str) -> str:
        """Nothing: what a decision is called hangs on the log's secret."""
        return ""

    async def score(self, scan: ScanBody) -> Answered:
        """The passive action; the same scan is judged once the service is whole again."""
        return Answered(200, degraded_bytes(self._manifest, "", scan.scan_id, self._why))

    def ask(self, scan: ScanBody, waiter: Waiter) -> None:
        """As `score`, told at once."""
        waiter.set_result(Answered(200, degraded_bytes(self._manifest, "", scan.scan_id, self._why)))
