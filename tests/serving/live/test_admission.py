"""The queue is as long as its end can still be answered, and what is past its chance is not worked on."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.live.admission import AT_ONCE, Admission
from serving.live.service import LiveService

if TYPE_CHECKING:
    from serving.live.bodies import ScanBody
    from serving.settings import Settings

SECONDS = st.floats(1e-6, 10)


@given(st.floats(0.001, 10), st.lists(st.tuples(SECONDS, st.integers(1, AT_ONCE), SECONDS), max_size=60))
def test_some_may_always_wait_and_never_too_many(deadline: float, batches: list[tuple[float, int, float]]) -> None:
    admission = Admission(deadline)
    for seconds, requests, after in batches:
        admission.learn(seconds, requests)
        admission.answered(after)

        assert 2 * AT_ONCE <= admission.most <= 1_024
        assert 0 <= admission.after <= deadline / 2


@pytest.mark.parametrize(("each", "after", "most"), [(0.0005, 0.015, 40), (0.002, 0.015, 32), (0.00001, 0.0, 1_024)])
def test_the_last_of_the_queue_is_answered_in_time(each: float, after: float, most: int) -> None:
    admission = Admission(0.05)
    for _ in range(2_000):
        admission.answered(after)
        admission.learn(16 * each, 16)

    assert admission.most == pytest.approx(most, abs=1)


def test_what_is_past_its_chance_is_answered_and_not_judged(settings: Settings, scans: list[ScanBody]) -> None:
    async def whole() -> tuple[Any, Any, int]:
        live = LiveService.open(settings)
        desk = live.desk
        late = asyncio.get_running_loop().create_future()
        in_time = asyncio.get_running_loop().create_future()
        desk.ask(scans[0], late)
        (item,) = desk._queue
        item.began -= desk._deadline - 0.1
        for _ in range(500):
            desk.admission.answered(1.0)  # answers take a second
        desk.ask(scans[1], in_time)
        answers = await late, await in_time
        taken = live.desk.state.sequence
        await live.close()
        return *answers, taken

    late, in_time, taken = asyncio.run(whole())

    assert b'"degraded":"deadline"' in late.body
    assert b'"recorded":true' in in_time.body
    assert taken == 1


def test_one_timer_answers_each_at_its_deadline(settings: Settings, scans: list[ScanBody]) -> None:
    async def whole() -> list[float]:
        live = LiveService.open(settings.model_copy(update={"deadline_ms": 60.0}))

        async def never(_: object) -> None:
            await asyncio.sleep(0.3)

        live.desk._work = never  # type: ignore[method-assign]
        began, waited = time.perf_counter(), []
        futures = []
        for scan in scans[:3]:
            future = asyncio.get_running_loop().create_future()
            live.desk.ask(scan, future)
            future.add_done_callback(lambda _: waited.append(time.perf_counter() - began))
            futures.append(future)
            await asyncio.sleep(0.02)
        await asyncio.gather(*futures)
        await asyncio.sleep(0)
        await live.close()
        return waited

    first, second, third = asyncio.run(whole())

    assert 0.055 < first < second < third < 0.25
    assert second - first > 0.01


class Behind:
    """A writer that is far behind for a while."""

    def __init__(self, writer: Any) -> None:
        self._writer, self.behind = writer, True

    @property
    def depth(self) -> int:
        return 1_000 if self.behind else self._writer.depth

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)


def test_nothing_is_judged_while_the_log_is_far_behind(settings: Settings, scans: list[ScanBody]) -> None:
    async def whole() -> tuple[int, Any]:
        live = LiveService.open(settings)
        writer = live.desk.writer = Behind(live.desk.writer)  # type: ignore[assignment]
        asked = asyncio.ensure_future(live.desk.score(scans[0]))
        await asyncio.sleep(0.05)
        taken, writer.behind = live.desk.state.sequence, False
        answer = await asked
        await live.close()
        return taken, answer

    taken, answer = asyncio.run(whole())

    assert taken == 0
    assert b'"recorded":true' in answer.body
