"""One answer of the service, as a table for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

SHOWN: Final = 3
"""So many offers that were ruled out; the others are in the answer."""


def answer_table(served: Mapping[str, object], caption: str) -> Table:
    """The answer as it came: what was asked, each offer, row or site with its sentences, what is ruled out.

    Args:
        served: The body that the service answered.
        caption: What stands below it.
    """
    table = Table(title="One answer over HTTP", title_justify="left", show_header=False)
    answers = served.get("offers") or served.get("answers") or []
    for name in ("member_id", "at", "no_offer"):
        if name in served:
            table.add_row(name, _told(served[name]))
    sites = served.get("sites", [])
    for site in sites if isinstance(sites, list) else []:
        table.add_row(str(site["site_id"]), _sold(site))
    for answer in answers if isinstance(answers, list) else []:
        sentences = [reason["sentence"] for reason in answer["reasons"]]
        name = answer.get("offer_id", answer.get("row_id", "row"))
        table.add_row(str(name), "\n".join([_verdict(answer), *sentences]))
    ruled_out = served.get("ruled_out", [])
    for offer in ruled_out[:SHOWN] if isinstance(ruled_out, list) else []:
        sentences = [reason["sentence"] for reason in offer["reasons"]]
        table.add_row(str(offer["offer_id"]), "\n".join(["ruled out", *sentences]))
    table.caption = caption
    table.caption_justify = "left"
    return table


def _told(value: object) -> str:
    """A part of an answer in one line; of why nothing is sent, code and sentence."""
    return f"{value['code']}: {value['reason']}" if isinstance(value, dict) else str(value)


def _sold(site: Mapping[str, Any]) -> str:
    """What an answer says of a site: sales with the interval, and what is left for the chain."""
    ends, left = site["interval_90"], site["cannibalisation"]["net_fen"]
    sold = f"{site['revenue_fen']:,.0f} fen a year, 90 % from {ends['low_fen']:,.0f} to {ends['high_fen']:,.0f}"
    return f"{sold}; {left:,.0f} more for the chain"


def _verdict(answer: Mapping[str, Any]) -> str:
    """What an answer says of its row: a place in a list, or a chance with an action and its worth."""
    if "place" in answer:
        return f"place {answer['place']}"
    if "expected_margin_fen" in answer:
        margin = answer["expected_margin_fen"]
        return f"{answer['action']}, worth {margin['mean']:.0f} fen, of it {margin['lower']:.0f} counted on"
    return f"{answer['probability']:.3f}: {answer['action']}, worth {answer['expected_value_fen']:.0f} fen"
