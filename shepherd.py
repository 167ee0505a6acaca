"""The one command line: it starts every journey and holds no logic.

Every command stands beside what it starts; here is their order. Exit codes: 0 done, 1 our fault, 2 wrong usage, 3 bad
data, 4 refused by a gate, 5 something it depends on is down.
"""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

import typer

from data.commands import check, codes, import_, simulate
from data.errors import ShepherdError
from features.audience.commands import audience
from serving.access.commands import keys
from serving.commands import serve
from serving.ledger.commands import forget, replay, snapshot
from training.commands import build, promote, run, train
from training.history_commands import history
from training.member_commands import holdout, lookalike, offers, value
from training.monitoring.commands import monitor
from training.retraining.commands import retrain
from training.sites.commands import sites
from training.verification.commands import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

COMMANDS: Mapping[str, Callable[..., None]] = {
    "run": run,
    "simulate": simulate,
    "check": check,
    "import": import_,
    "codes": codes,
    "build": build,
    "train": train,
    "promote": promote,
    "verify": verify,
    "retrain": retrain,
    "monitor": monitor,
    "sites": sites,
    "history": history,
    "serve": serve,
    "replay": replay,
    "forget": forget,
    "snapshot": snapshot,
    "offers": offers,
    "holdout": holdout,
    "value": value,
}
"""In the order of the help."""

GARBAGE = 100_000
"""How many objects are made between two searches for garbage; Python's own 700 is a tenth of the time of a command
that opens MLflow's store, for importing makes a million and none of them is any.
"""

app = typer.Typer(name="shepherd", no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
for _name, _command in COMMANDS.items():
    app.command(_name)(_command)
audience.command("lookalike")(lookalike)
app.add_typer(audience, name="audience")
app.add_typer(keys, name="keys")


def main() -> None:
    """Run the command line; what Shepherd refuses is one message on standard error and an exit code."""
    gc.set_threshold(GARBAGE)
    try:
        app()
    except ShepherdError as refusal:
        typer.echo(f"shepherd: {refusal}", err=True)
        sys.exit(refusal.exit_code)


if __name__ == "__main__":
    main()
