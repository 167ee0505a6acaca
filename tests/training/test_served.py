"""The server that the walk starts is ours, whatever lies in the working folder."""

from __future__ import annotations

import pytest

from data.errors import DependencyDown
from training.served import server


def test_a_server_that_cannot_start_gives_its_last_words(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("data", "features", "serving", "training", "shepherd"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('taken for ours')")

    with pytest.raises(DependencyDown) as refusal, server(tmp_path / "nothing"):
        pytest.fail("a server of nothing was ready")

    assert "taken for ours" not in str(refusal.value)
    assert "stopped with code" in str(refusal.value)
    assert str(tmp_path / "nothing") in str(refusal.value)
