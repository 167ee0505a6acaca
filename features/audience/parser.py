"""The text of a filter, read by descent; all its faults are found in one reading.

    filter    = term {"or" term}
    term      = factor {"and" factor}
    factor    = "not" factor | "(" filter ")" | condition
    condition = NAME test value | NAME "in" "(" TEXT {"," TEXT} ")"
              | "bought" "(" [argument {"," argument}] ")" | "registered" "(" [span {"," span}] ")"
              | "known" "(" NAME ")" | "audience" "(" TEXT ")" | "everybody"
    argument  = NAME test value | NAME "in" "(" TEXT {"," TEXT} ")" | span | "ever"
    span      = ("within" | "before") "=" SPAN
    test      = "=" | "!=" | "<" | "<=" | ">" | ">="

After a fault reading goes on at the next ``and``, ``or``, comma or closing bracket of the same depth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn, cast

from features.audience.filter import (
    AllOf,
    AnyOf,
    Bought,
    Compare,
    Everybody,
    Filter,
    InAudience,
    Known,
    Listed,
    Not,
    Registered,
    Span,
)
from features.audience.meaning import faults
from features.audience.problems import FilterProblem, FilterRefused, near
from features.audience.tokens import tokens
from features.audience.vocabulary import LINE_TERMS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from features.audience.filter import SpanUnit, Test, Value
    from features.audience.tokens import Token

DEEPEST: Final = 40
_TESTS: Final = ("=", "!=", "<", "<=", ">", ">=")
_JOINS: Final = ("and", "or")
_FORMS: Final = ("bought", "registered", "known", "audience", "listed")


def parse(text: str, saved: Collection[str] | None = None) -> Filter:
    """The filter that a text says.

    Args:
        text: The filter, such as ``bought(category="kiwifruit", within=90d) and city = "Chengdu"``.
        saved: Names of saved audiences that it may refer to; None for not to look whether they are there.

    Raises:
        FilterRefused: With every fault, where it is, what was found and what was expected.
    """
    words, strange = tokens(text)
    if not strange and len(words) == 1:
        expected = 'a condition, such as bought(category="tea", within=90d); everybody, for all members'
        raise FilterRefused(text, [FilterProblem(1, "an empty filter", "", expected)])
    reader = _Reader(words, list(strange))
    read = reader.whole() if len(words) > 1 else None
    problems = reader.problems + list(faults(read, saved) if read is not None else ())
    if problems or read is None:
        raise FilterRefused(text, problems)
    return read


class _Skipped(Exception):
    """A fault was noted; what stands up to the next safe place is left out."""


@dataclass
class _Reader:
    words: tuple[Token, ...]
    problems: list[FilterProblem]
    place: int = 0
    depth: int = 0

    @property
    def word(self) -> Token:
        return self.words[self.place]

    def whole(self) -> Filter | None:
        read = self._any_of()
        while self.word.kind != "end":
            stray = self.word
            hint = "a bracket that nothing opened" if stray.is_sign(")") else near(stray.word, _JOINS)
            self._fault("and, or, or the end of the filter", hint)
            self.place += 1
            self._skip(commas=False)
            if self.word.is_name(*_JOINS):
                self.place += 1
                self._any_of()
        return read

    def _any_of(self) -> Filter | None:
        return self._joined("or", self._all_of, AnyOf)

    def _all_of(self) -> Filter | None:
        return self._joined("and", self._factor, AllOf)

    def _joined(self, word: str, read: Callable[[], Filter | None], join: type[AllOf | AnyOf]) -> Filter | None:
        at = self.word.at
        parts = [read()]
        while self.word.is_name(word):
            self.place += 1
            parts.append(read())
        sound = tuple(part for part in parts if part is not None)
        return (sound[0] if sound else None) if len(sound) < 2 else join(sound, at=at)

    def _factor(self) -> Filter | None:
        """One condition; none where it is faulty, and then reading goes on after it."""
        self.depth += 1
        try:
            if self.depth > DEEPEST:
                self.problems.append(
                    FilterProblem(self.word.at, f"brackets more than {DEEPEST} deep", "", "fewer, with parts saved")
                )
                self.place = len(self.words) - 1
                return None
            return self._condition()
        except _Skipped:
            self._skip(commas=False)
            return None
        finally:
            self.depth -= 1

    def _condition(self) -> Filter | None:
        first = self.word
        if first.is_name("not"):
            self.place += 1
            part = self._factor()
            return None if part is None else Not(part, at=first.at)
        if first.is_sign("("):
            self.place += 1
            read = self._any_of()
            self._close()
            return read
        if first.is_name("everybody"):
            self.place += 1
            return Everybody(at=first.at)
        if first.kind != "name" or first.is_name(*_JOINS, "in"):
            self._refuse('a condition, such as bought(...), city = "Chengdu", not ... or ( ... )')
        if first.is_name(*_FORMS) or self.words[self.place + 1].is_sign("("):
            return self._form()
        return self._comparison()

    def _form(self) -> Filter | None:
        form = self.word
        if not form.is_name(*_FORMS):
            self._refuse(f"one of {', '.join(f'{name}(...)' for name in _FORMS)}", near(form.word, _FORMS))
        self.place += 1
        self._sign("(")
        match form.word:
            case "known":
                name = self._expect("name", "the name of a feature or a column")
                self._sign(")")
                return Known(name.word, at=form.at)
            case "audience":
                name = self._expect("text", 'the name of a saved audience in double quotes, such as "regulars"')
                self._sign(")")
                return InAudience(name.word, at=form.at)
            case "listed":
                digest = self._expect("text", "the sha256 of a saved list in double quotes")
                self._sign(")")
                return Listed(digest.word, at=form.at)
        return self._with_arguments(form)

    def _with_arguments(self, form: Token) -> Filter | None:
        faults_before = len(self.problems)
        conditions: list[Compare] = []
        spans: dict[str, Span | None] = {}
        while not self.word.is_sign(")"):
            try:
                self._argument(form, conditions, spans)
                if not self.word.is_sign(",", ")"):
                    self._refuse("a comma or a closing bracket")
            except _Skipped:
                self._skip(commas=True)
            if not self.word.is_sign(","):
                break
            self.place += 1
        self._close()
        within, before = spans.get("within"), spans.get("before")
        if form.word == "registered" and not spans and len(self.problems) > faults_before:
            return None
        if form.word == "bought":
            return Bought(tuple(conditions), within, before, at=form.at)
        return Registered(within, before, at=form.at)

    def _argument(self, form: Token, conditions: list[Compare], spans: dict[str, Span | None]) -> None:
        word = self.word
        if word.is_name("within", "before", *(("ever",) if form.word == "bought" else ())):
            slot = "within" if word.word == "ever" else word.word
            if slot in spans:
                self._refuse("each time said once, either within or ever")
            self.place += 1
            spans[slot] = None
            if word.word != "ever":
                self._sign("=")
                spans[slot] = self._span()
        elif form.word == "bought" and word.kind == "name":
            conditions.append(self._comparison())
        elif form.word == "bought":
            self._refuse(f"a condition on what was bought ({', '.join(LINE_TERMS)}), within=90d, before=30d or ever")
        else:
            self._refuse("within=30d or before=365d", near(word.word, ("within", "before")))

    def _comparison(self) -> Compare:
        name = self._expect("name", "a name")
        if self.word.is_name("in"):
            self.place += 1
            return Compare(name.word, "in", self._texts(), at=name.at)
        if not self.word.is_sign(*_TESTS):
            self._refuse(f"after a name one of {' '.join(_TESTS)} in", near(self.word.word, ("in",)))
        test = cast("Test", self.word.word)
        self.place += 1
        return Compare(name.word, test, self._value(), at=name.at)

    def _texts(self) -> tuple[str, ...]:
        self._sign("(")
        found = [self._expect("text", "text in double quotes").word]
        while self.word.is_sign(","):
            self.place += 1
            found.append(self._expect("text", "text in double quotes").word)
        self._sign(")")
        return tuple(found)

    def _value(self) -> Value:
        word = self.word
        if word.kind == "text":
            self.place += 1
            return word.word
        if word.kind == "span":
            return self._span()
        if word.kind != "number":
            hint = 'text stands in double quotes: "kiwifruit"' if word.kind == "name" else ""
            self._refuse("a number, a span of time such as 30d, or text in double quotes", hint)
        self.place += 1
        return int(word.word) if word.word.lstrip("-").isdigit() else float(word.word)

    def _span(self) -> Span:
        if self.word.kind == "number":
            self._refuse("a span of time such as 90d, 12h or 30m", "its unit is missing")
        word = self._expect("span", "a span of time such as 90d, 12h or 30m").word
        return Span(int(word[:-1]), cast("SpanUnit", word[-1]))

    def _expect(self, kind: str, expected: str) -> Token:
        if self.word.kind != kind:
            self._refuse(expected)
        self.place += 1
        return self.words[self.place - 1]

    def _sign(self, sign: str) -> None:
        if not self.word.is_sign(sign):
            self._refuse({")": "a closing bracket )", "(": "an opening bracket ("}.get(sign, f"the sign {sign}"))
        self.place += 1

    def _close(self) -> None:
        """The closing bracket; where something else stands, on to it, so that what was read so far is still judged."""
        if not self.word.is_sign(")"):
            self._fault("a closing bracket )")
            while not self.word.is_sign(")") and self.word.kind != "end":
                self.place += 1
                self._skip(commas=False)
        self.place += self.word.is_sign(")")

    def _fault(self, expected: str, hint: str = "") -> None:
        word = self.word
        if all(problem.at != word.at for problem in self.problems):  # what follows from the first says nothing more
            self.problems.append(FilterProblem(word.at, word.sort, word.shown, expected, hint))

    def _refuse(self, expected: str, hint: str = "") -> NoReturn:
        self._fault(expected, hint)
        raise _Skipped

    def _skip(self, *, commas: bool) -> None:
        """Go on to where reading is safe again: the end of this argument, condition or bracket."""
        depth = 0
        while self.word.kind != "end":
            if depth == 0 and (
                self.word.is_sign(")") or self.word.is_name(*_JOINS) or (commas and self.word.is_sign(","))
            ):
                return
            depth += self.word.is_sign("(") - self.word.is_sign(")")
            self.place += 1
