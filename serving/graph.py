"""What the graph of a bundle may hold, checked before onnxruntime sees it.

onnxruntime opens files that a graph names as external data, runs loops and branches, and makes tensors of any size that
a graph asks for. The graphs that export writes are flat: a score of operators, constants that lie in the file, trees.
Whatever else is in one was not written by export, whatever its sha256 says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from serving.wire import NoMessage, fields

if TYPE_CHECKING:
    from serving.wire import Field

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

_SHOWN: Final = 40


def graph_problems(graph: bytes) -> list[str]:
    """What a graph holds that export never writes; nothing for one of ours.

    >>> graph_problems(b"PK" + bytes(9))
    ['found bytes that are no ONNX graph']
    """
    try:
        return list(dict.fromkeys(_model(graph)))
    except NoMessage:
        return ["found bytes that are no ONNX graph"]


def _model(content: bytes) -> list[str]:
    problems: list[str] = []
    graphs = 0
    for field in fields(content):
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
                raise NoMessage
    return problems + [f"found {graphs} graphs in one file, expected 1"] * (graphs != 1)


def _graph(given: Field) -> list[str]:
    problems = []
    for field in fields(given.message):
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


def _node(given: Field) -> list[str]:
    name = domain = ""
    problems = []
    for field in fields(given.message):
        match field.number:
            case 4:
                name = field.text
            case 7:
                domain = field.text
            case 5:
                problems += _attribute(field)
            case _:
                pass
    if domain == "ai.onnx":
        domain = ""
    if (domain, name) not in OPERATORS:
        problems.append(f"found the operator {_shown(domain)}.{_shown(name)}, which export never writes")
    return problems


def _attribute(given: Field) -> list[str]:
    problems = []
    for field in fields(given.message):
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


def _tensor(given: Field) -> list[str]:
    """Of a tensor that lies elsewhere, that it does."""
    elsewhere = any(field.number == 13 or (field.number == 14 and field.value != 0) for field in fields(given.message))
    return ["found constants that lie in another file"] * elsewhere


def _operator_set(given: Field) -> list[str]:
    domains = [field.text for field in fields(given.message) if field.number == 1]
    strange = [one for one in domains if one not in {"", "ai.onnx", "ai.onnx.ml"}]
    return [f"found operators of the domain {_shown(one)}, which export never writes" for one in strange]


def _shown(name: str) -> str:
    return ascii(name[:_SHOWN])[1:-1] or "(none)"
