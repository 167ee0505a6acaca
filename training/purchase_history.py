"""What is known of each member's purchases as of a moment: how often, how long ago, since when, and for how much.

One day's baskets are one purchase, as in the sources of the models that read it. Only what had arrived by the moment
counts (`seen_at`), so a history is what a shop knew then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from data.errors import DataError, UsageError
from data.logs import LOGS

if TYPE_CHECKING:
    from datetime import datetime

    import duckdb
    from numpy.typing import NDArray

    Reals = NDArray[np.float64]

_DAY_US: Final = 86_400_000_000


@dataclass(frozen=True)
class Histories:
    """A row a member who ever bought; all of shape (members,).

    Attributes:
        member: Who.
        frequency: Purchases after the first: days with a purchase, less one.
        recency: Time from the first purchase to the last; 0 for who never came back.
        age: Time from the first purchase to the moment.
        mean_amount: Paid for a purchase on average, the first left out, in fen; 0 for who never came back.
    """

    member: NDArray[np.object_]
    frequency: Reals
    recency: Reals
    age: Reals
    mean_amount: Reals

    def __post_init__(self) -> None:
        """Refuse histories that cannot be.

        Raises:
            DataError: Columns differ in length, or a member's numbers contradict each other.
        """
        columns = (self.frequency, self.recency, self.age, self.mean_amount)
        if len({len(self.member), *map(len, columns)}) > 1:
            lengths = ", ".join(str(len(column)) for column in (self.member, *columns))
            raise DataError(f"purchase histories: found columns of {lengths} rows, expected one length.")
        odd = {
            "members whose frequency is no whole number from 0": (self.frequency < 0)
            | (self.frequency != np.round(self.frequency)),
            "members whose last purchase lies outside their time": ~((self.recency >= 0) & (self.recency <= self.age)),
            "members who never came back, and did later": (self.frequency == 0) & (self.recency > 0),
            "members whose mean amount is no number": ~np.isfinite(self.mean_amount),
        }
        problems = [f"{int(rows.sum())} {what}" for what, rows in odd.items() if rows.any()]
        if problems:
            raise DataError(
                f"purchase histories: found {'; '.join(problems)} among {len(self.member)}, expected none; count "
                "purchases after the first, and times from it."
            )

    def drawn(self, rows: NDArray[np.int64]) -> Histories:
        """The same of some members."""
        return Histories(
            self.member[rows], self.frequency[rows], self.recency[rows], self.age[rows], self.mean_amount[rows]
        )


def read_histories(connection: duckdb.DuckDBPyConnection, as_of: datetime, time_zone: str = "UTC") -> Histories:
    """Every member's history in days, as of a moment.

    Args:
        connection: With the table `orders`, from `DataSet.connect`.
        as_of: The moment, with its zone; purchases that arrived at or after it are not seen.
        time_zone: In which a day begins at midnight, such as Asia/Shanghai.

    Raises:
        DataError: No member had bought by then.
        UsageError: The moment has no zone.
    """
    if as_of.tzinfo is None:
        raise UsageError(f"as_of: found {as_of} without a time zone, expected one; write the offset.")
    found = connection.execute(
        f"""
        WITH days AS (
            SELECT member_id, timezone($2, ts)::DATE AS day, sum(amount_fen)::DOUBLE AS amount,
            FROM ({LOGS["baskets"].sql()}) WHERE member_id IS NOT NULL AND seen_at < $1 AND ts < $1 GROUP BY ALL
        )
        SELECT member_id, count(*)::DOUBLE - 1 AS frequency,
            date_diff('day', min(day), max(day))::DOUBLE AS recency,
            (epoch_us(timezone($2, $1)) - epoch_us(min(day)::TIMESTAMP)) / {_DAY_US} AS age,
            coalesce((sum(amount) - arg_min(amount, day)) / nullif(count(*) - 1, 0), 0) AS mean_amount
        FROM days GROUP BY member_id ORDER BY member_id
        """,
        [as_of, time_zone],
    ).fetchnumpy()
    if not len(found["member_id"]):
        raise DataError(f"orders: found no purchase of a member before {as_of}, expected some; choose a later moment.")
    numbers = {
        name: np.asarray(np.ma.getdata(column), np.float64) for name, column in found.items() if name != "member_id"
    }
    return Histories(np.asarray(np.ma.getdata(found["member_id"]), object), **numbers)
