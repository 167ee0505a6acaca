"""What the page tells of an order of lists: what its first places find, beside the orders it would replace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from serving.reasons import explain
from training.ranking_metrics import ndcg_at, recall_at
from training.report import terms
from training.report.curve import Curve, Line
from training.report.evidence import EXPLAINED, WORST, drift_of, hidden
from training.report.part import Headline, Part
from training.report.risks import risks_of
from training.report.words import Said, lead, metric, number

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from serving.reasons import Reason
    from training.bundles import Manifest
    from training.interval import Interval
    from training.ranking_metrics import ListMetric
    from training.ranking_pipeline import FittedOrder

PLACES: Final = (1, 2, 3, 5, 7, 10, 15, 20)
COLUMNS: Final = (Said("place in its list", "列表名次"), Said("score", "得分"), Said("came true", "实际"))
_NO_MONEY: Final = (
    "An order takes no action, so no money is estimated: the gain in {english} over each baseline decides.",
    "排序不采取行动，因此不估计收益：以相对各基线的{chinese}增益决定。",
)
_NO_SLICES: Final = Said(
    "The task names no groups, so nothing is told of fairness between them; look at single lists below.",
    "任务未声明分组，故此处无公平性比较；请看下方单个列表。",
)
_CURVES: Final = Said(
    "Means over lists of which something came true; every baseline orders the same lists.",
    "按有实际发生的列表取平均；各基线排序同一批列表。",
)


@dataclass(frozen=True)
class Placed:
    """One candidate of a list of the test.

    Attributes:
        name: A hash of the data and the row's key.
        place: In its list, from 1.
        rows: How long that list is.
        score: What was said.
        came: Whether it came true.
        reasons: What moved its score most.
    """

    name: str
    place: int
    rows: int
    score: float
    came: bool
    reasons: tuple[Reason, ...]

    @property
    def cells(self) -> tuple[str, ...]:
        """Place, score and what came true."""
        return f"{self.place} / {self.rows}", number(self.score), "yes 是" if self.came else "no 否"


def part_of(fitted: FittedOrder, manifest: Manifest) -> Part:
    """The part of an order: no money, and the lead over the strongest order that it would replace."""
    record = fitted.record
    deciding = fitted.model.task.metrics[0]
    told, whole = metric(deciding.name), record.metrics[deciding.name]
    headlines = [Headline(Said(f"{told.english}, mean over lists", f"{told.chinese}（列表平均）"), whole)]
    strongest = _strongest(fitted, deciding)
    if strongest is not None:
        name, gain = strongest
        said = Said(
            f"Ahead of {name}, the best order without a model, by", f"领先最强基线（{terms.baseline(name).chinese}）"
        )
        headlines.append(Headline(said, gain, sure=lead(gain)))
    english, chinese = _NO_MONEY
    return Part(
        money=None,
        headlines=tuple(headlines),
        risks=risks_of(record, manifest, fitted.model.task.metrics, None, drift_of(record, manifest)),
        curves=curves_of(fitted),
        errors=worst(fitted, manifest),
        decisions=ten(fitted, manifest),
        columns=COLUMNS,
        decided=COLUMNS,
        remarks={
            "money": Said(english.format(english=told.english), chinese.format(chinese=told.chinese)),
            "slices": _NO_SLICES,
            "curves": _CURVES,
        },
    )


def _strongest(fitted: FittedOrder, deciding: ListMetric) -> tuple[str, Interval] | None:
    gains = {name: figures[f"gain_{deciding.name}"] for name, figures in fitted.record.baselines.items()}
    return min(gains.items(), key=lambda told: told[1].value, default=None)


def curves_of(fitted: FittedOrder) -> tuple[Curve, ...]:
    """What the first places find, for more and more of them, by the model and by each baseline."""
    said, task = fitted.predictions, fitted.model.task
    scores = {"model": said.score} | {one.name: one.of(task.features.names, said.matrix) for one in task.baselines}
    ranked = {name: said.lists.ranked(score) for name, score in scores.items()}

    def drawn(name: str, title: Said, up: Said, made: Callable[[int], ListMetric]) -> Curve:
        lines = []
        for who, lists in ranked.items():
            of_each = [made(places).of_each(lists)[lists.judged].mean() for places in PLACES]
            label = Said("model", "模型") if who == "model" else terms.baseline(who)
            lines.append(Line(label, tuple(map(float, PLACES)), tuple(map(float, of_each))))
        return Curve(name, title, Said("places shown", "展示位数"), up, tuple(lines))

    found, worth = Said("share found of all that came true", "查全率"), Said("NDCG", "NDCG")
    return (
        drawn("recall", Said("What the first places find", "前若干位的召回率"), found, recall_at),
        drawn("ndcg", Said("How far up it stands (NDCG)", "排序质量（NDCG）"), worth, ndcg_at),
    )


def ten(fitted: FittedOrder, manifest: Manifest) -> tuple[Placed, ...]:
    """Ten candidates, from the highest score to the lowest."""
    order = np.argsort(fitted.predictions.score, kind="stable")
    places = [round(share * (len(order) - 1)) for share in EXPLAINED]
    return placed(fitted, manifest, order[list(dict.fromkeys(places))])


def worst(fitted: FittedOrder, manifest: Manifest) -> tuple[Placed, ...]:
    """The surest first places that did not come true, then what came true and stood furthest down its list."""
    said = fitted.predictions
    place, rows = _places(said.lists.code, said.score)
    label = said.lists.label
    first = np.flatnonzero((place == 0) & (label == 0))
    false = first[np.argsort(-said.score[first], kind="stable")]
    true = np.flatnonzero(label == 1)
    missed = true[np.argsort(-place[true] / rows[true], kind="stable")]
    return placed(fitted, manifest, np.concatenate([false[:WORST], missed[:WORST]]))


def placed(fitted: FittedOrder, manifest: Manifest, rows: NDArray[np.intp]) -> tuple[Placed, ...]:
    """Some candidates with their places and why; without keys, moments or ids."""
    said = fitted.predictions
    place, length = _places(said.lists.code, said.score)
    matrix = said.matrix[rows]
    parts = np.asarray(fitted.model.booster.predict(matrix, pred_contrib=True, num_threads=1))[:, :-1]
    return tuple(
        Placed(
            hidden(manifest.data_hash, str(said.row_id[row])),
            int(place[row]) + 1,
            int(length[row]),
            float(said.score[row]),
            bool(said.lists.label[row]),
            explain(manifest.features, matrix[number_], parts[number_], effect=_lifts),
        )
        for number_, row in enumerate(rows)
    )


def _lifts(contribution: float) -> tuple[str, str]:
    """What a contribution does to a place."""
    up = contribution > 0
    return f"this moves it {'up' if up else 'down'} its list", f"这使名次{'上升' if up else '下降'}"


def _places(code: NDArray[np.int64], score: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The place of each row in its list, from 0, and how long the list is; equals in the order of the rows."""
    order = np.lexsort((-score, code))
    _, inverse, counts = np.unique(code, return_inverse=True, return_counts=True)
    starts = np.append(0, np.cumsum(counts)[:-1])
    place = np.empty(len(code), np.intp)
    place[order] = np.arange(len(code)) - starts[inverse[order]]
    return place, counts[inverse].astype(np.intp)
