"""What each feature adds to a score along the paths of the trees: looked up by leaf, and summed in tree order.

The graph of a bundle holds the table of all leaves, most of it zeros, and could sum it itself; but that reads a feature
of every tree for each of some four that lie on a path, and took 100 microseconds of processor time a row where this
takes 4 (400 trees of 15 leaves, 165 features; load average 14).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from data.errors import DataError
from features.kernel import compiled
from serving.graph_cut import constants

if TYPE_CHECKING:
    from numpy.typing import NDArray

TABLE: Final = "leaf_contributions"
OFFSETS: Final = "leaf_offsets"


@dataclass(frozen=True)
class Attribution:
    """The contributions of the leaves of a forest.

    Attributes:
        offsets: Where each tree's leaves begin, int64, shape (trees,).
        starts: Where each leaf's contributions begin, and their number, int64, shape (leaves + 1,).
        feature: Which feature each is of, int32.
        value: What it adds to the raw score.
        features: How many features there are.
    """

    offsets: NDArray[np.int64]
    starts: NDArray[np.int64]
    feature: NDArray[np.int32]
    value: NDArray[np.float64]
    features: int

    @staticmethod
    def of(model: bytes, features: int) -> Attribution:
        """That of a bundle's graph.

        Raises:
            DataError: The graph holds no such table, or one of another shape.
        """
        found = constants(model, (TABLE, OFFSETS))
        table = np.frombuffer(found.get(TABLE, b""), np.float64)
        offsets = np.frombuffer(found.get(OFFSETS, b""), np.int64)
        leaves = table.size // features
        if not leaves or table.size % features or not offsets.size or not 0 <= offsets.min() <= offsets.max() < leaves:
            raise DataError(
                f"ONNX graph: found {table.size} contributions of {features} features and {offsets.size} trees, "
                "expected a table of every leaf; export the model again"
            )
        table = table.reshape(leaves, features)
        leaf, feature = np.nonzero(table)
        starts = np.concatenate(([0], np.cumsum(np.bincount(leaf, minlength=leaves)))).astype(np.int64)
        return Attribution(offsets, starts, feature.astype(np.int32), table[leaf, feature], features)

    def contributions(self, leaves: NDArray[np.int64]) -> NDArray[np.float64]:
        """What each feature adds, shape (rows, features), given the leaf of each row in each tree, (rows, trees).

        A row's result does not depend on the rows beside it.

        Raises:
            DataError: A leaf is none of the table's, so the graph is none that export wrote.
        """
        out = np.zeros((len(leaves), self.features))
        place = leaves + self.offsets
        if place.size and not 0 <= int(place.min()) <= int(place.max()) < len(self.starts) - 1:
            raise DataError("ONNX graph: found leaves beyond its table of them; export the model again")
        _add(place, self.starts, self.feature, self.value, out)
        return out


@compiled
def _add(
    leaves: NDArray[np.int64],
    starts: NDArray[np.int64],
    feature: NDArray[np.int32],
    value: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    for row in range(leaves.shape[0]):
        for tree in range(leaves.shape[1]):
            leaf = leaves[row, tree]
            for place in range(starts[leaf], starts[leaf + 1]):
                out[row, feature[place]] += value[place]
