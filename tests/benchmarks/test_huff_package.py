"""Huff's shares equal those of the package `huff` on the examples that it carries."""

from __future__ import annotations

import pytest

from benchmarks import huff


def test_without_the_package_there_is_no_figure(tmp_path):
    assert huff.measure(tmp_path) is None
    assert huff.measure(None) is None


def test_shares_and_markets_equal_the_packages():
    if huff.examples() is None:
        pytest.skip("the package huff, no dependency of this project, is not installed")
    found = huff.measure(huff.examples())
    assert found is not None
    assert {name.partition("_")[0] for name in found} == {"haslach", "wieland2015"}
    for one in found.values():
        assert one["shares"] in {32, 95}
        assert one["largest_difference"] < 1e-9
        assert one["largest_relative_difference_of_markets"] < 1e-9
