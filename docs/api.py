"""The pages of the public functions and classes: `docs/api/*.md`, made from the sources so that the two cannot differ.

Sources are parsed and never imported. Public is what carries no underscore, in a module that carries none: functions,
classes, and the methods and properties of classes. Of a docstring the first paragraph is shown, and what is raised.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "data": "what comes in: contracts of every table, sources, checks, worlds",
    "features": "what is known as of a moment: declarations, and the engine that computes them",
    "training": "what is learned: a task a file, and the steps that all tasks share",
    "serving": "what is decided: bundle, scorer, score to action, the HTTP surface",
}
Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Module:
    """One public module that holds something public.

    Attributes:
        path: Of its file, from the root of the repository.
        docstring: What it says of itself; empty where it says nothing.
        definitions: Its public functions and classes, in their order.
    """

    path: Path
    docstring: str
    definitions: tuple[Definition, ...]

    @property
    def name(self) -> str:
        """As it is imported."""
        parts = self.path.with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules(package: str) -> Iterator[Module]:
    """The public modules of a package in the order of their names."""
    for path in sorted((ROOT / package).rglob("*.py")):
        inside = path.relative_to(ROOT)
        if any(part.startswith("_") and part != "__init__.py" for part in inside.parts):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found = tuple(node for node in tree.body if isinstance(node, Definition) and public(node.name))
        if found:
            yield Module(inside, ast.get_docstring(tree) or "", found)


def public(name: str) -> bool:
    """Whether a name is for everybody."""
    return not name.startswith("_")


def members(definition: Definition) -> list[Function]:
    """The public methods and properties of a class, each once; none of a function."""
    if not isinstance(definition, ast.ClassDef):
        return []
    found = [node for node in definition.body if isinstance(node, Function) and public(node.name)]
    return list({node.name: node for node in reversed(found)}.values())[::-1]


def api_page(package: str) -> str:
    """The page of one package, in Markdown; `make docs` writes it and a test holds it true."""
    found = list(modules(package))
    parts = [
        f"# `{package}`: {PACKAGES[package]}",
        "",
        "Made from the sources by `make docs`. A name leads to its source. Arguments after `*` are given by name.",
        "",
        " · ".join(f"[{module.name.removeprefix(package + '.')}](#{_anchor(module.name)})" for module in found),
        "",
    ]
    for module in found:
        parts += [f"## {module.name}", "", _first(module.docstring), ""]
        for definition in module.definitions:
            parts += _section(module, definition)
        parts.append("")
    return "\n".join(parts).rstrip() + "\n"


def index_page() -> str:
    """The page that leads to the others."""
    lines = ["# The reference", "", "Made from the sources by `make docs`; public functions and classes alone.", ""]
    lines += ["| package | what |", "| --- | --- |"]
    return "\n".join([*lines, *(f"| [`{name}`](api/{name}.md) | {what} |" for name, what in PACKAGES.items())]) + "\n"


def _section(module: Module, definition: Definition) -> list[str]:
    source = f"../../{module.path.as_posix()}#L{definition.lineno}"
    lines = [f"- [`{definition.name}`]({source}) {_call(definition)}  ", f"  {_told(definition)}"]
    return [
        *lines,
        *(f"  - `{member.name}` {_call(member)}: {_inherited(member, definition)}" for member in members(definition)),
    ]


def _call(definition: Definition) -> str:
    """As it is called; of a class its fields, or how it is made."""
    if isinstance(definition, ast.ClassDef):
        return f"`class{_made(definition)}`"
    returns = f" -> {ast.unparse(definition.returns)}" if definition.returns else ""
    if any(isinstance(one, ast.Name) and one.id == "property" for one in definition.decorator_list):
        return f"`{returns.strip()}`"
    start = "async " if isinstance(definition, ast.AsyncFunctionDef) else ""
    return f"`{start}({ast.unparse(_without_self(definition))}){returns}`"


def _inherited(member: Function, definition: Definition) -> str:
    """What a method says; where it says nothing, what it is an answer to."""
    bases = [ast.unparse(base) for base in getattr(definition, "bases", [])]
    return _told(member) or " ".join(("As in", " and ".join(f"`{base}`" for base in bases))) + "."


def _told(definition: Definition) -> str:
    """The first paragraph on one line, and what is raised."""
    docstring = ast.get_docstring(definition) or ""
    return " ".join((_first(docstring), *_raised(docstring))).strip()


def _made(definition: ast.ClassDef) -> str:
    made = [node for node in definition.body if isinstance(node, Function) and node.name == "__init__"]
    if made:
        return f"({ast.unparse(_without_self(made[0]))})"
    fields = [
        ast.unparse(node)
        for node in definition.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and public(node.target.id)
    ]
    return f"({', '.join(fields)})" if fields else ""


def _without_self(function: Function) -> ast.arguments:
    """The arguments that a caller gives."""
    given = function.args
    first = next(iter([*given.posonlyargs, *given.args]), None)
    if first is None or first.arg not in {"self", "cls"}:
        return given
    return ast.arguments(
        posonlyargs=[one for one in given.posonlyargs if one is not first],
        args=[one for one in given.args if one is not first],
        vararg=given.vararg,
        kwonlyargs=given.kwonlyargs,
        kw_defaults=given.kw_defaults,
        kwarg=given.kwarg,
        defaults=given.defaults,
    )


def _first(docstring: str) -> str:
    """The first paragraph, on one line."""
    return " ".join(docstring.partition("\n\n")[0].split())


def _raised(docstring: str) -> list[str]:
    """What is raised and when, as one sentence; empty where nothing is said."""
    _, found, block = docstring.partition("\nRaises:\n")
    if not found:
        return []
    lines: list[str] = []
    for line in block.split("\n\n")[0].splitlines():
        if line.startswith(" " * 8) and lines:
            lines[-1] += f" {line.strip()}"
        elif line.strip():
            lines.append(line.strip())
    told = (line.rstrip(".").partition(": ") for line in lines)
    return [f"Raises {'; '.join(f'`{name}`: {when}' for name, _, when in told)}."]


def _anchor(name: str) -> str:
    """As Markdown makes it of a heading."""
    return name.replace(".", "").lower()
