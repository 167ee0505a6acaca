"""What the policy of the task `offers` is worth in simulated worlds, where every member's true effect is known.

    python -m benchmarks.coupon_worlds            # world/v1 and its twins: seeds 2 and 3, 40 000 members, 90 days
    python -m benchmarks.coupon_worlds --quick    # seed 2, 6 000 members, 60 days

The model learns from the tables alone, from waves before the judged one; then each member is a question: which offer,
or none. Printed of each preset, over all its seeds, with 95 % intervals that resample members: the true margin of the
model's choices as a share of that of the best policy on what the tables could reveal, were they kept for ever
(`observable_share`), and of the all-knowing one (`oracle_share`), without a budget. At half of what the model would
spend without one, allocated by `serving.allocation`: the gain in true margin a fen of true cost over sending to the
likeliest to redeem (`roi_gain`), and in margin (`margin_gain_fen`, a member); `same_offers` is a harder rival that
takes the model's choice of offer and asks the likeliest to redeem it first.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb
import numpy as np
import pyarrow.parquet as pq

from data.sources import open_folder
from data.world.request import Request
from data.world.simulation import simulate
from features.batch import build
from serving.allocation.problem import Problem
from serving.allocation.solver import solve
from training.dataset import matrix
from training.effect.policy import within
from training.effect.study import fit_effects
from training.interval import Resampling
from training.tasks.offers import EFFECT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from data.sources import DataSet
    from training.effect.study import FittedEffects

    Reals = NDArray[np.float64]

PRESETS: Final = ("world/v1", "world/v1-aligned", "world/v1-opposed")
SEEDS: Final = (2, 3)
BUDGET: Final = 0.5
"""The part of what the model would spend without a budget: it binds."""
ASKED: Final = 6_000
RESAMPLES: Final = 1_000


@dataclass(frozen=True)
class Questions:
    """Members by offers at the judged wave: what the model says of each pair, and what is true of it.

    Attributes:
        value: What the model counts on, fen, shape (members, offers).
        cost: What it expects to be redeemed, likewise; redeems: the chance of that.
        redeems: see cost.
        true: The true margin of sending; revealed: the part that tables could reveal.
        revealed: see true.
        paid: What is truly redeemed on average, in fen.
    """

    value: Reals
    cost: Reals
    redeems: Reals
    true: Reals
    revealed: Reals
    paid: Reals


def chosen(value: Reals) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """The best offer of each member, and whether it is worth sending."""
    best = value.argmax(axis=1)
    return best, np.take_along_axis(value, best[:, None], axis=1)[:, 0] > 0


def taken(table: Reals, offer: NDArray[np.intp], sent: NDArray[np.bool_]) -> Reals:
    """The cell of each member's offer, 0 where nothing is sent."""
    return np.where(sent, np.take_along_axis(table, offer[:, None], axis=1)[:, 0], 0.0)


def allocated(value: Reals, cost: Reals, budget: float) -> tuple[NDArray[np.intp], NDArray[np.bool_], float]:
    """The offer of each member within a budget, whether it is sent, and how far that can be below the best there is."""
    offers = tuple(map(str, range(value.shape[1])))
    found = solve(Problem(value, cost, None, offers, ("all",) * len(offers), {"all": budget}))
    return np.maximum(found.choice, 0).astype(np.intp), found.choice >= 0, found.gap


@dataclass(frozen=True)
class Outcome:
    """What each member's offer truly brings under each policy, and what it costs.

    Attributes:
        sums: Fen, shape (members, columns of `COLUMNS`).
        sent: The share of members to whom the model sends something within the budget.
        gap: How far the allocation can be below its bound, as a share.
        overspend: Expected cost beyond the budget, as a share of it.
    """

    sums: Reals
    sent: float
    gap: float
    overspend: float


COLUMNS: Final = ("ours", "best", "oracle", "margin", "paid", "their_margin", "their_paid", "same_margin", "same_paid")


def outcome(asked: Questions) -> Outcome:
    """One world's policies side by side."""
    best, worth = chosen(asked.value)
    everyone = np.ones(len(best), np.bool_)
    budget = BUDGET * float(taken(asked.cost, best, worth).sum())
    offer, sent, gap = allocated(asked.value, asked.cost, budget)
    likeliest = asked.redeems.argmax(axis=1)
    courted = within(asked.redeems.max(axis=1), taken(asked.cost, likeliest, everyone), budget)
    same = within(np.where(worth, taken(asked.redeems, best, everyone), 0.0), taken(asked.cost, best, everyone), budget)
    sums = (
        taken(asked.true, best, worth),
        taken(asked.true, *chosen(asked.revealed)),
        taken(asked.true, *chosen(asked.true)),
        taken(asked.true, offer, sent),
        taken(asked.paid, offer, sent),
        taken(asked.true, likeliest, courted),
        taken(asked.paid, likeliest, courted),
        taken(asked.true, best, same),
        taken(asked.paid, best, same),
    )
    spend = float(taken(asked.cost, offer, sent).sum())
    over = max(spend / budget - 1.0, 0.0) if budget > 0 else 0.0
    return Outcome(np.column_stack(sums), float(sent.mean()), gap, over)


