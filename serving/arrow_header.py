"""Whether an Arrow stream is compressed, read from its headers before anything is unpacked.

Arrow believes how long a compressed buffer says it will be: a megabyte can ask for any amount of memory. Its own reader
does not tell; the headers are flatbuffers of the tables `Message`, `DictionaryBatch` and `RecordBatch` (`Message.fbs`
of the Arrow format), of which a few places are enough.
"""

from __future__ import annotations

import struct
from typing import Final

import pyarrow as pa
from pyarrow import ipc

_HEADER_KIND, _HEADER = 1, 2
_DICTIONARY, _RECORDS = 2, 3
_DATA, _COMPRESSION = 1, 3
_EARLIER: Final = b"experimental_compression"
"""How streams of 2020 named it, in the free text of a message."""
_U16, _I32, _U32 = struct.Struct("<H"), struct.Struct("<i"), struct.Struct("<I")


def is_compressed(stream: bytes) -> bool:
    """Whether any message of a stream is compressed.

    Raises:
        pa.ArrowInvalid: It is no stream.
        OSError: It ends too early.
    """
    messages = ipc.MessageReader.open_stream(pa.py_buffer(stream))
    while True:
        try:
            message = messages.read_next_message()
        except StopIteration:
            return False
        try:
            found = _of_message(message.metadata.to_pybytes())
        except struct.error as error:
            raise pa.ArrowInvalid("a header that points outside itself") from error
        if found:
            return True


def _of_message(header: bytes) -> bool:
    if _EARLIER in header:
        return True
    message = _U32.unpack_from(header, 0)[0]
    kind_at = _field(header, message, _HEADER_KIND)
    kind = header[kind_at] if 0 < kind_at < len(header) else 0
    if kind not in {_DICTIONARY, _RECORDS}:
        return False
    table = _table(header, message, _HEADER)
    records = _table(header, table, _DATA) if kind == _DICTIONARY else table
    return _field(header, records, _COMPRESSION) != 0


def _field(header: bytes, table: int, number: int) -> int:
    """Where a field of a table stands; 0 where it has none."""
    known = table - int(_I32.unpack_from(header, table)[0])
    place = 4 + 2 * number
    if place >= _U16.unpack_from(header, known)[0]:
        return 0
    offset = int(_U16.unpack_from(header, known + place)[0])
    return table + offset if offset else 0


def _table(header: bytes, table: int, number: int) -> int:
    """Where the table stands that a field of another names.

    Raises:
        struct.error: It names none.
    """
    place = _field(header, table, number)
    if not place:
        raise struct.error("a header without its part")
    return place + int(_U32.unpack_from(header, place)[0])
