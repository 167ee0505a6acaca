from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightgbm as lgb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import training.export
from data.errors import DataError, GateRefused, UsageError
from features.spec import FeatureSet, column
from serving.bundle import make, read
from serving.manifest import Feature, Manifest, Parity
from serving.payoff import Payoff, Prices
from serving.scorer import Scorer, Trace
from training.calibrate import Isotonic, Sigmoid, fit_isotonic, fit_sigmoid, fit_spline
from training.ensemble import average
from training.export import export
from training.graph import split_points, write_graph
from training.parity import compare, edge_rows, floor_float32
from training.trees import Forest, Tree, forest_base, node_values, read_forest, read_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from training.calibrate import Calibrator

QUIET = {"verbose": -1, "num_threads": 1, "deterministic": True, "force_row_wise": True}
PAYOFF = Payoff(("none", "send"), ("ignored", "redeemed"), ((0.0, 0.0), (-30.0, 300.0)))
COLUMNS = 5
PLAIN = Sigmoid()


def rows(count: int = 900, seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Features of several kinds: money, seconds, counts with ties, tiny values, and one known or not."""
    generator = np.random.default_rng(seed)
    features = np.column_stack(
        (
            generator.normal(size=count) * 1e6,
            generator.integers(0, 2**31, count),
            generator.poisson(1.0, count),
            generator.choice([-1e-35, -1e-36, 0.0, 1e-36, 1e-35, 1e-30, -1e-30], count),
            np.where(generator.random(count) < 0.5, np.nan, 1.0),
        )
    ).astype(np.float32)
    features[generator.random(features.shape) < 0.15] = np.nan
    score = features[:, 0] / 1e6 + features[:, 2] + 2 * np.isnan(features[:, 4]) + 1e30 * features[:, 3]
    return features, (np.nan_to_num(score) + generator.normal(size=count) > 1).astype(float)


def train(trees: int = 20, label: np.ndarray | None = None, **parameters: object) -> lgb.Booster:
    features, outcome = rows()
    chosen = {"objective": "binary", "num_leaves": 9, "min_data_in_leaf": 5, **QUIET, **parameters}
    return lgb.train(chosen, lgb.Dataset(features, outcome if label is None else label), trees)


def declared(names: tuple[str, ...] = tuple(f"fact_{number}" for number in range(COLUMNS))) -> FeatureSet:
    return FeatureSet(*(column(name, unit="fen", meaning=f"The fact {name}") for name in names))


def exported(root: Path, booster: lgb.Booster, calibrator: Calibrator = PLAIN, **changed: object) -> Scorer:
    arguments = {
        "task": "coupon",
        "version": "v1",
        "features": declared(),
        "payoff": PAYOFF,
        "rows": rows(seed=6)[0],
        "data_hash": "0" * 64,
        "metrics": {"auc": 0.8},
        "generator": np.random.default_rng(1),
    }
    return Scorer(export(root, booster=booster, calibrator=calibrator, **{**arguments, **changed}))


def opened(forest: Forest, calibrator: Calibrator = PLAIN) -> tuple[Scorer, float]:
    """A scorer for a forest, without the proof."""
    manifest = Manifest(
        format_version=2,
        task="coupon",
        version="v1",
        features=tuple(Feature(name, "fen", name, "never") for name in forest.feature_names),
        feature_fingerprint="f",
        payoff=PAYOFF,
        prices=Prices(),
        calibrator={"kind": "sigmoid"},
        score_base=forest_base(forest),
        versions={},
        data_hash="",
        created="",
        parity=Parity(0, 0, 0, 0.0, 0.0, 0.0),
        metrics={},
        files={},
    )
    return Scorer(make(Path(), manifest, write_graph(forest, calibrator))), forest_base(forest)


@pytest.mark.parametrize(
    "parameters",
    [
        {"objective": "binary"},
        {"objective": "regression", "lambda_l2": 50.0},
        {"objective": "quantile", "alpha": 0.9},
        {"objective": "binary", "use_missing": False},
        {"objective": "binary", "boosting": "dart"},
        {"objective": "binary", "monotone_constraints": [1, 0, 1, 0, 0], "extra_trees": True},
        {"objective": "binary", "num_leaves": 63, "min_data_in_leaf": 1, "min_sum_hessian_in_leaf": 0.0},
    ],
    ids=lambda parameters: "-".join(map(str, parameters.values())),
)
def test_the_graph_is_the_model_to_the_bit(tmp_path: Path, parameters: dict[str, object]) -> None:
    booster = train(**parameters)
    features, _ = rows(seed=8)

    scorer = exported(tmp_path, booster)

    assert scorer.manifest.parity.wrong_leaves == 0
    assert scorer.manifest.parity.max_raw_difference == 0.0
    assert scorer.manifest.parity.rows == 900
    assert scorer.manifest.parity.edge_rows > 1024
    assert np.array_equal(scorer.raw(features), booster.predict(features, raw_score=True))
    assert np.array_equal(scorer.leaves(features), booster.predict(features, pred_leaf=True))


def test_the_mean_of_many_boosters_is_exported_to_the_bit(tmp_path: Path) -> None:
    mean = average([train(trees=10, seed=seed, bagging_fraction=0.5, bagging_freq=1) for seed in range(8)])
    features, outcome = rows(seed=9)
    raw = mean.predict(features, raw_score=True)

    scorer = exported(tmp_path, mean, fit_isotonic(raw, outcome))

    assert np.array_equal(scorer.raw(features), raw)
    assert scorer.manifest.parity.wrong_leaves == 0


def test_one_row_scores_as_among_many(tmp_path: Path) -> None:
    features, _ = rows(seed=10)
    scorer = exported(tmp_path, train())

    together = scorer.trace(features)

    for row in range(40):
        alone = scorer.trace(features[row : row + 1])
        assert alone.raw[0] == together.raw[row]
        assert alone.probability[0] == together.probability[row]
    assert np.array_equal(scorer.contributions(features)[:40], scorer.contributions(features[:40]))


def test_trees_of_one_leaf_are_exported(tmp_path: Path) -> None:
    scorer = exported(tmp_path, train(trees=3, label=np.ones(900), objective="regression"))
    features, _ = rows()

    assert scorer.raw(features[:5]).tolist() == [1.0] * 5
    assert not scorer.contributions(features).any()


def test_mixed_with_grown_trees_those_of_one_leaf_keep_their_place(tmp_path: Path) -> None:
    stump = train(trees=2, min_data_in_leaf=5000)
    scorer = exported(tmp_path, average([stump, train()]))

    assert scorer.manifest.parity.wrong_leaves == 0


def test_only_the_best_iteration_is_exported(tmp_path: Path) -> None:
    booster = train()
    booster.best_iteration = 4

    scorer = exported(tmp_path, booster)

    features, _ = rows()
    assert scorer.leaves(features).shape == (900, 4)
    assert np.array_equal(scorer.raw(features), booster.predict(features, raw_score=True))


@pytest.mark.parametrize("fit", [fit_sigmoid, fit_isotonic, fit_spline])
def test_the_calibrator_in_the_graph_is_the_one_that_was_fitted(tmp_path: Path, fit: Callable[..., Calibrator]) -> None:
    booster, (features, outcome) = train(), rows(seed=11)
    calibrator = fit(booster.predict(features, raw_score=True), outcome)

    scorer = exported(tmp_path, booster, calibrator)

    assert np.abs(scorer.probability(features) - calibrator.apply(scorer.raw(features))).max() <= 1e-15
    assert scorer.manifest.calibrator["kind"] == type(calibrator).__name__.lower()


def test_a_steep_sigmoid_does_not_overflow(tmp_path: Path) -> None:
    probability = exported(tmp_path, train(), Sigmoid(1e6, 0.0)).probability(rows()[0])

    assert ((probability >= 0) & (probability <= 1)).all()
    assert {0.0, 1.0} <= set(probability.tolist())


def test_contributions_add_up_to_the_raw_score(tmp_path: Path) -> None:
    features, _ = rows(seed=12)
    scorer = exported(tmp_path, train())

    summed = scorer.manifest.score_base + scorer.contributions(features).sum(axis=1)

    assert np.abs(summed - scorer.raw(features)).max() < 1e-12


def test_the_base_is_the_mean_score_of_the_rows_that_were_learned_from() -> None:
    booster = train(trees=1)

    assert forest_base(read_forest(booster)) == pytest.approx(booster.predict(rows()[0], raw_score=True).mean())


def test_a_feature_that_no_tree_asks_contributes_nothing(tmp_path: Path) -> None:
    scorer = exported(tmp_path, train(interaction_constraints=[[0, 2]], feature_contri=[1, 0, 1, 0, 0]))

    contributions = scorer.contributions(rows()[0])

    assert contributions[:, 0].any()
    assert not contributions[:, [1, 3, 4]].any()


def test_many_rows_are_explained_in_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = exported(tmp_path, train())
    features, _ = rows()
    whole = scorer.contributions(features)
    monkeypatch.setattr("serving.scorer._CELLS", 1000)

    assert np.array_equal(scorer.contributions(features), whole)
    assert scorer.contributions(features[:0]).shape == (0, COLUMNS)


TINY = float(np.float32(1e-35))
THRESHOLDS = st.one_of(
    st.sampled_from([0.0, np.inf, TINY, -TINY, 1e-36, -1e-36, -1e-320, 1e300, 3.4028235e38, 3.5e38, -3.5e38, 0.1, 1.5]),
    st.floats(-2, 2),
    st.floats(allow_nan=False, allow_infinity=False),
)


@st.composite
def models(draw: st.DrawFn) -> str:
    """The text of a model with few trees of any shape, hostile thresholds and every way to treat unknown values."""
    trees = []
    for number in range(draw(st.integers(1, 4))):
        leaves = draw(st.integers(2, 6))
        left, right = [-1], [-2]
        for node in range(1, leaves - 1):
            leaf = draw(st.integers(0, node))
            for side in (left, right):
                if ~leaf in side:
                    side[side.index(~leaf)] = node
            left.append(~leaf)
            right.append(~(node + 1))
        node_count = leaves - 1

        def listed(strategy: st.SearchStrategy[Any], count: int) -> str:
            return " ".join(repr(value) for value in draw(st.lists(strategy, min_size=count, max_size=count)))

        trees.append(
            f"Tree={number}\nnum_leaves={leaves}\nnum_cat=0\n"
            f"split_feature={listed(st.integers(0, 2), node_count)}\n"
            f"split_gain={listed(st.just(1), node_count)}\n"
            f"threshold={listed(THRESHOLDS, node_count)}\n"
            f"decision_type={listed(st.sampled_from([0, 2, 8, 10]), node_count)}\n"
            f"left_child={' '.join(map(str, left))}\nright_child={' '.join(map(str, right))}\n"
            f"leaf_value={listed(st.floats(-3, 3), leaves)}\n"
            f"leaf_weight={listed(st.just(1), leaves)}\nleaf_count={listed(st.integers(0, 9), leaves)}\n"
            f"internal_value={listed(st.just(0), node_count)}\ninternal_weight={listed(st.just(0), node_count)}\n"
            f"internal_count={listed(st.just(1), node_count)}\nis_linear=0\nshrinkage=1\n\n\n"
        )
    return (
        "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=2\n"
        "objective=regression\nfeature_names=a b c\nfeature_infos=[0:1] [0:1] [0:1]\n\n"
        + "".join(trees)
        + "end of trees\n\nparameters:\nend of parameters\n"
    )


@settings(max_examples=60, deadline=None)
@given(text=models(), seed=st.integers(0, 2**32))
def test_any_model_is_exported_to_the_bit(text: str, seed: int) -> None:
    booster = lgb.Booster(model_str=text)
    forest = read_forest(booster)
    generator = np.random.default_rng(seed)
    scorer, base = opened(forest)

    edges = edge_rows(forest, generator.normal(size=(50, 3)).astype(np.float32), generator)
    found = compare(scorer, base, booster, Sigmoid(), edges)

    assert found.rows == len(edges)
    assert (found.wrong_leaves, found.max_raw_difference) == (0, 0.0)
    assert found.max_probability_difference <= 1e-15
    assert found.max_contribution_gap <= 1e-12


def mutated(change: Callable[[Tree], Tree]) -> Callable[[lgb.Booster], Forest]:
    def read_and_change(booster: lgb.Booster) -> Forest:
        forest = read_forest(booster)
        return replace(forest, trees=tuple(change(tree) for tree in forest.trees))

    return read_and_change


def nearest_float32(tree: Tree) -> Tree:
    return replace(tree, threshold=tree.threshold.astype(np.float32).astype(np.float64))


def literal_infinity(tree: Tree) -> Tree:
    return replace(tree, threshold=np.where(np.isinf(tree.threshold), 1e300, tree.threshold))


def missing_flipped(tree: Tree) -> Tree:
    return replace(tree, missing_left=~tree.missing_left)


def one_missing_flipped(tree: Tree) -> Tree:
    return replace(tree, missing_left=tree.missing_left ^ (np.arange(tree.missing_left.size) == 0))


def next_threshold(tree: Tree) -> Tree:
    return replace(tree, threshold=np.nextafter(tree.threshold.astype(np.float32), np.float32(np.inf)).astype(float))


def last_bit_of_a_leaf(tree: Tree) -> Tree:
    return replace(tree, leaf_value=np.nextafter(tree.leaf_value, np.inf))


@pytest.mark.parametrize(
    "change",
    [nearest_float32, literal_infinity, missing_flipped, one_missing_flipped, next_threshold, last_bit_of_a_leaf],
)
def test_the_proof_fails_where_the_care_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Tree], Tree]
) -> None:
    booster = train(trees=40)
    assert any(np.isinf(tree.threshold).any() for tree in read_forest(booster).trees)
    monkeypatch.setattr(training.export, "read_forest", mutated(change))

    with pytest.raises(GateRefused, match=r"the graph is not the model.*expected at most 0"):
        exported(tmp_path, booster)

    assert not list(tmp_path.rglob("*.onnx"))


def test_the_proof_fails_where_tiny_values_are_not_read_as_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    stump = train(trees=1, num_leaves=2).model_to_string()
    booster = lgb.Booster(model_str=re.sub("threshold=.*", "threshold=-1e-36", stump))
    forest = read_forest(booster)
    edges = edge_rows(forest, rows()[0], np.random.default_rng(2))

    assert compare(*opened(forest), booster, Sigmoid(), edges).wrong_leaves == 0
    monkeypatch.setattr("training.graph.split_points", lambda threshold: threshold)
    assert compare(*opened(forest), booster, Sigmoid(), edges).wrong_leaves > 0


def test_a_wrong_calibrator_in_the_graph_is_caught() -> None:
    booster = train()
    scorer, base = opened(read_forest(booster), Isotonic((-1.0, 1.0), (0.1, 0.9)))

    found = compare(scorer, base, booster, Isotonic((-1.0, 1.0), (0.1, 0.8)), rows()[0])

    assert found.max_probability_difference > 0.05


def test_a_score_that_depends_on_its_neighbours_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = Scorer.trace

    def shaken(self: Scorer, features: np.ndarray) -> Trace:
        found = trace(self, features)
        return found if len(features) == 1 else found._replace(probability=np.nextafter(found.probability, 2))

    monkeypatch.setattr(Scorer, "trace", shaken)

    with pytest.raises(GateRefused, match="rows whose score depends on the rows beside them"):
        exported(tmp_path, train())


def test_a_score_that_is_no_number_counts_as_infinitely_far() -> None:
    booster = train()
    forest = read_forest(booster)
    broken = replace(forest.trees[0], leaf_value=np.full_like(forest.trees[0].leaf_value, np.nan))
    scorer, base = opened(replace(forest, trees=(broken, *forest.trees[1:])))

    assert compare(scorer, base, booster, Sigmoid(), rows()[0]).max_raw_difference == np.inf


def test_edge_rows_hold_every_threshold_and_its_neighbours() -> None:
    forest = read_forest(train(trees=30))

    edges = edge_rows(forest, rows()[0], np.random.default_rng(3))

    assert edges.dtype == np.float32
    for feature in range(COLUMNS):
        found = set(edges[:, feature].tolist())
        for tree in forest.trees:
            below = floor_float32(tree.threshold[tree.feature == feature])
            up, down = np.nextafter(below, np.float32(np.inf)), np.nextafter(below, np.float32(-np.inf))
            assert set(np.concatenate((below, up, down)).tolist()) <= found


@given(st.floats(allow_nan=False), st.floats(width=32, allow_nan=False))
def test_a_float32_is_below_a_threshold_just_when_it_is_below_its_floor(threshold: float, value: float) -> None:
    floor = float(floor_float32(np.array([threshold]))[0])

    assert floor <= threshold
    assert (value <= threshold) == (value <= floor)


@given(st.floats(allow_nan=False), st.floats(width=32, allow_nan=False))
def test_a_split_point_sends_a_value_where_zeroing_it_first_would(threshold: float, value: float) -> None:
    as_read = 0.0 if abs(value) <= TINY else value

    assert (value <= split_points(np.array([threshold]))[0]) == (as_read <= threshold)


def test_a_node_is_worth_the_mean_of_its_rows() -> None:
    tree = Tree(
        feature=np.array([0, 1]),
        threshold=np.array([0.0, 0.0]),
        missing_left=np.array([True, True]),
        left=np.array([1, ~0]),
        right=np.array([~1, ~2]),
        leaf_value=np.array([4.0, 1.0, 8.0]),
        leaf_rows=np.array([10, 20, 30]),
    )

    assert node_values(tree).tolist() == [(40 + 20 + 240) / 60, 280 / 40]


UNSAYABLE = [
    ({"zero_as_missing": True}, "zero taken as missing in 5 trees"),
    ({"linear_tree": True, "objective": "regression"}, "linear leaves in"),
    ({"categorical_feature": [2]}, "categorical splits in"),
    ({"boosting": "rf", "bagging_fraction": 0.5, "bagging_freq": 1}, "averaged output"),
    ({"objective": "multiclass", "num_class": 3}, "found 3 classes"),
    ({"boosting": "rf", "bagging_fraction": 0.5, "bagging_freq": 1, "zero_as_missing": True}, "averaged.*\n.*zero"),
]


@pytest.mark.parametrize(("parameters", "message"), UNSAYABLE, ids=[message for _, message in UNSAYABLE])
def test_what_a_graph_cannot_say_is_refused(tmp_path: Path, parameters: dict[str, Any], message: str) -> None:
    features, outcome = rows()
    categories = parameters.pop("categorical_feature", "auto")
    if categories != "auto":
        features = np.abs(np.nan_to_num(features))
    parameters = {"objective": "binary", "max_cat_to_onehot": 1, "min_data_per_group": 1, **QUIET, **parameters}
    booster = lgb.train(parameters, lgb.Dataset(features, outcome, categorical_feature=categories), 5)

    with pytest.raises(GateRefused, match=message):
        exported(tmp_path, booster)

    assert not list(tmp_path.iterdir())


def test_columns_that_do_not_fit_are_refused_all_at_once(tmp_path: Path) -> None:
    features, outcome = rows()
    data = lgb.Dataset(features, outcome, feature_name=["e", "d", "c", "b", "a"])
    booster = lgb.train({"objective": "binary", **QUIET}, data, 2)

    with pytest.raises(DataError) as refused:
        exported(tmp_path, booster, features=declared(("a", "b", "c", "d")), rows=features.astype(np.float64))

    message = str(refused.value)
    assert "float64 rows" in message
    assert "5 columns in the rows, 4 declared features and 5 features in the booster" in message
    assert "['e', 'd', 'c', 'b', 'a'], expected ['a', 'b', 'c', 'd']" in message


def test_the_bundle_says_what_it_is(tmp_path: Path) -> None:
    exported(tmp_path, train(), created=datetime(2026, 1, 2, tzinfo=UTC))

    manifest = json.loads((tmp_path / "coupon" / "v1" / "manifest.json").read_text())

    assert manifest["features"][0] == {
        "name": "fact_0",
        "unit": "fen",
        "meaning": declared()["fact_0"].meaning,
        "null_rule": declared()["fact_0"].null_rule,
        "code": "OTHER",
        "sentence": "The fact fact_0: {value}",
        "sentence_zh": "",
        "usual": None,
    }
    assert manifest["feature_fingerprint"] == declared().fingerprint()
    assert manifest["calibrator"] == {"kind": "sigmoid", "slope": 1.0, "intercept": 0.0}
    assert manifest["created"] == "2026-01-02T00:00:00+00:00"
    assert set(manifest["versions"]) == {"python", "shepherd", "lightgbm", "onnx", "onnxruntime", "numpy"}
    assert manifest["metrics"] == {"auc": 0.8}
    assert sorted(path.name for path in (tmp_path / "coupon" / "v1").iterdir()) == ["manifest.json", "model.onnx"]


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    for place in ("one", "two"):
        exported(tmp_path / place, train(), created=datetime(2026, 1, 2, tzinfo=UTC))

    for name in ("manifest.json", "model.onnx"):
        one, two = ((tmp_path / place / "coupon" / "v1" / name).read_bytes() for place in ("one", "two"))
        assert one == two


def test_a_version_is_written_once(tmp_path: Path) -> None:
    exported(tmp_path, train())

    with pytest.raises(UsageError, match="a version never changes"):
        exported(tmp_path, train())

    assert read(tmp_path / "coupon" / "v1").manifest.parity.wrong_leaves == 0


def test_infinite_thresholds_are_read_as_such() -> None:
    text = read_text(train(trees=40))

    assert any("inf" in tree for tree in text.trees)
    assert any(np.isinf(tree.threshold).any() for tree in read_forest(train(trees=40)).trees)
