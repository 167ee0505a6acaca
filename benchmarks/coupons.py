"""Judges the coupons: on real experiments, on logs with known chances, on purchases, and on worlds that know the truth.

    python -m benchmarks.coupons            # about an hour
    python -m benchmarks.coupons --quick    # fewer splits, logs and members; the slow parts are null
    python -m benchmarks.coupons --only voucher --only world    # some parts

Prints one JSON object, last. Each part is a benchmark of its own with a docstring that says what is compared; what was
not measured is null, its reason under `skipped`.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from benchmarks import coupon_rank, coupon_worlds, email, next_purchase, promotion, three_coupons, voucher
from benchmarks.allocation import grown
from benchmarks.estimators import estimators
from benchmarks.lifetime import JOURNEY, foretold
from benchmarks.logged_bandit import logged_bandit
from benchmarks.parts import TOO_LONG, print_parts
from data.journey import complete_journey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.parts import Part

_SEED: Final = 6


@dataclass(frozen=True)
class Plan:
    """How much of each part is measured.

    Attributes:
        dealings: How often the folds of the promotion are dealt.
        splits: How often the e-mails are split.
        resamples: How many draws an interval takes.
        logs: How many logs of each shop the estimators are held against.
        members: To whom offers are allocated; again to five times as many.
        quick: Whether the worlds are small and the fits on Complete Journey are left out.
    """

    dealings: int = promotion.DEALINGS
    splits: int = email.SPLITS
    resamples: int = 1_000
    logs: int = 1_000
    members: int = 1_000_000
    quick: bool = False


FULL: Final = Plan()
QUICK: Final = Plan(dealings=1, splits=1, resamples=200, logs=40, members=100_000, quick=True)


def parts(plan: Plan, real: Path) -> Mapping[str, Part]:
    """What can be measured, by the key that it prints."""
    generator = np.random.default_rng(_SEED)
    return {
        "promotion_rct": lambda: promotion.measure(real, plan.dealings, plan.resamples),
        "email_rct": lambda: email.measure(real, plan.splits, plan.resamples),
        "voucher": lambda: voucher.measure(real, plan.resamples),
        "three_coupons": lambda: three_coupons.measure(real, plan.resamples),
        "logged_bandit": lambda: logged_bandit(real, generator, plan.resamples),
        "estimators": lambda: estimators(plan.logs, plan.resamples // 2),
        "complete_journey": lambda: TOO_LONG if plan.quick else _journey(),
        "world": lambda: coupon_worlds.worlds(quick=plan.quick),
        "allocation": lambda: grown(plan.members),
    }


def laid_out(found: dict[str, Any]) -> dict[str, Any]:
    """The figures under the keys of DESIGN.md, section 9: those of the allocation stand beside the parts."""
    allocated = found.pop("allocation") or dict.fromkeys(("dual_gap", "overspend", "violations", "allocation"))
    return {**found, **allocated}


def _journey() -> dict[str, Any]:
    """What Complete Journey says of next purchases, of coupons in order, and of purchases foretold."""
    with tempfile.TemporaryDirectory(prefix="shepherd-coupons-") as folder:
        home = Path(folder)
        return {
            **next_purchase.measure(home),
            "coupon_rank": coupon_rank.measure(home),
            "lifetime": foretold(complete_journey(home / "journey"), JOURNEY),
        }


def main() -> None:
    """Measures and prints."""
    print_parts(
        "benchmarks.coupons", __doc__ or "", lambda quick, real: parts(QUICK if quick else FULL, real), laid_out
    )


if __name__ == "__main__":
    main()
