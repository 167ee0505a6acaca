"""Draws what `docs/world.md` shows: the world's margins over the real ones, its days, hours and families.

    python -m benchmarks.world --world WORLD --json > judged.json
    python -m benchmarks.curves WORLD --judged judged.json

Small SVG files, the same for the same world; `figures.md`, what the benchmark found; and `parameters.md`, every
parameter of the preset with its meaning.
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks.margins import MARGINS, RealityCheck, real_data, reality_check
from benchmarks.truth import HONEST, truth_table
from data.sources import open_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import duckdb
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

INTO: Final = Path(__file__).parents[1] / "docs" / "world"
_STYLE: Final[dict[Any, Any]] = {
    "font.size": 8,
    "svg.hashsalt": "shepherd",
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_MOST_POINTS: Final = 300
_LOGARITHMIC: Final = ("events_an_address", "basket_lines", "basket_amount", "address_gap", "purchase_gap")
_ATTRIBUTE: Final = re.compile(r"^ {8}(\w+(?:, \w+)*): (.*)$")
_COMMENTED: Final = re.compile(r"^ {4}(\w+): [^#]* = [^#]*# (.*)$")


def draw(world: Path, real: Path, into: Path) -> None:
    """Writes all figures of a world.

    Args:
        world: Where `shepherd simulate` wrote it.
        real: The folder of real sets; margins whose set is missing are left out.
        into: The folder of the figures, made if need be.
    """
    into.mkdir(parents=True, exist_ok=True)
    data_set = open_folder(world)
    with mpl.rc_context(_STYLE):
        _save(_margins(reality_check(data_set, real)), into / "margins.svg")
        with data_set.connect() as connection:
            truth = truth_table(world / "truth", "scans")
            connection.execute(f"""
                CREATE TEMP TABLE told AS
                SELECT epoch_us(timezone('Asia/Shanghai', ts)) AS local, member_id, family, crowd
                FROM scans JOIN {truth} USING (scan_id)
            """)
            _save(_days(connection), into / "days.svg")
            _save(_members(connection), into / "members.svg")


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")


def _panels(number: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(2.6 * number, 2.2), layout="constrained")
    return figure, [figure.add_subplot(1, number, place + 1) for place in range(number)]


def _margins(check: RealityCheck) -> Figure:
    drawn = [margin for margin in MARGINS if margin.kind == "gap" and margin.name in check.samples]
    figure, panels = _panels(max(len(drawn), 1))
    for margin, panel in zip(drawn, panels, strict=False):
        for name, sample in zip(("real", "world"), check.samples[margin.name], strict=True):
            panel.plot(*_distribution(sample), label=name)
        panel.set(title=margin.name, xscale="log" if margin.name in _LOGARITHMIC else "linear", ylim=(0, 1))
    panels[0].set_ylabel("share at or below")
    panels[0].legend(frameon=False)
    return figure


def _distribution(sample: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The distribution function, thinned; from a thousandth of the median on, as an axis may be logarithmic."""
    share = np.linspace(0.0, 1.0, _MOST_POINTS)
    return np.maximum(np.quantile(sample, share), np.median(sample) / 1_000), share


def _days(connection: duckdb.DuckDBPyConnection) -> Figure:
    """Scans a day and an hour of the day, of honest people and of the wool party."""
    figure, panels = _panels(2)
    units = (("day of the world", 86_400_000_000, None), ("hour of the day", 3_600_000_000, 24))
    for panel, (name, unit, turn) in zip(panels, units, strict=True):
        for who, where in ((HONEST, "="), ("wool party", "<>")):
            found = connection.sql(
                f"SELECT local // {unit} AS unit FROM told WHERE family {where} '{HONEST}'"
            ).fetchnumpy()
            unit_of = np.asarray(found["unit"], np.int64)
            unit_of = unit_of % turn if turn else unit_of - unit_of.min(initial=np.iinfo(np.int64).max)
            counts = np.bincount(unit_of)
            panel.step(np.arange(len(counts)), counts / max(counts.sum(), 1), where="mid", label=who)
        panel.set(xlabel=name, ylim=(0, None))
    panels[0].set_ylabel("share of scans")
    panels[0].legend(frameon=False)
    return figure


def _members(connection: duckdb.DuckDBPyConnection) -> Figure:
    """Scans a member, in each family; and the share of scans of each family and crowd."""
    figure, panels = _panels(2)
    found = connection.sql("SELECT family, count(*) AS scans FROM told GROUP BY family, member_id").fetchnumpy()
    family, scans = np.asarray(found["family"], np.str_), np.asarray(found["scans"], np.float64)
    for name in (HONEST, *sorted(set(family.tolist()) - {HONEST})):
        panels[0].plot(*_distribution(scans[family == name]), label=name, linewidth=1)
    panels[0].set(xscale="log", xlabel="scans a member", ylabel="share of members at or below", ylim=(0, 1))
    panels[0].legend(frameon=False, fontsize=5)
    shares = connection.sql(f"""
        SELECT if(family = '{HONEST}', crowd, family) AS name, count(*) / (SELECT count(*) FROM told) AS share FROM told
        WHERE family <> '{HONEST}' OR crowd <> 'none' GROUP BY name ORDER BY share
    """).fetchall()
    panels[1].barh([name for name, _ in shares], [100 * share for _, share in shares])
    panels[1].set(xlabel="% of scans")
    return figure


