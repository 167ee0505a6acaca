"""From a trained booster to a bundle that the service can trust, or to a refusal.

The graph is written, loaded by the serving scorer and held against the booster on the test rows and on rows made to
break it; only a graph without one wrong leaf and with raw scores equal to the bit becomes a bundle.
"""

from __future__ import annotations

import platform
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import version as installed
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from data.errors import DataError, GateRefused, UsageError
from features.wording import sentence, sentence_zh
from serving import bundle as folders
from serving.bundle import Bundle, read
from serving.effects import OfferValues, as_asked, head_scorer
from serving.manifest import FORMAT_VERSION, Criteria, Effects, Feature, Manifest, Parity
from serving.payoff import AN_ORDER, Prices
from serving.reason_codes import reason_code
from serving.scorer import Scorer
from serving.site_bundle import ForestProof, SiteBundle
from serving.sites import Candidates, SiteScorer
from serving.telemetry.reference import reference_of
from training.calibrate import Sigmoid
from training.latency import latency
from training.parity import Comparison, compare, edge_rows
from training.trees import forest_base, read_forest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import lightgbm as lgb
    from numpy.typing import NDArray

    from features.spec import FeatureSet
    from serving.holdout import Holdout
    from serving.payoff import Payoff
    from training.calibrate import Calibrator
    from training.trees import Forest

__all__ = ["UNPROVED", "Candidates", "OfferValues", "Scorer", "SiteScorer", "export", "export_sites"]

UNPROVED = Parity(0, 0, 0, 0.0, 0.0, 0.0)
"""Stands where a proof will."""

_LOG_ODDS = Sigmoid()
_SOFTWARE = ("shepherd", "lightgbm", "onnx", "onnxruntime", "numpy")
_MAX_PROBABILITY_DIFFERENCE = 1e-12
_MAX_CONTRIBUTION_GAP = 1e-9


def export(  # noqa: PLR0913 - a bundle is made of exactly these
    root: Path,
    *,
    task: str,
    version: str,
    booster: lgb.Booster,
    calibrator: Calibrator | None,
    features: FeatureSet,
    payoff: Payoff | None,
    rows: NDArray[np.float32],
    data_hash: str,
    metrics: Mapping[str, float],
    generator: np.random.Generator,
    prices: Prices | None = None,
    usual: NDArray[np.float64] | None = None,
    criteria: Criteria | None = None,
    holdout: Holdout | None = None,
    lists: str = "",
    effects: Effects | None = None,
    heads: Mapping[str, lgb.Booster] | None = None,
    champion: str = "",
    declaration: str = "",
    timed: bool = False,
    measured: Mapping[str, float] | None = None,
    created: datetime | None = None,
) -> Bundle:
    """Write `root/TASK/VERSION`, after proving that its graph is the booster; nothing is written without the proof.

    Args:
        root: Folder of all bundles.
        task: Name of the task.
        version: Name of the new version; an existing one is refused.
        booster: One score a row from numeric features; the mean of several comes from `training.ensemble`.
        calibrator: Fitted on raw scores of the booster; None of an order, whose score is no probability.
        features: The declarations behind the columns of `rows`, in their order.
        payoff: What each action is worth under each outcome; None of an order.
        rows: Features of the test rows, float32, shape (rows, features), NaN for unknown, at least one row.
        data_hash: Hash of the data that the model was trained on.
        metrics: Figures of the test set, to be read beside the model.
        generator: Source of the random choices in the rows of the proof.
        prices: What keeping the pay-off's cap costs; nothing if not given.
        usual: Median of each feature where the outcome did not come about, shape (features,), NaN for unknown; reasons
            name none if not given.
        criteria: What the figures have to show before the bundle becomes champion; nothing if not given.
        holdout: How many decisions a lot lets through whatever the score; no lot if not given.
        lists: The column that names a row's list, of an order; empty where rows are decided one by one.
        effects: What an offer changes, its heads still without proof; None where the model is of no offers.
        heads: The booster of each of its heads; proved as the model is, with the offer sent and withheld.
        champion: The version that the metrics compare it with; empty where there is none.
        declaration: Hash of all that the task declares; empty where it is not known.
        timed: Whether a row is timed for the gate of latency, in which no two exports are the same.
        measured: What an earlier export measured, noted instead of timing a row again.
        created: Instant to note in the manifest; now if not given.

    Returns:
        The bundle, read back from the disk.

    Raises:
        GateRefused: The graph and the booster differ anywhere, or the booster cannot be exported.
        DataError: Rows, features and booster do not have the same columns.
        UsageError: The version exists, its name cannot be a folder, or it is neither an order nor a decision.
    """
    _require_kind(calibrator, payoff, lists)
    booster = _predicting(booster)
    forest = read_forest(booster)
    _require_columns(forest, features, rows)
    model = _graph(forest, calibrator)
    unproved = Manifest(
        format_version=FORMAT_VERSION,
        task=task,
        version=version,
        features=_described(features, usual),
        feature_fingerprint=features.fingerprint(),
        payoff=payoff or AN_ORDER,
        prices=prices or Prices(),
        calibrator={"kind": type(calibrator).__name__.lower(), **asdict(calibrator)} if calibrator else {},
        score_base=forest_base(forest),
        versions={"python": platform.python_version(), **{name: installed(name) for name in _SOFTWARE}},
        data_hash=data_hash,
        created=(created or datetime.now(UTC)).astimezone(UTC).isoformat(),
        parity=UNPROVED,
        metrics=dict(metrics),
        files={},
        criteria=criteria or Criteria(),
        holdout=holdout,
        lists=lists,
        champion=champion,
        declaration=declaration,
    )
    scorer = Scorer(folders.make(root, unproved, model))
    parity = _prove(scorer, booster, calibrator, rows, edge_rows(forest, rows, generator))
    answer = scorer.raw if lists else scorer.probability
    proved = msgspec.structs.replace(
        unproved,
        parity=parity,
        reference=reference_of(rows, answer(rows)),
        metrics={**metrics, **(latency(answer, rows) if timed and measured is None else measured or {})},
    )
    whole = folders.make(root, proved, model)
    if effects is not None:
        whole = _with_heads(root, proved, model, effects, heads or {}, rows, generator)
        whole = _timed(whole, rows) if timed and measured is None else whole
    return read(folders.write(whole))


