"""The report of a run: its figures are the record's, its verdict the gates', and nothing in it is loaded."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from training.registry import Gate, gates
from training.report.content import content_of
from training.report.page import opening, report, report_page
from training.report.words import verdict

COMMIT = {"commit": "0" * 40}


@pytest.fixture(scope="module")
def content(fitted, released):
    return content_of(fitted, released.folder, COMMIT)


@pytest.fixture(scope="module")
def page(content):
    return report_page(content)


def test_what_it_tells_is_what_the_record_and_the_gates_say(content, fitted):
    assert content.record is fitted.record
    assert content.gates == gates(content.manifest)
    assert content.money.model == fitted.record.money["model"]
    assert 5 <= len(content.decisions) <= 10  # shares of few rows may name the same row
    assert content.champion is None


def test_nothing_in_it_is_loaded_from_anywhere(page):
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!#)|@import|url\(|<script""", page)


def test_figures_definitions_and_both_languages_are_on_it(page, content):
    for feature in content.manifest.features:
        assert feature.name in page
    for name in content.record.baselines:
        assert name in page
    assert "来源" in page
    assert content.manifest.data_hash[:12] in page


def test_a_refusing_gate_is_the_verdict_and_is_named(content):
    refusing = Gate("parity", "3 wrong leaves", "0", passed=False)
    refused = replace(content, gates=(refusing,), verdict=verdict((refusing,)))
    page = report_page(refused)

    assert not refused.ships
    assert "Do not ship" in page
    assert "3 wrong leaves" in page
    assert "Do not ship" in opening(refused)


def test_passing_gates_alone_make_it_ship(content):
    passing = Gate("parity", "0", "0", passed=True)
    shipped = replace(content, gates=(passing,), verdict=verdict((passing,)))

    assert shipped.ships
    assert "Do not ship" not in report_page(shipped)


def test_the_same_fit_gives_the_same_page(fitted, released, page):
    assert report(fitted, released.folder, COMMIT).html == page
