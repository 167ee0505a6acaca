"""Where scans come from on the network: homes, carriers, campuses, shops and depots, and the phones themselves.

Home lines change their address now and then; a carrier puts thousands of phones of a city behind one address; campuses
and shops share a few. Every address is a /24 that hangs on its place in the network and a last part, both taken from
one mix of the ranges in use, so that the digits of an address tell nothing of its kind, its city or its user.
Everything here hangs on numbers (`data.world.hashes`): two parts of the world that meet the same line at the same
moment see the same address without asking each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from data.world.almanac import DAY_US, START_US
from data.world.hashes import below, hashed, uniform

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data.world.city import City

HOME, CAMPUS, SHOP, DEPOT, MARKET, PUBLIC = range(6)
_KIND_BITS: Final = 44
_OPEN: Final = 1 << 40
_OPEN_DEGREES: Final = 0.001
_FIRST_OCTETS: Final = np.r_[
    1, 14, 27, 36, 39, 42, 49, 58:62, 101, 106, 110:126, 139, 140, 144, 171, 175, 220:224
].astype(np.uint64)


@dataclass(frozen=True)
class NetworkSettings:
    """How the networks of a country are cut; assumed unless said otherwise.

    Attributes:
        shortest_days: Shortest life of a home line's address, longest_days the longest; log-uniform between them.
        longest_days: See shortest_days.
        lines_a_node: Home lines of one access node, which share its /24 blocks.
        blocks_a_node: How many blocks that are.
        shared_lines: Share of home lines behind an address shared with neighbours, as where a provider saves on them.
        phones_an_address: Members behind one mobile address of a city, by carriers' address translation: some thousand
            phones, a percent of them of members (assumed; set by the crowding of addresses in `benchmarks.margins`).
        mobile_hours: How long a phone keeps its mobile address, on average.
        crowding: The carrier with the fewest addresses has one for so many of the others'.
        venue_addresses: Outgoing addresses of a campus, a shop, a depot, a market and a public place.
        models: Phone models in use, Zipf by rank.
        zipf: Exponent of that rank.
        release_days: Days between versions of the app.
        releases: Versions that came out before the world starts and are still in use.
        laggards: Share of phones that never update.
    """

    shortest_days: float = 2.0
    longest_days: float = 90.0
    lines_a_node: int = 150
    blocks_a_node: int = 6
    shared_lines: float = 0.12
    phones_an_address: int = 40
    mobile_hours: float = 10.0
    crowding: int = 8
    venue_addresses: tuple[int, ...] = (1, 6, 1, 1, 1, 2)
    models: int = 240
    zipf: float = 0.85
    release_days: int = 21
    releases: int = 4
    laggards: float = 0.08


class Networks:
    """The networks and phones of one world.

    Args:
        settings: How they are cut.
        city: The cities; their share of people sizes their carriers.
        members: Honest members.
        days: Length of the world.
        seed: Seed of the world.
    """

    def __init__(self, settings: NetworkSettings, city: City, members: int, days: int, seed: int) -> None:
        self.settings = settings
        self._seed = seed
        self._members = members
        people = city.city_share / city.city_share.sum() * members
        self._nodes = np.maximum(1, np.ceil(people / 2.2 / settings.lines_a_node)).astype(np.int64)
        self._mobile_pool = np.maximum(3, np.ceil(people / settings.phones_an_address)).astype(np.int64)
        self._versions = settings.releases + days // settings.release_days + 1

    def home(
        self, household: NDArray[Any], city: NDArray[Any], at: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
        """Wireless network and address of a home at a moment.

        Any household number has a home line with the same chances, so a ring's house is like everybody's.
        """
        return wifi_number(HOME, household), self._line(household, city, at)

    def around(self, lat: NDArray[np.float64], lon: NDArray[np.float64]) -> NDArray[np.int64]:
        """The open wireless network in reach of places that have none of their own, degrees.

        There is one everywhere, so that whether a scan names a network never tells who scans.
        """
        row = np.floor((lat + 90.0) / _OPEN_DEGREES).astype(np.int64)
        column = np.floor((lon + 180.0) / _OPEN_DEGREES).astype(np.int64)
        return wifi_number(PUBLIC, _OPEN + (row << 19) + column)

    def venue(
        self, kind: int, number: NDArray[Any], device: NDArray[Any], at: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
        """Wireless network and address of a phone at a campus, shop, depot, market or public place.

        Args:
            kind: CAMPUS, SHOP, DEPOT, MARKET or PUBLIC.
            number: Which of its kind, such as the store.
            device: The phone; it keeps its address of the place's few for a day.
            at: When.
        """
        seed, addresses = self._seed, self.settings.venue_addresses[kind]
        life = _log_uniform(self.settings, uniform(seed, "venue life", kind, number))
        lease = _epoch(at, life, uniform(seed, "venue phase", kind, number))
        chosen = below(seed, "venue address", addresses, device, at // DAY_US)
        block = hashed(seed, "venue block", kind, number, lease)
        return wifi_number(kind, number), _address(block, hashed(seed, "venue host", kind, number, lease, chosen))

    def mobile(
        self,
        device: NDArray[Any],
        city: NDArray[Any],
        at: NDArray[np.int64],
        crowded: NDArray[np.bool_] | bool = False,  # noqa: FBT001, FBT002
    ) -> NDArray[np.uint32]:
        """Address behind which the carrier of a city hides a phone at a moment, with thousands of others.

        Args:
            device: The phone.
            city: Where it is.
            at: When.
            crowded: Whether its carrier has few addresses in the city for all of its customers, as small ones do.
        """
        life = np.full(len(at), self.settings.mobile_hours / 24)
        lease = _epoch(at, life, uniform(self._seed, "mobile phase", device))
        pool = self._mobile_pool[city]
        pool = np.where(crowded, np.maximum(1, pool // self.settings.crowding), pool)
        return self.gateway(below(self._seed, "gateway", pool, device, lease), city, at)

    def gateway(self, gateway: NDArray[Any], city: NDArray[Any], at: NDArray[np.int64]) -> NDArray[np.uint32]:
        """Address of one of a city's carrier gateways at a moment; they move every few weeks."""
        lease = _epoch(at, np.full(len(at), 24.0), uniform(self._seed, "gateway phase", city, gateway))
        block = hashed(self._seed, "gateway block", city, gateway // 16, lease)
        return _address(block, hashed(self._seed, "gateway host", city, gateway, lease))

    def proxy(self, generator: np.random.Generator, city: NDArray[Any], at: NDArray[np.int64]) -> NDArray[np.uint32]:
        """Addresses of strangers' homes in a city, as sellers of residential proxies rent them out."""
        # Most of the homes are those of people who are not members.
        stranger = generator.integers(0, 4 * self._members, len(at))
        return self._line(stranger, city, at)

    def agent(self, device: NDArray[Any], at: NDArray[np.int64]) -> NDArray[np.int32]:
        """The user agent of a phone at a moment: its model for life, the app's version as the phone updates."""
        model = self._model(device)
        late = uniform(self._seed, "update lag", device)
        days = (np.asarray(at) - START_US) / DAY_US - 20.0 * late**2
        newest = self.settings.releases - 1 + np.floor(days / self.settings.release_days)
        stuck = uniform(self._seed, "laggard", device)
        oldest = np.floor(stuck / self.settings.laggards * self.settings.releases)
        version = np.where(stuck < self.settings.laggards, oldest, newest)
        version = np.clip(version, 0, self._versions - 1)
        system = np.floor(3 * uniform(self._seed, "system", device))
        number: NDArray[np.int32] = ((model * 3 + system) * self._versions + version).astype(np.int32)
        return number

    def agent_texts(self) -> tuple[str, ...]:
        """The user agent of each number that `agent` gives, in order."""
        texts = []
        for model in range(self.settings.models):
            maker, name, base = _phone(self._seed, model)
            for system in range(3):
                phone = f"{maker} {base + system}; {name}"
                texts += [
                    f"Mozilla/5.0 ({phone}) ScanToWin/{6 + version // 10}.{version % 10}"
                    for version in range(self._versions)
                ]
        return tuple(texts)

    def _model(self, device: NDArray[Any]) -> NDArray[np.float64]:
        weights = np.arange(1, self.settings.models + 1, dtype=np.float64) ** -self.settings.zipf
        steps = np.cumsum(weights) / weights.sum()
        rank = np.searchsorted(steps, uniform(self._seed, "model", device), side="right")
        return np.minimum(rank, self.settings.models - 1).astype(np.float64)

    def _line(self, household: NDArray[Any], city: NDArray[Any], at: NDArray[np.int64]) -> NDArray[np.uint32]:
        seed = self._seed
        life = _log_uniform(self.settings, uniform(seed, "line life", household))
        lease = _epoch(at, life, uniform(seed, "line phase", household))
        node = below(seed, "node", self._nodes[city], household)
        block = below(seed, "node block", self.settings.blocks_a_node, household, lease)
        shared = uniform(seed, "shared line", household) < self.settings.shared_lines
        host = np.where(
            shared,
            hashed(seed, "shared host", city, node, household % 4, lease // 4),
            hashed(seed, "line host", household, lease),
        )
        return _address(hashed(seed, "home block", city, node, np.where(shared, 0, block)), host)


def wifi_number(kind: int, number: NDArray[Any]) -> NDArray[np.int64]:
    """Number of a wireless network in the one space that SCAN records use."""
    made: NDArray[np.int64] = np.asarray(number, np.int64) + (np.int64(kind) << np.int64(_KIND_BITS))
    return made


def _address(block: NDArray[np.uint64], host: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """A /24 of the mix and a host of 1..254 in it."""
    first = _FIRST_OCTETS[((block >> np.uint64(16)) % np.uint64(len(_FIRST_OCTETS))).astype(np.intp)]
    network = (first << np.uint64(16)) | (block & np.uint64(0xFFFF))
    made: NDArray[np.uint32] = ((network << np.uint64(8)) | (host % np.uint64(254) + np.uint64(1))).astype(np.uint32)
    return made


def _epoch(at: NDArray[np.int64], life_days: NDArray[np.float64], phase: NDArray[np.float64]) -> NDArray[np.int64]:
    """Which lease of an address a moment falls in, for leases of a length and a phase of their own."""
    return np.floor((np.asarray(at) - START_US) / (life_days * DAY_US) + phase).astype(np.int64)


def _log_uniform(settings: NetworkSettings, draw: NDArray[np.float64]) -> NDArray[np.float64]:
    span = np.log(settings.longest_days / settings.shortest_days)
    return np.asarray(settings.shortest_days * np.exp(span * draw), np.float64)


def _phone(seed: int, model: int) -> tuple[str, str, int]:
    """System, model name and oldest system version of one phone model; made up, in the shape of real ones."""
    drawn = int(hashed(seed, "phone model", model)[0])
    letters = "ABCDEFGHKLMNPRSTVX"
    name = f"{letters[drawn % 18]}{letters[drawn // 18 % 18]}-{letters[drawn // 324 % 18]}{drawn // 5832 % 900 + 100}"
    return ("iPhone OS", name, 15) if drawn // 7 % 9 == 0 else ("Linux; Android", name, 10 + drawn // 63 % 4)
