"""Trees grown by many machines: the learner's own parameters, fitted by `lightgbm.dask`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dask.array as da
import lightgbm

from features.cluster import connected

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from distributed import Client
    from numpy.typing import NDArray

    from training.learner import Settings


def fit_on_cluster(
    bags: Sequence[Settings],
    features: Sequence[str],
    matrix: NDArray[np.float32],
    label: NDArray[np.float64],
    address: str | None = None,
    weight: NDArray[np.float64] | None = None,
) -> list[lightgbm.Booster]:
    """The chance of a yes, learned by all workers of a cluster, each from its part of the rows: one booster a bag.

    Histograms are added up over the workers, so the model is that of one machine up to the rounding of sums; it
    repeats to the bit only on the same workers with the same rows on each.

    Args:
        bags: LightGBM parameters of each booster, `num_iterations` and `seed` among them.
        features: Name of each column.
        matrix: Feature values as they are served, shape (rows, features), NaN for null.
        label: 0 or 1, shape (rows,).
        address: Of the scheduler; None for two workers on this machine.
        weight: What each row counts, shape (rows,); 1 each if not given.

    Raises:
        DependencyDown: No scheduler answers.
    """
    with connected(address) as client:
        return [_fit(client, settings, features, matrix, label, weight) for settings in bags]


def _fit(
    client: Client,
    settings: Settings,
    features: Sequence[str],
    matrix: NDArray[np.float32],
    label: NDArray[np.float64],
    weight: NDArray[np.float64] | None,
) -> lightgbm.Booster:
    workers = len(client.scheduler_info(n_workers=-1)["workers"])
    rows = -(-len(label) // workers)
    given: dict[str, Any] = {name: value for name, value in settings.items() if name != "num_threads"}
    model: Any = lightgbm.DaskLGBMClassifier(client=client, n_estimators=int(given.pop("num_iterations", 100)), **given)
    model.fit(
        da.from_array(matrix, chunks=(rows, matrix.shape[1])),
        da.from_array(label.astype("int64"), chunks=rows),
        sample_weight=None if weight is None else da.from_array(weight, chunks=rows),
        feature_name=list(features),
    )
    booster: lightgbm.Booster = model.to_local().booster_
    return booster
