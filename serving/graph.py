"""What the graph of a bundle may hold, checked before onnxruntime sees it.

onnxruntime opens files that a graph names as external data, runs loops and branches, and makes tensors of any size that
a graph asks for. The graphs that export writes are flat: a score of operators, constants that lie in the file, trees.
Whatever else is in one was not written by export, whatever its sha256 says. The graph is read in the wire format of
protocol buffers, because the service does without the library that writes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

OPERATORS: Final = frozenset(
    {
        ("", "Add"),
        ("", "Cast"),
        ("", "Clip"),
        ("", "Div"),
        ("", "Gather"),
        ("", "GreaterOrEqual"),
        ("", "Mul"),
        ("", "Neg"),
        ("", "Pow"),
        ("", "ReduceSum"),
        ("", "Reshape"),
        ("", "Sub"),
        ("", "Unsqueeze"),
        ("ai.onnx.ml", "TreeEnsemble"),
    }
)
"""What `training.graph` writes, by domain and name."""

_FIXED64, _BYTES = 1, 2
_LONGEST_VARINT: Final = 10
_SHOWN: Final = 40


class _NoGraph(ValueError):
    """Bytes that are no protocol buffer."""


class _Field(NamedTuple):
    """One field of a message: its number, its wire type and, by that, a number or bytes."""

    number: int
    kind: int
    content: memoryview
    value: int


def graph_problems(graph: bytes) -> list[str]:
    """What a graph holds that export never writes; nothing for one of ours.

    >>> graph_problems(b"PK" + bytes(9))
    ['found bytes that are no ONNX graph']
    """
    try:
        return list(dict.fromkeys(_model(graph)))
    except _NoGraph:
        return ["found bytes that are no ONNX graph"]


def _model(content: bytes) -> list[str]:
    problems: list[str] = []
    graphs = 0
    for field in _fields(memoryview(content)):
        match field.number:
            case 7:
                graphs += 1
                problems += _graph(field)
            case 8:
                problems += _operator_set(field)
            case 20 | 25 | 26:  # training, functions, configuration
                problems.append("found functions or training steps in the graph")
            case 1 | 2 | 3 | 4 | 5 | 6 | 14:  # versions, producer, documentation
                pass
            case _:
                raise _NoGraph
    return problems + [f"found {graphs} graphs in one file, expected 1"] * (graphs != 1)


def _graph(message: _Field) -> list[str]:
    problems = []
    for field in _fields(_inside(message)):
        match field.number:
            case 1:
                problems += _node(field)
            case 5:
                problems += _tensor(field)
            case 15:
                problems.append("found sparse constants")
            case _:
                pass
    return problems


def _node(message: _Field) -> list[str]:
    name = domain = ""
    problems = []
    for field in _fields(_inside(message)):
        match field.number:
            case 4:
                name = _text(field)
            case 7:
                domain = _text(field)
            case 5:
                problems += _attribute(field)
            case _:
                pass
    if domain == "ai.onnx":
        domain = ""
    if (domain, name) not in OPERATORS:
        problems.append(f"found the operator {_shown(domain)}.{_shown(name)}, which export never writes")
    return problems


def _attribute(message: _Field) -> list[str]:
    problems = []
    for field in _fields(_inside(message)):
        match field.number:
            case 5 | 10:
                problems += _tensor(field)
            case 6 | 11:
                problems.append("found a graph within a graph")
            case 22 | 23 | 14 | 15:  # sparse tensors, types
                problems.append("found an attribute of a kind that export never writes")
            case _:
                pass
    return problems


def _tensor(message: _Field) -> list[str]:
    """Of a tensor that lies elsewhere, that it does."""
    elsewhere = any(
        field.number == 13 or (field.number == 14 and field.value != 0) for field in _fields(_inside(message))
    )
    return ["found constants that lie in another file"] * elsewhere


def _operator_set(message: _Field) -> list[str]:
    domains = [_text(field) for field in _fields(_inside(message)) if field.number == 1]
    strange = [one for one in domains if one not in {"", "ai.onnx", "ai.onnx.ml"}]
    return [f"found operators of the domain {_shown(one)}, which export never writes" for one in strange]


def _fields(content: memoryview) -> Iterator[_Field]:
    at = 0
    while at < len(content):
        tag, at = _varint(content, at)
        number, kind = tag >> 3, tag & 7
        value, start = 0, at
        match kind:
            case 0:
                value, at = _varint(content, at)
                start = at
            case 1 | 5:
                at += 8 if kind == _FIXED64 else 4
            case 2:
                length, start = _varint(content, at)
                at = start + length
            case _:
                raise _NoGraph
        if at > len(content) or not number:
            raise _NoGraph
        yield _Field(number, kind, content[start:at], value)


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for place in range(_LONGEST_VARINT):
        if at + place >= len(content):
            raise _NoGraph
        byte = content[at + place]
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, at + place + 1
    raise _NoGraph


def _inside(field: _Field) -> memoryview:
    if field.kind != _BYTES:
        raise _NoGraph
    return field.content


def _text(field: _Field) -> str:
    try:
        return bytes(_inside(field)).decode("utf-8")
    except UnicodeDecodeError as error:
        raise _NoGraph from error


def _shown(name: str) -> str:
    return ascii(name[:_SHOWN])[1:-1] or "(none)"
