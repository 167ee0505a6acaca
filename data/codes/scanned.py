"""The scans of printed codes as the findings read them: a table of one connection, with the city of each scan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from data.logs import LOGS

if TYPE_CHECKING:
    import duckdb

REACH_KM: Final = 100.0
"""What lies farther apart is not one city; phones are placed wrongly by less."""

_FEWEST_IN_A_CITY: Final = 5
_EARTH_KM: Final = 6_371.0


def apart_km(lat: str, lon: str, other_lat: str, other_lon: str) -> str:
    """SQL for the great-circle distance of two places given in degrees; null where either is."""
    north = f"power(sin(radians({other_lat} - {lat}) / 2), 2)"
    east = f"cos(radians({lat})) * cos(radians({other_lat})) * power(sin(radians({other_lon} - {lon}) / 2), 2)"
    return f"{2 * _EARTH_KM} * asin(least(1.0, sqrt({north} + {east})))"


_TO_CITY: Final = apart_km("places.lat", "places.lon", "cities.lat", "cities.lon")


def prepare(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Make the tables `code_scans` and `cities` in a connection, and count what they leave out.

    `code_scans` has one row a scan of a printed code: scan_id, seen_at, ts, member_id, who (the member; the scan itself
    where nobody had signed in), code_id, batch_id, serial, product_id, campaign_id, linked, status, lat, lon, near_lat
    and near_lon (where the scan has no place: the middle of the member's scans, else of the home city), city, region,
    activated_at, day (days since 1970 in the campaign's zone). Forged codes were never printed and are left out; so are
    campaigns in which nothing came by camera, such as flash sales and live streams: what is asked for there are
    tickets, and links are the rule.

    `ticket_batches` names the batches that only such campaigns scan. `cities` has each home city of members with the
    middle of where its members scan.

    Returns:
        Counts: `scans`, the statuses, and `requests`, the scans of campaigns without a camera.

    Raises:
        DataError: tables are missing; all of them are named.
    """
    LOGS["scans"].require(connection)
    connection.execute(f"""
        CREATE TEMP TABLE every_scan AS
        SELECT scans.scan_id, scans.seen_at, scans.ts, scans.member_id, coalesce(scans.member_id, scans.scan_id) AS who,
            scans.code_id, scans.batch_id, scans.serial,
            coalesce(batches.product_id, scans.product_id) AS product_id, scans.campaign_id,
            scans.entry = 'link' AS linked, scans.entry, scans.status, scans.lat, scans.lon,
            scans.town, members.city AS home, batches.region, batches.activated_at,
            coalesce(scans.local_day, date_diff('day', DATE '1970-01-01', scans.seen_at::DATE)) AS day
        FROM ({LOGS["scans"].sql()}) AS scans
        LEFT JOIN members ON members.member_id = scans.member_id
        LEFT JOIN batches ON batches.batch_id = scans.batch_id
    """)
    connection.execute(f"""
        CREATE TEMP TABLE cities AS
        SELECT home AS city, median(lat) AS lat, median(lon) AS lon FROM every_scan
        WHERE home IS NOT NULL AND lat IS NOT NULL AND lon IS NOT NULL
        GROUP BY home HAVING count(*) >= {_FEWEST_IN_A_CITY}
    """)
    connection.execute(f"""
        CREATE TEMP TABLE towns AS
        WITH places AS (
            SELECT town, avg(lat) AS lat, avg(lon) AS lon FROM every_scan WHERE town IS NOT NULL GROUP BY town
        )
        SELECT town, arg_min(city, {_TO_CITY}) AS city FROM places CROSS JOIN cities
        GROUP BY town HAVING min({_TO_CITY}) <= {REACH_KM}
    """)
    connection.execute("""
        CREATE TEMP TABLE requests AS
        SELECT campaign_id FROM every_scan WHERE campaign_id IS NOT NULL
        GROUP BY campaign_id HAVING count(entry) > 0 AND count(*) FILTER (entry = 'camera') = 0
    """)
    connection.execute("""
        CREATE TEMP TABLE haunts AS
        SELECT member_id, median(lat) AS lat, median(lon) AS lon FROM every_scan
        WHERE member_id IS NOT NULL AND lat IS NOT NULL AND lon IS NOT NULL GROUP BY member_id
    """)
    connection.execute("""
        CREATE TEMP TABLE code_scans AS
        SELECT every_scan.* EXCLUDE (entry, town, home), towns.city,
            coalesce(every_scan.lat, haunts.lat, cities.lat) AS near_lat,
            coalesce(every_scan.lon, haunts.lon, cities.lon) AS near_lon
        FROM every_scan LEFT JOIN towns USING (town) LEFT JOIN cities ON cities.city = every_scan.home
        LEFT JOIN haunts ON haunts.member_id = every_scan.member_id
        WHERE status <> 'forged' AND batch_id IS NOT NULL
            AND NOT coalesce(campaign_id IN (SELECT campaign_id FROM requests), false)
    """)
    connection.execute("""
        CREATE TEMP TABLE ticket_batches AS
        SELECT batch_id FROM every_scan WHERE batch_id IS NOT NULL
        GROUP BY batch_id HAVING bool_and(coalesce(campaign_id IN (SELECT campaign_id FROM requests), false))
    """)
    return _counts(connection)


def _counts(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    statuses = ("valid", "repeat", "inactive", "forged")
    counted = ", ".join(f"count(*) FILTER (status = '{status}')" for status in statuses)
    ((scans, *by_status, requests),) = connection.execute(f"""
        SELECT count(*), {counted}, count(*) FILTER (campaign_id IN (SELECT campaign_id FROM requests)) FROM every_scan
    """).fetchall()
    return {"scans": scans, **dict(zip(statuses, by_status, strict=True)), "requests": requests}
