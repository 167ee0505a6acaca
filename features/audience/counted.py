"""The members of a saved audience as they were counted: a Parquet file that says of which definition, as of when.

The service reads these files with Arrow alone, so that it answers who belongs to an audience without the tables. A file
of another definition than the one that is saved now is left unread: it is of the past.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from data.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from features.audience.library import Library, Saved

_KEY: Final = b"shepherd.audience"
_ROWS_A_GROUP: Final = 65_536


@dataclass(frozen=True)
class Counted:
    """An audience as it was counted.

    Attributes:
        path: The file of its members.
        fingerprint: Of the definition.
        as_of: The moment, UTC.
        size: How many members it had.
        everybody: How many members there were in all.
        profile: What they are like, as `features.audience.profile.Profile.as_dict` gives it.
    """

    path: Path
    fingerprint: str
    as_of: datetime
    size: int
    everybody: int
    profile: Mapping[str, Any]

    def members(self, offset: int, limit: int) -> tuple[str, ...]:
        """Some of the members, in order of their id; only the parts of the file that hold them are read."""
        found: list[str] = []
        with pq.ParquetFile(self.path) as file:
            start = 0
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                if start < offset + limit and offset < start + rows:
                    first = max(0, offset - start)
                    found += _ids(file, group, first, offset + limit - start - first)
                start += rows
        return tuple(found)

    def holds(self, member_id: str) -> bool:
        """Whether a member belongs to it; one part of the file is read."""
        with pq.ParquetFile(self.path) as file:
            for group in range(file.num_row_groups):
                statistics = file.metadata.row_group(group).column(0).statistics
                least, most = (statistics.min, statistics.max) if statistics is not None else (None, None)
                if least is None or most is None or str(least) <= member_id <= str(most):
                    ids = _ids(file, group, 0, file.metadata.row_group(group).num_rows)
                    if member_id in ids:
                        return True
        return False


def write_counted(counted: Counted, members: pa.Table) -> None:
    """Write the members of an audience, whole or not at all.

    Args:
        counted: What they are.
        members: One column, member_id, in order of the id.
    """
    said = {
        "fingerprint": counted.fingerprint,
        "as_of": counted.as_of.isoformat(),
        "size": counted.size,
        "everybody": counted.everybody,
        "profile": counted.profile,
    }
    table = pa.table({"member_id": members["member_id"].cast(pa.string())})
    table = table.replace_schema_metadata({_KEY: json.dumps(said, allow_nan=False).encode()})
    counted.path.parent.mkdir(parents=True, exist_ok=True)
    aside = counted.path.parent / f".{uuid4().hex}.parquet"
    try:
        pq.write_table(table, aside, compression="zstd", row_group_size=_ROWS_A_GROUP)
        aside.replace(counted.path)
    finally:
        aside.unlink(missing_ok=True)


def read_counted(path: Path) -> Counted | None:
    """What was counted, without the members; None where nothing was.

    Raises:
        DataError: The file holds something else.
    """
    if not path.exists():
        return None
    try:
        said = json.loads((pq.read_schema(path).metadata or {})[_KEY])
        return Counted(
            path,
            said["fingerprint"],
            datetime.fromisoformat(said["as_of"]),
            said["size"],
            said["everybody"],
            said["profile"],
        )
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise DataError(
            f"{path}: found no members of an audience ({str(error).splitlines()[0]}), expected what "
            "`shepherd audience refresh` writes; refresh it"
        ) from error


def counted_of(library: Library, saved: Saved) -> Counted | None:
    """What was counted of the definition that is saved now; None where that has not been counted."""
    found = read_counted(library.members_path(saved.name))
    return found if found is not None and found.fingerprint == library.fingerprint(saved.condition) else None


def _ids(file: pq.ParquetFile, group: int, first: int, number: int) -> list[str]:
    column = file.read_row_group(group)["member_id"].slice(first, number)
    return [str(one) for one in column.to_pylist()]
