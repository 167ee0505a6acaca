"""A flash sale in which 96 % of the requests are abnormal: what share of the stock reaches honest shoppers.

    python -m benchmarks.flash            # three worlds of flash/v1, and an ordinary one to learn from
    python -m benchmarks.flash --quick    # one of each, smaller
    python -m benchmarks.flash --past DIR --world DIR    # worlds that are there

A request to buy is a scan with entry=link. Requests come in the order of their arrival and each is judged as it comes;
whoever is not refused, asks in time and has nothing yet takes a piece, while there are any. A refused request takes
none. Each judge refuses at most 0.1 % of honest requests, by a threshold found on the very sales that are judged, which
favours no judge; `as_set` takes the threshold that the first sale would have given to the later ones.

Beside it stands another rule of sale: `least_suspicious_first` collects the requests of the first minute and serves
them by their scores, so that nobody is refused at all.

Prints one JSON object, last. Intervals resample rings, else members, as though others had come to the same stock.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import tempfile
from contextlib import nullcontext, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import lightgbm as lgb
import numpy as np
import pyarrow as pa

from benchmarks.stock import Sales, least_suspicious_first, pooled, reached, threshold
from benchmarks.truth import HONEST, truth_table
from data.logs import LOGS
from data.sources import open_folder
from features.batch import compute
from features.plan import compile_plan
from features.rfm import RFM
from features.ring import RING
from features.scan import ACCOUNT, CODES, PLACE, RATES, TEMPO
from features.spec import FeatureSet
from training.interval import Interval, Resampling

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    Flags: TypeAlias = NDArray[np.bool_]
    Reals: TypeAlias = NDArray[np.float64]
    Int64: TypeAlias = NDArray[np.int64]

TRUTH: Final = "truth"
ORDINARY: Final = "world/v1"
OVERRUN: Final = "flash/v1"
SEEDS: Final = (1, 2, 3)
PAST_SEED: Final = 11
SIZE: Final = (40_000, 90)
QUICK: Final = (12_000, 60)
RESAMPLES: Final = 1_000
_JUDGES: Final = 20250303

_LOOSER: Final = (0.01, 0.05)
"""Shares of honest requests refused at which the stock is counted too, to show what the limit of 0.1 % costs."""

ASKED_OF: Final = FeatureSet(TEMPO, PLACE, CODES, ACCOUNT, RATES, RING, RFM)
"""What is known of a request. Prizes are left out: those of a simulated sale went to whoever came first."""

LIMITED_KEYS: Final = ("member_id", "device_id", "ip", "ip24")

_PARAMETERS: Final[dict[str, Any]] = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 30,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "feature_fraction": 0.5,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "seed": 7,
    "verbosity": -1,
}
_ROUNDS: Final = 200


@dataclass(frozen=True)
class Requests:
    """The requests of one world's flash sales, with what is known of them.

    Attributes:
        folder: The world.
        rows: What features are asked with: row_id, as_of, keys and facts; and the keys that limits are set on.
        known_wool: Whether a verdict has found it the wool party's by the end of the data.
        sales: What is judged.
    """

    folder: Path
    rows: pa.Table
    known_wool: Flags
    sales: Sales


class Judge(Protocol):
    """Whoever scores requests; a model's scorer or a shop's limit."""

    def score(self, requests: Requests) -> Reals:
        """How suspicious each request is when it comes, shape (requests,); it may not look at later ones."""


@dataclass(frozen=True)
class RateLimit:
    """The how-manieth request of its key in the sale; one whose key is withheld is let through.

    Attributes:
        key: Column of the requests.
    """

    key: str

    def score(self, requests: Requests) -> Reals:
        """The running count of each request's key."""
        column = requests.rows[self.key].combine_chunks().dictionary_encode()
        code = np.asarray(column.indices.fill_null(-1), np.int64)
        pair = requests.sales.sale * (code.max(initial=0) + 1) + code
        order = np.argsort(pair, kind="stable")
        ordered = pair[order]
        nth = np.empty(len(pair))
        nth[order] = np.arange(len(pair)) - np.searchsorted(ordered, ordered) + 1
        return np.where(code < 0, 0.0, nth)


@dataclass(frozen=True)
class Learned:
    """LightGBM on what is known of a request, fitted on past sales.

    Attributes:
        booster: The model.
    """

    booster: lgb.Booster

    @classmethod
    def of(cls, past: Iterable[Requests]) -> Learned:
        """Fits on verdicts; requests without one count as honest, which dilutes the scores and keeps their order."""
        sales = list(past)
        matrix = np.concatenate([matrix_of(one) for one in sales])
        known = np.concatenate([one.known_wool for one in sales]).astype(np.float64)
        data = lgb.Dataset(matrix, known, feature_name=list(ASKED_OF.names), params=_PARAMETERS)
        return cls(lgb.train(_PARAMETERS, data, num_boost_round=_ROUNDS))

    def score(self, requests: Requests) -> Reals:
        """The raw score."""
        return np.asarray(self.booster.predict(matrix_of(requests), raw_score=True, num_threads=1), np.float64)


