"""What a retraining did, for people and for a scheduler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from training.retraining.moved import SHOWN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from training.gates import Gate
    from training.retraining.state import State


@dataclass(frozen=True)
class Outcome:
    """What the step did, and what stands now.

    Attributes:
        task: Whose model.
        trained: Whether a model was trained, or brought to its end.
        resumed: Whether it went on from where an earlier call was killed.
        data_hash: Content of the tables.
        state: All that is known of it; None where a model of these data was made by another command.
        version: What was made of these data.
        champion: Who is champion now; empty where nobody is.
        challenger: Who challenges now; likewise.
        mended: What killed processes had left, in words.
        seconds: How long the step took.
        steps: What it did, in order.
    """

    task: str
    trained: bool
    resumed: bool
    data_hash: str
    state: State | None
    version: str
    champion: str
    challenger: str
    mended: tuple[str, ...]
    seconds: float
    steps: tuple[Mapping[str, object], ...]

    @property
    def gates(self) -> tuple[Gate, ...]:
        """What the version has to show, as it was found."""
        return self.state.verdict.gates if self.state and self.state.verdict else ()

    @property
    def refused(self) -> str:
        """Why a promotion that was asked for was refused, in words; empty where it was not."""
        verdict = self.state.verdict if self.state else None
        if verdict is None or not verdict.asked or self.version == self.champion:
            return ""
        return "; ".join(map(str, verdict.refused))

    @property
    def why(self) -> str:
        """What was done, in words."""
        if not self.trained:
            return f"nothing is new: {self.version} was made of the same data and declarations"
        reason = f" ({self.state.reason})" if self.state and self.state.reason else ""
        made = f"{self.version} was made{reason}" + (", going on from where it was cut short" if self.resumed else "")
        if self.version == self.champion:
            return f"{made} and is champion"
        return f"{made} and challenges" + (f"; refused as champion by {self.refused}" if self.refused else "")

    def as_dict(self) -> dict[str, object]:
        """The object of `shepherd retrain --json`."""
        state = self.state
        return {
            "task": self.task,
            "did": "trained" if self.trained else "nothing",
            "why": self.why,
            "resumed": self.resumed,
            "data_hash": self.data_hash,
            "version": self.version,
            "run_id": state.run_id if state else None,
            "logged": state.logged if state else None,
            "champion": self.champion or None,
            "challenger": self.challenger or None,
            "promoted": self.version == self.champion,
            "gates": [gate.as_dict() for gate in self.gates],
            "drift": state.moved.as_dict() if state and state.moved else None,
            "mended": list(self.mended),
            "steps": list(self.steps),
            "seconds": round(self.seconds, 3),
        }

    def text(self) -> str:
        """For people."""
        lines = [f"{self.task}: {self.why}"]
        lines.append(f"champion {self.champion or 'none'}, challenger {self.challenger or 'none'}")
        moved = self.state.moved if self.state else None
        if moved and moved.against:
            top = ", ".join(f"{name} {index:.3f}" for name, index in list(moved.features.items())[:SHOWN])
            lines.append(f"stability index against {moved.against} in {moved.rows:,} rows, largest: {top or 'none'}")
        lines += [f"  {'passed' if gate.passed else 'refused'}: {gate}" for gate in self.gates]
        return "\n".join(lines)
