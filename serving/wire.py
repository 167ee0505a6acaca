"""The wire format of protocol buffers, in which ONNX graphs are written: read field by field, and written.

The service does without the library that writes graphs, which is heavy, and reads those that anybody may have made; so
whatever does not follow the format is refused, and nothing is read past the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from data.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIDTHS: Final = {_FIXED64: 8, _FIXED32: 4}
_LONGEST_VARINT: Final = 10


class NoMessage(DataError):
    """Bytes that are no protocol buffer."""

    def __init__(self) -> None:
        super().__init__("ONNX graph: found bytes that are no model, expected one written by export")


class Field(NamedTuple):
    """One field of a message.

    Attributes:
        number: Which one.
        kind: How it is written.
        content: Its bytes; empty for a number of variable length.
        value: Its number where it is of variable length, else 0.
        written: All of it, as it stands in the message.
    """

    number: int
    kind: int
    content: memoryview
    value: int
    written: memoryview

    @property
    def message(self) -> memoryview:
        """The bytes of a field of bytes.

        Raises:
            NoMessage: It is of another kind.
        """
        if self.kind != _BYTES:
            raise NoMessage
        return self.content

    @property
    def text(self) -> str:
        """The text of a field of bytes.

        Raises:
            NoMessage: It is of another kind, or no text.
        """
        try:
            return bytes(self.message).decode("utf-8")
        except UnicodeDecodeError as error:
            raise NoMessage from error


def fields(message: bytes | memoryview) -> Iterator[Field]:
    """The fields of a message in their order.

    Raises:
        NoMessage: It is none.

    >>> [(field.number, field.text) for field in fields(tagged(3, b"till"))]
    [(3, 'till')]
    """
    content = memoryview(message)
    at = 0
    while at < len(content):
        begun = at
        tag, at = _varint(content, at)
        number, kind = tag >> 3, tag & 7
        value, start = 0, at
        if kind == _VARINT:
            value, at = _varint(content, at)
            start = at
        elif kind == _BYTES:
            length, start = _varint(content, at)
            at = start + length
        elif kind in _WIDTHS:
            at += _WIDTHS[kind]
        else:
            raise NoMessage
        if at > len(content) or not number:
            raise NoMessage
        yield Field(number, kind, content[start:at], value, content[begun:at])


def tagged(number: int, content: bytes) -> bytes:
    """A field of bytes as it is written."""
    return _written(number << 3 | _BYTES) + _written(len(content)) + content


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for place in range(_LONGEST_VARINT):
        if at + place >= len(content):
            raise NoMessage
        byte = content[at + place]
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, at + place + 1
    raise NoMessage


def _written(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)
