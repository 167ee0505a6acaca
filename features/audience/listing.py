"""Lists of members that audiences are made of: kept once by what they hold, beside the audiences.

A list is whoever somebody chose elsewhere: the first thousand of a ranking, the invited of an evening. It is a filter
like any other: who stands on it and is a member at the moment that is asked about.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from data.errors import UsageError
from features.audience.filter import Listed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MOST_LISTED: Final = 20_000_000


def list_path(folder: Path, digest: str) -> Path:
    """Where a list lies in the folder of audiences; out of reach of their names, which are never folders."""
    return folder / "lists" / f"{digest}.parquet"


def write_list(folder: Path, ids: Iterable[str]) -> Listed:
    """Keep a list, whole or not at all; the same ids in any order are the same list.

    Args:
        folder: Of the audiences.
        ids: Of members; it does not matter whether the tables know them.

    Raises:
        UsageError: There are none, or too many.
    """
    chosen = sorted(set(ids))
    if not 0 < len(chosen) <= MOST_LISTED:
        raise UsageError(f"list of members: found {len(chosen):,}, expected 1 to {MOST_LISTED:,}")
    digest = hashlib.sha256("\0".join(chosen).encode()).hexdigest()
    path = list_path(folder, digest)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{uuid4().hex}.parquet")
        try:
            pq.write_table(pa.table({"member_id": pa.array(chosen, pa.string())}), aside, compression="zstd")
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
    return Listed(digest, str(path))
