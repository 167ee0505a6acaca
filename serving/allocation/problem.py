"""Who could get what, what it would earn and cost, and how much money, stock and fairness there is."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from data.errors import DataError
from serving.allocation.kernel import BY_COST, BY_SEND, TICKS, UNCOUNTED, Table, Terms, summary
from serving.allocation.prices import NO_OFFER, Counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Amounts: TypeAlias = NDArray[np.float32] | NDArray[np.float64]

CHUNK: Final = 1 << 16
"""Members that are looked at together; sums are taken chunk by chunk, so that threads do not change a bit of them."""

MOST_FEN: Final = float(1 << 40)
"""The largest sum of costs that can be counted in ticks."""


class Stock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many pieces of an offer there are.

    Attributes:
        pieces: The number, 0 or more.
        counted: `send`: every member who gets the offer takes a piece, so stock never runs out at the till.
            `redemption`: only a use takes one, so the expected number of uses, cost / face, is held to the number.
        face_fen: What one use costs, in fen; needed for `redemption` alone.
    """

    pieces: float
    counted: Counted = "send"
    face_fen: float = 0.0

    @property
    def unit_fen(self) -> float:
        """Expected cost that a piece stands for, in fen; 1 where sends are counted."""
        return self.face_fen if self.counted == "redemption" else 1.0


