"""Seeded faults: each evaluator is broken on purpose, and the comparison with the oracle has to say so."""

from bisect import bisect_right

import numpy as np
import pytest

from features import compiled, program, reference
from features.compiled import CompiledEvaluator
from tests.features.judge import expectations
from tests.features.live import differences, live_answers
from tests.features.stream import ALL, drawn

DAYS = 86_400_000_000


@pytest.fixture(scope="module")
def judged():
    """A stream whose keys fall idle and return, with what the oracle says of it."""
    log, rows = drawn(np.random.default_rng(11), 160)
    steps = np.random.default_rng(12).choice([0, 0, 3, 40], (2, 160))
    log = [{**event, "seen_at": event["seen_at"] + int(step) * DAYS} for event, step in zip(log, steps[0], strict=True)]
    rows = [{**row, "as_of": row["as_of"] + int(step) * DAYS} for row, step in zip(rows, steps[1], strict=True)]
    return log, rows, expectations(ALL, log, rows)


def _swept(state):
    state.sweep()
    return state


@pytest.mark.parametrize("evaluator", ["compiled", "python"])
def test_the_healthy_evaluators_agree(evaluator, judged):
    log, rows, expected = judged
    assert differences(live_answers(ALL, log, rows, evaluator, _swept), expected) == []


def _windows_shorter_by_one(monkeypatch):
    flatten = compiled.flatten

    def shortened(plan, codes):
        made = flatten(plan, codes)
        for group in made.starts:
            for window in range(made.code[group + program.G_WINDOWS]):
                made.code[made.code[group + program.G_WINDOWS_AT] + 7 * window] -= 1
        return made

    monkeypatch.setattr(compiled, "flatten", shortened)


def _largest_for_smallest(monkeypatch):
    flatten = compiled.flatten

    def turned(plan, codes):
        made = flatten(plan, codes)
        for group in made.starts:
            for number in range(made.code[group + program.G_EXTREMES]):
                made.code[made.code[group + program.G_EXTREMES_AT] + 5 * number + 2] = 1
        return made

    monkeypatch.setattr(compiled, "flatten", turned)


def _compiled_ties_visible(monkeypatch):
    answers = CompiledEvaluator.answers
    monkeypatch.setattr(CompiledEvaluator, "answers", lambda self, at, *rest: answers(self, at + 1, *rest))


def _compiled_nulls_are_zero(monkeypatch):
    append = CompiledEvaluator.append

    def faulty(self, log, at, event):
        return append(self, log, at, event | {name: event[name] or 0 for name in ("amount", "huge", "flag")})

    monkeypatch.setattr(CompiledEvaluator, "append", faulty)


def _compiled_after_each_event(change):
    def seed(monkeypatch):
        append = CompiledEvaluator.append

        def faulty(self, log, at, event):
            counted = append(self, log, at, event)
            self.sweep(at)
            change(self)
            return counted

        monkeypatch.setattr(CompiledEvaluator, "append", faulty)

    return seed


def _records(evaluator):
    """The records of keys without a block: all that is left of an idle key."""
    for group in evaluator._program.starts:
        record = int(evaluator.arena[evaluator._program.code[group + program.G_HAND]])
        while record:
            if evaluator.arena[record + program.R_BLOCK] == 0:
                yield record, int(evaluator._program.code[group + program.G_RECORD])
            record = int(evaluator.arena[record + program.R_NEXT])


def _lose_the_evicted(evaluator):
    for record, size in _records(evaluator):
        evaluator.arena[record + program.R_LASTING : record + size] = 0


def _lose_the_latest_instant(evaluator):
    for record, _ in _records(evaluator):
        evaluator.arena[record + program.R_LATEST] -= 1_000_000


def _sums_as_floats(evaluator):
    held = evaluator.arena[program.A_REST : int(evaluator.arena[program.A_TOP])]
    held[:] = np.where(np.abs(held) > 2**53, held.astype(np.float64).astype(np.int64), held)


COMPILED = {
    "window edge off by one": _windows_shorter_by_one,
    "tie visible": _compiled_ties_visible,
    "float sums": _compiled_after_each_event(_sums_as_floats),
    "evicted scalars lost": _compiled_after_each_event(_lose_the_evicted),
    "evicted instant lost": _compiled_after_each_event(_lose_the_latest_instant),
    "largest for smallest": _largest_for_smallest,
    "null taken for 0": _compiled_nulls_are_zero,
}


@pytest.mark.parametrize("fault", COMPILED)
def test_a_fault_in_the_compiled_evaluator_is_caught(fault, judged, monkeypatch):
    log, rows, expected = judged
    COMPILED[fault](monkeypatch)
    assert differences(live_answers(ALL, log, rows, "compiled"), expected) != []


def _python_ties_visible(monkeypatch):
    settle = reference._History.settle
    monkeypatch.setattr(reference._History, "settle", lambda self, at: settle(self, at + 1))


def _python_forgets_idle_keys(monkeypatch):
    settle = reference._History.settle

    def forgetful(self, at):
        settle(self, at)
        if not self._instants:
            self._memories = [reference._Memory() for _ in self._memories]

    monkeypatch.setattr(reference._History, "settle", forgetful)


def _python_sums_floats(monkeypatch):
    monkeypatch.setattr(reference, "sum", lambda values: sum(float(value) for value in values), raising=False)


def _python_edge(monkeypatch):
    monkeypatch.setattr(reference, "bisect_left", bisect_right)


PYTHON = {
    "window edge off by one": _python_edge,
    "tie visible": _python_ties_visible,
    "float sums": _python_sums_floats,
    "evicted scalars lost": _python_forgets_idle_keys,
}


@pytest.mark.parametrize("fault", PYTHON)
def test_a_fault_in_the_python_evaluator_is_caught(fault, judged, monkeypatch):
    log, rows, expected = judged
    PYTHON[fault](monkeypatch)
    assert differences(live_answers(ALL, log, rows, "python"), expected) != []
