"""Batches that leaked: codes scanned before they were activated, or by a rush in the days before goods can be sold.

Genuine codes reach the wool party as files from the printer or the plant (notes of the trade; WeChat's batch states
inactive, active, frozen). Two counts of people tell: those who scanned before activation, against the product's other
batches; and those of each of the first days, against what that day of a batch's life brings to the brand. Staff who
open a case in the depot scan early too, but they are one or two. Links and far cities are evidence, no yardstick: the
wool party shares links to codes from shops as well.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from data.codes.report import CodeFinding, iso
from data.codes.yardstick import Sign, adjusted, at_least_one, poisson_sign, usual_rate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb

RUSH_DAYS: Final = 3
"""Days after activation in which goods are on the road; a rush later on may be a promotion."""

# Batches of whose first days the scans tell all, never scanned ones among them, which are usual too; and those of which
# nobody knows when they were activated, if they ever were.
_FRESH: Final = """
    WITH span AS (SELECT min(seen_at) AS first_at, max(seen_at) AS last_at FROM code_scans),
    seen AS (
        SELECT batch_id, count(DISTINCT code_id) AS codes,
            count(DISTINCT who) FILTER (status = 'inactive' OR seen_at < activated_at) AS before
        FROM code_scans GROUP BY batch_id
    )
    SELECT batches.batch_id, batches.product_id, coalesce(last_serial - first_serial + 1, seen.codes, 1),
        coalesce(seen.before, 0), (epoch_us(span.last_at) - epoch_us(activated_at)) / 86_400_000_000
    FROM batches CROSS JOIN span LEFT JOIN seen USING (batch_id)
    WHERE batches.batch_id NOT IN (SELECT batch_id FROM ticket_batches)
        AND (activated_at >= span.first_at OR (activated_at IS NULL AND seen.batch_id IS NOT NULL))
