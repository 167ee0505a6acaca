"""What a version has to show to become champion: every gate reads the bundle's manifest and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from training.bundles import Manifest

CONTRACT: Final = "data contract"
LEAKAGE: Final = "leakage"
REPLAY: Final = "replay"
PARITY: Final = "parity"
LATENCY: Final = "latency"
JUDGED: Final = "judged"
DRIFT: Final = "drift"
MONEY: Final = "money"
WORST_SLICE: Final = "worst slice"
CALIBRATION: Final = "calibration"
LABEL_RATE: Final = "label rate"

EXEMPT: Final = frozenset({DRIFT, MONEY, WORST_SLICE, CALIBRATION})
"""What a task may have no use for; every model has data, features, a graph and an answer that somebody waits for."""

MOST_MILLISECONDS: Final = 10.0
"""Of 99 rows in a hundred, one at a time: a graph takes a hundredth of it, and machines differ."""

MOST_DRIFT: Final = 1.0
"""Population stability index: that of a bell curve that moved by its standard deviation."""

MOST_MISCALIBRATION: Final = 0.5
"""Of the rate at which things came true: by how much a tenth of the rows may be off in the mean, chance aside."""

MOST_LABEL_CHANGE: Final = 0.5
"""By how much of itself the champion's rate of labels may have changed, upwards or downwards."""

GAIN: Final = "money/gain_over_champion"
RATE: Final = "label/rate"
RATE_THEN: Final = "label/rate_of_champion"
RATE_BY_CHANCE: Final = "label/rate_by_chance"
SLICE_MONEY: Final = "gain_over_best_constant"
NO_FIGURE: Final = "no figure"


@dataclass(frozen=True)
class Gate:
    """One condition of a promotion, with what was found and what is required."""

    name: str
    found: str
    required: str
    passed: bool

    def as_dict(self) -> dict[str, str | bool]:
        """For JSON."""
        return {"name": self.name, "found": self.found, "required": self.required, "passed": self.passed}

    def __str__(self) -> str:
        """One line that a reviewer can act on."""
        return f"{self.name}: found {self.found}, required {self.required}"


def gates(manifest: Manifest) -> tuple[Gate, ...]:
    """What a champion has to show: sound data, features that serving sees too, and a model that is exact and pays.

    In each metric that decides, the model is ahead of every rival, which is what would be used instead of it. An
    ablation is the model with something left out, and level with it wherever that something says little: it refuses a
    model only by being surely better, the whole paired interval of the model's gain below 0 (`docs/decisions/0012`).
    Money is treated likewise, against the champion and within each slice (`docs/decisions/0016`).

    A figure without meaning (a test in which nothing came true) is absent from a manifest, so absence must not pass. A
    gate without meaning for the task is left out where the manifest says so, as it can of those in `EXEMPT` alone.
    """
    criteria = manifest.criteria
    general = tuple(
        gate(manifest) for name, gate in _GENERAL.items() if name not in EXEMPT or name not in criteria.inapplicable
    )
    ahead = [_ahead(manifest, rival, metric) for rival in criteria.rivals for metric in criteria.metrics]
    no_worse = [_no_worse(manifest, ablation, metric) for ablation in criteria.ablations for metric in criteria.metrics]
    return (*general, *ahead, *no_worse)


def _contract(manifest: Manifest) -> Gate:
    rows = manifest.metrics.get("contract/rows")
    return Gate(CONTRACT, _count(rows, "rows that keep it"), "some", rows is not None and rows > 0)


def _leakage(manifest: Manifest) -> Gate:
    rows = manifest.metrics.get("leakage/rows")
    found = _count(rows, "rows that stay the same without what came later")
    return Gate(LEAKAGE, found, "some", rows is not None and rows > 0)


def _replay(manifest: Manifest) -> Gate:
    values, wrong = manifest.metrics.get("replay/values"), manifest.metrics.get("replay/mismatches")
    if values is None or wrong is None:
        return Gate(REPLAY, NO_FIGURE, "0 of some", passed=False)
    return Gate(REPLAY, f"{wrong:,.0f} differences in {values:,.0f} values", "0 of some", wrong == 0 and values > 0)


def _parity(manifest: Manifest) -> Gate:
    parity = manifest.parity
    exact = parity.wrong_leaves == 0 and parity.max_raw_difference == 0.0
    found = f"{parity.wrong_leaves} wrong leaves, raw difference {parity.max_raw_difference}"
    return Gate(PARITY, found, "0 and 0.0", exact)


def _latency(manifest: Manifest) -> Gate:
    p99 = manifest.metrics.get("latency/p99_ms")
    found = NO_FIGURE if p99 is None else f"p99 of {p99:.3f} ms a row"
    return Gate(LATENCY, found, f"at most {MOST_MILLISECONDS:g} ms", p99 is not None and p99 <= MOST_MILLISECONDS)


