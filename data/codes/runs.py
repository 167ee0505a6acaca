"""Serial runs: neighbouring codes of a batch, scanned within one day by few hands.

Caps are sold by the sack and codes leak by the list, so that whoever works through them scans serial after serial. So
do depot staff with an opened case, and a household with a carton: a run is a reason to look, no verdict. The yardstick
is a scan statistic: so many codes within a span of serials on one day, against the batch's usual scans a code and day,
with Bonferroni's bound over the places where a run may begin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from data.codes.report import CodeFinding, iso
from data.codes.yardstick import adjusted, poisson_sign

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

STEP: Final = 3
"""Serials farther apart are not neighbours; between them lie caps that were lost."""

FEWEST: Final = 6
"""Codes of the shortest run that is told: a carton for the family has as many."""

CODES_A_HAND: Final = 3
"""Codes for each member, at least, in a run of few hands."""

_RUNS: Final = f"""
    WITH placed AS (
        SELECT *, serial - lag(serial) OVER (PARTITION BY batch_id, day ORDER BY serial, scan_id) AS step
        FROM code_scans WHERE serial IS NOT NULL
    ),
    numbered AS (
        SELECT *, count(*) FILTER (step > {STEP}) OVER (PARTITION BY batch_id, day ORDER BY serial, scan_id) AS run
        FROM placed
    ),
    days AS (
        SELECT batch_id, day, count(DISTINCT serial) AS of_day FROM placed GROUP BY batch_id, day
    ),
    batch_days AS (
        SELECT days.batch_id, sum(of_day) AS of_batch, max(days.day) - min(days.day) + 1 AS days,
            any_value(last_serial - first_serial + 1) AS codes
        FROM days LEFT JOIN batches USING (batch_id) GROUP BY days.batch_id
    )
    SELECT batch_id, any_value(product_id), any_value(region), min(serial), max(serial),
        count(DISTINCT serial) AS run_codes, count(DISTINCT who) AS hands,
        list(DISTINCT city ORDER BY city) FILTER (city IS NOT NULL), count(*) FILTER (city <> region),
        list(DISTINCT who ORDER BY who)[:10], epoch_us(min(seen_at)), epoch_us(max(seen_at)),
        any_value(of_day), any_value(of_batch), any_value(batch_days.days), any_value(batch_days.codes)
    FROM numbered JOIN days USING (batch_id, day) JOIN batch_days USING (batch_id)
    GROUP BY batch_id, day, run
    HAVING run_codes >= {FEWEST} AND hands * {CODES_A_HAND} <= run_codes
"""

_TESTS: Final = "SELECT count(*) FROM (SELECT DISTINCT batch_id, day FROM code_scans WHERE serial IS NOT NULL)"


def serial_runs(connection: duckdb.DuckDBPyConnection, false_share: float) -> list[CodeFinding]:
    """The runs of neighbouring codes, the most surprising first; see the module.

    Args:
        connection: With the tables of `data.codes.scanned.prepare`.
        false_share: Share of false ones among the found that is put up with.
    """
    ((tests,),) = connection.execute(_TESTS).fetchall()
    runs = [_run(row) for row in connection.execute(_RUNS).fetchall()]
    adjusted_values = adjusted([p for _, p in runs], max(tests, len(runs)))
    findings = [
        CodeFinding(run.kind, run.subject, run.signs, q, run.evidence)
        for (run, _), q in zip(runs, adjusted_values, strict=True)
        if q <= false_share
    ]
    return sorted(findings, key=lambda finding: (finding.q, -finding.evidence["codes"], finding.subject))


def _run(row: Sequence[Any]) -> tuple[CodeFinding, float]:
    """A run, and how surprising it is wherever in its batch's day it might have begun."""
    batch, product, region, first, last, codes, hands, cities, elsewhere, who = row[:10]
    begun, ended, of_day, of_batch, days, printed = row[10:]
    span = last - first + 1
    # Half a code more than the other days brought, so that a batch that is seen on one day only has a usual day too.
    usual = (of_batch - of_day + 0.5) / days / max(printed or span, span)
    sign = poisson_sign("neighbouring_codes", codes, usual * span)
    evidence = {
        "batch_id": batch,
        "product_id": product,
        "region": region,
        "codes": codes,
        "members": hands,
        "first_serial": first,
        "last_serial": last,
        "cities": cities or [],
        "in_another_city": elsewhere,
        "first_at": iso(begun),
        "last_at": iso(ended),
        "minutes": round((ended - begun) / 60_000_000, 1),
        "member_ids": who,
    }
    finding = CodeFinding("serial_run", f"{batch}:{first}-{last}", (sign,), 1.0, evidence)
    return finding, min(1.0, (sign.p or 0.0) * of_day)
