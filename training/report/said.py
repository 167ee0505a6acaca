"""A sentence or a label in English and in Chinese."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Said:
    """The same in both languages."""

    english: str
    chinese: str
