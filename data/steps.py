"""The steps of a journey: a progress bar with an estimate while each runs, and how long each took."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console


@dataclass
class Step:
    """One step while it runs, and what is left of it.

    Attributes:
        name: What is done.
        rows: How many rows it did it to, where that says something.
        seconds: How long it took.
    """

    name: str
    rows: int | None = None
    seconds: float = 0.0
    _bar: Progress | None = field(default=None, repr=False)

    def advance(self, amount: float = 1) -> None:
        """Move the bar on."""
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0], amount)

    def reach(self, what: str, done: int, total: int) -> None:
        """Set the bar to `done` of `total`, and say what was done last."""
        if self._bar is not None:
            description = f"{self.name}: {what}"
            self._bar.update(self._bar.task_ids[0], completed=done, total=total, description=description)

    def as_dict(self) -> dict[str, str | int | float | None]:
        """For JSON."""
        return {"name": self.name, "seconds": round(self.seconds, 3), "rows": self.rows}


@dataclass
class Steps:
    """What has been done so far, in order.

    Attributes:
        console: Where bars are drawn; none is drawn without one, nor into a file or a pipe.
        done: The finished steps.
        started: Reading of the clock when the first could begin.
        chapter: What the steps of now are about, where a journey has several parts; stands before their names.
    """

    console: Console | None = None
    done: list[Step] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)
    chapter: str = ""

    @contextmanager
    def step(self, name: str, total: float | None = None) -> Iterator[Step]:
        """Time what happens inside, under a bar of `total` advances (a spinner where that is not known)."""
        step = Step(f"{self.chapter}: {name}" if self.chapter else name)
        started = time.perf_counter()
        if self.console is None or not self.console.is_terminal:
            yield step
        else:
            with _bar(self.console) as bar:
                bar.add_task(step.name, total=total)
                step._bar = bar  # noqa: SLF001 - the step is this module's own
                yield step
        step.seconds = time.perf_counter() - started
        step._bar = None  # noqa: SLF001 - likewise
        self.done.append(step)


def _bar(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=console,
        transient=True,
    )
