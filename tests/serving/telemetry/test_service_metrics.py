from __future__ import annotations

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from serving.telemetry.drift import Drift
from serving.telemetry.metrics import Compared, Metrics
from serving.telemetry.reference import reference_of


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[str]], float]:
    families = text_string_to_metric_families(metrics.text().decode())
    return {(one.name, frozenset(one.labels.values())): one.value for family in families for one in family.samples}


def test_decisions_are_counted_by_what_was_done() -> None:
    metrics = Metrics()
    metrics.observe_decision("fraud", "v1", "pay", 0.004)
    metrics.observe_decision("fraud", "v1", "pay", 0.004)
    metrics.observe_decision("fraud", "v1", "block", 0.2, degraded="deadline")

    found = samples(metrics)

    assert found["shepherd_decisions_total", frozenset({"fraud", "v1", "pay"})] == 2
    assert found["shepherd_decisions_total", frozenset({"fraud", "v1", "block"})] == 1
    assert found["shepherd_decision_seconds_count", frozenset({"fraud"})] == 3
    assert found["shepherd_decision_seconds_bucket", frozenset({"fraud", "0.005"})] == 2
    assert found["shepherd_degraded_total", frozenset({"fraud", "deadline"})] == 1
    assert ("shepherd_degraded_total", frozenset({"fraud", "none"})) not in found


def test_a_challenger_s_difference_is_that_of_two_sums() -> None:
    metrics = Metrics()
    metrics.observe_shadow("fraud", "v2", Compared(10, 3, 1.0, 1.5))
    metrics.observe_shadow("fraud", "v2", Compared(6, 0, 0.5, 0.25))

    found = samples(metrics)

    assert found["shepherd_shadow_rows_total", frozenset({"fraud", "v2"})] == 16
    assert found["shepherd_shadow_changed_total", frozenset({"fraud", "v2"})] == 3
    assert found["shepherd_shadow_chance_total", frozenset({"fraud", "v2", "champion"})] == 1.5
    assert found["shepherd_shadow_chance_total", frozenset({"fraud", "v2", "challenger"})] == 1.75


def test_two_applications_do_not_meet() -> None:
    one, other = Metrics(), Metrics()
    one.refused("rate")

    assert samples(one)["shepherd_refusals_total", frozenset({"rate"})] == 1
    assert ("shepherd_refusals_total", frozenset({"rate"})) not in samples(other)


def test_what_is_watched_is_asked_when_it_is_read() -> None:
    metrics, depth = Metrics(), [0.0]
    metrics.watch_queue("requests", lambda: depth[0])
    metrics.watch_state(lambda: 7, lambda: 1 << 20)
    metrics.watch_ready(lambda: depth[0] > 0)
    assert samples(metrics)["shepherd_ready", frozenset()] == 0
    depth[0] = 5.0

    found = samples(metrics)

    assert found["shepherd_queue_depth", frozenset({"requests"})] == 5
    assert (found["shepherd_state_members", frozenset()], found["shepherd_state_bytes", frozenset()]) == (7, 1 << 20)
    assert found["shepherd_ready", frozenset()] == 1


def test_commits_are_counted_with_what_they_held() -> None:
    metrics = Metrics()
    metrics.committed(0.002, 10)
    metrics.committed(0.002, 90)
    metrics.commit_failed()

    found = samples(metrics)

    assert (found["shepherd_commit_entries_sum", frozenset()], found["shepherd_commit_seconds_count", frozenset()]) == (
        100,
        2,
    )
    assert found["shepherd_commit_failures_total", frozenset()] == 1


def test_models_take_the_place_of_those_before() -> None:
    metrics = Metrics()
    metrics.serving("fraud", [("v1", "champion"), ("v2", "shadow")])
    metrics.serving("coupon", [("v7", "champion")])
    metrics.serving("fraud", [("v2", "champion")])
    metrics.swapped("fraud", "loaded")

    found = samples(metrics)

    assert {labels for name, labels in found if name == "shepherd_model"} == {
        frozenset({"fraud", "v2", "champion"}),
        frozenset({"coupon", "v7", "champion"}),
    }
    assert found["shepherd_swaps_total", frozenset({"fraud", "loaded"})] == 1


def test_drift_is_shown_by_feature_once_there_is_some() -> None:
    generator = np.random.default_rng(1)
    features, score = generator.normal(size=(512, 2)).astype(np.float32), generator.random(512)
    drift, metrics = Drift(reference_of(features, score), 512, 256), Metrics()
    metrics.watch_drift("fraud", "v1", ("calm", "moved"), drift)
    assert samples(metrics)["shepherd_drift_rows", frozenset({"fraud", "v1"})] == 0
    assert not [name for name, _ in samples(metrics) if name == "shepherd_drift_feature_psi"]

    drift.add(features + np.array([0, 3], np.float32), score)

    found = samples(metrics)
    assert found["shepherd_drift_rows", frozenset({"fraud", "v1"})] == 512
    assert found["shepherd_drift_feature_psi", frozenset({"fraud", "v1", "calm"})] < 1e-9
    assert found["shepherd_drift_feature_psi", frozenset({"fraud", "v1", "moved"})] > 1
    assert found["shepherd_drift_score_psi", frozenset({"fraud", "v1"})] < 1e-9
    metrics.watch_drift("fraud", "v2", ("calm", "moved"), None)
    assert not [name for name, _ in samples(metrics) if name.startswith("shepherd_drift")]


def test_every_name_that_is_shown_is_known_beforehand() -> None:
    metrics = Metrics()
    names = metrics.names()
    features, score = np.zeros((4, 1), np.float32), np.zeros(4)
    drift = Drift(reference_of(features, score), 4, 4)
    drift.add(features, score)
    metrics.observe_decision("fraud", "v1", "pay", 0.1, "state")
    metrics.observe_request("/livez", "GET", 200, 0.1)
    metrics.observe_shadow("fraud", "v2", Compared(1, 0, 0.1, 0.2))
    metrics.refused("key")
    metrics.committed(0.1, 1)
    metrics.commit_failed()
    metrics.watch_queue("requests", lambda: 1)
    metrics.serving("fraud", [("v1", "champion")])
    metrics.swapped("fraud", "loaded")
    metrics.watch_drift("fraud", "v1", ("x",), drift)

    shown = {name for name, _ in samples(metrics) if not name.endswith("_created")}

    assert shown == names
    assert all(name.startswith("shepherd_") for name in names)
