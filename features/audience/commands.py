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
    filter_: FilterArgument,
    note: Annotated[str, typer.Option("--note", help="What it is for.")] = "",
    data: Annotated[Path | None, typer.Option("--data", help="Folder of your tables, to count it at once.")] = None,
    time_zone: ZoneOption = None,
    at: AtOption = None,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
) -> None:
    """Save a filter under a name, to be used as audience("NAME") and over HTTP; with --data it is counted too."""
    from data.command_tables import tables
    from features.audience import desk

    data_set = None if data is None else tables(data, time_zone, home, steps_of(as_json))
    answer = desk.save(_library(home), name, filter_, note)
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
