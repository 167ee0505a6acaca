"""Every decision comes out again, to the bit, from what the log kept of it and the bundle that decided."""

from __future__ import annotations

import json
import shutil

import lightgbm as lgb
import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from data.errors import GateRefused, UsageError
from serving.bundle import read
from serving.holdout import Holdout
from serving.ledger.forget import forget
from serving.ledger.ledger import Entry, Ledger, following
from serving.ledger.record import Record, decode_record, encode_record
from serving.ledger.replay import replay
from serving.live.answer import Asked, Drawn, answer_bytes
from serving.payoff import Payoff
from serving.scorer import Scorer
from shepherd import app
from tests.serving.conftest import declared, moment, rows
from training.calibrate import Sigmoid
from training.export import export

SECRET = "0123456789abcdef" * 4
VERSIONS = ("v1", "v2", "v3")
DECISIONS = 10_000
PAYOFF = Payoff(
    ("pay", "block"),
    ("honest", "wool"),
    ((0.0, 0.0), (-30.0, 0.0)),
    value_of_stake=((0.0, -1.0), (0.0, 0.0)),
    stake="prize_fen",
)


@pytest.fixture(scope="session")
def three_bundles(tmp_path_factory):
    """Three models of one task."""
    folder = tmp_path_factory.mktemp("three") / "bundles"
    features = rows()
    for number, version in enumerate(VERSIONS):
        noise = np.random.default_rng(number).normal(size=len(features))
        label = (np.nan_to_num(features[:, 0]) + noise > 4.5).astype(float)
        parameters = {"objective": "binary", "num_leaves": 7, "min_data_in_leaf": 5, "verbose": -1, "num_threads": 1}
        export(
            folder,
            task="fraud",
            version=version,
            booster=lgb.train(parameters | {"deterministic": True}, lgb.Dataset(features, label), 12),
            calibrator=Sigmoid(),
            features=declared(),
            payoff=PAYOFF,
            rows=features,
            data_hash="0" * 64,
            metrics={"auc": 0.9},
            generator=np.random.default_rng(5),
            created=moment(12, 1),
            holdout=Holdout(0.1),
        )
    return folder


@pytest.fixture
def bundles(three_bundles, tmp_path):
    """A copy of them that a test may break."""
    return shutil.copytree(three_bundles, tmp_path / "bundles")


def decided(desk, bundles, numbers, version):
    """Decides as the live path does, and hands the entries in."""
    scorer, vault = Scorer(read(bundles / "fraud" / version)), desk.ledger.vault
    numbers = list(numbers)
    features = rows(max(numbers) + 1)[numbers]
    other = next(one for one in VERSIONS if one != version)
    shadow = Scorer(read(bundles / "fraud" / other)).probability(features)
    for start in range(0, len(numbers), 16):
        part, given = numbers[start : start + 16], features[start : start + 16]
        asked = [
            Asked(
                vault.identity("scans", str(number)).hex(),
                str(number),
                float(number % 100),
                None,
                Drawn(0.1, number % 10 == 0) if number % 2 else None,
                ("ring", 3) if number % 5 else None,
            )
            for number in part
        ]
        for row, (number, one, told) in enumerate(zip(part, answer_bytes(scorer, given, asked), asked, strict=True)):
            record = Record(
                decision_id=told.decision_id,
                task="fraud",
                version=version,
                request={"scan_id": str(number)},
                features=given[row].tobytes(),
                answer=one.answer,
                stake=told.stake,
                group=told.group,
                lot=one.lot,
                shadow={other: float(shadow[start + row])},
                ring=told.ring,
            )
            hand_in(desk, number, record)
    assert desk.writer.drain(30)


def hand_in(desk, number, record):
    vault = desk.ledger.vault
    desk.last = following(desk.last, 0)
    identity, member = vault.identity("scans", str(number)), vault.member(f"member-{number % 9}")
    entry = Entry(*desk.last, "scans", identity, bytes(16), (), member, encode_record(record))
    desk.writer.submit(entry, lambda: None)


def verdicts(replayed):
    found = {}
    for one in replayed:
        found[one.verdict] = found.get(one.verdict, 0) + 1
    return found


