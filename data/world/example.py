"""A small simulated world, for whoever wants to see a task walk and has no scans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from data.sources import open_folder
from data.world.request import Request
from data.world.simulation import simulate

if TYPE_CHECKING:
    from pathlib import Path

    from data.sources import DataSet

SMALL: Final = Request(preset="world/v1", members=4_000, days=42, seed=1)


COUPONS: Final = Request(preset="world/v1", members=5_000, days=90, seed=7)
"""Long enough for five waves of coupons, so that some can be learned from before others are judged."""


def small_world(root: Path) -> DataSet:
    """The tables of a made-up brand with 4 000 honest members over six weeks, written to a folder once.

    Raises:
        UsageError: The folder holds something else.
    """
    simulate(SMALL, root)
    return open_folder(root)


def coupon_world(root: Path) -> DataSet:
    """The same for coupons: 5 000 honest members over 90 days.

    Raises:
        UsageError: The folder holds something else.
    """
    simulate(COUPONS, root)
    return open_folder(root)
