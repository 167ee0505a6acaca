"""What champion and challenger say of the same scans, whichever of the two answered each: sums for metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving.live.answer import chosen
from serving.telemetry.metrics import Compared

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from serving.live.answer import Asked, Decided
    from serving.live.models import Loaded


def compared(
    champion: Loaded,
    challenger: Loaded,
    verdicts: Sequence[tuple[Loaded, Decided, Asked]],
    shadows: Sequence[Mapping[str, float]],
) -> Compared:
    """Sums over some scans.

    Args:
        champion: The one model.
        challenger: The other.
        verdicts: Who answered each scan, what, and what it was told.
        shadows: What the other of the two said of each, by version.
    """
    changed, sums = 0, [0.0, 0.0]
    for (which, decided, asked), shadow in zip(verdicts, shadows, strict=True):
        acts = []
        for place, one in enumerate((champion, challenger)):
            chance = decided.probability if which is one else shadow[one.version]
            sums[place] += chance
            acts.append(one.scorer.manifest.payoff.actions[chosen(one.scorer, asked, chance)[0]])
        changed += acts[0] != acts[1]
    return Compared(len(verdicts), changed, *sums)
