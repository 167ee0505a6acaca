"""The reading room runs on what a walk left, shows its pictures, and does not hide a fault."""

from __future__ import annotations

import base64
from pathlib import Path

import jupytext
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from training.interval import Interval
from training.report.words import figure, metric

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "reading_a_run.py"
PNG = b"\x89PNG\r\n\x1a\n"


def _executed(home, monkeypatch, folder):
    monkeypatch.setenv("SHEPHERD_HOME", str(home))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    notebook = jupytext.read(NOTEBOOK)
    client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}})
    return client.execute()


def _outputs(notebook, kind):
    return [output for cell in notebook.cells for output in cell.get("outputs", []) if output.output_type == kind]


def test_the_notebook_draws_what_the_walk_left(journey, monkeypatch, tmp_path):
    notebook = _executed(journey.home, monkeypatch, tmp_path)

    pictures = [
        base64.b64decode(output.data["image/png"])
        for output in (*_outputs(notebook, "display_data"), *_outputs(notebook, "execute_result"))
        if "image/png" in output.data
    ]
    assert len(pictures) == 5
    assert all(picture.startswith(PNG) and len(picture) > 3_000 for picture in pictures)
    said = "".join(output.text for output in _outputs(notebook, "stream") if output.name == "stdout")
    assert said.startswith(journey.coupon["version"])
    found = Interval(**journey.coupon["metrics"]["roc_auc"])
    assert f"{metric('roc_auc').chinese}**: {figure('roc_auc', found)}" in said
    assert "kind = type_a: average_precision 0." in said
    assert "send_of_redeemed" in said
    assert _outputs(notebook, "error") == []
    assert list(tmp_path.iterdir()) == []


def test_the_notebook_fails_loudly_where_there_is_no_run(monkeypatch, tmp_path):
    with pytest.raises(CellExecutionError, match="task 'coupon': found no model in the store of runs, expected one"):
        _executed(tmp_path / "empty", monkeypatch, tmp_path)
