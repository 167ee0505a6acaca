"""The service of sites on a bundle of a small chain: what it answers, what it refuses, and what it will not load."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from dataclasses import replace

import httpx
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.errors import DataError
from data.sources import open_folder
from serving.app import create_app
from serving.bundle import read
from serving.settings import Settings
from serving.site_answers import NEIGHBOURS, score
from serving.site_nearby import Nearby
from serving.sites import Candidates, SiteScorer
from serving.siting.errand import Errand
from training.sites.members import Recipe
from training.sites.pipeline import fit_site
from training.sites.release import release_sites
from training.tasks.site import TASK

STORES, SIDE = 64, 26
ASKED = {"site_id": "corner", "lat": 30.05, "lon": 104.05, "format": "express", "area_m2": 200.0}
RENTED = {**ASKED, "rent_fen": 3_000_000, "opening_cost_fen": 90_000_000}


class Client:
    """Asks an application in this process; starts and stops it as a context manager."""

    def __init__(self, app):
        self._runner, self._life = asyncio.Runner(), app.router.lifespan_context(app)
        self._asker = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testserver")

    def __enter__(self):
        self._runner.run(self._life.__aenter__())
        return self

    def __exit__(self, *_):
        self._runner.run(self._life.__aexit__(None, None, None))
        self._runner.run(self._asker.aclose())
        self._runner.close()

    def get(self, url):
        return self._runner.run(self._asker.get(url))

    def post(self, url, **sent):
        return self._runner.run(self._asker.post(url, **sent))


def _tables(seed=5):
    """Two towns whose stores sell by the people around them and by their floor."""
    draw = np.random.default_rng(seed)
    steps = np.arange(SIDE) * 0.006
    lat, lon = (np.r_[one.ravel(), one.ravel() + 1.0] for one in np.meshgrid(30 + steps, 104 + steps))
    town = np.r_[np.zeros(SIDE**2), np.ones(SIDE**2)]
    near = np.hypot(lat - 30.075 - town, lon - 104.075 - town)
    people = 4_000 * np.exp(-near / 0.04)
    cells = pa.table(
        {
            "cell_id": [f"c{number}" for number in range(len(lat))],
            "lat": lat,
            "lon": lon,
            "area_km2": np.full(len(lat), 0.4),
            "population": people.round().astype(np.int64),
            "income": 100_000 + 1e6 * near,
            "city": [("West", "East")[int(one)] for one in town],
        }
    )
    at = draw.choice(len(lat), STORES, p=people / people.sum(), replace=False)
    floor = 300.0 * np.exp(0.3 * draw.normal(size=STORES))
    stores = pa.table(
        {
            "store_id": [f"s{number:02}" for number in range(STORES)],
            "lat": lat[at] + 0.002 * draw.normal(size=STORES),
            "lon": lon[at] + 0.002 * draw.normal(size=STORES),
            "opened_on": pa.array([np.datetime64("2018-01-01").item()] * STORES, pa.date32()),
            "format": [("express", "flagship")[number % 2] for number in range(STORES)],
            "area_m2": floor,
        }
    )
    level = 1e7 * (people[at] / 1_000) ** 0.6 * (floor / 300) ** 0.7 * np.exp(0.1 * draw.normal(size=STORES))
    months = np.arange("2023-01", "2024-07", dtype="datetime64[M]").astype("datetime64[D]")
    sales = pa.table(
        {
            "store_id": np.repeat(stores["store_id"].to_pylist(), len(months)),
            "month": pa.array(np.tile(months, STORES)),
            "revenue_fen": np.rint(np.repeat(level, len(months))).astype(np.int64),
        }
    )
    places = pa.table(
        {
            "place_id": [f"p{number}" for number in range(60)],
            "lat": draw.choice(lat, 60),
            "lon": draw.choice(lon, 60),
            "category": [("supermarket", "school")[number % 2] for number in range(60)],
        }
    )
    return {"cells": cells, "stores": stores, "store_sales": sales, "places": places}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of one bundle, `site/VERSION`, with the pointer of a champion beside it."""
    home = tmp_path_factory.mktemp("chain")
    for name, table in _tables().items():
        pq.write_table(table, home / f"{name}.parquet")
    task = replace(TASK, folds=4, buffer_km=1.0, recipe=Recipe(rounds=5))
    bundle = release_sites(fit_site(task, open_folder(home)), home / "bundles")
    (bundle.folder.parent / "champion").write_text(f"{bundle.manifest.version}\n")
    return bundle.folder


@pytest.fixture(scope="module")
def scorer(folder):
    return SiteScorer(read(folder))


@pytest.fixture(scope="module")
def client(folder):
    with Client(create_app(Settings(bundles=folder.parents[1]))) as opened:
        yield opened


def _ask(client, *sites, **further):
    return client.post("/v1/sites/score", json={"sites": sites, **further})


