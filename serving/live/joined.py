"""Members who joined while the service ran, over a restart: they are in the log, and in a file beside it.

The file spares reading the whole log again; without it, or with a damaged one, the log is read from its beginning. It
holds aliases, cities and instants, like the log's events.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any, Final

import msgspec

from serving.ledger.blocks import NULL, SEEN_AT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from serving.ledger.blocks import Columns
    from serving.ledger.ledger import Ledger
    from serving.live.intake import Intake

FILE: Final = "joined"
_REGISTRATIONS: Final = "registrations"
_NAMES: Final = ("member_id", "registered_at", "referrer_id", "phone_prefix", "city")
_DIGEST: Final = 32


class _File(msgspec.Struct, array_like=True):
    sequence: int
    rows: list[tuple[int, int | None, int | None, int | None, str | None]]


class Joins:
    """The file of a ledger's folder.

    Args:
        folder: The ledger's.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def write(self, intake: Intake, sequence: int) -> None:
        """Write down who joined up to a place of the log; whole, or not at all."""
        rows = [(alias, *one) for alias, one in intake.joined_rows()]
        content = msgspec.msgpack.encode(_File(sequence, rows))
        aside = self._path.with_name(f".{FILE}.{os.getpid()}")
        try:
            with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(hashlib.sha256(content).digest() + content)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self._path)
        finally:
            aside.unlink(missing_ok=True)

    def bring_back(self, ledger: Ledger, intake: Intake) -> None:
        """Let the register know again of everybody who joined."""
        kept = self._read()
        after = 0
        if kept is not None and kept.sequence <= ledger.last.sequence:
            after = kept.sequence
            for kept_row in kept.rows:
                intake.join(dict(zip(_NAMES, kept_row, strict=True)))
        for batch in ledger.entries(after):
            if _REGISTRATIONS in batch.events:
                for row in rows_of(batch.events[_REGISTRATIONS]):
                    intake.join(row)

    def _read(self) -> _File | None:
        try:
            read = self._path.read_bytes()
            content = read[_DIGEST:]
            return (
                msgspec.msgpack.decode(content, type=_File)
                if hashlib.sha256(content).digest() == read[:_DIGEST]
                else None
            )
        except (OSError, msgspec.DecodeError):
            return None


def rows_of(columns: Columns, names: Iterable[str] = _NAMES) -> Iterator[dict[str, Any]]:
    """The events of a block, one by one, each with these columns at least."""
    whole = {name: memoryview(values).cast("q").tolist() for name, values in columns.numbers.items()}
    whole[SEEN_AT] = memoryview(columns.seen_at).cast("q").tolist()
    for place in range(len(whole[SEEN_AT])):
        row: dict[str, Any] = dict.fromkeys(names)
        row |= {name: None if (value := values[place]) == NULL else value for name, values in whole.items()}
        row |= {name: values[place] for name, values in columns.others.items()}
        yield row
