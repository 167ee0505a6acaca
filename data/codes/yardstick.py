"""How surprising a count is: the tail of a Poisson law, and which of many surprises to believe.

A count of rare independent events follows a Poisson law; whatever makes events come together (families, crates, chats)
makes large counts likelier than it says, which is why counts here are of people or visits, not of scans, where they can
be. Among many tests Benjamini and Hochberg's rule (1995) keeps the share of false ones among those believed in check.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_NEGLIGIBLE: Final = 1e-17
_HALF: Final = 0.5


@dataclass(frozen=True)
class Sign:
    """One count held against what was to be expected.

    Attributes:
        name: What is counted, in one word for machines.
        seen: How many there are.
        expected: How many there would be at the usual rate.
        p: Chance of so many or more at that rate; None where the sign is impossible rather than unlikely.
    """

    name: str
    seen: int
    expected: float
    p: float | None

    def text(self) -> str:
        """For people: the count, and what is usual."""
        said = f"{self.name.replace('_', ' ')} {self.seen:,}"
        return said if self.p is None else f"{said} (usual {self.expected:.2g}, p {self.p:.0e})"


def poisson_sign(name: str, seen: int, expected: float) -> Sign:
    """A count with its surprise."""
    return Sign(name, seen, expected, poisson_tail(seen, expected))


def poisson_tail(seen: int, expected: float) -> float:
    """The chance of at least so many events where so many are expected; tails below 1e-300 may be 0.

    Args:
        seen: Events counted.
        expected: Mean of the law, above 0.

    >>> round(poisson_tail(2, 0.1), 6)
    0.004679
    >>> poisson_tail(0, 3.0)
    1.0
    """
    if not expected > 0:
        raise ValueError(f"expected: found {expected}, expected a number above 0")
    if seen <= 0:
        return 1.0
    if seen > expected:
        return min(1.0, _mass(seen, expected) * _series(seen, expected))
    return max(0.0, 1.0 - math.fsum(_mass(count, expected) for count in range(seen)))


def _mass(count: int, expected: float) -> float:
    return math.exp(count * math.log(expected) - expected - math.lgamma(count + 1))


def _series(seen: int, expected: float) -> float:
    """The tail over its first term."""
    total, term, count = 1.0, 1.0, seen
    while term > _NEGLIGIBLE * total:
        count += 1
        term *= expected / count
        total += term
    return total


def at_least_one(p_values: Sequence[float]) -> float:
    """The chance that the least of several surprises is so small by chance (Bonferroni's bound).

    >>> at_least_one([0.01, 0.5])
    0.02
    """
    return min(1.0, len(p_values) * min(p_values))


def adjusted(p_values: Sequence[float], tests: int) -> tuple[float, ...]:
    """Benjamini and Hochberg's adjusted values: of those up to q about a share q is false.

    Args:
        p_values: The surprises that were looked at closely, in any order.
        tests: How many were made in all; those that are not listed have p-values of 1.

    Returns:
        The adjusted value of each, in the order given.

    >>> adjusted([0.001, 0.04, 0.03], 3)
    (0.003, 0.04, 0.04)
    """
    if tests < len(p_values):
        raise ValueError(f"tests: found {tests}, expected at least the {len(p_values)} that are listed")
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    found = [1.0] * len(p_values)
    least = 1.0
    for rank in range(len(order), 0, -1):
        place = order[rank - 1]
        least = min(least, p_values[place] * tests / rank)
        found[place] = least
    return tuple(found)


def usual_rate(others: tuple[float, float], brand: tuple[float, float]) -> float:
    """Events for each unit of exposure among what is like the one judged, drawn towards the brand's where it is little.

    The brand's rate counts as half an event would (a gamma law of shape 1/2 around it), so that what never happened to
    the others is rare and not impossible.

    Args:
        others: Events and exposure of those like the one judged, without it.
        brand: Events and exposure of the whole brand, without the one judged.

    >>> usual_rate((0, 100), (9.5, 1_000))
    0.0033333333333333335
    """
    events, exposure = brand
    whole = (events + _HALF) / max(exposure, 1.0)
    return (others[0] + _HALF) / (others[1] + _HALF / whole)
