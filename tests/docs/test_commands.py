"""Every `shepherd` line of every page is one that the command line takes: its name and each of its options."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

import shepherd

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
BLOCK = re.compile(r"^ *```\w*\n(.*?)^ *```", flags=re.DOTALL | re.MULTILINE)
SHOWN = re.compile(r"`(shepherd [a-z][^`\n]*)`")
TYPED = re.compile(r"(?:^|[ (|])(shepherd [a-z][a-z]*(?: .*)?)$", flags=re.MULTILINE)
AFTERWARDS = re.compile(r"\s(?:[|&>#]|2>|\|\||&&).*$")
OPTION = re.compile(r"(?<=\s)--[a-z][a-z-]*")
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
ROOT_COMMAND = typer.main.get_command(shepherd.app)


def _lines(text):
    """What a reader may type, without what a shell does with the answer."""
    prose = BLOCK.sub("", text)
    blocks = "\n".join(BLOCK.findall(text)).replace("\\\n", " ")
    return [AFTERWARDS.sub("", QUOTED.sub("TEXT", line)) for line in [*SHOWN.findall(prose), *TYPED.findall(blocks)]]


def _refused(line):
    command, words = ROOT_COMMAND, line.split()[1:]
    while words and hasattr(command, "commands"):
        names = words.pop(0).split("|")  # `keys add|list|remove` says three at once
        if unknown := [name for name in names if name not in command.commands]:
            return [line] if not unknown[0].startswith("--") else []
        command = command.commands[names[0]]
    known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)} | {"--help"}
    return [f"{option} in {line}" for option in OPTION.findall(line) if option not in known]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_is_one(page):
    lines = _lines(page.read_text(encoding="utf-8"))

    assert [refused for line in lines for refused in _refused(line)] == []


def test_many_commands_are_looked_at():
    lines = {line for page in PAGES for line in _lines(page.read_text(encoding="utf-8"))}

    assert len(lines) > 100


def test_what_is_no_command_would_be_found():
    text = "`shepherd fly`\n```sh\nshepherd train --task x --sideways 3 | tee --append y\nshepherd keys burn all\n```\n"

    found = [refused for line in _lines(text) for refused in _refused(line)]
    assert found == ["shepherd fly", "--sideways in shepherd train --task x --sideways 3", "shepherd keys burn all"]
