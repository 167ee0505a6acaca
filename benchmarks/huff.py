"""Huff's shares beside those of the package `huff` (Wieland, 1.9.14, MIT), on the two examples that it carries.

Haslach: one district's four quarters and eight supermarkets, from points; Wieland2015: 19 places and 5 stores by
driving minutes. Both packages get the same attractiveness, the same distances and the same powers, and their shares
and markets must be the same. The package is no dependency of this project; put it on the path to run this.

    python -m benchmarks.huff
"""

from __future__ import annotations

import argparse
import io
import json
import os
import warnings
from contextlib import redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from features.huff import Huff

if TYPE_CHECKING:
    from collections.abc import Iterator

HASLACH: Final = (0.9, 2.2)
WIELAND: Final = ((1.0, 2.0, "power"), (0.7, 1.3, "power"), (0.9, 0.15, "exponential"))
"""Powers of size and of distance; the first pair is that of the package's own example."""

_KM: Final = 1000.0


def measure(folder: Path | None) -> dict[str, Any] | None:
    """By how much our shares and markets differ from the package's.

    Args:
        folder: Where the package's example files lie.

    Returns:
        For each example `shares`, how many there are, `largest_difference` between them, and
        `largest_relative_difference_of_markets`. None without the package or its files.
    """
    if folder is None or not (folder / "Wieland2015.xlsx").is_file() or find_spec("huff") is None:
        return None
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        return dict(_compared(folder))


def examples() -> Path | None:
    """Where the installed package keeps its example files; None where it is not installed."""
    found = find_spec("huff")
    return None if found is None or found.origin is None else Path(found.origin).parent / "tests" / "data"


def _compared(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "haslach", _differences(_haslach(folder), *HASLACH, "power")
    for alpha, beta, decay in WIELAND:
        yield (
            f"wieland2015_{decay}_{alpha:g}_{beta:g}",
            _differences(_wieland(folder, alpha, beta, decay), alpha, beta, decay),
        )


def _haslach(folder: Path) -> Any:  # noqa: ANN401 - the package has no types
    """Quarters, their people, supermarkets and their floor, with the package's shares."""
    load, (alpha, beta) = import_module("huff.data_management").load_geodata, HASLACH
    quarters = load(str(folder / "Haslach.shp"), location_type="origins", unique_id="BEZEICHN")
    quarters.define_marketsize("pop")
    quarters.define_transportcosts_weighting(param_lambda=-beta)
    markets = load(str(folder / "Haslach_supermarkets.shp"), location_type="destinations", unique_id="LFDNR")
    markets.define_attraction("VKF_qm")
    markets.define_attraction_weighting(attrac_var="VKF_qm", param_gamma=alpha)
    matrix = import_module("huff.models").create_interaction_matrix(quarters, markets)
    matrix.transport_costs(network=False)
    matrix.flows()
    return matrix.get_interaction_matrix_df()


def _wieland(folder: Path, alpha: float, beta: float, decay: str) -> Any:  # noqa: ANN401 - the package has no types
    matrix = import_module("huff.data_management").load_interaction_matrix(
        data=str(folder / "Wieland2015.xlsx"),
        customer_origins_col="Quellort",
        supply_locations_col="Zielort",
        attraction_col=["VF"],
        market_size_col="Sum_Ek1",
        flows_col="Anb_Eink1",
        transport_costs_col="Dist_Min2",
        transport_costs_metrics="time",
        transport_costs_time_unit="minutes",
        probabilities_col="MA_Anb1",
        data_type="xlsx",
    )
    matrix.define_weightings(
        {0: {"name": "A_j", "func": "power", "param": alpha}, 1: {"name": "t_ij", "func": decay, "param": -beta}}
    )
    matrix.utility()
    matrix.probabilities()
    matrix.flows()
    return matrix.get_interaction_matrix_df()


def _differences(frame: Any, alpha: float, beta: float, decay: Any) -> dict[str, Any]:  # noqa: ANN401 - a pandas frame
    tables = {name: frame.pivot_table(index="i", columns="j", values=name) for name in ("A_j", "t_ij", "p_ij", "E_ij")}
    size, far, share, flow = (table.to_numpy(np.float64) for table in tables.values())
    huff = Huff(alpha, beta, decay, floor_m=1e-6)
    demand = frame.groupby("i")["C_i"].first().reindex(tables["A_j"].index).to_numpy(np.float64)
    ours, theirs = huff.markets(size, far * _KM, demand), flow.sum(axis=0)
    return {
        "shares": share.size,
        "largest_difference": float(np.abs(huff.shares(size, far * _KM) - share).max()),
        "largest_relative_difference_of_markets": float(np.abs(ours / theirs - 1).max()),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.huff", description=__doc__)
    parser.add_argument("--examples", type=Path, default=examples(), help="the package's folder of example files")
    figures = measure(parser.parse_args().examples)
    print(json.dumps({"figures": figures, "load_average": round(os.getloadavg()[0], 2)}))
