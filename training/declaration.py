"""What a task declares, as one hash: the same wherever it is declared alike, another as soon as anything is.

Values enter as they are, with all their fields: the SQL of rows and label, learner and parameters, pay-off, metrics,
baselines, split, slices, hold-out. A function enters by its name, what it was bound to, and the source of the file that
defines it: the task's file and every file that this one imports, free of comments, layout and docstrings. What Shepherd
itself and installed packages define enters by name alone, since a new version of them declares nothing.

Left out is what changes no model: where the file lies, which data it shows itself with, and whose workers grow it.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import inspect
import json
import sys
import sysconfig
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from functools import partial
from importlib.machinery import PathFinder
from pathlib import Path, PurePath
from types import CodeType, FunctionType, MethodType
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from data.errors import UsageError
from features.spec import FeatureSet
from training.catalogue import effect_of, shipped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from training.task import AnyTask

_FORM: Final = 1
"""Raised whenever a declaration is told in another way."""
_TASKS: Final = "training.tasks"
_OURS: Final = frozenset({"data", "features", "serving", "training", "shepherd"})
_UNDECLARED: Final = frozenset({"example", "walked", "file"})
_INSTALLED: Final = ("stdlib", "platstdlib", "purelib", "platlib")


def declaration(task: AnyTask) -> str:
    """The sha256 of all that a task declares, in hexadecimal; with what it asks of offers, where it does.

    Raises:
        UsageError: A value of it can be told from others by nothing that lasts.
    """
    alone = task.grown_on(None)
    teller = _Teller(f"task {task.name!r}", _file_of(task))
    declared = {
        one.name: teller.told(getattr(alone, one.name), one.name)
        for one in dataclasses.fields(alone)
        if one.name not in _UNDECLARED
    }
    effect = effect_of(alone)
    asked = None if effect is None else teller.told(effect, "EFFECT")
    content = {
        "form": _FORM,
        "kind": type(alone).__name__,
        "declared": declared,
        "asked": asked,
        "sources": sorted({hashlib.sha256(source.encode()).hexdigest() for source in _sources(teller.files)}),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _file_of(task: AnyTask) -> str:
    """The file that declares a task; empty of one that was put together elsewhere."""
    if task.file or task.name not in shipped():
        return task.file
    return str(_read_from(f"{_TASKS}.{task.name}"))


class _Teller:
    """Tells values as plain ones, and remembers in which files functions and classes among them are defined."""

    def __init__(self, whose: str, file: str) -> None:
        self.files = {Path(file)} if file else set()
        self._whose = whose
        self._file = file
        self._open: list[object] = []

    def told(self, value: object, where: str) -> object:
        """A value as JSON can hold it."""
        if isinstance(value, Enum | date | timedelta | bytes | PurePath | np.generic):
            return _plain(value)
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, FeatureSet):
            return ["features", value.fingerprint()]
        if any(value is one for one in self._open):
            return ["itself"]
        self._open.append(value)
        try:
            return self._called(value, where) if callable(value) else self._held(value, where)
        finally:
            self._open.pop()

    def _held(self, value: object, where: str) -> object:
        """What holds other values."""
        if isinstance(value, np.ndarray):
            return ["array", value.dtype.str, self.told(value.tolist(), where)]
        if isinstance(value, Mapping):
            pairs = [[self.told(key, where), self.told(one, f"{where}[{key!r}]")] for key, one in value.items()]
            return ["mapping", *sorted(pairs, key=json.dumps)]
        if isinstance(value, list | tuple):
            return [self.told(one, f"{where}[{place}]") for place, one in enumerate(value)]
        if isinstance(value, set | frozenset):
            return ["set", *sorted((self.told(one, where) for one in value), key=json.dumps)]
        return [self._name(type(value)), self._fields(value, where)]

    def _called(self, value: object, where: str) -> object:
        """What can be called: a function, what was made of one, or a value with fields like any other."""
        if isinstance(value, partial):
            return ["partial", *(self.told(one, where) for one in (value.func, value.args, value.keywords))]
        if isinstance(value, MethodType):
            return ["method", self.told(value.__self__, where), value.__func__.__qualname__]
        if isinstance(value, FunctionType):
            return self._of_function(value, where)
        if hasattr(value, "__wrapped__"):
            return ["wrapped", self.told(value.__wrapped__, where)]
        if hasattr(value, "__qualname__"):
            return ["named", self._name(value)]
        return [self._name(type(value)), self._fields(value, where)]

    def _fields(self, value: object, where: str) -> object:
        if dataclasses.is_dataclass(value):
            names = [one.name for one in dataclasses.fields(value)]
        elif isinstance(value, msgspec.Struct):
            names = list(value.__struct_fields__)
        elif hasattr(value, "__dict__"):
            names = sorted(vars(value))
        else:
            raise UsageError(
                f"{self._whose}, {where}: found a {type(value).__qualname__}, which can be told from no other that "
                "lasts; expected numbers, texts, moments, functions, dataclasses and lists and mappings of them"
            )
        names = [name for name in names if not (type(value).__name__.endswith("Task") and name in _UNDECLARED)]
        return {name: self.told(getattr(value, name), f"{where}.{name}") for name in names}

    def _of_function(self, function: FunctionType, where: str) -> object:
        bound = {
            "defaults": function.__defaults__,
            "keywords": function.__kwdefaults__,
            "around": dict(inspect.getclosurevars(function).nonlocals),
        }
        # Of what was typed and stands in no file, the instructions are all that is known.
        code = None if Path(function.__code__.co_filename).is_file() else _instructions(function.__code__)
        return ["function", self._name(function), self.told(bound, where), code]

    def _name(self, value: object) -> str:
        """The name of a function or class; with its module only where the source of that is not read."""
        module = str(getattr(value, "__module__", "") or "")
        name = str(getattr(value, "__qualname__", type(value).__qualname__))
        path = _read_from(module, self._defined(value, module))
        if path is None:
            return f"{module}.{name}"
        self.files.add(path)
        return name

    def _defined(self, value: object, module: str) -> str:
        """The file of a function or class; two files of one name are loaded as one module, so that is asked last."""
        if isinstance(value, FunctionType):
            return value.__code__.co_filename
        return self._file if module == f"task_{Path(self._file).stem}" else ""


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return [type(value).__qualname__, value.name]
    if isinstance(value, datetime):
        return ["moment", (value.astimezone(UTC) if value.tzinfo else value).isoformat()]
    if isinstance(value, timedelta):
        return ["microseconds", value // timedelta(microseconds=1)]
    if isinstance(value, np.generic):
        return value.item()
    return [type(value).__name__, value.hex() if isinstance(value, bytes) else str(value)]


def _instructions(code: CodeType) -> list[object]:
    constants = [_instructions(one) if isinstance(one, CodeType) else repr(one) for one in code.co_consts]
    return [code.co_code.hex(), list(code.co_names), constants]


def _sources(files: set[Path]) -> Iterator[str]:
    """The sources of files and of all that they import, each once; none of Shepherd's own or of installed packages."""
    seen: set[Path] = set()
    left = sorted(files)
    while left:
        path = left.pop().resolve()
        if path in seen:
            continue
        seen.add(path)
        tree = ast.parse(path.read_bytes())
        left += [found for name in _imported(tree) if (found := _read_from(name)) is not None]
        left += _beside(tree, path)
        yield ast.unparse(_Bare().visit(tree))


