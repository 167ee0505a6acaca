"""What a look back is made from, and what nobody can find in it whatever the task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from numpy.typing import NDArray

    from data.sources import DataSet
    from training.monitoring.journal import Journal

NOT_IN_LOG: Final[Mapping[str, str]] = {
    "latency": "the log keeps when a question came in, not when it was answered; `/metrics` has "
    "shepherd_decision_seconds",
    "refused": "the log keeps what was acknowledged; `/metrics` has shepherd_refusals_total",
}
_HOUR: Final = 3_600e6
_SECOND: Final = 1e6
_LATEST: Final = 0.99


@dataclass(frozen=True)
class Evidence:
    """What is looked at, the same for every task.

    Attributes:
        journal: The log.
        root: Folder of all bundles.
        data_set: Tables with what came of decisions beside the log's own; None where it has all.
        since: First instant that counts; the task's usual stretch if not given.
        until: Its end; right after the newest decision if not given.
    """

    journal: Journal
    root: Path
    data_set: DataSet | None = None
    since: datetime | None = None
    until: datetime | None = None


def arrival(seen_at: NDArray[np.int64], happened_at: NDArray[np.int64] | None = None) -> dict[str, float]:
    """How steadily decisions came in: a broken sender or a service that was down shows here, and nowhere else.

    Args:
        seen_at: When each came in, rising, microseconds since 1970 UTC.
        happened_at: When it happened by its sender's clock; None where none says so.

    Returns:
        `longest_gap_hours` between two that followed each other; and of the seconds between happening and coming in
        the median and the 99th percentile, which are below 0 where the sender's clock is ahead.
    """
    told = {"longest_gap_hours": float(np.diff(seen_at).max() / _HOUR) if len(seen_at) > 1 else 0.0}
    if happened_at is not None and len(happened_at):
        late = (seen_at - happened_at) / _SECOND
        told |= {"late_seconds_median": float(np.median(late)), "late_seconds_99": float(np.quantile(late, _LATEST))}
    return told
