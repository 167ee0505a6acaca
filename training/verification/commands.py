"""The command that a reviewer does not have to take anybody's word with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from data.command_line import HOME, HomeOption, JsonOption, print_json, steps_of


def verify(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of the run, as its page and `shepherd train` say it.")],
    data: Annotated[
        Path | None, typer.Option("--data", help="Where its tables are by now; where they were if not given.")
    ] = None,
    home: HomeOption = HOME,
    task: Annotated[
        str | None, typer.Option("--task", metavar="FILE.py", help="The file that declares its task, of one's own.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Derive a run again from its data, and say equal, or all that differs; exit code 4 then."""
    from training.verification.verdict import verify as derive_again

    verdict = derive_again(run, home=home, data=data, task_file=task, steps=steps_of(as_json))
    if as_json:
        print_json(verdict.as_dict())
    elif said := verdict.text():
        typer.echo(said)
    verdict.require_equal()
