"""The report of a run: its figures are the record's, its verdict the gates', and nothing in it is loaded."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from features.wording import sentence_zh
from training.bundles import read
from training.catalogue import find
from training.gates import SLICE_MONEY, Gate, gates
from training.interval import Interval
from training.record import relative_error
from training.report import gate_words, terms
from training.report.content import content_of
from training.report.evidence import drift_of
from training.report.page import SHOWN, opening, report, report_page
from training.report.risks import Money, risks_of
from training.report.words import Said, earned, metric, number, spanned, verdict
from training.tracking.metrics import figures
from training.tracking.notes import note

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


class _Tags(HTMLParser):
    """Every tag closes the one that was opened last."""

    def __init__(self):
        super().__init__()
        self.open, self.wrong = [], []

    def handle_starttag(self, tag, attrs):  # noqa: ARG002 - the parser names them
        if tag not in {"meta", "br", "hr"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def test_it_is_well_formed(page):
    tags = _Tags()
    tags.feed(page)

    assert (tags.open, tags.wrong) == ([], [])
    assert page.count("<h2>") == page.count("<section id=") >= 11


def test_the_verdict_comes_first_then_the_risks_then_the_curves(page):
    places = [page.index(one) for one in ('class="verdict', "Expected money", 'id="risks"', 'id="curves"')]

    assert places == sorted(places)


def test_figures_on_the_page_are_those_of_the_record(page, content, fitted):
    record = fitted.record
    for told in (record.metrics, record.money, record.rates, *record.baselines.values()):
        for interval in told.values():
            assert spanned(interval) in page
    assert [(one.feature, one.index) for one in content.drift] == sorted(
        record.drift.items(), key=lambda told: -told[1]
    )
    assert f"off by {relative_error(record):.0%}" in " ".join(risk.said.english for risk in content.risks)
    (money,) = [curve for curve in content.curves if curve.name == "money"]
    everyone = dict.fromkeys(fitted.model.task.payoff.actions[1:])
    for line in money.lines[: len(everyone)]:
        action = line.label.english.partition(",")[0]
        assert np.isclose(line.up[-1], record.money[f"always_{action}"].value)  # below the least chance all get it


def test_no_row_can_be_known_by_its_key(page, fitted):
    keys = pq.read_table(fitted.built.path, columns=["row_id"])["row_id"].to_pylist()

    assert len(keys) > 1_000
    assert set(re.findall(r"[\w-]+", page)).isdisjoint(keys)


def test_the_worst_errors_are_wrong_ones_and_the_decisions_fall_in_chance(content):
    said = [one.probability for one in content.decisions]
    outcomes = [one.outcome for one in content.errors]

    assert said == sorted(said, reverse=True)
    assert outcomes == ["stays"] * 5 + ["lapses"] * 5
    assert min(one.probability for one in content.errors[:5]) > max(one.probability for one in content.errors[5:])
    assert all(one.reasons for one in content.decisions)


def _risks(content, task, **changes):
    record = replace(content.record, **changes)
    return risks_of(record, content.manifest, task.metrics, content.money, ())


def test_a_slice_that_is_surely_worse_is_the_first_risk_and_is_named(content, renewal):
    bad = dict.fromkeys(content.record.metrics, Interval(0.1, 0.05, 0.15))
    first = _risks(content, renewal, slices={"shop": {"harbour": bad, "old town": content.record.metrics}})[0]

    assert first.name == "worst slice"
    assert "shop is harbour" in first.said.english
    assert "intervals meet" not in first.said.english


def test_drift_counts_by_what_the_score_leans_on(content, renewal):
    record = replace(
        content.record, attributions={"complaints": 1.0, "years": 0.0}, drift={"complaints": 0.5, "years": 9}
    )
    risks = risks_of(record, content.manifest, renewal.metrics, content.money, drift_of(record, content.manifest))
    (found,) = [risk for risk in risks if risk.name == "drift"]

    assert found.severity == 2.0
    assert "Complaints of the last year" in found.said.english


def test_risks_call_a_feature_by_its_chinese_name_where_it_has_one(content, renewal):
    worded, plain = (
        msgspec.structs.replace(
            content.manifest,
            features=tuple(
                msgspec.structs.replace(one, sentence_zh=chinese) if one.name == "complaints" else one
                for one in content.manifest.features
            ),
        )
        for chinese in ("该会员最近 1 年的投诉次数：{value}", "")
    )
    record = replace(content.record, attributions={"complaints": 9.0, "years": 1.0}, drift={"complaints": 0.5})

    def said(manifest):
        risks = risks_of(record, manifest, renewal.metrics, content.money, drift_of(record, manifest))
        return {risk.name: risk.said.chinese for risk in risks}

    for name in ("one feature", "drift"):
        assert "“该会员最近 1 年的投诉次数”" in said(worded)[name]
        assert "complaints" not in said(worded)[name]
        assert "complaints" in said(plain)[name]


@pytest.mark.parametrize("task", ["fraud", "coupon", "site"])
def test_every_feature_of_a_shipped_task_has_a_chinese_name(task):
    assert [one.name for one in find(task).features if sentence_zh(one) is None] == []


def test_money_that_may_be_nothing_is_something_to_act_on(content, renewal):
    doubtful = Money(content.money.model, Interval(1.0, -1.0, 3.0), Said("waiting", "等待"))
    risks = risks_of(content.record, content.manifest, renewal.metrics, doubtful, content.drift)
    (found,) = [risk for risk in risks if risk.name == "money"]

    assert found.severity >= 1
    assert "not sure that its actions earn more than waiting" in found.said.english
    assert "未必高于等待" in found.said.chinese


def test_a_text_of_a_table_never_becomes_markup(content):
    hostile = "<img src=x onerror=alert(1)>"
    sliced = {hostile: {hostile: content.record.metrics}}

    page = report_page(replace(content, record=replace(content.record, slices=sliced)))

    assert hostile not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page


def test_the_champion_stands_beside_it_with_what_it_earns_less(content, fitted, released, tmp_path):
    folder = shutil.copytree(released.folder, tmp_path / "bundles" / "renewal" / released.folder.name)
    other = folder.parent / "20200101T000000Z-older"
    shutil.copytree(folder, other)
    manifest = other / "manifest.json"
    manifest.write_text(manifest.read_text().replace(folder.name, other.name))
    (folder.parent / "champion").write_text(f"{other.name}\n")

    champion = content_of(fitted, folder, COMMIT).champion

    assert champion.version == other.name == read(other).manifest.version
    assert champion.same_data
    assert champion.gain is None  # it was written before there was a champion
    assert champion.figures == content.record.metrics
    shown = report_page(replace(content, champion=replace(champion, gain=Interval(7.125, 6.0, 8.0))))
    assert other.name in shown
    assert number(7.125) in shown


def test_the_note_opens_with_verdict_money_and_three_risks(content):
    text = opening(content)

    assert text.startswith(f"**{content.verdict.english}")
    assert spanned(content.money.gain) in text
    for place, risk in enumerate(content.risks[:SHOWN], start=1):
        assert f"{place}. {risk.said.english}" in text
        assert risk.said.chinese in text


def test_money_that_is_surely_less_is_not_called_unsure():
    said = earned(Interval(-2.0, -3.0, -1.0), Said("doing “pay” for all", "一律发放"))

    assert said.english.startswith("Its actions earn less than doing “pay” for all")
    assert "收益低于一律发放" in said.chinese


def test_the_worst_slice_is_that_of_least_money_and_not_of_the_rarest_outcomes(content, renewal):
    whole = content.record.metrics
    rare = {name: Interval(0.01, 0.0, 0.02) for name in whole} | {SLICE_MONEY: Interval(24.0, 20.0, 28.0)}
    common = dict(whole) | {SLICE_MONEY: Interval(5.0, 4.0, 6.0)}
    money = {**content.record.money, SLICE_MONEY: Interval(18.0, 15.0, 21.0)}
    found = _risks(content, renewal, slices={"kind": {"rare": rare, "common": common}}, money=money)
    (worst,) = [risk for risk in found if risk.name == "worst slice"]

    assert "where kind is common" in worst.said.english
    assert "券类型为“common”" in worst.said.chinese


def test_chinese_meanings_end_with_words_and_not_with_a_gap(page):
    assert not re.findall(r"：…\s*<", page)


@pytest.mark.parametrize("task", ["fraud", "coupon", "site"])
def test_every_name_of_a_shipped_task_that_the_page_shows_has_a_chinese_term(task):
    found = find(task)
    payoff = getattr(found, "payoff", None)
    shown = [
        *(terms.action(one) for one in (payoff.actions if payoff else ())),
        *(terms.outcome(one) for one in (payoff.outcomes if payoff else ())),
        *(terms.baseline(one.name) for one in getattr(found, "baselines", ())),
        *(terms.column(one) for one in getattr(found, "slices", ())),
        *(metric(one.name) for one in getattr(found, "metrics", ())),
        *(terms.null_rule(one.null_rule) for one in found.features),
        terms.task(found.name),
    ]

    assert [one.english for one in shown if one.chinese == one.english] == []


def test_what_every_gate_says_is_told_in_chinese(content):
    told = [text for gate in content.gates for text in (gate.found, gate.required)]
    left = [one for one in told if re.search("[a-z]", one) and gate_words.chinese(one) == one]

    assert len(told) >= 20
    assert left == []


def test_the_note_has_plain_figures_and_both_languages(content, made_site):
    sites = note(made_site[0].record)

    assert "error_fen" not in sites
    assert not re.search(r"(?<![.\d])\d{6}", sites)
    assert re.search(r"-0\.0+\b", sites) is None
    assert "平均误差（万元/店/年）" in sites
    assert "测试自" in note(content.record)


def test_the_chance_range_of_morans_figure_is_no_interval_of_it(made_site):
    told = figures(made_site[0].record)

    assert "moran_of_residuals" in {name.removeprefix("test/") for name in told}
    assert not {"test/moran_of_residuals_low", "test/moran_of_residuals_high"} & set(told)
    assert told["test/moran_of_residuals_chance_low"] < told["test/moran_of_residuals_chance_high"]
