"""Write the generated pages of the documentation anew: `make docs`."""

from __future__ import annotations

from pathlib import Path

from benchmarks.curves import parameters_page
from data.dictionary import tables_page
from data.world.preset import PRESETS
from features.dictionary import features_page

PAGES = {
    "tables.md": tables_page,
    "features.md": features_page,
    "world/parameters.md": lambda: parameters_page(PRESETS["world/v1"]),
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (Path(__file__).parent / name).write_text(page(), encoding="utf-8")
