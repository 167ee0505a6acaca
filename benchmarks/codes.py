"""Judges `shepherd codes` by the truth: which batches leaked, and which codes were cloned.

    python -m benchmarks.codes            # three worlds of a million scans, minutes
    python -m benchmarks.codes --quick    # one world of 12 000 members over 60 days
    python -m benchmarks.codes --world DIR    # judges a world that is there

Prints one JSON object, last. Intervals resample rings, else the subject itself. Recall is told twice: of what shows in
the tables at all (a list of which three codes were scanned, a copy that two members scanned) and of everything. Of what
was found without being true, `only_honest` counts those that nobody of any family scanned: a sack of caps that is sold
in two cities looks like copies too, and nobody honest is wronged by the finding.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import tempfile
import time
from collections import Counter
from contextlib import nullcontext, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from benchmarks.truth import truth_table
from data.codes.examination import examine
from data.codes.scanned import prepare
from data.sources import open_folder
from training.interval import Interval, Resampling

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from data.codes.report import CodeFinding, Kind

TRUTH: Final = "truth"
PRESET: Final = "world/v1"
SEEDS: Final = (1, 2, 3)
SIZE: Final = (40_000, 90)
QUICK: Final = (12_000, 60)
_JUDGES: Final = 20250303

_LIST_DAYS: Final = 3
"""A list is sold while its batch is activated; the same people's own shopping comes later (data.world.codes)."""

_LEAKED: Final = f"""
    SELECT batch_id, mode(ring_id), count(*) FROM judged
    WHERE family = 'leaked_codes' AND activated_at IS NOT NULL AND seen_at < activated_at + INTERVAL {_LIST_DAYS} DAY
    GROUP BY batch_id
"""

_CLONED: Final = """
    SELECT code_id, mode(ring_id) FILTER (family = 'cloned_codes'), count(DISTINCT member_id) FROM judged
    WHERE status <> 'forged' GROUP BY code_id HAVING bool_or(family = 'cloned_codes')
"""


_SUBJECTS: Final[tuple[tuple[str, Kind, str], ...]] = (
    ("leaked_batches", "leaked_batch", "batch_id"),
    ("cloned_codes", "cloned_code", "code_id"),
)
_FEWEST_SCANS: Final = 3
_FEWEST_MEMBERS: Final = 2

_WHOLE: Final = ("place", "first_serial", "last_serial")
_TEXTS: Final = ("batch_id", "first_at", "last_at", "city")
_RUN: Final = """
    judged.batch_id = told.batch_id AND serial BETWEEN first_serial AND last_serial
    AND seen_at BETWEEN first_at::TIMESTAMPTZ AND last_at::TIMESTAMPTZ
"""
_ROUTE: Final = "judged.batch_id = told.batch_id AND judged.city = told.city"


@dataclass(frozen=True)
class _Subjects:
    """What was found beside what is true, of all worlds.

    Attributes:
        unit: Ring of each subject, else itself.
        found: Whether it was found.
        true: Whether it is what it was found to be.
        plain: Whether the tables show enough of it to be found.
    """

    unit: list[str]
    found: list[bool]
    true: list[bool]
    plain: list[bool]

    def figures(self, generator: np.random.Generator) -> dict[str, Any]:
        """Precision and recall with intervals, and the counts."""
        found, true, plain = (np.asarray(marks, np.bool_) for marks in (self.found, self.true, self.plain))
        shares = {
            "precision": (found & true, found),
            "recall": (found & true & plain, true & plain),
            "recall_of_all": (found & true, true),
        }
        units = np.unique(np.asarray(self.unit, np.str_), return_inverse=True)[1].astype(np.int64)
        counts = {"found": int(found.sum()), "true": int(true.sum()), "true_and_plain": int((true & plain).sum())}
        return {name: _share(*parts, Resampling(units, generator)) for name, parts in shares.items()} | counts


def _share(part: np.ndarray[Any, Any], whole: np.ndarray[Any, Any], resampling: Resampling) -> dict[str, float] | None:
    """A share of subjects with its interval; None where there is nothing to have a share of."""
    if not whole.any():
        return None
    drawn = []
    for weights in resampling.weights():
        with np.errstate(invalid="ignore"):
            drawn.append(weights @ part / (weights @ whole))
    low, high = np.nanpercentile(np.concatenate(drawn), [2.5, 97.5])
    return {key: round(value, 4) for key, value in Interval(part.sum() / whole.sum(), low, high).as_dict().items()}


