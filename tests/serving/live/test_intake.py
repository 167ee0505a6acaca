"""THE test of the live side: a small world fed event by event, under aliases, has the features that training has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from data.logs import LOGS
from data.sources import open_folder
from features import batch
from features.online import LiveState
from serving.live.bodies import MemberBody, OrderLineBody, PayoutBody, ScanBody, ScanLabelBody
from serving.live.intake import Intake
from serving.live.registers import Registers
from tests.serving.live.aliases import Aliases
from training.tasks.fraud import TASK

if TYPE_CHECKING:
    from pathlib import Path


def body(kind: type, row: dict[str, Any]) -> Any:
    known = {field.name for field in msgspec.structs.fields(kind)}
    return kind(**{name: value for name, value in row.items() if name in known})


def arrivals(connection: Any) -> list[tuple[int, int, str, Any]]:
    """Every request that the tables stand for, in the order of arrival; of one instant, whoever joins first."""

    def rows(query: str) -> list[dict[str, Any]]:
        return connection.sql(query).to_arrow_table().to_pylist()

    def once(log: str, key: str) -> list[dict[str, Any]]:
        first = f"QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY seen_at) = 1"
        arrival = {"scans": "coalesce(received_at, ts)", "scan_labels": "landed_at"}.get(log, "ts")
        return rows(f"SELECT *, epoch_us({arrival}) AS seen_at FROM {log} {first}")

    found = [
        (one["seen_at"], 0, "members", body(MemberBody, one))
        for one in rows("SELECT *, epoch_us(registered_at) AS seen_at FROM members")
    ]
    scans = {one["scan_id"]: (one["seen_at"], body(ScanBody, one)) for one in once("scans", "scan_id")}
    found += [(at, 1, "scans", scan) for at, scan in scans.values()]
    found += [
        (one["seen_at"], 1, "scan_labels", (body(ScanLabelBody, one), scans[one["scan_id"]][1]))
        for one in once("scan_labels", "scan_id")
    ]
    found += [(one["seen_at"], 1, "payouts", body(PayoutBody, one)) for one in once("payouts", "payout_id")]
    baskets: dict[str, list[dict[str, Any]]] = {}
    for line in once("orders", "line_id"):
        baskets.setdefault(line["order_id"], []).append(line)
    for lines in baskets.values():
        (at,) = {line["seen_at"] for line in lines}
        found.append((at, 1, "orders", [body(OrderLineBody, line) for line in lines]))
    return sorted(found, key=lambda one: one[:2])


def feed(folder: Path, found: list[tuple[int, int, str, Any]], state: LiveState) -> dict[str, np.ndarray]:
    """The features of every scan, taken in by way of the intake; nobody is in the register before they join."""
    registers = Registers.read(folder)
    registers.members = Registers().members
    intake, features = Intake(registers, Aliases()), {}
    for at, _, table, sent in found:
        match table:
            case "members":
                for log, event in intake.registration(sent, at):
                    state.append(log, event)
            case "scans":
                features[sent.scan_id] = state.observe("scans", intake.scan(sent, at)).copy()
            case "scan_labels":
                state.append("scan_labels", intake.label(*sent, at))
            case "payouts":
                state.append("payouts", intake.payout(sent, at))
            case "orders":
                for log, event in intake.order(sent, at):
                    state.append(log, event)
    return features


def test_every_scan_has_the_features_that_training_has(world: Path) -> None:
    with open_folder(world).connect() as connection:
        rows = connection.sql(f"SELECT *, scan_id AS row_id, seen_at AS as_of FROM ({LOGS['scans'].sql()})")
        table = rows.to_arrow_table()
        expected = batch.compute(TASK.features, connection, table)
        found = feed(world, arrivals(connection), LiveState(TASK.features))

    assert len(found) == len(expected) > 1_500
    live = np.array([found[scan_id] for scan_id in expected["row_id"].to_pylist()])
    trained = np.column_stack([expected[name].to_numpy() for name in TASK.features.names])
    wrong = [
        name for name, one, other in zip(TASK.features.names, live.T, trained.T, strict=True) if differ(one, other)
    ]
    assert wrong == []
    assert np.isfinite(trained).mean() > 0.5


def differ(one: np.ndarray, other: np.ndarray) -> bool:
    return one.tobytes() != np.where(np.isnan(other), np.float32(np.nan), other).astype(np.float32).tobytes()
