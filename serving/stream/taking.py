"""What a state takes in of an entry of the stream that is not judged where it is read."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from data.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Collection

    from features.online import LiveState
    from serving.ledger.entry import Place
    from serving.stream.draft import Drafts, Payload

_logger = logging.getLogger("serving")


def take_in(state: LiveState, drafts: Drafts, logs: Collection[str], payload: Payload, place: Place) -> None:
    """Let a state take in an entry at its place; one that cannot be added up counts for nothing, as every scorer says.

    Args:
        state: Has taken in all entries before it.
        drafts: Makes events of it; its intake learns of who joins.
        logs: Those that the state reads.
        payload: The entry's.
        place: Where it stands in the stream.
    """
    try:
        for log, event in drafts.events(payload, place.seen_at):
            if log in logs:
                state.append(log, event)
    except DataError as error:
        _logger.warning("an entry counts for nothing: %s", error)
