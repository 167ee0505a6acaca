"""Codes that were cloned: one printed code, scanned by members who cannot all hold the piece.

No single scan proves a copy (Scantrust and others judge by count, first scan, impossible travel and wrong region).
Three signs are held against a yardstick: two members farther apart than a plane flies in the time between their scans;
more members, or more far ones, than codes of the product have; and a first scanner many of whose codes turn up with
others far away, which is where pictures come from. Of such a source every code that turned up far away is named.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from data.codes.leaks import RUSH_DAYS
from data.codes.report import CodeFinding, iso
from data.codes.scanned import REACH_KM, apart_km
from data.codes.yardstick import Sign, adjusted, at_least_one, poisson_sign, poisson_tail, usual_rate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb

PLANE_KMH: Final = 900.0
"""Cruising speed of an airliner; nobody scans the same piece in two places faster."""

_FEWEST_OF_A_SOURCE: Final = 2

_FROM_FIRST: Final = apart_km(
    "near_lat", "near_lon", "first_value(near_lat) OVER opened", "first_value(near_lon) OVER opened"
)
# Codes of packages that leaked are told there; here they would only be told again.
_SHARED: Final = f"""
    CREATE TEMP TABLE shared AS
    WITH listed AS (
        SELECT code_id FROM code_scans WHERE batch_id IN (SELECT batch_id FROM found)
            AND (status = 'inactive' OR seen_at < activated_at + INTERVAL {RUSH_DAYS} DAY)
    ),
    held AS (SELECT * FROM code_scans ANTI JOIN listed USING (code_id) WHERE member_id IS NOT NULL),
    several AS (SELECT code_id FROM held GROUP BY code_id HAVING min(member_id) < max(member_id))
    SELECT *, first_value(member_id) OVER opened AS source, {_FROM_FIRST} AS km
    FROM held SEMI JOIN several USING (code_id)
    WINDOW opened AS (PARTITION BY code_id ORDER BY seen_at, scan_id)
"""

_FACTS: Final = f"""
    WITH steps AS (
        SELECT code_id, scan_id, member_id <> lag(member_id) OVER later AS other,
            {apart_km("lat", "lon", "lag(lat) OVER later", "lag(lon) OVER later")} AS leg,
            greatest(epoch_us(ts) - epoch_us(lag(ts) OVER later), 1_000_000) / 3_600_000_000 AS hours
        FROM shared WHERE lat IS NOT NULL AND lon IS NOT NULL
        WINDOW later AS (PARTITION BY code_id ORDER BY ts, scan_id)
    ),
    fastest AS (
        SELECT code_id, max(leg / hours) AS kmh, arg_max(leg, leg / hours) AS leg,
            arg_max(hours, leg / hours) AS hours, count(*) FILTER (leg / hours > {PLANE_KMH}) AS flights
        FROM steps WHERE other AND leg > {REACH_KM} GROUP BY code_id
    )
    SELECT code_id, any_value(product_id), any_value(batch_id), any_value(source),
        count(DISTINCT member_id) - 1, count(DISTINCT member_id) FILTER (km > {REACH_KM} AND member_id <> source),
        coalesce(any_value(flights), 0), any_value(kmh), any_value(leg), any_value(hours), max(km),
        count(DISTINCT city), count(*), epoch_us(min(seen_at)), epoch_us(max(seen_at)),
        list(DISTINCT member_id ORDER BY member_id)[:10], list(scan_id ORDER BY seen_at, scan_id)[:10]
    FROM shared LEFT JOIN fastest USING (code_id) GROUP BY code_id
"""

_PRODUCTS: Final = "SELECT product_id, count(DISTINCT code_id) FROM code_scans WHERE member_id IS NOT NULL GROUP BY ALL"

_SOURCES: Final = """
    SELECT source, count(*) FROM (
        SELECT code_id, arg_min(member_id, (seen_at, scan_id)) AS source FROM code_scans
        WHERE member_id IS NOT NULL GROUP BY code_id
    ) GROUP BY source
