"""One feature: what every declaration boils down to, whichever operator wrote it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from features.log import Key, Log, Where
    from features.window import Window


class Operator(StrEnum):
    """The ways in which the events of a window become one number."""

    COUNT = "count"
    SUM = "sum"
    MEAN = "mean"
    STD = "std"
    MIN = "min"
    MAX = "max"
    DISTINCT = "distinct"
    ENTROPY = "entropy"
    SHARE = "share"
    SINCE = "since"
    SINCE_FIRST = "since_first"
    LAST = "last"


@dataclass(frozen=True)
class Feature:
    """A fact about an entity as of a moment: one column of a training table, one input of a model.

    Attributes:
        name: Column name; for aggregates derived from the declaration.
        unit: What the number counts: ``fen``, ``seconds``, ``baskets``, ``share``.
        null_rule: When the value is null.
        meaning: One phrase in the words of the trade.
    """

    name: str
    unit: str
    null_rule: str
    meaning: str


@dataclass(frozen=True)
class Aggregate(Feature):
    """A feature that an operator reads off the events of a log before the moment asked about.

    Attributes:
        operator: How the events become a number.
        log: Which events.
        key: Whose events.
        column: The column read; None for operators on the events themselves.
        window: How far back; lifetime for ``since`` and ``last``.
        where: Which of the events count; for ``share`` what is counted among all.
        cap: Largest answer of a lifetime ``distinct``.
    """

    operator: Operator
    log: Log
    key: Key
    column: str | None
    window: Window
    where: Where | None
    cap: int | None


@dataclass(frozen=True)
class Derived(Feature):
    """A feature computed from other features of the same row.

    Attributes:
        inputs: The names of the features that enter, in the order of the function's parameters.
        function: Takes one array an input and gives one of that length.
        code: The function's code, compared in its stead: a module imported twice declares the same feature.
    """

    inputs: tuple[str, ...]
    function: Callable[..., Any] = field(compare=False)
    code: object


@dataclass(frozen=True)
class Fact(Feature):
    """A fact of the row itself, known at its moment; its name is its column."""


Declared: TypeAlias = Feature | tuple[Feature, ...]
"""What an operator returns: one feature, or one for each window asked for."""
