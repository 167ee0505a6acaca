"""How an effect is drawn towards the mean of its segment, by constants that training found and a bundle carries.

A forest's effect of one member is mostly noise; the mean effect of a segment is not. So of what the forest says beyond
its mean in the segment only a part is believed, and the mean itself is drawn towards the mean of all segments, the more
the fewer rows told it (empirical Bayes: Efron and Morris, "Stein's estimation rule and its competitors", Journal of the
American Statistical Association 68, 1973).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Division:
    """How one feature divides members into kinds.

    Attributes:
        feature: Its name.
        borders: Where one kind ends, rising: a value up to the first is of kind 0, as is one that is unknown.
    """

    feature: str
    borders: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse borders that are none."""
        if not self.borders or not (np.isfinite(self.borders).all() and (np.diff(self.borders) > 0).all()):
            raise UsageError(
                f"Division of {self.feature!r}: found the borders {list(self.borders)}, expected finite rising numbers"
            )

    def kinds(self, values: NDArray[np.float32]) -> NDArray[np.int64]:
        """The kind of each value, shape (rows,), from 0."""
        known = np.where(np.isnan(values), -np.inf, values.astype(np.float64))
        return np.searchsorted(np.array(self.borders), known, side="left").astype(np.int64)


@dataclass(frozen=True)
class Segment:
    """What is believed of one segment; amounts in the effect's unit.

    Attributes:
        mean: Its mean effect, drawn towards that of all segments.
        mean_sd: How unsure that is, as a standard deviation.
        centre: What the forest says of it on average.
        spread: How much the forest's effects differ within it, as a standard deviation.
        slope: The part of such a difference that is believed, from 0 to 1.
    """

    mean: float
    mean_sd: float
    centre: float
    spread: float
    slope: float


@dataclass(frozen=True)
class Shrunk:
    """Effects as believed.

    Attributes:
        mean: The effect expected of each row, shape (rows,).
        sd: How unsure it is, as a standard deviation, shape (rows,).
    """

    mean: NDArray[np.float64]
    sd: NDArray[np.float64]

    def lower(self, caution: float) -> NDArray[np.float64]:
        """What can be counted on: so many standard deviations below the mean, shape (rows,)."""
        return self.mean - caution * self.sd


@dataclass(frozen=True)
class Shrinkage:
    """The constants by which effects are drawn towards their segments.

    Attributes:
        divisions: What makes a segment: the kinds of each of these features together, the last changing fastest.
        segments: What is believed of each.
    """

    divisions: tuple[Division, ...]
    segments: tuple[Segment, ...]

    def __post_init__(self) -> None:
        """Refuse constants that do not belong together."""
        expected, numbers = segment_count(self.divisions), self._table()
        if len(self.segments) != expected or not np.isfinite(numbers).all() or not _within(numbers[:, 4]):
            raise UsageError(
                f"Shrinkage: found {len(self.segments)} segments, expected {expected} as the divisions make, with "
                "finite numbers and slopes from 0 to 1; take it from training.effect.shrinkage"
            )

    def apply(self, effect: NDArray[np.float64], segment: NDArray[np.int64]) -> Shrunk:
        """Draw effects towards their segments.

        Args:
            effect: What the forests say, shape (rows,).
            segment: The segment of each row, as `segments_of` gives it, shape (rows,).
        """
        mean, mean_sd, centre, spread, slope = self._table()[segment].T
        unsure = np.sqrt(mean_sd**2 + slope * (1.0 - slope) * spread**2)
        return Shrunk(mean + slope * (effect - centre), unsure)

    def segments_of(self, names: tuple[str, ...], matrix: NDArray[np.float32]) -> NDArray[np.int64]:
        """The segment of each row, shape (rows,); arguments and errors as in the function of that name."""
        return segments_of(self.divisions, names, matrix)

    def _table(self) -> NDArray[np.float64]:
        rows = [(one.mean, one.mean_sd, one.centre, one.spread, one.slope) for one in self.segments]
        return np.array(rows, dtype=np.float64).reshape(-1, 5)


def _within(slope: NDArray[np.float64]) -> bool:
    return bool(((slope >= 0) & (slope <= 1)).all())


def segment_count(divisions: tuple[Division, ...]) -> int:
    """How many segments divisions make together; 1 without any."""
    return int(np.prod([len(one.borders) + 1 for one in divisions], dtype=np.int64))


def segments_of(
    divisions: tuple[Division, ...], names: tuple[str, ...], matrix: NDArray[np.float32]
) -> NDArray[np.int64]:
    """The segment of each row, shape (rows,).

    Args:
        divisions: What makes a segment.
        names: Names of the columns of `matrix`.
        matrix: Features as they are served, float32, shape (rows, features), NaN for null.

    Raises:
        UsageError: A division is by a feature that is not there.
    """
    unknown = [one.feature for one in divisions if one.feature not in names]
    if unknown:
        raise UsageError(f"Segments: found divisions by {', '.join(unknown)}, expected features among the model's")
    code = np.zeros(len(matrix), np.int64)
    for one in divisions:
        code = code * (len(one.borders) + 1) + one.kinds(matrix[:, names.index(one.feature)])
    return code
