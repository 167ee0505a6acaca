"""The figures of README.md and README.zh-CN.md, out of what benchmarks printed: `make figures`.

    python -m docs.figures                                  # both tables anew, from docs/figures/*.json
    python -m benchmarks.sites > sites.json
    python -m docs.figures --keep sites.json --as sites     # keep what is shown of a new run, then the tables anew
    python -m docs.figures --pictures                       # the pictures too, from a small world (half a minute)

A file of `docs/figures/` holds what is shown of one run: its command, day and load, and the figures under the very keys
that the command prints.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from data.errors import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT: Final = Path(__file__).parents[1]
FOLDER: Final = Path(__file__).parent / "figures"
PAGES: Final = {"README.md": "en", "README.zh-CN.md": "zh"}
BEGIN, END = "<!-- figures: written by `make figures` -->", "<!-- end of figures -->"
_HEADS: Final = {
    "en": ("asked", "found", "aim", "by"),
    "zh": ("问题", "结果", "目标", "命令"),
}
_MISSED: Final = {"en": "missed", "zh": "未达到"}
_RUNS: Final = {"en": "measured {date}, load {load}", "zh": "测于 {date}，负载 {load}"}
_BETWEEN: Final = {"en": "; ", "zh": "；"}
_STOP: Final = {"en": ".", "zh": "。"}


@dataclass(frozen=True)
class Shown:
    """One figure of the table.

    Attributes:
        run: Name of the file in `docs/figures/`.
        path: Keys that lead to it in what the command printed.
        asked: What it answers, by language.
        form: How a number is written.
        aim: What was hoped for; None where nothing was.
        less_is_better: Which way is up.
    """

    run: str
    path: tuple[str, ...]
    asked: Mapping[str, str]
    form: str = "{:.3f}"
    aim: float | None = None
    less_is_better: bool = False

    def told(self, value: float | Mapping[str, float]) -> str:
        """The number, with its 95 % interval where it has one."""
        if isinstance(value, int | float):
            return self.form.format(value)
        whole, low, high = (self.form.format(value[name]) for name in ("value", "low", "high"))
        return f"{whole} [{low}, {high}]"

    def missed(self, value: float | Mapping[str, float]) -> bool:
        """Whether the point estimate falls short of the aim."""
        if self.aim is None:
            return False
        found = value if isinstance(value, int | float) else value["value"]
        return found > self.aim if self.less_is_better else found < self.aim


def _shown(
    run: str,
    path: str,
    english: str,
    chinese: str,
    *,
    form: str = "{:.3f}",
    aim: float | None = None,
    less_is_better: bool = False,
) -> Shown:
    return Shown(run, tuple(path.split("|")), {"en": english, "zh": chinese}, form, aim, less_is_better)


SHOWN: Final = (
    _shown(
        "run",
        "tasks|coupon|metrics|average_precision",
        "coupons of real households: average precision (13.7 % redeem)",
        "真实家庭的优惠券：平均精度（13.7 % 核销）",
    ),
    _shown(
        "run",
        "tasks|coupon|baselines|logistic_regression|gain_average_precision",
        "its lead over logistic regression on the same features",
        "比同样特征的逻辑回归高出",
    ),
    _shown(
        "run",
        "tasks|coupon|money|gain_over_best_constant",
        "fen a pair more than sending to everyone",
        "比全员发券每对多赚（分）",
        form="{:.1f}",
    ),
    _shown(
        "fraud",
        "tpr_at_fpr_0.001",
        "wool party (羊毛党) found at 1 honest scan in 1 000 suspected, worlds of 1M scans",
        "每千次诚实扫码误疑 1 次时找出的羊毛党，百万扫码的世界",
        aim=0.85,
    ),
    _shown(
        "fraud", "baselines|analyst_rules|tpr_at_fpr_0.001", "the same by an analyst's rules", "分析师规则的同一指标"
    ),
    _shown(
        "fraud",
        "unseen_families|mean",
        "the same for families never seen in training, smaller worlds",
        "训练中从未见过的团伙的同一指标，较小的世界",
        aim=0.60,
    ),
    _shown("fraud", "money_share", "money saved, as a share of a perfect judge's", "省下的钱，占完美判断的比例"),
    _shown(
        "fraud",
        "flash_sale_stock_share",
        "flash sale, first come: stock left for honest shoppers",
        "抢购先到先得：留给诚实顾客的库存",
        aim=0.95,
    ),
    _shown("fraud", "queued_stock_share", "the same, served by score after a minute", "同上，一分钟后按分数发放"),
    _shown(
        "coupons",
        "promotion_rct|nir",
        "promotion experiment (real): net incremental response",
        "促销实验（真实）：净增量响应",
        form="{:.0f}",
        aim=380.0,
    ),
    _shown(
        "coupons",
        "world|world/v1|observable_share",
        "whom to send what, as a share of the best policy that tables reveal",
        "给谁发什么：占表中可知最优策略的比例",
        aim=0.90,
    ),
    _shown(
        "coupons",
        "world|world/v1|roi_gain",
        "return over sending to the likeliest, same budget, fen a fen",
        "同预算下比按核销概率发放每分多赚（分）",
        form="{:.2f}",
    ),
    _shown(
        "sites",
        "brand_sites|chicago|gain|recall_20",
        "where a brand opens next (Chicago, real): recall at 20 over brand-kNN",
        "品牌下一店（芝加哥，真实）：召回@20 高出品牌近邻法",
    ),
    _shown(
        "sites",
        "world|mape",
        "yearly sales of a site, stretches of town held back: mean error",
        "选址年销售额，整片城区留出：平均误差",
        aim=0.20,
        less_is_better=True,
    ),
    _shown("sites", "world|rule_mape", "the same by a consultant's rule", "顾问经验规则的同一误差"),
    _shown("sites", "world|coverage_80", "ranges of 80 % that hold", "80 % 区间的实际覆盖率"),
    _shown(
        "sites",
        "world|plan_share",
        "a plan of several openings, as a share of the optimum",
        "多店规划占最优的比例",
        aim=0.95,
    ),
    _shown(
        "serving",
        "decisions_per_second",
        "whole decisions a second, two cores, the load generator on them too",
        "每秒完整决策，双核，压测程序同机",
        form="{:,.0f}",
        aim=2_000.0,
    ),
    _shown(
        "serving",
        "half_load|p99_ms",
        "99 in 100 answered within, at half that load (ms)",
        "半负载下 99 % 应答时间（毫秒）",
        form="{:.0f}",
        aim=10.0,
        less_is_better=True,
    ),
    _shown(
        "peers",
        "ratio|mlserver",
        "scores a second, as a multiple of MLServer's",
        "每秒评分，为 MLServer 的倍数",
        form="{:.2f}",
        aim=5.0,
    ),
    _shown(
        "features",
        "ratio|polars",
        "features: speed as a multiple of polars",
        "特征计算：为 polars 速度的倍数",
        form="{:.1f}",
        aim=5.0,
    ),
    _shown("features", "ratio|duckdb", "and of DuckDB", "为 DuckDB 的倍数", form="{:.1f}", aim=15.0),
    _shown(
        "features",
        "mismatches",
        "values that differ between training and live, of 161 million",
        "训练与线上不一致的值（共 1.61 亿）",
        form="{:.0f}",
        aim=0.0,
        less_is_better=True,
    ),
)
"""In the order of the table. What missed its aim stands there like the rest."""


def found_of(printed: Mapping[str, Any], path: tuple[str, ...]) -> float | Mapping[str, float] | None:
    """What stands at the end of a path of keys; None where there is nothing or a null."""
    at: Any = printed
    for key in path:
        at = at.get(key) if isinstance(at, dict) else None
    return at


def table(language: str) -> str:
    """The table in Markdown, from the files of `docs/figures/`.

    Raises:
        DataError: A file lacks a figure; all of them are named.
    """
    runs = {name: json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")) for name in names()}
    lacking = [
        f"{one.run}: {' '.join(one.path)}" for one in SHOWN if found_of(runs[one.run]["found"], one.path) is None
    ]
    if lacking:
        raise DataError(f"docs/figures lacks {'; '.join(lacking)}: run those commands, and keep what they print")
    heads = _HEADS[language]
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    for one in SHOWN:
        value = found_of(runs[one.run]["found"], one.path)
        aim = "" if one.aim is None else one.form.format(one.aim)
        short = f"; {_MISSED[language]}" if one.missed(value) else ""
        lines.append(f"| {one.asked[language]} | {one.told(value)} | {aim}{short} | `{runs[one.run]['command']}` |")
    said = (f"`{run['command']}` {_RUNS[language].format(**run)}" for run in runs.values())
    return "\n".join([*lines, "", _BETWEEN[language].join(said) + _STOP[language]])


def names() -> list[str]:
    """The runs that the table shows, in its order."""
    return list(dict.fromkeys(one.run for one in SHOWN))


def written(page: str, language: str) -> str:
    """The page with the table between its marks.

    Raises:
        DataError: The marks are not there, or not in this order.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise DataError(f"found no place for the table; expected {BEGIN!r} and, after it, {END!r}")
    return f"{before}{begin}\n\n{table(language)}\n\n{end}{after}"


