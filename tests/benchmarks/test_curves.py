"""The pages beside `docs/world.md` say what is in the settings and in the benchmark's answer."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.curves import INTO, draw, figures_page, parameters_page
from benchmarks.log import SkewedLog
from benchmarks.world import PRESET
from data.sources import open_folder
from data.world.preset import PRESETS


@dataclass(frozen=True)
class _PhoneSettings:
    """How phones differ.

    Attributes:
        models: Phone models in use; counted
            in one shop.
        years: How long they last; months is the spread.
    """

    models: int = 240
    years: float = 2.5
    months: int = 7  # assumed


@dataclass(frozen=True)
class _Preset:
    name: str = "world/test"
    phones: _PhoneSettings = field(default_factory=_PhoneSettings)


def test_every_parameter_stands_with_its_value_and_its_meaning():
    page = parameters_page(_Preset())
    assert "# The parameters of `world/test`" in page
    assert "How phones differ." in page
    assert "| `models` | `240` | Phone models in use; counted in one shop. |" in page
    assert "| `years` | `2.5` | How long they last; months is the spread. |" in page
    assert "| `months` | `7` | assumed |" in page


def test_the_frozen_preset_has_a_page():
    page = parameters_page(PRESETS["world/v1"])
    assert page.count("\n## ") > 20
    assert "`shared_lines`" in page


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_no_parameter_of_a_preset_lacks_a_meaning(name):
    rows = [line for line in parameters_page(PRESETS[name]).splitlines() if line.startswith("| `")]
    assert len(rows) > 300
    assert not [row for row in rows if row.endswith("|  |")]


def test_a_parameter_without_a_meaning_shows():
    @dataclass(frozen=True)
    class Untold:
        phones: int = 3

    @dataclass(frozen=True)
    class Preset:
        name: str = "world/untold"
        untold: Untold = field(default_factory=Untold)

    assert "| `phones` | `3` |  |" in parameters_page(Preset())


def test_the_page_of_parameters_is_up_to_date():
    kept = (INTO / "parameters.md").read_text(encoding="utf-8")
    assert kept == parameters_page(PRESETS[PRESET]), "make docs writes it anew"


def test_figures_say_what_is_beyond_its_tolerance():
    interval = {"value": 0.2, "low": 0.1, "high": 0.3}
    judged = {
        "world": {
            "scans": 1_000_000,
            "members_who_scan": 40_000,
            "families": {"honest": 0.93, "device_farm": 0.07},
            "crowds": {"none": 0.93},
        },
        "distances": {
            "basket_lines": {
                "kind": "gap",
                "value": 0.4,
                "tolerance": 0.3,
                "passes": False,
                "real": {"p50": 5.0},
                "world": {"p50": 2.0},
                "reason": "another trade",
            }
        },
        "skipped": {"address_gap": "found no clicks"},
        "baselines": {
            "rules": {
                **interval,
                "families": {"device_farm": interval},
                "honest_blocked": {"none": 0.001},
                "limits": ["device_distinct_member_7d > 3"],
            }
        },
        "leaks": {"all": {**interval, "found": True, "telling": ["no_wifi_id"]}},
    }
    page = figures_page(judged)
    assert "| `basket_lines` | gap | 0.4 **beyond** | 0.3 | p50 5 | p50 2 | another trade |" in page
    assert "Not compared: `address_gap` (found no clicks)." in page
    assert "| device_farm | 7.00% | 0.200 [0.100, 0.300] |" in page
    assert "1. `device_distinct_member_7d > 3`" in page
    assert "| all | 0.200 [0.100, 0.300] | found |" in page


def test_the_same_world_draws_the_same_bytes(tmp_path):
    world = SkewedLog(3_000).write(tmp_path / "world")
    for name, head in (("sends", "send_id,ts,member_id,offer_id,campaign_id,arm"), ("redemptions", "send_id,ts")):
        (world / f"{name}.csv").write_text(head + "\n")
    ids = pa.concat_tables([pq.read_table(path) for path in open_folder(world).files["scans"]])["scan_id"]
    wool = np.arange(len(ids)) % 10 == 0
    (world / "truth").mkdir()
    truth = {"scan_id": ids, "family": np.where(wool, "device_farm", "honest"), "crowd": ["none"] * len(ids)}
    pq.write_table(pa.table(truth), world / "truth" / "scans.parquet")
    drawn = []
    for turn in ("one", "two"):
        draw(world, tmp_path / "no real data", tmp_path / turn)
        drawn.append({path.name: path.read_bytes() for path in (tmp_path / turn).iterdir()})
    assert set(drawn[0]) == {"margins.svg", "days.svg", "members.svg"}
    assert drawn[0] == drawn[1]
