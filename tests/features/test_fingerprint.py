"""The fingerprint changes with the meaning of a set, and with nothing else."""

import math

import numpy as np
import pytest

from data.errors import UsageError
from features import fingerprint
from features.fingerprint import function_text
from features.spec import DAY, WEEK, FeatureSet, Log, Where, count, derived, distinct, since, sum_

SCANS = Log("scans", entities=("member_id",))
LIMIT = 3.0
NAMES = ["not", "fixed"]


def _helper(x):
    return x + LIMIT


def _with_helper(count_):
    return np.maximum(_helper(count_), math.pi)


def _recursive(x):
    return x if LIMIT else _recursive(x)


def _print(*features):
    return FeatureSet(*features).fingerprint()


def _halved(member_scan_count_1d):
    return member_scan_count_1d / 2  # a comment


BASE = count(SCANS, by="member_id", over=DAY)
HALF = derived("half", _halved, "scans", "Half of the day's scans")


def test_golden():
    """A change here cuts every released bundle off from its features: raise PLAN_VERSION only on purpose."""
    declared = FeatureSet(BASE, distinct(SCANS, "code_id", by="member_id", over=WEEK), HALF)
    assert declared.fingerprint() == "018d05a096dd7ca04969d36c454568456704bcf03f91f70c8f3ed942475be10f"


def test_wording_and_layout_do_not_enter():
    def _halved(member_scan_count_1d):
        return (
            member_scan_count_1d
            / 2
        )  # fmt: skip

    assert _print(BASE, derived("half", _halved, "scans", "Other words")) == _print(BASE, HALF)
    reworded = count(SCANS, by="member_id", over=DAY, meaning="Scans today")
    assert _print(reworded) == _print(BASE)


@pytest.mark.parametrize(
    "changed",
    [
        [count(SCANS, by="member_id", over=WEEK)],
        [count(Log("scans", entities=("device_id",)), by="device_id", over=DAY)],
        [count(Log("walks", entities=("member_id",), noun="scan"), by="member_id", over=DAY)],
        [count(SCANS, by="member_id", over=DAY, where=Where("hour", "<", 5, "night"))],
        [count(SCANS, by="member_id", over=DAY, where=Where("hour", "<", 6, "night"))],
        [sum_(SCANS, "prize_fen", by="member_id", over=DAY)],
        [BASE, since(SCANS, by="member_id")],
        [since(SCANS, by="member_id"), BASE],
        [BASE, derived("half", lambda member_scan_count_1d: member_scan_count_1d / 2.5, "scans", "")],
        [BASE, derived("half", lambda member_scan_count_1d: member_scan_count_1d * 2.5, "scans", "")],
        [BASE, derived("half", _halved, "pairs", "Half")],
    ],
)
def test_definitions_and_order_enter(changed):
    seen = {_print(BASE), _print(BASE, HALF)}
    assert _print(*changed) not in seen


def test_silent_inputs_enter():
    everything = FeatureSet(BASE, HALF)
    assert everything.only("half").fingerprint() != everything.fingerprint()


def test_the_plan_version_enters(monkeypatch):
    before = _print(BASE)
    monkeypatch.setattr(fingerprint, "PLAN_VERSION", 2)
    assert _print(BASE) != before


def test_what_a_function_refers_to_enters(monkeypatch):
    before = function_text(_with_helper)
    assert "LIMIT=3.0" in before
    assert "math=module math" in before
    monkeypatch.setitem(globals(), "LIMIT", 4.0)
    assert function_text(_with_helper) != before
    assert "LIMIT=4.0" in function_text(lambda values: [value + LIMIT for value in values])


def test_what_a_function_encloses_enters():
    def scaled(factor):
        return lambda x: x * factor

    assert function_text(scaled(2.0)) != function_text(scaled(3.0))
    assert function_text(scaled(2.0)) == function_text(scaled(2.0))


def test_lambdas_of_one_line_are_told_apart():
    some = (lambda x: x + 1, lambda x: x + 2, lambda x: [(lambda y: y * x) for _ in (x,)])  # fmt: skip
    texts = ["lambda x: x + 1", "lambda x: x + 2", "lambda x: [lambda y: y * x for _ in (x,)]"]
    assert [function_text(one) for one in some] == texts


def test_a_recursive_function_has_a_text():
    assert "_recursive=itself" in function_text(_recursive)


def test_what_has_no_fixed_text_is_refused():
    with pytest.raises(UsageError, match="refers to 'NAMES', a list"):
        function_text(lambda x: x + len(NAMES))
    nowhere = {}
    exec("def unknown(x):\n    return x", nowhere)  # noqa: S102
    with pytest.raises(UsageError, match="source of the derived feature function 'unknown' cannot be read"):
        function_text(nowhere["unknown"])