def keep(output: Path, name: str, load: str, day: str) -> None:
    """Write what is shown of a run to `docs/figures/NAME.json`; figures that it lacks stay as they were.

    Args:
        output: The one JSON object that a command printed.
        name: Which run.
        load: Load average beside it; what the object says itself if empty.
        day: The day of the run, `2026-11-23`.

    Raises:
        UsageError: There is no such run.
    """
    if name not in names():
        raise UsageError(f"--as: found {name!r}, expected one of {', '.join(names())}")
    printed = json.loads(output.read_text(encoding="utf-8"))
    path = FOLDER / f"{name}.json"
    run = json.loads(path.read_text(encoding="utf-8"))
    for one in SHOWN:
        value = found_of(printed, one.path) if one.run == name else None
        if value is not None:
            _set(run["found"], one.path, value)
    run |= {"date": day, "load": load or str(printed.get("load_average", "unknown"))}
    path.write_text(json.dumps(run, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _set(at: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    for key in path[:-1]:
        at = at.setdefault(key, {})
    at[path[-1]] = value


def draw_pictures() -> None:
    """Fit the fraud task on a small world, and draw it beside its baselines and what its features say."""
    import matplotlib as mpl  # the tables need none of these

    from data.sources import open_folder  # noqa: PLC0415
    from data.world.request import Request  # noqa: PLC0415
    from data.world.simulation import simulate  # noqa: PLC0415
    from training.dataset import examples  # noqa: PLC0415
    from training.exploring import distributions
    from training.pictures import ahead
    from training.pipeline import fit  # noqa: PLC0415
    from training.tasks.fraud import TASK  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="shepherd-figures-") as folder:
        home = Path(folder)
        simulate(Request(members=4_000, days=42, seed=1), home / "world")
        tables = open_folder(home / "world")
        fitted = fit(TASK, tables, home=home, trials=1)
        rows = examples(TASK, tables, fitted.built)
        heaviest = TASK.features.only(*list(fitted.record.attributions)[:3])
        drawn = {
            "fraud-baselines": ahead(fitted.record, ["average_precision", "tpr_at_fpr_0.01"]),
            "fraud-features": distributions(rows, heaviest, outcomes=("honest", "wool party")),
        }
        with mpl.rc_context({"svg.hashsalt": "shepherd"}):
            for name, figure in drawn.items():
                figure.savefig(FOLDER / f"{name}.svg", metadata={"Date": None, "Creator": None})


def main() -> None:
    """Keep a run, draw the pictures, as asked; then write the tables of both pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, metavar="FILE", help="what a benchmark printed")
    parser.add_argument("--as", dest="name", metavar="NAME", help=f"which run it is: {', '.join(names())}")
    parser.add_argument("--load", default="", help="load average beside it; what it says itself if not given")
    parser.add_argument("--pictures", action="store_true", help="draw the pictures anew too")
    asked = parser.parse_args()
    if (asked.keep is None) != (asked.name is None):
        parser.error("--keep and --as: found one, expected both or neither")
    if asked.keep is not None:
        keep(asked.keep, asked.name, asked.load, datetime.now(UTC).date().isoformat())
    if asked.pictures:
        draw_pictures()
    for name, language in PAGES.items():
        page = ROOT / name
        page.write_text(written(page.read_text(encoding="utf-8"), language), encoding="utf-8")


if __name__ == "__main__":
    main()
