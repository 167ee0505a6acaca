"""A world six times as large takes no more memory: blocks, slices and row groups are all that is held."""

from __future__ import annotations

import json
import subprocess
import sys

SCRIPT = """
import json, sys
from pathlib import Path
import data.world.people as people
people.BLOCK = 2_048
import data.world.generation as generation
import data.world.writer as writer
generation._SCANS_A_SLICE = 1_024
writer.ROW_GROUP = 2_048
from data.world.request import Request
from data.world.simulation import simulate
from features.memory import peak_bytes
report = simulate(Request(members=int(sys.argv[1]), days=14), Path(sys.argv[2]))
print(json.dumps([report.rows["scans"], peak_bytes()]))
"""


def _peak(folder, members):
    words = [sys.executable, "-c", SCRIPT, str(members), str(folder / str(members))]
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603 - our own script
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _least(folder, members):
    """The least of three peaks: how far writers run ahead of one another is chance, and only ever adds."""
    return min((_peak(folder / str(turn), members) for turn in range(3)), key=lambda found: found[1])


def test_memory_is_flat(tmp_path):
    few, small = _least(tmp_path, 6_144)
    many, large = _least(tmp_path, 36_864)

    assert many > 5 * few
    assert large < small + 200 * (many - few)
