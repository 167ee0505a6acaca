"""The command for a scheduler: bring a task up to its data, in one step that may be called as often as one likes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from data.command_line import HOME, HomeOption, JsonOption, SeedOption, ZoneOption, print_json, steps_of
from data.errors import GateRefused
from training.commands import TRIALS, CutOption, TaskOption, TrialsOption, task_of


def retrain(
    task: TaskOption,
    data: Annotated[Path, typer.Option("--data", help="Folder of your tables, the new ones among them.")],
    time_zone: ZoneOption = None,
    home: HomeOption = HOME,
    trials: TrialsOption = TRIALS,
    seed: SeedOption = 0,
    test_from: CutOption = None,
    promote: Annotated[
        bool, typer.Option("--promote", help="Make it champion if no gate refuses; else it stays a challenger.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Train although nothing is new.")] = False,
    wait: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for another retraining to end.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Bring a task up to its data in one step that resumes: check, measure drift, train, judge, leave a challenger."""
    from data.sources import open_folder
    from training.retraining.step import Order
    from training.retraining.step import retrain as bring_up
    from training.tracking.stores import require_answer

    steps = steps_of(as_json)
    order = Order(trials=trials, seed=seed, promote=promote, force=force, wait=wait)
    asked, data_set = task_of(task, test_from), open_folder(data, time_zone)
    require_answer()
    outcome = bring_up(asked, data_set, order, home=home, now=datetime.now(UTC), steps=steps)
    if as_json:
        print_json(outcome.as_dict())
    else:
        typer.echo(outcome.text())
    if outcome.trained and outcome.refused:
        raise GateRefused(
            f"{outcome.task} {outcome.version} stays a challenger: {outcome.refused}. Read its report, and promote it "
            "by hand if it is right."
        )
