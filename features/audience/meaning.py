"""Whether a filter means something: its names are known, and each is compared with what it can be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from features.audience.filter import AllOf, AnyOf, Bought, Compare, InAudience, Known, Listed, Registered, Span, written
from features.audience.problems import FilterProblem, FilterRefused, near
from features.audience.tokens import UNWRITABLE
from features.audience.vocabulary import LINE_TERMS, TERMS, TESTS_OF, TOTALS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from features.audience.filter import Filter, Value
    from features.audience.vocabulary import Term

MOST_CONDITIONS: Final = 200
LONGEST_SPAN_DAYS: Final = 36_500
LARGEST_NUMBER: Final = 10**15
DIGEST: Final = re.compile("[0-9a-f]{64}")
_WANTED: Final = {
    "text": 'text in double quotes, such as "tea"',
    "number": "a number",
    "seconds": "a span of time such as 30d, 12h or 5m, or a number of seconds",
    "whole": "a whole number",
}


def faults(condition: Filter, saved: Collection[str] | None = None) -> tuple[FilterProblem, ...]:
    """All that is wrong with a filter.

    Args:
        condition: The filter.
        saved: Names of saved audiences, which it may refer to; None for not to look.
    """
    found = [fault for part in condition.walk() for fault in _faults_of(part, saved)]
    number = sum(1 + len(part.conditions) if isinstance(part, Bought) else 1 for part in condition.walk())
    if number > MOST_CONDITIONS:
        found.append(FilterProblem(0, "too many conditions:", str(number), f"at most {MOST_CONDITIONS}"))
    return tuple(found)


def require_meaning(condition: Filter, saved: Collection[str] | None = None) -> None:
    """Refuse a filter that means nothing.

    Raises:
        FilterRefused: With everything that is wrong.
    """
    found = faults(condition, saved)
    if found:
        raise FilterRefused(str(condition), found)


def _faults_of(part: Filter, saved: Collection[str] | None) -> Iterator[FilterProblem]:
    match part:
        case Compare():
            yield from _comparison(part, TERMS)
        case Known() if part.name not in TERMS:
            yield _unknown(part.at, part.name, TERMS)
        case Bought():
            for condition in part.conditions:
                yield from _comparison(condition, LINE_TERMS)
                yield from _never(condition)
            yield from _spans(part.at, part.within, part.before)
        case Registered():
            if part.within is None and part.before is None:
                yield FilterProblem(part.at, "registered() without a time", "", "within=30d or before=365d")
            yield from _spans(part.at, part.within, part.before)
        case InAudience() if saved is not None and part.name not in saved:
            hint = near(part.name, saved) or "`shepherd audience list` names them"
            yield FilterProblem(part.at, "an audience that is not saved:", repr(part.name), "a saved one", hint)
        case Listed() if not DIGEST.fullmatch(part.digest):
            yield FilterProblem(
                part.at,
                "what is no list:",
                repr(part.digest),
                "the 64 digits that `shepherd audience show` prints",
                "save a list with --members",
            )
        case AllOf() | AnyOf() if len(part.of) < 2:
            yield FilterProblem(part.at, "fewer than two joined filters", "", "two or more")


def _comparison(condition: Compare, terms: Mapping[str, Term]) -> Iterator[FilterProblem]:
    term = terms.get(condition.name)
    if term is None:
        yield _unknown(condition.at, condition.name, terms)
        return
    if condition.test not in TESTS_OF[term.sort]:
        expected = f"one of {' '.join(TESTS_OF[term.sort])}"
        yield FilterProblem(condition.at, "a test that does not suit:", f"{term.name} {condition.test}", expected)
    values = condition.value if isinstance(condition.value, tuple) else (condition.value,)
    if condition.test in TESTS_OF[term.sort] and isinstance(condition.value, tuple) != (condition.test == "in"):
        wanted = 'several texts, such as in ("tea", "milk")' if condition.test == "in" else _WANTED[term.sort]
        yield FilterProblem(condition.at, "a value that does not suit:", str(condition), wanted)
        return
    if not values:
        yield FilterProblem(condition.at, "an empty list:", str(condition), "at least one text")
    for value in values:
        yield from _value(condition.at, term, value)


def _value(at: int, term: Term, value: Value) -> Iterator[FilterProblem]:
    if not _fits(term, value):
        yield FilterProblem(at, f"a value that {term.name} cannot be:", written(value), _WANTED[term.sort])
    elif isinstance(value, str):
        if UNWRITABLE.search(value):
            yield FilterProblem(at, f"a value that {term.name} cannot be:", repr(value), "text in one line")
        elif term.choices and value not in term.choices:
            expected = f"one of {', '.join(term.choices)}"
            yield FilterProblem(
                at, f"a value that {term.name} cannot be:", written(value), expected, near(value, term.choices)
            )
    elif isinstance(value, Span):
        yield from _too_long(at, value)
    elif not isinstance(value, tuple) and not abs(value) <= LARGEST_NUMBER:
        yield FilterProblem(
            at, f"a value that {term.name} cannot be:", written(value), f"at most {LARGEST_NUMBER:,} either way"
        )


def _fits(term: Term, value: Value) -> bool:
    if term.sort == "text":
        return isinstance(value, str)
    if isinstance(value, bool | tuple | str):
        return False
    return not isinstance(value, float if term.sort == "whole" else ()) and (
        term.sort == "seconds" or not isinstance(value, Span)
    )


def _never(condition: Compare) -> Iterator[FilterProblem]:
    """`bought` means at least one line, so fewer than one basket is a question for `not`."""
    if condition.name != "baskets" or not isinstance(condition.value, int):
        return
    least = {"<": 2, "<=": 1, "=": 1}.get(condition.test)
    if least is not None and condition.value < least:
        shown = condition.argument
        yield FilterProblem(
            condition.at, "fewer baskets than one:", shown, "at least one basket", "for none, write not bought(...)"
        )


def _spans(at: int, within: Span | None, before: Span | None) -> Iterator[FilterProblem]:
    for span in (within, before):
        if span is not None:
            yield from _too_long(at, span)
    if within is not None and before is not None and before.seconds >= within.seconds:
        yield FilterProblem(
            at, "an empty stretch of time:", f"within={within}, before={before}", "a `before` shorter than `within`"
        )


def _too_long(at: int, span: Span) -> Iterator[FilterProblem]:
    if not 0 < span.seconds <= LONGEST_SPAN_DAYS * 86_400:
        yield FilterProblem(at, "the span of time", str(span), f"between 1m and {LONGEST_SPAN_DAYS}d")


def _unknown(at: int, name: str, terms: Mapping[str, Term]) -> FilterProblem:
    if terms is LINE_TERMS:
        return FilterProblem(at, "an unknown name", repr(name), f"one of {', '.join(terms)}", near(name, terms))
    hint = near(name, terms)
    if name in LINE_TERMS:
        hint = f"what was bought is asked with bought({name}{'>=1' if name in TOTALS else '=...'})"
    expected = "city, channel, another column of members, segment, or a feature of a member (docs/features.md)"
    return FilterProblem(at, "an unknown name", repr(name), expected, hint)
