"""Every link of every page leads to a file that is there, and to a heading that the file has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("benchmarks", "data", "deploy", "docs", "features", "notebooks", "serving", "training")
PAGES = [*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))]
CODE = re.compile(r"^ *```.*?^ *```$", flags=re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def _prose(page):
    return CODE.sub("", page.read_text(encoding="utf-8"))


def _anchors(page):
    """Names of the headings of a page, as a reader's browser knows them; the second of a name ends in -1."""
    found = []
    for heading in re.findall(r"^#+ +(.*)$", _prose(page), flags=re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        name = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        before = sum(re.fullmatch(rf"{re.escape(name)}(-\d+)?", one) is not None for one in found)
        found.append(f"{name}-{before}" if before else name)
    return set(found)


def _dead(page):
    for link in LINK.findall(_prose(page)):
        path, _, heading = link.partition("#")
        target = page.parent / path if path else page
        if "://" in link:
            continue
        if not target.exists() or (heading and target.suffix == ".md" and heading not in _anchors(target)):
            yield link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    assert list(_dead(page)) == []


def test_a_dead_link_would_be_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# A `b`, c\n\n# A b c\n\n[1](#a-b-c) [2](#a-b-c-1) [3](#a-b) [4](page.md#a-b-c) [5](no.md) [6](a://b)\n"
    )

    assert list(_dead(page)) == ["#a-b", "no.md"]


def test_all_pages_are_looked_at():
    assert len(PAGES) > 40
