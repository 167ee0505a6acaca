"""What a store sells in a year once it is mature: the figure that a forecast for a site is about.

Monthly sales are taken apart as log(revenue of store s in month t) = level_s + month_t + ramp(age), by least squares:
`month` holds season and growth of the whole chain, `ramp` is 0 from `Maturity.months` on. A store's yearly revenue is
what it took over its last months, divided by what a store of level 0 and its age would have taken in them, times what
such a store takes over the last twelve months of the tables when it is mature.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Days = NDArray[np.int64]

DAYS_A_MONTH = 365.25 / 12
HALF_A_MONTH = 15
A_YEAR = 12
RAMP_STEP = 3.0


@dataclass(frozen=True)
class Maturity:
    """Which months of which stores say what a mature store sells.

    Attributes:
        months: Age from which a store counts as mature; younger months are corrected by the ramp.
        youngest: Age in months below which sales say nothing yet.
        window: How many of a store's last full months its figure rests on.
        least: How many such months a store needs; one that closed counts like any other, so that only survivors are
            not learned from.
    """

    months: float = 18.0
    youngest: float = 6.0
    window: int = 12
    least: int = 6


@dataclass(frozen=True)
class MonthlyBooks:
    """Months of trade that count; arrays of one length, and the first of each month in days since 1970-01-01.

    Attributes:
        store: Place of the store in the table `stores`.
        month: Place of the month in `first_day`.
        log_revenue: Logarithm of what it took, less the ramp of its age.
        first_day: First day of every month, shape (months,).
    """

    store: NDArray[np.intp]
    month: NDArray[np.intp]
    log_revenue: Floats
    first_day: Days


@dataclass(frozen=True)
class YearlySales:
    """The yearly revenue of stores as if mature, and when it was taken; arrays of one length, stores by id.

    Attributes:
        store: Place of each store in the table `stores`.
        revenue_fen: Fen a year.
        from_day: First day of the months that it rests on, days since 1970-01-01: what opened later may not be known.
        months: How many months it rests on.
        mature_share: Share of those months in which it was mature.
        ramp: What a store takes at each age in months (`ramp_age`), as a share of the same store when mature.
        ramp_age: The ages.
        books: Store, month, log revenue with the ramp taken out: what each month said of its store.
        season_fen: What a mature store of level 0 takes in the last twelve months of the tables.
    """

    store: NDArray[np.intp]
    revenue_fen: Floats
    from_day: Days
    months: NDArray[np.int64]
    mature_share: Floats
    ramp: Floats
    ramp_age: Floats
    books: MonthlyBooks
    season_fen: float


def yearly_sales(stores: pa.Table, store_sales: pa.Table, rule: Maturity | None = None) -> YearlySales:
    """The yearly revenue of each own store that traded long enough, closed ones included.

    Raises:
        DataError: No store has enough months.
    """
    chosen = Maturity() if rule is None else rule
    seen = _months(stores, store_sales, chosen)
    if not len(seen.store):
        raise DataError(
            f"store_sales: found no store with {chosen.least} full months of sales past an age of {chosen.youngest:g} "
            "months, expected some to learn from; give more months, or a rule of maturity that fits the chain"
        )
    month, ramp = _decomposed(seen, chosen)
    expected = np.exp(month[seen.month] + _hinges(seen.age, chosen) @ ramp)
    last_year = np.exp(month[-A_YEAR:]).mean() * A_YEAR
    found = []
    for store in np.unique(seen.store):
        rows = np.flatnonzero(seen.store == store)
        rows = rows[np.argsort(seen.month[rows])][-chosen.window :]
        level = seen.revenue[rows].sum() / expected[rows].sum()
        mature = float((seen.age[rows] >= chosen.months).mean())
        found.append((store, level * last_year, seen.first_day[rows].min(), len(rows), mature))
    store, revenue, first, months, mature_share = zip(*found, strict=True)
    ages = np.arange(0.0, chosen.months + RAMP_STEP, RAMP_STEP)
    return YearlySales(
        np.array(store, np.intp),
        np.array(revenue, np.float64),
        np.array(first, np.int64),
        np.array(months, np.int64),
        np.array(mature_share, np.float64),
        np.exp(_hinges(ages, chosen) @ ramp),
        ages,
        MonthlyBooks(seen.store, seen.month, np.log(seen.revenue) - _hinges(seen.age, chosen) @ ramp, _firsts(seen)),
        float(last_year),
    )


@dataclass(frozen=True)
class _Months:
    """Full months of trade: place of the store, number of the month, takings, age in its middle, first day."""

    store: NDArray[np.intp]
    month: NDArray[np.intp]
    revenue: Floats
    age: Floats
    first_day: Days


def _months(stores: pa.Table, store_sales: pa.Table, rule: Maturity) -> _Months:
    place = {store: number for number, store in enumerate(stores["store_id"].to_pylist())}
    opened, closed = days_of(stores, "opened_on"), days_of(stores, "closed_on")
    store = np.array([place[one] for one in store_sales["store_id"].to_pylist()], np.intp)
    month = np.asarray(store_sales["month"].to_numpy(zero_copy_only=False)).astype("datetime64[M]")
    revenue = np.asarray(store_sales["revenue_fen"].to_numpy(zero_copy_only=False), np.float64)
    first = month.astype("datetime64[D]").astype(np.int64)
    after = (month + np.timedelta64(1, "M")).astype("datetime64[D]").astype(np.int64)
    age = ((first + after) / 2 - opened[store]) / DAYS_A_MONTH
    full = (opened[store] <= first) & (after <= closed[store]) & (revenue > 0) & (age >= rule.youngest)
    counts = np.bincount(store[full], minlength=len(place))
    full &= counts[store] >= rule.least
    number = (month - month[full].min()).astype(np.intp) if full.any() else np.zeros(len(month), np.intp)
    return _Months(store[full], number[full], revenue[full], age[full], first[full])


def days_of(table: pa.Table, column: str) -> Days:
    """Days since 1970-01-01 of a date column; what is null or missing has not happened (the largest number)."""
    never = np.iinfo(np.int64).max
    if column not in table.column_names:
        return np.full(table.num_rows, never)
    found = np.asarray(table[column].to_numpy(zero_copy_only=False)).astype("datetime64[D]")
    return np.where(np.isnat(found), never, found.astype(np.int64))


def _decomposed(seen: _Months, rule: Maturity) -> tuple[Floats, Floats]:
    """Month effects (of mean 0) and ramp coefficients by least squares, each store's mean taken out first.

    Months are unit columns and are solved with the ramp in one small system; taking out the mean of each store is what
    a column for every store would do (Frisch and Waugh 1933).
    """
    count = int(seen.month.max()) + 1
    hinges = _hinges(seen.age, rule)
    young = np.flatnonzero(hinges.any(axis=0))
    columns = np.column_stack((np.eye(count)[seen.month], hinges[:, young]))
    target = np.log(seen.revenue)
    _, code = np.unique(seen.store, return_inverse=True)
    size = np.bincount(code).astype(np.float64)
    both = np.column_stack((columns, target))
    means = np.stack([np.bincount(code, column) / size for column in both.T], axis=1)
    within = both - means[code]
    solved, *_ = np.linalg.lstsq(within[:, :-1], within[:, -1], rcond=None)
    ramp = np.zeros(hinges.shape[1])
    ramp[young] = solved[count:]
    return solved[:count] - solved[:count].mean(), ramp


def _firsts(seen: _Months) -> Days:
    start = seen.first_day.min().astype("datetime64[D]").astype("datetime64[M]")
    count = int(seen.month.max()) + 1
    months = start + np.arange(count).astype("timedelta64[M]")
    return np.asarray(months.astype("datetime64[D]").astype(np.int64))


def presence(sales: YearlySales, opened: Days, closed: Days) -> Floats:
    """How far each store had come in each month of the books, 0 shut to 1 mature; shape (stores, months)."""
    middle = sales.books.first_day + HALF_A_MONTH
    age = (middle - opened[:, None]) / DAYS_A_MONTH
    come = np.interp(age, sales.ramp_age, np.minimum(sales.ramp, 1.0))
    present: Floats = np.where((age >= 0) & (middle < closed[:, None]), come, 0.0)
    return present


def _hinges(age: Floats, rule: Maturity) -> Floats:
    """Columns of a broken line over age that is 0 from maturity on; (rows, knots)."""
    knots = np.arange(RAMP_STEP, rule.months + RAMP_STEP / 2, RAMP_STEP)
    columns: Floats = np.maximum(np.minimum(knots, rule.months) - age[:, None], 0.0) / RAMP_STEP
    return columns
