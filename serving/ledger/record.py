"""What is kept of one decision: enough to give the same answer again, and to work it out again."""

from __future__ import annotations

from typing import Any

import msgspec

from serving.holdout import Lot


class Record(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A decision, sealed in the log under its member's key.

    Attributes:
        decision_id: What the decision is called: the entry's identity in hexadecimal digits.
        task: Whose model decided.
        version: Which bundle of the task.
        request: What was asked, as it was sent.
        features: What the model was given, float32 in the order of its features, little-endian; of offers the rows of
            those that are answered, one after the other; empty where it follows from the request and the bundle.
        answer: The bytes that were answered.
        stake: What was at stake, in fen; None where the pay-off has no stake.
        group: The group of the pay-off's cap; None where it has none.
        lot: What was drawn; None where nothing was.
        degraded: Why the model was not asked; `none` where it was.
        shadow: What other versions would have said, by version.
        ring: Name and size of the ring that the state knew, which no feature says; None where there was none.
    """

    decision_id: str
    task: str
    version: str
    request: dict[str, Any]
    features: bytes
    answer: bytes
    stake: float | None = None
    group: str | None = None
    lot: Lot | None = None
    degraded: str = "none"
    shadow: dict[str, float] = {}
    ring: tuple[str, int] | None = None


encode_record = msgspec.msgpack.Encoder().encode
"""Record to bytes."""
decode_record = msgspec.msgpack.Decoder(Record).decode
"""Bytes to record; raises msgspec.DecodeError."""
