"""Judges the fraud task by the truth: against every baseline, unseen families, attackers that adapt, and in money.

    python -m benchmarks.fraud            # an hour or two: three worlds of a million scans, nine of an unseen family
    python -m benchmarks.fraud --quick    # one small world, two unseen families, two weeks of an adapting wool party
    python -m benchmarks.fraud --world DIR    # judges on a world that is there

Prints one JSON object, last. The model learns from what the tables held two weeks before the end and is judged by the
truth on every scan since; intervals resample rings, members outside them, and where worlds are averaged their errors
add up as squares. What was not measured is null, its reason under `skipped`.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import sys
import tempfile
from contextlib import nullcontext, redirect_stderr
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from benchmarks import adapting
from benchmarks.adapting import play_arms
from benchmarks.bots import bot_bidders_auc
from benchmarks.clicks import clicks
from benchmarks.flash import OVERRUN
from benchmarks.flash import measure as measure_sales
from benchmarks.judged import (
    MODEL,
    RESAMPLES,
    by_family,
    honest_blocked,
    money,
    of_what_is_reached,
    precision_a_day,
    ranking,
    read_truth,
    together,
    top_calibration,
)
from benchmarks.learned import AtSales, fitted, learn
from benchmarks.margins import real_data
from benchmarks.truth import ALL, TEST_DAYS
from benchmarks.unseen import WOOL, morning, unseen_families
from data.errors import DataError
from data.sources import open_folder
from data.world.request import Request
from data.world.simulation import RECORD, simulate
from data.world.truth import FOLDER
from training.interval import Interval

if TYPE_CHECKING:
    from collections.abc import Sequence

PRESET: Final = "world/v1"
MONTH: Final = timedelta(days=30)
_MONTH_OLD: Final = "month_old"
_STOCK: Final = ("flash_sale_stock_share", "queued_stock_share", "rate_limit_stock_share")
_JUDGES: Final = 20250303
_OTHER_PEOPLE: Final = 10
"""Added to a world's seed for the flash sales that its model judges, that nobody in them was learned from."""


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        members: Honest members of each world.
        days: Its length.
        seeds: Of the worlds.
        unseen: Families that are tried as unseen, each in a world of its own.
        unseen_members: Honest members of those worlds.
        resamples: How many draws an interval takes.
        adapting: The world whose wool party adapts.
    """

    members: int = 43_500
    days: int = 90
    seeds: tuple[int, ...] = (1, 2, 3)
    unseen: tuple[str, ...] = WOOL
    unseen_members: int = 10_000
    resamples: int = RESAMPLES
    adapting: adapting.Size = adapting.FULL


FULL: Final = Plan()
QUICK: Final = Plan(
    members=6_000,
    days=45,
    seeds=(1,),
    unseen=("device_farm", "store_clerks"),
    unseen_members=6_000,
    resamples=200,
    adapting=adapting.QUICK,
)


def judge(folder: Path, days: int, resamples: int = RESAMPLES, sales: Path | None = None) -> dict[str, Any]:
    """The fraud task on one world: nested figures, each an `Interval`.

    Args:
        folder: Where `shepherd simulate` wrote it.
        days: Its length; the last fourteen are judged.
        resamples: How many draws.
        sales: Another world, whose flash sales the model judges too; none if not given.
    """
    world, since = open_folder(folder), morning(days - TEST_DAYS)
    with tempfile.TemporaryDirectory(prefix="shepherd-learned-") as home:
        learned = learn(world, since, Path(home))
        said = learned.said(0)
        best = learned.told(folder / FOLDER, 0)
        scores = {**said.scores, **_month_old(folder, days, Path(home))}
    truth = read_truth(world, folder / FOLDER, since, said.scan_id)
    figures = ranking(replace(said, scores=scores), truth, _JUDGES, resamples)
    model, payoff = scores[MODEL], learned.task.payoff
    found: dict[str, Any] = {
        **figures.pop(MODEL),
        "baselines": figures,
        "truth_label_share": of_what_is_reached(model, best, truth, _JUDGES, resamples),
        "families": by_family(model, truth, _JUDGES, resamples),
        "precision_at_100_a_day": precision_a_day(model, truth, _JUDGES, resamples=resamples),
        "calibration_error_top_1_percent": top_calibration(model, truth, _JUDGES, resamples=resamples),
    }
    if said.action is not None:
        saved = money(said.action, payoff, truth, _JUDGES, resamples)
        harmed = np.isin(said.action, [payoff.actions.index(name) for name in payoff.cap.actions] if payoff.cap else [])
        found |= {
            "money_share": saved["share"],
            "money_fen_a_thousand": saved["fen_a_thousand"],
            "honest_blocked": honest_blocked(harmed, truth, _JUDGES, resamples),
        }
    if sales is not None:
        stock = measure_sales([], [sales], AtSales(learned.fitted.model))
        found |= {name: Interval(**stock[name]) for name in _STOCK}
    del found["families"][ALL]
    return found


def _month_old(folder: Path, days: int, home: Path) -> dict[str, Any]:
    """What the model of a month before would say of the same scans; nothing where there was nothing to learn from."""
    since = morning(days - TEST_DAYS)
    try:
        older = learn(open_folder(folder), since - MONTH, home)
    except DataError as refusal:
        _tell("no model of a month before", {"reason": str(refusal)})
        return {}
    return {_MONTH_OLD: older.since(since).score()}


def over_worlds(worlds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The mean of each figure over the worlds that have it."""
    names = dict.fromkeys(name for world in worlds for name in world)
    joined: dict[str, Any] = {}
    for name in names:
        values = [world[name] for world in worlds if name in world]
        known = [one for one in values if isinstance(one, Interval) and not np.isnan(one.value)]
        joined[name] = over_worlds(values) if isinstance(values[0], dict) else together(known) if known else None
    return joined


