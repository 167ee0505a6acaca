"""The text of a filter and the filter are one thing; what is wrong with a text is said all at once, and where."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.audience.chinese import sentence_zh
from features.audience.filter import (
    AllOf,
    AnyOf,
    Bought,
    Compare,
    Everybody,
    InAudience,
    Known,
    Not,
    Registered,
    Span,
    bought,
)
from features.audience.meaning import MOST_CONDITIONS, require_meaning
from features.audience.parser import parse
from features.audience.problems import FilterRefused
from features.audience.tokens import LONGEST_FILTER, UNWRITABLE
from features.audience.vocabulary import LINE_COLUMNS, MEMBER, TERMS

TEXTS = st.text(max_size=12).filter(lambda text: not UNWRITABLE.search(text))
SPANS = st.builds(Span, st.integers(1, 36_500), st.sampled_from("dhm"))
ORDERS = st.sampled_from(("=", "!=", "<", "<=", ">", ">="))
NUMBERS = st.integers(-(10**15), 10**15) | st.floats(-1e15, 1e15)


def _texts(name):
    return st.builds(Compare, st.just(name), st.sampled_from(("=", "!=")), TEXTS) | st.builds(
        Compare, st.just(name), st.just("in"), st.lists(TEXTS, min_size=1, max_size=3).map(tuple)
    )


FEATURES = st.sampled_from([name for name in MEMBER.names if TERMS[name].sort == "number"])
TOTALS = st.builds(Compare, st.sampled_from(("pieces", "spent_fen")), ORDERS, st.integers(0, 10**9))
FREE = [name for name, term in LINE_COLUMNS.items() if not term.choices]
BOUGHT = st.builds(
    Bought,
    st.lists(st.sampled_from(FREE).flatmap(_texts) | TOTALS, max_size=3).map(tuple),
    st.none() | SPANS,
).flatmap(
    lambda one: (
        st.just(one)
        if one.within is None or one.within.seconds <= 60
        else st.sampled_from([one, Bought(one.conditions, one.within, Span(1, "m"))])
    )
)
LEAVES = st.one_of(
    st.sampled_from(("city", "channel", "phone_prefix")).flatmap(_texts),
    st.builds(Compare, st.just("segment"), st.just("in"), st.just(("champions", "lost"))),
    st.builds(Compare, FEATURES, ORDERS, NUMBERS),
    st.builds(Compare, st.just("member_basket_since"), ORDERS, SPANS | NUMBERS),
    st.builds(Known, st.sampled_from(("city", "member_basket_since"))),
    BOUGHT,
    st.builds(Registered, SPANS),
    st.builds(Registered, st.none(), SPANS),
    st.builds(InAudience, TEXTS),
    st.just(Everybody()),
)
MANY_FAULTS = (
    'bougt(category="x") and bought(categry="a", within=90) or cty = "x" and (segment = "champion" or '
    'member_basket_count_90d >= "3"'
)
FILTERS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(AllOf, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=150)
@given(FILTERS)
def test_what_is_printed_reads_back_as_the_same_filter(condition):
    text = str(condition)

    assert parse(text) == condition
    assert str(parse(text)) == text
    assert "\n" not in text
    assert sentence_zh(condition)


def _problems_of(text):
    try:
        parse(text)
    except FilterRefused as refused:
        return refused.problems or pytest.fail("refused for no reason")
    return ()


@settings(deadline=None, max_examples=300)
@given(
    st.text(max_size=60)
    | st.lists(
        st.sampled_from(
            [
                "bought",
                "(",
                ")",
                ",",
                "and",
                "or",
                "not",
                "city",
                "=",
                '"a"',
                "within",
                "90d",
                "3",
                "ever",
                "in",
                "known",
            ]
        ),
        max_size=14,
    ).map(" ".join)
)
def test_any_text_is_read_or_refused_with_places_inside_it(text):
    problems = _problems_of(text)

    if not problems:
        assert parse(str(parse(text))) == parse(text)
    assert all(0 <= problem.at <= len(text) + 1 for problem in problems)
    assert all(problem.sort and problem.expected for problem in problems)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("bought（category=“猕猴桃”，within=90d）", 'bought(category="猕猴桃", within=90d)'),
        ('city=="Chengdu"', 'city = "Chengdu"'),
        ("bought()", "bought(ever)"),
        ("bought(ever, pieces>2)", "bought(pieces>2, ever)"),
        ('  city in ( "a","b" )  ', 'city in ("a", "b")'),
        ("((everybody))", "everybody"),
        ("not everybody and opted_out = 0 or everybody", "(not everybody and opted_out = 0) or everybody"),
    ],
)
def test_other_ways_to_write_it_mean_the_same(text, same):
    assert str(parse(text)) == str(parse(same))
    assert parse(text) == parse(same)


def test_not_binds_before_and_and_and_before_or():
    a, b, c = (Compare("city", "=", one) for one in "abc")

    assert parse('not city = "a" and city = "b" or city = "c"') == AnyOf((AllOf((Not(a), b)), c))
    assert (~a & b) | c == AnyOf((AllOf((Not(a), b)), c))
    assert a & b & c == AllOf((a, b, c))


def test_a_filter_made_in_python_is_the_one_that_is_read():
    made = bought(Compare("baskets", ">=", 2), category=("kiwifruit", "milk"), within=Span(90)) & ~bought(brand="ours")

    assert (
        parse('bought(category in ("kiwifruit", "milk"), baskets>=2, within=90d) and not bought(brand="ours")') == made
    )


@pytest.mark.parametrize(
    ("text", "places", "messages"),
    [
        (
            MANY_FAULTS,
            (1, 32, 52, 59, 74, 98, 128),
            (
                "did you mean 'bought'?",
                "did you mean 'category'?",
                "its unit is missing",
                "did you mean 'city'?",
                "did you mean 'champions'?",
                "a number",
                "a closing bracket )",
            ),
        ),
        ("", (1,), ("everybody, for all members",)),
        ("city = Chengdu", (8,), ("text stands in double quotes",)),
        ("city = 'Chengdu'", (8,), ("text stands in double quotes",)),
        ('city = "Cheng', (8,), ('a closing "',)),
        ('city = "a" city = "b"', (12,), ("and, or, or the end of the filter",)),
        ("everybody)", (10,), ("a bracket that nothing opened",)),
        ('city < "a"', (1,), ("one of = != in",)),
        ('city in "a"', (9,), ("an opening bracket (",)),
        ('city = ("a")', (8,), ("a number, a span of time",)),
        ("member_basket_count_90d > 30d", (1,), ("expected a number",)),
        ("opted_out = 0.5", (1,), ("a whole number",)),
        ('category = "milk"', (1,), ("bought(category=...)",)),
        ("baskets > 3", (1,), ("bought(baskets>=1)",)),
        ("bought(baskets=0)", (8,), ("write not bought(...)",)),
        ("bought(baskets<1)", (8,), ("write not bought(...)",)),
        ("bought(within=30d, before=60d)", (1,), ("shorter than `within`",)),
        ("bought(within=30d, ever)", (20,), ("each time said once",)),
        ("bought(within=0d)", (1,), ("between 1m and 36500d",)),
        ("bought(within=99999999999999d)", (1,), ("between 1m and 36500d",)),
        ("registered()", (1,), ("within=30d or before=365d",)),
        ("registered(ever)", (12,), ("within=30d or before=365d",)),
        ('bought(channel="post")', (8,), ("one of pos, mini_program",)),
        ("member_basket_count_90d > 1e99", (1,), ("1,000,000,000,000,000 either way",)),
        ("known(colour)", (1,), ("an unknown name 'colour'",)),
        ("(" * 60, (41, 61), ("fewer, with parts saved", "a closing bracket )")),
        (f'city = "{"a" * LONGEST_FILTER}"', (LONGEST_FILTER + 1,), ("at most 4,000",)),
    ],
)
def test_every_fault_is_told_at_once_with_its_place_and_a_way_out(text, places, messages):
    with pytest.raises(FilterRefused) as refused:
        parse(text)

    assert tuple(problem.at for problem in refused.value.problems) == places
    assert refused.value.exit_code == 2
    for message, problem in zip(messages, refused.value.problems, strict=True):
        assert message in str(problem)


def test_a_mark_stands_under_each_fault_also_beyond_chinese():
    with pytest.raises(FilterRefused) as refused:
        parse('city = "成都" and cty = "a"')

    _, text, marks, *_ = str(refused.value).splitlines()
    assert text.index("cty") + 2 == marks.index("^")  # two characters before it are two columns wide


def test_a_saved_audience_is_looked_for_where_names_are_given():
    assert parse('audience("a")') == InAudience("a")
    with pytest.raises(FilterRefused, match="did you mean 'regulars'"):
        parse('audience("regular")', ("regulars", "new"))


@pytest.mark.parametrize(
    "condition",
    [
        Compare("city", "=", "a\nb"),
        Compare("city", "in", ()),
        Compare("city", "=", ("a",)),
        Compare("city", "in", "a"),
        Compare("member_basket_count_90d", "=", True),
        Compare("member_basket_count_90d", ">", float("nan")),
        Compare("member_basket_count_90d", ">", float("inf")),
        Compare("member_basket_since", ">", Span(-1)),
        AllOf((Everybody(),)),
        AllOf((Everybody(),) * (MOST_CONDITIONS + 1)),
    ],
)
def test_a_filter_made_in_python_is_held_to_the_same_rules(condition):
    with pytest.raises(FilterRefused):
        require_meaning(condition)
