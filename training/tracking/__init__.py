"""What MLflow holds of a fit, and where."""

from training.tracking.killed import PROCESS, STARTED
from training.tracking.measured import log_measured
from training.tracking.metrics import figures, flat
from training.tracking.notes import note
from training.tracking.runs import BUNDLE, EXPERIMENT
from training.tracking.stores import Store, client, fetch, store
from training.tracking.tracked import Tracked, track

__all__ = [
    "BUNDLE",
    "EXPERIMENT",
    "PROCESS",
    "STARTED",
    "Store",
    "Tracked",
    "client",
    "fetch",
    "figures",
    "flat",
    "log_measured",
    "note",
    "store",
    "track",
]
