"""What the guardrails ask: the numbers of the rules, for whom each offer holds, and the facts about members."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from data.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    Flags = NDArray[np.bool_]
    Doubles = NDArray[np.float64]


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The numbers of the rules; they stand in a bundle's manifest as they are.

    Attributes:
        most_fraud_probability: Members above it get nothing.
        most_sends: Sends within `sends_days` after which a member gets nothing more.
        sends_days: The days over which `Members.sends` was counted.
        days_after_send: Days to pass after a send.
        days_after_redemption: Days to pass after a redemption.
        least_net_fen: What value less cost must leave for each redemption, in fen.
        most_face_share: Largest face value, as a share of the margin of the member's usual basket.

    Raises:
        UsageError: A number is out of its range; all such findings at once.
    """

    most_fraud_probability: float = 0.5
    most_sends: int = 4
    sends_days: float = 30.0
    days_after_send: float = 3.0
    days_after_redemption: float = 7.0
    least_net_fen: float = 0.0
    most_face_share: float = 1.0

    def __post_init__(self) -> None:
        """Refuse limits that cannot be meant."""
        problems = [
            f"{name}: found {value}, expected a number, 0 or more"
            for name, value in msgspec.structs.asdict(self).items()
            if name != "least_net_fen" and not 0 <= value < math.inf
        ]
        if not 0 <= self.most_fraud_probability <= 1:
            problems.append(f"most_fraud_probability: found {self.most_fraud_probability}, expected 0 to 1")
        if not math.isfinite(self.least_net_fen):
            problems.append(f"least_net_fen: found {self.least_net_fen}, expected a finite number of fen")
        if problems:
            raise UsageError("Limits: " + "; ".join(problems) + ".")


class OfferRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For whom and when an offer holds.

    Attributes:
        offer: Its name.
        face_fen: What one use costs, in fen, more than 0.
        starts_at: First moment at which it may be sent, with a time zone.
        ends_at: First moment at which it may no longer be.
        category: Its category; empty for all.
        regions: The regions where it holds; empty for all.
        segments: The segments that it is for; empty for all.
        pieces_left: Pieces left; None where it is not scarce.
    """

    offer: str
    face_fen: float
    starts_at: datetime
    ends_at: datetime
    category: str = ""
    regions: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    pieces_left: float | None = None


@dataclass(frozen=True)
class Coded:
    """One of a few names for each member.

    Attributes:
        codes: Index into the names, shape (members,), -1 for unknown.
        names: The names.
    """

    codes: NDArray[np.integer[Any]]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Members:
    """What the rules ask about members, each array of shape (members,); None switches a rule off.

    Attributes:
        fraud_probability: Of not being an honest shopper; NaN is unknown and rules out.
        opted_out: Whether they want no offers.
        sends: How many they got within `Limits.sends_days`.
        days_since_send: Since the last; NaN for never.
        days_since_redemption: Likewise.
        basket_margin_fen: Margin of their usual basket; NaN is unknown and rules nothing out.
        region: Where they shop; an unknown region fits only offers for all.
        segment: Their segment; likewise.
        holdout: Whether they are left without offers, to be compared with.
        categories: For each category that an offer names whether it is for them; empty switches the rule off.
    """

    fraud_probability: Doubles | None = None
    opted_out: Flags | None = None
    sends: NDArray[np.integer[Any]] | None = None
    days_since_send: Doubles | None = None
    days_since_redemption: Doubles | None = None
    basket_margin_fen: Doubles | None = None
    region: Coded | None = None
    segment: Coded | None = None
    holdout: Flags | None = None
    categories: Mapping[str, Flags] = field(default_factory=dict)

    def lengths(self) -> dict[str, tuple[int, ...]]:
        """The shape of every fact that is given."""
        given = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "categories"}
        arrays = {name: each.codes if isinstance(each, Coded) else each for name, each in given.items()}
        arrays |= {f"categories[{name}]": each for name, each in self.categories.items()}
        return {name: each.shape for name, each in arrays.items() if each is not None}
