"""What an audience is like beside everybody: where its members live, how they joined, what they buy, their segment.

A share is of members, or for demand of the money that the members spent in the last 365 days. Its interval (95 %)
treats members as draws: of a share of members Wilson's; of a share of money Wilson's with as many members as would give
the linearised variance of the ratio, the effective sample size of surveys. The index is the share in the audience over
the share among everybody; as the audience is part of everybody, its variance is that of the difference of the members'
influences on the logarithms of the two shares.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from features.audience.filter import Span
from features.audience.population import EVERYBODY
from features.audience.segments import SEGMENTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from features.audience.population import Population, Selection

DEMAND_SPAN: Final = Span(365)
MOST_ROWS: Final = 12
UNKNOWN: Final = "unknown"
_Z: Final = 1.959963984540054
_CHOSEN: Final = "audience_chosen"
_COUNTED: Final = "audience_counted"


@dataclass(frozen=True)
class Share:
    """A share, or the ratio of two, with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """The figure with its interval."""
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class ProfileRow:
    """One value of one side of a profile.

    Attributes:
        name: The city, channel, category or segment; `unknown` where there is none.
        name_zh: The segment's Chinese name; None elsewhere.
        audience: Its share in the audience.
        everybody: Its share among everybody.
        index: The first over the second; None where the audience lacks it altogether.
    """

    name: str
    name_zh: str | None
    audience: Share
    everybody: Share
    index: Share | None


@dataclass(frozen=True)
class Profile:
    """An audience beside everybody, as of one moment; each side with at most `MOST_ROWS` values, the largest first.

    Attributes:
        size: Members of the audience.
        everybody: Members in all.
        region: Shares of members by city.
        channel: Shares of members by the channel in which they joined.
        segment: Shares of members by segment, from best to worst.
        demand: Shares of money spent by category in the last 365 days; empty without purchases.
    """

    size: int
    everybody: int
    region: tuple[ProfileRow, ...]
    channel: tuple[ProfileRow, ...]
    segment: tuple[ProfileRow, ...]
    demand: tuple[ProfileRow, ...]

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)

    @property
    def sides(self) -> Mapping[str, tuple[ProfileRow, ...]]:
        """The four sides by name."""
        return {"region": self.region, "channel": self.channel, "segment": self.segment, "demand": self.demand}


@dataclass(frozen=True)
class Sums:
    """What the members of a group come to, y of a whole x each: 0 or 1 of 1 member, or a category's fen of all fen.

    Attributes:
        members: How many have a whole at all.
        y: Sum of the parts.
        x: Sum of the wholes.
        yy: Sum of their squares.
        xy: Sum of the products.
        xx: Sum of the squares of the wholes.
    """

    members: float
    y: float
    x: float
    yy: float
    xy: float
    xx: float

    def __add__(self, other: Sums) -> Sums:
        """Both groups together."""
        return Sums(
            self.members + other.members,
            self.y + other.y,
            self.x + other.x,
            self.yy + other.yy,
            self.xy + other.xy,
            self.xx + other.xx,
        )

    def squares(self, part: float, whole: float) -> float:
        """The sum of (part y - whole x) squared."""
        return max(0.0, part * part * self.yy - 2 * part * whole * self.xy + whole * whole * self.xx)


def profile(everybody: Population, chosen: Selection) -> Profile:
    """An audience beside everybody.

    Args:
        everybody: The members as of the moment.
        chosen: The audience, selected from them.

    Raises:
        DataError: The data lack orders or products.
    """
    everybody.connection.register(_CHOSEN, chosen.members)
    segmented = everybody.segmented()
    cells = {name: _members_by(everybody, EVERYBODY, column) for name, column in _COLUMNS.items()}
    cells["segment"] = _members_by(everybody, segmented, "segment")
    cells["demand"] = _fen_by_category(everybody)
    rows = {name: _rows(found) for name, found in cells.items()}
    order = list(SEGMENTS)
    return Profile(
        size=chosen.size,
        everybody=chosen.everybody,
        region=rows["region"],
        channel=rows["channel"],
        segment=tuple(sorted(rows["segment"], key=lambda row: order.index(row.name))),
        demand=rows["demand"],
    )


def wilson(share: float, number: float) -> Share:
    """A share among so many members with Wilson's interval; none of it is known of nobody.

    >>> str(wilson(0.0, 10)), str(wilson(0.5, 100))
    ('0.000 [0.000, 0.278]', '0.500 [0.404, 0.596]')
    """
    if number <= 0:
        return Share(share, 0.0, 1.0)
    squared = _Z * _Z / number
    middle = (share + squared / 2) / (1 + squared)
    half = _Z / (1 + squared) * math.sqrt(share * (1 - share) / number + squared / (4 * number))
    return Share(share, max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half)))


