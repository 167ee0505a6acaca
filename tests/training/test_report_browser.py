"""The report of a run in a real browser: drawn, silent, and alone."""

from __future__ import annotations

import shutil

import pytest

from training.report.page import report

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def browser():
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    if found is None:
        pytest.skip(f"no browser on this machine: none of {', '.join(NAMES)} is installed")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser; it comes with dev")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def visit(browser, tmp_path):
    """Opens a text as a page; returns the page with what it said on the console and asked for."""
    pages = []

    def go(text, width=1120):
        page = browser.new_page(viewport={"width": width, "height": 900})
        pages.append(page)
        said, asked = [], []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        file = tmp_path / "report.html"
        file.write_text(text, encoding="utf-8")
        page.goto(file.as_uri())
        page.wait_for_load_state("networkidle")
        return page, said, asked

    yield go
    for page in pages:
        page.close()


@pytest.fixture(scope="module")
def text(fitted, released):
    return report(fitted, released.folder, {"commit": "0" * 40}).html


def test_the_report_is_drawn_and_asks_for_nothing(visit, text):
    page, said, asked = visit(text)

    assert said == []
    assert [one.partition(":")[0] for one in asked] == ["file"]
    assert page.locator(".verdict").bounding_box()["y"] < 300
    for name in ("precision-recall", "calibration", "money"):
        drawn = page.locator(f"svg.{name} path.curve").first.bounding_box()
        assert drawn["width"] > 100, name
        assert drawn["height"] > 30, name
    assert page.get_by_text("最大风险").is_visible()


def test_a_request_would_be_seen_and_refused_by_the_page_itself(visit, text):
    smuggled = text.replace("</main>", '<img src="https://elsewhere.example/x.png"></main>')
    _, said, _ = visit(smuggled)

    assert any("Content Security Policy" in one for one in said)


@pytest.mark.parametrize("width", [1120, 420])
def test_nothing_sticks_out_of_the_page(visit, text, width):
    page, _, _ = visit(text, width)

    assert page.evaluate("document.documentElement.scrollWidth") <= width
