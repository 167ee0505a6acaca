"""What a survey takes from a brand's tables beside the model: candidates, cities, rivals, rents of stores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data.errors import DataError
from features.wording import PLURALS, VALUE
from serving.sites import Candidates
from serving.siting.card import Place
from serving.siting.chain import Shops
from serving.siting.desk import Surroundings, cell_areas

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa
    from numpy.typing import NDArray

    from serving.sites import SiteScorer

    Doubles = NDArray[np.float64]

SOURCES = ("stores", "cells", "places", "sites")


@dataclass(frozen=True)
class Sites:
    """Candidates with their cities.

    Attributes:
        candidates: As the scorer takes them.
        city: The city of each; empty where not known.
    """

    candidates: Candidates
    city: tuple[str, ...]

    @classmethod
    def of(cls, table: pa.Table) -> Sites:
        """The candidates of a table `sites`; a further column `city` is read where there is one."""
        rows = table.to_pylist()
        kinds = tuple(row.get("format") for row in rows)
        candidates = Candidates.of(
            _numbers(table, "lat"),
            _numbers(table, "lon"),
            site_id=tuple(row["site_id"] for row in rows),
            format=kinds,
            area_m2=_numbers(table, "area_m2"),
            rent_fen=_numbers(table, "rent_fen"),
            opening_cost_fen=_numbers(table, "opening_cost_fen"),
        )
        return cls(candidates, tuple(row.get("city") or "" for row in rows))

    def only(self, place: int) -> Candidates:
        """One of them alone."""
        asked, at = self.candidates, slice(place, place + 1)
        return Candidates.of(
            asked.lat[at],
            asked.lon[at],
            site_id=asked.site_id[at],
            format=asked.format[at],
            area_m2=asked.area_m2[at],
            rent_fen=asked.rent_fen[at],
            opening_cost_fen=asked.opening_cost_fen[at],
        )


def surroundings_of(scorer: SiteScorer, tables: Mapping[str, pa.Table], written_on: str) -> Surroundings:
    """What cards show beside the scorer's answers.

    Args:
        scorer: The model; its settings say which categories of places are rivals.
        tables: `cells`, and `places` where there is one.
        written_on: The day, ISO 8601.
    """
    listed = tables["cells"]
    area = dict(zip(listed["cell_id"].to_pylist(), _numbers(listed, "area_km2").tolist(), strict=True))
    told = np.array([area.get(name, np.nan) for name in scorer.cell_ids])
    guessed = cell_areas(scorer.cells.lat, scorer.cells.lon) if np.isnan(told).any() else told
    competing = {category for category, _ in scorer.site.place.rivals}
    rivals = tuple(
        Place(name=row.get("brand") or row["category"], lat=row["lat"], lon=row["lon"])
        for row in (tables["places"].to_pylist() if "places" in tables else ())
        if row["category"] in competing
    )
    known = f"known as of {scorer.site.as_of}"
    named = [f"{name} {tables[name].num_rows:,}" for name in SOURCES if name in tables]
    return Surroundings(
        area_km2=np.where(np.isnan(told), guessed, told),
        rivals=rivals,
        words={one.name: (one.meaning.replace("`", ""), _label(one.sentence_zh)) for one in scorer.manifest.features},
        written_on=written_on,
        sources=(known, *named),
    )


def cell_cities(scorer: SiteScorer, cells: pa.Table) -> tuple[str, ...]:
    """The city of each of the scorer's cells, by the further column `city` of the table; empty without one."""
    names = cells["city"].to_pylist() if "city" in cells.column_names else [""] * cells.num_rows
    city = dict(zip(cells["cell_id"].to_pylist(), names, strict=True))
    unknown = [name for name in scorer.cell_ids if name not in city]
    if unknown:
        raise DataError(
            f"cells: the model knows {len(unknown)} cells, {unknown[0]} first, that the table lacks; expected the "
            "table that it was trained on: give that folder, or train anew"
        )
    return tuple(city[name] or "" for name in scorer.cell_ids)


def closable_stores(scorer: SiteScorer, stores: pa.Table | None, *, rents: bool) -> Shops:
    """The own stores that a plan may close: all that trade; none without a table.

    Args:
        scorer: The model, which knows what trades.
        stores: The table `stores`; None closes nothing.
        rents: Whether the plan goes by rents, which are then read from the further column `rent_fen` (a month).
    """
    rows = {} if stores is None else {row["store_id"]: row for row in stores.to_pylist()}
    own = scorer.stores
    kept = [place for place, name in enumerate(own.store_id) if name in rows]
    told = [rows[own.store_id[place]] for place in kept]
    rent = np.array([np.nan if row.get("rent_fen") is None else 12.0 * row["rent_fen"] for row in told], np.float64)
    return Shops(
        name=tuple(own.store_id[place] for place in kept),
        lat=own.lat[kept],
        lon=own.lon[kept],
        city=tuple(row.get("city") or "" for row in told),
        cost_fen=np.zeros(len(kept)),
        rent_fen=rent if rents else np.zeros(len(kept)),
    )


def _numbers(table: pa.Table, name: str) -> Doubles:
    """A column as doubles, NaN where it is null or not there."""
    values = table[name].to_pylist() if name in table.column_names else [None] * table.num_rows
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _label(sentence: str) -> str:
    """A sentence with a gap for its value as the name of a row."""
    for mark in PLURALS:
        sentence = sentence.replace(mark, "")
    return sentence.removesuffix(f"：{VALUE}").replace(VALUE, "…").rstrip("。.")
