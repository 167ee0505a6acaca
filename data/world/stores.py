"""The chain's own stores: where they were opened, of what kind and size, how good they are, and how they ripen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from data.world.grid import great_circle_km

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data.world.grid import Floats, Wholes
    from data.world.land import Land

DAYS_A_MONTH: Final = 365.25 / 12

OPEN_ENDED: Final = np.iinfo(np.int64).max
"""The day of closing of a store that still trades."""


@dataclass(frozen=True)
class Spread:
    """How shops lie to each other.

    Attributes:
        infill_share: share that is sought near another shop.
        infill_km: how far from it, least and most.
        spacing_km: least distance between two, where one can be found in so many `tries`.
        tries: places looked at for one shop before the last is taken, too near or not; assumed.
    """

    infill_share: float
    infill_km: tuple[float, float]
    spacing_km: float
    tries: int = 30


@dataclass(frozen=True)
class StoreSettings:
    """The chain as it stands when the world starts; all assumed.

    A site is chosen for the people and passers around it, judged with error, and a good part of openings fills in
    near another store, as chains do to hold a quarter of a town: so stores are clustered and take from each other.

    Attributes:
        stores: own stores of all cities together, those closed since among them (assumed).
        closed_share: share of them that shut again before the world starts (assumed).
        formats: names of the formats; the tuples of three below are in this order.
        format_shares: share of each format among stores in cells at `format_pivot`.
        format_lean: how the logarithm of each format's odds changes from the cells with the fewest passers for each who
            lives there to those with the most: express stores go where people pass.
        format_pivot: rank of a cell by that, 0 to 1, at which the shares hold.
        area_m2: median sales floor of each format.
        area_sd: standard deviation of the logarithm of the floor within a format.
        first_year: year of the first openings.
        young_share: share opened within the last `ripening_months`.
        judgement_sd: error of the chain in rating a cell when it opened, standard deviation of the logarithm.
        passers_weight: weight of passers in that rating; the rest is that of the people who live there.
        spread: how the stores lie to each other.
        quality_sd: hidden, in no table: management, corner and frontage; standard deviation of the logarithm of
            attraction.
        ripening_months: months from opening until a store has its mature attraction, median.
        ripening_sd: hidden: standard deviation of the logarithm of those months.
        closing_after_months: months after opening: soonest that a store closes, and how old one must be when the world
            starts to be among those that closed.
        closing_choice: how strongly closings follow poor takings for the floor; 0 would close any store alike.
        newborn: attraction of a store on its first day, as a share of that of the same store when mature.
    """

    stores: int = 260
    closed_share: float = 0.12
    formats: tuple[str, str, str] = ("neighbourhood", "express", "flagship")
    format_shares: tuple[float, float, float] = (0.6, 0.25, 0.15)
    format_lean: tuple[float, float, float] = (-0.8, 2.4, 0.0)
    format_pivot: float = 0.75
    area_m2: tuple[float, float, float] = (300.0, 120.0, 650.0)
    area_sd: float = 0.28
    first_year: int = 2018
    young_share: float = 0.16
    judgement_sd: float = 0.7
    passers_weight: float = 0.35
    spread: Spread = Spread(infill_share=0.35, infill_km=(0.45, 1.3), spacing_km=0.4)
    quality_sd: float = 0.12
    ripening_months: float = 18.0
    ripening_sd: float = 0.12
    closing_after_months: tuple[float, float] = (9.0, 14.0)
    closing_choice: float = 1.3
    newborn: float = 0.45


@dataclass(frozen=True)
class Stores:
    """Own stores, or sites that might become one; arrays of one length.

    Attributes:
        lat: WGS-84 latitude, degrees.
        lon: WGS-84 longitude, degrees.
        form: place in `StoreSettings.formats`.
        area_m2: sales floor.
        opened: first day of trade, days since 1970-01-01.
        closed: first day without, `OPEN_ENDED` while it trades.
        quality: hidden; added to the logarithm of attraction.
        ripening_months: hidden; months from opening to maturity.
    """

    lat: Floats
    lon: Floats
    form: Wholes
    area_m2: Floats
    opened: Wholes
    closed: Wholes
    quality: Floats
    ripening_months: Floats


def draw_stores(
    settings: StoreSettings, generator: np.random.Generator, land: Land, footfall: Floats, count: int, until: int
) -> Stores:
    """A city's own stores, none closed yet.

    Args:
        settings: The chain.
        generator: Chance.
        land: The city's cells.
        footfall: People a day who pass through each cell.
        count: How many stores.
        until: The day the world starts; all opened before it. Days since 1970-01-01.
    """
    appeal = worth(settings, land, footfall)
    judged = appeal * np.exp(settings.judgement_sd * generator.standard_normal(appeal.size))
    lat, lon = spread(settings.spread, generator, land, judged, (np.zeros(0), np.zeros(0)), count)
    near = land.nearest[land.raster.cell_of(lat, lon)]
    form = draw_forms(settings, generator, footfall / (land.population + footfall.mean()), near)
    first = round((settings.first_year - 1970) * 365.25)
    ripe = until - round(settings.ripening_months * 30.4)
    young = generator.random(count) < settings.young_share
    early = np.argsort(np.argsort(-land.centrality[near] + 0.25 * generator.standard_normal(count)))
    rank = (early + generator.random(count)) / count
    aged = first + rank * (ripe - first)
    opened = np.where(young, ripe + generator.random(count) * (until - ripe), aged).astype(np.int64)
    return Stores(
        lat=lat,
        lon=lon,
        form=form,
        area_m2=draw_areas(settings, generator, form),
        opened=opened,
        closed=np.full(count, OPEN_ENDED),
        quality=settings.quality_sd * generator.standard_normal(count),
        ripening_months=settings.ripening_months * np.exp(settings.ripening_sd * generator.standard_normal(count)),
    )


def worth(settings: StoreSettings, land: Land, footfall: Floats) -> Floats:
    """How a chain rates cells before it looks closer: people and passers, each as a share of the city's."""
    passing = settings.passers_weight * footfall / footfall.sum()
    rated: Floats = (1 - settings.passers_weight) * land.population / land.population.sum() + passing
    return rated


