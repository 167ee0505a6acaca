"""The training table: whose labels are joined, in which order, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.errors import DataError, UsageError
from data.questions import Label, Linked, Rows
from data.sources import open_folder
from features.spec import FeatureSet, column
from training.dataset import build, examples
from training.split import NEVER
from training.unlabelled import Unlabelled

INSTANT = pa.timestamp("us", tz="UTC")
START = datetime(2025, 1, 1, tzinfo=UTC)
ROWS = Rows("visit", ("visits",), "SELECT visit_id AS row_id, ts AS as_of, * EXCLUDE (ts) FROM visits")
LABEL = Label("bought", ("truths",), "SELECT visit_id AS row_id, bought AS label, known_at AS closes_at FROM truths")


@pytest.fixture
def task(renewal):
    return replace(
        renewal,
        name="visit",
        rows=ROWS,
        label=LABEL,
        unit="shopper",
        split=replace(renewal.split, group="street"),
        slices=("kind",),
        features=FeatureSet(column("basket", "items", "Items in the basket")),
    )


def _visits(minutes, **columns):
    count = len(minutes)
    return pa.table(
        {
            "visit_id": [f"v{number}" for number in range(count)],
            "ts": pa.array([START + timedelta(minutes=minute) for minute in minutes], INSTANT),
            "shopper": [f"s{number % 3}" for number in range(count)],
            "street": [number % 2 for number in range(count)],
            "kind": ["walk-in"] * count,
            "basket": [float(number) for number in range(count)],
            **columns,
        }
    )


def _truths(ids, **columns):
    return pa.table(
        {
            "visit_id": list(ids),
            "bought": [int(identity[1:]) % 2 for identity in ids],
            "known_at": pa.array([START + timedelta(days=30)] * len(ids), INSTANT),
            **columns,
        }
    )


def _data(folder, **tables):
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet")
    return open_folder(folder)


def _examples(task, folder, **tables):
    data = _data(folder / "brand", **tables)
    return examples(task, data, build(task, data, folder / "features"))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    minutes=st.lists(st.integers(0, 5), min_size=1, max_size=12),
    labelled=st.sets(st.integers(0, 20), min_size=1),
    order=st.randoms(use_true_random=False),
)
def test_each_row_gets_its_own_label_in_the_order_of_moments(task, tmp_path_factory, minutes, labelled, order):
    labelled = {number for number in labelled if number < len(minutes)} | {0}
    ids = [f"v{number}" for number in [*labelled, 77]]  # a label of no row is nobody's
    order.shuffle(ids)

    table = _examples(task, tmp_path_factory.mktemp("join"), visits=_visits(minutes), truths=_truths(ids))

    expected = sorted((minutes[number], f"v{number}") for number in labelled)
    assert table.row_id.tolist() == [identity for _, identity in expected]
    assert table.as_of.tolist() == [
        int((START + timedelta(minutes=minute)).timestamp()) * 1_000_000 for minute, _ in expected
    ]
    numbers = [int(identity[1:]) for identity in table.row_id]
    assert table.label.tolist() == [number % 2 for number in numbers]
    assert table.matrix[:, 0].tolist() == numbers
    shoppers = [number % 3 for number in numbers]
    for one, other in zip(np.argsort(shoppers), np.argsort(table.unit), strict=True):
        assert (shoppers[one] == shoppers[other]) == (table.unit[one] == table.unit[other])


def test_values_come_as_they_are_served(task, tmp_path):
    baskets = pa.array([0.1, None, 3.0], pa.float64())

    table = _examples(task, tmp_path, visits=_visits([0, 1, 2], basket=baskets), truths=_truths(["v0", "v1", "v2"]))

    assert table.matrix.dtype == np.float32
    assert table.matrix[0, 0] == np.float32(0.1)
    assert math.isnan(table.matrix[1, 0])
    assert table.features == ("basket",)


def test_rows_may_carry_lists_and_the_names_that_a_label_has(task, tmp_path):
    crowded = _visits(
        [0, 1], label=["mine", "too"], closes_at=["never", "soon"], shepherd_position=[5, 4], goods=[["tea"], []]
    )

    table = _examples(task, tmp_path, visits=crowded, truths=_truths(["v0", "v1"]))

    assert table.label.tolist() == [0, 1]
    assert table.row_id.tolist() == ["v0", "v1"]


def test_integers_of_two_widths_are_one_key_and_texts_are_not(task, tmp_path):
    narrow = replace(task, rows=replace(ROWS, sql=ROWS.sql.replace("visit_id AS", "visit_id::INTEGER AS")))
    visits = _visits([0, 1]).set_column(0, "visit_id", pa.array([1, 2], pa.int64()))
    truths = _truths(["v1", "v2"]).set_column(0, "visit_id", pa.array([1, 2], pa.int64()))

    assert _examples(narrow, tmp_path / "wide", visits=visits, truths=truths).label.tolist() == [1, 0]
    with pytest.raises(DataError, match=r"found row_id of string, expected int32 as in visit; cast one of them"):
        _examples(narrow, tmp_path / "text", visits=visits, truths=_truths(["v1", "v2"]))


def test_a_slice_without_a_value_is_a_slice_of_its_own(task, tmp_path):
    kinds = pa.array(["walk-in", None])

    table = _examples(task, tmp_path, visits=_visits([0, 1], kind=kinds), truths=_truths(["v0", "v1"]))

    assert table.slices["kind"].tolist() == ["walk-in", "null"]


@pytest.mark.parametrize(("column_name", "values"), [("shopper", ["s", None]), ("street", [None, 1])])
def test_a_row_without_unit_or_group_is_refused(task, tmp_path, column_name, values):
    visits = _visits([0, 1], **{column_name: values})

    with pytest.raises(DataError, match=rf"rows of task 'visit' \(visit\): found null in {column_name} in 1 rows"):
        _examples(task, tmp_path, visits=visits, truths=_truths(["v0", "v1"]))


def test_repeated_rows_are_refused_before_anything_is_written(task, tmp_path):
    visits = pa.concat_tables([_visits([0, 1]), _visits([3])])

    with pytest.raises(DataError, match=r"found 3 rows, 1 of them with the row_id of another.*tables visits"):
        _examples(task, tmp_path, visits=visits, truths=_truths(["v0"]))

    assert list((tmp_path / "features").iterdir()) == []


def test_no_rows_are_refused(task, tmp_path):
    with pytest.raises(DataError, match="found 0 rows"):
        _examples(task, tmp_path, visits=_visits([0]).slice(0, 0), truths=_truths(["v0"]))


def test_repeated_labels_are_refused(task, tmp_path):
    with pytest.raises(DataError, match=r"label 'bought' of task 'visit': found 1 repeated row_ids"):
        _examples(task, tmp_path, visits=_visits([0, 1]), truths=_truths(["v0", "v1", "v0"]))


@pytest.mark.parametrize(
    ("bought", "found"),
    [([0, 2], "the values 0, 2"), ([0, None], "the values 0, None"), (["no", "yes"], "the values no, yes")],
)
def test_a_label_is_0_or_1(task, tmp_path, bought, found):
    with pytest.raises(DataError, match=f"{found} and 0 rows without closes_at; expected one label a row_id, 0 or 1"):
        _examples(task, tmp_path, visits=_visits([0, 1]), truths=_truths(["v0", "v1"], bought=bought))


def test_a_label_that_never_closes_is_refused(task, tmp_path):
    known = pa.array([START, None], INSTANT)

    with pytest.raises(DataError, match="and 1 rows without closes_at"):
        _examples(task, tmp_path, visits=_visits([0, 1]), truths=_truths(["v0", "v1"], known_at=known))


def test_labels_of_other_rows_alone_are_refused(task, tmp_path):
    with pytest.raises(DataError, match=r"no row of task 'visit' has a label: found 1 labels of other rows"):
        _examples(task, tmp_path, visits=_visits([0]), truths=_truths(["v9"]))


@pytest.mark.parametrize("where", ["rows", "label"])
def test_a_query_that_the_tables_cannot_answer_is_named(task, tmp_path, where):
    part = getattr(task, where)
    wrong = replace(task, **{where: replace(part, sql=part.sql.replace("visit_id", "visit"))})

    with pytest.raises(UsageError, match=rf"query of {part.name!r} of task 'visit' cannot be answered: .*visit"):
        _examples(wrong, tmp_path, visits=_visits([0]), truths=_truths(["v0"]))


def test_missing_tables_are_named_all_at_once(task, tmp_path):
    data = _data(tmp_path / "brand", weather=_visits([0]))

    with pytest.raises(DataError, match=r"task 'visit' needs tables .*: missing visits, truths; found weather"):
        build(task, data, tmp_path / "features")

    assert list((tmp_path / "features").iterdir()) == []


def test_columns_that_the_task_names_and_the_rows_lack_are_named_all_at_once(task, tmp_path):
    wrong = replace(task, unit="household", slices=("kind", "weather"), split=replace(task.split, group="town"))

    with pytest.raises(UsageError) as refusal:
        _examples(wrong, tmp_path, visits=_visits([0]), truths=_truths(["v0"]))

    assert "household (unit), town (split.group), weather (slices)" in str(refusal.value)
    assert "found row_id, as_of, visit_id, shopper, street, kind" in str(refusal.value)


def test_a_built_file_is_used_again_until_data_features_or_rows_change(task, tmp_path):
    data, folder = _data(tmp_path / "brand", visits=_visits([0, 1]), truths=_truths(["v0"])), tmp_path / "features"
    other_features = replace(task, features=FeatureSet(column("basket", "things", "Things in the basket")))
    other_rows = replace(task, rows=replace(ROWS, sql=f"{ROWS.sql} WHERE visit_id = 'v0'"))

    assert not build(task, data, folder).reused
    assert build(task, data, folder).reused
    assert not build(other_features, data, folder).reused
    assert not build(other_rows, data, folder).reused
    assert build(other_rows, data, folder).rows == 1
    assert not build(task, data, folder).reused
    other_data = _data(tmp_path / "brand", visits=_visits([0, 1, 2]))
    assert not build(task, other_data, folder).reused
    assert build(task, other_data, folder).rows == 3


def test_a_build_that_was_killed_before_its_stamp_is_not_trusted(task, tmp_path, monkeypatch):
    data, folder = _data(tmp_path / "brand", visits=_visits([0, 1]), truths=_truths(["v0"])), tmp_path / "features"
    build(task, data, folder)
    fewer = replace(task, rows=replace(ROWS, sql=f"{ROWS.sql} WHERE visit_id = 'v0'"))

    def killed(*_arguments, **_options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", killed)
        with pytest.raises(KeyboardInterrupt):
            build(fewer, data, folder)

    again = build(task, data, folder)
    assert (again.reused, again.rows) == (False, 2)


def test_a_task_that_learns_from_unlabelled_rows_keeps_them_and_knows_which_were_drawn_by_lot(task, tmp_path):
    truths = _truths(["v1", "v3"], looked_at=["audit", "review"])
    label = replace(LABEL, sql=LABEL.sql.replace(" FROM", ", looked_at = 'audit' AS by_lot FROM"))
    tables = {"visits": _visits(range(5)), "truths": truths}

    kept = _examples(replace(task, label=label, unlabelled=Unlabelled()), tmp_path / "kept", **tables)
    left = _examples(replace(task, label=label), tmp_path / "left", **tables)

    assert kept.row_id.tolist() == ["v0", "v1", "v2", "v3", "v4"]
    assert np.isnan(kept.label).tolist() == [True, False, True, False, True]
    assert (kept.closes_at == NEVER).tolist() == [True, False, True, False, True]
    assert kept.by_lot.tolist() == [False, True, False, False, False]
    assert (left.row_id.tolist(), left.by_lot.tolist()) == (["v1", "v3"], [True, False])


def test_a_label_that_says_nothing_of_lots_stands_for_all(task, tmp_path):
    table = _examples(task, tmp_path, visits=_visits(range(3)), truths=_truths(["v0", "v2"]))
    assert table.by_lot.tolist() == [True, True]


def test_rows_that_hang_together_are_one_unit_and_another_link_is_built_anew(task, tmp_path):
    linked = Linked("household", "shopper", (("cards", "card"),), most=2)
    asked = replace(task, rows=replace(ROWS, linked=linked), unit="household")
    cards = pa.table({"shopper": ["s0", "s1", "s2"], "card": ["a", "a", "b"]})
    data = _data(tmp_path / "brand", visits=_visits(range(6)), truths=_truths([f"v{n}" for n in range(6)]), cards=cards)
    folder = tmp_path / "features"

    unit = examples(asked, data, build(asked, data, folder)).unit
    assert unit[0] == unit[1] == unit[3] == unit[4]
    assert unit[2] == unit[5] != unit[0]
    assert build(asked, data, folder).reused
    narrower = replace(asked, rows=replace(ROWS, linked=replace(linked, most=1)))
    assert len(set(examples(narrower, data, build(narrower, data, folder)).unit)) == 3


def test_the_table_that_links_rows_is_named_where_it_is_missing(task, tmp_path):
    linked = Linked("household", "shopper", (("cards", "card"),), most=2)
    data = _data(tmp_path / "brand", visits=_visits([0]), truths=_truths(["v0"]))

    with pytest.raises(DataError, match="missing cards"):
        build(replace(task, rows=replace(ROWS, linked=linked)), data, tmp_path / "features")
