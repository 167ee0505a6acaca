"""A filter as a Chinese sentence, for people who choose audiences (人群) and do not write filters."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from features.audience.filter import (
    AllOf,
    AnyOf,
    Bought,
    Compare,
    InAudience,
    Known,
    Listed,
    Not,
    Registered,
    Span,
)
from features.audience.segments import SEGMENTS
from features.audience.vocabulary import MEMBER, SEGMENT, TOTALS
from features.wording import meaning_zh

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.audience.filter import Filter, SpanUnit, Value

_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "city": "城市",
        "channel": "注册渠道",
        "phone_prefix": "手机号段",
        "referrer_id": "推荐人",
        "opted_out": "不接收优惠标记",
        "segment": "客户分层",
        "category": "品类",
        "brand": "品牌",
        "product_id": "产品",
        "store_id": "门店",
        "offer_id": "优惠",
        "baskets": "购物次数",
        "pieces": "件数",
        "spent_fen": "消费金额（分）",
    }
)
_TESTS: Final = {"=": "为", "!=": "不为", "<": "小于", "<=": "不超过", ">": "大于", ">=": "不少于", "in": "属于"}
_UNITS: Final[dict[SpanUnit, str]] = {"d": "天", "h": "小时", "m": "分钟"}


def sentence_zh(condition: Filter) -> str:
    """What a filter says, in Chinese.

    >>> from features.audience.parser import parse
    >>> sentence_zh(parse('bought(category="kiwifruit", within=90d) and not bought(brand="Green Ridge")'))
    '最近 90 天买过（品类为“kiwifruit”），且不满足：买过（品牌为“Green Ridge”）'
    """
    match condition:
        case AllOf():
            return "，且".join(map(_bracketed, condition.of))
        case AnyOf():
            return "，或".join(map(_bracketed, condition.of))
        case Not():
            return f"不满足：{_bracketed(condition.part)}"
        case Bought():
            return _bought(condition)
        case _:
            return _of_member(condition)


def _of_member(condition: Filter) -> str:
    match condition:
        case Registered():
            return f"{_when(condition.within, condition.before) or '已'}注册"
        case InAudience():
            return f"属于人群“{condition.name}”"
        case Listed():
            return f"在名单 {condition.digest[:12]} 上"
        case Known():
            return f"{_name(condition.name)}已知"
        case Compare():
            return _compared(condition)
    return "全部会员"


def _bought(condition: Bought) -> str:
    when = _when(condition.within, condition.before)
    of_lines = [_compared(one, channel="渠道") for one in condition.conditions if one.name not in TOTALS]
    of_all = [_compared(one) for one in condition.conditions if one.name in TOTALS]
    which = f"（{'，'.join(of_lines)}）" if of_lines else ""
    return f"{when}买过{which}{'，'.join(['', *of_all])}"


def _compared(condition: Compare, channel: str | None = None) -> str:
    name = channel if channel and condition.name == "channel" else _name(condition.name)
    shown = _value(condition.value, segment=condition.name == SEGMENT.name)
    return f"{name}{_TESTS[condition.test]}{shown}"


def _name(name: str) -> str:
    if name in _NAMES:
        return _NAMES[name]
    return (meaning_zh(MEMBER[name]) if name in MEMBER.names else None) or name


def _value(value: Value, *, segment: bool) -> str:
    if isinstance(value, tuple):
        return "、".join(_value(one, segment=segment) for one in value)
    if isinstance(value, Span):
        return f" {value.number} {_UNITS[value.unit]}"
    if isinstance(value, str):
        return f"“{SEGMENTS.get(value, value) if segment else value}”"
    return f" {value}"


def _when(within: Span | None, before: Span | None) -> str:
    recent = f"最近{_value(within, segment=False)}" if within else ""
    return (
        f"{recent}{'且' if recent and before else ''}{f'{_value(before, segment=False).strip()}以前' if before else ''}"
    )


def _bracketed(part: Filter) -> str:
    return f"（{sentence_zh(part)}）" if isinstance(part, AllOf | AnyOf) else sentence_zh(part)
