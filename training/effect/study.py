"""From offers that a lot decided on to a model of what each is worth, judged on later waves: a few steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from data.steps import Steps
from training.calibrate import CALIBRATIONS
from training.dataset import build
from training.effect.experiment import read_experiment
from training.effect.learners import doubly_robust
from training.effect.model import Head
from training.effect.policy import Foretold, logged, logged_margin, price_of, sends, values, within
from training.effect.shrinkage import Halves, believed, corrected, halved, segments_of
from training.effect.worth import Earnings, OfferModel
from training.formulas import Earned, valued
from training.interval import Resampling
from training.learner import raw_scores
from training.pipeline import HOME

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import lightgbm
    from numpy.typing import NDArray

    from data.sources import DataSet
    from training.calibrate import Calibrator
    from training.effect.experiment import Experiment
    from training.effect.model import EffectModel
    from training.effect.shrinkage import Shrinkage
    from training.effect.task import EffectTask
    from training.formulas import Valued
    from training.interval import Interval
    from training.pipeline import Model
    from training.split import Division

RESAMPLES = 500
_FEW = 20.0
MODEL = "model"
Figures = dict[str, dict[str, "Interval"]]


@dataclass(frozen=True)
class EffectRecord:
    """How the model came about and what it earned; amounts in fen a row, with 95 % intervals by unit.

    Attributes:
        rows: How many were learned from and tested on.
        learners: For each learner, on rows that it had not seen: the policy value, and the gain over the first.
        learner: The one that was taken.
        policies: On the test: the value of each policy, and the gain of the model over it. The model sends what is
            worth it by its lower bound; `propensity` sends to the likeliest to redeem, for the same expected cost.
        budgeted: The same, all within the budget.
        margin: As `policies`, measured by the margin of everything bought.
        price: Of that budget.
        spend: Expected cost of sending to all, of the model, and of the budget, in fen a row.
    """

    rows: Mapping[str, int]
    learners: Figures
    learner: str
    policies: Figures
    budgeted: Figures
    margin: Figures
    price: float
    spend: Mapping[str, float]

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        told = {name: getattr(self, name) for name in ("learners", "policies", "budgeted", "margin")}
        plain = {
            name: {one: {what: value.as_dict() for what, value in figures.items()} for one, figures in found.items()}
            for name, found in told.items()
        }
        return {
            "rows": dict(self.rows),
            "learner": self.learner,
            "price": self.price,
            "spend": dict(self.spend),
            **plain,
        }


@dataclass(frozen=True)
class FittedEffects:
    """What a fit returns: the model, the rows it was tested on, and the record of how it came about."""

    model: OfferModel
    test: Experiment
    record: EffectRecord


def fit_effects(
    task: EffectTask,
    data_set: DataSet,
    *,
    home: Path = HOME,
    seed: int = 0,
    steps: Steps | None = None,
    redemption: Model | None = None,
) -> FittedEffects:
    """Build the features, learn what redeeming costs and what offers change, and judge once on later waves.

    Args:
        task: What to learn.
        data_set: Tables that keep their contracts.
        home: Where features are kept, to go on from.
        seed: Where chance starts.
        steps: Collects how long each step took, and draws bars if it has a console.
        redemption: The chance of redemption as it was searched and judged before, to be served instead of one with the
            task's own parameters.
    """
    steps = Steps() if steps is None else steps
    with steps.step("build features") as step:
        built = build(task.redemption, data_set, home / "features", step.reach)
        step.rows = built.rows
    table = read_experiment(task, data_set, built)
    division = task.redemption.split.divide(table.as_of, table.closes_at)
    study = _Study(task, table.at(division.train), seed)
    with steps.step("learn what redeeming costs") as step:
        step.rows = len(division.train)
        costs = study.costs()
    with steps.step("learn what offers change", total=len(task.learners)) as step:
        candidates = {}
        for name in task.learners:
            candidates[name] = study.candidate(name)
            step.advance()
    with steps.step("promote a learner"):
        figures, chosen = _promoted(study, costs, candidates)
        model = study.model(chosen, candidates[chosen].shrinkage, costs)
        if redemption is not None:
            model = replace(model, redemption=redemption.booster, calibrator=redemption.calibrator)
    with steps.step("judge on later waves") as step:
        step.rows = len(division.test)
        record = _judged(study, model, table, division, figures)
    return FittedEffects(model, table.at(division.test), record)


@dataclass(frozen=True)
class _Costs:
    """The side of the cost, and what two halves of the members say of each other's rows."""

    redemption: lightgbm.Booster
    calibrator: Calibrator
    earnings: Earnings
    redeems: NDArray[np.float64]
    earned: Earned


