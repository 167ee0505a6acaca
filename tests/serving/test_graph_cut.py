"""Graphs cut down to what some outputs need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper

from data.errors import DataError
from serving.attribution import OFFSETS, TABLE, Attribution
from serving.bundle import read, resolve
from serving.graph_cut import constants, cut
from serving.scorer import Scorer
from tests.serving.conftest import rows

if TYPE_CHECKING:
    from pathlib import Path

    from serving.bundle import Bundle


@pytest.fixture
def bundle(home: Path) -> Bundle:
    return read(resolve(home / "bundles", "coupon", "champion"))


def outputs(model: bytes, names: list[str]) -> list[np.ndarray]:
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    found: list[np.ndarray] = session.run(names, {"features": rows().astype(np.float64)})
    return found


@pytest.mark.parametrize("names", [["raw"], ["raw", "probability"], ["probability", "leaves"], ["leaves"]])
def test_what_is_kept_gives_the_same_bits(bundle: Bundle, names: list[str]) -> None:
    part = cut(bundle.model, names)

    onnx.checker.check_model(onnx.load_from_string(part))
    for whole, alone in zip(outputs(bundle.model, names), outputs(part, names), strict=True):
        assert np.array_equal(whole, alone)


def test_nothing_that_is_not_needed_is_left(bundle: Bundle) -> None:
    graph = onnx.load_from_string(cut(bundle.model, ["raw"])).graph

    assert [node.op_type for node in graph.node] == ["TreeEnsemble", "Reshape"]
    assert [value.name for value in graph.output] == ["raw"]
    assert [tensor.name for tensor in graph.initializer] == ["flat"]


def test_all_outputs_are_the_whole_graph(bundle: Bundle) -> None:
    whole = onnx.load_from_string(bundle.model)

    assert onnx.load_from_string(cut(bundle.model, [value.name for value in whole.graph.output])) == whole


def test_an_unknown_output_and_other_bytes_are_refused(bundle: Bundle) -> None:
    with pytest.raises(DataError, match="expected \\['worth'\\] among them"):
        cut(bundle.model, ["worth"])
    for content in (b"PK\x03\x04", bundle.model[:-1], b"\xff" * 20):
        with pytest.raises(DataError, match="no model"):
            cut(content, ["raw"])


def test_constants_lie_as_they_were_written(bundle: Bundle) -> None:
    written = {one.name: numpy_helper.to_array(one) for one in onnx.load_from_string(bundle.model).graph.initializer}

    found = constants(bundle.model, (TABLE, OFFSETS, "nothing"))

    assert found.keys() == {TABLE, OFFSETS}
    assert np.array_equal(np.frombuffer(found[TABLE]).reshape(written[TABLE].shape), written[TABLE])
    assert np.array_equal(np.frombuffer(found[OFFSETS], np.int64), written[OFFSETS])


def test_contributions_are_those_of_the_graph_but_for_the_order_of_the_sum(bundle: Bundle) -> None:
    (expected,) = outputs(bundle.model, ["contributions"])

    found = Scorer(bundle).contributions(rows())

    assert np.abs(found - expected).max() < 1e-12
    assert (found != 0).any()


def test_a_rows_contributions_do_not_depend_on_the_rows_beside_it(bundle: Bundle) -> None:
    scorer, features = Scorer(bundle), rows()

    whole = scorer.contributions(features)
    chances, explained = scorer.explained(features)

    assert np.array_equal(explained, whole)
    assert np.array_equal(chances, scorer.probability(features))
    for row in range(40):
        assert np.array_equal(scorer.contributions(features[row : row + 1])[0], whole[row])


def test_a_leaf_beyond_the_table_is_refused(bundle: Bundle) -> None:
    attribution = Attribution.of(bundle.model, 3)
    trees = len(attribution.offsets)

    for leaf in (-1, 10**9):
        leaves = np.zeros((2, trees), np.int64)
        leaves[1, -1 if leaf > 0 else 0] = leaf
        with pytest.raises(DataError, match="beyond its table"):
            attribution.contributions(leaves)


def test_a_table_of_another_shape_is_refused(bundle: Bundle) -> None:
    with pytest.raises(DataError, match="a table of every leaf"):
        Attribution.of(cut(bundle.model, ["raw"]), 3)