"""


@dataclass(frozen=True)
class _Code:
    code: str
    product: str | None
    batch: str
    source: str
    others: int
    far_others: int
    flights: int
    evidence: Mapping[str, Any]


def cloned_codes(connection: duckdb.DuckDBPyConnection, false_share: float) -> list[CodeFinding]:
    """The codes that were cloned, the most surprising first; see the module.

    Args:
        connection: With the tables of `data.codes.scanned.prepare`, and `found`, the batches that leaked.
        false_share: Share of false ones among the found that is put up with.
    """
    connection.execute(_SHARED)
    codes = [_code(row) for row in connection.execute(_FACTS).fetchall()]
    products = dict(connection.execute(_PRODUCTS).fetchall())
    signs = _crowded(codes, products)
    p_values = [at_least_one([sign.p for sign in told if sign.p is not None]) for told in signs]
    by_code = adjusted(p_values, sum(products.values()))
    by_source = _sources(codes, dict(connection.execute(_SOURCES).fetchall()))
    findings = []
    for code, told, q_code in zip(codes, signs, by_code, strict=True):
        q_source, source = by_source.get(code.source, (1.0, None)) if code.far_others else (1.0, None)
        q = 0.0 if code.flights else min(q_code, q_source)
        if q > false_share:
            continue
        flown = (Sign("faster_than_a_plane", code.flights, 0.0, None),) if code.flights else ()
        known = (source,) if source is not None and q_source <= false_share else ()
        findings.append(CodeFinding("cloned_code", code.code, (*flown, *told, *known), q, code.evidence))
    return sorted(findings, key=lambda finding: (finding.q, -finding.evidence["members"], finding.subject))


def _code(row: Sequence[Any]) -> _Code:
    code, product, batch, source, others, far, flights, kmh, leg, hours, km, cities, scans, first, last, who, ids = row
    evidence = {
        "batch_id": batch,
        "product_id": product,
        "scans": scans,
        "members": others + 1,
        "cities": cities,
        "first_member_id": source,
        "farthest_km": _rounded(km),
        "fastest_kmh": _rounded(kmh),
        "leg_km": _rounded(leg),
        "leg_hours": None if hours is None else round(hours, 2),
        "first_at": iso(first),
        "last_at": iso(last),
        "member_ids": who,
        "scan_ids": ids,
    }
    return _Code(code, product, batch, source, others, far, flights, evidence)


def _crowded(codes: Sequence[_Code], products: Mapping[str | None, int]) -> list[tuple[Sign, ...]]:
    """More members, or more far ones, than other codes of the product have."""
    others, far = Counter[str | None](), Counter[str | None]()
    for code in codes:
        others[code.product] += code.others
        far[code.product] += code.far_others
    every = sum(products.values())

    def sign(name: str, seen: int, counted: Counter[str | None], product: str | None) -> Sign:
        own, brand = counted[product] - seen, counted.total() - seen
        return poisson_sign(name, seen, usual_rate((own, products[product] - 1), (brand, every - 1)))

    return [
        (
            sign("further_members", code.others, others, code.product),
            sign("far_members", code.far_others, far, code.product),
        )
        for code in codes
    ]


def _sources(codes: Sequence[_Code], scanned: Mapping[str, int]) -> dict[str, tuple[float, Sign]]:
    """First scanners whose codes turn up far away too often, with their adjusted values."""
    turned_up = Counter(code.source for code in codes if code.far_others)
    rate = turned_up.total() / max(1, sum(scanned.values()))
    names = [name for name, count in turned_up.items() if count >= _FEWEST_OF_A_SOURCE]
    p_values = [poisson_tail(turned_up[name], rate * scanned[name]) for name in names]
    return {
        name: (q, Sign("codes_of_the_first_member_elsewhere", turned_up[name], rate * scanned[name], p))
        for name, p, q in zip(names, p_values, adjusted(p_values, len(scanned)), strict=True)
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
