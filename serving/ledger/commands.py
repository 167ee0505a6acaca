"""The commands about the log: work decisions out again, forget a member."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from data.command_line import HOME, HomeOption, JsonOption, print_json
from data.errors import GateRefused, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serving.ledger.chain import ChainReport
    from serving.ledger.ledger import Ledger
    from serving.ledger.replay import Replayed
    from serving.settings import Settings

_SHOWN = 10


def replay(
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID...", help="What the decisions are called.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every decision of the log, and the log's chain.")] = False,
    head: Annotated[
        str | None, typer.Option(help="The chain's head that was noted earlier; it has to be found again (with --all).")
    ] = None,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
) -> None:
    """Work decisions out again from log and bundle, and compare them to the bit; beside a running service, too."""
    from collections import Counter

    from serving.ledger.replay import replay as again
    from serving.settings import read_settings

    if every == bool(ids):
        raise UsageError("shepherd replay: found both or neither of IDs and --all, expected one of them")
    settings = read_settings(home)
    ledger = _ledger(settings)
    try:
        if not every:
            _tell_each(list(again(ledger, settings.bundles, ids)), as_json=as_json)
            return
        counts: Counter[str] = Counter()
        wrong: list[Replayed] = []
        for one in _shown(again(ledger, settings.bundles), ledger):
            counts[one.verdict] += 1
            if _counts_against(one) and len(wrong) < _SHOWN:
                wrong.append(one)
        chain = ledger.verify(head)
    finally:
        ledger.close()
    _tell_all(counts, wrong, chain, as_json=as_json)


def forget(
    member: Annotated[str, typer.Option(help="The member's id.")],
    home: HomeOption = HOME,
    as_json: JsonOption = False,
) -> None:
    """Forget a member: delete their key, so that nobody can read or link what the log holds of them; no way back."""
    from serving.ledger.forget import forget as drop
    from serving.settings import read_settings

    settings = read_settings(home)
    done = drop(settings.ledger, _secret(settings), member)
    if settings.state:  # afterwards: this ledger's service, told by the stream, deletes what is counted above
        from serving.stream.forget import forget as drop_everywhere

        drop_everywhere(settings.state, settings.ledger, _secret(settings), member)
    if as_json:
        print_json({"known": done.known, "records": done.records, "readable": done.readable})
    elif done.known:
        typer.echo(
            f"Forgotten: {done.records:,} records cannot be read any more, {done.readable} of them can (tried). The "
            "log's chain and the live state are as they were."
        )
    else:
        typer.echo("The log has no key of such a member: never seen, or forgotten before.")
    if done.readable:
        raise GateRefused(f"{done.readable} records of the member can still be read; tell whoever made this release")


def snapshot(home: HomeOption = HOME, as_json: JsonOption = False) -> None:
    """Write down what the service knows by now, so that its next start is short; beside the service, from its log.

    Where several scorers share an order it is written from the stream, which lets go of what nobody needs any more
    (SHEPHERD_STREAM_DAYS).
    """
    from serving.bundle import read, resolve
    from serving.ledger.recovery import SNAPSHOTS, refresh
    from serving.live.models import declared
    from serving.settings import read_settings

    settings = read_settings(home)
    manifest = read(resolve(settings.bundles, settings.scan_task, settings.pointer)).manifest
    ledger, trimmed = _ledger(settings), None
    try:
        if settings.state:
            from serving.stream.refresh import refresh as follow

            events, trimmed = follow(settings.state, ledger, declared(manifest), settings.stream_days)
        else:
            events = refresh(ledger, declared(manifest), settings.ledger / SNAPSHOTS)
    finally:
        ledger.close()
    if as_json:
        print_json({"events": events} | ({} if trimmed is None else {"trimmed": trimmed}))
        return
    typer.echo(f"{events:,} events more are in the snapshot." if events else "The latest snapshot holds all.")
    if trimmed:
        typer.echo(f"The stream let go of {trimmed:,} entries that nobody needs any more.")


def _ledger(settings: Settings) -> Ledger:
    from serving.ledger.ledger import Ledger

    return Ledger.read(settings.ledger, _secret(settings))


def _secret(settings: Settings) -> str | None:
    return None if settings.secret is None else settings.secret.get_secret_value()


def _counts_against(one: Replayed) -> bool:
    return one.verdict in {"differs", "bundle missing"}


def _shown(replayed: Iterator[Replayed], ledger: Ledger) -> Iterator[Replayed]:
    from rich.console import Console
    from rich.progress import track

    yield from track(replayed, "decisions", total=ledger.count("scans"), console=Console(stderr=True), transient=True)


def _tell_each(replayed: list[Replayed], *, as_json: bool) -> None:
    if as_json:
        print_json({"decisions": [one._asdict() for one in replayed]})
    else:
        for one in replayed:
            typer.echo(f"{one.decision_id}: {one.verdict}{f' ({one.detail})' if one.detail else ''}")
    unknown = [one.decision_id for one in replayed if one.verdict == "unknown"]
    if unknown:
        raise UsageError(f"the log has no decision {', '.join(unknown)}; expected what answers call their decision_id")
    if any(map(_counts_against, replayed)):
        raise GateRefused("decisions did not come out again as they were answered")


def _tell_all(counts: dict[str, int], wrong: list[Replayed], chain: ChainReport, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "verdicts": dict(counts),
                "wrong": [one._asdict() for one in wrong],
                "chain": {
                    "entries": chain.entries,
                    "head": chain.head,
                    "holds": chain.holds,
                    "broken": [{"sequence": one.sequence, "what": one.what} for one in chain.broken[:_SHOWN]],
                },
            }
        )
    else:
        told = ", ".join(f"{count:,} {verdict}" for verdict, count in sorted(counts.items()))
        typer.echo(f"Decisions: {told or 'none'}.")
        for one in wrong:
            typer.echo(f"- {one.decision_id}: {one.verdict} ({one.detail})")
        held = "holds" if chain.holds else "is broken"
        typer.echo(f"The chain of {chain.entries:,} entries {held}; its head is {chain.head}.")
        for broken in chain.broken[:_SHOWN]:
            typer.echo(f"- entry {broken.sequence}: {broken.what}")
    if wrong or not chain.holds:
        raise GateRefused("the log, its bundles, or what is worked out of them is not what was answered")
