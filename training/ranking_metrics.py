"""How well lists are put in order. Each metric gives one value a list; lists of which nothing came true have none.

With k places shown, h(i) = 1 where the row in place i came true, and n things of the list that came true in all,
whether or not they were candidates:

- recall@k = sum of h(i) over i <= k, divided by n;
- NDCG@k = sum of h(i) / log2(i + 1) over i <= k, divided by the same sum of the best order, whose first min(k, n)
  places all came true (Jarvelin and Kekalainen, "Cumulated gain-based evaluation of IR techniques", TOIS 2002).

Their mean is over lists that have a value. Rows of equal score stand in the order of the rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from data.errors import UsageError
from training.interval import of_means

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from training.interval import Interval, Resampling


@dataclass(frozen=True)
class Lists:
    """What came true of lists, shape (rows,) each.

    Attributes:
        label: 0 or 1.
        code: Code of the list of each row.
        relevant: How many things of the row's list came true in all, candidates or not.
        unit: Code of the independent unit (member) of each row; the same within a list.
    """

    label: NDArray[np.float64]
    code: NDArray[np.int64]
    relevant: NDArray[np.float64]
    unit: NDArray[np.int64]

    def at(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Lists:
        """Those of some of the rows."""
        return Lists(self.label[rows], self.code[rows], self.relevant[rows], self.unit[rows])

    def part(self, label: NDArray[np.float64], relevant: NDArray[np.float64]) -> Lists:
        """The same lists with only a part of what came true, such as what had been bought before."""
        return replace(self, label=label, relevant=relevant)

    def ranked(self, score: NDArray[np.float64]) -> Ranked:
        """The lists in the order of a score, highest first."""
        order = np.lexsort((-score, self.code))
        code = self.code[order]
        starts = np.flatnonzero(np.append(True, code[1:] != code[:-1])) if len(code) else np.empty(0, np.intp)
        place = np.arange(len(code)) - np.repeat(starts, np.diff(np.append(starts, len(code))))
        first = order[starts]
        return Ranked(self.label[order], place, starts, self.relevant[first], self.unit[first])


@dataclass(frozen=True)
class Ranked:
    """Lists in an order.

    Attributes:
        label: 0 or 1, list by list, in the order of the score; shape (rows,).
        place: Place of each row in its list, from 0.
        starts: Where each list begins; shape (lists,).
        relevant: How many things of each list came true.
        unit: Unit of each list.
    """

    label: NDArray[np.float64]
    place: NDArray[np.int64]
    starts: NDArray[np.intp]
    relevant: NDArray[np.float64]
    unit: NDArray[np.int64]

    @cached_property
    def judged(self) -> NDArray[np.bool_]:
        """Whether anything of a list came true, so that it has a value."""
        return self.relevant > 0

    def totals(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sum of a value over the rows of each list, shape (lists,)."""
        return np.add.reduceat(values, self.starts) if len(self.starts) else np.empty(0)


@dataclass(frozen=True)
class ListMetric:
    """A named measure of lists in an order.

    Attributes:
        name: As it appears in tracked runs.
        of_each: Gives one value a list; what it gives for a list of which nothing came true is not read.
        greater_is_better: Which way is up.
    """

    name: str
    of_each: Callable[[Ranked], NDArray[np.float64]]
    greater_is_better: bool = True

    def of(self, lists: Lists, score: NDArray[np.float64]) -> float:
        """The mean over all lists that have a value; NaN where none has."""
        ranked = lists.ranked(score)
        return float(self.of_each(ranked)[ranked.judged].mean()) if ranked.judged.any() else float("nan")


def recall_at(places: int) -> ListMetric:
    """The share of what came true that stands in the first places.

    >>> recall_at(10).name
    'recall_at_10'
    """
    return ListMetric(f"recall_at_{_places(places)}", partial(_recall, places=places))


def ndcg_at(places: int) -> ListMetric:
    """How near the first places are to the best order: a hit counts the less the further down it stands."""
    return ListMetric(f"ndcg_at_{_places(places)}", partial(_ndcg, places=places))


def compare_lists(
    lists: Lists,
    scores: Mapping[str, NDArray[np.float64]],
    metrics: Sequence[ListMetric],
    resampling: Callable[[NDArray[np.int64]], Resampling],
) -> dict[str, dict[str, Interval]]:
    """Every metric of every score, on the same draws of units, and each score's gain over the first (paired).

    Args:
        lists: What came true.
        scores: The model first, then what it is held against; shape (rows,) each.
        metrics: What to measure.
        resampling: Makes the draws, given the unit of each list.

    Returns:
        For each name in `scores` its metrics; for each but the first also `gain_METRIC`, the first score's lead over
        it, positive where the first is better.
    """
    first = next(iter(scores))
    values: dict[tuple[str, str], NDArray[np.float64]] = {}
    units = np.empty(0, np.int64)
    for name, score in scores.items():
        ranked = lists.ranked(score)
        units = ranked.unit[ranked.judged]
        values |= {(name, metric.name): metric.of_each(ranked)[ranked.judged] for metric in metrics}
    for name in list(scores)[1:]:
        for metric in metrics:
            sign = 1.0 if metric.greater_is_better else -1.0
            ahead = values[first, metric.name] - values[name, metric.name]
            values[name, f"gain_{metric.name}"] = sign * ahead
    intervals = of_means(np.column_stack(list(values.values())), resampling(units))
    figures: dict[str, dict[str, Interval]] = {name: {} for name in scores}
    for (name, metric_name), interval in zip(values, intervals, strict=True):
        figures[name][metric_name] = interval
    return figures


def _places(places: int) -> int:
    if places < 1:
        raise UsageError(f"a list is judged on its first places: found {places}, expected 1 or more")
    return places


def _recall(ranked: Ranked, *, places: int) -> NDArray[np.float64]:
    return ranked.totals(ranked.label * (ranked.place < places)) / np.maximum(ranked.relevant, 1.0)


def _ndcg(ranked: Ranked, *, places: int) -> NDArray[np.float64]:
    gained = ranked.totals(ranked.label * (ranked.place < places) / np.log2(ranked.place + 2.0))
    best = np.cumsum(1.0 / np.log2(np.arange(places) + 2.0))
    found = np.clip(ranked.relevant, 1, places).astype(np.intp)
    return np.asarray(gained / best[found - 1], dtype=np.float64)
