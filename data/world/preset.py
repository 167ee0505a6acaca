"""The presets: every parameter of a world under one name, frozen by its fingerprint.

A model may only be fitted on a world whose parameters no longer change: a test holds each fingerprint, and a change of
any number makes a new name.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from data.world.almanac import AlmanacSettings
from data.world.campaigns import CampaignSettings
from data.world.city import CitySettings
from data.world.codes import CodeSettings
from data.world.cover import CoverSettings
from data.world.defence import NaiveSettings
from data.world.families.flash_bots import overrun
from data.world.honest import HonestSettings
from data.world.journal import JournalSettings
from data.world.life import LifeSettings
from data.world.networks import NetworkSettings
from data.world.people import PeopleSettings
from data.world.products import ProductSettings
from data.world.rings import WoolSettings
from data.world.shelf import ShelfSettings

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Preset:
    """All parameters of a world but its size and its seed; each area's module says where its own come from.

    Attributes:
        name: As `--preset` names it.
        almanac: Days and weather.
        city: The cities.
        people: Who the members are.
        products: The range.
        life: What honest people buy, and what coupons do.
        campaigns: Prizes and flash sales.
        codes: What is printed and how it gets into hands.
        networks: Addresses and phones.
        honest: What honest people scan, the guilty-looking crowds among them.
        wool: The wool party.
        cover: Who of it shops as others do.
        rules: The limits that block scans in a world that adapts, unless the caller has a better judge.
        shelf: Which codes can be had before they are sold.
        journal: What reaches the brand, and its risk desk.
        seeds: Of the worlds that published figures are of.
    """

    name: str
    almanac: AlmanacSettings = field(default_factory=AlmanacSettings)
    city: CitySettings = field(default_factory=CitySettings)
    people: PeopleSettings = field(default_factory=PeopleSettings)
    products: ProductSettings = field(default_factory=ProductSettings)
    life: LifeSettings = field(default_factory=LifeSettings)
    campaigns: CampaignSettings = field(default_factory=CampaignSettings)
    codes: CodeSettings = field(default_factory=CodeSettings)
    networks: NetworkSettings = field(default_factory=NetworkSettings)
    honest: HonestSettings = field(default_factory=HonestSettings)
    wool: WoolSettings = field(default_factory=WoolSettings)
    cover: CoverSettings = field(default_factory=CoverSettings)
    rules: NaiveSettings = field(default_factory=NaiveSettings)
    shelf: ShelfSettings = field(default_factory=ShelfSettings)
    journal: JournalSettings = field(default_factory=JournalSettings)
    seeds: tuple[int, ...] = (1, 2, 3)


def fingerprint(preset: Preset) -> str:
    """The sha256 of all parameters, written as JSON with sorted names; 64 hexadecimal digits.

    Floats are written shortest, so that equal numbers give equal text on every machine.
    """
    told = json.dumps(asdict(preset), sort_keys=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(told.encode()).hexdigest()


def _with_alignment(preset: Preset, alignment: float) -> Preset:
    coupons = preset.life.coupons
    effects = replace(coupons.effects, alignment=alignment)
    return replace(preset, life=replace(preset.life, coupons=replace(coupons, effects=effects)))


def _with_overrun_sales(preset: Preset) -> Preset:
    requests = 1.0 + preset.honest.gatherings.requests
    trades = replace(preset.wool.trades, flash_bots=overrun(requests))
    return replace(preset, wool=replace(preset.wool, trades=trades))


_V1: Final = Preset("world/v1")

PRESETS: Final[Mapping[str, Preset]] = MappingProxyType(
    {
        preset.name: preset
        for preset in (
            _V1,
            _with_alignment(replace(_V1, name="world/v1-aligned"), 1.0),
            _with_alignment(replace(_V1, name="world/v1-opposed"), -1.0),
            _with_overrun_sales(replace(_V1, name="flash/v1")),
        )
    }
)
"""`world/v1`, in which who redeems says nothing of whom a coupon wins; `-aligned` and `-opposed`, in which it says the
same and the opposite; and `flash/v1`, in which nearly all requests of a flash sale come from bots."""
