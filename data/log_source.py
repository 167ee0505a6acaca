"""What an event log is: a query over the views of `DataSet.connect`, in which an id that is repeated counts once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from data.contracts import REPEAT_DAYS, TABLES
from data.errors import DataError

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class LogSource:
    """One event log: what an event is, which tables it is made of, and its query.

    Attributes:
        name: the log's name, as features declare it.
        meaning: what one event is.
        needs: the tables it reads.
        query: the SQL; `{pairs}` in it stands for the asked (member_id, offer_id), see `sql`.
    """

    name: str
    meaning: str
    needs: tuple[str, ...]
    query: str

    def sql(self, restrict: str | None = None) -> str:
        """The query that gives the log, one row an event, with `seen_at` in UTC.

        Args:
            restrict: a relation with columns member_id and offer_id; a log with one row per line and offer then holds
                only the asked pairs. Without it such a log is as large as all lines times all offers. The other logs
                are as they are.
        """
        every_pair = "(SELECT member_id, offer_id FROM (SELECT DISTINCT member_id FROM orders), offers)"
        return self.query.replace("{pairs}", restrict or every_pair)

    def require(self, connection: duckdb.DuckDBPyConnection) -> None:
        """See that the connection has the tables.

        Raises:
            DataError: tables are missing; all of them are named.
        """
        listed = connection.execute("SELECT table_name FROM information_schema.tables").fetchall()
        present = {str(name) for (name,) in listed}
        missing = [table for table in self.needs if table not in present]
        if missing:
            described = "; ".join(f"{table} ({TABLES[table].meaning})" for table in missing)
            raise DataError(
                f"log {self.name}: found no table {', '.join(missing)}; expected {', '.join(self.needs)}; "
                f"add to the folder: {described}"
            )


def counted_once(table: str, key: str, joined: tuple[str, ...] = ()) -> str:
    """The rows of a table with `seen_at`, each id once within 35 days of the arrival that counted.

    A further column of the file that bears the name of a `joined` column makes way for it.
    """
    taken = ", ".join(f"'{name}'" for name in ("seen_at", *joined))
    arrival = TABLES[table].arrival
    return f"""(
        WITH arrived AS NOT MATERIALIZED (
            SELECT COLUMNS(lambda name: name NOT IN ({taken})), coalesce({", ".join(arrival)}) AS seen_at
            FROM {table}
        ),
        repeated AS (SELECT {key} FROM arrived GROUP BY {key} HAVING count(*) > 1),
        moments AS (
            SELECT {key}, list_transform(list_sort(list(seen_at)), lambda moment: [moment]) AS apart
            FROM arrived SEMI JOIN repeated USING ({key})
            GROUP BY {key}
        ),
        counted AS (
            SELECT {key}, unnest(list_reduce(apart, lambda kept, moment:
                CASE WHEN moment[1] > kept[-1] + INTERVAL {REPEAT_DAYS} DAY THEN kept || moment ELSE kept END
            )) AS seen_at
            FROM moments
        )
        SELECT * FROM arrived ANTI JOIN repeated USING ({key})
        UNION ALL BY NAME
        SELECT arrived.* FROM arrived JOIN counted USING ({key}, seen_at)
        QUALIFY row_number() OVER (PARTITION BY {key}, seen_at ORDER BY {arrival[-1]}) = 1
    )"""
