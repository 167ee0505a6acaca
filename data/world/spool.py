"""Records on disk, dealt out by time, so that one slice of time is in memory at once however large the world is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Slices:
    """Equal stretches of time; what lies before the first belongs to it, and what lies after the last to the last.

    Attributes:
        start: First instant of the first, in microseconds since 1970 UTC.
        width: How long each is, in microseconds.
        count: How many there are.
    """

    start: int
    width: int
    count: int

    def of(self, instants: NDArray[np.int64]) -> NDArray[np.int64]:
        """Which slice each instant lies in."""
        return np.clip((np.asarray(instants, np.int64) - self.start) // self.width, 0, self.count - 1)


@dataclass(frozen=True)
class Spool:
    """Records that are given in any order and taken back a slice at a time.

    Attributes:
        folder: Where the files lie, one a slice; made when the first record comes.
        record: The type of the records.
        slices: The stretches of time.
    """

    folder: Path
    record: np.dtype[Any]
    slices: Slices

    def put(self, records: NDArray[Any], instants: NDArray[np.int64]) -> None:
        """Append records, each to the slice of its instant."""
        if not len(records):
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        places = self.slices.of(instants)
        order = np.argsort(places, kind="stable")
        dealt = np.ascontiguousarray(records[order], self.record)
        found, starts = np.unique(places[order], return_index=True)
        stops = np.append(starts[1:], len(records))
        for place, start, stop in zip(found.tolist(), starts.tolist(), stops.tolist(), strict=True):
            with self._path(place).open("ab") as file:
                file.write(dealt[start:stop].data)

    def take(self, place: int) -> NDArray[Any]:
        """The records of a slice, in the order in which they were given; the spool no longer holds them."""
        path = self._path(place)
        if not path.exists():
            return np.empty(0, self.record)
        records: NDArray[Any] = np.fromfile(path, self.record)
        path.unlink()
        return records

    def _path(self, place: int) -> Path:
        return self.folder / f"{place:06d}"


def arranged(records: NDArray[Any], instants: NDArray[np.int64], generator: np.random.Generator) -> NDArray[Any]:
    """Records in order of their instants; those of one instant in an order by lot."""
    lot = generator.permutation(len(records))
    return records[lot[np.argsort(instants[lot], kind="stable")]]
