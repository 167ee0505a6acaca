"""The card of a site as one page of HTML that stands alone: for a screen or a sheet of A4, in English and Chinese."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from serving.siting.chart import (
    SHADES,
    Frame,
    cells_layer,
    classes,
    drawing,
    furniture,
    own_store,
    pin,
    rival,
    tag,
)
from serving.siting.legend import mark, steps
from serving.siting.markup import Markup, document, element, joined
from serving.siting.style import STYLE
from serving.siting.wording import metres, months, percent, plain, wan, yuan

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from serving.siting.card import Forecast, PayBack, SiteCard

SHARE_BOUNDS: Final = (0.01, 0.03, 0.07, 0.15, 0.30)
"""Where the shades of the map part: share of a cell's money."""
_MAP_PX: Final = 610.0
_DRAWN_SHARE: Final = 0.9
_MOST_LOSSES: Final = 6
_MOST_DIFFERENCES: Final = 7


def card_page(card: SiteCard) -> str:
    """The page of one card; nothing in it is loaded from anywhere, and every text from a table is escaped."""
    return document(
        f"Site {card.site.name}",
        STYLE,
        element(
            "main",
            _head(card),
            _notice(card),
            _figures(card),
            element(
                "div",
                element("div", _map(card), _earnings(card)),
                element("div", _reasons(card), _losses(card)),
                class_="columns",
            ),
            _twins(card),
            _sensitivity(card),
            _foot(card),
        ),
    )


def both(english: str, chinese: str) -> Markup:
    """A label in both languages."""
    return joined((english, " ", element("span", chinese, class_="zh", lang="zh")))


def table(heads: Sequence[str | Markup], rows: Iterable[Sequence[str | Markup]], *, total: bool = False) -> Markup:
    """A table; with `total` its last row is the sum."""
    told = [list(row) for row in rows]
    last = len(told) - 1 if total else -1
    body = [
        element("tr", *(element("td", cell) for cell in row), **({"class_": "total"} if place == last else {}))
        for place, row in enumerate(told)
    ]
    head = element("tr", *(element("th", one) for one in heads))
    return element("table", element("thead", head), element("tbody", *body))


def _head(card: SiteCard) -> Markup:
    facts = [card.city, card.format, "" if card.area_m2 is None else f"{card.area_m2:,.0f} m²"]
    place = f"{card.site.lat:.5f}, {card.site.lon:.5f} (WGS-84)"
    inside = not card.forecast.out_of_range
    badge = both("Like stores we know", "在经验范围内") if inside else both("Unlike any store we know", "超出经验范围")
    return element(
        "header",
        element(
            "div",
            element("div", both("Site card", "选址卡"), class_="kicker"),
            element("h1", card.site.name),
            element("div", " · ".join([one for one in facts if one] + [place]), class_="facts"),
        ),
        element("span", badge, class_="badge" if inside else "badge warn"),
    )


def _notice(card: SiteCard) -> Markup:
    if not card.forecast.out_of_range:
        return Markup()
    why = [element("p", one) for one in card.forecast.out_of_range]
    warning = "The forecast reaches beyond experience; have the site looked at. 预测超出经验，请实地考察。"
    return element("section", *why, element("b", warning), class_="notice")


def _figures(card: SiteCard) -> Markup:
    forecast = card.forecast
    rate = card.taken_fen / forecast.revenue_fen if forecast.revenue_fen else 0.0
    back = card.pay_back
    return element(
        "section",
        element(
            "div",
            element("div", both("Sales of a year, once mature", "成熟后年销售额"), class_="label"),
            element(
                "div", yuan(forecast.revenue_fen), " ", element("small", wan(forecast.revenue_fen)), class_="number"
            ),
            _interval(card),
            element("div", _span(card.forecast), class_="small"),
            class_="figure lead",
        ),
        _figure(
            both("Change of network sales", "网络净增销售"),
            yuan(card.network_change_fen, signed=True),
            wan(card.network_change_fen, signed=True),
            good=card.network_change_fen > 0,
        ),
        _figure(
            both("Taken from own stores", "自家门店分流"),
            percent(rate),
            f"{yuan(card.taken_fen)} of its sales 占其销售",
        ),
        _figure(
            both("Pays back in", "回收期"),
            "–" if back is None else months(back.months),
            "rent or opening cost not known 租金或开店成本未知" if back is None else _pay_back(back, card.forecast),
        ),
        class_="figures",
    )


def _figure(label: Markup, number: str, small: str, *, good: bool | None = None) -> Markup:
    mood = "" if good is None else " good" if good else " bad"
    return element(
        "div",
        element("div", label, class_="label"),
        element("div", number, class_=f"number{mood}"),
        element("div", small, class_="small"),
        class_="figure",
    )


