"""A challenger beside the champion: what it said of the same scans, and what it would have done otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from training.monitoring.performance import draws, meant_by, metrics_of, money_of, stakes_of
from training.studentised import studentised

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from training.bundles import Bundle
    from training.interval import Interval
    from training.metrics import Metric
    from training.monitoring.served import Served
    from training.monitoring.truth import Truth
    from training.savings import Savings


@dataclass(frozen=True)
class Beside:
    """One other version.

    Attributes:
        version: Which.
        answered: How many decisions it answered itself, as a canary.
        compared: How many both versions said something of.
        difference: How much higher its chances are, in the mean.
        changed: On which share it would have acted otherwise; None where its bundle is gone.
        metrics: Its metrics where it is known what came, and `gain_METRIC`, the champion's lead over it, paired.
        money: What its actions would have earned beyond the champion's; or why nobody can say.
    """

    version: str
    answered: int
    compared: int
    difference: Interval
    changed: Interval | None
    metrics: Mapping[str, Interval]
    money: Savings | str


def beside(
    served: Served, truth: Truth, champion: Bundle, bundles: Mapping[str, Bundle], metrics: Sequence[Metric]
) -> tuple[Beside, ...]:
    """Every other version that said something of the week's scans, those with most to compare first."""
    name = champion.manifest.version
    others = sorted({*served.beside, *served.versions} - {name})
    found = [_compared(served, truth, champion, one, bundles.get(one), metrics) for one in others]
    return tuple(sorted((one for one in found if one is not None), key=lambda one: -one.compared))


def _compared(
    served: Served, truth: Truth, champion: Bundle, version: str, other: Bundle | None, metrics: Sequence[Metric]
) -> Beside | None:
    ours, theirs = served.score(champion.manifest.version), served.score(version)
    both = ~np.isnan(ours) & ~np.isnan(theirs)
    if not both.any():
        return None
    size, resampling = int(both.sum()), draws(served.unit[both])
    columns = [np.ones(size), theirs[both] - ours[both]]
    changed, money = None, f"the bundle of {version} is not there any more"
    saved: Savings | str = money
    if other is not None and other.manifest.payoff.actions == champion.manifest.payoff.actions:
        act = meant_by(champion.manifest, ours, stakes_of(served, champion.manifest))
        acts = meant_by(other.manifest, theirs, stakes_of(served, other.manifest))
        columns.append((act != acts)[both].astype(np.float64))
        saved = money_of(served, truth, champion.manifest, acts, act, both)
    measures = [lambda sums, place=place: sums[place] / sums[0] for place in range(1, len(columns))]
    difference, *rest = studentised(np.column_stack(columns), measures, resampling)
    if rest:
        changed = rest[0]
    told = metrics_of({"champion": ours, "challenger": theirs}, truth, served.unit, metrics, both)
    return Beside(
        version=version,
        answered=served.versions.get(version, 0),
        compared=size,
        difference=difference,
        changed=changed,
        metrics=told.get("challenger", {}),
        money=saved,
    )
