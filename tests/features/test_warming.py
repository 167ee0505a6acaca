"""Machine code is made before anybody waits for it: what comes after `warm` compiles nothing more."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ASKED = """
import json, sys
from features.intake import fixed_kinds
from features.online import LiveState, columns_by_log
from features.repeats import IDENTITIES
from features.warming import warm
from training.tasks.fraud import TASK

def compiled():
    modules = [module for name, module in sys.modules.items() if name.startswith("features.")]
    found = {one.py_func: len(one.signatures) for module in modules for one in vars(module).values()
             if hasattr(one, "signatures")}
    return {f"{one.__module__}.{one.__name__}": number for one, number in found.items() if number}

warm(TASK.features)
before = compiled()
state = LiveState(TASK.features)
kinds = fixed_kinds(state.plan)
facts = [fact.name for fact in state.plan.facts]
for instant in range(1, 3_000):
    for log, columns in columns_by_log(state.plan).items():
        named = dict.fromkeys((*columns, *facts, *IDENTITIES.get(log, ())))
        event = {name: str(instant) if kinds.get(name) is str else instant for name in named}
        state.observe(log, event | {"seen_at": instant * 3_600_000_000})
        state.observe(log, event | {"seen_at": instant * 3_600_000_000})
for ring in state.plan.rings:
    for column in ring.keys:
        state.ring(ring.name, column, 3)
print(json.dumps([before, compiled()]))
"""


def test_after_warming_nothing_more_is_compiled():
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", ASKED], cwd=ROOT, capture_output=True, text=True, check=True, timeout=300
    )
    before, after = json.loads(done.stdout)

    assert before
    assert after == before
