"""Drift of offers, from a real service's log: what the model was given comes out of the log as it went in."""

from __future__ import annotations

import asyncio
import json
import shutil
from typing import TYPE_CHECKING, Any

import httpx
import lightgbm as lgb
import numpy as np
import pytest

from serving.app import create_app
from serving.bundle import point, read
from serving.ledger.ledger import Ledger
from serving.ledger.record import Record, decode_record
from serving.ledger.replay import replay
from serving.offers import open_book
from serving.payoff import Payoff
from serving.scorer import Scorer
from serving.settings import Settings
from tests.serving import conftest as coupon_service
from tests.serving.conftest import declared, moment, rows
from tests.serving.live.conftest import SECRET
from tests.training.monitoring.conftest import START
from tests.training.monitoring.writing import write_log
from training.calibrate import Sigmoid
from training.catalogue import find
from training.export import export
from training.formulas import Binning
from training.monitoring.drifted import NO_REFERENCE
from training.monitoring.evidence import Evidence
from training.monitoring.journal import DECISIONS, open_journal
from training.monitoring.offers import monitor_offers
from training.monitoring.page import page

if TYPE_CHECKING:
    from pathlib import Path

    from training.monitoring.result import Monitored

coupon_home = coupon_service.home
MOMENTS = [moment(12, day) for day in range(7, 25)]
MEMBERS = ("1029", "8", "7")


@pytest.fixture(scope="module")
def asked(coupon_home: Path, bundles: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    """A home whose service was asked about some members' offers at some moments, and its answers."""
    home: Path = tmp_path_factory.mktemp("asked")
    shutil.copytree(bundles, home / "bundles")
    shutil.copytree(coupon_home / "bundles" / "coupon", home / "bundles" / "coupon")
    point(home / "bundles", "fraud", "champion", "v1")
    settings = Settings(
        home=home,
        secret=SECRET,
        offers=coupon_home / "coupon.parquet",
        campaigns=coupon_home / "campaigns.parquet",
        task="coupon",
    )

    async def ask() -> list[Any]:
        app = create_app(settings)
        transport = httpx.ASGITransport(app)
        async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://h") as one:
            answers = [
                (await one.post(f"/v1/members/{member}/offers", json={"at": at.isoformat()})).json()
                for at in MOMENTS
                for member in MEMBERS
            ]
            kept = await one.get(f"/v1/decisions/{answers[0]['decision_id']}")
            assert kept.json()["features"] is None  # the rows of several offers are no row of a scan
            return answers

    return home, asyncio.run(ask())


def _looked(home: Path) -> Monitored:
    with open_journal(home / "ledger", SECRET) as journal:
        return monitor_offers(find("coupon"), Evidence(journal, home / "bundles"))  # type: ignore[arg-type] # it is one


def test_the_log_keeps_what_each_answered_offer_was_scored_by(asked: tuple[Path, list[Any]]) -> None:
    home, answers = asked
    scorer = Scorer(read(home / "bundles" / "coupon" / "v1"))
    ledger = Ledger.read(home / "ledger", SECRET)
    seen = 0
    for answer in answers:
        found = ledger.find(ledger.vault.identity(DECISIONS, answer["decision_id"]))
        assert found is not None
        assert found.record is not None
        record = decode_record(found.record)
        given = np.frombuffer(record.features, "<f4").reshape(len(answer["offers"]), 3)
        assert scorer.probability(given.copy()).tolist() == [one["probability"] for one in answer["offers"]]
        seen += len(given)
    again = next(
        iter(replay(ledger, home / "bundles", [ledger.vault.identity(DECISIONS, answers[0]["decision_id"]).hex()]))
    )
    ledger.close()

    assert seen > len(MOMENTS)
    assert again.verdict == "not of a scan"


def test_drift_is_that_of_the_offers_that_were_answered(asked: tuple[Path, list[Any]], coupon_home: Path) -> None:
    home, answers = asked
    manifest = read(home / "bundles" / "coupon" / "v1").manifest
    book = open_book(coupon_home / "coupon.parquet", manifest.feature_names, coupon_home / "campaigns.parquet")
    known = [one for at in MOMENTS for member in MEMBERS for one in book.candidates(member, at).features.tolist()]
    said = [one["probability"] for answer in answers for one in answer["offers"]]
    assert manifest.reference is not None
    binning = Binning(manifest.reference)
    ordered = np.column_stack((np.array(known, np.float32).astype(float), np.zeros(len(known))))
    features = binning.psi(binning.counts(ordered))[:-1]
    score = binning.psi(binning.counts(np.column_stack((np.zeros((len(said), 3)), said))))[-1]

    found = _looked(home)

    assert found.drift is not None
    assert found.drift.rows == len(said) == len(known)
    assert found.drift.score == pytest.approx(score)
    assert found.drift.features == pytest.approx(dict(zip(manifest.feature_names, features, strict=True)))
    assert {one.name for one in found.findings} >= {"score drift", "feature drift"}
    assert found.figures()["live/drift/score"] == found.drift.score
    assert "drift" not in found.skipped
    assert found.actions["nothing/no_running_campaign"] == sum(not one["offers"] for one in answers)
    assert found.counts["not_judged"] >= len(MOMENTS)
    assert found.arrival["longest_gap_hours"] < 1
    assert 'id="drift"' in page(found)


def test_a_bundle_or_a_log_without_them_says_so(asked: tuple[Path, list[Any]], tmp_path: Path) -> None:
    home = shutil.copytree(asked[0], tmp_path / "home")
    path = home / "bundles" / "coupon" / "v1" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"reference": None}))

    assert _looked(home).drift is None
    assert _looked(home).skipped["drift"] == NO_REFERENCE
    shutil.rmtree(path.parent)
    assert "v1 is not there any more" in _looked(home).skipped["drift"]


