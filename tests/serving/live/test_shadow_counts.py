"""What metrics say of a challenger is what the log says of it, whichever of the two answered."""

from __future__ import annotations

import asyncio
import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving.bundle import point, read
from serving.decisions import decide
from serving.live.service import LiveService
from serving.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from pathlib import Path

    from serving.live.bodies import ScanBody
    from serving.settings import Settings

SENT = 60


def _counted(metrics: Metrics) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(metrics.text().decode())
    return {
        (one.name.removeprefix("shepherd_shadow_"), *sorted(one.labels.values())): one.value
        for family in families
        for one in family.samples
        if one.name.startswith("shepherd_shadow_") and not one.name.endswith("_created")
    }


@pytest.mark.parametrize("canary", [0.0, 0.5])
def test_sums_over_both_versions_are_those_of_the_log(
    settings: Settings, bundles: Path, scans: list[ScanBody], tmp_path: Path, canary: float
) -> None:
    root, metrics = tmp_path / "bundles", Metrics()
    shutil.copytree(bundles, root)
    path = root / "fraud" / "v2" / "manifest.json"
    told = json.loads(path.read_text())
    told["payoff"]["value_fen"][0] = [1e9, 1e9]  # a challenger that stops nobody
    path.write_text(json.dumps(told))
    point(root, "fraud", "challenger", "v2")

    async def judged() -> list[dict[str, Any]]:
        live = LiveService.open(settings.model_copy(update={"bundles": root, "canary": canary}), metrics)
        answers = await asyncio.gather(*(live.desk.score(scan) for scan in scans[:SENT]))
        ids = [json.loads(one.body)["decision_id"] for one in answers]
        kept = [json.loads(live.decision(one)[1]) for one in ids]
        await live.close()
        return kept

    kept = asyncio.run(judged())
    chances = [{one["version"]: one["answer"]["probability"], **one["shadow"]} for one in kept]
    stakes = np.array([one["request"]["prize_fen"] or 0 for one in kept], float)
    meant: dict[str, Any] = {}
    for version in ("v1", "v2"):
        manifest = read(root / "fraud" / version).manifest
        said = np.array([one[version] for one in chances])
        meant[version] = decide(said, manifest.payoff, stakes, np.full(SENT, manifest.prices.default))[0]
    found = _counted(metrics)

    assert {one["version"] for one in kept} == ({"v1"} if not canary else {"v1", "v2"})
    assert found["rows_total", "fraud", "v2"] == SENT
    assert found["changed_total", "fraud", "v2"] == (meant["v1"] != meant["v2"]).sum() > 0
    assert found["chance_total", "champion", "fraud", "v2"] == pytest.approx(sum(one["v1"] for one in chances))
    assert found["chance_total", "challenger", "fraud", "v2"] == pytest.approx(sum(one["v2"] for one in chances))


def test_without_a_challenger_nothing_is_compared(settings: Settings, scans: list[ScanBody]) -> None:
    metrics = Metrics()

    async def judged() -> None:
        live = LiveService.open(settings, metrics)
        await live.desk.score(scans[0])
        await live.close()

    asyncio.run(judged())

    assert _counted(metrics) == {}
