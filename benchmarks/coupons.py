"""Judges the coupons: on real experiments, on logs with known chances, on purchases, and on worlds that know the truth.

    python -m benchmarks.coupons            # about an hour
    python -m benchmarks.coupons --quick    # fewer splits, logs and members; the slow parts are null
    python -m benchmarks.coupons --only voucher --only world    # some parts

Prints one JSON object, last. Each part is a benchmark of its own with a docstring that says what is compared; what was
not measured is null, its reason under `skipped`.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import tempfile
import time
from contextlib import nullcontext, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from benchmarks import coupon_rank, coupon_worlds, email, next_purchase, promotion, three_coupons, voucher
from benchmarks.allocation import grown
from benchmarks.estimators import estimators
from benchmarks.lifetime import JOURNEY, foretold
from benchmarks.logged_bandit import logged_bandit
from benchmarks.margins import real_data
from benchmarks.shown import plain
from data.journey import complete_journey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Part = Callable[[], dict[str, Any] | None]

_SEED: Final = 6
TOO_LONG: Final = "too long for --quick"


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
        "complete_journey": lambda: None if plan.quick else _journey(),
        "world": lambda: coupon_worlds.worlds(quick=plan.quick),
        "allocation": lambda: grown(plan.members),
    }


def measure(plan: Plan, real: Path, only: tuple[str, ...] = ()) -> dict[str, Any]:
    """All figures, or those of some parts; see DESIGN.md, section 9."""
    found: dict[str, Any] = {}
    skipped: dict[str, str] = {}
    for name, part in parts(plan, real).items():
        if only and name not in only:
            found[name], skipped[name] = None, "not asked for"
            continue
        began = time.perf_counter()
        found[name] = part()
        if found[name] is None:
            skipped[name] = TOO_LONG if name == "complete_journey" else f"found no such data under {real}"
        spent = {"seconds": round(time.perf_counter() - began, 1)}
        print(f"{name}:", json.dumps({"figures": plain(found[name])} | spent), file=sys.stderr, flush=True)
    allocated = found.pop("allocation") or dict.fromkeys(("dual_gap", "overspend", "violations", "allocation"))
    return {**found, **allocated, "skipped": skipped}


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
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coupons", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="the same keys within ten minutes")
    parser.add_argument("--json", action="store_true", help="say nothing on the way")
    parser.add_argument("--only", action="append", default=[], help="measure this part; repeatable")
    parser.add_argument("--real", type=Path, default=real_data(), help="the folder of real sets")
    asked = parser.parse_args()
    plan = QUICK if asked.quick else FULL
    unknown = sorted(set(asked.only) - set(parts(plan, asked.real)))
    if unknown:
        parser.error(f"--only: found {', '.join(unknown)}, expected among {', '.join(parts(plan, asked.real))}")
    with redirect_stderr(io.StringIO()) if asked.json else nullcontext():
        found = measure(plan, asked.real, tuple(asked.only))
    print(json.dumps({**plain(found), "load_average": round(os.getloadavg()[0], 2)}))


if __name__ == "__main__":
    main()
