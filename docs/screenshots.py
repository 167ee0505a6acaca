"""Photograph pages with the system's own browser.

`python docs/screenshots.py PAGE.html PICTURE.png ...` takes the whole of each page. `python docs/screenshots.py --home
var` takes what a reviewer sees first of the runs that `shepherd run` left there, into `docs/reports`: the top of the
report of each task, and the page of a run in MLflow.

Colours are reduced to a palette, so that a page of text and a map stay well below 300 kB.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from playwright.sync_api import sync_playwright

from data.errors import DependencyDown, UsageError
from training.tracking.runs import newest
from training.tracking.stores import client, store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlflow import MlflowClient
    from playwright.sync_api import Browser, Page

    from training.tracking.stores import Store

WIDTH, HEIGHT = 1_120, 700
TOP = 1_500
"""Height of what is taken of a report: its verdict, risks, gates and curves."""
RUN_WIDTH, RUN_HEIGHT = 1_440, 1_000
COLOURS = 192
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
TASKS = ("fraud", "coupon", "site")
REPORTS = Path(__file__).parent / "reports"
READY_WITHIN_SECONDS = 180
STOP_WITHIN_SECONDS = 30


def photograph(pairs: Sequence[tuple[Path, Path]], height: int | None = None) -> None:
    """Open each page and write it as a picture.

    Args:
        pairs: A page and where its picture goes, for each.
        height: How much of it is taken from the top; the whole if not given.
    """
    with browser() as opened:
        for page_path, picture in pairs:
            page = opened.new_page(viewport={"width": WIDTH, "height": height or HEIGHT})
            page.goto(page_path.resolve().as_uri())
            keep(page.screenshot(full_page=height is None), picture)
            page.close()


def photograph_runs(home: Path, folder: Path = REPORTS) -> tuple[Path, ...]:
    """Take the report of the newest model of each task, and the page of the first one's run in MLflow.

    Args:
        home: What `shepherd run` left.
        folder: Where pictures go: `report-TASK.png` and `mlflow-run.png`.

    Raises:
        DataError: A task has no model there.
    """
    where = store(home)
    tracked = client(where)
    runs = {task: str(newest(tracked, task).info.run_id) for task in TASKS}
    with tempfile.TemporaryDirectory() as name:
        pages = {}
        for task, run_id in runs.items():
            below = Path(name) / task
            below.mkdir()
            pages[task] = Path(tracked.download_artifacts(run_id, "report.html", str(below)))
        pictures = {task: folder / f"report-{task}.png" for task in TASKS}
        photograph([(pages[task], pictures[task]) for task in TASKS], TOP)
    whole = folder / "mlflow-run.png"
    with browser() as opened, served(where) as address:
        page = opened.new_page(viewport={"width": RUN_WIDTH, "height": RUN_HEIGHT})
        open_run(page, address, tracked, runs[TASKS[0]])
        keep(page.screenshot(), whole)
    return (*pictures.values(), whole)


def open_run(page: Page, address: str, tracked: MlflowClient, run_id: str) -> None:
    """Open the page of a run in MLflow, and wait until its note is there."""
    run = tracked.get_run(run_id)
    opening = run.data.tags["mlflow.note.content"].partition("\n")[0].strip("*")
    page.goto(f"{address}/#/experiments/{run.info.experiment_id}/runs/{run_id}")
    page.get_by_text(opening.partition(":")[0]).first.wait_for(timeout=READY_WITHIN_SECONDS * 1_000)
    beside = page.get_by_role("button", name="Close", exact=True)
    if beside.count():  # a chat that some versions open beside the run
        beside.first.click()


@contextmanager
def browser() -> Iterator[Browser]:
    """The system's own browser.

    Raises:
        DependencyDown: There is none.
    """
    found = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if found is None:
        raise DependencyDown(f"no browser: expected one of {', '.join(BROWSERS)} on this machine")
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()


@contextmanager
def served(where: Store) -> Iterator[str]:
    """Run `mlflow ui` on a store while inside; gives its address once it answers.

    Raises:
        DependencyDown: It stopped, or did not answer in time.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    words = [str(Path(sys.executable).with_name("mlflow")), "ui", "--backend-store-uri", where.uri]
    words += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "NO_PROXY": "127.0.0.1"}
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryFile() as said,
        subprocess.Popen(  # noqa: S603 - our own command
            words, cwd=folder, env=kept | quiet, stdout=said, stderr=said, start_new_session=True
        ) as process,
    ):
        try:
            _wait_until_it_answers(process, address)
            yield address
        finally:
            os.killpg(process.pid, signal.SIGTERM)  # it has workers of its own
            try:
                process.wait(STOP_WITHIN_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def keep(shot: bytes, picture: Path) -> None:
    """Write a picture in few colours."""
    with Image.open(io.BytesIO(shot)) as taken:
        picture.parent.mkdir(parents=True, exist_ok=True)
        few = taken.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        few.save(picture, optimize=True)


def _wait_until_it_answers(process: subprocess.Popen[bytes], address: str) -> None:
    ends = time.monotonic() + READY_WITHIN_SECONDS
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < ends and process.poll() is None:
        try:
            with opener.open(f"{address}/health", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    raise DependencyDown(f"mlflow ui at {address}: found no answer within {READY_WITHIN_SECONDS} s, expected its page")


def main() -> None:
    """Read pages and pictures in turn from the command line, or the home of runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="*", type=Path, metavar="PAGE PICTURE")
    parser.add_argument("--home", type=Path, help="what `shepherd run` left; its reports go to docs/reports")
    asked = parser.parse_args()
    if len(asked.paths) % 2 or bool(asked.paths) == bool(asked.home):
        raise UsageError(f"found {len(asked.paths)} paths, expected a picture after every page, or --home alone")
    if asked.home:
        for picture in photograph_runs(asked.home):
            sys.stdout.write(f"{picture.name}: {picture.stat().st_size / 1_000:.0f} kB\n")
        return
    photograph([(asked.paths[place], asked.paths[place + 1]) for place in range(0, len(asked.paths), 2)])


if __name__ == "__main__":
    main()
