"""What features are facts of: logs of events, the keys they are looked up by, and conditions on single events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

Key: TypeAlias = str | tuple[str, ...]
Test: TypeAlias = Literal["==", "!=", "<", "<=", ">", ">=", "in"]

TESTS: Final = get_args(Test)
GAP: Final = "gap_seconds"
"""The column that every log has for every key: whole seconds since the key's latest strictly earlier event.

It looks at all events of the key, whatever the window or condition of the feature that reads it; it is null for the
first event, and the events of one instant share one gap.
"""


@dataclass(frozen=True)
class Log:
    """A log of events, each with the instant ``seen_at`` at which we learned of it.

    Attributes:
        name: The log in `data.logs`, or a relation of that name in the connection.
        entities: The keys that features may be asked by: a column, a tuple of columns such as
            ``("member_id", "offer_id")``, or ``()`` for the log as a whole.
        noun: One event, in names and sentences; by default the log's name without its last ``s``.
        qualified: Whether the names of features over a column also carry the noun. For a log that shares key and
            columns with another, so that the two do not claim one name.
    """

    name: str
    entities: tuple[Key, ...]
    noun: str = ""
    qualified: bool = False

    @property
    def event(self) -> str:
        """The noun as it stands in a feature's name."""
        return self.noun.replace(" ", "_") or self.name.removesuffix("s")


@dataclass(frozen=True)
class Where:
    """A condition on one event, such as "paid with a coupon".

    An event whose column is null does not satisfy it, also under ``!=``.

    Attributes:
        column: The column looked at; `GAP` is allowed.
        test: One of ``== != < <= > >= in``. Text knows only ``==``, ``!=`` and ``in``.
        operand: An integer, a text, or for ``in`` a tuple of these (of one kind).
        label: One word for events that satisfy it, as it stands in names: ``night``, ``couponed``.
    """

    column: str
    test: Test
    operand: int | str | tuple[int, ...] | tuple[str, ...]
    label: str

    def problems(self) -> list[str]:
        """What is wrong with the condition as written; empty when nothing is."""
        found = []
        if self.test not in TESTS:
            found.append(f"condition {self.label!r}: test {self.test!r}; expected one of {' '.join(TESTS)}")
        values = self.operand if isinstance(self.operand, tuple) else (self.operand,)
        if isinstance(self.operand, tuple) != (self.test == "in"):
            found.append(f"condition {self.label!r}: `in` takes a tuple and the other tests one value")
        if len({type(value) for value in values}) != 1 or not isinstance(values[0], int | str):
            found.append(f"condition {self.label!r}: operand {self.operand!r}; expected integers or texts of one kind")
        elif isinstance(values[0], str) and self.test not in ("==", "!=", "in"):
            found.append(f"condition {self.label!r}: text has no order here; use ==, != or in")
        if not self.label.isidentifier():
            found.append(f"condition {self.label!r}: the label becomes part of a name; expected one word")
        return found


def key_columns(key: Key) -> tuple[str, ...]:
    """The columns of a key, in order; none for the log as a whole."""
    return (key,) if isinstance(key, str) else key


def key_name(key: Key) -> str:
    """The entity that a key names: ``member``, ``member_offer``, ``everyone``."""
    return "_".join(column.removesuffix("_id") for column in key_columns(key)) or "everyone"
