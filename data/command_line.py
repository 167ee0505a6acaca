"""What the commands share: the options that several take, moments, progress, and the one JSON object.

Nothing here reads tables, so that the commands of the service stay as light as the service.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data.errors import UsageError

if TYPE_CHECKING:
    from data.steps import Steps

DataOption = Annotated[
    Path | None, typer.Option("--data", help="Folder of your tables; without it, Complete Journey's real grocery data.")
]
ZoneOption = Annotated[
    str | None, typer.Option("--time-zone", help="Zone of times that name none, such as Asia/Shanghai.")
]
HomeOption = Annotated[Path, typer.Option("--home", file_okay=False, help="Folder for everything that is written.")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Where chance starts.")]
AtOption = Annotated[
    str | None, typer.Option("--at", help="As of this moment, such as 2025-06-01 (UTC); now if not given.")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object, last, and nothing else on standard output.")
]

HOME = Path("var")


def moment_of(option: str, text: str | None) -> datetime:
    """A moment that an option names, UTC where it names no zone; now without one."""
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option}: found {text!r}, expected a date such as 2017-08-01") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def steps_of(as_json: bool) -> Steps:  # noqa: FBT001 - the option's own value
    """The steps of a journey, told on standard output, or beside it where that is for one JSON object."""
    from rich.console import Console  # noqa: PLC0415 - as in the commands

    from data.steps import Steps  # noqa: PLC0415 - likewise

    return Steps(Console(stderr=as_json))


def print_json(value: object) -> None:
    """Print the one JSON object of a command; what is no number in JSON is our fault."""
    typer.echo(json.dumps(value, allow_nan=False))
