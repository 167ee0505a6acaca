"""What a task about sites is: which stores teach it, how it is judged, and who the rivals are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from data.errors import UsageError
from data.questions import Label, Rows
from features.place import PLACE, PlaceSettings
from training.sites.members import Recipe
from training.sites.target import Maturity

if TYPE_CHECKING:
    from datetime import datetime

    from features.spec import FeatureSet
    from training.task import Example

STORES = Rows(
    "store",
    ("stores", "store_sales", "cells"),
    "SELECT store_id AS row_id, opened_on::TIMESTAMPTZ AS as_of FROM stores",
    optional=("places",),
)
YEARLY_REVENUE = Label(
    "yearly revenue",
    ("store_sales",),
    "SELECT store_id AS row_id, sum(revenue_fen) AS label, max(month)::TIMESTAMPTZ AS closes_at "
    "FROM store_sales GROUP BY store_id",
)
"""Before months are freed of season and of the ramp of young stores, which no query does: `training.sites.target`."""


@dataclass(frozen=True, kw_only=True)
class SiteTask:
    """The question what a store at a site would sell in a year once it is mature.

    Attributes:
        name: How the command line, the bundle folder and the tracked runs call it.
        maturity: Which months of which stores say what a mature store sells.
        place: How wide a site looks around, and who competes.
        recipe: How ridge, trees and analogs are made.
        folds: How many compact groups of stores are held out, one after the other.
        buffer_km: What lies nearer to a held-out store is not learned from; as wide as the largest ring.
        margin: Share of sales that is left before rent, for the pay-back. Assumed; put the brand's own here.
        features: What is known of a site; formats and further columns of `cells` are added by the data.
        example: Data that show what it does.
        walked: Whether `shepherd run` walks it without being asked for it by name.
        file: The Python file outside this repository that declares it; empty for those that ship.
    """

    name: str
    maturity: Maturity = field(default_factory=Maturity)
    place: PlaceSettings = field(default_factory=PlaceSettings)
    recipe: Recipe = field(default_factory=Recipe)
    folds: int = 12
    buffer_km: float = 3.0
    margin: float = 0.22
    features: FeatureSet = PLACE
    example: Example | None = None
    walked: bool = True
    file: str = ""

    @property
    def rows(self) -> Rows:
        """Stores that trade or traded."""
        return STORES

    @property
    def label(self) -> Label:
        """What they sell in a year."""
        return YEARLY_REVENUE

    @property
    def lists(self) -> str:
        """No list: sites are forecast one by one."""
        return ""

    def cut_at(self, test_from: datetime) -> SiteTask:
        """Sites are judged on stretches of town, not on later days.

        Raises:
            UsageError: Always.
        """
        raise UsageError(
            f"task {self.name!r} holds stretches of town back, not days: found --test-from {test_from:%Y-%m-%d}, "
            "expected none; leave it out"
        )

    def grown_on(self, cluster: str | None) -> SiteTask:
        """The same task; some hundred stores are learned from in this process.

        Raises:
            UsageError: A cluster is named.
        """
        if cluster is None:
            return self
        raise UsageError(
            f"task {self.name!r} learns from some hundred stores in one process: found the cluster {cluster!r}, "
            "expected none; leave --cluster out"
        )
