"""The service starts, and answers, without the libraries of training; and our packages are ours."""

from __future__ import annotations

import importlib
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.sources import open_folder
from data.world.request import Request
from data.world.simulation import simulate
from training.sites.members import Recipe
from training.sites.pipeline import fit_site
from training.sites.release import release_sites
from training.sites.task import SiteTask

HEAVY = (
    "pandas",
    "lightgbm",
    "mlflow",
    "optuna",
    "sklearn",
    "duckdb",
    "geopandas",
    "onnx",
    "pandera",
    "scipy.optimize",  # not scipy itself, nor its linear algebra: numba looks at them wherever they are installed
    "scipy.sparse",
    "scipy.stats",
    "training",
)
ROOT = Path(__file__).parents[2]
PACKAGES = ("data", "features", "serving", "training", "shepherd")


def heavy_after(statements: str) -> str:
    listing = f"import sys; print(*sorted({set(HEAVY)!r} & set(sys.modules)))"
    done = subprocess.run(  # noqa: S603 - our own statements
        [sys.executable, "-W", "error", "-c", f"{statements}\n{listing}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_fresh_interpreter_imports_the_service_without_what_trains() -> None:
    assert heavy_after("import serving.app") == ""


def test_the_check_can_fail() -> None:
    assert "pandas" in heavy_after("import serving.app\nimport pandas")


def test_reading_tables_brings_nothing_heavy_either(tmp_path: Path) -> None:
    now = datetime(2020, 1, 1, tzinfo=UTC)
    rows = {"row_id": ["r"], "as_of": [now], "member_id": ["m"], "offer_id": ["o"], "campaign_id": ["c"], "x": [1.0]}
    pq.write_table(pa.table(rows), tmp_path / "rows.parquet")
    (tmp_path / "campaigns.csv").write_text(
        "campaign_id,starts_at,ends_at\nc,2020-01-01T00:00:00Z,2020-02-01T00:00:00Z\n"
    )
    statements = f"""
from datetime import UTC, datetime
from pathlib import Path
from serving.offers import open_book
folder = Path({str(tmp_path)!r})
book = open_book(folder / "rows.parquet", ("x",), folder / "campaigns.csv")
assert book.candidates("m", datetime(2020, 1, 2, tzinfo=UTC)).offer_ids == ("o",)
"""

    assert heavy_after(statements) == ""


def test_a_site_is_answered_without_anything_heavy(tmp_path: Path) -> None:
    simulate(Request(members=100, days=14, seed=1), tmp_path / "world")
    task = SiteTask(name="site", folds=4, recipe=Recipe(rounds=5))
    version = release_sites(fit_site(task, open_folder(tmp_path / "world")), tmp_path).manifest.version
    statements = f"""
from pathlib import Path
import serving.app
from serving.bundle import read
from serving.site_answers import answer
from serving.site_contracts import SiteBody, SitesQuestion
from serving.sites import SiteScorer
scorer = SiteScorer(read(Path({str(tmp_path)!r}) / "site" / {version!r}))
lat, lon = float(scorer.stores.lat.mean()), float(scorer.stores.lon.mean())
body = SiteBody(site_id="a", lat=lat, lon=lon, area_m2=300.0, rent_fen=5_000_000, opening_cost_fen=100_000_000)
(site,) = answer(scorer, SitesQuestion(sites=(body,))).sites
assert site.revenue_fen > 0 and len(site.twins) == 5
"""

    assert heavy_after(statements) == ""


@pytest.mark.parametrize("name", PACKAGES)
def test_an_import_of_ours_is_not_shadowed_by_another_of_its_name(name: str) -> None:
    module = importlib.import_module(name)

    assert module.__file__ is not None
    assert Path(module.__file__).resolve().is_relative_to(ROOT)
