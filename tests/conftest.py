"""The real journey, walked once for every test that reads what it left."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

STORES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
"""Would lead a run away from its own folder."""

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass(frozen=True)
class Journey:
    """What `shepherd run --json` said, and the folder it wrote; tests read it and change nothing in it."""

    home: Path
    said: str
    result: dict[str, Any]

    @property
    def coupon(self) -> dict[str, Any]:
        return self.result["tasks"]["coupon"]


def pytest_collection_modifyitems(items):
    """What reads the journey is marked `journey`: `-m "not journey"` leaves it out."""
    for item in items:
        if "journey" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.journey)


@pytest.fixture(scope="session")
def shepherd():
    """The command as a process of its own: how a user runs it, from a folder that is not ours."""

    def run(*words, folder=None, **environment):
        return subprocess.run(  # noqa: S603 - our own command
            [str(Path(sys.executable).with_name("shepherd")), *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env={name: value for name, value in os.environ.items() if name not in STORES} | environment,
            timeout=300,
        )

    return run


@pytest.fixture(scope="session")
def journey(tmp_path_factory, shepherd):
    """Walked by the first worker that asks; the others wait and read what it left."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "journey"
    folder.mkdir(exist_ok=True)
    home, said = folder / "brand" / "var", folder / "said.json"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not said.exists():
            home.parent.mkdir(exist_ok=True)
            done = shepherd("run", "--json", "--trials", 2, "--home", home, folder=home.parent)
            assert done.returncode == 0, done.stderr
            said.write_text(done.stdout)
    return Journey(home, said.read_text(), json.loads(said.read_text()))


@pytest.fixture(scope="module")
def browser():
    """Of one module and no longer: while the driver is open its event loop runs, and `asyncio.run` is refused."""
    found = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if found is None:
        pytest.skip(f"no browser on this machine: none of {', '.join(BROWSERS)} is installed")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser; it comes with dev")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def visit(browser, tmp_path):
    """Opens a text as a page; returns the page with what it said on the console and asked for."""
    pages = []

    def go(text, width=1120):
        page = browser.new_page(viewport={"width": width, "height": 900})
        pages.append(page)
        said, asked = [], []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        file = tmp_path / "page.html"
        file.write_text(text, encoding="utf-8")
        page.goto(file.as_uri())
        page.wait_for_load_state("networkidle")
        return page, said, asked

    yield go
    for page in pages:
        page.close()
