"""Orders that need no model: what a sensible person would list first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.dataset import Examples


@dataclass(frozen=True)
class RankedBy:
    """Order by one feature, of equals by the next, and so on; nulls last.

    Attributes:
        name: As it appears in the report.
        features: Features of which more comes first; of one with a minus before its name less does.
    """

    name: str
    features: tuple[str, ...]

    @property
    def ablation(self) -> bool:
        """No: it is a rival that the model has to be ahead of."""
        return False

    def score(self, table: Examples, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """A score of each row, higher for further up; equal for rows that no feature tells apart. Shape (rows,).

        Raises:
            UsageError: The task has no such feature.
        """
        return self.of(table.features, table.matrix[rows])

    def of(self, names: Sequence[str], matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """The same of rows by their features, shape (rows, features)."""
        unknown = [name for name in self.features if name.removeprefix("-") not in names]
        if unknown or not self.features:
            raise UsageError(
                f"the baseline {self.name!r} orders by features that the task has not: found "
                f"{', '.join(unknown) or 'none'}, expected names among {', '.join(names)}"
            )
        columns = np.stack([self._column(name, names, matrix) for name in self.features])
        order = np.lexsort(columns[::-1])
        ranked = columns[:, order]
        steps = np.append(False, (ranked[:, 1:] != ranked[:, :-1]).any(axis=0))
        score = np.empty(len(matrix))
        score[order] = np.cumsum(steps)
        return score

    @staticmethod
    def _column(name: str, names: Sequence[str], matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        values = matrix[:, names.index(name.removeprefix("-"))].astype(np.float64)
        signed: NDArray[np.float64] = np.nan_to_num(-values if name.startswith("-") else values, nan=-np.inf)
        return signed
