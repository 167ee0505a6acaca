"""Machine code is kept for exactly these sources: numba would go on with old code where only a callee was edited."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

FEATURES = Path(__file__).parents[2] / "features"


def _folders(root):
    """The folders of machine code that an import of the kernel from a copy of the package names."""
    statement = (
        "from features.kernel import _kept_code, order_by_key\n"
        "print(_kept_code())\n"
        "print(order_by_key.stats.cache_path)"
    )
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", statement], cwd=root, capture_output=True, text=True, check=True, timeout=60
    )
    named, used = map(Path, done.stdout.split())
    assert named in used.parents
    return named


def test_an_edited_engine_has_machine_code_of_its_own_and_an_edited_declaration_has_not(tmp_path):
    for package in ("data", "features"):
        shutil.copytree(FEATURES.parent / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    before = _folders(tmp_path)
    assert _folders(tmp_path) == before
    with (tmp_path / "features" / "rfm.py").open("a") as declarations:
        declarations.write("\n# a remark\n")
    assert _folders(tmp_path) == before
    with (tmp_path / "features" / "program.py").open("a") as engine:
        engine.write("\n# a remark\n")
    assert _folders(tmp_path) != before
