"""Whether off-policy estimates are right on average, and how often their intervals hold what they promise.

    python -m benchmarks.estimators            # 1 000 logs of each kind (eight minutes on one core)
    python -m benchmarks.estimators --quick    # 100 logs of each kind

Logs are drawn again and again from shoppers whose chance to buy under each offer is known, by a policy whose chances
are logged, and a new policy is judged on each. Printed of each estimator, as one JSON object: the bias and the error of
its mean over the logs, its spread, how often the 95 % interval held the true value, and how wide it was. `rare` and
`far` are made to be hard: purchases of one in fifty, and a new policy that does what the log seldom did. Intervals take
400 draws here, for speed: more make them steadier, and no wider.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from training.interval import Resampling
from training.off_policy import LoggedActions, gain_of, value_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from training.interval import Interval
    from training.off_policy import PolicyValue

    Reals = NDArray[np.float64]

LOGS: Final = 1_000
RESAMPLES: Final = 400
SEED: Final = 20_250_303
_TRUTH_ROWS: Final = 1_000_000
_ESTIMATORS: Final = ("ips", "snips", "dr")


@dataclass(frozen=True)
class Shop:
    """Shoppers, what they are sent, and the policy that is judged.

    Attributes:
        rows: Sends in a log.
        actions: Offers to choose from.
        popularity: Log-odds of a purchase of an average shopper.
        distance: How strongly the new policy leans where the log did not; 0 leans the same way nowhere.
        sends_each: Sends to one shopper, who buys more or less whatever is sent: the unit that is drawn.
    """

    rows: int
    actions: int
    popularity: float
    distance: float
    sends_each: int = 1

    @property
    def tastes(self) -> Reals:
        """How each offer suits each trait of a shopper; the same in every log."""
        return np.random.default_rng(5).normal(size=(3, self.actions))

    def shoppers(self, rows: int, generator: np.random.Generator) -> Shoppers:
        """So many sends to shoppers drawn anew."""
        count = rows // self.sends_each
        unit = np.repeat(np.arange(count), self.sends_each)
        taste = (generator.normal(size=(count, 3)) @ self.tastes)[unit]
        mood = (0.7 * generator.normal(size=count))[unit] if self.sends_each > 1 else np.zeros(count)
        odds = self.popularity + 0.4 * taste[:, ::-1] + mood[:, None]
        return Shoppers(
            unit=unit,
            chances=0.9 * _chances(0.5 * taste) + 0.1 / self.actions,
            policy=_chances(-self.distance * taste + 0.3 * np.arange(self.actions)),
            buys=1 / (1 + np.exp(-odds)),
            # A model as models are: right in kind, and too tame.
            foretold=1 / (1 + np.exp(-(self.popularity + 0.2 * taste[:, ::-1]))),
        )


SHOPS: Final[Mapping[str, Shop]] = {
    "plain": Shop(rows=1_000, actions=5, popularity=0.0, distance=0.3),
    "households": Shop(rows=2_000, actions=5, popularity=-1.0, distance=0.3, sends_each=4),
    "rare": Shop(rows=2_000, actions=5, popularity=-4.0, distance=0.3),
    "far": Shop(rows=1_000, actions=10, popularity=-1.0, distance=1.0),
}


@dataclass(frozen=True)
class Shoppers:
    """Rows (sends) of one log before it is drawn: all but `unit` of shape (rows, actions)."""

    unit: NDArray[np.int64]
    chances: Reals
    policy: Reals
    buys: Reals
    foretold: Reals

    def log(self, generator: np.random.Generator) -> LoggedActions:
        """What the logging policy did, and who bought."""
        rows = np.arange(len(self.unit))
        action = (self.chances.cumsum(axis=1) < generator.random(len(rows))[:, None]).sum(axis=1)
        bought = generator.random(len(rows)) < self.buys[rows, action]
        chance = self.chances[rows, action]
        return LoggedActions(action, bought.astype(np.float64), chance, self.unit, self.chances, self.foretold)

    def worth(self, policy: Reals) -> float:
        """What a policy truly earns a row."""
        return float((policy * self.buys).sum(axis=1).mean())


def estimators(logs: int = LOGS, resamples: int = RESAMPLES, seed: int = SEED) -> dict[str, Any]:
    """Bias and coverage of each estimator in each shop, of a policy's value and of its gain over the logging policy."""
    return {
        name: _judged(shop, logs, resamples, np.random.default_rng([seed, place]))
        for place, (name, shop) in enumerate(SHOPS.items())
    }


def _judged(shop: Shop, logs: int, resamples: int, generator: np.random.Generator) -> dict[str, Any]:
    everyone = shop.shoppers(_TRUTH_ROWS, generator)
    worth = everyone.worth(everyone.policy)
    gained = worth - everyone.worth(everyone.chances)
    values: list[PolicyValue] = []
    gains: list[PolicyValue] = []
    for _ in range(logs):
        shoppers = shop.shoppers(shop.rows, generator)
        logged = shoppers.log(generator)
        resampling = Resampling(logged.unit, generator, resamples)
        values.append(value_of(shoppers.policy, logged, resampling))
        gains.append(gain_of(shoppers.policy, shoppers.chances, logged, resampling))
    overlaps = [one.overlap["policy"] for one in values]
    return {
        "rows": shop.rows,
        "logs": logs,
        "effective_rows": round(float(np.mean([one.effective_rows for one in overlaps])), 1),
        "warned": float(np.mean([bool(one.warnings) for one in overlaps])),
        "value": {"true": worth}
        | {name: _against(worth, [_named(one, name) for one in values]) for name in _ESTIMATORS},
        "gain": {"true": gained}
        | {name: _against(gained, [_named(one, name) for one in gains]) for name in _ESTIMATORS},
    }


def _named(found: PolicyValue, name: str) -> Interval:
    interval: Interval = getattr(found, name)
    return interval


def _against(truth: float, found: list[Interval]) -> dict[str, Any]:
    """Estimates of many logs against the truth."""
    value = np.array([one.value for one in found])
    held = np.array([one.low <= truth <= one.high for one in found])
    error = float(value.std(ddof=1) / np.sqrt(len(value)))
    bias = float(value.mean()) - truth
    share = float(held.mean())
    off = 1.96 * float(np.sqrt(share * (1 - share) / len(held)))
    return {
        "bias": {"value": bias, "low": bias - 1.96 * error, "high": bias + 1.96 * error},
        "spread": float(value.std(ddof=1)),
        "coverage_95": {"value": share, "low": share - off, "high": min(1.0, share + off)},
        "width": float(np.median([one.high - one.low for one in found])),
    }


def _chances(score: Reals) -> Reals:
    raised = np.exp(score - score.max(axis=1, keepdims=True))
    chances: Reals = raised / raised.sum(axis=1, keepdims=True)
    return chances


def main(arguments: list[str] | None = None) -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="100 logs of each kind")
    chosen = parser.parse_args(arguments)
    found = estimators(100) if chosen.quick else estimators()
    print(json.dumps({**found, "load_average": os.getloadavg()[0]}))


if __name__ == "__main__":
    main()