def test_a_site_is_answered_whole(client):
    answer = _ask(client, RENTED)
    (site,) = answer.json()["sites"]

    assert answer.status_code == 200
    assert 0 < site["interval_90"]["low_fen"] <= site["interval_80"]["low_fen"] < site["revenue_fen"]
    assert len({twin["store_id"] for twin in site["twins"]}) == 5
    assert site["cannibalisation"]["net_fen"] == pytest.approx(
        site["revenue_fen"] - site["cannibalisation"]["lost_fen"]
    )
    for reason in site["reasons"]:
        assert "a year." in reason["sentence"]
        assert ("adds about ¥" in reason["sentence"]) == (reason["contribution"] > 0)
        assert "年销售额" in reason["sentence_zh"]


def test_the_margin_is_the_askers_or_is_said_to_be_assumed(client):
    assumed, own = (_ask(client, RENTED, **told).json()["sites"][0] for told in ({}, {"margin": 0.31}))

    assert (assumed["payback"]["margin"], assumed["payback"]["margin_assumed"]) == (TASK.margin, True)
    assert (own["payback"]["margin"], own["payback"]["margin_assumed"]) == (0.31, False)
    assert own["payback"]["profit_fen"] - assumed["payback"]["profit_fen"] == pytest.approx(
        (0.31 - TASK.margin) * own["cannibalisation"]["net_fen"]
    )


@pytest.mark.parametrize(("margin", "said"), [(None, "22 % assumed"), (0.31, "Margin on it, 31 %")])
def test_the_card_of_a_real_bundle_says_whose_margin_it_is(scorer, tmp_path, margin, said):
    asked = {**RENTED, "site_id": "corner"}
    tables = _tables() | {"sites": pa.Table.from_pylist([asked])}
    Errand(card="corner", margin=margin).run(scorer, tables, tmp_path, "2025-06-01", lambda *_: None)
    page, card = (tmp_path / "card-corner.html").read_text(), json.loads((tmp_path / "card-corner.json").read_bytes())

    assert said in page
    assert ("assumed" in page) == card["pay_back"]["assumed"] == (margin is None)
    assert "业态为便捷店" in page or "营业面积" in page
    assert len({one["revenue_fen"] for one in card["sensitivity"]}) == 3


