"""Where computed columns wait until a row's whole answer can be written: on disk, one file a column, or in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import numpy as np

from features.scratch import Scratch, pooled

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from features.kernel import Answers


@dataclass(frozen=True)
class Columns:
    """Computed columns by name, each float32, or float64 where something is still derived from it.

    Attributes:
        rows: How many values each has.
        folder: Where to keep them; None for in memory.
    """

    rows: int
    folder: Path | None = None
    _held: dict[str, Answers] = field(default_factory=dict, init=False)
    _scratch: Scratch = field(default_factory=Scratch, init=False)

    def room(self, exact: bool) -> Answers:  # noqa: FBT001 - the only thing to say
        """An array for the next column, which is to be put before more room is asked for: doubles if it is exact."""
        if self.folder is not None:
            return self._scratch.answers(f"column {exact}", self.rows, exact=exact)
        return pooled(np.float64, self.rows) if exact else pooled(np.float32, self.rows)

    def put(self, name: str, values: Answers) -> None:
        """Keeps a column."""
        if self.folder is None or not len(values):
            self._held[name] = values
            return
        path = self.folder / f"{len(self._held)}.column"
        values.tofile(path)
        self._held[name] = np.memmap(path, dtype=values.dtype, mode="r")

    def part(self, name: str, start: int, stop: int) -> Answers:
        """Some rows of a column."""
        return self._held[name][start:stop]


def rounded(values: Answers) -> NDArray[np.float32]:
    """The one rounding of a feature's value to float32; what does not fit is null (NaN)."""
    if values.dtype == np.float32:
        return cast("NDArray[np.float32]", values)
    with np.errstate(over="ignore", invalid="ignore"):
        single = values.astype(np.float32)
    single[~np.isfinite(single)] = np.nan
    return single
