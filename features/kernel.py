"""The compiled inner loops: two pointers over each key's sorted history, for all rows that ask about it.

Every loop trusts its indices: the caller has checked them. Nothing here is ``fastmath`` and there is no fused
multiply-add, so both evaluators get the same bits. An answer is a double, rounded once where the array is float32; null
is NaN. Answers are written in the order of the questions of a layout; `features.ordering` brings them into that of the
rows.
"""

from __future__ import annotations

import hashlib
import math
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable

Int32: TypeAlias = NDArray[np.int32]
Int64: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]
Doubles: TypeAlias = NDArray[np.float64]
Answers: TypeAlias = NDArray[np.float32] | NDArray[np.float64]

COUNT: Final = 0
SUM: Final = 1
MEAN: Final = 2
STD: Final = 3

LATEST_VALUE: Final = 0
SINCE_LATEST: Final = 1
SINCE_FIRST: Final = 2

FOREVER: Final = 1 << 62
"""The length of a window that never ends; an instant minus it still fits an int64."""


class Layout(NamedTuple):
    """Events and questions side by side, key after key, each key's in time order.

    Attributes:
        event_start: Where each key's events begin, and the total (keys + 1).
        event_at: The instant of each event, in microseconds.
        question_start: Where each key's questions begin, and the total (keys + 1).
        question_at: The instant of each question, in microseconds.
    """

    event_start: Int64
    event_at: Int64
    question_start: Int64
    question_at: Int64


class Seen(NamedTuple):
    """The events that each question sees: from ``low`` to before ``high``, which stops before its own instant."""

    low: Int32
    high: Int32


class Prefixes(NamedTuple):
    """Sums over the events before each place (see `running`); empty where not needed.

    An empty ``number`` says that every event counts. Only differences are used, so what carries over from other keys,
    or is lost by wrapping round, cancels.
    """

    number: Int64
    total: Int64
    square: Int64


class Values(NamedTuple):
    """An integer an event, and whether the event counts."""

    value: Int64
    present: Flags


class Codes(NamedTuple):
    """A number for each event's value, negative where it does not count.

    ``held`` counts the events of each code inside the window; it comes in as zeros and goes out as zeros, because keys
    share codes.
    """

    code: Int32
    held: Int32


class Chain(NamedTuple):
    """Which counts occur among the values of a window.

    ``many[c]`` is the number of values with c events. ``above`` and ``below`` link the counts with ``many > 0`` in
    ascending order, starting at 0, which always belongs to the chain.
    """

    many: Int32
    above: Int32
    below: Int32


Kind = TypeVar("Kind", bound=np.generic)
Function = TypeVar("Function", bound="Callable[..., Any]")

DECLARATIONS: Final = frozenset({"catalogue", "coupon", "dictionary", "offer", "rfm", "ring", "scan", "warming"})
"""Modules of features that no machine code is made from."""


def compiled(function: Function) -> Function:
    """Machine code for a loop, kept on disk; it frees the interpreter lock and trusts its indices."""
    settings: Any = numba.config
    named = settings.CACHE_DIR
    settings.CACHE_DIR = str(_kept_code(named))
    try:
        return cast("Function", numba.njit(cache=True, nogil=True, error_model="numpy")(function))
    finally:
        settings.CACHE_DIR = named


@cache
def _kept_code(named: str) -> Path:
    """Where machine code is kept, in the folder that `NUMBA_CACHE_DIR` names if any: named after the engine's sources.

    numba looks only at a function's own file, so beside an edited callee it would go on with old code of its callers.
    """
    folder = Path(__file__).parent
    digest = hashlib.sha256()
    for source in sorted(folder.glob("*.py")):
        if source.stem not in DECLARATIONS:
            digest.update(source.read_bytes())
    own = folder / "__pycache__" if os.access(folder, os.W_OK) else Path.home() / ".cache" / "shepherd"
    return (Path(named) if named else own) / f"engine-{digest.hexdigest()[:16]}"


@compiled
def starts_by_key(codes: Int32, start: Int64) -> None:
    """Where the rows of each key begin when sorted by key, and their total; negative codes are left out."""
    start[:] = 0
    for code in codes:
        if code >= 0:
            start[code + 1] += 1
    for key in range(len(start) - 1):
        start[key + 1] += start[key]