@dataclass(frozen=True)
class _Candidate:
    """What a learner said of rows that it had not seen, and how that is to be believed."""

    unseen: NDArray[np.float64]
    lost: NDArray[np.float64]
    shrinkage: Shrinkage


class _Study:
    """The rows to learn from, and what is learned from them.

    Args:
        task: What is learned.
        past: The rows whose outcome had closed by the cut.
        seed: Where chance starts.
    """

    def __init__(self, task: EffectTask, past: Experiment, seed: int) -> None:
        self.task, self.past, self.seed = task, past, seed
        self.names = tuple(task.redemption.features.names)
        self.trial = past.trial(self.names)
        self.segment = segments_of(task.divisions, self.names, past.matrix)
        self.sent, self.withheld = task.judge.expected(self.trial, self.generator(0))
        self.score = doubly_robust(self.trial, self.sent, self.withheld)

    def generator(self, stream: int) -> np.random.Generator:
        """A stream of chance of its own for each thing that is learned."""
        return np.random.default_rng([self.seed, stream])

    def costs(self) -> _Costs:
        """Who redeems and what a basket with an offer earns; of unseen rows by the other half of the members."""
        past, generator = self.past, self.generator(1)
        halves = halved(past.unit, generator)
        raw, earned = np.empty(len(past)), np.empty((3, len(past)))
        for half in (halves, ~halves):
            raw[~half] = raw_scores(self._redemption(past.at(half), generator), past.matrix[~half])
            told = self._earnings(past.at(half), generator).of(past.matrix[~half])
            earned[:, ~half] = told.basket, told.usual, told.top_up
        kind = CALIBRATIONS[self.task.redemption.learner.calibration]
        calibrator = kind(raw[past.treated], past.redeemed[past.treated])
        return _Costs(
            self._redemption(past, generator),
            calibrator,
            self._earnings(past, generator),
            calibrator.apply(raw),
            Earned(*earned),
        )

    def candidate(self, name: str) -> _Candidate:
        """What a learner says of unseen rows, and how it is to be believed."""
        stream = 2 + list(self.task.learners).index(name)
        halves = Halves.of(self.task.learners[name], self.trial, self.past.unit, self.generator(stream))
        if self.task.learners[name].drawn_in:
            shrinkage = corrected(halves, self.score, self.segment, self.past.unit, self.task.divisions)
        else:
            shrinkage = believed(halves, self.score, self.segment, self.past.unit, self.task.divisions)
        lost = np.zeros(len(self.past)) if halves.lost is None else halves.lost
        return _Candidate(halves.unseen, lost, shrinkage)

    def model(self, name: str, shrinkage: Shrinkage, costs: _Costs) -> OfferModel:
        """All rows, learned from by the learner that was taken."""
        purchase: EffectModel = self.task.learners[name].learned(self.trial, self.generator(99))
        return OfferModel(self.task, name, purchase, shrinkage, costs.earnings, costs.redemption, costs.calibrator)

    def _redemption(self, rows: Experiment, generator: np.random.Generator) -> lightgbm.Booster:
        sent = rows.at(rows.treated)
        return self.task.redemption.learner.fit(self.names, sent.matrix, sent.redeemed, {}, generator)

    def _earnings(self, rows: Experiment, generator: np.random.Generator) -> Earnings:
        """What purchases earn: of baskets won by what newcomers' redemptions show, of others by plain purchases.

        What lies beside the discounted line in a basket that was won is seen only of members who would not have come:
        of those of the first kind of the first division. Where they are few, all redemptions are mixed in. What
        redeeming adds to a purchase made anyway is learned of the others.
        """

        def grown(part: Experiment, target: NDArray[np.float64]) -> Head:
            one, trees = np.ones(len(part)), self.task.baskets
            return Head(trees.grown(self.names, part.matrix, target, one, "amount", generator), "amount")

        used = rows.at(~np.isnan(rows.basket_margin_fen))
        beside = used.basket_margin_fen - used.line_margin_fen
        new = self.task.newcomers(used.matrix)
        along = (beside[new].sum() + _FEW * beside.mean()) / (np.count_nonzero(new) + _FEW)
        plain = rows.at((rows.purchased > 0) & (rows.redeemed == 0))
        a_line = grown(plain, plain.goods_margin_fen / np.maximum(plain.goods_lines, 1.0))
        known = used.at(~new) if np.count_nonzero(~new) >= _FEW else used
        more = known.line_margin_fen - a_line.answer(known.matrix, sent=True)
        return Earnings(
            grown(used, used.line_margin_fen + along),
            grown(plain, plain.goods_margin_fen),
            grown(known, more),
            float(along),
        )


