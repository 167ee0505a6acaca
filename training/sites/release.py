"""From a fitted forecast of sites to a bundle that was proven equal to it, after two proofs about its features."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.errors import GateRefused
from features.place import PlaceIndex
from training.bundles import champion_of
from training.declaration import declaration
from training.export import export_sites
from training.formulas import (
    LEARNED,
    Criteria,
    LearnedStores,
    SiteBundle,
    SiteFeatures,
    site_analogs,
    site_line,
    spots_of,
    write_table,
)
from training.gates import EXEMPT
from training.label_rate import LabelRate, label_rates
from training.sites.pipeline import RULE
from training.tracking.metrics import figures

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from training.bundles import Bundle
    from training.sites.pipeline import FittedSites, Ground

ABLATIONS = ("ridge", "trees", "analogs")
REPLAYED = 40


@dataclass(frozen=True)
class Replayed:
    """How many feature values were computed one site at a time, and how many differ; a release has none."""

    values: int
    mismatches: int


def refuse_later_surroundings(ground: Ground) -> int:
    """See that features of a day do not know what opened later; gives how many stores were looked at.

    Raises:
        GateRefused: Taking away what opened later changes a value.
    """
    day = np.datetime64(int(np.sort(ground.sales.from_day)[len(ground.sales.from_day) // 2]), "D")
    cut = {name: _until(table, day) for name, table in ground.tables.items()}
    known = set(cut["stores"]["store_id"].to_pylist())
    ids = ground.rows["store_id"].to_pylist()
    rows = np.array([place for place, one in enumerate(ids) if one in known], np.intp)
    then = SiteFeatures(PlaceIndex.of(cut, ground.features.index.settings), ground.features.formats)
    full, past = _of_day(ground, ground.features, rows, day), _of_day(ground, then, rows, day)
    wrong = ~((full == past) | (np.isnan(full) & np.isnan(past)))
    if wrong.any():
        named = [ground.stores.names[place] for place in np.flatnonzero(wrong.any(axis=0))]
        raise GateRefused(
            f"features of stores as of {day}: found {int(wrong.sum())} values that change when what opened later is "
            f"taken away ({', '.join(named)}), expected none; nothing was exported"
        )
    return len(rows)


def refuse_company(ground: Ground, generator: np.random.Generator) -> Replayed:
    """See that a store's features are the same bits alone as among all.

    Raises:
        GateRefused: A value differs.
    """
    count = len(ground.stores.log_revenue)
    picked = generator.choice(count, min(REPLAYED, count), replace=False)
    days = ground.sales.from_day.astype("datetime64[D]")
    alone = np.concatenate([_matrix(ground, ground.features, np.array([one]), days[[one]]) for one in picked])
    among = ground.stores.features[picked]
    wrong = int((~((alone == among) | (np.isnan(alone) & np.isnan(among)))).sum())
    if wrong:
        raise GateRefused(
            f"features of stores: found {wrong} of {alone.size} values that differ when a store is asked alone, "
            "expected none; nothing was exported"
        )
    return Replayed(alone.size, wrong)


def release_sites(
    fitted: FittedSites,
    root: Path,
    now: datetime | None = None,
    proofs: Mapping[str, float] | None = None,
    measured: Mapping[str, float] | None = None,
) -> Bundle:
    """Export the forecast with the tables that its answers rest on; the version names the moment and the model.

    A forecast takes no action and is no chance, and it is judged on the stores that it learned from, held out in turn:
    so gates of money, slices, calibration and drift have no meaning. `proofs` are figures of what was checked before,
    `measured` what an earlier export measured, noted instead of timing a row again.

    Raises:
        GateRefused: The service would say something else than training.
    """
    model, record = fitted.model, fitted.record
    task, ground, made = model.task, model.ground, model.fitted
    moment = datetime.now(UTC) if now is None else now
    text = hashlib.sha256(model.booster.model_to_string().encode()).hexdigest()
    names = [f"fold-{number}" for number in range(len(made.without))]
    learned = LearnedStores(
        tuple(map(str, ground.rows["store_id"].to_pylist())),
        ground.lat,
        ground.lon,
        ground.sales.revenue_fen,
        made.learned,
    )
    features = ground.stores.features
    champion = champion_of(root, task.name)
    rate = LabelRate(float(np.exp(ground.stores.log_revenue.mean())), 0)
    site = SiteBundle(
        model=made.model,
        wider=model.wider,
        gravity=model.gravity,
        place=task.place,
        formats=ground.features.formats,
        as_of=str(np.datetime64(ground.as_of, "D")),
        margin=task.margin,
        heads={},
        tables=(),
        parity=0.0,
    )
    tables = {**ground.tables, LEARNED: learned.table(ground.stores.names)}
    return export_sites(
        root,
        task=task.name,
        version=f"{moment:%Y%m%dT%H%M%SZ}-{text[:8]}",
        boosters={task.name: model.booster, **dict(zip(names, (each.booster for each in made.without), strict=True))},
        site=site,
        tables={name: write_table(table) for name, table in tables.items()},
        features=task.features,
        usual=_medians(features),
        rows=features,
        said=_said(fitted),
        held=np.log(fitted.predictions.held.revenue_fen),
        data_hash=record.data_hash,
        metrics={**figures(record), **label_rates(rate, champion), **(proofs or {})},
        criteria=Criteria(metrics=("mape",), rivals=(RULE,), ablations=ABLATIONS, inapplicable=tuple(sorted(EXEMPT))),
        champion=champion.manifest.version if champion else "",
        declaration=declaration(task),
        generator=np.random.default_rng([record.seed, 4]),
        measured=measured,
        created=moment,
    )


def _said(fitted: FittedSites) -> NDArray[np.float64]:
    """What training says of the stores by the model of all of them: booster and members, not the exported graph."""
    made, stores = fitted.model.fitted, fitted.model.ground.stores
    near = site_analogs(made.whole.linear, stores.rows, stores.rows, stores.log_revenue, made.model.neighbours)
    trees = np.asarray(made.whole.booster.predict(stores.features.astype(np.float64), num_threads=1), np.float64)
    said: NDArray[np.float64] = np.column_stack((site_line(made.whole.linear, stores.rows), trees, near)) @ np.array(
        made.model.weights
    )
    return said


def _until(table: pa.Table, day: np.datetime64) -> pa.Table:
    """A table as it stood on the eve of a day: what opened later is gone, what closed later is open."""
    if "opened_on" in table.column_names:
        unknown = pc.is_null(table["opened_on"])
        table = table.filter(pc.or_(unknown, pc.less(table["opened_on"], pa.scalar(day.item(), pa.date32()))))
    if "closed_on" in table.column_names:
        last = day.item()
        known = [one if one is not None and one < last else None for one in table["closed_on"].to_pylist()]
        shut = pa.array(known, pa.date32())
        table = table.set_column(table.column_names.index("closed_on"), "closed_on", shut)
    return table


def _of_day(ground: Ground, features: SiteFeatures, rows: NDArray[np.intp], day: np.datetime64) -> NDArray[np.float32]:
    return _matrix(ground, features, rows, np.full(len(rows), day))


def _matrix(
    ground: Ground, features: SiteFeatures, rows: NDArray[np.intp], days: NDArray[np.datetime64]
) -> NDArray[np.float32]:
    table = ground.rows.take(rows)
    spots = spots_of(table)
    formats = table["format"].to_pylist() if "format" in table.column_names else [None] * len(rows)
    return features.matrix(spots.lat, spots.lon, days, spots.area_m2, formats, table["store_id"].to_pylist())


def _medians(features: NDArray[np.float32]) -> NDArray[np.float64]:
    known = [column[~np.isnan(column)] for column in features.T.astype(np.float64)]
    return np.array([np.median(column) if len(column) else np.nan for column in known])
