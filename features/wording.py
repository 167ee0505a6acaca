"""What a feature says of a row, in English and in Chinese, with a gap for its value.

Nothing is worded by hand that can be put together: an operator, whose events, which of them, and how far back. A new
declaration over known words is worded by itself. Derived features and facts of the row have a phrase each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from features.feature import Aggregate, Operator
from features.log import GAP, key_name
from features.network import Ring, RingStatistic
from features.offer_wording import offer_zh
from features.place_wording import place_zh

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.feature import Feature
    from features.window import Window

VALUE: Final = "{value}"
"""Stands in a sentence where the value belongs."""

PLURALS: Final = {"{s}": "s", "{es}": "es"}
"""Stand in an English sentence for the ending that its noun has unless the value is 1."""

_SEEN_AT: Final = {
    "member": "by this member",
    "device": "on this phone",
    "ip": "from this address",
    "ip24": "from this block of addresses",
    "wifi": "on this Wi-Fi",
    "cell": "in this square kilometre",
    "code": "of this code",
    "batch": "of this batch",
    "member_batch": "by this member of this batch",
    "batch_crate": "of this code's crate",
}
_COUNTED: Final = {
    "member_id": "member{s}",
    "device_id": "phone{s}",
    "ip": "address{es}",
    "user_agent": "browser{s}",
    "town": "town{s}",
    "batch_id": "batch{es}",
    "product_id": "product{s}",
    "local_day": "day{s}",
}

ENTITIES_ZH: Final = {
    "member": "该会员",
    "device": "该手机",
    "ip": "该网络地址",
    "ip24": "该地址段",
    "wifi": "该 Wi-Fi ",
    "cell": "该平方公里",
    "code": "该码",
    "batch": "该批次",
    "member_batch": "该会员在该批次",
    "batch_crate": "该码所在的箱",
    "campaign": "该活动",
    "user_agent": "该浏览器",
    "phone_prefix": "该手机号段",
    "referrer": "该推荐人",
    "member_offer": "该会员",
    "member_kind": "该会员就该类券",
    "category": "该品类",
    "product": "该产品",
    "member_category": "该会员在该品类",
    "member_product": "该会员在该产品",
    "store_category": "该门店在该品类",
    "store_product": "该门店在该产品",
}
EVENTS_ZH: Final = {
    "scan": "扫码",
    "verdict": "判定",
    "payout": "提现",
    "registration": "注册",
    "referral": "推荐",
    "basket": "购物",
    "order_line": "购买明细",
    "offer_line": "该券适用商品购买",
    "offer_category_line": "该券适用品类购买",
    "send": "收券",
    "redemption": "核销",
}
CONDITIONS_ZH: Final = {
    "valid": "有效",
    "failed": "失败（重复、未激活或伪造）",
    "inactive": "激活前",
    "forged": "伪造码",
    "linked": "由链接打开",
    "night": "夜间（0–5 点）",
    "winning": "中奖",
    "new_member": "新会员（入会不足 7 天）",
    "wool": "羊毛党",
    "direct": "直接",
    "indirect": "间接",
    "within_5s": "间隔不足 5 秒的",
    "within_10s": "间隔不足 10 秒的",
    "discounted": "打折",
    "couponed": "用券",
    "treated": "实际",
    "mini_program": "小程序",
}
COLUMNS_ZH: Final = {
    "member_id": "会员",
    "device_id": "手机",
    "ip": "网络地址",
    "user_agent": "浏览器",
    "town": "城镇",
    "batch_id": "批次",
    "product_id": "产品",
    "account_id": "收款账户",
    "local_hour": "时段",
    "local_day": "日期",
    "category": "品类",
    "prize_fen": "奖金",
    "amount_fen": "金额",
    "serial": "序列号",
    "order_id": "订单",
    "coupon_discount_fen": "用券优惠金额",
    GAP: "间隔时间",
}
OPERATORS_ZH: Final = {
    Operator.COUNT: "{whose}{when}的{which}{event}次数",
    Operator.SUM: "{whose}{when}{which}{event}的{column}合计",
    Operator.MEAN: "{whose}{when}{which}{event}的平均{column}",
    Operator.STD: "{whose}{when}{which}{event}的{column}标准差",
    Operator.MIN: "{whose}{when}{which}{event}的最小{column}",
    Operator.MAX: "{whose}{when}{which}{event}的最大{column}",
    Operator.DISTINCT: "{whose}{when}{which}{event}涉及的不同{column}数",
    Operator.ENTROPY: "{whose}{when}{which}{event}在各{column}间的分散程度（熵）",
    Operator.SHARE: "{whose}{when}{event}中{which}的占比",
    Operator.SINCE: "距{whose}上一次{which}{event}的时间",
    Operator.SINCE_FIRST: "距{whose}首次{which}{event}的时间",
    Operator.LAST: "{whose}最近一次{which}{event}的{column}",
}
RINGS_ZH: Final = {
    RingStatistic.NODES: "{ring}的{column}数",
    RingStatistic.EDGES: "{ring}中会员与手机或收款账户的关联对数",
    RingStatistic.RECENT: "{ring}中{when}首次出现的会员数",
    RingStatistic.MARKS: "{ring}成员已得到的判定数",
    RingStatistic.BAD_MARKS: "{ring}成员得到的羊毛党判定数",
    RingStatistic.BAD_NODES: "{ring}中已被判为羊毛党的会员数",
}
PHRASES_ZH: Final = {
    "gap_variation_7d": "{whose}最近 7 天扫码间隔的不均匀程度（接近 0 像机器，1 以上像人）",
    "new_member_share_1d": "最近 1 天在{whose}出现的会员中入会不足 7 天者的占比",
    "burst_1h": "{whose}最近 1 小时扫码量相对平时的倍数",
    "kmh": "从{whose}上一次扫码地点到此处所需的速度",
    "usual_km": "此次扫码离{whose}最近 30 天常在地点的距离",
    "serial_step": "与{whose}在本批次上一次所扫序列号的步距（1 为逐个连扫）",
    "share_1d": "该会员最近 1 天的扫码中属于该批次的占比",
    "scanned_share_1d": "{whose}最近 1 天的扫码量与批次总码数之比",
    "registration_to_scan_seconds": "{whose}从入会到首次扫码的时间",
    "referral_branching": "{whose}所推荐的会员平均又推荐了几人",
    "luck_30d": "{whose}最近 30 天中奖次数超出设定概率的程度（标准差数）",
    "prize_to_payout_seconds": "{whose}从最近一次中奖到提现的时间",
    "wool_rate_30d": "{whose}最近 30 天的判定中羊毛党的占比（判定少时向 5% 收缩）",
    "ring_density": "{whose}所在关联圈中可能的关联对里已出现的占比",
    "ring_growth_1d": "{whose}所在关联圈中最近 1 天首次出现的会员占比",
    "ring_new_share_7d": "{whose}所在关联圈中最近 7 天首次出现的会员占比",
    "ring_wool_share": "{whose}所在关联圈的判定中羊毛党的占比",
    "scan_ring_members": "此次扫码的会员与手机所在关联圈中较大者的会员数",
    "recency_over_cadence": "距{whose}上一次购物的时间相对其通常间隔的倍数",
    "frequency_trend": "{whose}最近 90 天的购物中发生在最近 30 天的占比",
    "local_hour": "扫码时的当地钟点",
    "campaign_age_seconds": "活动开始至今的时间",
    "activation_lag_seconds": "该批次激活至今的时间",
    "shipping_lag_seconds": "该批次出厂至今的时间",
    "batch_active": "该批次是否已激活（1 为是）",
    "region_mismatch": "该批次的发货地区是否与会员所在城市不同（1 为是）",
    "registration_age_seconds": "会员入会至今的时间",
}
"""By the name of a feature without its entity, or by the whole name."""

_SPANS_ZH: Final = ((86_400_000_000, "天"), (3_600_000_000, "小时"), (60_000_000, "分钟"))


def sentence(feature: Feature) -> str:
    """One English sentence without its full stop: ``{value} member{s} scanned on this phone in the last day``."""
    words = _counted(feature) if isinstance(feature, Aggregate) else None
    if words is not None:
        return words
    meaning = feature.meaning.strip().rstrip(".")
    return f"{meaning[:1].upper()}{meaning[1:]}: {VALUE}"


def sentence_zh(feature: Feature) -> str | None:
    """The same in Chinese: ``该手机最近 1 天扫码涉及的不同会员数：{value}``; None without words for the declaration."""
    meaning = meaning_zh(feature)
    return None if meaning is None else f"{meaning}：{VALUE}"


def meaning_zh(feature: Feature) -> str | None:
    """What a feature says in retail terms, in Chinese; None where a word of its declaration is not in the tables."""
    if isinstance(feature, Aggregate):
        return _aggregate_zh(feature)
    if isinstance(feature, Ring):
        return _ring_zh(feature)
    return _phrase_zh(feature.name)


def _counted(feature: Aggregate) -> str | None:
    """A count of scans, or of what took part in them, as an English sentence; None for anything else."""
    where = _SEEN_AT.get(key_name(feature.key))
    if where is None or feature.log.event != "scan":
        return None
    when = feature.window.phrase if feature.window.microseconds else "so far"
    if feature.operator is Operator.COUNT and (feature.where is None or feature.where.test != "<"):
        which = f"{feature.where.label.replace('_', ' ')} " if feature.where else ""
        return f"{VALUE} {which}scan{{s}} {where} {when}"
    if feature.operator is Operator.DISTINCT and feature.where is None and feature.column in _COUNTED:
        if feature.column == "member_id":
            return f"{VALUE} {_COUNTED[feature.column]} scanned {_on(where)} {when}"
        return f"{VALUE} {_COUNTED[feature.column]} in the scans {where} {when}"
    return None


def _on(where: str) -> str:
    """Members scan a code, and not of it."""
    return where.removeprefix("of ")


def _aggregate_zh(feature: Aggregate) -> str | None:
    words = {
        "whose": ENTITIES_ZH.get(key_name(feature.key)),
        "event": EVENTS_ZH.get(feature.log.event),
        "which": CONDITIONS_ZH.get(feature.where.label) if feature.where else "",
        "column": COLUMNS_ZH.get(feature.column) if feature.column else "",
        "when": _when_zh(feature.window),
    }
    return _filled(OPERATORS_ZH[feature.operator], words)


def _ring_zh(feature: Ring) -> str | None:
    whose = ENTITIES_ZH.get(key_name(feature.key))
    words = {
        "ring": None if whose is None else f"{whose}所在关联圈",
        "column": COLUMNS_ZH.get(feature.column) if feature.column else "",
        "when": _when_zh(feature.window) if feature.window else "",
    }
    return _filled(RINGS_ZH[feature.statistic], words)


def _phrase_zh(name: str) -> str | None:
    if name in PHRASES_ZH:
        return PHRASES_ZH[name]
    for entity in sorted(ENTITIES_ZH, key=len, reverse=True):
        phrase = PHRASES_ZH.get(name.removeprefix(f"{entity}_"))
        if name.startswith(f"{entity}_") and phrase is not None:
            return phrase.format(whose=ENTITIES_ZH[entity])
    return place_zh(name) or offer_zh(name)


def _filled(template: str, words: Mapping[str, str | None]) -> str | None:
    known = {name: word for name, word in words.items() if word is not None}
    return template.format(**known) if len(known) == len(words) else None


def _when_zh(window: Window) -> str:
    if window.microseconds is None:
        return "至今"
    length, name = next(((length, name) for length, name in _SPANS_ZH if window.microseconds % length == 0), (0, ""))
    return f"最近 {window.microseconds // length} {name}" if length else f"最近 {window.microseconds / 1e6:g} 秒"
