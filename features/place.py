"""What is known of a spot on the map as of a day: its trade area, its neighbours, what Huff's model leaves it.

One index of a brand's tables answers for any spot and any past day, in training and in service alike. A fact of a day
counts what could be seen on its eve: a place or store that opened that day or later is not there yet, and a store that
closed counts until it did. A row is computed from what lies around it alone, so it has the same bits among thousands.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from data.errors import UsageError
from features.feature import Fact
from features.huff import Huff
from features.member_heat import LEAST_DAYS, WINDOW_DAYS
from features.place_tables import chain_of, ground_of, heat_of, rivalry_of, stores_of, surroundings_of
from features.spec import FeatureSet
from features.surroundings import Around
from features.trade_area import decayed, huff_columns, mean_decayed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from features.kernel import Doubles
    from features.member_heat import Heat
    from features.neighbourhood import Pairs, Wholes
    from features.place_tables import Stores
    from features.surroundings import Surroundings
    from features.trade_area import Field, Ground

    Floats32 = np.ndarray[tuple[int, int], np.dtype[np.float32]]
    Days = np.ndarray[tuple[int], np.dtype[np.datetime64]]

VERSION: Final = 1
_ROWS: Final = 1_000
_OFF_MAP: Final = "null where no cell of the grid lies within {far} m"
_NO_PLACES: Final = "null without a table of places"
_NO_STORES: Final = "null without a table of stores"
_NO_HEAT: Final = f"null where scans were kept for fewer than {LEAST_DAYS} days"


@dataclass(frozen=True)
class PlaceSettings:
    """How wide a site looks around, and who competes.

    Attributes:
        chain: The brand's own name in `stores.chain`; None where the table holds its stores alone.
        rivals: Categories of places that compete, each with the sales floor in square metres that is taken for one of
            them; assumed, and set by whoever knows the trade.
        transit: Categories of places by which people arrive.
        around: Metres of a doorstep, a walk and a trade area.
        decay_m: Metres over which what residents are worth falls by e; assumed.
        passing_decay_m: The same of those who pass by.
        huff: The model that shares demand out; calibrate it (`features.huff_calibration`) where there are flows.
        floor_m2: Sales floor taken for a store or site whose floor is not told.
    """

    chain: str | None = None
    rivals: tuple[tuple[str, float], ...] = (
        ("supermarket", 1500.0),
        ("convenience_store", 100.0),
        ("fruit_shop", 80.0),
    )
    transit: tuple[str, ...] = ("metro_exit", "railway_station", "bus_station")
    around: Around = field(default_factory=Around)
    decay_m: float = 1000.0
    passing_decay_m: float = 500.0
    huff: Huff = field(default_factory=Huff)
    floor_m2: float = 300.0

    def scaled(self, factor: float) -> PlaceSettings:
        """The same with trade areas so many times as wide: rings, decays, and Huff's decay softened alike."""
        around = Around(*(factor * metres for metres in (self.around.near_m, self.around.walk_m, self.around.far_m)))
        return replace(
            self,
            around=around,
            decay_m=factor * self.decay_m,
            passing_decay_m=factor * self.passing_decay_m,
            huff=replace(self.huff, beta=self.huff.beta / factor),
        )


def declared(further: Sequence[str] = (), settings: PlaceSettings | None = None) -> FeatureSet:
    """The features of a spot, in the order of their columns.

    Args:
        further: Names of the further numeric columns of `cells`.
        settings: The distances enter names and null rules; those that ship if None.
    """
    of = settings or PlaceSettings()
    metres = {"near": f"{of.around.near_m:g}", "walk": f"{of.around.walk_m:g}", "far": f"{of.around.far_m:g}"}
    scales = {"decay": f"{of.decay_m:g}", "passing": f"{of.passing_decay_m:g}"}
    return FeatureSet(*(_fact(*one, metres, scales) for one in (*_GROUND, *_further(further), *_AROUND)))


def _fact(
    name: str, unit: str, null_rule: str, meaning: str, metres: Mapping[str, str], scales: Mapping[str, str]
) -> Fact:
    called = name
    for word, length in metres.items():
        called = re.sub(rf"_{word}(?=_|$)", f"_{length}m", called)
    return Fact(called, unit, null_rule.format(**metres), meaning.format(**metres, **scales))


def _further(names: Sequence[str]) -> Iterator[tuple[str, str, str, str]]:
    for name in names:
        meaning = f"`{name}` within {{far}} m, the nearer the more it counts (less by e every {{decay}} m)"
        yield f"{name}_decayed_far", "as in cells", _OFF_MAP, meaning


