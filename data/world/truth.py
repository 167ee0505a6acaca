"""What only the simulation knows, kept apart from the tables in the folder `truth`: who, and with what effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from data.world.identifiers import identifiers
from data.world.records import CROWDS, FAMILIES
from data.world.scan_table import chosen

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Columns = dict[str, pa.Array[Any]]

FOLDER: Final = "truth"


def scan_truth(seed: int, scan_id: pa.Array[Any], scans: NDArray[Any]) -> Columns:
    """Who made each scan: `scan_id`, `family` (honest or a family of the wool party), `ring_id`, `crowd`.

    ring_id is null for honest scans; crowd is none for scans of nobody in particular.
    """
    return {"scan_id": scan_id, **_who(seed, scans)}


def member_truth(seed: int, members: NDArray[Any]) -> Columns:
    """Who each member is: `member_id`, `family`, `ring_id`, `crowd`."""
    return {"member_id": identifiers(seed, "member", members["member"]), **_who(seed, members)}


def effect_truth(seed: int, effects: NDArray[Any], *, offers: pa.Array[Any]) -> Columns:
    """What each offer does to each member, of records of `EFFECT`.

    Columns: `member_id`, `offer_id`; chances `buys_untreated`, `buys_treated`, `redeems_treated`; `margin_fen`, the
    margin that sending is expected to gain; `revealed_margin_fen` and `revealed_buys`, the part of it and of the gained
    chance that the tables could reveal.
    """
    names = ("buys_untreated", "buys_treated", "redeems_treated", "margin_fen", "revealed_margin_fen", "revealed_buys")
    return {
        "member_id": identifiers(seed, "member", effects["member"]),
        "offer_id": chosen(offers, effects["offer"]),
        **{name: pa.array(np.ascontiguousarray(effects[name]), pa.float64()) for name in names},
    }


def ring_truth(seed: int, rings: NDArray[Any], balance: NDArray[Any]) -> Columns:
    """What became of each ring, of records of `RING` and `BALANCE`.

    Columns: `ring_id`, `family`; `starts_on` and `ends_on`, days of the world from 0, the latter null for those that
    never gave up; `accounts` and `phones` that it works with; `scans` and `blocked`; `cost_fen` and `yield_fen` over
    its life.
    """
    whole = {name: np.ascontiguousarray(rings[name], np.int64) for name in ("ring", "start", "end")}
    return {
        "ring_id": identifiers(seed, "ring", whole["ring"]),
        "family": chosen(pa.array(FAMILIES), rings["family"]),
        "starts_on": pa.array(whole["start"]),
        "ends_on": pa.array(whole["end"], mask=whole["end"] < 0),
        **{name: pa.array(np.ascontiguousarray(rings[name], np.int64)) for name in ("accounts", "phones")},
        **{name: pa.array(np.ascontiguousarray(balance[name], np.int64)) for name in ("scans", "blocked")},
        **{name: pa.array(np.rint(balance[name]).astype(np.int64)) for name in ("cost_fen", "yield_fen")},
    }


def _who(seed: int, records: NDArray[Any]) -> Columns:
    ring = np.where(records["family"] > 0, records["ring"].astype(np.int64), -1)
    return {
        "family": chosen(pa.array(FAMILIES), records["family"]),
        "ring_id": identifiers(seed, "ring", ring),
        "crowd": chosen(pa.array(CROWDS), records["crowd"]),
    }
