"""What a site will sell, how sure that is, which stores it resembles, and what it takes from its neighbours (选址)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from data.errors import DataError, UsageError
from features.arrow_values import rows_where
from features.distance import degrees_apart_km
from features.place import PlaceIndex
from serving.bundle import Bundle
from serving.scorer import Scorer
from serving.site_bundle import LEARNED
from serving.site_features import SHOP, SiteFeatures
from serving.site_gravity import Market, Spots
from serving.site_model import cv_plus, fold_forecasts, line, log_forecast, range_distance, scaled
from serving.site_network import Network
from serving.site_tables import LearnedStores, demand_of, own, read_table, rivals_of, spots_of, trading, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from serving.manifest import Manifest
    from serving.site_bundle import SiteBundle
    from serving.site_gravity import Demand
    from serving.site_network import NetworkSales

    Floats = NDArray[np.float64]

LEVELS: Final = (0.8, 0.9)


@dataclass(frozen=True)
class Candidates:
    """Sites that are asked about; all of one length. Make them with `of`.

    Attributes:
        site_id: What answers call them.
        lat: Degrees, WGS-84.
        lon: Degrees, WGS-84.
        format: Sort of store each would be, None unknown.
        area_m2: Sales floor, NaN unknown.
        rent_fen: Rent of one month, NaN unknown.
        opening_cost_fen: What opening costs once, NaN unknown.
    """

    site_id: tuple[str, ...]
    lat: Floats
    lon: Floats
    format: tuple[str | None, ...]
    area_m2: Floats
    rent_fen: Floats
    opening_cost_fen: Floats

    @classmethod
    def of(
        cls,
        lat: Sequence[float] | Floats,
        lon: Sequence[float] | Floats,
        *,
        site_id: Sequence[str] | None = None,
        format: Sequence[str | None] | None = None,  # noqa: A002 - the column's name
        area_m2: Sequence[float] | Floats | None = None,
        rent_fen: Sequence[float] | Floats | None = None,
        opening_cost_fen: Sequence[float] | Floats | None = None,
    ) -> Candidates:
        """Candidates from columns; what is not given is unknown.

        Raises:
            UsageError: Columns of different lengths, or places off the globe.
        """
        count = len(lat)
        numbers = {
            "lat": lat,
            "lon": lon,
            "area_m2": area_m2,
            "rent_fen": rent_fen,
            "opening_cost_fen": opening_cost_fen,
        }
        columns = {
            name: np.full(count, np.nan) if one is None else np.asarray(one, np.float64)
            for name, one in numbers.items()
        }
        ids = tuple(map(str, range(count))) if site_id is None else tuple(site_id)
        kinds = (None,) * count if format is None else tuple(format)
        lengths = {name: len(one) for name, one in {**columns, "site_id": ids, "format": kinds}.items()}
        if set(lengths.values()) != {count}:
            raise UsageError(f"sites: found columns of different lengths {lengths}; expected one entry a site in each")
        if not (np.abs(columns["lat"]) <= 90).all() or not (np.abs(columns["lon"]) <= 180).all():
            raise UsageError("sites: found places off the globe; expected degrees, WGS-84")
        return cls(ids, columns["lat"], columns["lon"], kinds, *(columns[name] for name in list(numbers)[2:]))

    @property
    def spots(self) -> Spots:
        """Where they lie."""
        return Spots(self.lat, self.lon, self.area_m2)


@dataclass(frozen=True)
class Forecast:
    """What sites will sell in a mature year, fen; arrays of one length.

    Attributes:
        revenue_fen: Mean forecast.
        low_80: Lower end of the 80 % interval; 0 where the stores are too few for an interval.
        high_80: Upper end; infinite where they are too few.
        low_90: Of the 90 % interval.
        high_90: Likewise.
        distance_ratio: Distance to the nearest stores in standardised features, over what 99 % of stores keep.
        out_of_range: Whether that is above 1, or something is unknown around the site that is known around each store.
    """

    revenue_fen: Floats
    low_80: Floats
    high_80: Floats
    low_90: Floats
    high_90: Floats
    distance_ratio: Floats
    out_of_range: NDArray[np.bool_]


@dataclass(frozen=True)
class OwnStores:
    """Own stores that trade; arrays of one length. `revenue_fen` is the books' where the store is old enough.

    Attributes:
        store_id: Their ids.
        lat: Degrees, WGS-84.
        lon: Degrees, WGS-84.
        revenue_fen: What each sells in a mature year: by its books, or by the forecast where they are too young.
        from_books: Whether the books said it.
    """

    store_id: tuple[str, ...]
    lat: Floats
    lon: Floats
    revenue_fen: Floats
    from_books: NDArray[np.bool_]


class SiteScorer:
    """The model of one bundle of sites, ready to be asked.

    Raises:
        DataError: The bundle is of no sites, or its features are not those that this release computes.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.manifest: Manifest = bundle.manifest
        if bundle.manifest.site is None:
            raise DataError(
                f"Bundle {bundle.manifest.task}/{bundle.manifest.version}: found no forecast of sites, expected one; "
                "serve a bundle of a task that learns it, such as site."
            )
        self.site: SiteBundle = bundle.manifest.site
        self._tables = {name: read_table(content) for name, content in bundle.tables.items()}
        self._maps = {name: table for name, table in self._tables.items() if name != LEARNED}
        self.features = SiteFeatures(PlaceIndex.of(self._maps, self.site.place), self.site.formats)
        self._whole = Scorer(bundle)
        self._whole.check_fingerprint(self.features.declared.fingerprint())
        self._folds = [_fold_scorer(bundle, name) for name in self.site.heads]
        self.learned = LearnedStores.of(self._tables[LEARNED], self.manifest.feature_names)
        self.day = date.fromisoformat(self.site.as_of)
        self._markets: dict[float, Market] = {}
        self._kept: tuple[Candidates, Forecast, Network] | None = None

    def warmed(self) -> SiteScorer:
        """Itself, with all made that a first answer would make: the markets and the wider views."""
        for scale in (1.0, *(one.radius_scale for one in self.site.wider)):
            self.market(scale)
        self._views, self.stores  # noqa: B018 - they are kept once asked for
        return self

    def matrix(self, candidates: Candidates) -> NDArray[np.float32]:
        """Features of candidates as of the day of the tables, shape (sites, features)."""
        return self._seen(self.features, candidates)

    def _seen(self, features: SiteFeatures, candidates: Candidates) -> NDArray[np.float32]:
        return features.matrix(
            candidates.lat,
            candidates.lon,
            np.full(len(candidates.lat), np.datetime64(self.day)),
            candidates.area_m2,
            candidates.format,
        )

    def forecast(self, candidates: Candidates, matrix: NDArray[np.float32] | None = None) -> Forecast:
        """What each site will sell in a mature year, opened alone; fast, for a whole city at once.

        Args:
            candidates: The sites.
            matrix: Their features, if computed already.
        """
        rows = self.matrix(candidates) if matrix is None else matrix
        model, learned = self.site.model, self.learned.learned
        around = self.nearby(candidates.lat, candidates.lon)
        mean = np.exp(self.log_revenue(rows) + around[:, 0]) * model.smearing
        said = fold_forecasts(model, learned, rows, np.stack([each.raw(rows) for each in self._folds], axis=1))
        said += around[:, 1:]
        (low_80, high_80), (low_90, high_90) = (
            np.exp(cv_plus(said, learned.fold, learned.unexplained, level)) for level in LEVELS
        )
        stores = scaled(model.columns, learned.features)
        ratio = range_distance(scaled(model.columns, rows), stores) / model.furthest
        return Forecast(mean, low_80, high_80, low_90, high_90, ratio, (ratio > 1) | self._unmapped(rows))

    def _unmapped(self, matrix: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Sites around which something is unknown that is known around every store, such as off the grid; (sites,)."""
        around = np.array([not name.startswith(SHOP) for name in self.manifest.feature_names])
        known = ~np.isnan(self.learned.learned.features)
        always = np.flatnonzero(around & known.all(axis=0))
        return np.asarray(np.isnan(matrix[:, always]).any(axis=1), np.bool_)

    def widened(self, candidates: Candidates, matrix: NDArray[np.float32]) -> dict[float, Floats]:
        """How many times as much each site would sell, had trade areas been taken so many times as wide; (sites,).

        The ridge was learned anew for each width, so that more people within a wider ring do not sell more by
        themselves: what moves is how a site compares with the stores.

        Args:
            candidates: The sites.
            matrix: Their features.
        """
        model = self.site.model
        usual = line(model.whole, scaled(model.columns, matrix))
        times = {1.0: np.ones(len(usual))}
        for wide, features in zip(self.site.wider, self._views, strict=True):
            rows = scaled(wide.columns, self._seen(features, candidates))
            times[wide.radius_scale] = np.exp(line(wide.ridge, rows) - usual)
        return dict(sorted(times.items()))

    def nearby(self, lat: Floats, lon: Floats) -> Floats:
        """What stores around places add to the logarithm: all stores, and those left without each fold.

        Args:
            lat: Degrees, WGS-84.
            lon: Degrees, WGS-84.

        Returns:
            Shape (places, 1 + folds).
        """
        surface, known = self.site.model.nearby, self.learned
        if surface is None:
            return np.zeros((len(lat), 1 + len(self._folds)))
        alike = surface.likeness(lat, lon, known.lat, known.lon)
        return np.stack([surface.foretold(alike[:, heard], brought) for heard, brought in self._heard], axis=1)

    def log_revenue(self, matrix: NDArray[np.float32]) -> Floats:
        """The logarithm of a mature year's revenue (a median) by a site's features alone, shape (sites,)."""
        return log_forecast(self.site.model, self.learned.learned, matrix, self._whole.raw(matrix))

    def contributions(self, matrix: NDArray[np.float32]) -> Floats:
        """What each feature adds to the logarithm by ridge and trees, shape (sites, features); analogs have none."""
        model = self.site.model
        ridge = scaled(model.columns, matrix) * np.array(model.whole.coefficients)
        added: Floats = model.weights[0] * ridge + model.weights[1] * self._whole.contributions(matrix)
        return added

    @cached_property
    def stores(self) -> OwnStores:
        """Own stores that trade on the day of the tables."""
        table = self._own
        ids = tuple(str(one) for one in table["store_id"].to_pylist())
        spots, books = spots_of(table), dict(zip(self.learned.store_id, self.learned.revenue_fen, strict=True))
        known = np.array([one in books for one in ids], np.bool_)
        revenue = np.array([books.get(one, np.nan) for one in ids], np.float64)
        young = np.flatnonzero(~known)
        if len(young):
            rows = self.features.matrix(
                spots.lat[young],
                spots.lon[young],
                np.full(len(young), np.datetime64(self.day)),
                spots.area_m2[young],
                [words(table, "format")[place] for place in young],
                [ids[place] for place in young],
            )
            around = self.nearby(spots.lat[young], spots.lon[young])[:, 0]
            revenue[young] = np.exp(self.log_revenue(rows) + around) * self.site.model.smearing
        return OwnStores(ids, spots.lat, spots.lon, revenue, known)

    @cached_property
    def cells(self) -> Demand:
        """The demand grid."""
        return demand_of(self._tables["cells"])

    @cached_property
    def cell_ids(self) -> tuple[str, ...]:
        """The ids of the demand grid's cells."""
        return tuple(str(one) for one in self._tables["cells"]["cell_id"].to_pylist())

    def market(self, radius_scale: float = 1.0) -> Market:
        """Everyone who competes for the cells; with trade areas so many times as wide."""
        if radius_scale not in self._markets:
            self._markets[radius_scale] = self._market.widened(radius_scale)
        return self._markets[radius_scale]

    def catchment(self, candidates: Candidates, number: int) -> Floats:
        """The share of each cell's demand that one of the candidates would get, opened alone; shape (cells,)."""
        return self.market().shares(self.market().pull(candidates.spots)[:, number])

    def lost_shares(self, candidates: Candidates, radius_scale: float = 1.0) -> Floats:
        """What share of its sales each own store loses to each candidate, opened alone; shape (sites, stores)."""
        market = self.market(radius_scale)
        return market.lost_shares(market.pull(candidates.spots))

    def network(
        self,
        candidates: Candidates,
        opened: Sequence[int],
        closed: Sequence[str] = (),
        forecast: Forecast | None = None,
    ) -> NetworkSales:
        """What the chain sells in a year with some candidates opened and some stores closed.

        Args:
            candidates: The sites.
            opened: Places, among the candidates, of those that open.
            closed: Ids of own stores that close.
            forecast: Of all candidates, if made already.

        Raises:
            UsageError: A store that does not trade, or a site that is none of the candidates.
        """
        unknown = sorted(set(closed) - set(self.stores.store_id))
        beyond = [one for one in opened if not 0 <= one < len(candidates.lat)]
        if unknown or beyond or len(set(opened)) < len(opened):
            raise UsageError(
                f"plan: found closed stores {unknown} that do not trade and sites {beyond} beyond {len(candidates.lat)}"
                f" candidates in {list(opened)}; expected stores of the bundle and each candidate at most once"
            )
        return self._network(candidates, forecast).sales(list(opened), shut=np.isin(self.stores.store_id, list(closed)))

    def _network(self, candidates: Candidates, forecast: Forecast | None) -> Network:
        """Everything about candidates that no plan changes; kept for the next question about the same ones."""
        kept = self._kept
        if kept is None or kept[0] is not candidates or (forecast is not None and kept[1] is not forecast):
            said = self.forecast(candidates) if forecast is None else forecast
            made = Network.of(self.market(), candidates.spots, said.revenue_fen, self.stores.revenue_fen)
            kept = self._kept = candidates, said, made
        return kept[2]

    def apart_km(self, candidates: Candidates) -> Floats:
        """Kilometres from each candidate to each own store, shape (sites, stores)."""
        return degrees_apart_km(candidates.lat[:, None], candidates.lon[:, None], self.stores.lat, self.stores.lon)

    @cached_property
    def _heard(self) -> list[tuple[NDArray[np.bool_], Floats]]:
        """Which stores may be heard, and what each brings: of all, and without each fold."""
        surface, known = self.site.model.nearby, self.learned
        if surface is None:
            return []
        seen = [np.ones(len(known.lat), np.bool_), *~known.learned.barred]
        missed = known.learned.missed
        return [(one, surface.weighed(known.lat[one], known.lon[one], missed[one])) for one in seen]

    @cached_property
    def _views(self) -> tuple[SiteFeatures, ...]:
        settings = [self.site.place.scaled(one.radius_scale) for one in self.site.wider]
        return tuple(SiteFeatures(PlaceIndex.of(self._maps, one), self.site.formats) for one in settings)

    @cached_property
    def _market(self) -> Market:
        rivals = rivals_of(self._maps, self.site.place, _number(self.day))
        return Market(self.site.gravity, self.cells, rivals, spots_of(self._own))

    @cached_property
    def _own(self) -> pa.Table:
        stores = self._tables["stores"]
        return rows_where(stores, own(self._maps, self.site.place) & trading(stores, _number(self.day)))


def _number(day: date) -> int:
    return int(np.datetime64(day).astype(np.int64))


def _fold_scorer(bundle: Bundle, name: str) -> Scorer:
    site = bundle.manifest.site
    base = site.heads[name].score_base if site else 0.0
    manifest = msgspec.structs.replace(bundle.manifest, score_base=base, site=None)
    return Scorer(Bundle(manifest, bundle.heads[name], bundle.folder))
