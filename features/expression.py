"""Derived features for one row at a time: their functions followed once, then run as a few compiled steps.

A derived feature is straight-line arithmetic on arrays. Called with stand-ins instead of arrays, its function writes
down what it does, and that is done for single numbers in compiled code, operation by operation and so to the same bits.
What is not among the operations known here, or looks at values to decide, is called as it is, with arrays of one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from data.errors import UsageError
from features.kernel import Doubles, Int64, compiled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from features.feature import Derived

ADD, SUBTRACT, MULTIPLY, DIVIDE, NEGATE, SIZE, ROOT, FLOOR = range(8)
LESS, AT_MOST, MORE, AT_LEAST, EQUAL, UNEQUAL, BOTH, EITHER, NEITHER, UNKNOWN, KNOWN = range(8, 19)
MAXIMUM, MINIMUM, LARGER, SMALLER, CHOOSE, FINITE = range(19, 25)

_ARITHMETIC: Final[dict[Any, int]] = {
    np.add: ADD,
    np.subtract: SUBTRACT,
    np.multiply: MULTIPLY,
    np.true_divide: DIVIDE,
    np.negative: NEGATE,
    np.absolute: SIZE,
    np.sqrt: ROOT,
    np.floor: FLOOR,
    np.maximum: MAXIMUM,
    np.minimum: MINIMUM,
    np.fmax: LARGER,
    np.fmin: SMALLER,
}
_COMPARISONS: Final[dict[Any, int]] = {
    np.less: LESS,
    np.less_equal: AT_MOST,
    np.greater: MORE,
    np.greater_equal: AT_LEAST,
    np.equal: EQUAL,
    np.not_equal: UNEQUAL,
    np.isnan: UNKNOWN,
    np.isfinite: KNOWN,
}
_LOGIC: Final[dict[Any, int]] = {
    np.bitwise_and: BOTH,
    np.logical_and: BOTH,
    np.bitwise_or: EITHER,
    np.logical_or: EITHER,
    np.invert: NEITHER,
    np.logical_not: NEITHER,
}


class _Beyond(TypeError):
    """The function does something that is not followed."""


@dataclass
class _Tape:
    """What was written down: steps of five numbers over registers, of which the first hold what is given."""

    given: int
    constants: list[float] = field(default_factory=list)
    steps: list[tuple[int, int, int, int, int]] = field(default_factory=list)

    def constant(self, value: float) -> int:
        """The register of a constant."""
        self.constants.append(value)
        return self.given + len(self.constants) - 1


class _StandIn(NDArrayOperatorsMixin):
    """Takes an array's place while a function is followed."""

    def __init__(self, tape: _Tape, register: int, *, truth: bool = False) -> None:
        self._tape = tape
        self.register = register
        self.truth = truth

    def __bool__(self) -> bool:
        raise _Beyond

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> _StandIn:  # noqa: ANN401 - numpy's
        if method != "__call__" or options:
            raise _Beyond
        truths = [isinstance(one, _StandIn) and one.truth for one in inputs]
        if ufunc in _LOGIC and all(truths):
            return self._write(_LOGIC[ufunc], inputs, truth=True)
        if ufunc in _COMPARISONS:
            return self._write(_COMPARISONS[ufunc], inputs, truth=True)
        if ufunc in _ARITHMETIC and not all(truths):
            return self._write(_ARITHMETIC[ufunc], inputs)
        raise _Beyond

    def __array_function__(self, function: Any, _: Any, inputs: Any, options: Any) -> _StandIn:  # noqa: ANN401 - numpy's
        if function is not np.where or len(inputs) != 3 or options:
            raise _Beyond
        if not (isinstance(inputs[0], _StandIn) and inputs[0].truth):
            raise _Beyond
        return self._write(CHOOSE, inputs)

    def _write(self, operation: int, inputs: Sequence[Any], *, truth: bool = False) -> _StandIn:
        tape = self._tape
        registers = [self._register(one) for one in inputs]
        registers += [0] * (3 - len(registers))
        tape.steps.append((operation, *registers, tape.constant(math.nan)))  # type: ignore[arg-type] # three registers
        return _StandIn(tape, tape.steps[-1][4], truth=truth)

    def _register(self, value: Any) -> int:  # noqa: ANN401 - whatever the function holds
        if isinstance(value, _StandIn):
            return value.register
        if isinstance(value, int | float | np.floating | np.integer):
            return self._tape.constant(float(value))
        raise _Beyond


@dataclass(frozen=True)
class _Called:
    """A function that is called as it is."""

    feature: Derived
    place: int
    inputs: NDArray[np.int64]


