"""Small logs that are nasty on purpose, and what to ask of them."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from features.spec import (
    DAY,
    GAP,
    HOUR,
    LIFETIME,
    MIN_5,
    FeatureSet,
    Log,
    Where,
    column,
    count,
    derived,
    distinct,
    entropy,
    last,
    maximum,
    mean,
    minimum,
    share,
    since,
    std,
    sum_,
)
from tests.features.oracle import Event

PAIR = ("member_id", "offer_id")
EVENTS = Log("events", entities=("member_id", PAIR, ()))
WINDOWS = (MIN_5, HOUR, DAY, LIFETIME)
BIG = Where("amount", ">=", 5, "big")
RED = Where("category", "==", "red", "red")
NOT_RED = Where("category", "!=", "red", "other")
WARM = Where("category", "in", ("red", "orange"), "warm")
QUICK = Where(GAP, "<=", 300, "quick")
FLAGGED = Where("flag", "==", 1, "flagged")

ALL = FeatureSet(
    count(EVENTS, by="member_id", over=WINDOWS),
    count(EVENTS, by="member_id", over=HOUR, where=BIG),
    count(EVENTS, by="member_id", over=DAY, where=QUICK),
    count(EVENTS, by=PAIR, over=WINDOWS),
    count(EVENTS, by=(), over=(HOUR, LIFETIME)),
    sum_(EVENTS, "amount", by="member_id", over=WINDOWS),
    sum_(EVENTS, "huge", by="member_id", over=WINDOWS),
    sum_(EVENTS, "amount", by=PAIR, over=DAY, where=NOT_RED),
    mean(EVENTS, "amount", by="member_id", over=WINDOWS),
    mean(EVENTS, "huge", by=PAIR, over=DAY),
    mean(EVENTS, GAP, by="member_id", over=WINDOWS),
    std(EVENTS, "amount", by="member_id", over=WINDOWS),
    std(EVENTS, GAP, by="member_id", over=LIFETIME),
    std(EVENTS, "amount", by=(), over=HOUR),
    minimum(EVENTS, "amount", by="member_id", over=WINDOWS),
    minimum(EVENTS, GAP, by="member_id", over=DAY),
    maximum(EVENTS, "amount", by="member_id", over=WINDOWS),
    maximum(EVENTS, "huge", by=PAIR, over=DAY, where=WARM),
    distinct(EVENTS, "offer_id", by="member_id", over=(MIN_5, HOUR, DAY)),
    distinct(EVENTS, "member_id", by=(), over=HOUR),
    distinct(EVENTS, "category", by="member_id", over=LIFETIME, cap=2),
    distinct(EVENTS, "amount", by="member_id", over=DAY, where=FLAGGED),
    distinct(EVENTS, GAP, by="member_id", over=DAY),
    entropy(EVENTS, "category", by="member_id", over=(MIN_5, HOUR, DAY)),
    entropy(EVENTS, "amount", by=(), over=DAY),
    share(EVENTS, where=RED, by="member_id", over=WINDOWS),
    share(EVENTS, where=QUICK, by=PAIR, over=DAY),
    since(EVENTS, by="member_id"),
    since(EVENTS, by="member_id", where=BIG),
    since(EVENTS, by="member_id", first=True),
    since(EVENTS, by=(), where=WARM, first=True),
    last(EVENTS, "amount", by="member_id"),
    last(EVENTS, "huge", by=PAIR, where=NOT_RED),
    last(EVENTS, GAP, by="member_id"),
    column("budget", "fen", "What the row has to spend"),
    derived(
        "third_of_mean",
        lambda member_mean_amount_1h: member_mean_amount_1h / 3.0,
        "amount",
        "A third of the mean of the last hour",
    ),
    derived(
        "spent_over_budget",
        lambda member_sum_amount_1d, budget, third_of_mean: member_sum_amount_1d / budget + third_of_mean,
        "ratio",
        "What was spent over the budget, and a third of the mean",
    ),
)

SCHEMA = pa.schema(
    {
        "seen_at": pa.timestamp("us", "UTC"),
        "member_id": pa.string(),
        "offer_id": pa.string(),
        "category": pa.string(),
        "amount": pa.int64(),
        "huge": pa.int64(),
        "flag": pa.bool_(),
    }
)
ROWS = pa.schema(
    {
        "row_id": pa.int64(),
        "as_of": pa.timestamp("us", "UTC"),
        "member_id": pa.string(),
        "offer_id": pa.string(),
        "budget": pa.int32(),
    }
)

_NOON = 1_700_000_000_000_000
_STEPS = [window.microseconds for window in WINDOWS if window.microseconds] + [1_000_000, 300_999_999]
instants = st.builds(
    lambda step, times, nudge: _NOON + step * times + nudge,
    st.sampled_from(_STEPS),
    st.integers(-2, 2),
    st.sampled_from([-1, 0, 0, 0, 1]),
)
members = st.sampled_from(["ann", "ann", "ann", "bo", "cy", None])
offers = st.sampled_from(["tea", "soap", None])
events = st.fixed_dictionaries(
    {
        "seen_at": instants,
        "member_id": members,
        "offer_id": offers,
        "category": st.sampled_from(["red", "red", "orange", "blue", None]),
        "amount": st.sampled_from([-7, -1, 0, 0, 3, 5, 8, None]),
        "huge": st.sampled_from([2**54 + 1, -(2**54), 1, None]),
        "flag": st.sampled_from([True, False, None]),
    }
)
questions = st.fixed_dictionaries(
    {
        "as_of": instants,
        "member_id": st.sampled_from(["ann", "ann", "bo", "cy", "new", None]),
        "offer_id": offers,
        "budget": st.sampled_from([0, 7, -3, None]),
    }
)


def drawn(generator: np.random.Generator, number: int) -> tuple[list[Event], list[Event]]:
    """Events and rows of the same kinds without hypothesis: many ties, and instants on the edges of windows."""

    def pick(values: Sequence[object]) -> object:
        return values[int(generator.integers(len(values)))]

    def instant() -> int:
        return _NOON + int(generator.integers(-40, 40)) * 150_000_000 + int(pick([-1, 0, 0, 0, 1]))

    log = [
        {
            "seen_at": instant(),
            "member_id": pick(["ann", "ann", "ann", "bo", "cy", None]),
            "offer_id": pick(["tea", "soap", None]),
            "category": pick(["red", "red", "orange", "blue", None]),
            "amount": pick([-7, -1, 0, 3, 5, 8, None]),
            "huge": pick([2**54 + 1, -(2**54), 1, None]),
            "flag": pick([True, False, None]),
        }
        for _ in range(number)
    ]
    rows = [
        {
            "as_of": instant(),
            "member_id": pick(["ann", "bo", "cy", "new", None]),
            "offer_id": pick(["tea", "soap", None]),
            "budget": pick([0, 7, -3, None]),
        }
        for _ in range(number)
    ]
    return log, rows
