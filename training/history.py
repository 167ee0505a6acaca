"""A service that starts beside years of tables: the live state from the logs of a data set, before the first request.

What training reads is fed to the state in the order of arrival, a piece at a time, with the ids replaced by the aliases
that the ledger's vault gives them, so that what comes in live meets it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from data.checks import require
from data.contracts import TABLES
from data.errors import DataError, UsageError
from features.history import plain
from features.online import LiveState
from features.source import query, require_columns
from serving.bundle import read, resolve
from serving.ledger.ledger import Ledger
from serving.ledger.recovery import SNAPSHOTS, keep, needed
from serving.live.intake import KINDS, LOGS, MEMBERS
from serving.live.models import declared
from serving.live.registers import COLUMNS, Registers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    import duckdb

    from data.sources import DataSet
    from features.spec import FeatureSet
    from serving.ledger.vault import Vault
    from serving.live.registers import Register
    from serving.settings import Settings

_SEEN_AT: Final = "seen_at"
_ROWS_AT_ONCE: Final = 65_536
_MEMORY: Final = "1GB"
_NAMED: Final = 3


@dataclass(frozen=True)
class History:
    """What a state was built from.

    Attributes:
        events: How many events of all logs it took in.
        until: The instant of the last of them, microseconds since 1970 UTC.
        path: The snapshot that the service starts from.
    """

    events: int
    until: int
    path: Path


def build(data: DataSet, settings: Settings, now: datetime) -> History:
    """Builds the state that the service of some settings starts from, in place of an empty one.

    Args:
        data: The tables; every event in them comes before what is sent live.
        settings: The service's: its model of scans says which features, its ledger takes keys and snapshot.
        now: No row may lie after it.

    Raises:
        UsageError: The ledger has entries or is a running service's, several scorers share an order, no model of
            scans is served, or the service would not know the members, batches, campaigns or products of the tables.
        DataError: The tables are not as their contracts want them, or hold no event.
    """
    feature_set = _features(settings)
    require(data, now)
    _meet(data, settings)
    secret = None if settings.secret is None else settings.secret.get_secret_value()
    ledger = Ledger.open(settings.ledger, secret, settings.durability)
    try:
        if ledger.last.sequence:
            raise UsageError(
                f"ledger {settings.ledger}: has {ledger.last.sequence:,} entries, expected none, because a history "
                "comes before all that was sent live. Name an empty folder by SHEPHERD_LEDGER, or go on without."
            )
        state = LiveState(feature_set)
        counted = _feed(state, data, ledger)
        ledger.begin_after(state.clock)
        return History(counted, state.clock, keep(ledger, state, settings.ledger / SNAPSHOTS))
    finally:
        ledger.close()


def _features(settings: Settings) -> FeatureSet:
    """What the model of scans asks for."""
    if settings.state:
        raise UsageError(
            "SHEPHERD_STATE: several scorers share an order, and each draws keys of its own for the members of its "
            "tables; expected it unset. A history is for one service."
        )
    if not (settings.bundles / settings.scan_task / settings.pointer).is_file():
        raise UsageError(
            f"bundles {settings.bundles}: found no {settings.pointer} of task {settings.scan_task}, expected the model "
            "whose features the state keeps; train and promote one first."
        )
    features = declared(read(resolve(settings.bundles, settings.scan_task, settings.pointer)).manifest)
    unmade = sorted(set(needed(LiveState(features))) - LOGS)
    if unmade:
        raise UsageError(f"features of the logs {', '.join(unmade)}: nothing that is sent live makes events of them.")
    return features


def _meet(data: DataSet, settings: Settings) -> None:
    """Sees that whoever and whatever the tables name is in the registers that live scans are joined with."""
    if settings.tables is None:
        raise UsageError(
            f"SHEPHERD_TABLES: found none, expected the folder whose {', '.join(COLUMNS)} live scans are joined with; "
            f"set it, such as to {data.root}."
        )
    registers, problems = Registers.read(settings.tables), []
    with data.connect(_MEMORY) as connection:
        for name in COLUMNS:
            if name not in data.files:
                continue
            register: Register = getattr(registers, name)
            missing = [one for one in _ids(connection, name, TABLES[name].key[0]) if register.row(one) is None]
            if missing:
                problems.append(f"{len(missing):,} {name} ({', '.join(missing[:_NAMED])}, ...)")
    if problems:
        raise UsageError(
            f"SHEPHERD_TABLES, {settings.tables}: lacks {'; '.join(problems)} of {data.root}, expected all of them, so "
            "that live scans find them. Name that folder, or bring them over."
        )


def _feed(state: LiveState, data: DataSet, ledger: Ledger) -> int:
    """Lets a state take in every event; answers how many there were."""
    before, columns, connections = state.sequence, needed(state), []
    try:
        pieces = {}
        for log, names in columns.items():
            connections.append(connection := data.connect(_MEMORY))
            require_columns(state.plan, connection)
            pieces[log] = _read(connection, log, names, ledger.vault)
        for tables in merged(pieces):
            state.replay(tables)
            ledger.keep_keys()
    finally:
        for connection in connections:
            connection.close()
    if state.sequence == before:
        raise DataError(
            f"{data.root}: found no event of the logs {', '.join(columns)}, expected some; check the folder."
        )
    return state.sequence - before


def merged(logs: Mapping[str, Iterator[pa.Table]]) -> Iterator[dict[str, pa.Table]]:
    """The events of several logs together, a piece at a time; no event lies before one of an earlier piece.

    Args:
        logs: Tables with `seen_at`, each log's in order of it, none of them empty.
    """
    held = {log: first for log, tables in logs.items() if (first := next(tables, None)) is not None}
    while held:
        horizon = min(_instants(table)[-1] for table in held.values())
        piece: dict[str, pa.Table] = {}
        rest: dict[str, pa.Table] = {}
        for log, table in held.items():
            count = int(np.searchsorted(_instants(table), horizon, side="right"))
            if count:
                piece[log] = table.slice(0, count)
            following = table.slice(count) if count < len(table) else next(logs[log], None)
            if following is not None:
                rest[log] = following
        held = rest
        yield piece


def _read(
    connection: duckdb.DuckDBPyConnection, log: str, columns: tuple[str, ...], vault: Vault
) -> Iterator[pa.Table]:
    """The events of a log in the order of arrival, under aliases."""
    named = ", ".join(f'"{name}"' for name in columns)
    order = ", ".join(str(place) for place in range(1, len(columns) + 2))
    ordered = f"SELECT {_SEEN_AT}, {named} FROM ({query(connection, log)}) ORDER BY {order}"
    for batch in connection.sql(ordered).to_arrow_reader(_ROWS_AT_ONCE):
        if not len(batch):
            continue
        instants = batch.column(_SEEN_AT)
        if instants.null_count:
            raise DataError(f"log {log}, column seen_at: {instants.null_count:,} events have none, expected an instant")
        cells: dict[str, Any] = {_SEEN_AT: instants.cast(pa.timestamp("us", "UTC"))}
        yield pa.table(cells | {name: _aliased(name, batch.column(name), vault) for name in columns})


def _aliased(name: str, column: pa.Array[Any], vault: Vault) -> pa.Array[Any] | pa.ChunkedArray[Any]:
    """A column as the state takes it in: numbers for what is personal, else what it holds."""
    if name not in MEMBERS and name not in KINDS:
        return plain(pa.chunked_array([column]))
    coded: Any = column.dictionary_encode()
    named: list[str] = coded.dictionary.to_pylist()
    if name in MEMBERS:
        numbers = [vault.member(one).alias for one in named]
    else:
        numbers = [vault.alias(KINDS[name], one) for one in named]
    return pa.array(numbers, pa.int64()).take(coded.indices)


def _ids(connection: duckdb.DuckDBPyConnection, table: str, key: str) -> Iterator[str]:
    for batch in connection.sql(f'SELECT DISTINCT "{key}" FROM {table}').to_arrow_reader(_ROWS_AT_ONCE):
        yield from batch.column(0).to_pylist()


def _instants(table: pa.Table) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.asarray(table[_SEEN_AT].cast(pa.int64()).to_numpy())
