"""What the page tells of a fit that depends on its kind: a decision, an order of lists, or a forecast of sites."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serving.reasons import Reason
    from training.interval import Interval
    from training.report.curve import Curve
    from training.report.risks import Money, Risk
    from training.report.words import Said


class Case(Protocol):
    """One row of the test, as the page tells it."""

    @property
    def name(self) -> str:
        """A hash of the data and the row's key: whoever holds the data finds the row, nobody else."""

    @property
    def cells(self) -> tuple[str, ...]:
        """What was said, done and came true, one for each of the part's columns."""

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """What moved the score most, in words."""


@dataclass(frozen=True)
class Headline:
    """A figure that stands beside the verdict.

    Attributes:
        label: What it is, with its unit.
        figure: The figure with its interval.
        sure: Whether it is surely a lead, in words; None where it is no lead.
        rests: On which rows, where those are not all of the test.
    """

    label: Said
    figure: Interval
    sure: Said | None = None
    rests: Said | None = None

    @property
    def mood(self) -> str:
        """Good where it is surely a lead, bad where surely none, neutral where 0 is possible or nothing is led."""
        if self.sure is None or self.figure.low <= 0 <= self.figure.high:
            return ""
        return "good" if self.figure.low > 0 else "bad" if self.figure.high < 0 else ""


@dataclass(frozen=True)
class Part:
    """What depends on the kind of fit.

    Attributes:
        money: What is earned; None where the model takes no action.
        headlines: The two figures that stand beside the verdict.
        risks: Worst first.
        curves: Points to draw.
        errors: The worst of the test.
        decisions: Ten of the test.
        columns: What the cells of errors and of decisions are, the chance or forecast first.
        decided: The same of decisions, where they are told by other cells.
        remarks: What is to be said in a section, by its name.
    """

    money: Money | None
    headlines: tuple[Headline, ...]
    risks: tuple[Risk, ...]
    curves: tuple[Curve, ...]
    errors: tuple[Case, ...]
    decisions: tuple[Case, ...]
    columns: tuple[Said, ...]
    decided: tuple[Said, ...] = ()
    remarks: Mapping[str, Said] = field(default_factory=dict)
