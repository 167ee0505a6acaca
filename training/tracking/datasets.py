"""The tables that a run learned from and was tested on, as MLflow's datasets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlflow import MlflowClient

    from training.record import Record

CONTEXT: Final = "mlflow.data.context"
DIGEST: Final = 36
"""Letters of the content's hash that MLflow keeps; the parameter `data_hash` has all."""
CONTEXTS: Final = ("train", "test")


def log_datasets(tracked: MlflowClient, run_id: str, record: Record, features: Sequence[str], root: str) -> None:
    """Name what was learned from and what was tested on; both are rows of the same tables.

    Args:
        tracked: The store.
        run_id: The run.
        record: Of the fit.
        features: Names of the columns of a row.
        root: Where the tables were read from; empty where nobody said.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    kind = root.partition("://")[0] if "://" in root else "local"
    schema = json.dumps({"mlflow_colspec": [{"type": "float", "name": name, "required": False} for name in features]})
    inputs = [
        DatasetInput(
            Dataset(
                name=f"{record.task} {context}",
                digest=record.data_hash[:DIGEST],
                source_type=kind,
                source=json.dumps({"uri": root}),
                schema=schema,
                profile=json.dumps(_profile(record, context)),
            ),
            [InputTag(CONTEXT, context)],
        )
        for context in CONTEXTS
    ]
    tracked.log_inputs(run_id, inputs)


def _profile(record: Record, context: str) -> dict[str, int | str]:
    """How many rows, how many of them came true, and where the test begins."""
    rows: dict[str, int | str] = {"num_rows": record.rows[context], "test_from": record.test_from.isoformat()}
    return rows | ({"positives": record.positives[context]} if context in record.positives else {})
