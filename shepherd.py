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
    from features.audience.desk import Answer
    from features.audience.library import Library
    from training.steps import Steps
    from training.task import AnyTask

app = typer.Typer(name="shepherd", no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
audience = typer.Typer(no_args_is_help=True, help="Choose members by a filter, save it, see who they are (人群).")
app.add_typer(audience, name="audience")

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
FilterArgument = Annotated[
    str, typer.Argument(metavar="FILTER", help="Such as 'bought(category=\"tea\", within=90d)'; docs/audiences.md.")
]
AtOption = Annotated[
    str | None, typer.Option("--at", help="As of this moment, such as 2025-06-01 (UTC); now if not given.")
]
AudienceArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the audience.")]

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


@app.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Points: .csv, .parquet, .geojson, .json, .gpkg or .shp.")
    ],
    table: Annotated[str, typer.Option("--table", help="What they are: stores, places, sites or cells.")],
    folder: Annotated[Path, typer.Option("--into", file_okay=False, help="Folder of your tables.")],
    crs: Annotated[
        str, typer.Option("--crs", help="wgs84, gcj02 (AMap, Tencent), bd09 (Baidu), or such as EPSG:4547.")
    ] = "wgs84",
    column: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="NAME=FOUND", help="What a column is called in the file; repeatable."),
    ] = None,
    extracted_on: Annotated[
        datetime | None,
        typer.Option("--extracted-on", formats=["%Y-%m-%d"], help="Day on which the file was drawn from the map."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Read stores, places, sites or a grid from any file of points, in any coordinates, into your folder of tables."""
    from data.geography.points import import_points

    named = [one.partition("=") for one in column or ()]
    if any(not equals for _, equals, _ in named):
        raise UsageError(f"--column: found {', '.join(column or ())}; expected such as store_id=OBJECTID")
    day = None if extracted_on is None else extracted_on.date()
    path, rows = import_points(file, table, folder, {name: found for name, _, found in named}, crs, day)
    if as_json:
        _print_json({"path": str(path), "rows": rows})
    else:
        typer.echo(f"{rows:,} rows in {path}; now `shepherd check {folder}`")


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
def sites(
    data: Annotated[Path, typer.Option("--data", help="Folder of your tables: cells, and sites for cards and plans.")],
    out: Annotated[Path, typer.Option("--out", file_okay=False, help="Folder for pages, GeoJSON, Parquet and JSON.")],
    time_zone: ZoneOption = None,
    home: HomeOption = HOME,
    grid: Annotated[bool, typer.Option("--grid", help="Score every cell of every city, and draw each city.")] = False,
    kind: Annotated[str | None, typer.Option("--format", help="Format of the store that --grid asks about.")] = None,
    area: Annotated[float | None, typer.Option("--area", min=1, help="Its sales floor in square metres.")] = None,
    card: Annotated[str | None, typer.Option("--card", metavar="SITE", help="Write the card of this site.")] = None,
    plan: Annotated[int | None, typer.Option("--plan", min=0, help="Plan at most so many openings.")] = None,
    budget_fen: Annotated[float | None, typer.Option("--budget-fen", help="Most that all openings may cost.")] = None,
    spacing: Annotated[float, typer.Option("--spacing", help="Least metres between a site and any other store.")] = 0.0,
    city_cap: Annotated[int | None, typer.Option("--city-cap", help="Most openings in one city.")] = None,
    close: Annotated[int, typer.Option("--close", help="Most stores that the plan may close; needs --margin.")] = 0,
    margin: Annotated[
        float | None, typer.Option("--margin", help="Share of sales left before rent; without it, plans go by sales.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Choose sites (选址): a picture of each city, the card of a site, a plan of several; pages that stand alone."""
    from data.sources import open_folder
    from serving.bundle import read, resolve
    from serving.sites import SiteScorer
    from serving.siting.errand import Errand
    from serving.siting.plan import Limits

    limits = None if plan is None else Limits(plan, budget_fen, spacing, city_cap, close)
    errand, steps = Errand(grid, kind, area, card, limits, margin), _steps(as_json)
    data_set, scorer = open_folder(data, time_zone), SiteScorer(read(resolve(home / "bundles", "site", "champion")))
    with steps.step("survey sites") as step, data_set.connect() as tables:
        wanted = [name for name in ("cells", "places", "sites", "stores") if name in data_set.files]
        found = {name: tables.sql(f"FROM {name}").to_arrow_table() for name in wanted}
        survey = errand.run(scorer, found, out, datetime.now(UTC).date().isoformat(), step.reach)
    if as_json:
        _print_json(survey.said | {"out": str(out)})
    else:
        typer.echo(survey.text())


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


@app.command()
def offers(
    out: Annotated[Path, typer.Option("--out", help="Where the decisions go, a .parquet or .csv file.")],
    data: DataOption = None,
    time_zone: ZoneOption = None,
    audience_name: Annotated[
        str | None, typer.Option("--audience", help="Name of a saved audience; every member if not given.")
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option("--budget", min=0, help="Most that all may be expected to cost, in fen; the bundle's price else."),
    ] = None,
    campaign: Annotated[
        str | None,
        typer.Option("--campaign", help="Campaign they go out in; each offer's newest running one if not given."),
    ] = None,
    fraud: Annotated[
        Path | None,
        typer.Option("--fraud", help="Parquet or CSV of member_id and fraud_probability; unknown if not given."),
    ] = None,
    at: AtOption = None,
    home: HomeOption = HOME,
    task: Annotated[str, typer.Option("--task", help="The task that decides.")] = "offers",
    pointer: Annotated[
        Literal["champion", "challenger"], typer.Option(help="Which of its models decides.")
    ] = "champion",
    as_json: JsonOption = False,
) -> None:
    """Decide which offer, if any, each member of an audience gets (千人千券): within a budget, rules and stock."""
    from training.offer_run import Order, decide

    order = Order(
        at=_moment("--at", at),
        audience=audience_name,
        budget_fen=budget,
        campaign=campaign,
        fraud=fraud,
        task=task,
        pointer=pointer,
    )
    steps = _steps(as_json)
    found = decide(_tables(data, time_zone, home, steps), order, out, home, steps)
    if as_json:
        _print_json(found.as_dict())
    else:
        typer.echo(found.text())


@audience.command()
def save(
    name: AudienceArgument,
    filter_: FilterArgument,
    note: Annotated[str, typer.Option("--note", help="What it is for.")] = "",
    data: Annotated[Path | None, typer.Option("--data", help="Folder of your tables, to count it at once.")] = None,
    time_zone: ZoneOption = None,
    at: AtOption = None,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
) -> None:
    """Save a filter under a name, to be used as audience("NAME") and over HTTP; with --data it is counted too."""
    from features.audience import desk

    data_set = None if data is None else _tables(data, time_zone, home, _steps(as_json))
    answer = desk.save(_library(home), name, filter_, note)
    _say(answer if data_set is None else desk.refresh(_library(home), [name], data_set, _moment("--at", at)), as_json)


@audience.command("list")
def list_(home: HomeOption = HOME, as_json: JsonOption = False) -> None:
    """Say which audiences are saved, and how many members each had when it was counted."""
    from features.audience import desk

    _say(desk.listed(_library(home)), as_json)


@audience.command()
def show(name: AudienceArgument, home: HomeOption = HOME, as_json: JsonOption = False) -> None:
    """Say what one saved audience is."""
    from features.audience import desk

    _say(desk.show(_library(home), name), as_json)


@audience.command()
def remove(name: AudienceArgument, home: HomeOption = HOME, as_json: JsonOption = False) -> None:
    """Remove a saved audience that no other refers to."""
    from features.audience import desk

    _say(desk.remove(_library(home), name), as_json)


@audience.command()
def refresh(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Names of audiences; all of them if not given.")
    ] = None,
    data: DataOption = None,
    time_zone: ZoneOption = None,
    at: AtOption = None,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
) -> None:
    """Count saved audiences as of a moment and write their members, which the service then answers from."""
    from features.audience import desk

    steps = _steps(as_json)
    data_set, moment = _tables(data, time_zone, home, steps), _moment("--at", at)
    with steps.step("count audiences"):
        answer = desk.refresh(_library(home), names or (), data_set, moment)
    _say(answer, as_json)


@audience.command()
def size(
    filter_: FilterArgument,
    data: DataOption = None,
    time_zone: ZoneOption = None,
    at: AtOption = None,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
) -> None:
    """Say how many members satisfy a filter."""
    from features.audience import desk

    data_set = _tables(data, time_zone, home, _steps(as_json))
    _say(desk.size(_library(home), filter_, data_set, _moment("--at", at)), as_json)


@audience.command()
def preview(
    filter_: FilterArgument,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many members at most.")] = 10,
    data: DataOption = None,
    time_zone: ZoneOption = None,
    at: AtOption = None,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
) -> None:
    """Name the first members who satisfy a filter, in order of their id."""
    from features.audience import desk

    data_set = _tables(data, time_zone, home, _steps(as_json))
    _say(desk.preview(_library(home), filter_, data_set, _moment("--at", at), limit), as_json)


@audience.command()
def profile(
    filter_: FilterArgument,
    data: DataOption = None,
    time_zone: ZoneOption = None,
    at: AtOption = None,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
) -> None:
    """Say what the members who satisfy a filter are like, beside everybody: region, channel, segment, demand."""
    from features.audience import desk

    data_set = _tables(data, time_zone, home, _steps(as_json))
    _say(desk.look(_library(home), filter_, data_set, _moment("--at", at)), as_json)


@audience.command()
def lookalike(
    seeds: Annotated[Path, typer.Option("--seeds", help="Seeds: text with one member id a line, or a table of them.")],
    out: Annotated[Path, typer.Option("--out", help="Where the ranking goes, a .parquet or .csv file.")],
    data: DataOption = None,
    time_zone: ZoneOption = None,
    at: AtOption = None,
    home: HomeOption = HOME,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Rank the members who are like those of a seed list, with the lift on held-out seeds (人群扩展)."""
    import numpy as np

    from features.audience.population import population
    from training.lookalike import lookalike as rank
    from training.seed_list import read_seeds, require_table_name, write_ranked

    require_table_name(out)
    given, steps = read_seeds(seeds), _steps(as_json)
    data_set, moment = _tables(data, time_zone, home, steps), _moment("--at", at)
    with steps.step("rank members") as step, population(data_set, moment) as everybody:
        found = rank(everybody, data_set, given, np.random.default_rng(seed), step.reach)
    write_ranked(found.ranked, out)
    if as_json:
        _print_json(found.as_dict() | {"out": str(out)})
    else:
        typer.echo(f"{found.text()}\n{found.ranked.num_rows:,} members, the most alike first, in {out}")


def main() -> None:
    """Run the command line; what Shepherd refuses is one message on standard error and an exit code."""
    try:
        app()
    except ShepherdError as refusal:
        typer.echo(f"shepherd: {refusal}", err=True)
        sys.exit(refusal.exit_code)


def _journeys(
    data: Path | None, time_zone: str | None, home: Path, name: str | None, test_from: str | None, steps: Steps
) -> list[tuple[AnyTask, DataSet]]:
    """Each task that was asked for with its data; without a name all that ship and that the data have tables for."""
    from data.checks import require
    from training.catalogue import shipped
    from training.dataset import missing_tables

    asked = [_task(one, test_from) for one in (shipped() if name is None else (name,))]
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


def _task(name: str, test_from: str | None) -> AnyTask:
    from training.catalogue import find

    task = find(name)
    return task if test_from is None else task.cut_at(_moment("--test-from", test_from))


def _library(home: Path) -> Library:
    from features.audience.library import Library

    return Library(home / "audiences")


def _tables(data: Path | None, time_zone: str | None, home: Path, steps: Steps) -> DataSet:
    """The tables of a folder; without one those of Complete Journey."""
    from data.sources import open_folder

    if data is not None:
        return open_folder(data, time_zone)
    from training.tasks.coupon import TASK

    return _data_set(None, time_zone, home, TASK, steps)


def _moment(option: str, text: str | None) -> datetime:
    """A moment that an option names, UTC where it names no zone; now without one."""
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option}: found {text!r}, expected a date such as 2017-08-01") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _say(answer: Answer, as_json: bool) -> None:  # noqa: FBT001 - the option's own value
    if as_json:
        _print_json(answer.said)
    else:
        typer.echo(answer.text)


def _steps(as_json: bool) -> Steps:  # noqa: FBT001 - the option's own value
    from rich.console import Console

    from training.steps import Steps

    return Steps(Console(stderr=as_json))


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, allow_nan=False))


if __name__ == "__main__":
    main()