def test_other_widths_of_the_trade_area_move_the_forecast_and_what_is_taken(client):
    told = {one["radius_scale"]: one for one in _ask(client, ASKED).json()["sites"][0]["sensitivity"]}

    assert list(told) == [0.75, 1.0, 1.25]
    assert len({one["revenue_fen"] for one in told.values()}) == 3
    assert told[0.75]["lost_fen"] < told[1.0]["lost_fen"] < told[1.25]["lost_fen"]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"sites": []}, "sites"),
        ({"sites": [{**ASKED, "lat": 91.0}]}, "lat"),
        ({"sites": [{**ASKED, "lat": "30"}]}, "lat"),
        ({"sites": [{**ASKED, "area_m2": 0}]}, "area_m2"),
        ({"sites": [{**ASKED, "rent_fen": -1}]}, "rent_fen"),
        ({"sites": [{**ASKED, "rent": 1}]}, "rent"),
        ({"sites": [{"site_id": "a", "lat": 30.0}]}, "lon"),
        ({"sites": [{**ASKED, "site_id": ""}]}, "site_id"),
        ({"sites": [ASKED] * 101}, "sites"),
        ({"sites": [ASKED], "margin": 0.0}, "margin"),
        ({"sites": [ASKED], "margin": 1.2}, "margin"),
        ({}, "sites"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(client, body, where):
    answer = client.post("/v1/sites/score", json=body)

    assert answer.status_code == 422
    assert where in json.dumps(answer.json())


def test_all_that_is_wrong_is_said_at_once(client):
    told = json.dumps(_ask(client, {**ASKED, "lat": 99.0, "lon": 999.0}).json())

    assert "lat" in told
    assert "lon" in told


def test_what_is_no_json_is_refused(client):
    answer = client.post("/v1/sites/score", content=b"{sites", headers={"content-type": "application/json"})

    assert answer.status_code == 422


def test_without_a_model_of_sites_there_is_nothing_to_ask(tmp_path):
    with Client(create_app(Settings(bundles=tmp_path))) as bare:
        answer = _ask(bare, ASKED)

    assert answer.status_code == 404
    assert "shepherd run --task site" in json.dumps(answer.json())


def test_a_site_is_answered_alike_alone_and_in_company(scorer):
    lat, lon = np.array([30.05, 30.08, 31.06]), np.array([104.05, 104.03, 105.09])
    together = score(scorer, Candidates.of(lat, lon, area_m2=[200.0, 300.0, 400.0]))
    alone = score(scorer, Candidates.of(lat[1:2], lon[1:2], site_id=["1"], area_m2=[300.0]))

    assert alone[0].model_dump(exclude={"cannibalisation"}) == together[1].model_dump(exclude={"cannibalisation"})
    assert alone[0].cannibalisation.lost_fen == pytest.approx(together[1].cannibalisation.lost_fen, rel=1e-12)


def test_a_plan_of_one_site_is_what_its_answer_says(scorer):
    sites = Candidates.of([30.05, 30.08], [104.05, 104.03], area_m2=[200.0, 300.0])
    answers, today = score(scorer, sites), scorer.network(sites, [])

    assert today.total_fen == pytest.approx(today.before_fen)
    for number, one in enumerate(answers):
        plan = scorer.network(sites, [number])
        assert plan.total_fen - plan.before_fen == pytest.approx(one.cannibalisation.net_fen, rel=1e-9)
    both = scorer.network(sites, [0, 1])
    assert both.total_fen - both.before_fen < sum(one.cannibalisation.net_fen for one in answers)


def test_a_closed_store_sells_nothing_and_its_sisters_more(scorer):
    sites = Candidates.of([30.05], [104.05])
    plan = scorer.network(sites, [], scorer.stores.store_id[:1])

    assert plan.stores_fen[0] == 0
    assert (plan.stores_fen[1:] >= scorer.stores.revenue_fen[1:] * (1 - 1e-12)).all()
    assert plan.stores_fen[1:].sum() > scorer.stores.revenue_fen[1:].sum()


def test_a_site_off_the_map_is_out_of_range_and_takes_nothing_from_anybody(scorer):
    (far,) = score(scorer, Candidates.of([34.0], [109.0], area_m2=[300.0]))

    assert far.out_of_range
    assert far.cannibalisation.lost_fen == 0


def test_stores_that_sell_more_than_explained_raise_the_sites_around_them_and_say_so(folder, scorer):
    bundle = read(folder)
    surface = Nearby(smooth=0.05, noise=0.01, length_km=4.0)
    model = msgspec.structs.replace(bundle.manifest.site.model, nearby=surface)
    site = msgspec.structs.replace(bundle.manifest.site, model=model)
    hearing = SiteScorer(replace(bundle, manifest=msgspec.structs.replace(bundle.manifest, site=site)))
    learned = scorer.learned
    best = int(np.argmax(learned.learned.missed))
    here = Candidates.of(learned.lat[[best]], learned.lon[[best]], area_m2=[300.0])
    told = hearing.nearby(here.lat, here.lon)
    (plain,), (heard,) = score(scorer, here), score(hearing, here)

    assert told.shape == (1, 1 + 4)
    assert 0 < told[0, 0] < learned.learned.missed[best] * 1.5
    assert heard.revenue_fen == pytest.approx(plain.revenue_fen * np.exp(told[0, 0]))
    barred = learned.learned.barred[:, best]
    assert (told[0, 1:][~barred] > told[0, 1:][barred].max()).all()
    (reason,) = [one for one in heard.reasons if one.feature == NEIGHBOURS]
    assert reason.sentence.startswith("Own stores around sell about ")
    assert "more than their surroundings explain; this adds about ¥" in reason.sentence
    assert reason.code == "OWN_STORES_NEARBY"
    assert not [one for one in plain.reasons if one.feature == NEIGHBOURS]
    far = Candidates.of([33.0], [107.0], area_m2=[300.0])
    assert hearing.forecast(far).revenue_fen == pytest.approx(scorer.forecast(far).revenue_fen)


@pytest.fixture
def copied(folder, tmp_path):
    home = tmp_path / "site" / folder.name
    shutil.copytree(folder, home)
    return home


@pytest.mark.parametrize(
    "name", ["model.onnx", "head-fold-2.onnx", "table-cells.parquet", "table-learned.parquet", "table-stores.parquet"]
)
def test_a_file_that_was_altered_is_refused(copied, name):
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(bytes(content))

    with pytest.raises(DataError, match="sha256"):
        read(copied)


def test_a_file_that_is_gone_is_refused(copied):
    (copied / "table-learned.parquet").unlink()

    with pytest.raises(DataError, match=r"table-learned\.parquet"):
        read(copied)


def test_tables_of_another_shape_under_a_forged_sum_are_no_bundle_of_sites(copied):
    """Whoever rewrites the sums too is past the check; features that differ are still seen by their fingerprint."""
    cells = pq.read_table(copied / "table-cells.parquet")
    pq.write_table(cells.append_column("rent", cells["income"]), copied / "table-cells.parquet")
    manifest = json.loads((copied / "manifest.json").read_text())
    forged = hashlib.sha256((copied / "table-cells.parquet").read_bytes()).hexdigest()
    manifest["files"]["table-cells.parquet"] = forged
    (copied / "manifest.json").write_text(json.dumps(manifest))

    with pytest.raises(DataError, match="fingerprint"):
        SiteScorer(read(copied))


def test_an_altered_bundle_is_not_served(copied):
    (copied.parent / "champion").write_text(f"{copied.name}\n")
    (copied / "table-stores.parquet").write_bytes(b"PAR1")
    with Client(create_app(Settings(bundles=copied.parents[1]))) as opened:
        assert opened.get("/readyz").status_code == 503
        assert _ask(opened, ASKED).status_code == 404
