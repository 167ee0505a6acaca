"""What a declaration means, as text that changes exactly when the meaning does.

Wording (``meaning``) is left out: a better sentence must not cut a model off from its features. The function of a
derived feature enters as its source without comments and layout, with the constants and helpers it refers to.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import inspect
import json
from functools import lru_cache
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Final

from data.errors import UsageError
from features.feature import Aggregate, Derived
from features.log import key_columns
from features.network import Ring

if TYPE_CHECKING:
    from collections.abc import Iterable

    from features.feature import Feature
    from features.log import Where
    from features.network import Network

PLAN_VERSION: Final = 1
"""Raised whenever an operator or the meaning of time changes, so that older bundles are refused."""

_Body = ast.FunctionDef | ast.Lambda


def fingerprint(names: Iterable[str], features: Iterable[Feature]) -> str:
    """The sha256 of what a set declares: its outputs in order, every definition, and the plan's version."""
    content = {
        "plan": PLAN_VERSION,
        "outputs": list(names),
        "features": sorted((canonical(feature) for feature in features), key=lambda one: str(one["name"])),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def canonical(feature: Feature) -> dict[str, object]:
    """One declaration as plain values."""
    common: dict[str, object] = {"name": feature.name, "unit": feature.unit}
    if isinstance(feature, Aggregate):
        return common | {
            "operator": feature.operator.value,
            "log": feature.log.name,
            "key": list(key_columns(feature.key)),
            "column": feature.column,
            "window": feature.window.microseconds,
            "where": _condition(feature.where),
            "cap": feature.cap,
        }
    if isinstance(feature, Derived):
        return common | {"inputs": list(feature.inputs), "function": function_text(feature.function)}
    if isinstance(feature, Ring):
        return common | {
            "network": _network(feature.network),
            "key": feature.key,
            "statistic": feature.statistic.value,
            "column": feature.column,
            "window": feature.window.microseconds if feature.window else None,
        }
    return common | {"fact": feature.name}


def _condition(where: Where | None) -> list[object] | None:
    return [where.column, where.test, where.operand] if where else None


def _network(network: Network) -> dict[str, object]:
    marks = network.marks
    return {
        "person": network.person,
        "edges": [[edge.log.name, *edge.ends] for edge in network.edges],
        "marks": [marks.log.name, marks.column, _condition(marks.bad)] if marks else None,
        "cap": network.cap,
        "period": network.period.microseconds,
        "generations": network.generations,
    }


def function_text(function: object, seen: tuple[object, ...] = ()) -> str:
    """The source of a function, free of layout, followed by what the names in it stand for.

    Raises:
        UsageError: When the source cannot be read, or a name stands for something that has no fixed text.
    """
    if not isinstance(function, FunctionType):
        raise UsageError(f"derived features take a plain Python function or lambda; found {function!r}")
    body = _body(function)
    names = sorted({node.id for node in ast.walk(body) if isinstance(node, ast.Name)} - _local_names(body))
    known = {**vars(builtins), **function.__globals__, **inspect.getclosurevars(function).nonlocals}
    texts = [f"{name}={_value_text(name, known[name], (*seen, function))}" for name in names if name in known]
    return "\n".join([ast.unparse(body), *texts])


def _value_text(name: str, value: object, seen: tuple[object, ...]) -> str:
    if isinstance(value, ModuleType):
        return f"module {value.__name__}"
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, tuple):
        return f"({','.join(_value_text(name, item, seen) for item in value)})"
    if isinstance(value, FunctionType):
        return "itself" if value in seen else function_text(value, seen)
    public = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    if callable(value) and isinstance(public, str):
        return f"{getattr(value, '__module__', '')}.{public}"
    raise UsageError(
        f"a derived feature refers to {name!r}, a {type(value).__name__}; "
        "only modules, functions, numbers, texts and tuples of them can be told apart in a fingerprint"
    )


def _local_names(body: _Body) -> set[str]:
    arguments = {node.arg for node in ast.walk(body) if isinstance(node, ast.arg)}
    stored = {node.id for node in ast.walk(body) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return arguments | stored


def _body(function: FunctionType) -> _Body:
    try:
        lines, _ = inspect.findsource(function.__code__)
    except (OSError, TypeError) as error:
        raise UsageError(
            f"the source of the derived feature function {function.__qualname__!r} cannot be read, so no fingerprint "
            "can be made of it; declare it in a file"
        ) from error
    fitting = [node for node in _functions("".join(lines)) if _is(node, function)]
    if not fitting:
        raise UsageError(f"the file of {function.__qualname__!r} has changed since it was loaded; start again")
    return min(fitting, key=_extent)


@lru_cache(maxsize=32)
def _functions(source: str) -> tuple[_Body, ...]:
    return tuple(node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.Lambda))


def _is(node: _Body, function: FunctionType) -> bool:
    """Whether this piece of the file is what the function was compiled from, by where its instructions stand."""
    code = function.__code__
    if isinstance(node, ast.FunctionDef):
        return node.name == function.__name__ and _first_line(node) == code.co_firstlineno
    start = (node.body.lineno, node.body.col_offset)
    end = (node.body.end_lineno or 0, node.body.end_col_offset or 0)
    spots = [
        (line, column)
        for line, _, column, end_column in code.co_positions()
        if line and column is not None and (column, end_column) != (0, 0)
    ]
    same_arguments = [one.arg for one in node.args.args] == list(code.co_varnames[: code.co_argcount])
    return same_arguments and node.lineno == code.co_firstlineno and all(start <= spot <= end for spot in spots)


def _first_line(node: ast.FunctionDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _extent(node: _Body) -> tuple[int, int]:
    return ((node.end_lineno or 0) - node.lineno, (node.end_col_offset or 0) - node.col_offset)
