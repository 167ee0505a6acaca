"""The parts of the page, each from what the report holds to HTML in both languages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from serving.siting.markup import Markup, element, joined
from serving.siting.page import both, table
from training.gates import MOST_DRIFT, SLICE_MONEY
from training.report import gate_words, terms
from training.report.chart import bar, drawing, legend, remark_of
from training.report.risks import BY_RATE
from training.report.words import ROWS, Said, figure, gate_name, meaning, metric, number, spanned

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from serving.manifest import Feature
    from training.interval import Interval
    from training.report.content import Content
    from training.report.part import Case

TOP: Final = 15
_FEN_TO_YUAN_A_THOUSAND: Final = 10.0


def two(said: Said) -> Markup:
    """A label in both languages; once where both are the same."""
    return joined((said.english,)) if said.english == said.chinese else both(said.english, said.chinese)


def section(name: str, english: str, chinese: str, *parts: str | Markup) -> Markup:
    """A titled part of the page that can be linked to."""
    return element("section", element("h2", both(english, chinese)), *parts, id=name)


def note(english: str, chinese: str) -> Markup:
    """A remark under a figure."""
    return element("p", both(english, chinese), class_="small")


def stacked(heads: Sequence[str | Markup], rows: Iterable[Sequence[str | Markup]]) -> Markup:
    """A table whose rows become blocks on a narrow screen, each cell under the head of its column."""
    told = [
        [
            one if place == 0 else joined((element("span", head, class_="head"), one))
            for place, (head, one) in enumerate(zip(heads, row, strict=True))
        ]
        for row in rows
    ]
    return element("div", table(heads, told), class_="stacked")


def remark(content: Content, name: str) -> Markup:
    """What the kind of fit has to say in a section; nothing where it has nothing."""
    said = content.remarks.get(name)
    return note(said.english, said.chinese) if said else Markup()


def gates(content: Content) -> Markup:
    """What a promotion asks, refused ones first."""
    rows = [
        [two(gate_name(gate.name)), _said(gate.found), _said(gate.required), _passed(passed=gate.passed)]
        for gate in sorted(content.gates, key=lambda gate: gate.passed)
    ]
    heads = [both("gate", "关卡"), both("found", "实际"), both("required", "要求"), ""]
    asked = element("div", stacked(heads, rows), class_="told")
    return section("gates", "What a promotion asks", "上线关卡", asked)


def _said(told: str) -> Markup:
    """What a gate says, in both languages; a bare figure once."""
    chinese = gate_words.chinese(told)
    return joined((told,)) if chinese == told else both(told, chinese)


def _passed(*, passed: bool) -> Markup:
    label = both("passed", "通过") if passed else both("refused", "未通过")
    return element("b", label, class_="good" if passed else "bad")


def curves(content: Content) -> Markup:
    """The drawings, side by side."""
    drawn = [
        element("figure", element("h3", two(one.title)), drawing(one), legend(one), remark_of(one), class_=one.name)
        for one in content.curves
    ]
    return section("curves", "Curves", "曲线", element("div", *drawn, class_="charts"), remark(content, "curves"))


def comparison(content: Content) -> Markup:
    """The model beside the champion and every baseline, with paired gains over the baselines."""
    record = content.record
    shared = [name for name in record.metrics if any(name in figures for figures in record.baselines.values())]
    names = shared or list(record.metrics)
    heads = [both("on the test, scored once", "测试集"), *(two(metric(name)) for name in names)]
    rows: list[list[str | Markup]] = [[both("model", "模型"), *(figure(name, record.metrics[name]) for name in names)]]
    parts = [part for part in (content.champion,) if part is not None]
    for champion in parts:
        label = both(f"champion {champion.version}", "现任") if champion.same_data else _elsewhere(champion.version)
        rows.append([label, *(_told_figure(champion.figures, name) for name in names)])
    for champion in (one for one in parts if one.gain is not None):
        label = both("— the model earns more by, fen a row, paired", "— 多赚（分/行，配对）")
        rows.append([label, _figure(champion.gain), *[""] * (len(names) - 1)])
    for name, figures in record.baselines.items():
        rows.append([element("b", two(terms.baseline(name))), *(_told_figure(figures, told) for told in names)])
        gains = (_told_figure(figures, f"gain_{told}") for told in names)
        rows.append([both("— the model is ahead by", "— 领先（配对）"), *gains])
    without = [] if parts else [note("No champion decides yet, or it is this model.", "尚无现任模型。")]
    title = ("Beside the champion and baselines", "与现任及基线比较")
    return section("comparison", *title, stacked(heads, rows), *without, *_alone(content, names))


def _alone(content: Content, names: Sequence[str]) -> list[Markup]:
    """The figures of the model that no baseline has, such as how often its intervals hold."""
    left = {name: one for name, one in content.record.metrics.items() if name not in names}
    heads = [both("of the model alone", "仅模型"), ""]
    return [table(heads, [[two(metric(name)), figure(name, one)] for name, one in left.items()])] if left else []


def _elsewhere(version: str) -> Markup:
    return both(
        f"champion {version}, on other data or features: not comparable", "现任（数据或特征不同，不可直接比较）"
    )


def _figure(interval: Interval | None) -> str:
    return "–" if interval is None else spanned(interval)


def _told_figure(figures: Mapping[str, Interval], name: str) -> str:
    return figure(name, figures[name]) if name in figures else "–"


def money(content: Content) -> Markup:
    """What each way to act earns, and who got which action; or why nothing is earned."""
    record, title = content.record, ("Money and who got which action", "收益与决策")
    if not record.money:
        return section("money", *title, remark(content, "money"))
    earned: list[list[str | Markup]] = [
        [two(terms.earned(name)), spanned(one), number(_FEN_TO_YUAN_A_THOUSAND * one.value)]
        for name, one in record.money.items()
    ]
    heads = [both("action", "决策"), both("fen a row", "每行（分）"), both("¥ per 1,000 rows", "每千行（元）")]
    shares: list[list[str | Markup]] = [[two(terms.rate(name)), spanned(one)] for name, one in record.rates.items()]
    whose = [both("who got which action", "各结果所获决策"), both("share", "比例")]
    told = table(whose, shares) if shares else Markup()
    return section("money", *title, stacked(heads, earned), _rests(content), told, remark(content, "money"))


def _rests(content: Content) -> Markup:
    said = next((one.rests for one in content.headlines if one.rests), None)
    return note(f"Money {said.english}.", f"收益{said.chinese}。") if said else Markup()


def slices(content: Content) -> Markup:
    """The deciding metric in each slice with its difference to the whole."""
    named = next((one for one in content.record.metrics if one not in BY_RATE), next(iter(content.record.metrics)))
    name, whole = named, content.record.metrics[named]
    title, told = ("Slices and fairness", "分组与公平性"), content.record.slices
    if not told:
        return section("slices", *title, remark(content, "slices"))
    earns = any(SLICE_MONEY in part for parts in told.values() for part in parts.values())
    rows: list[list[str | Markup]] = [[both("all rows", "整体"), "", spanned(whole), ""]]
    rows[0] += [_figure(content.record.money.get(SLICE_MONEY))] * earns
    for column, parts in told.items():
        rows += [
            [
                two(terms.column(column)),
                two(terms.value(value)),
                _told_figure(part, name),
                f"{part[name].value - whole.value:+.3f}",
                *[_figure(part.get(SLICE_MONEY))] * earns,
            ]
            for value, part in parts.items()
        ]
    heads = [both("column", "列"), both("value", "取值"), two(metric(name)), both("beside all", "与整体之差")]
    heads += [both("fen a row over the best constant", "比最佳单一决策多赚（分/行）")] * earns
    fair = note(
        "“Beside all” is what one group gets otherwise than all. Precision is not compared between groups where there "
        "is another metric: it also hangs on how often things come true in a group.",
        "“与整体之差”为各组与整体的差别。有其他指标时不以精确率比较各组：它还取决于该组自身的正例比例。",
    )
    return section("slices", *title, stacked(heads, rows), remark(content, "slices") or fair)


def attributions(content: Content) -> Markup:
    """What the score rests on."""
    known = {feature.name: feature for feature in content.manifest.features}
    top = list(content.record.attributions.items())[:TOP]
    most = max((value for _, value in top), default=0.0) or 1.0
    rows = [[_worded(known[name]), number(value), bar(value / most)] for name, value in top if value > 0]
    heads = [both("feature", "特征"), both("mean contribution", "平均贡献"), ""]
    return section("attributions", "What the score rests on", "特征贡献", table(heads, rows))


def drift(content: Content) -> Markup:
    """What moved most since the rows that were learned from."""
    if not content.drift:
        return section("drift", "Drift", "漂移", remark(content, "drift"))
    known = {feature.name: feature for feature in content.manifest.features}
    rows = [[_worded(known[one.feature]), number(one.index)] for one in content.drift[:TOP]]
    bounds = note(
        f"Population stability index of the rows learned from against the test. Live, 0.25 is the mark to look at; a "
        f"promotion is refused when the mean over what the score leans on is beyond {MOST_DRIFT:g}.",
        f"训练行与测试集的群体稳定性指数。线上以 0.25 为警戒线；按特征贡献加权的平均值超过 {MOST_DRIFT:g} 时不予上线。",
    )
    return section("drift", "Drift", "漂移", table([both("feature", "特征"), "PSI"], rows), bounds)


def errors(content: Content) -> Markup:
    """Where it was most wrong, from either side."""
    return _told(content, "errors", Said("Worst errors", "最大误差"), content.errors, content.columns)


def decisions(content: Content) -> Markup:
    """Ten rows of the test, explained."""
    title = Said("Ten decisions explained", "十个决策及理由")
    return _told(content, "decisions", title, content.decisions, content.decided)


def _told(content: Content, name: str, title: Said, cases: Iterable[Case], columns: Iterable[Said]) -> Markup:
    """Rows of the test with what was done and why; nobody can be known by them."""
    rows = [
        [
            joined((element("code", one.name), *(_reason(said.sentence, said.sentence_zh) for said in one.reasons))),
            *one.cells,
        ]
        for one in cases
    ]
    heads = [both("row (hashed) and why", "行（哈希）与理由"), *map(two, columns)]
    return section(name, title.english, title.chinese, remark(content, name), stacked(heads, rows))


def _reason(english: str, chinese: str | None) -> Markup:
    return element("div", both(english, chinese) if chinese else joined((english,)), class_="reason")


def _worded(feature: Feature) -> Markup:
    return two(meaning(feature)) if feature.sentence_zh else joined((feature.meaning,))


def features(content: Content) -> Markup:
    """Every feature in plain words."""
    rows = [
        [
            joined((element("code", one.name), element("div", _worded(one)))),
            two(terms.unit(one.unit)),
            "–" if one.usual is None else number(one.usual),
            element("span", two(terms.null_rule(one.null_rule)), class_="rule"),
        ]
        for one in content.manifest.features
    ]
    heads = [both("feature", "特征"), both("unit", "单位"), both("usual", "通常"), both("unknown when", "空值规则")]
    opener = both(f"{len(rows)} features, open", f"{len(rows)} 个特征，展开")
    inside = element("details", element("summary", opener), stacked(heads, rows))
    return section("features", "What each feature means", "特征定义", inside)


def provenance(content: Content) -> Markup:
    """What the model was made of, so that it can be made again."""
    record, manifest = content.record, content.manifest
    parity = manifest.parity
    first, last = content.span
    facts: list[tuple[Markup, str]] = [
        (both("bundle", "模型包"), manifest.version),
        (both("data hash", "数据哈希"), record.data_hash),
        (both("feature fingerprint", "特征指纹"), record.fingerprint),
        (both("rows from, to", "时间范围"), f"{first:%Y-%m-%d %H:%M} – {last:%Y-%m-%d %H:%M} UTC"),
        (both("test from", "测试起点"), f"{record.test_from:%Y-%m-%d %H:%M} UTC"),
        *((two(ROWS.get(name, Said(name, name))), f"{rows:,}") for name, rows in record.rows.items()),
        (both("seed, trials", "随机种子与搜索次数"), f"{record.seed}, {record.search.trials}"),
        *((two(terms.fact(name, "参数")), str(value)) for name, value in record.search.parameters.items()),
        *((two(terms.fact(name, "来源")), value) for name, value in content.source.items()),
        *((both(f"version of {name}", f"{name} 版本"), value) for name, value in manifest.versions.items()),
        (
            both("parity of graph and model", "导出一致性"),
            (
                f"{parity.wrong_leaves} wrong leaves, raw difference {parity.max_raw_difference} on {parity.rows:,} "
                f"test rows and {parity.edge_rows:,} edge rows"
            ),
        ),
    ]
    heads = [both("fact", "事项"), ""]
    body = table(heads, [[name, element("span", value, class_="rule")] for name, value in facts])
    return section("provenance", "What it was made of", "来源", body)
