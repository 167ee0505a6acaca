"""Where a brand's own members are: scans and purchases by cell and day, so that any past day can be asked about.

A scan is where it was scanned. A purchase has no place of its own but the store's; it is laid where its member last
scanned before buying, which is known at that moment and is about where the product is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import h3.api.numpy_int as cells_of
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.neighbourhood import Points, cells_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.kernel import Doubles
    from features.neighbourhood import Wholes

RESOLUTION: Final = 9
WINDOW_DAYS: Final = 365
LAG_DAYS: Final = 1
"""The eve of the day asked about is left out too: days here are UTC's, and no zone may let the day itself in."""

LEAST_DAYS: Final = 28
MONTH_DAYS: Final = 30.0

COLUMNS: Final = ("cell", "day", "member", "scans", "spend_fen")
_DAY_US: Final = 86_400_000_000


def member_heat(scans: pa.Table, orders: pa.Table | None = None) -> pa.Table:
    """Scans and money by cell, day and member: the table `heat` of `PlaceIndex.of`.

    Args:
        scans: With `ts`, `member_id`, `lat` and `lon`, and `received_at` where it is kept; rows without a member or a
            place, and what is not valid where a `status` is told, are left out.
        orders: With `ts`, `member_id` and `amount_fen`; lines of nobody, or of one who has not scanned yet, are left
            out. None for no money.

    Returns:
        `cell` (H3, resolution 9, uint64), `day` (UTC, date), `member` (a number of this table alone, int64), `scans`
        and `spend_fen` (int64); one row for each cell, day and member.
    """
    seen = _told(scans, ("member_id", "lat", "lon"))
    if "status" in seen.column_names:
        seen = seen.filter(pc.equal(seen["status"], pa.scalar("valid")))
    bought = _told(orders, ("member_id", "amount_fen")) if orders is not None else None
    people = [seen["member_id"], *([bought["member_id"]] if bought is not None else [])]
    names = pa.chunked_array([chunk for one in people for chunk in one.cast(pa.string()).chunks], pa.string())
    numbered = names.combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False).astype(np.int64)
    member, buyer = numbered[: seen.num_rows], numbered[seen.num_rows :]
    cell = cells_at(_doubles(seen["lat"]), _doubles(seen["lon"]), RESOLUTION)
    when = _learned(seen)
    parts = [(cell, when // _DAY_US, member, np.ones(len(cell), np.int64), np.zeros(len(cell), np.int64))]
    if bought is not None:
        moment = _learned(bought)
        last = _last_before(member, when, buyer, moment)
        money = bought["amount_fen"].to_numpy().astype(np.int64)
        at = (last >= 0).nonzero()[0]
        parts.append((cell[last[at]], moment[at] // _DAY_US, buyer[at], np.zeros(len(at), np.int64), money[at]))
    return _summed(*(np.concatenate(column) for column in zip(*parts, strict=True)))


@dataclass(frozen=True)
class Heat:
    """The table of member_heat, filed.

    Attributes:
        points: The middles of its cells.
        cell: Position of the cell of each row, shape (rows,).
        day: Days since 1970-01-01.
        scans: How many.
        spend_fen: How much.
        person: Number of the pair of cell and member.
        person_cell: The cell of each such pair.
        active: Number of the pair of cell and day, counted where there are scans; -1 elsewhere.
        active_cell: The cell of each such pair.
    """

    points: Points
    cell: Wholes
    day: Wholes
    scans: Wholes
    spend_fen: Wholes
    person: Wholes
    person_cell: Wholes
    active: Wholes
    active_cell: Wholes

    @classmethod
    def of(cls, table: pa.Table, reach_m: float) -> Heat:
        """Read from the table, whose cells are found again by their middles."""
        cells, cell = np.unique(table["cell"].to_numpy(), return_inverse=True)
        middles = np.array([cells_of.cell_to_latlng(one) for one in cells.tolist()]).reshape(-1, 2)
        order = Points.order(middles[:, 0], middles[:, 1], reach_m)
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        at = place[cell]
        day = table["day"].cast(pa.int32()).to_numpy().astype(np.int64)
        member, scans = (table[name].to_numpy().astype(np.int64) for name in ("member", "scans"))
        people, person = np.unique(np.stack([at, member]), axis=1, return_inverse=True)
        days, active = np.unique(np.stack([at, day]), axis=1, return_inverse=True)
        return cls(
            points=Points.filed(middles[order, 0], middles[order, 1], reach_m),
            cell=at,
            day=day,
            scans=scans,
            spend_fen=table["spend_fen"].to_numpy().astype(np.int64),
            person=person.ravel(),
            person_cell=people[0],
            active=np.where(scans > 0, active.ravel(), -1),
            active_cell=days[0],
        )

    def before(self, day: int) -> Mapping[str, Doubles] | None:
        """What the year before a day saw in each cell; None where records were kept for fewer than four weeks."""
        until = day - LAG_DAYS
        days = min(WINDOW_DAYS, until - int(self.day.min(initial=until)))
        if days < LEAST_DAYS:
            return None
        rows = np.flatnonzero((self.day < until) & (self.day >= until - WINDOW_DAYS))
        cells, monthly = len(self.points.lat), MONTH_DAYS / days
        people, active = np.zeros(len(self.person_cell), bool), np.zeros(len(self.active_cell), bool)
        people[self.person[rows]] = True
        marked = self.active[rows]
        active[marked[marked >= 0]] = True
        at = self.cell[rows]
        return {
            "member_count": np.bincount(self.person_cell[people], minlength=cells).astype(np.float64),
            "scan_count": np.bincount(at, weights=self.scans[rows] * monthly, minlength=cells).astype(np.float64),
            "active_cells": np.bincount(self.active_cell[active], minlength=cells) / days,
            "spend_fen": np.bincount(at, weights=self.spend_fen[rows] * monthly, minlength=cells).astype(np.float64),
        }


def _told(table: pa.Table, columns: tuple[str, ...]) -> pa.Table:
    """The columns that are used, without the rows that lack one of those needed."""
    kept = table.select([one for one in (*columns, "ts", "received_at", "status") if one in table.column_names])
    whole = pc.is_valid(kept["ts"])
    for name in columns:
        whole = pc.and_(whole, pc.is_valid(kept[name]))
    return kept.filter(whole)


def _learned(table: pa.Table) -> Wholes:
    """When each row could be known, microseconds since 1970 UTC."""
    when = table["ts"]
    if "received_at" in table.column_names:
        when = pc.coalesce(table["received_at"], when)
    return when.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()


def _doubles(column: pa.ChunkedArray[pa.Scalar[pa.DataType]]) -> Doubles:
    return column.to_numpy().astype(np.float64)


def _last_before(member: Wholes, when: Wholes, asker: Wholes, moment: Wholes) -> Wholes:
    """Position of the asker's last row before the moment, -1 without one."""
    everybody, times = np.r_[member, asker], np.r_[when, moment]
    asks = np.r_[np.zeros(len(member), bool), np.ones(len(asker), bool)]
    order = np.lexsort((~asks, times, everybody))  # of one moment the question comes first: strictly before
    row = np.where(asks[order], -1, order)
    first = np.r_[True, everybody[order][1:] != everybody[order][:-1]] if len(order) else np.empty(0, bool)
    rank = np.where(row >= 0, np.arange(len(order)), -1)
    start = np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
    latest = np.maximum.accumulate(rank)
    found = np.full(len(asker), -1)
    at = order[asks[order]] - len(member)
    here, begin = latest[asks[order]], start[asks[order]]
    found[at] = np.where(here >= begin, row[np.maximum(here, 0)], -1)
    return found


def _summed(cell: Wholes, day: Wholes, member: Wholes, scans: Wholes, spend: Wholes) -> pa.Table:
    order = np.lexsort((member, day, cell))
    keys = [one[order] for one in (cell, day, member)]
    new = np.zeros(len(order), bool)
    new[:1] = True
    for key in keys:
        new[1:] |= key[1:] != key[:-1]
    starts = np.flatnonzero(new)
    sums = [np.add.reduceat(one[order], starts) if len(starts) else one for one in (scans, spend)]
    columns = (
        keys[0][starts].astype(np.uint64),
        pa.array(keys[1][starts].astype(np.int32)).cast(pa.date32()),
        keys[2][starts],
        *sums,
    )
    return pa.table(dict(zip(COLUMNS, columns, strict=True)))
