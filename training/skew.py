"""Whether serving would see what training saw: before an export a sample of rows is replayed event by event."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from data.errors import GateRefused
from features.replay import replay_check
from training.dataset import task_rows

if TYPE_CHECKING:
    import numpy as np

    from data.sources import DataSet
    from features.replay import ReplayReport
    from training.task import LabelledTask

FEWEST_ROWS = 150


def refuse_skew(task: LabelledTask, data_set: DataSet, generator: np.random.Generator) -> ReplayReport:
    """Replay the rows of some whole units (members, rings) through the live state, and hold every value against batch.

    Args:
        task: Whose features are held.
        data_set: The tables.
        generator: Draws the units, until they have 150 rows.

    Raises:
        GateRefused: A value differs by as much as a bit; the first are named.
    """
    with data_set.connect() as connection:
        rows = task_rows(task, connection)
    units = rows[task.unit].combine_chunks().dictionary_encode()
    drawn = generator.permutation(len(units.dictionary))
    rank = drawn[units.indices.to_numpy(zero_copy_only=False)]
    sample = rows.filter(pa.array(rank <= sorted(rank)[min(FEWEST_ROWS, len(rank)) - 1]))
    report = replay_check(task.features, data_set, sample)
    if report.mismatches:
        raise GateRefused(
            f"replay of task {task.name!r}: serving would not see what training saw; found {report}\nexpected no "
            "difference; this is a fault of the feature engine or of a derived feature that is not element by element"
        )
    return report
