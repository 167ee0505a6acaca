"""Conditions on single events, as `features.program` writes them down."""

# mypy: disable-error-code="no-any-return, arg-type, return-value"
# To mypy an element of an array is a numpy scalar; to the compiler it is an integer like any other.

from __future__ import annotations

from features import program as p
from features.kernel import Int64, compiled


@compiled
def satisfied(code: Int64, entry: int, value: int) -> bool:
    """Whether a value, which is not null, satisfies a condition."""
    test, operands, at = code[entry + 1], code[entry + 2], code[entry + 3]
    operand = code[at]
    if test == p.AMONG or test == p.EQUAL:  # noqa: PLR1714 - compiled
        found = False
        for number in range(operands):
            found = found or value == code[at + number]
        return found
    if test == p.BELOW or test == p.AT_MOST:  # noqa: PLR1714 - compiled
        return value < operand or (test == p.AT_MOST and value == operand)
    if test == p.ABOVE or test == p.AT_LEAST:  # noqa: PLR1714 - compiled
        return value > operand or (test == p.AT_LEAST and value == operand)
    return value != operand
