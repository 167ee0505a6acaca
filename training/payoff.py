"""What a model's actions earn and whom they harm: the same decisions as live, held against always doing one thing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from data.errors import DataError
from serving.decisions import decide, expected_values, harm
from serving.holdout import Holdout
from serving.payoff import Cap, Payoff, Prices
from training.interval import Interval, Resampling, of_means

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["Cap", "Holdout", "Payoff", "Prices", "Stakes", "earnings", "find_prices", "money", "rates"]

LEAST_HARMED = 10.0
TRIFLE_FEN = 1e-6


@dataclass(frozen=True)
class Stakes:
    """What a pay-off asks of rows besides their chance.

    Attributes:
        fen: What is at stake in each row, shape (rows,); None where the table hangs on no stake.
        group: The value of the cap's group column of each row, shape (rows,); None where the cap has none.
    """

    fen: NDArray[np.float64] | None = None
    group: NDArray[np.object_] | None = None

    def at(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Stakes:
        """Those of some of the rows."""
        return Stakes(
            None if self.fen is None else self.fen[rows],
            None if self.group is None else self.group[rows],
        )

    def of_row(self, payoff: Payoff, row: int) -> dict[str, float | str | None]:
        """What one row says of it, by column, as `POST /v1/{task}/batch` asks for it."""
        asked: dict[str, float | str | None] = {}
        if self.fen is not None:
            asked[payoff.stake] = float(self.fen[row])
        if self.group is not None and payoff.cap is not None:
            asked[payoff.cap.group] = self.group[row]
        return asked


NO_STAKES = Stakes()
FREE = Prices()


def chosen_actions(
    payoff: Payoff, probability: NDArray[np.float64], stakes: Stakes = NO_STAKES, prices: Prices = FREE
) -> NDArray[np.int64]:
    """The action of each row as live, an index into `payoff.actions`, shape (rows,)."""
    price = None if payoff.cap is None else prices.of(stakes.group, len(probability))
    return decide(probability, payoff, stakes.fen, price)[0]


def earnings(payoff: Payoff, label: NDArray[np.float64], stakes: Stakes = NO_STAKES) -> NDArray[np.float64]:
    """What each action earns in each row, given what came true: fen, shape (rows, actions)."""
    rows = np.arange(len(label))
    values = np.broadcast_to(
        payoff.values(stakes.fen, len(label)), (len(label), len(payoff.actions), len(payoff.outcomes))
    )
    earned: NDArray[np.float64] = values[rows, :, label.astype(np.intp)]
    return earned


def money(
    payoff: Payoff,
    probability: NDArray[np.float64],
    label: NDArray[np.float64],
    resampling: Callable[[], Resampling],
    stakes: Stakes = NO_STAKES,
    prices: Prices = FREE,
) -> dict[str, Interval]:
    """Fen earned a row by the model's actions, by each action taken for all, and the lead over the best of those.

    Args:
        payoff: What each action is worth for each outcome.
        probability: Calibrated chance of a yes, shape (rows,).
        label: What came true, 0 or 1.
        resampling: Makes the draws, anew and the same each time, that all comparisons are paired.
        stakes: What the pay-off asks of the rows.
        prices: What keeping its cap costs.
    """
    worth = earnings(payoff, label, stakes)
    chosen = chosen_actions(payoff, probability, stakes, prices)
    earned = {"model": np.take_along_axis(worth, chosen[:, None], axis=1)[:, 0]}
    earned |= {f"always_{action}": worth[:, number] for number, action in enumerate(payoff.actions)}
    best = max(list(earned)[1:], key=lambda name: float(earned[name].mean()))
    earned["gain_over_best_constant"] = earned["model"] - earned[best]
    return dict(zip(earned, of_means(np.column_stack(list(earned.values())), resampling()), strict=True))


def rates(
    payoff: Payoff,
    probability: NDArray[np.float64],
    label: NDArray[np.float64],
    resampling: Callable[[], Resampling],
    stakes: Stakes = NO_STAKES,
    prices: Prices = FREE,
) -> dict[str, Interval]:
    """Which share of the rows of each outcome got which action, and which share of those to be spared was harmed.

    Returns:
        `ACTION_of_OUTCOME` for each action and each outcome that came about; with a cap also `harmed_of_OUTCOME`, and
        `harmed_of_OUTCOME/GROUP` for each group with a rate of its own that has such rows. Arguments as in `money`.
    """
    chosen = chosen_actions(payoff, probability, stakes, prices)
    taken = (chosen[:, None] == np.arange(len(payoff.actions))).astype(np.float64)
    figures: dict[str, Interval] = {}
    for number, outcome in enumerate(payoff.outcomes):
        shares = _shares(taken, label == number, resampling())
        figures |= {f"{payoff.actions[action]}_of_{outcome}": share for action, share in enumerate(shares)}
    if payoff.cap is None:
        return figures
    spared = label == payoff.outcomes.index(payoff.cap.outcome)
    harmed = taken[:, _capped(payoff)].sum(axis=1, keepdims=True)
    name = f"harmed_of_{payoff.cap.outcome}"
    for group in ("", *payoff.cap.rates):
        inside = spared if not group or stakes.group is None else spared & (stakes.group == group)
        shares = _shares(harmed, inside, resampling())
        figures |= {f"{name}/{group}" if group else name: share for share in shares}
    return figures


def find_prices(
    payoff: Payoff,
    probability: NDArray[np.float64],
    stakes: Stakes = NO_STAKES,
    weight: NDArray[np.float64] | None = None,
) -> Prices:
    """The lowest prices that keep the cap on rows which the model was not fitted on, by their calibrated probabilities.

    A group with a rate of its own is priced by its own rows if its rate allows at least `LEAST_HARMED` of them to be
    harmed; fewer say little, and all rows price it then, at its rate. Everyone else shares the default, priced by the
    rows without a rate of their own.

    Args:
        payoff: The pay-off; without a cap nothing costs anything.
        probability: Calibrated probabilities of those rows, as `decide` takes them.
        stakes: What the pay-off asks of them.
        weight: How many rows each stands for, shape (rows,); 1 each if not given.

    Raises:
        DataError: There are no rows.
    """
    cap = payoff.cap
    if cap is None:
        return FREE
    if not len(probability):
        raise DataError("the cap's price: found no held-out rows, expected some; give a longer history")
    priced = _Priced.of(payoff, probability, stakes.fen, np.ones(len(probability)) if weight is None else weight)
    own = np.full(len(priced.harm), fill_value=False)
    by_group: dict[str, float] = {}
    for group, rate in cap.rates.items():
        inside = np.full(len(priced.harm), fill_value=False) if stakes.group is None else stakes.group == group
        own |= inside
        enough = priced.harm[inside].sum() * rate >= LEAST_HARMED
        by_group[group] = (priced.at(inside) if enough else priced).lowest(rate)
    others = priced if own.all() else priced.at(~own)
    return Prices(others.lowest(cap.rate), by_group)


@dataclass(frozen=True)
class _Priced:
    """Rows on the way to a price.

    Attributes:
        harm: How many rows to be spared each is expected to stand for.
        leaves: From which price on each row no longer takes a capped action, by a trifle that rounding cannot bridge;
            0 and less where it never did.
    """

    harm: NDArray[np.float64]
    leaves: NDArray[np.float64]

    @staticmethod
    def of(
        payoff: Payoff, probability: NDArray[np.float64], stake: NDArray[np.float64] | None, weight: NDArray[np.float64]
    ) -> _Priced:
        """What a capped action earns beyond the best other one, for each row it is expected to harm."""
        expected, spared = expected_values(probability, payoff, stake), harm(probability, payoff)
        capped = _capped(payoff)
        lead = expected[:, capped].max(axis=1) - np.delete(expected, capped, axis=1).max(axis=1)
        lead += TRIFLE_FEN
        leaves = np.divide(lead, spared, out=np.where(lead > 0, np.inf, -np.inf), where=spared > 0)
        return _Priced(spared * weight, leaves)

    def at(self, rows: NDArray[np.bool_]) -> _Priced:
        """Some of the rows."""
        return replace(self, harm=self.harm[rows], leaves=self.leaves[rows])

    def lowest(self, rate: float) -> float:
        """The lowest price at which no more than this share of those to be spared is harmed.

        A capped action is kept by the rows that would pay most for it, as long as their harm fits the rate; the price
        is that of the first row that does not fit.
        """
        order = np.argsort(-self.leaves, kind="stable")
        leaves, harmed = self.leaves[order], np.cumsum(self.harm[order])
        unfit = np.flatnonzero((harmed > rate * self.harm.sum()) & (leaves > 0))
        return float(leaves[unfit[0]]) if len(unfit) else 0.0


def _capped(payoff: Payoff) -> list[int]:
    return [] if payoff.cap is None else [payoff.actions.index(action) for action in payoff.cap.actions]


def _shares(taken: NDArray[np.float64], inside: NDArray[np.bool_], resampling: Resampling) -> tuple[Interval, ...]:
    """The mean of each column over some of the rows; nothing where there are none."""
    if not inside.any():
        return ()
    return of_means(taken[inside], replace(resampling, units=resampling.units[inside]))
