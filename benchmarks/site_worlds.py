"""Forecasts of sites in simulated cities, where the truth is known: error, coverage, and what sites take from sisters.

The truth (`truth/` beside the tables) judges and teaches nothing. Held-out figures are those of compact stretches of
town; what random folds would have claimed stands beside them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq

from data.sources import open_folder
from data.world.request import Request
from data.world.simulation import simulate
from training.export import Candidates, SiteScorer
from training.interval import Resampling, of_mean
from training.sites.pipeline import RULE, fit_site, read_tables
from training.sites.release import release_sites
from training.tasks.site import TASK

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from data.sources import DataSet

SEEDS = (1, 2, 3, 4, 5)
HELD_OUT = ("mape", "rmse_log", "rank_correlation", "coverage_80", "coverage_90", "moran_of_residuals")


def measure(folders: Sequence[Path]) -> dict[str, object]:
    """Figures of every world of a list, each with its interval, and their means over the worlds.

    Args:
        folders: Folders of simulated worlds with their truth beside the tables.
    """
    worlds = [_world(folder) for folder in folders]
    return {"worlds": worlds, "mean": {name: _mean(worlds, name) for name in worlds[0]}}


def simulated(home: Path, seeds: Sequence[int] = SEEDS) -> list[Path]:
    """Small worlds of `world/v1`: their cities are those of large ones of the same seed."""
    folders = [home / f"seed-{seed}" for seed in seeds]
    for folder, seed in zip(folders, seeds, strict=True):
        simulate(Request(preset="world/v1", members=500, days=42, seed=seed), folder)
    return folders


def _world(folder: Path) -> dict[str, object]:
    data_set = open_folder(folder)
    fitted = fit_site(TASK, data_set)
    record = fitted.record
    by_rule = record.baselines[RULE]
    with TemporaryDirectory() as aside:
        scorer = SiteScorer(release_sites(fitted, Path(aside)))
    return {
        **{name: record.metrics[name].as_dict() for name in HELD_OUT},
        "rule_mape": by_rule["mape"].as_dict(),
        "gain_over_rule": by_rule["gain_mape"].as_dict(),
        "random_folds_mape": record.slices["folds"]["random"]["mape"].as_dict(),
        **_sites(scorer, data_set, folder),
    }


def _sites(scorer: SiteScorer, data_set: DataSet, folder: Path) -> dict[str, object]:
    """Candidates, which no model saw, against what is true of them; intervals resample candidates."""
    table = read_tables(data_set)["sites"]
    truth = _by_key(
        pq.read_table(folder / "truth" / "sites.parquet"), [str(one) for one in table["site_id"].to_pylist()]
    )
    area = table["area_m2"].to_numpy()
    candidates = Candidates.of(
        table["lat"].to_numpy(), table["lon"].to_numpy(), format=table["format"].to_pylist(), area_m2=area
    )
    said = scorer.forecast(candidates)
    revenue, taken = truth["expected_yearly_revenue_fen"], truth["taken_fen"]
    lost = (scorer.lost_shares(candidates) * scorer.stores.revenue_fen).sum(axis=1)
    draws = Resampling(np.arange(len(revenue)), np.random.default_rng(0))
    figures = {
        "candidate_mape": np.abs(said.revenue_fen / revenue - 1),
        "candidate_coverage_80": (said.low_80 <= revenue) & (revenue <= said.high_80),
        "candidate_coverage_90": (said.low_90 <= revenue) & (revenue <= said.high_90),
        "cannibalisation_error": np.abs(lost - taken) / taken.mean(),
        "cannibalisation_bias": (lost - taken) / taken.mean(),
        "cannibalisation_ignored_error": taken / taken.mean(),
        "out_of_range_share": said.out_of_range,
    }
    return {name: of_mean(values.astype(np.float64), draws).as_dict() for name, values in figures.items()}


def _by_key(table: pa.Table, keys: list[str]) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    place = {one: number for number, one in enumerate(table["site_id"].to_pylist())}
    rows = [place[one] for one in keys]
    names = ("expected_yearly_revenue_fen", "taken_fen")
    return {name: table[name].to_numpy().astype(np.float64)[rows] for name in names}


def _mean(worlds: Sequence[dict[str, object]], name: str) -> dict[str, float]:
    """Mean over worlds, with the smallest and the largest of them."""
    values = [dict(one[name])["value"] for one in worlds]  # type: ignore[call-overload]
    return {"value": float(np.mean(values)), "low": float(min(values)), "high": float(max(values))}


def main() -> None:
    """Measure the worlds of the command line, or simulate five."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "folders", nargs="*", type=Path, help="Worlds with their truth; five are made if none is given."
    )
    parser.add_argument("--quick", action="store_true", help="One world alone.")
    asked = parser.parse_args()
    with TemporaryDirectory() as home:
        folders = asked.folders or simulated(Path(home), SEEDS[: 1 if asked.quick else None])
        print(json.dumps(measure(folders)))


if __name__ == "__main__":
    main()
