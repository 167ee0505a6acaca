from __future__ import annotations

import re

import pytest

from features.coupon import COUPON
from features.next_purchase import NEXT_CATEGORY, NEXT_PRODUCT
from features.offered import OFFERED
from features.place import PlaceSettings, declared
from features.place_wording import place_zh
from features.rfm import RFM
from features.ring import RING
from features.scan import SCAN
from features.spec import DAY, FeatureSet, Log, Where, column, count, days, distinct, sum_
from features.surroundings import Around
from features.wording import VALUE, meaning_zh, sentence, sentence_zh

RISK = SCAN + RING + RFM
SCANS = Log("scans", entities=("member_id", "device_id", "till_id"))


ALL = {"risk": RISK, "coupon": COUPON, "offers": OFFERED, "category": NEXT_CATEGORY, "product": NEXT_PRODUCT}
EACH = {feature.name: feature for features in ALL.values() for feature in features}


@pytest.mark.parametrize("feature", EACH.values(), ids=EACH)
def test_every_feature_of_a_task_speaks_both_languages(feature) -> None:
    chinese = sentence_zh(feature)

    assert sentence(feature).count(VALUE) == 1
    assert chinese is not None
    assert chinese.count(VALUE) == 1
    assert re.search("[\u4e00-\u9fff]", chinese)
    assert "{" not in chinese.replace(VALUE, "")


@pytest.mark.parametrize("features", ALL.values(), ids=ALL)
def test_no_two_features_of_a_task_say_the_same(features) -> None:
    assert len({sentence_zh(feature) for feature in features}) == len(features)
    assert len({sentence(feature) for feature in features}) == len(features)


@pytest.mark.parametrize(
    ("name", "english", "chinese"),
    [
        (
            "device_distinct_member_1d",
            "{value} member{s} scanned on this phone in the last day",
            "该手机最近 1 天扫码涉及的不同会员数：{value}",
        ),
        (
            "code_distinct_member_lifetime",
            "{value} member{s} scanned this code so far",
            "该码至今扫码涉及的不同会员数：{value}",
        ),
        (
            "member_scan_count_valid_1d",
            "{value} valid scan{s} by this member in the last day",
            "该会员最近 1 天的有效扫码次数：{value}",
        ),
        ("member_kmh", None, "从该会员上一次扫码地点到此处所需的速度：{value}"),
        ("member_offer_offer_line_count_30d", None, "该会员最近 30 天的该券适用商品购买次数：{value}"),
        ("member_batch_share_1d", None, "该会员最近 1 天的扫码中属于该批次的占比：{value}"),
        ("device_ring_recent_members_7d", None, "该手机所在关联圈中最近 7 天首次出现的会员数：{value}"),
    ],
)
def test_a_sentence_is_put_together_from_the_declaration(name: str, english: str | None, chinese: str) -> None:
    feature = EACH[name]
    meaning = feature.meaning

    assert sentence(feature) == (english or f"{meaning}: {VALUE}")
    assert sentence_zh(feature) == chinese


def test_a_new_declaration_over_known_words_is_worded_by_itself() -> None:
    night = Where("local_hour", "<", 5, "night")
    new = FeatureSet(
        count(SCANS, by="member_id", over=days(3), where=night), distinct(SCANS, "ip", by="device_id", over=DAY)
    )

    assert [meaning_zh(feature) for feature in new] == [
        "该会员最近 3 天的夜间（0–5 点）扫码次数",
        "该手机最近 1 天扫码涉及的不同网络地址数",
    ]


def test_a_word_that_is_not_known_leaves_the_chinese_out() -> None:
    strange = FeatureSet(
        count(SCANS, by="till_id", over=DAY),
        count(SCANS, by="member_id", over=DAY, where=Where("mood", "==", "glad", "glad")),
        sum_(SCANS, "steps", by="member_id", over=DAY),
        column("tariff", "fen", "The tariff"),
    )

    assert [sentence_zh(feature) for feature in strange] == [None] * 4


@pytest.mark.parametrize("name", declared().names)
def test_every_feature_of_a_spot_has_chinese_words_of_its_own(name: str) -> None:
    said = place_zh(name)

    assert said is not None
    assert re.search("[\u4e00-\u9fff]", said)
    assert [other for other in declared().names if place_zh(other) == said] == [name]


def test_distances_and_further_columns_are_worded_from_the_name() -> None:
    wide = declared(("jobs", "rent"), PlaceSettings(around=Around(400, 1500, 5000)))

    assert [place_zh(name) for name in wide.names if name.startswith(("population", "rent"))] == [
        "周边 1.5 公里的常住人口",
        "周边 5 公里的常住人口",
        "周边 5 公里的常住人口（按距离衰减）",
        "周边 5 公里的 rent（按距离衰减）",
    ]
    assert (place_zh("is_format_express"), place_zh("is_format_kiosk")) == ("业态为便捷店", "业态为 kiosk")
    assert place_zh("member_basket_since") is None
