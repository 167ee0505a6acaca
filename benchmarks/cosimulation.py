"""A brand that learns every week against a wool party that changes whatever gets it blocked.

A defence may not see verdicts before they land, and verdicts follow from scans that follow from what was blocked. So
the world is made again for every morning on which something is learned: what was decided before is played again, scan
by scan, which gives the same past to the bit; what is learned sees nothing but the tables of that past; and the new
judge decides from that morning on. Arms differ in who learns and how often: every week, once, or fixed rules.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.judged import RESAMPLES
from benchmarks.truth import HONEST, truth_table
from benchmarks.unseen import morning
from data.contracts import TABLES
from data.errors import DataError
from data.sources import DataSet, open_folder
from data.world.defence import Defence
from data.world.simulation import simulate
from data.world.truth import FOLDER
from training.interval import Interval, Resampling, of_mean, of_means

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from data.world.request import Request

Recruit = Callable[[DataSet, int], Defence]
"""Makes the judge of the scans from a day on, out of the tables as they stood that morning."""

WEEK: Final = 7
CAUGHT: Final = 0.5
"""A ring is caught once this share of its scans of a week is blocked."""
HORIZON: Final = 21
"""Rings that are not caught within so many days count as caught then, so that the mean says something of all."""


@dataclass(frozen=True)
class Part:
    """What was decided of some scans of a day, in order of arrival."""

    day: int
    scan_id: pa.ChunkedArray[Any]
    prize_fen: NDArray[np.int64]
    blocked: NDArray[np.bool_]


class Recorded:
    """Plays again what was decided before, then asks a judge; keeps all of it.

    Attributes:
        parts: What was decided, oldest first.
    """

    def __init__(self, parts: list[Part], judge: Defence | None) -> None:
        self.parts = list(parts)
        self._played, self._known = 0, len(parts)
        self._judge = judge

    def judge(self, day: int, scans: pa.Table) -> NDArray[np.bool_]:
        """Which scans are blocked; without a judge none is.

        Raises:
            DataError: The past did not come again as it was.
        """
        if self._played < self._known:
            part = self.parts[self._played]
            self._played += 1
            if (part.day, part.scan_id) != (day, scans["scan_id"]):
                raise DataError(
                    f"co-simulation: found other scans on day {day} than when it was first played, expected the same; "
                    "a world must repeat itself for the same request and the same decisions"
                )
            return part.blocked
        none = np.full(scans.num_rows, fill_value=False)
        blocked = none if self._judge is None else np.asarray(self._judge.judge(day, scans), np.bool_)
        self.parts.append(Part(day, scans["scan_id"], scans["prize_fen"].to_numpy(), blocked))
        return blocked


@dataclass(frozen=True)
class Game:
    """How one arm ended: a row a scan.

    Attributes:
        day: Of arrival, counted from 0.
        prize_fen: What it would win.
        blocked: Whether it was blocked.
        family: Who made it.
        unit: Code of the ring, else the member.
        first: The day from which scans were judged.
    """

    day: NDArray[np.int64]
    prize_fen: NDArray[np.float64]
    blocked: NDArray[np.bool_]
    family: NDArray[np.str_]
    unit: NDArray[np.int64]
    first: int

    def as_dict(self, seed: int, resamples: int = RESAMPLES) -> dict[str, Any]:
        """By week what the wool party got and who was blocked, and how soon rings were caught; intervals by ring."""
        caught, days = self.caught_after()
        generator = np.random.default_rng(seed)
        rings = Resampling(np.arange(len(days)), generator, resamples)
        within, mean = of_means(np.column_stack((caught & (days <= WEEK), days)), rings) if len(days) else (None, None)
        return {
            "rings": len(days),
            "caught_within_a_week": None if within is None else within.as_dict(),
            "days_until_caught": None if mean is None else mean.as_dict(),
            "weeks": [
                self._week(start, generator, resamples) for start in range(self.first, int(self.day.max()), WEEK)
            ],
        }

    def caught_after(self) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Of each ring whether it was caught within the horizon, and days from its first judged scan until then."""
        judged = (self.family != HONEST) & (self.day >= self.first)
        rings = np.unique(self.unit[judged])
        days = np.array([self._days(judged & (self.unit == ring)) for ring in rings], np.float64)
        return days <= HORIZON, np.minimum(days, HORIZON)

    def _days(self, of_ring: NDArray[np.bool_]) -> float:
        """Days until the first evening on which enough of the last week's scans had been blocked."""
        day, blocked = self.day[of_ring], self.blocked[of_ring]
        start, length = int(day.min()), int(day.max() - day.min()) + 1
        made, stopped = (np.bincount(day - start, weight, length) for weight in (None, blocked.astype(np.float64)))
        week = np.ones(WEEK)
        share = np.convolve(stopped, week)[:length] / np.maximum(np.convolve(made, week)[:length], 1)
        evenings = np.flatnonzero(share >= CAUGHT)
        return float(evenings[0]) if len(evenings) else np.inf

    def _week(self, start: int, generator: np.random.Generator, resamples: int) -> dict[str, Any]:
        inside = (self.day >= start) & (self.day < start + WEEK)
        wool, honest = inside & (self.family != HONEST), inside & (self.family == HONEST)
        lost = np.where(wool & ~self.blocked, self.prize_fen, 0.0)[inside]

        def mean(values: NDArray[Any], rows: NDArray[np.bool_]) -> dict[str, float] | None:
            if not rows.any():
                return None
            draws = Resampling(self.unit[rows], generator, resamples)
            return of_mean(values.astype(np.float64), draws).as_dict()

        return {
            "first_day": start,
            "wool_scans": int(wool.sum()),
            "lost_fen": int(lost.sum()),
            "lost_fen_a_scan": mean(lost, inside),
            "caught": mean(self.blocked[wool], wool),
            "honest_blocked": mean(self.blocked[honest], honest),
        }


