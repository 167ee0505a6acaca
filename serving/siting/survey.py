"""A survey of a chain's cities: pictures of whole grids, cards of sites, and a plan, as files that stand alone."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.errors import DataError, UsageError
from serving.site_answers import score
from serving.sites import Candidates
from serving.siting.card import Place, card_json
from serving.siting.chain import Chain, Shops
from serving.siting.city import CityScores
from serving.siting.city_page import Marked, city_page
from serving.siting.desk import COVERAGE, site_card
from serving.siting.page import card_page
from serving.siting.plan import Rules, network_plan
from serving.siting.wording import percent, yuan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from serving.sites import SiteScorer
    from serving.siting.desk import Surroundings
    from serving.siting.plan import Limits, NetworkPlan
    from serving.siting.tables import Sites

BEST: Final = 12
"""Places marked on a city's picture."""
APART_M: Final = 1_000.0
"""How far they lie apart at least, so that they are so many places and not one hill."""
_ASIDE: Final = ".part"


@dataclass
class Survey:
    """What was asked and what was written.

    Attributes:
        scorer: The model.
        around: What cards show beside it.
        cell_city: The city of each of the scorer's cells; empty where not known.
        out: Where files go.
        said: What was found, for machines.
    """

    scorer: SiteScorer
    around: Surroundings
    cell_city: tuple[str, ...]
    out: Path
    said: dict[str, Any] = field(default_factory=dict)

    def grid(self, kind: str | None, area_m2: float | None, reach: Callable[[str, int, int], None]) -> None:
        """Score every cell of every city as a store of one kind; a picture, GeoJSON and Parquet for each city.

        Args:
            kind: Format of the store; None leaves it open.
            area_m2: Its sales floor; None leaves it open.
            reach: Told which city was done, and how many of how many.
        """
        cities = sorted(set(self.cell_city))
        found = []
        for number, city in enumerate(cities, 1):
            scores = self._scores(city, kind, area_m2)
            name = _file_name(city or "grid")
            best = scores.best(BEST, APART_M)
            page = city_page(scores, self._marked(scores, best, kind, area_m2), self._stores(), self._origin())
            self._write(f"{name}.html", page.encode())
            self._write(f"{name}.geojson", scores.geojson())
            self._write_table(f"{name}.parquet", scores.table())
            top = scores.cell_id[best[0]] if best else None
            found.append({"city": city, "cells": scores.lat.size, "best": top, "page": f"{name}.html"})
            reach(city, number, len(cities))
        self.said["cities"] = found

    def card(self, sites: Sites, site_id: str, margin: float | None = None) -> None:
        """Write the card of one site, as JSON and as a page; without a margin, by the one that the model assumes."""
        known = {name: place for place, name in enumerate(sites.candidates.site_id)}
        if site_id not in known:
            listed = ", ".join(list(known)[:5])
            raise UsageError(f"--card: found {site_id!r}, expected a site of the table sites, such as {listed}")
        alone, city = sites.only(known[site_id]), sites.city[known[site_id]]
        (answer,) = score(self.scorer, alone, margin)
        card = site_card(self.scorer, answer, alone, 0, self.around, city)
        name = f"card-{_file_name(site_id)}"
        self._write(f"{name}.json", card_json(card))
        self._write(f"{name}.html", card_page(card).encode())
        self.said["card"] = {
            "site_id": site_id,
            "page": f"{name}.html",
            "revenue_fen": round(card.forecast.revenue_fen),
            "network_change_fen": round(card.network_change_fen),
        }

    def plan(self, sites: Sites, limits: Limits, margin: float | None, closable: Shops) -> None:
        """Find and write a plan; with a margin it goes by what is left before other costs, else by sales.

        Args:
            sites: What may open.
            limits: What the plan keeps to.
            margin: Share of sales left before rent; None to go by sales.
            closable: Own stores that may close.
        """
        asked = sites.candidates
        free = np.zeros(len(asked.site_id))
        shops = Shops(
            name=asked.site_id,
            lat=asked.lat,
            lon=asked.lon,
            city=sites.city,
            cost_fen=asked.opening_cost_fen if limits.budget_fen is not None else np.nan_to_num(asked.opening_cost_fen),
            rent_fen=free if margin is None else 12 * asked.rent_fen,
        )
        scorer, stores, forecast = self.scorer, self.scorer.stores, self.scorer.forecast(asked)

        def sales(opened: Sequence[int], closed: Sequence[str]) -> float:
            return scorer.network(asked, opened, closed, forecast).total_fen

        chain = Chain(sales, shops, closable, 1.0 if margin is None else margin)
        rules = Rules(chain.moves(), limits, (stores.lat, stores.lon))
        plan = network_plan(chain, rules)
        self.said["plan"] = _plan_said(plan, rules, "sales" if margin is None else "earnings")
        self._write("plan.json", msgspec.json.format(msgspec.json.encode(self.said["plan"]), indent=2))

    def text(self) -> str:
        """What was written, in words."""
        lines = [
            f"{one['city'] or 'grid'}: {one['cells']:,} cells, {one['page']}" for one in self.said.get("cities", ())
        ]
        if card := self.said.get("card"):
            sells, adds = yuan(card["revenue_fen"]), yuan(card["network_change_fen"], signed=True)
            lines.append(f"site {card['site_id']}: sells {sells} a year, network {adds}, {card['page']}")
        if plan := self.said.get("plan"):
            lines.append(
                f"plan: {yuan(plan['gain_fen'], signed=True)} a year of {plan['by']} for {yuan(plan['cost_fen'])}"
            )
            lines += [
                f"  {move['move']} {move['name']}: {yuan(move['gain_fen'], signed=True)}" for move in plan["moves"]
            ]
        return "\n".join([*lines, f"all in {self.out}"])

    def _scores(self, city: str, kind: str | None, area_m2: float | None) -> CityScores:
        cells = self.scorer.cells
        here = np.flatnonzero([name == city for name in self.cell_city])
        found = self.scorer.forecast(_shops_at(cells.lat[here], cells.lon[here], kind, area_m2))
        told = [kind or "store of any format", "usual floor" if area_m2 is None else f"{area_m2:,.0f} m²"]
        return CityScores(
            city=city,
            kind=", ".join(told),
            cell_id=tuple(self.scorer.cell_ids[place] for place in here),
            lat=cells.lat[here],
            lon=cells.lon[here],
            area_km2=self.around.area_km2[here],
            revenue_fen=found.revenue_fen,
            low_fen=found.low_80,
            high_fen=found.high_80,
            coverage=COVERAGE,
            out_of_range=found.out_of_range,
        )

    def _marked(self, scores: CityScores, best: Sequence[int], kind: str | None, area_m2: float | None) -> list[Marked]:
        """The best places with what each adds to the network, which only so few are asked for."""
        places = list(best)
        asked = _shops_at(scores.lat[places], scores.lon[places], kind, area_m2)
        forecast, marked = self.scorer.forecast(asked), []
        for number, place in enumerate(places):
            sales = self.scorer.network(asked, [number], forecast=forecast)
            marked.append(
                Marked(
                    name=scores.cell_id[place],
                    lat=float(scores.lat[place]),
                    lon=float(scores.lon[place]),
                    revenue_fen=float(scores.revenue_fen[place]),
                    low_fen=float(scores.low_fen[place]),
                    high_fen=float(scores.high_fen[place]),
                    network_fen=sales.total_fen - sales.before_fen,
                )
            )
        return marked

    def _stores(self) -> list[Place]:
        stores = self.scorer.stores
        rows = zip(stores.store_id, stores.lat.tolist(), stores.lon.tolist(), strict=True)
        return [Place(name=name, lat=lat, lon=lon) for name, lat, lon in rows]

    def _origin(self) -> str:
        inside = f"{percent(COVERAGE)} intervals, checked on areas left out of the fit"
        return " · ".join([f"written {self.around.written_on}", inside, *self.around.sources])

    def _write(self, name: str, content: bytes) -> None:
        aside = self.out / f"{name}{_ASIDE}"
        aside.write_bytes(content)
        aside.replace(self.out / name)

    def _write_table(self, name: str, table: pa.Table) -> None:
        aside = self.out / f"{name}{_ASIDE}"
        pq.write_table(table, aside)
        aside.replace(self.out / name)