def _timed(bundle: Bundle, rows: NDArray[np.float32]) -> Bundle:
    """The bundle with the time that the whole value of an offer takes, which asks every head."""
    values = OfferValues(bundle)
    took = latency(lambda row: values.value(row).mean, rows)
    metrics = {**bundle.manifest.metrics, **took}
    return replace(bundle, manifest=msgspec.structs.replace(bundle.manifest, metrics=metrics))


def _with_heads(
    root: Path,
    manifest: Manifest,
    model: bytes,
    effects: Effects,
    boosters: Mapping[str, lgb.Booster],
    rows: NDArray[np.float32],
    generator: np.random.Generator,
) -> Bundle:
    """The bundle with the graph of every head, each proved to be its booster."""
    if set(boosters) != set(effects.heads):
        raise UsageError(
            f"Export of {manifest.task}: found the boosters {sorted(boosters)}, expected those of the heads "
            f"{sorted(effects.heads)}"
        )
    plain = {name: _predicting(booster) for name, booster in boosters.items()}
    forests = {name: read_forest(booster) for name, booster in plain.items()}
    graphs = {name: _graph(forest, _LOG_ODDS) for name, forest in forests.items()}
    known = {
        name: msgspec.structs.replace(head, score_base=forest_base(forests[name]))
        for name, head in effects.heads.items()
    }
    draft = msgspec.structs.replace(manifest, effects=msgspec.structs.replace(effects, heads=known))
    for name, head in known.items():
        scorer = head_scorer(folders.make(root, draft, model, graphs), name)
        asked = np.concatenate([as_asked(head, rows, sent=sent) for sent in (True, False)[: 1 + head.sees_arm]])
        parity = _prove(scorer, plain[name], _LOG_ODDS, asked, edge_rows(forests[name], asked, generator))
        known[name] = msgspec.structs.replace(head, parity=parity)
    whole = msgspec.structs.replace(manifest, effects=msgspec.structs.replace(effects, heads=known))
    return folders.make(root, whole, model, graphs)


