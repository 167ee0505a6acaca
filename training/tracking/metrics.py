"""Every number of a fit under one flat name, the same across tasks, so that MLflow's compare view lines up."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from training.drift import weighted
from training.record import error_by_chance, relative_error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from training.bundles import Manifest
    from training.gates import Gate
    from training.interval import Interval
    from training.record import Record


def figures(record: Record) -> dict[str, float]:
    """Every number of a record under one flat name; an interval gives NAME, NAME_low and NAME_high.

    What has no meaning (NaN) is left out: a metric that is absent says so, one that is 0 would lie.
    """
    found: dict[str, float] = {}
    for prefix, part in {
        "test": record.metrics,
        "money": record.money,
        "rates": record.rates,
        **_baselines(record),
        **_slices(record),
    }.items():
        for name, interval in part.items():
            found |= flat(f"{prefix}/{name}", interval)
    found |= {f"rows/{name}": float(rows) for name, rows in record.rows.items()}
    found |= {f"positives/{name}": float(rows) for name, rows in record.positives.items()}
    found |= {f"attribution/{name}": value for name, value in record.attributions.items()}
    found |= {f"drift/feature/{name}": value for name, value in record.drift.items()}
    found |= {
        "drift/weighted": weighted(record),
        "calibration/relative_error": relative_error(record),
        "calibration/error_by_chance": error_by_chance(record),
    }
    for number, (default, chosen) in enumerate(zip(record.search.default, record.search.chosen, strict=True), start=1):
        found |= {f"search/default/fold_{number}": default, f"search/chosen/fold_{number}": chosen}
    return {name: value for name, value in found.items() if not math.isnan(value)}


def proved(manifest: Manifest, gates: Sequence[Gate]) -> dict[str, float]:
    """What the bundle was proved to be and what its gates say: the same names for every task.

    A bundle of several forests is as wrong as all of them together, and as far off as the worst. A gate is 1 where it
    is passed and 0 where it refuses; one that has no meaning for the task is absent.
    """
    effects, site, parity = manifest.effects, manifest.site, manifest.parity
    proofs = [parity, *(one.parity for one in (effects.heads.values() if effects else ()))]
    found = [(one.wrong_leaves, one.max_raw_difference) for one in proofs]
    found += [(one.wrong_leaves, one.max_raw_difference) for one in (site.heads.values() if site else ())]
    return {
        "parity/wrong_leaves": float(sum(wrong for wrong, _ in found)),
        "parity/max_raw_difference": max(off for _, off in found),
        "parity/max_probability_difference": max(one.max_probability_difference for one in proofs),
        "parity/rows": float(parity.rows),
        "parity/edge_rows": float(parity.edge_rows),
        **{f"gate/{word(gate.name)}": float(gate.passed) for gate in gates},
        "verdict/ship": float(all(gate.passed for gate in gates)),
        "verdict/refused": float(sum(not gate.passed for gate in gates)),
    }


def _baselines(record: Record) -> dict[str, Mapping[str, Interval]]:
    return {f"baseline/{name}": part for name, part in record.baselines.items()}


def _slices(record: Record) -> dict[str, Mapping[str, Interval]]:
    return {
        f"slice/{column}/{word(value)}": part
        for column, parts in record.slices.items()
        for value, part in parts.items()
    }


def word(value: str) -> str:
    """A value as part of a metric's name, where MLflow takes letters of any script, digits and few signs.

    >>> word("华东 50% off"), word("..")
    ('华东 50_ off', '_')
    """
    return re.sub(r"[^\w.\- :]|^\.*$", "_", value)


def flat(name: str, interval: Interval) -> dict[str, float]:
    """An interval as NAME, NAME_low and NAME_high."""
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