def _promoted(study: _Study, costs: _Costs, candidates: Mapping[str, _Candidate]) -> tuple[Figures, str]:
    """The policy value of each learner on rows that it had not seen, and the one that is taken.

    The first learner stays unless the gain of another over it is surely above 0; of several such the largest decides.
    """
    past, first = study.past, next(iter(candidates))
    face = past.matrix[:, study.names.index(study.task.face_value)]
    policies = {}
    for name, candidate in candidates.items():
        said = valued(
            candidate.unseen, candidate.lost, costs.earned, costs.redeems, face, candidate.shrinkage, study.segment
        )
        policies[name] = sends(said.lower(study.task.caution), said.cost)
    cost = costs.redeems * np.nan_to_num(face.astype(np.float64))
    foretold = Foretold.of(study.sent, study.withheld, costs.earned, costs.redeems, cost, costs.earnings.along)
    log = logged(past, foretold)
    figures = values(policies, log, lambda: _draws(past.unit, study.seed), first)
    leads = {name: -found["gain"].high for name, found in figures.items() if name != first}
    sure = {name: -figures[name]["gain"].value for name, lead in leads.items() if lead > 0}
    return figures, max(sure, key=lambda name: sure[name]) if sure else first


def _judged(study: _Study, model: OfferModel, table: Experiment, division: Division, figures: Figures) -> EffectRecord:
    test = table.at(division.test)
    said = model.value(test.matrix)
    sent, withheld = _expected_later(study, test)
    earned, along = model.earnings.of(test.matrix), model.earnings.along
    log = logged(test, Foretold.of(sent, withheld, earned, said.redeems, said.cost, along))
    lower, everything = said.lower(study.task.caution), float(said.cost.sum())
    plain = _policies(sends(lower, said.cost), said)
    budget = study.task.budget * everything
    price = price_of(lower, said.cost, budget)
    priced = _policies(sends(lower, said.cost, price), said)

    def draws() -> Resampling:
        return _draws(test.unit, study.seed)

    return EffectRecord(
        rows={"train": len(study.past), "test": len(test)},
        learners=figures,
        learner=model.learner,
        policies=values(plain, log, draws, MODEL),
        budgeted=values(priced, log, draws, MODEL),
        margin=values(plain, logged_margin(test), draws, MODEL),
        price=price,
        spend={
            "all": everything / len(test),
            "model": float(said.cost[plain[MODEL]].sum()) / len(test),
            "budget": budget / len(test),
        },
    )


def _policies(chosen: NDArray[np.bool_], said: Valued) -> dict[str, NDArray[np.bool_]]:
    """The model's policy beside what would be done instead."""
    spend = float(said.cost[chosen].sum())
    return {
        MODEL: chosen,
        "propensity": within(said.redeems, said.cost, spend),
        "send_all": np.ones(len(chosen), np.bool_),
        "send_none": np.zeros(len(chosen), np.bool_),
    }


def _expected_later(study: _Study, test: Experiment) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What the judge, having learned from the past, expects of later rows sent and withheld."""
    sent, withheld = study.task.judge.arms(study.trial, study.generator(98))
    return sent.answer(test.matrix, sent=True), withheld.answer(test.matrix, sent=False)


def _draws(unit: NDArray[np.int64], seed: int) -> Resampling:
    return Resampling(unit, np.random.default_rng([seed, 97]), RESAMPLES)