_GROUND: Final = (
    ("population_walk", "people", _OFF_MAP, "People who live within {walk} m"),
    ("population_far", "people", _OFF_MAP, "People who live within {far} m"),
    (
        "population_decayed_far",
        "people",
        _OFF_MAP,
        "People who live within {far} m, the nearer the more they count (less by e every {decay} m)",
    ),
    (
        "income_mean_far",
        "as in cells",
        f"{_OFF_MAP}, or none with an income",
        "Mean household income within {far} m, by people and nearness",
    ),
    (
        "footfall_decayed_far",
        "as in cells",
        f"{_OFF_MAP}, or none with footfall",
        "People who pass within {far} m, the nearer the more they count (less by e every {passing} m)",
    ),
)
_AROUND: Final = (
    ("place_count_near", "places", _NO_PLACES, "Places within {near} m"),
    ("place_count_walk", "places", _NO_PLACES, "Places within {walk} m: how built up it is"),
    (
        "place_entropy_walk",
        "nats",
        f"{_NO_PLACES}, or where none is within {{walk}} m",
        "How mixed the categories of places within {walk} m are: 0 for one alone",
    ),
    ("rival_count_near", "places", _NO_PLACES, "Rivals within {near} m"),
    ("rival_count_walk", "places", _NO_PLACES, "Rivals within {walk} m"),
    (
        "rival_share_walk",
        "share",
        f"{_NO_PLACES}, or where none is within {{walk}} m",
        "Share of rivals among the places within {walk} m (competitiveness)",
    ),
    ("rival_nearest_m", "metres", _NO_PLACES, "Distance to the nearest rival, {far} at most"),
    ("transit_count_near", "places", _NO_PLACES, "Metro exits and stations within {near} m"),
    ("transit_nearest_m", "metres", _NO_PLACES, "Distance to the nearest metro exit or station, {far} at most"),
    (
        "jensen_quality_near",
        "log ratio",
        f"{_NO_PLACES}, or before the chain's first store",
        "How much more of what stands around the chain's stores stands here within {near} m (Jensen quality)",
    ),
    ("own_count_far", "stores", _NO_STORES, "The chain's own stores within {far} m"),
    ("own_nearest_m", "metres", _NO_STORES, "Distance to the nearest store of the chain, 10000 at most"),
    (
        "huff_market_people",
        "people",
        _OFF_MAP,
        "People of the trade area whom Huff's model gives a store here",
    ),
    ("huff_share", "share", f"{_OFF_MAP}, or none has people", "The same as a share of all people within {far} m"),
    (
        "huff_from_own_share",
        "share",
        f"{_OFF_MAP}, or none has people",
        "Share of that market which the chain's own stores would lose (cannibalisation)",
    ),
    (
        f"member_count_walk_{WINDOW_DAYS}d",
        "members",
        _NO_HEAT,
        "Members who scanned within {walk} m in the year before, once for each cell they scanned in",
    ),
    (f"scan_count_walk_{WINDOW_DAYS}d", "scans a month", _NO_HEAT, "Scans a month within {walk} m in the year before"),
    (
        f"active_cells_walk_{WINDOW_DAYS}d",
        "cells",
        _NO_HEAT,
        "Cells within {walk} m that saw a scan on a day of the year before, on average",
    ),
    (
        f"spend_fen_far_{WINDOW_DAYS}d",
        "fen a month",
        _NO_HEAT,
        "What members who scan within {far} m spent a month in the year before, wherever they bought",
    ),
)

PLACE: Final = declared()
"""What every brand has; further numeric columns of `cells` come on top."""

PLACE_NAMES: Final = PLACE.names


