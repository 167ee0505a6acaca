"""The words of a filter: names, numbers, spans of time, texts in double quotes, and signs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from features.audience.problems import FilterProblem

if TYPE_CHECKING:
    from collections.abc import Iterator

Kind: TypeAlias = Literal["name", "number", "span", "text", "sign", "end"]

LONGEST_FILTER: Final = 4_000
"""Characters of a filter at most: one that people read is far shorter."""

_FULL_WIDTH: Final = str.maketrans({"（": "(", "）": ")", "，": ",", "\uff1d": "=", "\uff1e": ">", "\uff1c": "<"})
"""The signs as a Chinese keyboard gives them."""

_BREAKS: Final = "\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\ud800-\\udfff"
"""What no text of one line holds, as a class of characters."""

UNWRITABLE: Final = re.compile(f"[{_BREAKS}]")
_TOKEN: Final = re.compile(
    rf"""(?P<space>\s+)
    | (?P<span>\d+[dhm](?!\w))
    | (?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?!\w))
    | (?P<name>[^\W\d]\w*)
    | (?P<text>"(?:[^"\\{_BREAKS}]|\\["\\])*" | \u201c[^\u201c\u201d{_BREAKS}]*\u201d)
    | (?P<sign>!=|<=|>=|==|[=<>(),\uff08\uff09\uff0c\uff1d\uff1e\uff1c])
    | (?P<open>["\u201c].*)
    | (?P<other>[^\s(),=<>]+|.)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPED: Final = re.compile(r'\\(["\\])')


@dataclass(frozen=True)
class Token:
    """One word of a filter.

    Attributes:
        kind: What sort of word.
        word: As it was written, signs as a Western keyboard gives them; of a text what the quotes hold.
        at: Where it begins, from 1.
    """

    kind: Kind
    word: str
    at: int

    def is_sign(self, *signs: str) -> bool:
        """Whether it is one of these signs."""
        return self.kind == "sign" and self.word in signs

    def is_name(self, *names: str) -> bool:
        """Whether it is one of these words."""
        return self.kind == "name" and self.word in names

    @property
    def shown(self) -> str:
        """As a message repeats it, cut where it is long."""
        return repr(self.word if len(self.word) <= 40 else f"{self.word[:39]}…") if self.kind != "end" else ""

    @property
    def sort(self) -> str:
        """What sort of word it is, for people."""
        return _SORTS[self.kind]


_SORTS: Final[dict[Kind, str]] = {
    "name": "the word",
    "number": "the number",
    "span": "the span of time",
    "text": "the text",
    "sign": "the sign",
    "end": "the end of the filter",
}


def tokens(text: str) -> tuple[tuple[Token, ...], tuple[FilterProblem, ...]]:
    """The words of a filter, an end after the last, and the faults of what is no word."""
    if len(text) > LONGEST_FILTER:
        end = Token("end", "", len(text) + 1)
        return (end,), (
            FilterProblem(LONGEST_FILTER + 1, f"{len(text):,} characters", "", f"at most {LONGEST_FILTER:,}"),
        )
    found = list(_read(text))
    words = tuple(one for one in found if isinstance(one, Token))
    return (*words, Token("end", "", len(text) + 1)), tuple(one for one in found if isinstance(one, FilterProblem))


def _read(text: str) -> Iterator[Token | FilterProblem]:
    for match in _TOKEN.finditer(text):
        at, word = match.start() + 1, match.group()
        match match.lastgroup:
            case "name" | "number" | "span" as kind:
                yield Token(kind, word, at)
            case "sign":
                sign = word.translate(_FULL_WIDTH)
                yield Token("sign", "=" if sign == "==" else sign, at)
            case "text":
                inner = word[1:-1]
                yield Token("text", _ESCAPED.sub(r"\1", inner) if word[0] == '"' else inner, at)
            case "open":
                yield _open_text(text, at)
                yield Token("text", word, at)
            case "other":
                yield _no_word(word, at)
                yield Token("text", word, at)  # holds the place, that one fault is not told twice


def _open_text(text: str, at: int) -> FilterProblem:
    if UNWRITABLE.search(text, at):
        return FilterProblem(at, "a text with a line break or control character", "", "text in one line")
    return FilterProblem(at, "a text without an end", "", 'a closing " (inside, write \\" and \\\\)')


def _no_word(word: str, at: int) -> FilterProblem:
    hint = 'text stands in double quotes: "kiwifruit"' if "'" in word else ""
    return FilterProblem(at, "something that is no word of a filter:", repr(word[:40]), "names, values and signs", hint)
