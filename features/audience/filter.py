"""Who belongs to an audience, as plain values; the text of a filter is a form of them.

>>> lapsed = bought(category="kiwifruit", within=Span(90, "d")) & ~bought(brand="Green Ridge")
>>> print(lapsed)
bought(category="kiwifruit", within=90d) and not bought(brand="Green Ridge", ever)

`features.audience.parser.parse` reads the text back to equal values. Whatever is compared, a null does not satisfy it;
`not` turns a no into a yes, also the no of a null.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

if TYPE_CHECKING:
    from collections.abc import Iterator

Test: TypeAlias = Literal["=", "!=", "<", "<=", ">", ">=", "in"]
SpanUnit: TypeAlias = Literal["d", "h", "m"]

TESTS: Final = get_args(Test)
SECONDS: Final[dict[SpanUnit, int]] = {"d": 86_400, "h": 3_600, "m": 60}


@dataclass(frozen=True)
class Span:
    """A length of time: days of 24 hours, hours or minutes.

    >>> str(Span(90, "d")), Span(2, "h").seconds
    ('90d', 7200)
    """

    number: int
    unit: SpanUnit = "d"

    @property
    def seconds(self) -> int:
        """The length in seconds."""
        return self.number * SECONDS[self.unit]

    @property
    def length(self) -> timedelta:
        """The length as Python has it."""
        return timedelta(seconds=self.seconds)

    def __str__(self) -> str:
        """As it is written."""
        return f"{self.number}{self.unit}"


Value: TypeAlias = int | float | str | Span | tuple[str, ...]


@dataclass(frozen=True)
class Filter:
    """A condition on a member; made of the classes below, and joined with ``&``, ``|`` and ``~``.

    Attributes:
        at: Where it stands in the text that it was read from, from 1; 0 for one made in Python.
    """

    at: int = field(default=0, compare=False, repr=False, kw_only=True)

    def __and__(self, other: Filter) -> AllOf:
        """Who satisfies both."""
        return AllOf((*(self.of if isinstance(self, AllOf) else (self,)), other))

    def __or__(self, other: Filter) -> AnyOf:
        """Who satisfies one or the other, or both."""
        return AnyOf((*(self.of if isinstance(self, AnyOf) else (self,)), other))

    def __invert__(self) -> Not:
        """Who does not satisfy it."""
        return Not(self)

    def parts(self) -> tuple[Filter, ...]:
        """The filters that it is put together from."""
        return ()

    def walk(self) -> Iterator[Filter]:
        """It and all its parts, from the outside in."""
        yield self
        for part in self.parts():
            yield from part.walk()


@dataclass(frozen=True)
class Compare(Filter):
    """A feature, a column of the member or the segment held against a value; inside `Bought`, a column of a purchase.

    Attributes:
        name: What is looked at, such as ``member_basket_count_90d``, ``city`` or ``segment``.
        test: How; ``in`` takes a tuple.
        value: A number, a text or a length of time.
    """

    name: str
    test: Test
    value: Value

    def __str__(self) -> str:
        """As it is written: ``city = "Chengdu"``."""
        return f"{self.name} {self.test} {written(self.value)}"

    @property
    def argument(self) -> str:
        """As it is written among the arguments of `Bought`: ``category="kiwifruit"``."""
        return str(self) if self.test == "in" else f"{self.name}{self.test}{written(self.value)}"


@dataclass(frozen=True)
class Known(Filter):
    """Whether a feature or a column of the member has a value at all."""

    name: str

    def __str__(self) -> str:
        """As it is written: ``known(city)``."""
        return f"known({self.name})"


@dataclass(frozen=True)
class Bought(Filter):
    """Whether the member bought something: at least one line of a basket that satisfies every condition.

    Attributes:
        conditions: On a line, ``category``, ``brand``, ``product_id``, ``store_id``, ``channel``, ``offer_id``; and on
            the sum of such lines, ``baskets``, ``pieces``, ``spent_fen``.
        within: How far back at most; None for ever.
        before: How far back at least; None for up to the moment.
    """

    conditions: tuple[Compare, ...] = ()
    within: Span | None = None
    before: Span | None = None

    def __str__(self) -> str:
        """As it is written: ``bought(category="kiwifruit", within=90d)``."""
        listed = [condition.argument for condition in self.conditions]
        listed.append("ever" if self.within is None else f"within={self.within}")
        return f"bought({', '.join([*listed, *([f'before={self.before}'] if self.before else [])])})"


@dataclass(frozen=True)
class Registered(Filter):
    """When the member joined: at most `within` ago, at least `before` ago; never true where that is not known."""

    within: Span | None = None
    before: Span | None = None

    def __str__(self) -> str:
        """As it is written: ``registered(within=30d)``."""
        spans = {"within": self.within, "before": self.before}
        return f"registered({', '.join(f'{word}={span}' for word, span in spans.items() if span)})"


@dataclass(frozen=True)
class InAudience(Filter):
    """Whether the member belongs to a saved audience."""

    name: str

    def __str__(self) -> str:
        """As it is written: ``audience("kiwi-switchers")``."""
        return f"audience({written(self.name)})"


@dataclass(frozen=True)
class Listed(Filter):
    """Whether the member stands on a list that was saved with an audience.

    Attributes:
        digest: Of the list's ids, sha256: another list is another filter.
        path: Where the list lies; found by `Library.expanded`.
    """

    digest: str
    path: str = field(default="", compare=False, repr=False)

    def __str__(self) -> str:
        """As it is written: ``listed("...")``, with the digest."""
        return f"listed({written(self.digest)})"


@dataclass(frozen=True)
class Everybody(Filter):
    """True of every member."""

    def __str__(self) -> str:
        """As it is written."""
        return "everybody"


@dataclass(frozen=True)
class Not(Filter):
    """Who does not satisfy a filter."""

    part: Filter

    def parts(self) -> tuple[Filter, ...]:
        """The one part."""
        return (self.part,)

    def __str__(self) -> str:
        """As it is written: ``not city = "Chengdu"``."""
        return f"not {_bracketed(self.part)}"


@dataclass(frozen=True)
class AllOf(Filter):
    """Who satisfies all of two filters or more."""

    of: tuple[Filter, ...]

    def parts(self) -> tuple[Filter, ...]:
        """What is joined."""
        return self.of

    def __str__(self) -> str:
        """As it is written: ``... and ...``."""
        return " and ".join(map(_bracketed, self.of))


@dataclass(frozen=True)
class AnyOf(Filter):
    """Who satisfies one of two filters or more."""

    of: tuple[Filter, ...]

    def parts(self) -> tuple[Filter, ...]:
        """What is joined."""
        return self.of

    def __str__(self) -> str:
        """As it is written: ``... or ...``."""
        return " or ".join(map(_bracketed, self.of))


def bought(
    *conditions: Compare, within: Span | None = None, before: Span | None = None, **equal: str | tuple[str, ...]
) -> Bought:
    """A purchase, said shortly: ``bought(category="kiwifruit", within=Span(90))``; a tuple means one of these."""
    named = [Compare(name, "in" if isinstance(value, tuple) else "=", value) for name, value in equal.items()]
    return Bought((*named, *conditions), within, before)


def written(value: Value) -> str:
    r"""A value as it stands in a filter.

    >>> written("a \"b\""), written(("a", "b")), written(1.5)
    ('"a \\"b\\""', '("a", "b")', '1.5')
    """
    if isinstance(value, tuple):
        return f"({', '.join(map(written, value))})"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return str(value)


def _bracketed(part: Filter) -> str:
    return f"({part})" if isinstance(part, AllOf | AnyOf) else str(part)
