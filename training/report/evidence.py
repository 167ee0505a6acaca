"""What stands behind the figures: drift by feature, decisions explained, and the worst errors."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from serving.reasons import Reason, explain
from training.payoff import chosen_actions, earnings
from training.report import terms
from training.report.words import named, number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.bundles import Manifest
    from training.pipeline import Fitted
    from training.record import Record
    from training.report.words import Said

EXPLAINED: Final = (1.0, 0.999, 0.99, 0.98, 0.95, 0.9, 0.75, 0.5, 0.25, 0.0)
"""Where, of the test in rising order of chance, the explained decisions lie."""
WORST: Final = 5
_NAME_LENGTH: Final = 10


@dataclass(frozen=True)
class Drift:
    """How far one feature moved between the rows that were learned from and the test.

    Attributes:
        feature: Its name.
        said: What it is called in a sentence.
        index: Population stability index, 0 for none, in the bins that live drift is measured in.
    """

    feature: str
    said: Said
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
        lost_fen: How much more the best action would have earned, had the outcome been known.
        stake_fen: What was at stake; None where the pay-off asks for nothing.
        reasons: What moved the score most (TreeSHAP), in words.
    """

    name: str
    probability: float
    action: str
    outcome: str
    earned_fen: float
    lost_fen: float
    stake_fen: float | None
    reasons: tuple[Reason, ...]

    @property
    def cells(self) -> tuple[str, ...]:
        """Chance, action, outcome, and fen: at stake, earned, and lost against the best action."""
        done, came = terms.action(self.action), terms.outcome(self.outcome)
        stake = "–" if self.stake_fen is None else number(self.stake_fen)
        return (
            f"{self.probability:.2%}",
            _both(done),
            _both(came),
            stake,
            number(self.earned_fen),
            number(self.lost_fen),
        )


def drift_of(record: Record, manifest: Manifest) -> tuple[Drift, ...]:
    """Each feature's drift as the record and the gate have it, largest first."""
    known = {feature.name: feature for feature in manifest.features}
    falling = sorted(record.drift.items(), key=lambda told: -told[1])
    return tuple(Drift(name, named(known[name]), index) for name, index in falling)


def explained(fitted: Fitted, manifest: Manifest) -> tuple[Decision, ...]:
    """Ten decisions of the test, from the likeliest row to the least likely."""
    order = np.argsort(fitted.predictions.probability, kind="stable")
    places = [round(share * (len(order) - 1)) for share in EXPLAINED]
    return decisions(fitted, manifest, order[list(dict.fromkeys(places))])


def worst_errors(fitted: Fitted, manifest: Manifest) -> tuple[Decision, ...]:
    """What did not come true and cost most, then what did; of equal cost the likeliest first, or the least likely."""
    said, payoff = fitted.predictions, fitted.model.task.payoff
    worth = earnings(payoff, said.label, said.stakes)
    done = chosen_actions(payoff, said.probability, said.stakes, fitted.model.prices)
    lost = worth.max(axis=1) - np.take_along_axis(worth, done[:, None], axis=1)[:, 0]
    false = np.lexsort((-said.probability, -lost))
    true = np.lexsort((said.probability, -lost))
    false, true = false[said.label[false] == 0], true[said.label[true] == 1]
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
            lost_fen=float(worth[place].max() - worth[place, actions[place]]),
            stake_fen=None if stakes.fen is None else float(stakes.fen[place]),
            reasons=explain(manifest.features, matrix[place], parts[place]),
        )
        for place, row in enumerate(rows)
    )


def _both(said: Said) -> str:
    return said.english if said.english == said.chinese else f"{said.english} {said.chinese}"


def hidden(data_hash: str, row_id: str) -> str:
    """A short name for a row that says nothing of whose it is."""
    return hashlib.sha256(f"{data_hash}:{row_id}".encode()).hexdigest()[:_NAME_LENGTH]
