"""Cuts an ONNX graph down to the nodes that some of its outputs need.

onnxruntime computes every node of a graph, whichever outputs are asked for (measured with 1.32.0: asking for the score
alone took as long as asking for reasons too). So what is asked for most gets a graph of its own, cut from the same
bytes. The file format is protobuf, of which this needs few fields (onnx.proto: ModelProto.graph = 7; GraphProto.node
= 1, initializer = 5, output = 12; TensorProto.name = 8, raw_data = 9); the library `onnx` is too heavy for a service.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from data.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_GRAPH: Final = 7
_NODE, _INITIALIZER, _OUTPUT = 1, 5, 12
_NODE_INPUT, _NODE_OUTPUT, _INITIALIZER_NAME, _RAW, _VALUE_NAME = 1, 2, 8, 9, 1
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class _Field(NamedTuple):
    """One field of a message: its number, its value (of bytes; empty for others), and all of it as written."""

    number: int
    value: bytes
    written: bytes


def cut(model: bytes, outputs: Collection[str]) -> bytes:
    """A model that computes some outputs of another, from the very same nodes in the same order.

    Args:
        model: An ONNX model whose nodes hold no graphs of their own.
        outputs: Names of the outputs to keep.

    Raises:
        DataError: The model is no such file, or lacks an output.
    """
    return b"".join(
        _tagged(_GRAPH, _cut_graph(field.value, set(outputs))) if field.number == _GRAPH else field.written
        for field in _read(model)
    )


def constants(model: bytes, names: Collection[str]) -> dict[str, bytes]:
    """The constants of a graph that have these names, as they lie in memory; those that it does not have are left out.

    Raises:
        DataError: The model is no ONNX file.
    """
    found = {}
    for tensor in _inside(model, _GRAPH, _INITIALIZER):
        fields = {field.number: field.value for field in _fields(tensor)}
        name = fields.get(_INITIALIZER_NAME, b"").decode()
        if name in names:
            found[name] = fields.get(_RAW, b"")
    return found


def _inside(model: bytes, *numbers: int) -> list[bytes]:
    """The messages under a path of field numbers."""
    messages = [model]
    for number in numbers:
        messages = [field.value for message in messages for field in _read(message) if field.number == number]
    return messages


def _read(message: bytes) -> list[_Field]:
    try:
        return list(_fields(message))
    except (IndexError, ValueError) as error:
        raise DataError("ONNX graph: found bytes that are no model, expected one written by export") from error


def _cut_graph(graph: bytes, outputs: set[str]) -> bytes:
    fields = _read(graph)
    found = {_name(field.value, _VALUE_NAME) for field in fields if field.number == _OUTPUT}
    if not outputs <= found:
        raise DataError(f"ONNX graph: found the outputs {sorted(found)}, expected {sorted(outputs)} among them")
    needed, kept = set(outputs), []
    for field in reversed(fields):  # a node is always written after those whose results it reads
        if field.number == _NODE:
            if not needed & _names(field.value, _NODE_OUTPUT):
                continue
            needed |= _names(field.value, _NODE_INPUT)
        kept.append(field)
    return b"".join(field.written for field in reversed(kept) if _is_needed(field, outputs, needed))


def _is_needed(field: _Field, outputs: set[str], needed: set[str]) -> bool:
    if field.number == _OUTPUT:
        return _name(field.value, _VALUE_NAME) in outputs
    return field.number != _INITIALIZER or _name(field.value, _INITIALIZER_NAME) in needed


def _name(message: bytes, number: int) -> str:
    return next(iter(_names(message, number)), "")


def _names(message: bytes, number: int) -> set[str]:
    return {field.value.decode() for field in _fields(message) if field.number == number}


def _fields(message: bytes) -> Iterator[_Field]:
    place = 0
    while place < len(message):
        start = place
        tag, place = _varint(message, place)
        value, kind = b"", tag & 7
        if kind == _VARINT:
            _, place = _varint(message, place)
        elif kind == _BYTES:
            length, place = _varint(message, place)
            value, place = message[place : place + length], place + length
        elif kind in {_FIXED64, _FIXED32}:
            place += 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(kind)
        if place > len(message):
            raise ValueError(place)
        yield _Field(tag >> 3, value, message[start:place])


def _varint(message: bytes, place: int) -> tuple[int, int]:
    found = shift = 0
    while True:
        byte = message[place]
        found |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if not byte & 0x80:
            return found, place


def _tagged(number: int, value: bytes) -> bytes:
    return _written(number << 3 | _BYTES) + _written(len(value)) + value


def _written(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)
