from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from serving.manifest import Feature
from serving.reasons import explain
from serving.site_answers import sales_effect

FEATURES = (
    Feature("member_basket_since", "seconds", "Time since the last basket", "null without one"),
    Feature("member_spend", "fen", "money spent in 30 days.", "never null"),
    Feature("member_share", "share", "Share of spend in this category", "null without spend"),
    Feature("member_count", "baskets", "Baskets in 30 days", "never null"),
)


def test_the_strongest_reasons_come_first_in_words() -> None:
    reasons = explain(FEATURES, np.float32([3 * 86_400, 125_050, 0.125, 4]), np.array([0.1, -0.5, 0.3, 0.0]), most=3)

    assert [reason.feature for reason in reasons] == ["member_spend", "member_share", "member_basket_since"]
    assert [reason.sentence for reason in reasons] == [
        "Money spent in 30 days: 125,050 fen; this lowers the chance.",
        "Share of spend in this category: 12.5 %; this raises the chance.",
        "Time since the last basket: 3 days; this raises the chance.",
    ]
    assert reasons[0].value == 125_050
    assert reasons[0].contribution == -0.5


def test_what_is_not_known_can_be_a_reason() -> None:
    (reason,) = explain(FEATURES[:1], np.float32([np.nan]), np.array([-0.2]))

    assert reason.value is None
    assert reason.sentence == "Time since the last basket: not known; this lowers the chance."


def test_a_feature_that_moved_nothing_is_no_reason() -> None:
    assert explain(FEATURES, np.zeros(4, np.float32), np.zeros(4)) == ()


def test_equal_contributions_keep_the_order_of_the_features() -> None:
    reasons = explain(FEATURES, np.zeros(4, np.float32), np.array([0.1, -0.1, 0.1, -0.1]), most=4)

    assert [reason.feature for reason in reasons] == [feature.name for feature in FEATURES]


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.0, "0 seconds"), (90.0, "1.5 minutes"), (7_200.0, "2 hours"), (8_640_000.0, "100 days")]
)
def test_seconds_are_said_in_the_unit_that_fits(seconds: float, said: str) -> None:
    (reason,) = explain(FEATURES[:1], np.float32([seconds]), np.array([1.0]))

    assert f": {said};" in reason.sentence


PHONE = Feature(
    "device_distinct_member_1d",
    "member values",
    "Number of different member values in the scans of this device in the last day",
    "0 without such events",
    code="SHARED_DEVICE",
    sentence="{value} member{s} scanned on this phone in the last day",
    sentence_zh="该手机最近 1 天扫码涉及的不同会员数：{value}",
    usual=1.0,
)
SINCE = Feature(
    "device_scan_since_first",
    "seconds",
    "Seconds since this device was first seen",
    "null before",
    sentence_zh="距该手机首次扫码的时间：{value}",
    usual=20 * 86_400.0,
)


def test_a_reason_says_its_number_and_the_usual_one_in_both_languages() -> None:
    phone, since = explain((PHONE, SINCE), np.float32([11, 5_400]), np.array([2.0, 1.0]))

    assert phone.sentence == "11 members scanned on this phone in the last day; usual is 1; this raises the chance."
    assert phone.sentence_zh == "该手机最近 1 天扫码涉及的不同会员数：11，通常为 1，这使概率升高。"
    assert (phone.code, phone.usual, phone.value) == ("SHARED_DEVICE", 1.0, 11.0)
    assert since.sentence == (
        "Seconds since this device was first seen: 1.5 hours; usual is 20 days; this raises the chance."
    )
    assert since.sentence_zh == "距该手机首次扫码的时间：1.5 小时，通常为 20 天，这使概率升高。"


def test_what_is_not_known_is_said_beside_what_is_usual() -> None:
    (phone,) = explain((PHONE,), np.float32([np.nan]), np.array([-0.5]))

    assert phone.sentence == (
        "Number of different member values in the scans of this device in the last day: not known; usual is 1; "
        "this lowers the chance."
    )
    assert phone.sentence_zh == "该手机最近 1 天扫码涉及的不同会员数：未知，通常为 1，这使概率降低。"


def test_a_feature_without_chinese_words_says_none() -> None:
    (reason,) = explain(FEATURES[:1], np.float32([60]), np.array([1.0]))

    assert reason.sentence_zh is None
    assert (reason.code, reason.usual) == ("OTHER", None)


def test_one_is_said_in_the_singular() -> None:
    (phone,) = explain((PHONE,), np.float32([1]), np.array([-0.5]))

    assert phone.sentence == "1 member scanned on this phone in the last day; usual is 1; this lowers the chance."


FLOOR = Feature("sales_floor_m2", "square metres", "Sales floor", "", sentence_zh="营业面积：{value}", usual=315.0)
EXPRESS = Feature(
    "is_format_express", "yes or no", "Its format is express", "", sentence_zh="业态为便捷店：{value}", usual=0.0
)


def test_reasons_of_a_forecast_of_sales_speak_of_money() -> None:
    floor, express = explain(
        (FLOOR, EXPRESS), np.float32([561, 1]), np.array([0.25, -0.05]), effect=partial(sales_effect, 1.5e9)
    )

    assert floor.sentence == "Sales floor: 561 m²; usual is 315 m²; this adds about ¥3.3 M a year."
    assert floor.sentence_zh == "营业面积：561 平方米，通常为 315 平方米，这使年销售额增加约 332 万元。"
    assert express.sentence == "Its format is express: yes; usual is no; this takes off about ¥769 k a year."
    assert express.sentence_zh == "业态为便捷店：是，通常为 否，这使年销售额减少约 77 万元。"
