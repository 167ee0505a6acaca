"""Where tasks are found: the files of `training/tasks`, and any file that a user names."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import training.tasks
from data.errors import UsageError
from training.effect.task import EffectTask
from training.sites.task import SiteTask
from training.task import AnyTask, RankingTask, Task

if TYPE_CHECKING:
    from types import ModuleType


def shipped() -> tuple[str, ...]:
    """The tasks that ship, by name.

    >>> "coupon" in shipped()
    True
    """
    return tuple(module.name for module in pkgutil.iter_modules(training.tasks.__path__))


def find(name_or_path: str) -> AnyTask:
    """The task of that name, or the one that a Python file outside this repository declares.

    Args:
        name_or_path: `coupon`, or `path/to/file.py` holding `TASK = Task(...)`.

    Raises:
        UsageError: No such task, no such file, or the file declares no task.
    """
    if name_or_path.endswith(".py"):
        declared = _declared(_load(Path(name_or_path)), name_or_path)
        return replace(declared, file=str(Path(name_or_path).resolve()))
    if name_or_path not in shipped():
        raise UsageError(
            f"unknown task {name_or_path!r}: expected one of {', '.join(shipped())}, "
            "or the path of a Python file that holds TASK = Task(...)"
        )
    return _declared(importlib.import_module(f"training.tasks.{name_or_path}"), name_or_path)


def effect_of(task: AnyTask) -> EffectTask | None:
    """What is learned of a task's offers beside who redeems them; None where its file declares no EFFECT.

    The task that is given takes the place of the declared one, with its cut.
    """
    if task.name not in shipped() or not isinstance(task, Task):
        return None
    effect = getattr(importlib.import_module(f"training.tasks.{task.name}"), "EFFECT", None)
    return replace(effect, redemption=task) if isinstance(effect, EffectTask) else None


def _load(path: Path) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"no task file at {path}: expected a Python file that holds TASK = Task(...)")
    spec = importlib.util.spec_from_file_location(f"task_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} cannot be imported: expected a Python source file")
    module = importlib.util.module_from_spec(spec)
    # Registered as every import is: a dataclass, for one, looks its own module up.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _declared(module: ModuleType, where: str) -> AnyTask:
    task = getattr(module, "TASK", None)
    if not isinstance(task, Task | RankingTask | SiteTask):
        raise UsageError(f"{where} holds no task: found TASK = {task!r}, expected TASK = Task(...)")
    return task
