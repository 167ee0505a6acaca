"""The metrics of one application, in the form that Prometheus scrapes; every name starts with `shepherd_`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from serving.telemetry.times import TimesByLabel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from serving.telemetry.drift import Drift
    from serving.telemetry.times import Times

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
_SECONDS: Final = (
    0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 5.0
)  # fmt: skip
_REQUESTS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_ENTRIES: Final = (1, 2, 5, 10, 20, 50, 100, 200)


class Compared(NamedTuple):
    """What champion and challenger said of the same decisions.

    Attributes:
        rows: How many decisions.
        changed: On how many the two would choose different actions, before any lot.
        champion: Sum of the champion's chances.
        challenger: Sum of the challenger's.
    """

    rows: int
    changed: int
    champion: float
    challenger: float


class Metrics:
    """What one application counts; two of them in a process do not meet.

    Labels hold names of tasks, versions, actions, features and routes' patterns: nothing that a caller makes up.
    """

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry(auto_describe=True)
        self._decisions = Counter(
            "shepherd_decisions", "Decisions answered.", ("task", "version", "action"), registry=registry
        )
        self._decision_seconds = TimesByLabel(
            "shepherd_decision_seconds", "From the body read to the answer.", ("task",), _SECONDS
        )
        self._degraded = Counter(
            "shepherd_degraded", "Decisions answered by the policy instead of the model.", ("task", "reason"),
            registry=registry,
        )  # fmt: skip
        self._refusals = Counter(
            "shepherd_refusals", "Requests refused before they were read or answered.", ("reason",), registry=registry
        )
        self._requests = TimesByLabel(
            "shepherd_request_seconds", "Requests by route and status, whatever came of them.",
            ("route", "method", "status"), _REQUESTS,
        )  # fmt: skip
        self._commit_seconds = Histogram(
            "shepherd_commit_seconds", "One commit of the log.", buckets=_SECONDS, registry=registry
        )
        self._commit_entries = Histogram(
            "shepherd_commit_entries", "Entries that one commit held.", buckets=_ENTRIES, registry=registry
        )
        self._commit_failures = Counter(
            "shepherd_commit_failures", "Commits of the log that failed and are tried again.", registry=registry
        )
        self._queue = Gauge("shepherd_queue_depth", "What waits, by queue.", ("queue",), registry=registry)
        self._state_members = Gauge("shepherd_state_members", "Members that the live state knows.", registry=registry)
        self._state_bytes = Gauge("shepherd_state_bytes", "Memory of the live state.", registry=registry)
        self._ready = Gauge("shepherd_ready", "1 while questions are answered, else 0.", registry=registry)
        self._model = Gauge(
            "shepherd_model", "1 for each model that answers.", ("task", "version", "role"), registry=registry
        )
        self._swaps = Counter(
            "shepherd_swaps", "Models put in place or refused.", ("task", "outcome"), registry=registry
        )
        by_challenger = ("task", "version")
        self._shadow_rows = Counter(
            "shepherd_shadow_rows", "Decisions that champion and challenger both said something of.", by_challenger,
            registry=registry,
        )  # fmt: skip
        self._shadow_changed = Counter(
            "shepherd_shadow_changed", "Of these, those on which the two would act otherwise.", by_challenger,
            registry=registry,
        )  # fmt: skip
        self._shadow_chance = Counter(
            "shepherd_shadow_chance", "Sum of the chances that each of the two said of these.",
            (*by_challenger, "role"), registry=registry,
        )  # fmt: skip
        self._drifts = _DriftCollector()
        for collector in (self._decision_seconds, self._requests, self._drifts):
            registry.register(collector)
        self._decided: dict[tuple[str, str, str], tuple[Counter, Times]] = {}
        self._asked: dict[tuple[str, str, int], Times] = {}
        self._refused: dict[str, Counter] = {}

    def observe_decision(self, task: str, version: str, action: str, seconds: float, degraded: str = "none") -> None:
        """Count one decision; like requests, in the thread of the event loop.

        Args:
            task: Which task decided.
            version: Which of its models.
            action: What to do.
            seconds: From the body read to the answer.
            degraded: Why the policy answered instead of the model; `none` where the model did.
        """
        label = (task, version, action)
        found = self._decided.get(label)  # looking a label up costs more than counting
        if found is None:
            found = self._decided[label] = self._decisions.labels(*label), self._decision_seconds.labels(task)
        found[0].inc()
        found[1].observe(seconds)
        if degraded != "none":
            self._degraded.labels(task, degraded).inc()

    def observe_shadow(self, task: str, version: str, told: Compared) -> None:
        """Add what champion and challenger said of the same decisions, whichever of them answered.

        Sums only rise, so the difference of the means over any stretch of time is that of two rates.

        Args:
            task: Which task decided.
            version: The challenger's.
            told: The sums.
        """
        self._shadow_rows.labels(task, version).inc(told.rows)
        self._shadow_changed.labels(task, version).inc(told.changed)
        for role, total in (("champion", told.champion), ("challenger", told.challenger)):
            self._shadow_chance.labels(task, version, role).inc(total)

    def observe_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request by the pattern of its route."""
        label = (route, method, status)
        found = self._asked.get(label)
        if found is None:
            found = self._asked[label] = self._requests.labels(route, method, str(status))
        found.observe(seconds)

    def refused(self, reason: str) -> None:
        """Count one request that was refused: `key`, `scope`, `peer`, `rate`, `full`, `body` ..."""
        found = self._refused.get(reason)
        if found is None:
            found = self._refused[reason] = self._refusals.labels(reason)
        found.inc()

    def committed(self, seconds: float, entries: int) -> None:
        """Count one commit of the log; called by the thread that commits."""
        self._commit_seconds.observe(seconds)
        self._commit_entries.observe(entries)

    def commit_failed(self) -> None:
        """Count a commit that failed."""
        self._commit_failures.inc()

    def watch_queue(self, queue: str, depth: Callable[[], float]) -> None:
        """Ask this for the depth of a queue whenever metrics are read."""
        self._queue.labels(queue).set_function(depth)

    def watch_state(self, members: Callable[[], float], size: Callable[[], float]) -> None:
        """Ask these for the members that the live state knows and for its bytes, whenever metrics are read."""
        self._state_members.set_function(members)
        self._state_bytes.set_function(size)

    def watch_ready(self, ready: Callable[[], bool]) -> None:
        """Ask this whether questions are answered, whenever metrics are read."""
        self._ready.set_function(ready)

    def serving(self, task: str, models: Sequence[tuple[str, str]]) -> None:
        """Say which models of a task answer now, in place of those before.

        Args:
            task: Name of the task.
            models: Version and role of each, such as `champion`, `canary` or `shadow`.
        """
        for label in list(self._model._metrics):  # noqa: SLF001 - it has no other way to name what it holds
            if label[0] == task:
                self._model.remove(*label)
        for version, role in models:
            self._model.labels(task, version, role).set(1)

    def swapped(self, task: str, outcome: str) -> None:
        """Count a model that was put in place (`loaded`) or refused (`refused`)."""
        self._swaps.labels(task, outcome).inc()

    def watch_drift(self, task: str, version: str, features: Sequence[str], drift: Drift | None) -> None:
        """Show the drift of a task's model, in place of the one before; None shows none."""
        self._drifts.watch(task, version, features, drift)

    def names(self) -> frozenset[str]:
        """Every name that `text` can hold, for dashboards and rules to be held against."""
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
        return frozenset(
            family.name + suffix for family in self._registry.collect() for suffix in suffixes[family.type]
        )

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self._registry)


