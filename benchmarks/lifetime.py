"""Purchases and spending foretold for each member, held against what they then did.

    python -m benchmarks.lifetime                    # Complete Journey, and a simulated world
    python -m benchmarks.lifetime --cdnow FOLDER     # and CDNOW, against the published figures

Members' histories are read as of a moment, BG/NBD and gamma-gamma are fitted to them, and the purchases of the weeks
after it are foretold: beside each member's past rate carried on, and beside the mean of all. Printed as one JSON
object: foretold over actual in total, mean absolute and root mean squared error a member, the model's lead over each
baseline (positive is better), paired, with intervals that resample members; and the same of what they spend.

CDNOW (Fader and Hardie's sample of 2 357 customers) is read from a folder that holds
`cdnow_customers_summary_with_transactions.csv` and `CDNOW_sample.txt`, as the package `lifetimes` does; where that
package is installed its folder is found by itself. Published of it: log-likelihood -9582.4 at r .243, alpha 4.414,
a .793, b 2.426 (weeks; Fader, Hardie and Lee 2005), and p 6.25, q 3.74, v 15.44 (note 025).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb
import numpy as np

from data.errors import UsageError
from data.journey import complete_journey
from data.sources import open_folder
from data.world.request import Request
from data.world.simulation import simulate
from training.interval import Resampling, of_means
from training.lifetime_value import PurchaseModel, SpendModel
from training.purchase_history import Histories, read_histories
from training.studentised import studentised

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from data.sources import DataSet

    Reals = NDArray[np.float64]

PUBLISHED: Final[Mapping[str, float]] = {
    "log_likelihood": -9582.4,
    "r": 0.243,
    "alpha": 4.414,
    "a": 0.793,
    "b": 2.426,
    "p": 6.25,
    "q": 3.74,
    "v": 15.44,
}
SUMMARY: Final = "cdnow_customers_summary_with_transactions.csv"
SAMPLE: Final = "CDNOW_sample.txt"
WORLD: Final = Request(preset="world/v1", members=6_000, days=120, seed=3)
QUICK_WORLD: Final = Request(preset="world/v1", members=1_500, days=60, seed=3)

_SEED: Final = 20_250_303
_DAY_US: Final = 86_400_000_000


@dataclass(frozen=True)
class Season:
    """When histories end, and how many days are foretold from there."""

    as_of: datetime
    days: int
    time_zone: str = "UTC"


JOURNEY: Final = Season(datetime(2017, 10, 1, 5, tzinfo=UTC), 91, "America/New_York")
CDNOW: Final = Season(datetime(1997, 10, 1, tzinfo=UTC), 273)


def foretold(data_set: DataSet, season: Season, resampling_seed: int = _SEED, resamples: int = 1_000) -> dict[str, Any]:
    """What was foretold of each member as of a moment, against what they then did.

    Args:
        data_set: With the table `orders`.
        season: When, and how far ahead.
        resampling_seed: Draws the members.
        resamples: How many draws an interval takes.
    """
    with data_set.connect() as connection:
        histories = read_histories(connection, season.as_of, season.time_zone)
        bought, spent = _afterwards(connection, histories, season)
    model, spend = PurchaseModel.fit(histories), SpendModel.fit(histories)
    ahead = float(season.days)
    expected = model.purchases(histories, ahead)
    rate = histories.frequency / np.maximum(histories.age, 1.0) * ahead
    resampling = Resampling(np.arange(len(bought)), np.random.default_rng(resampling_seed), resamples)
    came = histories.frequency > 0
    return {
        "members": len(bought),
        "days_ahead": season.days,
        "parameters": {name: one.as_dict() for name, one in (model.intervals() | spend.intervals()).items()},
        "alive": float(model.alive(histories).mean()),
        "bought_again": float((bought > 0).mean()),
        "purchases": judged(bought, {"model": expected, "past_rate": rate, "mean_of_all": _level(rate)}, resampling),
        "spending_fen": judged(
            spent,
            {
                "model": expected * spend.mean_amount(histories),
                "past_rate": np.where(came, rate * histories.mean_amount, 0.0),
                "mean_of_all": _level(np.where(came, rate * histories.mean_amount, 0.0)),
            },
            resampling,
        ),
    }


def judged(actual: Reals, foretold_by: Mapping[str, Reals], resampling: Resampling) -> dict[str, Any]:
    """Errors of several forecasts a member, and the first one's lead over each of the others on the same draws."""
    first = next(iter(foretold_by))
    gaps = {name: said - actual for name, said in foretold_by.items()}
    found: dict[str, Any] = {}
    for name, gap in gaps.items():
        ours = gaps[first]
        columns = np.column_stack((np.ones(len(actual)), actual, foretold_by[name]))
        (ratio,) = studentised(columns, [lambda sums: sums[2] / sums[1]], resampling)
        error, lead, squared_lead = of_means(
            np.column_stack((np.abs(gap), np.abs(gap) - np.abs(ours), gap**2 - ours**2)), resampling
        )
        found[name] = {
            "foretold_over_actual": ratio.as_dict(),
            "mean_absolute_error": error.as_dict(),
            "root_mean_squared_error": float(np.sqrt((gap**2).mean())),
        }
        if name != first:
            found[name] |= {"model_lead": lead.as_dict(), "model_squared_lead": squared_lead.as_dict()}
    return found


