"""What the policy of the task `offers` is worth in simulated worlds, where every member's true effect is known.

    python -m benchmarks.coupon_worlds            # world/v1 and its aligned and opposed twins, 40 000 members, 90 days
    python -m benchmarks.coupon_worlds --quick    # 6 000 members, 60 days

The model learns from the tables alone, from waves before the judged one; then each member is a question: which offer,
or none. Printed of each world, as one JSON object, with 95 % intervals that resample members: the true margin of the
model's choices as a share of that of the best policy on what the tables could reveal (`observable_share`) and of the
all-knowing one (`oracle_share`), without a budget; and, at a budget, the gain in true margin a fen of true cost over
sending to the likeliest to redeem (`roi_gain`), and in margin (`margin_gain_fen`, a member).
"""

from __future__ import annotations

import argparse
import json
import os
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
from training.dataset import matrix
from training.effect.policy import within
from training.effect.study import fit_effects
from training.interval import Resampling
from training.tasks.offers import EFFECT

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from data.sources import DataSet
    from training.effect.study import FittedEffects

    Reals = NDArray[np.float64]

PRESETS: Final = ("world/v1", "world/v1-aligned", "world/v1-opposed")
BUDGET: Final = 0.3
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


def priced(value: Reals, cost: Reals, budget: float) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """The best offer of each member at the price at which all together cost the budget (bisection)."""
    low, high = 0.0, 1_000.0
    offer, sent = chosen(value)
    if taken(cost, offer, sent).sum() <= budget:
        return offer, sent
    for _ in range(60):
        middle = (low + high) / 2
        offer, sent = chosen(value - middle * cost)
        low, high = (middle, high) if taken(cost, offer, sent).sum() > budget else (low, middle)
    return chosen(value - high * cost)


def figures(asked: Questions, seed: int = 0) -> dict[str, Any]:
    """All figures of one world."""
    ours = taken(asked.true, *chosen(asked.value))
    best = taken(asked.true, *chosen(asked.revealed))
    oracle = taken(asked.true, *chosen(asked.true))
    likeliest = asked.redeems.argmax(axis=1)
    everyone = np.ones(len(ours), np.bool_)
    budget = BUDGET * float(taken(asked.cost, likeliest, everyone).sum())
    offer, sent = priced(asked.value, asked.cost, budget)
    courted = within(asked.redeems.max(axis=1), taken(asked.cost, likeliest, everyone), budget)
    columns = np.column_stack(
        (
            ours,
            best,
            oracle,
            taken(asked.true, offer, sent),
            taken(asked.paid, offer, sent),
            taken(asked.true, likeliest, courted),
            taken(asked.paid, likeliest, courted),
        )
    )
    measures: dict[str, Callable[[Reals], Reals]] = {
        "observable_share": lambda sums: sums[:, 0] / sums[:, 1],
        "oracle_share": lambda sums: sums[:, 0] / sums[:, 2],
        "roi": lambda sums: sums[:, 3] / sums[:, 4],
        "propensity_roi": lambda sums: sums[:, 5] / sums[:, 6],
        "roi_gain": lambda sums: sums[:, 3] / sums[:, 4] - sums[:, 5] / sums[:, 6],
        "margin_gain_fen": lambda sums: (sums[:, 3] - sums[:, 5]) / len(ours),
    }
    resampling = Resampling(np.arange(len(ours)), np.random.default_rng(seed), RESAMPLES)
    drawn = np.concatenate(list(resampling.sums(columns)))
    whole = columns.sum(axis=0)[None]
    found: dict[str, Any] = {}
    for name, measure in measures.items():
        low, high = np.percentile(measure(drawn), [2.5, 97.5])
        found[name] = {"value": float(measure(whole)[0]), "low": float(low), "high": float(high)}
    return found | {"members": len(ours), "sent": float(sent.mean()), "spent": float(whole[0, 4] / len(ours))}


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


def measure(request: Request, folder: Path) -> dict[str, Any]:
    """One world, made, learned from, and judged."""
    world = folder / "world"
    simulate(request, world)
    data_set = open_folder(world)
    fitted = fit_effects(EFFECT, data_set, home=folder / "home")
    found = figures(questions(fitted, data_set, world, folder))
    return found | {"learner": fitted.record.learner, "rows": dict(fitted.record.rows)}


def main() -> None:
    """Measure every world and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--preset", choices=PRESETS, action="append")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    members, days = (6_000, 60) if asked.quick else (40_000, 90)
    found: dict[str, Any] = {}
    for preset in asked.preset or PRESETS:
        with tempfile.TemporaryDirectory() as folder:
            found[preset] = measure(Request(preset=preset, members=members, days=days, seed=asked.seed), Path(folder))
    print(json.dumps({"world": found, "load_average": os.getloadavg()[0]}, indent=2))


if __name__ == "__main__":
    main()
