"""What the report says, in English and Chinese: every sentence that a figure decides stands here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.gates import Gate
    from training.interval import Interval


@dataclass(frozen=True)
class Said:
    """The same in both languages."""

    english: str
    chinese: str


METRICS: Final = {
    "average_precision": Said("precision averaged over all that came true", "平均精确率"),
    "roc_auc": Said("chance that a yes is ranked above a no", "排序正确概率（AUC）"),
    "log_loss": Said("mean surprise of the chances", "对数损失"),
    "brier": Said("mean squared error of the chances", "布里尔分数"),
    "mape": Said("mean error as a share of sales", "平均相对误差"),
    "rmse_log": Said("error of the logarithm (RMSE)", "对数误差"),
    "rank_correlation": Said("rank correlation with sales", "秩相关"),
    "error_fen": Said("mean error, fen a store and year", "平均误差（分/店/年）"),
    "coverage_80": Said("share inside the 80 % interval", "80 % 区间覆盖"),
    "coverage_90": Said("share inside the 90 % interval", "90 % 区间覆盖"),
    "width_80": Said("width of the 80 % interval, of the forecast", "80 % 区间宽度"),
    "width_90": Said("width of the 90 % interval, of the forecast", "90 % 区间宽度"),
    "moran_of_residuals": Said("how misses of neighbours are alike (Moran's I)", "误差空间自相关"),
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


def number(value: float) -> str:
    """A figure short enough to read; – where it has no meaning.

    >>> number(0.12345), number(1234.5), number(float("nan"))
    ('0.123', '1,234', '–')
    """
    if math.isnan(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def spanned(interval: Interval) -> str:
    """A figure with its 95 % interval."""
    return f"{number(interval.value)} [{number(interval.low)}, {number(interval.high)}]"


def verdict(gates: Sequence[Gate]) -> Said:
    """Ship, or not and by which gates."""
    refused = [gate for gate in gates if not gate.passed]
    if not refused:
        return Said(f"Ship: all {len(gates)} gates passed", f"可以上线：{len(gates)} 道关卡全部通过")
    names = "; ".join(map(str, refused))
    return Said(
        f"Do not ship: refused by {len(refused)} of {len(gates)} gates: {names}",
        f"不可上线：{len(gates)} 道关卡中 {len(refused)} 道未通过（{'；'.join(gate.name for gate in refused)}）",
    )


def weak_slice(column: str, value: str, name: str, part: Interval, whole: Interval, *, sure: bool) -> Said:
    """Where the model does worst."""
    doubt, doubt_zh = ("", "") if sure else (", though their intervals meet", "，但区间相交")
    return Said(
        f"It does worst where {column} is {value}: {metric(name).english} {spanned(part)}, "
        f"{number(whole.value)} on the whole{doubt}",
        f"{column} 为 {value} 时最差：{metric(name).chinese} {spanned(part)}，整体 {number(whole.value)}{doubt_zh}",
    )


def off_calibration(gap: float, said: float, came: float) -> Said:
    """How far chances are from what came true."""
    return Said(
        f"Chances are off by {gap:.0%} of the base rate: {said:.2%} said on average, {came:.2%} came true",
        f"概率偏差为基准率的 {gap:.0%}：平均预测 {said:.2%}，实际 {came:.2%}",
    )


def drifted(meaning: str, name: str, index: float, whole: float) -> Said:
    """How far what the score leans on moved between the rows learned from and the test, and what says most of it."""
    return Said(
        f"What the score leans on moved since it was learned: PSI {whole:.2f} in the mean (0.1 look, 0.25 act), most "
        f"of it “{meaning}” ({index:.2f})",
        f"评分依据的特征有漂移：平均 PSI {whole:.2f}（0.1 留意，0.25 处理），主要来自 {name}（{index:.2f}）",
    )


def rival(name: str, told: str, gain: Interval) -> Said:
    """How surely what would be used instead is beaten."""
    if gain.low > 0:
        return Said(
            f"It beats {name} in {metric(told).english} by {spanned(gain)}, its narrowest lead",
            f"领先幅度最小的基线是 {name}：{metric(told).chinese} 提高 {spanned(gain)}",
        )
    return Said(
        f"It does not surely beat {name} in {metric(told).english}: gain {spanned(gain)}",
        f"未能确定优于 {name}：{metric(told).chinese} 提高 {spanned(gain)}",
    )


def earned(gain: Interval, than: Said) -> Said:
    """How surely the actions earn more than what they stand in for."""
    surely, surely_zh = ("", "") if gain.low > 0 else ("not surely ", "不确定")
    return Said(
        f"Its actions earn {surely}more than {than.english}: {spanned(gain)} fen a row",
        f"其决策{surely_zh}多于{than.chinese}：每行 {spanned(gain)} 分",
    )


def coverage(level: int, held: Interval) -> Said:
    """How much less an interval holds than it says."""
    return Said(
        f"Its {level} % intervals hold {held.value:.0%} of the stores [{held.low:.0%}, {held.high:.0%}]",
        f"{level} % 区间仅覆盖 {held.value:.0%} 的门店 [{held.low:.0%}, {held.high:.0%}]",
    )


def together(moran: Interval) -> Said:
    """How much alike the misses of neighbouring stores are."""
    return Said(
        f"What it misses lies together on the map: Moran's I {moran.value:.2f}, by chance {moran.low:.2f} to "
        f"{moran.high:.2f}; something about neighbourhoods is overlooked",
        f"误差在地图上成片：Moran's I {moran.value:.2f}，随机为 {moran.low:.2f} 至 {moran.high:.2f}，尚有周边因素未计",
    )


def few_stores(stores: int) -> Said:
    """How little the stores say."""
    return Said(f"Only {stores:,} stores were learned from and judged on", f"仅有 {stores:,} 家门店可供学习与评估")


def few(positives: int) -> Said:
    """How little the test says."""
    return Said(f"Only {positives:,} rows of the test came true", f"测试集中仅 {positives:,} 行为真")


def leaning(meaning: str, name: str, share: float) -> Said:
    """How much of the score hangs on one feature."""
    return Said(
        f"{share:.0%} of what moves the score is one feature, “{meaning}”",
        f"分数变动的 {share:.0%} 来自一个特征 {name}",
    )
