"""The rules that come before any price, by code and in words: why an offer is not for this member, now.

A code is a promise to whoever counts reasons or answers shoppers by them: codes may be added, none changes its number.
"""

from __future__ import annotations

from enum import IntFlag
from typing import Final

import msgspec


class Rule(IntFlag):
    """Why an offer is ruled out; several may hold at once."""

    FRAUD_RISK = 1
    OPTED_OUT = 2
    SENT_TOO_OFTEN = 4
    SENT_LATELY = 8
    REDEEMED_LATELY = 16
    BELOW_MARGIN_FLOOR = 32
    FACE_ABOVE_MARGIN = 64
    OUTSIDE_WINDOW = 128
    OTHER_CATEGORY = 256
    OTHER_REGION = 512
    OTHER_SEGMENT = 1024
    OUT_OF_STOCK = 2048
    HOLDOUT = 4096


class RuleReason(msgspec.Struct, frozen=True):
    """One rule that an offer breaks.

    Attributes:
        code: Name of the rule.
        found: What was found, where the rule holds a number against a limit; None where it is not known.
        limit: The limit.
        sentence: The same in words.
        sentence_zh: Likewise in Chinese.
    """

    code: str
    found: float | None
    limit: float | None
    sentence: str
    sentence_zh: str


class RuledOut(msgspec.Struct, frozen=True):
    """An offer that a member cannot get, with every reason."""

    offer: str
    reasons: tuple[RuleReason, ...]


_SENTENCES: Final = {
    Rule.FRAUD_RISK: (
        "The chance that this member is not an honest shopper is {found}; at most {limit} may get offers.",
        "该会员的欺诈概率为 {found}，超过发券上限 {limit}。",
    ),
    Rule.OPTED_OUT: ("The member wants no offers.", "会员已拒绝接收优惠。"),
    Rule.SENT_TOO_OFTEN: (
        "The member got {found} offers in the last {days} days; {limit} are the most.",
        "该会员在最近 {days} 天内已收到 {found} 张券，上限为 {limit} 张。",
    ),
    Rule.SENT_LATELY: (
        "The last offer was sent {found} days ago; {limit} days have to pass.",
        "距上次发券仅 {found} 天，需间隔 {limit} 天。",
    ),
    Rule.REDEEMED_LATELY: (
        "The last offer was redeemed {found} days ago; {limit} days have to pass.",
        "距上次核销仅 {found} 天，需间隔 {limit} 天。",
    ),
    Rule.BELOW_MARGIN_FLOOR: (
        "Each redemption would leave {found} fen of extra margin after its cost; {limit} fen are the least.",
        "每次核销扣除成本后的增量毛利为 {found} 分，低于下限 {limit} 分。",
    ),
    Rule.FACE_ABOVE_MARGIN: (
        "The face value of {found} fen is more than the {limit} fen that the member's usual basket may give up.",
        "券面额 {found} 分，高于该会员常规购物篮毛利可让出的 {limit} 分。",
    ),
    Rule.OUTSIDE_WINDOW: ("The offer does not run at this time.", "该券不在有效期内。"),
    Rule.OTHER_CATEGORY: ("The offer is for a category that is not for this member.", "该券的品类不适用于此会员。"),
    Rule.OTHER_REGION: ("The offer does not hold in the member's region.", "该券不适用于会员所在地区。"),
    Rule.OTHER_SEGMENT: ("The offer is for other segments of members.", "该券不面向此会员所属人群。"),
    Rule.OUT_OF_STOCK: ("No piece of the offer is left.", "该券库存已空。"),
    Rule.HOLDOUT: (
        "The member is among those who get no offers, so that the effect of offers can be measured.",
        "会员属于不发券的对照组，用于衡量发券效果。",
    ),
}


def reason(rule: Rule, found: float | None = None, limit: float | None = None, days: float = 0.0) -> RuleReason:
    """A rule in words, with its numbers.

    >>> reason(Rule.SENT_TOO_OFTEN, 5, 4, days=30).sentence
    'The member got 5 offers in the last 30 days; 4 are the most.'
    """
    english, chinese = _SENTENCES[rule]
    spoken = {"limit": _number(limit), "days": _number(days)}
    return RuleReason(
        code=str(rule.name),
        found=found,
        limit=limit,
        sentence=english.format(found=_number(found, "an unknown number"), **spoken),
        sentence_zh=chinese.format(found=_number(found, "未知"), **spoken),
    )


def _number(value: float | None, unknown: str = "") -> str:
    if value is None:
        return unknown
    return f"{value:,.0f}" if abs(value) >= 100 or value == round(value) else f"{value:.3g}"
