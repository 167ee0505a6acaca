"""Machine code is kept for exactly these sources: numba would go on with old code where only a callee was edited."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FEATURES = Path(__file__).parents[2] / "features"


def _folder(root, kept):
    """The folder of machine code that an import of the kernel from a copy of the package uses."""
    statement = "from features.kernel import order_by_key\nprint(order_by_key.stats.cache_path)"
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", statement],
        cwd=root,
        env=os.environ | {"NUMBA_CACHE_DIR": kept},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    used = Path(done.stdout.strip())
    return next(one for one in used.parents if one.name.startswith("engine-"))


@pytest.mark.parametrize("kept", ["", "kept"], ids=["its own folder", "a folder that is named"])
def test_an_edited_engine_has_machine_code_of_its_own_and_an_edited_declaration_has_not(tmp_path, kept):
    kept = str(tmp_path / kept) if kept else ""
    for package in ("data", "features"):
        shutil.copytree(FEATURES.parent / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    before = _folder(tmp_path, kept)
    assert before.is_relative_to(kept or tmp_path)
    with (tmp_path / "features" / "rfm.py").open("a") as declarations:
        declarations.write("\n# a remark\n")
    assert _folder(tmp_path, kept) == before
    with (tmp_path / "features" / "program.py").open("a") as engine:
        engine.write("\n# a remark\n")
    assert _folder(tmp_path, kept) != before
