"""From a fitted model to a bundle on disk that has been proven equal to it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from training.bundles import Bundle, bundles, champion_of
from training.declaration import declaration
from training.effect.release import POLICY, RIVALS, release_effects
from training.export import export
from training.formulas import Criteria
from training.gates import CALIBRATION, DRIFT, GAIN, MONEY, WORST_SLICE
from training.incumbent import gain_in_money
from training.label_rate import label_rates, rate_of
from training.pipeline import Fitted
from training.task import Task
from training.tracking.metrics import figures, flat

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from training.effect.study import FittedEffects
    from training.ranking_pipeline import FittedOrder
    from training.record import Record
    from training.task import LabelledTask


@dataclass(frozen=True)
class Released:
    """A bundle, and the folder it lies in."""

    bundle: Bundle
    folder: Path


def proven(checked: int, looked: int, values: int, mismatches: int) -> dict[str, float]:
    """What was proven of data and features before an export, as figures that gates ask for.

    Args:
        checked: Rows of the data that keep their contracts.
        looked: Rows in which nothing came from later than their moment.
        values: Feature values that were computed again as the service does.
        mismatches: How many of these differ.
    """
    return {
        "contract/rows": float(checked),
        "leakage/rows": float(looked),
        "replay/values": float(values),
        "replay/mismatches": float(mismatches),
    }


def release(
    fitted: Fitted | FittedOrder,
    home: Path,
    now: datetime | None = None,
    proofs: Mapping[str, float] | None = None,
    measured: Mapping[str, float] | None = None,
) -> Released:
    """Export the model with everything an answer rests on; the version names the moment and the model.

    Args:
        fitted: The model with its record; its money and its rate of labels are compared with the present champion's.
        home: Where bundles lie.
        now: The moment that the version names; now if not given.
        proofs: Figures of what was checked before, which gates ask for beside the record's.
        measured: What an earlier export measured, noted instead of timing a row again.

    Raises:
        GateRefused: The exported graph and the model differ somewhere.
    """
    task, record = fitted.model.task, fitted.record
    moment = datetime.now(UTC) if now is None else now
    text = hashlib.sha256(fitted.model.booster.model_to_string().encode()).hexdigest()
    version = f"{moment:%Y%m%dT%H%M%SZ}-{text[:8]}"
    decided = fitted.model if isinstance(fitted, Fitted) else None
    champion = champion_of(bundles(home), task.name)
    gain = gain_in_money(fitted, champion) if champion and isinstance(fitted, Fitted) else None
    compared = {**({} if gain is None else flat(GAIN, gain)), **label_rates(rate_of(record), champion)}
    bundle = export(
        bundles(home),
        task=task.name,
        version=version,
        booster=fitted.model.booster,
        calibrator=decided.calibrator if decided else None,
        features=task.features,
        payoff=task.payoff,
        prices=decided.prices if decided else None,
        usual=fitted.model.usual,
        rows=fitted.predictions.matrix,
        data_hash=record.data_hash,
        metrics={**figures(record), **compared, **(proofs or {})},
        criteria=criteria(task),
        champion=champion.manifest.version if champion else "",
        declaration=declaration(task),
        timed=True,
        measured=measured,
        created=moment,
        holdout=task.holdout,
        lists=task.lists,
        generator=np.random.default_rng([record.seed, 2]),
    )
    return Released(bundle, bundles(home) / task.name / version)


def release_offers(
    changes: FittedEffects,
    record: Record,
    home: Path,
    now: datetime | None = None,
    proofs: Mapping[str, float] | None = None,
    measured: Mapping[str, float] | None = None,
) -> Released:
    """Export a model of offers: what redeeming costs, what sending changes, and by which rules and price they go out.

    It becomes champion by what its policy earns, not by how well it ranks redeemers; so the record's money, slices and
    drift, which are of redeemers, are no gates.

    Args:
        changes: What was learned, with the chance of redemption that the record judges.
        record: Of that chance.
        home: Where bundles lie.
        now: The moment that the version names; now if not given.
        proofs: Figures of what was checked before, which gates ask for beside the record's.
        measured: What an earlier export measured, noted instead of timing a row again.

    Raises:
        GateRefused: An exported graph and its model differ somewhere.
    """
    model, moment = changes.model, datetime.now(UTC) if now is None else now
    earned = (head.booster for head in model.earnings.heads.values())
    grown = [model.redemption, *earned, *model.purchase.boosters.values()]
    text = hashlib.sha256("".join(one.model_to_string() for one in grown).encode()).hexdigest()
    name, version = model.task.name, f"{moment:%Y%m%dT%H%M%SZ}-{text[:8]}"
    champion = champion_of(bundles(home), name)
    bundle = release_effects(
        bundles(home),
        changes,
        version=version,
        data_hash=record.data_hash,
        generator=np.random.default_rng([record.seed, 2]),
        figures={**figures(record), **label_rates(rate_of(record), champion), **(proofs or {})},
        measured=measured,
        created=moment,
        champion=champion.manifest.version if champion else "",
        declaration=declaration(model.task.redemption),
        criteria=Criteria(metrics=(POLICY,), rivals=RIVALS, inapplicable=(DRIFT, MONEY, WORST_SLICE)),
    )
    return Released(bundle, bundles(home) / name / version)


def criteria(task: LabelledTask) -> Criteria:
    """What a model of the task has to show to become champion.

    An order takes no action, so it earns nothing by itself, and its score is no chance that could be held against what
    came true. A task that names no slices has no worst one.
    """
    decides = isinstance(task, Task)
    inapplicable = (() if decides else (MONEY, CALIBRATION)) + (() if decides and task.slices else (WORST_SLICE,))
    deciding = task.metrics[:1] if task.first_metric_decides else task.metrics
    return Criteria(
        metrics=tuple(metric.name for metric in deciding),
        rivals=tuple(baseline.name for baseline in task.baselines if not baseline.ablation),
        ablations=tuple(baseline.name for baseline in task.baselines if baseline.ablation),
        inapplicable=inapplicable,
    )
