"""A skewed scan log of any size, for measuring: few members, phones and addresses make most of the scans.

Ninety days of scans and, a fifth as many, orders. The busiest 5 % of members hold 53-58 % of the scans, the busiest 5 %
of phones 52-58 %, of addresses 38-49 %. About 4 % of scans share the instant of the one before; 1 % happened up to an
hour before they arrived; 2 % have no member and 2 % no prize yet (which the contract of `scans` would refuse), 10 % no
cell and no coordinates. Days have their rush hours.

It is a load, not a world: nothing in it is worth learning. A log is written in pieces of which each has its own
generator, so memory is that of one piece, and the same size and seed give the same bytes.

    python -m benchmarks.log FOLDER --scans 1000000
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    Int64: TypeAlias = NDArray[np.int64]
    Flags: TypeAlias = NDArray[np.bool_]
    Generator: TypeAlias = np.random.Generator

SEED: Final = 20260601
DAYS: Final = 90
START: Final = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp()) * 1_000_000
INSTANT: Final = pa.timestamp("us", tz="UTC")

_SECOND: Final = 1_000_000
_DAY: Final = 86_400 * _SECOND
_PIECE: Final = 500_000
_SCANS_AN_ORDER: Final = 5
_CODES_A_BATCH: Final = 20_000
_CITIES: Final = 120
_CELLS_A_CITY: Final = 60
_PRODUCTS: Final = 300
_CAMPAIGNS: Final = 12
_HOURLY: Final = (2, 1, 1, 1, 1, 2, 4, 7, 8, 7, 7, 9, 11, 8, 6, 6, 7, 9, 12, 14, 13, 10, 6, 3)
_PRIZES: Final = np.array([0, 0, 0, 0, 0, 0, 0, 88, 188, 888])
_SPREADER: Final = 2_654_435_761  # a prime above every count, so that multiplying by it shuffles the numbers


@dataclass(frozen=True)
class Popularity:
    """How often each of many is drawn: the share of rank r falls as ``(r + offset) ** -exponent``.

    Attributes:
        number: How many there are.
        exponent: Between 0 (all alike) and 1.
        offset: Takes the edge off the very first.
    """

    number: int
    exponent: float
    offset: float = 2.5

    def draw(self, generator: Generator, size: int) -> Int64:
        """Numbers 0 to ``number - 1``, the popular ones strewn among them."""
        power = 1.0 - self.exponent
        low, high = self.offset**power, (self.number + self.offset) ** power
        rank = (low + generator.random(size) * (high - low)) ** (1.0 / power) - self.offset
        return _spread(np.clip(rank.astype(np.int64), 0, self.number - 1), self.number)


@dataclass(frozen=True)
class SkewedLog:
    """The size and seed of a log; everything in it follows from them.

    Attributes:
        scans: How many scans.
        seed: Of the generators.
    """

    scans: int
    seed: int = SEED

    @property
    def members(self) -> int:
        """How many members there are; some never scan."""
        return max(self.scans // 12, 200)

    def pieces(self) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Scans and orders as their contracts have them, piece after piece in the order of arrival."""
        number = -(-self.scans // _PIECE)
        edges = np.linspace(0, self.scans, number + 1).astype(np.int64)
        for piece in range(number):
            generator = np.random.default_rng([self.seed, piece])
            span = (int(edges[piece]), int(edges[piece + 1]))
            yield self._scans(generator, span), self._orders(generator, span)

    def write(self, folder: Path) -> Path:
        """Every table that scan features read, as a folder of `data.contracts`."""
        for name, table in self._small_tables().items():
            folder.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, folder / f"{name}.parquet")
        for piece, (scans, orders) in enumerate(self.pieces()):
            generator = np.random.default_rng([self.seed, piece, 1])
            parts = {
                "scans": scans,
                "orders": orders,
                "payouts": _payouts(generator, scans),
                "scan_labels": _labels(generator, scans),
            }
            for name, table in parts.items():
                (folder / name).mkdir(exist_ok=True)
                pq.write_table(table, folder / name / f"part-{piece:04}.parquet", compression="zstd")
        return folder

    def _scans(self, generator: Generator, span: tuple[int, int]) -> pa.Table:
        first, stop = span
        number = stop - first
        at = _instants(generator, first / self.scans, stop / self.scans, number)
        member = self._popular_member().draw(generator, number)
        device = self._device(generator, member)
        code, repeated = _codes(generator, np.arange(first, stop))
        cell = _cells(generator, member)
        hidden = generator.random(number) < 0.1
        forged = generator.random(number) < 0.005
        product = code // _CODES_A_BATCH % _PRODUCTS
        prize = _PRIZES[generator.integers(0, len(_PRIZES), number)] * ~repeated
        address = self._address(generator, member)
        places = {name: pa.array(values, mask=hidden) for name, values in _places(generator, cell).items()}
        return pa.table(
            {
                "scan_id": _named("s", np.arange(first, stop)),
                **_arrivals(generator, at),
                "member_id": _named("m", member, generator.random(number) < 0.02),
                "device_id": _named("d", device),
                "ip": _addresses(address),
                "code_id": _named("q", code),
                "batch_id": _named("b", code // _CODES_A_BATCH),
                "serial": pa.array(code % _CODES_A_BATCH),
                "product_id": _named("p", product, forged),
                "campaign_id": _named("c", product % _CAMPAIGNS, forged),
                **places,
                "cell_id": _named("x", cell, hidden),
                "entry": _chosen(("camera", "link"), (generator.random(number) < 0.08).astype(np.int64)),
                "user_agent": _named("phone-", device * _SPREADER % 999_983 % 150),
                "wifi_id": _named("w", address, generator.random(number) < 0.4),
                "status": _chosen(("valid", "repeat", "forged"), np.where(forged, 2, repeated.astype(np.int64))),
                "prize_fen": pa.array(prize, mask=generator.random(number) < 0.02),
            }
        )

    def _orders(self, generator: Generator, span: tuple[int, int]) -> pa.Table:
        first, stop = (place // _SCANS_AN_ORDER for place in span)
        number, total = stop - first, max(self.scans // _SCANS_AN_ORDER, 1)
        at = _instants(generator, first / total, stop / total, number)
        member = self._popular_member().draw(generator, number)
        return pa.table(
            {
                "line_id": _named("l", np.arange(first, stop)),
                "order_id": _named("o", np.arange(first, stop)),
                **_arrivals(generator, at),
                "member_id": _named("m", member, generator.random(number) < 0.02),
                "product_id": _named("p", generator.integers(0, _PRODUCTS, number)),
                "quantity": pa.array(generator.integers(1, 5, number)),
                "amount_fen": pa.array(generator.integers(300, 30_000, number)),
            }
        )

    def _popular_member(self) -> Popularity:
        return Popularity(self.members, exponent=0.84)

    def _device(self, generator: Generator, member: Int64) -> Int64:
        """One's own phone, now and then one's second, and a few that many share."""
        chance = generator.random(len(member))
        shared = Popularity(self.members // 3, exponent=0.8).draw(generator, len(member))
        return np.where(chance < 0.9, member, np.where(chance < 0.95, self.members + member, 2 * self.members + shared))

    def _address(self, generator: Generator, member: Int64) -> Int64:
        """One's own network, or one of a carrier that many share."""
        carrier = Popularity(self.members, exponent=0.68).draw(generator, len(member))
        return np.where(generator.random(len(member)) < 0.35, member, self.members + carrier)

    def _small_tables(self) -> Mapping[str, pa.Table]:
        generator = np.random.default_rng([self.seed, 0, 2])
        return {
            "members": self._members(generator),
            "batches": self._batches(generator),
            "products": pa.table(
                {
                    "product_id": _named("p", np.arange(_PRODUCTS)),
                    "category": _named("category-", np.arange(_PRODUCTS) % 17),
                    "brand": _named("brand-", np.arange(_PRODUCTS) % 40),
                    "price_fen": pa.array(generator.integers(500, 20_000, _PRODUCTS)),
                }
            ),
            "campaigns": pa.table(
                {
                    "campaign_id": _named("c", np.arange(_CAMPAIGNS)),
                    "starts_at": _moments(START - generator.integers(0, 20, _CAMPAIGNS) * _DAY),
                    "ends_at": _moments(START + (DAYS + generator.integers(1, 20, _CAMPAIGNS)) * _DAY),
                    "time_zone": pa.array(["Asia/Shanghai"] * _CAMPAIGNS),
                }
            ),
        }

    def _members(self, generator: Generator) -> pa.Table:
        number = self.members
        joined = START - (generator.random(number) * 400 * _DAY).astype(np.int64)
        late = generator.random(number) < 0.15
        joined[late] = START + (generator.random(int(late.sum())) * DAYS * _DAY).astype(np.int64)
        return pa.table(
            {
                "member_id": _named("m", np.arange(number)),
                "registered_at": _moments(joined),
                "referrer_id": _named(
                    "m", Popularity(number, 0.8).draw(generator, number), generator.random(number) < 0.8
                ),
                "phone_prefix": _named("13", generator.integers(0, 400, number)),
                "city": _named("city-", _city(np.arange(number))),
                "channel": _chosen(("mini_program", "store"), generator.integers(0, 2, number)),
            }
        )

    def _batches(self, generator: Generator) -> pa.Table:
        number = -(-self.scans // _CODES_A_BATCH)
        batch = np.arange(number)
        scanned = START + (batch * _CODES_A_BATCH / self.scans * DAYS * _DAY).astype(np.int64)
        shipped = scanned - generator.integers(5, 30, number) * _DAY
        return pa.table(
            {
                "batch_id": _named("b", batch),
                "product_id": _named("p", batch % _PRODUCTS),
                "activated_at": _moments(shipped + _DAY),
                "shipped_at": _moments(shipped),
                "region": _named("city-", generator.integers(0, _CITIES, number)),
                "first_serial": pa.array(np.zeros(number, np.int64)),
                "last_serial": pa.array(np.full(number, _CODES_A_BATCH - 1)),
            }
        )


def _instants(generator: Generator, begin: float, end: float, number: int) -> Int64:
    """Ascending instants between two parts of the ninety days, 4 % of them at the instant of the one before."""
    days = np.sort(generator.uniform(begin, end, number)) * DAYS
    busy = np.concatenate([[0.0], np.cumsum(_HOURLY)]) / sum(_HOURLY)
    moved = np.floor(days) + np.interp(days % 1.0, busy, np.linspace(0.0, 1.0, len(busy)))
    at = START + (moved * _DAY).astype(np.int64)
    tied = generator.random(number) < 0.04
    tied[:1] = False
    return np.maximum.accumulate(np.where(tied, 0, at))


def _arrivals(generator: Generator, at: Int64) -> dict[str, pa.Array[Any]]:
    """When it happened and when it arrived; one in a hundred arrives up to an hour late."""
    late = (generator.random(len(at)) < 0.01) * generator.integers(1, 3_600, len(at)) * _SECOND
    return {"ts": _moments(at - late), "received_at": _moments(at)}


def _codes(generator: Generator, place: Int64) -> tuple[Int64, Flags]:
    """A new code for most scans, and for one in eight a code of some scans ago."""
    back = generator.geometric(1 / 3_000, len(place))
    repeated = (generator.random(len(place)) < 0.12) & (back <= place)
    return np.where(repeated, place - back, place), repeated


def _city(member: Int64) -> Int64:
    return member * _SPREADER % 1_000_003 % _CITIES


def _cells(generator: Generator, member: Int64) -> Int64:
    """Home for four scans of five, else somewhere in the city."""
    home = member * _SPREADER % 999_983 % _CELLS_A_CITY
    away = Popularity(_CELLS_A_CITY, exponent=0.5).draw(generator, len(member))
    return _city(member) * _CELLS_A_CITY + np.where(generator.random(len(member)) < 0.8, home, away)


def _places(generator: Generator, cell: Int64) -> dict[str, NDArray[np.float64]]:
    """Degrees, rounded to about 10 cm."""
    city, spot = cell // _CELLS_A_CITY, cell % _CELLS_A_CITY
    noise = generator.normal(0.0, 0.002, (2, len(cell)))
    return {
        "lat": np.round(22.0 + city % 12 * 1.5 + spot % 8 * 0.02 + noise[0], 6),
        "lon": np.round(100.0 + city // 12 * 2.0 + spot // 8 * 0.02 + noise[1], 6),
    }


def _payouts(generator: Generator, scans: pa.Table) -> pa.Table:
    """One scan in fifty is paid out within a day, most to the member's own account."""
    chosen = scans.take(np.flatnonzero(generator.random(scans.num_rows) < 0.02))
    chosen = chosen.filter(chosen["member_id"].is_valid())
    number = chosen.num_rows
    owner = pc.utf8_slice_codeunits(chosen["member_id"], 1).cast(pa.int64()).to_numpy()
    account = np.where(generator.random(number) < 0.95, owner, generator.integers(0, 50, number))
    return pa.table(
        {
            "payout_id": _prefixed("pay-", chosen["scan_id"]),
            "ts": _later(generator, chosen, 1),
            "member_id": chosen["member_id"],
            "account_id": _named("a", account),
            "amount_fen": pa.array(generator.integers(100, 2_000, number)),
        }
    )


def _labels(generator: Generator, scans: pa.Table) -> pa.Table:
    """One scan in twenty is judged within a fortnight."""
    chosen = scans.select(["scan_id", "received_at"]).take(
        np.flatnonzero(generator.random(scans.num_rows) < 0.05),
    )
    return pa.table(
        {
            "scan_id": chosen["scan_id"],
            "is_wool": pa.array((generator.random(chosen.num_rows) < 0.1).astype(np.int64)),
            "landed_at": _later(generator, chosen, 14),
            "origin": _chosen(("rule", "review"), generator.integers(0, 2, chosen.num_rows)),
        }
    )


def _later(generator: Generator, scans: pa.Table, days: int) -> pa.Array[Any]:
    arrived = scans["received_at"].cast(pa.int64()).to_numpy()
    return _moments(arrived + generator.integers(3_600 * _SECOND, days * _DAY, len(arrived)))


def _spread(rank: Int64, number: int) -> Int64:
    return rank * _SPREADER % number


def _moments(at: Int64) -> pa.Array[Any]:
    return pa.array(at).cast(INSTANT)


def _named(prefix: str, numbers: Int64, absent: Flags | None = None) -> pa.Array[Any]:
    digits = pa.array(numbers, mask=absent).cast(pa.string())
    named: pa.Array[Any] = _prefixed(prefix, digits)
    return named


def _prefixed(prefix: str, names: Any) -> Any:  # noqa: ANN401 - arrays and chunked ones alike
    return cast("Any", pc).binary_join_element_wise(prefix, names, "")


def _addresses(numbers: Int64) -> pa.Array[Any]:
    octets = [pa.array(numbers >> shift & 255).cast(pa.string()) for shift in (24, 16, 8, 0)]
    joined: pa.Array[Any] = cast("Any", pc).binary_join_element_wise(*octets, ".")
    return joined


def _chosen(words: tuple[str, ...], numbers: Int64) -> pa.Array[Any]:
    return pa.array(words).take(pa.array(numbers, pa.int64()))


def main() -> None:
    """Writes a log into a folder."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.log", description="Write a skewed scan log.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scans", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=SEED)
    asked = parser.parse_args()
    print(SkewedLog(asked.scans, asked.seed).write(asked.folder))


if __name__ == "__main__":
    main()
