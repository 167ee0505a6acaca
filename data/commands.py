"""The commands about what comes in: simulate a brand, check tables, import maps, examine codes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from data.command_line import JsonOption, SeedOption, ZoneOption, print_json, steps_of
from data.errors import DataError, UsageError


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
    steps = steps_of(as_json)
    with steps.step("simulate") as step:
        report = write_world(request, folder, progress=step.reach)
    if as_json:
        print_json(report.as_dict())
    else:
        typer.echo(report.text())


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
        print_json(report.as_dict())
    else:
        typer.echo(report.text())
    if report.findings:
        raise typer.Exit(DataError.exit_code)


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
        print_json({"path": str(path), "rows": rows})
    else:
        typer.echo(f"{rows:,} rows in {path}; now `shepherd check {folder}`")


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

    steps = steps_of(as_json)
    with steps.step("examine codes"):
        report = examine(open_folder(folder, time_zone), false_share)
    if as_json:
        print_json(report.as_dict())
    else:
        typer.echo(report.text())
