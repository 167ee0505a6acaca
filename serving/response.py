"""How people answer an offer, in two numbers a row: who it wins, and who it puts off, of those who would come anyway.

The two are chances that are logistic in a few plain facts and in how likely the member is to buy without the offer:
what an offer changes is far smaller than what members do anyway, so that few numbers can be learned of it. A member
who buys anyway cannot be won, and one who would not cannot be put off; whoever learns the difference alone mixes both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from data.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FEW: Final = 4.0
_FLOOR: Final = 0.005
_USUAL_LOG: Final = float(np.log(0.1))


@dataclass(frozen=True)
class Fact:
    """One fact as a score sees it: held within limits, from its centre, in units of its scale; unknown counts nothing.

    Attributes:
        feature: Its name among the model's features.
        centre: The value that counts nothing.
        scale: How much counts one; below 0 where less of it counts more.
        low: Values below count as this.
        high: Values above count as this.
        seen: The feature that says of how many events the fact tells; of few it counts little.
            Empty: it counts whole.
    """

    feature: str
    centre: float
    scale: float
    low: float
    high: float
    seen: str = ""

    def __post_init__(self) -> None:
        """Refuse limits and scales that are none."""
        numbers = (self.centre, self.scale, self.low, self.high)
        if not np.isfinite(numbers).all() or self.scale == 0 or self.low >= self.high:
            raise UsageError(
                f"Fact of {self.feature!r}: found centre, scale, low and high {list(numbers)}, expected finite "
                "numbers, a scale other than 0 and low below high"
            )

    def read(self, names: tuple[str, ...], matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """The fact of each row, shape (rows,).

        Raises:
            UsageError: There is no such feature.
        """
        unknown = [name for name in self.asks if name not in names]
        if unknown:
            raise UsageError(f"Response: found facts of {', '.join(unknown)}, expected features among the model's")
        values = matrix[:, names.index(self.feature)].astype(np.float64)
        told = np.nan_to_num((np.clip(values, self.low, self.high) - self.centre) / self.scale, nan=0.0)
        if self.seen:
            events = np.nan_to_num(matrix[:, names.index(self.seen)].astype(np.float64), nan=0.0)
            told *= events / (events + _FEW)
        return told

    @property
    def asks(self) -> tuple[str, ...]:
        """The features that it reads."""
        return (self.feature, self.seen) if self.seen else (self.feature,)


@dataclass(frozen=True)
class Score:
    """A chance that is logistic in facts.

    Attributes:
        facts: What it hangs on.
        weights: What each counts, in log-odds.
        base: The log-odds where all facts count nothing and one member in ten buys anyway.
        inclination: For one unit of the logarithm of the chance to buy anyway.
    """

    facts: tuple[Fact, ...]
    weights: tuple[float, ...]
    base: float
    inclination: float

    def __post_init__(self) -> None:
        """Refuse weights that do not belong to the facts."""
        numbers = (self.base, self.inclination, *self.weights)
        if len(self.weights) != len(self.facts) or not np.isfinite(numbers).all():
            raise UsageError(
                f"Score: found {len(self.weights)} weights of {len(self.facts)} facts, expected a finite one each"
            )

    def chance(
        self, names: tuple[str, ...], matrix: NDArray[np.float32], anyway: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The chance of each row, shape (rows,); arguments as in `Response.apply`."""
        total = self.base + self.inclination * inclined(anyway)
        for fact, weight in zip(self.facts, self.weights, strict=True):
            total += weight * fact.read(names, matrix)
        return 1.0 / (1.0 + np.exp(-total))


@dataclass(frozen=True)
class Changed:
    """What sending changes; arrays of shape (rows,).

    Attributes:
        won: The chance that the member buys because of the offer, and would not have.
        lost: The chance that the member would have bought, and does not because of it.
    """

    won: NDArray[np.float64]
    lost: NDArray[np.float64]


@dataclass(frozen=True)
class Response:
    """How people answer, learned from who bought and who redeemed when sent.

    Attributes:
        anyway: The head that says the chance to buy if the offer is withheld.
        gain: The chance to be won, of those who would not have bought.
        loss: The chance to be put off, of those who would have.
    """

    anyway: str
    gain: Score
    loss: Score

    def apply(self, names: tuple[str, ...], matrix: NDArray[np.float32], anyway: NDArray[np.float64]) -> Changed:
        """What sending changes in each row.

        Args:
            names: Names of the columns of `matrix`.
            matrix: Features as they are served, float32, shape (rows, features), NaN for null.
            anyway: The chance to buy if the offer is withheld, shape (rows,).
        """
        won = (1.0 - anyway) * self.gain.chance(names, matrix, anyway)
        return Changed(won, anyway * self.loss.chance(names, matrix, anyway))


def inclined(anyway: NDArray[np.float64]) -> NDArray[np.float64]:
    """The logarithm of the chance to buy anyway, 0 at one in ten; shape (rows,)."""
    return np.log(np.maximum(anyway, 0.0) + _FLOOR) - _USUAL_LOG
