"""The models that judge scans: a champion, perhaps a challenger, both changed while they serve.

What a pointer names is looked at every second, and when an operator asks. A new version is read, held against the
state's features and warmed before it answers; one that is not as it should be is refused by name, and the old one goes
on.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np

from data.errors import DataError, ShepherdError
from features.rfm import RFM
from features.ring import RING
from features.scan import SCAN
from serving.bundle import read, resolve
from serving.holdout import Lottery
from serving.live.bodies import ScanBody
from serving.scorer import Scorer
from serving.telemetry.drift import Drift

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from features.spec import FeatureSet
    from serving.bundle import Pointer
    from serving.manifest import Manifest

LOOK_SECONDS: Final = 1.0
_UNIT: Final = 1.0 / (1 << 52)
_WARM_ROWS: Final = 16
_logger = logging.getLogger("serving")


class Loaded(NamedTuple):
    """A model that is ready to judge.

    Attributes:
        scorer: The model.
        lottery: Lets some scans through; None where nothing is drawn.
        drift: How far what it sees has moved; None where its bundle does not say how things were.
    """

    scorer: Scorer
    lottery: Lottery | None
    drift: Drift | None = None

    @property
    def version(self) -> str:
        """Which version it is."""
        return self.scorer.manifest.version


class Pair(NamedTuple):
    """The models that judge at one moment.

    Attributes:
        champion: Answers, but for the canary's share.
        challenger: Answers that share, and is asked beside the champion for the record; None where there is none.
    """

    champion: Loaded
    challenger: Loaded | None

    def answering(self, decision_id: str, canary: float) -> Loaded:
        """Who answers a decision: the challenger where its id falls within the share."""
        if self.challenger is None or canary <= 0:
            return self.champion
        return self.challenger if int(decision_id[:13], 16) * _UNIT < canary else self.champion


@dataclass
class Models:
    """The models of the task that judges scans.

    Attributes:
        bundles: Folder of all bundles.
        task: The task.
        pointer: Which pointer names the champion.
        key: The secret of the lot; None draws nothing.
        changed: Told when a version was taken (`loaded`) or not (`refused`), in whatever thread that was.
        feature_set: The declarations that the champion was trained on, in its order; the state keeps these.
        pair: The models; replaced in one assignment.
        refused: Why the version that a pointer names does not serve, by pointer.
    """

    bundles: Path
    task: str
    pointer: Pointer
    key: bytes | None = field(default=None, repr=False)
    changed: Callable[[str], None] = field(default=lambda _: None, repr=False)
    feature_set: FeatureSet = field(init=False)
    pair: Pair = field(init=False)
    refused: dict[str, str] = field(init=False, default_factory=dict)
    _loaded: dict[str, Loaded] = field(init=False, default_factory=dict)
    _seen: dict[str, tuple[int, int] | None] = field(init=False, default_factory=dict)
    _changing: Lock = field(init=False, default_factory=Lock, repr=False)

    def __post_init__(self) -> None:
        """Load what the pointers name.

        Raises:
            DataError: There is no champion that can be served.
        """
        self._seen = {name: self._mark(name) for name in self._named}
        manifest = read(resolve(self.bundles, self.task, self.pointer)).manifest
        self.feature_set = declared(manifest)
        self._loaded[self.pointer] = self._load(self.pointer)
        self.pair = self._paired()
        for name in self._named[1:]:
            self._renew(name)

    def load(self) -> Pair:
        """Look at the pointers now, and take what they name; from any thread.

        Raises:
            DataError: A version is not as it should be; the ones before go on.
        """
        problems = []
        for name in self._named:
            self._seen[name] = self._mark(name)
            problems.append(self._renew(name))
        if any(problems):
            raise DataError("; ".join(problem for problem in problems if problem))
        return self.pair

    async def watch(self) -> None:
        """Look at the pointers every second, and take what they name, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for name in self._named:
                mark = self._mark(name)
                if mark != self._seen.get(name):
                    self._seen[name] = mark
                    # A model of some megabytes takes a tenth of a second to read and warm; scans are judged meanwhile.
                    await asyncio.to_thread(self._renew, name)

    @property
    def _named(self) -> tuple[Pointer, ...]:
        return (self.pointer,) if self.pointer == "challenger" else ("champion", "challenger")

    def _renew(self, name: Pointer) -> str:
        """Take what a pointer names; answers why not, empty where it serves."""
        with self._changing:
            try:
                if name != self.pointer and self._mark(name) is None:
                    self._loaded.pop(name, None)
                else:
                    self._loaded[name] = self._load(name)
            except ShepherdError as error:
                self.refused[name] = str(error)
                self.changed("refused")
                _logger.error("%s of %s refused, what served goes on: %s", name, self.task, error)  # noqa: TRY400 - it says all
                return str(error)
            self.refused.pop(name, None)
            paired = self._paired()
            if paired != self.pair:
                self.pair = paired
                self.changed("loaded")
            return ""

    def _paired(self) -> Pair:
        champion, challenger = self._loaded[self.pointer], self._loaded.get("challenger")
        # Right after a promotion both pointers name one version, and nobody needs its answer twice.
        same = challenger is None or challenger.version == champion.version
        return Pair(champion, None if same else challenger)

    def _load(self, name: Pointer) -> Loaded:
        folder, now = resolve(self.bundles, self.task, name), self._loaded.get(name)
        if now is not None and folder.name == now.version:
            return now
        scorer = Scorer(read(folder))
        _require_scan(scorer.manifest)
        scorer.check_fingerprint(self.feature_set.fingerprint())
        warm(scorer)
        reference = scorer.manifest.reference
        drift = None if reference is None else Drift(reference)
        return Loaded(scorer, Lottery.of(scorer.manifest.holdout, self.key), drift)

    def _mark(self, name: str) -> tuple[int, int] | None:
        """What changes when a pointer is replaced; None where there is none."""
        try:
            found = (self.bundles / self.task / name).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino


def declared(manifest: Manifest) -> FeatureSet:
    """The declarations that a bundle's features stand for, in its order.

    Raises:
        DataError: Some are not declared here, or they are declared otherwise than when the model was trained.
    """
    known = SCAN + RING + RFM
    unknown = sorted(set(manifest.feature_names) - set(known.names))
    if unknown:
        raise DataError(
            f"Bundle {manifest.task}/{manifest.version}: found the features {unknown}, expected features of scans, "
            "rings and purchases, which a live state can keep; serve another version."
        )
    feature_set = known.only(*manifest.feature_names)
    if feature_set.fingerprint() != manifest.feature_fingerprint:
        raise DataError(
            f"Bundle {manifest.task}/{manifest.version}: found features with fingerprint "
            f"{manifest.feature_fingerprint}, expected {feature_set.fingerprint()}; train it again with the "
            "declarations of this release."
        )
    return feature_set


def warm(scorer: Scorer) -> None:
    """Score once for each size of batch that comes first, so that no caller waits for first times."""
    for rows in (1, _WARM_ROWS):
        scorer.explained(np.full((rows, len(scorer.manifest.features)), np.nan, dtype=np.float32))


def _require_scan(manifest: Manifest) -> None:
    """A scan has to say what the pay-off and the lot ask for."""
    columns = {one.name for one in msgspec.structs.fields(ScanBody)}
    holdout, cap = manifest.holdout, manifest.payoff.cap
    asked = {manifest.payoff.stake, cap.group if cap else "", holdout.group if holdout else ""} - {""}
    if manifest.lists or manifest.site or manifest.effects or not asked <= columns:
        raise DataError(
            f"Bundle {manifest.task}/{manifest.version}: found a model that asks for {sorted(asked - columns)} or "
            "decides something else, expected one that decides scans by their own columns; serve another version."
        )