@compiled
def order_by_key(codes: Int32, by_time: Int32, start: Int64, order: Int32, place: Int32) -> None:
    """A counting sort by key and, inside a key, as in ``by_time``.

    ``order`` gets the positions of rows, ``place`` the place of each row among them, which is -1 where its code is
    negative.
    """
    following = start[:-1].copy()
    for position in by_time:
        code = codes[position]
        if code < 0:
            place[position] = -1
            continue
        order[following[code]] = position
        place[position] = following[code]
        following[code] += 1


@compiled
def bound(layout: Layout, length: int, found: Int32) -> None:
    """For each question the first event of its key that is not earlier than ``length`` before it."""
    for key in range(len(layout.event_start) - 1):
        position = layout.event_start[key]
        end = layout.event_start[key + 1]
        for question in range(layout.question_start[key], layout.question_start[key + 1]):
            edge = layout.question_at[question] - length
            while position < end and layout.event_at[position] < edge:
                position += 1
            found[question] = position


@compiled
def gaps(layout: Layout, seconds: Int64, present: Flags) -> None:
    """Whole seconds from each event back to its key's latest strictly earlier instant; none, and 0, for the first."""
    for key in range(len(layout.event_start) - 1):
        first = layout.event_start[key]
        instant = first
        for event in range(first, layout.event_start[key + 1]):
            if layout.event_at[event] != layout.event_at[instant]:
                instant = event
            present[event] = instant > first
            before = layout.event_at[instant - 1] if instant > first else layout.event_at[event]
            seconds[event] = (layout.event_at[event] - before) // 1_000_000


@compiled
def deviation(n: float, s: float, q: float) -> float:
    """The sample deviation of n values whose sum is s and whose squares add up to q; n is at least 2."""
    return math.sqrt(max(q - s * s / n, 0.0) / (n - 1.0))


@compiled
def totals(statistic: int, seen: Seen, prefixes: Prefixes, answer: Answers) -> None:
    """The count, sum, mean or sample deviation of what each question sees.

    Mean: ``S / n``. Deviation: see `deviation`. S, Q and n are turned to double first.
    """
    counted, total, square = prefixes
    for question in range(len(seen.low)):
        low, high = seen.low[question], seen.high[question]
        number = counted[high] - counted[low] if len(counted) else np.int64(high - low)
        if statistic == COUNT:
            answer[question] = number
            continue
        n, s = float(number), float(total[high] - total[low])
        if statistic == SUM:
            answer[question] = s
        elif statistic == MEAN:
            answer[question] = s / n if number > 0 else math.nan
        else:
            answer[question] = deviation(n, s, float(square[high] - square[low])) if number > 1 else math.nan


@compiled
def outdone(earlier: int, later: int, largest: bool) -> bool:  # noqa: FBT001 - compiled code calls by position
    """Whether a later value makes an earlier one irrelevant to the largest (or smallest) of a window."""
    return earlier <= later if largest else earlier >= later


@compiled
def extremes(largest: bool, layout: Layout, seen: Seen, values: Values, answer: Answers) -> None:  # noqa: FBT001
    """The largest or smallest value of each window: a queue of the events that no later one outdoes."""
    queue = np.empty(len(values.value), np.int32)
    for key in range(len(layout.event_start) - 1):
        taken = head = tail = layout.event_start[key]
        for question in range(layout.question_start[key], layout.question_start[key + 1]):
            while taken < seen.high[question]:
                if values.present[taken]:
                    while tail > head and outdone(values.value[queue[tail - 1]], values.value[taken], largest):
                        tail -= 1
                    queue[tail] = taken
                    tail += 1
                taken += 1
            while head < tail and queue[head] < seen.low[question]:
                head += 1
            answer[question] = float(values.value[queue[head]]) if head < tail else math.nan


