"""What of a scan reaches the brand: when it arrives, and what the phone or the network withholds or blurs.

One place for everybody: nothing here knows who scans, so nothing that is missing, late, rounded or blurred can tell.
All figures are assumed; no brand publishes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SECOND: Final = 1_000_000
_METRES_A_DEGREE: Final = 111_320.0


@dataclass(frozen=True)
class MaskSettings:
    """How often things are withheld, and how far they are blurred; all assumed.

    Attributes:
        lag_seconds: Median time until a scan has arrived.
        lag_spread: Standard deviation of its logarithm.
        late: Share of scans that a phone without a network keeps back.
        latest_seconds: Longest that it keeps them back; evenly drawn.
        over_wifi: Share of the scans with a wireless network in reach that go over it.
        wifi_named: Share of those that name it.
        device_withheld: Share of scans without the phone's id.
        address_withheld: Share of scans whose network address a proxy of the brand's own lost.
        agent_withheld: Share of scans without the browser's words about itself.
        place_withheld: Share of scans without a position.
        place_coarse: Share of positions that come from masts and networks, not from satellites.
        fine_metres: Median error of a position from satellites.
        coarse_metres: Median error of one from masts and networks.
        metres_spread: Standard deviation of the logarithm of both.
        misread: Share of scans whose code was misread, so that it is none of ours.
    """

    lag_seconds: float = 0.35
    lag_spread: float = 0.8
    late: float = 0.01
    latest_seconds: float = 3_600.0
    over_wifi: float = 0.55
    wifi_named: float = 0.8
    device_withheld: float = 0.03
    address_withheld: float = 0.005
    agent_withheld: float = 0.01
    place_withheld: float = 0.2
    place_coarse: float = 0.2
    fine_metres: float = 18.0
    coarse_metres: float = 450.0
    metres_spread: float = 0.7
    misread: float = 0.004


@dataclass(frozen=True)
class Seen:
    """What reached the brand of scans, one value a scan.

    Attributes:
        device: Number of the phone; -1 where withheld.
        address: IPv4 address; -1 where withheld.
        wifi: Number of the wireless network; -1 where none is named.
        agent: Place in the catalogue of user agents; -1 where withheld.
        lat: Latitude in degrees, to six decimals; NaN where withheld.
        lon: Longitude likewise.
        misread: Whether the code is none of ours.
        misreading: What was read instead, a random number; of use only where misread.
    """

    device: NDArray[np.int64]
    address: NDArray[np.int64]
    wifi: NDArray[np.int64]
    agent: NDArray[np.int64]
    lat: NDArray[np.float64]
    lon: NDArray[np.float64]
    misread: NDArray[np.bool_]
    misreading: NDArray[np.int64]


def arrivals(
    settings: MaskSettings, generator: np.random.Generator, instants: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """When scans were made, evenly spread inside their second, and when they arrived; microseconds since 1970 UTC."""
    count = len(instants)
    made = instants // _SECOND * _SECOND + generator.integers(0, _SECOND, count)
    lag = settings.lag_seconds * np.exp(settings.lag_spread * generator.standard_normal(count))
    late = generator.random(count) < settings.late
    lag[late] += generator.uniform(0.0, settings.latest_seconds, int(late.sum()))
    return made, made + (lag * _SECOND).astype(np.int64)


def masked(settings: MaskSettings, generator: np.random.Generator, scans: NDArray[Any]) -> Seen:
    """What reaches the brand of scans (records of `SCAN`), each drawn on its own and in the same way for all."""
    count = len(scans)
    over_wifi = (scans["wifi"] >= 0) & (generator.random(count) < settings.over_wifi)
    named = over_wifi & (generator.random(count) < settings.wifi_named)
    address = np.where(over_wifi, scans["wifi_address"], scans["mobile_address"]).astype(np.int64)
    lat, lon = _blurred(settings, generator, scans["lat"], scans["lon"])
    return Seen(
        device=_withheld(settings.device_withheld, generator, scans["device"]),
        address=_withheld(settings.address_withheld, generator, address),
        wifi=np.where(named, scans["wifi"], -1),
        agent=_withheld(settings.agent_withheld, generator, scans["agent"]),
        lat=lat,
        lon=lon,
        misread=(generator.random(count) < settings.misread) | (scans["batch"] < 0),
        misreading=generator.integers(0, 1 << 48, count),
    )


def _withheld(share: float, generator: np.random.Generator, values: NDArray[Any]) -> NDArray[np.int64]:
    return np.where(generator.random(len(values)) < share, -1, values.astype(np.int64))


def _blurred(
    settings: MaskSettings, generator: np.random.Generator, lat: NDArray[np.float64], lon: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    count = len(lat)
    coarse = generator.random(count) < settings.place_coarse
    metres = np.where(coarse, settings.coarse_metres, settings.fine_metres)
    metres = metres * np.exp(settings.metres_spread * generator.standard_normal(count))
    turn = generator.uniform(0.0, 2.0 * np.pi, count)
    north, east = metres * np.cos(turn) / _METRES_A_DEGREE, metres * np.sin(turn) / _METRES_A_DEGREE
    withheld = generator.random(count) < settings.place_withheld
    found = (np.round(lat + north, 6), np.round(lon + east / np.cos(np.radians(lat)), 6))
    return np.where(withheld, np.nan, found[0]), np.where(withheld, np.nan, found[1])
