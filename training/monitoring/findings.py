"""Whether a week is healthy, and if not, what is wrong by which limit: the verdict that the run opens with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from training.monitoring.drifted import too_few
from training.report.words import Said, metric, number, spanned

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from training.interval import Interval
    from training.monitoring.drifted import Drifted
    from training.monitoring.performance import Calibration
    from training.savings import Savings

LOOK_PSI: Final = 0.1
ACT_PSI: Final = 0.25
"""The customary limits of a population stability index; what chance alone explains is neither."""

MOST_MISCALIBRATION: Final = 0.5
"""By how much of what came true chances may surely be off, as for a promotion (`training.gates`)."""

MOST_DEGRADED: Final = 0.01
"""Share of decisions by the policy instead of the model, as `deploy/prometheus-rules.yml` has it."""


class Level(IntEnum):
    """What is to be done about a week, mildest first."""

    HEALTHY = 0
    LOOK = 1
    ACT = 2


VERDICTS: Final = {
    Level.HEALTHY: Said("Healthy", "正常"),
    Level.LOOK: Said("Look at it", "需留意"),
    Level.ACT: Said("Act", "需处理"),
}


@dataclass(frozen=True)
class Finding:
    """One limit that was held against the week.

    Attributes:
        name: What was looked at.
        level: What follows.
        found: The figure.
        limit: What it is held against.
        said: The same as a sentence.
    """

    name: str
    level: Level
    found: str
    limit: str
    said: Said

    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return {"name": self.name, "level": self.level.name.lower(), "found": self.found, "limit": self.limit}


def verdict(findings: Sequence[Finding]) -> tuple[Level, Said]:
    """The worst of the findings, and why in one line."""
    level = max((one.level for one in findings), default=Level.HEALTHY)
    head = VERDICTS[level]
    if level is Level.HEALTHY:
        return level, Said(
            f"{head.english}: all {len(findings)} limits held", f"{head.chinese}：{len(findings)} 项均在限内"
        )
    why = [one.said for one in findings if one.level is level]
    return level, Said(
        f"{head.english}: {'; '.join(one.english for one in why)}",
        f"{head.chinese}：{'；'.join(one.chinese for one in why)}",
    )


def of_drift(found: Drifted | None, worst: Level = Level.ACT) -> Iterable[Finding]:
    """What moved.

    Args:
        found: By how much; nothing is held where nobody can say, nor against a handful of rows.
        worst: What follows at most. Scans come as they come; which offers and which sites are asked about somebody
            chooses, so that there another choice is drift as well, and nothing is broken.
    """
    if found is None or too_few(found):
        return
    limits = f"look from {LOOK_PSI:g}" + (f", act from {ACT_PSI:g}" if worst is Level.ACT else "")
    limit = f"{limits}; by chance up to {number(found.chance)}"
    level = min(worst, _psi(found.score, found.chance))
    said = Said(f"the score's PSI is {found.score:.3f}", f"评分 PSI 为 {found.score:.3f}")
    yield Finding("score drift", level, f"{found.score:.3f}", limit, said)
    surely = {name: psi for name, psi in found.features.items() if psi > max(ACT_PSI, found.chances[name])}
    name, top = next(iter(surely.items()), next(iter(found.features.items())))
    level = Level.LOOK if surely else Level.HEALTHY
    limit = f"look from {ACT_PSI:g} beyond chance, which reaches {number(found.chances[name])}"
    said = Said(
        f"features that moved: {len(surely)}, {name} most (PSI {top:.3f})",
        f"{len(surely)} 个特征漂移，最大为{found.called[name].chinese}（{top:.3f}）",
    )
    yield Finding("feature drift", level, f"{len(surely)} features, most {name} {top:.3f}", limit, said)
    if found.weighted is not None:
        level = min(worst, _psi(found.weighted, found.chance))
        said = Said(
            f"what the score leans on moved by {found.weighted:.3f}", f"评分依据的特征平均 PSI 为 {found.weighted:.3f}"
        )
        yield Finding("weighted drift", level, f"{found.weighted:.3f}", limits, said)


def of_metrics(found: Mapping[str, Interval], tested: Mapping[str, float]) -> Iterable[Finding]:
    """Whether the week is surely worse than the test; `tested` is the manifest's, by `test/METRIC`."""
    for name, one in found.items():
        low = tested.get(f"test/{name}_low")
        if low is None or math.isnan(one.high):
            continue
        level = Level.ACT if one.high < low else Level.HEALTHY
        said = Said(
            f"{metric(name).english} is {spanned(one)}, below the test's low end {number(low)}",
            f"{metric(name).chinese} {spanned(one)}，低于测试区间下限 {number(low)}",
        )
        yield Finding(name, level, spanned(one), f"not wholly below the test's low end {number(low)}", said)


