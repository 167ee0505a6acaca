"""What was known of every member at a moment, as one table: features, shares of spend by category, city and channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from data.errors import DataError
from data.logs import LOGS
from features.audience.population import EVERYBODY, doubles
from features.audience.profile import DEMAND_SPAN
from features.audience.vocabulary import MEMBER
from features.feature import Aggregate, Derived

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data.sources import DataSet
    from features.audience.population import Population

MOST_CATEGORIES: Final = 30
_COLUMNS: Final = ("city", "channel")


@dataclass(frozen=True)
class Known:
    """Members, in order of their id, and what was known of them.

    Attributes:
        members: Their ids, shape (members,).
        names: Of the columns: the features of a member that the tables can give, the share of the last 365 days' money
            that went to each of the largest categories, city and channel as numbers.
        matrix: float32, NaN for null, shape (members, names).
        segment: Code of the segment of each, shape (members,).
    """

    members: NDArray[np.object_]
    names: tuple[str, ...]
    matrix: NDArray[np.float32]
    segment: NDArray[np.int64]


def known_of(everybody: Population, data_set: DataSet) -> Known:
    """What was known of each member at the moment of a population.

    Raises:
        DataError: The data lack orders or products.
    """
    features = _available(data_set)
    table = everybody.features(features)
    categories, shares = _spend(everybody)
    places = [_codes(everybody, column) for column in _COLUMNS]
    names = (*features, *(f"spend_share_{number}" for number in range(len(categories))), *_COLUMNS)
    columns = [doubles(table[name]).astype(np.float32) for name in features]
    return Known(
        members=np.array(table["member_id"].to_pylist(), dtype=object),
        names=names,
        matrix=np.column_stack([*columns, *shares.T, *places]).astype(np.float32),
        segment=_segments(everybody),
    )


def _available(data_set: DataSet) -> list[str]:
    """The features of a member that the tables can give.

    Raises:
        DataError: There are none.
    """
    known = {feature.name: feature for feature in MEMBER.all}

    def needs(name: str) -> frozenset[str]:
        feature = known[name]
        if isinstance(feature, Aggregate):
            return frozenset(LOGS[feature.log.name].needs)
        inputs = feature.inputs if isinstance(feature, Derived) else ()
        return frozenset(table for one in inputs for table in needs(one))

    found = [name for name in MEMBER.names if needs(name) <= data_set.files.keys()]
    if not found:
        raise DataError(f"{data_set.root}: found no log of which members have features; expected orders and products")
    return found


def _spend(everybody: Population) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """The largest categories, and each member's share of spend on them; NaN for who spent nothing."""
    query = f"""
        SELECT member_id, category, sum(amount_fen)::DOUBLE AS fen FROM ({everybody.lines()})
        WHERE seen_at < ? AND seen_at >= ? GROUP BY ALL HAVING sum(amount_fen) > 0
    """
    since = everybody.at - DEMAND_SPAN.length
    table = everybody.connection.sql(
        f"""WITH spent AS ({query}), ordered AS (
            SELECT member_id, row_number() OVER (ORDER BY member_id) - 1 AS place FROM {EVERYBODY}
        )
        SELECT place, category, fen FROM spent JOIN ordered USING (member_id) ORDER BY place, category""",
        params=[everybody.at, since],
    ).to_arrow_table()
    place = np.asarray(table["place"].to_numpy())
    fen = doubles(table["fen"])
    named = table["category"].combine_chunks().dictionary_encode()
    code = np.asarray(named.indices.fill_null(-1).to_numpy(zero_copy_only=False))
    totals = np.bincount(code[code >= 0], fen[code >= 0], len(named.dictionary))
    largest = np.argsort(-totals, kind="stable")[:MOST_CATEGORIES]
    whole = np.bincount(place, fen, everybody.size)
    with np.errstate(invalid="ignore"):
        shares = [
            np.bincount(place[code == one], fen[code == one], everybody.size) / np.where(whole > 0, whole, np.nan)
            for one in largest.tolist()
        ]
    listed = [str(one) for one in named.dictionary.to_pylist()]
    stacked = np.column_stack(shares) if shares else np.empty((everybody.size, 0))
    return tuple(listed[one] for one in largest.tolist()), stacked.astype(np.float32)


def _codes(everybody: Population, column: str) -> NDArray[np.float32]:
    """A column of the table of members as numbers, 0 the commonest; NaN where it is null."""
    query = f"""
        SELECT rank FROM {EVERYBODY} LEFT JOIN (
            SELECT {column}, row_number() OVER (ORDER BY count(*) DESC, {column}) - 1.0 AS rank
            FROM {EVERYBODY} WHERE {column} IS NOT NULL GROUP BY {column}
        ) USING ({column}) ORDER BY member_id
    """
    return doubles(everybody.connection.sql(query).to_arrow_table()["rank"]).astype(np.float32)


def _segments(everybody: Population) -> NDArray[np.int64]:
    query = f"SELECT segment FROM {everybody.segmented()} ORDER BY member_id"
    named = everybody.connection.sql(query).to_arrow_table()["segment"].combine_chunks().dictionary_encode()
    return np.asarray(named.indices.to_numpy(), dtype=np.int64)
