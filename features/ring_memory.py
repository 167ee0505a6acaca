"""What is done to the rings of the live state between calls: generations begin and end, and forests get more room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from data.errors import UsageError
from features import ring_state as rings
from features.blocks import free, taken
from features.program import A_TURN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from features.kernel import Int64
    from features.ring_plan import RingPlan

    Roomy: TypeAlias = Callable[[int], tuple[Int64, Int64]]

_BEGINNING: Final = -(1 << 62)
_NEVER: Final = 1 << 62
_LEAST: Final = 64
_ROWS: Final = 16
_FEWEST: Final = 2
"""People in a ring; one alone is none."""


@dataclass(frozen=True)
class RingFound:
    """A ring as it is told of.

    Attributes:
        ring_id: Its name: the network, the generation that is read, and which of its people, in order of appearance,
            was the ring's first. A ring keeps it while it grows and takes the older's when two become one; with the
            next generation it gets another. Replaying the same log gives the same names, and none tells of anybody.
        members: How many people it has.
    """

    ring_id: str
    members: int


class RingMemory:
    """Keeps the forests of a plan's networks, which lie in the arena of the live state."""

    def __init__(self, plans: Sequence[RingPlan], bases: Sequence[int], roomy: Roomy) -> None:
        """Args: the networks, where the words of each begin, what gives program and arena with so many words free."""
        crowded = [plan.name for plan in plans if len(plan.kinds) > rings.KINDS]
        if crowded:
            raise UsageError(
                f"network {', '.join(crowded)} joins more than {rings.KINDS} kinds of nodes; split it in two"
            )
        self._plans = plans
        self._bases = bases
        self._roomy = roomy

    def begin(self) -> None:
        """Lays out networks of which nothing is known yet."""
        for plan, base in zip(self._plans, self._bases, strict=True):
            code, arena = self._roomy(rings.W_ROWS + 2 * _ROWS)
            arena[base + rings.N_ROWS] = taken(code, arena, rings.W_ROWS + 2 * _ROWS)
            arena[base + rings.N_ROOM], arena[base + rings.N_NEWEST] = _ROWS, _BEGINNING
            arena[base + rings.N_GENERATIONS] = plan.generations
        _, arena = self._roomy(0)
        arena[A_TURN] = _BEGINNING if self._plans else _NEVER

    def turn(self, at: int) -> None:
        """Lets go of generations that have ended at an instant and starts those that have begun."""
        for plan, base in zip(self._plans, self._bases, strict=True):
            code, arena = self._roomy(0)
            rings.settle_waiting(arena, base, at)
            first, count = base + rings.N_FORESTS, plan.generations
            steps = min(plan.newest(at) - int(arena[base + rings.N_NEWEST]), count)
            places = arena[first : first + count].tolist()
            for ended in places[:steps]:
                if ended:
                    free(arena, ended)
            kept = places[steps:]
            nodes = max((int(arena[place + rings.F_NODES]) for place in kept), default=0)
            capacity = max(_LEAST, 1 << (nodes - 1).bit_length())
            while len(kept) < count:
                code, arena = self._roomy(rings.forest_words(plan, capacity))
                kept.append(rings.begun(code, arena, plan, capacity))
            arena[first : first + count] = kept
            arena[base + rings.N_NEWEST] = plan.newest(at)
        _, arena = self._roomy(0)
        arena[A_TURN] = min((plan.newest(at) + 1) * plan.period for plan in self._plans)

    def around(self, number: int, at: int, column: str, code: int) -> RingFound | None:
        """The ring of a node of a network as of an instant, by the code of its id; None where it is alone."""
        plan, base = self._plans[number], self._bases[number]
        _, arena = self._roomy(0)
        place, people = rings.eldest_around(arena, base, at, plan.kinds.index(column), code)
        if people < _FEWEST:
            return None
        generation = int(arena[base + rings.N_NEWEST]) - plan.generations + 1
        return RingFound(f"{plan.name}-{generation}-{place + 1}", int(people))

    def grow(self, number: int, what: int) -> None:
        """Gives twice the room to the part of a network that `ring_state.lacks_rows` named."""
        plan, base = self._plans[number], self._bases[number]
        if what == 1:
            _, arena = self._roomy(0)
            old, room = int(arena[base + rings.N_ROWS]), int(arena[base + rings.N_ROOM])
            code, arena = self._roomy(rings.W_ROWS + 4 * room)
            new, start = int(taken(code, arena, rings.W_ROWS + 4 * room)), old + rings.W_ROWS
            arena[new + rings.W_ROWS : new + rings.W_ROWS + 2 * room] = arena[start : start + 2 * room]
            free(arena, old)
            arena[base + rings.N_ROWS], arena[base + rings.N_ROOM] = new, 2 * room
            return
        _, arena = self._roomy(0)
        slot = base + rings.N_FORESTS + what - 2
        capacity = 2 * rings.capacity_of(arena, int(arena[slot]))
        code, arena = self._roomy(rings.forest_words(plan, capacity))
        arena[slot] = rings.doubled(code, arena, plan, int(arena[slot]))