def test_ten_thousand_decisions_of_three_versions_over_a_restart_come_out_equal(three_bundles, folder, open_desk):
    third = DECISIONS // 3 + 1
    for turn, version in enumerate(VERSIONS):
        desk = open_desk(folder, most_waiting=DECISIONS)
        decided(desk, three_bundles, range(turn * third, min((turn + 1) * third, DECISIONS)), version)
        desk.close()
    forgotten = forget(folder, SECRET, "member-4")
    ledger = Ledger.read(folder, SECRET)

    found = list(replay(ledger, three_bundles))
    assert verdicts(found) == {"equal": DECISIONS - forgotten.records, "forgotten": forgotten.records}
    assert forgotten.records == len(range(4, DECISIONS, 9))
    assert len({one.decision_id for one in found}) == DECISIONS
    ledger.close()


def test_what_differs_is_named(desk, bundles):
    decided(desk, bundles, range(20), "v1")
    first = decode_record(desk.ledger.find(desk.ledger.vault.identity("scans", "3")).record)
    answer = msgspec.json.decode(first.answer)
    changes = {
        100: {"answer": msgspec.json.encode(answer | {"probability": float(np.nextafter(answer["probability"], 1))})},
        101: {"features": (np.frombuffer(first.features, np.float32) + 3).tobytes()},
        102: {"shadow": {"v2": 0.123}},
        103: {"features": first.features[4:]},
        104: {"stake": 1.0},
        105: {"version": "v9"},
    }
    for number, change in changes.items():
        hand_in(desk, number, msgspec.structs.replace(first, **change))
    assert desk.writer.drain(5)

    found = [next(iter(replay(desk.ledger, bundles, [_id(desk, number)]))) for number in changes]
    assert [one.verdict for one in found] == ["differs"] * 5 + ["bundle missing"]
    for one, said in zip(
        found, ["probability", "differ in", "shadow of v2", "bytes of features", "", "v9"], strict=True
    ):
        assert said in one.detail
    assert verdicts(replay(desk.ledger, bundles)) == {"equal": 20, "differs": 5, "bundle missing": 1}


def test_a_bundle_that_was_changed_is_not_the_one_that_decided(desk, bundles):
    decided(desk, bundles, range(3), "v2")
    with (bundles / "fraud" / "v2" / "model.onnx").open("ab") as file:
        file.write(b"x")
    assert verdicts(replay(desk.ledger, bundles)) == {"bundle missing": 3}


def test_ids_that_name_no_decision_are_said(desk, bundles):
    bare = desk.ask(77, record=b"")
    known = [bare.identity.hex(), "00" * 16, "no hexadecimal digits"]
    assert [one.verdict for one in replay(desk.ledger, bundles, known)] == ["not of a scan", "unknown", "unknown"]
    assert list(replay(desk.ledger, bundles)) == []


def _id(desk, number):
    return desk.ledger.vault.identity("scans", str(number)).hex()


@pytest.fixture
def command(monkeypatch, tmp_path, folder):
    """Calls the command line beside the service that `desk` is."""
    monkeypatch.setenv("SHEPHERD_SECRET", SECRET)
    monkeypatch.setenv("SHEPHERD_LEDGER", str(folder))

    def call(*words):
        done = CliRunner().invoke(app, [*words, "--home", str(tmp_path), "--json"])
        return json.loads(done.stdout.splitlines()[-1]) if done.stdout else None, done.exception

    return call


def test_the_commands_replay_forget_and_replay_again(desk, bundles, command):
    decided(desk, bundles, range(40), "v1")
    told, error = command("replay", "--all")
    assert (told["verdicts"], told["wrong"], error) == ({"equal": 40}, [], None)
    head = told["chain"]["head"]
    assert command("forget", "--member", "member-2") == ({"known": True, "records": 5, "readable": 0}, None)
    assert command("forget", "--member", "member-2")[0]["known"] is False
    told, error = command("replay", "--all", "--head", head)
    assert (told["verdicts"], error) == ({"equal": 35, "forgotten": 5}, None)
    told, error = command("replay", _id(desk, 1), _id(desk, 2))
    assert [one["verdict"] for one in told["decisions"]] == ["equal", "forgotten"]
    assert error is None


def test_the_commands_refuse_what_does_not_hold(desk, bundles, command):
    decided(desk, bundles, range(4), "v1")
    assert isinstance(command("replay", "ab" * 16)[1], UsageError)
    assert isinstance(command("replay")[1], UsageError)
    assert isinstance(command("replay", "--all", "--head", "ab" * 32)[1], GateRefused)
    shutil.rmtree(bundles / "fraud" / "v1")
    told, error = command("replay", "--all")
    assert told["verdicts"] == {"bundle missing": 4}
    assert isinstance(error, GateRefused)
    assert isinstance(command("replay", _id(desk, 1))[1], GateRefused)
