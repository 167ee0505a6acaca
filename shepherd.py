"""The one command line: it starts every journey and holds no logic.

Exit codes: 0 done, 1 our fault, 2 wrong usage, 3 bad data, 4 refused by a gate, 5 something it depends on is down.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from data.errors import DataError, ShepherdError, UsageError

if TYPE_CHECKING:
    from data.sources import DataSet
    from training.steps import Steps
    from training.task import Task

app = typer.Typer(name="shepherd", no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)

DataOption = Annotated[
    Path | None, typer.Option("--data", help="Folder of your tables; without it, Complete Journey's real grocery data.")
]
ZoneOption = Annotated[
    str | None, typer.Option("--time-zone", help="Zone of times that name none, such as Asia/Shanghai.")
]
HomeOption = Annotated[Path, typer.Option("--home", file_okay=False, help="Folder for everything that is written.")]
TaskOption = Annotated[str, typer.Option("--task", help="Name of a task, or path of a Python file that holds TASK.")]
TrialsOption = Annotated[
    int, typer.Option("--trials", min=1, help="Sets of parameters to try in all; a stopped search goes on.")
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Where chance starts.")]
CutOption = Annotated[
    str | None,
    typer.Option(
        "--test-from", help="First moment of the test, such as 2017-08-01 (UTC); the task's own if not given."
    ),
]
ClusterOption = Annotated[
    str | None, typer.Option("--cluster", help="Dask scheduler, tcp://HOST:PORT; or local, two workers here.")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object, last, and nothing else on standard output.")
]

HOME = Path("var")
TRIALS = 20
GIBIBYTE = 1 << 30


@app.command()
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
    from training.walk import walk

    steps = _steps(as_json)
    walked = walk(
        _journeys(data, time_zone, home, task, test_from, steps),
        home=home,
        trials=trials,
        seed=seed,
        now=datetime.now(UTC),
        steps=steps,
    )
    if as_json:
        _print_json(walked.as_dict())
    elif steps.console is not None:
        for table in walked.tables():
            steps.console.print(table)
        steps.console.print(f"See the run: {walked.mlflow}", soft_wrap=True)


@app.command()
def simulate(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", file_okay=False, help="Folder for the world: a new or an empty one.")
    ],
    preset: Annotated[str, typer.Option("--preset", help="Name of the frozen parameters.")] = "world/v1",
    members: Annotated[
        int, typer.Option("--members", help="Honest members; 40 000 over 90 days make about a million scans.")
    ] = 40_000,
    days: Annotated[int, typer.Option("--days", help="Days from Monday 2025-03-03 on, 14 to 540.")] = 90,
    seed: SeedOption = 0,
    leave_out: Annotated[
        list[str] | None, typer.Option("--leave-out", help="Family of the wool party that is absent; repeatable.")
    ] = None,
    arrive: Annotated[
        list[str] | None,
        typer.Option("--arrive", metavar="FAMILY=DAY", help="Day on which a family starts, from 0; repeatable."),
    ] = None,
    adapt: Annotated[
        bool, typer.Option("--adapt", help="Simple rules block scans, and the wool party changes what they see.")
    ] = False,
    csv: Annotated[list[str] | None, typer.Option("--csv", help="Table written as CSV parts; repeatable.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a brand up: a whole simulated world as tables, with the truth about it apart in DIR/truth."""
    from data.world.request import Request, arrivals_of
    from data.world.simulation import simulate as write_world

    starts = arrivals_of(arrive or ())
    request = Request(preset, members, days, seed, tuple(leave_out or ()), starts, adapt, tuple(csv or ()))
    steps = _steps(as_json)
    with steps.step("simulate") as step:
        report = write_world(request, folder, progress=step.reach)
    if as_json:
        _print_json(report.as_dict())
    else:
        typer.echo(report.text())


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(help="Folder of tables, one Parquet or CSV file or folder of parts each.")],
    time_zone: ZoneOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hold a folder against the contracts; every failed rule at once, exit code 3 if there is one."""
    from data.checks import check as judge
    from data.sources import open_folder

    report = judge(open_folder(folder, time_zone), datetime.now(UTC))
    if as_json:
        _print_json(report.as_dict())
    else:
        typer.echo(report.text())
    if report.findings:
        raise typer.Exit(DataError.exit_code)


@app.command()
def codes(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of tables: scans, members, batches, campaigns.")
    ],
    time_zone: ZoneOption = None,
    false_share: Annotated[
        float, typer.Option("--false-share", help="Share of false ones among the findings of a kind to put up with.")
    ] = 0.05,
    as_json: JsonOption = False,
) -> None:
    """Find batches that leaked, codes that were cloned, serial runs and diverted goods, with evidence."""
    from data.codes.examination import examine
    from data.sources import open_folder

    steps = _steps(as_json)
    with steps.step("examine codes"):
        report = examine(open_folder(folder, time_zone), false_share)
    if as_json:
        _print_json(report.as_dict())
    else:
        typer.echo(report.text())


@app.command()
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
    from training.walk import build as build_task

    steps = _steps(as_json)
    means = Means(None if memory_limit is None else int(memory_limit * GIBIBYTE), cluster)
    asked = find(task)
    built = build_task(
        asked,
        _data_set(data, time_zone, home, asked, steps),
        home=home,
        now=datetime.now(UTC),
        steps=steps,
        means=means,
    )
    if as_json:
        _print_json(built.as_dict())
    else:
        typer.echo(
            f"{built.rows:,} rows in {built.path}" + (" (built before from the same data)" if built.reused else "")
        )


@app.command()
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
    from training.walk import train as train_task

    steps = _steps(as_json)
    asked = _task(task, test_from).grown_on(cluster)
    trained = train_task(
        asked,
        _data_set(data, time_zone, home, asked, steps),
        home=home,
        trials=trials,
        seed=seed,
        now=datetime.now(UTC),
        steps=steps,
    )
    if as_json:
        _print_json(trained.as_dict())
    elif steps.console is not None:
        steps.console.print(trained.table())


@app.command()
def promote(
    task: Annotated[str, typer.Argument(help="Name of the task.")],
    version: Annotated[str | None, typer.Argument(help="Version of its bundle; the challenger if not given.")] = None,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
) -> None:
    """Make a version the champion, if no gate refuses; exit code 4 and the gate's name if one does."""
    from training.registry import promote as make_champion

    gates = make_champion(task, home, version)
    if as_json:
        _print_json({"task": task, "gates": [gate.as_dict() for gate in gates]})
    else:
        typer.echo("\n".join([f"{task} has a new champion.", *(f"  {gate}" for gate in gates)]))


