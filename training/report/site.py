"""What the page tells of a forecast for sites: how far it is off, in money, where the neighbourhood was held back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from serving.reasons import explain
from serving.site_answers import sales_effect
from serving.siting.wording import FEN_A_WAN
from training.interval import Interval
from training.report import words
from training.report.curve import Curve, Line
from training.report.evidence import WORST, hidden
from training.report.part import Headline, Part
from training.report.risks import Risk, risks_of
from training.report.words import Said, number
from training.sites.pipeline import RULE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from serving.reasons import Reason
    from training.bundles import Manifest
    from training.record import Record
    from training.sites.pipeline import FittedSites

    Floats = NDArray[np.float64]

ENOUGH_STORES: Final = 100
BORNE_SHORTFALL: Final = 0.05
"""Share of stores by which an interval may hold fewer than it says."""
FIFTHS: Final = 5
COLUMNS: Final = (
    Said("forecast, 10,000 yuan", "预测（万元）"),
    Said("sold", "实际"),
    Said("off by", "误差"),
    Said("80 % interval", "80 % 区间"),
)
_MONEY: Final = Said(
    "A forecast takes no action, so nothing is earned by it: what stands for money is by how much it is off a year, "
    "and by how much less than the rule that counts people within one kilometre. 10,000 yuan (万元) a store.",
    "预测本身不采取行动，不产生收益：以每店每年的预测误差，及其比“一公里人口”规则少错多少来表示（万元）。",
)
_DRIFT: Final = Said(
    "No figure, by design: sites are judged on the very stores that were learned from, each stretch of town held back "
    "in turn, so there are no later rows that could have drifted. Whether a candidate lies outside of what the stores "
    "show is said with each answer.",
    "按设计无此项：选址模型在同一批门店上分片留出评估，没有更晚的数据可比；候选点是否超出门店范围随每次回答给出。",
)
_CURVES: Final = (
    "Every store is forecast by a model that knows nothing of its stretch of town, nor of {km:g} km around that.",
    "每家门店均由未见过其所在片区及周边 {km:g} 公里的模型预测。",
)
_SLICES: Final = Said(
    "Stretches of town and stores at random are told apart: random folds would claim what a new site cannot have. "
    "Cities and formats of too few stores are left out.",
    "区分整片留出与随机留出：随机留出会高估对新址的把握。门店过少的城市与业态不列。",
)
_EXPLAINED: Final = Said(
    "Why is told by the model of all stores; the forecast is that of the model without the store's neighbourhood.",
    "理由取自全部门店的模型；预测取自未见其周边的模型。",
)


@dataclass(frozen=True)
class Deciding:
    """The metric that decides, as risks ask for it."""

    name: str = "mape"
    greater_is_better: bool = False


@dataclass(frozen=True)
class Store:
    """One store, forecast while its stretch of town was held out.

    Attributes:
        name: A hash of the data and the store's key.
        forecast_fen: A year.
        sold_fen: A year, as if mature.
        interval_fen: The ends of the 80 % interval.
        reasons: What moved the forecast most.
    """

    name: str
    forecast_fen: float
    sold_fen: float
    interval_fen: tuple[float, float]
    reasons: tuple[Reason, ...]

    @property
    def cells(self) -> tuple[str, ...]:
        """Forecast, sales, how far it is off, and the interval."""
        low, high = self.interval_fen
        return (
            number(self.forecast_fen / FEN_A_WAN),
            number(self.sold_fen / FEN_A_WAN),
            f"{self.forecast_fen / self.sold_fen - 1:+.0%}",
            f"{number(low / FEN_A_WAN)} – {number(high / FEN_A_WAN)}",
        )


def part_of(fitted: FittedSites, manifest: Manifest) -> Part:
    """The part of a forecast: no action, so the error in money and how much less it is than the rule's."""
    record = fitted.record
    off, gain = _wan(record.metrics["error_fen"]), _wan(record.baselines[RULE]["gain_error_fen"])
    said = Said("Less than the rule of people within 1 km, by", "比“一公里人口”规则少错")
    return Part(
        money=None,
        headlines=(
            Headline(Said("Mean error a store and year, 10,000 yuan", "每店每年平均误差（万元）"), off),
            Headline(said, gain, sure=words.lead(gain)),
        ),
        risks=tuple(
            sorted(
                (*risks_of(record, manifest, (Deciding(),), None, ()), *_risks(record)), key=lambda one: -one.severity
            )
        ),
        curves=(against_truth(fitted), coverage(record), by_size(fitted)),
        errors=worst(fitted, manifest),
        decisions=ten(fitted, manifest),
        columns=COLUMNS,
        decided=COLUMNS,
        remarks={
            "money": _MONEY,
            "drift": _DRIFT,
            "curves": Said(*(one.format(km=fitted.model.task.buffer_km) for one in _CURVES)),
            "slices": _SLICES,
            "errors": _EXPLAINED,
            "decisions": _EXPLAINED,
        },
    )


def _wan(fen: Interval) -> Interval:
    return Interval(fen.value / FEN_A_WAN, fen.low / FEN_A_WAN, fen.high / FEN_A_WAN)


