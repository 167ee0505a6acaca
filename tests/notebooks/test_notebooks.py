"""Every reading room tells its story on a small world: it runs to its end, and shows its pictures and figures."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import jupytext
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

ROOMS = Path(__file__).parents[2] / "notebooks"
STORIES = {
    "fraud": (800, 8, ("against who really scanned", "a thousand scans: ", "honest scans held or blocked: ")),
    "coupons": (1_500, 10, ("taken: ", "chance to redeem", "ahead of send_none")),
    "sites": (800, 6, ("80 %: holds 0.", "bound to sell", "network_gain_fen")),
    "exploring_features": (800, 5, ("rows are the same without", "leakage in task 'explored'", "scans_in_all")),
}
"""Of each: members of the world, how many pictures, and what has to be told."""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """One folder for all, so that rooms of one world make it once."""
    return tmp_path_factory.mktemp("rooms")


@pytest.mark.parametrize("name", STORIES)
def test_a_room_tells_its_story(name, home, monkeypatch, tmp_path):
    members, pictures, told = STORIES[name]
    monkeypatch.setenv("SHEPHERD_HOME", str(home))
    monkeypatch.setenv("SHEPHERD_MEMBERS", str(members))
    notebook = jupytext.read(ROOMS / f"{name}.py")
    NotebookClient(notebook, timeout=1_200, resources={"metadata": {"path": str(tmp_path)}}).execute()

    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = [output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    said = "".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    said += "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")
    assert len(shown) == pictures
    assert all(_drawn(picture) for picture in shown)
    assert [words for words in told if words not in said] == []
    assert list(tmp_path.iterdir()) == []


def _drawn(picture: str) -> bool:
    """Whether there is more than paper: ink, over a good part of the width and the height."""
    with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
        ink = np.asarray(image.convert("L")) < 250
    return bool(ink.any(axis=0).mean() > 0.3 and ink.any(axis=1).mean() > 0.3)


def test_every_notebook_is_executed_by_a_test():
    assert {path.stem for path in ROOMS.glob("*.py")} == {*STORIES, "reading_a_run"}
