"""Lists of members as files: seeds and audiences that come in, rankings and decisions that go out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from data.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def read_list(path: Path) -> tuple[str, ...]:
    """The ids of a list, each once, in its order; text with one id a line, or a table with a column member_id.

    Raises:
        UsageError: There is no such file, or no id in it.
    """
    if not path.is_file():
        raise UsageError(f"{path}: found no such file, expected a list of member ids, one a line, or a table of them")
    try:
        found = _ids(path)
    except (pa.ArrowException, UnicodeDecodeError, KeyError) as error:
        raise UsageError(
            f"{path}: found no column member_id ({str(error).splitlines()[0]}), expected one, or text with an id a line"
        ) from error
    if not found:
        raise UsageError(f"{path}: found no id, expected some")
    return found


def write_table(table: pa.Table, path: Path) -> None:
    """Write a table as Parquet, or as CSV where the name ends so; whole or not at all.

    Raises:
        UsageError: The name ends otherwise.
    """
    require_table_name(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.aside")
    try:
        if path.suffix == ".csv":
            pa_csv.write_csv(table, aside)
        else:
            pq.write_table(table, aside)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def require_table_name(path: Path) -> None:
    """Refuse a path that is neither a Parquet nor a CSV file.

    Raises:
        UsageError: It ends otherwise.
    """
    if path.suffix not in {".parquet", ".csv"}:
        raise UsageError(f"{path}: found the ending {path.suffix!r}, expected .parquet or .csv")


def _ids(path: Path) -> tuple[str, ...]:
    column: Sequence[object]
    if path.suffix == ".parquet":
        column = pq.read_table(path, columns=["member_id"])["member_id"].to_pylist()
    elif path.suffix == ".csv":
        column = pa_csv.read_csv(path, convert_options=pa_csv.ConvertOptions(column_types={"member_id": pa.string()}))[
            "member_id"
        ].to_pylist()
    else:
        column = path.read_text(encoding="utf-8-sig").split("\n")
    return tuple(dict.fromkeys(str(one).strip() for one in column if one is not None and str(one).strip()))
