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

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
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

LIMITED: Final[FeatureSet] = SCAN.only(
    "member_scan_count_5m",
    "member_scan_count_1h",
    "member_scan_count_1d",
    "member_scan_count_7d",
    "member_scan_count_30d",
    "member_scan_share_failed_7d",
    "member_scan_share_linked_7d",
    "member_scan_count_within_10s_1d",
    "member_distinct_local_day_30d",
    "device_scan_count_1h",
    "device_scan_count_1d",
    "device_scan_count_7d",
    "device_distinct_member_1d",
    "device_distinct_member_7d",
    "device_distinct_member_30d",
    "member_distinct_device_7d",
    "member_distinct_device_30d",
    "ip_scan_count_5m",
    "ip_scan_count_1h",
    "ip_distinct_member_1h",
    "ip_distinct_member_1d",
    "ip_distinct_member_new_member_1d",
    "wifi_distinct_member_7d",
    "member_distinct_ip_1d",
    "member_distinct_town_1d",
    "member_distinct_town_7d",
    "member_kmh",
    "member_usual_km",
    "batch_usual_km",
    "code_scan_count_lifetime",
    "code_kmh",
    "member_distinct_batch_1d",
    "member_batch_scan_count_1d",
    "batch_scan_count_inactive_1h",
    "phone_prefix_registration_count_1d",
    "referrer_registration_count_7d",
    "member_referral_count_direct_7d",
    "member_sum_prize_fen_1d",
    "member_sum_prize_fen_30d",
    "member_payout_count_30d",
)
"""What the analyst sets limits on; more of any of them is more suspicious."""

_TAILS: Final = (0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002, 0.0001)
_LONGEST_LIST: Final = 60
_OTHERS_LOOKED_AT: Final = 150_000
_FEWEST_MORE: Final = 10
_DOUBT: Final = 20.0
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
        scans = read_scans(connection, truth, LIMITED)
        values = compute(LIMITED, connection, scans.rows)
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
        values: Their values of `LIMITED`, in the same order.
    """
    rows, every = _looked_at(scans)
    desk = _Desk(scans, values, rows, float(every))
    limits: list[Limit] = []
    in_force = 0
    caught = np.zeros(len(scans.test), np.bool_)
    while len(limits) < _LONGEST_LIST:
        limit = desk.pick()
        if limit is None:
            break
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


class _Desk:
    """What the analyst looks at: scans of the training period that no rule catches yet."""

    def __init__(self, scans: Scans, values: pa.Table, rows: Int64, weight: float) -> None:
        self._known = scans.known_wool[rows]
        self._holds = {name: holds[rows] for name, holds in scans.holds.items()}
        self._steps = {name: _steps(_values(values, name)[rows], self._known) for name in LIMITED.names}
        self._weight = weight

    def pick(self) -> Limit | None:
        """The rule whose further catch holds the largest share of known wool party, and takes its catch away."""
        best = max(self._candidates(), default=None)
        if best is None:
            return None
        _, name, place, circumstance = best
        limits, step = self._steps[name]
        left = ~(self._holds[circumstance] & (step > place))
        self._known = self._known[left]
        self._holds = {key: holds[left] for key, holds in self._holds.items()}
        self._steps = {key: (one, step[left]) for key, (one, step) in self._steps.items()}
        return Limit(name, float(limits[place]), circumstance)

    def _candidates(self) -> Iterator[tuple[float, str, int, str]]:
        for circumstance, holds in self._holds.items():
            known = holds & self._known
            for name, (limits, step) in self._steps.items():
                wool = _beyond(step[known], len(limits))
                if not wool[:1].sum():
                    continue
                others = _beyond(step[holds], len(limits)) - wool
                share = wool / (wool + self._weight * others + _DOUBT)
                for place in np.flatnonzero(wool >= _FEWEST_MORE).tolist():
                    yield float(share[place]), name, place, circumstance


def _steps(values: Reals, known: Flags) -> tuple[Reals, NDArray[np.intp]]:
    """The limits to try, ascending, and how many of them each value lies above."""
    usual = values[~known & ~np.isnan(values)]
    limits = np.unique(np.quantile(usual, [1 - tail for tail in _TAILS])) if len(usual) else np.empty(0)
    return limits, np.searchsorted(limits, np.nan_to_num(values, nan=-np.inf), side="left")


def _beyond(step: NDArray[np.intp], limits: int) -> Int64:
    """How many values lie above each limit."""
    counts = np.bincount(step, minlength=limits + 1)
    return counts[::-1].cumsum()[::-1][1:].astype(np.int64)


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