def _judged(manifest: Manifest) -> Gate:
    figures = sum(name.startswith("test/") for name in manifest.metrics)
    return Gate(JUDGED, f"{figures} figures of the test", "some", figures > 0)


def _drift(manifest: Manifest) -> Gate:
    index = manifest.metrics.get("drift/weighted")
    found = NO_FIGURE if index is None else f"a stability index of {index:.3f}"
    return Gate(DRIFT, found, f"at most {MOST_DRIFT:g}", index is not None and index <= MOST_DRIFT)


def _money(manifest: Manifest) -> Gate:
    """Against the champion that there was; against the best single action for all where there was none."""
    rival = "champion" if manifest.champion else "best_constant"
    name, figures = f"money/gain_over_{rival}", manifest.metrics
    value, high = figures.get(name), figures.get(f"{name}_high")
    said = f"{rival.replace('_', ' ')} {manifest.champion}".strip()
    required = "an upper end of 0 fen a row or more"
    if value is None or high is None:
        return Gate(MONEY, f"{NO_FIGURE} against {said}", required, passed=False)
    return Gate(MONEY, f"{value:+.4f} against {said}, at most {high:+.4f}", required, high >= 0)


def _worst_slice(manifest: Manifest) -> Gate:
    ending = f"/{SLICE_MONEY}_high"
    highs = {
        name.removeprefix("slice/").removesuffix(ending): high
        for name, high in manifest.metrics.items()
        if name.startswith("slice/") and name.endswith(ending)
    }
    required = "an upper end of 0 fen a row or more over the best constant"
    if not highs:
        return Gate(WORST_SLICE, NO_FIGURE, required, passed=False)
    worst = min(highs, key=lambda name: highs[name])
    return Gate(WORST_SLICE, f"at most {highs[worst]:+.4f} in {worst}", required, highs[worst] >= 0)


def _calibration(manifest: Manifest) -> Gate:
    """Refuses what is far off and surely so: further than rows drawn from the model's own chances would be."""
    error, chance = (manifest.metrics.get(f"calibration/{name}") for name in ("relative_error", "error_by_chance"))
    required = f"at most {MOST_MISCALIBRATION:.0%} of the base rate, or what chance alone gives"
    if error is None or chance is None:
        return Gate(CALIBRATION, NO_FIGURE, required, passed=False)
    found = f"off by {error:.0%} of the base rate; chance alone gives up to {chance:.0%}"
    return Gate(CALIBRATION, found, required, error <= max(MOST_MISCALIBRATION, chance))


def _label_rate(manifest: Manifest) -> Gate:
    """Refuses labels that came true far more or less often than the champion's; nothing is asked of a first model."""
    if not manifest.champion:
        return Gate(LABEL_RATE, "no champion when it was made", "that of the champion, where there is one", passed=True)
    required = f"within {MOST_LABEL_CHANGE:.0%} of that of champion {manifest.champion}, or what chance explains"
    rate, then, chance = (manifest.metrics.get(name) for name in (RATE, RATE_THEN, RATE_BY_CHANCE))
    if rate is None or then is None or chance is None:
        return Gate(LABEL_RATE, NO_FIGURE, required, passed=False)
    low, high = sorted((rate, then))
    near = high <= low * (1 + MOST_LABEL_CHANGE) or high - low <= chance
    return Gate(LABEL_RATE, f"{rate:,.6g} against {then:,.6g}", required, near)


def _ahead(manifest: Manifest, rival: str, metric: str) -> Gate:
    gain = manifest.metrics.get(f"baseline/{rival}/gain_{metric}")
    return Gate(f"{rival}: gain in {metric}", _figure(gain), "more than 0", gain is not None and gain > 0)


def _no_worse(manifest: Manifest, ablation: str, metric: str) -> Gate:
    high = manifest.metrics.get(f"baseline/{ablation}/gain_{metric}_high")
    name = f"{ablation}: upper end of the gain in {metric}"
    return Gate(name, _figure(high), "0 or more", high is not None and high >= 0)


def _figure(value: float | None) -> str:
    return NO_FIGURE if value is None else f"{value:+.4f}"


def _count(value: float | None, what: str) -> str:
    return NO_FIGURE if value is None else f"{value:,.0f} {what}"


_GENERAL: Final[dict[str, Callable[[Manifest], Gate]]] = {
    CONTRACT: _contract,
    LEAKAGE: _leakage,
    REPLAY: _replay,
    PARITY: _parity,
    LATENCY: _latency,
    JUDGED: _judged,
    DRIFT: _drift,
    MONEY: _money,
    WORST_SLICE: _worst_slice,
    CALIBRATION: _calibration,
    LABEL_RATE: _label_rate,
}
