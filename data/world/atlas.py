"""The cities as a brand's tables show them, and apart from that as they truly are."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from data.world.city import joined
from data.world.identifiers import identifiers
from data.world.oracle import Oracle
from data.world.sales import sales_months, store_sales
from data.world.stores import OPEN_ENDED, day_number
from data.world.streams import stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from data.world.city import City
    from data.world.grid import Flags, Floats, Wholes

    Columns = dict[str, pa.Array[Any]]


def city_tables(city: City, days: int) -> dict[str, Columns]:
    """The tables `cells`, `places`, `stores`, `store_sales` and `sites` of a world of so many days.

    Beyond the contract, cells have `jobs` (people who work there), and all but store_sales have `city`. What is hidden
    is not among them, cells are estimates, and the map lacks some places.
    """
    return {
        "cells": _cells(city),
        "places": _places(city),
        "stores": _stores(city),
        "store_sales": _store_sales(city, days),
        "sites": _sites(city),
    }


def city_truth(city: City) -> dict[str, Columns]:
    """What is true of the cities, in fen a year where it is money; see `data.world.oracle` for the year meant.

    * `sites`: `expected_yearly_revenue_fen`, its part that could be known `revealed_yearly_revenue_fen`,
      `hidden_quality`, `hidden_taste`, `taken_fen` from own stores, and `network_gain_fen`, revenue less that
    * `cannibalisation`: a site, a trading store of its city and `taken_fen`, what the site takes from it
    * `rivalry`: two sites of a city and `lost_fen`, how much less they gain together than each alone
    * `stores`: `expected_yearly_revenue_fen`, `lost_if_closed_fen` of the whole chain (null if closed already),
      `hidden_quality`, `ripening_months`
    * `cells`: population, income, footfall and jobs without error, and `hidden_taste`
    * `places`: all places, the true pull of rivals' shops, and whether the table has them
    * `gravity`: name and value of each parameter of the model
    """
    oracle = Oracle(city)
    sites, stores, taken = oracle.cannibalisation()
    one, other, lost = oracle.rivalry()
    return {
        "sites": _site_truth(city, oracle),
        "cannibalisation": {
            "site_id": identifiers(city.seed, "site", sites),
            "store_id": identifiers(city.seed, "store", stores),
            "taken_fen": _fen(taken),
        },
        "rivalry": {
            "site_id": identifiers(city.seed, "site", one),
            "other_site_id": identifiers(city.seed, "site", other),
            "lost_fen": _fen(lost),
        },
        "stores": _store_truth(city, oracle),
        "cells": _cell_truth(city),
        "places": _place_truth(city),
        "gravity": _gravity_truth(city),
    }


def _cells(city: City) -> Columns:
    settings = city.settings.estimates
    generator = stream(city.seed, "city.estimates")

    def estimate(true: Floats, spread: float, decimals: int) -> pa.Array[Any]:
        drawn = true * np.exp(spread * generator.standard_normal(true.size) - spread**2 / 2)
        return pa.array(np.round(drawn, decimals))

    number = np.arange(city.lat.size)
    return {
        "cell_id": identifiers(city.seed, "cell", number),
        **_place(city.lat, city.lon),
        "area_km2": pa.array(np.full(number.size, city.settings.land.cell_km2)),
        "population": estimate(city.population, settings.population_sd, 1),
        "income": estimate(city.income, settings.income_sd, 0),
        "footfall": estimate(city.footfall, settings.footfall_sd, 0),
        "jobs": estimate(city.jobs, settings.jobs_sd, 1),
        "city": _named(city.cities, city.city),
    }


def _places(city: City) -> Columns:
    shown = np.flatnonzero(mapped(city))
    sorts = city.settings.places.sorts
    brand = joined([streets.places for streets in city.streets], "brand")[shown]
    opened = joined([streets.places for streets in city.streets], "opened")[shown]
    sort = city.place_sort[shown]
    most = max(one.brands for one in sorts)
    brands = tuple(f"{one.name} {chr(ord('A') + place)}" for one in sorts for place in range(most))
    return _by_id(
        {
            "place_id": identifiers(city.seed, "place", shown),
            **_place(city.place_lat[shown], city.place_lon[shown]),
            "category": _named(tuple(one.name for one in sorts), sort),
            "brand": _named(brands, np.where(brand < 0, -1, sort * most + brand)),
            "opened_on": _days(opened),
            "city": _named(city.cities, city.place_city[shown]),
        }
    )


def _stores(city: City) -> Columns:
    number = np.arange(city.store_lat.size)
    form = joined(city.stores, "form")
    return _by_id(
        {
            "store_id": identifiers(city.seed, "store", number),
            **_place(city.store_lat, city.store_lon),
            "opened_on": _days(joined(city.stores, "opened")),
            "closed_on": _days(joined(city.stores, "closed")),
            "format": _named(city.settings.stores.formats, form),
            "area_m2": pa.array(joined(city.stores, "area_m2")),
            "chain": pa.array(["own"] * number.size),
            "city": _named(city.cities, city.store_city),
        }
    )


def _store_sales(city: City, days: int) -> Columns:
    months = sales_months(city.settings.sales, city.start_day, days)
    taken = store_sales(city, months)
    month, store = np.nonzero(taken.T)
    return {
        "store_id": identifiers(city.seed, "store", store),
        "month": _days(day_number(months)[month]),
        "revenue_fen": pa.array(taken[store, month]),
    }


def _sites(city: City) -> Columns:
    number = np.arange(city.site_lat.size)
    form = joined([sites.shops for sites in city.sites], "form")
    return _by_id(
        {
            "site_id": identifiers(city.seed, "site", number),
            **_place(city.site_lat, city.site_lon),
            "format": _named(city.settings.stores.formats, form),
            "area_m2": pa.array(joined([sites.shops for sites in city.sites], "area_m2")),
            "rent_fen": pa.array(joined(city.sites, "rent_fen")),
            "opening_cost_fen": pa.array(joined(city.sites, "opening_cost_fen")),
            "city": _named(city.cities, city.site_city),
        }
    )


def mapped(city: City) -> Flags:
    """Which places the table has: all but a share that differs by district, whatever the place."""
    generator = stream(city.seed, "city.map")
    lacking = generator.uniform(*city.settings.estimates.unmapped, len(city.regions))
    flags: Flags = generator.random(city.place_lat.size) >= lacking[city.district[city.place_cell]]
    return flags


def _site_truth(city: City, oracle: Oracle) -> Columns:
    true = oracle.sites()
    return {
        "site_id": identifiers(city.seed, "site", np.arange(true.revenue.size)),
        "city": _named(city.cities, true.city),
        "expected_yearly_revenue_fen": _fen(true.revenue),
        "revealed_yearly_revenue_fen": _fen(true.revealed),
        "hidden_quality": _rounded(true.quality),
        "hidden_taste": _rounded(true.taste),
        "taken_fen": _fen(true.taken),
        "network_gain_fen": _fen(true.revenue - true.taken),
    }


def _store_truth(city: City, oracle: Oracle) -> Columns:
    revenue, lost = oracle.stores()
    return {
        "store_id": identifiers(city.seed, "store", np.arange(revenue.size)),
        "city": _named(city.cities, city.store_city),
        "expected_yearly_revenue_fen": _fen(revenue),
        "lost_if_closed_fen": _fen(lost),
        "hidden_quality": _rounded(joined(city.stores, "quality")),
        "ripening_months": _rounded(joined(city.stores, "ripening_months")),
    }


def _cell_truth(city: City) -> Columns:
    true = {name: _rounded(getattr(city, name)) for name in ("population", "income", "footfall", "jobs")}
    number = np.arange(city.lat.size)
    return {"cell_id": identifiers(city.seed, "cell", number), **true, "hidden_taste": _rounded(city.taste)}


def _place_truth(city: City) -> Columns:
    pull = joined([streets.places for streets in city.streets], "pull")
    return {
        "place_id": identifiers(city.seed, "place", np.arange(pull.size)),
        "pull": _rounded(pull),
        "mapped": pa.array(mapped(city)),
    }


def _gravity_truth(city: City) -> Columns:
    settings = city.settings
    told = {"gravity": asdict(settings.gravity), "stores": asdict(settings.stores), "sales": asdict(settings.sales)}
    flat = dict(_numbers("", told))
    return {"name": pa.array(list(flat)), "value": pa.array(list(flat.values()), pa.float64())}


def _numbers(path: str, told: object) -> Iterator[tuple[str, float]]:
    """Every number of nested settings with the path to it; pairs of a name and a number are told by the name."""
    if isinstance(told, dict):
        for name, value in told.items():
            yield from _numbers(f"{path}.{name}" if path else str(name), value)
    elif isinstance(told, (tuple, list)):
        for place, value in enumerate(told):
            pair = isinstance(value, (tuple, list)) and len(value) == 2 and isinstance(value[0], str)
            yield from _numbers(f"{path}.{value[0] if pair else place}", value[1] if pair else value)
    elif isinstance(told, (int, float)):
        yield path, float(told)


def _place(lat: Floats, lon: Floats) -> Mapping[str, pa.Array[Any]]:
    return {"lat": pa.array(np.round(lat, 6)), "lon": pa.array(np.round(lon, 6))}


def _named(names: tuple[str, ...], places: Wholes) -> pa.Array[Any]:
    """The name at each place, null below zero."""
    named: pa.Array[Any] = pa.array(names).take(pa.array(places, pa.int64(), mask=places < 0))
    return named


def _days(days: Wholes) -> pa.Array[Any]:
    """Calendar days from days since 1970-01-01; null for what has not come."""
    never = days == OPEN_ENDED
    return pa.array(np.where(never, 0, days).astype(np.int32), pa.int32(), mask=never).cast(pa.date32())


def _fen(amount: Floats) -> pa.Array[Any]:
    """Whole fen; null for NaN."""
    none = np.isnan(amount)
    return pa.array(np.rint(np.where(none, 0, amount)).astype(np.int64), mask=none)


def _rounded(values: Floats) -> pa.Array[Any]:
    # Sums in another order, on another number of threads, differ in the last bits; the files may not.
    return pa.array(np.round(values, 6))


def _by_id(columns: Columns) -> Columns:
    """The rows in order of their ids, which tells nothing of the order in which they were drawn."""
    order = np.argsort(next(iter(columns.values())).to_numpy(zero_copy_only=False), kind="stable")
    return {name: column.take(pa.array(order, pa.int64())) for name, column in columns.items()}
