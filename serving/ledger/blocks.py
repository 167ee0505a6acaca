"""The events of one commit as columns, so that a log of millions comes back without an object an event."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from data.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Events: TypeAlias = "tuple[tuple[str, Mapping[str, object]], ...]"
"""What a state took in at one instant: the log and the event, in order."""

NULL: Final = -(1 << 63)
"""Stands for null among whole numbers; no value of an event is that small."""
SEEN_AT: Final = "seen_at"
_WHOLE: Final = "q"


class Columns(msgspec.Struct, array_like=True):
    """Some events of one log, in order.

    Attributes:
        seen_at: Their instants, microseconds since 1970 UTC, int64 little-endian.
        numbers: Columns of whole numbers, likewise, null as `NULL`.
        others: Columns of text, or of whatever else an event held, null as None. A column without a value stands in
            neither.
    """

    seen_at: bytes
    numbers: dict[str, bytes]
    others: dict[str, list[Any]]


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(dict[str, Columns])


def encode_events(taken: Iterable[tuple[int, Events]]) -> bytes:
    """The events of many instants, each with its instant, as the bytes of a block; empty where there are none.

    Raises:
        DataError: A value has no place in a log: it is no number, text, instant or None.
    """
    instants: dict[str, list[int]] = {}
    rows: dict[str, list[Mapping[str, object]]] = {}
    for seen_at, events in taken:
        for log, event in events:
            if log not in rows:
                instants[log], rows[log] = [], []
            instants[log].append(seen_at)
            rows[log].append(event)
    if not rows:
        return b""
    try:
        return _encode({log: _columns(instants[log], events) for log, events in rows.items()})
    except TypeError as error:
        raise DataError(f"events of {', '.join(rows)}: {error}; expected numbers, text or None") from error


def decode_events(block: bytes) -> dict[str, Columns]:
    """What `encode_events` wrote, by log.

    Raises:
        DataError: It wrote no such bytes.
    """
    try:
        return _decoder.decode(block) if block else {}
    except msgspec.DecodeError as error:
        raise DataError(f"a block of {len(block)} bytes: holds no events as this version writes them") from error


def _columns(instants: Sequence[int], events: Sequence[Mapping[str, object]]) -> Columns:
    numbers: dict[str, bytes] = {}
    others: dict[str, list[Any]] = {}
    for name in _names(events):
        if name == SEEN_AT:
            continue
        values: list[Any] = [event.get(name) for event in events]
        if None in values:
            if values.count(None) == len(values):
                continue
            filled = [NULL if value is None else value for value in values]
        else:
            filled = values
        try:
            numbers[name] = array(_WHOLE, filled).tobytes()
        except (TypeError, OverflowError):
            others[name] = values
    return Columns(array(_WHOLE, instants).tobytes(), numbers, others)


def _names(events: Sequence[Mapping[str, object]]) -> Iterable[str]:
    first = events[0].keys()
    if all(event.keys() == first for event in events):
        return first
    return dict.fromkeys(name for event in events for name in event)