def measure(plan: Plan, folder: Path, real: Path) -> dict[str, Any]:
    """All figures; see DESIGN.md, section 9."""
    skipped: dict[str, str] = {}
    worlds = []
    for seed in plan.seeds:
        home, sales = folder / f"seed-{seed}", folder / f"sales-{seed}"
        simulate(Request(PRESET, plan.members, plan.days, seed), home)
        simulate(Request(OVERRUN, plan.members, plan.days, seed + _OTHER_PEOPLE), sales)
        worlds.append(judge(home, plan.days, plan.resamples, sales))
        _tell(f"world of seed {seed}", as_json(worlds[-1]))
        for made in (home, sales):
            shutil.rmtree(made)
    request = Request(PRESET, plan.unseen_members, plan.days, plan.seeds[0])
    unseen = unseen_families(fitted, request, plan.days - TEST_DAYS, folder, plan.unseen, plan.resamples)
    skipped |= {f"unseen_families.{name}": "too long for --quick" for name in WOOL if name not in plan.unseen}
    return {
        **without_a_figure(over_worlds(worlds), skipped),
        "unseen_families": unseen,
        "adapting": play_arms(plan.adapting, plan.seeds[0], folder, plan.resamples),
        **real_proxies(real, skipped),
        "skipped": skipped,
    }


def without_a_figure(found: dict[str, Any], skipped: dict[str, str]) -> dict[str, Any]:
    """The figures with null for each that is not there; `skipped` is told why."""
    stock = {name: found.get(name) for name in _STOCK}
    missing = {name: "no world with flash sales beside the one that is judged" for name in _STOCK if not stock[name]}
    baselines = dict(found["baselines"])
    if baselines.setdefault(_MONTH_OLD, None) is None:
        missing[f"baselines.{_MONTH_OLD}"] = "the world is too short for a model to be a month old"
    skipped |= missing
    return {**found, "baselines": baselines, **stock}


def real_proxies(real: Path, skipped: dict[str, str]) -> dict[str, Any]:
    """What real data can say; what it cannot is named in `skipped`."""
    found = {"bot_bidders_auc": bot_bidders_auc(real, np.random.default_rng(_JUDGES)), "clicks": clicks(real)}
    skipped |= {name: f"found no such data under {real}" for name, one in found.items() if one is None}
    return found


def as_json(figures: Any) -> Any:  # noqa: ANN401 - nested as deep as the figures are
    """Intervals as their three numbers, rounded; what is not known as null."""
    if isinstance(figures, Interval):
        return {name: None if np.isnan(one) else round(one, 4) for name, one in figures.as_dict().items()}
    return {name: as_json(one) for name, one in figures.items()} if isinstance(figures, dict) else figures


def _tell(what: str, figures: dict[str, Any]) -> None:
    print(f"{what}:", json.dumps(figures), file=sys.stderr, flush=True)


def _asked_for(asked: argparse.Namespace) -> dict[str, Any]:
    plan = QUICK if asked.quick else FULL
    if asked.world:
        other = ("unseen_families", "adapting")
        skipped = dict.fromkeys(other, "judged a world that is there")
        days = json.loads((asked.world / RECORD).read_text(encoding="utf-8"))["request"]["days"]
        found = without_a_figure(over_worlds([judge(asked.world, days, plan.resamples)]), skipped)
        return {
            **found,
            "unseen_families": None,
            "adapting": None,
            **real_proxies(asked.real, skipped),
            "skipped": skipped,
        }
    with tempfile.TemporaryDirectory(prefix="shepherd-benchmark-") as temporary:
        folder = asked.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        return measure(plan, folder, asked.real)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fraud", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="the same keys within ten minutes")
    parser.add_argument("--json", action="store_true", help="say nothing on the way")
    parser.add_argument("--folder", type=Path, help="where worlds are made; by default a temporary one")
    parser.add_argument("--world", type=Path, help="judge on this world, make none")
    parser.add_argument("--real", type=Path, default=real_data(), help="the folder of real sets")
    asked = parser.parse_args()
    with redirect_stderr(io.StringIO()) if asked.json else nullcontext():
        result = as_json(_asked_for(asked))
    print(json.dumps(result | {"load_average": round(os.getloadavg()[0], 2)}))


if __name__ == "__main__":
    main()
