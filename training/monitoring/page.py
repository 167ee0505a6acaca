"""A week as one page of HTML that stands alone, in English and Chinese, the verdict first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from serving.siting.markup import Markup, document, element, joined
from serving.siting.page import both, table
from serving.siting.style import STYLE
from training.monitoring.findings import VERDICTS, Level
from training.report.chart import drawing, legend
from training.report.curve import Curve, Line
from training.report.page import PAGE_STYLE
from training.report.sections import note, section, two
from training.report.words import Said, metric, number, spanned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.interval import Interval
    from training.monitoring.beside import Beside
    from training.monitoring.findings import Finding
    from training.monitoring.result import Monitored
    from training.savings import Savings

FILE: Final = "monitor.html"
"""How the artefact of a run is called."""

_TOP: Final = 15
_SHARES: Final = {"acted": Said("acted on", "干预比例"), "redeemed": Said("redeemed", "核销率")}
_COUNTS: Final = {
    "decisions": Said("decisions", "决策"),
    "labelled": Said("of them with an outcome so far", "已有结果"),
    "positives": Said("came true", "结果为真"),
    "labelled_by_lot": Said("known by lot, so that they stand for all", "抽签得知结果"),
    "let_through_by_lot": Said("let through by lot", "抽签放行"),
    "degraded": Said("by the policy, not counted above", "兜底决策（不计入）"),
    "not_judged": Said("that no model was asked about", "未经模型判断"),
    "out_of_range": Said("sites unlike any store", "超出范围的选址"),
    "forgotten": Said("of members who were forgotten, left out", "已遗忘会员（不计入）"),
}
_FURTHER: Final = {
    "redeemed": Said("share of the week's sends that was redeemed", "核销率（本周发券）"),
    "money/uplift": Said("earned beyond the held out, fen a send", "相对对照组每券多得（分）"),
    "money/foretold": Said("what the model foretold of the sends, fen a send", "模型预计每券增量毛利（分）"),
}
_ARRIVAL: Final = {
    "longest_gap_hours": Said("longest stretch without a decision, hours", "最长无决策时段（小时）"),
    "late_seconds_median": Said("from happening to coming in, median, seconds", "发生至到达（中位数，秒）"),
    "late_seconds_99": Said("the same, 99 in 100", "同上（99 分位）"),
}
_NO_LABELS: Final = Said("Nothing came true and nothing false yet.", "尚无标签。")


def page(found: Monitored) -> str:
    """The page; nothing in it is loaded from anywhere, and every text from a log is escaped."""
    return document(
        f"Week of {found.task} {found.week.since:%Y-%m-%d}",
        STYLE + PAGE_STYLE,
        element(
            "main",
            _head(found),
            element(
                "section",
                found.said.english,
                element("span", found.said.chinese, class_="zh", lang="zh"),
                class_="verdict" if found.level is Level.HEALTHY else "verdict no",
            ),
            _limits(found.findings),
            _performance(found),
            _curves(found),
            _money(found),
            _drift(found),
            _slices(found),
            _beside(found.beside),
            _served(found),
            _skipped(found),
            class_="report",
        ),
    )


def opening(found: Monitored) -> str:
    """What the run's note opens with, as Markdown: the verdict, the week, and where all of it is."""
    counts = found.counts
    counted = (
        f"{counts['decisions']:,} decisions, {counts['labelled']:,} with an outcome so far, {counts['positives']:,} "
        f"came true; {counts['labelled_by_lot']:,} known by lot."
    )
    told = [
        f"**{_plain(found.said.english)}**",
        _plain(found.said.chinese),
        f"{found.task} {found.version}, decisions from {found.week}.",
        counted,
        *(f"**{name}** {one}" for name, one in found.metrics.items()),
        *(f"Not said: {name}: {_plain(why)}" for name, why in found.skipped.items()),
        f"All of it: `{FILE}` among the artifacts.",
    ]
    return "\n\n".join(told)


def _plain(text: str) -> str:
    return text.replace("<", "&lt;").replace(">", "&gt;").replace("*", "\\*")


