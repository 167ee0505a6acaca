"""Runs the model of a bundle: features in; score, probability, leaves and contributions out.

One thread, in the caller's thread: a row takes some ten microseconds, less than handing it over, and a sum in tree
order gives the same bits every time.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import onnxruntime as ort
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    NotImplemented,  # noqa: A004 - onnxruntime's name for a missing operator
    RuntimeException,
)

from data.errors import DataError, UsageError
from serving.attribution import Attribution
from serving.decisions import RowDecider
from serving.graph_cut import cut

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serving.bundle import Bundle

OUTPUTS: Final = ("raw", "probability", "leaves", "contributions")
ORDER_OUTPUTS: Final = ("raw", "leaves", "contributions")
_LOAD_ERRORS: Final = (Fail, InvalidArgument, InvalidGraph, InvalidProtobuf, NotImplemented, RuntimeException)
_CELLS: Final = 1 << 22  # numbers that a run may hold between leaves and contributions: 32 MiB


class Trace(NamedTuple):
    """How some rows were scored.

    Attributes:
        raw: Raw scores, shape (rows,).
        probability: Calibrated probabilities, shape (rows,); (0,) of an order, which has none.
        leaves: Leaf index in every tree, int64, shape (rows, trees).
    """

    raw: NDArray[np.float64]
    probability: NDArray[np.float64]
    leaves: NDArray[np.int64]


class Scorer:
    """The model of one bundle, ready to score.

    Every method takes the features in the bundle's order as float32, shape (rows, features), NaN for unknown. A row's
    result does not depend on the rows beside it.

    Raises:
        DataError: The model cannot be loaded, or is not of the shape that the manifest says.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.manifest = bundle.manifest
        self._trees = _require_shape(_open(bundle, bundle.model), bundle)
        # A graph is computed whole, whatever is asked of it, so each question gets a part of it that asks no more.
        scores = ("raw",) if bundle.manifest.lists else ("raw", "probability")
        self._quick = _open(bundle, cut(bundle.model, scores))
        self._session = _open(bundle, cut(bundle.model, (*scores, "leaves")))
        self._attribution = Attribution.of(bundle.model, len(bundle.manifest.features))

    @cached_property
    def decider(self) -> RowDecider:
        """What decides by the bundle's pay-off; for models of two outcomes."""
        return RowDecider(self.manifest.payoff)

    def check_fingerprint(self, fingerprint: str) -> None:
        """Refuse features that were computed by other declarations than the model was trained on.

        Raises:
            DataError: The fingerprints differ.
        """
        if fingerprint != self.manifest.feature_fingerprint:
            raise DataError(
                f"Bundle {self.manifest.task}/{self.manifest.version}: found features with fingerprint {fingerprint}, "
                f"expected {self.manifest.feature_fingerprint}; build the features with the declarations that the "
                "model was trained on, or train it again."
            )

    def raw(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Raw score of each row, shape (rows,)."""
        raw: NDArray[np.float64] = self._run(("raw",), features)[0]
        return raw

    def probability(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Calibrated probability of each row, shape (rows,).

        Raises:
            UsageError: The model puts rows in order, and its score is no probability.
        """
        if self.manifest.lists:
            raise UsageError(
                f"Bundle {self.manifest.task}/{self.manifest.version}: found an order of the rows of one "
                f"{self.manifest.lists}, expected a model of chances; ask for its raw score and show places"
            )
        probability: NDArray[np.float64] = self._run(("probability",), features)[0]
        return probability

    def leaves(self, features: NDArray[np.float32]) -> NDArray[np.int64]:
        """Leaf index of each row in each tree, shape (rows, trees)."""
        leaves: NDArray[np.int64] = self._run(("leaves",), features)[0]
        return leaves

    def trace(self, features: NDArray[np.float32]) -> Trace:
        """Score, probability and leaves, from where each is served: what the proof at export compares."""
        leaves = self.leaves(features)
        if self.manifest.lists:
            return Trace(self.raw(features), np.empty(0), leaves)
        raw, probability = self._run(("raw", "probability"), features)
        return Trace(raw, probability, leaves)

    def contributions(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Path attributions: what each feature adds to `score_base` on the way to the raw score, shape as `features`.

        They credit the feature that each tree asks at each step with the change of the mean score; they are not SHAP
        values, and lean to what is asked last.
        """
        rows = max(1, _CELLS // self._trees)
        starts = range(0, len(features), rows)
        parts = [self._attribution.contributions(self.leaves(features[start : start + rows])) for start in starts]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.manifest.features)))

    def explained(self, features: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Probability and contributions of some rows in one run of the model.

        The same numbers to the bit as `probability` and `contributions`; for as many rows as memory has room for.
        """
        probability, leaves = self._run(("probability", "leaves"), features)
        return probability, self._attribution.contributions(leaves)

    def _run(self, outputs: tuple[str, ...], features: NDArray[np.float32]) -> list[NDArray[Any]]:
        expected = len(self.manifest.features)
        if features.dtype != np.float32 or features.ndim != 2 or features.shape[1] != expected:
            raise UsageError(
                f"Scorer: found {features.dtype} features of shape {features.shape}, expected float32 of shape (rows, "
                f"{expected}); round each value to float32 once, in the order of the manifest."
            )
        session = self._session if "leaves" in outputs else self._quick
        results: list[NDArray[Any]] = session.run(outputs, {"features": features.astype(np.float64)})
        return results


def _open(bundle: Bundle, model: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except _LOAD_ERRORS as error:
        raise DataError(
            f"Bundle {bundle.manifest.task}/{bundle.manifest.version}: found a model that onnxruntime "
            f"{ort.__version__} cannot load ({error}), expected one written by export; export it again."
        ) from error


def _require_shape(session: ort.InferenceSession, bundle: Bundle) -> int:
    inputs = {value.name: (value.type, value.shape[1:]) for value in session.get_inputs()}
    outputs = {value.name: value.shape[1:] for value in session.get_outputs()}
    features = len(bundle.manifest.features)
    expected = ORDER_OUTPUTS if bundle.manifest.lists else OUTPUTS
    if inputs != {"features": ("tensor(double)", [features])} or set(outputs) != set(expected):
        raise DataError(
            f"Bundle {bundle.manifest.task}/{bundle.manifest.version}: found a model with inputs {inputs} and outputs "
            f"{sorted(outputs)}, expected double features of width {features} and {list(expected)}; export it again."
        )
    return int(outputs["leaves"][0])
