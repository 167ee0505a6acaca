"""What a risk and coupon engine ought to know, item by item, and which feature says it or why none does yet.

The items are those that practice on promotion fraud and on retail loyalty has found worth computing. One that needs an
operator, a column or a table that we lack is not built, and says so; where something near it is, that is named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Built:
    """An item that features answer.

    Attributes:
        number: The item's number.
        item: What it is.
        features: Which features answer it; for a whole family one member of it.
        unlike: Where they differ from the item; empty where they do not.
    """

    number: int
    item: str
    features: tuple[str, ...]
    unlike: str = ""


@dataclass(frozen=True)
class NotBuilt:
    """An item that no feature answers.

    Attributes:
        number: The item's number.
        item: What it is.
        reason: What it needs that we lack.
        near: Features that say something like it.
    """

    number: int
    item: str
    reason: str
    near: tuple[str, ...] = ()


_NO_RUNS: Final = "needs an operator over runs of consecutive events (visits, serials)"
_NO_MEDIAN: Final = "needs a median, which has no exact state of bounded size"
_NO_HOURLY: Final = "the ratio to the usual hour, not the deviation from it: no operator over hourly counts"
_RING_EDGES: Final = "joined by device and payee; not by address, wireless network or referrer"

BUILT: Final = (
    Built(1, "scans of a member", ("member_scan_count_5m", "member_scan_count_1h", "member_scan_count_7d")),
    Built(2, "first valid scans", ("member_scan_count_valid_1d", "member_scan_count_valid_30d")),
    Built(3, "share of failed scans", ("member_scan_share_failed_1h", "member_scan_share_failed_7d")),
    Built(4, "time since the scan before", ("member_scan_since",)),
    Built(5, "shortest gap", ("member_min_scan_gap_seconds_1d",)),
    Built(6, "evenness of gaps", ("member_gap_variation_7d",)),
    Built(7, "gaps of seconds", ("member_scan_count_within_5s_1d", "member_scan_count_within_10s_1d")),
    Built(9, "share of night scans", ("member_scan_share_night_30d",)),
    Built(10, "spread over hours of the day", ("member_entropy_local_hour_30d",)),
    Built(11, "active days", ("member_distinct_local_day_30d",)),
    Built(13, "time since the campaign began", ("campaign_age_seconds",)),
    Built(14, "members of a device", ("device_distinct_member_1d", "device_distinct_member_30d")),
    Built(15, "devices of a member", ("member_distinct_device_7d", "member_distinct_device_30d")),
    Built(16, "members of an address", ("ip_distinct_member_1h", "ip_distinct_member_1d")),
    Built(17, "rush from an address block", ("ip24_burst_1h",), _NO_HOURLY),
    Built(18, "share of new members at an address", ("ip_new_member_share_1d",)),
    Built(19, "addresses of a member", ("member_distinct_ip_1d",)),
    Built(20, "members of a wireless network", ("wifi_distinct_member_7d",)),
    Built(22, "age of a device", ("device_scan_since_first",)),
    Built(24, "changing browsers", ("member_distinct_user_agent_1d", "device_distinct_user_agent_1d")),
    Built(25, "speed from the scan before", ("member_kmh", "device_kmh")),
    Built(26, "towns of a member", ("member_distinct_town_1d", "member_distinct_town_7d"), "squares of 11 km"),
    Built(27, "distance from home", ("member_usual_km",), "from the mean of 30 days' places, not their median"),
    Built(28, "rush from a square kilometre", ("cell_burst_1h",), _NO_HOURLY),
    Built(29, "place of the address against place of the phone", ("ip24_usual_km",), "learned from the block's scans"),
    Built(30, "scans of the code before", ("code_scan_count_lifetime",)),
    Built(31, "members of the code", ("code_distinct_member_lifetime",), "stops at 50"),
    Built(32, "time since the code's first scan", ("code_scan_since_first",)),
    Built(34, "time since activation", ("activation_lag_seconds", "batch_active"), "null before activation"),
    Built(35, "time since shipping", ("shipping_lag_seconds",), "null before shipping"),
    Built(36, "wrong region", ("region_mismatch", "batch_usual_km")),
    Built(39, "batches of a member", ("member_distinct_batch_1d",)),
    Built(40, "share of one batch", ("member_batch_share_1d", "member_entropy_batch_1d"), "of this scan's batch"),
    Built(41, "rate at which a batch is scanned", ("batch_scanned_share_1d",), "not set against its product's others"),
    Built(42, "tries before activation", ("batch_scan_count_inactive_1h",)),
    Built(43, "forged codes from an address", ("ip_scan_count_forged_5m", "ip_scan_count_forged_1h")),
    Built(44, "spread over products", ("member_entropy_product_7d",)),
    Built(45, "share opened by link", ("member_scan_share_linked_7d",)),
    Built(46, "age of the account", ("registration_age_seconds",)),
    Built(47, "joining to first scan", ("member_registration_to_scan_seconds",)),
    Built(48, "joinings of like phone numbers", ("phone_prefix_registration_count_1d",)),
    Built(49, "members brought", ("member_referral_count_direct_7d", "referrer_registration_count_7d")),
    Built(51, "branching of referrals", ("member_referral_branching",)),
    Built(53, "prize money", ("member_sum_prize_fen_1d", "member_sum_prize_fen_30d")),
    Built(54, "luck against the odds", ("member_luck_30d",)),
    Built(56, "prize to payment", ("member_prize_to_payout_seconds",)),
    Built(59, "size of the ring", ("member_ring_members", "device_ring_devices", "member_ring_accounts"), _RING_EDGES),
    Built(60, "density of the ring", ("member_ring_density", "device_ring_density")),
    Built(61, "share of new members in the ring", ("member_ring_new_share_7d",), "new to the network, not registered"),
    Built(62, "growth of the ring", ("member_ring_recent_members_1d", "member_ring_growth_1d")),
    Built(64, "verdicts landed in the ring", ("member_ring_wool_share", "member_ring_wool_members")),
    Built(66, "delayed rate of wool party", ("device_wool_rate_30d", "ip24_wool_rate_30d", "user_agent_wool_rate_30d")),
    Built(67, "recency", ("member_basket_since", "member_scan_since"), "in seconds"),
    Built(68, "frequency", ("member_basket_count_30d", "member_basket_count_365d")),
    Built(69, "money", ("member_sum_amount_fen_30d", "member_mean_amount_fen_365d")),
    Built(
        70,
        "time between purchases",
        ("member_mean_basket_gap_seconds_lifetime", "member_std_basket_gap_seconds_lifetime"),
    ),
    Built(71, "recency over cadence", ("member_recency_over_cadence",)),
    Built(72, "tenure", ("member_basket_since_first",)),
    Built(73, "rate of redemption", ("member_redemption_rate",), "over all time"),
    Built(74, "offers left unused", ("member_offer_fatigue_14d",)),
    Built(75, "share at full price", ("member_order_line_share_discounted_90d",), "its complement"),
    Built(76, "trend of frequency", ("member_frequency_trend",)),
    Built(77, "spread over categories", ("member_entropy_category_90d",), "over 90 and 365 days"),
    Built(78, "size of the basket", ("member_mean_amount_fen_90d",)),
)

NOT_BUILT: Final = (
    NotBuilt(8, "scans of the visit so far", _NO_RUNS, ("member_scan_count_5m", "member_scan_count_1h")),
    NotBuilt(12, "busiest five minutes of a week", "needs a window of windows", ("member_min_scan_gap_seconds_1d",)),
    NotBuilt(21, "address of a data centre", "needs a list of such addresses, which no table of a brand holds"),
    NotBuilt(23, "device tokens that fail", "no table holds a device token or its check"),
    NotBuilt(
        33,
        "highest speed between a code's scans ever",
        "needs an operator over pairs of consecutive events; the speed to this scan is there",
        ("code_kmh",),
    ),
    NotBuilt(37, "longest run of consecutive serials", _NO_RUNS, ("member_serial_step",)),
    NotBuilt(38, "median step between serials", _NO_MEDIAN, ("member_serial_step", "member_batch_std_serial_1h")),
    NotBuilt(50, "depth in the tree of referrals", "needs a walk up the tree of any length"),
    NotBuilt(52, "brought members on a shared device", "needs two look-ups, by referrer and then by device"),
    NotBuilt(55, "median time from issue to redemption", f"{_NO_MEDIAN}; prizes have no redemption of their own"),
    NotBuilt(57, "members of a payee", "a scan names no payee; the ring joins members by payee"),
    NotBuilt(58, "visits with nothing but a prize", _NO_RUNS),
    NotBuilt(
        63,
        "members on the same batch and address block within five minutes",
        "needs an operator over the events of two keys at once",
        ("ip24_distinct_member_1d", "member_batch_share_1d"),
    ),
    NotBuilt(
        65, "k-core of the ring", "needs edges to be taken away, which a union-find cannot", ("member_ring_density",)
    ),
)