def _head(found: Monitored) -> Markup:
    facts = f"{found.version} · {found.week} · {found.counts['decisions']:,}"
    return element(
        "header",
        element(
            "div",
            element("div", both("Last week by the log", "上周线上表现"), class_="kicker"),
            element("h1", found.task),
            element("div", facts, class_="facts"),
        ),
        element("span", two(VERDICTS[found.level]), class_="badge" if found.level is Level.HEALTHY else "badge warn"),
    )


def _limits(findings: Sequence[Finding]) -> Markup:
    heads = [both("looked at", "检查项"), both("found", "实际"), both("limit", "限度"), ""]
    rows = [
        [one.name, one.found, one.limit, element("b", two(VERDICTS[one.level]), class_=_mood(one.level))]
        for one in sorted(findings, key=lambda one: -one.level)
    ]
    return section("limits", "Limits", "限度", table(heads, rows))


def _mood(level: Level) -> str:
    return "good" if level is Level.HEALTHY else "bad"


def _performance(found: Monitored) -> Markup:
    title = ("Performance where it is known what came", "已知结果部分的表现")
    if not found.metrics:
        return section("performance", *title, note(_NO_LABELS.english, _NO_LABELS.chinese))
    heads = ["", both("last week", "上周"), both("on its test", "测试")]
    rows = [[two(metric(name)), spanned(one), _tested(found, name)] for name, one in found.metrics.items()]
    said = note(
        "Verdicts come where somebody suspects, as on the test; figures by lot are under slices, judged by lot.",
        "裁决多来自可疑样本（与测试相同）；抽签部分见分组 judged = by lot。",
    )
    return section("performance", *title, table(heads, rows), said)


def _tested(found: Monitored, name: str) -> str:
    value, low, high = (found.tested.get(f"test/{name}{end}") for end in ("", "_low", "_high"))
    if value is None:
        return "–"
    return number(value) if low is None or high is None else f"{number(value)} [{number(low)}, {number(high)}]"


def _curves(found: Monitored) -> Markup:
    drawn = [
        element("figure", element("h3", two(one.title)), drawing(one), legend(one), class_=one.name)
        for one in _drawings(found)
    ]
    return section("curves", "Curves", "曲线", element("div", *drawn, class_="charts")) if drawn else Markup()


def _drawings(found: Monitored) -> list[Curve]:
    curves = []
    if found.calibration is not None:
        bins = found.calibration.bins
        top = max(max(one.predicted, one.observed) for one in bins)
        lines = (
            Line(
                Said("tenths of the rows by lot", "抽签样本十分位"),
                tuple(one.predicted for one in bins),
                tuple(one.observed for one in bins),
            ),
            Line(Said("as said", "完全一致"), (0.0, top), (0.0, top), dashed=True),
        )
        title, across = Said("Whether chances hold", "概率校准"), Said("chance that was said", "预测概率")
        curves.append(Curve("calibration", title, across, Said("share that came true", "实际比例"), lines))
    if len(found.days) > 1:
        places = tuple(float(place) for place in range(len(found.days)))
        lines = (
            Line(Said("acted on", "干预比例"), places, tuple(one[3] for one in found.days)),
            Line(Said("mean chance", "平均概率"), places, tuple(one[2] for one in found.days), dashed=True),
        )
        title = Said("Day by day (UTC)", "逐日（UTC）")
        across = Said(f"days after {found.days[0][0]}", f"{found.days[0][0]} 之后的天数")
        curves.append(Curve("days", title, across, Said("share", "比例"), lines))
    return curves


