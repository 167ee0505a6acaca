"""The names that a report shows as the code has them (tasks, actions, baselines, columns, gates, units), in Chinese.

One without a Chinese term keeps its own name in both languages: a task of a brand needs none of these.
"""

from __future__ import annotations

import re
from typing import Final

from training.report.said import Said

TASKS: Final = {
    "fraud": "扫码风控（羊毛党）",
    "coupon": "优惠券发放",
    "offers": "优惠券发放",
    "coupon_rank": "优惠券排序",
    "site": "门店选址",
    "next_purchase": "下次购买",
    "next_category": "下次购买品类",
}
ACTIONS: Final = {
    "pay": "发放",
    "reduce": "降额发放",
    "step_up": "加强验证",
    "hold": "冻结",
    "block": "拦截",
    "skip": "不发券",
    "send": "发券",
    "withhold": "不发券",
}
OUTCOMES: Final = {
    "honest": "正常用户",
    "wool": "羊毛党",
    "redeemed": "已核销",
    "not_redeemed": "未核销",
    "lapses": "流失",
    "stays": "留存",
}
_BASELINES: Final = {
    "analyst_rules": "风控专家规则",
    "isolation_forest": "孤立森林",
    "logistic_regression": "逻辑回归",
    "past_redemption_rate": "历史核销率",
    "people_within_1km": "“一公里人口”规则",
    "ridge": "岭回归",
    "trees": "提升树",
    "analogs": "相似店",
    "global_top": "全局热销",
    "personal_top": "个人常购",
    "personal_then_global_top": "个人常购，其后全局热销",
    "recent_then_global_top": "近期购买，其后全局热销",
    "most_redeemed_so_far": "至今核销最多",
    "most_redeemed_category_so_far": "至今核销最多的品类",
    "bought_most_of_its_products": "适用商品购买最多",
    "bought_largest_share_of_its_products": "适用商品购买占比最高",
    "member_coupon_product_share_365d": "近 365 天适用商品购买占比",
}
_ABLATED: Final = {"rings": "关联圈特征", "place": "地点特征", "places": "地点特征", "huff": "哈夫特征"}
_SLICES: Final = {
    "campaign_id": "活动",
    "entry": "扫码入口",
    "status": "码状态",
    "new_member": "是否新会员",
    "judged": "判定来源",
    "kind": "券类型",
    "folds": "留出方式",
    "city": "城市",
    "format": "业态",
}
_VALUES: Final = {
    "camera": "摄像头",
    "link": "链接",
    "valid": "有效",
    "repeat": "重复",
    "inactive": "未激活",
    "forged": "伪造",
    "true": "是",
    "false": "否",
    "by lot": "抽签",
    "on suspicion": "因可疑",
    "spatial": "整片留出",
    "random": "随机留出",
    "express": "便利小店",
    "flagship": "旗舰店",
    "neighbourhood": "社区店",
}
GATES: Final = {
    "data contract": "数据契约",
    "leakage": "数据穿越",
    "replay": "逐事件回放",
    "parity": "导出一致性",
    "latency": "时延",
    "judged": "已评估",
    "drift": "漂移",
    "money": "收益",
    "worst slice": "最差分组",
    "calibration": "概率校准",
    "label rate": "标签比例",
    "champion compared with": "所比较的现任",
}
_UNITS: Final = {
    "registrations": "次注册",
    "days": "天",
    "pairs": "对",
    "square metres": "平方米",
    "seconds": "秒",
    "verdicts": "次判定",
    "codes": "个码",
    "km": "公里",
    "nats": "奈特",
    "hour": "时",
    "events": "次",
    "people": "人",
    "offer category lines": "条适用品类明细",
    "offer lines": "条适用商品明细",
    "order lines": "条购买明细",
    "ratio": "比值",
    "serial": "序列号",
    "metres": "米",
    "log ratio": "对数比",
    "devices": "部手机",
    "accounts": "个账户",
    "payouts": "次提现",
    "referrals": "次推荐",
    "scans": "次扫码",
    "places": "处",
    "flag": "标记",
    "as in cells": "同网格数据",
    "standard deviations": "个标准差",
    "fen": "分",
    "baskets": "次购物",
    "yes or no": "是/否",
    "share": "占比",
    "km/h": "公里/小时",
    "stores": "家门店",
    "products": "个产品",
    "redemptions": "次核销",
    "members": "名会员",
    "sends": "次发券",
    "category values": "个品类",
    "product values": "个产品",
    "local day values": "个日期",
    "town values": "个城镇",
    "user agent values": "种浏览器",
    "batch values": "个批次",
    "device values": "部手机",
    "ip values": "个网络地址",
    "member values": "名会员",
    "account values": "个账户",
    "scans a month": "次扫码/月",
    "fen a month": "分/月",
    "coupons": "张券",
    "cells": "个网格",
}
_RULES: Final = {
    "0 without such events": "没有此类事件时为 0",
    "null for a null key": "键为空时为空",
    "null where an input it needs is null or the result is not finite": "所需输入为空或结果非有限数时为空",
    "0 when not seen within the network's horizon": "在关联网络的时间范围内未出现时为 0",
    "null where the row has none": "该行没有时为空",
    "null without events in the window, and for a null key": "窗口内没有事件或键为空时为空",
    "null without a value in the window, and for a null key": "窗口内没有取值或键为空时为空",
    "null before the first such event, and for a null key": "首次此类事件之前或键为空时为空",
    "null with fewer than two values in the window, and for a null key": "窗口内取值不足两个或键为空时为空",
    "null without a table of places": "没有地点表时为空",
    "null without a table of stores": "没有门店表时为空",
    "null where scans were kept for fewer than 28 days": "扫码记录不足 28 天时为空",
    "or before the chain's first store": "或早于首家门店时为空",
    "or none has people": "或均无人口时为空",
    "or none with an income": "或均无收入数据时为空",
    "or none with footfall": "或均无客流数据时为空",
}
_NEAR: Final = (
    (re.compile(r"^null where no cell of the grid lies within (\d+) m$"), r"\1 米内没有网格时为空"),
    (re.compile(r"^or where none is within (\d+) m$"), r"或 \1 米内没有时为空"),
)
_FACTS: Final = {
    "learning_rate": "学习率",
    "num_iterations": "树的棵数",
    "num_leaves": "每棵树叶子数",
    "max_depth": "最大深度",
    "extra_trees": "极端随机树",
    "min_data_in_leaf": "叶子最少行数",
    "feature_fraction": "特征抽样比例",
    "bagging_fraction": "行抽样比例",
    "bagging_freq": "行抽样频率",
    "lambda_l1": "L1 正则",
    "lambda_l2": "L2 正则",
    "max_bin": "最大分箱数",
    "bags": "袋数",
    "weight_ridge": "岭回归权重",
    "weight_trees": "提升树权重",
    "weight_analogs": "相似店权重",
    "alpha": "面积指数",
    "beta": "距离衰减指数",
    "elsewhere": "外部吸引力",
    "strength": "区间强度",
    "misfit": "拟合误差",
    "smearing": "对数还原系数",
    "buffer_km": "隔离带（公里）",
    "commit": "代码提交",
    "changed": "是否有未提交改动",
    "dirty": "是否有未提交改动",
}
_MONEY: Final = {
    "model": Said("the model's own actions", "模型决策"),
    "likeliest_to_redeem": Said("sending to the likeliest to redeem", "按核销概率发券"),
    "gain_over_best_constant": Said("the model beyond the best single action for all", "模型比最佳一律决策多赚"),
    "gain_over_likeliest_to_redeem": Said("the model beyond sending to the likeliest", "模型比按核销概率发券多赚"),
    "gain_over_champion": Said("the model beyond the champion", "模型比现任多赚"),
}


