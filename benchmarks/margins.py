"""How far the simulated world lies from real data, margin by margin, each with a tolerance and its reason.

Real clicks on advertisements show how events crowd on network addresses and how they follow each other there; Complete
Journey shows how people buy and use coupons. Neither is a brand's scan log, so what is compared is shape: runs of
events as dense as the real ones, amounts and gaps as multiples of their own usual size. Distances are of two kinds:

* `gap`: the largest gap between the two distribution functions (Kolmogorov-Smirnov), 0 to 1
* `ratio`: the larger of two figures over the smaller, from 1
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import duckdb
import numpy as np

from data.errors import UsageError
from data.journey import complete_journey

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa
    from numpy.typing import NDArray

    from data.sources import DataSet

    Reals: TypeAlias = NDArray[np.float64]

ROOT: Final = Path(__file__).parents[1]
SHOWN: Final = (0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
BIGGEST_CATEGORIES: Final = 12
_MICROSECONDS_A_DAY: Final = 86_400 * 1_000_000
_JOURNEY_BEGINS: Final = "2017-03-06"  # a Monday after two months, so that no household is new at the start
_JOURNEY_DAYS: Final = 300
_BUSIEST: Final = 0.01

Kind: TypeAlias = Literal["gap", "ratio"]


@dataclass(frozen=True)
class Margin:
    """One thing that is compared.

    Attributes:
        name: As it is printed.
        meaning: What is counted, in retail terms.
        source: The real set.
        kind: How the distance is measured, see the module.
        tolerance: The largest distance that passes.
        reason: Why the tolerance is not smaller.
    """

    name: str
    meaning: str
    source: str
    kind: Kind
    tolerance: float
    reason: str


_CLICKS, _JOURNEY = "real/clicks", "Complete Journey"
_NOT_SCANS: Final = "clicks on advertisements, many by machines, stand in for scans: the shape should be alike, no more"
_OTHER_TRADE: Final = "a supermarket of 303 categories against a chain of twelve"

MARGINS: Final = (
    Margin(
        "events_an_address", "events an address, in a run as dense as the real one", _CLICKS, "gap", 0.25, _NOT_SCANS
    ),
    Margin("busiest_addresses", "share of events on the busiest 1 % of addresses", _CLICKS, "ratio", 2.5, _NOT_SCANS),
    Margin(
        "address_gap",
        "time since the event before on the address, as a multiple of the address's even pace",
        _CLICKS,
        "gap",
        0.25,
        f"{_NOT_SCANS}; twenty minutes hold no night, a run of days does",
    ),
    Margin("basket_lines", "lines a basket", _JOURNEY, "gap", 0.3, f"{_OTHER_TRADE} sells more lines at once"),
    Margin(
        "basket_amount",
        "paid for a basket, as a multiple of the median basket",
        _JOURNEY,
        "gap",
        0.12,
        f"{_OTHER_TRADE}; the currency falls out, the spread should be alike",
    ),
    Margin(
        "purchase_gap",
        "time between two baskets of a member, as a multiple of the member's even pace",
        _JOURNEY,
        "gap",
        0.12,
        "irregularity is a habit of people, not of a trade: close to an exponential in both",
    ),
    Margin(
        "purchase_gap_days",
        "median days between two baskets of a member",
        _JOURNEY,
        "ratio",
        5.0,
        "households of a panel shop for the week there; a chain of fruit, drinks and snacks sees a shopper less often",
    ),
    Margin(
        "redemption_share",
        "share of the coupons sent that are used",
        _JOURNEY,
        "ratio",
        2.5,
        "a mailed booklet of many coupons (.06 to .17 by kind) against one coupon in an application",
    ),
    Margin("redeemers", "share of those who are sent any that ever use one", _JOURNEY, "ratio", 2.0, "as above"),
    Margin(
        "category_repeat",
        "a basket's categories that the basket before held too, over what their popularity alone gives; twelve biggest",
        _JOURNEY,
        "ratio",
        1.35,
        f"{_OTHER_TRADE}, of which the twelve biggest are compared",
    ),
)


@dataclass(frozen=True)
class Distance:
    """One margin of the world beside the real one.

    Attributes:
        value: The distance.
        tolerance: The largest that passes.
        kind: `gap` or `ratio`.
        real: The real figure, or quantiles of the real values.
        world: Likewise of the world.
        meaning: What is compared.
        source: The real set.
        reason: Why the tolerance is not smaller.
    """

    value: float
    tolerance: float
    kind: Kind
    real: dict[str, float]
    world: dict[str, float]
    meaning: str
    source: str
    reason: str

    @property
    def passes(self) -> bool:
        """Whether the distance is within its tolerance."""
        return self.value <= self.tolerance

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {**asdict(self), "passes": self.passes}


@dataclass(frozen=True)
class RealityCheck:
    """Every margin that could be compared, and why the others could not.

    Attributes:
        distances: By name of the margin.
        skipped: By name of the margin.
        samples: The real values and the world's, by name of the margin, for drawing.
    """

    distances: Mapping[str, Distance]
    skipped: Mapping[str, str]
    samples: Mapping[str, tuple[Reals, Reals]]


def real_data() -> Path:
    """Where the real sets lie: `SHEPHERD_REAL_DATA`, or beside the repository."""
    return Path(os.environ.get("SHEPHERD_REAL_DATA", ROOT.parent / "shared" / "real"))


def reality_check(world: DataSet, real: Path) -> RealityCheck:
    """Compares a world with every real set that is there.

    Args:
        world: Tables as `shepherd simulate` writes them; a million scans are held in memory.
        real: The folder of real sets.
    """
    theirs: dict[str, Reals] = {}
    missing: dict[str, str] = {}
    clicks = real / "clicks" / "slice_a.parquet"
    with world.connect() as connection:
        days = _days(connection)
        ours = purchases(connection, None)
        if clicks.is_file():
            dense = _clicks(clicks)
            theirs |= crowding(*dense)
            ours |= crowding(*_scans(connection), mean_events=_mean_events(dense[0]))
        else:
            missing[_CLICKS] = f"found no {clicks}"
    try:
        with tempfile.TemporaryDirectory(prefix="shepherd-journey-") as folder:
            theirs |= _journey_purchases(Path(folder) / "journey", days)
    except UsageError as error:
        missing[_JOURNEY] = str(error)
    return _compared(theirs, ours, missing)


def _compared(real: Mapping[str, Reals], world: Mapping[str, Reals], missing: Mapping[str, str]) -> RealityCheck:
    distances, skipped, samples = {}, {}, {}
    for margin in MARGINS:
        if margin.source in missing:
            skipped[margin.name] = missing[margin.source]
        elif not len(world[margin.name]):
            skipped[margin.name] = "the world holds no such events"
        else:
            samples[margin.name] = (real[margin.name], world[margin.name])
            distances[margin.name] = distance(margin, *samples[margin.name])
    return RealityCheck(distances, skipped, samples)


def distance(margin: Margin, real: Reals, world: Reals) -> Distance:
    """The distance of two samples; a margin measured as a ratio takes samples of one figure each."""
    value = largest_gap(real, world) if margin.kind == "gap" else _ratio(float(real[0]), float(world[0]))
    return Distance(
        round(value, 4),
        margin.tolerance,
        margin.kind,
        _summary(real),
        _summary(world),
        margin.meaning,
        margin.source,
        margin.reason,
    )


def largest_gap(one: Reals, other: Reals) -> float:
    """The largest gap between two distribution functions (two-sample Kolmogorov-Smirnov statistic).

    >>> largest_gap(np.array([1.0, 2.0]), np.array([2.0, 3.0]))
    0.5
    """
    edges = np.concatenate([one, other])
    below = [np.searchsorted(np.sort(sample), edges, side="right") / len(sample) for sample in (one, other)]
    return float(np.abs(below[0] - below[1]).max())


def _ratio(one: float, other: float) -> float:
    low, high = sorted((one, other))
    return high / low if low > 0 else float("inf")


def _summary(sample: Reals) -> dict[str, float]:
    if len(sample) == 1:
        return {"value": round(float(sample[0]), 4)}
    return {f"p{100 * share:g}": round(float(value), 4) for share, value in _quantiles(sample)}


def _quantiles(sample: Reals) -> Iterator[tuple[float, float]]:
    return zip(SHOWN, np.quantile(sample, SHOWN), strict=True)


def crowding(address: NDArray[np.int64], at: NDArray[np.int64], mean_events: float | None = None) -> dict[str, Reals]:
    """How events crowd on addresses.

    Args:
        address: Code of the address of each event, in order of time.
        at: Its microseconds since 1970.
        mean_events: Looks only at a run of events from the middle of the log, as long as it takes until an address has
            so many on average. Sparse logs would otherwise look tame and dense ones wild.

    Returns:
        Samples by name of the margin.
    """
    if mean_events is not None:
        address, at = _dense_run(address, at, mean_events)
    _, code, count = np.unique(address, return_inverse=True, return_counts=True)
    events = np.sort(count)[::-1]
    busiest = events[: max(1, round(len(events) * _BUSIEST))].sum() / len(address)
    order = np.lexsort((at, code))
    follows = np.diff(code[order]) == 0
    gaps = np.diff(at[order])[follows]
    pace = count[code[order][1:][follows]] / max(int(at.max() - at.min()), 1)
    return {
        "events_an_address": events.astype(np.float64),
        "busiest_addresses": np.array([busiest]),
        "address_gap": gaps * pace,
    }


def _mean_events(address: NDArray[np.int64]) -> float:
    return len(address) / len(np.unique(address))


def _dense_run(
    address: NDArray[np.int64], at: NDArray[np.int64], mean_events: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The shortest run around the middle with so many events an address, to a hundredth of the log; else all of it."""
    middle = len(address) // 2
    for half in np.linspace(0, middle, 101).astype(np.int64)[1:]:
        run = slice(middle - half, middle + half)
        if _mean_events(address[run]) >= mean_events:
            return address[run], at[run]
    return address, at


