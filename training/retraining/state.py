"""How far a retraining has come: a small file, replaced in one step, from which a killed one goes on."""

from __future__ import annotations

import hashlib
import json
import os
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from data.errors import DataError
from training.declaration import declaration
from training.gates import Gate
from training.retraining.moved import Moved
from training.sites.task import SiteTask

if TYPE_CHECKING:
    from pathlib import Path

    from training.task import AnyTask


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is retrained: the same question is answered once.

    Attributes:
        data_hash: Content of the tables.
        declaration: Hash of all that the task declares.
        seed: Where chance starts.
        trials: How many sets of parameters are tried in all; 1 where nothing is searched.
    """

    data_hash: str
    declaration: str
    seed: int
    trials: int

    @classmethod
    def of(cls, task: AnyTask, data_hash: str, seed: int, trials: int) -> Question:
        """The question of a task and its data.

        Raises:
            UsageError: The task declares what can be told from nothing else.
        """
        return cls(data_hash, declaration(task), seed, 1 if isinstance(task, SiteTask) else trials)

    @property
    def key(self) -> str:
        """A short name of it."""
        return hashlib.sha256(json.dumps(msgspec.to_builtins(self), sort_keys=True).encode()).hexdigest()[:16]


class Verdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the gates said.

    Attributes:
        champion: Beside whom they were asked; empty where there was none.
        gates: All of them.
        asked: Whether the version was to be made champion.
    """

    champion: str
    gates: tuple[Gate, ...]
    asked: bool

    @property
    def refused(self) -> tuple[Gate, ...]:
        """Those that were not passed."""
        return tuple(gate for gate in self.gates if not gate.passed)


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One retraining, as far as it has come.

    Attributes:
        question: What is retrained.
        began: The moment it began, UTC to the second; its version names it.
        moved: How far the data have moved from the champion's; None before that is measured.
        reason: Why it was made.
        version: What was made; empty before it is registered.
        run_id: Its run; likewise.
        logged: The run that holds what was measured; empty before it is written.
        verdict: What the gates said of it; None before they were asked.
        ended: When all was done; None before.
    """

    question: Question
    began: datetime
    reason: str = ""
    moved: Moved | None = None
    version: str = ""
    run_id: str = ""
    logged: str = ""
    verdict: Verdict | None = None
    ended: datetime | None = None

    @property
    def prefix(self) -> str:
        """How the name of its version begins."""
        return f"{self.began:%Y%m%dT%H%M%SZ}-"


def path_of(folder: Path, question: Question) -> Path:
    """Where the state of a question lies, in the folder of a task's retraining."""
    return folder / f"{question.key}.json"


def read(path: Path) -> State | None:
    """How far it has come; None where it never began.

    Raises:
        DataError: The file is none that `write` wrote.
    """
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=State)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: found no state of a retraining ({error}), expected one as `shepherd retrain` writes it; remove "
            "the file, and the step begins anew"
        ) from error


def write(path: Path, state: State) -> State:
    """Put the state in the place of the one before, whole or not at all; gives it back."""
    aside = path.with_suffix(".tmp")
    with aside.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(state), indent=2) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    return state
