"""Cuts an ONNX graph down to the nodes that some of its outputs need.

onnxruntime computes every node of a graph, whichever outputs are asked for (measured with 1.32.0: asking for the score
alone took as long as asking for reasons too). So what is asked for most gets a graph of its own, cut from the same
bytes. The file format is protobuf, of which this needs few fields (onnx.proto: ModelProto.graph = 7; GraphProto.node
= 1, initializer = 5, output = 12; TensorProto.name = 8, raw_data = 9); the library `onnx` is too heavy for a service.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from data.errors import DataError
from serving.wire import fields, tagged

if TYPE_CHECKING:
    from collections.abc import Collection

    from serving.wire import Field

_GRAPH: Final = 7
_NODE, _INITIALIZER, _OUTPUT = 1, 5, 12
_NODE_INPUT, _NODE_OUTPUT, _INITIALIZER_NAME, _RAW, _VALUE_NAME = 1, 2, 8, 9, 1


def cut(model: bytes, outputs: Collection[str]) -> bytes:
    """A model that computes some outputs of another, from the very same nodes in the same order.

    Args:
        model: An ONNX model whose nodes hold no graphs of their own.
        outputs: Names of the outputs to keep.

    Raises:
        DataError: The model is no such file, or lacks an output.
    """
    return b"".join(
        tagged(_GRAPH, _cut_graph(field.message, set(outputs))) if field.number == _GRAPH else field.written
        for field in fields(model)
    )


def constants(model: bytes, names: Collection[str]) -> dict[str, bytes]:
    """The constants of a graph that have these names, as they lie in memory; those that it does not have are left out.

    Raises:
        DataError: The model is no ONNX file.
    """
    found = {}
    for graph in _parts(model, _GRAPH):
        for tensor in _parts(graph, _INITIALIZER):
            name = _name(tensor, _INITIALIZER_NAME)
            if name in names:
                found[name] = next((bytes(raw) for raw in _parts(tensor, _RAW)), b"")
    return found


def _parts(message: bytes | memoryview, number: int) -> list[memoryview]:
    """The contents of all fields of a number."""
    return [field.message for field in fields(message) if field.number == number]


def _cut_graph(graph: memoryview, outputs: set[str]) -> bytes:
    whole = list(fields(graph))
    found = {_name(field.message, _VALUE_NAME) for field in whole if field.number == _OUTPUT}
    if not outputs <= found:
        raise DataError(f"ONNX graph: found the outputs {sorted(found)}, expected {sorted(outputs)} among them")
    needed, kept = set(outputs), []
    for field in reversed(whole):  # a node is always written after those whose results it reads
        if field.number == _NODE:
            if not needed & _names(field.message, _NODE_OUTPUT):
                continue
            needed |= _names(field.message, _NODE_INPUT)
        kept.append(field)
    return b"".join(field.written for field in reversed(kept) if _is_needed(field, outputs, needed))


def _is_needed(field: Field, outputs: set[str], needed: set[str]) -> bool:
    if field.number == _OUTPUT:
        return _name(field.message, _VALUE_NAME) in outputs
    return field.number != _INITIALIZER or _name(field.message, _INITIALIZER_NAME) in needed


def _name(message: memoryview, number: int) -> str:
    return next(iter(_names(message, number)), "")


def _names(message: memoryview, number: int) -> set[str]:
    return {field.text for field in fields(message) if field.number == number}