def _span(forecast: Forecast) -> str:
    if forecast.low_fen is None or forecast.high_fen is None:
        return "too few stores for an interval 门店太少，无法给出区间"
    ends = f"{yuan(forecast.low_fen)} – {yuan(forecast.high_fen)}"
    return f"{percent(forecast.coverage)} interval 区间 {ends}; ○ its twins 相似店"


def _pay_back(back: PayBack, forecast: Forecast) -> str:
    if forecast.low_fen is None or forecast.high_fen is None:
        return "at the forecast 按预测值"
    worst, best = months(back.months_at_low), months(back.months_at_high)
    return f"{best} to {worst} over the interval 区间内"


def _interval(card: SiteCard) -> Markup:
    """A bar of the interval with the forecast and the twins' sales on one axis."""
    forecast, wide = card.forecast, 380.0
    low_fen, high_fen = forecast.low_fen or 0.0, forecast.high_fen or forecast.revenue_fen
    most = 1.06 * max([high_fen, forecast.revenue_fen, *(one.revenue_fen for one in card.twins)])

    def at(fen: float) -> float:
        return 4 + (wide - 8) * fen / most

    low, high = at(low_fen), at(high_fen)
    axis = element("path", d=f"M4 14H{wide - 4:.1f}", stroke="#cdd3d9", stroke_width=1)
    bar = (
        Markup()
        if forecast.high_fen is None
        else element("rect", x=low, y=9.0, width=max(high - low, 1.0), height=10, fill=SHADES[2], rx=2)
    )
    point = element("rect", x=at(forecast.revenue_fen) - 1.5, y=5.0, width=3, height=18, fill="#0b544f")
    twins = [
        element(
            "circle",
            element("title", f"{one.store_id}: {yuan(one.revenue_fen)}"),
            cx=at(one.revenue_fen),
            cy=28.0,
            r=3.2,
            fill="none",
            stroke="#1b3a5d",
            stroke_width=1.3,
        )
        for one in card.twins
    ]
    return element("svg", axis, bar, point, *twins, viewBox=f"0 0 {wide:.0f} 34", aria_hidden="true")


def _map(card: SiteCard) -> Markup:
    lat, lon = (
        np.array([getattr(one, name) for one in card.catchment] or [getattr(card.site, name)])
        for name in ("lat", "lon")
    )
    area = np.array([one.area_km2 for one in card.catchment])
    share = np.array([one.share for one in card.catchment])
    money = np.cumsum([one.revenue_fen for one in card.catchment])
    core = money <= _DRAWN_SHARE * money[-1] if money.size else np.zeros(0, np.bool_)
    at_site = np.array([card.site.lat]), np.array([card.site.lon])
    frame = Frame.around(
        np.r_[lat[: core.size][core], at_site[0]], np.r_[lon[: core.size][core], at_site[1]], _MAP_PX, 2.5, 0.86
    )
    inside = [place for place in range(area.size) if frame.holds(float(lat[place]), float(lon[place]))]
    shown = share[inside] >= SHARE_BOUNDS[0] / 2
    picked = np.array(inside, np.int64)[shown]
    losing = {one.store_id: one for one in card.losses}
    layers = [cells_layer(frame, lat[picked], lon[picked], area[picked], classes(share[picked], SHARE_BOUNDS))]
    layers += [rival(frame, one.lat, one.lon, one.name) for one in card.rivals if frame.holds(one.lat, one.lon)]
    for one in card.stores:
        if frame.holds(one.lat, one.lon):
            lost = f", loses {yuan(losing[one.name].lost_fen)} a year" if one.name in losing else ""
            layers.append(own_store(frame, one.lat, one.lon, f"{one.name}{lost}"))
    layers += [
        tag(frame, one.lat, one.lon, chr(ord("A") + place))
        for place, one in enumerate(card.losses[:_MOST_LOSSES])
        if frame.holds(one.lat, one.lon)
    ]
    layers.append(pin(frame, card.site.lat, card.site.lon, card.site.name))
    legend = element(
        "div",
        steps(both("share of a cell's money", "份额"), tuple(percent(bound) for bound in SHARE_BOUNDS)),
        mark("pin", both("the site", "候选点")),
        mark("own", both("own store", "自家门店")),
        mark("rival", both("rival", "竞争店")),
        class_="legend",
    )
    return element(
        "section",
        element("h2", both("Where its customers would come from", "商圈")),
        drawing(frame, f"Catchment of {card.site.name}", *layers, furniture(frame)),
        legend,
    )


def _reasons(card: SiteCard) -> Markup:
    items = [
        element(
            "li",
            element("b", percent(one.effect, signed=True), class_="good" if one.effect > 0 else "bad"),
            element("div", one.sentence, element("span", one.sentence_zh, class_="zh", lang="zh")),
        )
        for one in card.reasons
    ]
    return element(
        "section", element("h2", both("Why this forecast", "预测理由")), element("ol", *items, class_="reasons")
    )


