"""What the coupons of a season truly brought: everybody who could be sent one, against the holdout that never was.

The report after a launch, beside what was promised before it (`training.off_policy`): purchases and margin gained a
member, what that cost, by segment, and whether opt-outs, holdout and caps were kept. Members of both groups were
parted by lot, so their plain difference is the effect; the adjusted one takes off what each earned before the first
coupon (Deng, Xu, Kohavi and Walker, "Improving the sensitivity of online controlled experiments by utilizing
pre-experiment data", WSDM 2013), which changes nothing on average and narrows the interval.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from rich.table import Table

from training.holdout_members import read_members, read_violations, require_needed
from training.interval import RESAMPLES, Interval, Resampling
from training.studentised import studentised

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from numpy.typing import NDArray

    from data.sources import DataSet
    from training.holdout_members import Members, Scope, Violations
    from training.studentised import Figure, Measure

FOUR_FIFTHS: Final = 0.8
"""A segment served less than this share of the best served one is flagged (29 CFR 1607.4, the four-fifths rule)."""

NORMAL_95: Final = 1.959964

LEAST_HELD_OUT: Final = 30
"""With fewer members of the holdout nothing is said of a segment's gain."""

_FIGURES: Final = {
    "bought": "share who bought",
    "orders": "baskets a member",
    "margin_fen": "margin a member, fen",
    "margin_adjusted_fen": "the same, adjusted",
    "cost_fen": "coupons paid a member, fen",
    "margin_a_send_fen": "margin a send, fen",
    "roi": "margin gained a fen paid",
    "before_fen": "margin a member before, fen",
}


@dataclass(frozen=True)
class Served:
    """How one segment fared.

    Attributes:
        members: Who could be sent something.
        held_out: Members of the holdout.
        share_served: Share of the former who were sent anything.
        cost_fen: What they were given, in fen a member.
        gain: By name of the figure, as in the report; empty where the holdout is too small.
        flags: What should be looked at: `underserved`, `loses_margin`.
    """

    members: int
    held_out: int
    share_served: float
    cost_fen: float
    gain: Mapping[str, Interval]
    flags: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        gain = {name: interval.as_dict() for name, interval in self.gain.items()}
        return {**vars(self), "gain": gain, "flags": list(self.flags)}


@dataclass(frozen=True)
class HoldoutReport:
    """A season of coupons against the holdout, with 95 % intervals that resample members.

    Attributes:
        since: When the season began.
        until: When it ended.
        members: Who could be sent something.
        held_out: Members of the holdout.
        gain: By name: `bought` and `orders` a member, `margin_fen` (coupons paid) plain and adjusted, what was paid
            (`cost_fen`), the margin a send, the margin gained for each fen paid (`roi`), and how the two groups
            differed before the first coupon (`before_fen`): what the lot did, and nothing to be proud of.
        total_margin_fen: The adjusted gain of all members together.
        promised: The margin a member that was foretold before the launch; None where nobody did.
        segments: By name.
        violations: Sends that should not have been.
    """

    since: datetime
    until: datetime
    members: int
    held_out: int
    gain: Mapping[str, Interval]
    total_margin_fen: Interval
    promised: Interval | None
    segments: Mapping[str, Served]
    violations: Violations

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "members": self.members,
            "held_out": self.held_out,
            "gain": {name: interval.as_dict() for name, interval in self.gain.items()},
            "total_margin_fen": self.total_margin_fen.as_dict(),
            "promised": None if self.promised is None else self.promised.as_dict(),
            "segments": {name: served.as_dict() for name, served in self.segments.items()},
            "violations": asdict(self.violations),
        }

    def table(self) -> Table:
        """The same for a person."""
        table = Table(title=f"Coupons from {self.since:%Y-%m-%d} to {self.until:%Y-%m-%d}", title_justify="left")
        table.add_column("against the holdout")
        for name in ("all", *self.segments):
            table.add_column(name)
        parts = list(self.segments.values())
        for figure, meaning in _FIGURES.items():
            gains = (self.gain, *(served.gain for served in parts))
            table.add_row(meaning, *(str(gain.get(figure, "too few held out")) for gain in gains))
        counts = ((self.members, self.held_out), *((one.members, one.held_out) for one in parts))
        table.add_row("members, held out", *(f"{members:,}, {held_out:,}" for members, held_out in counts))
        table.add_row("share served", "", *(f"{one.share_served:.1%}" for one in parts))
        table.add_row("flags", "", *(", ".join(one.flags) for one in parts))
        total = (
            end / 100 for end in (self.total_margin_fen.value, self.total_margin_fen.low, self.total_margin_fen.high)
        )
        table.caption = (
            "all members together: {:,.0f} [{:,.0f}, {:,.0f}] yuan; ".format(*total)
            + f"promised a member: {self.promised or 'nothing'}; intervals are 95 %\n{_kept(self.violations)}"
        )
        table.caption_justify = "left"
        return table


