"""One call of `shepherd sites`: what is wanted, what it needs, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from data.errors import DataError, UsageError
from serving.siting.survey import Survey, prepare
from serving.siting.tables import Sites, cell_cities, closable_stores, surroundings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import pyarrow as pa

    from serving.sites import SiteScorer
    from serving.siting.plan import Limits


@dataclass(frozen=True)
class Errand:
    """What is wanted.

    Attributes:
        grid: Whether whole cities are scored cell by cell.
        kind: Format of the store that the grid is asked about; None leaves it open.
        area_m2: Its sales floor; None leaves it open.
        card: The site whose card is wanted, None for none.
        plan: The limits of the plan that is wanted, None for none.
        margin: Share of sales left before rent, by which a plan goes and a card pays back; None for plans by sales and
            cards by what the model assumes.
    """

    grid: bool = False
    kind: str | None = None
    area_m2: float | None = None
    card: str | None = None
    plan: Limits | None = None
    margin: float | None = None

    def __post_init__(self) -> None:
        """Refuse what contradicts itself, all at once."""
        wrong = []
        if not self.grid and self.card is None and self.plan is None:
            wrong.append("nothing is asked: add --grid, --card SITE or --plan K")
        if self.plan is not None and self.plan.closings and self.margin is None:
            wrong.append("--close needs --margin: by sales alone no store is ever better closed")
        if self.margin is not None and not 0 < self.margin <= 1:
            wrong.append(f"--margin: found {self.margin}, expected a share above 0 and at most 1")
        if wrong:
            raise UsageError("; ".join(wrong))

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that it cannot go without."""
        sites = ("sites",) if self.card is not None or self.plan is not None else ()
        stores = ("stores",) if self.plan is not None and self.plan.closings else ()
        return ("cells", *sites, *stores)

    def run(
        self,
        scorer: SiteScorer,
        tables: Mapping[str, pa.Table],
        out: Path,
        today: str,
        reach: Callable[[str, int, int], None],
    ) -> Survey:
        """Do it, and write the files.

        Args:
            scorer: The model.
            tables: The brand's tables by name: `cells`, and as far as needed `sites`, `stores` and `places`.
            out: Folder for the files.
            today: The day, ISO 8601.
            reach: Told which city was scored, and how many of how many.

        Raises:
            DataError: A table is missing, or does not go with the model.
        """
        missing = [name for name in self.tables if name not in tables]
        if missing:
            raise DataError(f"missing is {', '.join(missing)}; expected those tables in the folder of --data")
        cities = cell_cities(scorer, tables["cells"])
        survey = Survey(scorer, surroundings_of(scorer, tables, today), cities, prepare(out))
        if self.grid:
            survey.grid(self.kind, self.area_m2, reach)
        if self.card is not None:
            survey.card(Sites.of(tables["sites"]), self.card, self.margin)
        if self.plan is not None:
            stores = tables["stores"] if self.plan.closings else None
            closable = closable_stores(scorer, stores, rents=self.margin is not None)
            survey.plan(Sites.of(tables["sites"]), self.plan, self.margin, closable)
        return survey
