"""A small convex programme, solved exactly enough: the next prices to try, given the cuts seen so far.

Predictor and corrector steps of the interior-point method (Mehrotra 1992) on dense matrices; there are as many
unknowns as limits, so one takes a millisecond and needs no library of optimisation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]

_STEPS: Final = 60
_CLOSE: Final = 1e-13
_INSIDE: Final = 0.995


@dataclass(frozen=True)
class Nearest:
    """The best point of a model of cuts near a centre.

    Attributes:
        point: Where, shape (unknowns,), 0 or more.
        height: The model there.
        weights: How much each cut holds it up, shape (cuts,); they sum to 1.
    """

    point: Doubles
    height: float
    weights: Doubles


def lowest_near(slopes: Doubles, heights: Doubles, centre: Doubles, pull: float) -> Nearest:
    """Minimise the largest cut plus a pull to the centre, over points that are not negative.

    The programme: least t + pull / 2 |z - centre|^2 with t >= heights + slopes z for every cut, and z >= 0.

    Args:
        slopes: Of each cut, shape (cuts, unknowns).
        heights: Of each cut at z = 0, shape (cuts,).
        centre: Shape (unknowns,).
        pull: More than 0.
    """
    cuts, unknowns = slopes.shape
    sides = np.zeros((cuts + unknowns, unknowns + 1))
    sides[:cuts, :unknowns], sides[:cuts, unknowns] = -slopes, 1.0
    sides[cuts:, :unknowns] = np.eye(unknowns)
    edges = np.concatenate([heights, np.zeros(unknowns)])
    curve = np.diag(np.append(np.full(unknowns, pull), 0.0))
    tilt = np.append(-pull * centre, 1.0)
    point = np.append(np.maximum(centre, 0.01), 0.0)
    point[unknowns] = float((heights + slopes @ point[:unknowns]).max()) + 1.0
    room, force = sides @ point - edges, np.ones(cuts + unknowns) / cuts
    for _ in range(_STEPS):
        uneven = curve @ point + tilt - sides.T @ force
        mean = float(room @ force) / len(room)
        if mean < _CLOSE and float(np.abs(uneven).max()) < _CLOSE * (1.0 + pull):
            break
        matrix = curve + sides.T @ (sides * (force / room)[:, None])
        foreseen = _step(matrix, sides, uneven, room, force, room * force)
        reach = _reach(room, foreseen[1]), _reach(force, foreseen[2])
        after = float((room + reach[0] * foreseen[1]) @ (force + reach[1] * foreseen[2])) / len(room)
        aim = (after / mean) ** 3 * mean
        ahead = _step(matrix, sides, uneven, room, force, room * force + foreseen[1] * foreseen[2] - aim)
        length = _INSIDE * min(_reach(room, ahead[1]), _reach(force, ahead[2]))
        point, room, force = (old + length * new for old, new in zip((point, room, force), ahead, strict=True))
    return Nearest(np.maximum(point[:unknowns], 0.0), float(point[unknowns]), force[:cuts])


def _step(
    matrix: Doubles, sides: Doubles, uneven: Doubles, room: Doubles, force: Doubles, excess: Doubles
) -> tuple[Doubles, Doubles, Doubles]:
    """One step of Newton towards products of room and force that are `excess` less."""
    # A singular matrix at the very end, where forces vanish, is met by the least of all solutions.
    least = np.linalg.lstsq(matrix, -uneven - sides.T @ (excess / room), rcond=None)
    point = np.asarray(least[0], np.float64)
    more_room: Doubles = sides @ point
    more_force: Doubles = -(excess + force * more_room) / room
    return point, more_room, more_force


def _reach(now: Doubles, change: Doubles) -> float:
    """How far a change can go before something is no longer positive; at most 1."""
    falling = change < -1e-250
    return min(1.0, float((-now[falling] / change[falling]).min())) if falling.any() else 1.0
