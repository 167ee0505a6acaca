"""The log of decisions that were served, beside what the lot let through and what came of it.

The lot is drawn in `serving.holdout`; outcomes come back in the table `feedback`. Verdicts on decisions on which the
lot did not fall come where somebody suspects, and are not taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.errors import DataError

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

    from training.payoff import Payoff

UNKNOWN: Final = -1
"""The outcome of a decision of which nothing was revealed."""

_DECISIONS: Final = ("decision_id", "unit", "meant", "share", "allowed_at_random")
_FEEDBACK: Final = ("decision_id", "landed_at", "outcome", "allowed_at_random")


@dataclass(frozen=True)
class Logged:
    """Decisions that were served, and what the lot revealed of them.

    Attributes:
        meant: The action that the policy chose, before the lot; an index into the pay-off's actions, shape (rows,).
        outcome: What came of those that the lot revealed, an index into the pay-off's outcomes; `UNKNOWN` for others.
        chance: The chance with which the lot reveals each, shape (rows,); 0 where no lot was drawn.
        unit: Code of the independent unit (ring, member) of each row.
        stake: What was at stake in each, in fen; None where the pay-off hangs on no stake.
        probability: What the model said of each, the calibrated chance of the second outcome; None where not logged.
    """

    meant: NDArray[np.int64]
    outcome: NDArray[np.int64]
    chance: NDArray[np.float64]
    unit: NDArray[np.int64]
    stake: NDArray[np.float64] | None = None
    probability: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        """Refuse a log that cannot be weighed.

        Raises:
            DataError: A chance is none, or what was revealed had no chance to be.
        """
        none = ~((self.chance >= 0) & (self.chance <= 1))
        surprising = (self.outcome != UNKNOWN) & ~(self.chance > 0)
        problems = []
        if none.any():
            problems.append(f"{int(none.sum())} rows whose chance is not from 0 to 1")
        if surprising.any():
            problems.append(f"{int(surprising.sum())} rows with an outcome that had no chance to be revealed")
        if problems:
            raise DataError(
                f"savings: found {' and '.join(problems)} among {len(self.chance)}, expected none; log the share of "
                "the lot with every decision, and give only outcomes that the lot revealed."
            )


def read_log(decisions: pa.Table, feedback: pa.Table, payoff: Payoff, landed_by: datetime) -> Logged:
    """The log of decisions with what the lot revealed of them by a moment.

    Only feedback that is marked `allowed_at_random` is taken. Some of what the lot let through has no outcome yet or
    never gets one; the rest then stands for it too, within those of which the policy meant the same.

    Args:
        decisions: One row a decision that is old enough to have an outcome: `decision_id`, `unit` (of
            the row that was decided, such as its ring), `meant` (the name of the action before the lot), `share` (of
            the lot), `allowed_at_random`, `stake` (fen), and `probability` where logged.
        feedback: The table of that name.
        payoff: Names the actions and outcomes.
        landed_by: Feedback that landed later is not seen.

    Raises:
        DataError: Columns are missing, ids repeat, names are not the pay-off's, or feedback contradicts the log.
    """
    _require(decisions, feedback, payoff)
    known = feedback.filter(
        pc.and_(
            pc.equal(feedback["allowed_at_random"].cast(pa.int64()), pa.scalar(1)),
            pc.less_equal(feedback["landed_at"], pa.scalar(landed_by, feedback["landed_at"].type)),
        )
    )
    allowed = _reals(decisions["allowed_at_random"].cast(pa.int64())) > 0
    place = pc.index_in(decisions["decision_id"].combine_chunks(), known["decision_id"].combine_chunks())
    outcome = pc.index_in(known["outcome"].combine_chunks(), pa.array(payoff.outcomes))
    found = np.asarray(outcome.take(place).fill_null(UNKNOWN).to_numpy(zero_copy_only=False), np.int64)
    astray = (found != UNKNOWN) & ~allowed
    if astray.any():
        raise DataError(
            f"feedback: found {int(astray.sum())} outcomes marked allowed_at_random of decisions that were not so "
            "by the log, expected none; give the log and the feedback of the same service."
        )
    meant = np.asarray(pc.index_in(decisions["meant"].combine_chunks(), pa.array(payoff.actions)), np.int64)
    return Logged(
        meant=meant,
        outcome=found,
        chance=_reals(decisions["share"]) * _answered(meant, allowed, found != UNKNOWN, len(payoff.actions)),
        unit=np.asarray(decisions["unit"].combine_chunks().dictionary_encode().indices, np.int64),
        stake=_reals(decisions["stake"]) if payoff.stake else None,
        probability=_reals(decisions["probability"]) if "probability" in decisions.column_names else None,
    )


def _answered(
    meant: NDArray[np.int64], allowed: NDArray[np.bool_], known: NDArray[np.bool_], actions: int
) -> NDArray[np.float64]:
    """The share of what was let through that has an outcome, by the action that was meant, for each row."""
    through = np.bincount(meant[allowed], minlength=actions)
    told = np.bincount(meant[allowed & known], minlength=actions)
    share = np.divide(told, through, out=np.ones(actions), where=through > 0)
    return share[meant]


def _require(decisions: pa.Table, feedback: pa.Table, payoff: Payoff) -> None:
    needed = [*_DECISIONS, *(["stake"] if payoff.stake else [])]
    problems = [f"decisions: no column {name}" for name in needed if name not in decisions.column_names]
    problems += [f"feedback: no column {name}" for name in _FEEDBACK if name not in feedback.column_names]
    if not problems:
        problems += _odd_values("decisions", decisions, "meant", payoff.actions)
        problems += _odd_values("feedback", feedback, "outcome", payoff.outcomes)
        problems += [f"decisions: null in {name}" for name in needed if decisions[name].null_count]
    if problems:
        raise DataError(
            "savings: found " + "; ".join(problems) + ". Expected the log of decisions as it was served and the table "
            "feedback of the contract; mend them at their source."
        )


def _odd_values(name: str, table: pa.Table, column: str, expected: tuple[str, ...]) -> list[str]:
    """What is wrong with the ids and the names of one table."""
    problems = []
    repeated = table.num_rows - pc.count_distinct(table["decision_id"]).as_py()
    if repeated:
        problems.append(f"{name}: {repeated} repeated decision_ids")
    unknown = sorted(map(str, set(pc.unique(table[column]).to_pylist()) - set(expected)))
    if unknown:
        problems.append(f"{name}: {column} says {', '.join(unknown[:10])}, expected one of {', '.join(expected)}")
    return problems


def _reals(column: pa.ChunkedArray[Any]) -> NDArray[np.float64]:
    return np.asarray(column.cast(pa.float64()).to_numpy(), np.float64)