def of_calibration(found: Calibration | None) -> Iterable[Finding]:
    """Whether chances hold."""
    if found is None:
        return
    surely = found.gap.low > 0 or found.gap.high < 0
    far = abs(found.gap.value) > MOST_MISCALIBRATION * found.came
    said = Said(
        f"chances are off: {found.said:.2%} said, {found.came:.2%} came true",
        f"概率失准：预测 {found.said:.2%}，实际 {found.came:.2%}",
    )
    limit = f"not surely off by more than {MOST_MISCALIBRATION:.0%} of what came true"
    level = Level.ACT if surely and far else Level.HEALTHY
    yield Finding("calibration", level, f"{found.said:.2%} said, {found.came:.2%} came true", limit, said)


def of_money(figure: Interval | None) -> Iterable[Finding]:
    """Whether the actions surely lose, or do not surely earn."""
    if figure is None or math.isnan(figure.low):
        return
    level = Level.ACT if figure.high < 0 else Level.LOOK if figure.low <= 0 else Level.HEALTHY
    surely = ("lose", "亏损") if level is Level.ACT else ("do not surely earn", "未能确定盈利")
    said = Said(
        f"the actions {surely[0]} beyond doing nothing: {spanned(figure)} fen a decision",
        f"决策{surely[1]}：每单 {spanned(figure)} 分",
    )
    yield Finding("money", level, f"{spanned(figure)} fen a decision", "above 0; act where wholly below", said)


def of_labels(positives: int, known: int, decisions: int, least: int) -> Iterable[Finding]:
    """Whether enough came back to judge by."""
    level = Level.LOOK if positives < least else Level.HEALTHY
    said = Said(
        f"too few labels to judge by: {positives:,} of {known:,} came true, of {decisions:,} decisions",
        f"标签不足：{decisions:,} 条决策中 {known:,} 条有结果，{positives:,} 条为真",
    )
    yield Finding("labels", level, f"{positives:,} came true of {known:,} known", f"{least} that came true", said)


def of_degraded(share: float) -> Iterable[Finding]:
    """Whether the model was asked."""
    level = Level.ACT if share > MOST_DEGRADED else Level.HEALTHY
    said = Said(f"{share:.2%} of decisions are the policy's", f"{share:.2%} 的决策由兜底策略作出")
    yield Finding("degraded", level, f"{share:.2%}", f"at most {MOST_DEGRADED:.0%}", said)


def of_challenger(version: str, saved: Savings | str) -> Iterable[Finding]:
    """Whether somebody else would surely have earned more."""
    if isinstance(saved, str):
        return
    gain = headline(saved)
    level = Level.LOOK if gain.low > 0 else Level.HEALTHY
    said = Said(
        f"challenger {version} would have earned {spanned(gain)} fen a decision more",
        f"挑战者 {version} 每单可多赚 {spanned(gain)} 分",
    )
    yield Finding("challenger", level, f"{spanned(gain)} fen a decision more", "not surely above 0", said)


def headline(saved: Savings) -> Interval:
    """The narrowest of the estimates: the doubly robust one where the log has probabilities."""
    return saved.doubly_robust or saved.snips


def _psi(index: float, chance: float) -> Level:
    if index <= max(LOOK_PSI, chance):
        return Level.HEALTHY
    return Level.ACT if index > ACT_PSI else Level.LOOK