def export_sites(  # noqa: PLR0913 - a bundle is made of exactly these
    root: Path,
    *,
    task: str,
    version: str,
    boosters: Mapping[str, lgb.Booster],
    site: SiteBundle,
    tables: Mapping[str, bytes],
    features: FeatureSet,
    usual: NDArray[np.float64],
    rows: NDArray[np.float32],
    said: NDArray[np.float64],
    held: NDArray[np.float64],
    data_hash: str,
    metrics: Mapping[str, float],
    generator: np.random.Generator,
    criteria: Criteria | None = None,
    champion: str = "",
    declaration: str = "",
    measured: Mapping[str, float] | None = None,
    created: datetime | None = None,
) -> Bundle:
    """Write a forecast of sites, after proving every forest to the bit and the whole forecast to 1e-12.

    Args:
        root: Folder of all bundles.
        task: Name of the task.
        version: Name of the new version.
        boosters: The forest of all stores under the task's name, then those without each fold.
        site: Everything else, its proofs still to be made.
        tables: Parquet files of the tables that answers rest on.
        features: The declarations behind the columns of `rows`.
        usual: Median of each feature over the stores.
        rows: Features of stores, float32, shape (stores, features).
        said: The logarithm of revenue that training forecasts for them, shape (stores,).
        held: The logarithm of what was forecast of them while they were held out, shape (stores,): how forecasts of
            places that nothing was learned from are spread, which live drift is measured against.
        data_hash: Hash of the data that the model was trained on.
        metrics: Figures of held-out folds, to be read beside the model.
        generator: Source of the random choices in the rows of the proof.
        criteria: What the figures have to show before the bundle becomes champion.
        champion: The version that the metrics compare it with; empty where there is none.
        declaration: Hash of all that the task declares; empty where it is not known.
        measured: What an earlier export measured, noted instead of timing a row again.
        created: Instant to note in the manifest; now if not given.

    Raises:
        GateRefused: A graph and its booster differ, or the service would forecast something else.
    """
    plain = {name: _predicting(one) for name, one in boosters.items()}
    forests = {name: read_forest(one) for name, one in plain.items()}
    graphs = {name: _graph(forest, _LOG_ODDS) for name, forest in forests.items()}
    proofs = {}
    unproved = Manifest(
        format_version=FORMAT_VERSION,
        task=task,
        version=version,
        features=_described(features, usual),
        feature_fingerprint=features.fingerprint(),
        payoff=AN_ORDER,
        prices=Prices(),
        calibrator={},
        score_base=0.0,
        versions={"python": platform.python_version(), **{name: installed(name) for name in _SOFTWARE}},
        data_hash=data_hash,
        created=(created or datetime.now(UTC)).astimezone(UTC).isoformat(),
        parity=UNPROVED,
        metrics=dict(metrics),
        files={},
        criteria=criteria or Criteria(),
        champion=champion,
        declaration=declaration,
    )
    for name, forest in forests.items():
        based = msgspec.structs.replace(unproved, score_base=forest_base(forest))
        scorer = Scorer(folders.make(root, based, graphs[name]))
        proofs[name] = _prove(scorer, plain[name], _LOG_ODDS, rows, edge_rows(forest, rows, generator))
    heads = {
        name: ForestProof(
            forest_base(forests[name]),
            proofs[name].rows,
            proofs[name].edge_rows,
            proofs[name].wrong_leaves,
            proofs[name].max_raw_difference,
        )
        for name in forests
        if name != task
    }
    judged = msgspec.structs.replace(site, heads=heads, tables=tuple(tables))
    whole = msgspec.structs.replace(unproved, parity=proofs[task], score_base=forest_base(forests[task]), site=judged)
    others = {name: graph for name, graph in graphs.items() if name != task}
    draft = folders.make(root, whole, graphs[task], others, tables)
    scorer_of_sites = SiteScorer(draft)
    apart = float(np.abs(scorer_of_sites.log_revenue(rows) - said).max())
    if not apart <= _MAX_PROBABILITY_DIFFERENCE:
        raise GateRefused(
            f"Export of {task}: found a difference of {apart} between the logarithms that the service and training "
            f"forecast, expected at most {_MAX_PROBABILITY_DIFFERENCE}. Nothing was written."
        )
    proved = msgspec.structs.replace(
        whole,
        site=msgspec.structs.replace(judged, parity=apart),
        reference=reference_of(rows, held),
        metrics={**metrics, **(latency(scorer_of_sites.log_revenue, rows) if measured is None else measured)},
    )
    return read(folders.write(folders.make(root, proved, graphs[task], others, tables)))


