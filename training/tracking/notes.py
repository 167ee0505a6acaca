"""What a reviewer reads first on the page of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.report import terms
from training.report.words import ROWS, Said, figure, metric, spanned

if TYPE_CHECKING:
    from training.record import Record


def note(record: Record) -> str:
    """What a reviewer reads first on the run's page, in English and Chinese: rows, figures, and leads."""
    day = f"{record.test_from:%Y-%m-%d}"
    named = [(ROWS.get(name, Said(name, name)), count) for name, count in record.rows.items()]
    rows = "; ".join(f"{count:,} {said.english}" for said, count in named)
    rows_zh = "，".join(f"{said.chinese} {count:,}" for said, count in named)
    lines = [
        f"Test from {day}, scored once; rows: {rows}. 测试自 {day} 起，仅评估一次；行数：{rows_zh}。",
        *(f"**{_both(metric(name))}**: {figure(name, one)}" for name, one in record.metrics.items()),
    ]
    for name, part in record.baselines.items():
        told = [
            f"{_both(metric(gain.removeprefix('gain_')))}: {figure(gain, one)}"
            for gain, one in part.items()
            if gain.startswith("gain_")
        ]
        lines.append("\n".join([f"Ahead of {_both(terms.baseline(name))} 领先：", "", *(f"- {one}" for one in told)]))
    if record.money:
        gain = spanned(record.money["gain_over_best_constant"])
        lines.append(f"Fen a row beyond the best single action for all 每行比最佳一律决策多赚（分）: {gain}")
    return "\n\n".join(lines)


def _both(said: Said) -> str:
    return said.english if said.english == said.chinese else f"{said.english} {said.chinese}"