@dataclass(frozen=True)
class PlaceIndex:
    """The tables of a brand, filed by place; made by `of`, never changed.

    Attributes:
        settings: How wide a site looks around, and who competes.
        declared: The features, in the order of the columns.
        ground: The demand grid.
        surroundings: Places and rivals; None without such tables.
        stores: The chain's own; None without such a table.
        field: Who competes for the cells.
        beside: Places near each own store.
        heat: Members' scans; None without that table.
    """

    settings: PlaceSettings
    declared: FeatureSet
    ground: Ground
    surroundings: Surroundings | None
    stores: Stores | None
    field: Field
    beside: Pairs | None
    heat: Heat | None

    @classmethod
    def of(cls, tables: Mapping[str, pa.Table], settings: PlaceSettings | None = None) -> PlaceIndex:
        """File the tables `cells` and, where there are, `places`, `stores` and `heat` (`features.member_heat`).

        Raises:
            DataError: A table without a column that is needed, or with nulls in it; all at once.
            UsageError: Stores of several chains, and no `chain` in the settings.
        """
        asked = settings or PlaceSettings()
        chain = chain_of(tables, asked.chain)
        ground, further = ground_of(tables, asked.around)
        stores = stores_of(tables, chain)
        rivalry = rivalry_of(tables, asked, chain)
        surroundings = surroundings_of(rivalry, stores, asked)
        beside = None
        if surroundings is not None and stores is not None:
            beside = surroundings.points.within(stores.points.lat, stores.points.lon, asked.around.near_m)
        return cls(
            settings=asked,
            declared=declared(further, asked),
            ground=ground,
            surroundings=surroundings,
            stores=stores,
            field=rivalry.field(ground, stores, asked),
            beside=beside,
            heat=heat_of(tables, asked.around),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the features, in the order of the columns."""
        return self.declared.names

    def fingerprint(self) -> str:
        """The sha256 of declarations, settings and version: two models of one fingerprint read the same facts."""
        said = [VERSION, self.declared.fingerprint(), asdict(self.settings)]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    def features(
        self,
        lat: Doubles,
        lon: Doubles,
        as_of: Days | np.datetime64,
        area_m2: Doubles | None = None,
        leave_out: Sequence[str | None] | None = None,
    ) -> Floats32:
        """The features of spots, each as of its day.

        Args:
            lat: WGS-84 degrees, shape (rows,).
            lon: The same.
            as_of: Days, shape (rows,), or one for all; what is seen on the eve counts.
            area_m2: Sales floor each would have; the settings' where NaN or not given.
            leave_out: The `store_id` of each row's own store, which is no neighbour of itself; None for none.

        Returns:
            Shape (rows, features), NaN for null.

        Raises:
            UsageError: Lengths that differ, places off the globe, no day, or unknown stores; all at once.
        """
        north, east = np.asarray(lat, np.float64), np.asarray(lon, np.float64)
        rows = len(north)
        days = np.broadcast_to(np.asarray(as_of, "datetime64[D]"), (rows,)) if np.ndim(as_of) == 0 else as_of
        floor = np.full(rows, np.nan) if area_m2 is None else np.asarray(area_m2, np.float64)
        own = self._positions(leave_out if leave_out is not None else [None] * rows)
        _require(north, east, np.asarray(days, "datetime64[D]"), floor, own)
        floor = np.where(np.isfinite(floor), floor, self.settings.floor_m2)
        when = np.asarray(days, "datetime64[D]").astype(np.int64)
        found = np.empty((rows, len(self.declared)), np.float32)
        asked, group = np.unique(np.stack([when, own]), axis=1, return_inverse=True)
        for number, (day, left_out) in enumerate(asked.T.tolist()):
            eve = _Eve(self, day, left_out)
            members = np.flatnonzero(group.ravel() == number)
            for first in range(0, len(members), _ROWS):
                at = members[first : first + _ROWS]
                found[at] = eve.matrix(north[at], east[at], floor[at])
        return found

    def _positions(self, store_ids: Sequence[str | None]) -> Wholes:
        known = {} if self.stores is None else self.stores.positions
        unknown = sorted({one for one in store_ids if one is not None and one not in known})
        if unknown:
            raise UsageError(f"leave_out: found {', '.join(unknown[:5])}; expected stores of the chain, or None")
        return np.array([-1 if one is None else known[one] for one in store_ids], np.int64)


class _Eve:
    """What the index knows on the eve of one day, one store left out."""

    def __init__(self, index: PlaceIndex, day: int, left_out: int) -> None:
        self._index, self._day = index, day
        self._drawn = index.field.drawn(len(index.ground.population), day, left_out)
        self._heat = None if index.heat is None else index.heat.before(day)
        self._trading = None
        self._company = None
        if index.stores is not None:
            self._trading = index.stores.lasting.there(day)
            if left_out >= 0:
                self._trading[left_out] = False
            if index.surroundings is not None and index.beside is not None:
                self._company = index.surroundings.company(index.beside, self._trading, day)

    def matrix(self, lat: Doubles, lon: Doubles, floor: Doubles) -> Doubles:
        columns = {
            **self._of_ground(lat, lon, floor),
            **self._of_places(lat, lon),
            **self._of_stores(lat, lon),
            **self._of_members(lat, lon),
        }
        further = [f"{name}_decayed_far" for name in _further_names(self._index.ground)]
        order = [*(one[0] for one in _GROUND), *further, *(one[0] for one in _AROUND)]
        nothing = np.full(len(lat), np.nan)
        return np.column_stack([columns.get(name, nothing) for name in order])

    def _of_ground(self, lat: Doubles, lon: Doubles, floor: Doubles) -> dict[str, Doubles]:
        ground, asked, rows = self._index.ground, self._index.settings, len(lat)
        pairs = ground.points.within(lat, lon, asked.around.far_m)
        mapped, people = pairs.total(rows) > 0, ground.population
        walk = pairs.where(pairs.metres <= asked.around.walk_m)
        found = {
            "population_walk": walk.total(rows, people[walk.point]),
            "population_far": pairs.total(rows, people[pairs.point]),
            "population_decayed_far": decayed(pairs, people, rows, asked.decay_m),
        }
        for name, values in ground.columns.items():
            if name == "income":
                found["income_mean_far"] = mean_decayed(pairs, values, people, rows, asked.decay_m)
                continue
            scale = asked.passing_decay_m if name == "footfall" else asked.decay_m
            known = pairs.total(rows, np.isfinite(values[pairs.point]).astype(np.float64)) > 0
            found[f"{name}_decayed_far"] = np.where(known, decayed(pairs, values, rows, scale), np.nan)
        found |= huff_columns(asked.huff, pairs, people, self._drawn, floor)
        return {name: np.where(mapped, values, np.nan) for name, values in found.items()}

    def _of_places(self, lat: Doubles, lon: Doubles) -> dict[str, Doubles]:
        places, around = self._index.surroundings, self._index.settings.around
        if places is None:
            return {}
        found = dict(places.columns(lat, lon, self._day, around))
        if self._company is not None:
            near = places.points.within(lat, lon, around.near_m)
            near = near.where(places.lasting.there(self._day)[near.point])
            found["jensen_quality_near"] = self._company.quality(places.counts(near, len(lat)))
        return found

    def _of_stores(self, lat: Doubles, lon: Doubles) -> dict[str, Doubles]:
        stores = self._index.stores
        if stores is None or self._trading is None:
            return {}
        pairs = stores.points.within(lat, lon, stores.points.reach_m)
        pairs = pairs.where(self._trading[pairs.point])
        far = pairs.where(pairs.metres <= self._index.settings.around.far_m)
        return {
            "own_count_far": far.total(len(lat)),
            "own_nearest_m": pairs.nearest(len(lat), stores.points.reach_m),
        }

    def _of_members(self, lat: Doubles, lon: Doubles) -> dict[str, Doubles]:
        heat, around, rows = self._index.heat, self._index.settings.around, len(lat)
        if heat is None or self._heat is None:
            return {}
        far = heat.points.within(lat, lon, around.far_m)
        walk = far.where(far.metres <= around.walk_m)
        found = {
            f"{name}_walk_{WINDOW_DAYS}d": walk.total(rows, self._heat[name][walk.point])
            for name in ("member_count", "scan_count", "active_cells")
        }
        found[f"spend_fen_far_{WINDOW_DAYS}d"] = far.total(rows, self._heat["spend_fen"][far.point])
        return found


def _further_names(ground: Ground) -> tuple[str, ...]:
    return tuple(name for name in ground.columns if name not in {"income", "footfall"})


def _require(lat: Doubles, lon: Doubles, days: Days, floor: Doubles, own: Wholes) -> None:
    lengths = {"lat": len(lat), "lon": len(lon), "as_of": len(days), "area_m2": len(floor), "leave_out": len(own)}
    problems = []
    if len(set(lengths.values())) > 1:
        problems.append(f"lengths: found {lengths}; expected one length")
    wrong = {
        "lat": (~(np.abs(lat) <= 90), "degrees from -90 to 90"),
        "lon": (~(np.abs(lon) <= 180), "degrees from -180 to 180"),
        "as_of": (np.isnat(days), "a day"),
        "area_m2": (floor <= 0, "square metres above 0, or NaN"),
    }
    for name, (which, expected) in wrong.items():
        if which.any():
            problems.append(f"{name}: found {int(which.sum())} of {which.size} rows out of range; expected {expected}")
    if problems:
        raise UsageError("\n".join(["no place features for these rows:", *(f"  - {one}" for one in problems)]))
