"""Verdicts: once for a scan, late, mostly right, and a ring's together."""

from __future__ import annotations

import numpy as np
import pytest

from data.world.labels import ORIGINS, LabelSettings, suspicious, verdicts
from data.world.records import SCAN

DAY = 86_400_000_000
COUNT = 60_000
SETTINGS = LabelSettings()


@pytest.fixture(scope="module")
def scans():
    generator = np.random.default_rng(8)
    made = np.zeros(COUNT, SCAN)
    made["at"] = np.sort(generator.integers(0, 28 * DAY, COUNT))
    made["member"] = generator.integers(0, 9_000, COUNT)
    made["device"] = made["member"]
    made["ring"] = -1
    wool = generator.random(COUNT) < 0.5
    made["family"][wool] = 3
    made["ring"][wool] = made["member"][wool] % 60
    return made


@pytest.fixture(scope="module")
def labels(scans):
    prize = np.where(np.arange(COUNT) % 10 == 0, 50, 0)
    return verdicts(SETTINGS, 4, np.random.default_rng(2), scans, scans["at"], prize)


def test_a_scan_has_one_verdict_at_most(labels):
    assert len(np.unique(labels["scan"])) == len(labels)


def test_verdicts_land_after_the_scan_and_within_the_longest_time(scans, labels):
    days = (labels["at"] - scans["at"][labels["scan"]]) / DAY

    assert days.min() > 0
    assert days.max() <= SETTINGS.days_longest
    assert 4 < np.median(days) < 9


def test_a_few_verdicts_are_wrong(scans, labels):
    wrong = np.mean(labels["is_wool"] != (scans["family"][labels["scan"]] > 0))

    assert wrong == pytest.approx(SETTINGS.wrong, rel=0.25)


def test_less_than_half_of_the_wool_and_few_of_the_honest_are_judged(scans, labels):
    wool = scans["family"] > 0
    judged = np.zeros(COUNT, bool)
    judged[labels["scan"]] = True

    assert 0.25 < judged[wool].mean() < 0.5
    assert SETTINGS.audited * 0.8 < judged[~wool].mean() < 0.05
    assert set(np.unique(labels["origin"])) == {ORIGINS.index(name) for name in ("review", "chargeback", "audit")}


def test_a_ring_is_reviewed_as_a_whole_or_not_at_all(scans, labels):
    reviewed = labels[labels["origin"] == ORIGINS.index("review")]
    week = (scans["at"][reviewed["scan"]] // (7 * DAY)).astype(int)
    wool = scans["family"][reviewed["scan"]] > 0
    cases = np.zeros((60, 4))
    np.add.at(cases, (scans["ring"][reviewed["scan"]][wool], week[wool]), 1)

    assert cases.var() > 5 * cases.mean()


def test_the_audit_knows_nobody(scans):
    prize = np.zeros(COUNT, np.int64)
    alone = LabelSettings(ring_reviewed=0, crowd_reviewed=0, member_reviewed=0, rule_looked_at=0)
    found = verdicts(alone, 4, np.random.default_rng(2), scans, scans["at"], prize)
    share = np.mean(scans["family"][found["scan"]] > 0)

    assert len(found) == pytest.approx(COUNT * SETTINGS.audited, rel=0.15)
    assert share == pytest.approx(np.mean(scans["family"] > 0), abs=4 * np.sqrt(0.25 / len(found)))


def test_a_rule_sees_many_scans_of_a_member_and_many_members_on_a_phone():
    made = np.zeros(14, SCAN)
    made["member"] = [*range(3), *[9] * 6, *range(20, 25)]
    made["device"] = [5, 5, 5, *range(30, 36), *[-1] * 5]
    arrived = np.full(14, 7 * DAY)

    found = suspicious(SETTINGS, made, arrived)

    assert found.tolist() == [True] * 9 + [False] * 5
    assert not suspicious(SETTINGS, made, np.arange(14) * DAY).any()
