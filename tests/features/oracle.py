"""The slow, obvious reading of a declaration, against which every evaluator is held."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from features.log import key_columns
from features.spec import GAP, Aggregate, Derived, Feature, FeatureSet, Where

Event = Mapping[str, object]
Answers = Mapping[str, np.float32 | None]
TESTS = {
    "==": lambda value, operand: value == operand,
    "!=": lambda value, operand: value != operand,
    "<": lambda value, operand: value < operand,
    "<=": lambda value, operand: value <= operand,
    ">": lambda value, operand: value > operand,
    ">=": lambda value, operand: value >= operand,
    "in": lambda value, operand: value in operand,
}


def answers(feature_set: FeatureSet, log: Sequence[Event], row: Event) -> Answers:
    """Every feature of one row, rounded once; instants are microseconds under ``seen_at`` and ``as_of``."""
    exact = {feature.name: _exact(feature, feature_set, log, row) for feature in feature_set}
    return {name: None if value is None else np.float32(value) for name, value in exact.items()}


def _exact(feature: Feature, feature_set: FeatureSet, log: Sequence[Event], row: Event) -> float | None:
    if isinstance(feature, Aggregate):
        return aggregate(feature, log, row)
    if isinstance(feature, Derived):
        inputs = [_exact(feature_set[name], feature_set, log, row) for name in feature.inputs]
        with np.errstate(all="ignore"):
            value = feature.function(*(np.array([np.nan if one is None else one], np.float64) for one in inputs))[0]
        return float(value) if np.isfinite(value) else None
    return None if row[feature.name] is None else float(row[feature.name])


def aggregate(feature: Aggregate, log: Sequence[Event], row: Event) -> float | None:
    key, t = key_columns(feature.key), row["as_of"]
    if any(row[column] is None for column in key):
        return None
    history = [event for event in log if all(event[column] == row[column] for column in key)]
    start = -math.inf if feature.window.microseconds is None else t - feature.window.microseconds
    window = [event for event in history if start <= event["seen_at"] < t]
    kept = [event for event in window if feature.where is None or _satisfies(feature.where, event, history)]
    if feature.operator == "share":
        return len(kept) / len(window) if window else None
    if feature.column is not None:
        kept = [event for event in kept if _value(event, feature.column, history) is not None]
    values = [_value(event, feature.column or "seen_at", history) for event in kept]
    return _reduce(feature, values, [event["seen_at"] for event in kept], t)


def _reduce(feature: Aggregate, values: Sequence[int], instants: Sequence[int], t: int) -> float | None:
    match feature.operator:
        case "count":
            return len(values)
        case "sum":
            return float(sum(values))
        case "distinct":
            return min(len(set(values)), feature.cap or len(values))
    return REDUCTIONS[feature.operator](values, instants, t) if values else None


def deviation(values: Sequence[int]) -> float | None:
    n, s, q = len(values), float(sum(values)), float(sum(value * value for value in values))
    return math.sqrt(max(q - s * s / n, 0.0) / (n - 1)) if n > 1 else None


def entropy(values: Sequence[object]) -> float:
    counts = Counter(Counter(values).values())
    if sum(counts.values()) == 1:
        return 0.0
    total = 0.0
    for count in sorted(counts):
        total += counts[count] * (count * math.log(count))
    return math.log(len(values)) - total / len(values)


REDUCTIONS = {
    "mean": lambda values, _, __: float(sum(values)) / float(len(values)),
    "std": lambda values, _, __: deviation(values),
    "min": lambda values, _, __: min(values),
    "max": lambda values, _, __: max(values),
    "entropy": lambda values, _, __: entropy(values),
    "since": lambda _, instants, t: (t - max(instants)) // 1_000_000,
    "since_first": lambda _, instants, t: (t - min(instants)) // 1_000_000,
    "last": lambda values, instants, _: max(zip(instants, values, strict=True))[1],
}


def _value(event: Event, column: str, history: Sequence[Event]) -> object:
    if column != GAP:
        return event[column]
    earlier = [other["seen_at"] for other in history if other["seen_at"] < event["seen_at"]]
    return (event["seen_at"] - max(earlier)) // 1_000_000 if earlier else None


def _satisfies(where: Where, event: Event, history: Sequence[Event]) -> bool:
    value = _value(event, where.column, history)
    return value is not None and TESTS[where.test](value, where.operand)