class _Bare(ast.NodeTransformer):
    """Takes texts that stand alone, as docstrings do, out of a source."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        return None if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str) else node


def _imported(tree: ast.Module) -> Iterator[str]:
    """Names of what may be modules in the import statements of a source, wherever in it they stand."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from _names(node)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{name}" for name in _names(node))


def _names(node: ast.Import | ast.ImportFrom) -> list[str]:
    return [one.name for one in node.names]


def _beside(tree: ast.Module, path: Path) -> list[Path]:
    """The files that a source imports from its own package by their place in it."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            found += [folder.with_suffix(".py"), *(folder / f"{one}.py" for one in ("__init__", *_names(node)))]
    return [one for one in found if one.is_file()]


def _read_from(module: str, file: str = "") -> Path | None:
    """The file of a module whose source is part of a declaration; None for Shepherd's own and for what is installed."""
    if module.partition(".")[0] in _OURS:
        if not module.startswith(f"{_TASKS}."):
            return None
        name = module.removeprefix(f"{_TASKS}.")
        loaded = getattr(sys.modules.get(module), "__file__", None)  # tasks may lie in further folders of the package
        path = Path(loaded or Path(__file__).parent / "tasks" / f"{name}.py")
        return path if path.is_file() else None
    found = file or getattr(sys.modules.get(module), "__file__", None) or _found(module)
    if found is None or not found.endswith(".py") or not Path(found).is_file():
        return None
    path = Path(found).resolve()
    installed = (Path(sysconfig.get_path(one)).resolve() for one in _INSTALLED)
    return None if any(path.is_relative_to(one) for one in installed) else path


def _found(module: str) -> str | None:
    """Where a module that nothing has imported yet lies."""
    parts, folders, spec = module.split("."), None, None
    for count in range(1, len(parts) + 1):
        spec = PathFinder.find_spec(".".join(parts[:count]), folders)
        if spec is None:
            return None
        folders = spec.submodule_search_locations
        if folders is None and count < len(parts):
            return None
    return spec.origin if spec else None
