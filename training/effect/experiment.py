"""The rows of which a lot decided whether the offer was sent, with what was known and what came of both arms."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.errors import DataError
from training.dataset import matrix
from training.effect.model import Trial

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data.sources import DataSet
    from training.dataset import Built
    from training.effect.task import EffectTask

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_OUTCOMES = (
    "treated",
    "propensity",
    "purchased",
    "margin_fen",
    "redeemed",
    "cost_fen",
    "goods_margin_fen",
    "goods_lines",
    "line_margin_fen",
    "basket_margin_fen",
)


@dataclass(frozen=True)
class Experiment:
    """Rows in the order of their moment; every array has one value a row.

    Attributes:
        row_id: Key of each row.
        as_of: The moment of the draw, microseconds since 1970 in UTC.
        closes_at: From when what came of it no longer changes, likewise.
        unit: Code of the independent unit (member).
        group: Code of what folds may not divide (campaign).
        matrix: Feature values as they are served, float32, shape (rows, features), NaN for null.
        treated: Whether the offer was sent.
        propensity: The chance with which it was to be sent.
        purchased: Whether anything the offer is good for was bought, 0 or 1.
        margin_fen: Margin of everything bought.
        redeemed: Whether the offer was redeemed, 0 or 1.
        cost_fen: What that took off.
        goods_margin_fen: Margin of what was bought that the offer is good for, before the discount.
        goods_lines: Lines of that.
        line_margin_fen: The part of the discounted lines in the basket's margin, before the discount; 0 without one.
        basket_margin_fen: What the basket of the redemption earned before that; NaN where there was none.
    """

    row_id: NDArray[np.object_]
    as_of: NDArray[np.int64]
    closes_at: NDArray[np.int64]
    unit: NDArray[np.int64]
    group: NDArray[np.int64]
    matrix: NDArray[np.float32]
    treated: NDArray[np.bool_]
    propensity: NDArray[np.float64]
    purchased: NDArray[np.float64]
    margin_fen: NDArray[np.float64]
    redeemed: NDArray[np.float64]
    cost_fen: NDArray[np.float64]
    goods_margin_fen: NDArray[np.float64]
    goods_lines: NDArray[np.float64]
    line_margin_fen: NDArray[np.float64]
    basket_margin_fen: NDArray[np.float64]

    def __len__(self) -> int:
        """How many rows."""
        return len(self.row_id)

    def at(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Experiment:
        """Some of the rows."""
        return Experiment(*(getattr(self, one.name)[rows] for one in fields(self)))

    def trial(self, features: tuple[str, ...]) -> Trial:
        """What a learner of the effect on purchases is given."""
        trial = Trial.of(features, self.matrix, self.treated, self.purchased, self.propensity)
        return replace(trial, redeemed=self.redeemed)


def read_experiment(task: EffectTask, data_set: DataSet, built: Built) -> Experiment:
    """The rows of a task with what came of them, as far as the tables reach: not those whose window was still open.

    Raises:
        DataError: Tables are missing, a row has no outcome or more than one, or what has to be known is null.
    """
    missing = [name for name in task.outcomes.tables if name not in data_set.files]
    if missing:
        raise DataError(
            f"task {task.name!r} needs tables that {data_set.root} has not: missing {', '.join(missing)}; "
            f"found {', '.join(sorted(data_set.files))}"
        )
    cost = task.redemption
    names = cost.features.names
    rows = pq.read_table(
        built.path, columns=list(dict.fromkeys(("row_id", "as_of", cost.unit, cost.split.group, *names)))
    )
    with data_set.connect() as connection:
        connection.register("asked", pa.table({"row_id": rows["row_id"], "place": np.arange(rows.num_rows)}))
        told = connection.sql(
            f"SELECT told.* EXCLUDE (row_id) FROM ({task.outcomes.sql}) AS told "
            "JOIN asked USING (row_id) ORDER BY place"
        ).to_arrow_table()
    _require_outcomes(task, told, rows.num_rows)
    whole = Experiment(
        row_id=rows["row_id"].to_numpy(),
        as_of=_instants(rows["as_of"]),
        closes_at=_instants(told["closes_at"].fill_null(_LONG_AGO)),
        unit=_codes(rows[cost.unit]),
        group=_codes(rows[cost.split.group]),
        matrix=matrix(rows, names),
        treated=_numbers(told["treated"]) > 0,
        propensity=_numbers(told["propensity"]),
        purchased=_numbers(told["purchased"]),
        margin_fen=_numbers(told["margin_fen"]),
        redeemed=_numbers(told["redeemed"]),
        cost_fen=_numbers(told["cost_fen"]),
        goods_margin_fen=_numbers(told["goods_margin_fen"]),
        goods_lines=_numbers(told["goods_lines"]),
        line_margin_fen=_numbers(told["line_margin_fen"]),
        basket_margin_fen=_numbers(told["basket_margin_fen"]),
    )
    return whole.at(told["closes_at"].is_valid().to_numpy())


def _require_outcomes(task: EffectTask, told: pa.Table, rows: int) -> None:
    problems = [] if told.num_rows == rows else [f"{told.num_rows} outcomes of {rows} rows"]
    known = [name for name in _OUTCOMES if name != "basket_margin_fen"]
    problems += [f"null in {name} of {told[name].null_count} rows" for name in known if told[name].null_count]
    if told["basket_margin_fen"].null_count == told.num_rows:
        problems.append("no margin of a basket in which an offer was redeemed")
    if problems:
        raise DataError(
            f"task {task.name!r} ({task.outcomes.name}): found {'; '.join(problems)}; expected one outcome a row, with "
            "margins of orders, face values of offers and the orders of redemptions; add margin_fen, face_value_fen "
            "and order_id to these tables"
        )


def _numbers(column: pa.ChunkedArray[pa.Scalar[pa.DataType]]) -> NDArray[np.float64]:
    made: NDArray[np.float64] = column.cast(pa.float64()).fill_null(pa.scalar(np.nan)).to_numpy()
    return made


def _instants(column: pa.ChunkedArray[pa.Scalar[pa.DataType]]) -> NDArray[np.int64]:
    made: NDArray[np.int64] = column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy()
    return made


def _codes(column: pa.ChunkedArray[pa.Scalar[pa.DataType]]) -> NDArray[np.int64]:
    coded = column.combine_chunks().dictionary_encode()
    made: NDArray[np.int64] = coded.indices.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return made
