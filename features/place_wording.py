"""What a feature of a spot or of a shop says in Chinese; the distances come out of its name."""

from __future__ import annotations

import re
from typing import Final

_KILOMETRE: Final = 1000
_RING: Final = re.compile(r"(?P<stem>[a-z_]+)_(?P<metres>\d+)m(?:_\d+d)?")
_DECAYED: Final = "_decayed"
_FORMAT: Final = "is_format_"

RINGS_ZH: Final = {
    "population": "周边 {around}的常住人口",
    "population_decayed": "周边 {around}的常住人口（按距离衰减）",
    "income_mean": "周边 {around}的户均收入（按人口与距离加权）",
    "footfall_decayed": "周边 {around}的客流（按距离衰减）",
    "jobs_decayed": "周边 {around}的就业岗位（按距离衰减）",
    "place_count": "周边 {around}的场所数",
    "place_entropy": "周边 {around}业态的多样程度（熵）",
    "rival_count": "周边 {around}的竞品门店数",
    "rival_share": "周边 {around}场所中竞品的占比",
    "transit_count": "周边 {around}的地铁口与车站数",
    "jensen_quality": "周边 {around}业态与本品牌门店周边的契合度（Jensen 质量）",
    "own_count": "周边 {around}的自有门店数",
    "member_count": "此前一年在周边 {around}扫码的会员数",
    "scan_count": "此前一年周边 {around}的月均扫码次数",
    "active_cells": "此前一年周边 {around}日均有扫码的网格数",
    "spend_fen": "此前一年在周边 {around}扫码的会员的月均消费（分）",
}
"""By the name of a feature without its distance."""

SPOTS_ZH: Final = {
    "rival_nearest_m": "距最近竞品门店的距离",
    "transit_nearest_m": "距最近地铁口或车站的距离",
    "own_nearest_m": "距最近自有门店的距离",
    "huff_market_people": "按 Huff 模型在此开店可得的人口",
    "huff_share": "按 Huff 模型在此开店可得人口占商圈人口的比例",
    "huff_from_own_share": "按 Huff 模型所得人口中来自自有门店的占比（蚕食）",
    "sales_floor_m2": "营业面积",
}
FORMATS_ZH: Final = {
    "neighbourhood": "社区店",
    "express": "便捷店",
    "flagship": "旗舰店",
    "convenience": "便利店",
    "supermarket": "超市",
    "hypermarket": "大卖场",
}
"""Usual names of formats; a chain's own word stands for itself."""


def place_zh(name: str) -> str | None:
    """The meaning of a feature of a spot or shop; None for a name of anything else.

    >>> place_zh("rival_count_500m"), place_zh("jobs_decayed_3000m"), place_zh("is_format_express")
    ('周边 500 米的竞品门店数', '周边 3 公里的就业岗位（按距离衰减）', '业态为便捷店')
    """
    if name.startswith(_FORMAT):
        kind = name.removeprefix(_FORMAT)
        return f"业态为{FORMATS_ZH.get(kind, f' {kind} ')}".rstrip()
    ring = _RING.fullmatch(name)
    if ring is None:
        return SPOTS_ZH.get(name)
    stem, around = ring["stem"], _around(int(ring["metres"]))
    if stem in RINGS_ZH:
        return RINGS_ZH[stem].format(around=around)
    return f"周边 {around}的 {stem.removesuffix(_DECAYED)}（按距离衰减）" if stem.endswith(_DECAYED) else None


def _around(metres: int) -> str:
    return f"{metres / _KILOMETRE:g} 公里" if metres >= _KILOMETRE else f"{metres} 米"
