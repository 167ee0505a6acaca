"""What it costs to judge a scan wrongly: the money behind pay, reduce, step_up, hold and block."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from data.errors import UsageError
from training.payoff import Cap, Payoff

ACTIONS: Final = ("pay", "reduce", "step_up", "hold", "block")
OUTCOMES: Final = ("honest", "wool")
PRIZE: Final = "prize_fen"
CAMPAIGN: Final = "campaign_id"
STAKES_SHOWN: Final = (100.0, 500.0, 2_000.0, 10_000.0)


@dataclass(frozen=True)
class ScanCosts:
    """The operator's own figures, in fen and shares; the defaults are assumptions, so put in what is known.

    A prize that an honest shopper gets is money well spent, and one that the wool party gets is lost. A prize that an
    honest shopper does not get is a promise broken: it costs `broken_promise` times the prize, and annoyance on top.

    Attributes:
        broken_promise: What a fen withheld from an honest shopper costs, in fen of trust, after the fen saved.
        reduced_to: Share of the prize that `reduce` pays.
        reduced_annoyance_fen: What an honest shopper's annoyance over a reduced prize costs.
        check_fen: Cost of a check (`step_up`), such as a text message.
        check_annoyance_fen: What it costs to bother an honest shopper with it.
        check_abandoned: Share of honest shoppers who give up at the check.
        check_stops: Share of the wool party whom the check stops.
        review_fen: Cost of a review of a held prize by a person.
        hold_annoyance_fen: What it costs to let an honest shopper wait.
        review_finds: Share of the wool party whom the review finds.
        block_annoyance_fen: What it costs to call an honest shopper a cheat.
        harmed_rate: Most honest scans that may be held or blocked.
        harmed_rates: The same for campaigns with a rate of their own.
    """

    broken_promise: float = 1.0
    reduced_to: float = 0.2
    reduced_annoyance_fen: float = 5.0
    check_fen: float = 5.0
    check_annoyance_fen: float = 20.0
    check_abandoned: float = 0.05
    check_stops: float = 0.7
    review_fen: float = 300.0
    hold_annoyance_fen: float = 100.0
    review_finds: float = 0.9
    block_annoyance_fen: float = 1_500.0
    harmed_rate: float = 0.001
    harmed_rates: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what is no share and no cost."""
        shares = ("reduced_to", "check_abandoned", "check_stops", "review_finds")
        costs = (
            "broken_promise",
            "reduced_annoyance_fen",
            "check_fen",
            "check_annoyance_fen",
            "review_fen",
            "hold_annoyance_fen",
            "block_annoyance_fen",
        )
        wrong = [
            f"{name} {getattr(self, name)}, expected 0 to 1" for name in shares if not 0 <= getattr(self, name) <= 1
        ]
        wrong += [f"{name} {getattr(self, name)}, expected 0 or more" for name in costs if not getattr(self, name) >= 0]
        if wrong:
            raise UsageError("ScanCosts: found " + "; ".join(wrong) + ". Mend the figures in the task's declaration.")

    def payoff(self) -> Payoff:
        """The table that follows: fen for each action, for an honest shopper and for the wool party.

        Paying an honest shopper is the mark that all else is measured from.
        """
        annoyed, abandoned = self.check_annoyance_fen + self.check_fen, self.check_abandoned
        return Payoff(
            actions=ACTIONS,
            outcomes=OUTCOMES,
            value_fen=(
                (0.0, 0.0),
                (-self.reduced_annoyance_fen, 0.0),
                (-annoyed, -self.check_fen),
                (-self.hold_annoyance_fen - self.review_fen, -self.review_fen),
                (-self.block_annoyance_fen, 0.0),
            ),
            value_of_stake=(
                (0.0, -1.0),
                (-(1.0 - self.reduced_to) * self.broken_promise, -self.reduced_to),
                (-abandoned * self.broken_promise, -(1.0 - self.check_stops)),
                (0.0, -(1.0 - self.review_finds)),
                (-self.broken_promise, 0.0),
            ),
            stake=PRIZE,
            stakes_shown=STAKES_SHOWN,
            cap=Cap(("hold", "block"), "honest", self.harmed_rate, CAMPAIGN, self.harmed_rates),
        )
