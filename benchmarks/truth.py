"""Scans beside their truth: what a baseline may know of each, and how well its score finds the wool party."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import pyarrow as pa

from data.errors import DataError
from data.logs import LOGS
from features.plan import compile_plan
from training.interval import Interval, Resampling

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import duckdb
    from numpy.typing import NDArray

    from features.spec import FeatureSet

    Flags: TypeAlias = NDArray[np.bool_]
    Reals: TypeAlias = NDArray[np.float64]
    Int64: TypeAlias = NDArray[np.int64]

RATE: Final = 0.001
TEST_DAYS: Final = 14
HONEST: Final = "honest"
ALL: Final = "all"

ALWAYS: Final = "always"
CIRCUMSTANCES: Final = {
    ALWAYS: "true",
    "new member": f"registration_age_seconds < {30 * 86_400}",
    "by link": "entry = 'link'",
    "code refused": "status <> 'valid'",
    "code of another region": "region_mismatch = 1",
}
"""When a limit holds: an analyst sets tighter ones for newcomers, links, and codes that ought not to be here."""


@dataclass(frozen=True)
class Scans:
    """Every scan in the order of arrival, with the truth and with what was known of it.

    Attributes:
        rows: What features are asked with: row_id, as_of, keys and facts.
        family: Name of the family of each; `honest` for honest people.
        crowd: Name of the honest crowd, `none` outside them.
        unit: Code of the independent unit: the ring, else the member.
        test: Whether the scan is judged.
        known_wool: Whether a verdict of wool party had landed by the cut.
        known_audited: Whether a random audit that found it honest had landed by then.
        holds: Whether it was made in each of `CIRCUMSTANCES`.
    """

    rows: pa.Table
    family: NDArray[np.str_]
    crowd: NDArray[np.str_]
    unit: Int64
    test: Flags
    known_wool: Flags
    known_audited: Flags
    holds: Mapping[str, Flags]

    @property
    def wool(self) -> Flags:
        """Whether the scan is the wool party's."""
        found: Flags = self.family != HONEST
        return found


def read_scans(
    connection: duckdb.DuckDBPyConnection, truth: Path, asked_of: FeatureSet, test_days: int = TEST_DAYS
) -> Scans:
    """Every scan with its truth and the verdicts on it; the last days are for judging.

    Args:
        connection: To a world.
        truth: Its folder of truth.
        asked_of: The features whose keys and facts the rows carry.
        test_days: How many days are for judging.

    Raises:
        DataError: The truth is another world's.
    """
    plan = compile_plan(asked_of)
    facts = dict.fromkeys(fact.name for fact in plan.facts)
    keys = ", ".join(dict.fromkeys((*plan.row_keys, *facts)))
    marks = {name: f"holds_{place}" for place, name in enumerate(CIRCUMSTANCES)}
    holds = ", ".join(f"coalesce({CIRCUMSTANCES[name]}, false) AS {mark}" for name, mark in marks.items())
    table: pa.Table = connection.sql(f"""
        WITH asked AS (SELECT * FROM ({LOGS["scans"].sql()})),
        cut AS (SELECT max(seen_at) - INTERVAL {test_days} DAY AS instant FROM asked),
        verdicts AS (
            SELECT scan_id, max(is_wool) AS verdict, bool_or(origin = 'audit') AS audited
            FROM scan_labels, cut WHERE landed_at < cut.instant GROUP BY scan_id
        )
        SELECT asked.scan_id AS row_id, asked.seen_at AS as_of, {keys}, truth.family, truth.crowd, truth.ring_id,
            asked.seen_at >= cut.instant AS test,
            coalesce(verdict = 1, false) AS known_wool,
            coalesce(verdict = 0 AND audited, false) AS known_audited,
            {holds}
        FROM asked CROSS JOIN cut
        LEFT JOIN {truth_table(truth, "scans")} AS truth ON truth.scan_id = asked.scan_id
        LEFT JOIN verdicts ON verdicts.scan_id = asked.scan_id
        ORDER BY as_of, row_id
    """).to_arrow_table()
    if table["family"].null_count:
        raise DataError(
            f"{truth}: found no truth of {table['family'].null_count} scans; expected one row a scan; "
            "give the folder that `shepherd simulate` wrote beside these tables"
        )
    test = _flags(table, "test")
    return Scans(
        rows=table.drop_columns(["family", "crowd", "ring_id", "test", "known_wool", "known_audited", *marks.values()]),
        family=_words(table, "family"),
        crowd=_words(table, "crowd"),
        unit=_units(table),
        test=test,
        known_wool=_flags(table, "known_wool") & ~test,
        known_audited=_flags(table, "known_audited") & ~test,
        holds={name: _flags(table, mark) for name, mark in marks.items()},
    )


