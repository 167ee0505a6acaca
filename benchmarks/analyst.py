"""Two baselines that a world must neither yield to nor resist entirely: an analyst's rules, and a scan's own columns.

*Rules*: limits on velocity and sharing, such as "more than 4 members on this phone in a week", some of them only for
new members, links or codes of elsewhere. Each is a feature and a limit out of the tail of the training period; they are
picked one after the other, always the one whose further catch holds the largest share of scans known to be wool party.
*Own columns*: LightGBM on what the log of scans says of a scan by itself, without any history. It is not shown ids, nor
the phone model, by which it would learn the phones of single rings by heart.

Both learn before a cut from verdicts that had landed by then, with scans without a verdict taken for honest: they are
diluted, not reordered, as long as verdicts miss the wool party evenly. Both are judged after the cut, by the truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import lightgbm as lgb
import numpy as np
import pyarrow as pa

from benchmarks.truth import ALL, ALWAYS, RATE, judge, read_scans
from data.logs import LOGS
from features.batch import compute
from features.scan import SCAN
from training.rules import LONGEST_LIST, Desk
from training.tasks.fraud import LIMITED

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import duckdb
    from numpy.typing import NDArray

    from benchmarks.truth import Scans
    from data.sources import DataSet
    from features.spec import FeatureSet
    from training.interval import Interval

    Flags: TypeAlias = NDArray[np.bool_]
    Reals: TypeAlias = NDArray[np.float64]
    Int64: TypeAlias = NDArray[np.int64]

LIMITS_ON: Final[FeatureSet] = SCAN.only(*LIMITED)

_OTHERS_LOOKED_AT: Final = 150_000
_PARAMETERS: Final[dict[str, Any]] = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 31,
    "min_data_in_leaf": 300,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,  # two wait for each other where the machine is busy
    "seed": 7,
    "verbosity": -1,
}
_ROUNDS: Final = 120
_OWN_NUMBERS: Final = (
    "lat",
    "lon",
    "serial",
    "prize_fen",
    "local_hour",
    "activation_lag_seconds",
    "shipping_lag_seconds",
    "campaign_age_seconds",
    "registration_age_seconds",
    "region_mismatch",
    "batch_active",
    "batch_codes",
)
_OWN_NAMES: Final = ("entry", "status", "product_id", "campaign_id")


@dataclass(frozen=True)
class Limit:
    """One rule: more than so much of a feature, for some scans only.

    Attributes:
        feature: What is limited.
        above: More than this is caught.
        circumstance: In which circumstance it holds, one of `CIRCUMSTANCES`.
    """

    feature: str
    above: float
    circumstance: str = ALWAYS

    def __str__(self) -> str:
        """As an analyst would write it."""
        limit = f"{self.feature} > {self.above:g}"
        return limit if self.circumstance == ALWAYS else f"{limit}, {self.circumstance}"


@dataclass(frozen=True)
class RuleList:
    """Rules in the order in which they were picked.

    Attributes:
        limits: The most telling first.
        in_force: How many of them keep the share of honest scans caught, by the audits, within the rate.
    """

    limits: tuple[Limit, ...]
    in_force: int

    def score(self, values: pa.Table, holds: Mapping[str, Flags]) -> Reals:
        """How early in the list the first rule comes that catches a scan, and within it how far the limit is passed.

        Shape (rows,), 0 where no rule catches. A threshold on it is a shorter list whose last limit is tightened.
        """
        score = np.zeros(values.num_rows)
        for place, limit in reversed(list(enumerate(self.limits))):
            value = _values(values, limit.feature)
            caught = holds[limit.circumstance] & (value > limit.above)
            beyond = (value[caught] - limit.above) / max(abs(limit.above), 1.0)
            score[caught] = len(self.limits) - place - 1 / (2 + beyond)
        return score


@dataclass(frozen=True)
class Baseline:
    """How well a baseline finds the wool party.

    Attributes:
        caught: Share of wool-party scans caught at the false-positive rate, by family; `all` first.
        honest_blocked: Share of honest scans that the same threshold blocks, by crowd.
        notes: What else is worth saying of it.
    """

    caught: Mapping[str, Interval]
    honest_blocked: Mapping[str, float]
    notes: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """The headline figure, families and crowds, for JSON."""
        return {
            **_rounded(self.caught[ALL]),
            "families": {name: _rounded(one) for name, one in self.caught.items() if name != ALL},
            "honest_blocked": {name: round(share, 5) for name, share in self.honest_blocked.items()},
            **self.notes,
        }


def _rounded(interval: Interval) -> dict[str, float]:
    return {name: round(value, 4) for name, value in interval.as_dict().items()}


def baselines(world: DataSet, truth: Path, generator: np.random.Generator) -> dict[str, Baseline]:
    """Both baselines on one world.

    Args:
        world: Tables as `shepherd simulate` writes them; a million scans and forty features are held in memory.
        truth: Its folder of truth.
        generator: Draws the resamples.
    """
    with world.connect() as connection:
        scans = read_scans(connection, truth, LIMITS_ON)
        values = compute(LIMITS_ON, connection, scans.rows)
        own = _own_columns(connection)
    rules = pick_rules(scans, values)
    score = rules.score(values, scans.holds)
    caught, blocked = judge(scans, score, generator)
    as_tuned = score[scans.test] > len(rules.limits) - rules.in_force
    wool = scans.wool[scans.test]
    notes = {
        "as_tuned": {
            "caught": round(float(as_tuned[wool].mean()), 4),
            "blocked": round(float(as_tuned[~wool].mean()), 5),
        },
        "limits": [str(limit) for limit in rules.limits[: rules.in_force]],
    }
    learned, refused = judge(scans, _own_score(scans, own), generator)
    return {"rules": Baseline(caught, blocked, notes), "own_columns": Baseline(learned, refused, {})}


def _values(table: pa.Table, name: str) -> Reals:
    """A column as doubles, unknown values as NaN, which no limit catches."""
    return np.asarray(table[name].cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)


def pick_rules(scans: Scans, values: pa.Table) -> RuleList:
    """The rules that an analyst would arrive at on the training period.

    Args:
        scans: Every scan.
        values: Their values of `LIMITS_ON`, in the same order.
    """
    rows, every = _looked_at(scans)
    desk = Desk(
        scans.known_wool[rows],
        {name: scans.holds[name][rows] for name in sorted(scans.holds, reverse=True)},
        ((name, _values(values, name)[rows]) for name in LIMITS_ON.names),
        float(every),
    )
    limits: list[Limit] = []
    in_force = 0
    caught = np.zeros(len(scans.test), np.bool_)
    while len(limits) < LONGEST_LIST:
        picked = desk.pick()
        if picked is None:
            break
        limit = Limit(*picked)
        limits.append(limit)
        caught |= scans.holds[limit.circumstance] & (_values(values, limit.feature) > limit.above)
        if caught[scans.known_audited].mean() <= RATE:
            in_force = len(limits)
    return RuleList(tuple(limits), in_force)


def _looked_at(scans: Scans) -> tuple[Int64, int]:
    """Rows of the training period: all known to be wool party, and every so manieth of the others."""
    train = np.flatnonzero(~scans.test)
    others = train[~scans.known_wool[train]]
    every = max(1, -(-len(others) // _OTHERS_LOOKED_AT))
    return np.sort(np.concatenate([train[scans.known_wool[train]], others[::every]])), every


def _own_columns(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """What the log says of each scan by itself, in the order of arrival; names as codes."""
    octets = ", ".join(f"split_part(ip, '.', {place})::BIGINT AS octet_{place}" for place in range(1, 5))
    names = ", ".join(f"dense_rank() OVER (ORDER BY {name}) - 1 AS {name}" for name in _OWN_NAMES)
    table: pa.Table = connection.sql(f"""
        SELECT {", ".join(_OWN_NUMBERS)}, {octets}, {names},
            (epoch_us(ts) // 1_000_000) % 3_600 AS second_of_hour,
            (local_day + 3) % 7 AS day_of_week,
            epoch_us(seen_at) - epoch_us(ts) AS lag,
            (device_id IS NULL)::BIGINT AS no_device,
            (wifi_id IS NULL)::BIGINT AS no_wifi
        FROM ({LOGS["scans"].sql()}) ORDER BY seen_at, scan_id
    """).to_arrow_table()
    return table


def _own_score(scans: Scans, own: pa.Table) -> Reals:
    matrix = np.column_stack([_values(own, name) for name in own.column_names])
    rows, _ = _looked_at(scans)
    data = lgb.Dataset(
        matrix[rows],
        scans.known_wool[rows].astype(np.float64),
        feature_name=own.column_names,
        categorical_feature=list(_OWN_NAMES),
        params=_PARAMETERS,
    )
    booster = lgb.train(_PARAMETERS, data, num_boost_round=_ROUNDS)
    return np.asarray(booster.predict(matrix, raw_score=True, num_threads=1), np.float64)
