"""How coordinates and chances become whole numbers, so that no order of adding changes a sum."""

from __future__ import annotations

from typing import Final

MICRO: Final = 1_000_000
"""Coordinates are whole millionths of a degree, chances whole millionths."""

PLACE_STEP: Final = 10
"""A `place` is told to a hundred-thousandth of a degree, about a metre, so that one exact number holds both halves."""

PLACE_COLUMNS: Final = 36_000_001