class Service(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The least share of a segment that gets some offer, whatever it earns there.

    Attributes:
        segment: Its name.
        share: From 0 to 1.
        of: `members`: of all its members. `reachable`: of those whom the guardrails leave at least one offer.
    """

    segment: str
    share: float
    of: Literal["members", "reachable"] = "members"


@dataclass(frozen=True)
class Problem:
    """An allocation to be solved: at most one offer for each member, for the most value within every limit.

    Arrays may be memory-mapped; they are read a chunk of members at a time and copied only where they are not in row
    order. No offer is always possible, earns 0 and costs 0.

    Attributes:
        value: Expected extra margin if offered, in fen, shape (members, offers), float32 or float64; may be negative.
            Whatever should count as earned: where a coupon's own cost comes off the same profit, hand it in net.
        cost: Expected cost if offered, in fen, same shape and type, 0 or more: chance of redemption x face value, since
            only what is redeemed is paid.
        allowed: What the guardrails leave, bool, same shape; None where everything is allowed. Values and costs of what
            is not allowed are never read and may be NaN.
        offers: Name of each offer.
        budget_of: Name of the budget that pays each offer; campaigns may share one.
        budgets: Fen of each budget; infinite where money is no limit.
        stock: Pieces of each offer that is scarce.
        segment: Code of each member's segment, shape (members,), an index into `segments`, -1 for none.
        segments: Names of the segments.
        service: The least service of segments.

    Raises:
        DataError: Shapes, types, names, numbers or limits do not fit; all such findings at once.
    """

    value: Amounts
    cost: Amounts
    allowed: NDArray[np.bool_] | None
    offers: tuple[str, ...]
    budget_of: tuple[str, ...]
    budgets: Mapping[str, float]
    stock: Mapping[str, Stock] = field(default_factory=dict)
    segment: NDArray[np.integer[Any]] | None = None
    segments: tuple[str, ...] = ()
    service: tuple[Service, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be solved, before any of it is."""
        problems = [*_shape_problems(self), *_limit_problems(self)]
        problems = problems or [*_segment_problems(self)] or _number_problems(self) or _service_problems(self)
        if problems:
            raise DataError("Allocation: " + "; ".join(problems) + ".")

    @property
    def members(self) -> int:
        """How many members there are."""
        return len(self.value)

    @cached_property
    def table(self) -> Table:
        """The arrays as the compiled loops read them."""
        count = len(self.offers)
        allowed = np.ones((1, count), np.bool_) if self.allowed is None else self.allowed
        segment = np.empty(0, np.int32) if self.segment is None else self.segment.astype(np.int32)
        return Table(in_order(self.value), in_order(self.cost), in_order(allowed), segment)

    @cached_property
    def terms(self) -> Terms:
        """The budget of each offer, by its place among the budgets, and how its stock is counted."""
        names = list(self.budgets)
        counted = {"send": BY_SEND, "redemption": BY_COST}
        stock = [counted[self.stock[offer].counted] if offer in self.stock else UNCOUNTED for offer in self.offers]
        budget = [names.index(name) for name in self.budget_of]
        return Terms(np.array(budget, np.int32), np.array(stock, np.int32))

    def parts(self) -> Iterator[tuple[slice, Table]]:
        """The members a chunk at a time."""
        return chunks(self.table)

    @cached_property
    def seen(self) -> Summary:
        """What one look at every number shows."""
        reachable, spans = np.zeros(len(self.segments), np.int64), np.zeros(3)
        wrong = np.zeros(2, np.int64)
        for _, part in self.parts():
            wrong += summary(part, reachable, spans)
        return Summary(int(wrong[0]), int(wrong[1]), float(spans[0]), float(spans[1]), float(spans[2]), reachable)

    def needed(self) -> NDArray[np.int64]:
        """The least number of members to be served in each segment, shape (segments,)."""
        needed = np.zeros(len(self.segments), np.int64)
        if self.segment is None:
            return needed
        sizes = np.bincount(self.table.segment[self.table.segment >= 0], minlength=len(self.segments))
        for service in self.service:
            code = self.segments.index(service.segment)
            people = int(sizes[code] if service.of == "members" else self.seen.reachable[code])
            # A share such as .1 of 30 is 3.0000000000000004 in floating point, and 3 is meant.
            needed[code] = max(needed[code], math.ceil(round(service.share * people, 6)))
        return needed


@dataclass(frozen=True)
class Summary:
    """What one look at every allowed number shows.

    Attributes:
        wrong_values: How many values are not finite.
        wrong_costs: How many costs are not finite, or negative.
        least_fen: The least that all members together could earn, in fen; 0 or less.
        most_fen: The most that they could earn without any limit.
        dearest_fen: The most that they could cost.
        reachable: Members of each segment who are allowed at least one offer.
    """

    wrong_values: int
    wrong_costs: int
    least_fen: float
    most_fen: float
    dearest_fen: float
    reachable: NDArray[np.int64]


Array = TypeVar("Array", bound="NDArray[Any]")


def in_order(array: Array) -> Array:
    """The same numbers in row order, copied only if they are not; a memory-mapped file stays one."""
    return cast("Array", np.asarray(array, order="C"))


def chunks(table: Table) -> Iterator[tuple[slice, Table]]:
    """The rows of a table a chunk at a time; nothing is copied."""
    for start in range(0, len(table.value), CHUNK):
        rows = slice(start, start + CHUNK)
        # A last chunk of one row under one mask for all would be the same either way.
        allowed = table.allowed[rows] if len(table.allowed) == len(table.value) else table.allowed
        yield rows, Table(table.value[rows], table.cost[rows], allowed, table.segment[rows])


def _shape_problems(problem: Problem) -> Iterator[str]:
    shape, count = problem.value.shape, len(problem.offers)
    if len(shape) != 2 or shape[0] == 0 or shape[1] != count or count == 0:
        yield f"value: found shape {shape}, expected at least one member and a column for each of {count} offers"
    if problem.cost.shape != shape:
        yield f"cost: found shape {problem.cost.shape}, expected that of value, {shape}"
    types = sorted({str(problem.value.dtype), str(problem.cost.dtype)})
    if types not in (["float32"], ["float64"]):
        yield f"value and cost: found types {', '.join(types)}, expected float32 or float64, the same in both"
    if problem.allowed is not None and (problem.allowed.shape != shape or problem.allowed.dtype != np.bool_):
        yield f"allowed: found {problem.allowed.dtype} of shape {problem.allowed.shape}, expected bool of {shape}"
    if len(shape) == 2 and shape[0] > np.iinfo(np.int32).max:
        yield f"value: found {shape[0]:,} members, expected at most {np.iinfo(np.int32).max:,}; solve them in parts"


def _limit_problems(problem: Problem) -> Iterator[str]:
    for name, names in (("offers", problem.offers), ("segments", problem.segments)):
        if len(set(names)) != len(names) or not all(names):
            yield f"{name}: found {list(names)}, expected each name once and none empty"
    if len(problem.budget_of) != len(problem.offers):
        yield f"budget_of: found {len(problem.budget_of)} names, expected one for each of {len(problem.offers)} offers"
    unknown = sorted(set(problem.budget_of) - set(problem.budgets))
    if unknown:
        yield f"budget_of: found {', '.join(unknown)}, expected names of budgets ({', '.join(problem.budgets)})"
    for name, fen in problem.budgets.items():
        if not fen >= 0:
            yield f"budget {name}: found {fen} fen, expected 0 or more, or infinity for no limit"
    yield from _stock_problems(problem)


def _stock_problems(problem: Problem) -> Iterator[str]:
    for name, stock in problem.stock.items():
        if name not in problem.offers:
            yield f"stock: found {name!r}, expected names of offers"
        if not (stock.pieces >= 0 and math.isfinite(stock.pieces)):
            yield f"stock of {name}: found {stock.pieces} pieces, expected 0 or more; leave out what is not scarce"
        if stock.counted == "redemption" and not (stock.face_fen > 0 and math.isfinite(stock.face_fen)):
            yield f"stock of {name}: found a face value of {stock.face_fen} fen, expected more than 0 to count uses by"


def _segment_problems(problem: Problem) -> Iterator[str]:
    segment = problem.segment
    if segment is None:
        if problem.service or problem.segments:
            yield "segment: found none, expected the segment of each member, since segments or service are named"
    elif segment.shape != (problem.members,) or segment.dtype.kind not in "iu":
        yield f"segment: found {segment.dtype} of shape {segment.shape}, expected integers of ({problem.members},)"
    elif int(segment.min()) < NO_OFFER or int(segment.max()) >= len(problem.segments):
        found = f"{segment.min()} to {segment.max()}"
        yield f"segment: found codes from {found}, expected -1 to {len(problem.segments) - 1}"
    for service in problem.service:
        if service.segment not in problem.segments:
            yield f"service: found the segment {service.segment!r}, expected one of {list(problem.segments)}"
        if not 0 <= service.share <= 1:
            yield f"service of {service.segment}: found the share {service.share}, expected 0 to 1"


def _number_problems(problem: Problem) -> list[str]:
    seen, problems = problem.seen, []
    if seen.wrong_values:
        problems.append(f"value: found {seen.wrong_values:,} allowed ones not finite, expected fen; mask unknown ones")
    if seen.wrong_costs:
        problems.append(f"cost: found {seen.wrong_costs:,} allowed ones below 0 or not finite, expected 0 fen or more")
    if not problems and seen.dearest_fen > MOST_FEN:
        problems.append(
            f"cost: found up to {seen.dearest_fen:.3g} fen in all, expected at most {MOST_FEN:.3g}; check the unit"
        )
    return problems


def _service_problems(problem: Problem) -> list[str]:
    reachable = problem.seen.reachable
    return [
        f"service of {name}: found {had:,} members with an allowed offer, expected at least {needed:,}; lower the "
        'share, loosen the guardrails, or count it of the "reachable"'
        for name, had, needed in zip(problem.segments, reachable.tolist(), problem.needed().tolist(), strict=True)
        if had < needed
    ]


def ticks(fen: float) -> int:
    """A limit in ticks, rounded down; more than can ever be used where it is infinite.

    >>> ticks(1.5), ticks(float("inf")) > ticks(1e12)
    (1572864, True)
    """
    return int(min(fen, 2 * MOST_FEN) * TICKS)
