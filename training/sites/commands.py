"""The command about sites (选址): the bundle's answers for a whole city, a card, a plan."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from data.command_line import HOME, HomeOption, JsonOption, ZoneOption, print_json, steps_of


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
        float | None,
        typer.Option("--margin", help="Share of sales left before rent; else plans go by sales, cards by the model's."),
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
    errand, steps = Errand(grid, kind, area, card, limits, margin), steps_of(as_json)
    data_set, scorer = open_folder(data, time_zone), SiteScorer(read(resolve(home / "bundles", "site", "champion")))
    with steps.step("survey sites") as step, data_set.connect() as tables:
        wanted = [name for name in ("cells", "places", "sites", "stores") if name in data_set.files]
        found = {name: tables.sql(f"FROM {name}").to_arrow_table() for name in wanted}
        survey = errand.run(scorer, found, out, datetime.now(UTC).date().isoformat(), step.reach)
    if as_json:
        print_json(survey.said | {"out": str(out)})
    else:
        typer.echo(survey.text())