def play(request: Request, recruit: Recruit, folder: Path, first: int, every: int | None) -> Game:
    """One arm: nobody is blocked until the first morning, and something is learned then and every so many days.

    Args:
        request: The world; its wool party adapts, whatever the request says.
        recruit: Makes each morning's judge.
        folder: Where worlds are made, one after the other; two at a time lie there.
        first: The day from which scans are judged.
        every: Days between two judges; None keeps the first for good.
    """
    request = replace(request, adapt=True)
    mornings = [first] if every is None else list(range(first, request.days, every))
    defence = Recorded([], None)
    home = _made(request, folder / "open", defence)
    for number, day in enumerate(mornings):
        past = _until(open_folder(home), day, folder / f"past-{number}")
        judge = recruit(open_folder(past), day)
        shutil.rmtree(home)
        shutil.rmtree(past)
        defence = Recorded([part for part in defence.parts if part.day < day], judge)
        home = _made(request, folder / f"round-{number}", defence)
    game = _game(open_folder(home), home / FOLDER, defence.parts, first)
    shutil.rmtree(home)
    return game


def _made(request: Request, home: Path, defence: Defence) -> Path:
    simulate(request, home, defence)
    return home


def _until(world: DataSet, day: int, folder: Path) -> Path:
    """The tables as they stood on a morning: what arrived or landed before it, and lasting facts."""
    folder.mkdir(parents=True)
    with world.connect() as connection:
        for name in world.files:
            moments = _moments(name)
            before = f"WHERE coalesce({', '.join(moments)}, $morning - INTERVAL 1 DAY) < $morning" if moments else ""
            values = {"morning": morning(day)} if moments else {}
            table: pa.Table = connection.sql(f"SELECT * FROM {name} {before}", params=values).to_arrow_table()
            pq.write_table(table, folder / f"{name}.parquet")
    return folder


def _moments(name: str) -> tuple[str, ...]:
    """The columns of a table that say when a row could be known; none where it always was."""
    if name == "members":
        return ("registered_at",)
    return TABLES[name].arrival


def _game(world: DataSet, truth: Path, parts: list[Part], first: int) -> Game:
    decided = pa.table(
        {
            "scan_id": pa.chunked_array([chunk for part in parts for chunk in part.scan_id.chunks]),
            "day": np.concatenate([np.full(len(part.blocked), part.day) for part in parts]),
            "prize_fen": np.concatenate([part.prize_fen for part in parts]).astype(np.float64),
            "blocked": np.concatenate([part.blocked for part in parts]),
        }
    )
    with world.connect() as connection:
        connection.register("decided", decided)
        table: pa.Table = connection.sql(f"""
            SELECT day, decided.prize_fen, blocked, family,
                coalesce('ring ' || ring_id, 'member ' || member_id, scan_id) AS unit
            FROM decided JOIN scans USING (scan_id) JOIN {truth_table(truth, "scans")} AS truth USING (scan_id)
        """).to_arrow_table()
    return Game(
        day=table["day"].to_numpy(),
        prize_fen=table["prize_fen"].to_numpy(),
        blocked=table["blocked"].to_numpy(),
        family=np.asarray(table["family"].to_pylist(), np.str_),
        unit=table["unit"].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64),
        first=first,
    )


def gain(ours: Game, theirs: Game, seed: int, resamples: int = RESAMPLES) -> Interval:
    """How much less the wool party got than against the other arm, as a share of what it got there.

    Rings live different lives in the two arms, so units are drawn in each arm by itself.
    """
    lost = [_lost(game, seed + number, resamples) for number, game in enumerate((ours, theirs))]
    with np.errstate(divide="ignore", invalid="ignore"):
        value, drawn = (1 - mine / other for mine, other in zip(*lost, strict=True))
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return Interval(float(value[0]), float(low), float(high))


def _lost(game: Game, seed: int, resamples: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Prizes that the wool party got while scans were judged: in all, and in each draw of units."""
    got = np.where((game.family != HONEST) & ~game.blocked & (game.day >= game.first), game.prize_fen, 0.0)[:, None]
    draws = Resampling(game.unit, np.random.default_rng(seed), resamples)
    return got.sum(axis=0), np.concatenate(list(draws.sums(got)))[:, 0]
