"""What is known of a site: its surroundings as of a day and the shop it would be, the same in training and serving."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from features.spec import FeatureSet, column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from features.place import PlaceIndex

AREA: Final = "sales_floor_m2"
SHOP: Final = (AREA, "is_format_")
"""Features of the shop itself, which may be left open."""
HEAT: Final = ("member_", "scan_", "active_", "spend_")
"""Features of members' scans: of years that lie before the first scan there are none, so sites are judged without."""


@dataclass(frozen=True)
class SiteFeatures:
    """The features of sites and stores, in the order of the model's columns.

    Attributes:
        index: The surroundings.
        formats: Formats that the model tells apart; a shop of another or of none has nulls.
    """

    index: PlaceIndex
    formats: tuple[str, ...]

    @property
    def declared(self) -> FeatureSet:
        """The declarations."""
        shop = [column(AREA, unit="square metres", meaning="Sales floor")]
        shop += [column(format_name(one), unit="yes or no", meaning=f"Its format is {one}") for one in self.formats]
        around = [feature for feature in self.index.declared if not feature.name.startswith(HEAT)]
        return FeatureSet(*shop, *around)

    def matrix(
        self,
        lat: NDArray[np.float64],
        lon: NDArray[np.float64],
        as_of: NDArray[np.datetime64],
        area_m2: NDArray[np.float64],
        formats: Sequence[str | None],
        leave_out: Sequence[str | None] | None = None,
    ) -> NDArray[np.float32]:
        """Features of sites, shape (sites, features), NaN for null; a row's bits do not depend on the rows beside it.

        Args:
            lat: Degrees, WGS-84.
            lon: Degrees, WGS-84.
            as_of: The day that each is asked as of.
            area_m2: Sales floor, NaN unknown.
            formats: Format of each, None unknown.
            leave_out: The own store that each row is, which is no neighbour of itself.
        """
        around = self.index.features(lat, lon, as_of, area_m2, leave_out)
        kept = [place for place, name in enumerate(self.index.names) if not name.startswith(HEAT)]
        known = np.array([one in self.formats for one in formats], np.bool_)
        flags = [
            np.where(known, np.array([one == name for one in formats], np.float32), np.float32(np.nan))
            for name in self.formats
        ]
        return np.column_stack([area_m2.astype(np.float32), *flags, around[:, kept]]).astype(np.float32)


def format_name(name: str) -> str:
    """The feature that says whether a shop has a format.

    >>> format_name("Express")
    'is_format_express'
    """
    return "is_format_" + "".join(letter if letter.isalnum() else "_" for letter in name.lower())
