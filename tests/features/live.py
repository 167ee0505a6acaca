"""Holds the live state against a judge: events and questions merged in the order of time."""

from collections.abc import Callable, Sequence

import numpy as np

from features.online import LiveState
from features.spec import FeatureSet
from tests.features.oracle import Answers, Event

Between = Callable[[LiveState], LiveState]


def live_answers(
    feature_set: FeatureSet,
    log: Sequence[Event],
    rows: Sequence[Event],
    evaluator: str,
    between: Between = lambda state: state,
    questions_first: bool = False,
) -> list[Answers]:
    """What a live state answers to the rows, fed with the log; `between` may exchange the state after each step."""
    steps = [(event["seen_at"], 1 if questions_first else 0, number, event) for number, event in enumerate(log)]
    steps += [(row["as_of"], 0 if questions_first else 1, number, row) for number, row in enumerate(rows)]
    found: list[Answers] = [{} for _ in rows]
    state = LiveState(feature_set, evaluator)
    for _, _, number, step in sorted(steps, key=lambda one: one[:3]):
        if "seen_at" in step:
            state.append("events", step)
        else:
            values = state.read(step)
            found[number] = {
                name: None if np.isnan(value) else value for name, value in zip(state.names, values, strict=True)
            }
        state = between(state)
    return found


def differences(found: Sequence[Answers], expected: Sequence[Answers]) -> list[tuple[object, ...]]:
    """Row, feature and both values, wherever the answers are not the same to the bit."""
    return [
        (number, name, answers[name], wanted)
        for number, (answers, all_wanted) in enumerate(zip(found, expected, strict=True))
        for name, wanted in all_wanted.items()
        if not _same(answers[name], wanted)
    ]


def _same(value: np.float32 | None, wanted: np.float32 | None) -> bool:
    return value is wanted if value is None or wanted is None else value.tobytes() == np.float32(wanted).tobytes()
