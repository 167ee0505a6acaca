"""The commands about members: which offer each gets, what that brought, what each is worth, who is like whom."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from data.command_line import (
    HOME,
    AtOption,
    DataOption,
    HomeOption,
    JsonOption,
    SeedOption,
    ZoneOption,
    moment_of,
    print_json,
    steps_of,
)


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
    from data.command_tables import tables
    from training.offer_run import Order, decide

    order = Order(
        at=moment_of("--at", at),
        audience=audience_name,
        budget_fen=budget,
        campaign=campaign,
        fraud=fraud,
        task=task,
        pointer=pointer,
    )
    steps = steps_of(as_json)
    found = decide(tables(data, time_zone, home, steps), order, out, home, steps)
    if as_json:
        print_json(found.as_dict())
    else:
        typer.echo(found.text())


def holdout(
    data: Annotated[
        Path, typer.Option("--data", help="Folder of your tables: members, orders, sends, offers, redemptions.")
    ],
    since: Annotated[str, typer.Option("--since", help="First moment of the season, such as 2025-04-01 (UTC).")],
    until: Annotated[
        str | None, typer.Option("--until", help="The moment at which it ended; now if not given.")
    ] = None,
    campaign: Annotated[
        str | None,
        typer.Option("--campaign", help="Campaign of the holdout in sends; found by its chances if not given."),
    ] = None,
    segment: Annotated[
        str, typer.Option("--segment", help="Column of members to part them by; activity goes by purchases before.")
    ] = "activity",
    most_sends: Annotated[int, typer.Option("--most-sends", min=0, help="Cap: at most so many sends a member ...")] = 4,
    within_days: Annotated[float, typer.Option("--within-days", min=0, help="... in so many days.")] = 30.0,
    cool_down_days: Annotated[
        float, typer.Option("--cool-down-days", min=0, help="Days to pass between two sends.")
    ] = 3.0,
    margin: Annotated[
        float | None, typer.Option("--margin", min=0, max=1, help="Share earned, where orders have no margin_fen.")
    ] = None,
    promise: Annotated[
        list[Path] | None,
        typer.Option("--promised", help="What `shepherd offers --json` printed before the launch; repeatable."),
    ] = None,
    time_zone: ZoneOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Say what the coupons of a season truly brought, against the holdout that was never sent any, and for whom."""
    import numpy as np

    from data.sources import open_folder
    from training.holdout_members import Caps, Scope
    from training.holdout_report import holdout_report
    from training.promise import promised

    scope = Scope(
        since=moment_of("--since", since),
        until=moment_of("--until", until),
        holdout_campaign=campaign,
        segment=segment,
        caps=Caps(most_sends, within_days, cool_down_days),
        margin_share=margin,
    )
    foretold, steps = promised(promise) if promise else None, steps_of(as_json)
    with steps.step("compare with the holdout"):
        report = holdout_report(open_folder(data, time_zone), scope, np.random.default_rng(seed), foretold)
    if as_json:
        print_json(report.as_dict())
    elif steps.console is not None:
        steps.console.print(report.table())


def value(
    out: Annotated[Path, typer.Option("--out", help="Where the values go, a .parquet or .csv file.")],
    data: DataOption = None,
    time_zone: ZoneOption = None,
    at: AtOption = None,
    days: Annotated[float, typer.Option("--days", help="How far ahead; one to three years are usual.")] = 365.0,
    margin: Annotated[
        float | None,
        typer.Option("--margin", help="Share of what is paid that is earned; the orders' own else."),
    ] = None,
    discount: Annotated[float, typer.Option("--discount", help="Share that money loses by coming a year later.")] = 0.0,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
) -> None:
    """Say how often each member will still buy, how sure it is that they are still here, and what they are worth."""
    from data.command_tables import tables
    from training.value_run import Horizon, value_members

    horizon = Horizon(
        at=moment_of("--at", at),
        days=days,
        margin=margin,
        yearly_discount=discount,
        time_zone=time_zone or "UTC",
    )
    steps = steps_of(as_json)
    found = value_members(tables(data, time_zone, home, steps), horizon, out, steps)
    if as_json:
        print_json(found.as_dict())
    else:
        typer.echo(found.text())


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

    from data.command_tables import tables
    from data.member_list import read_list, require_table_name, write_table
    from features.audience.population import population
    from training.lookalike import lookalike as rank

    require_table_name(out)
    given, steps = read_list(seeds), steps_of(as_json)
    data_set, moment = tables(data, time_zone, home, steps), moment_of("--at", at)
    with steps.step("rank members") as step, population(data_set, moment) as everybody:
        found = rank(everybody, data_set, given, np.random.default_rng(seed), step.reach)
    write_table(found.ranked, out)
    if as_json:
        print_json(found.as_dict() | {"out": str(out)})
    else:
        typer.echo(f"{found.text()}\n{found.ranked.num_rows:,} members, the most alike first, in {out}")
