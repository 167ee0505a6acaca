"""The randomised allow-holdout: a small share of decisions gets the passive action, whatever the score said.

A scan that is blocked never shows whether it was honest, so a model that is only judged on what it let through judges
itself. A lot lets some scans through that would have been stopped; what comes of them says, without bias, what the
others would have done: labels to learn from, and the money that was saved (`training.savings`).

The lot is a keyed hash of the decision's id. It needs no state, falls the same way in a replay, and cannot be foretold
without the key. Raising a share keeps every decision that the smaller share let through.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Final

import numpy as np

from data.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

PASSIVE: Final = 0
"""The action that happens if nobody decides: the first of every pay-off table."""
SHORTEST_KEY: Final = 16
LONGEST_KEY: Final = 64

_PURPOSE: Final = b"allow-holdout"
_UNIT: Final = 2.0**-53


@dataclass(frozen=True)
class Holdout:
    """How many decisions are left to the passive action by lot.

    Attributes:
        share: Of all decisions, from 0 to less than 1; 0 switches the lot off.
        group: The column of the rows whose values may have a share of their own, such as `campaign_id`; empty where
            one share holds for all.
        shares: The shares of those that have.
    """

    share: float = 0.01
    group: str = ""
    shares: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what is no share, and shares of groups that no column names."""
        problems = []
        wrong = [share for share in chain((self.share,), self.shares.values()) if not 0 <= share < 1]
        if wrong:
            problems.append(f"found the shares {wrong}, expected 0 or more and less than 1")
        if self.shares and not self.group:
            problems.append("found shares of groups, expected the column that names the group")
        if problems:
            raise UsageError("Holdout: " + "; ".join(problems) + ". Mend the shares in the task's declaration.")

    def of(self, groups: Sequence[str | None] | NDArray[np.object_] | None, rows: int) -> NDArray[np.float64]:
        """The share of each row, shape (rows,), given the group of each; none where there are no groups."""
        if groups is None:
            return np.full(rows, self.share)
        return np.array([self.share if group is None else self.shares.get(group, self.share) for group in groups])


@dataclass(frozen=True)
class Lot:
    """What the log keeps of the lot of one decision, so that it can be weighed later (`training.decision_log`).

    Attributes:
        decision_id: What the decision is called; feedback on it names the same.
        meant: The action that the policy chose, before the lot.
        allowed_at_random: Whether the lot fell on it, so that the passive action is taken instead.
        propensity: The chance with which the action was taken.
        share: The chance with which the lot falls on its like.
    """

    decision_id: str
    meant: str
    allowed_at_random: bool
    propensity: float
    share: float


@dataclass(frozen=True)
class Lottery:
    """A task's holdout with the secret of this deployment.

    Attributes:
        holdout: The shares.
        key: The secret, 16 to 64 bytes; it is in no bundle and is never shown.

    Raises:
        UsageError: The key is too short or too long.
    """

    holdout: Holdout
    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse a key before the first decision."""
        _require_key(self.key)

    @staticmethod
    def of(holdout: Holdout | None, key: bytes | None) -> Lottery | None:
        """None where nothing is drawn: the task has no holdout, or the service no key."""
        return None if holdout is None or key is None else Lottery(holdout, key)

    def draw(
        self,
        decision_id: Sequence[str],
        meant: NDArray[np.int64],
        group: Sequence[str | None] | None,
        actions: Sequence[str],
    ) -> tuple[NDArray[np.int64], tuple[Lot, ...]]:
        """What is done, an index into the actions, shape (rows,), and what the log keeps of each decision.

        Args:
            decision_id: What each decision calls itself; the same id always draws the same lot.
            meant: What the policy would do, an index into the actions, shape (rows,).
            group: The value of the holdout's group column of each; None where it has none.
            actions: Names of the pay-off's actions.
        """
        share = self.holdout.of(group, len(decision_id))
        drawn = draw(decision_id, meant, share, self.key)
        rows = zip(decision_id, meant, drawn.allowed_at_random, drawn.propensity, share, strict=True)
        return drawn.action, tuple(
            Lot(one, actions[action], bool(allowed), float(propensity), float(chance))
            for one, action, allowed, propensity, chance in rows
        )


@dataclass(frozen=True)
class Drawn:
    """Decisions after the lot: what the log has to keep of them, beside what the policy meant to do.

    Attributes:
        action: What is done, an index into the pay-off's actions, shape (rows,).
        allowed_at_random: Whether the lot fell on the decision, shape (rows,). It may fall on one that meant the
            passive action anyway, so that such decisions are a plain random sample of all.
        propensity: The chance with which the action was taken, shape (rows,): 1 where the policy meant the passive
            action, else the share where the lot fell and the rest where it did not.
    """

    action: NDArray[np.int64]
    allowed_at_random: NDArray[np.bool_]
    propensity: NDArray[np.float64]


def draw(decision_id: Sequence[str], meant: NDArray[np.int64], share: NDArray[np.float64], key: bytes) -> Drawn:
    """Let the lot fall on decisions.

    Args:
        decision_id: What each answer calls itself; the same id always draws the same lot.
        meant: The action that the policy would take, an index into the pay-off's actions, shape (rows,).
        share: How many of its like are let through, from `Holdout.of`, shape (rows,).
        key: The secret of this deployment, 16 to 64 bytes; whoever knows it can tell which decisions are let through.

    Returns:
        What is done and how likely that was. A row's lot does not depend on the rows beside it.

    Raises:
        UsageError: The lengths differ, or the key is too short or too long.
    """
    if not len(decision_id) == len(meant) == len(share):
        raise UsageError(
            f"holdout: found {len(decision_id)} decision ids, {len(meant)} actions and {len(share)} shares, expected "
            "one of each a decision."
        )
    allowed = lots(decision_id, key) < share
    chance = np.where(meant == PASSIVE, 1.0, np.where(allowed, share, 1.0 - share))
    return Drawn(np.where(allowed, PASSIVE, meant), allowed, chance)


def lots(decision_id: Sequence[str], key: bytes) -> NDArray[np.float64]:
    """The number in [0, 1) that each id draws under a key, shape (rows,).

    >>> float(lots(["decision-1"], bytes(16))[0]) == float(lots(["decision-0", "decision-1"], bytes(16))[1])
    True

    Raises:
        UsageError: The key is too short or too long.
    """
    _require_key(key)
    keyed = hashlib.blake2b(key=key, person=_PURPOSE, digest_size=8)
    return np.array([_lot(keyed.copy(), one) for one in decision_id], dtype=np.float64)


def _require_key(key: bytes) -> None:
    if not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        raise UsageError(
            f"holdout: found a key of {len(key)} bytes, expected {SHORTEST_KEY} to {LONGEST_KEY}; draw one at random "
            "and keep it secret."
        )


def _lot(keyed: hashlib.blake2b, decision_id: str) -> float:
    keyed.update(decision_id.encode())
    return (int.from_bytes(keyed.digest(), "little") >> 11) * _UNIT
