"""Who was made champion and why: a file beside the pointer that is only ever added to."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data.errors import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PROMOTIONS = "promotions.jsonl"
LONGEST_REASON = 1_000
PROMOTED, BACK = "promote", "back"


@dataclass(frozen=True)
class Override:
    """Somebody's word that a gate may be passed over.

    Attributes:
        gates: Names of the gates.
        by: Who says so.
        reason: Why.
    """

    gates: tuple[str, ...]
    by: str
    reason: str

    def __post_init__(self) -> None:
        """Refuse a word that nobody gives, or that says nothing."""
        lacking = [
            word
            for word, given in (("--override", any(self.gates)), ("--by", self.by), ("--reason", self.reason))
            if not given or (isinstance(given, str) and not given.strip())
        ]
        if lacking:
            raise UsageError(
                f"override of a gate: found no {', no '.join(lacking)}; expected all of --override GATE, --by NAME and "
                "--reason TEXT, because somebody has to answer for it"
            )
        if max(len(self.by), len(self.reason)) > LONGEST_REASON:
            raise UsageError(f"override of a gate: found a text of more than {LONGEST_REASON} characters; shorten it")


@dataclass(frozen=True)
class Promotion:
    """One line of the file.

    Attributes:
        at: UTC instant, ISO 8601.
        action: `promote`, or `back` to a former champion.
        version: Who was made champion.
        previous: Who was champion before; empty where nobody was.
        overridden: The gates that were passed over, as they were found.
        by: Who answers for that; empty where no gate was passed over.
        reason: Why.
    """

    at: str
    action: str
    version: str
    previous: str
    overridden: tuple[Mapping[str, str | bool], ...] = ()
    by: str = ""
    reason: str = ""


def append(folder: Path, promotion: Promotion) -> None:
    """Add a line in one write that reaches the disk before anything points to the version.

    So a promotion that is killed leaves a line of what was meant; what is champion, the pointer says.
    """
    line = (json.dumps(vars(promotion), ensure_ascii=False) + "\n").encode()
    descriptor = os.open(folder / PROMOTIONS, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.write(descriptor, line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def promotions(folder: Path) -> tuple[Promotion, ...]:
    """All lines, the oldest first; none where nothing was promoted yet.

    Raises:
        DataError: A line is none that `append` wrote.
    """
    path = folder / PROMOTIONS
    if not path.exists():
        return ()
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            found.append(Promotion(**json.loads(line)))
        except (json.JSONDecodeError, TypeError) as error:
            raise DataError(
                f"{path}: found line {number} that is no promotion ({error}), expected one JSON object as `shepherd "
                "promote` writes it; restore the file, or take that line out"
            ) from error
    return tuple(found)


def before(folder: Path, version: str) -> str:
    """Who was champion before a version was promoted last; empty where nobody is known."""
    known = [
        one.previous
        for one in promotions(folder)
        if one.action == PROMOTED and one.version == version and one.previous not in {"", version}
    ]
    return known[-1] if known else ""