def _shops_at(
    lat: NDArray[np.float64], lon: NDArray[np.float64], kind: str | None, area_m2: float | None
) -> Candidates:
    floor = np.full(lat.size, np.nan if area_m2 is None else area_m2)
    return Candidates.of(lat, lon, format=(kind,) * lat.size, area_m2=floor)


def _plan_said(plan: NetworkPlan, rules: Rules, by: str) -> dict[str, Any]:
    moves = rules.moves
    return {
        "by": by,
        "before_fen": round(plan.before_fen),
        "after_fen": round(plan.after_fen),
        "gain_fen": round(plan.gain_fen),
        "cost_fen": round(plan.cost_fen),
        "moves": [
            {
                "move": "close" if moves.closing[step.move] else "open",
                "name": moves.name[step.move],
                "city": moves.city[step.move],
                "cost_fen": round(float(moves.cost_fen[step.move])),
                "gain_fen": round(step.gain_fen),
            }
            for step in plan.steps
        ],
        "asked": plan.asked,
    }


def _file_name(text: str) -> str:
    """A name that is safe as a file's on every system; letters of any script stay."""
    return re.sub(r"[^\w-]+", "_", text)[:80] or "_"


def prepare(out: Path) -> Path:
    """The folder for the files, made if it is not there."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{out}: cannot be a folder for files: {error.strerror}; name another with --out") from error
    return out
