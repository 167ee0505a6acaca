"""The report of a run as one page of HTML that stands alone, in English and Chinese, the verdict first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from serving.siting.markup import Markup, document, element
from serving.siting.page import both
from serving.siting.style import STYLE
from training.report import sections, terms
from training.report.content import content_of
from training.report.risks import SHOWN
from training.report.words import ends, number, spanned
from training.tracking.runs import REPORT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from training.effect.study import FittedEffects
    from training.pipeline import Fitted
    from training.ranking_pipeline import FittedOrder
    from training.report.content import Content
    from training.report.part import Headline
    from training.report.risks import Risk
    from training.sites.pipeline import FittedSites

PAGE_STYLE: Final = """
section{margin-bottom:20px}h3{font-size:12.5px;margin:0 0 4px}h3 .zh{font-weight:400;color:var(--soft)}
figure{margin:0}.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,300px),1fr));gap:18px}
svg.chart{border:1px solid var(--line);border-radius:5px}svg .axis text{font-size:10.5px;fill:var(--soft)}
svg.bar{width:100px;margin-left:auto}.verdict{background:#f2f7f6;border-left:5px solid var(--good);padding:10px 14px;
margin-bottom:14px;font-size:16px;font-weight:700;overflow-wrap:anywhere}
.verdict.no{background:#fdf0ea;border-color:var(--bad)}.verdict .zh{display:block;font-weight:400;font-size:13px}
ol.risks{margin:0;padding-left:20px}ol.risks li{margin-bottom:5px}ol.risks .zh{color:var(--soft);display:block}
section{overflow-x:auto}.report .figures{grid-template-columns:1fr 1fr}.reason{font-size:11.5px;color:var(--soft)}
.report td .rule{white-space:normal;overflow-wrap:anywhere;display:inline-block;max-width:520px}
.report .number{white-space:normal}code{font-size:11.5px}summary{cursor:pointer;color:var(--soft)}
.report td:first-child{min-width:96px}ol.risks .mark{color:#8a5a00}summary .zh,h1 .zh{font-weight:400}
h1 .zh{font-size:16px;color:var(--soft)}.stacked .head{display:none}
#comparison td:first-child{min-width:150px}
.told th,.told td,.told td:not(:first-child){text-align:left;white-space:normal}.told td:nth-child(2){min-width:200px}
@media screen and (max-width:600px){.stacked thead{display:none}.stacked tr{display:block;padding:5px 0;
border-bottom:1px solid var(--line)}.stacked td,.stacked td:not(:first-child){display:block;border:0;text-align:left;
white-space:normal;padding:1.5px 0;overflow-wrap:anywhere}
.stacked .head{display:inline;color:var(--soft);font-size:11px;margin-right:8px}
.stacked .head:empty{display:none}.stacked .head .zh{display:inline;margin:0}.stacked td:empty{display:none}
.report .figures{grid-template-columns:minmax(0,1fr)}
svg.bar{width:60px}}
@media print{.columns{zoom:1}main{zoom:1}}
"""


@dataclass(frozen=True)
class Report:
    """The page of a run, and what its note opens with."""

    html: str
    opening: str


def report(
    fitted: Fitted | FittedOrder | FittedSites,
    folder: Path,
    source: Mapping[str, str],
    changes: FittedEffects | None = None,
) -> Report:
    """The report of a fit; arguments and errors as in `content_of`."""
    content = content_of(fitted, folder, source, changes)
    return Report(report_page(content), opening(content))


def report_page(content: Content) -> str:
    """The page; nothing in it is loaded from anywhere, and every text from a table is escaped."""
    name = f"{content.record.task} {content.manifest.version}"
    return document(
        f"Report of {name}",
        STYLE + PAGE_STYLE,
        element(
            "main",
            _head(content),
            _verdict(content),
            _figures(content),
            _risks(content.risks[:SHOWN]),
            sections.gates(content),
            sections.curves(content),
            sections.comparison(content),
            sections.money(content),
            sections.slices(content),
            sections.attributions(content),
            sections.drift(content),
            sections.errors(content),
            sections.decisions(content),
            sections.features(content),
            sections.provenance(content),
            class_="report",
        ),
    )


def opening(content: Content) -> str:
    """What a run's note opens with: the verdict, the money and the risks, as Markdown."""
    said = content.remarks.get("money")
    lines = [
        f"**{_plain(content.verdict.english)}**",
        _plain(content.verdict.chinese),
        "; ".join(_headline(one, one.label.english, ", ", "english") for one in content.headlines),
        "；".join(_headline(one, one.label.chinese, "，", "chinese") for one in content.headlines),
        *([_plain(said.english), _plain(said.chinese)] if said else []),
        *(
            f"{place}. {_plain(risk.said.english)}\n   {_plain(risk.said.chinese)}"
            for place, risk in enumerate(content.risks[:SHOWN], start=1)
        ),
        f"All of it: `{REPORT}` among the artifacts. 全文见附件 `{REPORT}`。",
    ]
    return "\n\n".join(lines)


def _headline(one: Headline, label: str, comma: str, language: str) -> str:
    """A figure with its interval, whether it is sure, and on which rows it rests."""
    told = [getattr(said, language) for said in (one.sure, one.rests) if said is not None]
    colon = ": " if language == "english" else "："
    return comma.join([f"{_plain(label)}{colon}{spanned(one.figure)}", *map(_plain, told)])


def _plain(text: str) -> str:
    """Text of a table that Markdown does not read as HTML or emphasis."""
    return text.replace("<", "&lt;").replace(">", "&gt;").replace("*", "\\*")


def _head(content: Content) -> Markup:
    record = content.record
    day, rows = f"{record.test_from:%Y-%m-%d}", f"{record.rows['test']:,}"
    facts = both(f"{content.manifest.version} · test from {day} · {rows} rows", f"测试自 {day} 起，{rows} 行")
    return element(
        "header",
        element(
            "div",
            element("div", both("Report of a run", "模型报告"), class_="kicker"),
            element("h1", sections.two(terms.task(record.task))),
            element("div", facts, class_="facts"),
        ),
        element(
            "span",
            both("Ship", "可上线") if content.ships else both("Do not ship", "不可上线"),
            class_="badge" if content.ships else "badge warn",
        ),
    )


def _verdict(content: Content) -> Markup:
    mood = "verdict" if content.ships else "verdict no"
    said = content.verdict
    return element("section", said.english, element("span", said.chinese, class_="zh", lang="zh"), class_=mood)


def _figures(content: Content) -> Markup:
    told = [
        element(
            "div",
            element("div", sections.two(one.label), class_="label"),
            element("div", number(one.figure.value), class_=f"number {one.mood}".rstrip()),
            element("div", f"95 % {ends(one.figure)}", class_="small"),
            *(element("div", sections.two(said), class_="small") for said in (one.sure, one.rests) if said),
            class_="figure" if place else "figure lead",
        )
        for place, one in enumerate(content.headlines)
    ]
    remark = Markup() if content.money else sections.remark(content, "money")
    return element("section", element("div", *told, class_="figures"), remark)


def _risks(risks: tuple[Risk, ...]) -> Markup:
    items = [
        element(
            "li",
            element("b", "settle: " if risk.severity >= 1 else "watch: ", class_="mark"),
            risk.said.english,
            element("span", "待定：" if risk.severity >= 1 else "留意：", risk.said.chinese, class_="zh", lang="zh"),
        )
        for risk in risks
    ]
    whose = sections.note(
        "What a gate refuses stands first among the gates below. What is marked “settle” no gate settles: whoever "
        "signs does.",
        "关卡拒绝的事项见下方“上线关卡”。标为“待定”的风险不由关卡裁定，须由签字人确认。",
    )
    return sections.section("risks", "The biggest risks", "最大风险", element("ol", *items, class_="risks"), whose)
