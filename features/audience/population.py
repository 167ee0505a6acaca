"""Everybody who was a member at a moment, and those of them who satisfy a filter.

The moment is an instant. What was seen at it or later does not count, by the clock of arrival: a purchase is seen when
it was received, where the table says so, else when it was made. Everybody are the members who had registered by then,
with those of whom it is not known when. City, channel and the other columns of the table of members are as they stand
in it now: it keeps no history.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from data.contracts import TABLES
from data.errors import DataError, UsageError
from data.logs import LOGS
from data.parts import quoted
from features.audience.conditions import bought_sql, condition_sql, names, purchases
from features.audience.segments import FEATURES, segments
from features.audience.vocabulary import COLUMNS, MEMBER, SEGMENT
from features.batch import compute

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import duckdb
    from numpy.typing import NDArray

    from data.sources import DataSet
    from features.audience.filter import Filter

EVERYBODY: Final = "audience_everybody"
SEGMENTED: Final = "audience_segments"
_ASKED: Final = "audience_asked_features"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_INSTANT: Final = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class Population:
    """Everybody as of a moment; make one with `population`.

    Attributes:
        connection: The tables, and `EVERYBODY`, one row a member in order of their id.
        at: The moment, UTC.
        size: How many members there are.
    """

    connection: duckdb.DuckDBPyConnection
    at: datetime
    size: int

    def select(self, condition: Filter) -> Selection:
        """Who satisfies a filter.

        Args:
            condition: The filter; saved audiences are put in for their names beforehand (`Library.expanded`).

        Raises:
            DataError: The data lack a table that the filter reads.
        """
        asked = purchases(condition)
        relations = [EVERYBODY]
        read = names(condition)
        if SEGMENT.name in read:
            relations.append(self.segmented())
        features = [name for name in read if name not in COLUMNS and name != SEGMENT.name]
        if features:
            self.connection.register(_ASKED, self.features(features))
            relations.append(_ASKED)
        values: list[object] = []
        if asked:
            bought = bought_sql(asked, self.lines(), self.at)
            relations.append(f"({bought.text})")
            values += bought.values
        test = condition_sql(condition, asked, self.at)
        joined = " LEFT JOIN ".join([relations[0], *(f"{one} USING (member_id)" for one in relations[1:])])
        query = f"SELECT member_id FROM {joined} WHERE {test.text} ORDER BY member_id"
        chosen = self.connection.sql(query, params=[*values, *test.values]).to_arrow_table()
        return Selection(condition, chosen, self.size, self.at)

    def features(self, asked: Sequence[str]) -> pa.Table:
        """Features of every member at the moment, in order of their id: member_id and one float32 column each.

        Raises:
            DataError: The data lack a log that they read.
        """
        listed = self.connection.sql(f"SELECT member_id FROM {EVERYBODY} ORDER BY member_id").to_arrow_table()
        members = listed["member_id"].combine_chunks()
        at = pa.repeat(pa.scalar(self.at, _INSTANT), len(members))
        computed = compute(
            MEMBER.only(*asked),
            self.connection,
            pa.table({"row_id": members, "as_of": at, "member_id": members}),
        )
        return computed.select(["member_id", *asked])

    def segmented(self) -> str:
        """The relation with the segment of each member, by the fifths of everybody; made when first asked for."""
        held = "SELECT count(*) FROM duckdb_tables() WHERE table_name = ?"
        if not _number(self.connection, held, [SEGMENTED]):
            table = self.features(FEATURES)
            since, baskets, fen = (doubles(table[name]) for name in FEATURES)
            named = pa.array(segments(since, baskets, fen), pa.string())
            self.connection.register(_ASKED, pa.table({"member_id": table["member_id"], SEGMENT.name: named}))
            self.connection.execute(f"CREATE TEMP TABLE {SEGMENTED} AS FROM {_ASKED}")
            self.connection.unregister(_ASKED)
        return SEGMENTED

    def lines(self) -> str:
        """The query of the log of order lines.

        Raises:
            DataError: The data lack orders or products.
        """
        LOGS["orders"].require(self.connection)
        return LOGS["orders"].sql()

    def newest_purchase(self) -> datetime | None:
        """When the latest purchase before the moment was seen; None where there is none, or no table of orders."""
        views = self.connection.execute("SELECT view_name FROM duckdb_views()").fetchall()
        if ("orders",) not in views:
            return None
        arrival = f"coalesce({', '.join(TABLES['orders'].arrival)})"
        query = f"SELECT epoch_us(max({arrival})) FROM orders WHERE {arrival} < ?"
        ((found,),) = self.connection.execute(query, [self.at]).fetchall()
        return None if found is None else _EPOCH + timedelta(microseconds=int(found))


@dataclass(frozen=True)
class Selection:
    """Who satisfied a filter at a moment.

    Attributes:
        condition: The filter.
        members: One column, member_id, in order of the id.
        everybody: How many members there were.
        at: The moment, UTC.
    """

    condition: Filter
    members: pa.Table
    everybody: int
    at: datetime

    @property
    def size(self) -> int:
        """How many they are."""
        return self.members.num_rows

    @property
    def share(self) -> float:
        """Their share of everybody; 0 where there is nobody."""
        return self.size / self.everybody if self.everybody else 0.0

    def preview(self, number: int) -> tuple[str, ...]:
        """The first members in order of their id, the same ones each time."""
        return tuple(str(one) for one in self.members["member_id"].slice(0, number).to_pylist())

    def as_dict(self) -> dict[str, object]:
        """For JSON: what was asked, as of when, and how many."""
        return {
            "filter": str(self.condition),
            "as_of": self.at.isoformat(),
            "size": self.size,
            "everybody": self.everybody,
            "share": self.share,
        }


@contextmanager
def population(data_set: DataSet, at: datetime) -> Iterator[Population]:
    """Open a data set as of a moment; inside the `with` it can be asked.

    Args:
        data_set: With the table `members`; purchases need `orders` and `products`, features their logs.
        at: The moment, with a time zone.

    Raises:
        DataError: There is no table of members, or nobody was a member by then.
        UsageError: The moment has no time zone.
    """
    if at.tzinfo is None:
        raise UsageError(f"as of: found {at.isoformat()}, a time without zone; write 2025-06-01T00:00:00+08:00, or Z")
    if "members" not in data_set.files:
        raise DataError(
            f"{data_set.root}: found no table members; expected one ({TABLES['members'].meaning}), out of whom an "
            "audience is chosen; add members.parquet or members.csv"
        )
    with data_set.connect() as connection:
        moment = at.astimezone(UTC)
        listed = ", ".join(quoted(name) for name in ("member_id", "registered_at", *COLUMNS))
        connection.execute(
            f"""CREATE TEMP TABLE {EVERYBODY} AS
            SELECT DISTINCT ON (member_id) {listed} FROM members
            WHERE member_id IS NOT NULL AND (registered_at IS NULL OR registered_at < ?)
            ORDER BY member_id, registered_at""",
            [moment],
        )
        size = _number(connection, f"SELECT count(*) FROM {EVERYBODY}")
        if not size:
            raise DataError(
                f"{data_set.root}: found nobody who had registered before {moment.isoformat()}; expected members; "
                "ask as of a later moment"
            )
        yield Population(connection, moment, size)


def doubles(column: pa.ChunkedArray[Any]) -> NDArray[np.float64]:
    """A column of numbers with NaN for null."""
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def _number(connection: duckdb.DuckDBPyConnection, query: str, values: Sequence[object] = ()) -> int:
    ((number,),) = connection.execute(query, list(values)).fetchall()
    return int(number)
