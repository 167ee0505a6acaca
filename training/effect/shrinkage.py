"""How much of a learned effect is believed: what two halves of the members agree on.

A model learned on one half of the members and one learned on the other err independently of each other. What their
effects have in common, from row to row, is there; what they do not is noise, and a model of all rows has half of it.
That says which part of a forest's differences within a segment is to be believed. The mean of a segment is measured by
doubly robust scores, which owe nothing to the learner judged. Where a segment has no rows there are no scores either:
how far the learner is to be believed there is told by how well it says the means of the others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from data.errors import DataError
from training.formulas import Division, Segment, Shrinkage, Shrunk, segment_count, segments_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.effect.model import EffectLearner, Trial

__all__ = [
    "Division",
    "Halves",
    "Segment",
    "Shrinkage",
    "Shrunk",
    "believed",
    "corrected",
    "halved",
    "segment_count",
    "segments_of",
]


@dataclass(frozen=True)
class Halves:
    """The effect of every row by two models, each learned on one half of the members.

    Attributes:
        first: What the model of the first half says, shape (rows,).
        second: What that of the second half says, shape (rows,).
        in_first: Whether the row is of the first half, shape (rows,).
        lost: The chance to be put off, by the model that did not learn from the row; None where it is not told.
    """

    first: NDArray[np.float64]
    second: NDArray[np.float64]
    in_first: NDArray[np.bool_]
    lost: NDArray[np.float64] | None = None

    @staticmethod
    def of(learner: EffectLearner, trial: Trial, unit: NDArray[np.int64], generator: np.random.Generator) -> Halves:
        """Learn on either half of the units and say the effect of all rows."""
        in_first = halved(unit, generator)
        models = [learner.learned(trial.at(half), generator) for half in (in_first, ~in_first)]
        first, second = (model.effect(trial.matrix) for model in models)
        lost = np.where(in_first, models[1].lost(trial.matrix), models[0].lost(trial.matrix))
        return Halves(first, second, in_first, lost)

    @property
    def unseen(self) -> NDArray[np.float64]:
        """What is said of each row by the model that did not learn from it, shape (rows,)."""
        return np.where(self.in_first, self.second, self.first)


def believed(
    halves: Halves,
    score: NDArray[np.float64],
    segment: NDArray[np.int64],
    unit: NDArray[np.int64],
    divisions: tuple[Division, ...] = (),
) -> Shrinkage:
    """What is to be believed of a model of all rows, by segment.

    Of a segment without rows the model is the only witness: it has its word, as in `corrected`.

    Args:
        halves: What models of either half say of each row.
        score: The doubly robust score of each row, shape (rows,).
        segment: Its segment, as `segments_of` gives it, shape (rows,).
        unit: Code of its independent unit (member), shape (rows,): rows of one unit count as one measurement.
        divisions: What makes a segment; none where all rows are one.

    Raises:
        DataError: Columns differ in length, or there are fewer than two rows.
    """
    found = _measured(halves, score, segment, unit, divisions)
    seen = np.bincount(segment, minlength=len(found.segments)) > 0
    if seen.all():
        return found
    told = corrected(halves, score, segment, unit, divisions).segments
    kept = zip(seen, found.segments, told, strict=True)
    return replace(found, segments=tuple(one if known else other for known, one, other in kept))


def corrected(
    halves: Halves,
    score: NDArray[np.float64],
    segment: NDArray[np.int64],
    unit: NDArray[np.int64],
    divisions: tuple[Division, ...] = (),
) -> Shrinkage:
    """As `believed`, of a model whose few weights a prior has drawn in already: its differences within a segment stand.

    Drawn together over the segments is what is measured beyond what a model that had not seen the row says of it: where
    the model has the level of a segment right, the noise of that segment's scores should not move it. A segment without
    rows is as unsure as such corrections differ between segments, not as effects do.
    """
    found = _measured(halves, score - halves.unseen, segment, unit, divisions)
    levels = tuple(replace(one, mean=one.centre + one.mean, slope=1.0) for one in found.segments)
    return replace(found, segments=levels)


def halved(unit: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.bool_]:
    """Whether each row is of one half of the units, drawn by chance; shape (rows,)."""
    codes, inverse = np.unique(unit, return_inverse=True)
    chosen = np.zeros(len(codes), np.bool_)
    chosen[generator.permutation(len(codes))[: len(codes) // 2]] = True
    return chosen[inverse]


def _measured(
    halves: Halves,
    score: NDArray[np.float64],
    segment: NDArray[np.int64],
    unit: NDArray[np.int64],
    divisions: tuple[Division, ...],
) -> Shrinkage:
    """What scores and halves show of each segment; one without rows has the common mean."""
    shapes = {one.shape for one in (halves.first, halves.second, halves.in_first, score, segment, unit)}
    if len(shapes) > 1 or score.ndim != 1 or len(score) < 2:
        raise DataError(
            f"Shrinkage: found effects, scores, segments and units of the shapes {sorted(shapes)}, expected one "
            "length, of two rows or more"
        )
    rows = np.bincount(segment, minlength=segment_count(divisions)).astype(np.float64)
    mean, mean_sd = _drawn_together(*_means(score, segment, unit, rows), rows)
    both = (halves.first + halves.second) / 2
    centre = _mean_of(both, segment, rows)
    real = _common(halves, segment, rows)
    noise = _mean_of((halves.unseen - _mean_of(halves.unseen, segment, rows)[segment]) ** 2, segment, rows) - real
    spread_squared = real + np.maximum(noise, 0.0) / 2
    slope = np.divide(real, spread_squared, out=np.zeros(len(rows)), where=spread_squared > 0)
    table = np.column_stack((mean, mean_sd, centre, np.sqrt(spread_squared), slope))
    return Shrinkage(divisions, tuple(Segment(*numbers) for numbers in table.tolist()))


def _common(halves: Halves, segment: NDArray[np.int64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The variance that both halves see within each segment, 0 where they see none."""
    first, second = (one - _mean_of(one, segment, rows)[segment] for one in (halves.first, halves.second))
    return np.maximum(_mean_of(first * second, segment, rows), 0.0)


