"""What the parts of the world hand to each other: flat records of whole numbers, before they become the tables' text.

Instants are microseconds since 1970 UTC. -1 stands for none. Members, devices, accounts and wireless networks are
numbers of one space each for the whole world; `data.world.identifiers` turns them into the ids of the tables.
"""

from __future__ import annotations

from typing import Final

import numpy as np

MEMBER: Final = np.dtype(
    [
        ("member", "i8"),
        ("registered_at", "i8"),
        ("referrer", "i8"),
        ("phone_prefix", "i4"),  # seven digits
        ("city", "i2"),
        ("channel", "i1"),
        ("opted_out", "?"),
        ("account", "i8"),  # where prizes are paid out to
        ("cash_out_fen", "i8"),  # balance from which they withdraw
        ("cash_out_us", "i8"),  # how long after reaching it
        ("family", "i1"),  # place in FAMILIES; 0 for honest people
        ("ring", "i4"),
        ("crowd", "i1"),  # place in CROWDS; 0 for nobody in particular
    ]
)

SCAN: Final = np.dtype(
    [
        ("number", "i8"),  # of the scan, given by its maker; says nothing of time
        ("at", "i8"),
        ("member", "i8"),
        ("device", "i8"),
        ("agent", "i4"),  # browser and phone model, a place in the catalogue of user agents
        ("wifi", "i8"),  # the network the phone would be on; which scans go over it is drawn for all alike at writing
        ("wifi_address", "u4"),  # IPv4 address seen when it does
        ("mobile_address", "u4"),  # and when it goes over the carrier
        ("lat", "f8"),  # true place, before the noise and the gaps of positioning
        ("lon", "f8"),
        ("batch", "i4"),  # -1 for a forged code
        ("serial", "i8"),  # place of the code in its batch, from 0; a random number for a forged code
        ("campaign", "i4"),
        ("linked", "?"),  # opened from a link, not by the camera
        ("family", "i1"),
        ("ring", "i4"),
        ("crowd", "i1"),
    ]
)

LINE: Final = np.dtype(
    [
        ("line", "i8"),
        ("order", "i8"),
        ("at", "i8"),
        ("member", "i8"),  # -1 for a shopper without a card
        ("store", "i4"),
        ("channel", "i1"),  # 0 pos, 1 mini_program
        ("product", "i4"),
        ("quantity", "i4"),
        ("amount_fen", "i8"),
        ("discount_fen", "i8"),
        ("coupon_discount_fen", "i8"),
        ("margin_fen", "i8"),
        ("offer", "i4"),
    ]
)

SEND: Final = np.dtype(
    [
        ("send", "i8"),
        ("at", "i8"),
        ("member", "i8"),
        ("offer", "i4"),
        ("campaign", "i4"),
        ("treated", "?"),
        ("propensity", "f8"),  # of the arm, given the offer; NaN where nobody logged it
        ("offer_propensity", "f8"),  # of the offer; NaN where it was chosen, not drawn
    ]
)

REDEMPTION: Final = np.dtype([("send", "i8"), ("at", "i8"), ("order", "i8")])

EFFECT: Final = np.dtype(
    [
        ("member", "i8"),
        ("offer", "i4"),
        ("buys_untreated", "f8"),  # chance of a purchase that the offer could change, in its window
        ("buys_treated", "f8"),
        ("redeems_treated", "f8"),  # chance of a redemption when sent
        ("margin_fen", "f8"),  # expected margin gained by sending, face value paid out taken off
        ("revealed_margin_fen", "f8"),  # the same for people of the same behaviour: all that tables could tell
        ("revealed_buys", "f8"),  # likewise of buys_treated less buys_untreated
    ]
)

FAMILIES: Final = (
    "honest",
    "device_farm",
    "rented_phones",
    "cap_resale",
    "leaked_codes",
    "referral_star",
    "bonus_hunters",
    "flash_bots",
    "cloned_codes",
    "store_clerks",
)

CROWDS: Final = (
    "none",
    "carrier_nat",
    "campus_wifi",
    "family_phone",
    "live_stream",
    "launch",
    "market_stall",
    "warehouse_staff",
    "heavy_fan",
    "changed_phone",
    "traveller",
)
