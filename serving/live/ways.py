"""The paths that have a short way (`serving.live.shortcut`): scans, and single rows of each task."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from serving.edge import is_too_deep
from serving.live.bodies import BodyRefused, read_scan
from serving.live.hot import PATH, refused
from serving.live.row_score import RowScorer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.responses import Response

    from serving.access.keys import Scope
    from serving.live.pending import Answered
    from serving.live.shortcut import Exchange, Way
    from serving.live.stranded import Scans
    from serving.scorer import Scorer

AT_ONCE: Final = 32
"""Rows of one run of the model: so many cost little more than one, and nobody waits long for others."""
_START, _END = b"/v1/", b"/score"
_OTHERS: Final = frozenset({"scans", "sites"})


class Ways:
    """Finds the short way of a target.

    Args:
        scans: Gives the desk where scans are judged; None while none is.
        scorer: Gives the model of a task that answers rows now; None for none, or another kind of task.
        told: Told the reason of every refusal; for metrics.
    """

    def __init__(
        self, scans: Callable[[], Scans | None], scorer: Callable[[str], Scorer | None], told: Callable[[str], None]
    ) -> None:
        self._ways: dict[bytes, Way] = {PATH.encode(): ScanWay(scans, told)}
        self._scorer = scorer

    def __call__(self, target: bytes) -> Way | None:
        """The way of a target; None for the long way."""
        return self._ways.get(target) or self._row(target)

    def _row(self, target: bytes) -> Way | None:
        if not (target.startswith(_START) and target.endswith(_END)):
            return None
        task = target[len(_START) : -len(_END)].decode("ascii", "replace")
        if task in _OTHERS or self._scorer(task) is None:
            return None
        way = self._ways[target] = RowWay(task, self._scorer)
        return way


class ScanWay:
    """Judges scans.

    Args:
        desk: As for `Ways`, like the one below.
        told: As there.
    """

    path = route = PATH
    scope: Scope = "score"

    def __init__(self, desk: Callable[[], Scans | None], told: Callable[[str], None]) -> None:
        self._desk, self._told = desk, told
        self._busy = refused(429)

    def refusal(self) -> Response | None:
        """That too many wait."""
        desk = self._desk()
        if desk is None or not desk.full:
            return None
        self._told("busy")
        return self._busy

    def take(self, exchange: Exchange) -> None:
        """Judge a scan; the long way where it cannot be read."""
        desk, body = self._desk(), exchange.body
        if desk is None or is_too_deep(body):
            exchange.long_way()
            return
        try:
            scan = read_scan(body)
        except BodyRefused:
            exchange.long_way()
            return
        desk.ask(scan, _Asker(exchange, desk.decision_id(scan.scan_id), self._told))


class _Asker:
    """Writes the answer as soon as it is told: one turn of the loop later a whole batch would come between."""

    __slots__ = ("_decision_id", "_done", "_exchange", "_told")

    def __init__(self, exchange: Exchange, decision_id: str, told: Callable[[str], None]) -> None:
        self._exchange, self._decision_id, self._told, self._done = exchange, decision_id, told, False

    def done(self) -> bool:
        return self._done

    def set_result(self, result: Answered, /) -> None:
        self._done = True
        if result.status == 200:
            self._exchange.answer(result.body, self._decision_id)
        else:
            self._told(result.why)
            self._exchange.refuse(refused(result.status), self._decision_id)


class RowWay:
    """Scores single rows of one task: all that came at one look at the sockets in one run of the model.

    Args:
        task: The task.
        scorer: As for `Ways`.
    """

    route = "/v1/{task}/score"
    scope: Scope = "score"

    def __init__(self, task: str, scorer: Callable[[str], Scorer | None]) -> None:
        self.path = f"/v1/{task}/score"
        self._task, self._scorer = task, scorer
        self._ready: tuple[Scorer, RowScorer] | None = None
        self._waiting: list[Exchange] = []

    def refusal(self) -> None:
        """None: a row is scored at once."""

    def take(self, exchange: Exchange) -> None:
        """Score a row together with those that come before the loop looks again."""
        self._waiting.append(exchange)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._work)

    def _work(self) -> None:
        batch, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._work)
        for exchange, answer in zip(batch, self._answers([one.body for one in batch]), strict=True):
            if answer is None:
                exchange.long_way()
            else:
                exchange.answer(answer)

    def _answers(self, bodies: Sequence[bytes]) -> Sequence[bytes | None]:
        try:
            scorer = self._row_scorer()
            return [None] * len(bodies) if scorer is None else scorer.answers(bodies)
        except Exception:  # noqa: BLE001 - whatever it is: the long way meets it again, logs it and answers 500
            return [None] * len(bodies)

    def _row_scorer(self) -> RowScorer | None:
        scorer = self._scorer(self._task)
        if scorer is None:
            return None
        if self._ready is None or self._ready[0] is not scorer:
            self._ready = scorer, RowScorer(scorer)
        return self._ready[1]
