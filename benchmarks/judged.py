"""What was said of the scans of a world, held against the truth: by family, by crowd, and in money.

A model is given to these judges as a function from a world and a moment to what it says of the scans from then on. It
sees the tables only; the truth lies in a folder of its own and is read here alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.truth import ALL, HONEST, Scans, judge, truth_table
from data.errors import DataError
from data.world.almanac import DAY_US
from training.interval import Interval, Resampling, compare, of_mean
from training.metrics import Judged, average_precision, tpr_at
from training.payoff import Stakes, earnings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from numpy.typing import NDArray

    from data.sources import DataSet
    from training.payoff import Payoff

METRICS: Final = (tpr_at(0.001), tpr_at(0.01), average_precision)
RESAMPLES: Final = 1_000
MODEL: Final = "model"


@dataclass(frozen=True)
class Said:
    """What a model and its rivals say of scans.

    Attributes:
        scan_id: Which scans, shape (rows,).
        scores: Higher is more suspicious, shape (rows,) each; the model first.
        action: What the model does, an index into the pay-off's actions, shape (rows,); None where it only scores.
    """

    scan_id: pa.Array[Any]
    scores: Mapping[str, NDArray[np.float64]]
    action: NDArray[np.int64] | None = None


Fit = Callable[["DataSet", "datetime"], Said]
"""Learns from what a world's tables held before a moment, and says something of every scan from then on."""


@dataclass(frozen=True)
class Truth:
    """The scans from a moment on, as only the simulation knows them.

    Attributes:
        scans: Who made each, for `benchmarks.truth.judge`; all of them are judged.
        prize_fen: What each won.
        day: The day of arrival of each, counted from the moment.
    """

    scans: Scans
    prize_fen: NDArray[np.float64]
    day: NDArray[np.int64]
    label: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        """The wool party is what is looked for."""
        object.__setattr__(self, "label", self.scans.wool.astype(np.float64))

    def resampling(self, seed: int, resamples: int = RESAMPLES) -> Resampling:
        """Draws of whole rings, members outside them: the same for the same seed."""
        return Resampling(self.scans.unit, np.random.default_rng(seed), resamples)


def read_truth(world: DataSet, truth: Path, since: datetime, said: pa.Array[Any]) -> Truth:
    """The truth about the scans that arrived from a moment on, in the order of what was said of them.

    Args:
        world: The tables.
        truth: The folder of truth that `shepherd simulate` wrote beside them.
        since: The moment.
        said: The scan_id of each scan that a model said something of.

    Raises:
        DataError: Some scan was left out, said twice or never made: nobody may choose what is judged.
    """
    with world.connect() as connection:
        table: pa.Table = connection.sql(
            f"""
            SELECT scan_id, family, crowd, coalesce('ring ' || ring_id, 'member ' || member_id, scan_id) AS unit,
                prize_fen, (epoch_us(coalesce(received_at, ts)) - epoch_us($since)) // {DAY_US} AS day
            FROM scans JOIN {truth_table(truth, "scans")} AS truth USING (scan_id)
            WHERE coalesce(received_at, ts) >= $since
            QUALIFY row_number() OVER (PARTITION BY scan_id ORDER BY coalesce(received_at, ts)) = 1
            """,
            params={"since": since},
        ).to_arrow_table()
    place = pc.index_in(said, table["scan_id"].combine_chunks())
    repeated = len(said) - pc.count_distinct(said).as_py()
    missing = table.num_rows - (len(said) - repeated - place.null_count)
    if place.null_count or missing or repeated:
        raise DataError(
            f"judging scans from {since:%Y-%m-%d %H:%M} on: found {missing} left out, {repeated} said twice and "
            f"{place.null_count} that were not made then, expected each of {table.num_rows} once; let the model say "
            "something of every scan"
        )
    rows = table.take(place)
    none = np.full(rows.num_rows, fill_value=False)
    scans = Scans(
        rows=rows.select(["scan_id"]),
        family=np.asarray(rows["family"].to_pylist(), np.str_),
        crowd=np.asarray(rows["crowd"].to_pylist(), np.str_),
        unit=rows["unit"].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64),
        test=~none,
        known_wool=none,
        known_audited=none,
        holds={},
    )
    return Truth(scans, rows["prize_fen"].cast(pa.float64()).to_numpy(), rows["day"].to_numpy().astype(np.int64))


def ranking(said: Said, truth: Truth, seed: int, resamples: int = RESAMPLES) -> dict[str, dict[str, Interval]]:
    """Every metric of the model and of each rival, and the model's paired gain, as `training.interval.compare`."""
    return compare(truth.label, said.scores, METRICS, truth.resampling(seed, resamples))


