"""Forgetting a member where several scorers share an order: the key goes from Redis, and each lets go of its copy."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from data.errors import DependencyDown
from serving.ledger.ledger import Ledger
from serving.stream.link import AWAY, Link

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE_SECONDS: Final = 5.0


def forget(url: str, folder: Path, secret: str | None, member_id: str) -> bool:
    """Delete a member's key in Redis, and tell every scorer in the stream; whether there was one.

    A scorer that is away deletes its copy when it reads the stream again. Redis is asked to write its append-only file
    anew, in which the key still stands until then; copies of that file made before keep it.

    Args:
        url: `SHEPHERD_STATE`.
        folder: Of the ledger of any scorer of the deployment.
        secret: `SHEPHERD_SECRET`; None where it lies in the folder.
        member_id: The member.

    Raises:
        DataError: There is no ledger.
        UsageError: The secret is another.
        DependencyDown: Redis is not there; it still has the key.
    """
    ledger = Ledger.read(folder, secret)
    slot = ledger.vault.slot(member_id)
    ledger.close()
    try:
        return asyncio.run(_forget(url, slot))
    except AWAY as error:
        raise DependencyDown(
            f"SHEPHERD_STATE: Redis does not answer ({error}) and still has the member's key; run the same again when "
            "it does"
        ) from error


async def _forget(url: str, slot: bytes) -> bool:
    link = Link(url, b"", PATIENCE_SECONDS)
    try:
        return await link.forget(slot)
    finally:
        await link.close()
