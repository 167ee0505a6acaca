"""Weeks against a wool party that adapts: a model learned anew every week, the same learned once, and simple rules.

    python -m benchmarks.adapting            # some half hour
    python -m benchmarks.adapting --quick    # smaller, the same keys

Nobody is blocked while the brand gathers what it learns from. Then each arm plays the same world, whose wool party sees
what is stopped and becomes slower, spreads over more phones, hides among ordinary scans or takes fresh accounts. Prints
one JSON object, last.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import tempfile
import time
from contextlib import nullcontext, redirect_stderr
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.cosimulation import WEEK, gain, play
from benchmarks.judged import RESAMPLES
from benchmarks.recruited import Recruited
from data.world.defence import NaiveRules
from data.world.preset import PRESETS
from data.world.request import Request

if TYPE_CHECKING:
    from data.world.defence import Defence

WEEKLY: Final = "weekly"
ONCE: Final = "once"
RULES: Final = "rules"
PRESET: Final = "world/v1"
_JUDGES: Final = 20250303


@dataclass(frozen=True)
class Size:
    """How much is played.

    Attributes:
        members: Honest members of the world.
        learned: Days before anybody is blocked.
        judged: Days from then on.
    """

    members: int
    learned: int
    judged: int


FULL: Final = Size(members=10_000, learned=30, judged=60)
QUICK: Final = Size(members=2_500, learned=28, judged=14)


def play_arms(size: Size, seed: int, folder: Path, resamples: int = RESAMPLES) -> dict[str, Any]:
    """Each arm's game as `Game.as_dict`, and how much less is lost with a weekly model than in the other arms.

    Args:
        size: How much is played.
        seed: Of the world.
        folder: Where worlds and models are made.
        resamples: How many draws an interval takes.
    """
    request = Request(PRESET, size.members, size.learned + size.judged, seed)
    games = {}
    for name in (WEEKLY, ONCE, RULES):
        began = time.process_time()
        with tempfile.TemporaryDirectory(dir=folder) as home:
            games[name] = play(request, _judge(name, size, Path(home)), Path(home), size.learned)
        told = {"arm": name, "cpu_seconds": round(time.process_time() - began)}
        print("adapting:", json.dumps(told | games[name].as_dict(_JUDGES, resamples)), file=sys.stderr, flush=True)
    return {
        **asdict(size),
        **{name: game.as_dict(_JUDGES, resamples) for name, game in games.items()},
        "gain": {
            f"over_{name}": {
                what: one.as_dict() for what, one in gain(games[WEEKLY], games[name], _JUDGES, resamples).items()
            }
            for name in (ONCE, RULES)
        },
    }


def _judge(name: str, size: Size, home: Path) -> Defence:
    if name == RULES:
        return NaiveRules(PRESETS[PRESET].rules)
    mornings = range(size.learned, size.learned + size.judged, WEEK)
    return Recruited(mornings if name == WEEKLY else mornings[:1], home)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.adapting", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="the same keys within minutes")
    parser.add_argument("--json", action="store_true", help="say nothing on the way")
    parser.add_argument("--members", type=int, help="honest members of the world")
    parser.add_argument("--seed", type=int, default=1, help="of the world")
    asked = parser.parse_args()
    size = QUICK if asked.quick else FULL
    size = Size(asked.members or size.members, size.learned, size.judged)
    with (
        redirect_stderr(io.StringIO()) if asked.json else nullcontext(),
        tempfile.TemporaryDirectory(prefix="shepherd-benchmark-") as folder,
    ):
        result = play_arms(size, asked.seed, Path(folder))
    print(json.dumps(result | {"load_average": round(os.getloadavg()[0], 2)}))


if __name__ == "__main__":
    main()
