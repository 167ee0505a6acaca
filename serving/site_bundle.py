"""What a bundle says of sites: the constants of the forecast, and which tables it carries."""

from __future__ import annotations

from typing import Final

import msgspec

from features.place import PlaceSettings
from serving.site_gravity import Gravity
from serving.site_model import Column, Linear, SiteModel

LEARNED: Final = "learned"
"""The stores that the model rests on: ids, places, sales, folds, what each was missed by, and their features."""


class ForestProof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The proof of one fold's forest: its raw score before anything is known, and what was compared."""

    score_base: float
    rows: int
    edge_rows: int
    wrong_leaves: int
    max_raw_difference: float


class Wider(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ridge learned anew with trade areas so many times as wide: rings, decays and Huff's model alike.

    Attributes:
        radius_scale: How many times as wide.
        columns: The common scale of its features.
        ridge: On all stores.
    """

    radius_scale: float
    columns: tuple[Column, ...]
    ridge: Linear


class SiteBundle(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How what a site sells is forecast.

    Attributes:
        model: Constants of ridge, scale, blend and interval.
        wider: What other widths of the trade area would have learned.
        gravity: Constants of the model of who takes from whom.
        place: How wide a site looks around, and who competes.
        formats: Formats of stores that the model knows.
        as_of: The day that sites are asked as of, ISO 8601: what the tables hold had opened before it.
        margin: Share of sales that is left before rent; pay-back rests on it. Assumed unless the brand says it.
        heads: The forest without each fold, by its name.
        tables: The tables that lie beside the model.
        parity: Largest difference of the logarithm that serving and training forecast, over stores and candidates.
    """

    model: SiteModel
    wider: tuple[Wider, ...]
    gravity: Gravity
    place: PlaceSettings
    formats: tuple[str, ...]
    as_of: str
    margin: float
    heads: dict[str, ForestProof]
    tables: tuple[str, ...]
    parity: float