def _twins(card: SiteCard) -> Markup:
    heads = [both("", "指标"), both("this site", "本店址")]
    heads += [
        joined((one.store_id, element("br"), element("span", percent(one.likeness), class_="small")))
        for one in card.twins
    ]
    sales = [both("Sales of a year", "年销售额"), yuan(card.forecast.revenue_fen)]
    rows: list[list[str | Markup]] = [[*sales, *(yuan(one.revenue_fen) for one in card.twins)]]
    rows += [
        [
            joined((one.meaning, element("span", one.meaning_zh, class_="zh", lang="zh"))),
            plain(one.site, one.unit),
            *(plain(value, one.unit) for value in one.twins),
        ]
        for one in card.differences[:_MOST_DIFFERENCES]
    ]
    return element(
        "section",
        element("h2", both("The stores most like it, and where they differ", "最相似的门店与差异")),
        table(heads, rows),
        style="margin-bottom:18px",
    )


def _losses(card: SiteCard) -> Markup:
    shown = card.losses[:_MOST_LOSSES]
    rows: list[list[str | Markup]] = [
        [
            f"{chr(ord('A') + place)}  {one.store_id}",
            metres(one.distance_m),
            yuan(one.revenue_fen),
            yuan(-one.lost_fen),
            percent(-one.lost_fen / one.revenue_fen) if one.revenue_fen else "–",
        ]
        for place, one in enumerate(shown)
    ]
    rest = card.taken_fen - sum(one.lost_fen for one in shown)
    if rest > 0:
        rows.append(["all others 其余", "", "", yuan(-rest), ""])
    rows.append([both("The site sells", "新店销售"), "", "", yuan(card.forecast.revenue_fen, signed=True), ""])
    rows.append([both("Network", "网络合计"), "", "", yuan(card.network_change_fen, signed=True), ""])
    heads = [both("own store", "门店"), both("away", "距离"), both("sells now", "现销售"), both("a year", "每年"), ""]
    return element(
        "section",
        element("h2", both("What it takes from whom", "对自家门店的分流")),
        table(heads, rows, total=True),
    )


def _sensitivity(card: SiteCard) -> Markup:
    rows = [
        [
            f"× {one.radius_scale:g}",
            yuan(one.revenue_fen),
            yuan(-one.taken_fen),
            yuan(one.revenue_fen - one.taken_fen, signed=True),
        ]
        for one in card.sensitivity
    ]
    heads = [both("radius", "半径"), both("it sells", "销售"), both("taken", "分流"), both("network", "净增")]
    return element(
        "section",
        element("h2", both("Had trade areas been taken narrower, or wider", "商圈半径敏感性")),
        table(heads, rows),
        element(
            "p",
            "Learned anew with rings, decays and catchment so many times as wide; × 1 is the forecast. "
            "按不同商圈半径重新训练所得，× 1 为预测值。",
            class_="small",
            style="margin-top:6px",
        ),
    )


def _earnings(card: SiteCard) -> Markup:
    """From the change of network sales to the money that pays the opening back."""
    back = card.pay_back
    if back is None:
        return Markup()
    rows = [
        [both("Change of network sales", "网络净增销售"), yuan(card.network_change_fen, signed=True)],
        [_margin(back), yuan(back.earned_fen + back.rent_fen, signed=True)],
        [both("Rent of a year", "年租金"), yuan(-back.rent_fen)],
        [both("Left a year", "年净收益"), yuan(back.earned_fen, signed=True)],
        [both("Opening cost, once", "一次性开店成本"), yuan(-back.opening_cost_fen)],
        [both("Pays back in", "回收期"), months(back.months)],
    ]
    heads = [both("What pays the opening back", "投资回收"), ""]
    title = element("h2", both("Against rent and opening cost", "租金与开店成本"))
    return element("section", title, table(heads, rows, total=True))


def _margin(back: PayBack) -> Markup:
    share = percent(back.margin)
    if not back.assumed:
        return both(f"Margin on it, {share}", "毛利")
    return both(f"Margin on it, {share} assumed: put your own", "毛利（假设值，请填自己的）")


def _foot(card: SiteCard) -> Markup:
    origin = card.provenance
    told = [f"Model {origin.model}", f"features {origin.features}", f"written {origin.written_on}", *origin.sources]
    caveat = (
        "Intervals were checked on areas left out of the fit. Shares are Huff's, fitted to store totals, which tell "
        "how far people go only roughly; distances are as the crow flies. "
        "区间经空间外推检验。商圈份额由门店总额拟合，距离衰减仅为粗略估计。距离为直线距离。"
    )
    return element("footer", element("div", " · ".join(told)), element("div", caveat))
