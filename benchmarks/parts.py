"""A benchmark made of parts: each is measured by itself and told as it comes, and one JSON object is printed last."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import time
from contextlib import nullcontext, redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.margins import real_data
from benchmarks.shown import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Part = Callable[[], dict[str, Any] | str | None]
    """Measures: gives figures, the reason why there are none, or None where the real data are missing."""

TOO_LONG: Final = "too long for --quick"


def measured(parts: Mapping[str, Part], real: Path, only: Sequence[str] = ()) -> tuple[dict[str, Any], dict[str, str]]:
    """The figures of each part, None for one without, and why there are none.

    Args:
        parts: What can be measured, by the key that it prints.
        real: Where the real sets were looked for.
        only: The parts that are asked for; all if none is named.
    """
    found: dict[str, Any] = {}
    skipped: dict[str, str] = {}
    for name, part in parts.items():
        if only and name not in only:
            found[name], skipped[name] = None, "not asked for"
            continue
        began = time.perf_counter()
        figures = part()
        if figures is None or isinstance(figures, str):
            skipped[name] = figures or f"found no such data under {real}"
            figures = None
        found[name] = figures
        spent = {"seconds": round(time.perf_counter() - began, 1)}
        print(f"{name}:", json.dumps({"figures": plain(figures)} | spent), file=sys.stderr, flush=True)
    return found, skipped


def print_parts(
    name: str,
    description: str,
    parts: Callable[[bool, Path], Mapping[str, Part]],
    laid_out: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    """Measures what the command line asks for, and prints it with the machine's load beside it.

    Args:
        name: The module, as in `python -m NAME`.
        description: What it judges; the first line is shown.
        parts: The parts, at their size for --quick or in full, with the folder of real sets.
        laid_out: Puts what the parts gave under the keys that are printed.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {name}", description=description.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="the same keys within ten minutes")
    parser.add_argument("--json", action="store_true", help="say nothing on the way")
    parser.add_argument("--only", action="append", default=[], help="measure this part; repeatable")
    parser.add_argument("--real", type=Path, default=real_data(), help="the folder of real sets")
    asked = parser.parse_args()
    known = parts(asked.quick, asked.real)
    unknown = sorted(set(asked.only) - set(known))
    if unknown:
        parser.error(f"--only: found {', '.join(unknown)}, expected among {', '.join(known)}")
    with redirect_stderr(io.StringIO()) if asked.json else nullcontext():
        found, skipped = measured(known, asked.real, tuple(asked.only))
    print(json.dumps({**plain(laid_out(found)), "skipped": skipped, "load_average": round(os.getloadavg()[0], 2)}))