def truth_table(truth: Path, name: str) -> str:
    """A table of the truth, one file or a folder of parts, as a source in SQL."""
    parts = truth / name if (truth / name).is_dir() else truth
    found = f"{name}/*.parquet" if parts != truth else f"{name}.parquet"
    return f"read_parquet('{truth / found}')"


def _units(table: pa.Table) -> Int64:
    """One code a ring and, outside rings, one a member."""
    ring, member = (table[name].cast(pa.string()).to_pylist() for name in ("ring_id", "member_id"))
    named = [f"ring {one}" if one is not None else f"member {other}" for one, other in zip(ring, member, strict=True)]
    return pa.array(named).dictionary_encode().indices.to_numpy().astype(np.int64)


def _words(table: pa.Table, name: str) -> NDArray[np.str_]:
    return np.asarray(table[name].to_numpy(zero_copy_only=False), np.str_)


def _flags(table: pa.Table, name: str) -> Flags:
    return np.asarray(table[name].to_numpy(zero_copy_only=False), np.bool_)


def judge(
    scans: Scans, score: Reals, generator: np.random.Generator, rate: float = RATE, resamples: int = 1_000
) -> tuple[dict[str, Interval], dict[str, float]]:
    """The share of wool-party scans of the test days caught while at most this share of honest ones is.

    Args:
        scans: Every scan.
        score: Higher is more suspicious, shape (rows,).
        generator: Draws whole rings and members.
        rate: Of honest scans caught; the threshold is found anew in every draw.
        resamples: How many draws.

    Returns:
        The share caught with its interval, over all families and in each; and the share of honest scans blocked by the
        threshold of the undisturbed rows, in each crowd.
    """
    test = scans.test
    family, score = scans.family[test], score[test]
    wool, crowd = family != HONEST, scans.crowd[test]
    names = (ALL, *sorted(set(family[wool].tolist())))
    members = np.column_stack([np.ones(int(wool.sum())), *(family[wool] == name for name in names[1:])])
    threshold = _Threshold(score[~wool], rate)
    whole = _caught(threshold, score[wool], members, np.ones((1, len(score))), wool)
    units = Resampling(scans.unit[test], generator, resamples)
    drawn = np.concatenate([_caught(threshold, score[wool], members, weights, wool) for weights in units.weights()])
    caught = {name: _interval(whole[0, place], drawn[:, place]) for place, name in enumerate(names)}
    limit = threshold.of(np.ones((1, int((~wool).sum()))))[0]
    blocked = score[~wool] > limit
    crowds = sorted(set(crowd[~wool].tolist()))
    return caught, {name: float(blocked[crowd[~wool] == name].mean()) for name in crowds}


class _Threshold:
    """Finds the score that at most a given share of honest scans passes."""

    def __init__(self, honest: Reals, rate: float) -> None:
        self._order = np.argsort(-honest, kind="stable")
        ranked = honest[self._order]
        self._ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
        self._scores = ranked[self._ends]
        self._rate = rate

    def of(self, weights: Reals) -> Reals:
        """One a draw: the highest score of an honest scan that is one too many; whoever scores more is caught."""
        reached = np.cumsum(weights[:, self._order], axis=1)
        allowed = (reached[:, self._ends] <= self._rate * reached[:, -1:]).sum(axis=1)
        return np.asarray(np.append(self._scores, -np.inf)[allowed], np.float64)


def _caught(threshold: _Threshold, score: Reals, members: Reals, weights: Reals, wool: Flags) -> Reals:
    """The share caught of each column of `members`, shape (draws, columns)."""
    limits = threshold.of(weights[:, ~wool])
    counted = weights[:, wool]
    with np.errstate(invalid="ignore"):
        share: Reals = (counted * (score > limits[:, None])) @ members / (counted @ members)
    return share


def _interval(value: float, drawn: Reals) -> Interval:
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return Interval(float(value), float(low), float(high))
