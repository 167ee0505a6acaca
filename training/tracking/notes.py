"""What a reviewer reads first on the page of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.record import Record


def note(record: Record) -> str:
    """What a reviewer reads first on the run's page."""
    lines = [f"**{name}** {interval}" for name, interval in record.metrics.items()]
    for name, part in record.baselines.items():
        lines += [
            f"{metric} over {name}: {interval}" for metric, interval in part.items() if metric.startswith("gain_")
        ]
    if record.money:
        lines.append(f"fen a row over doing the same for all: {record.money['gain_over_best_constant']}")
    rows = ", ".join(f"{count:,} {name}" for name, count in record.rows.items())
    return "\n\n".join([f"Test from {record.test_from:%Y-%m-%d}, scored once; rows: {rows}.", *lines])
