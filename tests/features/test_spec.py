import subprocess
import sys

import pytest

from data.errors import UsageError
from features.spec import (
    DAY,
    DAYS_30,
    GAP,
    HOUR,
    LIFETIME,
    MIN_5,
    WEEK,
    FeatureSet,
    Log,
    Where,
    Window,
    column,
    count,
    days,
    derived,
    distinct,
    entropy,
    last,
    maximum,
    mean,
    share,
    since,
    std,
    sum_,
)

SCANS = Log("scans", entities=("member_id", "device_id", ("member_id", "offer_id"), ()))
BASKETS = Log("baskets", entities=("member_id",))
NIGHT = Where("hour", "<", 5, "night")


def test_names_come_from_declarations():
    names = FeatureSet(
        count(SCANS, by="member_id", over=(MIN_5, HOUR, DAY, WEEK, DAYS_30, LIFETIME)),
        count(SCANS, by="member_id", over=WEEK, where=NIGHT),
        distinct(SCANS, "member_id", by="device_id", over=WEEK),
        since(SCANS, by="member_id"),
        since(SCANS, by="member_id", first=True),
        since(SCANS, by="member_id", where=NIGHT),
        share(SCANS, where=NIGHT, by="member_id", over=DAYS_30),
        std(BASKETS, GAP, by="member_id", over=LIFETIME),
        sum_(BASKETS, "amount_fen", by="member_id", over=DAYS_30),
        maximum(SCANS, "prize_fen", by=("member_id", "offer_id"), over=days(3)),
        last(SCANS, "prize_fen", by="member_id"),
        entropy(SCANS, "product_id", by=(), over=WEEK),
    ).names
    assert names == (
        "member_scan_count_5m",
        "member_scan_count_1h",
        "member_scan_count_1d",
        "member_scan_count_7d",
        "member_scan_count_30d",
        "member_scan_count_lifetime",
        "member_scan_count_night_7d",
        "device_distinct_member_7d",
        "member_scan_since",
        "member_scan_since_first",
        "member_scan_since_night",
        "member_scan_share_night_30d",
        "member_std_basket_gap_seconds_lifetime",
        "member_sum_amount_fen_30d",
        "member_offer_max_prize_fen_3d",
        "member_last_prize_fen",
        "everyone_entropy_product_7d",
    )


def test_a_qualified_log_keeps_its_columns_apart():
    lines = Log("offer_lines", entities=("member_id",), noun="offer line", qualified=True)
    both = FeatureSet(
        sum_(BASKETS, "amount_fen", by="member_id", over=DAY), sum_(lines, "amount_fen", by="member_id", over=DAY)
    )
    assert both.names == ("member_sum_amount_fen_1d", "member_sum_offer_line_amount_fen_1d")


def test_meanings_read_as_phrases():
    features = FeatureSet(
        count(SCANS, by="member_id", over=WEEK, where=NIGHT),
        sum_(BASKETS, "amount_fen", by="member_id", over=LIFETIME),
        mean(BASKETS, GAP, by="member_id", over=DAY),
        since(SCANS, by=("member_id", "offer_id")),
        distinct(SCANS, "device_id", by=(), over=LIFETIME, cap=9),
        share(SCANS, where=NIGHT, by="device_id", over=MIN_5, meaning="How nocturnal the device is"),
    )
    assert [feature.meaning for feature in features] == [
        "Number of night scans of this member in the last 7 days",
        "Total amount of the baskets of this member in all time",
        "Average time since the one before of the baskets of this member in the last day",
        "Seconds since the latest of the scans of this member and offer",
        "Number of different device values in the scans of everyone in all time, at most 9",
        "How nocturnal the device is",
    ]
    assert [feature.unit for feature in features] == ["scans", "fen", "seconds", "seconds", "device values", "share"]
    assert all(feature.null_rule for feature in features)


def test_sets_join_and_the_same_declaration_is_one_feature():
    frequency = count(BASKETS, by="member_id", over=DAY)
    assert isinstance(frequency, type(FeatureSet(frequency)["member_basket_count_1d"]))
    joined = FeatureSet(frequency, frequency) + FeatureSet(since(BASKETS, by="member_id"), frequency)
    assert joined.names == ("member_basket_count_1d", "member_basket_since")
    assert len(joined) == 2


def _trend(member_basket_count_1d, member_basket_count_7d):
    return member_basket_count_1d / member_basket_count_7d


TREND = derived("trend", _trend, "share", "Share of the week's baskets that fell on the last day")


