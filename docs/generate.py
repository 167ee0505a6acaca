"""Write the generated pages of the documentation anew: `make docs`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from benchmarks.curves import parameters_page
from data.dictionary import tables_page
from data.world.preset import PRESETS
from docs.api import PACKAGES, api_page, index_page
from features.dictionary import features_page

PAGES = {
    "tables.md": tables_page,
    "features.md": features_page,
    "world/parameters.md": lambda: parameters_page(PRESETS["world/v1"]),
    "api.md": index_page,
    **{f"api/{package}.md": partial(api_page, package) for package in PACKAGES},
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        path = Path(__file__).parent / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(page(), encoding="utf-8")
