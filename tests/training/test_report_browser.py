"""The report of a run in a real browser: drawn, silent, and alone."""

from __future__ import annotations

import pytest

from docs.screenshots import open_run, served
from training.report.page import report
from training.tracking.stores import client, store
from training.tracking.tracked import track


@pytest.fixture(scope="module")
def texts(fitted, released, fitted_order, released_order, made_site):
    """The page by kind."""
    forecast, bundle, _ = made_site
    kinds = {
        "labelled": (fitted, released.folder),
        "order": (fitted_order, released_order.folder),
        "site": (forecast, bundle.folder),
    }
    return {name: report(one, folder, {"commit": "0" * 40}).html for name, (one, folder) in kinds.items()}


DRAWN = {
    "labelled": ("precision-recall", "calibration", "money"),
    "order": ("recall", "ndcg"),
    "site": ("forecast", "coverage", "size"),
}


@pytest.mark.parametrize("kind", sorted(DRAWN))
def test_the_report_is_drawn_and_asks_for_nothing(visit, texts, kind):
    page, said, asked = visit(texts[kind])

    assert said == []
    assert [one.partition(":")[0] for one in asked] == ["file"]
    assert page.locator(".verdict").bounding_box()["y"] < 300
    for name in DRAWN[kind]:
        drawn = page.locator(f"svg.{name} .curve").first.bounding_box()
        assert drawn["width"] > 100, name
        assert drawn["height"] > 30, name
    assert page.get_by_text("最大风险").is_visible()


def test_a_request_would_be_seen_and_refused_by_the_page_itself(visit, texts):
    smuggled = texts["labelled"].replace("</main>", '<img src="https://elsewhere.example/x.png"></main>')
    _, said, _ = visit(smuggled)

    assert any("Content Security Policy" in one for one in said)


@pytest.mark.parametrize("kind", sorted(DRAWN))
@pytest.mark.parametrize("width", [1120, 420])
def test_nothing_sticks_out_of_the_page(visit, texts, kind, width):
    page, _, _ = visit(texts[kind], width)

    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("kind", sorted(DRAWN))
def test_no_cell_is_cut_off_on_a_phone(visit, texts, kind):
    page, _, _ = visit(texts[kind], 390)
    wide = "[...document.querySelectorAll('section')].filter(one => one.scrollWidth > one.clientWidth + 1)"

    assert page.evaluate(f"{wide}.map(one => one.id)") == []
    gates = page.locator("#gates tbody tr").first.locator("td")
    assert gates.nth(1).bounding_box()["y"] > gates.nth(0).bounding_box()["y"]  # below each other


def test_the_verdict_is_what_a_reviewer_sees_first_on_mlflows_page(browser, made_site, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    forecast, bundle, figures = made_site
    where = store(tmp_path / "home")
    tracked = track(forecast, bundle.folder, where, figures)
    seen = client(where)
    note = seen.get_run(tracked.run_id).data.tags["mlflow.note.content"]
    with served(where) as address:
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        open_run(page, address, seen, tracked.run_id)
        verdict = page.get_by_text(note.partition("\n")[0].strip("*")[:40]).first

        assert verdict.is_visible()
        assert verdict.bounding_box()["y"] < 1000  # on the first screen
        assert {one.startswith((address, "data:", "blob:")) for one in asked} == {True}  # nothing is told elsewhere
        page.close()