def test_a_thinned_set_keeps_what_its_features_are_derived_from():
    everything = FeatureSet(count(BASKETS, by="member_id", over=(DAY, WEEK)), since(BASKETS, by="member_id"), TREND)
    thin = everything.only("trend", "member_basket_count_1d")
    assert thin.names == ("trend", "member_basket_count_1d")
    assert [feature.name for feature in thin.silent] == ["member_basket_count_7d"]
    assert (thin + FeatureSet(since(BASKETS, by="member_id"))).silent == thin.silent
    assert (thin + everything).silent == ()
    with pytest.raises(UsageError, match="no feature 'trent' in the set; did you mean 'trend'"):
        everything.only("trent")


WRONG = """the feature declarations are wrong:
  - store_sum_amount_fen_1d: declared twice with different definitions; rename one, or mark its log `qualified`
  - member_shop_count_1d: log 'shops' is not declared for key 'member_id'; it has ('store_id',)
  - store_shop_count_0d: window '0d' has no length
  - store_distinct_member_lifetime: a lifetime distinct grows for ever in a live state; give it a cap or a window
  - store_distinct_member_7d: cap 0; expected at least 1
  - store_entropy_member_lifetime: a lifetime entropy grows for ever in a live state; give it a window
  - store_shop_count_southern_1d: condition 'southern': text has no order here; use ==, != or in
  - store_shop_count_local_1d: condition 'local': `in` takes a tuple and the other tests one value
  - store_shop_count_near_1d: condition 'near': test '~'; expected one of == != < <= > >= in
  - store_shop_count_near_1d: condition 'near': text has no order here; use ==, != or in
  - store_shop_count_low down_1d: the name is no identifier; use letters, digits and _
  - store_shop_count_low down_1d: condition 'low down': operand (1, 'two'); expected integers or texts of one kind
  - store_shop_count_low down_1d: condition 'low down': the label becomes part of a name; expected one word
  - vague: its function takes input features as plain parameters without defaults
  - short: `of` names 1 inputs, its function takes 2
  - builtin: takes a plain Python function or lambda
  - odd: needs 'store_sum_amount_fen_2d', which is not in the set; did you mean 'store_sum_amount_fen_1d'?
  - hen: is computed from itself through 'egg'
  - egg: is computed from itself through 'hen'"""


def test_all_that_is_wrong_is_said_at_once():
    shops = Log("shops", entities=("store_id",))
    with pytest.raises(UsageError) as refusal:
        FeatureSet(
            count(shops, by="member_id", over=DAY),
            count(shops, by="store_id", over=Window("0d", 0)),
            distinct(shops, "member_id", by="store_id", over=LIFETIME),
            distinct(shops, "member_id", by="store_id", over=WEEK, cap=0),
            entropy(shops, "member_id", by="store_id", over=LIFETIME),
            sum_(shops, "amount_fen", by="store_id", over=DAY),
            sum_(Log("tills", entities=("store_id",)), "amount_fen", by="store_id", over=DAY),
            count(shops, by="store_id", over=DAY, where=Where("city", "<", "Wuhan", "southern")),
            count(shops, by="store_id", over=DAY, where=Where("city", "in", "Wuhan", "local")),
            count(shops, by="store_id", over=DAY, where=Where("city", "~", "Wuhan", "near")),
            count(shops, by="store_id", over=DAY, where=Where("floor", "in", (1, "two"), "low down")),
            derived("odd", lambda store_sum_amount_fen_2d: store_sum_amount_fen_2d, "fen", "Unknown input"),
            derived("hen", lambda egg: egg, "birds", "A circle"),
            derived("egg", lambda hen: hen, "birds", "The same circle"),
            derived("vague", lambda *inputs: inputs[0], "?", "No names"),
            derived("short", lambda part, whole: part / whole, "?", "Too few", of=("egg",)),
            derived("builtin", max, "?", "No source"),
        )
    assert str(refusal.value) == WRONG


def test_a_fact_that_clashes_with_an_aggregate_is_refused():
    with pytest.raises(UsageError, match="member_basket_since: declared twice"):
        FeatureSet(since(BASKETS, by="member_id"), column("member_basket_since", "seconds", "Mine"))


@pytest.mark.parametrize(
    ("module", "banned"),
    [
        ("features.spec", {"numpy", "pyarrow", "numba", "duckdb", "pandas"}),
        ("features.plan", {"numpy", "pyarrow", "numba", "duckdb", "pandas"}),
        ("features.rfm", {"pyarrow", "numba", "duckdb", "pandas"}),
        ("features.offer", {"pyarrow", "numba", "duckdb", "pandas"}),
        ("features.evaluation", {"duckdb", "pandas"}),
    ],
)
def test_declarations_stay_light(module, banned):
    script = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)  # noqa: S603
    assert not banned & set(loaded.stdout.split())
