"""What an examination of codes found: each finding with its signs and its evidence, the most surprising first."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from data.codes.yardstick import Sign

Kind = Literal["leaked_batch", "cloned_code", "serial_run", "diverted_batch"]

HEADINGS: Final[Mapping[Kind, str]] = {
    "leaked_batch": "Batches that leaked (码包泄露): scanned before their goods could be sold",
    "cloned_code": "Codes that were cloned (复制码): scanned by members who cannot all hold the piece",
    "serial_run": "Serial runs: neighbouring codes scanned by few hands within a day",
    "diverted_batch": "Diverted goods (窜货): batches scanned in a city that they were not sent to",
}
"""The kinds of findings in the order in which they are told."""

_NOUNS: Final[Mapping[Kind, tuple[str, str]]] = {
    "leaked_batch": ("leaked batch", "leaked batches"),
    "cloned_code": ("cloned code", "cloned codes"),
    "serial_run": ("serial run", "serial runs"),
    "diverted_batch": ("diverted batch", "diverted batches"),
}
_TOLD: Final = 10
_NAMED: Final = 3
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class CodeFinding:
    """One thing that is wrong with a batch or a code.

    Attributes:
        kind: What is wrong.
        subject: The batch or the code.
        signs: What was counted, and what is usual.
        q: Share of false ones among all findings of the kind up to this one, by the yardstick; 0 where a sign is
            impossible rather than unlikely.
        evidence: Ids, counts, times (ISO 8601, UTC), distances (km) and speeds (km/h) for whoever follows it up.
    """

    kind: Kind
    subject: str
    signs: tuple[Sign, ...]
    q: float
    evidence: Mapping[str, Any]

    def text(self) -> str:
        """For people, over two lines."""
        signs = "; ".join(sign.text() for sign in self.signs)
        told = ", ".join(f"{name} {_said(value)}" for name, value in self.evidence.items() if value is not None)
        return f"  {self.subject}  {signs}\n    {told}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"signs": [asdict(sign) for sign in self.signs], "evidence": dict(self.evidence)}


@dataclass(frozen=True)
class CodesReport:
    """Everything found in a data set.

    Attributes:
        root: The data set.
        counts: Scans, how many of each status, and how many were requests without a printed code.
        findings: By kind, then the most surprising first.
        notes: What could not be judged, and why.
    """

    root: str
    counts: Mapping[str, int]
    findings: tuple[CodeFinding, ...]
    notes: tuple[str, ...]

    def of(self, kind: Kind) -> tuple[CodeFinding, ...]:
        """The findings of one kind."""
        return tuple(finding for finding in self.findings if finding.kind == kind)

    def text(self) -> str:
        """For people: the first of each kind, then what was not judged, then the sum."""
        blocks = [_block(heading, self.of(kind)) for kind, heading in HEADINGS.items()]
        width = max(map(len, self.counts))
        blocks.append("\n".join(f"{name:<{width}}  {count:>13,}" for name, count in self.counts.items()))
        blocks.append("\n".join(f"not judged: {note}" for note in self.notes))
        blocks.append(f"{self.root}: {', '.join(_counted(len(self.of(kind)), *_NOUNS[kind]) for kind in HEADINGS)}")
        return "\n\n".join(block for block in blocks if block)

    def as_dict(self) -> dict[str, Any]:
        """For machines: all findings."""
        return {
            "root": self.root,
            "counts": dict(self.counts),
            "findings": {kind: [finding.as_dict() for finding in self.of(kind)] for kind in HEADINGS},
            "notes": list(self.notes),
        }


def iso(microseconds: int | None) -> str | None:
    """An instant, in microseconds since 1970 UTC, as text of ISO 8601.

    >>> iso(0)
    '1970-01-01T00:00:00+00:00'
    """
    return None if microseconds is None else (_EPOCH + timedelta(microseconds=microseconds)).isoformat()


def _counted(number: int, one: str, several: str) -> str:
    return f"{number:,} {one if number == 1 else several}"


def _block(heading: str, findings: tuple[CodeFinding, ...]) -> str:
    if not findings:
        return ""
    lines = [heading, *(finding.text() for finding in findings[:_TOLD])]
    if len(findings) > _TOLD:
        lines.append(f"  … {len(findings) - _TOLD:,} more; --json lists all")
    return "\n".join(lines)


def _said(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, list | tuple):
        return " ".join([*map(str, value[:_NAMED]), *(["…"] if len(value) > _NAMED else [])])
    return str(value)
