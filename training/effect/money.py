"""What the policy of offers earns, as the record of every other task says it: fen a row, with intervals."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from training.effect.study import MODEL
from training.gates import SLICE_MONEY

if TYPE_CHECKING:
    from training.effect.study import EffectRecord
    from training.interval import Interval
    from training.record import Record

PROPENSITY, SEND_ALL, SEND_NONE = "propensity", "send_all", "send_none"


def by_policy(record: Record, changes: EffectRecord) -> Record:
    """The record of the chance of redemption with the money of the policy that rests on it.

    The table of that chance is empty, because a redemption by itself earns nothing; what it would say of actions, of
    their shares and of money within slices is left out.
    """
    slices = {
        column: {
            value: {name: figure for name, figure in part.items() if name != SLICE_MONEY}
            for value, part in parts.items()
        }
        for column, parts in record.slices.items()
    }
    return replace(record, money=policy_money(changes), rates={}, slices=slices)


def policy_money(changes: EffectRecord) -> dict[str, Interval]:
    """Fen a row within the budget by the policy and by what would be done instead, and what the policy earns beyond it.

    The best single action that the budget allows for all is to send nothing.
    """
    within, freely = changes.budgeted, changes.policies
    return {
        "model": within[MODEL]["value"],
        "likeliest_to_redeem": within[PROPENSITY]["value"],
        "always_skip": within[SEND_NONE]["value"],
        "always_send": freely[SEND_ALL]["value"],
        "gain_over_best_constant": within[SEND_NONE]["gain"],
        "gain_over_likeliest_to_redeem": within[PROPENSITY]["gain"],
    }
