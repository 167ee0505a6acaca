"""What would have been learned, had trade areas been taken narrower or wider: the ridge on features of other widths.

A ring twice as wide holds four times the people around any store, so features of one width mean nothing to a model of
another. The ridge, which bears most of the forecast, is therefore learned anew for each width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from features.place import PlaceIndex
from training.formulas import SiteFeatures, Wider
from training.sites.members import common_scale, fit_members
from training.sites.study import known_stores

if TYPE_CHECKING:
    from training.sites.folds import Folds
    from training.sites.pipeline import Ground
    from training.sites.task import SiteTask

SCALES = (0.75, 1.25)


def widths(task: SiteTask, ground: Ground, folds: Folds, seed: int) -> tuple[Wider, ...]:
    """The ridge of each width beside the task's own.

    Args:
        task: How wide a site looks around.
        ground: The stores.
        folds: By which the ridge's penalty is chosen.
        seed: Where chance starts.
    """
    return tuple(_width(task, ground, folds, seed, scale) for scale in SCALES)


def _width(task: SiteTask, ground: Ground, folds: Folds, seed: int, scale: float) -> Wider:
    features = SiteFeatures(PlaceIndex.of(ground.tables, task.place.scaled(scale)), ground.features.formats)
    matrix = ground.matrix(features)
    stores = known_stores(features.declared.names, matrix, ground.stores.log_revenue)
    everyone = folds.learned()
    return Wider(scale, common_scale(matrix), fit_members(stores, everyone, task.recipe, folds.fold, seed).linear)
