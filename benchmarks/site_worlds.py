"""Forecasts of sites in simulated cities, where the truth is known: error, coverage, cannibalisation, worth of a plan.

The truth (`truth/` beside the tables) judges and teaches nothing. Held-out figures are those of compact stretches of
town; what folds at random would have claimed stands beside them, and the consultant's rule: sales follow the people
within one kilometre. `plan_share` is the part of the best plan's true gain that the model's plan brings
(`benchmarks.network_plan`); `revealed_plan_share` that of the truth without sites' hidden quality and anybody's taste,
which no map tells.

    python -m benchmarks.site_worlds            # five worlds of world/v1
    python -m benchmarks.site_worlds --quick    # one
    python -m benchmarks.site_worlds FOLDER     # a world that is there, with its truth
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow.parquet as pq
from scipy.stats import t as student

from benchmarks import network_plan
from benchmarks.judged import together
from benchmarks.shown import as_dicts, plain
from data.sources import open_folder
from data.world.city import City
from data.world.preset import PRESETS
from data.world.request import Request
from data.world.simulation import RECORD, simulate
from training.export import Candidates, SiteScorer
from training.interval import Interval, Resampling, of_mean
from training.sites.pipeline import RULE, fit_site, read_tables
from training.sites.release import release_sites
from training.tasks.site import TASK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from data.sources import DataSet

SEEDS: Final = (1, 2, 3, 4, 5)
HELD_OUT: Final = ("mape", "rmse_log", "rank_correlation", "coverage_80", "coverage_90", "width_80", "width_90")
RANDOM: Final = ("mape", "coverage_80", "coverage_90")


def measure(folders: Sequence[Path]) -> dict[str, Any]:
    """Figures of worlds together, with intervals, and those of each.

    Args:
        folders: Folders of simulated worlds with their truth beside the tables.

    Returns:
        Means over the worlds. Intervals are of stretches of town and of candidates drawn anew within each world; of
        figures that a world has one number of (`plan_share`, Moran's I) Student's, over the worlds. Under `worlds`
        each world by itself.
    """
    worlds = [_world(folder) for folder in folders]
    return {name: over(worlds, name).as_dict() for name in worlds[0]} | {"worlds": [as_dicts(one) for one in worlds]}


def over(worlds: Sequence[Mapping[str, Interval]], name: str) -> Interval:
    """One figure over worlds that know nothing of each other."""
    found = [one[name] for one in worlds]
    if not any(np.isnan(one.low) for one in found):
        return together(found)
    values = np.array([one.value for one in found])
    half = np.nan
    if len(values) > 1:
        half = float(student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return Interval(float(values.mean()), float(values.mean() - half), float(values.mean() + half))


def simulated(home: Path, seeds: Sequence[int] = SEEDS) -> list[Path]:
    """Small worlds of `world/v1`: their cities are those of large ones of the same seed."""
    folders = [home / f"seed-{seed}" for seed in seeds]
    for folder, seed in zip(folders, seeds, strict=True):
        simulate(Request(preset="world/v1", members=500, days=42, seed=seed), folder)
    return folders


def city_of(folder: Path) -> City:
    """The cities of a world, drawn again from its record."""
    request = json.loads((folder / RECORD).read_text(encoding="utf-8"))["request"]
    return City(PRESETS[request["preset"]].city, request["seed"])


def _world(folder: Path) -> dict[str, Interval]:
    data_set = open_folder(folder)
    fitted = fit_site(TASK, data_set)
    record = fitted.record
    by_rule, by_lot = record.baselines[RULE], record.slices["folds"]["random"]
    with TemporaryDirectory() as aside:
        scorer = SiteScorer(release_sites(fitted, Path(aside)))
    shares = network_plan.measure(scorer, city_of(folder))
    found = {
        **{name: record.metrics[name] for name in HELD_OUT},
        **{f"rule_{name}": by_rule[name] for name in ("mape", "rmse_log", "rank_correlation")},
        "gain_over_rule": by_rule["gain_mape"],
        **{f"random_folds_{name}": by_lot[name] for name in RANDOM},
        "moran_of_residuals": _alone(record.metrics["moran_of_residuals"].value),
        **_sites(scorer, data_set, folder),
        "plan_share": _alone(shares["model"]),
        "rule_plan_share": _alone(shares["consultant"]),
        "revealed_plan_share": _alone(shares["revealed"]),
        "truth_told_plan_share": _alone(shares["truth"]),
    }
    print(folder.name, json.dumps(as_dicts(found)), file=sys.stderr, flush=True)
    return found


def _sites(scorer: SiteScorer, data_set: DataSet, folder: Path) -> dict[str, Interval]:
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
    return {name: of_mean(values.astype(np.float64), draws) for name, values in figures.items()}


def _by_key(table: pa.Table, keys: list[str]) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    place = {one: number for number, one in enumerate(table["site_id"].to_pylist())}
    rows = [place[one] for one in keys]
    names = ("expected_yearly_revenue_fen", "taken_fen")
    return {name: table[name].to_numpy().astype(np.float64)[rows] for name in names}


def _alone(value: float) -> Interval:
    """A figure of which a world has one number; how sure it is, other worlds say."""
    return Interval(value, float("nan"), float("nan"))


def main() -> None:
    """Measure the worlds of the command line, or simulate five."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "folders", nargs="*", type=Path, help="Worlds with their truth; five are made if none is given."
    )
    parser.add_argument("--quick", action="store_true", help="One world alone.")
    asked = parser.parse_args()
    with TemporaryDirectory() as home:
        folders = asked.folders or simulated(Path(home), SEEDS[: 1 if asked.quick else None])
        print(json.dumps(plain(measure(folders))))


if __name__ == "__main__":
    main()