def figures(worlds: Sequence[Outcome], seed: int = 0) -> dict[str, Any]:
    """All figures of the worlds of one preset together."""
    columns = np.concatenate([one.sums for one in worlds])
    place = {name: number for number, name in enumerate(COLUMNS)}

    def of(sums: Reals, name: str, over: str = "") -> Reals:
        top: Reals = sums[:, place[name]]
        return top / sums[:, place[over]] if over else top

    measures: dict[str, Callable[[Reals], Reals]] = {
        "observable_share": lambda sums: of(sums, "ours", "best"),
        "oracle_share": lambda sums: of(sums, "ours", "oracle"),
        "roi": lambda sums: of(sums, "margin", "paid"),
        "propensity_roi": lambda sums: of(sums, "their_margin", "their_paid"),
        "same_offers_roi": lambda sums: of(sums, "same_margin", "same_paid"),
        "roi_gain": lambda sums: of(sums, "margin", "paid") - of(sums, "their_margin", "their_paid"),
        "same_offers_roi_gain": lambda sums: of(sums, "margin", "paid") - of(sums, "same_margin", "same_paid"),
        "margin_gain_fen": lambda sums: (of(sums, "margin") - of(sums, "their_margin")) / len(columns),
        "same_offers_margin_gain_fen": lambda sums: (of(sums, "margin") - of(sums, "same_margin")) / len(columns),
    }
    resampling = Resampling(np.arange(len(columns)), np.random.default_rng(seed), RESAMPLES)
    drawn = np.concatenate(list(resampling.sums(columns)))
    whole = columns.sum(axis=0)[None]
    found: dict[str, Any] = {}
    for name, measure in measures.items():
        low, high = np.percentile(measure(drawn), [2.5, 97.5])
        found[name] = {"value": float(measure(whole)[0]), "low": float(low), "high": float(high)}
    return found | {
        "members": len(columns),
        "sent": float(np.mean([one.sent for one in worlds])),
        "dual_gap": max(one.gap for one in worlds),
        "overspend": max(one.overspend for one in worlds),
        "seeds": [float(one.sums[:, 0].sum() / one.sums[:, 1].sum()) for one in worlds],
    }


def questions(fitted: FittedEffects, data_set: DataSet, world: Path, folder: Path) -> Questions:
    """Every offer to each of some members at the moment of the judged wave."""
    task = fitted.model.task.redemption
    effects = f"read_parquet('{world}/truth/effects/*.parquet')"
    wave = fitted.test.row_id[int(fitted.test.as_of.argmin())]
    with data_set.connect() as connection:
        connection.execute(
            f"CREATE TEMP TABLE asked AS SELECT member_id || ' ' || offer_id AS send_id, wave.ts, member_id, offer_id, "
            f"wave.campaign_id, 'treated' AS arm, 0.5 AS propensity FROM (SELECT DISTINCT member_id FROM {effects} "
            f"ORDER BY hash(member_id) LIMIT {ASKED}), (SELECT offer_id FROM offers), "
            f"(SELECT ts, campaign_id FROM sends WHERE send_id = '{wave}') AS wave"
        )
        connection.execute("CREATE OR REPLACE VIEW sends AS FROM asked")
        rows = connection.sql(f"SELECT * FROM ({task.rows.sql}) ORDER BY member_id, offer_id").to_arrow_table()
    with data_set.connect() as connection:
        build(task.features, connection, rows, folder / "asked.parquet")
    table = pq.read_table(folder / "asked.parquet")
    said = fitted.model.value(matrix(table, task.features.names))
    keys = table.select(["member_id", "offer_id"]).append_column("face", table[fitted.model.task.face_value])  # noqa: F841 - read by the query
    with duckdb.connect() as connection:
        true = connection.sql(
            "SELECT margin_fen, revealed_margin_fen, redeems_treated * face AS paid "
            f"FROM keys JOIN {effects} USING (member_id, offer_id) ORDER BY member_id, offer_id"
        ).fetchnumpy()
    offers = len(set(table["offer_id"].to_pylist()))
    return Questions(
        *(
            one.reshape(-1, offers)
            for one in (
                said.lower(fitted.model.task.caution),
                said.cost,
                said.redeems,
                true["margin_fen"],
                true["revealed_margin_fen"],
                true["paid"],
            )
        )
    )


def measure(request: Request, folder: Path) -> tuple[Outcome, str]:
    """One world, made, learned from, and judged; and the learner that was promoted."""
    world = folder / "world"
    simulate(request, world)
    data_set = open_folder(world)
    fitted = fit_effects(EFFECT, data_set, home=folder / "home")
    return outcome(questions(fitted, data_set, world, folder)), fitted.record.learner


def worlds(
    *, quick: bool, presets: Sequence[str] = PRESETS, seeds: Sequence[int] = SEEDS, days: int | None = None
) -> dict[str, Any]:
    """The figures of each preset over its seeds; one seed of a small world where it has to be quick."""
    members, usual = (6_000, 60) if quick else (40_000, 90)
    found: dict[str, Any] = {}
    for preset in presets:
        told, learners = [], []
        for seed in seeds[:1] if quick else seeds:
            with tempfile.TemporaryDirectory() as folder:
                request = Request(preset=preset, members=members, days=days or usual, seed=seed)
                one, learner = measure(request, Path(folder))
            told.append(one)
            learners.append(learner)
            print(preset, seed, json.dumps(figures([one])), file=sys.stderr, flush=True)
        found[preset] = figures(told) | {"learners": learners}
    return found


def main() -> None:
    """Measure every world and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--preset", choices=PRESETS, action="append")
    parser.add_argument("--seed", type=int, action="append")
    parser.add_argument("--days", type=int, help="instead of 90 (60 with --quick)")
    asked = parser.parse_args()
    found = worlds(quick=asked.quick, presets=asked.preset or PRESETS, seeds=asked.seed or SEEDS, days=asked.days)
    print(json.dumps({"world": found, "load_average": os.getloadavg()[0]}, indent=2))


if __name__ == "__main__":
    main()
