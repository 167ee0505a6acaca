"""What is asked and answered about sites over the wire."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from serving.contracts import LONGEST_ID, ModelName, ReasonBody

MOST_SITES = 100
LARGEST_COST = 10**12
"""Fen: ten thousand million yuan, more than any store costs."""


class _Body(BaseModel):
    """A body with exactly the declared keys, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SiteBody(_Body):
    """One candidate for a new store."""

    site_id: str = Field(min_length=1, max_length=LONGEST_ID, description="What the answer calls it.")
    lat: float = Field(ge=-90, le=90, strict=True, description="Degrees, WGS-84; convert GCJ-02 and BD-09 first.")
    lon: float = Field(ge=-180, le=180, strict=True, description="Degrees, WGS-84.")
    format: str | None = Field(default=None, max_length=LONGEST_ID, description="Sort of store it would be.")
    area_m2: float | None = Field(default=None, ge=1, le=1_000_000, strict=True, description="Sales floor.")
    rent_fen: int | None = Field(default=None, ge=0, le=LARGEST_COST, strict=True, description="Rent of one month.")
    opening_cost_fen: int | None = Field(
        default=None, ge=0, le=LARGEST_COST, strict=True, description="What opening costs, once."
    )


class SitesQuestion(_Body):
    """Which candidates; each is judged as if it alone opened."""

    sites: Annotated[tuple[SiteBody, ...], Field(min_length=1, max_length=MOST_SITES)]
    margin: float | None = Field(
        default=None, ge=0.0001, le=1, strict=True, description="Share of sales left before rent; assumed if not told."
    )


class Range(_Body):
    """An interval of yearly revenue; null where the stores are too few for the level."""

    low_fen: float | None
    high_fen: float | None


class Difference(_Body):
    """One feature in which a site and its twin differ."""

    feature: str
    unit: str
    site: float | None
    store: float | None


class Twin(_Body):
    """An existing store that is like the site."""

    store_id: str
    lat: float
    lon: float
    revenue_fen: float = Field(description="What it sells in a year as if mature.")
    similarity: float = Field(gt=0, le=1, description="1 for the same in all that matters, less the more they differ.")
    differences: tuple[Difference, ...] = Field(description="What tells them apart most, by the forecast's weights.")


class SiteReason(ReasonBody):
    """One feature's part in a forecast, in log points, and the same as a share of revenue."""

    effect: float = Field(description="What it adds to revenue, as a share: 0.12 is 12 % more.")


class Loss(_Body):
    """What one existing store loses to the site."""

    store_id: str
    revenue_fen: float
    lost_fen: float = Field(ge=0)
    lost_share: float = Field(ge=0, le=1)
    distance_km: float


class Cannibalisation(_Body):
    """What own stores lose to the site, and what is left for the chain."""

    stores: tuple[Loss, ...] = Field(description="Those that lose most, first.")
    lost_fen: float = Field(description="What all own stores lose in a year.")
    net_fen: float = Field(description="Change of the whole chain's sales in a year.")
    rate: float = Field(description="The part of the site's sales that comes from own stores.")


class PayBack(_Body):
    """When the opening cost is earned, from the chain's net sales."""

    margin: float = Field(description="Share of sales left before rent.")
    margin_assumed: bool = Field(description="Whether the model's task assumes it, because the question told none.")
    rent_fen: float = Field(description="Of a year.")
    opening_cost_fen: float
    profit_fen: float = Field(description="Of a year: margin of net sales less rent.")
    months: float | None = Field(description="Null where it never pays back.")


class Sensitivity(_Body):
    """The same site had trade areas been taken so many times as wide, in learning and in asking."""

    radius_scale: float
    revenue_fen: float
    lost_fen: float


class SiteAnswer(_Body):
    """What one candidate would sell in a year once mature, how sure that is, and what it takes from its neighbours."""

    site_id: str
    lat: float
    lon: float
    format: str | None
    area_m2: float | None
    revenue_fen: float = Field(description="Mean forecast of a mature year.")
    interval_80: Range
    interval_90: Range
    out_of_range: bool = Field(description="Unlike the stores that the model learned from: do not trust the interval.")
    distance_ratio: float = Field(description="Distance to the nearest stores over what 99 % of stores keep.")
    twins: tuple[Twin, ...]
    reasons: tuple[SiteReason, ...]
    cannibalisation: Cannibalisation
    payback: PayBack | None = Field(description="Null where rent or opening cost is not told.")
    sensitivity: tuple[Sensitivity, ...]


class SitesAnswer(_Body):
    """The candidates in their order."""

    decision_id: str = Field(description="Names this answer: the same question to the same model has the same id.")
    model: ModelName
    sites: tuple[SiteAnswer, ...]
