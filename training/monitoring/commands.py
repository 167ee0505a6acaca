"""The command that looks back: last week by the decision log, as a run beside the model's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data.command_line import HOME, HomeOption, JsonOption, ZoneOption, moment_of, print_json
from data.errors import UsageError
from training.commands import TaskOption, task_of

if TYPE_CHECKING:
    from training.monitoring.result import Monitored
    from training.monitoring.step import Written


def monitor(
    task: TaskOption,
    ledger: Annotated[
        Path | None, typer.Option("--ledger", help="Folder of the decision log; that of --home if not given.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder of tables with what came of decisions beside the log's own.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--from", help="First moment (UTC); seven days before the end if not given.")
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", help="Its end (UTC), not part of it; right after the newest decision."),
    ] = None,
    time_zone: ZoneOption = None,
    home: HomeOption = HOME,
    force: Annotated[bool, typer.Option("--force", help="Write a run anew although the week has one.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Last week by the log: performance, money, drift, slices and shadows as a run; beside a running service, too."""
    from data.sources import open_folder
    from serving.settings import read_settings
    from training.monitoring.evidence import Evidence
    from training.monitoring.journal import open_journal
    from training.monitoring.step import write
    from training.sites.task import SiteTask
    from training.task import Task
    from training.tracking.stores import require_answer

    asked = task_of(task, None)
    require_answer()
    settings = read_settings(home)
    secret = None if settings.secret is None else settings.secret.get_secret_value()
    first, last = (
        None if text is None else moment_of(option, text) for option, text in (("--from", since), ("--until", until))
    )
    data_set = None if data is None else open_folder(data, time_zone)
    with open_journal(ledger or settings.ledger, secret) as journal:
        evidence = Evidence(journal, settings.bundles, data_set, first, last)
        if isinstance(asked, SiteTask):
            from training.monitoring.sites import monitor_sites

            found = monitor_sites(asked, evidence)
        elif isinstance(asked, Task) and asked.rows.name == "scan":
            from training.monitoring.scans import monitor_scans

            found = monitor_scans(asked, evidence)
        elif isinstance(asked, Task):
            from training.monitoring.offers import monitor_offers

            found = monitor_offers(asked, evidence)
        else:
            raise UsageError(
                f"shepherd monitor: found the task {asked.name!r}, which puts lists in order, and the service keeps no "
                "decisions of such; expected one of scans, offers or sites, such as fraud"
            )
    written = write(found, home, force=force)
    if as_json:
        print_json(
            found.as_dict()
            | {"run_id": written.run_id, "model_run_id": written.model_run or None, "again": written.again}
        )
    else:
        typer.echo(_told(found, written))


def _told(found: Monitored, written: Written) -> str:
    from training.report.words import spanned

    counts = found.counts
    counted = (
        f"{counts['decisions']:,} decisions, {counts['labelled']:,} with an outcome so far "
        f"({found.labels['share']:.1%}), {counts['labelled_by_lot']:,} of them by lot; {counts['forgotten']:,} of "
        "members who were forgotten are left out"
    )
    lines = [
        f"{found.task} {found.version}, {found.week}",
        found.said.english,
        counted,
        *(f"{name}: {spanned(one)}" for name, one in found.metrics.items()),
        *(f"not said: {name}: {why}" for name, why in found.skipped.items()),
        f"Run {written.run_id}{', written before' if written.again else ''}; see it: {written.opens}",
    ]
    return "\n".join(lines)
