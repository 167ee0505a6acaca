"""The one command line: starts every journey and holds no logic."""

from __future__ import annotations

import typer

app = typer.Typer(name="shepherd", no_args_is_help=True, pretty_exceptions_enable=False)


def main() -> None:
    """Run the command line."""
    app()
