from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from serving.access.limits import TokenBucket


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_goes_through_and_then_the_rate() -> None:
    clock = Clock()
    bucket = TokenBucket(rate=10.0, burst=3, clock=clock)

    assert [bucket.take() for _ in range(4)] == [0.0, 0.0, 0.0, 0.1]
    clock.now = 0.1
    assert [bucket.take(), bucket.take()] == [0.0, 0.1]


def test_a_clock_that_runs_backwards_gives_nothing_and_takes_nothing() -> None:
    clock = Clock()
    clock.now = 100.0
    bucket = TokenBucket(rate=1.0, burst=1, clock=clock)
    assert bucket.take() == 0.0

    clock.now = 50.0
    assert bucket.take() == 1.0
    clock.now = 51.0
    assert bucket.take() == 0.0


@settings(deadline=None)  # shared cores
@given(
    rate=st.floats(0.1, 1e4), burst=st.integers(1, 50), waits=st.lists(st.floats(0.0, 0.5), min_size=1, max_size=200)
)
def test_never_more_goes_through_than_the_burst_and_the_rate_allow(rate: float, burst: int, waits: list[float]) -> None:
    clock = Clock()
    bucket = TokenBucket(rate, burst, clock)
    passed = 0
    for wait in waits:
        clock.now += wait
        passed += bucket.take() == 0.0
        assert passed <= burst + rate * clock.now + 1e-6


@settings(deadline=None)  # shared cores
@given(rate=st.floats(0.1, 1e4), burst=st.integers(1, 5))
def test_who_waits_as_long_as_told_goes_through(rate: float, burst: int) -> None:
    clock = Clock()
    bucket = TokenBucket(rate, burst, clock)
    for _ in range(burst):
        assert bucket.take() == 0.0

    clock.now += bucket.take() * (1 + 1e-9)

    assert bucket.take() == 0.0