def judge(folders: list[Path]) -> dict[str, Any]:
    """Precision and recall over one or more worlds, and who is behind runs and diverted goods.

    Args:
        folders: Where `shepherd simulate` wrote them.
    """
    leaks, clones = _Subjects([], [], [], []), _Subjects([], [], [], [])
    behind: dict[str, Counter[str]] = {"serial_runs": Counter(), "diverted_batches": Counter()}
    only_honest: Counter[str] = Counter()
    seconds = 0.0
    for folder in folders:
        began = time.process_time()
        report = examine(open_folder(folder))
        seconds += time.process_time() - began
        with open_folder(folder).connect() as connection:
            _join_truth(connection, folder / TRUTH)
            _add(leaks, report.of("leaked_batch"), connection.execute(_LEAKED).fetchall(), _FEWEST_SCANS)
            _add(clones, report.of("cloned_code"), connection.execute(_CLONED).fetchall(), _FEWEST_MEMBERS)
            for name, kind, column in _SUBJECTS:
                only_honest[name] += _only_honest(connection, report.of(kind), column)
            behind["serial_runs"] += _behind(connection, report.of("serial_run"), _RUN)
            behind["diverted_batches"] += _behind(connection, report.of("diverted_batch"), _ROUTE)
        kinds = Counter(finding.kind for finding in report.findings)
        print(f"{folder}:", json.dumps(kinds), file=sys.stderr, flush=True)
    generator = np.random.default_rng(_JUDGES)
    return {
        "leaked_batches": leaks.figures(generator) | {"only_honest": only_honest["leaked_batches"]},
        "cloned_codes": clones.figures(generator) | {"only_honest": only_honest["cloned_codes"]},
        **{name: {"found": counted.total(), "behind": dict(counted.most_common())} for name, counted in behind.items()},
        "worlds": len(folders),
        "cpu_seconds": round(seconds, 1),
    }


def _join_truth(connection: duckdb.DuckDBPyConnection, truth: Path) -> None:
    prepare(connection)
    connection.execute(f"""
        CREATE TEMP TABLE judged AS
        SELECT code_scans.*, truth.family, truth.ring_id,
            CASE WHEN truth.family <> 'honest' THEN truth.family ELSE 'honest, ' || truth.crowd END AS who_it_was
        FROM code_scans JOIN {truth_table(truth, "scans")} AS truth USING (scan_id)
    """)


def _add(subjects: _Subjects, found: Sequence[CodeFinding], true: Sequence[tuple[str, str, int]], plain: int) -> None:
    """Take in the findings of one world, and what is true there: subject, ring, and how much of it shows."""
    named = {finding.subject for finding in found}
    known = {subject: (ring, shown) for subject, ring, shown in true}
    for subject in sorted(named | set(known)):
        ring, shown = known.get(subject, (None, 0))
        subjects.unit.append(ring or subject)
        subjects.found.append(subject in named)
        subjects.true.append(subject in known)
        subjects.plain.append(shown >= plain)


def _only_honest(connection: duckdb.DuckDBPyConnection, findings: Sequence[CodeFinding], column: str) -> int:
    """How many found subjects nobody of the wool party, of whatever family, has ever scanned."""
    connection.register("told", pa.table({"subject": pa.array([one.subject for one in findings], pa.string())}))
    ((count,),) = connection.execute(f"""
        SELECT count(*) FROM (
            SELECT subject FROM told JOIN judged ON {column} = subject
            GROUP BY subject HAVING bool_and(family = 'honest')
        )
    """).fetchall()
    connection.unregister("told")
    return int(count)


def _behind(connection: duckdb.DuckDBPyConnection, findings: Sequence[CodeFinding], same: str) -> Counter[str]:
    """How many findings are mostly the work of each family or honest crowd."""
    evidence = [dict(finding.evidence) | {"place": place} for place, finding in enumerate(findings)]
    told = pa.table(
        {name: pa.array([one.get(name) for one in evidence], pa.int64()) for name in _WHOLE}
        | {name: pa.array([one.get(name) for one in evidence], pa.string()) for name in _TEXTS}
    )
    connection.register("told", told)
    rows = connection.execute(f"""
        SELECT who, count(*) FROM (
            SELECT mode(who_it_was) AS who FROM told JOIN judged ON {same} GROUP BY place
        ) GROUP BY who
    """).fetchall()
    connection.unregister("told")
    return Counter(dict(rows))


def _measure(folder: Path, *, quick: bool) -> dict[str, Any]:
    from data.world.request import Request  # noqa: PLC0415 - a world that is there is judged without its maker
    from data.world.simulation import simulate  # noqa: PLC0415 - likewise

    members, days = QUICK if quick else SIZE
    made = []
    for seed in SEEDS[:1] if quick else SEEDS:
        made.append(folder / f"world-{seed}")
        simulate(Request(preset=PRESET, members=members, days=days, seed=seed), made[-1])
    return judge(made)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.codes", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="the same keys within ten minutes")
    parser.add_argument("--json", action="store_true", help="say nothing on the way")
    parser.add_argument("--world", type=Path, action="append", help="judge this world, make none; repeatable")
    asked = parser.parse_args()
    with redirect_stderr(io.StringIO()) if asked.json else nullcontext():
        if asked.world:
            result = judge(asked.world)
        else:
            with tempfile.TemporaryDirectory(prefix="shepherd-benchmark-") as temporary:
                result = _measure(Path(temporary), quick=asked.quick)
    print(json.dumps(result | {"load_average": round(os.getloadavg()[0], 2)}))


if __name__ == "__main__":
    main()
