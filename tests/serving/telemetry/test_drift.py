from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from serving.telemetry.drift import Drift
from serving.telemetry.reference import Binning, Reference, Spread, reference_of


def drawn(rows: int, seed: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """A normal feature, a count of few values, one that is constant, one that is never known; and a score."""
    generator = np.random.default_rng(seed)
    features = np.column_stack(
        (
            generator.normal(shift, 1.0, rows),
            generator.integers(0, 3, rows),
            np.full(rows, 7.0),
            np.full(rows, np.nan),
        )
    ).astype(np.float32)
    features[generator.random(rows) < 0.2, 0] = np.nan
    return features, generator.beta(2 + abs(shift), 5, rows)


def by_hand(reference: Spread, values: np.ndarray) -> float:
    """The index of one column, a value at a time."""
    counts = [0] * len(reference.counts)
    for value in values.tolist():
        counts[-1 if np.isnan(value) else sum(value > edge for edge in reference.edges)] += 1
    bins = len(counts)
    p = [(count + 0.5) / (sum(counts) + 0.5 * bins) for count in counts]
    q = [(count + 0.5) / (sum(reference.counts) + 0.5 * bins) for count in reference.counts]
    return sum((one - other) * np.log(one / other) for one, other in zip(p, q, strict=True))


def test_deciles_share_rows_evenly_and_repeat_no_edge() -> None:
    features, score = drawn(4_000, 1)

    reference = reference_of(features, score)

    normal, count, constant, unknown = reference.features
    assert len(normal.edges) == 9
    assert sum(normal.counts) == 4_000
    assert max(normal.counts[:-1]) - min(normal.counts[:-1]) <= 2
    assert normal.counts[-1] == np.isnan(features[:, 0]).sum()
    assert count.edges == (0.0, 1.0)
    assert (constant.edges, constant.counts) == ((), (4_000, 0))
    assert (unknown.edges, unknown.counts) == ((), (0, 4_000))
    assert reference.problems(4) == []
    assert msgspec.json.decode(msgspec.json.encode(reference), type=Reference) == reference


def test_the_same_rows_have_not_moved_and_others_have() -> None:
    features, score = drawn(2_048, 1)
    reference = reference_of(features, score)

    def moved(seed: int, shift: float) -> tuple[np.ndarray, float]:
        drift = Drift(reference, 2_048, 256)
        drift.add(*drawn(2_048, seed, shift))
        found = drift.found()
        assert found.rows == 2_048
        return found.features, found.score

    assert moved(1, 0.0)[0] == pytest.approx([0.0, 0.0, 0.0, 0.0], abs=1e-12)
    calm, calm_score = moved(2, 0.0)
    assert calm.max() < 0.02
    assert calm_score < 0.02
    shifted, shifted_score = moved(2, 1.0)
    assert shifted[0] > 0.25
    assert shifted[1:].max() < 0.02
    assert shifted_score > 0.1


@settings(deadline=None)  # shared cores
@given(
    learned=hnp.arrays(np.float32, (40, 3), elements=st.floats(-5, 5, width=32) | st.just(np.nan)),
    seen=hnp.arrays(np.float32, (24, 3), elements=st.floats(-9, 9, width=32) | st.sampled_from([np.nan, np.inf])),
)
def test_all_columns_at_once_are_what_each_is_by_hand(learned: np.ndarray, seen: np.ndarray) -> None:
    score = np.linspace(0, 1, 40)
    reference = reference_of(learned, score)
    drift = Drift(reference, window=24, block=8)

    drift.add(seen, score[:24])

    expected = [
        by_hand(spread, column) for spread, column in zip(reference.features, seen.T.astype(np.float64), strict=True)
    ]
    assert drift.found().features == pytest.approx(expected, abs=1e-12)
    assert drift.found().score == pytest.approx(by_hand(reference.score, score[:24]), abs=1e-12)


@settings(deadline=None)  # shared cores
@given(sizes=st.lists(st.integers(0, 70), min_size=1, max_size=12))
def test_how_rows_are_handed_over_changes_nothing(sizes: list[int]) -> None:
    features, score = drawn(900, 3)
    reference = reference_of(features, score)
    parts, whole = Drift(reference, 64, 16), Drift(reference, 64, 16)
    start = 0
    for size in sizes:
        parts.add(features[start : start + size], score[start : start + size])
        start += size

    whole.add(features[:start], score[:start])

    assert parts.found().rows == whole.found().rows == min(64, start // 16 * 16)
    np.testing.assert_array_equal(parts.found().features, whole.found().features)


def test_what_fell_out_of_the_window_counts_no_more() -> None:
    features, score = drawn(1_024, 1)
    reference = reference_of(features, score)
    drift = Drift(reference, 512, 128)
    drift.add(*drawn(5_000, 2, shift=3.0))
    assert drift.found().features[0] > 1

    drift.add(features[:640], score[:640])

    alone = Drift(reference, 512, 128)
    alone.add(features[128 - 5_000 % 128 :][:512], score[128 - 5_000 % 128 :][:512])
    assert drift.found().rows == 512
    np.testing.assert_array_equal(drift.found().features, alone.found().features)


def test_before_a_block_is_full_nothing_is_said() -> None:
    features, score = drawn(300, 1)
    drift = Drift(reference_of(features, score), 512, 256)

    drift.add(features[:255], score[:255])
    assert drift.found().rows == 0
    drift.add(features[:1], score[:1])
    assert drift.found().rows == 256


@pytest.mark.parametrize(
    "spread",
    [
        Spread((1.0, 1.0), (1, 1, 1, 1)),
        Spread((2.0, 1.0), (1, 1, 1, 1)),
        Spread((float("inf"),), (1, 1, 1)),
        Spread((1.0,), (1, 1)),
        Spread((1.0,), (1, -1, 1)),
        Spread(tuple(range(65)), (1,) * 67),
    ],
)
def test_what_is_no_spread_is_told(spread: Spread) -> None:
    (problem,) = Reference((Spread((), (1, 0)), spread), Spread((), (1, 0))).problems(2)

    assert "the first at 1" in problem


def test_a_reference_is_of_as_many_features() -> None:
    assert (
        "found the spread of 1 features, expected that of 2"
        in Reference((Spread((), (1, 0)),), Spread((), (1, 0))).problems(2)[0]
    )


def test_counting_hundreds_of_features_is_cheap() -> None:
    generator = np.random.default_rng(1)
    values = generator.normal(size=(256, 166))
    binning = Binning(reference_of(values[:, :-1].astype(np.float32), values[:, -1]))

    assert binning.counts(values).sum() == values.size
