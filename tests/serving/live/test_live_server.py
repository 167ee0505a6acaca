"""A real server: the same bytes twice and over restarts, and duplicates counted once."""

from __future__ import annotations

import json
import signal
import urllib.request
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.serving.live.conftest import Server, encoded

if TYPE_CHECKING:
    from serving.live.bodies import ScanBody
    from serving.settings import Settings


def decision(server: Server, decision_id: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/v1/decisions/{decision_id}") as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def test_the_same_scan_has_the_same_bytes_also_after_a_killed_process(
    settings: Settings, scans: list[ScanBody]
) -> None:
    bodies = [encoded(scan) for scan in scans[:40]]
    spaced = [json.dumps(json.loads(body), indent=1).encode() for body in bodies]

    with Server(settings) as server:
        first = server.ask(bodies)
        again = server.ask(spaced)
        changed, _ = server.one(encoded(scans[0], prize_fen=scans[0].prize_fen + 1))
        server.stop(signal.SIGKILL)
    with Server(settings) as server:
        later = server.ask(bodies)

    assert len(first.recorded) == 40
    assert first.answers == again.answers == later.answers
    assert changed == 409


def test_thirty_two_at_once_count_once(settings: Settings, scans: list[ScanBody]) -> None:
    scan = next(one for one in scans if one.member_id)
    later = msgspec.structs.replace(scan, scan_id="later")

    with Server(settings) as server:
        heard = server.ask([encoded(scan)] * 32, 32)
        _, after = server.one(encoded(later))
        features = decision(server, after["decision_id"])["features"]

    assert len(set(heard.answers)) == len({*heard.recorded.values()}) == 1
    assert len(heard.recorded) == 32
    assert features["member_scan_count_1h"] == 1.0


def test_a_decision_is_found_again_and_others_are_not(settings: Settings, scans: list[ScanBody]) -> None:
    with Server(settings) as server:
        (answer,) = server.ask([encoded(scans[3])], 1).answers
        assert answer is not None
        found = decision(server, json.loads(answer[1])["decision_id"])
        with pytest.raises(urllib.error.HTTPError, match="404"):
            decision(server, "0" * 32)

    assert found["answer"] == json.loads(answer[1])
    assert found["request"]["scan_id"] == scans[3].scan_id
    assert len(found["features"]) == 165


def test_rows_of_events_count_once_and_move_later_features(settings: Settings, scans: list[ScanBody]) -> None:
    first = next(one for one in scans if one.member_id and one.device_id)
    second = msgspec.structs.replace(first, scan_id="second")
    label = {"scan_id": first.scan_id, "is_wool": 1}
    payout = {"payout_id": "p", "ts": "2026-01-01T00:00:00Z", "member_id": first.member_id, "account_id": "a"}
    rows = json.dumps({"payouts": [payout | {"amount_fen": 7}], "scan_labels": [label]}).encode()
    unknown = json.dumps({"scan_labels": [{"scan_id": "never", "is_wool": 1}]}).encode()
    other = json.dumps({"payouts": [payout | {"amount_fen": 8}]}).encode()

    with Server(settings) as server:
        server.one(encoded(first))
        told = [server.one(body, "/v1/events") for body in (rows, rows, unknown, other)]
        _, answer = server.one(encoded(second))
        features = decision(server, answer["decision_id"])["features"]

    assert [status for status, _ in told] == [200, 200, 422, 409]
    assert told[0][1] == {"recorded": 2, "repeated": 0}
    assert told[1][1] == {"recorded": 0, "repeated": 2}
    assert told[2][1]["error"]["problems"][0]["where"] == "body.scan_labels.0"
    assert features["member_payout_count_30d"] == 1.0
    assert features["device_verdict_count_wool_30d"] == 1.0


def test_every_request_has_its_line_also_at_a_stop(settings: Settings, scans: list[ScanBody]) -> None:
    bodies = [encoded(scan) for scan in scans[:30]]

    with Server(settings) as server:
        heard = server.ask(bodies)
        server.stop(signal.SIGTERM)
        lines = [json.loads(line) for line in server.said.read_text().splitlines()]

    told = [line for line in lines if line.get("route") == "/v1/scans/score"]
    assert len(heard.recorded) == 30
    assert {line["decision_id"] for line in told} == {
        json.loads(body)["decision_id"] for body in heard.recorded.values()
    }
    assert [line["message"] for line in lines].index("Shutting down") > 0
    assert all(set(line) >= {"time", "level", "logger", "message", "method", "status", "seconds"} for line in told)
