"""HTML and SVG in which no text can become markup: elements are calls, and whatever is not markup is escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_VOID: Final = frozenset({"meta", "br", "hr"})

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""A browser that reads this loads nothing and runs nothing, whatever a table held."""


class Markup(str):
    """Text that is markup already; only `element`, `joined` and `document` make it."""

    __slots__ = ()


def element(name: str, /, *children: str | Markup, **attributes: str | float) -> Markup:
    """One element with its attributes and children.

    Args:
        name: Of the element.
        children: Markup as it is; plain text is escaped.
        attributes: By name; a trailing underscore is dropped and others become hyphens, so `class_` and `stroke_width`.

    >>> element("p", "5 < 6 & ", element("b", "bold"), class_="note")
    '<p class="note">5 &lt; 6 &amp; <b>bold</b></p>'
    """
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_written(value))}"' for key, value in attributes.items()
    )
    if name in _VOID:
        return Markup(f"<{name}{told}>")
    return Markup(f"<{name}{told}>{joined(children)}</{name}>")


def joined(parts: Iterable[str | Markup]) -> Markup:
    """Pieces one after the other; plain text is escaped."""
    return Markup("".join(part if isinstance(part, Markup) else escape(part) for part in parts))


def document(title: str, style: str, *body: Markup) -> str:
    """A whole page that stands alone: style and drawings inside, nothing to load, no script.

    Args:
        title: Of the page, plain text.
        style: The rules of our own style sheet; never text from a table.
        body: What it shows.
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="generator", content="Shepherd"),
        element("title", title),
        element("style", Markup(style)),
    )
    return f"<!DOCTYPE html>\n{element('html', head, element('body', *body), lang='en')}\n"


def _written(value: str | float) -> str:
    """Numbers of a drawing to a tenth of a pixel, the rest as it is."""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
