"""Which offer, if any, each of some members gets: worth, rules and prices brought together, for one as for a million.

A member's answer does not depend on who else is asked about, so what is answered live is what a night's batch decides
at the same prices.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from data.errors import DataError
from serving.allocation.guardrails import Guardrails
from serving.allocation.policy import BUDGET, OfferPolicy
from serving.allocation.prices import ShadowPrices, choose, scores
from serving.allocation.rules import OfferRules
from serving.allocation.rulings import Rule
from serving.effects import OfferValues
from serving.member_facts import PIECES_LEFT, MemberFacts, columns_of, member_facts
from serving.offers import microseconds, open_book
from serving.scorer import Scorer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from serving.allocation.rulings import RuledOut
    from serving.bundle import Bundle
    from serving.manifest import Effects
    from serving.offers import Grid, OfferBook

    Doubles = NDArray[np.float64]

OF_MEMBER: Final = {Rule.OPTED_OUT: "opted_out", Rule.HOLDOUT: "holdout", Rule.FRAUD_RISK: "fraud_risk"}
"""Rules about a member that are the whole answer where they hold, by falling weight."""

_ALL: Final = np.uint16(0xFFFF)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NO_FACE_FEN: Final = 1.0
"""Rules divide by a face value; an offer without one costs nothing, so what it is divided by does not matter."""


@dataclass(frozen=True)
class Decided:
    """What was found of some members and the offers that they could get; arrays of shape (members, offers).

    Attributes:
        grid: Members, offers, and the rows of the book behind them.
        at: The moment.
        mean: Expected extra margin, the cost of the offer taken off, in fen; NaN where a member has no such offer.
        sd: How unsure it is, as a standard deviation; 0 where a member has no such offer.
        lower: What of it can be counted on.
        cost: Expected cost in fen; 0 where a member has no such offer.
        redeems: The chance that it is redeemed if it is sent.
        broken: The rules that rule it out, as bits of `Rule`.
        score: What can be counted on less what the limits charge; minus infinity where it is ruled out or not there.
        choice: Column of what each member gets, -1 for nothing, shape (members,).
        facts: What was known of the members.
        guardrails: The rules.
        prices: Those of the columns.
    """

    grid: Grid
    at: datetime
    mean: Doubles
    sd: Doubles
    lower: Doubles
    cost: Doubles
    redeems: Doubles
    broken: NDArray[np.uint16]
    score: Doubles
    choice: NDArray[np.int64]
    facts: MemberFacts
    guardrails: Guardrails
    prices: ShadowPrices

    @property
    def there(self) -> NDArray[np.bool_]:
        """Which offers each member could get if no rule ruled them out."""
        return self.grid.rows >= 0

    @property
    def allowed(self) -> NDArray[np.bool_]:
        """Which of them no rule rules out."""
        allowed: NDArray[np.bool_] = self.there & (self.broken == 0)
        return allowed

    @property
    def gross(self) -> Doubles:
        """Expected extra margin before the cost of the offer, in fen."""
        return np.nan_to_num(self.mean) + self.cost

    def nothing(self) -> NDArray[np.object_]:
        """Why each member gets nothing, by code; None of a member who gets something, shape (members,)."""
        there, allowed = (self.grid.rows.max(axis=1, initial=-1) >= 0), self.allowed.any(axis=1)
        common = np.bitwise_and.reduce(np.where(self.there, self.broken, _ALL), axis=1, initial=_ALL)
        codes = np.full(len(there), "nothing_pays", np.object_)
        codes[self.score.max(axis=1, initial=-np.inf) > 0] = "budget_spent"
        codes[~allowed] = "all_ruled_out"
        for rule, code in reversed(OF_MEMBER.items()):
            codes[(common & np.uint16(rule)) > 0] = code
        codes[~there] = "no_running_campaign"
        codes[self.choice >= 0] = None
        return codes

    def ruled_out(self, place: int) -> tuple[tuple[int, RuledOut], ...]:
        """The columns that one member cannot have, with every reason in words."""
        columns = {rules.offer: column for column, rules in enumerate(self.guardrails.offers)}
        found = self.guardrails.explain(self.facts.members, self.gross, self.cost, self.at, place)
        told = ((columns[one.offer], one) for one in found)
        return tuple((column, one) for column, one in told if self.there[place, column])


@dataclass(frozen=True)
class Decider:
    """A bundle of offers, the rows that it values, and the prices and rules by which it decides.

    Attributes:
        scorer: The chance that an offer is redeemed, and what moves it.
        values: What offers are worth.
        book: The rows.
        policy: Rules and prices.

    Raises:
        DataError: The rows were built by other declarations than the model was trained on.
    """

    scorer: Scorer
    values: OfferValues
    book: OfferBook
    policy: OfferPolicy

    def __post_init__(self) -> None:
        """Refuse rows that were built by other declarations."""
        self.scorer.check_fingerprint(self.book.fingerprint)

    @staticmethod
    def of(bundle: Bundle, features: Path, campaigns: Path | None = None, policy: OfferPolicy | None = None) -> Decider:
        """Open a bundle and the rows that `build` or `shepherd offers` left.

        Args:
            bundle: Of a task that learns effects.
            features: The rows.
            campaigns: The table of campaigns, where their times may have changed since.
            policy: Instead of the bundle's own.
        """
        values = OfferValues(bundle)
        chosen = policy or policy_of(values.effects)
        facts = (*columns_of(chosen).values(), PIECES_LEFT)
        book = open_book(features, values.manifest.feature_names, campaigns, facts)
        return Decider(Scorer(bundle), values, book, chosen)

    def decide(self, members: Sequence[str], at: datetime) -> Decided:
        """Value, rule out, price and choose.

        Args:
            members: Who is asked about; of one who was not built there are no offers.
            at: A moment with a time zone.
        """
        grid = self.book.grid(members, at)
        there = grid.rows >= 0
        mean, sd, cost, redeems = self._valued(grid, there)
        lower = mean - self.values.effects.caution * sd
        labels = tuple(f"{offer} in {campaign}" for offer, campaign in grid.pairs)
        guardrails = Guardrails(self.policy.limits, self._rules(grid, labels))
        facts = member_facts(self.book, grid, self.policy, microseconds(at))
        broken = guardrails.broken(facts.members, np.nan_to_num(mean) + cost, cost, at)
        broken[~there] = 0
        prices = self.policy.prices_of([offer for offer, _ in grid.pairs], labels)
        allowed = there & (broken == 0)
        if not grid.pairs:
            choice, score = np.full(len(members), -1, np.int64), np.empty((len(members), 0))
        else:
            choice = choose(lower, cost, allowed, prices, facts.segment)
            score = scores(lower, cost, allowed, prices, facts.segment)
        return Decided(grid, at, mean, sd, lower, cost, redeems, broken, score, choice, facts, guardrails, prices)

    def _valued(self, grid: Grid, there: NDArray[np.bool_]) -> tuple[Doubles, Doubles, Doubles, Doubles]:
        tables = tuple(np.full(grid.rows.shape, np.nan) for _ in range(4))
        if there.any():
            said = self.values.value(self.book.features[grid.rows[there]])
            numbers = (said.mean, said.sd, said.cost, said.redeems)
            for table, told in zip(tables, numbers, strict=True):
                table[there] = told
        mean, sd, cost, redeems = tables
        return mean, np.nan_to_num(sd), np.nan_to_num(cost), redeems

    def _rules(self, grid: Grid, labels: tuple[str, ...]) -> tuple[OfferRules, ...]:
        """For whom and when each column holds: what the policy says of the offer, within the time of its campaign."""
        declared = {rules.offer: rules for rules in self.policy.offers}
        return tuple(
            self._rule(label, declared.get(pair[0]), self.book.newest[pair])
            for label, pair in zip(labels, grid.pairs, strict=True)
        )

    def _rule(self, label: str, declared: OfferRules | None, row: int) -> OfferRules:
        starts, ends = _instant(int(self.book.starts_at[row])), _instant(int(self.book.ends_at[row]))
        pieces = self._pieces_left(row)
        if declared is None:
            return OfferRules(label, self._face(row), starts, ends, pieces_left=pieces)
        return OfferRules(
            label,
            self._face(row),
            max(starts, declared.starts_at),
            min(ends, declared.ends_at),
            declared.category,
            declared.regions,
            declared.segments,
            pieces if declared.pieces_left is None else declared.pieces_left,
        )

    def _face(self, row: int) -> float:
        face = float(self.book.features[row, self._face_column])
        return face if face > 0 else _NO_FACE_FEN

    @cached_property
    def _face_column(self) -> int:
        return self.values.manifest.feature_names.index(self.values.effects.face_value)

    def _pieces_left(self, row: int) -> float | None:
        if PIECES_LEFT not in self.book.facts:
            return None
        left = float(self.book.facts[PIECES_LEFT][row])
        return None if np.isnan(left) else left


def policy_of(effects: Effects) -> OfferPolicy:
    """The policy of a bundle; the price of its report and the usual limits where it has none of its own."""
    return effects.policy or OfferPolicy(prices=ShadowPrices({BUDGET: effects.price}, ()))


def _instant(microseconds_since: int) -> datetime:
    try:
        return _EPOCH + timedelta(microseconds=microseconds_since)
    except OverflowError as error:
        raise DataError(
            f"Campaign: found a time {microseconds_since} microseconds from 1970, expected a year from 1 to 9999"
        ) from error