def _mean_of(values: NDArray[np.float64], segment: NDArray[np.int64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of each segment, shape (segments,); 0 where there is no row."""
    sums = np.bincount(segment, values, len(rows))
    return np.divide(sums, rows, out=np.zeros(len(rows)), where=rows > 0)


def _means(
    score: NDArray[np.float64], segment: NDArray[np.int64], unit: NDArray[np.int64], rows: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean score of each segment and the variance of that mean, whole units being independent of each other."""
    mean = _mean_of(score, segment, rows)
    off, cell = _summed_by_unit(score - mean[segment], segment, unit)
    squares = np.bincount(cell, off**2, len(rows))
    variance = np.divide(squares, rows**2, out=np.full(len(rows), np.inf), where=rows > 1)
    return mean, np.where(variance > 0, variance, np.inf)


def _summed_by_unit(
    values: NDArray[np.float64], segment: NDArray[np.int64], unit: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The sum of each unit's values within each segment, and the segment of each sum."""
    cells, place = np.unique(np.stack((segment, unit)), axis=1, return_inverse=True)
    return np.bincount(place.ravel(), values).astype(np.float64), cells[0]


def _drawn_together(
    mean: NDArray[np.float64], variance: NDArray[np.float64], rows: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Segment means drawn towards their common mean, and how unsure each then is.

    How much segments really differ is what their means differ beyond their own variance (DerSimonian and Laird,
    "Meta-analysis in clinical trials", Controlled Clinical Trials 7, 1986). A segment without rows has the common mean.
    """
    told = (rows > 1) & np.isfinite(variance)
    if not told.any():
        return np.zeros(len(mean)), np.full(len(mean), 0.0)
    weight = 1.0 / variance[told]
    whole = float((weight * mean[told]).sum() / weight.sum())
    excess = float((weight * (mean[told] - whole) ** 2).sum()) - (np.count_nonzero(told) - 1)
    scale = weight.sum() - (weight**2).sum() / weight.sum()
    between = max(excess / scale, 0.0) if scale > 0 else 0.0
    precision = 1.0 / (variance[told] + between)
    common, common_variance = float((precision * mean[told]).sum() / precision.sum()), float(1.0 / precision.sum())
    own = np.zeros(len(mean))
    own[told] = between / (between + variance[told])
    drawn = own * np.where(told, mean, 0.0) + (1.0 - own) * common
    return drawn, np.sqrt(between * (1.0 - own) + (1.0 - own) ** 2 * common_variance)
