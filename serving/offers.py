"""The offers that a member can get: what `build` computed for each, and which campaigns run at a moment.

Held in memory, ordered by member: a question costs one dictionary look-up and a slice. Times are UTC microseconds since
1970. This file reads Parquet and CSV with Arrow alone, so the service starts without the libraries of training.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from data.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

FINGERPRINT_KEY: Final = b"shepherd.features.fingerprint"  # where `features.batch` notes the declarations
_INSTANT: Final = pa.timestamp("us", tz="UTC")
_KEYS: Final = ("row_id", "as_of", "member_id", "offer_id", "campaign_id")
_WINDOW_COLUMNS: Final = ("campaign_id", "starts_at", "ends_at")
_NEVER_NULL: Final = frozenset((*_KEYS, *_WINDOW_COLUMNS))
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class UnknownMember(DataError):
    """A member of whom nothing was built."""


@dataclass(frozen=True)
class Candidates:
    """What one member can get at one moment, in order of offer and campaign.

    Attributes:
        offer_ids: The offer of each row.
        campaign_ids: The running campaign that it belongs to.
        features: What was known when the row was built, float32, shape (rows, features), NaN for unknown.
    """

    offer_ids: tuple[str, ...]
    campaign_ids: tuple[str, ...]
    features: NDArray[np.float32]


@dataclass(frozen=True)
class OfferBook:
    """Every row that `build` wrote, by member; make one with `open_book`.

    Attributes:
        fingerprint: Of the declarations that computed the features.
        members: For each member the rows that are theirs: first, and one past the last.
        offer_ids: Offer of each row.
        campaign_ids: Campaign of each row.
        as_of: Moment of each row.
        starts_at: Moment from which the row's campaign runs.
        ends_at: Moment from which it no longer runs.
        features: float32, shape (rows, features).
    """

    fingerprint: str
    members: Mapping[str, tuple[int, int]]
    offer_ids: pa.Array[Any]
    campaign_ids: pa.Array[Any]
    as_of: NDArray[np.int64]
    starts_at: NDArray[np.int64]
    ends_at: NDArray[np.int64]
    features: NDArray[np.float32]

    def candidates(self, member_id: str, at: datetime) -> Candidates:
        """The offers of campaigns that run at a moment, each as it was last built before that moment.

        Args:
            member_id: A member of the last build.
            at: A moment with a time zone.

        Raises:
            UnknownMember: Nothing was built for this member.
        """
        if member_id not in self.members:
            raise UnknownMember(
                f"Member: found none of this id among the {len(self.members):,} that the features were built for, "
                "expected one of them; check the id, or build features from data that hold this member."
            )
        first, stop = self.members[member_id]
        rows = np.arange(first, stop)
        moment = _microseconds(at)
        usable = rows[(self.starts_at[rows] <= moment) & (moment < self.ends_at[rows]) & (self.as_of[rows] <= moment)]
        # Rows stand in order of their moment, so of an offer that was built twice the later row stays.
        latest = {(str(self.offer_ids[row]), str(self.campaign_ids[row])): row for row in usable.tolist()}
        order = sorted(latest)
        return Candidates(
            tuple(offer for offer, _ in order),
            tuple(campaign for _, campaign in order),
            self.features[[latest[pair] for pair in order]],
        )


def open_book(features: Path, names: Sequence[str], campaigns: Path | None = None) -> OfferBook:
    """Read what `build` wrote for offers, and when the campaigns run.

    Args:
        features: Parquet file (or folder of parts) with row_id, as_of, member_id, offer_id, campaign_id and features;
            without a table of campaigns also starts_at and ends_at of each row's campaign.
        names: The features that the model wants, in its order.
        campaigns: The table `campaigns`, a Parquet or CSV file or a folder of such parts, where the campaigns' times
            may have changed since the build.

    Raises:
        DataError: A file cannot be read, a column is missing, a time has no zone, a key is null, or a campaign is
            unknown; all such findings of the two tables at once.
    """
    rows = _read(features)
    windows = rows if campaigns is None else _read(campaigns)
    problems = _column_problems("features", features, rows, (*_KEYS, *names), ("as_of",))
    problems += _column_problems("campaigns", campaigns or features, windows, _WINDOW_COLUMNS, _WINDOW_COLUMNS[1:])
    if problems:
        raise DataError("\n".join(problems))
    rows = rows.sort_by([("member_id", "ascending"), ("as_of", "ascending"), ("row_id", "ascending")])
    bounds = _bounds(rows, windows, f"Table features ({features})")
    return OfferBook(
        fingerprint=(rows.schema.metadata or {}).get(FINGERPRINT_KEY, b"").decode(),
        members=_slices(_words(rows, "member_id")),
        offer_ids=_text(rows, "offer_id"),
        campaign_ids=_text(rows, "campaign_id"),
        as_of=_instants(rows, "as_of"),
        starts_at=bounds[:, 0],
        ends_at=bounds[:, 1],
        features=np.column_stack([_numbers(rows, name) for name in names]),
    )


def _bounds(rows: pa.Table, windows: pa.Table, where: str) -> NDArray[np.int64]:
    """When the campaign of each row starts and ends, shape (rows, 2)."""
    starts, ends = _instants(windows, "starts_at").tolist(), _instants(windows, "ends_at").tolist()
    running = dict(zip(_words(windows, "campaign_id"), zip(starts, ends, strict=True), strict=True))
    campaign_of_row = _words(rows, "campaign_id")
    unknown = sorted(set(campaign_of_row) - set(running))
    if unknown:
        raise DataError(
            f"{where}: found {len(unknown)} campaigns that the table of campaigns does not hold (the first: "
            f"{', '.join(unknown[:10])}), expected only known ones; give the campaigns of the data that were built."
        )
    return np.array([running[campaign] for campaign in campaign_of_row], dtype=np.int64).reshape(-1, 2)


def _read(path: Path) -> pa.Table:
    parts = sorted(part for part in path.iterdir() if part.suffix in {".parquet", ".csv"}) if path.is_dir() else [path]
    if not parts:
        raise DataError(f"Folder {path}: found no .parquet or .csv part, expected at least one; check the path.")
    try:
        return pa.concat_tables([_read_csv(part) if part.suffix == ".csv" else _read_parquet(part) for part in parts])
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"File {path}: found nothing that can be read as a table ({str(error).splitlines()[0]}), expected the "
            "Parquet or CSV that `shepherd build` or the data set holds; check the path, or build again."
        ) from error


def _read_parquet(path: Path) -> pa.Table:
    with pq.ParquetFile(path) as file:  # pq.read_table would import pandas
        return file.read()


def _read_csv(path: Path) -> pa.Table:
    types = {"campaign_id": pa.string(), "starts_at": _INSTANT, "ends_at": _INSTANT}
    return pa_csv.read_csv(path, convert_options=pa_csv.ConvertOptions(column_types=types))


def _column_problems(
    table: str, path: Path, found: pa.Table, expected: Sequence[str], instants: Sequence[str]
) -> list[str]:
    where = f"Table {table} ({path}): "
    missing = [name for name in expected if name not in found.column_names]
    naive = [name for name in instants if name not in missing and not _is_instant(found.schema.field(name).type)]
    holes = [name for name in expected if name in _NEVER_NULL and name not in missing and found[name].null_count]
    problems = []
    if missing:
        problems.append(
            f"{where}found no columns {', '.join(missing)}, expected all keys and all features of the model; build it "
            "with the task that the model was trained for."
        )
    if naive:
        problems.append(f"{where}found no time zone in {', '.join(naive)}, expected UTC; write timestamps with a zone.")
    if holes:
        problems.append(f"{where}found nulls in {', '.join(holes)}, expected none; drop or mend those rows.")
    return problems


def _is_instant(kind: pa.DataType) -> bool:
    return pa.types.is_timestamp(kind) and kind.tz is not None


def _slices(members: Sequence[str]) -> dict[str, tuple[int, int]]:
    slices: dict[str, tuple[int, int]] = {}
    for row, member in enumerate(members):
        slices[member] = (slices.get(member, (row, row))[0], row + 1)
    return slices


def _text(table: pa.Table, name: str) -> pa.Array[Any]:
    return table[name].cast(pa.string()).combine_chunks()


def _words(table: pa.Table, name: str) -> list[str]:
    """A text column without nulls as Python text."""
    return [str(word) for word in _text(table, name).to_pylist()]


def _instants(table: pa.Table, name: str) -> NDArray[np.int64]:
    return _values(table[name].cast(_INSTANT).cast(pa.int64()).combine_chunks())


def _numbers(table: pa.Table, name: str) -> NDArray[np.float32]:
    column = table[name].cast(pa.float32()).combine_chunks()
    known = _values(column.is_valid().cast(pa.uint8())) == 1
    return np.where(known, _values(column), np.float32(np.nan))


def _values(column: pa.Array[Any]) -> NDArray[Any]:
    """The numbers of a column, whatever stands where it is null; Arrow's own to_numpy would import pandas."""
    plain = pa.Array.from_buffers(column.type, len(column), [None, column.buffers()[1]], offset=column.offset)
    return np.from_dlpack(plain).copy()


def _microseconds(at: datetime) -> int:
    since = at.astimezone(UTC) - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
