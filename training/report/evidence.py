"""What stands behind the figures: drift against the rows before the cut, decisions explained, and the worst errors."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from serving.reasons import Reason, explain
from serving.telemetry.reference import Binning
from training.payoff import chosen_actions, earnings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.export import Manifest
    from training.pipeline import Fitted

BATCH: Final = 4_096
EXPLAINED: Final = (1.0, 0.999, 0.99, 0.98, 0.95, 0.9, 0.75, 0.5, 0.25, 0.0)
"""Where, of the test in rising order of chance, the explained decisions lie."""
WORST: Final = 5
_NAME_LENGTH: Final = 10


@dataclass(frozen=True)
class Drift:
    """How far one feature moved between the rows before the cut and the test.

    Attributes:
        feature: Its name.
        meaning: In words.
        index: Population stability index, 0 for none, in the bins that live drift is measured in.
    """

    feature: str
    meaning: str
    index: float


@dataclass(frozen=True)
class Decision:
    """One row of the test with what was done and why.

    Attributes:
        name: A hash of the data and the row's key: whoever holds the data finds the row, nobody else.
        probability: What was said.
        action: What was done.
        outcome: What came true.
        earned_fen: What the action earned.
        reasons: What moved the score most (TreeSHAP), in words.
    """

    name: str
    probability: float
    action: str
    outcome: str
    earned_fen: float
    reasons: tuple[Reason, ...]


def drift_of(fitted: Fitted, manifest: Manifest) -> tuple[Drift, ...]:
    """Each feature's drift from the rows before the cut to the test, largest first; nothing without a reference.

    The rows are read in batches from the table of features, so that memory stays bounded.
    """
    if manifest.reference is None:
        return ()
    binning = Binning(manifest.reference)
    names = list(manifest.features)
    columns = [feature.name for feature in names]
    found = np.zeros_like(binning.expected)
    cut = int(fitted.record.test_from.timestamp() * 1_000_000)
    for batch in pq.ParquetFile(fitted.built.path).iter_batches(BATCH, columns=["as_of", *columns]):
        at = batch.column("as_of").cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy()
        values = [batch.column(name).to_numpy(zero_copy_only=False).astype(np.float64) for name in columns]
        unscored = np.full(len(at), np.nan)  # a score of rows that were learned from would say nothing
        found += binning.counts(np.column_stack([*values, unscored])[at < cut])
    index = binning.psi(found)[:-1]
    order = np.argsort(-index, kind="stable")
    return tuple(Drift(columns[place], names[place].meaning, float(index[place])) for place in order)


def explained(fitted: Fitted, manifest: Manifest) -> tuple[Decision, ...]:
    """Ten decisions of the test, from the likeliest row to the least likely."""
    order = np.argsort(fitted.predictions.probability, kind="stable")
    places = [round(share * (len(order) - 1)) for share in EXPLAINED]
    return decisions(fitted, manifest, order[list(dict.fromkeys(places))])


def worst_errors(fitted: Fitted, manifest: Manifest) -> tuple[Decision, ...]:
    """The likeliest rows that did not come true, then the least likely ones that did."""
    said = fitted.predictions
    order = np.argsort(said.probability, kind="stable")
    false, true = order[said.label[order] == 0][::-1], order[said.label[order] == 1]
    return decisions(fitted, manifest, np.concatenate([false[:WORST], true[:WORST]]))


def decisions(fitted: Fitted, manifest: Manifest, rows: NDArray[np.intp]) -> tuple[Decision, ...]:
    """Some rows of the test, with what was done by the pay-off and why; without keys, moments or ids."""
    said, payoff = fitted.predictions, fitted.model.task.payoff
    stakes, label = said.stakes.at(rows), said.label[rows]
    actions = chosen_actions(payoff, said.probability[rows], stakes, fitted.model.prices)
    worth = earnings(payoff, label, stakes)
    matrix = said.matrix[rows]
    parts = np.asarray(fitted.model.booster.predict(matrix, pred_contrib=True, num_threads=1))[:, :-1]
    return tuple(
        Decision(
            name=hidden(manifest.data_hash, str(said.row_id[row])),
            probability=float(said.probability[row]),
            action=payoff.actions[int(actions[place])],
            outcome=payoff.outcomes[int(label[place])],
            earned_fen=float(worth[place, actions[place]]),
            reasons=explain(manifest.features, matrix[place], parts[place]),
        )
        for place, row in enumerate(rows)
    )


def hidden(data_hash: str, row_id: str) -> str:
    """A short name for a row that says nothing of whose it is."""
    return hashlib.sha256(f"{data_hash}:{row_id}".encode()).hexdigest()[:_NAME_LENGTH]
