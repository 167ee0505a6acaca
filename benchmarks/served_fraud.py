"""The fraud model that the service is measured with: all features of the task, learned from a small world once."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from data.world.example import small_world
from training.bundles import point
from training.export import export
from training.pipeline import fit
from training.tasks.fraud import TASK

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SCAN: Final = "/v1/scans/score"
ROW: Final = "/v1/fraud/score"
RECORDED: Final = '"degraded":"none","recorded":true'
"""Stands in an answer that was judged and is in the log."""
VERSION: Final = "measured"
_ROWS: Final = "rows.npy"
_TREES: Final = "booster.txt"
_SEED: Final = 0


@dataclass(frozen=True)
class Served:
    """What stands in a folder once the model was learned.

    Attributes:
        folder: Holds all of it.
    """

    folder: Path

    @property
    def bundles(self) -> Path:
        """Where the service finds the bundle, as champion."""
        return self.folder / "bundles"

    @property
    def onnx(self) -> Path:
        """The graph of the bundle, for peers that serve graphs."""
        return self.bundles / TASK.name / VERSION / "model.onnx"

    @property
    def trees(self) -> Path:
        """The same trees as LightGBM writes them, for peers that serve LightGBM."""
        return self.folder / _TREES

    @property
    def tables(self) -> Path:
        """The world whose scans it was learned from."""
        return self.folder / "world"

    def rows(self) -> NDArray[np.float32]:
        """Features of the test's scans, float32, shape (rows, features), NaN for unknown."""
        rows: NDArray[np.float32] = np.load(self.folder / _ROWS)
        return rows


def learned(folder: Path) -> Served:
    """Learn the model, or find it where it was left; with the task's own parameters, without search and baselines."""
    served = Served(folder)
    if (folder / _ROWS).exists():
        return served
    shutil.rmtree(served.bundles, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    fitted = fit(replace(TASK, baselines=()), small_world(served.tables), home=folder, trials=1, seed=_SEED)
    model, predictions = fitted.model, fitted.predictions
    export(
        served.bundles,
        task=TASK.name,
        version=VERSION,
        booster=model.booster,
        calibrator=model.calibrator,
        features=TASK.features,
        payoff=TASK.payoff,
        rows=predictions.matrix,
        data_hash=fitted.record.data_hash,
        metrics={},
        generator=np.random.default_rng(_SEED),
        prices=model.prices,
        usual=model.usual,
        holdout=TASK.holdout,
    )
    point(served.bundles, TASK.name, "champion", VERSION)
    model.booster.save_model(served.trees)
    np.save(folder / _ROWS, predictions.matrix)
    return served
