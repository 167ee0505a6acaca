"""Figures of a real set: drawn again for their intervals, and printed as one JSON object."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from benchmarks.margins import real_data
from training.interval import Interval

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from training.interval import Resampling

    Columns = Mapping[str, NDArray[np.float64]]

_TINY: Final = 1e-3


def of_sums(
    columns: Columns, figures: Callable[[Columns], Columns], resampling: Resampling
) -> dict[str, dict[str, float]]:
    """Figures that follow from sums over rows, such as a ratio, each with the middle 95 % over the draws.

    A draw in which a divisor is nothing does not count.

    Args:
        columns: Values of each row by name, shape (rows,) each.
        figures: Gives the figures by name from the sums by name; both have one value a draw.
        resampling: The draws.

    Returns:
        `value`, `low` and `high` of each figure.
    """
    table = np.column_stack(list(columns.values()))
    sums = np.concatenate((table.sum(axis=0)[None], *resampling.sums(table)))
    with np.errstate(divide="ignore", invalid="ignore"):
        found = figures(dict(zip(columns, sums.T, strict=True)))
    return {name: _interval(float(value[0]), value[1:]).as_dict() for name, value in found.items()}


def print_figures(prog: str, description: str, measure: Callable[[Path], dict[str, Any] | None]) -> None:
    """Measures on the real sets and prints; null without the data, with the machine's load beside it."""
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument("--real", type=Path, default=real_data(), help="the folder of real sets")
    found = measure(parser.parse_args().real)
    print(json.dumps({"figures": plain(found), "load_average": round(os.getloadavg()[0], 2)}))


def as_dicts(figures: Mapping[str, Interval]) -> dict[str, dict[str, float]]:
    """Intervals as their three numbers."""
    return {name: interval.as_dict() for name, interval in figures.items()}


def print_fitted(description: str, measure: Callable[[Path | None, int, int], dict[str, Any]], trials: int) -> None:
    """Fits where the command says, and prints what was found, with the machine's load beside it."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, help="Folder for tables, features and bundles; a temporary one if absent.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trials", type=int, default=trials)
    asked = parser.parse_args()
    found = measure(asked.home, asked.seed, asked.trials)
    print(json.dumps({**found, "load_average": os.getloadavg()[0]}, allow_nan=False))


def plain(figures: Any) -> Any:  # noqa: ANN401 - nested as deep as the figures are
    """The same figures, rounded to four decimals, tiny ones to two digits; what is not known as null."""
    if isinstance(figures, dict):
        return {name: plain(one) for name, one in figures.items()}
    if isinstance(figures, float):
        tiny = abs(figures) < _TINY
        return (float(f"{figures:.2g}") if tiny else round(figures, 4)) if np.isfinite(figures) else None
    return figures


def _interval(value: float, drawn: NDArray[np.float64]) -> Interval:
    known = drawn[np.isfinite(drawn)]
    low, high = np.percentile(known, [2.5, 97.5]) if len(known) else (np.nan, np.nan)
    return Interval(value, float(low), float(high))