def of(known: dict[str, str], name: str) -> Said:
    """A name as the code has it, with its Chinese term or itself."""
    return Said(name, known.get(name, name))


def task(name: str) -> Said:
    """A task."""
    return of(TASKS, name)


def action(name: str) -> Said:
    """What is done with a row."""
    return of(ACTIONS, name)


def outcome(name: str) -> Said:
    """What came true of a row."""
    return of(OUTCOMES, name)


def baseline(name: str) -> Said:
    """What would be used instead, or the model without a family of its features.

    >>> baseline("lightgbm_without_rings").chinese
    '模型（不含关联圈特征）'
    """
    _, without, left_out = name.partition("_without_")
    if without:
        return Said(name, f"模型（不含{_ABLATED.get(left_out, f' {left_out} ')}）")
    return of(_BASELINES, name)


def column(name: str) -> Said:
    """What rows are sliced by."""
    return of(_SLICES, name)


def value(name: str) -> Said:
    """A value of such a column; one of the brand's own keeps its name."""
    return of(_VALUES, name)


def unit(name: str) -> Said:
    """What a feature is measured in."""
    return of(_UNITS, name)


def null_rule(english: str) -> Said:
    """When a feature is not known; parts are told apart by their punctuation.

    >>> null_rule("null where no cell of the grid lies within 3000 m, or none has people").chinese
    '3000 米内没有网格时为空，或均无人口时为空'
    """
    if english in _RULES:
        return Said(english, _RULES[english])
    parts = re.split(r"(; |, (?=or ))", english)
    said = [_rule(part) for part in parts[::2]]
    if any(one is None for one in said):
        return Said(english, english)
    return Said(english, "，".join(one for one in said if one))


def _rule(part: str) -> str | None:
    if part in _RULES:
        return _RULES[part]
    return next((shape.sub(chinese, part) for shape, chinese in _NEAR if shape.fullmatch(part)), None)


def fact(name: str, fallback: str) -> Said:
    """A parameter of the learner, or what the source or its software is called; of which kind it is where unnamed."""
    return Said(name, _FACTS.get(name, f"{fallback} {name}"))


def earned(name: str) -> Said:
    """A way to act whose money is told, such as `always_pay`."""
    if name.startswith("always_"):
        one = action(name.removeprefix("always_"))
        return Said(f"“{one.english}” for all", f"一律{one.chinese}")
    return _MONEY.get(name, Said(name, name))


def rate(name: str) -> Said:
    """Which share of an outcome's rows got which action, such as `pay_of_honest`.

    >>> rate("hold_of_wool").chinese, rate("harmed_of_honest").english
    ('羊毛党中冻结的比例', 'harmed, of honest')
    """
    done, _, whose = name.partition("_of_")
    who, _, group = whose.partition("/")
    did = Said("harmed", "被误伤") if done == "harmed" else action(done)
    came = outcome(who)
    within, within_zh = (f", {group}", f"（{group}）") if group else ("", "")
    return Said(f"{did.english}, of {came.english}{within}", f"{came.chinese}中{did.chinese}的比例{within_zh}")
