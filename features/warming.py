"""The engine's machine code, made before anybody waits for it: half a minute of a core where none is kept yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from features.online import LiveState, columns_by_log
from features.repeats import IDENTITIES
from features.rfm import RFM
from features.ring import RING
from features.scan import SCAN

if TYPE_CHECKING:
    from features.spec import FeatureSet

_HOUR: Final = 3_600_000_000
_EVENTS: Final = 1_000
"""Of each log: so many let memory grow, and over so many hours what is old is let go."""


def warm(feature_set: FeatureSet) -> None:
    """Let a state that nobody keeps take in six weeks of events of nobody, and say their rings.

    What is compiled is written where machine code is kept (`NUMBA_CACHE_DIR`, or the engine's own folder), so another
    process of this machine only reads it. What memory needs to grow, and to let go, is compiled with it: it would
    otherwise stop a service that has run for a day.

    Args:
        feature_set: What the state answers; the code is the same for every set, but only what a set uses is made.
    """
    state = LiveState(feature_set)
    networks = {(ring.name, column) for ring in state.plan.rings for column in ring.keys}
    numbered = {column for _, column in networks}
    facts = tuple(fact.name for fact in state.plan.facts)
    logs = {
        log: (dict.fromkeys((*columns, *facts)), numbered.union(IDENTITIES.get(log, ())))
        for log, columns in columns_by_log(state.plan).items()
    }
    for number in range(1, _EVENTS + 1):
        for log, (nothing, named) in logs.items():
            state.observe(log, nothing | dict.fromkeys(named, number) | {"seen_at": number * _HOUR})
    for network, column in networks:
        state.ring(network, column, _EVENTS)


if __name__ == "__main__":
    warm(SCAN + RING + RFM)
