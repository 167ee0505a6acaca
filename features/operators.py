"""The words in which features are declared: count, sum, mean, ... over the events of a log.

Every operator sees the events of one key with ``t - window <= seen_at < t``, so never the event that asks and never
one of the same instant. Where the key itself is null every feature is null. ``over`` is one window or a tuple of
windows and gives one feature for each. ``where`` keeps only some of the events. ``meaning`` replaces the generated
phrase.
"""

# ruff: noqa: PLR0913, PLR0917 - the keywords of an operator read as one sentence; splitting them would hide it

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from features.feature import Aggregate, Declared, Derived, Fact, Feature, Operator
from features.log import GAP, Key, Log, Where, key_columns, key_name
from features.window import LIFETIME, Window

if TYPE_CHECKING:
    from collections.abc import Callable

Windows = Window | tuple[Window, ...]

_UNITS = (("_fen", "fen"), ("_seconds", "seconds"), ("_days", "days"), ("_metres", "metres"))
_ZERO = "0 without such events; null for a null key"
_EMPTY = "null without a value in the window, and for a null key"


def count(log: Log, *, by: Key, over: Windows, where: Where | None = None, meaning: str | None = None) -> Declared:
    """How many events. Never null for a known key: 0 without history."""
    phrase = f"Number of {_events(log, where)}"
    return _each(over, Operator.COUNT, log, by, None, where, _plural(log), _ZERO, phrase, meaning)


def sum_(
    log: Log, column: str, *, by: Key, over: Windows, where: Where | None = None, meaning: str | None = None
) -> Declared:
    """The total of an integer column; null values are left out, 0 without history."""
    phrase = f"Total {_words(column)} of the {_events(log, where)}"
    return _each(over, Operator.SUM, log, by, column, where, _unit(column), _ZERO, phrase, meaning)


def mean(
    log: Log, column: str, *, by: Key, over: Windows, where: Where | None = None, meaning: str | None = None
) -> Declared:
    """The average of an integer column over the events that have it: one division of two integers."""
    phrase = f"Average {_words(column)} of the {_events(log, where)}"
    return _each(over, Operator.MEAN, log, by, column, where, _unit(column), _EMPTY, phrase, meaning)


def std(
    log: Log, column: str, *, by: Key, over: Windows, where: Where | None = None, meaning: str | None = None
) -> Declared:
    """The sample standard deviation of an integer column; null with fewer than two values."""
    phrase = f"Standard deviation of the {_words(column)} of the {_events(log, where)}"
    rule = "null with fewer than two values in the window, and for a null key"
    return _each(over, Operator.STD, log, by, column, where, _unit(column), rule, phrase, meaning)


def minimum(
    log: Log, column: str, *, by: Key, over: Windows, where: Where | None = None, meaning: str | None = None
) -> Declared:
    """The smallest value of an integer column."""
    phrase = f"Smallest {_words(column)} of the {_events(log, where)}"
    return _each(over, Operator.MIN, log, by, column, where, _unit(column), _EMPTY, phrase, meaning)


def maximum(
    log: Log, column: str, *, by: Key, over: Windows, where: Where | None = None, meaning: str | None = None
) -> Declared:
    """The largest value of an integer column."""
    phrase = f"Largest {_words(column)} of the {_events(log, where)}"
    return _each(over, Operator.MAX, log, by, column, where, _unit(column), _EMPTY, phrase, meaning)


def distinct(
    log: Log,
    column: str,
    *,
    by: Key,
    over: Windows,
    where: Where | None = None,
    cap: int | None = None,
    meaning: str | None = None,
) -> Declared:
    """How many different values of a column (text or integer), nulls left out.

    A live state would have to remember every value for ever to answer over a lifetime, so there a ``cap`` is required:
    the answer stops growing at it.
    """
    phrase = f"Number of different {_words(column)} values in the {_events(log, where)}"
    unit = f"{_words(column)} values"
    return _each(over, Operator.DISTINCT, log, by, column, where, unit, _ZERO, phrase, meaning, cap)


def entropy(
    log: Log, column: str, *, by: Key, over: Windows, where: Where | None = None, meaning: str | None = None
) -> Declared:
    """How evenly events spread over the values of a column: 0 when all share one, ln k for k equally frequent ones."""
    phrase = f"Spread over {_words(column)} (entropy) of the {_events(log, where)}"
    return _each(over, Operator.ENTROPY, log, by, column, where, "nats", _EMPTY, phrase, meaning)