"""

_RUSH: Final = f"""
    SELECT batch_id, ((epoch_us(seen_at) - epoch_us(activated_at)) // 86_400_000_000)::BIGINT AS day,
        count(DISTINCT who) AS people
    FROM code_scans
    WHERE activated_at <= seen_at AND seen_at < activated_at + INTERVAL {RUSH_DAYS} DAY
    GROUP BY ALL
"""

# The scans that a finding is about, and what they have in common.
_EARLY: Final = f"""
    WITH usual AS (SELECT campaign_id, avg(linked::INTEGER) AS share FROM code_scans GROUP BY campaign_id),
    early AS (
        SELECT *, status = 'inactive' OR seen_at < activated_at AS inactive FROM code_scans
        WHERE batch_id IN (SELECT batch_id FROM found)
            AND (status = 'inactive' OR seen_at < activated_at + INTERVAL {RUSH_DAYS} DAY)
    )
    SELECT batch_id, any_value(product_id), any_value(region), epoch_us(any_value(activated_at)),
        count(*) AS scans, count(DISTINCT code_id), count(DISTINCT who), count(*) FILTER (inactive),
        count(*) FILTER (linked), sum(usual.share), count(DISTINCT city),
        count(*) FILTER (city <> region), min(serial), max(serial), epoch_us(min(seen_at)), epoch_us(max(seen_at)),
        list(scan_id ORDER BY seen_at, scan_id)[:10]
    FROM early LEFT JOIN usual ON usual.campaign_id IS NOT DISTINCT FROM early.campaign_id
    GROUP BY batch_id
"""


@dataclass(frozen=True)
class _Batch:
    batch: str
    product: str
    codes: int
    before: int
    age_days: float | None


class _Usual:
    """What is usual of batches, learned from those that are not under suspicion."""

    def __init__(self, batches: Sequence[_Batch], rush: Mapping[tuple[str, int], int], suspected: set[str]) -> None:
        self._suspected = suspected
        self._rush = rush
        self._codes: Counter[str] = Counter()
        self._before: Counter[str] = Counter()
        self._alive = [0.0] * RUSH_DAYS
        self._people = [0] * RUSH_DAYS
        for one in batches:
            if one.batch in suspected:
                continue
            self._codes[one.product] += one.codes
            self._before[one.product] += one.before
            for day in _days(one):
                self._alive[day] += one.codes
                self._people[day] += rush.get((one.batch, day), 0)
        self._all_codes, self._all_before = self._codes.total(), self._before.total()

    def signs(self, one: _Batch) -> tuple[Sign, ...]:
        """What a batch shows, each day of its first ones apart."""
        known = one.batch not in self._suspected
        own_codes, own_before = (one.codes, one.before) if known else (0, 0)
        rate = usual_rate(
            (self._before[one.product] - own_before, self._codes[one.product] - own_codes),
            (self._all_before - own_before, self._all_codes - own_codes),
        )
        signs = [poisson_sign("people_before_activation", one.before, rate * one.codes)]
        for day in _days(one):
            people = self._rush.get((one.batch, day), 0)
            others = self._people[day] - (people if known else 0)
            expected = (others + 0.5) / max(self._alive[day] - own_codes, one.codes) * one.codes
            signs.append(poisson_sign(f"people_on_day_{day + 1}", people, expected))
        return tuple(signs)


def leaked_batches(connection: duckdb.DuckDBPyConnection, false_share: float) -> list[CodeFinding]:
    """The batches that leaked, the most surprising first; see the module.

    Base rates are learned twice, the second time without the batches that the first look found.

    Args:
        connection: With the tables of `data.codes.scanned.prepare`.
        false_share: Share of false ones among the found that is put up with.
    """
    batches = [_Batch(*row) for row in connection.execute(_FRESH).fetchall()]
    rush = {(batch, day): people for batch, day, people in connection.execute(_RUSH).fetchall()}
    suspected: set[str] = set()
    found: dict[str, tuple[float, tuple[Sign, ...]]] = {}
    for _ in range(2):
        usual = _Usual(batches, rush, suspected)
        signs = {one.batch: usual.signs(one) for one in batches}
        p_values = [at_least_one([sign.p for sign in told if sign.p is not None]) for told in signs.values()]
        judged = zip(signs, adjusted(p_values, len(p_values)), strict=True)
        found = {batch: (q, signs[batch]) for batch, q in judged if q <= false_share}
        suspected = set(found)
    return _with_evidence(connection, found)


def _days(one: _Batch) -> range:
    """The first days of a batch that the scans cover whole."""
    return range(0 if one.age_days is None else max(0, min(RUSH_DAYS, int(one.age_days))))


def _with_evidence(
    connection: duckdb.DuckDBPyConnection, found: Mapping[str, tuple[float, tuple[Sign, ...]]]
) -> list[CodeFinding]:
    connection.execute("CREATE TEMP TABLE found (batch_id VARCHAR)")
    if found:
        connection.executemany("INSERT INTO found VALUES (?)", [[batch] for batch in found])
    findings = []
    for batch, *facts in connection.execute(_EARLY).fetchall():
        q, signs = found[batch]
        kept = tuple(sign for sign in signs if sign.seen)
        findings.append(CodeFinding("leaked_batch", batch, kept, q, _evidence(facts)))
    return sorted(findings, key=lambda finding: (finding.q, -finding.evidence["early_scans"], finding.subject))


def _evidence(facts: Sequence[Any]) -> dict[str, Any]:
    product, region, activated, scans, codes, people, inactive, linked, usual_links, cities, elsewhere = facts[:11]
    first_serial, last_serial, first, last, scan_ids = facts[11:]
    return {
        "product_id": product,
        "region": region,
        "activated_at": iso(activated),
        "early_scans": scans,
        "before_activation": inactive,
        "codes": codes,
        "people": people,
        "by_link": linked,
        "usual_by_link": None if usual_links is None else round(usual_links, 2),
        "cities": cities,
        "in_another_city": elsewhere,
        "first_serial": first_serial,
        "last_serial": last_serial,
        "first_at": iso(first),
        "last_at": iso(last),
        "scan_ids": scan_ids,
    }
