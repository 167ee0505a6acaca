"""How far a week's features and scores have moved from those that a version was judged on, chance aside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from scipy import stats

from training.export import Binning

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from training.bundles import Bundle

_SURE: Final = 0.975


@dataclass(frozen=True)
class Drifted:
    """Population stability indices of one version: 0 for no drift; by custom 0.1 is looked at and 0.25 acted on.

    Attributes:
        rows: How many decisions were counted.
        features: Of each feature, largest first.
        score: Of the score.
        weighted: The mean of the features', each counting as much as the version leans on it; None where unknown.
        chance: What the score's reaches by chance alone, in all but one case of forty.
        chances: Likewise of each feature, all of them together.
    """

    rows: int
    features: Mapping[str, float]
    score: float
    weighted: float | None
    chance: float
    chances: Mapping[str, float]


def drifted(bundle: Bundle, counts: NDArray[np.int64]) -> Drifted | None:
    """The drift of a week.

    Args:
        bundle: The version.
        counts: How the week fell into its bins, shape (features + 1, bins).

    Returns:
        None where the bundle does not say how things were, or nothing was counted.
    """
    reference, rows = bundle.manifest.reference, int(counts[-1].sum()) if len(counts) else 0
    if reference is None or not rows:
        return None
    index = Binning(reference).psi(counts).tolist()
    names, spreads = bundle.manifest.feature_names, (*reference.features, reference.score)
    sure = 1 - (1 - _SURE) / len(names)
    chances = [_by_chance(one.counts, rows, sure) for one in spreads[:-1]]
    order = sorted(range(len(names)), key=lambda place: -index[place])
    features = {names[place]: index[place] for place in order}
    return Drifted(
        rows=rows,
        features=features,
        score=index[-1],
        weighted=_weighted(features, bundle.manifest.metrics),
        chance=_by_chance(reference.score.counts, rows, _SURE),
        chances={names[place]: chances[place] for place in order},
    )


def _by_chance(counts: tuple[int, ...], rows: int, sure: float) -> float:
    """What the index reaches where nothing moved: the sum of two samples' squared errors is nearly chi-squared.

    Yurdakul, "Statistical properties of population stability index", Western Michigan University, 2018.
    """
    bins = sum(count > 0 for count in counts)
    if bins < 2:
        return 0.0
    return float(stats.chi2.ppf(sure, bins - 1)) * (1 / rows + 1 / sum(counts))


def _weighted(index: Mapping[str, float], metrics: Mapping[str, float]) -> float | None:
    weights = {name: metrics.get(f"attribution/{name}", 0.0) for name in index}
    total = sum(weights.values())
    return sum(index[name] * weight for name, weight in weights.items()) / total if total else None
