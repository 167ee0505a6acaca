"""How far what stores were missed by carries over to their neighbours: a covariance of highest likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.formulas import Nearby

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Places = NDArray[np.intp]

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
"""Of the variance that neighbours share."""
LENGTHS_KM = (1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0)
CLEAR = 3.0
"""Log-likelihood that a surface has to gain over none, as two constants may by chance (half of a chi-square's 95 %)."""


def fit_nearby(lat: Floats, lon: Floats, missed: Floats) -> Nearby | None:
    """The surface that explains best what held-out stores were missed by; None where none is clearly better.

    Args:
        lat: Degrees of the stores, WGS-84.
        lon: Degrees of the stores.
        missed: Log revenue less what was said of each while it was held out, shape (stores,).
    """
    best, found = _profile(np.ones(len(missed)), missed)[0] + CLEAR, None
    for length_km in LENGTHS_KM:
        alike = Nearby(smooth=1.0, noise=0.0, length_km=length_km).likeness(lat, lon, lat, lon)
        spread, axes = np.linalg.eigh(alike)
        turned = missed @ axes
        for share in SHARES:
            likelihood, variance = _profile(share * np.maximum(spread, 0.0) + 1 - share, turned)
            if likelihood > best:
                best = likelihood
                found = Nearby(smooth=share * variance, noise=(1 - share) * variance, length_km=length_km)
    return found


def _profile(spread: Floats, turned: Floats) -> tuple[float, float]:
    """Log-likelihood of a covariance of such variances along its axes, times its best variance; and that."""
    variance = float((turned**2 / spread).mean())
    return float(-np.log(spread).sum() - len(turned) * np.log(variance)) / 2, variance


def foretold(
    nearby: Nearby | None, where: tuple[Floats, Floats], missed: Floats, heard: Places, asked: Places
) -> Floats:
    """What some stores will be missed by, told by others.

    Args:
        nearby: The surface; None says 0.
        where: Degrees of all stores, latitude and longitude.
        missed: What each was missed by; read at `heard` alone.
        heard: Places of the stores that may be heard.
        asked: Places of those asked about.
    """
    if nearby is None:
        return np.zeros(len(asked))
    lat, lon = where
    brought = nearby.weighed(lat[heard], lon[heard], missed[heard])
    return nearby.foretold(nearby.likeness(lat[asked], lon[asked], lat[heard], lon[heard]), brought)
