"""A feature is added in one place: a declaration, written into a copy of the code, is followed to the live scorer."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.errors import DataError
from features.kernel import order_by_key
from features.rfm import RFM
from serving.bundle import read, resolve
from serving.scorer import Scorer
from training.tracking.stores import Store, client

ROOT = Path(__file__).parents[2]
NAME, MEANING = "member_distinct_store_90d", "Different stores visited in the last 90 days"
DECLARED = f'distinct(LINES, "store_id", by="member_id", over=days(90), meaning="{MEANING}")'
BEFORE = "RFM = FeatureSet(\n"
AFTER = f"from features.spec import distinct\n{BEFORE}    {DECLARED},\n"

TASK = """
from dataclasses import replace
from datetime import timedelta
from features.rfm import RFM
from training.learner import Binary
from training.split import Temporal
from training.tasks.coupon import TASK
SPLIT = Temporal(test=timedelta(days=45), group="campaign_id", folds=1)
LEARNER = Binary({"num_iterations": 8, "num_leaves": 4, "min_data_in_leaf": 5}, bags=1)
TASK = replace(TASK, name="stroller", features=RFM, split=SPLIT, learner=LEARNER, baselines=(), slices=())
"""
FOLLOW = """
import sys
from pathlib import Path
import numpy as np, pyarrow.parquet as pq
import features, serving
from features.dictionary import features_page
from features.online import LiveState
from features.rfm import RFM
from serving.bundle import read, resolve
from serving.scorer import Scorer
assert all(Path.cwd() in Path(one.__file__).parents for one in (features, serving))
brand, home, name = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
rows = pq.read_table(home / "features" / "stroller.parquet", columns=["as_of", "member_id"]).to_pylist()
kinds = {one["product_id"]: one["category"] for one in pq.read_table(brand / "products.parquet").to_pylist()}
lines = pq.read_table(brand / "orders.parquet").to_pylist()
lines = [{**one, "seen_at": one["received_at"] or one["ts"], "category": kinds[one["product_id"]]} for one in lines]
steps = [(one["seen_at"], False, place) for place, one in enumerate(lines)]
steps += [(one["as_of"], True, place) for place, one in enumerate(rows)]
state, live = LiveState(RFM), np.empty((len(rows), len(RFM)), np.float32)
for _, asks, place in sorted(steps):  # of one instant, purchases before questions: the harder order
    if asks:
        live[place] = state.read(rows[place])
    else:
        state.append("orders", lines[place])
        state.append("baskets", lines[place])  # every line is a basket of its own
