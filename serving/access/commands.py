"""The commands about API keys: add one, list them, remove one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data.command_line import HOME, HomeOption, JsonOption, print_json

if TYPE_CHECKING:
    from serving.access.keys import Key

keys = typer.Typer(no_args_is_help=True, help="API keys of the service: who may ask what, and how often.")
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="What people call the key, such as till-7.")]
FileOption = Annotated[
    Path | None,
    typer.Option("--file", dir_okay=False, help="File of keys; what SHEPHERD_KEYS says, or HOME/keys.json."),
]


@keys.command()
def add(
    name: NameArgument,
    scope: Annotated[
        list[str], typer.Option("--scope", help="What it may ask: score, batch, events, read, admin; repeatable.")
    ],
    rate: Annotated[float, typer.Option("--rate", help="Requests a second.")] = 1_000.0,
    burst: Annotated[
        int | None, typer.Option("--burst", help="Most requests at once; those of one second if not given.")
    ] = None,
    days: Annotated[int | None, typer.Option("--days", help="When it ends; never if not given.", min=1)] = None,
    home: HomeOption = HOME,
    file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and show it, this once; a running service takes it within a second."""
    from serving.access import key_file

    until = None if days is None else datetime.now(UTC) + timedelta(days=days)
    drawn = key_file.add(_file(home, file), name, scope, rate, burst, until)
    if as_json:
        print_json({"name": name, "key": drawn})
    else:
        typer.echo(f"{drawn}\nThis is the key of {name}. It is not kept and cannot be shown again.")


@keys.command("list")
def list_(home: HomeOption = HOME, file: FileOption = None, as_json: JsonOption = False) -> None:
    """Say which keys there are, what each may ask, and how often; never the keys themselves."""
    from serving.access import key_file

    listed = key_file.listed(_file(home, file))
    if as_json:
        print_json({"keys": [_told(key) for key in listed]})
    else:
        typer.echo("\n".join(map(_line, listed)) or "No keys: the service answers only this machine.")


@keys.command()
def remove(name: NameArgument, home: HomeOption = HOME, file: FileOption = None, as_json: JsonOption = False) -> None:
    """Remove a key; a running service refuses it within a second."""
    from serving.access import key_file

    key_file.remove(_file(home, file), name)
    if as_json:
        print_json({"removed": name})
    else:
        typer.echo(f"{name} is removed.")


def _file(home: Path, file: Path | None) -> Path:
    from serving.settings import read_settings

    return file or getattr(read_settings(home), "keys", None) or home / "keys.json"


def _told(key: Key) -> dict[str, object]:
    until = None if key.until is None else key.until.isoformat()
    return {"name": key.name, "scopes": key.scopes, "rate": key.rate, "burst": key.burst, "until": until}


def _line(key: Key) -> str:
    ends = "" if key.until is None else f", until {key.until:%Y-%m-%d %H:%M %Z}"
    return f"{key.name}: {', '.join(key.scopes)}; {key.rate:g} a second, {key.burst} at once{ends}"
