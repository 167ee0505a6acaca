"""Who was made champion and why: a file beside the pointer that is only ever added to."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data.errors import DataError, DependencyDown, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PROMOTIONS = "promotions.jsonl"
LONGEST_REASON = 1_000
PROMOTED, BACK, WITHDRAWN = "promote", "back", "withdrawn"


@dataclass(frozen=True)
class Signature:
    """Somebody's name under a promotion, or under the return to a former champion.

    Attributes:
        by: Who answers for it.
        reason: Why, where it was said.
    """

    by: str
    reason: str = ""

    def __post_init__(self) -> None:
        """Refuse a signature that nobody gives, or that is too long for a tag."""
        if not self.by.strip():
            raise UsageError(
                f"signature of a promotion: found no --by beside --reason {self.reason!r}, expected --by NAME, because "
                "somebody has to answer for it; give both, or leave both out"
            )
        if max(len(self.by), len(self.reason)) > LONGEST_REASON:
            raise UsageError(
                f"signature of a promotion: found a text of more than {LONGEST_REASON} characters; shorten it"
            )


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

    @property
    def signature(self) -> Signature:
        """The same word under the promotion itself."""
        return Signature(self.by, self.reason)


@dataclass(frozen=True)
class Promotion:
    """One line of the file.

    Attributes:
        at: UTC instant, ISO 8601.
        action: `promote`, or `back` to a former champion; `withdrawn` where the line before was cut short by a kill.
        version: Who was made champion, or, withdrawn, was not.
        previous: Who was champion before; empty where nobody was. Withdrawn: who is.
        overridden: The gates that were passed over, as they were found.
        by: Who signed, and answers for what was passed over; empty where nobody signed.
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
    """Add a line that reaches the disk before anything points to the version; whole, or not at all.

    So a promotion that is killed leaves a line of what was meant; what is champion, the pointer says.
    """
    line = (json.dumps(vars(promotion), ensure_ascii=False) + "\n").encode()
    descriptor = os.open(folder / PROMOTIONS, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        length = os.fstat(descriptor).st_size
        if os.write(descriptor, line) != len(line):
            os.ftruncate(descriptor, length)
            raise DependencyDown(
                f"{folder / PROMOTIONS}: found no room for a line of {len(line)} bytes, expected some; make room on "
                "the disk. Nothing was promoted."
            )
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def cut_torn(folder: Path) -> bool:
    """Take away the end of the file where a line was torn off; nothing had followed from it. Gives whether it was."""
    path = folder / PROMOTIONS
    text = path.read_bytes() if path.exists() else b""
    whole = text.rfind(b"\n") + 1
    if whole < len(text):
        os.truncate(path, whole)
    return whole < len(text)


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


def came_about(folder: Path) -> tuple[Promotion, ...]:
    """The lines without what was withdrawn.

    Raises:
        DataError: As `promotions` does.
    """
    found: list[Promotion] = []
    for line in promotions(folder):
        if line.action != WITHDRAWN:
            found.append(line)
        elif found and found[-1].version == line.version:
            found.pop()
    return tuple(found)


def before(folder: Path, version: str) -> str:
    """Who was champion before a version was promoted last; empty where nobody is known."""
    known = [
        one.previous
        for one in came_about(folder)
        if one.action == PROMOTED and one.version == version and one.previous not in {"", version}
    ]
    return known[-1] if known else ""
