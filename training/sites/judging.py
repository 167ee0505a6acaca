"""How well sales of stores are forecast where the neighbourhood was held back, with intervals by stretch of town."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from features.distance import degrees_apart_km
from training.interval import Interval, Resampling

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from training.sites.study import HeldOut

    Floats = NDArray[np.float64]

NEIGHBOURS = 6
"""How many nearest stores Moran's I looks at."""

SMALLER_IS_BETTER = ("mape", "rmse_log", "error_fen")
SMALLEST_SLICE = 20
FEWEST_STRETCHES = 3


def compare_sites(
    log_revenue: Floats, forecasts: Mapping[str, Floats], held: HeldOut, units: NDArray[np.int64], seed: int
) -> dict[str, dict[str, Interval]]:
    """Every figure of every forecast on the same draws of stretches of town, and the first one's gain over the others.

    Args:
        log_revenue: Logarithm of what each store sells in a year, shape (stores,).
        forecasts: Yearly revenue in fen by each way of forecasting, the model first.
        held: What the model said, for its intervals.
        units: Stretch of town of each store; what is drawn.
        seed: Where chance starts.
    """
    draws = np.concatenate(list(Resampling(units, np.random.default_rng([seed, 1])).weights()))
    first = next(iter(forecasts))
    drawn = {name: _figures(log_revenue, one, draws) for name, one in forecasts.items()}
    whole = {name: _figures(log_revenue, one, np.ones((1, len(units)))) for name, one in forecasts.items()}
    found: dict[str, dict[str, Interval]] = {}
    for name in forecasts:
        found[name] = {metric: _interval(whole[name][metric][0], drawn[name][metric]) for metric in whole[name]}
        if name == first:
            found[name] |= coverages(log_revenue, held, draws)
            continue
        for metric in whole[name]:
            sign = -1.0 if metric in SMALLER_IS_BETTER else 1.0
            gain = sign * (whole[first][metric] - whole[name][metric])
            drawn_gain = sign * (drawn[first][metric] - drawn[name][metric])
            found[name][f"gain_{metric}"] = _interval(gain[0], drawn_gain)
    return found


def coverages(log_revenue: Floats, held: HeldOut, draws: Floats) -> dict[str, Interval]:
    """Which share of held-out stores lies inside each interval, and how wide it is as a share of the forecast."""
    found = {}
    for level, (low, high) in held.intervals.items():
        inside = ((low <= log_revenue) & (log_revenue <= high)).astype(np.float64)
        width = (np.exp(high) - np.exp(low)) / held.revenue_fen
        for name, values in ((f"coverage_{level * 100:.0f}", inside), (f"width_{level * 100:.0f}", width)):
            found[name] = _interval(float(values.mean()), draws @ values / draws.sum(axis=1))
    return found


def sliced_sites(
    log_revenue: Floats,
    held: HeldOut,
    units: NDArray[np.int64],
    columns: Mapping[str, NDArray[np.object_]],
    seed: int,
) -> dict[str, dict[str, dict[str, Interval]]]:
    """The model's figures of the stores of each value of each column, such as city and format.

    Values of too few stores, or of too few stretches of town to say how sure a figure is, are left out; so is a column
    in which all that is left is all there is.

    Args:
        log_revenue: Logarithm of what each store sells in a year, shape (stores,).
        held: What the model said.
        units: Stretch of town of each store; what is drawn.
        columns: By name, the value of each store; None where it is unknown.
        seed: Where chance starts.
    """
    found: dict[str, dict[str, dict[str, Interval]]] = {}
    for name, values in columns.items():
        known = sorted({str(one) for one in values if one is not None})
        inside = {value: values == value for value in known}
        told = {
            value: rows
            for value, rows in inside.items()
            if rows.sum() >= SMALLEST_SLICE and len(np.unique(units[rows])) >= FEWEST_STRETCHES and not rows.all()
        }
        if told:
            found[name] = {
                value: compare_sites(log_revenue[rows], {"model": part.revenue_fen}, part, units[rows], seed)["model"]
                for value, rows, part in ((value, rows, held.at(rows)) for value, rows in told.items())
            }
    return found


def moran(values: Floats, lat: Floats, lon: Floats, generator: np.random.Generator) -> tuple[float, Interval]:
    """Moran's I of values over each store's nearest stores; near 0 where no neighbourhood was overlooked.

    Returns:
        The figure; and what values shuffled over the stores give, their mean and middle 95 %: it is no interval of the
        figure, but a figure inside it says nothing.
    """
    apart = degrees_apart_km(lat[:, None], lon[:, None], lat, lon)
    np.fill_diagonal(apart, np.inf)
    near = np.argsort(apart, axis=1, kind="stable")[:, :NEIGHBOURS]

    def of(one: Floats) -> float:
        centred = one - one.mean()
        return float((centred * centred[near].mean(axis=1)).sum() / (centred @ centred))

    shuffled = [of(generator.permutation(values)) for _ in range(999)]
    low, high = np.percentile(shuffled, [2.5, 97.5])
    return of(values), Interval(float(np.mean(shuffled)), float(low), float(high))


def people_rule(
    population: Floats, log_revenue: Floats, learned: Callable[[int], NDArray[np.intp]], fold: NDArray[np.int64]
) -> Floats:
    """The consultant's rule: sales follow the people within one kilometre; fen a year, shape (stores,).

    It is given its best chance: a line of log sales on log people, fitted on the same stores as the model.
    """
    people, said = np.log1p(population), np.empty(len(log_revenue))
    for one in np.unique(fold):
        seen, inside = learned(int(one)), fold == one
        slope, start = np.polyfit(people[seen], log_revenue[seen], 1)
        said[inside] = start + slope * people[inside]
    return np.exp(said)


def _figures(log_revenue: Floats, forecast: Floats, draws: Floats) -> dict[str, Floats]:
    """MAPE, RMSE of the logarithm, rank correlation and mean error in fen a year, one value a draw."""
    total, revenue = draws.sum(axis=1), np.exp(log_revenue)
    share = np.abs(forecast / revenue - 1)
    squared = (np.log(forecast) - log_revenue) ** 2
    return {
        "mape": draws @ share / total,
        "rmse_log": np.sqrt(draws @ squared / total),
        "rank_correlation": np.array([_rank_correlation(log_revenue, forecast, one) for one in draws]),
        "error_fen": draws @ np.abs(forecast - revenue) / total,
    }


def _rank_correlation(truth: Floats, said: Floats, weight: Floats) -> float:
    """Spearman's correlation where each store counts so many times."""
    one, other = _weighted_ranks(truth, weight), _weighted_ranks(said, weight)
    one, other = one - np.average(one, weights=weight), other - np.average(other, weights=weight)
    spread = np.sqrt((weight @ one**2) * (weight @ other**2))
    return float((weight * one) @ other / spread) if spread > 0 else float("nan")


def _weighted_ranks(values: Floats, weight: Floats) -> Floats:
    codes = np.unique(values, return_inverse=True)[1]
    counted = np.bincount(codes, weight)
    middle: Floats = (np.cumsum(counted) - counted / 2)[codes]
    return middle


def _interval(value: float, drawn: Floats) -> Interval:
    usable = drawn[~np.isnan(drawn)]
    low, high = np.percentile(usable, [2.5, 97.5]) if len(usable) else (np.nan, np.nan)
    return Interval(float(value), float(low), float(high))
