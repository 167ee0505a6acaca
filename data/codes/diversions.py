"""Diverted goods (窜货): batches that are scanned in a city that they were not sent to.

Goods trickle into the neighbour's shops anyway, so a batch is held against how often goods of its region turn up in
that city. What is counted are visits, the days on which a member scans there: one sack of caps is one visit. Sacks of
recycled caps look the same from here; the serial runs tell them apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from data.codes.report import CodeFinding, iso
from data.codes.scanned import apart_km
from data.codes.yardstick import Sign, adjusted, poisson_sign, usual_rate

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

_VISITS: Final = f"""
    WITH known AS (
        SELECT * FROM code_scans WHERE city IS NOT NULL AND region IN (SELECT city FROM cities)
    ),
    batch AS (SELECT batch_id, count(DISTINCT (who, day)) AS of_batch FROM known GROUP BY batch_id),
    pair AS (
        SELECT batch_id, any_value(product_id) AS product_id, region, city, count(DISTINCT (who, day)) AS visits,
            count(*) AS scans, count(DISTINCT code_id) AS codes, count(DISTINCT who) AS members,
            min(serial) AS first_serial, max(serial) AS last_serial,
            epoch_us(min(seen_at)) AS first_us, epoch_us(max(seen_at)) AS last_us
        FROM known GROUP BY batch_id, region, city
    ),
    total AS (
        SELECT *, sum(visits) OVER (PARTITION BY region, city) AS of_pair,
            sum(visits) FILTER (city <> region) OVER () AS elsewhere
        FROM pair JOIN batch USING (batch_id)
    ),
    sent AS (SELECT region, sum(visits) AS of_region FROM pair GROUP BY region)
    SELECT batch_id, product_id, region, total.city, visits, of_batch, of_pair, of_region, elsewhere,
        (SELECT sum(visits) FROM pair), (SELECT count(*) FROM batch), (SELECT count(*) FROM cities),
        scans, codes, members, first_serial, last_serial, first_us, last_us,
        {apart_km("sent_to.lat", "sent_to.lon", "seen_in.lat", "seen_in.lon")}
    FROM total JOIN sent USING (region)
    JOIN cities AS sent_to ON sent_to.city = region JOIN cities AS seen_in ON seen_in.city = total.city
    WHERE total.city <> region
"""


def diverted_batches(connection: duckdb.DuckDBPyConnection, false_share: float) -> list[CodeFinding]:
    """The batches that turn up elsewhere, by city, the most surprising first; see the module.

    Args:
        connection: With the tables of `data.codes.scanned.prepare`.
        false_share: Share of false ones among the found that is put up with.
    """
    rows = connection.execute(_VISITS).fetchall()
    signs = [_sign(row) for row in rows]
    tests = rows[0][10] * (rows[0][11] - 1) if rows else 0
    values = adjusted([sign.p or 0.0 for sign in signs], tests)
    findings = [
        CodeFinding("diverted_batch", f"{row[0]} in {row[3]}", (sign,), q, _evidence(row))
        for row, sign, q in zip(rows, signs, values, strict=True)
        if q <= false_share
    ]
    return sorted(findings, key=lambda finding: (finding.q, -finding.evidence["visits"], finding.subject))


def _sign(row: Sequence[Any]) -> Sign:
    visits, of_batch, of_pair, of_region, elsewhere, every, _, cities = (float(value) for value in row[4:12])
    rate = usual_rate((of_pair - visits, of_region - of_batch), (elsewhere - visits, (every - of_batch) * (cities - 1)))
    return poisson_sign("visits_in_the_city", row[4], rate * of_batch)


def _evidence(row: Sequence[Any]) -> dict[str, Any]:
    batch, product, region, city, visits, of_batch = row[:6]
    scans, codes, members, first_serial, last_serial, first, last, km = row[12:]
    return {
        "batch_id": batch,
        "product_id": product,
        "region": region,
        "city": city,
        "km": round(km, 1),
        "visits": visits,
        "visits_of_the_batch": of_batch,
        "scans": scans,
        "codes": codes,
        "members": members,
        "first_serial": first_serial,
        "last_serial": last_serial,
        "first_at": iso(first),
        "last_at": iso(last),
    }
