"""How far a week's features and scores have moved from those that a version was judged on, chance aside."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from training.formulas import Binning
from training.report.words import named

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from training.bundles import Bundle
    from training.report.words import Said

NO_REFERENCE: Final = "the bundle does not say how features and scores were spread over its test"
LEAST_ROWS: Final = 50
"""Below it the law of chance does not hold: chi-squared wants some five of every bin, and there are about ten."""
_SURE: Final = 0.975
_ROWS: Final = 1 << 10  # put into bins at a time


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
        called: What each feature is called in a sentence.
    """

    rows: int
    features: Mapping[str, float]
    score: float
    weighted: float | None
    chance: float
    chances: Mapping[str, float]
    called: Mapping[str, Said]

    def as_dict(self) -> dict[str, object]:
        """For JSON: the figures."""
        told = ("rows", "features", "score", "weighted", "chance", "chances")
        return {name: getattr(self, name) for name in told}


@dataclass
class Bins:
    """The bins of one version, and what fell into them.

    Attributes:
        binning: The bins.
        counts: What fell in, shape (features + 1, bins); whole after `settle`.
    """

    binning: Binning
    counts: NDArray[np.int64]
    _waiting: list[NDArray[np.float64]] = field(default_factory=list)
    _rows: int = 0

    @classmethod
    def of(cls, bundle: Bundle) -> Bins | None:
        """Empty ones; None where the bundle does not say how things were."""
        reference = bundle.manifest.reference
        if reference is None:
            return None
        binning = Binning(reference)
        return cls(binning, np.zeros_like(binning.expected))

    def add(self, features: bytes, scores: Sequence[float]) -> None:
        """Take in rows as a record keeps them; none where their number is another than that of the scores.

        Args:
            features: Float32, little-endian, row after row.
            scores: What was said of each.
        """
        width = self.binning.columns - 1
        if not scores or len(features) != 4 * width * len(scores):
            return
        rows = np.frombuffer(features, "<f4").reshape(-1, width).astype(np.float64)
        self._waiting.append(np.column_stack((rows, np.asarray(scores, np.float64))))
        self._rows += len(scores)
        if self._rows >= _ROWS:
            self.settle()

    def settle(self) -> NDArray[np.int64]:
        """Count what waits."""
        if self._waiting:
            self.counts += self.binning.counts(np.concatenate(self._waiting))
            self._waiting, self._rows = [], 0
        return self.counts


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
        called={one.name: named(one) for one in bundle.manifest.features},
    )


def too_few(found: Drifted | None) -> dict[str, str]:
    """Why no limit is held against the drift, by name, as `skipped` tells it; nothing where limits are held."""
    if found is None or found.rows >= LEAST_ROWS:
        return {}
    return {"limits of drift": f"{found.rows} rows: below {LEAST_ROWS} nobody can tell drift from chance"}


def _by_chance(counts: tuple[int, ...], rows: int, sure: float) -> float:
    """What the index reaches where nothing moved: the sum of two samples' squared errors is nearly chi-squared.

    Yurdakul, "Statistical properties of population stability index", Western Michigan University, 2018.
    """
    from scipy import stats

    bins = sum(count > 0 for count in counts)
    if bins < 2:
        return 0.0
    return float(stats.chi2.ppf(sure, bins - 1)) * (1 / rows + 1 / sum(counts))


def _weighted(index: Mapping[str, float], metrics: Mapping[str, float]) -> float | None:
    weights = {name: metrics.get(f"attribution/{name}", 0.0) for name in index}
    total = sum(weights.values())
    return sum(index[name] * weight for name, weight in weights.items()) / total if total else None
