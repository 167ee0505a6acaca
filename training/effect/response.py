"""A learner that tells whom an offer wins from whom it puts off, by who bought and who redeemed when sent.

Sent an offer, a member redeems, buys without redeeming, or does neither. With b the chance to buy anyway (a forest of
those from whom it was withheld), g to be won, l to be put off, and r to redeem of those who come anyway, the chances
are

    redeems          used (1 - b) g + b (1 - l) r
    buys all the same  (1 - used) (1 - b) g + b (1 - l) (1 - r)

where `used` is the part of those won who redeem. g, l and r are logistic in a few facts; all is fitted at once by
maximum likelihood, drawn towards 0 by a normal prior (principal strata: Frangakis and Rubin, "Principal stratification
in causal inference", Biometrics 58, 2002). Rows of members who seldom buy tell the most of g, and count so by
themselves; a difference of forests sees their little among the noise of those who buy every week.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np

from data.errors import DataError
from training.effect.model import EffectLearner, EffectModel, Head
from training.effect.trees import Trees
from training.formulas import Fact, Response, Score, inclined

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.effect.model import Trial

    Reals = NDArray[np.float64]
    Flags = NDArray[np.bool_]

ANYWAY: Final = "anyway"
_SMALLEST: Final = 1e-9
_LOOSE: Final = 0.2


@dataclass(frozen=True)
class ResponseLearner(EffectLearner):
    """Who is won and who is put off.

    Attributes:
        gain: Facts that being won hangs on.
        loss: Facts that being put off hangs on.
        redeem: Facts that redeeming hangs on, of those who come anyway.
        trees: How the forest of the chance to buy anyway is grown.
        prior: Precision of the prior of each weight; that of the levels is small.
        won, lost: Chances that the levels are drawn towards.
        used: Part of those won who redeem, as the prior has it.
    """

    drawn_in: ClassVar[bool] = True

    gain: tuple[Fact, ...]
    loss: tuple[Fact, ...]
    redeem: tuple[Fact, ...]
    trees: Trees = field(default_factory=Trees)
    prior: float = 3.0
    won: float = 0.05
    lost: float = 0.05
    used: float = 0.9

    def learned(self, trial: Trial, generator: np.random.Generator) -> EffectModel:  # noqa: D102 - as in EffectLearner
        from scipy.optimize import minimize

        if trial.redeemed is None or trial.kind != "chance":
            raise DataError(
                f"ResponseLearner: found an outcome that is a {trial.kind}, and "
                f"{'no ' * (trial.redeemed is None)}redemptions; expected purchases of 0 and 1 with who redeemed"
            )
        kept = trial.at(~trial.treated)
        grown = self.trees.grown(
            kept.features, kept.matrix, kept.outcome, kept.weight, "chance", generator, rising=False
        )
        head = Head(grown, "chance")
        sent = trial.at(trial.treated)
        likelihood = self._likelihood(sent, head.answer(sent.matrix, sent=False))
        fitted = minimize(likelihood, likelihood.centre, jac=True, method="L-BFGS-B", options={"maxiter": 500})
        gain, loss, _, _ = likelihood.parts(fitted.x)
        response = Response(ANYWAY, _score(self.gain, gain), _score(self.loss, loss))
        return EffectModel(trial.features, {ANYWAY: head}, (), response=response)

    def _likelihood(self, sent: Trial, anyway: Reals) -> _Likelihood:
        def design(facts: tuple[Fact, ...], *more: Reals) -> Reals:
            return np.column_stack(
                (np.ones(len(anyway)), *more, *(one.read(sent.features, sent.matrix) for one in facts))
            )

        inclination = inclined(anyway)
        designs = (design(self.gain, inclination), design(self.loss, inclination), design(self.redeem))
        levels = (_log_odds(self.won), _log_odds(self.lost), 0.0)
        widths = [one.shape[1] for one in designs]
        centre = np.concatenate([[level, *np.zeros(width - 1)] for level, width in zip(levels, widths, strict=True)])
        firsts = np.cumsum([0, *widths[:-1]])
        precision = np.full(len(centre), self.prior)
        precision[firsts] = _LOOSE
        redeemed = sent.redeemed > 0 if sent.redeemed is not None else np.zeros(len(anyway), np.bool_)
        return _Likelihood(
            designs,
            np.clip(anyway, _SMALLEST, 1 - _SMALLEST),
            redeemed,
            (sent.outcome > 0) & ~redeemed,
            sent.weight,
            np.append(centre, _log_odds(self.used)),
            np.append(precision, 10.0 * self.prior),
        )


@dataclass(frozen=True)
class _Likelihood:
    """Less the logarithm of likelihood and prior of what was seen, and its slope, at given weights.

    Attributes:
        designs: Of gain, loss and redeeming: level, inclination (not the last), facts; shape (rows, weights).
        anyway: The chance to buy if withheld.
        redeemed: Who redeemed.
        bought: Who bought without redeeming.
        weight: What each row counts.
        centre: What weights are drawn towards; the last is the log-odds of `used`.
        precision: How much.
    """

    designs: tuple[Reals, Reals, Reals]
    anyway: Reals
    redeemed: Flags
    bought: Flags
    weight: Reals
    centre: Reals
    precision: Reals

    def parts(self, weights: Reals) -> tuple[Reals, Reals, Reals, Reals]:
        """The weights of gain, loss, redeeming, and of `used`."""
        ends = np.cumsum([one.shape[1] for one in self.designs])
        gain, loss, redeem, used = np.split(weights, ends)
        return gain, loss, redeem, used

    def __call__(self, weights: Reals) -> tuple[float, Reals]:
        *parts, last = self.parts(weights)
        gain, loss, redeem = (_logistic(one @ part) for one, part in zip(self.designs, parts, strict=True))
        used = float(_logistic(last)[0])
        won, stays = (1.0 - self.anyway) * gain, self.anyway * (1.0 - loss)
        chances = np.stack((used * won + stays * redeem, (1.0 - used) * won + stays * (1.0 - redeem)))
        chances = np.maximum(np.vstack((chances, 1.0 - chances.sum(axis=0))), _SMALLEST)
        seen = np.stack((self.redeemed, self.bought, ~(self.redeemed | self.bought)))
        steep = np.where(seen, self.weight / chances, 0.0)
        by_redeem, by_buy = steep[0] - steep[2], steep[1] - steep[2]
        by_stays = redeem * by_redeem + (1.0 - redeem) * by_buy
        slopes = (
            (used * by_redeem + (1.0 - used) * by_buy) * won * (1.0 - gain),
            -by_stays * stays * loss,
            (by_redeem - by_buy) * stays * redeem * (1.0 - redeem),
        )
        by_used = ((by_redeem - by_buy) * won).sum() * used * (1.0 - used)
        slope = np.concatenate([*(one.T @ part for one, part in zip(self.designs, slopes, strict=True)), [by_used]])
        off = weights - self.centre
        told = float((self.weight * np.log((chances * seen).sum(axis=0))).sum())
        return float(0.5 * (self.precision * off**2).sum()) - told, self.precision * off - slope


def _score(facts: tuple[Fact, ...], weights: Reals) -> Score:
    base, inclination, *rest = weights.tolist()
    return Score(facts, tuple(rest), base, inclination)


def _logistic(score: Reals) -> Reals:
    made: Reals = 1.0 / (1.0 + np.exp(-score))
    return made


def _log_odds(chance: float) -> float:
    return float(np.log(chance / (1.0 - chance)))
