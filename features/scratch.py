"""Room for arrays that are filled again and again: asking the system for fresh memory costs more than filling it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from features.kernel import Answers, Kind


def pooled(kind: type[Kind], size: int) -> NDArray[Kind]:
    """So many values of a kind, whatever they are, from Arrow's pool, which keeps memory that was given back."""
    return np.frombuffer(cast("Any", pa.allocate_buffer(size * np.dtype(kind).itemsize)), kind)


@dataclass(frozen=True)
class Scratch:
    """Arrays by name; an array is good until the next of its name is asked for."""

    _held: dict[str, NDArray[np.uint8]] = field(default_factory=dict, init=False)

    def array(self, name: str, kind: type[Kind], size: int) -> NDArray[Kind]:
        """So many values of a kind, whatever they are now."""
        length = size * np.dtype(kind).itemsize
        held = self._held.get(name)
        if held is None or len(held) < length:
            held = self._held[name] = pooled(np.uint8, length)
        return held[:length].view(kind)

    def answers(self, name: str, rows: int, *, exact: bool) -> Answers:
        """Room for the values of an output: doubles, if they are to be exact."""
        return self.array(name, np.float64, rows) if exact else self.array(name, np.float32, rows)
