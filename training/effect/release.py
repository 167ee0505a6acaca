"""From a fitted model of offers to a bundle that answers as it does, or to a refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from data.errors import GateRefused
from training.allocation import found_policy
from training.export import UNPROVED, OfferValues, export
from training.formulas import Criteria, Effects, Head, Term
from training.pipeline import usual_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from numpy.typing import NDArray

    from training.allocation import OfferPolicy
    from training.bundles import Bundle
    from training.effect.model import Head as EffectHead
    from training.effect.study import FittedEffects
    from training.effect.worth import OfferModel

BASKET, USUAL, TOP_UP = "basket", "usual", "top_up"
POLICY = "policy_value"
RIVALS = ("propensity", "send_none")
"""What would be done instead of the policy, for the same money: send to the likeliest to redeem, or to nobody."""

_MAX_GAP_FEN = 1e-6


def release_effects(  # noqa: PLR0913 - what export is given
    root: Path,
    fitted: FittedEffects,
    *,
    version: str,
    data_hash: str,
    generator: np.random.Generator,
    created: datetime | None = None,
    figures: Mapping[str, float] | None = None,
    criteria: Criteria | None = None,
    champion: str = "",
    declaration: str = "",
    measured: Mapping[str, float] | None = None,
) -> Bundle:
    """Write `root/TASK/VERSION` with the graphs of redemption, effect and basket, and the constants of shrinkage.

    Args:
        root: Folder of all bundles.
        fitted: What was learned, with the rows it was tested on.
        version: Name of the new version; an existing one is refused.
        data_hash: Hash of the data that it was learned from.
        generator: Source of the random choices in the rows of the proof.
        created: Instant to note in the manifest; now if not given.
        figures: Those of the chance of redemption, to stand beside the policy's.
        criteria: What the figures have to show before the bundle becomes champion; nothing if not given.
        champion: The version that the figures compare it with; empty where there is none.
        declaration: Hash of all that the task declares; empty where it is not known.
        measured: What an earlier export measured, noted instead of timing a row again.

    Returns:
        The bundle, read back from the disk.

    Raises:
        GateRefused: A graph differs from its booster, or the bundle values an offer otherwise than the model.
        UsageError: The version exists or its name cannot be a folder.
    """
    model, test = fitted.model, fitted.test
    task = model.task.redemption
    bundle = export(
        root,
        task=task.name,
        version=version,
        booster=model.redemption,
        calibrator=model.calibrator,
        features=task.features,
        payoff=task.payoff,
        rows=test.matrix,
        data_hash=data_hash,
        metrics={**(figures or {}), **_metrics(fitted)},
        criteria=criteria,
        champion=champion,
        declaration=declaration,
        generator=generator,
        usual=usual_of(test.matrix[test.treated & (test.redeemed == 0)]),
        effects=_effects(model, fitted.record.price, _policy(model, test.matrix)),
        heads={name: head.booster for name, head in _heads(model).items()},
        created=created,
        timed=True,
        measured=measured,
    )
    gap = value_gap(bundle, model, test.matrix)
    if not gap <= _MAX_GAP_FEN:
        raise GateRefused(
            f"Export of {task.name}: the bundle values offers otherwise than the model, found a difference of {gap} "
            f"fen over {len(test)} rows, expected at most {_MAX_GAP_FEN}; delete {bundle.folder}, nothing points to it."
        )
    return bundle


def value_gap(bundle: Bundle, model: OfferModel, rows: NDArray[np.float32]) -> float:
    """The largest difference, in fen, of what bundle and model say that sending is worth, and how sure they are."""
    served, learned = OfferValues(bundle).value(rows), model.value(rows)
    return float(max(np.abs(getattr(served, one) - getattr(learned, one)).max() for one in ("mean", "sd", "cost")))


def _policy(model: OfferModel, rows: NDArray[np.float32]) -> OfferPolicy:
    """The rules of the task, with the price of its budget on the rows of the test."""
    said, task = model.value(rows), model.task
    return found_policy(said.lower(task.caution), said.cost, task.budget, task.limits, task.rules)


def _heads(model: OfferModel) -> dict[str, EffectHead]:
    return {**model.purchase.heads, **model.earnings.heads}


def _effects(model: OfferModel, price: float, policy: OfferPolicy) -> Effects:
    return Effects(
        learner=model.learner,
        heads={
            name: Head(kind=head.kind, score_base=0.0, parity=UNPROVED, sees_arm=head.sees_arm, dose=head.dose)
            for name, head in _heads(model).items()
        },
        terms=tuple(Term(head=term.head, weight=term.weight, sent=term.sent) for term in model.purchase.terms),
        constant=model.purchase.constant,
        shrinkage=model.shrinkage,
        basket=BASKET,
        usual=USUAL,
        top_up=TOP_UP,
        face_value=model.task.face_value,
        caution=model.task.caution,
        price=price,
        policy=policy,
        response=model.purchase.response,
    )


def _metrics(fitted: FittedEffects) -> dict[str, float]:
    """The policy value on the test, and the gain over what would be done instead, with the ends of their intervals.

    What is gained within the budget over those likeliest to redeem, and over sending nothing, also stands where the
    gates of a promotion look for it.
    """
    figures = {f"baseline/{rival}/gain_{POLICY}": fitted.record.budgeted[rival]["gain"].value for rival in RIVALS}
    for setting, found in (("", fitted.record.policies), ("budgeted_", fitted.record.budgeted)):
        for name, told in found.items():
            for what, interval in told.items():
                for end in ("value", "low", "high"):
                    figures[f"{setting}{name}_{what}_fen_{end}"] = float(getattr(interval, end))
    return figures
