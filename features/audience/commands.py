"""The commands about audiences (人群): count a filter, look at it, save it, refresh what is saved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data.command_line import (
    HOME,
    AtOption,
    DataOption,
    HomeOption,
    JsonOption,
    ZoneOption,
    moment_of,
    print_json,
    steps_of,
)
from data.errors import DataError, UsageError

if TYPE_CHECKING:
    from features.audience.desk import Answer
    from features.audience.library import Library

audience = typer.Typer(no_args_is_help=True, help="Choose members by a filter, save it, see who they are (人群).")

FilterArgument = Annotated[
    str, typer.Argument(metavar="FILTER", help="Such as 'bought(category=\"tea\", within=90d)'; docs/audiences.md.")
]
AudienceArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the audience.")]


@audience.command()
def save(
    name: AudienceArgument,
    filter_: Annotated[
        str | None, typer.Argument(metavar="[FILTER]", help="Who belongs to it; or a list with --members.")
    ] = None,
    members: Annotated[
        Path | None, typer.Option("--members", help="A list instead: text with one member id a line, or a table.")
    ] = None,
    top: Annotated[int | None, typer.Option("--top", min=1, help="Only the first so many of the list.")] = None,
    note: Annotated[str, typer.Option("--note", help="What it is for.")] = "",
    data: Annotated[Path | None, typer.Option("--data", help="Folder of your tables, to count it at once.")] = None,
    time_zone: ZoneOption = None,
    at: AtOption = None,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
) -> None:
    """Save a filter or a list under a name, for audience("NAME") and over HTTP; with --data it is counted too."""
    from data.command_tables import tables
    from data.member_list import read_list
    from features.audience import desk

    if (filter_ is None) == (members is None) or (top is not None and members is None):
        raise UsageError("audience save: expected either a FILTER, or a list with --members FILE (and --top)")
    data_set = None if data is None else tables(data, time_zone, home, steps_of(as_json))
    if members is not None:
        answer = desk.save_list(_library(home), name, read_list(members)[:top], note)
    else:
        answer = desk.save(_library(home), name, filter_ or "", note)
    _say(answer if data_set is None else desk.refresh(_library(home), [name], data_set, moment_of("--at", at)), as_json)


@audience.command("list")
def list_(home: HomeOption = HOME, as_json: JsonOption = False) -> None:
    """Say which audiences are saved, and how many members each had when it was counted."""
    from features.audience import desk

    _say(desk.listed(_library(home)), as_json)


@audience.command()
def show(name: AudienceArgument, home: HomeOption = HOME, as_json: JsonOption = False) -> None:
    """Say what one saved audience is."""
    from features.audience import desk

    _say(desk.show(_library(home), name), as_json)


@audience.command()
def remove(name: AudienceArgument, home: HomeOption = HOME, as_json: JsonOption = False) -> None:
    """Remove a saved audience that no other refers to."""
    from features.audience import desk

    _say(desk.remove(_library(home), name), as_json)


@audience.command()
def refresh(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Names of audiences; all of them if not given.")
    ] = None,
    data: DataOption = None,
    time_zone: ZoneOption = None,
    at: AtOption = None,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
) -> None:
    """Count saved audiences as of a moment and write their members, which the service then answers from."""
    from data.command_tables import tables
    from features.audience import desk

    steps = steps_of(as_json)
    data_set, moment = tables(data, time_zone, home, steps), moment_of("--at", at)
    with steps.step("count audiences"):
        answer = desk.refresh(_library(home), names or (), data_set, moment)
    _say(answer, as_json)


@audience.command()
def size(
    filter_: FilterArgument,
    data: DataOption = None,
    time_zone: ZoneOption = None,
    at: AtOption = None,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
) -> None:
    """Say how many members satisfy a filter."""
    from data.command_tables import tables
    from features.audience import desk

    data_set = tables(data, time_zone, home, steps_of(as_json))
    _say(desk.size(_library(home), filter_, data_set, moment_of("--at", at)), as_json)


@audience.command()
def preview(
    filter_: FilterArgument,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many members at most.")] = 10,
    data: DataOption = None,
    time_zone: ZoneOption = None,
    at: AtOption = None,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
) -> None:
    """Name the first members who satisfy a filter, in order of their id."""
    from data.command_tables import tables
    from features.audience import desk

    data_set = tables(data, time_zone, home, steps_of(as_json))
    _say(desk.preview(_library(home), filter_, data_set, moment_of("--at", at), limit), as_json)


@audience.command()
def profile(
    filter_: FilterArgument,
    data: DataOption = None,
    time_zone: ZoneOption = None,
    at: AtOption = None,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
) -> None:
    """Say what the members who satisfy a filter are like, beside everybody: region, channel, segment, demand."""
    from data.command_tables import tables
    from features.audience import desk

    data_set = tables(data, time_zone, home, steps_of(as_json))
    _say(desk.look(_library(home), filter_, data_set, moment_of("--at", at)), as_json)


def _library(home: Path) -> Library:
    from features.audience.library import Library

    return Library(home / "audiences")


def _say(answer: Answer, as_json: bool) -> None:  # noqa: FBT001 - the option's own value
    if as_json:
        print_json(answer.said)
    else:
        typer.echo(answer.text)
    if answer.refusals:
        raise DataError("\n".join(answer.refusals))
