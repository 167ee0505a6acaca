"""What is wrong with a filter: every fault with its place, what was found and what was expected."""

from __future__ import annotations

import difflib
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from data.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_WIDE: Final = frozenset("WF")


@dataclass(frozen=True)
class FilterProblem:
    """One fault of a filter.

    Attributes:
        at: Where it begins in the text, from 1; 0 where there is no text.
        sort: What sort of thing was found: ``an unknown name``.
        word: The very thing, as it was written; empty where nothing stands there.
        expected: What would fit.
        hint: What it may have been meant to be; empty where nothing is near.
    """

    at: int
    sort: str
    word: str
    expected: str
    hint: str = ""

    def __str__(self) -> str:
        """For people, in one line."""
        place = f"at {self.at}: " if self.at else ""
        found = f"{self.sort} {self.word}" if self.word else self.sort
        return f"{place}found {found}; expected {self.expected}{f'; {self.hint}' if self.hint else ''}"


class FilterRefused(UsageError):
    """A filter that means nothing; `problems` has every fault, the message shows them under the text."""

    def __init__(self, text: str, problems: Iterable[FilterProblem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.at))
        super().__init__(_message(text, self.problems))


def near(word: str, known: Iterable[str]) -> str:
    """A question whether another word was meant; empty where none is like it.

    >>> near("categry", ["brand", "category"])
    "did you mean 'category'?"
    """
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else ""


def _message(text: str, problems: Sequence[FilterProblem]) -> str:
    places = "1 place" if len(problems) == 1 else f"{len(problems)} places"
    lines = [f"the filter is wrong in {places}:", f"  {text}"]
    if any(problem.at for problem in problems):
        lines.append(f"  {_marks(text, [problem.at for problem in problems if problem.at])}")
    return "\n".join([*lines, *(f"  - {problem}" for problem in problems)])


def _marks(text: str, places: Sequence[int]) -> str:
    """A line with a mark under each place; a Chinese character is two columns wide."""
    marked = frozenset(places)
    columns = [("^" if place in marked else " ", width_of(one)) for place, one in enumerate(f"{text} ", 1)]
    return "".join(mark + " " * (width - 1) for mark, width in columns).rstrip()


def width_of(one: str) -> int:
    """How many columns of a terminal a character takes; a Chinese one takes two."""
    return 2 if unicodedata.east_asian_width(one) in _WIDE else 1
