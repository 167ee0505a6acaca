"""A site's whole answer: forecast and interval, twins, reasons, what it takes from whom, pay-back, how firm it is."""

from __future__ import annotations

import hashlib
import math
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from serving.contracts import ModelName
from serving.reason_codes import reason_code
from serving.reasons import explain
from serving.site_contracts import (
    Cannibalisation,
    Difference,
    Loss,
    PayBack,
    Range,
    Sensitivity,
    SiteAnswer,
    SiteReason,
    SitesAnswer,
    Twin,
)
from serving.site_model import distances, likeness, scaled
from serving.sites import Candidates
from serving.siting.wording import percent, wan, yuan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from serving.site_contracts import SiteBody, SitesQuestion
    from serving.sites import SiteScorer

    Floats = NDArray[np.float64]

TWINS: Final = 5
DIFFERENCES: Final = 5
REASONS: Final = 5
LOSERS: Final = 10
A_YEAR: Final = 12
NEIGHBOURS: Final = "own_stores_unexplained_share"
"""Stands for a feature in the reason that neighbours give, which is no column of the model."""


def answer(scorer: SiteScorer, question: SitesQuestion) -> SitesAnswer:
    """The answer of `POST /v1/sites/score`."""
    manifest = scorer.manifest
    name = ModelName(task=manifest.task, version=manifest.version, feature_fingerprint=manifest.feature_fingerprint)
    sites = score(scorer, asked(question.sites), question.margin)
    answer = SitesAnswer(decision_id="", model=name, sites=sites)
    named = hashlib.sha256(question.model_dump_json().encode() + b"\n" + answer.model_dump_json().encode())
    return answer.model_copy(update={"decision_id": named.hexdigest()[:32]})


def asked(sites: Sequence[SiteBody]) -> Candidates:
    """Bodies as columns."""

    def column(name: str) -> list[float]:
        return [math.nan if (value := getattr(site, name)) is None else float(value) for site in sites]

    return Candidates.of(
        column("lat"),
        column("lon"),
        site_id=[site.site_id for site in sites],
        format=[site.format for site in sites],
        area_m2=column("area_m2"),
        rent_fen=column("rent_fen"),
        opening_cost_fen=column("opening_cost_fen"),
    )


def score(scorer: SiteScorer, candidates: Candidates, margin: float | None = None) -> tuple[SiteAnswer, ...]:
    """Every candidate's whole answer, each as if it alone opened.

    Args:
        scorer: The model.
        candidates: The sites.
        margin: Share of sales left before rent; None for what the model's task assumes.
    """
    matrix = scorer.matrix(candidates)
    forecast = scorer.forecast(candidates, matrix)
    added = scorer.contributions(matrix)
    times = scorer.widened(candidates, matrix)
    lost = {scale: scorer.lost_shares(candidates, scale) * scorer.stores.revenue_fen for scale in times}
    apart = scorer.apart_km(candidates)
    around = scorer.nearby(candidates.lat, candidates.lon)[:, 0]
    twins = _twins(scorer, matrix)
    answers = []
    for row, site_id in enumerate(candidates.site_id):
        revenue = float(forecast.revenue_fen[row])
        taken = _cannibalisation(scorer, forecast.revenue_fen[row], lost[1.0][row], apart[row])
        answers.append(
            SiteAnswer(
                site_id=site_id,
                lat=float(candidates.lat[row]),
                lon=float(candidates.lon[row]),
                format=candidates.format[row],
                area_m2=_known(candidates.area_m2[row]),
                revenue_fen=float(forecast.revenue_fen[row]),
                interval_80=_range(forecast.low_80[row], forecast.high_80[row]),
                interval_90=_range(forecast.low_90[row], forecast.high_90[row]),
                out_of_range=bool(forecast.out_of_range[row]),
                distance_ratio=float(forecast.distance_ratio[row]),
                twins=twins[row],
                reasons=_reasons(scorer, matrix[row], added[row], float(around[row]), revenue),
                cannibalisation=taken,
                payback=_payback(scorer, candidates, row, taken.net_fen, margin),
                sensitivity=tuple(
                    Sensitivity(
                        radius_scale=scale,
                        revenue_fen=revenue * float(times[scale][row]),
                        lost_fen=float(lost[scale][row].sum()),
                    )
                    for scale in times
                ),
            )
        )
    return tuple(answers)


def sales_effect(revenue_fen: float, contribution: float) -> tuple[str, str]:
    """What a contribution in log points means in money of a year, in English and Chinese.

    >>> sales_effect(1_500_000_000.0, 0.1)
    ('this adds about ¥1.4 M a year', '这使年销售额增加约 143 万元')
    """
    fen = -revenue_fen * math.expm1(-contribution)
    more = contribution > 0
    english = f"this {'adds' if more else 'takes off'} about {yuan(abs(fen))} a year"
    return english, f"这使年销售额{'增加' if more else '减少'}约 {wan(abs(fen))}"


