"""Audiences saved by name: one small JSON file each, which people and programs can read.

A file is written aside and then renamed, so that a reader sees the old or the new one. Nothing here reads tables: the
service lists, saves and removes audiences through the very same class.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from data.errors import DataError, UsageError
from features.audience.filter import AllOf, AnyOf, Compare, Filter, InAudience, Known, Listed, Not
from features.audience.listing import list_path
from features.audience.meaning import require_meaning
from features.audience.parser import parse
from features.audience.problems import FilterProblem, FilterRefused, near
from features.audience.segments import FEATURES
from features.audience.vocabulary import MEMBER, SEGMENT

if TYPE_CHECKING:
    from pathlib import Path

FORMAT: Final = 1
LONGEST_NAME: Final = 64
LONGEST_NOTE: Final = 500
MOST_SAVED: Final = 1_000
MOST_EXPANDED: Final = 2_000
_NAME: Final = re.compile(r"[^\W_][\w-]*")


class UnknownAudience(UsageError):
    """No audience is saved under a name."""


class AudienceInUse(UsageError):
    """An audience that others refer to cannot go."""


@dataclass(frozen=True)
class Saved:
    """One saved audience.

    Attributes:
        name: What it is called.
        condition: Who belongs to it.
        note: What it is for, in a person's words.
    """

    name: str
    condition: Filter
    note: str = ""


@dataclass(frozen=True)
class Library:
    """The audiences saved in a folder; it need not be there before the first is saved."""

    folder: Path

    def names(self) -> tuple[str, ...]:
        """The names of all that are saved, sorted."""
        return tuple(sorted(path.stem for path in self.folder.glob("*.json") if _NAME.fullmatch(path.stem)))

    def get(self, name: str) -> Saved:
        """One saved audience.

        Raises:
            UnknownAudience: None is saved under the name.
            DataError: Its file does not hold one.
        """
        require_name(name)
        path = self._path(name)
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
            if held["format"] != FORMAT:
                raise DataError(f"{path}: found format {held['format']!r}, expected {FORMAT}; save the audience again")
            return Saved(name, parse(held["filter"]), str(held["note"]))
        except FileNotFoundError:
            hint = near(name, self.names())
            raise UnknownAudience(
                f"audience {name!r}: found none of that name, expected one of {', '.join(self.names()) or 'none yet'}"
                f"{f'; {hint}' if hint else ''}"
            ) from None
        except (OSError, ValueError, KeyError, TypeError, FilterRefused) as error:
            raise DataError(
                f"{path}: found no audience ({error}), expected what `shepherd audience save` writes; save {name} "
                f"again, or drop it with `shepherd audience remove {name}`"
            ) from error

    def save(self, name: str, condition: Filter, note: str = "") -> Saved:
        """Save an audience, in place of another of its name.

        Raises:
            UsageError: The name is none, the note is too long, there are too many, or it would refer to itself.
            FilterRefused: The filter means nothing, or refers to an audience or a list that is not saved.
        """
        require_name(name)
        require_meaning(condition, self.names())
        if len(note) > LONGEST_NOTE:
            raise UsageError(f"note of {name!r}: found {len(note):,} characters, expected at most {LONGEST_NOTE}")
        names = self.names()
        if name not in names and len(names) >= MOST_SAVED:
            raise UsageError(
                f"found {len(names):,} saved audiences, expected at most {MOST_SAVED:,}; remove some first"
            )
        self._require_lists(condition)
        self._require_finite(condition, name)
        replaced = self._lists_of(name)
        body = {"format": FORMAT, "name": name, "filter": str(condition), "note": note}
        self.folder.mkdir(parents=True, exist_ok=True)
        aside = self.folder / f".{uuid4().hex}.json"
        try:
            aside.write_text(json.dumps(body, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
            aside.replace(self._path(name))
        finally:
            aside.unlink(missing_ok=True)
        self._forget(replaced)
        return Saved(name, condition, note)

    def remove(self, name: str) -> None:
        """Remove an audience and what was counted of it, also one whose file is damaged.

        Raises:
            UnknownAudience: None is saved under the name.
            AudienceInUse: Others refer to it.
        """
        require_name(name)
        if not self._path(name).exists():
            self.get(name)
        lists, users = self._lists_of(name), self._users_of(InAudience(name))
        if users:
            raise AudienceInUse(
                f"audience {name!r}: found it in use by {', '.join(users)}, expected no other that refers to it; "
                "remove or change those first"
            )
        self._path(name).unlink(missing_ok=True)
        self.members_path(name).unlink(missing_ok=True)
        self._forget(lists)

    def expanded(self, condition: Filter) -> Filter:
        """A filter with saved audiences put in for their names, theirs likewise.

        Raises:
            FilterRefused: It means nothing, or refers to an audience or a list that is not saved.
            UsageError: One refers to itself.
        """
        require_meaning(condition, self.names())
        self._require_lists(condition)
        self._require_finite(condition)
        return self._expanded(condition)

    def fingerprint(self, condition: Filter) -> str:
        """The sha256 of what a filter says, the definitions of what it refers to and of its features with it."""
        whole = self.expanded(condition)
        read = {part.name for part in whole.walk() if isinstance(part, Compare | Known)}
        read |= set(FEATURES) if SEGMENT.name in read else set()
        features = MEMBER.only(*(name for name in MEMBER.names if name in read)).fingerprint()
        return hashlib.sha256(f"{FORMAT}\0{whole}\0{features}".encode()).hexdigest()

    def members_path(self, name: str) -> Path:
        """Where the members of a saved audience are written when they are counted."""
        return self.folder / f"{name}.parquet"

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def _users_of(self, part: Filter) -> list[str]:
        """The audiences that refer to an audience or a list; those whose file is damaged refer to nothing."""
        return [name for name in self.names() if part in self._parts_of(name)]

    def _lists_of(self, name: str) -> list[Listed]:
        return [part for part in self._parts_of(name) if isinstance(part, Listed)]

    def _parts_of(self, name: str) -> tuple[Filter, ...]:
        try:
            return tuple(self.get(name).condition.walk())
        except (DataError, UnknownAudience):
            return ()

    def _forget(self, lists: list[Listed]) -> None:
        """Remove lists that no audience refers to any more."""
        for one in lists:
            if not self._users_of(one):
                list_path(self.folder, one.digest).unlink(missing_ok=True)

    def _require_lists(self, condition: Filter) -> None:
        """Refuse a list that is not there."""
        missing = [
            FilterProblem(part.at, "a list that is not saved:", repr(part.digest), "a saved one", "save it again")
            for part in condition.walk()
            if isinstance(part, Listed) and not list_path(self.folder, part.digest).exists()
        ]
        if missing:
            raise FilterRefused(str(condition), missing)

    def _require_finite(self, condition: Filter, name: str | None = None) -> None:
        """Refuse a circle of audiences, and a filter that grows out of hand when they are put in for their names."""
        weight = self._weight(condition, () if name is None else (name,), {})
        if weight > MOST_EXPANDED:
            raise UsageError(
                f"found {weight:,} conditions with those of the audiences that it refers to, expected at most "
                f"{MOST_EXPANDED:,}; refer to fewer"
            )

    def _weight(self, condition: Filter, within: tuple[str, ...], known: dict[str, int]) -> int:
        if not isinstance(condition, InAudience):
            return 1 + sum(self._weight(part, within, known) for part in condition.parts())
        name = condition.name
        if name in within:
            raise UsageError(f"audience {name!r} refers to itself ({' -> '.join((*within, name))}); expected no circle")
        if name not in known:
            known[name] = self._weight(self.get(name).condition, (*within, name), known)
        return known[name]

    def _expanded(self, condition: Filter) -> Filter:
        match condition:
            case InAudience():
                return self.expanded(self.get(condition.name).condition)
            case Listed():
                return replace(condition, path=str(list_path(self.folder, condition.digest)))
            case Not():
                return Not(self._expanded(condition.part))
            case AllOf() | AnyOf():
                return replace(condition, of=tuple(self._expanded(part) for part in condition.of))
        return condition


def require_name(name: str) -> None:
    """Refuse what is no name of an audience.

    Raises:
        UsageError: It is not made of lower-case letters (Chinese too), digits, - and _, or is too long.
    """
    plain = name == unicodedata.normalize("NFC", name).lower()
    if not _NAME.fullmatch(name) or not plain or len(name) > LONGEST_NAME:
        raise UsageError(
            f"name of an audience: found {name[:LONGEST_NAME]!r}; expected at most {LONGEST_NAME} lower-case letters "
            "(Chinese ones too), digits, - and _, a letter or digit first"
        )
