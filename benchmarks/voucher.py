"""To whom a shop sends a voucher, judged by what each voucher earns (Data Mining Cup 2010).

A voucher of EUR 5 brings EUR 1.5 from whoever would not have ordered again within 90 days, and is lost on whoever
would. Sending to everybody earns something; what is left to a model is to spare those who come back anyway. The
official test half is not at hand: every customer of the training half is decided on by a model that has not seen them.

    python -m benchmarks.voucher
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import duckdb
import numpy as np

from benchmarks.folds import cross_fitted, dealt
from benchmarks.shown import of_sums, print_figures
from training.calibrate import Sigmoid
from training.interval import Resampling
from training.learner import Binary, raw_scores

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Columns = Mapping[str, NDArray[np.float64]]

FOLDS: Final = 5
WON, LOST = 1.5, -5.0
"""What a voucher earns from whoever would not have come back, and from whoever would."""

LEARNER: Final = Binary(
    parameters={
        "learning_rate": 0.03,
        "num_iterations": 200,
        "num_leaves": 15,
        "min_data_in_leaf": 50,
        "feature_fraction": 0.3,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "lambda_l2": 5.0,
    }
)
"""Small trees with much left to chance; its chances are used as they are, being grown by their likelihood."""

_SEED: Final = 6
_FILE: Final = ("voucher", "train.parquet")
_COLUMNS: Final = """
    target90, salutation, title, domain, newsletter, model, paymenttype, deliverytype, voucher, "case", numberitems,
    gift, entry, shippingcosts, weight, remi, cancel, used, w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10,
    try_cast(invoicepostcode AS INTEGER) AS postcode, delivpostcode IS NOT NULL AS sent_elsewhere,
    advertisingdatacode IS NOT NULL AS advertised, count(*) OVER (PARTITION BY advertisingdatacode) AS advertised_like,
    date::DATE - DATE '2008-04-01' AS day, date::DATE - datecreated::DATE AS account_days,
    dayofweek(date::DATE) AS weekday, month(date::DATE) AS month, day(date::DATE) AS day_of_month,
    least(try_cast(deliverydatepromised AS DATE) - date::DATE, 400) AS promised_days,
    try_cast(deliverydatereal AS DATE) - date::DATE AS delivered_days,
    try_cast(deliverydatereal AS DATE) - try_cast(deliverydatepromised AS DATE) AS late_days
"""


def measure(real: Path, resamples: int = 1_000) -> dict[str, Any] | None:
    """What vouchers would have earned by the model, by all knowledge and by sending to everybody.

    Args:
        real: The folder of real sets.
        resamples: How many draws of customers.

    Returns:
        `revenue`, `share_of_oracle`, `gain_over_send_all` and `share_sent` with their intervals, in EUR over all
        `customers`; `send_all` and `oracle` alone. None without the data.
    """
    path = real.joinpath(*_FILE)
    if not path.is_file():
        return None
    names, matrix, reorders = read(path)
    generator = np.random.default_rng(_SEED)

    def chance(known: NDArray[np.bool_], asked: NDArray[np.bool_]) -> NDArray[np.float64]:
        booster = LEARNER.fit(names, matrix[known], reorders[known], {}, generator)
        return Sigmoid().apply(raw_scores(booster, matrix[asked]))

    said = cross_fitted(dealt(reorders, FOLDS, generator), chance)
    return earned(said, reorders, Resampling(np.arange(len(reorders)), generator, resamples))


def earned(chance: NDArray[np.float64], reorders: NDArray[np.float64], resampling: Resampling) -> dict[str, Any]:
    """What vouchers earn if they go to whoever they are expected to earn from.

    Args:
        chance: That a customer comes back anyway, shape (customers,).
        reorders: Whether they did.
        resampling: Draws of customers.
    """
    sent = (chance * LOST + (1 - chance) * WON > 0).astype(np.float64)
    worth = np.where(reorders == 1, LOST, WON)
    columns = {"ours": sent * worth, "oracle": np.maximum(worth, 0), "all": worth, "sent": sent, "rows": 1 + 0 * sent}
    found = of_sums(columns, _figures, resampling)
    return {
        **found,
        "send_all": float(worth.sum()),
        "oracle": float(np.maximum(worth, 0).sum()),
        "customers": len(worth),
    }


def read(path: Path) -> tuple[list[str], NDArray[np.float32], NDArray[np.float64]]:
    """Names of the columns, their values (customers, columns) and who ordered again, by customer number."""
    with duckdb.connect() as connection:
        table = connection.sql(f"SELECT {_COLUMNS} FROM read_parquet('{path}') ORDER BY customernumber").fetchnumpy()
    reorders = np.asarray(table.pop("target90"), np.float64)
    columns = [np.ma.filled(np.ma.asarray(column, np.float64), np.nan) for column in table.values()]
    return list(table), np.column_stack(columns).astype(np.float32), reorders


def _figures(sums: Columns) -> Columns:
    return {
        "revenue": sums["ours"],
        "share_of_oracle": sums["ours"] / sums["oracle"],
        "gain_over_send_all": sums["ours"] - sums["all"],
        "share_sent": sums["sent"] / sums["rows"],
    }


def main() -> None:
    """Measures and prints."""
    print_figures("python -m benchmarks.voucher", "To whom a shop sends a voucher.", measure)


if __name__ == "__main__":
    main()
