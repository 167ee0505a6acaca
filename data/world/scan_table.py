"""Scans as a brand's table shows them: ids, texts and gaps in place of the world's numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.world.identifiers import identifiers
from data.world.ledger import STATUSES
from data.world.records import SCAN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from data.world.masks import Seen

ARRIVED: Final = np.dtype([*SCAN.descr, ("received_at", "i8")])
"""A scan on its way to the brand: `at` as the phone shows it, and when it arrived."""

INSTANT: Final = pa.timestamp("us", tz="UTC")

_ENTRIES: Final = ("camera", "link")
_CODES_OF_A_BATCH: Final = 1 << 26
_FORGERIES: Final = 1 << 49
_HALVES: Final = 1 << 16


@dataclass(frozen=True)
class Names:
    """Texts that many scans share, by number.

    Attributes:
        seed: The seed of the world, for the ids that are made from numbers.
        batches: batch_id of each batch.
        first_serials: Serial of the first code of each batch.
        products: product_id of each product.
        product_of: Number of the product that each batch carries.
        campaigns: campaign_id of each campaign.
        agents: What each user agent says of itself.
        halves: "a.b" for each number below 65 536, of which two make an address.
    """

    seed: int
    batches: pa.Array[Any]
    first_serials: NDArray[np.int64]
    products: pa.Array[Any]
    product_of: NDArray[np.int64]
    campaigns: pa.Array[Any]
    agents: pa.Array[Any]
    halves: pa.Array[Any]

    @classmethod
    def of(
        cls,
        seed: int,
        *,
        batches: pa.Table,
        product_of: NDArray[np.int64],
        products: pa.Table,
        campaigns: pa.Table,
        agents: Sequence[str],
    ) -> Names:
        """The names that stand in the tables of batches, products and campaigns, whose rows are in order of number."""
        octets = pa.array([str(octet) for octet in range(256)])
        number = np.arange(_HALVES)
        high, low = octets.take(pa.array(number >> 8)), octets.take(pa.array(number & 255))
        return cls(
            seed=seed,
            batches=batches["batch_id"].combine_chunks(),
            first_serials=batches["first_serial"].to_numpy(),
            products=products["product_id"].combine_chunks(),
            product_of=np.asarray(product_of, np.int64),
            campaigns=campaigns["campaign_id"].combine_chunks(),
            agents=pa.array(agents, pa.string()),
            halves=_dotted(high, low),
        )


def scan_columns(
    names: Names,
    arrived: NDArray[Any],
    seen: Seen,
    status: NDArray[np.int64],
    prize_fen: NDArray[np.int64],
    first: int,
) -> dict[str, pa.Array[Any]]:
    """The columns of the table `scans`.

    Args:
        names: Texts that scans share.
        arrived: Records of `ARRIVED`, in order of arrival.
        seen: What of them reached the brand.
        status: What became of each code, a place in `STATUSES`.
        prize_fen: What each won.
        first: How many scans arrived before; ids follow the order of arrival, which they do not show.
    """
    seed, read = names.seed, ~seen.misread
    batch = np.where(read, arrived["batch"].astype(np.int64), -1)
    product = np.where(read, names.product_of[batch], -1)
    code = np.where(read, batch * _CODES_OF_A_BATCH + arrived["serial"], _FORGERIES + seen.misreading)
    return {
        "scan_id": identifiers(seed, "scan", first + np.arange(len(arrived))),
        "ts": instants(arrived["at"]),
        "received_at": instants(arrived["received_at"]),
        "member_id": identifiers(seed, "member", arrived["member"]),
        "device_id": identifiers(seed, "device", seen.device),
        "ip": addresses(names.halves, seen.address),
        "code_id": identifiers(seed, "code", code),
        "batch_id": chosen(names.batches, batch),
        "serial": pa.array(arrived["serial"] + names.first_serials[batch], pa.int64(), mask=~read),
        "product_id": chosen(names.products, product),
        "campaign_id": chosen(names.campaigns, arrived["campaign"]),
        "lat": pa.array(seen.lat, pa.float64(), mask=np.isnan(seen.lat)),
        "lon": pa.array(seen.lon, pa.float64(), mask=np.isnan(seen.lon)),
        "entry": chosen(pa.array(_ENTRIES), arrived["linked"].astype(np.int64)),
        "user_agent": met(names.agents, seen.agent),
        "wifi_id": identifiers(seed, "wifi", seen.wifi),
        "status": chosen(pa.array(STATUSES), status),
        "prize_fen": pa.array(prize_fen, pa.int64()),
    }


def plain(columns: Mapping[str, pa.Array[Any]]) -> pa.Table:
    """The columns as whoever reads the table gets them: texts as texts."""
    table = pa.table(dict(columns))
    fields = [one.with_type(one.type.value_type) if pa.types.is_dictionary(one.type) else one for one in table.schema]
    return table.cast(pa.schema(fields))


def instants(microseconds: NDArray[np.int64]) -> pa.Array[Any]:
    """Instants in UTC; null below zero."""
    microseconds = np.ascontiguousarray(microseconds, np.int64)
    return pa.array(microseconds, pa.int64(), mask=microseconds < 0).cast(INSTANT)


def addresses(halves: pa.Array[Any], address: NDArray[np.int64]) -> pa.Array[Any]:
    """IPv4 addresses as text; null below zero."""
    known = np.maximum(address, 0)
    high = pa.array(known // _HALVES, pa.int64(), mask=address < 0)
    low = pa.array(known % _HALVES, pa.int64(), mask=address < 0)
    return _dotted(halves.take(high), halves.take(low))


def chosen(texts: pa.Array[Any], numbers: NDArray[Any]) -> pa.Array[Any]:
    """The text of each number, as categories; null below zero."""
    places: pa.Array[Any] = pa.array(np.ascontiguousarray(numbers, np.int32), pa.int32(), mask=np.asarray(numbers) < 0)
    return pa.DictionaryArray.from_arrays(places, texts)


def met(texts: pa.Array[Any], numbers: NDArray[Any]) -> pa.Array[Any]:
    """Like `chosen`, of many texts of which few are met: only those are carried along."""
    found, places = np.unique(np.maximum(numbers, 0), return_inverse=True)
    return chosen(texts.take(pa.array(found)), np.where(np.asarray(numbers) < 0, -1, places))


def _dotted(left: pa.Array[Any], right: pa.Array[Any]) -> pa.Array[Any]:
    dot: Any = "."
    joined: pa.Array[Any] = pc.binary_join_element_wise(left, right, dot)
    return joined