def _risks(record: Record) -> Iterator[Risk]:
    """Intervals that hold fewer stores than they say, misses that lie together, and few stores."""
    for level in (80, 90):
        held = record.metrics[f"coverage_{level}"]
        short = level / 100 - held.value
        if short > 0:
            yield Risk("coverage", short / BORNE_SHORTFALL, words.coverage(level, held))
    together, chance = record.metrics["moran_of_residuals"].value, record.metrics["moran_of_residuals_chance"]
    if together > chance.high > 0:
        yield Risk("misses lie together", together / chance.high, words.together(together, chance))
    stores = record.rows["test"]
    yield Risk("few stores", ENOUGH_STORES / max(stores, 1), words.few_stores(stores))


def against_truth(fitted: FittedSites) -> Curve:
    """Each store's forecast beside what it sold."""
    said = fitted.predictions.held.revenue_fen / FEN_A_WAN
    sold = np.exp(fitted.predictions.log_revenue) / FEN_A_WAN
    top = float(max(said.max(), sold.max()))
    return Curve(
        "forecast",
        Said("Forecast against what was sold", "预测与实际"),
        Said("forecast, 10,000 yuan a year", "预测（万元/年）"),
        Said("sold", "实际"),
        (
            Line(Said("a store", "门店"), tuple(said.tolist()), tuple(sold.tolist()), dots=True),
            Line(Said("as forecast", "完全一致"), (0.0, top), (0.0, top), dashed=True),
        ),
    )


def coverage(record: Record) -> Curve:
    """Which share of held-out stores lies inside each interval, beside what it says."""
    levels = (0.8, 0.9)
    held = tuple(record.metrics[f"coverage_{level * 100:.0f}"].value for level in levels)
    return Curve(
        "coverage",
        Said("Whether intervals hold what they say", "区间覆盖率"),
        Said("share that the interval promises", "标称"),
        Said("share of stores inside", "实际"),
        (
            Line(Said("held-out stores", "留出门店"), levels, held),
            Line(Said("as promised", "完全一致"), levels, levels, dashed=True),
        ),
    )


def by_size(fitted: FittedSites) -> Curve:
    """How far forecasts are off, by fifths of the forecast."""
    said, sold = fitted.predictions.held.revenue_fen, np.exp(fitted.predictions.log_revenue)
    fifths = np.array_split(np.argsort(said, kind="stable"), FIFTHS)
    across = tuple(float(said[rows].mean()) / FEN_A_WAN for rows in fifths)
    off = tuple(float(np.abs(said[rows] / sold[rows] - 1).mean()) for rows in fifths)
    whole = fitted.record.metrics["mape"].value
    return Curve(
        "size",
        Said("How far it is off, by size", "误差与规模"),
        Said("mean forecast of a fifth, 10,000 yuan a year", "五分位平均预测（万元/年）"),
        Said("mean error as a share of sales", "平均相对误差"),
        (
            Line(Said("fifths of the stores", "门店五分位"), across, off),
            Line(Said("all stores", "全部门店"), (across[0], across[-1]), (whole, whole), dashed=True),
        ),
    )


def worst(fitted: FittedSites, manifest: Manifest) -> tuple[Store, ...]:
    """The stores that were taken for too large most, then those for too small."""
    said = fitted.predictions
    over = np.log(said.held.revenue_fen) - said.log_revenue
    order = np.argsort(-over, kind="stable")
    return stores(fitted, manifest, np.concatenate((order[:WORST], order[WORST:][::-1][:WORST])))


def ten(fitted: FittedSites, manifest: Manifest) -> tuple[Store, ...]:
    """Ten stores, from the largest forecast to the least."""
    order = np.argsort(-fitted.predictions.held.revenue_fen, kind="stable")
    return stores(fitted, manifest, order[np.unique(np.linspace(0, len(order) - 1, 10).round().astype(np.intp))])


def stores(fitted: FittedSites, manifest: Manifest, rows: NDArray[np.intp]) -> tuple[Store, ...]:
    """Some stores with what was said of them and why; without ids and places."""
    said, added = fitted.predictions, contributions(fitted, rows)
    low, high = (np.exp(end) for end in said.held.intervals[0.8])
    forecast = said.held.revenue_fen
    return tuple(
        Store(
            hidden(manifest.data_hash, str(said.row_id[row])),
            float(forecast[row]),
            float(np.exp(said.log_revenue[row])),
            (float(low[row]), float(high[row])),
            explain(
                manifest.features, said.matrix[row], added[place], effect=partial(sales_effect, float(forecast[row]))
            ),
        )
        for place, row in enumerate(rows.tolist())
    )


def contributions(fitted: FittedSites, rows: NDArray[np.intp]) -> Floats:
    """What each feature adds to the logarithm through ridge and trees of all stores, shape (rows, features)."""
    made, known = fitted.model.fitted, fitted.model.ground.stores
    ridge = known.rows[rows] * np.array(made.whole.linear.coefficients)
    trees = made.whole.booster.predict(known.features[rows].astype(np.float64), pred_contrib=True, num_threads=1)
    added: Floats = made.model.weights[0] * ridge + made.model.weights[1] * np.asarray(trees, np.float64)[:, :-1]
    return added
