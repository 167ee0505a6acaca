"""How often things came true, beside the champion's test.

Bad labels poison a model quietly: it agrees with its own test, which they poisoned too. So a rate that jumps further
than is usual, chance aside, is said and recorded, and holds a promotion up until somebody has looked.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from training.formulas import LEARNED
from training.gates import RATE, RATE_BY_CHANCE, RATE_THEN

if TYPE_CHECKING:
    from training.bundles import Bundle
    from training.record import Record

_BY_CHANCE: Final = 1.96


class LabelRate(NamedTuple):
    """How often things came true.

    Attributes:
        value: Share of the test's rows that came true; for sites the geometric mean of a store's yearly revenue in fen.
            NaN where nothing is known.
        rows: Of how many rows; 0 for sites, where nothing is counted.
    """

    value: float
    rows: int


UNKNOWN: Final = LabelRate(math.nan, 0)


def rate_of(record: Record) -> LabelRate:
    """The share of a record's test that came true."""
    rows = record.rows["test"]
    return LabelRate(record.positives["test"] / rows, rows) if rows else UNKNOWN


def rate_of_champion(champion: Bundle) -> LabelRate:
    """The same of the test that a champion was judged on, as its bundle says it."""
    stores = learned_stores(champion)
    if stores is not None:
        return LabelRate(float(np.exp(stores["log_revenue"].to_numpy().mean())), 0)
    metrics = champion.manifest.metrics
    rows, positives = metrics.get("rows/test"), metrics.get("positives/test")
    return LabelRate(positives / rows, int(rows)) if rows and positives is not None else UNKNOWN


def learned_stores(champion: Bundle) -> pa.Table | None:
    """The stores that a forecast of sites rests on; None of any other model."""
    content = champion.tables.get(LEARNED)
    return None if content is None else pq.read_table(pa.BufferReader(content))


def label_rates(rate: LabelRate, champion: Bundle | None) -> dict[str, float]:
    """The figures that the gate of the label rate asks a manifest for; what is not known is left out."""
    then = UNKNOWN if champion is None else rate_of_champion(champion)
    told = {RATE: rate.value, RATE_THEN: then.value}
    if not math.isnan(rate.value + then.value):
        told[RATE_BY_CHANCE] = by_chance(rate, then)
    return {name: value for name, value in told.items() if not math.isnan(value)}


def by_chance(rate: LabelRate, then: LabelRate) -> float:
    """Half the 95 % interval of the difference of two shares that are the same (pooled, normal); 0 of no shares.

    >>> round(by_chance(LabelRate(0.2, 100), LabelRate(0.1, 100)), 4)
    0.099
    """
    if not rate.rows or not then.rows:
        return 0.0
    pooled = (rate.value * rate.rows + then.value * then.rows) / (rate.rows + then.rows)
    return _BY_CHANCE * math.sqrt(pooled * (1 - pooled) * (1 / rate.rows + 1 / then.rows))
