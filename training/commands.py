"""The commands about what is learned: the whole walk, and its steps one by one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data.command_line import (
    HOME,
    DataOption,
    HomeOption,
    JsonOption,
    SeedOption,
    ZoneOption,
    moment_of,
    print_json,
    steps_of,
)
from data.errors import DataError, UsageError

if TYPE_CHECKING:
    from data.sources import DataSet
    from data.steps import Steps
    from training.task import AnyTask

TaskOption = Annotated[str, typer.Option("--task", help="Name of a task, or path of a Python file that holds TASK.")]
TrialsOption = Annotated[
    int, typer.Option("--trials", min=1, help="Sets of parameters to try in all; a stopped search goes on.")
]
CutOption = Annotated[
    str | None,
    typer.Option(
        "--test-from", help="First moment of the test, such as 2017-08-01 (UTC); the task's own if not given."
    ),
]
ClusterOption = Annotated[
    str | None, typer.Option("--cluster", help="Dask scheduler, tcp://HOST:PORT; or local, two workers here.")
]

TRIALS = 20
GIBIBYTE = 1 << 30


def run(
    data: DataOption = None,
    time_zone: ZoneOption = None,
    home: HomeOption = HOME,
    task: Annotated[
        str | None,
        typer.Option(
            "--task", help="Name of a task, or path of a Python file that holds TASK; all that ship by default."
        ),
    ] = None,
    trials: TrialsOption = TRIALS,
    seed: SeedOption = 0,
    test_from: CutOption = None,
    as_json: JsonOption = False,
) -> None:
    """All of it: read, check, build, train, judge, export, track, promote, and serve one answer of each task."""
    from training.tracking.stores import require_answer

    steps = steps_of(as_json)
    require_answer()
    journeys = _journeys(data, time_zone, home, task, test_from, steps)
    from training.walk import walk

    walked = walk(
        journeys,
        home=home,
        trials=trials,
        seed=seed,
        now=datetime.now(UTC),
        steps=steps,
    )
    if as_json:
        print_json(walked.as_dict())
    elif steps.console is not None:
        for table in walked.tables():
            steps.console.print(table)
        steps.console.print(f"See the run: {walked.mlflow}", soft_wrap=True)


def build(
    data: DataOption = None,
    time_zone: ZoneOption = None,
    home: HomeOption = HOME,
    task: TaskOption = "coupon",
    memory_limit: Annotated[
        float | None, typer.Option("--memory-limit", min=0.5, help="Most memory to use, in GiB; more goes to disk.")
    ] = None,
    cluster: ClusterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compute what was known of every row of a task at its moment."""
    from training.catalogue import find
    from training.means import Means

    steps = steps_of(as_json)
    means = Means(None if memory_limit is None else int(memory_limit * GIBIBYTE), cluster)
    asked = find(task)
    data_set = _data_set(data, time_zone, home, asked, steps)
    from training.walk import build as build_task

    built = build_task(
        asked,
        data_set,
        home=home,
        now=datetime.now(UTC),
        steps=steps,
        means=means,
    )
    if as_json:
        print_json(built.as_dict())
    else:
        typer.echo(
            f"{built.rows:,} rows in {built.path}" + (" (built before from the same data)" if built.reused else "")
        )


def train(
    data: DataOption = None,
    time_zone: ZoneOption = None,
    home: HomeOption = HOME,
    task: TaskOption = "coupon",
    trials: TrialsOption = TRIALS,
    seed: SeedOption = 0,
    test_from: CutOption = None,
    cluster: ClusterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search, fit, calibrate and judge a model of a task, export it with proof, and register it as challenger."""
    from training.tracking.stores import require_answer

    steps = steps_of(as_json)
    asked = task_of(task, test_from).grown_on(cluster)
    require_answer()
    data_set = _data_set(data, time_zone, home, asked, steps)
    from training.walk import train as train_task

    trained = train_task(
        asked,
        data_set,
        home=home,
        trials=trials,
        seed=seed,
        now=datetime.now(UTC),
        steps=steps,
    )
    if as_json:
        print_json(trained.as_dict())
    elif steps.console is not None:
        steps.console.print(trained.table())


def promote(
    task: Annotated[str, typer.Argument(help="Name of the task.")],
    version: Annotated[str | None, typer.Argument(help="Version of its bundle; the challenger if not given.")] = None,
    override: Annotated[
        list[str] | None, typer.Option(help="A gate that refuses and is passed over, by its name; recorded.")
    ] = None,
    by: Annotated[str, typer.Option(help="Who signs; needed where a gate is passed over.")] = "",
    reason: Annotated[str, typer.Option(help="Why; needed where a gate is passed over.")] = "",
    back: Annotated[bool, typer.Option("--back", help="Return to the champion before the present one.")] = False,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
) -> None:
    """Make a version the champion, if no gate refuses; exit code 4 and the gate's name if one does."""
    from training.promotions import Override, Signature
    from training.registry import back as return_to_former
    from training.registry import promote as make_champion

    passed_over = Override(tuple(override), by, reason) if override else None
    signature = Signature(by, reason) if (by or reason) and passed_over is None else None
    if back:
        if version is not None or passed_over is not None:
            raise UsageError(
                "--back: found a version or an override beside it, expected it alone or with --by NAME; leave those out"
            )
        former = return_to_former(task, home, signature)
        if as_json:
            print_json({"task": task, "champion": former})
        else:
            typer.echo(f"{task} is back at {former}.")
        return
    gates = make_champion(task, home, version, passed_over, signature)
    if as_json:
        print_json({"task": task, "gates": [gate.as_dict() for gate in gates]})
    else:
        typer.echo("\n".join([f"{task} has a new champion.", *(f"  {gate}" for gate in gates)]))


def _journeys(
    data: Path | None, time_zone: str | None, home: Path, name: str | None, test_from: str | None, steps: Steps
) -> list[tuple[AnyTask, DataSet]]:
    """Each task that was asked for with its data; without a name all that ship and that the data have tables for."""
    from data.checks import require
    from training.catalogue import shipped
    from training.task import missing_tables

    asked = [task_of(one, test_from) for one in (shipped() if name is None else (name,))]
    tasks = [task for task in asked if task.walked or name is not None]
    journeys = [(task, _data_set(data, time_zone, home, task, steps)) for task in tasks]
    if data is None or name is not None:
        return journeys
    fitting = [(task, data_set) for task, data_set in journeys if not missing_tables(task, data_set)]
    if not fitting:
        require(journeys[0][1], datetime.now(UTC))  # a faulty table may be why it is not taken for one
        lacking = "; ".join(f"{task.name}: {', '.join(missing_tables(task, found))}" for task, found in journeys)
        raise DataError(f"{data} has the tables of no task: missing for {lacking}; docs/tables.md has all tables")
    return fitting


def _data_set(data: Path | None, time_zone: str | None, home: Path, task: AnyTask, steps: Steps) -> DataSet:
    from data.sources import open_folder

    if data is not None:
        return open_folder(data, time_zone)
    if task.example is None:
        raise UsageError(f"task {task.name!r} comes with no example data: name a folder of tables with --data DIR")
    with steps.step(task.example.title):
        return task.example.made(home / task.example.folder)


def task_of(name: str, test_from: str | None) -> AnyTask:
    """The task that `--task` names, with its test from the moment that `--test-from` names."""
    from training.catalogue import find

    task = find(name)
    return task if test_from is None else task.cut_at(moment_of("--test-from", test_from))
