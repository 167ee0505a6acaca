"""How often a fault is caused: a few times with every run, as often as was promised with `make faults`."""

from __future__ import annotations

import os


def times(few: int, promised: int) -> int:
    """A few in the fast tests; what was promised where `SHEPHERD_TEST_LONG` is set."""
    return promised if os.environ.get("SHEPHERD_TEST_LONG") else few
