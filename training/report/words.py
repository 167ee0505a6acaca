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


def few(positives: int) -> Said:
    """How little the test says."""
    return Said(f"Only {positives:,} rows of the test came true", f"测试集中仅 {positives:,} 行为真")


def leaning(meaning: str, name: str, share: float) -> Said:
    """How much of the score hangs on one feature."""
    return Said(
        f"{share:.0%} of what moves the score is one feature, “{meaning}”",
        f"分数变动的 {share:.0%} 来自一个特征 {name}",
    )
