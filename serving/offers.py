"""The offers that a member can get: what `build` computed for each, and which campaigns run at a moment.

Rows may also say what the rules of sending ask of a member (`serving.member_facts`); a column that no build gave is
unknown, which is not the same as a null in it.

Held in memory, ordered by member: a question costs one dictionary look-up and a slice. Times are UTC microseconds since
1970. This file reads Parquet and CSV with Arrow alone, so the service starts without the libraries of training.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
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
class Grid:
    """Members beside each other, with every offer that any of them can get at one moment.

    Attributes:
        members: Who they are.
        pairs: Offer and campaign of each column, in order.
        rows: Row of the book that tells of a member with an offer, -1 where there is none, shape (members, pairs).
        latest: The newest of each member's rows, -1 where there is none, shape (members,).
    """

    members: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    rows: NDArray[np.int64]
    latest: NDArray[np.int64]


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
        facts: What the build told of members besides, by column: numbers with NaN for null, or text.
    """

    fingerprint: str
    members: Mapping[str, tuple[int, int]]
    offer_ids: pa.Array[Any]
    campaign_ids: pa.Array[Any]
    as_of: NDArray[np.int64]
    starts_at: NDArray[np.int64]
    ends_at: NDArray[np.int64]
    features: NDArray[np.float32]
    facts: Mapping[str, NDArray[np.float64] | NDArray[np.object_]] = field(default_factory=dict)

    def grid(self, members: Sequence[str], at: datetime) -> Grid:
        """The offers of running campaigns for some members, each as it was last built before a moment.

        Args:
            members: Who is asked about; of one who was not built there is no row.
            at: A moment with a time zone.
        """
        moment = microseconds(at)
        spans = [self.members.get(member, (0, 0)) for member in members]
        lengths = np.array([stop - first for first, stop in spans], np.int64)
        first = np.array([start for start, _ in spans], np.int64)
        place = np.repeat(np.arange(len(spans)), lengths)
        rows = np.arange(len(place)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + first[place]
        usable = (self.starts_at[rows] <= moment) & (moment < self.ends_at[rows]) & (self.as_of[rows] <= moment)
        rows, place = rows[usable], place[usable]
        codes, column = np.unique(self.pair_of[rows], return_inverse=True)
        # Rows of a member stand in order of their moment, so of an offer that was built twice the later row is larger.
        table = np.full((len(spans), len(codes)), -1, np.int64)
        np.maximum.at(table, (place, column), rows)
        latest = np.full(len(spans), -1, np.int64)
        np.maximum.at(latest, place, rows)
        return Grid(tuple(members), tuple(self.pairs[code] for code in codes.tolist()), table, latest)

    def given(self, member_id: str, at: datetime, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """What was known of some of a member's offers at a moment, shape (pairs, features).

        Args:
            member_id: A member of the last build.
            at: A moment with a time zone.
            pairs: Offer and campaign of each, of those that the member could get then.
        """
        there = self.candidates(member_id, at)
        place = {pair: row for row, pair in enumerate(zip(there.offer_ids, there.campaign_ids, strict=True))}
        return there.features[[place[pair] for pair in pairs]]

    @cached_property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Every offer with a campaign that it is sent in, in order."""
        return tuple(sorted(set(self._pair_of_row)))

    @cached_property
    def pair_of(self) -> NDArray[np.int64]:
        """Place among the pairs of each row."""
        code = {pair: place for place, pair in enumerate(self.pairs)}
        return np.array([code[pair] for pair in self._pair_of_row], np.int64)

    @cached_property
    def newest(self) -> Mapping[tuple[str, str], int]:
        """The row of each pair that was built last: what it says of offer and campaign holds for all members."""
        order = np.argsort(self.as_of, kind="stable")
        return dict(zip((self.pairs[code] for code in self.pair_of[order].tolist()), order.tolist(), strict=True))

    @property
    def _pair_of_row(self) -> list[tuple[str, str]]:
        return list(zip(map(str, self.offer_ids.to_pylist()), map(str, self.campaign_ids.to_pylist()), strict=True))

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
        moment = microseconds(at)
        usable = rows[(self.starts_at[rows] <= moment) & (moment < self.ends_at[rows]) & (self.as_of[rows] <= moment)]
        # Rows stand in order of their moment, so of an offer that was built twice the later row stays.
        latest = {(str(self.offer_ids[row]), str(self.campaign_ids[row])): row for row in usable.tolist()}
        order = sorted(latest)
        return Candidates(
            tuple(offer for offer, _ in order),
            tuple(campaign for _, campaign in order),
            self.features[[latest[pair] for pair in order]],
        )


def open_book(
    features: Path, names: Sequence[str], campaigns: Path | None = None, facts: Sequence[str] = ()
) -> OfferBook:
    """Read what `build` wrote for offers, and when the campaigns run.

    Args:
        features: Parquet file (or folder of parts) with row_id, as_of, member_id, offer_id, campaign_id and features;
            without a table of campaigns also starts_at and ends_at of each row's campaign.
        names: The features that the model wants, in its order.
        campaigns: The table `campaigns`, a Parquet or CSV file or a folder of such parts, where the campaigns' times
            may have changed since the build.
        facts: Columns to be kept besides, those of them that were built.

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
        facts={name: _fact(rows, name) for name in facts if name in rows.column_names},
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


def _fact(table: pa.Table, name: str) -> NDArray[np.float64] | NDArray[np.object_]:
    kind = table.schema.field(name).type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return np.array(_text(table, name).to_pylist(), np.object_)
    plain = table[name].cast(pa.uint8()) if pa.types.is_boolean(kind) else table[name]
    column = plain.cast(pa.float64()).combine_chunks()
    known = _values(column.is_valid().cast(pa.uint8())) == 1
    return np.where(known, _values(column), np.nan)


def _values(column: pa.Array[Any]) -> NDArray[Any]:
    """The numbers of a column, whatever stands where it is null; Arrow's own to_numpy would import pandas."""
    plain = pa.Array.from_buffers(column.type, len(column), [None, column.buffers()[1]], offset=column.offset)
    return np.from_dlpack(plain).copy()


def microseconds(at: datetime) -> int:
    """A moment as the book counts it: microseconds since 1970 in UTC."""
    since = at.astimezone(UTC) - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