def test_a_log_of_before_it_kept_what_the_model_was_given_says_so(coupon_home: Path, tmp_path: Path) -> None:
    shutil.copytree(coupon_home / "bundles" / "coupon", tmp_path / "bundles" / "coupon")
    offer = {"offer_id": "O1", "campaign_id": "C", "probability": 0.2, "action": "send"}
    answer = json.dumps({"member_id": "m1", "offers": [offer]}).encode()
    record = Record(decision_id="d1", task="coupon", version="v1", request={}, features=b"", answer=answer)
    write_log(tmp_path, [(START, "decisions", "d1", "m1", record)])

    found = _looked(tmp_path)

    assert found.drift is None
    assert found.skipped["drift"].startswith("the log was written before")


def test_a_challenger_is_asked_about_the_very_rows(asked: tuple[Path, list[Any]], tmp_path: Path) -> None:
    home, answers = shutil.copytree(asked[0], tmp_path / "home"), asked[1]
    assert "no challenger is named" in _looked(home).skipped["challenger"]
    root = home / "bundles" / "coupon"
    features = rows()
    booster = lgb.train(
        {"objective": "binary", "num_leaves": 5, "verbose": -1, "num_threads": 1, "deterministic": True},
        lgb.Dataset(features, (np.nan_to_num(features[:, 2]) > 0.5).astype(float)),
        5,
    )
    export(
        home / "bundles",
        task="coupon",
        version="v2",
        booster=booster,
        calibrator=Sigmoid(),
        features=declared(),
        payoff=Payoff(("none", "send"), ("ignored", "redeemed"), ((0.0, 0.0), (-30.0, 300.0))),
        rows=features,
        data_hash="0" * 64,
        metrics={},
        generator=np.random.default_rng(5),
    )
    point(home / "bundles", "coupon", "challenger", "v2")
    scorer = Scorer(read(root / "v2"))
    ledger = Ledger.read(home / "ledger", SECRET)
    ours, theirs = [], []
    for answer in answers:
        found = ledger.find(ledger.vault.identity(DECISIONS, answer["decision_id"]))
        assert found is not None
        assert found.record is not None
        given = np.frombuffer(decode_record(found.record).features, "<f4").reshape(-1, 3).copy()
        ours += [one["probability"] for one in answer["offers"]]
        theirs += scorer.probability(given).tolist()
    ledger.close()

    (other,) = _looked(home).beside

    assert (other.version, other.answered, other.compared) == ("v2", 0, len(ours))
    assert other.difference.value == pytest.approx(np.mean(theirs) - np.mean(ours))
    assert _looked(home).figures()["live/challenger/difference"] == other.difference.value
    point(home / "bundles", "coupon", "challenger", "v1")
    assert _looked(home).skipped["challenger"] == "the challenger is v1 itself"
