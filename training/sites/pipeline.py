"""From a task about sites and its data to a forecast that has been judged: the steps read like the story."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from data.errors import DataError
from data.steps import Steps
from features.place import PlaceIndex
from features.place_tables import chain_of
from training.formulas import Gravity, SiteFeatures, demand_of, own, rivals_ever, rivals_of, spots_of, trading
from training.interval import Interval
from training.record import Record, Search
from training.sites.folds import random_folds, spatial_folds
from training.sites.gravity import Books, calibrate, strengthened
from training.sites.judging import compare_sites, moran, people_rule, sliced_sites
from training.sites.radius import widths
from training.sites.study import fit_sites, held_out, known_stores
from training.sites.target import HALF_A_MONTH, days_of, presence, yearly_sales

if TYPE_CHECKING:
    from collections.abc import Mapping

    import lightgbm
    from numpy.typing import NDArray

    from data.sources import DataSet
    from training.formulas import Wider
    from training.sites.folds import Folds
    from training.sites.members import Stores
    from training.sites.study import Fitted, HeldOut
    from training.sites.target import YearlySales
    from training.sites.task import SiteTask
    from training.tune import Trial

    Floats = NDArray[np.float64]

PEOPLE = "population_1000m"
RULE = "people_within_1km"
MAPS = ("cells", "places", "stores")
SLICES = ("city", "format")


@dataclass(frozen=True)
class Ground:
    """What is learned from, before anything is.

    Attributes:
        tables: Cells, places and stores.
        sales: Yearly revenue of the stores that are old enough.
        rows: Those stores, in the order of `sales`.
        features: What is known of a site.
        stores: The same stores with features and log revenue.
        as_of: The day sites are asked as of, days since 1970-01-01.
    """

    tables: Mapping[str, pa.Table]
    sales: YearlySales
    rows: pa.Table
    features: SiteFeatures
    stores: Stores
    as_of: int

    def matrix(self, features: SiteFeatures) -> NDArray[np.float32]:
        """What was known of each store when the months began that its figure rests on, shape (stores, features)."""
        return _known(features, self.rows, self.sales)

    @property
    def lat(self) -> Floats:
        """Degrees of the stores learned from."""
        return spots_of(self.rows).lat

    @property
    def lon(self) -> Floats:
        """Degrees of the stores learned from."""
        return spots_of(self.rows).lon


@dataclass(frozen=True)
class Forecaster:
    """A fitted forecast, and what it rests on."""

    task: SiteTask
    ground: Ground
    fitted: Fitted
    gravity: Gravity
    wider: tuple[Wider, ...]

    @property
    def booster(self) -> lightgbm.Booster:
        """The forest of all stores."""
        return self.fitted.whole.booster


@dataclass(frozen=True)
class Forecasts:
    """The stores, each forecast while its stretch of town was held out."""

    row_id: NDArray[np.object_]
    as_of: NDArray[np.int64]
    log_revenue: Floats
    held: HeldOut
    matrix: NDArray[np.float32]

    @property
    def output(self) -> Floats:
        """What the model says of each store, fen a year."""
        return self.held.revenue_fen


@dataclass(frozen=True)
class FittedSites:
    """What a fit returns: the model, what it said of held-out stores, and the record of how it came about."""

    model: Forecaster
    predictions: Forecasts
    record: Record

    @property
    def tried(self) -> tuple[Trial, ...]:
        """Nothing: weights and penalties are found in closed form, not searched for."""
        return ()


def ground_of(task: SiteTask, tables: Mapping[str, pa.Table]) -> Ground:
    """The stores that teach, with what was known of each when the months began that its figure rests on.

    Raises:
        DataError: Too few stores have traded for long enough.
    """
    maps = {name: tables[name] for name in MAPS if name in tables}
    ours = maps["stores"].filter(pa.array(own(maps, task.place)))
    names = set(ours["store_id"].to_pylist())
    books = tables["store_sales"]
    books = books.filter(pa.array([one in names for one in books["store_id"].to_pylist()]))
    sales = yearly_sales(ours, books, task.maturity)
    if len(sales.store) < 2 * task.folds:
        raise DataError(
            f"store_sales: found {len(sales.store)} stores of {chain_of(maps, task.place.chain) or 'the chain'} that "
            f"traded long enough, expected {2 * task.folds} or more to hold {task.folds} stretches of town back; give "
            "a longer history, more stores, or a task with fewer folds"
        )
    rows = ours.take(sales.store)
    formats = sorted({one for one in _words(rows) if one is not None})
    features = SiteFeatures(PlaceIndex.of(maps, task.place), tuple(formats))
    matrix = _known(features, rows, sales)
    last = np.datetime64(int(sales.books.first_day[-1]), "D").astype("datetime64[M]") + np.timedelta64(1, "M")
    stores = known_stores(features.declared.names, matrix, np.log(sales.revenue_fen))
    return Ground(maps, sales, rows, features, stores, int(last.astype("datetime64[D]").astype(np.int64)))


def _known(features: SiteFeatures, rows: pa.Table, sales: YearlySales) -> NDArray[np.float32]:
    spots, days = spots_of(rows), sales.from_day.astype("datetime64[D]")
    return features.matrix(spots.lat, spots.lon, days, spots.area_m2, _words(rows), rows["store_id"].to_pylist())


def fit_site(task: SiteTask, data_set: DataSet, *, seed: int = 0, steps: Steps | None = None) -> FittedSites:
    """Look around every store, fit, and judge on stretches of town that were held back, beside folds at random."""
    steps = Steps() if steps is None else steps
    with steps.step("look around stores") as step:
        ground = ground_of(task, read_tables(data_set))
        step.rows = len(ground.stores.log_revenue)
    task = replace(task, features=ground.features.declared)
    folds = spatial_folds(ground.lat, ground.lon, task.folds, task.buffer_km)
    with steps.step("calibrate who takes from whom"):
        gravity = gravity_of(ground, task)
    where = ground.lat, ground.lon
    with steps.step("fit") as step:
        step.rows = len(ground.stores.log_revenue)
        fitted = fit_sites(ground.stores, folds, task.recipe, seed, _target(task), where=where)
        wider = widths(task, ground, folds, seed)
    pairs = task.folds * (task.folds - 1)
    with steps.step("judge on held-out stretches of town", total=pairs) as step:
        held = held_out(
            ground.stores, folds, task.recipe, seed, where=where, without=fitted.without, advance=step.advance
        )
        by_lot = random_folds(len(folds.fold), folds.count, np.random.default_rng([seed, 2]))
        loose = held_out(ground.stores, by_lot, task.recipe, seed, where=where, advance=step.advance)
        step.rows = len(folds.fold)
    record = _record(task, ground, fitted, gravity, folds, held, loose, seed, data_set.content_hash())
    ids = np.array(ground.rows["store_id"].to_pylist(), dtype=object)
    said = Forecasts(
        ids, ground.sales.from_day * 86_400_000_000, ground.stores.log_revenue, held, ground.stores.features
    )
    return FittedSites(Forecaster(task, ground, fitted, gravity, wider), said, record)


def read_tables(data_set: DataSet) -> dict[str, pa.Table]:
    """Cells, stores, their sales and, where there are any, places and candidates, in the order of their keys."""
    keys = {"cells": "cell_id", "places": "place_id", "stores": "store_id", "sites": "site_id"}
    keys["store_sales"] = "store_id, month"
    with data_set.connect() as connection:
        return {
            name: connection.sql(f"FROM {name} ORDER BY {key}").to_arrow_table()
            for name, key in keys.items()
            if name in data_set.files
        }


def gravity_of(ground: Ground, task: SiteTask) -> Gravity:
    """The model of who takes from whom, calibrated on sales across stores and on the books around openings."""
    tables, day = ground.tables, ground.as_of
    demand, rivals = demand_of(tables["cells"]), rivals_of(tables, task.place, day)
    ours = tables["stores"].filter(pa.array(own(tables, task.place)))
    revenue = np.full(ours.num_rows, np.nan)
    revenue[ground.sales.store] = ground.sales.revenue_fen
    there = trading(ours, day)
    start = Gravity(
        alpha=0.7,
        beta=1.9,
        floor_m=task.place.huff.floor_m,
        elsewhere=6.0,
        passers=0.1,
        income_power=0.5,
        rivals=tuple(name for name, _ in task.place.rivals),
        usual_area_m2=task.place.floor_m2,
        misfit=float("inf"),
    )
    found = calibrate(start, demand, rivals, spots_of(ours.filter(pa.array(there))), revenue[there])
    seen, ever = ground.sales.books, rivals_ever(tables, task.place)
    come = presence(ground.sales, days_of(ours, "opened_on"), days_of(ours, "closed_on"))
    rivalry = np.stack([ever.there(middle) for middle in (seen.first_day + HALF_A_MONTH).tolist()], axis=1)
    books = Books(seen.store, seen.month, seen.log_revenue, come, rivalry.astype(np.float64))
    return strengthened(found, demand, ever.spots, spots_of(ours), books)


def _record(  # noqa: PLR0913, PLR0917 - a record is made of exactly these
    task: SiteTask,
    ground: Ground,
    fitted: Fitted,
    gravity: Gravity,
    folds: Folds,
    held: HeldOut,
    loose: HeldOut,
    seed: int,
    data_hash: str,
) -> Record:
    truth = ground.stores.log_revenue
    people = ground.stores.features[:, ground.stores.names.index(PEOPLE)].astype(np.float64)
    forecasts = {
        "model": held.revenue_fen,
        RULE: people_rule(people, truth, folds.learned, folds.fold),
        **{name: np.exp(held.members[:, place]) for place, name in enumerate(("ridge", "trees", "analogs"))},
    }
    figures = compare_sites(truth, forecasts, held, folds.fold, seed)
    at_random = compare_sites(truth, {"model": loose.revenue_fen}, loose, folds.fold, seed)["model"]
    model = figures.pop("model")
    generator = np.random.default_rng([seed, 3])
    alike, by_chance = moran(truth - held.blend, ground.lat, ground.lon, generator)
    model |= {"moran_of_residuals": Interval(alike, np.nan, np.nan), "moran_of_residuals_chance": by_chance}
    weights = dict(zip(("ridge", "trees", "analogs"), fitted.model.weights, strict=True))
    closed = days_of(ground.rows, "closed_on") < ground.as_of
    columns = {
        name: np.array(ground.rows[name].to_pylist(), object) for name in SLICES if name in ground.rows.column_names
    }
    return Record(
        task=task.name,
        seed=seed,
        data_hash=data_hash,
        fingerprint=task.features.fingerprint(),
        rows={"train": len(truth), "test": len(truth), "dropped": 0},
        positives={"closed": int(closed.sum()), "mature": int((ground.sales.mature_share == 1).sum())},
        test_from=datetime.fromtimestamp(ground.as_of * 86_400, UTC),
        search=Search(
            1,
            tuple((len(folds.learned(one)), int((folds.fold == one).sum())) for one in range(folds.count)),
            (),
            (),
            {
                **{f"weight_{name}": round(value, 4) for name, value in weights.items()},
                **{name: getattr(gravity, name) for name in ("alpha", "beta", "elsewhere", "strength", "misfit")},
                "smearing": fitted.model.smearing,
                "buffer_km": task.buffer_km,
            },
        ),
        metrics=model,
        baselines=figures,
        money={},
        rates={},
        calibration=(),
        slices={
            "folds": {"spatial": model, "random": at_random},
            **sliced_sites(truth, held, folds.fold, columns, seed),
        },
        attributions=_attributions(fitted, ground),
    )


def _attributions(fitted: Fitted, ground: Ground) -> dict[str, float]:
    """Mean size of what each feature adds through ridge and trees, largest first."""
    model, stores = fitted.model, ground.stores
    ridge = np.abs(stores.rows * np.array(fitted.whole.linear.coefficients)).mean(axis=0)
    shap = fitted.whole.booster.predict(stores.features.astype(np.float64), pred_contrib=True, num_threads=1)
    trees = np.abs(np.asarray(shap, np.float64)[:, :-1]).mean(axis=0)
    total = model.weights[0] * ridge + model.weights[1] * trees
    return {stores.names[place]: float(total[place]) for place in np.argsort(-total, kind="stable")}


def _target(task: SiteTask) -> str:
    rule = task.maturity
    return (
        f"log of the yearly revenue in fen of a mature store: its last {rule.window} full months (at least "
        f"{rule.least}), freed of season and of the ramp before {rule.months:g} months of age, at the season of the "
        "last twelve months of the tables; closed stores included"
    )


def _words(table: pa.Table) -> list[str | None]:
    return table["format"].to_pylist() if "format" in table.column_names else [None] * table.num_rows
