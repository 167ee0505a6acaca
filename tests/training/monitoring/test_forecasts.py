"""Forecasts of sites in the log, beside what stores of the same ids have booked since."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.errors import DataError, UsageError
from data.sources import open_folder
from serving.ledger.record import Record
from tests.serving.live.conftest import SECRET
from tests.training.monitoring.conftest import START
from tests.training.monitoring.writing import write_log
from training.catalogue import find
from training.monitoring.evidence import Evidence
from training.monitoring.journal import open_journal
from training.monitoring.page import page
from training.monitoring.sites import monitor_sites

if TYPE_CHECKING:
    from pathlib import Path

    from training.monitoring.result import Monitored

FORECAST = {f"S{number}": 1_000_000.0 + 50_000 * number for number in range(14)}
BOOKED = {site: revenue * (0.8 + 0.05 * place) for place, (site, revenue) in enumerate(FORECAST.items()) if place < 12}


def _answer(site: str, revenue: float) -> dict[str, Any]:
    around = {"low_fen": 0.9 * revenue, "high_fen": 1.1 * revenue}
    wide = {"low_fen": 0.8 * revenue, "high_fen": 1.2 * revenue}
    return {"site_id": site, "revenue_fen": revenue, "interval_80": around, "interval_90": wide}


@pytest.fixture(scope="module")
def forecast(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose log holds forecasts of fourteen sites; of S0 it first said something else."""
    home: Path = tmp_path_factory.mktemp("forecast")
    told = [("S0", 1.0), *FORECAST.items()]

    def kept(place: int, site: str, revenue: float) -> Record:
        answer = json.dumps({"sites": [_answer(site, revenue)]}).encode()
        return Record(decision_id=f"d{place}", task="site", version="one", request={}, features=b"", answer=answer)

    write_log(
        home,
        [(START + place, "decisions", f"d{place}", None, kept(place, *one)) for place, one in enumerate(told)],
    )
    return home


def _tables(folder: Path, months: int = 12) -> Path:
    folder.mkdir()
    rows = [
        (site, f"2025-{1 + month:02}", round(booked / 12)) for site, booked in BOOKED.items() for month in range(months)
    ]
    store, month, revenue = zip(*rows, strict=True)
    table = pa.table({"store_id": store, "month": month, "revenue_fen": pa.array(revenue, pa.int64())})
    pq.write_table(table, folder / "store_sales.parquet")
    return folder


def _looked(home: Path, tables: Path | None) -> Monitored:
    with open_journal(home / "ledger", SECRET) as journal:
        data_set = None if tables is None else open_folder(tables)
        return monitor_sites(find("site"), Evidence(journal, home / "bundles", data_set))  # type: ignore[arg-type] # it is one


def test_forecasts_are_held_against_booked_years(forecast: Path, tmp_path: Path) -> None:
    found = _looked(forecast, _tables(tmp_path / "tables"))
    off = np.array([abs(FORECAST[site] - booked) / booked for site, booked in BOOKED.items()])
    inside = np.array([0.9 * FORECAST[site] <= booked <= 1.1 * FORECAST[site] for site, booked in BOOKED.items()])

    assert found.counts["decisions"] == 14
    assert found.counts["labelled"] == 12
    assert found.metrics["mape"].value == pytest.approx(off.mean(), abs=1e-4)
    assert found.metrics["coverage_80"].value == pytest.approx(inside.mean(), abs=0.2)
    assert found.metrics["coverage_90"].value >= found.metrics["coverage_80"].value
    assert found.figures()["live/mape"] == found.metrics["mape"].value
    assert "mape" in page(found) or "relative" in page(found) or "mean error" in page(found)


def test_a_store_without_a_whole_year_says_nothing(forecast: Path, tmp_path: Path) -> None:
    found = _looked(forecast, _tables(tmp_path / "tables", months=11))

    assert found.metrics == {}
    assert "too few booked years" in found.said.english
    assert "has booked a year" in found.skipped["metrics"]


def test_a_log_without_forecasts_says_so(tmp_path: Path) -> None:
    write_log(tmp_path, [])

    with pytest.raises(UsageError, match="no forecast in the log"):
        _looked(tmp_path, None)


def test_tables_without_sales_are_refused(forecast: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    pq.write_table(pa.table({"store_id": ["a"], "lat": [1.0]}), tmp_path / "empty" / "others.parquet")

    with pytest.raises(DataError, match="no table store_sales"):
        _looked(forecast, tmp_path / "empty")
