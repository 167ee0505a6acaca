"""The command that lets a service begin with what its tables know already."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from data.command_line import HOME, HomeOption, JsonOption, ZoneOption, print_json, steps_of


def history(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of your tables: scans, members, orders, ...")],
    time_zone: ZoneOption = None,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
) -> None:
    """Let a service that has not begun start from the events of your tables, instead of knowing nobody."""
    from data.sources import open_folder
    from serving.settings import read_settings
    from training.history import build

    settings, steps = read_settings(home), steps_of(as_json)
    with steps.step("build the live state"):
        found = build(open_folder(folder, time_zone), settings, datetime.now(UTC))
    until = datetime.fromtimestamp(found.until / 1_000_000, UTC).isoformat()
    if as_json:
        print_json({"events": found.events, "until": until, "snapshot": str(found.path)})
    else:
        typer.echo(f"{found.events:,} events up to {until}; `shepherd serve` goes on from there.")
