"""The analyst's rules: picked by what they catch of the known, in force as long as few others are caught."""

from __future__ import annotations

import numpy as np
import pytest

from data.errors import UsageError
from training.dataset import Examples
from training.rules import Circumstance, Limit, RuleList, pick_rules
from training.split import NEVER
from training.unlabelled import Past

ALWAYS, BY_LINK = Circumstance(), Circumstance("by link", "entry", equal="link")


def _past(seed=0, count=6_000):
    """A tenth is a yes: half of it has a high count, half a count that is high for links only."""
    generator = np.random.default_rng(seed)
    yes = generator.random(count) < 0.1
    link = generator.random(count) < 0.3
    quiet = yes & (generator.random(count) < 0.5)
    link |= quiet
    many = (
        generator.poisson(2.0, count) + 12 * (yes & ~quiet) + 5 * quiet + 5 * (~link & (generator.random(count) < 0.2))
    )
    labelled = generator.random(count) < 0.5
    zeros = np.zeros(count, np.int64)
    table = Examples(
        row_id=np.arange(count).astype(object),
        as_of=zeros,
        closes_at=np.where(labelled, 0, NEVER),
        label=np.where(labelled, yes.astype(float), np.nan),
        unit=zeros,
        group=zeros,
        slices={"entry": np.where(link, "link", "camera").astype(object)},
        features=("count", "noise"),
        matrix=np.column_stack((many, generator.normal(size=count))).astype(np.float32),
        by_lot=labelled,
    )
    return Past(None, table, np.flatnonzero(labelled), np.flatnonzero(~labelled)), yes


def test_the_most_telling_limit_comes_first_and_a_circumstance_gets_its_own():
    past, yes = _past()
    rules = pick_rules(past, past.table.features, (ALWAYS, BY_LINK), 0.001)

    assert rules.limits[0].feature == "count"
    assert any(limit.circumstance == BY_LINK for limit in rules.limits)
    score = rules.score(past.table, np.arange(len(yes)))
    assert score[yes].mean() > 5 * score[~yes].mean()


def test_rules_in_force_catch_no_more_than_their_rate_of_those_drawn_by_lot():
    past, yes = _past()
    rows = past.labelled[~yes[past.labelled]]
    for rate in (0.001, 0.01, 0.1):
        rules = pick_rules(past, past.table.features, (ALWAYS, BY_LINK), rate)
        caught = rules.score(past.table, rows) > len(rules.limits) - rules.in_force
        assert caught.mean() <= rate
    assert rules.in_force > 0


def test_an_earlier_rule_scores_higher_and_so_does_passing_its_limit_by_more():
    past, _ = _past()
    rules = RuleList((Limit("count", 10.0, ALWAYS), Limit("noise", 0.0, ALWAYS)), 1)
    score = rules.score(past.table, np.arange(len(past.table.label)))
    many, noise = past.table.matrix.T

    assert score[many > 10].min() > score[many <= 10].max()
    assert (score[(many <= 10) & (noise <= 0)] == 0).all()
    above = np.sort(np.unique(many[many > 10]))
    assert (np.diff([score[many == count].max() for count in above]) > 0).all()


def test_an_unknown_value_is_caught_by_no_limit():
    past, _ = _past(count=50)
    past.table.matrix[:] = np.nan
    rules = RuleList((Limit("count", -1.0, ALWAYS),), 1)

    assert (rules.score(past.table, np.arange(50)) == 0).all()


@pytest.mark.parametrize(
    ("limited", "circumstance", "said"),
    [
        (("weight",), ALWAYS, "a feature that the task has not: found 'weight'"),
        (("count",), Circumstance("at night", "hour", equal="3"), "asks for the slice 'hour', found entry"),
    ],
)
def test_what_the_task_has_not_is_named(limited, circumstance, said):
    past, _ = _past(count=100)
    with pytest.raises(UsageError, match=said):
        pick_rules(past, limited, (circumstance,), 0.001)
