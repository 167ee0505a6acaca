"""Lets the log keep answers that are made outside of it, so that they are found again by their ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving.ledger.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fastapi import Request

    from serving.contracts import DecisionAnswer, OffersAnswer
    from serving.live.service import LiveService
    from serving.site_contracts import SitesAnswer


async def keep(
    request: Request,
    answer: OffersAnswer | DecisionAnswer | SitesAnswer,
    asked: Mapping[str, object],
    member_id: str | None = None,
    features: Callable[[], bytes] = bytes,
) -> None:
    """Keep an answer where there is a log; without one, or while it fails, the answer goes out all the same.

    Args:
        request: What it answers.
        answer: What will be answered.
        asked: What was asked, as JSON has it.
        member_id: Whose it is: forgetting them makes it unreadable. None where it is nobody's.
        features: Says what the model was given, as a record keeps it; asked only where there is a log.
    """
    live: LiveService | None = request.app.state.live
    if live is None:
        return
    record = Record(
        decision_id=answer.decision_id,
        task=answer.model.task,
        version=answer.model.version,
        request=dict(asked),
        features=features(),
        answer=answer.model_dump_json().encode(),
    )
    await live.keep(record, member_id)
