"""What the command line asks about audiences: each question has one answer, for machines and for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data.errors import DataError, UsageError
from features.audience.chinese import sentence_zh
from features.audience.counted import Counted, counted_of, write_counted
from features.audience.listing import write_list
from features.audience.parser import parse
from features.audience.population import population
from features.audience.problems import width_of
from features.audience.profile import profile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from data.sources import DataSet
    from features.audience.library import Library, Saved
    from features.audience.population import Population, Selection
    from features.audience.profile import Profile

_OLD_DAYS = 30


@dataclass(frozen=True)
class Answer:
    """An answer.

    Attributes:
        said: For machines: plain lists, numbers and texts.
        text: The same for people.
        refusals: What could not be answered, beside the rest that was.
    """

    said: Mapping[str, Any]
    text: str
    refusals: tuple[str, ...] = ()


def size(library: Library, text: str, data_set: DataSet, at: datetime) -> Answer:
    """How many members satisfy a filter at a moment."""
    with population(data_set, at) as everybody:
        chosen = everybody.select(library.expanded(parse(text)))
        return Answer(_said(text, chosen), _sized(text, chosen, everybody))


def preview(library: Library, text: str, data_set: DataSet, at: datetime, limit: int) -> Answer:
    """The first members who satisfy a filter at a moment, in order of their id."""
    with population(data_set, at) as everybody:
        chosen = everybody.select(library.expanded(parse(text)))
        first = chosen.preview(limit)
        return Answer(
            _said(text, chosen) | {"members": list(first)}, "\n".join([_sized(text, chosen, everybody), "", *first])
        )


def look(library: Library, text: str, data_set: DataSet, at: datetime) -> Answer:
    """What the members who satisfy a filter at a moment are like, beside everybody."""
    with population(data_set, at) as everybody:
        chosen = everybody.select(library.expanded(parse(text)))
        found = profile(everybody, chosen)
        return Answer(
            _said(text, chosen) | {"profile": found.as_dict()},
            "\n".join([_sized(text, chosen, everybody), *_profiled(found)]),
        )


def save(library: Library, name: str, text: str, note: str) -> Answer:
    """Save a filter under a name."""
    saved = library.save(name, parse(text), note)
    return Answer(_described(library, saved), f"saved {name}: {saved.condition}\n{sentence_zh(saved.condition)}")


def save_list(library: Library, name: str, ids: Sequence[str], note: str) -> Answer:
    """Save a list of members under a name."""
    saved = library.save(name, write_list(library.folder, ids), note)
    return Answer(_described(library, saved), f"saved {name}: {saved.condition}, {len(ids):,} members")


def show(library: Library, name: str) -> Answer:
    """One saved audience, with what was counted of it."""
    saved = library.get(name)
    said = _described(library, saved)
    lines = [name, f"  {saved.condition}", f"  {sentence_zh(saved.condition)}", f"  {_counted_text(said)}"]
    return Answer(said, "\n".join([*lines, *([f"  {saved.note}"] if saved.note else [])]))


def listed(library: Library) -> Answer:
    """All saved audiences; one that is damaged, or refers to one that is, takes none of the others with it."""
    every, damaged = [], {}
    for name in library.names():
        try:
            every.append(_described(library, library.get(name)))
        except (DataError, UsageError) as refusal:
            damaged[name] = str(refusal)
    lines = [f"{one['name']:<24}  {_counted_text(one)}\n  {one['filter']}" for one in every]
    return Answer(
        {"audiences": every, "damaged": damaged},
        "\n".join(lines) or "no audience is saved yet: `shepherd audience save`",
        _refusals(damaged),
    )


def remove(library: Library, name: str) -> Answer:
    """Remove a saved audience."""
    library.remove(name)
    return Answer({"removed": name}, f"removed {name}")


def refresh(library: Library, names: Sequence[str], data_set: DataSet, at: datetime) -> Answer:
    """Count saved audiences as of a moment, and write their members for whoever serves or sends.

    Args:
        library: Where they are saved.
        names: Which; all of them if empty, without those that are damaged.
        data_set: The tables.
        at: The moment.
    """
    damaged = {} if names else dict(listed(library).said["damaged"])
    chosen = [library.get(name) for name in (names or library.names()) if name not in damaged]
    with population(data_set, at) as everybody:
        for saved in chosen:
            _count(library, saved, everybody)
    said = [_described(library, saved) for saved in chosen]
    lines = [f"{one['name']:<24}  {_counted_text(one)}" for one in said]
    return Answer({"audiences": said, "damaged": damaged}, "\n".join(lines), _refusals(damaged))


def _count(library: Library, saved: Saved, everybody: Population) -> None:
    chosen = everybody.select(library.expanded(saved.condition))
    found = Counted(
        path=library.members_path(saved.name),
        fingerprint=library.fingerprint(saved.condition),
        as_of=chosen.at,
        size=chosen.size,
        everybody=chosen.everybody,
        profile=profile(everybody, chosen).as_dict(),
    )
    write_counted(found, chosen.members)


def _refusals(damaged: Mapping[str, str]) -> tuple[str, ...]:
    """Each with the name of whose it is, where that is not the file itself."""
    return tuple(f"audience {name!r}: {why}" for name, why in damaged.items())


def _described(library: Library, saved: Saved) -> dict[str, Any]:
    found = counted_of(library, saved)
    return {
        "name": saved.name,
        "filter": str(saved.condition),
        "sentence_zh": sentence_zh(saved.condition),
        "note": saved.note,
        "fingerprint": library.fingerprint(saved.condition),
        "counted": None
        if found is None
        else {
            "as_of": found.as_of.isoformat(),
            "size": found.size,
            "everybody": found.everybody,
            "members": str(found.path),
        },
    }


def _said(text: str, chosen: Selection) -> dict[str, Any]:
    asked = parse(text)
    return chosen.as_dict() | {"filter": str(asked), "sentence_zh": sentence_zh(asked)}


def _sized(text: str, chosen: Selection, everybody: Population) -> str:
    asked = parse(text)
    lines = [
        str(asked),
        sentence_zh(asked),
        f"{chosen.size:,} of {chosen.everybody:,} members ({100 * chosen.share:.1f} %) as of {chosen.at.isoformat()}",
    ]
    newest = everybody.newest_purchase()
    if newest is not None and (chosen.at - newest).days >= _OLD_DAYS:
        lines.append(f"the newest purchase is of {newest.isoformat()}: --at MOMENT asks as of then")
    return "\n".join(lines)


def _counted_text(said: Mapping[str, Any]) -> str:
    found = said["counted"]
    if found is None:
        return "not counted as it stands: `shepherd audience refresh`"
    return f"{found['size']:,} of {found['everybody']:,} members as of {found['as_of']}"


def _profiled(found: Profile) -> list[str]:
    lines = []
    for side, rows in found.sides.items():
        lines += ["", f"{side:<28}  {'audience %':>20}  {'everybody %':>11}  {'index':>20}"]
        for row in rows:
            name = f"{row.name} {row.name_zh}" if row.name_zh else row.name
            share = f"{100 * row.audience.value:.1f} [{100 * row.audience.low:.1f}, {100 * row.audience.high:.1f}]"
            index = "-" if row.index is None else f"{row.index.value:.2f} [{row.index.low:.2f}, {row.index.high:.2f}]"
            padded = name + " " * (28 - sum(map(width_of, name)))
            lines.append(f"{padded}  {share:>20}  {100 * row.everybody.value:>11.1f}  {index:>20}")
    return lines