def read_requests(folder: Path) -> Requests:
    """The requests of a world that `shepherd simulate` wrote, with their truth.

    Args:
        folder: The world; its table of campaigns says which are flash sales, and of what stock.
    """
    plan = compile_plan(ASKED_OF)
    asked = dict.fromkeys((*plan.row_keys, *(fact.name for fact in plan.facts), *LIMITED_KEYS, "member_id"))
    with open_folder(folder).connect() as connection:
        table: pa.Table = connection.sql(f"""
            WITH verdicts AS (SELECT scan_id, max(is_wool) AS verdict FROM scan_labels GROUP BY scan_id),
            asked AS (SELECT * FROM ({LOGS["scans"].sql()}))
            SELECT asked.scan_id AS row_id, asked.seen_at AS as_of, {", ".join(f"asked.{name}" for name in asked)},
                dense_rank() OVER (ORDER BY starts_at, asked.campaign_id) - 1 AS of_sale, sales.stock AS of_stock,
                epoch_us(asked.seen_at) - epoch_us(starts_at) AS of_microseconds,
                asked.status = 'valid' AS is_valid, truth.family, truth.crowd AS of_crowd,
                coalesce(truth.ring_id, asked.member_id) AS of_unit, coalesce(verdict = 1, false) AS known
            FROM asked JOIN campaigns AS sales ON sales.campaign_id = asked.campaign_id AND sales.kind = 'flash_sale'
            JOIN {truth_table(folder / TRUTH, "scans")} AS truth ON truth.scan_id = asked.scan_id
            LEFT JOIN verdicts ON verdicts.scan_id = asked.scan_id
            ORDER BY as_of, row_id
        """).to_arrow_table()
    sale = _whole(table, "of_sale")
    sales = Sales(
        sale=sale,
        stock=_whole(table, "of_stock")[np.unique(sale, return_index=True)[1]],
        opening=sale == 0,
        seconds=_whole(table, "of_microseconds") / 1_000_000,
        member=_codes(table, "member_id"),
        valid=_flags(table, "is_valid"),
        honest=_words(table, "family") == HONEST,
        crowd=_words(table, "of_crowd"),
        unit=_codes(table, "of_unit"),
    )
    return Requests(folder, table.select(["row_id", "as_of", *asked]), _flags(table, "known"), sales)


def matrix_of(requests: Requests, names: Sequence[str] = ASKED_OF.names) -> Reals:
    """What is known of each request, shape (requests, names); NaN for what is not, and for what `ASKED_OF` leaves out.

    Args:
        requests: Whose.
        names: Features.
    """
    asked = ASKED_OF.only(*(name for name in ASKED_OF.names if name in names))
    with open_folder(requests.folder).connect() as connection:
        values = compute(asked, connection, requests.rows)
    left_out = np.full(len(requests.sales.sale), np.nan)
    columns = {name: values[name].cast(pa.float64()).to_numpy(zero_copy_only=False) for name in asked.names}
    return np.column_stack([columns.get(name, left_out) for name in names])


def _whole(table: pa.Table, name: str) -> Int64:
    return np.asarray(table[name], np.int64)


def _flags(table: pa.Table, name: str) -> Flags:
    return np.asarray(table[name], np.bool_)


def _words(table: pa.Table, name: str) -> NDArray[np.str_]:
    return np.asarray(table[name].to_pylist(), np.str_)


def _codes(table: pa.Table, name: str) -> Int64:
    encoded: Any = table[name].combine_chunks().dictionary_encode()
    return np.asarray(encoded.indices, np.int64)


