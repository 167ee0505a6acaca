"""One real policy's clicks foretold from the log of another, beside what it got when it ran itself.

    python -m benchmarks.logged_bandit

Open Bandit (Saito, Aihara, Matsutani and Narita, "Open Bandit Dataset and Pipeline", NeurIPS 2021) logged two policies
in a fashion shop, in turns on the same visitors: one that draws every item alike, and Bernoulli Thompson sampling
(`bts`). Each row is an item shown at one of three positions, the chance with which it was drawn, and whether it was
clicked. The policy `bts` is taken as its mean logged chance of each item at each position, scaled to a sum of 1 at the
position: a mean over rows that showed the item leans to where its chance was high. Rows are taken as independent.

Printed as one JSON object, of each shop and direction: the three off-policy estimates with effective rows, warnings
and width of the intervals, beside the click rate when the policy ran itself. The doubly robust estimate foretells by
click rates of item and position, learned from the other folds of the log and drawn towards its mean.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb
import numpy as np

from benchmarks.margins import real_data
from training.interval import Resampling
from training.off_policy import LoggedActions, value_of
from training.studentised import studentised

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.interval import Interval

    Reals = NDArray[np.float64]
    Wholes = NDArray[np.int64]

SHOPS: Final = ("men", "women")
FOLDS: Final = 5
PRIOR_ROWS: Final = 200.0
"""How many rows of the log's mean each click rate of an item at a position is mixed with."""

_FOLDER: Final = "logged_bandit"


@dataclass(frozen=True)
class Shown:
    """What one policy showed; all of shape (rows,).

    Attributes:
        item: Which item, from 0.
        position: Where, from 0.
        click: 0 or 1.
        chance: With which it was drawn.
    """

    item: Wholes
    position: Wholes
    click: Reals
    chance: Reals

    def rates(self, values: Reals, shape: tuple[int, int], prior: float, mean: float) -> Reals:
        """The mean of values by position and item, mixed with so many rows of a mean; shape (positions, items)."""
        place = self.position * shape[1] + self.item
        total = np.bincount(place, values, shape[0] * shape[1]) + prior * mean
        rows = np.bincount(place, minlength=shape[0] * shape[1]) + prior
        rates: Reals = np.divide(total, rows, out=np.zeros(len(rows)), where=rows > 0).reshape(shape)
        return rates

    def policy(self, shape: tuple[int, int]) -> Reals:
        """The chance of each item at each position, shape (positions, items), as its log tells it."""
        mean = self.rates(self.chance, shape, 0.0, 0.0)
        chances: Reals = mean / mean.sum(axis=1, keepdims=True)
        return chances

    def foretold(self, shape: tuple[int, int], generator: np.random.Generator) -> Reals:
        """Click rates of every item at the row's position, without the row's own fold; shape (rows, items)."""
        fold = generator.integers(0, FOLDS, len(self.item))
        said = np.empty((len(self.item), shape[1]))
        for number in range(FOLDS):
            inside = fold == number
            others = Shown(*(column[~inside] for column in (self.item, self.position, self.click, self.chance)))
            rates = others.rates(others.click, shape, PRIOR_ROWS, float(others.click.mean()))
            said[inside] = rates[self.position[inside]]
        return said


def logged_bandit(real: Path, generator: np.random.Generator, resamples: int = 1_000) -> dict[str, Any] | None:
    """Each policy's click rate out of the other's log, in each shop, beside its own; None without the data.

    Args:
        real: The folder of real sets.
        generator: Deals the folds and draws the rows.
        resamples: How many draws an interval takes.
    """
    paths = {
        (policy, shop): real / _FOLDER / f"{policy}_{shop}.parquet" for policy in ("random", "bts") for shop in SHOPS
    }
    if not all(path.is_file() for path in paths.values()):
        return None
    found: dict[str, Any] = {}
    for shop in SHOPS:
        random, bts = _read(paths["random", shop]), _read(paths["bts", shop])
        shape = (
            1 + int(max(random.position.max(), bts.position.max())),
            1 + int(max(random.item.max(), bts.item.max())),
        )
        found[shop] = {
            "bts_from_random": compared(random, bts, bts.policy(shape), generator, resamples),
            "random_from_bts": compared(bts, random, np.full(shape, 1 / shape[1]), generator, resamples),
        }
    return found


def compared(
    log: Shown, itself: Shown, policy: Reals, generator: np.random.Generator, resamples: int
) -> dict[str, Any]:
    """A policy's click rate out of another's log, beside the rate when it ran itself.

    Args:
        log: What the other policy showed.
        itself: What the policy showed when it ran.
        policy: Its chance of each item at each position, shape (positions, items).
        generator: Deals the folds and draws the rows.
        resamples: How many draws an interval takes.
    """
    logged = LoggedActions(
        action=log.item,
        reward=log.click,
        propensity=log.chance,
        unit=np.arange(len(log.item)),
        foretold=log.foretold(policy.shape, generator),
    )
    value = value_of(policy[log.position], logged, Resampling(logged.unit, generator, resamples))
    own = _click_rate(itself, generator, resamples)
    estimates = {name: getattr(value, name) for name in ("ips", "snips", "dr")}
    return {
        "on_policy": _with_width(own) | {"rows": len(itself.item)},
        **{name: _with_width(one) for name, one in estimates.items()},
        "log_rate": _with_width(_click_rate(log, generator, resamples)),
        "overlap": value.overlap["policy"].as_dict(),
    }


def _click_rate(shown: Shown, generator: np.random.Generator, resamples: int) -> Interval:
    columns = np.column_stack((np.ones(len(shown.click)), shown.click))
    resampling = Resampling(np.arange(len(shown.click)), generator, resamples)
    return studentised(columns, [lambda sums: sums[1] / sums[0]], resampling)[0]


def _with_width(found: Interval) -> dict[str, float]:
    return found.as_dict() | {"width": found.high - found.low}


def _read(path: Path) -> Shown:
    with duckdb.connect() as connection:
        columns = connection.execute(
            "SELECT item_id, position, click, propensity_score FROM read_parquet($1) ORDER BY timestamp", [str(path)]
        ).fetchnumpy()
    position = np.asarray(columns["position"], np.int64)
    return Shown(
        item=np.asarray(columns["item_id"], np.int64),
        position=position - 1,
        click=np.asarray(columns["click"], np.float64),
        chance=np.asarray(columns["propensity_score"], np.float64),
    )


def main(arguments: list[str] | None = None) -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, default=real_data(), help="the folder of real sets")
    chosen = parser.parse_args(arguments)
    found = logged_bandit(chosen.real, np.random.default_rng(20_250_303))
    skipped = {} if found else {"logged_bandit": f"found no {chosen.real / _FOLDER}"}
    print(json.dumps({"logged_bandit": found, "skipped": skipped, "load_average": os.getloadavg()[0]}))


if __name__ == "__main__":
    main()
