"""Photograph pages with the system's own browser: `python docs/screenshots.py PAGE.html PICTURE.png ...`.

Colours are reduced to a palette, so that a page of text and a map stay well below 300 kB.
"""

from __future__ import annotations

import argparse
import io
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from playwright.sync_api import sync_playwright

from data.errors import DependencyDown, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH, HEIGHT = 1_120, 700
COLOURS = 192
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def photograph(pairs: Sequence[tuple[Path, Path]]) -> None:
    """Open each page and write the whole of it as a picture.

    Args:
        pairs: A page and where its picture goes, for each.
    """
    browser = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if browser is None:
        raise DependencyDown(f"no browser: expected one of {', '.join(BROWSERS)} on this machine")
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for page_path, picture in pairs:
            page = opened.new_page(viewport={"width": WIDTH, "height": HEIGHT})
            page.goto(page_path.resolve().as_uri())
            with Image.open(io.BytesIO(page.screenshot(full_page=True))) as shot:
                picture.parent.mkdir(parents=True, exist_ok=True)
                shot.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
                    picture, optimize=True
                )
        opened.close()


def main() -> None:
    """Read pages and pictures in turn from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path, metavar="PAGE PICTURE")
    paths = parser.parse_args().paths
    if len(paths) % 2:
        raise UsageError(f"found {len(paths)} paths, expected a picture after every page")
    photograph([(paths[place], paths[place + 1]) for place in range(0, len(paths), 2)])


if __name__ == "__main__":
    main()