def parameters_page(preset: Any) -> str:  # noqa: ANN401 - any frozen dataclass of frozen dataclasses
    """Every parameter of a preset with its meaning, out of the docstrings that hold it, as Markdown."""
    lines = [
        f"# The parameters of `{preset.name}`",
        "",
        "Made by `python -m benchmarks.curves` out of the settings in `data/world/`. Where no source is named, the",
        "value is assumed.",
    ]
    for name, settings in _settings(preset):
        told = (inspect.getdoc(type(settings)) or "").partition("Attributes:")[0].split()
        lines += ["", f"## {name}", "", " ".join(told), ""]
        lines += ["| parameter | value | meaning |", "| --- | --- | --- |"]
        meanings = _meanings(type(settings))
        for field in fields(settings):
            value = getattr(settings, field.name)
            if not is_dataclass(value):
                shown = f"`{value}`" if len(str(value)) <= 120 else f"{len(value)} entries, see the module"
                lines.append(f"| `{field.name}` | {shown} | {meanings.get(field.name, '').replace('|', '/')} |")
    return "\n".join(lines) + "\n"


def _settings(value: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - walks what it is given
    for field in fields(value):
        inner = getattr(value, field.name)
        if is_dataclass(inner) and not isinstance(inner, type):
            yield f"`{type(inner).__module__}.{type(inner).__name__}`", inner
            yield from _settings(inner)


def figures_page(judged: Mapping[str, Any]) -> str:
    """What `python -m benchmarks.world` found, as Markdown.

    Args:
        judged: The object that it prints.
    """
    world = judged["world"]
    lines = [
        "# The world, judged",
        "",
        "Made by `python -m benchmarks.curves` out of what `python -m benchmarks.world` printed for a world of",
        f"{world['scans']:,} scans by {world['members_who_scan']:,} members.",
        "",
        "## Distance from real data",
        "",
        "A `gap` is the largest between the two distribution functions, a `ratio` the larger figure over the smaller.",
        "",
        "| margin | kind | distance | tolerance | real | world | why the tolerance |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, one in judged["distances"].items():
        verdict = "" if one["passes"] else " **beyond**"
        shown = (f"`{name}`", one["kind"], f"{one['value']}{verdict}", one["tolerance"])
        lines.append(_row(*shown, _figures(one["real"]), _figures(one["world"]), one["reason"]))
    lines += ["", *(f"Not compared: `{name}` ({why})." for name, why in judged["skipped"].items())]
    lines += ["", "## Baselines: share of the wool party caught at 0.1 % of honest scans", ""]
    lines += [
        _row("family", "share of scans", *judged["baselines"]),
        _row("---", "---", *("---" for _ in judged["baselines"])),
    ]
    lines.append(_row("all", "", *(_interval(one) for one in judged["baselines"].values())))
    for name, share in world["families"].items():
        if name != HONEST:
            found = (one["families"].get(name) for one in judged["baselines"].values())
            lines.append(
                _row(name, f"{share:.2%}", *(_interval(one) if one else "not in the test days" for one in found))
            )
    lines += ["", "Share of honest scans that the same threshold blocks, by crowd:", ""]
    lines += [
        _row("crowd", "share of scans", *judged["baselines"]),
        _row("---", "---", *("---" for _ in judged["baselines"])),
    ]
    for name, share in world["crowds"].items():
        blocked = (one["honest_blocked"].get(name) for one in judged["baselines"].values())
        lines.append(_row(name, f"{share:.2%}", *("" if one is None else f"{one:.2%}" for one in blocked)))
    lines += ["", "The rules in force, the most telling first:", ""]
    lines += [f"{place}. `{limit}`" for place, limit in enumerate(judged["baselines"]["rules"]["limits"], start=1)]
    lines += ["", "## Leaks: area under the curve of a classifier that sees only form", ""]
    lines += [_row("family", "area", "leak"), _row("---", "---", "---")]
    lines += [
        _row(name, _interval(one), "found" if one["found"] else "none") for name, one in judged["leaks"].items() if one
    ]
    return "\n".join(lines) + "\n"


def _row(*cells: object) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _figures(named: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3g}" if name != "value" else f"{value:.3g}" for name, value in named.items())


def _interval(one: Mapping[str, float]) -> str:
    return f"{one['value']:.3f} [{one['low']:.3f}, {one['high']:.3f}]"


def _meanings(kind: type) -> dict[str, str]:
    """What the docstring of a dataclass says of each attribute, else the comment beside it."""
    lines = inspect.getsource(kind).splitlines()
    found = {match[1]: match[2] for match in map(_COMMENTED.match, lines) if match}
    last = ""
    for line in (kind.__doc__ or "").partition("Attributes:")[2].splitlines():
        started = _ATTRIBUTE.match(line)
        if started:
            last = started[1]
            found |= dict.fromkeys(last.split(", "), started[2].strip())
        elif last and line.strip():
            found |= {name: f"{found[name]} {line.strip()}" for name in last.split(", ")}
    return found


def main() -> None:
    """Draws the figures and writes the page of parameters."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curves", description=__doc__.partition("\n")[0])
    parser.add_argument("world", type=Path)
    parser.add_argument("--into", type=Path, default=INTO)
    parser.add_argument("--real", type=Path, default=real_data())
    parser.add_argument(
        "--judged", type=Path, help="what the benchmark printed; without it the figures stay as they are"
    )
    asked = parser.parse_args()
    draw(asked.world, asked.real, asked.into)
    if asked.judged:
        judged = json.loads(asked.judged.read_text(encoding="utf-8").splitlines()[-1])
        (asked.into / "figures.md").write_text(figures_page(judged), encoding="utf-8")
    from benchmarks.world import PRESET  # noqa: PLC0415 - only the page needs the maker of the world
    from data.world.preset import PRESETS  # noqa: PLC0415 - likewise

    (asked.into / "parameters.md").write_text(parameters_page(PRESETS[PRESET]), encoding="utf-8")


if __name__ == "__main__":
    main()