def holdout_report(
    data_set: DataSet,
    scope: Scope,
    generator: np.random.Generator,
    promised: Interval | None = None,
    resamples: int = RESAMPLES,
) -> HoldoutReport:
    """Judge a season of coupons by the persistent holdout.

    Args:
        data_set: With the tables `members`, `orders`, `sends`, `offers` and `redemptions`.
        scope: What is judged; the holdout must have been drawn before it begins.
        generator: Draws the members.
        promised: The margin a member that was foretold before the launch.
        resamples: How many draws an interval takes.

    Raises:
        DataError: A table is missing, there is no holdout, nothing was sent, or margins are missing.
        UsageError: There is no such column to make segments of.
    """
    require_needed(data_set)
    with data_set.connect() as connection:
        members = read_members(connection, scope)
        violations = read_violations(connection, scope)
    everybody = np.ones(len(members.bought), np.bool_)
    gain = _gain(members, everybody, generator, resamples)
    outside, adjusted = int((~members.held_out).sum()), gain["margin_adjusted_fen"]
    return HoldoutReport(
        since=scope.since,
        until=scope.until,
        members=outside,
        held_out=int(members.held_out.sum()),
        gain=gain,
        total_margin_fen=Interval(outside * adjusted.value, outside * adjusted.low, outside * adjusted.high),
        promised=promised,
        segments=_segments(members, generator, resamples),
        violations=violations,
    )


def _segments(members: Members, generator: np.random.Generator, resamples: int) -> dict[str, Served]:
    names = sorted(set(members.segment[~members.held_out]))
    inside = {name: members.segment == name for name in names}
    shares = {name: float((members.sends[rows & ~members.held_out] > 0).mean()) for name, rows in inside.items()}
    best = max(shares.values())
    found = {}
    for name, rows in inside.items():
        served, held_out = rows & ~members.held_out, int((rows & members.held_out).sum())
        gain = _gain(members, rows, generator, resamples) if held_out >= LEAST_HELD_OUT else {}
        flags = ["underserved"] * (shares[name] < FOUR_FIFTHS * best)
        flags += ["loses_margin"] * (bool(gain) and gain["margin_adjusted_fen"].high < 0)
        cost = float(members.cost_fen[served].mean())
        found[name] = Served(int(served.sum()), held_out, shares[name], cost, gain, tuple(flags))
    return found


def _gain(
    members: Members, rows: NDArray[np.bool_], generator: np.random.Generator, resamples: int
) -> dict[str, Interval]:
    """The figures of some members, all on the same draws."""
    held_out = members.held_out[rows].astype(np.float64)
    sent = 1 - held_out
    before = members.margin_before_fen[rows]
    adjusted = members.margin_fen[rows] - _slope(members.margin_fen[rows], before, members.held_out[rows]) * before
    outcomes = (members.bought[rows], members.orders[rows], members.margin_fen[rows], adjusted, before)
    columns = np.column_stack(
        (
            sent,
            held_out,
            *(group * outcome for outcome in outcomes for group in (sent, held_out)),
            sent * members.cost_fen[rows],
            sent * members.sends[rows],
        )
    )
    measures: dict[str, Measure] = {
        "orders": lambda sums: _difference(sums, 4),
        "margin_fen": lambda sums: _difference(sums, 6),
        "margin_adjusted_fen": lambda sums: _difference(sums, 8),
        "cost_fen": lambda sums: sums[12] / sums[0],
        "margin_a_send_fen": lambda sums: _difference(sums, 8) / (sums[13] / sums[0]),
        "roi": lambda sums: _difference(sums, 8) / (sums[12] / sums[0]),
        "before_fen": lambda sums: _difference(sums, 10),
    }
    resampling = Resampling(np.arange(len(sent)), generator, resamples)
    found = dict(zip(measures, studentised(columns, list(measures.values()), resampling), strict=True))
    return {"bought": difference_of_shares(*columns[:, :4].sum(axis=0)[[2, 0, 3, 1]].tolist())} | found


def difference_of_shares(ours: float, of_ours: float, theirs: float, of_theirs: float) -> Interval:
    """How much larger a share of one group is than of another, with its 95 % interval.

    One more of each kind is taken in each group (Agresti and Caffo, "Simple and effective confidence intervals for
    proportions", The American Statistician 54, 2000): a small group in which everybody bought is not certain to.

    >>> str(difference_of_shares(80, 100, 30, 30))
    '-0.200 [-0.274, -0.076]'
    """
    shares = ((ours + 1) / (of_ours + 2), (theirs + 1) / (of_theirs + 2))
    error = np.sqrt(sum(one * (1 - one) / (size + 2) for one, size in zip(shares, (of_ours, of_theirs), strict=True)))
    middle, off = shares[0] - shares[1], float(NORMAL_95 * error)
    return Interval(ours / of_ours - theirs / of_theirs, middle - off, middle + off)


def _difference(sums: tuple[Figure, ...], place: int) -> Figure:
    """The mean of those who could be sent something less that of the holdout."""
    return sums[place] / sums[0] - sums[place + 1] / sums[1]


def _slope(margin: NDArray[np.float64], before: NDArray[np.float64], held_out: NDArray[np.bool_]) -> float:
    """How much of the margin before comes again, within both groups."""
    centred = [
        (margin[group] - margin[group].mean(), before[group] - before[group].mean()) for group in (held_out, ~held_out)
    ]
    spread = sum(float((early**2).sum()) for _, early in centred)
    return sum(float((late * early).sum()) for late, early in centred) / spread if spread else 0.0


def _kept(violations: Violations) -> str:
    """The violations in one line."""
    caps = "no cap was given"
    if violations.over_cap is not None:
        caps = f"{violations.over_cap:,} over the cap, {violations.within_cool_down:,} within the cool-down"
    return (
        f"{violations.sends:,} sends: {violations.to_opted_out:,} to members who opted out, "
        f"{violations.to_holdout:,} to the holdout, {caps}"
    )
