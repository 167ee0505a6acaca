"""A planted leak is found, its place is named, and where nothing leaks nothing is found."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.leaks import Form, leaks, read_form, told
from benchmarks.log import SkewedLog
from data.errors import DataError
from data.sources import open_folder

RINGS = 40


def form_of(generator, rings=60, honest=3_000, a_ring=30):
    unit = np.concatenate([np.arange(honest), honest + np.repeat(np.arange(rings), a_ring)])
    family = np.where(unit < honest, "honest", np.where(unit % 2 == 0, "device_farm", "cap_resale"))
    return Form(generator.normal(size=(len(unit), 4)), ("one", "two", "three", "four"), family, unit)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A log in which rings of members were drawn by lot: nothing of form tells them."""
    folder = SkewedLog(16_000).write(tmp_path_factory.mktemp("leaks") / "world")
    return folder, _truth(folder)


def _truth(folder):
    members = pq.read_table(folder / "members.parquet")["member_id"].to_pylist()
    drawn = np.random.default_rng(100).integers(0, 6 * RINGS, len(members))
    ring = dict(zip(members, drawn.tolist(), strict=True))
    scans = pa.concat_tables([pq.read_table(path) for path in open_folder(folder).files["scans"]])
    rings = [ring.get(member, RINGS) for member in scans["member_id"].to_pylist()]
    (folder / "truth").mkdir()
    table = pa.table(
        {
            "scan_id": scans["scan_id"],
            "family": ["honest" if one >= RINGS else "device_farm" for one in rings],
            "ring_id": [None if one >= RINGS else f"r{one}" for one in rings],
            "crowd": ["none"] * len(rings),
        }
    )
    pq.write_table(table, folder / "truth" / "scans.parquet")
    return table


def test_noise_is_no_leak_and_a_faint_one_is_found_in_the_family_that_has_it():
    generator = np.random.default_rng(1)
    form = form_of(generator)
    assert not told(form, "all", generator, 0.01, 300).found
    form.values[form.family == "device_farm", 2] += 0.5
    leak = told(form, "device_farm", generator, 0.01, 300)
    assert leak.found
    assert leak.telling[0] == "three"
    assert leak.area.value > 0.58
    assert not told(form, "cap_resale", generator, 0.01, 300).found


def test_what_a_whole_ring_shares_is_not_mistaken_for_a_leak():
    generator = np.random.default_rng(2)
    form = form_of(generator)
    form.values[:, 0] = generator.normal(size=form.unit.max() + 1)[form.unit]
    assert not told(form, "all", generator, 0.01, 300).found


def test_a_log_without_leaks_has_none(world):
    folder, _ = world
    found = leaks(open_folder(folder), folder / "truth", np.random.default_rng(1))
    assert set(found) == {"all", "device_farm"}
    assert not any(leak.found for leak in found.values())


def _even(scans, wool):
    at = scans["received_at"].cast(pa.int64()).to_numpy()
    moved = np.where(wool, at // 1_000 * 1_000, at + np.arange(len(at)) % 7 - 3)
    return scans.set_column(scans.column_names.index("ts"), "ts", pa.array(moved).cast(pa.timestamp("us", tz="UTC")))


def _withheld(scans, wool):
    kept = scans["user_agent"].to_numpy(zero_copy_only=False)
    lost = wool & (np.arange(len(wool)) % 3 == 0)
    return scans.set_column(
        scans.column_names.index("user_agent"), "user_agent", pa.array(np.where(lost, None, kept), pa.string())
    )


def _lower(scans, wool):
    ids = scans["scan_id"].to_pylist()
    changed = [
        f"z{one[1:]}" if bad and place % 2 else one for place, (one, bad) in enumerate(zip(ids, wool, strict=True))
    ]
    return scans.set_column(0, "scan_id", pa.array(changed))


@pytest.mark.parametrize(
    ("plant", "named"),
    [(_even, "ts_zeros"), (_withheld, "no_user_agent"), (_lower, "scan_id")],
    ids=["even", "withheld", "lower"],
)
def test_a_planted_leak_is_found_and_named(world, tmp_path, plant, named):
    folder, truth = world
    scans = pa.concat_tables([pq.read_table(path) for path in open_folder(folder).files["scans"]])
    changed = plant(scans, np.array([one != "honest" for one in truth["family"].to_pylist()]))
    copy = tmp_path / "world"
    copy.mkdir()
    pq.write_table(changed, copy / "scans.parquet")
    pq.write_table(pq.read_table(folder / "members.parquet"), copy / "members.parquet")
    (copy / "truth").mkdir()
    pq.write_table(truth.set_column(0, "scan_id", changed["scan_id"]), copy / "truth" / "scans.parquet")
    generator = np.random.default_rng(1)
    leak = told(read_form(open_folder(copy), copy / "truth", generator), "all", generator, 0.01, 200)
    assert leak.found
    assert leak.area.low > 0.5
    assert any(name.startswith(named) for name in leak.telling)


def test_the_truth_of_another_world_is_refused(world, tmp_path):
    folder, truth = world
    pq.write_table(truth.slice(0, 100), tmp_path / "scans.parquet")
    with pytest.raises(DataError, match="found no truth of"):
        read_form(open_folder(folder), tmp_path, np.random.default_rng(1))