scorer = Scorer(read(resolve(home / "bundles", "stroller", "challenger")))
scorer.check_fingerprint(RFM.fingerprint())
homebody = live.copy()
homebody[:, state.names.index(name)] = 1
np.savez("followed", live=live, scores=scorer.probability(live), as_homebody=scorer.probability(homebody))
print(features_page())
"""

START = datetime(2024, 1, 1, tzinfo=UTC)
CAMPAIGNS = [START + timedelta(days=100 + 20 * number) for number in range(10)]
ASKED = CAMPAIGNS[-1]
BY_HAND = (  # when, store, when learned of
    (ASKED - timedelta(days=90, microseconds=1), "west", None),  # just before the window
    (ASKED - timedelta(days=90), "north", None),  # its first instant: counts
    (ASKED - timedelta(days=30), "south", None),  # counts
    (ASKED - timedelta(days=5), None, None),  # no store
    (ASKED - timedelta(days=1), "harbour", ASKED + timedelta(hours=1)),  # not known yet
    (ASKED - timedelta(microseconds=1), "south", None),  # for the second time
    (ASKED, "east", None),  # the instant itself
)


def _write_brand(folder):
    """Members who shop some thirty times at one to four stores; from three stores on they mostly redeem."""
    draw = np.random.default_rng(5)
    stores = {f"member-{number}": 1 + number % 4 for number in range(40)}
    bought = [
        (member, START + timedelta(hours=int(hour)), f"store-{draw.integers(count)}", None)
        for member, count in stores.items()
        for hour in draw.integers(300 * 24, size=30)
    ] + [("ann", *purchase) for purchase in BY_HAND]
    sends = [(f"{member}-{place}", at, member, f"{place}") for place, at in enumerate(CAMPAIGNS) for member in stores]
    redeemed = [(send, at) for send, at, member, _ in sends if (stores[member] > 2) != (draw.random() < 0.1)]
    sends += [("by-hand", ASKED, "ann", f"{len(CAMPAIGNS) - 1}")]
    bill = "quantity amount_fen discount_fen coupon_discount_fen"
    tables = {
        "members": ("member_id registered_at", [(member, START) for member in (*stores, "ann")]),
        "products": ("product_id category brand", [(one, one, "own") for one in ("tea", "rice")]),
        "orders": (
            f"line_id order_id member_id ts store_id received_at product_id {bill}",
            [(f"{n}", f"{n}", *one, ("tea", "rice")[n % 2], 1, 100 + n, 20, 0) for n, one in enumerate(bought)],
        ),
        "campaigns": (
            "campaign_id starts_at ends_at time_zone",
            [(f"{place}", at, at + timedelta(days=15), "UTC") for place, at in enumerate(CAMPAIGNS)],
        ),
        "offers": ("offer_id kind starts_at ends_at", [("cup", "gift", START, ASKED + timedelta(days=15))]),
        "sends": ("send_id ts member_id campaign_id offer_id arm", [(*send, "cup", "treated") for send in sends]),
        "redemptions": ("send_id ts", [(send, at + timedelta(days=1)) for send, at in redeemed]),
    }
    folder.mkdir()
    for name, (columns, rows) in tables.items():
        table = pa.table(dict(zip(columns.split(), map(list, zip(*rows, strict=True)), strict=True)))
        pq.write_table(table, folder / f"{name}.parquet")
    return folder


def _python(copy, *words):
    """What a fresh interpreter in the copy prints; the copy's packages come before those that are installed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PYTHON"))}
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, *map(str, words)], cwd=copy, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _lend_machine_code(copy):
    """Twenty seconds less: the engine's sources are the same, and no machine code is made from declarations."""
    asked = "from features.kernel import order_by_key; print(order_by_key.stats.cache_path)"
    own, its = Path(order_by_key.stats.cache_path), Path(_python(copy, "-c", asked).strip())
    if own.exists() and own.parent.name == its.parent.name:
        shutil.copytree(own, its, ignore=shutil.ignore_patterns("*.tmp.*"), dirs_exist_ok=True)


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """What the declaration came to, everywhere; nothing but features/rfm.py of the copy was edited."""
    folder = tmp_path_factory.mktemp("one_place")
    copy, brand, home, task = folder / "copy", _write_brand(folder / "brand"), folder / "home", folder / "stroller.py"
    for name in ("data", "features", "serving", "training"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "shepherd.py", copy)
    task.write_text(TASK)
    place = copy / "features" / "rfm.py"
    assert place.read_text(encoding="utf-8").count(BEFORE) == 1
    place.write_text(place.read_text(encoding="utf-8").replace(BEFORE, AFTER), encoding="utf-8")
    _lend_machine_code(copy)
    words = ("--task", task, "--data", brand, "--home", home, "--trials", 1, "--json")
    trained = json.loads(_python(copy, "-m", "shepherd", "train", *words))
    page = _python(copy, "-W", "error", "-c", FOLLOW, brand, home, NAME)
    table = pq.read_table(home / "features" / "stroller.parquet")
    return SimpleNamespace(home=home, trained=trained, page=page, table=table, **np.load(copy / "followed.npz"))


def test_the_feature_is_new_and_written_as_the_guide_says():
    assert NAME not in RFM.names
    assert DECLARED in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_dictionary_has_its_row(followed):
    (row,) = [line for line in followed.page.splitlines() if line.startswith(f"| `{NAME}` |")]
    rule = "0 without such events; null for a null key"
    assert f"{len(RFM) + 1} features of `RFM`." in followed.page
    assert row == f"| `{NAME}` | member | 90d | store values | {rule} | {MEANING} |"


def test_the_training_table_has_its_values(followed):
    values = dict(zip(followed.table["row_id"].to_pylist(), followed.table[NAME].to_pylist(), strict=True))
    assert values["by-hand"] == 2.0
    assert set(values.values()) == {1.0, 2.0, 3.0, 4.0}


def test_the_gate_replayed_it_and_the_run_names_it(followed, tmp_path):
    seen = client(Store(f"sqlite:///{followed.home / 'mlflow.db'}", None))
    figures = seen.get_run(followed.trained["run_id"]).data.metrics
    assert figures["replay/mismatches"] == 0
    assert figures["replay/values"] >= 150 * (len(RFM) + 1)
    assert figures["replay/values"] % (len(RFM) + 1) == 0
    named = json.loads(Path(seen.download_artifacts(followed.trained["run_id"], "features.json", tmp_path)).read_text())
    assert named[NAME]["meaning"] == MEANING


def test_the_bundle_lists_it_and_takes_no_rows_without_it(followed):
    bundle = read(resolve(followed.home / "bundles", "stroller", "challenger"))
    assert bundle.manifest.version == followed.trained["version"]
    assert bundle.manifest.feature_names == (NAME, *RFM.names)
    with pytest.raises(DataError, match="found features with fingerprint"):
        Scorer(bundle).check_fingerprint(RFM.fingerprint())


def test_the_live_state_answers_it_as_the_table_does(followed):
    table = np.column_stack([followed.table[name].to_numpy() for name in (NAME, *RFM.names)])
    np.testing.assert_array_equal(followed.live, table)


def test_the_live_scorer_scores_by_it(followed):
    strollers = followed.live[:, 0] > 2
    assert followed.scores[strollers].mean() > 2 * followed.scores[~strollers].mean()
    assert (followed.as_homebody[strollers] < followed.scores[strollers]).all()
