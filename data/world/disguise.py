"""From drafts to scans: the wool party's phones, browsers, lines and proxies, of the same world as everybody's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data.world.networks import SHOP
from data.world.records import SCAN

if TYPE_CHECKING:
    from data.world.city import City
    from data.world.networks import Networks
    from data.world.recruits import Recruits
    from data.world.supply import Supply
    from data.world.trade import Integers, Records


@dataclass(frozen=True)
class Disguise:
    """What a draft needs to become a scan.

    Attributes:
        recruits: The accounts, whose phones and homes these are.
        city: Where places lie.
        networks: Lines, carriers and phones.
        supply: Says which campaign a code falls under.
    """

    recruits: Recruits
    city: City
    networks: Networks
    supply: Supply

    def scans(self, generator: np.random.Generator, drafts: Records, family: int) -> Records:
        """SCAN records of drafts of one family, in their order; numbers are left at 0."""
        roster, at = self.recruits.roster, drafts["at"]
        made = np.zeros(drafts.size, SCAN)
        town = self.city.nearest_city(drafts["lat"], drafts["lon"])
        device = self.recruits.device_at(drafts["phone"], at)
        made["at"], made["device"] = at, device
        made["member"] = roster["member"][drafts["account"]]
        made["ring"] = roster["ring"][drafts["account"]]
        made["family"] = family
        made["agent"] = self.networks.agent(device, at)
        made["mobile_address"] = self.networks.mobile(device, town, at)
        made["wifi_address"] = made["mobile_address"]
        self._lines(generator, drafts, device, made)
        for name in ("lat", "lon", "batch", "serial", "linked"):
            made[name] = drafts[name]
        made["campaign"] = np.where(
            drafts["campaign"] >= 0,
            drafts["campaign"],
            self.supply.campaign_of(drafts["batch"], town, at, drafts["linked"]),
        )
        return made

    def _lines(self, generator: np.random.Generator, drafts: Records, device: Integers, made: Records) -> None:
        """Networks in reach: the home's, the shop's, or a stranger's home that a proxy borrows for the way out."""
        roster, at = self.recruits.roster, drafts["at"]
        made["wifi"] = self.networks.around(drafts["lat"], drafts["lon"])
        home = drafts["line"] >= 0
        whose = drafts["line"][home]
        household, town = self.recruits.households[whose], roster["city"][whose].astype(np.int64)
        made["wifi"][home], made["wifi_address"][home] = self.networks.home(household, town, at[home])
        shop = drafts["store"] >= 0
        number = drafts["store"][shop].astype(np.int64)
        made["wifi"][shop], made["wifi_address"][shop] = self.networks.venue(SHOP, number, device[shop], at[shop])
        proxied = drafts["proxied"]
        town = roster["city"][drafts["account"][proxied]].astype(np.int64)
        borrowed = self.networks.proxy(generator, town, at[proxied])
        made["wifi_address"][proxied] = borrowed
        made["mobile_address"][proxied] = borrowed