def _money(found: Monitored) -> Markup:
    title = ("Money", "收益")
    saved = found.money
    if saved is None and found.further:
        rows = [[two(_FURTHER.get(name, Said(name, name))), spanned(one)] for name, one in found.further.items()]
        why = [note(found.skipped["money"], "对照组不足，无法估计增量。")] if "money" in found.skipped else []
        return section("money", *title, table(["", ""], rows), *why)
    if saved is None:
        return section("money", *title, note(found.skipped.get("money", ""), "无法估计。"))
    figures = {
        Said("saved beyond the passive action, doubly robust", "相对不干预多得（双重稳健）"): saved.doubly_robust,
        Said("the same, self-normalised", "同上（自归一）"): saved.snips,
        Said("the same, by inverse chances", "同上（逆概率）"): saved.ips,
        Said("what letting through by lot cost", "抽签放行成本"): found.holdout_cost,
    }
    rows = [[two(label), spanned(one)] for label, one in figures.items() if one is not None]
    told = f"{saved.decisions:,} decisions, {saved.differing:,} acted on, outcomes of {saved.revealed:,} known by lot."
    return section(
        "money",
        *title,
        table(["", both("fen a decision", "每单（分）")], rows),
        note(told, f"{saved.decisions:,} 条决策，其中 {saved.revealed:,} 条由抽签得知结果。"),
    )


def _drift(found: Monitored) -> Markup:
    title, moved = ("Drift against its test (PSI)", "相对测试的漂移（PSI）"), found.drift
    if moved is None:
        return section("drift", *title, note(found.skipped.get("drift", ""), "无法衡量漂移。"))
    rows: list[list[str | Markup]] = [[both("score", "评分"), number(moved.score), number(moved.chance)]]
    rows += [
        [
            joined((element("code", name), element("div", two(moved.called[name])))),
            number(psi),
            number(moved.chances[name]),
        ]
        for name, psi in list(moved.features.items())[:_TOP]
    ]
    heads = ["", "PSI", both("by chance up to", "随机可达")]
    return section("drift", *title, table(heads, rows))


def _slices(found: Monitored) -> Markup:
    if not found.slices:
        return Markup()
    name = next(iter(found.metrics), "")
    shares = [one for one in _SHARES if any(one in part for parts in found.slices.values() for part in parts.values())]
    heads = ["", "", *([two(metric(name))] if name else []), *(two(_SHARES[one]) for one in shares)]
    rows = [
        [
            *(column, value),
            *([_spanned(part.get(name))] if name else []),
            *(_spanned(part.get(one)) for one in shares),
        ]
        for column, parts in found.slices.items()
        for value, part in parts.items()
    ]
    return section("slices", "Slices", "分组", table(heads, rows))


def _spanned(interval: Interval | None) -> str:
    return "–" if interval is None else spanned(interval)


def _beside(others: Sequence[Beside]) -> Markup:
    if not others:
        return Markup()
    heads = [
        both("version", "版本"),
        both("compared", "对比数"),
        both("answered (canary)", "实际作答"),
        both("acts otherwise", "决策不同"),
        both("chance higher by; of sites the forecast, as a share", "概率差（选址为预测之比）"),
        both("would have earned more, fen a decision", "每单多赚（分）"),
    ]
    rows = [
        [
            one.version,
            f"{one.compared:,}",
            f"{one.answered:,}",
            _spanned(one.changed),
            spanned(one.difference),
            _earned(one.money),
        ]
        for one in others
    ]
    return section("beside", "Other versions on the same scans", "同批扫码的其他版本", table(heads, rows))


def _earned(saved: Savings | str) -> str:
    return saved if isinstance(saved, str) else spanned(saved.doubly_robust or saved.snips)


def _served(found: Monitored) -> Markup:
    counted = [[two(said), f"{found.counts[name]:,}"] for name, said in _COUNTS.items() if name in found.counts]
    versions = [[name, f"{count:,}"] for name, count in found.versions.items()]
    actions = [[name, f"{count:,}"] for name, count in found.actions.items()]
    arrived = [[two(said), number(found.arrival[name])] for name, said in _ARRIVAL.items() if name in found.arrival]
    return section(
        "served",
        "What was served",
        "服务概况",
        table(["", both("count", "数量")], counted),
        table(["", ""], arrived),
        table([both("version", "版本"), both("decisions", "决策")], versions),
        table([both("action, before the lot", "决策（抽签前）"), both("decisions", "数量")], actions),
    )


def _skipped(found: Monitored) -> Markup:
    rows = [[name, why] for name, why in found.skipped.items()]
    return section("skipped", "What nobody can say", "无法给出", table(["", both("why", "原因")], rows))
