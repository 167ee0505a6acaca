"""Who satisfies a filter: the SQL against a judge that reads rows one by one, and what the clock lets it see."""

from __future__ import annotations

import operator
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.errors import DataError, UsageError
from data.sources import open_folder
from features.audience.filter import (
    AllOf,
    AnyOf,
    Bought,
    Compare,
    Everybody,
    Known,
    Not,
    Registered,
    Span,
)
from features.audience.parser import parse
from features.audience.population import population

ORDERS = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda value, among: value in among,
}


class Judge:
    """What a filter means, said once more and slowly."""

    def __init__(self, rows, at):
        self.at = at
        products = {row["product_id"]: row for row in rows["products"]}
        first = {}
        for row in rows["orders"]:
            seen_at = row["received_at"] or row["ts"]
            line = {**row, **products[row["product_id"]], "seen_at": seen_at}
            if row["line_id"] not in first or seen_at < first[row["line_id"]]["seen_at"]:
                first[row["line_id"]] = line
        self.lines = [line for line in first.values() if line["seen_at"] < at]
        self.members = [row for row in rows["members"] if row["registered_at"] is None or row["registered_at"] < at]

    def chosen(self, condition):
        return tuple(row["member_id"] for row in self.members if self.holds(condition, row))

    def holds(self, condition, member):
        match condition:
            case Not():
                return not self.holds(condition.part, member)
            case AllOf():
                return all(self.holds(part, member) for part in condition.of)
            case AnyOf():
                return any(self.holds(part, member) for part in condition.of)
        return self._holds(condition, member)

    def _holds(self, condition, member):
        match condition:
            case Compare():
                return _compared(condition, member[condition.name])
            case Known():
                return member[condition.name] is not None
            case Registered():
                at = member["registered_at"]
                return at is not None and self._between(at, condition)
            case Bought():
                return self._bought(condition, member["member_id"])
        return True

    def _between(self, at, condition):
        early = condition.within is None or at >= self.at - condition.within.length
        return early and (condition.before is None or at < self.at - condition.before.length)

    def _bought(self, condition, member_id):
        totals = ("baskets", "pieces", "spent_fen")
        lines = [
            line
            for line in self.lines
            if line["member_id"] == member_id
            and self._between(line["seen_at"], condition)
            and all(_compared(one, line.get(one.name)) for one in condition.conditions if one.name not in totals)
        ]
        sums = {
            "baskets": len({line["order_id"] for line in lines}),
            "pieces": sum(line["quantity"] for line in lines),
            "spent_fen": sum(line["amount_fen"] for line in lines),
        }
        return bool(lines) and all(_compared(one, sums[one.name]) for one in condition.conditions if one.name in totals)


def _compared(condition, value):
    return value is not None and ORDERS[condition.test](value, condition.value)


def _one(name, *values):
    return st.builds(Compare, st.just(name), st.sampled_from(("=", "!=")), st.sampled_from(values)) | st.builds(
        Compare, st.just(name), st.just("in"), st.sampled_from([values[:2], values[-1:]])
    )


