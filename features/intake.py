"""The door of the live state: one event or row, a plain mapping, found fit to be taken in or refused whole."""

from __future__ import annotations

import math
import struct
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from data.errors import DataError
from features.log import GAP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.kernel import Doubles
    from features.log import Where
    from features.plan import Plan
    from features.reference import Value

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
LARGEST: Final = 1 << 62
"""Integers stay below it in size; so do instants and sums, which leaves room to compare without overflow."""

Kinds = dict[str, type]
"""What each column holds, ``int`` or ``str``: fixed by the plan, or by the first value that is not null."""


def fixed_kinds(plan: Plan) -> Kinds:
    """The columns whose kind the declarations already settle."""
    kinds: Kinds = {}
    for group in plan.groups:
        for measure in group.measures:
            if measure.column is not None and not measure.coded:
                kinds[measure.column] = int
            if measure.where is not None:
                kinds[measure.where.column] = _compared(measure.where)
    for ring in plan.rings:
        if ring.marks is not None:
            kinds[ring.marks.bad.column] = _compared(ring.marks.bad)
    kinds.pop(GAP, None)
    return kinds


def _compared(where: Where) -> type:
    operand = where.operand
    return type(operand[0] if isinstance(operand, tuple) else operand)


class Intake:
    """Takes the needed columns out of a mapping, in order, as plain integers and text.

    Attributes:
        columns: The columns taken; every mapping must have them, if only as None.
        kinds: What columns are known to hold, shared by all that take them.
    """

    def __init__(self, what: str, columns: tuple[str, ...], kinds: Kinds) -> None:
        """Args: what to call the mapping in errors, the columns, and what is known of all columns so far."""
        self._what = what
        self.columns = columns
        self.kinds = kinds

    def take(self, mapping: Mapping[str, object]) -> list[Value]:
        """The values in the order of the columns.

        Raises:
            DataError: When columns are missing or hold what they cannot; all of it is named and nothing is taken in.
        """
        kinds = self.kinds
        values: list[Any] = []
        try:
            for column in self.columns:
                value = mapping[column]
                kind = type(value)
                if value is not None and (
                    kind is not kinds.get(column) or (kind is int and not -LARGEST < cast("int", value) < LARGEST)
                ):
                    return self._slowly(mapping)
                values.append(value)
        except KeyError:
            return self._slowly(mapping)
        return values

    def learn(self, kinds: Mapping[str, type | None]) -> None:
        """Takes note of what columns hold, None where all is null.

        Raises:
            DataError: When a column is known to hold something else.
        """
        wrong = [
            f"column {column!r}: found {_called(kind)}, expected {_called(self.kinds[column])}"
            for column, kind in kinds.items()
            if kind is not None and self.kinds.get(column, kind) is not kind
        ]
        if wrong:
            raise DataError("\n".join([f"{self._what} cannot be taken in:", *(f"  - {one}" for one in wrong)]))
        self.kinds.update({column: kind for column, kind in kinds.items() if kind is not None})

    def _slowly(self, mapping: Mapping[str, object]) -> list[Value]:
        problems = [f"column {column!r} is missing" for column in self.columns if column not in mapping]
        values: list[Value] = []
        kinds = dict(self.kinds)
        for column in self.columns:
            value = _plain(mapping.get(column))
            if isinstance(value, int | str):
                expected = kinds.setdefault(column, type(value))
                if type(value) is not expected:
                    problems.append(f"column {column!r}: found {value!r}, expected {_called(expected)}")
                elif isinstance(value, int) and not -LARGEST < value < LARGEST:
                    problems.append(f"column {column!r}: found {value}, expected less than 2**62 in size")
            elif value is not None:
                problems.append(f"column {column!r}: found {value!r}, expected a whole number, text or None")
            values.append(cast("Value", value))
        if problems:
            raise DataError("\n".join([f"{self._what} cannot be taken in:", *(f"  - {one}" for one in problems)]))
        self.kinds.update(kinds)
        return values


def _called(kind: type) -> str:
    return "whole numbers" if kind is int else "text"


def microseconds(value: object, what: str) -> int:
    """An instant as microseconds since 1970 UTC: given as such, or as a datetime with a zone.

    Raises:
        DataError: When it is neither.
    """
    if type(value) is int and -LARGEST < value < LARGEST:
        return value
    if isinstance(value, datetime) and value.tzinfo is not None:
        return (value - _EPOCH) // _MICROSECOND
    raise DataError(f"{what}: found {value!r}, expected microseconds since 1970 UTC or a datetime with a time zone")


def number(value: object, what: str) -> float:
    """A fact of a row as a double; None is null.

    Raises:
        DataError: When it is no number.
    """
    if type(value) is float or type(value) is int:
        return value
    if value is None:
        return math.nan
    if isinstance(value, int | float | np.integer | np.floating | np.bool_):
        return float(value)
    raise DataError(f"{what} is a feature, so it must hold a number; found {value!r}")


class Facts:
    """The facts of a row, which are features themselves, as doubles."""

    def __init__(self, names: tuple[str, ...], room: Doubles) -> None:
        """Args: the columns, and where their values go."""
        self._names = names
        self._room = room
        self._bytes = memoryview(room).cast("B") if names else None  # type: ignore[arg-type] # an array is a buffer
        self._pack = struct.Struct(f"{len(names)}d").pack_into

    def take(self, row: Mapping[str, object]) -> None:
        """Puts the facts of a row in their place, null as NaN.

        Raises:
            DataError: When one is missing or no number.
        """
        if self._bytes is None:
            return
        try:
            values = [row[name] for name in self._names]
            self._pack(self._bytes, 0, *[math.nan if value is None else value for value in values])
        except (KeyError, struct.error):
            self._room[:] = [self._slowly(row, name) for name in self._names]

    @staticmethod
    def _slowly(row: Mapping[str, object], name: str) -> float:
        if name not in row:
            raise DataError(
                f"the row: column {name!r}, a feature of the row itself, is missing; give None where it has none"
            )
        return number(row[name], f"column {name!r}")


def _plain(value: object) -> object:
    if isinstance(value, bool | np.bool_ | np.integer):
        return int(value)
    return str(value) if isinstance(value, str) else value
