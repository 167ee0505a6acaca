"""The report of offers speaks of what their policy earns, not of redemptions that earn nothing by themselves."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

import training.export
from training.effect.money import by_policy, policy_money
from training.effect.study import MODEL, fit_effects
from training.pipeline import fit
from training.release import release_offers
from training.report.content import content_of
from training.report.page import opening, report_page
from training.report.words import spanned


@pytest.fixture(scope="module")
def offered(small_task, offers_brand, tmp_path_factory):
    home = tmp_path_factory.mktemp("reported")
    fitted = fit(small_task.redemption, offers_brand, home=home, trials=1)
    changes = fit_effects(small_task, offers_brand, home=home, redemption=fitted.model)
    fitted = replace(fitted, record=by_policy(fitted.record, changes.record))
    folder = release_offers(changes, fitted.record, home).folder
    return fitted, changes, content_of(fitted, folder, {}, changes)


def test_its_money_is_the_policys(offered):
    fitted, changes, content = offered
    within = changes.record.budgeted

    assert content.money.model == within[MODEL]["value"]
    assert content.money.gain == within["send_none"]["gain"]
    assert fitted.record.money == policy_money(changes.record)
    assert fitted.record.rates == {}
    assert content.manifest.metrics["money/model"] == within[MODEL]["value"].value
    assert spanned(within[MODEL]["value"]) in opening(content)


def test_its_latency_is_that_of_the_last_of_two_questions_the_whole_value(offered, monkeypatch, tmp_path):
    fitted, changes, _ = offered
    asked = []

    def told(answer, rows):
        asked.append(answer(rows[:1]))
        return {"latency/p50_ms": float(len(asked)), "latency/p99_ms": float(len(asked))}

    monkeypatch.setattr(training.export, "latency", told)
    metrics = release_offers(changes, fitted.record, tmp_path).bundle.manifest.metrics

    assert metrics["latency/p99_ms"] == 2.0
    assert asked[-1] == changes.model.value(changes.test.matrix[:1]).mean


def test_no_figure_of_an_empty_table_is_left(offered):
    _, _, content = offered
    page = report_page(content)

    assert not any("gain_over_best_constant" in part for parts in content.record.slices.values() for part in parts)
    assert "the best constant" not in page
    assert content.remarks["money"].chinese in page


def test_its_curve_says_what_offers_earn_for_what_they_cost(offered):
    _, changes, content = offered
    (money,) = [one for one in content.curves if one.name == "money"]
    policy, usual, everybody = money.lines
    record = changes.record

    assert policy.across[0] == 0.0
    assert policy.across[-1] == record.spend["model"]
    assert policy.up[0] == usual.up[0] == everybody.up[0] == record.policies["send_none"]["value"].value
    assert policy.up[-1] == record.policies[MODEL]["value"].value
    assert everybody.up[-1] == record.policies["send_all"]["value"].value


def test_the_ten_rows_are_decided_by_the_policy(offered):
    _, changes, content = offered
    actions = [one.cells[3] for one in content.decisions]
    said = changes.model.value(changes.test.matrix)
    sent = said.lower(changes.model.task.caution) - changes.record.price * said.cost > 0

    assert 5 <= len(actions) <= 10
    assert actions == sorted(actions)  # from the most worth to the least: what is sent, then what is withheld
    assert actions[0].startswith("send") == sent.any()
    assert actions[-1].startswith("withhold") == (not np.all(sent))
    assert len(content.decided) == len(content.decisions[0].cells) == 5
    assert set(re.findall(r"[\w-]+", report_page(content))).isdisjoint(map(str, changes.test.row_id))