def _require_kind(calibrator: Calibrator | None, payoff: Payoff | None, lists: str) -> None:
    if not (bool(lists) == (calibrator is None) == (payoff is None)):
        raise UsageError(
            f"Export: found the calibrator {calibrator}, the pay-off {payoff} and the lists {lists!r}; expected a "
            "calibrator and a pay-off for rows that are decided one by one, or lists alone for an order, which is no "
            "probability"
        )


def _described(features: FeatureSet, usual: NDArray[np.float64] | None) -> tuple[Feature, ...]:
    medians = np.full(len(features), np.nan) if usual is None else usual
    return tuple(
        Feature(
            name=feature.name,
            unit=feature.unit,
            meaning=feature.meaning,
            null_rule=feature.null_rule,
            code=reason_code(feature.name),
            sentence=sentence(feature),
            sentence_zh=sentence_zh(feature) or "",
            usual=float(median) if np.isfinite(median) else None,
        )
        for feature, median in zip(features, medians, strict=True)
    )


def _require_columns(forest: Forest, features: FeatureSet, rows: NDArray[np.float32]) -> None:
    names = [feature.name for feature in features]
    problems = []
    if rows.dtype != np.float32 or rows.ndim != 2 or not len(rows):
        problems.append(f"found {rows.dtype} rows of shape {rows.shape}, expected float32 (rows, features), 1 or more")
    if rows.ndim == 2 and not rows.shape[1] == len(names) == len(forest.feature_names):
        problems.append(
            f"found {rows.shape[1]} columns in the rows, {len(names)} declared features and "
            f"{len(forest.feature_names)} features in the booster, expected the same number"
        )
    if not _unnamed(forest) and list(forest.feature_names) != names:
        problems.append(f"found the booster's features {list(forest.feature_names)}, expected {names} in this order")
    if problems:
        raise DataError("Export: " + "; ".join(problems) + ". Pass the matrix that the booster was trained on.")


def _predicting(booster: lgb.Booster) -> lgb.Booster:
    """The booster as `predict` uses it, up to the best iteration."""
    import lightgbm as lgb

    return lgb.Booster(model_str=booster.model_to_string())


def _graph(forest: Forest, calibrator: Calibrator | None) -> bytes:
    from training.graph import write_graph

    return write_graph(forest, calibrator)


def _unnamed(forest: Forest) -> bool:
    """Whether LightGBM made up the names, because it was given a bare matrix."""
    return all(name == f"Column_{number}" for number, name in enumerate(forest.feature_names))


def _prove(
    scorer: Scorer,
    booster: lgb.Booster,
    calibrator: Calibrator | None,
    rows: NDArray[np.float32],
    edges: NDArray[np.float32],
) -> Parity:
    base = scorer.manifest.score_base
    found = compare(scorer, base, booster, calibrator, rows) + compare(scorer, base, booster, calibrator, edges)
    problems = _differences(found)
    if problems:
        raise GateRefused(
            f"Export of {scorer.manifest.task}: the graph is not the model over {found.rows} rows: "
            + "; ".join(problems)
            + ". Nothing was written; this is a fault in the exporter or in onnxruntime, so keep the booster."
        )
    return Parity(
        rows=len(rows),
        edge_rows=len(edges),
        wrong_leaves=found.wrong_leaves,
        max_raw_difference=found.max_raw_difference,
        max_probability_difference=found.max_probability_difference,
        max_contribution_gap=found.max_contribution_gap,
    )


def _differences(found: Comparison) -> list[str]:
    limits = (
        ("wrong leaves", found.wrong_leaves, 0),
        ("rows whose score depends on the rows beside them", found.rows_changed_by_company, 0),
        ("difference of raw scores", found.max_raw_difference, 0),
        ("difference of probabilities", found.max_probability_difference, _MAX_PROBABILITY_DIFFERENCE),
        ("gap of contributions", found.max_contribution_gap, _MAX_CONTRIBUTION_GAP),
    )
    return [f"found {value} as {name}, expected at most {limit}" for name, value, limit in limits if value > limit]
