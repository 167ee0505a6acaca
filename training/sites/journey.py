"""The journey of a task about sites: train with all proofs, and ask one candidate over HTTP."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from training.bundles import bundles
from training.release import Released, proven
from training.served import ask_site, server
from training.sites.pipeline import fit_site, read_tables
from training.sites.release import refuse_company, refuse_later_surroundings, release_sites

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    import pyarrow as pa

    from data.sources import DataSet
    from data.steps import Steps
    from training.provenance import Provenance
    from training.sites.pipeline import FittedSites
    from training.sites.task import SiteTask

ASKED = ("site_id", "lat", "lon", "format", "area_m2", "rent_fen", "opening_cost_fen")


def fit_and_release(  # noqa: PLR0913 - what a command says, and the run that is made again
    task: SiteTask,
    data_set: DataSet,
    checked: int,
    *,
    home: Path,
    seed: int,
    steps: Steps,
    earlier: Provenance | None = None,
    moment: datetime | None = None,
) -> tuple[FittedSites, Released, dict[str, float]]:
    """Fit and judge, prove the features, and export; gives the proofs as figures too.

    `checked` rows of the data keep their contracts; of an `earlier` run that is made again, moment and measurements are
    taken as they were; else the version names the `moment`, or that of the export.

    Raises:
        GateRefused: A feature knew what came later or depends on company, or the service would say something else.
    """
    fitted = fit_site(task, data_set, seed=seed, steps=steps)
    ground = fitted.model.ground
    with steps.step("look for leakage") as step:
        step.rows = looked = refuse_later_surroundings(ground)
    with steps.step("ask stores one by one") as step:
        replayed = refuse_company(ground, np.random.default_rng([seed, 3]))
        step.rows = replayed.values
    with steps.step("export and prove parity") as step:
        proofs = proven(checked, looked, replayed.values, replayed.mismatches)
        moment, measured = (earlier.moment, earlier.measured) if earlier else (moment, None)
        bundle = release_sites(fitted, bundles(home), moment, proofs, measured)
        step.rows = bundle.manifest.parity.rows + bundle.manifest.parity.edge_rows
    apart = bundle.manifest.site.parity if bundle.manifest.site else math.nan
    return fitted, Released(bundle, bundle.folder), {**bundle.manifest.metrics, "parity/log_revenue": apart}


def served_site(fitted: FittedSites, data_set: DataSet, home: Path, alias: str) -> dict[str, object]:
    """Ask a server of its own about the first candidate of the tables; about the first store's place without any."""
    tables = read_tables(data_set)
    table = tables["sites"] if "sites" in tables and tables["sites"].num_rows else fitted.model.ground.rows
    with server(home, "--pointer", alias) as url:
        return ask_site(url, _candidate(table))


def _candidate(table: pa.Table) -> Mapping[str, float | str | None]:
    row = table.select([name for name in ASKED if name in table.column_names]).slice(0, 1).to_pylist()[0]
    return {"site_id": "candidate", **row}
