"""The reference says what the sources say: every public thing is on its page, has a docstring, and is linked to."""

from __future__ import annotations

import ast
import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest

from docs.api import PACKAGES, api_page, index_page, members, modules

DOCS = Path(__file__).parents[2] / "docs"
LINE = re.compile(r"#L(\d+)\)")


def _lines_apart(page: str) -> str:
    """Without numbers of lines, which move with every edit and which `make docs` renews."""
    return LINE.sub(")", page)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_page_of_a_package_is_as_generated(package):
    written = (DOCS / "api" / f"{package}.md").read_text(encoding="utf-8")

    assert _lines_apart(written) == _lines_apart(api_page(package)), "the sources say something else now: `make docs`"


def test_the_index_is_as_generated():
    assert (DOCS / "api.md").read_text(encoding="utf-8") == index_page(), "`make docs`"


@pytest.mark.parametrize("package", PACKAGES)
def test_everything_public_has_a_docstring(package):
    told = {
        (definition.name, member.name)
        for one in PACKAGES
        for module in modules(one)
        for definition in module.definitions
        for member in members(definition)
        if ast.get_docstring(member)
    }
    silent = [
        f"{module.path}:{node.lineno} {node.name}"
        for module in modules(package)
        for definition in module.definitions
        for node in (definition, *members(definition))
        if not ast.get_docstring(node)
        and not any((ast.unparse(base), node.name) in told for base in getattr(definition, "bases", []))
    ]

    assert silent == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_with_something_public_says_what_it_is(package):
    assert [str(module.path) for module in modules(package) if not module.docstring] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_links_lead_to_sources_that_are_there(package):
    page = api_page(package)
    links = re.findall(r"\[`(\w+)`\]\(\.\./\.\./([\w/.]+)#L(\d+)\)", page)

    assert len(links) == sum(len(module.definitions) for module in modules(package))
    for name, path, line in links:
        source = (DOCS.parent / path).read_text(encoding="utf-8").splitlines()[int(line) - 1]
        assert re.match(rf"(async )?(def|class) {name}\b", source), (path, line)


def test_a_page_says_what_python_itself_says_of_a_module():
    """The walker reads text; what is imported is the referee."""
    module = import_module("training.interval")
    page = api_page("training").partition("## training.interval\n")[2].partition("\n## ")[0]
    here = {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
    }

    assert set(re.findall(r"^- \[`(\w+)`\]", page, flags=re.MULTILINE)) == set(here)
    for value in here.values():
        assert " ".join((inspect.getdoc(value) or "").partition("\n\n")[0].split()) in page


def test_what_is_raised_is_on_the_page():
    page = api_page("training")

    assert "Raises `GateRefused`: Features changed; all of them are named." in page
