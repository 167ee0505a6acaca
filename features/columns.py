"""Where computed columns wait until a row's whole answer can be written: on disk, one file a column, or in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from features.kernel import Doubles

    Column: TypeAlias = NDArray[np.float32] | NDArray[np.float64]


@dataclass(frozen=True)
class Columns:
    """Computed columns by name, each float32, or float64 where something is still derived from it.

    Attributes:
        exact: Names kept in double precision.
        folder: Where to keep them; None for in memory.
    """

    exact: frozenset[str]
    folder: Path | None = None
    _held: dict[str, Column] = field(default_factory=dict, init=False)

    def put(self, name: str, values: Doubles) -> None:
        """Keeps a column."""
        kept = values if name in self.exact else rounded(values)
        if self.folder is None or not len(kept):
            self._held[name] = kept
            return
        path = self.folder / f"{len(self._held)}.column"
        kept.tofile(path)
        self._held[name] = np.memmap(path, dtype=kept.dtype, mode="r")

    def part(self, name: str, start: int, stop: int) -> Column:
        """Some rows of a column."""
        return self._held[name][start:stop]


def rounded(values: Column) -> NDArray[np.float32]:
    """The one rounding of a feature's value to float32; what does not fit is null (NaN)."""
    with np.errstate(over="ignore", invalid="ignore"):
        single = values.astype(np.float32)
    single[~np.isfinite(single)] = np.nan
    return single
