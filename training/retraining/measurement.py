"""Measures how far new data have moved from those that the champion was judged on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from data.steps import Steps
from training.dataset import examples
from training.formulas import Binning, reference_of
from training.label_rate import learned_stores, rate_of_champion
from training.pipeline import features
from training.retraining.moved import Moved
from training.sites.pipeline import ground_of, read_tables
from training.sites.task import SiteTask

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from data.sources import DataSet
    from features.spec import Feature
    from training.bundles import Bundle
    from training.task import AnyTask, LabelledTask

_ROWS: Final = 1 << 15  # put into bins at a time


class _Seen(NamedTuple):
    """New rows: what is known of them under which declarations, and how often things came true."""

    declared: tuple[Feature, ...]
    matrix: NDArray[np.float32]
    label: float


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
        return Moved("", 0, {}, (), None, None, None)
    seen = _of_sites(task, data_set) if isinstance(task, SiteTask) else _of_rows(task, data_set, home, steps)
    with steps.step("measure drift") as step:
        step.rows = len(seen.matrix)
        index, unmatched = _drift(seen, champion)
    return Moved(
        against=champion.manifest.version,
        rows=len(seen.matrix),
        features=dict(sorted(index.items(), key=lambda one: -one[1])),
        unmatched=unmatched,
        weighted=_weighted(index, champion.manifest.metrics),
        label=_known(seen.label),
        label_then=_known(rate_of_champion(champion).value),
    )


def _of_rows(task: LabelledTask, data_set: DataSet, home: Path, steps: Steps) -> _Seen:
    built = features(task, data_set, home, steps)
    table = examples(task, data_set, built)
    rows = task.split.divide(table.as_of, table.closes_at).test
    label = float(np.nansum(table.label[rows]) / len(rows)) if len(rows) else math.nan
    return _Seen(tuple(task.features), table.matrix[rows], label)


def _of_sites(task: SiteTask, data_set: DataSet) -> _Seen:
    ground = ground_of(task, read_tables(data_set))
    mean = float(np.exp(ground.stores.log_revenue.mean()))
    return _Seen(tuple(ground.features.declared), ground.stores.features, mean)


def _drift(seen: _Seen, champion: Bundle) -> tuple[dict[str, float], tuple[str, ...]]:
    """The index of each of the champion's features, and those that the new rows lack."""
    manifest = champion.manifest
    places = {(one.name, one.unit, one.meaning, one.null_rule): place for place, one in enumerate(seen.declared)}
    asked = [places.get((one.name, one.unit, one.meaning, one.null_rule)) for one in manifest.features]
    unmatched = tuple(one.name for one, place in zip(manifest.features, asked, strict=True) if place is None)
    learned = learned_stores(champion)
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


def _columns(learned: pa.Table, names: list[str]) -> NDArray[np.float32]:
    return np.column_stack([learned[f"feature.{name}"].to_numpy() for name in names]).astype(np.float32)


def _weighted(index: Mapping[str, float], metrics: Mapping[str, float]) -> float | None:
    weights = {name: metrics.get(f"attribution/{name}", 0.0) for name in index}
    total = sum(weights.values())
    return sum(index[name] * weight for name, weight in weights.items()) / total if total else None


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