@compiled
def differing(cap: int, layout: Layout, seen: Seen, codes: Codes, answer: Answers) -> None:
    """How many different codes each window holds, at most ``cap`` where that is above 0."""
    code, held = codes
    for key in range(len(layout.event_start) - 1):
        different = 0
        taken = given = layout.event_start[key]
        for question in range(layout.question_start[key], layout.question_start[key + 1]):
            while taken < seen.high[question]:
                if code[taken] >= 0:
                    different += held[code[taken]] == 0
                    held[code[taken]] += 1
                taken += 1
            while given < seen.low[question]:
                if code[given] >= 0:
                    held[code[given]] -= 1
                    different -= held[code[given]] == 0
                given += 1
            answer[question] = min(different, cap) if cap > 0 else different
        for event in range(given, taken):
            if code[event] >= 0:
                held[code[event]] -= 1


@compiled
def move(count: int, step: int, chain: Chain) -> None:
    """Takes one value from ``count`` events to ``count + step`` (step 1 or -1)."""
    many, above, below = chain
    after = count + step
    if after > 0:
        if many[after] == 0:
            lower = count if step > 0 else below[count]
            upper = above[lower]
            above[lower], below[after], above[after] = after, lower, upper
            below[upper] = after
        many[after] += 1
    if count > 0:
        many[count] -= 1
        if many[count] == 0:
            lower, upper = below[count], above[count]
            above[lower] = upper
            below[upper] = lower


@compiled
def _slide(event: int, step: int, codes: Codes, chain: Chain) -> int:
    """Takes an event into the window (step 1) or gives it back (-1); by how much the window's count changed."""
    code = codes.code[event]
    if code < 0:
        return 0
    move(codes.held[code], step, chain)
    codes.held[code] += step
    return step


@compiled
def spread(number: int, chain: Chain) -> float:
    """The entropy of ``number`` events, at least one, whose counts a chain holds; see `entropies`."""
    count = chain.above[0]
    if count == number:
        return 0.0
    total = 0.0
    while count > 0:
        total += float(chain.many[count]) * (float(count) * math.log(float(count)))
        count = chain.above[count]
    return math.log(float(number)) - total / float(number)


@compiled
def entropies(most: int, layout: Layout, seen: Seen, codes: Codes, answer: Answers) -> None:
    """The entropy (natural logarithm) of the codes in each window.

    ``ln n - (sum over each count c that occurs, ascending, of many(c) * (c * ln c)) / n``, and 0 when all events share
    one code. The order of counts, and not of codes, keeps the bits independent of how values were numbered. ``most`` is
    the number of events of the busiest key.
    """
    chain = Chain(np.zeros(most + 2, np.int32), np.zeros(most + 2, np.int32), np.zeros(most + 2, np.int32))
    for key in range(len(layout.event_start) - 1):
        number = 0
        taken = given = layout.event_start[key]
        for question in range(layout.question_start[key], layout.question_start[key + 1]):
            while taken < seen.high[question]:
                number += _slide(taken, 1, codes, chain)
                taken += 1
            while given < seen.low[question]:
                number += _slide(given, -1, codes, chain)
                given += 1
            answer[question] = spread(number, chain) if number > 0 else math.nan
        for event in range(given, taken):
            _slide(event, -1, codes, chain)


@compiled
def recall(wanted: int, layout: Layout, seen: Seen, values: Values, answer: Answers) -> None:
    """What is remembered of a key for ever: seconds since its latest or first event, or its latest value.

    Of several values at the latest instant the largest is taken, so that the order of rows cannot matter. Where no
    value is wanted ``values.value`` is empty.
    """
    for key in range(len(layout.event_start) - 1):
        taken = layout.event_start[key]
        known = False
        first = latest = value = np.int64(0)
        for question in range(layout.question_start[key], layout.question_start[key + 1]):
            while taken < seen.high[question]:
                if values.present[taken]:
                    at = layout.event_at[taken]
                    if not known:
                        first = at
                    if wanted == LATEST_VALUE and (not known or at > latest or values.value[taken] > value):
                        value = values.value[taken]
                    latest = at
                    known = True
                taken += 1
            if not known:
                answer[question] = math.nan
            elif wanted == LATEST_VALUE:
                answer[question] = float(value)
            else:
                since = layout.question_at[question] - (latest if wanted == SINCE_LATEST else first)
                answer[question] = float(since // 1_000_000)
