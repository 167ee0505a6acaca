"""How often things came true is written into every bundle, beside the champion's where there is one."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serving.bundle import point, read
from serving.site_bundle import LEARNED
from training.gates import LABEL_RATE, gates
from training.label_rate import LabelRate, by_chance, label_rates, rate_of, rate_of_champion
from training.release import release

MOMENTS = [datetime(2026, 11, day, tzinfo=UTC) for day in (1, 2, 3)]


def _gate(manifest):
    (found,) = [gate for gate in gates(manifest) if gate.name == LABEL_RATE]
    return found


def _crowned(first, home):
    point(home / "bundles", first.bundle.manifest.task, "champion", first.bundle.manifest.version)


@pytest.mark.parametrize("kind", ["fitted", "fitted_order"])
def test_a_bundle_says_both_rates_whatever_its_kind(kind, request, tmp_path):
    made = request.getfixturevalue(kind)
    first = release(made, tmp_path, MOMENTS[0])
    _crowned(first, tmp_path)
    record = made.record
    worse = replace(made, record=replace(record, positives={**record.positives, "test": record.rows["test"]}))

    same, other = (
        release(one, tmp_path, at).bundle.manifest for one, at in zip((made, worse), MOMENTS[1:], strict=True)
    )

    rate = record.positives["test"] / record.rows["test"]
    assert first.bundle.manifest.metrics["label/rate"] == rate
    assert (first.bundle.manifest.champion, _gate(first.bundle.manifest).passed) == ("", True)
    assert same.champion == first.bundle.manifest.version
    assert same.metrics["label/rate_of_champion"] == same.metrics["label/rate"] == rate
    assert _gate(same).passed
    assert other.metrics["label/rate"] == 1
    assert not _gate(other).passed
    assert _gate(other).found == f"1 against {rate:,.6g}"


def test_a_champion_from_before_the_rates_were_kept_has_one_all_the_same(released):
    champion = read(released.folder)
    metrics = champion.manifest.metrics

    then = rate_of_champion(champion)

    assert then == LabelRate(metrics["positives/test"] / metrics["rows/test"], int(metrics["rows/test"]))


def test_the_rate_of_sites_is_what_a_store_takes_and_chance_explains_none_of_it():
    file = io.BytesIO()
    pq.write_table(pa.table({"log_revenue": np.log([100.0, 400.0])}), file)
    champion = SimpleNamespace(tables={LEARNED: file.getvalue()})

    told = label_rates(LabelRate(300.0, 0), champion)

    assert told == {
        "label/rate": 300.0,
        "label/rate_of_champion": pytest.approx(200.0),
        "label/rate_by_chance": 0.0,
    }


def test_what_is_not_known_is_left_out():
    unknown = SimpleNamespace(tables={}, manifest=SimpleNamespace(metrics={}))

    assert label_rates(LabelRate(0.2, 10), unknown) == {"label/rate": 0.2}
    assert label_rates(LabelRate(0.2, 10), None) == {"label/rate": 0.2}


def test_chance_explains_less_of_more_rows(fitted):
    rate = rate_of(fitted.record)
    few, many = (by_chance(*[rate._replace(rows=rows)] * 2) for rows in (50, 5_000))

    assert many == pytest.approx(few / 10)
