"""Drift of sites: what was asked is put to the version again, by the tables of its own bundle."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.sources import open_folder
from serving.bundle import point, read
from serving.ledger.record import Record
from serving.site_answers import answer
from serving.site_contracts import SitesQuestion
from serving.sites import Candidates, SiteScorer
from tests.serving.live.conftest import SECRET
from tests.training.monitoring.conftest import START
from tests.training.monitoring.writing import write_log
from training.catalogue import find
from training.formulas import Binning, reference_of
from training.monitoring.drifted import NO_REFERENCE
from training.monitoring.evidence import Evidence
from training.monitoring.findings import Level
from training.monitoring.journal import open_journal
from training.monitoring.page import page
from training.monitoring.sites import monitor_sites

if TYPE_CHECKING:
    from pathlib import Path

    from training.monitoring.result import Monitored

SITES = 60


@pytest.fixture(scope="module")
def scorer(made_site: Any) -> SiteScorer:
    return SiteScorer(made_site[1].bundle)


@pytest.fixture(scope="module")
def lived(made_site: Any, scorer: SiteScorer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose service was asked about sites beside stores, three at a time."""
    home: Path = tmp_path_factory.mktemp("sites-lived")
    bundle = made_site[1].bundle
    shutil.copytree(bundle.folder, home / "bundles" / "site" / bundle.manifest.version)
    known = scorer.learned
    entries = []
    for start in range(0, SITES, 3):
        sites = [
            {"site_id": f"S{n}", "lat": float(known.lat[n]) + 0.003, "lon": float(known.lon[n]), "area_m2": 150.0}
            for n in range(start, start + 3)
        ]
        question = SitesQuestion.model_validate({"sites": sites})
        told = answer(scorer, question)
        record = Record(
            decision_id=told.decision_id,
            task="site",
            version=bundle.manifest.version,
            request=question.model_dump(mode="json"),
            features=b"",
            answer=told.model_dump_json().encode(),
        )
        entries.append((START + start, "decisions", told.decision_id, None, record))
    write_log(home, entries)
    return home


@pytest.fixture
def home(lived: Path, tmp_path: Path) -> Path:
    return shutil.copytree(lived, tmp_path / "home")


def _looked(home: Path, tables: Path | None = None) -> Monitored:
    data_set = None if tables is None else open_folder(tables)
    with open_journal(home / "ledger", SECRET) as journal:
        return monitor_sites(find("site"), Evidence(journal, home / "bundles", data_set))  # type: ignore[arg-type]


def test_a_bundle_says_how_stores_and_their_held_out_forecasts_were_spread(made_site: Any) -> None:
    fitted, bundle = made_site[0], made_site[1].bundle
    held = np.log(fitted.predictions.held.revenue_fen)

    assert bundle.manifest.reference == reference_of(fitted.model.ground.stores.features, held)
    assert sum(bundle.manifest.reference.score.counts) == len(held)


def test_drift_is_that_of_the_places_that_were_asked_about(home: Path, scorer: SiteScorer) -> None:
    known = scorer.learned
    places = Candidates.of(known.lat[:SITES] + 0.003, known.lon[:SITES], area_m2=np.full(SITES, 150.0))
    matrix = scorer.matrix(places)
    log_revenue = np.log(scorer.forecast(places, matrix).revenue_fen)
    assert scorer.manifest.reference is not None
    binning = Binning(scorer.manifest.reference)
    index = binning.psi(binning.counts(np.column_stack((matrix.astype(np.float64), log_revenue))))

    found = _looked(home)

    assert found.drift is not None
    assert found.drift.rows == SITES
    assert found.drift.features == pytest.approx(dict(zip(scorer.manifest.feature_names, index[:-1], strict=True)))
    assert found.drift.score == pytest.approx(index[-1])
    assert {one.name for one in found.findings} >= {"score drift", "feature drift"}
    assert found.level is Level.LOOK  # whoever plans chooses the places: nothing is broken
    assert "live/drift/score" in found.figures()
    assert "drift" not in found.skipped
    assert 'id="drift"' in page(found)


def test_a_bundle_without_a_reference_says_so_and_is_served_all_the_same(home: Path) -> None:
    (path,) = (home / "bundles" / "site").glob("*/manifest.json")
    told = json.loads(path.read_text())
    del told["reference"]
    path.write_text(json.dumps(told))

    found = _looked(home)

    assert SiteScorer(read(path.parent)).manifest.reference is None
    assert found.drift is None
    assert found.skipped["drift"] == NO_REFERENCE


def test_a_challenger_is_asked_about_the_same_sites(home: Path, scorer: SiteScorer, tmp_path: Path) -> None:
    champion, root = scorer.manifest.version, home / "bundles"
    assert "no challenger is named" in _looked(home).skipped["challenger"]
    shutil.copytree(root / "site" / champion, root / "site" / "dear")
    path = root / "site" / "dear" / "manifest.json"
    told = json.loads(path.read_text()) | {"version": "dear"}
    told["site"]["model"]["smearing"] *= 1.25
    path.write_text(json.dumps(told))
    point(root, "site", "challenger", "dear")
    tables = tmp_path / "tables"
    tables.mkdir()
    forecast = {name: one.site.revenue_fen for name, one in _said(home).items()}
    months = pa.table(
        {
            "store_id": [name for name in forecast for _ in range(12)],
            "month": [f"2025-{month:02}" for _ in forecast for month in range(1, 13)],
            "revenue_fen": pa.array([round(one / 12) for one in forecast.values() for _ in range(12)], pa.int64()),
        }
    )
    pq.write_table(months, tables / "store_sales.parquet")

    found = _looked(home, tables)

    (other,) = found.beside
    (worse,) = [one for one in found.findings if one.name == "challenger"]
    assert worse.level is Level.HEALTHY
    assert (other.version, other.compared, other.answered) == ("dear", SITES, 0)
    assert other.difference.value == pytest.approx(0.25)
    assert found.metrics["mape"].value == pytest.approx(0, abs=1e-4)
    assert other.metrics["gain_mape"].value == pytest.approx(0.25, abs=1e-3)
    assert found.figures()["live/challenger/difference"] == other.difference.value
    assert sum(len(parts) for parts in found.slices.values()) >= 1
    assert "dear" in page(found)

    months = months.set_column(2, "revenue_fen", pa.array([round(one * 1.25) for one in months[2].to_pylist()]))
    pq.write_table(months, tables / "store_sales.parquet")
    found = _looked(home, tables)
    (better,) = [one for one in found.findings if one.name == "challenger"]
    assert better.level is Level.LOOK
    assert "dear is nearer by 20.0%" in better.said.english


def _said(home: Path) -> Any:
    from training.monitoring.forecasts import read_forecasts  # noqa: PLC0415 - here alone
    from training.monitoring.week import Week, instant  # noqa: PLC0415 - likewise

    with open_journal(home / "ledger", SECRET) as journal:
        first, last = journal.span("decisions") or (0, 0)
        return read_forecasts(journal, Week.of(last, instant(first)), "site").said
