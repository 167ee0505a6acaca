"""Codes of reasons: the same word for the same kind of evidence, whatever version of a model gives it.

A code is a promise to whoever counts reasons or answers shoppers by them: a golden file of the tests holds every
feature to the code it once had. Features are many and come and go; codes are few and stay.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Final

OTHER: Final = "OTHER"
"""Of a feature that no family claims, such as a column of a task from outside."""

FAMILIES: Final = (
    ("*redemption*", "COUPON_HABIT"),
    ("*coupon*", "COUPON_HABIT"),
    ("*offer*", "OFFER_FIT"),
    ("campaign_send_count", "CAMPAIGN"),
    ("*_send_*", "OFFERS_SENT"),
    ("campaign_days", "CAMPAIGN"),
    ("*basket*", "PURCHASE_HABIT"),
    ("*order_line*", "PURCHASE_HABIT"),
    ("*_sum_amount_fen_*", "PURCHASE_HABIT"),
    ("*_mean_amount_fen_*", "PURCHASE_HABIT"),
    ("*_entropy_category_*", "PURCHASE_HABIT"),
    ("*_recency_*", "PURCHASE_HABIT"),
    ("*_frequency_*", "PURCHASE_HABIT"),
    ("*_ring_members", "RING_SIZE"),
    ("*_ring_devices", "RING_SIZE"),
    ("*_ring_accounts", "PAYEE_SHARED"),
    ("*_ring_edges", "RING_SIZE"),
    ("*_ring_density", "RING_DENSE"),
    ("*_ring_recent_*", "RING_GROWTH"),
    ("*_ring_growth_*", "RING_GROWTH"),
    ("*_ring_new_share_*", "RING_GROWTH"),
    ("*_ring_*verdicts", "RING_KNOWN_WOOL"),
    ("*_ring_wool_*", "RING_KNOWN_WOOL"),
    ("*_verdict_count_wool_*", "PAST_VERDICTS"),
    ("*_wool_rate_*", "PAST_VERDICTS"),
    ("*_distinct_payout_account_*", "PAYEE_MANY"),
    ("*payout*", "CASH_OUT"),
    ("device_distinct_member_*", "SHARED_DEVICE"),
    ("member_distinct_device_*", "MANY_DEVICES"),
    ("*_distinct_user_agent_*", "BROWSER_CHANGES"),
    ("ip*_distinct_member_*", "SHARED_ADDRESS"),
    ("wifi_distinct_member_*", "SHARED_ADDRESS"),
    ("member_distinct_ip_*", "MANY_ADDRESSES"),
    ("member_distinct_town_*", "MANY_TOWNS"),
    ("ip_new_member_share_*", "NEW_ACCOUNTS"),
    ("*_burst_*", "BURST"),
    ("*_kmh", "IMPOSSIBLE_SPEED"),
    ("batch_usual_km", "FAR_FROM_BATCH"),
    ("batch_crate_usual_km", "FAR_FROM_BATCH"),
    ("batch_crate_scan*", "BATCH_LEAK"),
    ("*_usual_km", "UNUSUAL_PLACE"),
    ("code_*", "CODE_REUSED"),
    ("activation_lag_seconds", "BEFORE_ACTIVATION"),
    ("batch_active", "BEFORE_ACTIVATION"),
    ("batch_scan_count_inactive_*", "BEFORE_ACTIVATION"),
    ("shipping_lag_seconds", "BEFORE_SHIPPING"),
    ("region_mismatch", "WRONG_REGION"),
    ("member_serial_step", "SERIAL_RUN"),
    ("member_batch_*", "SERIAL_RUN"),
    ("*_entropy_batch_*", "SERIAL_RUN"),
    ("*_distinct_batch_*", "MANY_BATCHES"),
    ("batch_scan*", "BATCH_LEAK"),
    ("*_scan_count_forged_*", "FORGED_CODES"),
    ("*_share_failed_*", "FAILED_CODES"),
    ("*_share_linked_*", "OPENED_BY_LINK"),
    ("*_entropy_product_*", "PRODUCT_HABIT"),
    ("*_registration_count_*", "REGISTRATION_FAN"),
    ("*_referral_*", "REFERRAL_FAN"),
    ("registration_age_seconds", "NEW_ACCOUNT"),
    ("*_registration_to_scan_seconds", "NEW_ACCOUNT"),
    ("member_scan_since_first", "NEW_ACCOUNT"),
    ("device_scan_since_first", "NEW_DEVICE"),
    ("*_prize_fen_*", "PRIZES_WON"),
    ("*_winning*", "PRIZES_WON"),
    ("*_luck_*", "TOO_LUCKY"),
    ("*_night_*", "NIGHT"),
    ("*local_hour*", "HOUR_OF_DAY"),
    ("*_distinct_local_day_*", "DAYS_ACTIVE"),
    ("*_gap_*", "MACHINE_RHYTHM"),
    ("*_within_*", "MACHINE_RHYTHM"),
    ("campaign_age_seconds", "CAMPAIGN_START"),
    ("member_scan_*", "TEMPO_OF_MEMBER"),
    ("device_scan_*", "TEMPO_OF_DEVICE"),
    ("ip_scan_*", "TEMPO_OF_ADDRESS"),
    ("sales_floor_m2", "SHOP"),
    ("is_format_*", "SHOP"),
    ("huff_*", "MARKET_SHARE"),
    ("own_*", "OWN_STORES_NEARBY"),
    ("rival_*", "RIVALS_NEARBY"),
    ("transit_*", "TRANSIT_NEARBY"),
    ("place_*", "SURROUNDINGS"),
    ("jensen_*", "SURROUNDINGS"),
    ("*0m_365d", "MEMBERS_NEARBY"),
    ("population_*", "LOCAL_DEMAND"),
    ("income_*", "LOCAL_DEMAND"),
    ("*_decayed_*", "LOCAL_DEMAND"),
)
"""The first pattern that a name fits gives its code."""


def reason_code(feature: str) -> str:
    """The code of a feature by its name.

    >>> reason_code("device_distinct_member_7d"), reason_code("batch_usual_km"), reason_code("tariff")
    ('SHARED_DEVICE', 'FAR_FROM_BATCH', 'OTHER')
    """
    return next((code for pattern, code in FAMILIES if fnmatchcase(feature, pattern)), OTHER)
