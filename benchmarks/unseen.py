"""Families of the wool party that nobody had seen when the model was made.

For each family a world is made in which it starts its work on the day of the cut: no scan, verdict or member of it
taught anything, while all others went on as ever. What is caught of it afterwards is caught by what it shares with
them, or by verdicts that landed since.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from benchmarks.judged import RESAMPLES, by_family, read_truth, together
from benchmarks.truth import HONEST
from data.sources import open_folder
from data.world.almanac import DAY_US, START_US
from data.world.records import FAMILIES
from data.world.simulation import simulate
from data.world.truth import FOLDER

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.judged import Fit
    from data.world.request import Request
    from training.interval import Interval

WOOL: Final = tuple(name for name in FAMILIES if name != HONEST)
MEAN: Final = "mean"


def morning(day: int) -> datetime:
    """When a day of the world begins, counted from 0."""
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=START_US + day * DAY_US)


def unseen_families(
    fit: Fit,
    request: Request,
    cut: int,
    folder: Path,
    families: Sequence[str] = WOOL,
    resamples: int = RESAMPLES,
) -> dict[str, Interval | None]:
    """The share of each unseen family's scans caught at 0.1 % of honest ones, and the mean of all of them.

    Args:
        fit: What learns; its first score is judged.
        request: The world.
        cut: The day on which the family arrives and learning ends.
        folder: Where worlds are made, one after the other.
        families: Which are tried.
        resamples: How many draws.

    Returns:
        By family, and `mean` over those that made any scan; None for one that made none.
    """
    found: dict[str, Interval | None] = {}
    for family in families:
        home = folder / family
        simulate(replace(request, arrive={**request.arrive, family: cut}), home)
        world = open_folder(home)
        said = fit(world, morning(cut))
        truth = read_truth(world, home / FOLDER, morning(cut), said.scan_id)
        score = next(iter(said.scores.values()))
        found[family] = by_family(score, truth, request.seed, resamples).get(family)
        shutil.rmtree(home)
    made = [one for one in found.values() if one is not None and not np.isnan(one.value)]
    return {MEAN: together(made) if made else None, **found}
