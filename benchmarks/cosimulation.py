"""A world whose wool party changes whatever gets it blocked, played once against each of several judges.

A judge (`data.world.defence`) sees a scan as the tables show it when it arrives, with what is at stake as its prize:
at a flash sale the deal, which the campaign's budget and stock tell. One that listens is told what else reaches the
books as it does. Nobody is shown the truth; what was decided is held against it when the world has ended.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.judged import RESAMPLES
from benchmarks.truth import HONEST, truth_table
from data.sources import open_folder
from data.world.defence import Chances, Listener
from data.world.simulation import simulate
from data.world.truth import FOLDER
from training.interval import Interval, Resampling, of_mean, of_means
from training.payoff import Stakes, earnings
from training.tasks.fraud import TASK

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from data.sources import DataSet
    from data.world.defence import Defence
    from data.world.request import Request

WEEK: Final = 7
CAUGHT: Final = 0.5
"""A ring is caught once this share of what its scans of a week might have won is kept from it."""
HORIZON: Final = 21
"""Rings that are not caught within so many days count as caught then, so that the mean says something of all."""

_PAID: Final = 0
_BLOCKED: Final = TASK.payoff.actions.index("block")
_HARM: Final = [TASK.payoff.actions.index(name) for name in TASK.payoff.cap.actions] if TASK.payoff.cap else []


@dataclass(frozen=True)
class Ruling(Chances):
    """What is done about scans, and how likely it stops each.

    Attributes:
        action: A place in the actions of the fraud task's pay-off, shape (scans,).
    """

    action: NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """What was decided of some scans of a day, in order of arrival."""

    day: int
    scan_id: pa.ChunkedArray[Any]
    prize_fen: NDArray[np.int64]
    deal_fen: NDArray[np.int64]
    ruling: Ruling


class Recorded:
    """Writes down what a judge decides, whose answers count from a day on; flags mean block or pay.

    Attributes:
        parts: What was decided, oldest first.
    """

    def __init__(self, judge: Defence, first: int) -> None:
        self.parts: list[Part] = []
        self._judge = judge
        self._first = first
        self._deals: dict[str, int] = {}

    def told(self, table: str, rows: pa.Table) -> None:
        """Hands on what reaches the books to a judge that listens."""
        if table == "campaigns":
            sales = rows.filter(pc.equal(rows["kind"], pa.scalar("flash_sale"))).to_pylist()
            self._deals |= {one["campaign_id"]: one["budget_fen"] // one["stock"] for one in sales}
        if isinstance(self._judge, Listener):
            self._judge.told(table, rows)

    def judge(self, day: int, scans: pa.Table) -> Chances:
        """What the judge says; before the first day it is asked and nothing is blocked."""
        prize, deal = scans["prize_fen"].to_numpy(), self._dealt(scans)
        place = scans.column_names.index("prize_fen")
        said = self._judge.judge(day, scans.set_column(place, "prize_fen", pa.array(prize + deal)))
        if day < self._first:
            said = np.full(len(scans), fill_value=False)
        if not isinstance(said, Ruling):
            stopped = np.asarray(said, np.bool_)
            said = Ruling(stopped.astype(float), stopped.astype(float), np.where(stopped, _BLOCKED, _PAID))
        self.parts.append(Part(day, scans["scan_id"], prize, deal, said))
        return said

    def _dealt(self, scans: pa.Table) -> NDArray[np.int64]:
        """What each request of a flash sale is worth while stocks last."""
        deals = [self._deals.get(name or "", 0) for name in scans["campaign_id"].to_pylist()]
        return np.where(np.array(scans["status"].to_pylist()) == "valid", deals, 0).astype(np.int64)


@dataclass(frozen=True)
class Game:
    """How one arm ended: a row a scan.

    Attributes:
        day: Of arrival, counted from 0.
        prize_fen: What its code wins.
        deal_fen: What it is worth at a flash sale, while stocks last.
        won_fen: What it did win.
        stopped: How likely what was done stops whoever made it.
        action: What was done, a place in the actions of the fraud task's pay-off.
        family: Who made it.
        unit: Code of the ring, else the member.
        first: The day from which scans were judged.
    """

    day: NDArray[np.int64]
    prize_fen: NDArray[np.float64]
    deal_fen: NDArray[np.float64]
    won_fen: NDArray[np.float64]
    stopped: NDArray[np.float64]
    action: NDArray[np.int64]
    family: NDArray[np.str_]
    unit: NDArray[np.int64]
    first: int

    @property
    def wool(self) -> NDArray[np.bool_]:
        """Which scans the wool party made."""
        return np.asarray(self.family != HONEST, np.bool_)

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Which scans came once scans were judged."""
        return np.asarray(self.day >= self.first, np.bool_)

    @property
    def lost_fen(self) -> NDArray[np.float64]:
        """What the wool party got by each scan."""
        return np.where(self.wool, self.won_fen, 0.0)

    @property
    def stake_fen(self) -> NDArray[np.float64]:
        """What each scan might have won."""
        return self.prize_fen + self.deal_fen

    @property
    def cost_fen(self) -> NDArray[np.float64]:
        """What each scan cost: what the wool party got, and by the pay-off reviews, annoyance and promises broken.

        A deal that an honest shopper is refused counts as annoyance alone: it might have been sold out.
        """
        rows, label = np.arange(len(self.day)), self.wool.astype(np.float64)
        fixed = earnings(TASK.payoff, label, Stakes(np.zeros(len(rows))))[rows, self.action]
        return self.lost_fen - fixed + np.where(self.wool, 0.0, self.stopped * self.prize_fen)

    @property
    def harmed(self) -> NDArray[np.bool_]:
        """Which scans were blocked or held."""
        return np.isin(self.action, _HARM)

    def as_dict(self, seed: int, resamples: int = RESAMPLES) -> dict[str, Any]:
        """By week what the wool party got and who was harmed, and how soon rings were caught; intervals by ring."""
        caught, days = self.caught_after()
        generator = np.random.default_rng(seed)
        rings = Resampling(np.arange(len(days)), generator, resamples)
        within, mean = of_means(np.column_stack((caught & (days <= WEEK), days)), rings) if len(days) else (None, None)
        return {
            "rings": len(days),
            "caught_within_a_week": None if within is None else within.as_dict(),
            "days_until_caught": None if mean is None else mean.as_dict(),
            **self._told(self.judged, generator, resamples),
            "weeks": [
                {"first_day": start, **self._told(self._week(start), generator, resamples)}
                for start in range(self.first, int(self.day.max()) + 1, WEEK)
            ],
        }

    def caught_after(self) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Of each ring whether it was caught within the horizon, and days from its first judged scan until then."""
        judged = self.wool & self.judged
        rings = np.unique(self.unit[judged])
        days = np.array([self._days(judged & (self.unit == ring)) for ring in rings], np.float64)
        return days <= HORIZON, np.minimum(days, HORIZON)

    def _days(self, of_ring: NDArray[np.bool_]) -> float:
        """Days until the first evening on which enough of what the last week might have won had been kept."""
        day = self.day[of_ring]
        start, length = int(day.min()), int(day.max() - day.min()) + 1
        stake = self.stake_fen[of_ring]
        sums = (np.bincount(day - start, fen, length) for fen in (stake, stake * self.stopped[of_ring]))
        might_win, kept = (np.convolve(one, np.ones(WEEK))[:length] for one in sums)
        evenings = np.flatnonzero((might_win > 0) & (kept >= CAUGHT * might_win))
        return float(evenings[0]) if len(evenings) else np.inf

    def _week(self, start: int) -> NDArray[np.bool_]:
        return np.asarray((self.day >= start) & (self.day < start + WEEK), np.bool_)

    def _told(self, inside: NDArray[np.bool_], generator: np.random.Generator, resamples: int) -> dict[str, Any]:
        """The figures of some of the scans."""
        wool, honest = inside & self.wool, inside & ~self.wool
        winning = wool & (self.stake_fen > 0)

        def mean(values: NDArray[Any], rows: NDArray[np.bool_]) -> dict[str, float] | None:
            if not rows.any():
                return None
            draws = Resampling(self.unit[rows], generator, resamples)
            return of_mean(values[rows].astype(np.float64), draws).as_dict()

        return {
            "wool_scans": int(wool.sum()),
            "wool_might_win_fen": int(self.stake_fen[wool].sum()),
            "lost_fen": int(self.lost_fen[inside].sum()),
            "lost_fen_a_scan": mean(self.lost_fen, inside),
            "cost_fen_a_scan": mean(self.cost_fen, inside),
            "winning_stopped": mean(self.stopped, winning),
            "honest_blocked": mean(self.harmed, honest),
        }


def play(request: Request, judge: Defence, folder: Path, first: int) -> Game:
    """One arm: a world in which nobody is blocked before a day, and whoever the judge says from then on.

    Args:
        request: The world; its wool party adapts, whatever the request says.
        judge: Who decides; it is shown the scans of earlier days too.
        folder: Where the world is made and removed again.
        first: The day from which the judge's answers count.
    """
    home = folder / "world"
    defence = Recorded(judge, first)
    simulate(replace(request, adapt=True), home, defence)
    game = _game(open_folder(home), home / FOLDER, defence.parts, first)
    shutil.rmtree(home)
    return game


def _game(world: DataSet, truth: Path, parts: list[Part], first: int) -> Game:
    decided = pa.table(
        {
            "scan_id": pa.chunked_array([chunk for part in parts for chunk in part.scan_id.chunks]),
            "day": np.concatenate([np.full(len(part.prize_fen), part.day) for part in parts]),
            "code_fen": np.concatenate([part.prize_fen for part in parts]).astype(np.float64),
            "deal_fen": np.concatenate([part.deal_fen for part in parts]).astype(np.float64),
            **{
                name: np.concatenate([getattr(part.ruling, name) for part in parts])
                for name in ("honest", "wool", "action")
            },
        }
    )
    with world.connect() as connection:
        connection.register("decided", decided)
        table: pa.Table = connection.sql(f"""
            SELECT day, code_fen, deal_fen, prize_fen::DOUBLE AS won_fen, honest, wool, action, family,
                coalesce('ring ' || ring_id, 'member ' || member_id, scan_id) AS unit
            FROM decided JOIN scans USING (scan_id) JOIN {truth_table(truth, "scans")} AS truth USING (scan_id)
            ORDER BY coalesce(received_at, ts), scan_id
        """).to_arrow_table()
    family = np.asarray(table["family"].to_pylist(), np.str_)
    return Game(
        day=table["day"].to_numpy(),
        prize_fen=table["code_fen"].to_numpy(),
        deal_fen=table["deal_fen"].to_numpy(),
        won_fen=table["won_fen"].to_numpy(),
        stopped=np.where(family == HONEST, table["honest"].to_numpy(), table["wool"].to_numpy()),
        action=table["action"].to_numpy(),
        family=family,
        unit=table["unit"].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64),
        first=first,
    )


def gain(ours: Game, theirs: Game, seed: int, resamples: int = RESAMPLES) -> dict[str, Interval]:
    """How much less was lost than in the other arm, as a share of what was lost there.

    `lost` counts what the wool party got; `cost` also what honest people and reviews cost. Rings live different lives
    in the two arms, so units are drawn in each arm by itself.
    """
    sums = [_sums(game, seed + number, resamples) for number, game in enumerate((ours, theirs))]
    with np.errstate(divide="ignore", invalid="ignore"):
        value, drawn = (1 - mine / other for mine, other in zip(*sums, strict=True))
    low, high = np.nanpercentile(drawn, [2.5, 97.5], axis=0)
    return {name: Interval(*map(float, (value[at], low[at], high[at]))) for at, name in enumerate(("lost", "cost"))}


def _sums(game: Game, seed: int, resamples: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What was lost and what it cost while scans were judged: in all, and in each draw of units."""
    judged = game.judged
    values = np.column_stack((game.lost_fen, game.cost_fen))[judged]
    draws = Resampling(game.unit[judged], np.random.default_rng(seed), resamples)
    return values.sum(axis=0), np.concatenate(list(draws.sums(values)))
