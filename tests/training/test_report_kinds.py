"""The same page for every kind of fit: what decides rows, what puts lists in order, and what forecasts sites."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from training.gates import gates
from training.interval import Interval
from training.ranking_metrics import recall_at
from training.report.content import content_of
from training.report.page import opening, report_page
from training.report.site import Deciding
from training.report.words import spanned
from training.sites.judging import SMALLEST_SLICE, sliced_sites
from training.sites.study import HeldOut

COMMIT = {"commit": "0" * 40}
SECTIONS = (
    *("risks", "gates", "curves", "comparison", "money", "slices", "attributions", "drift", "errors", "decisions"),
    *("features", "provenance"),
)


@pytest.fixture(scope="module")
def told(fitted, released, fitted_order, released_order, made_site):
    """Content by kind."""
    forecast, bundle, _ = made_site
    kinds = {
        "labelled": (fitted, released.folder),
        "order": (fitted_order, released_order.folder),
        "site": (forecast, bundle.folder),
    }
    return {name: content_of(one, folder, COMMIT) for name, (one, folder) in kinds.items()}


@pytest.mark.parametrize("kind", ["labelled", "order", "site"])
def test_every_kind_has_the_same_sections_in_the_same_order(told, kind):
    page = report_page(told[kind])

    assert tuple(re.findall(r'<section id="(\w+)"', page)) == SECTIONS
    assert page.index('class="verdict') < page.index('class="figures"') < page.index('id="risks"')
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!#)|@import|url\(|<script""", page)
    assert page.count('lang="zh"') > 40


@pytest.mark.parametrize("kind", ["labelled", "order", "site"])
def test_the_verdict_is_that_of_the_gates_and_opens_the_note(told, kind):
    content = told[kind]

    assert content.gates == gates(content.manifest)
    assert opening(content).startswith(("**Ship", "**Do not ship"))
    for headline in content.headlines:
        assert spanned(headline.figure) in opening(content)
    assert len(content.headlines) == 2
    assert len(content.risks) >= 3


@pytest.mark.parametrize("kind", ["order", "site"])
def test_where_no_money_is_earned_the_page_and_the_note_say_so(told, kind):
    content = told[kind]

    assert content.money is None
    assert content.remarks["money"].english in opening(content)
    assert report_page(content).count(content.remarks["money"].chinese) == 2  # beside the verdict, and in its section


def test_a_forecast_is_told_in_money_by_how_far_it_is_off(told, made_site):
    content, forecast = told["site"], made_site[0]
    record, said = content.record, forecast.predictions
    off = np.abs(said.held.revenue_fen - np.exp(said.log_revenue))

    assert record.metrics["error_fen"].value == pytest.approx(off.mean())
    assert content.headlines[0].figure.value == pytest.approx(off.mean() / 1e6)
    rule = record.baselines["people_within_1km"]
    assert content.headlines[1].figure.value == pytest.approx(
        (rule["error_fen"].value - record.metrics["error_fen"].value) / 1e6
    )


def test_sites_say_why_they_have_no_drift_and_are_sliced_by_format(told):
    content = told["site"]

    assert content.drift == ()
    assert "by design" in content.remarks["drift"].english
    assert content.remarks["drift"].chinese in report_page(content)
    assert set(content.record.slices) >= {"folds", "format"}
    assert len(content.record.slices["format"]) > 1


def test_the_curves_of_sites_are_what_was_forecast_and_what_was_sold(told, made_site):
    curves = {one.name: one for one in told["site"].curves}
    said = made_site[0].predictions
    dots = curves["forecast"].lines[0]

    assert dots.dots
    assert np.allclose(dots.across, said.held.revenue_fen / 1e6)
    assert np.allclose(dots.up, np.exp(said.log_revenue) / 1e6)
    low, high = said.held.intervals[0.8]
    inside = ((low <= said.log_revenue) & (said.log_revenue <= high)).mean()
    assert curves["coverage"].lines[0].up[0] == pytest.approx(inside)
    assert len(curves["size"].lines[0].up) == 5


def test_the_curves_of_an_order_are_its_metrics_at_every_place_beside_each_baseline(told, fitted_order):
    recall = next(one for one in told["order"].curves if one.name == "recall")
    lines = {line.label.english: dict(zip(line.across, line.up, strict=True)) for line in recall.lines}
    said = fitted_order.predictions

    assert set(lines) == {"model", "liked", "popular"}
    assert lines["model"][3.0] == pytest.approx(fitted_order.record.metrics["recall_at_3"].value)
    assert lines["model"][10.0] == pytest.approx(recall_at(10).of(said.lists, said.score))
    assert lines["liked"][3.0] == pytest.approx(fitted_order.record.baselines["liked"]["recall_at_3"].value)


def test_the_worst_of_an_order_stood_first_in_vain_or_far_down_rightly(told):
    errors = told["order"].errors
    first, missed = errors[:5], errors[5:]

    assert all(one.place == 1 and not one.came for one in first)
    assert all(one.came for one in missed)
    assert min(one.place for one in missed) > 6
    assert [one.score for one in told["order"].decisions] == sorted(
        (one.score for one in told["order"].decisions), reverse=True
    )


def test_the_worst_of_the_sites_are_off_most_and_both_ways(told, made_site):
    said = made_site[0].predictions
    ratio = said.held.revenue_fen / np.exp(said.log_revenue)
    errors = [one.forecast_fen / one.sold_fen for one in told["site"].errors]

    assert np.allclose(errors[:5], np.sort(ratio)[::-1][:5])
    assert np.allclose(errors[5:], np.sort(ratio)[:5])
    assert all(one.reasons for one in told["site"].decisions)
    forecasts = [one.forecast_fen for one in told["site"].decisions]
    assert len(forecasts) == 10
    assert forecasts == sorted(forecasts, reverse=True)


@pytest.mark.parametrize("kind", ["order", "site"])
def test_no_row_of_any_kind_can_be_known_by_its_key(told, kind, fitted_order, made_site):
    keys = {"order": fitted_order.predictions.row_id, "site": made_site[0].predictions.row_id}[kind]

    assert set(re.findall(r"[\w-]+", report_page(told[kind]))).isdisjoint(map(str, keys))


def test_intervals_that_hold_too_little_are_a_risk_of_sites(made_site):
    forecast, bundle, _ = made_site
    metrics = {**forecast.record.metrics, "coverage_80": Interval(0.6, 0.5, 0.7)}
    record = replace(forecast.record, metrics=metrics)
    risks = content_of(replace(forecast, record=record), bundle.folder, COMMIT).risks

    (short,) = [one for one in risks if one.name == "coverage"]
    assert short.severity == pytest.approx(4.0)
    assert "60%" in short.said.english
    assert not Deciding().greater_is_better


def test_slices_of_few_stores_or_of_one_stretch_are_left_out():
    count = 4 * SMALLEST_SLICE
    truth = np.random.default_rng(1).normal(15, 0.5, count)
    held = HeldOut(truth + 0.1, np.zeros((count, 3)), np.ones(count), {0.8: (truth - 1, truth + 1)})
    half = np.arange(count) < count // 2
    columns = {
        "format": np.where(half, "express", "flagship").astype(object),
        "city": np.where(np.arange(count) < SMALLEST_SLICE - 1, "Few", None).astype(object),
        "brand": np.full(count, "all alike", object),
    }
    units = np.where(half, np.arange(count) % 4, 4)

    found = sliced_sites(truth, held, units, columns, 0)

    assert {name: list(parts) for name, parts in found.items()} == {"format": ["express"]}
    assert found["format"]["express"]["coverage_80"].value == 1.0
