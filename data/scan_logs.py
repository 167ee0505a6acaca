"""The logs of scan behaviour: scans with what was known of member, batch and campaign, verdicts, payouts, referrals.

What a scan is joined with is as known when the scan arrived: a batch that is activated later has no activation yet, a
member who registers later no age. Spans are whole seconds of the arrival clock; the hour and the day of a scan are
those at which it was made, in the campaign's own zone.
"""

from __future__ import annotations

from typing import Final

from data.log_source import LogSource, counted_once
from data.place import MICRO, PLACE_COLUMNS, PLACE_STEP
from data.scan_event import CRATE

_ADDED: Final = (
    "lat_e6",
    "lon_e6",
    "place",
    "cell",
    "town",
    "ip24",
    "local_hour",
    "local_day",
    "referrer_id",
    "phone_prefix",
    "registration_age_seconds",
    "region_mismatch",
    "batch_active",
    "batch_codes",
    "crate",
    "activation_lag_seconds",
    "shipping_lag_seconds",
    "campaign_age_seconds",
    "prize_odds_e6",
    "prize_variance_e6",
)


def _seconds(later: str, earlier: str) -> str:
    """Whole seconds between two instants, rounded down."""
    return f"floor((epoch_us({later}) - epoch_us({earlier})) / {MICRO})::BIGINT"


def _since(fact: str) -> str:
    """Whole seconds from something that may lie ahead; null while it does, since nobody knew then."""
    return f"CASE WHEN {fact} <= scans.seen_at THEN {_seconds('scans.seen_at', fact)} END"


_COUNTED = counted_once("scans", "scan_id", _ADDED)

# An IPv4 address belongs to its /24, an IPv6 address to its /64; one written otherwise to no block.
_IP24 = (
    r"coalesce(nullif(regexp_extract(scans.ip, '^([0-9]+\.[0-9]+\.[0-9]+)\.[0-9]+$', 1), ''), "
    r"nullif(lower(regexp_extract(scans.ip, '^((?:[0-9A-Fa-f]{1,4}:){3}[0-9A-Fa-f]{1,4}):', 1)), ''))"
)

_SCANS = f"""
    WITH placed AS NOT MATERIALIZED (
        SELECT
            scans.*,
            round(lat * {MICRO})::BIGINT AS lat_e6,
            round(lon * {MICRO})::BIGINT AS lon_e6,
            {_IP24} AS ip24
        FROM {_COUNTED} AS scans
    )
    SELECT
        scans.*,
        ((lat_e6 + 90 * {MICRO}) // {PLACE_STEP}) * {PLACE_COLUMNS} + (lon_e6 + 180 * {MICRO}) // {PLACE_STEP} AS place,
        ((lat_e6 + 90 * {MICRO}) // 10_000) * 36_001 + (lon_e6 + 180 * {MICRO}) // 10_000 AS cell,
        ((lat_e6 + 90 * {MICRO}) // 100_000) * 3_601 + (lon_e6 + 180 * {MICRO}) // 100_000 AS town,
        hour(timezone(campaigns.time_zone, scans.ts)) AS local_hour,
        date_diff('day', DATE '1970-01-01', timezone(campaigns.time_zone, scans.ts)::DATE) AS local_day,
        members.referrer_id,
        members.phone_prefix,
        {_since("members.registered_at")} AS registration_age_seconds,
        (members.city <> batches.region)::BIGINT AS region_mismatch,
        CASE WHEN batches.batch_id IS NOT NULL
            THEN coalesce(batches.activated_at <= scans.seen_at, false)::BIGINT END AS batch_active,
        batches.last_serial - batches.first_serial + 1 AS batch_codes,
        CASE WHEN scans.serial >= batches.first_serial
            THEN (scans.serial - batches.first_serial) // {CRATE} END AS crate,
        {_since("batches.activated_at")} AS activation_lag_seconds,
        {_since("batches.shipped_at")} AS shipping_lag_seconds,
        {_seconds("scans.seen_at", "campaigns.starts_at")} AS campaign_age_seconds,
        round(campaigns.prize_odds * {MICRO})::BIGINT AS prize_odds_e6,
        round(campaigns.prize_odds * (1 - campaigns.prize_odds) * {MICRO})::BIGINT AS prize_variance_e6
    FROM placed AS scans
    LEFT JOIN members ON members.member_id = scans.member_id
        AND coalesce(members.registered_at <= scans.seen_at, true)
    LEFT JOIN batches ON batches.batch_id = scans.batch_id
    LEFT JOIN campaigns ON campaigns.campaign_id = scans.campaign_id
"""

_OF_THE_SCAN = (
    "member_id",
    "device_id",
    "ip",
    "ip24",
    "code_id",
    "batch_id",
    "product_id",
    "campaign_id",
    "wifi_id",
    "user_agent",
)

_SCAN_LABELS = f"""
    SELECT labels.*, {", ".join(f"scans.{name}" for name in _OF_THE_SCAN)}
    FROM {counted_once("scan_labels", "scan_id", _OF_THE_SCAN)} AS labels
    LEFT JOIN (
        SELECT scans.*, {_IP24} AS ip24
        FROM {_COUNTED} AS scans SEMI JOIN scan_labels USING (scan_id)
        QUALIFY row_number() OVER (PARTITION BY scan_id ORDER BY seen_at) = 1
    ) AS scans USING (scan_id)
"""

_PAYOUTS = f"SELECT * FROM {counted_once('payouts', 'payout_id')}"

_REGISTRATIONS = """
    SELECT COLUMNS(lambda name: name NOT IN ('registered_at', 'seen_at')), registered_at AS seen_at
    FROM members WHERE registered_at IS NOT NULL
"""

_REFERRALS = """
    SELECT child.registered_at AS seen_at, child.referrer_id AS member_id, child.member_id AS child_id, 1 AS generation
    FROM members AS child
    WHERE child.registered_at IS NOT NULL AND child.referrer_id IS NOT NULL
    UNION ALL
    SELECT child.registered_at AS seen_at, parent.referrer_id AS member_id, child.member_id AS child_id, 2 AS generation
    FROM members AS child JOIN members AS parent ON child.referrer_id = parent.member_id
    WHERE child.registered_at IS NOT NULL AND parent.referrer_id IS NOT NULL
"""

SCAN_LOGS: Final = (
    LogSource(
        "scans",
        "one scan, with its place, its address block, and what was then known of its member, batch and campaign",
        ("scans", "members", "batches", "campaigns"),
        _SCANS,
    ),
    LogSource(
        "scan_labels",
        "one verdict on one scan, at the moment it became known, with the member, device, address, ... of the scan",
        ("scan_labels", "scans"),
        _SCAN_LABELS,
    ),
    LogSource("payouts", "one payment of prize money to an account", ("payouts",), _PAYOUTS),
    LogSource(
        "registrations",
        "one member's joining, with who brought them and how their phone number begins",
        ("members",),
        _REGISTRATIONS,
    ),
    LogSource(
        "referrals",
        "one member's joining as seen by whom it is owed to: the referrer (generation 1) and theirs (generation 2)",
        ("members",),
        _REFERRALS,
    ),
)
