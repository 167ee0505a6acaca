"""The task of sites for a handful of stores, declared outside the repository."""

from training.sites.members import Recipe
from training.sites.task import SiteTask

TASK = SiteTask(name="site", folds=4, buffer_km=1.0, recipe=Recipe(rounds=5))
