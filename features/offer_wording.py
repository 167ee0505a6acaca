"""What is worked out about coupons and purchases (千人千券), in Chinese: derived features and facts of an offer.

Aggregates are worded by `features.wording` from their declarations; a derived feature has only its name and a phrase.
"""

from __future__ import annotations

import re
from typing import Final

_WHEN: Final = re.compile(r"_(?:(?P<days>\d+)d|lifetime)$")
_OF_OFFER: Final = {"offer_line": "该券适用商品", "offer_category_line": "该券适用品类"}
_OF_THING: Final = {"category": "该品类", "product": "该产品"}

_FACTS: Final = {
    "offer_product_count": "该券适用的产品数",
    "campaign_days": "该券所属活动的天数",
    "campaign_send_count": "该活动发送的会员数",
    "face_value_fen": "该券的面额",
    "threshold_fen": "该券的使用门槛金额",
    "offer_depth": "面额占使用门槛金额的比例",
    "offer_of_one_brand": "该券是否只适用于一个品牌（1 为是）",
    "offer_price_fen": "该券适用产品的平均标价",
    "offer_margin_fen": "该券适用产品的平均单件毛利",
    "registration_age_days": "会员入会至今的天数（最多计 365 天）",
    "member_redemption_rate": "该会员至今所收券的核销占比（收券少时向 10% 收缩）",
    "member_kind_redemption_rate": "该会员至今所收该类券的核销占比（收券少时向 10% 收缩）",
    "member_coupon_events_a_month": "该会员平均每月的用券次数",
    "member_coupon_days": "距该会员上一次用券的天数（最多计 90 天）",
    "member_redemption_days": "距该会员上一次核销的天数（最多计 90 天）",
    "week_temperature_c": "会员所在城市前一周的平均气温",
    "week_rain_mm": "会员所在城市前一周的日均降雨量",
    "product_share_of_category": "该会员最近 180 天该品类购买明细中属于该产品的占比",
    "product_popularity_in_category": "所有会员最近 30 天该品类购买明细中属于该产品的占比",
}
_OF_A_WINDOW: Final = {
    "member_offer_fatigue": "该会员{when}收到而未核销的券数（疲劳度）",
    "member_coupon_events": "该会员{when}的用券次数（含整本核销）",
    "member_coupon_events_a_basket": "该会员{when}平均每次购物的用券次数（购物少时向 0 收缩）",
    **{
        f"member_offer_wallet_share_{line}": f"该会员{{when}}的消费中花在{what}上的占比"
        for line, what in _OF_OFFER.items()
    },
    **{f"member_offer_{line}_share": f"该会员{{when}}的购买明细中属于{what}的占比" for line, what in _OF_OFFER.items()},
    **{
        f"member_{thing}_basket_share": f"该会员{{when}}的购物中含{what}的占比（购物少时向 0 收缩）"
        for thing, what in _OF_THING.items()
    },
}
"""By the name without its window."""

_PLAIN: Final = {
    **_FACTS,
    **{
        f"member_offer_{line}_days": f"距该会员上一次购买{what}的天数（最多计 90 天）"
        for line, what in _OF_OFFER.items()
    },
    **{
        f"member_offer_{line}_days_couponed": f"距该会员上一次用券购买{what}的天数（最多计 90 天）"
        for line, what in _OF_OFFER.items()
    },
    **{
        f"member_{thing}_lines_a_basket": f"该会员平均每次购物中{what}的明细数（购物少时向 0 收缩）"
        for thing, what in _OF_THING.items()
    },
    **{
        f"member_{thing}_overdue": f"距该会员上一次购买{what}的时间相对其通常间隔的倍数"
        for thing, what in _OF_THING.items()
    },
    **{f"{thing}_trend": f"{what}最近 90 天的购买明细中发生在最近 30 天的占比" for thing, what in _OF_THING.items()},
    **{f"{thing}_repeat_rate": f"最近 90 天买过{what}的会员平均的购买明细数" for thing, what in _OF_THING.items()},
    **{f"{thing}_temperature_gap_c": f"该周气温比通常购买{what}的日子高出的度数" for thing, what in _OF_THING.items()},
    **{f"{thing}_rain_gap_mm": f"该周降雨比通常购买{what}的日子多出的毫米数" for thing, what in _OF_THING.items()},
}


def offer_zh(name: str) -> str | None:
    """What a derived feature or a fact of coupons and purchases says, in Chinese; None where it is none of them.

    >>> offer_zh("member_offer_fatigue_14d")
    '该会员最近 14 天收到而未核销的券数（疲劳度）'
    >>> offer_zh("offer_depth")
    '面额占使用门槛金额的比例'
    """
    if name in _PLAIN:
        return _PLAIN[name]
    found = _WHEN.search(name)
    phrase = _OF_A_WINDOW.get(name[: found.start()]) if found else None
    if found is None or phrase is None:
        return None
    return phrase.format(when="至今" if found["days"] is None else f"最近 {found['days']} 天")
