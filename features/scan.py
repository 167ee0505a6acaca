"""What a scan's past says about it: tempo, device and place, code and sequence, account and referral, prize, verdicts.

The signal of the wool party (羊毛党) lies in who scans, where, when and in what order, hardly in forged codes. Facts of
the scan itself (`column`) are columns of the log of scans, as known when the scan arrived.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from features.distance import micro_degrees_apart_km, places_apart_km
from features.offer import quotient
from features.spec import (
    DAY,
    DAYS_30,
    GAP,
    HOUR,
    LIFETIME,
    MIN_5,
    WEEK,
    Feature,
    FeatureSet,
    Key,
    Log,
    Where,
    column,
    count,
    days,
    derived,
    distinct,
    entropy,
    last,
    maximum,
    mean,
    minimum,
    share,
    since,
    std,
    sum_,
)

if TYPE_CHECKING:
    from features.feature import Declared
    from features.kernel import Doubles

MEMBER_BATCH: Final = ("member_id", "batch_id")
BATCH_CRATE: Final = ("batch_id", "crate")
MEMBER, DEVICE, CODE, BATCH = "member_id", "device_id", "code_id", "batch_id"
IP, IP24, WIFI, CELL, CAMPAIGN, AGENT = "ip", "ip24", "wifi_id", "cell", "campaign_id", "user_agent"
JUDGED: Final = (MEMBER, DEVICE, IP, IP24, WIFI, BATCH, CAMPAIGN, AGENT)

SCANS = Log("scans", entities=(MEMBER, DEVICE, CODE, BATCH, IP, IP24, WIFI, CELL, CAMPAIGN, MEMBER_BATCH, BATCH_CRATE))
LABELS = Log("scan_labels", entities=JUDGED, noun="verdict")
PAYOUTS = Log("payouts", entities=(MEMBER,), qualified=True)
REGISTRATIONS = Log("registrations", entities=("phone_prefix", "referrer_id"))
REFERRALS = Log("referrals", entities=(MEMBER,))

VALID = Where("status", "==", "valid", "valid")
FAILED = Where("status", "in", ("repeat", "inactive", "forged"), "failed")
INACTIVE = Where("status", "==", "inactive", "inactive")
FORGED = Where("status", "==", "forged", "forged")
LINKED = Where("entry", "==", "link", "linked")
NIGHT = Where("local_hour", "<", 5, "night")
WON = Where("prize_fen", ">", 0, "winning")
PLACED = Where("place", ">=", 0, "placed")
NEW = Where("registration_age_seconds", "<", 7 * 86_400, "new_member")
WOOL = Where("is_wool", "==", 1, "wool")
CHILD = Where("generation", "==", 1, "direct")
GRANDCHILD = Where("generation", "==", 2, "indirect")

DAYS_28 = days(28)
HOURS_OF_28_DAYS: Final = 672.0
SECONDS_AN_HOUR: Final = 3_600.0
MILLION: Final = 1_000_000.0
PRIOR_VERDICTS: Final = 10.0
PRIOR_WOOL: Final = 0.5


def _times_usual(hour: Doubles, weeks: Doubles) -> Doubles:
    return hour * HOURS_OF_28_DAYS / weeks


def _kilometres_an_hour(place: Doubles, last_place: Doubles, seconds: Doubles) -> Doubles:
    return places_apart_km(place, last_place) * SECONDS_AN_HOUR / np.maximum(seconds, 1.0)


def _step(serial: Doubles, last_serial: Doubles) -> Doubles:
    return np.abs(serial - last_serial)


def _registration_to_scan(age: Doubles, since_first: Doubles) -> Doubles:
    return age - np.where(np.isnan(since_first), 0.0, since_first)


def _cash_out(since_prize: Doubles, since_payout: Doubles) -> Doubles:
    return np.where(since_prize >= since_payout, since_prize - since_payout, np.nan)


def _luck(wins: Doubles, expected_e6: Doubles, variance_e6: Doubles) -> Doubles:
    return (wins - expected_e6 / MILLION) / np.sqrt(variance_e6 / MILLION)


def _wool_rate(wool: Doubles, verdicts: Doubles) -> Doubles:
    return (wool + PRIOR_WOOL) / (verdicts + PRIOR_VERDICTS)


def _burst(entity: str, whose: str) -> Feature:
    return derived(
        f"{entity}_burst_1h",
        _times_usual,
        "ratio",
        f"Scans from {whose} in the last hour as a multiple of its usual hour over 28 days",
        of=(f"{entity}_scan_count_1h", f"{entity}_scan_count_28d"),
    )


def _speed(entity: str, whose: str) -> Feature:
    return derived(
        f"{entity}_kmh",
        _kilometres_an_hour,
        "km/h",
        f"Speed needed to get here from where {whose} was last scanned; a phone cannot fly",
        of=("place", f"{entity}_last_place", f"{entity}_scan_since_placed"),
    )


def _strayed(entity: str, whose: str) -> Feature:
    return derived(
        f"{entity}_usual_km",
        micro_degrees_apart_km,
        "km",
        f"Distance of this scan from the middle of where {whose} was scanned in the last 30 days",
        of=("lat_e6", "lon_e6", f"{entity}_mean_lat_e6_30d", f"{entity}_mean_lon_e6_30d"),
    )


def _whereabouts(by: Key) -> tuple[Declared, ...]:
    return tuple(mean(SCANS, axis, by=by, over=DAYS_30) for axis in ("lat_e6", "lon_e6"))


def _track(by: Key) -> tuple[Declared, ...]:
    return last(SCANS, "place", by=by), since(SCANS, by=by, where=PLACED)


def _silent(*declared: Declared) -> tuple[Feature, ...]:
    """Inputs of derived features that say nothing by themselves, such as a coordinate."""
    return tuple(FeatureSet(*declared))


TEMPO = FeatureSet(
    count(SCANS, by=MEMBER, over=(MIN_5, HOUR, DAY, WEEK, DAYS_30)),
    count(SCANS, by=MEMBER, over=(DAY, DAYS_30), where=VALID),
    *(
        share(
            SCANS,
            by=MEMBER,
            over=span,
            where=FAILED,
            meaning=f"Share of the member's scans {span.phrase} of codes used before, not yet active, or forged",
        )
        for span in (HOUR, WEEK)
    ),
    since(SCANS, by=MEMBER, meaning="Seconds since this member's scan before"),
    minimum(SCANS, GAP, by=MEMBER, over=DAY, meaning="Shortest time between two scans of this member, last day"),
    mean(SCANS, GAP, by=MEMBER, over=WEEK),
    std(SCANS, GAP, by=MEMBER, over=WEEK),
    derived(
        "member_gap_variation_7d",
        quotient,
        "ratio",
        "How uneven the member's scans of the last 7 days follow each other: near 0 is a machine, 1 and more a person",
        of=("member_std_scan_gap_seconds_7d", "member_mean_scan_gap_seconds_7d"),
    ),
    *(
        count(
            SCANS,
            by=MEMBER,
            over=DAY,
            where=Where(GAP, "<", seconds, f"within_{seconds}s"),
            meaning=f"Scans of this member in the last day within {seconds} seconds of the one before",
        )
        for seconds in (5, 10)
    ),
    share(SCANS, by=MEMBER, over=DAYS_30, where=NIGHT, meaning="Share of the member's scans between 0 and 5 at night"),
    entropy(SCANS, "local_hour", by=MEMBER, over=DAYS_30),
    distinct(SCANS, "local_day", by=MEMBER, over=DAYS_30, meaning="Days of the last 30 on which the member scanned"),
    column("local_hour", "hour", "Hour of the scan on the clock of the campaign's own zone"),
    column("campaign_age_seconds", "seconds", "Seconds since the campaign began; the wool party comes early"),
)

PLACE = FeatureSet(
    distinct(SCANS, MEMBER, by=DEVICE, over=(DAY, WEEK, DAYS_30)),
    distinct(SCANS, DEVICE, by=MEMBER, over=(WEEK, DAYS_30)),
    distinct(SCANS, MEMBER, by=IP, over=(HOUR, DAY)),
    distinct(SCANS, MEMBER, by=IP24, over=DAY),
    distinct(SCANS, MEMBER, by=WIFI, over=WEEK),
    distinct(SCANS, IP, by=MEMBER, over=DAY),
    distinct(SCANS, AGENT, by=MEMBER, over=DAY, meaning="Different browsers of this member in the last day"),
    distinct(SCANS, AGENT, by=DEVICE, over=DAY, meaning="Different browsers of this device in the last day"),
    distinct(SCANS, "town", by=MEMBER, over=(DAY, WEEK)),
    count(SCANS, by=DEVICE, over=(HOUR, DAY, WEEK)),
    count(SCANS, by=IP, over=(MIN_5, HOUR, DAY)),
    share(SCANS, by=DEVICE, over=WEEK, where=FAILED),
    since(SCANS, by=DEVICE, meaning="Seconds since this device scanned before"),
    since(SCANS, by=DEVICE, first=True, meaning="Seconds since this device was first seen"),
    distinct(SCANS, MEMBER, by=IP, over=DAY, where=NEW),
    derived(
        "ip_new_member_share_1d",
        quotient,
        "share",
        "Share of the members seen at this address in the last day who had joined less than 7 days before their scan",
        of=("ip_distinct_member_new_member_1d", "ip_distinct_member_1d"),
    ),
    _burst("ip24", "this block of addresses"),
    _burst("cell", "this square kilometre"),
    _speed("member", "this member"),
    _speed("device", "this device"),
    _strayed("member", "this member"),
    _strayed("ip24", "this block of addresses"),
    silent=_silent(
        *(count(SCANS, by=by, over=(HOUR, DAYS_28)) for by in (IP24, CELL)),
        *_track(MEMBER),
        *_track(DEVICE),
        *_whereabouts(MEMBER),
        *_whereabouts(IP24),
        column("place", "code", "The scan's place as one number"),
        column("lat_e6", "micro-degrees", "The scan's latitude"),
        column("lon_e6", "micro-degrees", "The scan's longitude"),
    ),
)

CODES = FeatureSet(
    count(SCANS, by=CODE, over=LIFETIME, meaning="Scans of this code so far: a buyer's is the first"),
    distinct(SCANS, MEMBER, by=CODE, over=LIFETIME, cap=50),
    since(SCANS, by=CODE, first=True, meaning="Seconds since this code was first scanned"),
    _speed("code", "this code"),
    column("activation_lag_seconds", "seconds", "Seconds since the batch of the code was activated; null before that"),
    column("shipping_lag_seconds", "seconds", "Seconds since the batch left the plant; null before that"),
    column("batch_active", "flag", "1 when the batch of the code is active, 0 when it is not yet"),
    column("region_mismatch", "flag", "1 when the batch was sent to another region than the member's home city"),
    _strayed("batch", "this batch"),
    _strayed("batch_crate", "this code's crate"),
    _speed("batch_crate", "this code's crate"),
    count(SCANS, by=BATCH_CRATE, over=(HOUR, DAY)),
    since(SCANS, by=BATCH_CRATE, meaning="Seconds since a code of this code's crate was scanned"),
    derived(
        "member_serial_step",
        _step,
        "codes",
        "Steps from the member's last scanned serial of this batch: 1 is a roll of codes scanned in order",
        of=("serial", "member_batch_last_serial"),
    ),
    std(SCANS, "serial", by=MEMBER_BATCH, over=HOUR, meaning="How far apart the member's serials of this batch lie"),
    distinct(SCANS, BATCH, by=MEMBER, over=DAY),
    count(SCANS, by=MEMBER_BATCH, over=DAY),
    derived(
        "member_batch_share_1d",
        quotient,
        "share",
        "Share of the member's scans of the last day that were of this batch: a carton bought in one piece",
        of=("member_batch_scan_count_1d", "member_scan_count_1d"),
    ),
    entropy(SCANS, BATCH, by=MEMBER, over=DAY),
    count(SCANS, by=BATCH, over=(HOUR, DAY)),
    derived(
        "batch_scanned_share_1d",
        quotient,
        "share",
        "Scans of this batch in the last day for each of its codes: a leaked list empties it at once",
        of=("batch_scan_count_1d", "batch_codes"),
    ),
    count(SCANS, by=BATCH, over=HOUR, where=INACTIVE, meaning="Scans of this batch before activation in the last hour"),
    count(SCANS, by=IP, over=(MIN_5, HOUR), where=FORGED),
    entropy(SCANS, "product_id", by=MEMBER, over=WEEK),
    share(
        SCANS,
        by=MEMBER,
        over=WEEK,
        where=LINKED,
        meaning="Share of the member's scans of the last 7 days that were opened by a link and not a camera",
    ),
    silent=_silent(
        count(SCANS, by=MEMBER, over=DAY),
        last(SCANS, "serial", by=MEMBER_BATCH),
        *_track(CODE),
        *_whereabouts(BATCH),
        *_track(BATCH_CRATE),
        *_whereabouts(BATCH_CRATE),
        column("place", "code", "The scan's place as one number"),
        column("lat_e6", "micro-degrees", "The scan's latitude"),
        column("lon_e6", "micro-degrees", "The scan's longitude"),
        column("serial", "serial", "The code's place in its batch"),
        column("batch_codes", "codes", "Codes of the batch"),
    ),
)

ACCOUNT = FeatureSet(
    column("registration_age_seconds", "seconds", "Seconds since the member joined"),
    derived(
        "member_registration_to_scan_seconds",
        _registration_to_scan,
        "seconds",
        "Seconds from joining to the member's first scan, this one when it is the first: puppets scan at once",
        of=("registration_age_seconds", "member_scan_since_first"),
    ),
    since(SCANS, by=MEMBER, first=True, meaning="Seconds since the member's first scan"),
    count(REGISTRATIONS, by="phone_prefix", over=(DAY, WEEK)),
    count(REGISTRATIONS, by="referrer_id", over=WEEK, meaning="Members whom this one's referrer brought in a week"),
    count(REFERRALS, by=MEMBER, over=(WEEK, LIFETIME), where=CHILD),
    derived(
        "member_referral_branching",
        quotient,
        "ratio",
        "Members brought by those whom this member brought, for each of these: chains of puppets hardly branch",
        of=("member_referral_count_indirect_lifetime", "member_referral_count_direct_lifetime"),
    ),
    silent=_silent(count(REFERRALS, by=MEMBER, over=LIFETIME, where=GRANDCHILD)),
)

PRIZE = FeatureSet(
    sum_(SCANS, "prize_fen", by=MEMBER, over=(DAY, DAYS_30)),
    sum_(SCANS, "prize_fen", by=DEVICE, over=DAY),
    maximum(SCANS, "prize_fen", by=MEMBER, over=DAYS_30),
    count(SCANS, by=MEMBER, over=DAYS_30, where=WON),
    since(SCANS, by=MEMBER, where=WON, meaning="Seconds since the member last won"),
    derived(
        "member_luck_30d",
        _luck,
        "standard deviations",
        "Wins of the last 30 days beyond what the odds give, in standard deviations: someone knows which codes win",
        of=(
            "member_scan_count_winning_30d",
            "member_sum_prize_odds_e6_valid_30d",
            "member_sum_prize_variance_e6_valid_30d",
        ),
    ),
    sum_(PAYOUTS, "amount_fen", by=MEMBER, over=DAYS_30, meaning="Prize money paid out to the member in 30 days"),
    count(PAYOUTS, by=MEMBER, over=DAYS_30),
    distinct(PAYOUTS, "account_id", by=MEMBER, over=DAYS_30),
    since(PAYOUTS, by=MEMBER, meaning="Seconds since the member was last paid out"),
    derived(
        "member_prize_to_payout_seconds",
        _cash_out,
        "seconds",
        "Seconds from the member's latest prize to its payment, once it is paid: puppets cash out at once",
        of=("member_scan_since_winning", "member_payout_since"),
    ),
    silent=_silent(
        *(sum_(SCANS, f"prize_{what}_e6", by=MEMBER, over=DAYS_30, where=VALID) for what in ("odds", "variance"))
    ),
)


def _verdicts(by: str) -> tuple[Declared, ...]:
    """How those scans turned out of which the verdict is known; a verdict counts from when it landed."""
    entity = by.removesuffix("_id")
    whose = f"this {entity.replace('_', ' ')}"
    return (
        count(LABELS, by=by, over=DAYS_30, where=WOOL, meaning=f"Scans of {whose} found to be wool party in 30 days"),
        derived(
            f"{entity}_wool_rate_30d",
            _wool_rate,
            "share",
            f"Share of the verdicts on {whose} in 30 days that said wool party, drawn towards 1 in 20 when few",
            of=(f"{entity}_verdict_count_wool_30d", f"{entity}_verdict_count_30d"),
        ),
    )


RATES = FeatureSet(
    *(feature for by in JUDGED for feature in _verdicts(by)),
    silent=_silent(*(count(LABELS, by=by, over=DAYS_30) for by in JUDGED)),
)

SCAN = FeatureSet(TEMPO, PLACE, CODES, ACCOUNT, PRIZE, RATES)
"""All of them: groups A to E and G of the catalogue; the ring (F) is `features.ring`."""
