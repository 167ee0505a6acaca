"""The two front pages say the same in two languages, show the figures that were kept, and name what is there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from data.errors import DataError, UsageError
from docs import figures
from docs.figures import BEGIN, END, FOLDER, PAGES, SHOWN, Shown, found_of, keep, names, table, written

ROOT = Path(__file__).parents[2]
ENGLISH, CHINESE = ((ROOT / name).read_text(encoding="utf-8") for name in PAGES)
BLOCK = re.compile(r"^```.*?^```$", flags=re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)#]+)\)")


def _headings(text):
    return [len(line.partition(" ")[0]) for line in BLOCK.sub("", text).splitlines() if line.startswith("#")]


def test_both_pages_have_the_same_sections():
    assert _headings(ENGLISH) == _headings(CHINESE)
    assert len(_headings(ENGLISH)) > 10


def test_both_pages_have_the_same_blocks_of_code():
    assert BLOCK.findall(ENGLISH) == BLOCK.findall(CHINESE)


def test_both_pages_lead_to_the_same_places():
    assert set(LINK.findall(ENGLISH)) - {"README.zh-CN.md"} == set(LINK.findall(CHINESE)) - {"README.md"}


def test_the_chinese_page_is_chinese():
    prose = re.sub(r"`[^`]*`", "", BLOCK.sub("", CHINESE))

    assert len(re.findall(r"[\u4e00-\u9fff]", prose)) > 1_200
    assert re.findall(r"(?:\b[a-z]+ ){6}", prose) == []


@pytest.mark.parametrize(
    "page",
    [*PAGES, "CONTRIBUTING.md", *(f"docs/first-hour/{path.name}" for path in (FOLDER / "../first-hour").glob("*.md"))],
)
def test_named_files_are_there(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(r"`((?:docs|notebooks|deploy|serving|training|features|data)/[\w./-]+\.\w+)`", text)

    assert [name for name in named if not (ROOT / name).exists() and "NAME" not in name] == []


@pytest.mark.parametrize(("page", "language"), PAGES.items())
def test_between_the_marks_stands_what_the_command_writes(page, language):
    text = (ROOT / page).read_text(encoding="utf-8")

    assert text == written(text, language), "`make figures`"
    assert table(language) in text


@pytest.mark.parametrize("language", PAGES.values())
def test_the_table_shows_every_figure_with_its_command(language):
    rows = [line for line in table(language).splitlines() if line.startswith("| ")][2:]

    assert len(rows) == len(SHOWN)
    for one, row in zip(SHOWN, rows, strict=True):
        run = json.loads((FOLDER / f"{one.run}.json").read_text(encoding="utf-8"))
        assert row.startswith(f"| {one.asked[language]} | {one.told(found_of(run['found'], one.path))} |")
        assert row.endswith(f"| `{run['command']}` |")


@pytest.mark.parametrize("name", names())
def test_a_kept_run_says_its_command_day_and_load(name):
    run = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))

    assert set(run) == {"command", "date", "load", "found"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", run["date"])
    assert re.match(r"(shepherd|python -m benchmarks\.)", run["command"])
    assert run["load"]


def test_nothing_is_kept_that_is_not_shown():
    assert {path.stem for path in FOLDER.glob("*.json")} == set(names())


@pytest.mark.parametrize(
    ("aim", "less", "value", "missed"),
    [
        (None, False, 0.1, False),
        (0.5, False, 0.4, True),
        (0.5, False, {"value": 0.6, "low": 0.4, "high": 0.8}, False),
        (10.0, True, 54.0, True),
        (10.0, True, 10.0, False),
    ],
)
def test_an_aim_is_missed_by_the_point_estimate(aim, less, value, missed):
    assert Shown("run", ("x",), {}, aim=aim, less_is_better=less).missed(value) is missed


def test_a_new_run_replaces_what_it_found_and_leaves_the_rest(monkeypatch, tmp_path):
    monkeypatch.setattr(figures, "FOLDER", tmp_path)
    old = json.loads((FOLDER / "serving.json").read_text(encoding="utf-8"))
    (tmp_path / "serving.json").write_text(json.dumps(old), encoding="utf-8")
    (tmp_path / "out.json").write_text(json.dumps({"decisions_per_second": 3_000, "load_average": 0.5, "parts": {}}))

    keep(tmp_path / "out.json", "serving", "", "2026-12-01")

    new = json.loads((tmp_path / "serving.json").read_text(encoding="utf-8"))
    assert (new["date"], new["load"], new["command"]) == ("2026-12-01", "0.5", old["command"])
    assert new["found"] == {**old["found"], "decisions_per_second": 3_000}
    with pytest.raises(UsageError, match="found 'fly', expected one of run, fraud"):
        keep(tmp_path / "out.json", "fly", "", "2026-12-01")


def test_a_page_without_a_place_for_the_table_is_refused():
    with pytest.raises(DataError, match="found no place"):
        written("# A page\n", "en")
    with pytest.raises(DataError, match="found no place"):
        written(f"{END} {BEGIN}", "en")


def test_a_figure_that_is_lacking_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(figures, "FOLDER", tmp_path)
    for name in names():
        run = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        (tmp_path / f"{name}.json").write_text(json.dumps(run | {"found": {} if name == "features" else run["found"]}))

    with pytest.raises(DataError, match="lacks features: ratio polars; features: ratio duckdb; features: mismatches"):
        table("en")
