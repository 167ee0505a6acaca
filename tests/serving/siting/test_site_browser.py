"""The card and the city picture in a real browser: drawn, silent, alone, and one sheet of paper."""

from __future__ import annotations

import re
import shutil
import subprocess

import msgspec
import pytest

from serving.siting.city_page import Marked, city_page
from serving.siting.page import card_page

HOSTILE = '<img src="https://elsewhere.example/x.png" onerror="document.title=1">'


@pytest.fixture
def city_text(city):
    best = city.best(4, 1500)
    marked = [
        Marked(city.cell_id[one], *(float(values[one]) for values in (city.lat, city.lon, city.revenue_fen)), 8e8, 1e9)
        for one in best
    ]
    return city_page(city, marked, [], "Model site-1")


def _alone(said, asked):
    assert said == []
    assert len(asked) == 1
    assert asked[0].startswith("file:")


def test_the_card_is_drawn_and_asks_for_nothing(visit, card):
    page, said, asked = visit(card_page(card))
    _alone(said, asked)
    assert page.title() == "Site N-17"
    for text in ("¥12.0 M", "Where its customers would come from", "商圈", "回收期"):
        assert page.get_by_text(text, exact=False).first.is_visible(), text
    drawn = page.locator("svg.map").bounding_box()
    assert drawn["width"] > 400
    assert drawn["height"] > 300
    assert page.locator("svg.map .cells").count() >= 4
    assert page.locator("svg.map .scale-bar").is_visible()
    assert page.locator("svg.map .north-arrow").is_visible()
    assert page.locator("svg.map .site").count() == 1


def test_chinese_is_drawn_with_letters_that_have_it(visit, card):
    fonts = shutil.which("fc-list")
    ask = [fonts or "", ":lang=zh", "family"]
    listed = subprocess.run(ask, capture_output=True, text=True, check=True) if fonts else None  # noqa: S603
    if listed is None or not listed.stdout.strip():
        pytest.skip("no letters for Chinese on this machine: fc-list names none; fonts-noto-cjk has them")
    page, _, _ = visit(card_page(card))
    tools = page.context.new_cdp_session(page)
    for domain in ("DOM", "CSS"):
        tools.send(f"{domain}.enable")
    root = tools.send("DOM.getDocument")["root"]["nodeId"]
    label = tools.send("DOM.querySelector", {"nodeId": root, "selector": "h2 .zh"})["nodeId"]
    drawn = tools.send("CSS.getPlatformFontsForNode", {"nodeId": label})["fonts"]

    known = {name.strip() for line in listed.stdout.splitlines() for name in line.split(",")}
    assert drawn
    assert {one["familyName"] for one in drawn} <= known


def test_nothing_sticks_out_of_the_card_on_a_narrow_screen(visit, card):
    for width in (1120, 420):
        page, _, _ = visit(card_page(card), width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def _full(card):
    """The same with as much on it as a card of a real chain has."""
    words = "People who live within 3000 m, the nearer the more they count (less by e every 1000 m)"
    said, said_zh = f"{words}: 32,447; usual is 25,571; this adds about ¥1.4 M a year.", "周边 3 公里的常住人口" * 4
    (reason,), (difference,), (loss, *_), (twin, *_) = card.reasons, card.differences, card.losses, card.twins
    named = {"store_id": "559H8P6BEC"}
    return msgspec.structs.replace(
        card,
        reasons=(msgspec.structs.replace(reason, sentence=said, sentence_zh=said_zh),) * 5,
        differences=(msgspec.structs.replace(difference, meaning=words, twins=(20_000.0,) * 5),) * 7,
        losses=(msgspec.structs.replace(loss, **named),) * 10,
        taken_fen=20 * loss.lost_fen,
        twins=(msgspec.structs.replace(twin, **named),) * 5,
        sensitivity=(*card.sensitivity, card.sensitivity[0]),
    )


def test_the_card_prints_on_one_sheet(visit, card):
    page, _, _ = visit(card_page(_full(card)))
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True))) == 1


def test_the_city_is_drawn_with_its_best_places(visit, city_text):
    page, said, asked = visit(city_text)
    _alone(said, asked)
    assert page.locator("svg.map .site").count() == 4
    assert page.get_by_text("beyond experience").is_visible()
    assert page.locator("svg.map .cells").count() == 6
    first = page.locator("svg.map .cells").last.bounding_box()
    whole = page.locator("svg.map").bounding_box()
    middle = first["x"] + first["width"] / 2 - whole["x"]
    assert abs(middle / whole["width"] - 0.5) < 0.1


def test_a_hostile_name_runs_nothing_and_loads_nothing(visit, make_card):
    page, said, asked = visit(card_page(make_card(HOSTILE, HOSTILE)))
    _alone(said, asked)
    assert page.title() == f"Site {HOSTILE}"
    assert page.locator("img").count() == 0


def test_a_request_would_be_seen_and_refused_by_the_page_itself(visit, card):
    smuggled = card_page(card).replace("</main>", '<img src="https://elsewhere.example/x.png"></main>')
    _, said, _ = visit(smuggled)
    assert any("Content Security Policy" in one for one in said)
