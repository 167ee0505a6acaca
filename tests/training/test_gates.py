"""Each gate refuses what was made bad on purpose for it, and no other gate does."""

import msgspec
import pytest

from serving.manifest import Criteria, Parity
from training.gates import EXEMPT, gates

GOOD = {
    "contract/rows": 1_500.0,
    "leakage/rows": 500.0,
    "replay/values": 300.0,
    "replay/mismatches": 0.0,
    "latency/p99_ms": 0.4,
    "test/roc_auc": 0.8,
    "drift/weighted": 0.05,
    "money/gain_over_best_constant": 3.0,
    "money/gain_over_best_constant_high": 4.0,
    "money/gain_over_champion": 0.1,
    "money/gain_over_champion_high": 0.3,
    "slice/month/1/gain_over_best_constant_high": 2.0,
    "slice/month/2/gain_over_best_constant_high": 0.0,
    "calibration/relative_error": 0.1,
    "calibration/error_by_chance": 0.05,
    "label/rate": 0.2,
    "label/rate_of_champion": 0.2,
    "label/rate_by_chance": 0.01,
    "baseline/rival/gain_roc_auc": 0.02,
    "baseline/smaller/gain_roc_auc_high": 0.01,
}
CRITERIA = Criteria(("roc_auc",), ("rival",), ("smaller",))
EXACT = Parity(10, 10, 0, 0.0, 0.0, 0.0)

BAD = [
    ("data contract", "contract/rows", 0.0),
    ("leakage", "leakage/rows", 0.0),
    ("replay", "replay/mismatches", 1.0),
    ("replay", "replay/values", 0.0),
    ("latency", "latency/p99_ms", 10.1),
    ("judged", "test/roc_auc", None),
    ("drift", "drift/weighted", 1.01),
    ("money", "money/gain_over_champion_high", -0.01),
    ("worst slice", "slice/month/2/gain_over_best_constant_high", -0.01),
    ("calibration", "calibration/relative_error", 0.51),
    ("label rate", "label/rate", 0.31),
    ("rival: gain in roc_auc", "baseline/rival/gain_roc_auc", 0.0),
    ("smaller: upper end of the gain in roc_auc", "baseline/smaller/gain_roc_auc_high", -0.01),
]
ABSENT = [(gate, name) for gate, name, _ in BAD if gate not in {"judged", "worst slice"}]


@pytest.fixture(scope="module")
def good(released):
    """A manifest that every gate lets pass, of a task that has a use for all of them."""
    return msgspec.structs.replace(
        released.bundle.manifest, metrics=GOOD, criteria=CRITERIA, parity=EXACT, champion="v1"
    )


def _with(manifest, **figures):
    metrics = {name: value for name, value in (manifest.metrics | figures).items() if value is not None}
    return msgspec.structs.replace(manifest, metrics=metrics)


def _refusing(manifest):
    return [gate.name for gate in gates(manifest) if not gate.passed]


def test_what_is_good_passes_every_gate(good):
    assert _refusing(good) == []
    assert [gate.name for gate in gates(good)] == [
        *("data contract", "leakage", "replay", "parity", "latency", "judged", "drift", "money", "worst slice"),
        *("calibration", "label rate", "rival: gain in roc_auc", "smaller: upper end of the gain in roc_auc"),
    ]


@pytest.mark.parametrize(("gate", "name", "value"), BAD)
def test_one_figure_made_bad_is_refused_by_its_gate_and_by_no_other(good, gate, name, value):
    assert _refusing(_with(good, **{name: value})) == [gate]


@pytest.mark.parametrize("change", [{"wrong_leaves": 1}, {"max_raw_difference": 1e-300}])
def test_a_graph_that_is_not_the_model_is_refused_by_parity_alone(good, change):
    parity = msgspec.structs.replace(EXACT, **change)

    assert _refusing(msgspec.structs.replace(good, parity=parity)) == ["parity"]


@pytest.mark.parametrize(("gate", "name"), ABSENT)
def test_a_figure_that_is_absent_refuses(good, gate, name):
    without = _with(good, **{name: None})

    (refused,) = [each for each in gates(without) if not each.passed]
    assert refused.name == gate
    assert "no figure" in refused.found


def test_without_any_slice_the_worst_is_unknown(good):
    slices = {name: None for name in GOOD if name.startswith("slice/")}

    (refused,) = [each for each in gates(_with(good, **slices)) if not each.passed]
    assert (refused.name, refused.found) == ("worst slice", "no figure")


def test_the_first_champion_has_to_earn_what_one_action_for_all_would(good):
    first = msgspec.structs.replace(good, champion="")

    assert _refusing(_with(first, **{"money/gain_over_champion_high": -1.0})) == []
    assert _refusing(_with(first, **{"money/gain_over_best_constant_high": -0.01})) == ["money"]


def test_a_bundle_from_before_the_gates_refuses_at_each_it_has_no_figure_for(good):
    old = {name: value for name, value in GOOD.items() if name.startswith(("test/", "baseline/"))}

    assert _refusing(msgspec.structs.replace(good, metrics=old)) == [
        *("data contract", "leakage", "replay", "latency", "drift", "money", "worst slice", "calibration"),
        "label rate",
    ]


def test_a_task_may_have_no_use_for_some_gates_and_for_no_others(good):
    names = tuple(gate.name for gate in gates(good))
    exempt = msgspec.structs.replace(good, criteria=msgspec.structs.replace(CRITERIA, inapplicable=names))

    assert {gate.name for gate in gates(exempt)} == set(names) - EXEMPT


@pytest.mark.parametrize(("name", "value"), [("drift/weighted", 1.0), ("latency/p99_ms", 10.0)])
def test_what_is_just_required_passes(good, name, value):
    assert _refusing(_with(good, **{name: value})) == []


def test_what_chance_explains_is_not_held_against_calibration(good):
    few = _with(good, **{"calibration/relative_error": 0.9, "calibration/error_by_chance": 0.95})

    assert _refusing(few) == []
    assert _refusing(_with(few, **{"calibration/error_by_chance": None})) == ["calibration"]


@pytest.mark.parametrize(
    ("rate", "then", "passed"),
    [
        (0.29, 0.2, True),
        (0.31, 0.2, False),
        (0.2, 0.31, False),
        (0.03, 0.025, True),
        (0.019, 0.01, True),  # twice as much, and chance explains it
        (0.0, 0.2, False),
        (None, 0.2, False),
        (0.2, None, False),
    ],
)
def test_a_rate_of_labels_may_change_by_half_or_by_chance(good, rate, then, passed):
    found = _with(good, **{"label/rate": rate, "label/rate_of_champion": then})

    assert _refusing(found) == ([] if passed else ["label rate"])


def test_no_rate_of_labels_is_asked_of_a_first_model(good):
    first = msgspec.structs.replace(_with(good, **{"label/rate": 0.99, "label/rate_of_champion": None}), champion="")

    assert _refusing(first) == []
