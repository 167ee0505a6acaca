"""From when to when the rows of a fit are: what a reviewer asks before any figure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow.compute as pc
import pyarrow.parquet as pq

from training.sites.pipeline import FittedSites

if TYPE_CHECKING:
    from training.pipeline import Fitted
    from training.ranking_pipeline import FittedOrder

_START = datetime(1970, 1, 1, tzinfo=UTC)


def span_of(fitted: Fitted | FittedOrder | FittedSites) -> tuple[datetime, datetime]:
    """The first moment of any row and the last of the test, in UTC; of sites the first month of sales and the last.

    The table of features has to be on the disk still.
    """
    if isinstance(fitted, FittedSites):
        ground = fitted.model.ground
        return _day(int(ground.sales.books.first_day[0])), _day(ground.as_of)
    first = pc.min(pq.read_table(fitted.built.path, columns=["as_of"])["as_of"]).as_py()
    return first.astimezone(UTC), datetime.fromtimestamp(int(fitted.predictions.as_of.max()) / 1_000_000, UTC)


def _day(days: int) -> datetime:
    return _START + timedelta(days=days)
