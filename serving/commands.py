"""The commands about what is decided: answer over HTTP."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from data.command_line import HOME, HomeOption


def serve(
    home: HomeOption = HOME,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8000,
    pointer: Annotated[
        Literal["champion", "challenger"] | None, typer.Option(help="Which model answers; the champion if not given.")
    ] = None,
) -> None:
    """Answer over HTTP from the models of a folder; documentation at /docs."""
    from serving.app import serve as listen

    listen(home, host, port, pointer)
