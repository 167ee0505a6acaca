"""The models of all tasks behind the routes: loaded at the start, and anew where a pointer names another version.

A version that is not as it should be is refused by name; the one before goes on, and so do the other tasks.
"""

from __future__ import annotations

import asyncio
import logging
from threading import Lock
from typing import TYPE_CHECKING, Final

import numpy as np

from data.errors import DataError, ShepherdError
from serving.allocation.policy import read_prices
from serving.api import Desk
from serving.bundle import read, resolve
from serving.offer_decisions import Decider, policy_of
from serving.offer_desk import OfferDesk
from serving.offers import open_book
from serving.recommender import Recommender
from serving.scorer import Scorer
from serving.sites import SiteScorer

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving.settings import Settings

LOOK_SECONDS: Final = 1.0
_logger = logging.getLogger("serving")


class TaskModels:
    """What the routes work with, renewed while they do.

    Args:
        settings: Where things lie.
        swapped: Told the task, and `loaded` or `refused`, in whatever thread that was.

    Attributes:
        desk: The models and rows; replaced in one assignment.
        refused: Why the version that a task's pointer names does not serve, by task.
    """

    def __init__(self, settings: Settings, swapped: Callable[[str, str], None] = lambda *_: None) -> None:
        self._settings, self._swapped = settings, swapped
        self._changing = Lock()
        self._seen: dict[str, tuple[int, int]] = {}
        self.desk = Desk({}, None, "the service is starting")
        self.refused: dict[str, str] = {}

    def open(self) -> None:
        """Load all; what cannot be loaded is logged and named by `/readyz`."""
        self._seen = self._marks()
        try:
            self.desk = load(self._settings)
        except ShepherdError as error:
            _logger.error("not ready: %s", error)  # noqa: TRY400 - the message says all; the traceback would say less
            self.desk = Desk({}, None, str(error))

    def renew(self) -> None:
        """Take what the pointers name, now; from any thread."""
        with self._changing:
            self._seen = self._marks()
            before = self.desk
            self.desk, self.refused = renewed(self._settings, before)
            for task, why in self.refused.items():
                _logger.error("%s refused, what served goes on: %s", task, why)
                self._swapped(task, "refused")
            now, was = _versions(self.desk), _versions(before)
            for task in now:
                if now[task] != was.get(task):
                    self._swapped(task, "loaded")

    async def watch(self) -> None:
        """Look at the pointers every second, and take what they name, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._marks() != self._seen:
                await asyncio.to_thread(self.renew)

    def version(self, task: str) -> str | None:
        """Which version of a task answers; None where none does."""
        return _versions(self.desk).get(task)

    def _marks(self) -> dict[str, tuple[int, int]]:
        """What changes when a pointer is replaced."""
        marks = {}
        for path in self._settings.bundles.glob(f"*/{self._settings.pointer}"):
            try:
                found = path.stat()
            except OSError:
                continue  # gone between the two looks; the next one sees it
            marks[path.parent.name] = (found.st_mtime_ns, found.st_ino)
        return marks


def load(settings: Settings) -> Desk:
    """Load every task's model and the rows of the offers; score one row each, so that no caller waits for first times.

    Raises:
        DataError: No task has a model, or pointer, bundle or tables are not as they should be.
    """
    desk, refused = renewed(settings, Desk({}, None))
    if refused:
        raise DataError("\n".join(refused.values()))
    if not desk.scorers and desk.sites is None:
        raise DataError(
            f"Bundles {settings.bundles}: found no task with a {settings.pointer}, expected at least one; train and "
            "promote a model first (`shepherd run` does both)."
        )
    return desk


def renewed(settings: Settings, before: Desk) -> tuple[Desk, dict[str, str]]:
    """A desk of what the pointers name.

    Args:
        settings: Where things lie.
        before: The desk so far: versions that it has are not read again, and go on where the new one is refused.

    Returns:
        The desk, and why versions were refused, by task.
    """
    scorers, sites, refused = {}, None, {}
    for task in _served(settings):
        found: Scorer | SiteScorer | None
        try:
            found = _model(settings, task, before)
        except DataError as error:
            refused[task] = str(error)
            found = before.scorers.get(task) or _named(before.sites, task)
        if isinstance(found, SiteScorer):
            sites = found
        elif found is not None:
            scorers[task] = found
    ranking, recommender, obstacle = scorers.get(settings.task), None, ""
    if ranking is None:
        obstacle = f"no {settings.pointer} of the task {settings.task!r}, which ranks offers"
    elif ranking is before.scorers.get(settings.task):
        recommender = before.recommender
    else:
        try:
            recommender = _recommender(settings, ranking)
        except DataError as error:
            refused[settings.task] = str(error)
            recommender, obstacle = before.recommender, str(error)
            scorers |= {task: one for task, one in before.scorers.items() if task == settings.task}
    return Desk(scorers, recommender, obstacle, settings.lottery_key(), sites), refused


def _model(settings: Settings, task: str, before: Desk) -> Scorer | SiteScorer:
    folder = resolve(settings.bundles, task, settings.pointer)
    if _versions(before).get(task) == folder.name:
        return before.scorers.get(task) or _named(before.sites, task) or _read(settings, task)
    return _read(settings, task)


def _read(settings: Settings, task: str) -> Scorer | SiteScorer:
    bundle = read(resolve(settings.bundles, task, settings.pointer))
    if bundle.manifest.site is not None:
        return SiteScorer(bundle).warmed()
    scorer = Scorer(bundle)
    scorer.contributions(np.full((1, len(scorer.manifest.features)), np.nan, dtype=np.float32))
    return scorer


def _named(sites: SiteScorer | None, task: str) -> SiteScorer | None:
    return sites if sites is not None and sites.manifest.task == task else None


def _versions(desk: Desk) -> dict[str, str]:
    manifests = [one.manifest for one in desk.scorers.values()] + ([] if desk.sites is None else [desk.sites.manifest])
    return {manifest.task: manifest.version for manifest in manifests}


def _recommender(settings: Settings, ranking: Scorer) -> Recommender | OfferDesk:
    """Decides where the model says what offers change, ranks by chance where not."""
    if ranking.manifest.effects is None:
        return Recommender(ranking, open_book(settings.offers, ranking.manifest.feature_names, settings.campaigns))
    policy = policy_of(ranking.manifest.effects)
    if settings.prices is not None:
        policy = policy.priced(read_prices(settings.prices))
    bundle = read(resolve(settings.bundles, settings.task, settings.pointer))
    return OfferDesk(Decider.of(bundle, settings.offers, settings.campaigns, policy))


def _served(settings: Settings) -> list[str]:
    """The tasks that have the pointer which answers."""
    return sorted(path.parent.name for path in settings.bundles.glob(f"*/{settings.pointer}"))
