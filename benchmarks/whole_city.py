"""How long a whole city takes: all cells scored, its picture drawn, its files written, as by `shepherd sites --grid`.

One simulated city of 10 000 cells of half a square kilometre with 260 own stores, in which the model is fitted first;
the clock runs from the bundle and the tables on disk to the last file. All in one thread.

    python -m benchmarks.whole_city
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from data.sources import open_folder
from data.world.atlas import city_tables
from data.world.city import City
from data.world.preset import PRESETS
from serving.bundle import read
from serving.siting.errand import Errand
from training.export import SiteScorer
from training.sites.pipeline import fit_site, read_tables
from training.sites.release import release_sites
from training.tasks.site import TASK

if TYPE_CHECKING:
    from training.bundles import Bundle

CELLS: Final = 10_000
_DAYS: Final = 42
_SEED: Final = 1


def measure(cells: int = CELLS) -> dict[str, Any]:
    """Cells a second, and what they took.

    Args:
        cells: How many the city has, about.
    """
    with TemporaryDirectory(prefix="shepherd-city-") as folder:
        home = Path(folder)
        drawn(home / "tables", cells)
        bundle = release_sites(fit_site(TASK, open_folder(home / "tables")), home / "bundles")
        return surveyed(bundle, home / "tables", home / "out")


def drawn(folder: Path, cells: int) -> None:
    """Write the tables of one simulated city."""
    settings = PRESETS["world/v1"].city
    people = settings.land.people_a_cell * cells
    folder.mkdir(parents=True)
    for name, columns in city_tables(
        City(replace(settings, towns=settings.towns[:1], people=people), _SEED), _DAYS
    ).items():
        pq.write_table(pa.table(dict(columns)), folder / f"{name}.parquet")


def surveyed(bundle: Bundle, tables: Path, out: Path) -> dict[str, Any]:
    """Score and draw the city of those tables.

    Args:
        bundle: The model.
        tables: Their folder.
        out: Where files go.
    """
    began, spent = time.perf_counter(), time.process_time()
    scorer = SiteScorer(read(bundle.folder))
    survey = Errand(grid=True).run(scorer, read_tables(open_folder(tables)), out, "2025-06-01", lambda *_: None)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - spent
    (city,) = survey.said["cities"]
    return {
        "cells_per_second": city["cells"] / seconds,
        "city": {
            "cells": city["cells"],
            "seconds": seconds,
            "cpu_seconds": cpu_seconds,
            "bytes": {path.name: path.stat().st_size for path in sorted(out.iterdir())},
        },
    }


def main() -> None:
    """Print the figures as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=CELLS)
    print(json.dumps({**measure(parser.parse_args().cells), "load_average": round(os.getloadavg()[0], 2)}))


if __name__ == "__main__":
    main()
