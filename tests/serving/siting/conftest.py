"""Cards and cities of a made-up quarter."""

from __future__ import annotations

import numpy as np
import pytest

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
from serving.siting.city import CityScores

SITE = (30.66, 104.07)


def _card(name="N-17", other="store 1", forecast=None):
    """A card whose every text is one of two names."""
    forecast = forecast or Forecast(revenue_fen=1.2e9, low_fen=1e9, high_fen=1.5e9, coverage=0.8)
    steps = range(-6, 7)
    cells = [
        CatchmentCell(
            cell_id=f"{other} {north} {east}",
            lat=SITE[0] + 0.0045 * north,
            lon=SITE[1] + 0.0052 * east,
            area_km2=0.25,
            share=0.5 / (1 + 0.2 * (north**2 + east**2)),
            revenue_fen=6e7 / (1 + 0.2 * (north**2 + east**2)),
        )
        for north in steps
        for east in steps
    ]
    cells.sort(key=lambda cell: -cell.revenue_fen)
    near = [Place(name=f"{other}{number}", lat=SITE[0] + 0.004 * number, lon=SITE[1] - 0.003) for number in range(3)]
    losses = tuple(
        StoreLoss(
            store_id=one.name, lat=one.lat, lon=one.lon, distance_m=500.0, revenue_fen=8e8, lost_fen=4e7 / (1 + number)
        )
        for number, one in enumerate(near)
    )
    taken = sum(one.lost_fen for one in losses)
    twins = tuple(
        Twin(store_id=one.name, lat=one.lat, lon=one.lon, revenue_fen=1.1e9, likeness=0.9 - 0.1 * number)
        for number, one in enumerate(near)
    )
    return SiteCard(
        site=Place(name=name, lat=SITE[0], lon=SITE[1]),
        city=other,
        format=other,
        area_m2=300.0,
        forecast=forecast,
        twins=twins,
        differences=(
            Difference(
                feature="people", meaning=other, meaning_zh="人口", unit="", site=23_400.0, twins=(20_000.0, None, 1.0)
            ),
        ),
        reasons=(SiteReason(feature="people", effect=0.21, sentence=other, sentence_zh=name),),
        catchment=tuple(cells),
        losses=losses,
        taken_fen=taken,
        network_change_fen=forecast.revenue_fen - taken,
        pay_back=pay_back(forecast, taken, 5_000_000, 150_000_000, 0.25),
        sensitivity=tuple(
            Sensitivity(radius_scale=scale, revenue_fen=1.2e9 * scale, taken_fen=taken * scale) for scale in (0.5, 1.0)
        ),
        stores=tuple(near),
        rivals=(Place(name=other, lat=SITE[0] - 0.004, lon=SITE[1] + 0.004),),
        provenance=Provenance(model="site-1", features="ab12", written_on="2026-01-05", sources=(other,)),
    )


def _city(name="Chengdu", side=12):
    """A square city that sells most in its middle; its first row is beyond experience."""
    north, east = (steps.ravel() for steps in np.meshgrid(np.arange(side), np.arange(side), indexing="ij"))
    sales = 1e9 * np.exp(-((north - side / 2) ** 2 + (east - side / 2) ** 2) / side**2 * 8)
    return CityScores(
        city=name,
        kind="neighbourhood, 300 m²",
        cell_id=tuple(f"{name}{row}-{column}" for row, column in zip(north, east, strict=True)),
        lat=30.6 + 0.00636 * north,
        lon=104.0 + 0.0074 * east,
        area_km2=np.full(side**2, 0.5),
        revenue_fen=sales,
        low_fen=0.8 * sales,
        high_fen=1.25 * sales,
        coverage=0.8,
        out_of_range=north == 0,
    )


@pytest.fixture
def make_card():
    return _card


@pytest.fixture
def make_city():
    return _city


@pytest.fixture
def card():
    return _card()


@pytest.fixture
def city():
    return _city()
