"""One world put together from its preset: what exists before anybody does anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from data.world.almanac import draw_almanac
from data.world.brand_table import batch_columns, campaign_columns
from data.world.campaigns import Campaigns
from data.world.city import City
from data.world.codes import CodeBook
from data.world.coupons import coupon_campaigns
from data.world.crowds import member_crowds
from data.world.intents import Scene
from data.world.life import Shopping
from data.world.networks import Networks
from data.world.offers import offer_table
from data.world.people import BLOCK, People, draw_people
from data.world.products import draw_products
from data.world.rings import Surroundings, WoolParty
from data.world.scan_table import Names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from data.world.preset import Preset
    from data.world.request import Request


@dataclass(frozen=True)
class World:
    """Everything that is settled before the first day.

    Attributes:
        preset: Its parameters.
        request: Its size and its seed.
        shopping: Its days, its products and its stores.
        coupons: Records of `COUPON_CAMPAIGN`, numbered after the campaigns of the scene.
        scene: Its cities, codes, campaigns and networks.
        party: Its wool party.
    """

    preset: Preset
    request: Request
    shopping: Shopping
    coupons: NDArray[Any]
    scene: Scene
    party: WoolParty

    @classmethod
    def of(cls, preset: Preset, request: Request) -> World:
        """The world of a preset in the size asked for."""
        size = (request.members, request.days, request.seed)
        city = City(preset.city, request.seed)
        products = draw_products(preset.products, request.seed)
        campaigns = Campaigns(preset.campaigns, city, products, *size)
        codes = CodeBook(preset.codes, city, products, campaigns, *size)
        networks = Networks(preset.networks, city, *size)
        scene = Scene(city, codes, campaigns, networks, *size)
        friends = _honest(preset, request, city, 0).members
        around = Surroundings(preset.people, city, codes, campaigns, networks, friends)
        return cls(
            preset=preset,
            request=request,
            shopping=Shopping(
                city=city,
                almanac=draw_almanac(preset.almanac, request.days, city.city_lat, request.seed),
                products=products,
                campaigns_offset=len(campaigns.rows),
                seed=request.seed,
            ),
            coupons=coupon_campaigns(preset.life.coupons, request.days, len(campaigns.rows)),
            scene=scene,
            party=WoolParty(preset.wool, request, around, request.seed),
        )

    @property
    def blocks(self) -> int:
        """In how many blocks the honest members live."""
        return self.scene.codes.blocks

    def people(self, block: int) -> People:
        """The honest members of a block, with the crowd that each belongs to."""
        people = _honest(self.preset, self.request, self.scene.city, block)
        people.members["crowd"] = member_crowds(self.preset.honest.crowds, people, self.request.seed)
        return people

    def lasting_tables(self) -> Mapping[str, Mapping[str, pa.Array[Any]]]:
        """The tables of lasting facts, those of the cities aside: products, campaigns, batches, offers and weather."""
        seed, city, campaigns = self.request.seed, self.scene.city, self.scene.campaigns
        products = _columns(self.shopping.products.table(seed))
        batches = self.scene.codes.batches
        return {
            "products": products,
            "campaigns": campaign_columns(seed, campaigns.rows, self.coupons),
            "batches": batch_columns(seed, batches, products=products["product_id"], regions=pa.array(city.cities)),
            "offers": _columns(offer_table(self.preset.life.coupons, self.shopping.products, self.request.days, seed)),
            "weather": _columns(self.shopping.almanac.weather(city.cities)),
        }

    def names(self, tables: Mapping[str, Mapping[str, pa.Array[Any]]]) -> Names:
        """What scans call things, out of the tables of lasting facts."""
        return Names.of(
            self.request.seed,
            batches=pa.table(dict(tables["batches"])),
            product_of=self.scene.codes.batches["product"],
            products=pa.table(dict(tables["products"])),
            campaigns=pa.table(dict(tables["campaigns"])),
            agents=self.scene.networks.agent_texts(),
        )


def _honest(preset: Preset, request: Request, city: City, block: int) -> People:
    numbers = range(block * BLOCK, min((block + 1) * BLOCK, request.members))
    return draw_people(preset.people, city, request.days, request.seed, "honest", block, numbers)


def _columns(table: pa.Table) -> dict[str, pa.Array[Any]]:
    return {name: table[name].combine_chunks() for name in table.column_names}