def payback_months(opening_cost_fen: float, profit_fen: float) -> float | None:
    """Months until a yearly profit has earned the opening cost; None where there is no profit.

    >>> payback_months(2_400_000, 1_200_000)
    24.0
    """
    return opening_cost_fen / profit_fen * A_YEAR if profit_fen > 0 else None


def _reasons(
    scorer: SiteScorer, values: NDArray[np.float32], added: Floats, around: float, revenue_fen: float
) -> tuple[SiteReason, ...]:
    """What moved a forecast most, strongest first: features, and what stores around it know beyond them."""
    effect = partial(sales_effect, revenue_fen)
    reasons = [
        SiteReason(
            feature=one.feature,
            value=one.value,
            contribution=one.contribution,
            effect=math.expm1(one.contribution),
            code=one.code,
            usual=one.usual,
            sentence=one.sentence,
            sentence_zh=one.sentence_zh,
        )
        for one in explain(scorer.manifest.features, values, added, REASONS, effect)
    ]
    if around:
        reasons.append(_neighbours(around, effect(around)))
    return tuple(sorted(reasons, key=lambda one: -abs(one.contribution))[:REASONS])


def _neighbours(around: float, effect: tuple[str, str]) -> SiteReason:
    share, more = percent(abs(math.expm1(around))), around > 0
    english = f"Own stores around sell about {share} {'more' if more else 'less'} than their surroundings explain"
    chinese = f"周边自有门店的销售比其周边条件所能解释的{'高' if more else '低'}约 {share}"
    return SiteReason(
        feature=NEIGHBOURS,
        value=math.expm1(around),
        contribution=around,
        effect=math.expm1(around),
        code=reason_code(NEIGHBOURS),
        usual=0.0,
        sentence=f"{english}; {effect[0]}.",
        sentence_zh=f"{chinese}，{effect[1]}。",
    )


def _cannibalisation(scorer: SiteScorer, revenue: float, lost: Floats, apart: Floats) -> Cannibalisation:
    stores, total = scorer.stores, float(lost.sum())
    most = np.argsort(-lost, kind="stable")[:LOSERS]
    losses = tuple(
        Loss(
            store_id=stores.store_id[one],
            revenue_fen=float(stores.revenue_fen[one]),
            lost_fen=float(lost[one]),
            lost_share=float(lost[one] / stores.revenue_fen[one]),
            distance_km=float(apart[one]),
        )
        for one in most
    )
    return Cannibalisation(stores=losses, lost_fen=total, net_fen=float(revenue) - total, rate=total / float(revenue))


def _payback(
    scorer: SiteScorer, candidates: Candidates, row: int, net_fen: float, margin: float | None
) -> PayBack | None:
    rent, cost = candidates.rent_fen[row] * A_YEAR, candidates.opening_cost_fen[row]
    if math.isnan(rent) or math.isnan(cost):
        return None
    share = scorer.site.margin if margin is None else margin
    profit = float(share * net_fen - rent)
    return PayBack(
        margin=share,
        margin_assumed=margin is None,
        rent_fen=float(rent),
        opening_cost_fen=float(cost),
        profit_fen=profit,
        months=payback_months(float(cost), profit),
    )


def _twins(scorer: SiteScorer, matrix: NDArray[np.float32]) -> list[tuple[Twin, ...]]:
    """The stores nearest in what the ridge weighs, each with the features that tell it from the site."""
    model, known = scorer.site.model, scorer.learned
    weigh = likeness(model.whole)
    rows, stores = scaled(model.columns, matrix), scaled(model.columns, known.learned.features)
    apart = distances(rows, stores, weigh)
    found = []
    for row, far in enumerate(apart):
        nearest = np.argsort(far, kind="stable")[:TWINS]
        found.append(
            tuple(
                Twin(
                    store_id=known.store_id[store],
                    lat=float(known.lat[store]),
                    lon=float(known.lon[store]),
                    revenue_fen=float(known.revenue_fen[store]),
                    similarity=float(np.exp(-far[store])),
                    differences=_differences(scorer, matrix[row], store, np.abs(rows[row] - stores[store]) * weigh),
                )
                for store in nearest
            )
        )
    return found


def _differences(scorer: SiteScorer, site: NDArray[np.float32], store: int, weighed: Floats) -> tuple[Difference, ...]:
    features, other = scorer.manifest.features, scorer.learned.learned.features[store]
    return tuple(
        Difference(
            feature=features[place].name,
            unit=features[place].unit,
            site=_known(site[place]),
            store=_known(other[place]),
        )
        for place in np.argsort(-weighed, kind="stable")[:DIFFERENCES]
        if weighed[place] > 0
    )


def _range(low: float, high: float) -> Range:
    return Range(low_fen=_known(low), high_fen=_known(high))


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
