from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import lightgbm as lgb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.batch import FINGERPRINT_KEY
from features.spec import FeatureSet, column
from serving.bundle import point
from serving.payoff import Payoff
from serving.settings import Settings
from training.calibrate import Sigmoid
from training.export import export

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("member_redemption_count", "member_basket_since", "member_discount_share")
INSTANT = pa.timestamp("us", tz="UTC")


def declared() -> FeatureSet:
    return FeatureSet(
        column(NAMES[0], unit="redemptions", meaning="Redemptions of the member so far"),
        column(NAMES[1], unit="seconds", meaning="Time since the member's last basket"),
        column(NAMES[2], unit="share", meaning="Share of spend that was discounted"),
    )


def moment(month: int, day: int, hour: int = 0) -> datetime:
    return datetime(2017, month, day, hour, tzinfo=UTC)


def rows(count: int = 400) -> np.ndarray:
    generator = np.random.default_rng(3)
    features = np.column_stack(
        (generator.integers(0, 8, count), generator.integers(0, 90 * 86_400, count), generator.random(count))
    ).astype(np.float32)
    features[generator.random(features.shape) < 0.1] = np.nan
    return features


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a champion, the rows of three members and five campaigns."""
    folder = tmp_path_factory.mktemp("home")
    features = rows()
    label = (np.nan_to_num(features[:, 0]) + np.random.default_rng(4).normal(size=len(features)) > 4.5).astype(float)
    booster = lgb.train(
        {
            "objective": "binary",
            "num_leaves": 7,
            "min_data_in_leaf": 5,
            "monotone_constraints": [1, 0, 0],
            "learning_rate": 0.3,
            "verbose": -1,
            "num_threads": 1,
            "deterministic": True,
        },
        lgb.Dataset(features, label),
        20,
    )
    export(
        folder / "bundles",
        task="coupon",
        version="v1",
        booster=booster,
        calibrator=Sigmoid(),
        features=declared(),
        payoff=Payoff(("none", "send"), ("ignored", "redeemed"), ((0.0, 0.0), (-30.0, 300.0))),
        rows=features,
        data_hash="0" * 64,
        metrics={"auc": 0.9},
        generator=np.random.default_rng(5),
        created=moment(12, 1),
    )
    point(folder / "bundles", "coupon", "champion", "v1")
    pq.write_table(built(), folder / "coupon.parquet")
    pq.write_table(campaigns(), folder / "campaigns.parquet")
    return folder


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(
        bundles=home / "bundles", offers=home / "coupon.parquet", campaigns=home / "campaigns.parquet", task="coupon"
    )


def campaigns() -> pa.Table:
    return pa.table(
        {
            "campaign_id": ["17", "18", "20", "22", "9"],
            "starts_at": pa.array(
                [moment(10, 18), moment(10, 30), moment(11, 27), moment(12, 6), moment(4, 1)], INSTANT
            ),
            "ends_at": pa.array(
                [moment(11, 20), moment(12, 25), moment(12, 31), moment(12, 31), moment(5, 1)], INSTANT
            ),
            "budget_fen": [1, 2, 3, 4, 5],
        }
    )


def built() -> pa.Table:
    """What `build` writes: member 1029 in four campaigns (18 twice), member 7 in a past one, 8 without a chance."""
    known = np.array(
        [
            [5, 86_400, 0.2],
            [0, 60 * 86_400, 0.9],
            [3, 2 * 86_400, 0.1],
            [np.nan, np.nan, np.nan],
            [1, 86_400, 0.5],
            [0, 80 * 86_400, 0.99],
            [6, 3_600, 0.3],
        ],
        dtype=np.float32,
    )
    table = pa.table(
        {
            "row_id": ["1029-17", "1029-18", "1029-20", "1029-22", "7-9", "8-18", "1029-18-again"],
            "as_of": pa.array(
                [
                    moment(10, 18),
                    moment(10, 30),
                    moment(11, 27),
                    moment(12, 6),
                    moment(4, 1),
                    moment(10, 30),
                    moment(12, 9),
                ],
                INSTANT,
            ),
            "member_id": ["1029", "1029", "1029", "1029", "7", "8", "1029"],
            "offer_id": [f"booklet-{number}" for number in (17, 18, 20, 22, 9, 18, 18)],
            "campaign_id": ["17", "18", "20", "22", "9", "18", "18"],
        }
    )
    for name, values in zip(NAMES, known.T, strict=True):
        table = table.append_column(name, pa.array(values, pa.float32(), from_pandas=True))
    return table.replace_schema_metadata({FINGERPRINT_KEY: declared().fingerprint().encode()})
