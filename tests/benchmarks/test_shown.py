from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.folds import cross_fitted, dealt
from benchmarks.shown import of_sums, plain, print_figures
from training.interval import Resampling


def test_a_ratio_of_sums_has_the_width_that_theory_gives():
    generator = np.random.default_rng(1)
    hit = (generator.random(2_000) < 0.3).astype(float)
    found = of_sums(
        {"hit": hit, "rows": np.ones(2_000)},
        lambda sums: {"rate": sums["hit"] / sums["rows"]},
        Resampling(np.arange(2_000), generator, 1_000),
    )["rate"]
    half = 1.96 * np.sqrt(0.3 * 0.7 / 2_000)
    assert found["value"] == pytest.approx(hit.mean())
    assert found["high"] - found["low"] == pytest.approx(2 * half, rel=0.1)


def test_what_is_not_known_is_printed_as_null(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("sys.argv", ["x", "--real", str(tmp_path)])
    print_figures("x", "y", lambda real: {"here": real == tmp_path, "unknown": float("nan"), "rate": 1 / 3})
    printed = json.loads(capsys.readouterr().out)
    assert printed["figures"] == {"here": True, "unknown": None, "rate": 0.3333}
    assert plain(None) is None


def test_folds_spread_each_stratum_evenly_and_ask_only_what_was_not_learned_from():
    generator = np.random.default_rng(2)
    stratum = (generator.random(1_003) < 0.1).astype(float)
    fold = dealt(stratum, 5, generator)
    for kind in (0, 1):
        sizes = np.bincount(fold[stratum == kind], minlength=5)
        assert sizes.max() - sizes.min() <= 1
    seen = []

    def answer(known, asked):
        assert not (known & asked).any()
        assert (known | asked).all()
        seen.append(int(asked.sum()))
        return np.flatnonzero(asked).astype(float)

    np.testing.assert_array_equal(cross_fitted(fold, answer), np.arange(1_003))
    assert sum(seen) == 1_003