def share(log: Log, *, where: Where, by: Key, over: Windows, meaning: str | None = None) -> Declared:
    """Which part of the events satisfy a condition, 0 to 1; null without events."""
    phrase = f"Share of {where.label.replace('_', ' ')} ones among the {_events(log, None)}"
    rule = "null without events in the window, and for a null key"
    return _each(over, Operator.SHARE, log, by, None, where, "share", rule, phrase, meaning)


def since(
    log: Log, *, by: Key, where: Where | None = None, first: bool = False, meaning: str | None = None
) -> Declared:
    """Whole seconds since the latest event or, with ``first``, since the first one ever (tenure, age)."""
    operator = Operator.SINCE_FIRST if first else Operator.SINCE
    phrase = f"Seconds since the {'first' if first else 'latest'} of the {_events(log, where)}"
    rule = "null before the first such event, and for a null key"
    return _each(LIFETIME, operator, log, by, None, where, "seconds", rule, phrase, meaning)


def last(log: Log, column: str, *, by: Key, where: Where | None = None, meaning: str | None = None) -> Declared:
    """The value of an integer column at the latest instant that has one; of several at that instant the largest."""
    phrase = f"Latest {_words(column)} of the {_events(log, where)}"
    rule = "null before the first value, and for a null key"
    return _each(LIFETIME, Operator.LAST, log, by, column, where, _unit(column), rule, phrase, meaning)


def derived(
    name: str, function: Callable[..., Any], unit: str, meaning: str, of: tuple[str, ...] | None = None
) -> Feature:
    """A feature computed row by row from features of the same set.

    The function's parameter names say which, or ``of`` does, in their order, where one function serves several.

    The function gets one float64 array an input, null as NaN and not yet rounded, and answers one array of that length;
    a result that is not finite is null. It must work element by element and should keep to what gives the same bits for
    one value as for many: ``+ - * /``, comparisons, ``numpy.sqrt``, ``where``, ``maximum``, ``minimum``.
    """
    code = getattr(function, "__code__", None)
    return Derived(
        name=name,
        unit=unit,
        null_rule="null where an input it needs is null or the result is not finite",
        meaning=meaning,
        inputs=of or (code.co_varnames[: code.co_argcount] if code else ()),
        function=function,
        code=code,
    )


def column(name: str, unit: str, meaning: str) -> Feature:
    """A fact of the row itself that is known at its moment, taken over from the row's column of that name."""
    return Fact(name=name, unit=unit, null_rule="null where the row has none", meaning=meaning)


def _each(
    over: Windows,
    operator: Operator,
    log: Log,
    by: Key,
    column_: str | None,
    where: Where | None,
    unit: str,
    null_rule: str,
    phrase: str,
    meaning: str | None,
    cap: int | None = None,
) -> Declared:
    features = tuple(
        Aggregate(
            name=_name(operator, log, by, column_, where, window),
            unit=unit,
            null_rule=null_rule,
            meaning=meaning or f"{phrase} {_of(by)}{_when(operator, window)}{f', at most {cap}' if cap else ''}",
            operator=operator,
            log=log,
            key=by,
            column=column_,
            window=window,
            where=where,
            cap=cap,
        )
        for window in (over if isinstance(over, tuple) else (over,))
    )
    return features if isinstance(over, tuple) else features[0]


def _name(operator: Operator, log: Log, by: Key, column_: str | None, where: Where | None, window: Window) -> str:
    parts = [key_name(by)]
    if column_ is None:
        parts += [log.event, operator.value]
    else:
        parts += [operator.value]
        parts += [log.event] if log.qualified or column_ == GAP else []
        parts += [column_.removesuffix("_id")]
    parts += [where.label] if where else []
    parts += [window.label] if operator not in (Operator.SINCE, Operator.SINCE_FIRST, Operator.LAST) else []
    return "_".join(parts)


def _unit(column_: str) -> str:
    return next((unit for suffix, unit in _UNITS if column_.endswith(suffix)), column_.replace("_", " "))


def _words(column_: str) -> str:
    if column_ == GAP:
        return "time since the one before"
    return column_.removesuffix("_id").removesuffix("_fen").replace("_", " ")


def _plural(log: Log) -> str:
    return f"{log.event.replace('_', ' ')}s"


def _events(log: Log, where: Where | None) -> str:
    return f"{where.label.replace('_', ' ')} {_plural(log)}" if where else _plural(log)


def _of(by: Key) -> str:
    names = [name.removesuffix("_id").replace("_", " ") for name in key_columns(by)]
    return f"of this {' and '.join(names)}" if names else "of everyone"


def _when(operator: Operator, window: Window) -> str:
    return "" if operator in (Operator.SINCE, Operator.SINCE_FIRST, Operator.LAST) else f" {window.phrase}"