SPANS = st.none() | st.sampled_from([Span(1), Span(30), Span(90), Span(24 * 29, "h")])
LINE = st.one_of(
    _one("category", "kiwifruit", "milk", "tea"),
    _one("brand", "ours", "theirs"),
    _one("store_id", "s1", "s2"),
    _one("channel", "pos", "mini_program"),
    st.builds(
        Compare, st.sampled_from(("pieces", "spent_fen")), st.sampled_from(list(ORDERS)[:6]), st.integers(0, 700)
    ),
    st.builds(Compare, st.just("baskets"), st.sampled_from((">=", ">")), st.integers(0, 3)),
)
PURCHASES = st.builds(Bought, st.lists(LINE, max_size=2).map(tuple), SPANS, st.none()) | st.builds(
    Bought, st.lists(LINE, max_size=1).map(tuple), st.just(Span(91)), st.sampled_from([Span(30), Span(29)])
)
LEAVES = st.one_of(
    _one("city", "Chengdu", "成都", "Wuhan"),
    _one("channel", "scan", "friend"),
    st.builds(Compare, st.just("opted_out"), st.sampled_from(("=", "!=", ">=")), st.integers(0, 1)),
    st.builds(Known, st.sampled_from(("city", "opted_out"))),
    st.builds(Registered, st.sampled_from([Span(30), Span(10)])),
    st.builds(Registered, st.none(), st.sampled_from([Span(30), Span(9)])),
    PURCHASES,
    PURCHASES,
    st.just(Everybody()),
)
FILTERS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(AllOf, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def everybody(brand, moment):
    with population(brand, moment) as opened:
        yield opened


@pytest.fixture(scope="module")
def judge(brand_rows, moment):
    return Judge(brand_rows, moment)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(condition=FILTERS)
def test_sql_chooses_whom_the_judge_chooses(everybody, judge, condition):
    chosen = everybody.select(condition)

    assert chosen.preview(100) == judge.chosen(condition)
    assert chosen.everybody == len(judge.members)
    assert chosen.preview(3) == judge.chosen(condition)[:3]


def test_the_judge_chooses_some_and_not_all(judge):
    sizes = [
        len(judge.chosen(parse(text)))
        for text in (
            "bought(within=30d)",
            "not bought(ever)",
            'bought(brand="ours", baskets>=2)',
            "registered(within=30d)",
        )
    ]

    assert all(0 < size < len(judge.members) for size in sizes)


def test_a_null_satisfies_nothing_and_not_turns_it_into_a_yes(everybody):
    sizes = {
        text: everybody.select(parse(text)).size
        for text in ('city = "Wuhan"', 'city != "Wuhan"', 'not city = "Wuhan"', "not known(city)")
    }

    assert sizes["not known(city)"] > 0
    assert sizes['not city = "Wuhan"'] == sizes['city != "Wuhan"'] + sizes["not known(city)"]
    assert sizes['city = "Wuhan"'] + sizes['not city = "Wuhan"'] == everybody.size


def test_features_are_those_of_the_engine_and_compared_as_float32(everybody):
    table = everybody.features(["member_basket_count_90d", "member_mean_amount_fen_365d", "member_basket_since"])
    counts = np.array(table["member_basket_count_90d"])
    ids = np.array(table["member_id"])
    means = [one for one in table["member_mean_amount_fen_365d"].to_pylist() if one and one % 1]
    exact = [float(Fraction(one).limit_denominator(40)) for one in means]

    chosen = everybody.select(parse("member_basket_count_90d >= 2"))
    assert chosen.preview(100) == tuple(ids[counts >= 2])
    assert 0 < chosen.size < everybody.size
    assert any(one != mean for one, mean in zip(exact, means, strict=True))  # 400 / 3 is no float32
    for one in exact:
        assert everybody.select(parse(f"member_mean_amount_fen_365d = {one}")).size >= 1
    near = [value is not None and value <= 86_400 * 5 for value in table["member_basket_since"].to_pylist()]
    assert everybody.select(parse("member_basket_since <= 5d")).preview(100) == tuple(ids[near])
    unknown = everybody.select(parse("not known(member_basket_since)"))
    assert unknown.size == table["member_basket_since"].null_count > 0


def test_segments_are_asked_like_columns(everybody):
    sizes = [everybody.select(parse(f'segment = "{name}"')).size for name in ("never_bought", "champions", "lost")]

    assert sizes[0] == everybody.select(parse("not known(member_basket_since)")).size
    assert everybody.select(parse('segment in ("never_bought", "champions", "lost")')).size == sum(sizes)


def test_what_comes_later_changes_nothing(brand, brand_rows, moment):
    texts = ("bought(within=30d)", "not bought(ever)", 'segment in ("champions", "loyal")', "registered(within=30d)")
    earlier = moment - timedelta(days=30)
    judge = Judge(brand_rows, earlier)
    with population(brand, earlier) as then:
        for text in (texts[0], texts[1], texts[3]):
            assert then.select(parse(text)).preview(100) == judge.chosen(parse(text))
        assert then.newest_purchase() == max(line["seen_at"] for line in judge.lines)
        assert then.newest_purchase() < earlier


def test_a_moment_is_the_same_in_every_zone(brand, moment):
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - needed here alone

    condition = parse("bought(within=30d)")
    with population(brand, moment) as one, population(brand, moment.astimezone(ZoneInfo("Asia/Shanghai"))) as two:
        assert one.select(condition).preview(100) == two.select(condition).preview(100)
        assert one.at == two.at
        assert two.at.utcoffset() == timedelta(0)


def test_values_are_never_part_of_the_query(everybody):
    hostile = "x' OR 1=1 -- \" ); DROP TABLE members"

    assert everybody.select(Compare("city", "=", hostile)).size == 0
    assert everybody.select(Bought((Compare("brand", "=", hostile),))).size == 0
    assert everybody.select(Everybody()).size == everybody.size


def test_a_moment_without_zone_is_wrong_usage(brand):
    with pytest.raises(UsageError, match="a time without zone"), population(brand, datetime(2025, 1, 1)):  # noqa: DTZ001
        pass


def test_before_anybody_joined_there_is_nobody_to_choose(tmp_path):
    (tmp_path / "members.csv").write_text("member_id,registered_at\nm1,2025-01-01T00:00:00Z\n")
    data_set = open_folder(tmp_path)

    with (
        pytest.raises(DataError, match="nobody who had registered"),
        population(data_set, datetime(2025, 1, 1, tzinfo=UTC)),
    ):
        pass
    with population(data_set, datetime(2025, 1, 2, tzinfo=UTC)) as opened:
        assert opened.select(parse("registered(within=1d)")).preview(2) == ("m1",)
        assert opened.newest_purchase() is None
        with pytest.raises(DataError, match="orders"):
            opened.select(parse("bought()"))
        with pytest.raises(DataError, match="scans"):
            opened.select(parse("member_scan_count_7d > 0"))


def test_without_members_there_is_nobody_to_choose_from(tmp_path):
    (tmp_path / "products.csv").write_text("product_id,category,brand\np1,tea,ours\n")

    with (
        pytest.raises(DataError, match="found no table members"),
        population(open_folder(tmp_path), datetime(2025, 1, 1, tzinfo=UTC)),
    ):
        pass


@pytest.mark.parametrize("total", ["baskets", "pieces", "spent_fen"])
@pytest.mark.parametrize("least", [1, 2, 3, 5, 400])
def test_totals_are_of_baskets_and_not_of_lines(everybody, judge, total, least):
    for text in (f"bought({total}>={least})", f'bought(brand="ours", {total}<={least}, within=90d)'):
        assert everybody.select(parse(text)).preview(100) == judge.chosen(parse(text))