class _DriftCollector:
    """Works drift out when it is read, not when rows come."""

    def __init__(self) -> None:
        self._watched: dict[str, tuple[str, tuple[str, ...], Drift]] = {}

    def watch(self, task: str, version: str, features: Sequence[str], drift: Drift | None) -> None:
        self._watched.pop(task, None)
        if drift is not None:
            self._watched[task] = version, tuple(features), drift

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Name what there is, without working it out."""
        return iter(self._families())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Work it out."""
        features, score, rows = self._families()
        for task, (version, names, drift) in list(self._watched.items()):
            found = drift.found()
            rows.add_metric((task, version), found.rows)
            if found.rows:
                score.add_metric((task, version), found.score)
                for name, index in zip(names, found.features.tolist(), strict=True):
                    features.add_metric((task, version, name), index)
        yield from (features, score, rows)

    @staticmethod
    def _families() -> tuple[GaugeMetricFamily, GaugeMetricFamily, GaugeMetricFamily]:
        by_model = ("task", "version")
        return (
            GaugeMetricFamily(
                "shepherd_drift_feature_psi", "Population stability index of a feature.", labels=(*by_model, "feature")
            ),
            GaugeMetricFamily("shepherd_drift_score_psi", "Population stability index of the score.", labels=by_model),
            GaugeMetricFamily("shepherd_drift_rows", "Rows that drift was measured on.", labels=by_model),
        )