def share_of(sums: Sums) -> Share:
    """The part of the whole with its interval."""
    if not sums.x:
        return wilson(0.0, 0.0)
    share = min(1.0, sums.y / sums.x)
    spread = sums.squares(1.0, share) / sums.x**2 * (sums.members / max(1.0, sums.members - 1))
    # Without spread (all or nothing) nothing tells a design effect, and the members count as they are.
    return wilson(share, share * (1 - share) / spread if spread > 0 and 0 < share < 1 else sums.members)


def index_of(inside: Sums, outside: Sums) -> Share | None:
    """The share inside over the share of both, with its interval; None where the inside has none of it."""
    both = inside + outside
    if not inside.y or not inside.x:
        return None
    index = (inside.y / inside.x) / (both.y / both.x)
    part, whole = 1 / inside.y - 1 / both.y, 1 / inside.x - 1 / both.x
    variance = inside.squares(part, whole) + outside.squares(1 / both.y, 1 / both.x)
    factor = math.exp(_Z * math.sqrt(variance))
    return Share(index, index / factor, index * factor)


_COLUMNS: Final = {"region": "city", "channel": "channel"}
_Cells = dict[str, tuple[Sums, Sums]]


def _members_by(everybody: Population, relation: str, column: str) -> _Cells:
    """For each value of a column the members inside the audience and outside."""
    found = everybody.connection.execute(
        f"""SELECT coalesce({column}, '{UNKNOWN}'), chosen.member_id IS NOT NULL, count(*)
        FROM {relation} AS members LEFT JOIN {_CHOSEN} AS chosen USING (member_id) GROUP BY ALL"""
    ).fetchall()
    counts = {(str(value), bool(inside)): int(number) for value, inside, number in found}
    totals = {inside: sum(n for (_, one), n in counts.items() if one == inside) for inside in (True, False)}

    def sums(value: str, *, inside: bool) -> Sums:
        held, total = counts.get((value, inside), 0), totals[inside]
        return Sums(total, held, total, held, held, total)

    return {value: (sums(value, inside=True), sums(value, inside=False)) for value, _ in counts}


def _fen_by_category(everybody: Population) -> _Cells:
    """For each category the money spent on it and in all, inside the audience and outside."""
    connection = everybody.connection
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE {_COUNTED} AS
        SELECT member_id, category, y, sum(y) OVER (PARTITION BY member_id) AS x,
            member_id IN (SELECT member_id FROM {_CHOSEN}) AS inside
        FROM (
            SELECT member_id, coalesce(category, '{UNKNOWN}') AS category, sum(amount_fen)::DOUBLE AS y
            FROM ({everybody.lines()}) SEMI JOIN {EVERYBODY} USING (member_id)
            WHERE seen_at < ? AND seen_at >= ? GROUP BY ALL
        )""",
        [everybody.at, everybody.at - DEMAND_SPAN.length],
    )
    wholes = connection.execute(
        f"""SELECT inside, count(*), sum(x), sum(x * x)
        FROM (SELECT DISTINCT member_id, inside, x FROM {_COUNTED} WHERE x > 0) GROUP BY inside"""
    ).fetchall()
    parts = connection.execute(
        f"SELECT category, inside, sum(y), sum(y * y), sum(x * y) FROM {_COUNTED} WHERE x > 0 GROUP BY ALL"
    ).fetchall()
    connection.execute(f"DROP TABLE {_COUNTED}")
    whole = {bool(inside): (float(n), float(x), float(xx)) for inside, n, x, xx in wholes}
    part = {(str(name), bool(inside)): (float(y), float(yy), float(xy)) for name, inside, y, yy, xy in parts}

    def sums(name: str, *, inside: bool) -> Sums:
        members, x, xx = whole.get(inside, (0.0, 0.0, 0.0))
        y, yy, xy = part.get((name, inside), (0.0, 0.0, 0.0))
        return Sums(members, y, x, yy, xy, xx)

    return {name: (sums(name, inside=True), sums(name, inside=False)) for name, _ in part}


def _rows(cells: _Cells) -> tuple[ProfileRow, ...]:
    """The values with the largest shares in the audience, then among everybody."""
    rows = [
        ProfileRow(name, SEGMENTS.get(name), share_of(inside), share_of(inside + outside), index_of(inside, outside))
        for name, (inside, outside) in cells.items()
    ]
    return tuple(_largest(rows))


def _largest(rows: Sequence[ProfileRow]) -> list[ProfileRow]:
    return sorted(rows, key=lambda row: (-row.audience.value, -row.everybody.value, row.name))[:MOST_ROWS]
