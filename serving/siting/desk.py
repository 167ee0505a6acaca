"""From the scorer's answer to the card that people read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from features.distance import degrees_apart_km
from serving.siting.card import (
    CatchmentCell,
    Difference,
    Forecast,
    Place,
    Provenance,
    Sensitivity,
    SiteCard,
    SiteReason,
    StoreLoss,
    Twin,
    pay_back,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from serving.site_contracts import SiteAnswer
    from serving.sites import Candidates, SiteScorer

    Doubles = NDArray[np.float64]

NEAR_KM: Final = 15.0
"""How far from the site stores and rivals still belong on its map."""
COVERAGE: Final = 0.8


@dataclass(frozen=True)
class Surroundings:
    """What a card shows beside the scorer's answer.

    Attributes:
        area_km2: Land area of each of the scorer's cells, shape (cells,).
        rivals: Shops of others.
        words: What each feature means, in English and Chinese; the feature's name where it has none.
        written_on: The day of the card, ISO 8601.
        sources: The tables behind it, with their extract dates where known.
    """

    area_km2: Doubles
    rivals: tuple[Place, ...]
    words: Mapping[str, tuple[str, str]]
    written_on: str
    sources: tuple[str, ...]


def site_card(
    scorer: SiteScorer, answer: SiteAnswer, candidates: Candidates, number: int, around: Surroundings, city: str = ""
) -> SiteCard:
    """The card of one candidate.

    Args:
        scorer: The model.
        answer: What it said of the candidate.
        candidates: The candidates.
        number: Which of them it is.
        around: What a card shows beside.
        city: Its city; empty where not known.
    """
    site = Place(name=answer.site_id, lat=answer.lat, lon=answer.lon)
    forecast = Forecast(
        revenue_fen=answer.revenue_fen,
        low_fen=answer.interval_80.low_fen,
        high_fen=answer.interval_80.high_fen,
        coverage=COVERAGE,
        out_of_range=(_beyond(answer.distance_ratio),) if answer.out_of_range else (),
    )
    taken = answer.cannibalisation
    back = answer.payback
    stores = scorer.stores
    own = [
        Place(name=name, lat=float(lat), lon=float(lon))
        for name, lat, lon in zip(stores.store_id, stores.lat, stores.lon, strict=True)
    ]
    where = {one.name: one for one in own}
    return SiteCard(
        site=site,
        city=city,
        format=answer.format or "",
        area_m2=answer.area_m2,
        forecast=forecast,
        twins=tuple(
            Twin(
                store_id=twin.store_id,
                lat=twin.lat,
                lon=twin.lon,
                revenue_fen=twin.revenue_fen,
                likeness=twin.similarity,
            )
            for twin in answer.twins
        ),
        differences=differences(scorer, answer, around.words),
        reasons=tuple(
            SiteReason(feature=one.feature, effect=one.effect, sentence=one.sentence, sentence_zh=one.sentence_zh or "")
            for one in answer.reasons
        ),
        catchment=_catchment(scorer, candidates, number, answer.revenue_fen, around.area_km2),
        losses=tuple(
            StoreLoss(
                store_id=one.store_id,
                lat=where[one.store_id].lat,
                lon=where[one.store_id].lon,
                distance_m=one.distance_km * 1000,
                revenue_fen=one.revenue_fen,
                lost_fen=one.lost_fen,
            )
            for one in sorted(taken.stores, key=lambda one: -one.lost_fen)
        ),
        taken_fen=taken.lost_fen,
        network_change_fen=taken.net_fen,
        pay_back=None
        if back is None
        else pay_back(
            forecast,
            taken.lost_fen,
            back.rent_fen / 12,
            back.opening_cost_fen,
            back.margin,
            assumed=back.margin_assumed,
        ),
        sensitivity=tuple(
            Sensitivity(radius_scale=one.radius_scale, revenue_fen=one.revenue_fen, taken_fen=one.lost_fen)
            for one in sorted(answer.sensitivity, key=lambda one: one.radius_scale)
        ),
        stores=_near(site, own),
        rivals=_near(site, around.rivals),
        provenance=Provenance(
            model=f"{scorer.manifest.task} {scorer.manifest.version}",
            features=scorer.manifest.feature_fingerprint[:12],
            written_on=around.written_on,
            sources=around.sources,
        ),
    )


def differences(scorer: SiteScorer, answer: SiteAnswer, words: Mapping[str, tuple[str, str]]) -> tuple[Difference, ...]:
    """The features in which twins differ from the site, with the values of all of them; what most twins name is first.

    Args:
        scorer: The model, which knows every learned store's features.
        answer: What it said of the site.
        words: What each feature means, in English and Chinese.
    """
    named = [one.feature for twin in answer.twins for one in twin.differences]
    first = {one.feature: one for twin in reversed(answer.twins) for one in reversed(twin.differences)}
    order = sorted(dict.fromkeys(named), key=lambda feature: -named.count(feature))
    column = {name: place for place, name in enumerate(scorer.manifest.feature_names)}
    row = {name: place for place, name in enumerate(scorer.learned.store_id)}
    values = scorer.learned.learned.features[[row[twin.store_id] for twin in answer.twins]]
    return tuple(
        Difference(
            feature=feature,
            meaning=words.get(feature, (feature, ""))[0],
            meaning_zh=words.get(feature, (feature, ""))[1],
            unit=first[feature].unit,
            site=first[feature].site,
            twins=tuple(None if np.isnan(value) else float(value) for value in values[:, column[feature]]),
        )
        for feature in order
    )


def cell_areas(lat: Doubles, lon: Doubles) -> Doubles:
    """Square kilometres of the cells of a grid that names no areas: the square of the way to the nearest neighbour.

    Args:
        lat: Centres, WGS-84 degrees, shape (cells,).
        lon: The same.
    """
    if lat.size < 2:
        return np.ones(lat.size)
    nearest = np.empty(lat.size)
    for place in range(lat.size):
        apart = degrees_apart_km(lat, lon, lat[place], lon[place])
        apart[place] = np.inf
        nearest[place] = apart.min()
    return np.full(lat.size, float(np.median(nearest)) ** 2)


def _catchment(
    scorer: SiteScorer, candidates: Candidates, number: int, revenue_fen: float, area_km2: Doubles
) -> tuple[CatchmentCell, ...]:
    """The cells that bring money, most first; together they bring the forecast."""
    cells, share = scorer.cells, scorer.catchment(candidates, number)
    money = share * scorer.market().spent
    if not money.any():
        return ()
    money = money / money.sum() * revenue_fen
    order = [place for place in np.argsort(-money, kind="stable") if share[place] >= 0.001]
    return tuple(
        CatchmentCell(
            cell_id=scorer.cell_ids[place],
            lat=float(cells.lat[place]),
            lon=float(cells.lon[place]),
            area_km2=float(area_km2[place]),
            share=float(share[place]),
            revenue_fen=float(money[place]),
        )
        for place in order
    )


def _near(site: Place, places: Iterable[Place]) -> tuple[Place, ...]:
    listed = list(places)
    lat, lon = np.array([one.lat for one in listed]), np.array([one.lon for one in listed])
    apart = degrees_apart_km(lat, lon, np.full(lat.size, site.lat), np.full(lat.size, site.lon))
    return tuple(listed[place] for place in np.flatnonzero(apart <= NEAR_KM))


def _beyond(ratio: float) -> str:
    if ratio <= 1:
        return "The tables do not tell what surrounds it, as they do for every store. 缺少该地周边的数据。"
    return (
        f"What surrounds it is {ratio:.1f} times as unlike the stores learned from as they are unlike each other."
        f" 周边特征与已有门店的差异是门店之间差异的{ratio:.1f}倍。"
    )
