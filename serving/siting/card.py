"""The card of one site (选址卡): everything a property team needs to decide on it, as plain values.

Money is in fen, of a year unless a name says otherwise; distances in metres; shares from 0 to 1; coordinates WGS-84.
"""

from __future__ import annotations

import msgspec


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A shop on the map.

    Attributes:
        name: Its id, or the brand over its door.
        lat: Degrees.
        lon: Degrees.
    """

    name: str
    lat: float
    lon: float


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """What the site will sell in a year once it is mature.

    Attributes:
        revenue_fen: The forecast.
        low_fen: Lower end of the interval; None where the stores are too few for one.
        high_fen: Upper end, likewise.
        coverage: How many such intervals are meant to hold the truth, measured over areas that were left out.
        out_of_range: Why the site is unlike all stores learned from, one sentence each; empty where it is not.
    """

    revenue_fen: float
    low_fen: float | None
    high_fen: float | None
    coverage: float
    out_of_range: tuple[str, ...] = ()


class Twin(msgspec.Struct, frozen=True, kw_only=True):
    """A store of one's own that is like the site.

    Attributes:
        store_id: The store.
        lat: Degrees.
        lon: Degrees.
        revenue_fen: What it sells.
        likeness: 1 for a double of the site, towards 0 the less alike.
    """

    store_id: str
    lat: float
    lon: float
    revenue_fen: float
    likeness: float


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A feature in which the site and its twins differ.

    Attributes:
        feature: Its name.
        meaning: In words.
        meaning_zh: In Chinese.
        unit: Of the values; empty for a plain number.
        site: The site's value, None where unknown.
        twins: The twins' values, in their order.
    """

    feature: str
    meaning: str
    meaning_zh: str
    unit: str
    site: float | None
    twins: tuple[float | None, ...]


class SiteReason(msgspec.Struct, frozen=True, kw_only=True):
    """What moved the forecast.

    Attributes:
        feature: Its name.
        effect: By what share it raised (above 0) or lowered the forecast.
        sentence: In words.
        sentence_zh: In Chinese.
    """

    feature: str
    effect: float
    sentence: str
    sentence_zh: str


class CatchmentCell(msgspec.Struct, frozen=True, kw_only=True):
    """A cell from which the site draws.

    Attributes:
        cell_id: The cell.
        lat: Of its centre, degrees.
        lon: Degrees.
        area_km2: Its land area.
        share: The part of the cell's money that the site would get (Huff).
        revenue_fen: That money.
    """

    cell_id: str
    lat: float
    lon: float
    area_km2: float
    share: float
    revenue_fen: float


class StoreLoss(msgspec.Struct, frozen=True, kw_only=True):
    """What one own store would lose to the site.

    Attributes:
        store_id: The store.
        lat: Degrees.
        lon: Degrees.
        distance_m: To the site.
        revenue_fen: What it sells now.
        lost_fen: What of that goes to the site.
    """

    store_id: str
    lat: float
    lon: float
    distance_m: float
    revenue_fen: float
    lost_fen: float


class PayBack(msgspec.Struct, frozen=True, kw_only=True):
    """When the site has earned back what opening it cost, at the forecast and at both ends of its interval.

    Attributes:
        margin: What is left of a fen of sales before rent.
        assumed: Whether nobody told that margin.
        rent_fen: Rent of a year.
        opening_cost_fen: What opening costs, once.
        earned_fen: Margin on the change of network sales, less rent; of a year.
        months: Opening cost over that; None where it never comes back.
        months_at_low: The same at the lower end of the interval.
        months_at_high: The same at the upper end.
    """

    margin: float
    assumed: bool
    rent_fen: float
    opening_cost_fen: float
    earned_fen: float
    months: float | None
    months_at_low: float | None
    months_at_high: float | None


class Sensitivity(msgspec.Struct, frozen=True, kw_only=True):
    """What the answer would be if people went further, or less far, than the model holds.

    Attributes:
        radius_scale: Factor on the trade area's radius; 1 is the forecast itself.
        revenue_fen: What the site would sell.
        taken_fen: What own stores would lose.
    """

    radius_scale: float
    revenue_fen: float
    taken_fen: float


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Where the figures come from.

    Attributes:
        model: Version of the model.
        features: Fingerprint of its features.
        written_on: The day of the card, ISO 8601.
        sources: The tables, with their extract dates where known.
    """

    model: str
    features: str
    written_on: str
    sources: tuple[str, ...]


class SiteCard(msgspec.Struct, frozen=True, kw_only=True):
    """The card.

    Attributes:
        site: What and where it is.
        city: Its city; empty where not known.
        format: What sort of store it would be; empty where not known.
        area_m2: Sales floor, None where not known.
        forecast: What it will sell.
        twins: The own stores most like it, the most alike first.
        differences: Where it differs from them, the most telling first.
        reasons: What moved the forecast, strongest first.
        catchment: The cells it draws from, most money first.
        losses: The own stores that lose most to it, most first.
        taken_fen: What all own stores together lose to it.
        network_change_fen: The forecast less what own stores lose.
        pay_back: None where rent or opening cost is not known.
        sensitivity: By radius, narrowest first.
        stores: Own stores that trade nearby, for the map.
        rivals: Rivals nearby, for the map.
        provenance: Where all that comes from.
    """

    site: Place
    city: str
    format: str
    area_m2: float | None
    forecast: Forecast
    twins: tuple[Twin, ...]
    differences: tuple[Difference, ...]
    reasons: tuple[SiteReason, ...]
    catchment: tuple[CatchmentCell, ...]
    losses: tuple[StoreLoss, ...]
    taken_fen: float
    network_change_fen: float
    pay_back: PayBack | None
    sensitivity: tuple[Sensitivity, ...]
    stores: tuple[Place, ...]
    rivals: tuple[Place, ...]
    provenance: Provenance


def pay_back(
    forecast: Forecast,
    taken_fen: float,
    rent_fen_a_month: float,
    opening_cost_fen: float,
    margin: float,
    *,
    assumed: bool = False,
) -> PayBack:
    """Hold what a site adds to the network against its rent and opening cost.

    What own stores lose grows with what the site sells, so the ends of the interval carry it along in proportion.

    Args:
        forecast: What it will sell.
        taken_fen: What own stores lose at the forecast.
        rent_fen_a_month: Rent, as the table `sites` has it.
        opening_cost_fen: Once.
        margin: What is left of a fen of sales before rent, above 0 and at most 1.
        assumed: Whether nobody told it.
    """
    kept = 1 - taken_fen / forecast.revenue_fen if forecast.revenue_fen else 0.0

    def earned(revenue: float) -> float:
        return margin * revenue * kept - 12 * rent_fen_a_month

    def months(revenue: float | None) -> float | None:
        left = 0.0 if revenue is None else earned(revenue)
        return 12 * opening_cost_fen / left if left > 0 else None

    return PayBack(
        margin=margin,
        assumed=assumed,
        rent_fen=12 * rent_fen_a_month,
        opening_cost_fen=opening_cost_fen,
        earned_fen=earned(forecast.revenue_fen),
        months=months(forecast.revenue_fen),
        months_at_low=months(forecast.low_fen),
        months_at_high=months(forecast.high_fen),
    )


def card_json(card: SiteCard) -> bytes:
    """The card as one JSON object."""
    return msgspec.json.encode(card)
