"""Every rule rules out what it should and nothing else, with all its reasons, in both languages."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest

from data.errors import DataError, UsageError
from serving.allocation.guardrails import Guardrails
from serving.allocation.rules import Coded, Limits, Members, OfferRules
from serving.allocation.rulings import _SENTENCES, Rule, reason

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
TEA = OfferRules("tea", 500.0, NOW - DAY, NOW + DAY, "drinks", ("east",), ("new", "lapsed"), 10.0)
ANY = OfferRules("any", 300.0, NOW - DAY, NOW + DAY)
GUARDRAILS = Guardrails(Limits(), (TEA, ANY))
GOOD = Members(
    fraud_probability=np.array([0.1]),
    opted_out=np.array([False]),
    sends=np.array([3]),
    days_since_send=np.array([3.0]),
    days_since_redemption=np.array([np.nan]),
    basket_margin_fen=np.array([500.0]),
    region=Coded(np.array([0]), ("east", "west")),
    segment=Coded(np.array([1]), ("new", "lapsed", "loyal")),
    holdout=np.array([False]),
    categories={"drinks": np.array([True])},
)
VALUE, COST = np.array([[200.0, 60.0]]), np.array([[100.0, 30.0]])


def _codes(members=GOOD, guardrails=GUARDRAILS, value=VALUE, cost=COST, at=NOW):
    broken = guardrails.broken(members, value, cost, at)[0]
    return [{rule.name for rule in Rule if bits & rule} for bits in broken]


def test_a_member_at_every_limit_is_still_inside():
    assert _codes() == [set(), set()]


@pytest.mark.parametrize(
    ("fact", "found", "rule"),
    [
        ("fraud_probability", 0.51, "FRAUD_RISK"),
        ("fraud_probability", np.nan, "FRAUD_RISK"),
        ("opted_out", True, "OPTED_OUT"),
        ("sends", 4, "SENT_TOO_OFTEN"),
        ("days_since_send", 2.9, "SENT_LATELY"),
        ("days_since_redemption", 6.9, "REDEEMED_LATELY"),
        ("holdout", True, "HOLDOUT"),
    ],
)
def test_a_rule_about_the_member_rules_out_every_offer(fact, found, rule):
    assert _codes(replace(GOOD, **{fact: np.array([found])})) == [{rule}, {rule}]


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"basket_margin_fen": np.array([499.0])}, "FACE_ABOVE_MARGIN"),
        ({"region": Coded(np.array([1]), ("east", "west"))}, "OTHER_REGION"),
        ({"region": Coded(np.array([-1]), ("east", "west"))}, "OTHER_REGION"),
        ({"segment": Coded(np.array([2]), ("new", "lapsed", "loyal"))}, "OTHER_SEGMENT"),
        ({"categories": {"drinks": np.array([False])}}, "OTHER_CATEGORY"),
    ],
)
def test_a_rule_about_member_and_offer_rules_out_that_offer_alone(changes, rule):
    assert _codes(replace(GOOD, **changes)) == [{rule}, set()]


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"pieces_left": 0.0}, "OUT_OF_STOCK"),
        ({"ends_at": NOW}, "OUTSIDE_WINDOW"),
        ({"starts_at": NOW + DAY / 2}, "OUTSIDE_WINDOW"),
    ],
)
def test_a_rule_about_the_offer_rules_it_out(changes, rule):
    guardrails = Guardrails(Limits(), (msgspec.structs.replace(TEA, **changes), ANY))
    assert _codes(guardrails=guardrails) == [{rule}, set()]


def test_the_margin_floor_is_of_each_redemption_and_rules_out_what_is_not_known():
    floor = Guardrails(Limits(least_net_fen=500.0), (TEA, ANY))
    assert _codes(guardrails=floor) == [set(), {"BELOW_MARGIN_FLOOR"}]  # 100 / (100 / 500), and 30 / (30 / 300)
    assert _codes(value=np.array([[99.9, np.nan]])) == [{"BELOW_MARGIN_FLOOR"}] * 2
    assert _codes(value=np.zeros((1, 2)), cost=np.zeros((1, 2))) == [set(), set()]


def test_a_fact_that_is_not_given_switches_its_rule_off():
    assert _codes(Members()) == [set(), set()]


def test_all_reasons_of_an_offer_are_told_in_words_with_their_numbers():
    bad = replace(GOOD, fraud_probability=np.array([0.75]), sends=np.array([9]), opted_out=np.array([True]))
    bad = replace(bad, basket_margin_fen=np.array([400.0]))
    tea, other = GUARDRAILS.explain(bad, VALUE, np.array([[300.0, 30.0]]), NOW, 0)
    assert (tea.offer, other.offer) == ("tea", "any")
    codes = ["FRAUD_RISK", "OPTED_OUT", "SENT_TOO_OFTEN", "BELOW_MARGIN_FLOOR", "FACE_ABOVE_MARGIN"]
    assert [one.code for one in tea.reasons] == codes
    assert [one.code for one in other.reasons] == codes[:3]
    often, floor, face = tea.reasons[2:]
    assert (often.found, often.limit) == (9.0, 4)
    assert often.sentence == "The member got 9 offers in the last 30 days; 4 are the most."
    assert often.sentence_zh == "该会员在最近 30 天内已收到 9 张券，上限为 4 张。"
    assert floor.found == pytest.approx((200 - 300) / 0.6)
    assert (face.found, face.limit) == (500.0, 400.0)


def test_who_may_get_everything_has_nothing_to_be_explained():
    assert GUARDRAILS.explain(GOOD, VALUE, COST, NOW, 0) == ()


@pytest.mark.parametrize("rule", list(Rule))
def test_every_rule_speaks_both_languages_and_leaves_no_gap(rule):
    told = reason(rule, 1234.5, 0.25, 30)
    assert told.code == rule.name
    assert set(_SENTENCES) == set(Rule)
    assert not set("{}") & set(told.sentence + told.sentence_zh)
    assert any("一" <= sign <= "鿿" for sign in told.sentence_zh)
    assert "unknown" in reason(rule, None, 1).sentence or "{found}" not in _SENTENCES[rule][0]


def test_the_bits_of_rules_are_a_promise():
    assert [(rule.name, int(rule)) for rule in Rule] == [
        ("FRAUD_RISK", 1),
        ("OPTED_OUT", 2),
        ("SENT_TOO_OFTEN", 4),
        ("SENT_LATELY", 8),
        ("REDEEMED_LATELY", 16),
        ("BELOW_MARGIN_FLOOR", 32),
        ("FACE_ABOVE_MARGIN", 64),
        ("OUTSIDE_WINDOW", 128),
        ("OTHER_CATEGORY", 256),
        ("OTHER_REGION", 512),
        ("OTHER_SEGMENT", 1024),
        ("OUT_OF_STOCK", 2048),
        ("HOLDOUT", 4096),
    ]


def test_rows_do_not_depend_on_each_other():
    draw = np.random.default_rng(3)
    count = 50
    members = Members(
        fraud_probability=draw.random(count),
        sends=draw.integers(0, 8, count),
        days_since_send=draw.uniform(0, 9, count),
        region=Coded(draw.integers(-1, 2, count), ("east", "west")),
        categories={"drinks": draw.random(count) < 0.5},
    )
    value, cost = draw.uniform(0, 300, (count, 2)), draw.uniform(0, 200, (count, 2))
    together = GUARDRAILS.broken(members, value, cost, NOW)
    for row in range(count):
        told = GUARDRAILS.explain(members, value, cost, NOW, row)
        bits = {one.offer: sum(Rule[each.code] for each in one.reasons) for one in told}
        assert [bits.get("tea", 0), bits.get("any", 0)] == together[row].tolist()


def test_limits_stand_in_a_manifest():
    limits = Limits(most_sends=2, least_net_fen=-5.0)
    assert msgspec.json.decode(msgspec.json.encode(limits), type=Limits) == limits
    assert msgspec.json.decode(msgspec.json.encode(TEA), type=OfferRules) == TEA


def test_limits_that_cannot_be_meant_are_refused_together():
    with pytest.raises(UsageError) as caught:
        Limits(most_fraud_probability=1.5, days_after_send=-1.0, least_net_fen=float("nan"))
    for name in ("most_fraud_probability", "days_after_send", "least_net_fen"):
        assert name in str(caught.value)


def test_offers_that_cannot_be_judged_are_refused_together():
    naive = OfferRules("x", 0.0, datetime(2026, 1, 1), NOW)  # noqa: DTZ001 - the fault that is tested
    with pytest.raises(UsageError) as caught:
        Guardrails(Limits(), (naive, TEA, TEA, msgspec.structs.replace(ANY, pieces_left=-1.0)))
    for found in ("expected each once", "face value of 0.0", "without a zone", "found -1.0 pieces left"):
        assert found in str(caught.value)


def test_facts_that_do_not_fit_are_refused_together():
    wrong = replace(GOOD, sends=np.array([1, 2]), categories={"food": np.array([True])})
    with pytest.raises(DataError) as caught:
        GUARDRAILS.broken(wrong, VALUE, COST[:, :1], NOW.replace(tzinfo=None))
    for found in ("value and cost", "sends: found shape (2,)", "found nothing of drinks", "no time zone"):
        assert found in str(caught.value)