class Finish:
    """From what was computed and the facts of a row to the features handed out: derives, then rounds once."""

    def __init__(self, given: Sequence[str], derived: Sequence[Derived], handed_out: Sequence[str]) -> None:
        """The names of what is given for a row, what is derived, each after what it needs, and what is handed out."""
        places = {name: place for place, name in enumerate((*given, *(feature.name for feature in derived)))}
        tape = _Tape(len(places))
        self._parts: list[Int64 | _Called] = []
        for feature in derived:
            self._follow(tape, feature, places)
        self._given = len(given)
        self._registers = np.array([*([math.nan] * len(places)), *tape.constants])
        self._handed_out = np.array([places[name] for name in handed_out], np.int64)

    def __call__(self, given: Doubles) -> NDArray[np.float32]:
        """The features of one row.

        Raises:
            UsageError: When the function of a derived feature does not give one number.
        """
        registers = self._registers
        registers[: self._given] = given
        for part in self._parts:
            if isinstance(part, _Called):
                registers[part.place] = _called(part, registers)
            else:
                _run(part, registers)
        answer = np.empty(len(self._handed_out), np.float32)
        _round(registers, self._handed_out, answer)
        return answer

    def _follow(self, tape: _Tape, feature: Derived, places: dict[str, int]) -> None:
        place, inputs = places[feature.name], [places[name] for name in feature.inputs]
        before = len(tape.steps)
        try:
            result: Any = feature.function(*(_StandIn(tape, one) for one in inputs))
            if not isinstance(result, _StandIn):
                raise _Beyond
        except (TypeError, ValueError, AttributeError):
            del tape.steps[before:]
            self._parts.append(_Called(feature, place, np.array(inputs, np.int64)))
            return
        steps = np.array([*tape.steps[before:], (FINITE, result.register, 0, 0, place)], np.int64)
        if self._parts and not isinstance(self._parts[-1], _Called):
            steps = np.concatenate([self._parts.pop(), steps])
        self._parts.append(np.ascontiguousarray(steps))


def _called(part: _Called, registers: Doubles) -> float:
    with np.errstate(all="ignore"):
        result = np.asarray(part.feature.function(*(registers[one : one + 1] for one in part.inputs)), np.float64)
    if result.shape != (1,):
        raise UsageError(
            f"derived feature {part.feature.name}: its function gave shape {result.shape} for one row; "
            "expected one number a row, so it must work element by element"
        )
    return float(result[0]) if np.isfinite(result[0]) else math.nan


@compiled
def _arithmetic(operation: int, a: float, b: float) -> float:
    if operation == ADD:
        return a + b
    if operation == SUBTRACT:
        return a - b
    if operation == MULTIPLY:
        return a * b
    if operation == DIVIDE:
        return a / b
    return -a


@compiled
def _function(operation: int, a: float) -> float:
    """The functions of one number."""
    if operation == SIZE:
        return abs(a)
    if operation == ROOT:
        return math.sqrt(a)
    return float(np.floor(a))


@compiled
def _ordered(operation: int, a: float, b: float) -> bool:
    if operation == LESS:
        return a < b
    if operation == AT_MOST:
        return a <= b
    if operation == MORE:
        return a > b
    if operation == AT_LEAST:
        return a >= b
    return (a == b) == (operation == EQUAL)


@compiled
def _truth(operation: int, a: float, b: float) -> bool:
    if operation == BOTH:
        return a != 0.0 and b != 0.0
    if operation == EITHER:
        return a != 0.0 or b != 0.0
    if operation == NEITHER:
        return a == 0.0
    if operation == UNKNOWN:
        return math.isnan(a)
    return math.isfinite(a)


@compiled
def _extreme(operation: int, a: float, b: float) -> float:
    """The larger or smaller of two; a null wins for MAXIMUM and MINIMUM and loses for LARGER and SMALLER."""
    if math.isnan(a) or math.isnan(b):
        first = math.isnan(a) == (operation == MAXIMUM or operation == MINIMUM)  # noqa: PLR1714, SIM109 - compiled
        return a if first else b
    if operation == MAXIMUM or operation == LARGER:  # noqa: PLR1714, SIM109 - compiled
        return max(a, b)
    return min(a, b)


@compiled
def _run(steps: Int64, registers: Doubles) -> None:
    """Runs what was written down."""
    for number in range(len(steps)):
        operation, target = steps[number, 0], steps[number, 4]
        a, b, c = registers[steps[number, 1]], registers[steps[number, 2]], registers[steps[number, 3]]
        if operation <= NEGATE:
            registers[target] = _arithmetic(operation, a, b)
        elif operation <= FLOOR:
            registers[target] = _function(operation, a)
        elif operation <= UNEQUAL:
            registers[target] = 1.0 if _ordered(operation, a, b) else 0.0
        elif operation <= KNOWN:
            registers[target] = 1.0 if _truth(operation, a, b) else 0.0
        elif operation <= SMALLER:
            registers[target] = _extreme(operation, a, b)
        elif operation == CHOOSE:
            registers[target] = b if a != 0.0 else c
        else:
            registers[target] = a if math.isfinite(a) else math.nan


@compiled
def _round(registers: Doubles, places: Int64, answer: NDArray[np.float32]) -> None:
    """The one rounding to float32; what does not fit is null."""
    for number in range(len(places)):
        single = np.float32(registers[places[number]])
        answer[number] = single if math.isfinite(single) else np.nan