def _clicks(path: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    with duckdb.connect() as connection:
        clicks = connection.sql(
            f"SELECT ip, epoch_us(click_time::TIMESTAMP) AS moment FROM read_parquet('{path}') ORDER BY moment, ip"
        ).fetchnumpy()
    return np.asarray(clicks["ip"], np.int64), np.asarray(clicks["moment"], np.int64)


def _scans(connection: duckdb.DuckDBPyConnection) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    scans: pa.Table = connection.sql(
        "SELECT ip, epoch_us(ts) AS moment FROM scans WHERE ip IS NOT NULL ORDER BY ts, ip"
    ).to_arrow_table()
    coded = scans["ip"].combine_chunks().dictionary_encode()
    return coded.indices.to_numpy().astype(np.int64), scans["moment"].to_numpy()


def _days(connection: duckdb.DuckDBPyConnection) -> int:
    query = "SELECT date_diff('day', min(ts), max(ts)) + 1 FROM orders"
    found: int | None = connection.sql(query).fetchall()[0][0]
    return found or 1


def _journey_purchases(folder: Path, days: int) -> dict[str, Reals]:
    """Purchases of as many days as the world has, sends and redemptions of all campaigns."""
    with complete_journey(folder).connect() as connection:
        return purchases(connection, (_JOURNEY_BEGINS, min(days, _JOURNEY_DAYS)))


def purchases(connection: duckdb.DuckDBPyConnection, window: tuple[str, int] | None) -> dict[str, Reals]:
    """How people buy and use coupons.

    Args:
        connection: With views `orders`, `products`, `sends` and `redemptions`.
        window: First day and number of days of the orders to look at; all where None.

    Returns:
        Samples by name of the margin.
    """
    where = "true"
    if window is not None:
        where = f"ts >= '{window[0]}'::TIMESTAMPTZ AND ts < '{window[0]}'::TIMESTAMPTZ + INTERVAL {window[1]} DAY"
    connection.execute(f"""
        CREATE TEMP TABLE judged_baskets AS
        SELECT order_id, any_value(member_id) AS member_id, epoch_us(min(ts)) AS moment, count(*)::DOUBLE AS lines,
            sum(amount_fen)::DOUBLE AS amount
        FROM orders WHERE {where} GROUP BY order_id
    """)
    connection.execute(f"""
        CREATE TEMP TABLE judged_categories AS
        WITH held AS (
            SELECT DISTINCT member_id, order_id, category FROM orders JOIN products USING (product_id)
            WHERE category IS NOT NULL AND member_id IS NOT NULL AND {where}
        ),
        biggest AS (
            SELECT category FROM held GROUP BY category ORDER BY count(*) DESC, category LIMIT {BIGGEST_CATEGORIES}
        ),
        numbered AS (
            SELECT order_id, row_number() OVER (PARTITION BY member_id ORDER BY moment, order_id) AS visit
            FROM judged_baskets SEMI JOIN (FROM held SEMI JOIN biggest USING (category)) USING (order_id)
        )
        SELECT member_id, category, visit FROM held SEMI JOIN biggest USING (category) JOIN numbered USING (order_id)
    """)
    baskets = connection.sql("SELECT lines, amount FROM judged_baskets").fetchnumpy()
    amount = _plain(baskets["amount"])
    amount = amount[amount > 0]
    gaps, days = _purchase_gaps(connection)
    return {
        "basket_lines": _plain(baskets["lines"]),
        "basket_amount": amount / np.median(amount) if len(amount) else amount,
        "purchase_gap": gaps,
        "purchase_gap_days": np.array([np.median(days)]) if len(days) else days,
        **_redemptions(connection),
        "category_repeat": _category_repeat(connection),
    }


def _purchase_gaps(connection: duckdb.DuckDBPyConnection) -> tuple[Reals, Reals]:
    """Gaps of members with two baskets and more: as multiples of the even pace, and in days."""
    found = connection.sql("""
        SELECT
            (moment - lag(moment) OVER whose)::DOUBLE AS gap,
            count(*) OVER (PARTITION BY member_id) AS baskets,
            (SELECT (max(moment) - min(moment))::DOUBLE FROM judged_baskets) AS span
        FROM judged_baskets WHERE member_id IS NOT NULL
        WINDOW whose AS (PARTITION BY member_id ORDER BY moment, order_id)
        QUALIFY gap IS NOT NULL
    """).fetchnumpy()
    gap = _plain(found["gap"])
    return gap * _plain(found["baskets"]) / _plain(found["span"]), gap / _MICROSECONDS_A_DAY


def _redemptions(connection: duckdb.DuckDBPyConnection) -> dict[str, Reals]:
    found = connection.sql("""
        WITH sent AS (
            SELECT member_id, (redemptions.send_id IS NOT NULL)::DOUBLE AS used
            FROM sends LEFT JOIN redemptions USING (send_id) WHERE arm = 'treated'
        )
        SELECT avg(used), (SELECT avg(ever) FROM (SELECT max(used) AS ever FROM sent GROUP BY member_id)) FROM sent
    """).fetchall()[0]
    names = ("redemption_share", "redeemers")
    return {
        name: np.array([] if value is None else [value], np.float64) for name, value in zip(names, found, strict=True)
    }


def _category_repeat(connection: duckdb.DuckDBPyConnection) -> Reals:
    """How often a category of a basket was in the member's basket before, over its share of all baskets."""
    lift = connection.sql("""
        WITH popular AS (
            SELECT category, count(*) / (SELECT count(DISTINCT (member_id, visit)) FROM judged_categories) AS share
            FROM judged_categories GROUP BY category
        )
        SELECT avg((before.category IS NOT NULL)::DOUBLE) / avg(popular.share)
        FROM judged_categories AS this JOIN popular USING (category) LEFT JOIN judged_categories AS before
        ON before.member_id = this.member_id AND before.category = this.category AND before.visit = this.visit - 1
        WHERE this.visit > 1
    """).fetchall()[0][0]
    return np.array([] if lift is None else [lift], np.float64)


def _plain(values: Any) -> Reals:  # noqa: ANN401 - DuckDB gives masked arrays where nulls could be
    return np.asarray(np.ma.getdata(values), np.float64)
