"""Histograms that one thread fills at almost no cost: plain numbers in lists, put into Prometheus' form when read.

A histogram of the client library locks for every sum and looks its labels up at every call, some five microseconds; an
answer of the hot path counts in two of them. Here one is an addition to a list.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.utils import floatToGoString

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Times:
    """Seconds under one set of labels.

    Args:
        buckets: Upper bounds in seconds, rising; what lies above all of them is counted too.
    """

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, buckets: Sequence[float]) -> None:
        self._bounds, self._counts, self._sum = tuple(buckets), [0] * (len(buckets) + 1), 0.0

    def observe(self, seconds: float) -> None:
        """Count one; from one thread only."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def told(self) -> tuple[list[tuple[str, float]], float]:
        """The buckets as Prometheus adds them up, and the sum; from any thread."""
        total, found = 0, []
        for bound, count in zip((*self._bounds, float("inf")), list(self._counts), strict=True):
            total += count
            found.append((str(floatToGoString(bound)), float(total)))  # type: ignore[no-untyped-call] # the library's
        return found, self._sum


class TimesByLabel:
    """Seconds by labels; a collector of a registry.

    Args:
        name: Of the metric.
        help_text: What it is.
        labels: Names of its labels.
        buckets: As `Times`.
    """

    def __init__(self, name: str, help_text: str, labels: Sequence[str], buckets: Sequence[float]) -> None:
        self._name, self._help, self._labels, self._buckets = name, help_text, tuple(labels), tuple(buckets)
        self._found: dict[tuple[str, ...], Times] = {}

    def labels(self, *values: str) -> Times:
        """The seconds under these values; keep what is returned, because looking it up costs more than counting."""
        found = self._found.get(values)
        if found is None:
            found = self._found[values] = Times(self._buckets)
        return found

    def describe(self) -> Iterator[HistogramMetricFamily]:
        """Name it."""
        yield self._family()

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Everything that was counted."""
        family = self._family()
        for values, times in list(self._found.items()):
            buckets, total = times.told()
            family.add_metric(values, buckets, total)
        yield family

    def _family(self) -> HistogramMetricFamily:
        return HistogramMetricFamily(self._name, self._help, labels=self._labels)