@app.command()
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


def main() -> None:
    """Run the command line; what Shepherd refuses is one message on standard error and an exit code."""
    try:
        app()
    except ShepherdError as refusal:
        typer.echo(f"shepherd: {refusal}", err=True)
        sys.exit(refusal.exit_code)


def _journeys(
    data: Path | None, time_zone: str | None, home: Path, name: str | None, test_from: str | None, steps: Steps
) -> list[tuple[Task, DataSet]]:
    """Each task that was asked for with its data; without a name all that ship and that the data have tables for."""
    from data.checks import require
    from training.catalogue import shipped
    from training.dataset import missing_tables

    tasks = [_task(one, test_from) for one in (shipped() if name is None else (name,))]
    journeys = [(task, _data_set(data, time_zone, home, task, steps)) for task in tasks]
    if data is None or name is not None:
        return journeys
    fitting = [(task, data_set) for task, data_set in journeys if not missing_tables(task, data_set)]
    if not fitting:
        require(journeys[0][1], datetime.now(UTC))  # a faulty table may be why it is not taken for one
        lacking = "; ".join(f"{task.name}: {', '.join(missing_tables(task, found))}" for task, found in journeys)
        raise DataError(f"{data} has the tables of no task: missing for {lacking}; docs/tables.md has all tables")
    return fitting


def _data_set(data: Path | None, time_zone: str | None, home: Path, task: Task, steps: Steps) -> DataSet:
    from data.sources import open_folder

    if data is not None:
        return open_folder(data, time_zone)
    if task.example is None:
        raise UsageError(f"task {task.name!r} comes with no example data: name a folder of tables with --data DIR")
    with steps.step(task.example.title):
        return task.example.made(home / task.example.folder)


def _task(name: str, test_from: str | None) -> Task:
    from training.catalogue import find

    task = find(name)
    if test_from is None:
        return task
    try:
        moment = datetime.fromisoformat(test_from)
    except ValueError:
        raise UsageError(f"--test-from: found {test_from!r}, expected a date such as 2017-08-01") from None
    return task.cut_at(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _steps(as_json: bool) -> Steps:  # noqa: FBT001 - the option's own value
    from rich.console import Console

    from training.steps import Steps

    return Steps(Console(stderr=as_json))


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, allow_nan=False))


if __name__ == "__main__":
    main()