def draw_forms(settings: StoreSettings, generator: np.random.Generator, passing: Floats, cells: Wholes) -> Wholes:
    """Formats for stores in those cells: small ones where many pass for each who lives there."""
    rank = np.argsort(np.argsort(passing))[cells] / passing.size
    lean = np.log(np.asarray(settings.format_shares)) + np.outer(rank - settings.format_pivot, settings.format_lean)
    drawn: Wholes = np.argmax(lean + generator.gumbel(size=lean.shape), axis=1)
    return drawn


def draw_areas(settings: StoreSettings, generator: np.random.Generator, form: Wholes) -> Floats:
    """Sales floors in whole square metres."""
    drawn = np.asarray(settings.area_m2)[form] * np.exp(settings.area_sd * generator.standard_normal(form.size))
    whole: Floats = np.rint(drawn)
    return whole


def maturity(newborn: float, ripening_months: Floats, age_months: Floats) -> Floats:
    """How much of its mature attraction a store has at an age: 0 before opening, then from `newborn` up to 1.

    The rise is steep at first and flat at the end: newborn + (1 - newborn) (1 - (1 - age / ripening)^2).
    """
    left = np.clip(1 - age_months / ripening_months, 0.0, 1.0)
    return np.where(age_months < 0, 0.0, newborn + (1 - newborn) * (1 - left**2))


def presence(settings: StoreSettings, stores: Stores, months: NDArray[np.datetime64]) -> Floats:
    """How far each store has come in each month: maturity times the share of the month it traded; stores x months.

    Args:
        settings: How stores ripen.
        stores: The stores.
        months: Calendar months, datetime64[M].
    """
    first, after = day_number(months), day_number(months + np.timedelta64(1, "M"))
    begin = np.maximum(first, stores.opened[:, None])
    end = np.minimum(after, stores.closed[:, None])
    traded = np.maximum(end - begin, 0) / (after - first)
    age = np.maximum((begin + end) / 2 - stores.opened[:, None], 0) / DAYS_A_MONTH
    come: Floats = traded * maturity(settings.newborn, stores.ripening_months[:, None], age)
    return come


def day_number(months: NDArray[np.datetime64]) -> Wholes:
    """The first day of each month, in days since 1970-01-01."""
    return months.astype("datetime64[D]").astype(np.int64)


def close_some(
    settings: StoreSettings, generator: np.random.Generator, stores: Stores, takings: Floats, until: int
) -> Stores:
    """The same stores, some of them closed since: mostly those that took little for their size.

    Args:
        settings: The chain.
        generator: Chance.
        stores: A city's stores, none closed.
        takings: What each takes when mature.
        until: The day the world starts, before which they closed.
    """
    old = np.flatnonzero(stores.opened < until - round(settings.closing_after_months[1] * DAYS_A_MONTH))
    count = min(round(settings.closed_share * stores.opened.size), old.size)
    score = np.log(takings[old] / stores.area_m2[old])
    lean = settings.closing_choice * (score.mean() - score) / max(score.std(), 1e-9)
    gone = old[np.argsort(-(lean + generator.gumbel(size=old.size)))[:count]]
    soonest = stores.opened[gone] + round(settings.closing_after_months[0] * DAYS_A_MONTH)
    closed = stores.closed.copy()
    closed[gone] = soonest + np.floor(generator.random(count) * (until - soonest)).astype(np.int64)
    return replace(stores, closed=closed)


def spread(
    settings: Spread,
    generator: np.random.Generator,
    land: Land,
    judged: Floats,
    hosts: tuple[Floats, Floats],
    count: int,
) -> tuple[Floats, Floats]:
    """Places found one after the other, each away from those before it; latitudes and longitudes in degrees.

    Args:
        settings: How they lie to each other.
        generator: Chance.
        land: The city's cells.
        judged: How good each cell is held to be.
        hosts: Where shops are already; without any, those found first are hosts to those that fill in later.
        count: How many.
    """
    known = hosts[0].size
    lat, lon = np.r_[hosts[0], np.zeros(count)], np.r_[hosts[1], np.zeros(count)]
    until = np.cumsum(judged) / judged.sum()
    for place in range(known, known + count):
        fills_in = place > 3 and generator.random() < settings.infill_share
        for _ in range(settings.tries):
            if fills_in:
                host = int(generator.integers(known or place))
                far, angle = generator.uniform(*settings.infill_km), generator.uniform(0, 2 * np.pi)
                lat[place], lon[place] = land.moved(lat[host], lon[host], far * np.cos(angle), far * np.sin(angle))
            else:
                cell = int(np.searchsorted(until, generator.random(), side="right"))
                aside = generator.uniform(-0.5, 0.5, 2) * land.raster.side_km
                lat[place], lon[place] = land.moved(land.lat[cell], land.lon[cell], aside[0], aside[1])
            apart = great_circle_km(lat[:place], lon[:place], lat[place], lon[place])
            if apart.min(initial=np.inf) >= settings.spacing_km:
                break
    return lat[known:], lon[known:]