def cdnow_folder(given: Path | None) -> Path | None:
    """Where CDNOW lies: the folder given, else that of the package `lifetimes`, which is not imported; None if neither.

    Raises:
        UsageError: The folder given lacks a file.
    """
    if given is None:
        spec = importlib.util.find_spec("lifetimes")
        if spec is None or spec.origin is None:
            return None
        given = Path(spec.origin).parent / "datasets"
    missing = [name for name in (SUMMARY, SAMPLE) if not (given / name).is_file()]
    if missing:
        raise UsageError(f"{given}: found no {' and no '.join(missing)}, expected both; give the folder of CDNOW.")
    return given


def published(folder: Path) -> dict[str, Any]:
    """Our fit of the published summary of CDNOW, in weeks and dollars, beside the published figures."""
    histories = read_summary(folder / SUMMARY)
    model, spend = PurchaseModel.fit(histories), SpendModel.fit(histories)
    ours = {name: one.value for name, one in (model.intervals() | spend.intervals()).items()}
    ours["log_likelihood"] = model.log_likelihood
    return {name: {"published": value, "ours": ours[name]} for name, value in PUBLISHED.items()}


def read_summary(path: Path) -> Histories:
    """The published histories: customer, repeat purchases, weeks to the last of them, weeks in all, mean dollars."""
    rows = np.genfromtxt(path, delimiter=",", skip_header=1)
    return Histories(rows[:, 0].astype(np.int64).astype(object), *rows[:, 1:5].T)


def cdnow(folder: Path, into: Path) -> DataSet:
    """CDNOW's purchases as the table `orders`, amounts in cents.

    Args:
        folder: Where they lie.
        into: An empty folder.
    """
    with duckdb.connect() as connection:
        connection.execute(f"""
            COPY (
                SELECT 'line-' || number AS line_id, 'line-' || number AS order_id,
                    timezone('UTC', strptime(part[3], '%Y%m%d')) AS ts, part[1] AS member_id, 'cd' AS product_id,
                    part[4]::BIGINT AS quantity, round(100 * part[5]::DOUBLE)::BIGINT AS amount_fen
                FROM (
                    SELECT row_number() OVER () AS number, regexp_split_to_array(trim(line), '\\s+') AS part
                    FROM read_csv('{folder / SAMPLE}', columns = {{'line': 'VARCHAR'}}, delim = '|', header = false)
                )
            ) TO '{into / "orders.parquet"}' (FORMAT parquet)
        """)
    return open_folder(into)


def _level(rate: Reals) -> Reals:
    return np.full(len(rate), rate.mean())


def _afterwards(connection: duckdb.DuckDBPyConnection, histories: Histories, season: Season) -> tuple[Reals, Reals]:
    """Days with a purchase and what was paid, of each member, from the moment on."""
    until = season.as_of + timedelta(days=season.days)
    found = connection.execute(
        """
        SELECT member_id, count(DISTINCT timezone($3, ts)::DATE) AS bought, sum(amount_fen) AS spent
        FROM orders WHERE member_id IS NOT NULL AND ts >= $1 AND ts < $2 GROUP BY ALL
        """,
        [season.as_of, until, season.time_zone],
    ).fetchall()
    later = {member: (float(bought), float(spent)) for member, bought, spent in found}
    both = np.array([later.get(member, (0.0, 0.0)) for member in histories.member])
    return both[:, 0], both[:, 1]


def main(arguments: list[str] | None = None) -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smaller world")
    parser.add_argument("--world", type=Path, help="a world that is there, of at least 60 days")
    parser.add_argument("--cdnow", type=Path, help="the folder of CDNOW")
    chosen = parser.parse_args(arguments)
    found: dict[str, Any] = {}
    skipped: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="shepherd-lifetime-") as scratch:
        root = Path(scratch)
        found["complete_journey"] = foretold(complete_journey(root / "journey"), JOURNEY)
        found["world"] = foretold(*_world(chosen.world, root / "world", quick=chosen.quick))
        folder = cdnow_folder(chosen.cdnow)
        if folder is None:
            found["cdnow"], skipped["cdnow"] = None, "found no package lifetimes; give its data with --cdnow"
        else:
            (root / "cdnow").mkdir()
            found["cdnow"] = {"fit": published(folder), **foretold(cdnow(folder, root / "cdnow"), CDNOW)}
    print(json.dumps({**found, "skipped": skipped, "load_average": os.getloadavg()[0]}))


def _world(given: Path | None, into: Path, *, quick: bool) -> tuple[DataSet, Season]:
    """A world, and its last third as what is foretold."""
    if given is None:
        simulate(QUICK_WORLD if quick else WORLD, into)
    data_set = open_folder(given or into)
    with data_set.connect() as connection:
        ((begun, ended),) = connection.execute("SELECT epoch_us(min(ts)), epoch_us(max(ts)) FROM orders").fetchall()
    days = (ended - begun) // _DAY_US // 3
    as_of = datetime.fromtimestamp(ended / 1e6, UTC) - timedelta(days=days)
    return data_set, Season(as_of, days, "Asia/Shanghai")


if __name__ == "__main__":
    main()
