"""The examination of a brand's printed codes, from its tables to a report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from data.codes.clones import cloned_codes
from data.codes.diversions import diverted_batches
from data.codes.leaks import leaked_batches
from data.codes.report import CodesReport
from data.codes.runs import serial_runs
from data.codes.scanned import prepare
from data.errors import UsageError

if TYPE_CHECKING:
    import duckdb

    from data.sources import DataSet

FALSE_SHARE: Final = 0.05
"""Share of false findings of a kind that is put up with, if not asked otherwise."""

_NEEDED: Final = {
    "scans before activation: no batch has activated_at": "SELECT count(activated_at) FROM batches",
    "serial runs: no scan has a serial": "SELECT count(serial) FROM code_scans",
    "diverted goods and distances: no scan has a place (lat, lon)": "SELECT count(lat) FROM code_scans",
    "diverted goods: no batch has a region": "SELECT count(region) FROM batches",
    "cities: no home city of a member (city) has enough scans": "SELECT count(*) FROM cities",
    "shared links: no scan says how it came in (entry)": "SELECT count(linked) FROM code_scans",
}


def examine(data_set: DataSet, false_share: float = FALSE_SHARE) -> CodesReport:
    """Look for leaked batches, cloned codes, serial runs and diverted goods.

    Reads scans, members, batches and campaigns; verdicts on scans are not looked at. An id that is sent twice counts
    once.

    Args:
        data_set: The tables of a brand.
        false_share: Share of false ones among the findings of a kind that is put up with, between 0 and 1.

    Raises:
        DataError: Tables are missing, or cannot be read.
        UsageError: The share is none.
    """
    if not 0 < false_share < 1:
        raise UsageError(f"false share: found {false_share}, expected a number between 0 and 1, such as 0.05")
    with data_set.connect() as connection:
        counts = prepare(connection)
        leaked = leaked_batches(connection, false_share)
        findings = (
            *leaked,
            *cloned_codes(connection, false_share),
            *serial_runs(connection, false_share),
            *diverted_batches(connection, false_share),
        )
        return CodesReport(data_set.root, counts, findings, _notes(connection))


def _notes(connection: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    """What the tables could not tell."""
    known = {why: connection.execute(query).fetchall()[0][0] for why, query in _NEEDED.items()}
    return tuple(why for why, count in known.items() if not count)