def by_family(score: NDArray[np.float64], truth: Truth, seed: int, resamples: int = RESAMPLES) -> dict[str, Interval]:
    """The share of each family's scans caught while at most 0.1 % of honest ones is; `all` first."""
    caught, _ = judge(truth.scans, score, np.random.default_rng(seed), resamples=resamples)
    return caught


def honest_blocked(
    blocked: NDArray[np.bool_], truth: Truth, seed: int, resamples: int = RESAMPLES
) -> dict[str, Interval]:
    """The share of honest scans blocked in each crowd, `none` being everyone else; `all` first."""
    honest = truth.scans.family == HONEST
    crowds = {name: honest & (truth.scans.crowd == name) for name in np.unique(truth.scans.crowd[honest]).tolist()}
    return {
        name: of_mean(
            blocked[inside].astype(np.float64),
            Resampling(truth.scans.unit[inside], np.random.default_rng(seed), resamples),
        )
        for name, inside in {ALL: honest, **crowds}.items()
    }


def money(
    action: NDArray[np.int64], payoff: Payoff, truth: Truth, seed: int, resamples: int = RESAMPLES
) -> dict[str, Interval]:
    """What actions save against paying everything: `fen_a_thousand` scans, and `share` of what a perfect judge would.

    A perfect judge knows who made a scan and takes the action worth most.
    """
    worth = earnings(payoff, truth.label, Stakes(truth.prize_fen))
    rows = np.arange(len(worth))
    saved = np.column_stack((worth[rows, action] - worth[:, 0], worth.max(axis=1) - worth[:, 0], np.ones(len(worth))))
    whole = saved.sum(axis=0)
    drawn = np.concatenate(list(truth.resampling(seed, resamples).sums(saved)))
    return {
        "fen_a_thousand": _ratio(1_000 * whole[0], whole[2], 1_000 * drawn[:, 0], drawn[:, 2]),
        "share": _ratio(whole[0], whole[1], drawn[:, 0], drawn[:, 1]),
    }


def of_what_is_reached(
    score: NDArray[np.float64], best: NDArray[np.float64], truth: Truth, seed: int, resamples: int = RESAMPLES
) -> Interval:
    """The share caught at 0.1 % of honest scans, as a share of what another score catches; on the same draws."""
    ours, theirs = Judged(truth.label, score), Judged(truth.label, best)
    metric = METRICS[0]
    drawn = [
        (metric.measure(ours, one), metric.measure(theirs, one)) for one in truth.resampling(seed, resamples).weights()
    ]
    above, below = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    return _ratio(metric.of(truth.label, score), metric.of(truth.label, best), above, below)


def picked_a_day(score: NDArray[np.float64], truth: Truth, most: int = 100) -> NDArray[np.bool_]:
    """The scans that a desk would look at: so many of each day, the most suspicious first."""
    order = np.lexsort((-score, truth.day))
    starts = np.searchsorted(truth.day[order], truth.day[order], side="left")
    picked = np.full(len(score), fill_value=False)
    picked[order] = np.arange(len(score)) - starts < most
    return picked


def precision_a_day(
    score: NDArray[np.float64], truth: Truth, seed: int, most: int = 100, resamples: int = RESAMPLES
) -> Interval:
    """The share of wool-party scans among those that a desk would look at."""
    picked = picked_a_day(score, truth, most)
    units = Resampling(truth.scans.unit[picked], np.random.default_rng(seed), resamples)
    return of_mean(truth.label[picked], units)


def top_calibration(
    probability: NDArray[np.float64], truth: Truth, seed: int, share: float = 0.01, resamples: int = RESAMPLES
) -> Interval:
    """How far the chance that is said lies above what comes true, in the likeliest scans; 0 is best."""
    top = np.argsort(-probability, kind="stable")[: max(1, round(share * len(probability)))]
    units = Resampling(truth.scans.unit[top], np.random.default_rng(seed), resamples)
    return of_mean(probability[top] - truth.label[top], units)


def together(intervals: Sequence[Interval]) -> Interval:
    """The mean of figures of worlds that know nothing of each other: their errors add up as squares.

    >>> str(together([Interval(0.5, 0.4, 0.6), Interval(0.7, 0.6, 0.8)]))
    '0.600 [0.529, 0.671]'
    """
    value, low, high = (np.array([getattr(one, name) for one in intervals]) for name in ("value", "low", "high"))
    mean, size = float(value.mean()), len(intervals)
    return Interval(
        mean,
        mean - float(np.sqrt(((value - low) ** 2).sum())) / size,
        mean + float(np.sqrt(((high - value) ** 2).sum())) / size,
    )


def _ratio(above: float, below: float, drawn: NDArray[np.float64], by: NDArray[np.float64]) -> Interval:
    usable = by > 0
    if not below > 0 or not usable.any():
        return Interval(float("nan"), float("nan"), float("nan"))
    low, high = np.percentile(drawn[usable] / by[usable], [2.5, 97.5])
    return Interval(float(above / below), float(low), float(high))