def judged(sales: Sales, score: Reals, generator: np.random.Generator) -> dict[str, Any]:
    """The share of the stock that reaches honest shoppers under a judge, with its interval, and whom it refuses."""
    refused = score > threshold(score, sales.honest)
    drawn = [
        (
            reached(sales, score > threshold(score, sales.honest, weights), weights),
            least_suspicious_first(sales, score, weights),
        )
        for block in Resampling(sales.unit, generator, RESAMPLES).weights()
        for weights in block
    ]
    (low, queued_low), (high, queued_high) = np.percentile(drawn, [2.5, 97.5], axis=0)
    share = Interval(reached(sales, refused), float(low), float(high)).as_dict()
    queued = Interval(least_suspicious_first(sales, score), float(queued_low), float(queued_high)).as_dict()
    honest, crowd = refused[sales.honest], sales.crowd[sales.honest]
    return {
        "stock_share": {name: round(value, 4) for name, value in share.items()},
        "honest_refused": round(float(honest.mean()), 5),
        "wool_refused": round(float(refused[~sales.honest].mean()), 4),
        "honest_refused_by_crowd": {name: round(float(honest[crowd == name].mean()), 5) for name in np.unique(crowd)},
        "least_suspicious_first": {name: round(value, 4) for name, value in queued.items()},
        "stock_share_at": {
            str(rate): round(reached(sales, score > threshold(score, sales.honest, rate=rate)), 4) for rate in _LOOSER
        },
        "as_set": _as_set(sales, score),
    }


def _as_set(sales: Sales, score: Reals) -> dict[str, float] | None:
    """The later sales under the threshold of the first ones; None where there are none."""
    later = ~sales.opening
    if not later.any() or not sales.opening.any():
        return None
    refused = score[later] > threshold(score[~later], sales.honest[~later])
    kept = sales.at(later)
    return {
        "stock_share": round(reached(kept, refused), 4),
        "honest_refused": round(float(refused[kept.honest].mean()), 5),
    }


def measure(past: Sequence[Path], worlds: Sequence[Path], model: Judge | None = None) -> dict[str, Any]:
    """All judges on the sales of some worlds.

    Args:
        past: Ordinary worlds whose sales the model learns from; not read where a model is given.
        worlds: Worlds whose sales are judged.
        model: Judges instead of the one that would be fitted here.
    """
    learned = model or Learned.of(read_requests(folder) for folder in past)
    requests = [read_requests(folder) for folder in worlds]
    sales = pooled([one.sales for one in requests])
    judges: dict[str, Judge] = {"model": learned, **{f"limit_{key}": RateLimit(key) for key in LIMITED_KEYS}}
    found: dict[str, dict[str, Any]] = {}
    for name, judge in judges.items():
        score = np.concatenate([judge.score(one) for one in requests])
        found[name] = judged(sales, score, np.random.default_rng(_JUDGES))
        print(f"{name}:", json.dumps(found[name]), file=sys.stderr, flush=True)
    limits = {name: one for name, one in found.items() if name != "model"}
    best = max(limits, key=lambda name: float(limits[name]["stock_share"]["value"]))
    return {
        "flash_sale_stock_share": found["model"]["stock_share"],
        "queued_stock_share": found["model"]["least_suspicious_first"],
        "rate_limit_stock_share": limits[best]["stock_share"],
        "rate_limit": best,
        "nobody_refused": round(reached(sales, np.zeros(len(sales.sale), np.bool_)), 4),
        "all_wool_refused": round(reached(sales, ~sales.honest), 4),
        "abnormal": round(float((~sales.honest).mean()), 4),
        "requests": len(sales.sale),
        "honest_requests": int(sales.honest.sum()),
        "sales": len(sales.stock),
        "judges": found,
    }


def _made(folder: Path, *, quick: bool) -> tuple[list[Path], list[Path]]:
    from data.world.request import Request  # noqa: PLC0415 - worlds that are there are judged without their maker
    from data.world.simulation import simulate  # noqa: PLC0415 - likewise

    members, days = QUICK if quick else SIZE
    past, worlds = folder / "past", []
    simulate(Request(preset=ORDINARY, members=members, days=days, seed=PAST_SEED), past)
    for seed in SEEDS[:1] if quick else SEEDS:
        worlds.append(folder / f"world-{seed}")
        simulate(Request(preset=OVERRUN, members=members, days=days, seed=seed), worlds[-1])
    return [past], worlds


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flash", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="the same keys within ten minutes")
    parser.add_argument("--json", action="store_true", help="say nothing on the way")
    parser.add_argument("--past", type=Path, action="append", help="learn from this world; repeatable, with --world")
    parser.add_argument("--world", type=Path, action="append", help="judge this world, make none; repeatable")
    asked = parser.parse_args()
    if bool(asked.past) != bool(asked.world):
        parser.error("--past and --world: found one of them, expected both or neither")
    with redirect_stderr(io.StringIO()) if asked.json else nullcontext():
        if asked.world:
            result = measure(asked.past, asked.world)
        else:
            with tempfile.TemporaryDirectory(prefix="shepherd-benchmark-") as temporary:
                result = measure(*_made(Path(temporary), quick=asked.quick))
    print(json.dumps(result | {"load_average": round(os.getloadavg()[0], 2)}))


if __name__ == "__main__":
    main()
