"""What the report says, in English and Chinese: every sentence that a figure decides stands here."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from features.wording import VALUE
from serving.siting.wording import FEN_A_WAN
from training.gates import MOST_DRIFT
from training.report import terms
from training.report.said import Said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serving.manifest import Feature
    from training.gates import Gate
    from training.interval import Interval

__all__ = ["Said"]


METRICS: Final = {
    "average_precision": Said("precision averaged over all that came true", "平均精确率"),
    "roc_auc": Said("chance that a yes is ranked above a no", "排序正确概率（AUC）"),
    "log_loss": Said("mean surprise of the chances", "对数损失"),
    "brier": Said("mean squared error of the chances", "布里尔分数"),
    "mape": Said("mean error as a share of sales", "平均相对误差"),
    "rmse_log": Said("error of the logarithm (RMSE)", "对数误差"),
    "rank_correlation": Said("rank correlation with sales", "秩相关"),
    "error_fen": Said("mean error, 10,000 yuan a store and year", "平均误差（万元/店/年）"),
    "coverage_80": Said("share inside the 80 % interval", "80 % 区间覆盖"),
    "coverage_90": Said("share inside the 90 % interval", "90 % 区间覆盖"),
    "width_80": Said("width of the 80 % interval, of the forecast", "80 % 区间宽度"),
    "width_90": Said("width of the 90 % interval, of the forecast", "90 % 区间宽度"),
    "moran_of_residuals": Said("how misses of neighbours are alike (Moran's I)", "误差空间自相关（Moran's I）"),
    "moran_of_residuals_chance": Said("the same by chance, 95 % of shuffles", "同上，随机打乱时的 95 % 范围"),
}
_OF_LISTS: Final = {
    "recall_at_": Said("share found in the first {places}", "前 {places} 位召回率"),
    "ndcg_at_": Said("NDCG of the first {places}", "前 {places} 位 NDCG"),
}

ROWS: Final = {
    "train": Said("learned from", "训练"),
    "test": Said("tested on, once", "测试（仅一次）"),
    "dropped": Said("dropped, their label spans the cut", "跨越切分而舍弃"),
    "unlabelled": Said("looked at without a label", "无标签"),
    "test_by_lot": Said("of the test drawn by lot", "测试中抽签样本"),
}


def metric(name: str) -> Said:
    """A metric in plain words; one without words keeps its name."""
    if name.startswith("tpr_at_fpr_"):
        rate = float(name.removeprefix("tpr_at_fpr_"))
        return Said(f"share found while {rate:.3g} of the others are disturbed", f"误伤率 {rate:.3g} 时的召回率")
    for start, said in _OF_LISTS.items():
        if name.startswith(start):
            places = name.removeprefix(start)
            return Said(said.english.format(places=places), said.chinese.format(places=places))
    return METRICS.get(name, Said(name, name))


def meaning(feature: Feature) -> Said:
    """What a feature of a bundle is, without the gap for its value; by its id in Chinese where it has no such words."""
    chinese = feature.sentence_zh.replace(f"：{VALUE}", "").replace(VALUE, "…")
    return Said(feature.meaning, chinese or feature.name)


def named(feature: Feature) -> Said:
    """What a feature of a bundle is called in a sentence; by its id in Chinese where it has no Chinese words."""
    told = meaning(feature)
    return Said(f"“{told.english}”", f"“{told.chinese}”" if feature.sentence_zh else told.chinese)


def number(value: float) -> str:
    """A figure short enough to read; – where it has no meaning.

    >>> number(0.12345), number(1234.5), number(float("nan"))
    ('0.123', '1,234', '–')
    """
    if math.isnan(value):
        return "–"
    short = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return "0" if short == "-0" else short


def spanned(interval: Interval) -> str:
    """A figure with its 95 % interval; alone where it has none."""
    return f"{number(interval.value)} {ends(interval)}".rstrip()


def ends(interval: Interval) -> str:
    """A 95 % interval in brackets, as everywhere; nothing where there is none."""
    if math.isnan(interval.low) and math.isnan(interval.high):
        return ""
    return f"[{number(interval.low)}, {number(interval.high)}]"


def figure(name: str, interval: Interval) -> str:
    """A metric with its interval; one in fen that nobody reads in fen, in 10,000 yuan."""
    return spanned(scaled(interval, FEN_A_WAN) if in_wan(name) else interval)


def in_wan(name: str) -> bool:
    """Whether a metric is of amounts too large for fen."""
    return name.removeprefix("gain_") == "error_fen"


def scaled(interval: Interval, unit: float) -> Interval:
    """The same in a larger unit."""
    return replace(interval, value=interval.value / unit, low=interval.low / unit, high=interval.high / unit)


def verdict(gates: Sequence[Gate]) -> Said:
    """Ship, or not and by which gates."""
    refused = [gate for gate in gates if not gate.passed]
    if not refused:
        return Said(f"Ship: all {len(gates)} gates passed", f"可以上线：{len(gates)} 道关卡全部通过")
    names = "; ".join(map(str, refused))
    names_zh = "；".join(gate_name(gate.name).chinese for gate in refused)
    return Said(
        f"Do not ship: refused by {len(refused)} of {len(gates)} gates: {names}",
        f"不可上线：{len(gates)} 道关卡中 {len(refused)} 道未通过（{names_zh}）",
    )


def gate_name(name: str) -> Said:
    """A gate; one of a lead names its baseline and its metric."""
    who, _, told = name.partition(": ")
    for start, chinese in (("gain in ", "领先"), ("upper end of the gain in ", "领先上限")):
        if told.startswith(start):
            return Said(name, f"{terms.baseline(who).chinese}：{metric(told.removeprefix(start)).chinese}{chinese}")
    return Said(name, terms.GATES.get(name, name))


def weak_slice(column: str, value: str, name: str, part: Interval, whole: Interval, *, sure: bool) -> Said:
    """Where the model does worst, by a figure that can be held against the whole."""
    doubt, doubt_zh = ("", "") if sure else (", though their intervals meet", "，但区间相交")
    group = f"{terms.column(column).chinese}为“{terms.value(value).chinese}”"
    return Said(
        f"It does worst where {column} is {value}: {metric(name).english} {figure(name, part)}, "
        f"{figure(name, replace(whole, low=math.nan, high=math.nan))} on the whole{doubt}",
        f"{group}的分组表现最差：{metric(name).chinese} {figure(name, part)}，"
        f"整体 {figure(name, replace(whole, low=math.nan, high=math.nan))}{doubt_zh}",
    )


def poor_slice(column: str, value: str, part: Interval, whole: Interval) -> Said:
    """Where the model earns least beyond the best single action for all."""
    doubt, doubt_zh = ("", "") if part.high < whole.low else (", though their intervals meet", "，但区间相交")
    group = f"{terms.column(column).chinese}为“{terms.value(value).chinese}”"
    return Said(
        f"It earns least where {column} is {value}: {spanned(part)} fen a row more than the best single action for "
        f"all, {number(whole.value)} on the whole{doubt}",
        f"{group}的分组收益最低：每行比最佳一律决策多 {spanned(part)} 分，整体多 {number(whole.value)} 分{doubt_zh}",
    )


def off_calibration(gap: float, said: float, came: float) -> Said:
    """How far chances are from what came true."""
    return Said(
        f"Chances are off by {gap:.0%} of the base rate: {said:.2%} said on average, {came:.2%} came true",
        f"预测概率的偏差为基准比例的 {gap:.0%}：平均预测 {said:.2%}，实际发生 {came:.2%}",
    )


def drifted(feature: Said, index: float, whole: float) -> Said:
    """How far what the score leans on moved between the rows learned from and the test, and what says most of it."""
    return Said(
        f"What the score leans on moved since it was learned: PSI {whole:.2f} in the mean, most of it "
        f"{feature.english} ({index:.2f}). Live, 0.25 is the mark to look at; a promotion is refused beyond "
        f"{MOST_DRIFT:g}, because whatever grows with the history moves at a cut in time",
        f"评分所依据的特征有漂移：平均 PSI {whole:.2f}，主要来自{feature.chinese}（{index:.2f}）。"
        f"线上以 0.25 为警戒线；上线关卡超过 {MOST_DRIFT:g} 才拒绝，因为随历史累积的特征在时间切分处必然移动",
    )


def rival(name: str, told: str, gain: Interval) -> Said:
    """How surely what would be used instead is beaten."""
    gained = figure(told, gain)
    if gain.low > 0:
        return Said(
            f"It beats {name} in {metric(told).english} by {gained}, its narrowest lead",
            f"领先最少的基线是{terms.baseline(name).chinese}：{metric(told).chinese}领先 {gained}",
        )
    return Said(
        f"It does not surely beat {name} in {metric(told).english}: gain {gained}",
        f"未必优于{terms.baseline(name).chinese}：{metric(told).chinese}领先 {gained}",
    )


def earned(gain: Interval, than: Said) -> Said:
    """How surely the actions earn more than what they stand in for: surely more, surely less, or neither."""
    if gain.low > 0:
        return Said(
            f"Its actions earn more than {than.english}: {spanned(gain)} fen a row",
            f"其决策的收益高于{than.chinese}：每行多 {spanned(gain)} 分",
        )
    if gain.high < 0:
        return Said(
            f"Its actions earn less than {than.english}: {spanned(gain)} fen a row",
            f"其决策的收益低于{than.chinese}：每行 {spanned(gain)} 分",
        )
    return Said(
        f"It is not sure that its actions earn more than {than.english}: {spanned(gain)} fen a row",
        f"其决策的收益未必高于{than.chinese}：每行相差 {spanned(gain)} 分",
    )


def lead(gain: Interval) -> Said:
    """Whether a lead is sure, beside its figure."""
    if gain.low > 0:
        return Said("surely more", "确有优势")
    return Said("surely less", "确有劣势") if gain.high < 0 else Said("not sure", "尚不确定")


def coverage(level: int, held: Interval) -> Said:
    """How much less an interval holds than it says."""
    return Said(
        f"Its {level} % intervals hold {held.value:.0%} of the stores [{held.low:.0%}, {held.high:.0%}]",
        f"{level} % 区间仅覆盖 {held.value:.0%} 的门店 [{held.low:.0%}, {held.high:.0%}]",
    )


def together(moran: float, chance: Interval) -> Said:
    """How much alike the misses of neighbouring stores are, and how much chance alone gives."""
    return Said(
        f"What it misses lies together on the map: Moran's I {moran:.2f}, by chance {chance.low:.2f} to "
        f"{chance.high:.2f}; something about neighbourhoods is overlooked",
        f"误差在地图上成片：Moran's I {moran:.2f}，随机时为 {chance.low:.2f} 至 {chance.high:.2f}，尚有周边因素未计入",
    )


def few_stores(stores: int) -> Said:
    """How little the stores say."""
    return Said(f"Only {stores:,} stores were learned from and judged on", f"仅有 {stores:,} 家门店可供学习与评估")


def few(positives: int) -> Said:
    """How little the test says."""
    return Said(f"Only {positives:,} rows of the test came true", f"测试集中仅 {positives:,} 行为正例")


def leaning(feature: Said, share: float) -> Said:
    """How much of the score hangs on one feature."""
    return Said(
        f"{share:.0%} of what moves the score is one feature, {feature.english}",
        f"分数变动的 {share:.0%} 来自单一特征{feature.chinese}",
    )
