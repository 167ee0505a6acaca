"""What the stores around a site know that its features do not: they sell more, or less, than was forecast of them.

Quarters differ in ways that no table shows. What held-out stores were missed by is therefore taken as a smooth surface
over the map with noise on top, and foretold for a site from the stores around it by simple kriging (Cressie,
"Statistics for Spatial Data", 1993) with an exponential covariance: close to stores it says much, far from all nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from features.distance import degrees_apart_km

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class Nearby(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How what stores were missed by resembles what their neighbours were missed by.

    Attributes:
        smooth: Variance of the surface, in squared log points.
        noise: Variance of each store's own part; above 0.
        length_km: Distance over which likeness falls by e.
    """

    smooth: float
    noise: float
    length_km: float

    def likeness(self, lat: Floats, lon: Floats, other_lat: Floats, other_lon: Floats) -> Floats:
        """Covariance of the surface between places, shape (places, others)."""
        apart = degrees_apart_km(lat[:, None], lon[:, None], other_lat, other_lon)
        found: Floats = self.smooth * np.exp(-apart / self.length_km)
        return found

    def weighed(self, lat: Floats, lon: Floats, missed: Floats) -> Floats:
        """What each store brings to `foretold`, shape (stores,); made once for the stores that may be heard."""
        covariance = self.likeness(lat, lon, lat, lon)
        np.fill_diagonal(covariance, self.smooth + self.noise)
        return np.asarray(np.linalg.solve(covariance, missed), np.float64)

    def foretold(self, likeness: Floats, brought: Floats) -> Floats:
        """What a site will be missed by, in log points, shape (sites,): a sum over each row alone.

        Args:
            likeness: Of sites and stores, as `likeness` gives it, shape (sites, stores).
            brought: As `weighed` gives it.
        """
        found: Floats = (likeness * brought).sum(axis=1)
        return found
