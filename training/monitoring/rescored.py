"""A version that nobody asked, put the rows that another was given: what it would have said of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from data.errors import DataError
from serving.scorer import Scorer
from training.bundles import Bundle, read, resolve

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_ROWS: Final = 1 << 10  # scored at a time


def challenger_of(root: Path, task: str, champion: str) -> Bundle | str:
    """The version that is pointed at as challenger; or why there is none.

    Args:
        root: Folder of all bundles.
        task: Whose.
        champion: The version that it is held against, which is none.
    """
    if not (root / task / "challenger").exists():
        return "no challenger is named, who could be asked about the same"
    try:
        bundle = read(resolve(root, task, "challenger"))
    except DataError as error:
        return str(error)
    return f"the challenger is {champion} itself" if bundle.manifest.version == champion else bundle


@dataclass
class Rescored:
    """What one version says of rows that others were given.

    Attributes:
        scorer: The version.
        ours: What was said, row by row.
        members: Whom each row is about.
    """

    scorer: Scorer
    ours: list[float] = field(default_factory=list)
    members: list[str] = field(default_factory=list)
    _waiting: list[NDArray[np.float32]] = field(default_factory=list)
    _rows: int = 0
    _theirs: list[NDArray[np.float64]] = field(default_factory=list)

    @classmethod
    def of(cls, bundle: Bundle) -> Rescored:
        """Nothing yet.

        Raises:
            DataError: The bundle's model cannot be loaded.
        """
        return cls(Scorer(bundle))

    def add(self, features: bytes, said: Sequence[float], member: str) -> int | None:
        """Take in rows as a record keeps them.

        Args:
            features: Float32, little-endian, row after row, as the version's own.
            said: What was said of each.
            member: Whom they are about.

        Returns:
            The place of the first of them; None where their number is another, and they are left out.
        """
        width = len(self.scorer.manifest.features)
        if not said or len(features) != 4 * width * len(said):
            return None
        first = len(self.ours)
        self.ours += said
        self.members += [member] * len(said)
        self._waiting.append(np.frombuffer(features, "<f4").reshape(-1, width).astype(np.float32))
        self._rows += len(said)
        if self._rows >= _ROWS:
            self._settle()
        return first

    def theirs(self) -> NDArray[np.float64]:
        """What this version says of each, shape (rows,)."""
        self._settle()
        return np.concatenate(self._theirs) if self._theirs else np.empty(0)

    def _settle(self) -> None:
        if self._waiting:
            self._theirs.append(self.scorer.probability(np.concatenate(self._waiting)))
            self._waiting, self._rows = [], 0
