"""How far new data have moved from those that the champion was judged on: its features, and how often things came true.

Bad labels poison a model quietly. So a rate of labels that jumps further than is usual, chance aside, is said and
recorded, and holds a promotion up until somebody has looked.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.steps import Steps
from training.dataset import examples
from training.export import LEARNED, Binning, reference_of
from training.gates import Gate
from training.pipeline import features
from training.sites.pipeline import ground_of, read_tables
from training.sites.task import SiteTask

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from data.sources import DataSet
    from features.spec import Feature
    from training.bundles import Bundle
    from training.task import AnyTask, LabelledTask

LABEL_RATE: Final = "label rate"
MOST_LABEL_CHANGE: Final = 0.5
"""By how much of itself the champion's rate may have changed, upwards or downwards."""

SHOWN: Final = 5
_ROWS: Final = 1 << 15  # put into bins at a time
_BY_CHANCE: Final = 1.96


class Moved(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """New data beside those of the champion's test.

    Attributes:
        against: The champion's version; empty where there is none, and nothing is measured.
        rows: How many new rows were looked at: those of the new test, or all stores.
        features: Population stability index of each feature that both know, largest first.
        unmatched: Features of the champion that the task no longer declares, or declares with another meaning.
        weighted: The mean index, each feature counting as much as the champion leans on it; None where that is unknown.
        label: Share of the rows that came true; for sites the geometric mean of a store's yearly revenue in fen.
        label_then: The same of the champion's; None where its bundle does not say.
        chance: The difference that chance alone makes in 19 cases of 20; 0 for sites, where nothing is counted.
    """

    against: str
    rows: int
    features: dict[str, float]
    unmatched: tuple[str, ...]
    weighted: float | None
    label: float | None
    label_then: float | None
    chance: float

    @property
    def gate(self) -> Gate | None:
        """Whether labels came true about as often as before; None where there was no champion."""
        if not self.against:
            return None
        required = f"within {MOST_LABEL_CHANGE:.0%} of that of champion {self.against}, or what chance explains"
        if self.label is None or self.label_then is None:
            return Gate(LABEL_RATE, "no figure", required, passed=False)
        found = f"{self.label:,.6g} against {self.label_then:,.6g}"
        low, high = sorted((self.label, self.label_then))
        near = high <= low * (1 + MOST_LABEL_CHANGE) or high - low <= self.chance
        return Gate(LABEL_RATE, found, required, near)

    def as_dict(self) -> dict[str, object]:
        """For JSON: the features that moved most, and the rate."""
        top = [{"feature": name, "psi": index} for name, index in list(self.features.items())[:SHOWN]]
        return {
            "against": self.against or None,
            "rows": self.rows,
            "top": top,
            "weighted": self.weighted,
            "unmatched": list(self.unmatched),
            "label_rate": self.label,
            "champion_label_rate": self.label_then,
        }

    def figures(self) -> dict[str, float]:
        """Every number of it under a flat name."""
        told = {
            "drift/weighted": self.weighted,
            "label_rate": self.label,
            "champion/label_rate": self.label_then,
            "rows": float(self.rows),
            **{f"drift/feature/{name}": index for name, index in self.features.items()},
        }
        return {name: value for name, value in told.items() if value is not None}


class _Seen(NamedTuple):
    """New rows: what is known of them under which declarations, and how often things came true, of how many."""

    declared: tuple[Feature, ...]
    matrix: NDArray[np.float32]
    label: float
    counted: int


def measure(task: AnyTask, data_set: DataSet, champion: Bundle | None, home: Path, steps: Steps | None = None) -> Moved:
    """Build what is known of the new rows, and put it into the champion's bins.

    Args:
        task: What is retrained.
        data_set: The new tables.
        champion: Against whom; without one nothing is measured.
        home: Where features are kept; the training that follows finds them there.
        steps: Collects how long it took.
    """
    steps = Steps() if steps is None else steps
    if champion is None:
        return Moved("", 0, {}, (), None, None, None, 0.0)
    seen = _of_sites(task, data_set) if isinstance(task, SiteTask) else _of_rows(task, data_set, home, steps)
    with steps.step("measure drift") as step:
        step.rows = len(seen.matrix)
        index, unmatched = _drift(seen, champion)
    then, counted = _then(champion)
    return Moved(
        against=champion.manifest.version,
        rows=len(seen.matrix),
        features=dict(sorted(index.items(), key=lambda one: -one[1])),
        unmatched=unmatched,
        weighted=_weighted(index, champion.manifest.metrics),
        label=_known(seen.label),
        label_then=_known(then),
        chance=_chance(seen.label, seen.counted, then, counted),
    )


def _of_rows(task: LabelledTask, data_set: DataSet, home: Path, steps: Steps) -> _Seen:
    built = features(task, data_set, home, steps)
    table = examples(task, data_set, built)
    rows = task.split.divide(table.as_of, table.closes_at).test
    label = float(np.nansum(table.label[rows]) / len(rows)) if len(rows) else math.nan
    return _Seen(tuple(task.features), table.matrix[rows], label, len(rows))


def _of_sites(task: SiteTask, data_set: DataSet) -> _Seen:
    ground = ground_of(task, read_tables(data_set))
    mean = float(np.exp(ground.stores.log_revenue.mean()))
    return _Seen(tuple(ground.features.declared), ground.stores.features, mean, 0)


def _drift(seen: _Seen, champion: Bundle) -> tuple[dict[str, float], tuple[str, ...]]:
    """The index of each of the champion's features, and those that the new rows lack."""
    manifest = champion.manifest
    places = {(one.name, one.unit, one.meaning, one.null_rule): place for place, one in enumerate(seen.declared)}
    asked = [places.get((one.name, one.unit, one.meaning, one.null_rule)) for one in manifest.features]
    unmatched = tuple(one.name for one, place in zip(manifest.features, asked, strict=True) if place is None)
    learned = _learned(champion)
    names = [one.name for one in manifest.features]
    reference = manifest.reference or (
        None if learned is None else reference_of(_columns(learned, names), learned["log_revenue"].to_numpy())
    )
    if reference is None or not len(seen.matrix):
        return {}, unmatched
    binning = Binning(reference)
    counts = np.zeros_like(binning.expected)
    for start in range(0, len(seen.matrix), _ROWS):
        part = seen.matrix[start : start + _ROWS]
        values = np.zeros((len(part), binning.columns))  # the score, last, is not asked about
        for column, place in enumerate(asked):
            if place is not None:
                values[:, column] = part[:, place]
        counts += binning.counts(values)
    index = binning.psi(counts)[:-1].tolist()
    known = zip(names, index, asked, strict=True)
    return {name: value for name, value, place in known if place is not None}, unmatched


def _then(champion: Bundle) -> tuple[float, int]:
    """How often things came true in the champion's test, and of how many rows; of sites the mean, of none."""
    learned = _learned(champion)
    if learned is not None:
        return float(np.exp(learned["log_revenue"].to_numpy().mean())), 0
    metrics = champion.manifest.metrics
    rows, positives = metrics.get("rows/test"), metrics.get("positives/test")
    return (positives / rows, int(rows)) if rows and positives is not None else (math.nan, 0)


def _learned(champion: Bundle) -> pa.Table | None:
    """The stores that a forecast of sites rests on; None of any other model."""
    content = champion.tables.get(LEARNED)
    return None if content is None else pq.read_table(pa.BufferReader(content))


def _columns(learned: pa.Table, names: list[str]) -> NDArray[np.float32]:
    return np.column_stack([learned[f"feature.{name}"].to_numpy() for name in names]).astype(np.float32)


def _weighted(index: Mapping[str, float], metrics: Mapping[str, float]) -> float | None:
    weights = {name: metrics.get(f"attribution/{name}", 0.0) for name in index}
    total = sum(weights.values())
    return sum(index[name] * weight for name, weight in weights.items()) / total if total else None


def _chance(rate: float, rows: int, then: float, counted: int) -> float:
    """Half the 95 % interval of the difference of two shares that are the same (pooled, normal)."""
    if not rows or not counted or math.isnan(rate + then):
        return 0.0
    pooled = (rate * rows + then * counted) / (rows + counted)
    return _BY_CHANCE * math.sqrt(pooled * (1 - pooled) * (1 / rows + 1 / counted))


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
