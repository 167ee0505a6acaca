"""What the page tells of a model that decides rows by their chance, and of a policy of offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from serving.reasons import explain
from training.effect.study import MODEL
from training.report import terms
from training.report.curve import Curve, Line, curves_of
from training.report.evidence import EXPLAINED, drift_of, explained, hidden, worst_errors
from training.report.part import Headline, Part
from training.report.risks import Money, money_risk, risks_of
from training.report.words import Said, lead, number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serving.reasons import Reason
    from training.bundles import Manifest
    from training.effect.study import EffectRecord, FittedEffects
    from training.pipeline import Fitted
    from training.record import Record

COLUMNS: Final = (
    Said("chance", "概率"),
    Said("action", "决策"),
    Said("came true", "实际"),
    Said("stake, fen", "金额（分）"),
    Said("earned, fen", "收益（分）"),
    Said("lost, fen", "损失（分）"),
)
_WORST: Final = Said(
    "First what did not come true, then what did: each half by the fen lost against the best action had the outcome "
    "been known, and of equal loss by how far the chance was off.",
    "先列未发生的，再列发生的：各半按相对事后最佳决策的损失（分）排序，损失相同时按概率偏差排序。",
)
_CASES: Final = Said(
    "From the likeliest row of the test to the least likely.",
    "按概率从测试集中最高的一行到最低的一行。",
)
DECIDED: Final = (
    Said("chance to be redeemed", "核销概率"),
    Said("counted on, fen", "保守增益（分）"),
    Said("cost, fen", "成本（分）"),
    Said("policy", "决策"),
    Said("by lot it was", "抽签实际"),
)
_THRESHOLDS: Final = Said(
    "Thresholds are those that follow from the pay-off at the middle stake of the test.",
    "阈值由收益表在测试集中位金额处推出。",
)
_POLICY: Final = Said(
    "Money is the policy's: an offer goes out where what it changes is worth its price, measured on rows that a lot "
    "decided (doubly robust). Curves, slices and errors are of the chance of redemption, which is its cost.",
    "收益为发券策略的收益：以随机发放样本按双重稳健法估计；曲线、分组与误差针对核销概率（成本侧）。",
)
_LIKELIEST: Final = Said("sending to the likeliest to redeem, for the same cost", "同等成本下按核销概率发券")
_BY_POLICY: Final = Said(
    "Decided by the policy within the budget: sent where what can be counted on exceeds the cost at that price.",
    "按预算内策略决定：保守增益高于按预算价格计的成本时发券。",
)


@dataclass(frozen=True)
class Offered:
    """One row of the test with what the policy does and why.

    Attributes:
        name: A hash of the data and the row's key.
        cells: Chance of redemption, what can be counted on, cost, what is done, and what the lot had done.
        reasons: What moved the chance of redemption most.
    """

    name: str
    cells: tuple[str, ...]
    reasons: tuple[Reason, ...]


def part_of(fitted: Fitted, manifest: Manifest, changes: FittedEffects | None) -> Part:
    """The part of a fit that decides.

    Args:
        fitted: Model, predictions and record.
        manifest: Of its bundle.
        changes: What offers change, where the record's money is that of their policy.
    """
    record = fitted.record
    money = money_of(record, manifest)
    curves, decisions, remarks = curves_of(fitted), explained(fitted, manifest), {"curves": _THRESHOLDS}
    remarks |= {"errors": _WORST, "decisions": _CASES}
    risks = risks_of(record, manifest, fitted.model.task.metrics, money, drift_of(record, manifest))
    told: tuple[Offered, ...] = ()
    rests = _rests(record.rows) if changes is None else _by_lot(changes.record.rows["test"])
    if changes is not None:
        curves = (*(one for one in curves if one.name != "money"), policies(changes.record))
        told, remarks = offered(changes, manifest), {"money": _POLICY, "errors": _WORST, "decisions": _BY_POLICY}
        usual = Money(money.model, record.money["gain_over_likeliest_to_redeem"], _LIKELIEST)
        risks = tuple(sorted((*risks, money_risk(usual)), key=lambda one: -one.severity))
    return Part(
        money=money,
        headlines=(
            Headline(Said("Expected money, fen a row", "预期收益（分/行）"), money.model, rests=rests),
            Headline(
                Said(f"Beside {money.than.english}, fen a row", f"与{money.than.chinese}相比多赚（分/行）"),
                money.gain,
                sure=lead(money.gain),
                rests=rests,
            ),
        ),
        risks=risks,
        curves=curves,
        errors=worst_errors(fitted, manifest),
        decisions=told or decisions,
        columns=COLUMNS,
        decided=DECIDED if told else COLUMNS,
        remarks=remarks,
    )


def money_of(record: Record, manifest: Manifest) -> Money:
    """What the actions earn beside what would be done for all instead; of offers within the budget."""
    if manifest.effects is not None:
        instead = Said("sending nothing, within the budget", "不发券（预算内）")
    else:
        constants = {name: figure.value for name, figure in record.money.items() if name.startswith("always_")}
        best = max(constants, key=lambda name: constants[name]).removeprefix("always_")
        instead = Said(f"doing “{best}” for all", f"一律{terms.action(best).chinese}")
    return Money(record.money["model"], record.money["gain_over_best_constant"], instead)


def _rests(rows: Mapping[str, int]) -> Said:
    """Of which rows the money is: those by lot where others say too much or too little."""
    lot = rows.get("test_by_lot")
    return (
        Said(f"on all {rows['test']:,} rows of the test", f"基于测试集全部 {rows['test']:,} 行")
        if lot is None
        else _by_lot(lot)
    )


def _by_lot(rows: int) -> Said:
    return Said(f"on {rows:,} rows of the test drawn by lot", f"基于测试集中抽签抽出的 {rows:,} 行")


def policies(record: EffectRecord) -> Curve:
    """What sending earns for what it costs: nothing, the budget, and all that is worth it, beside the usual way."""
    settings = {record.spend["model"]: record.policies}
    if record.spend["budget"] < record.spend["model"]:
        settings = {record.spend["budget"]: record.budgeted, **settings}
    nothing = record.policies["send_none"]["value"].value

    def line(name: str, label: Said) -> Line:
        return Line(label, (0.0, *settings), (nothing, *(one[name]["value"].value for one in settings.values())))

    return Curve(
        "money",
        Said("What offers earn for what they cost", "发券的收益与成本"),
        Said("expected cost, fen a row", "预期成本（分/行）"),
        Said("fen a row", "每行收益（分）"),
        (
            line(MODEL, Said("policy", "策略")),
            line("propensity", Said("to the likeliest to redeem", "按核销概率")),
            Line(
                Said("to all", "全发"),
                (0.0, record.spend["all"]),
                (nothing, record.policies["send_all"]["value"].value),
                dashed=True,
            ),
        ),
    )


def offered(changes: FittedEffects, manifest: Manifest) -> tuple[Offered, ...]:
    """Ten rows of the test from the one most worth an offer to the least, decided within the budget."""
    model, test = changes.model, changes.test
    said = model.value(test.matrix)
    lower = said.lower(model.task.caution)
    worth = lower - changes.record.price * said.cost
    order = np.argsort(worth, kind="stable")
    rows = [int(order[place]) for place in dict.fromkeys(round(share * (len(order) - 1)) for share in EXPLAINED)]
    matrix = test.matrix[rows]
    parts = np.asarray(model.redemption.predict(matrix, pred_contrib=True, num_threads=1))[:, :-1]
    return tuple(
        Offered(
            hidden(manifest.data_hash, str(test.row_id[row])),
            (
                f"{said.redeems[row]:.2%}",
                number(float(lower[row])),
                number(float(said.cost[row])),
                "send 发放" if worth[row] > 0 else "withhold 不发",
                _came(sent=bool(test.treated[row]), bought=bool(test.purchased[row])),
            ),
            explain(manifest.features, matrix[place], parts[place]),
        )
        for place, row in enumerate(rows)
    )


def _came(*, sent: bool, bought: bool) -> str:
    """What a lot had done with an offer, and what came of it, in both languages."""
    done, done_zh = ("sent", "已发") if sent else ("withheld", "未发")
    came, came_zh = ("bought", "购买") if bought else ("not bought", "未购")
    return f"{done}, {came} {done_zh}，{came_zh}"
