"""A task whose actions hang on what is at stake, under a cap: fitted, exported and asked as it is live."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.errors import DataError, UsageError
from data.sources import open_folder
from features.spec import FeatureSet, column
from serving.rows import answer_rows
from serving.scorer import Scorer
from training.dataset import build, examples
from training.payoff import Cap, Payoff, chosen_actions
from training.pipeline import fit
from training.release import release

PAYOFF = Payoff(
    ("wait", "call", "visit"),
    ("stays", "lapses"),
    ((0.0, 0.0), (-500.0, -500.0), (-3_000.0, -3_000.0)),
    value_of_stake=((0.0, -1.0), (0.0, -0.5), (0.0, -0.1)),
    stake="fee_fen",
    cap=Cap(("visit",), "stays", 0.01, "region", {"north": 0.05}),
)


@pytest.fixture
def staked(contracts):
    """The contracts with what each is worth, and where."""
    table = pq.read_table(contracts / "contracts.parquet")
    generator = np.random.default_rng(8)
    table = table.append_column("fee_fen", pa.array(generator.integers(500, 20_000, table.num_rows)))
    table = table.append_column("region", pa.array(generator.choice(["north", "south"], table.num_rows)))
    pq.write_table(table, contracts / "contracts.parquet")
    return contracts


def test_what_is_fitted_is_exported_and_answered_alike(staked, renewal, tmp_path):
    task = replace(renewal, payoff=PAYOFF)

    fitted = fit(task, open_folder(staked), home=tmp_path / "home", trials=1)
    bundle = release(fitted, tmp_path / "released").bundle

    model, said = fitted.model, fitted.predictions
    assert bundle.manifest.prices == model.prices
    assert 0 < model.prices.by_group["north"] < model.prices.default
    assert [feature.usual for feature in bundle.manifest.features] == model.usual.tolist()
    rates = fitted.record.rates
    assert rates["harmed_of_stays"].low < 0.05
    assert rates["harmed_of_stays"].value == rates["visit_of_stays"].value
    assert rates["harmed_of_stays/north"].value > rates["harmed_of_stays"].value

    lines = [
        json.dumps(
            {
                **{
                    name: None if math.isnan(value) else value
                    for name, value in zip(task.features.names, row.tolist(), strict=True)
                },
                **said.stakes.of_row(PAYOFF, number),
            }
        )
        for number, row in enumerate(said.matrix)
    ]
    answers = [json.loads(line) for line in answer_rows(Scorer(bundle), "\n".join(lines).encode()).splitlines()]
    action = chosen_actions(PAYOFF, said.probability, said.stakes, model.prices)
    assert [answer["action"] for answer in answers] == [PAYOFF.actions[number] for number in action]
    assert len({answer["action"] for answer in answers}) == 3


def _examples(task, folder, home):
    data_set = open_folder(folder)
    return examples(task, data_set, build(task, data_set, home))


def test_a_stake_that_the_rows_have_not_is_named(contracts, renewal, tmp_path):
    with pytest.raises(UsageError, match=r"fee_fen \(payoff.stake\), region \(payoff.cap.group\)"):
        _examples(replace(renewal, payoff=PAYOFF), contracts, tmp_path)


def test_a_row_without_a_stake_is_refused(staked, renewal, tmp_path):
    table = pq.read_table(staked / "contracts.parquet")
    missing = pa.array([None, *table["fee_fen"].to_pylist()[1:]], pa.int64())
    pq.write_table(
        table.set_column(table.column_names.index("fee_fen"), "fee_fen", missing), staked / "contracts.parquet"
    )

    with pytest.raises(DataError, match="found null in fee_fen in 1 rows"):
        _examples(replace(renewal, payoff=PAYOFF), staked, tmp_path)


def test_a_stake_may_be_a_feature_too(staked, renewal, tmp_path):
    features = FeatureSet(renewal.features, column("fee_fen", "fen", "What the contract is worth"))

    table = _examples(replace(renewal, payoff=PAYOFF, features=features), staked, tmp_path)

    assert table.stakes.fen.tolist() == table.matrix[:, 2].tolist()
    assert set(table.stakes.group) == {"north", "south"}
