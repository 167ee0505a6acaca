"""Rows of any task: features in; chance, action and reasons out, one each, in the same order.

They come and go as JSON lines here, as columns in `serving.arrow_rows`; what is said of them is one and the same.

A task that puts lists in order answers with places instead, because its score is no chance.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, cast

import msgspec
import numpy as np

from serving.contracts import LONGEST_ID, LotBody, PlaceAnswer, Problem, ReasonBody, RowAnswer
from serving.decisions import decide
from serving.reasons import explain

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from serving.holdout import Lot, Lottery
    from serving.manifest import Manifest
    from serving.scorer import Scorer

MOST_ROWS: Final = 1_000
MOST_PROBLEMS: Final = 10
DECISION: Final = "decision_id"
_LARGEST: Final = float(np.finfo(np.float32).max)
Line: TypeAlias = dict[str, float | str | None]
_decode = msgspec.json.Decoder(Line).decode


class RowsRefused(Exception):
    """Lines that cannot be scored; nothing was."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("The rows break their contract.")
        self.problems = tuple(problems)


def answer_rows(scorer: Scorer, body: bytes, lottery: Lottery | None = None) -> bytes:
    """Score every line of a batch.

    Args:
        scorer: The model of the task.
        body: A JSON object a line: every feature of the model by name, a number or null; and where the pay-off asks for
            them, what is at stake (a number of fen) and the group of its cap (text or null), such as the campaign.
            Where a lot is drawn, also the group of its shares, and what the decision is called: text, the same for the
            same scan each time it is sent.
        lottery: Lets some rows through; None where nothing is drawn.

    Returns:
        A `RowAnswer` a line; a `PlaceAnswer` where the model puts lists in order, for which a line also names its list.

    Raises:
        RowsRefused: A line is no such object; the first ten problems of all lines are named.
    """
    rows = read_lines(Columns.of(scorer.manifest, lottery), body.splitlines())
    return write_lines(answers(scorer, rows, lottery))


def write_lines(found: Sequence[RowAnswer] | Sequence[PlaceAnswer]) -> bytes:
    """Answers as JSON lines."""
    return b"".join(line.model_dump_json().encode() + b"\n" for line in found)


def answers(scorer: Scorer, rows: Rows, lottery: Lottery | None = None) -> list[RowAnswer] | list[PlaceAnswer]:
    """What is said of rows, whatever they came as."""
    manifest = scorer.manifest
    if manifest.lists:
        return _places(scorer, rows)
    probability, contributions = scorer.probability(rows.features), scorer.contributions(rows.features)
    meant, value = decide(probability, manifest.payoff, rows.stake, rows.price(manifest))
    action, lots = _drawn(manifest, rows, meant, lottery)
    return [
        RowAnswer(
            probability=float(chance),
            action=manifest.payoff.actions[chosen],
            expected_value_fen=float(worth),
            lot=None if lot is None else LotBody(**asdict(lot)),
            reasons=tuple(ReasonBody(**asdict(reason)) for reason in explain(manifest.features, row, moved)),
        )
        for chance, chosen, worth, lot, row, moved in zip(
            probability, action, value, lots, rows.features, contributions, strict=True
        )
    ]


def _places(scorer: Scorer, rows: Rows) -> list[PlaceAnswer]:
    """The place of each row in its list, of equal scores the earlier line first."""
    manifest = scorer.manifest
    score, contributions = scorer.raw(rows.features), scorer.contributions(rows.features)
    return [
        PlaceAnswer(
            place=place,
            score=float(one),
            reasons=tuple(ReasonBody(**asdict(reason)) for reason in explain(manifest.features, row, moved)),
        )
        for place, one, row, moved in zip(
            places(score, rows.text[manifest.lists]), score, rows.features, contributions, strict=True
        )
    ]


def places(score: NDArray[np.float64], lists: Sequence[str | None]) -> list[int]:
    """The place of each row among those of its list, from 1; of equal scores the earlier row comes first.

    >>> places(np.array([0.1, 0.7, 0.4]), ["ann", "ann", "bob"])
    [2, 1, 1]
    """
    taken: dict[str | None, int] = {}
    found = [0] * len(lists)
    for row in np.argsort(-score, kind="stable").tolist():
        found[row] = taken[lists[row]] = taken.get(lists[row], 0) + 1
    return found


def _drawn(
    manifest: Manifest, rows: Rows, meant: NDArray[np.int64], lottery: Lottery | None
) -> tuple[NDArray[np.int64], Sequence[Lot | None]]:
    """What is done after the lot, and what the log keeps of it."""
    if lottery is None:
        return meant, [None] * len(meant)
    group = rows.text[lottery.holdout.group] if lottery.holdout.group else None
    return lottery.draw([str(one) for one in rows.text[DECISION]], meant, group, manifest.payoff.actions)


@dataclass(frozen=True)
class Columns:
    """What a line has to say.

    Attributes:
        features: The features of the model in order; a number or null each.
        stake: What is at stake, a number of fen; empty where the pay-off has none.
        groups: The groups of the pay-off's cap and of the lot, and the list that is put in order; text or null.
        decision: What the decision is called, text; empty where no lot is drawn.
    """

    features: tuple[str, ...]
    stake: str
    groups: tuple[str, ...]
    decision: str

    @staticmethod
    def of(manifest: Manifest, lottery: Lottery | None = None) -> Columns:
        """Those that a bundle asks for, and the lot where one is drawn."""
        cap = manifest.payoff.cap
        groups = (cap.group if cap else "", lottery.holdout.group if lottery else "", manifest.lists)
        return Columns(
            manifest.feature_names,
            manifest.payoff.stake,
            tuple(dict.fromkeys(name for name in groups if name)),
            DECISION if lottery else "",
        )

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, each once."""
        return tuple(dict.fromkeys((*self.features, *self.besides)))

    @property
    def besides(self) -> tuple[str, ...]:
        """Those that are asked for besides features."""
        return tuple(name for name in (self.stake, *self.groups, self.decision) if name)

    @property
    def texts(self) -> tuple[str, ...]:
        """Those of them that are text."""
        return tuple(name for name in (*self.groups, self.decision) if name)


class Rows(NamedTuple):
    """Rows as arrays: float32 features of shape (rows, features) with NaN for null, stakes, and text by column."""

    features: NDArray[np.float32]
    stake: NDArray[np.float64] | None
    text: dict[str, list[str | None]]

    def price(self, manifest: Manifest) -> NDArray[np.float64] | None:
        """What the pay-off's cap costs each row; None where there is no cap."""
        cap = manifest.payoff.cap
        if cap is None:
            return None
        return manifest.prices.of(self.text[cap.group] if cap.group else None, len(self.features))


def read_lines(columns: Columns, lines: Sequence[bytes]) -> Rows:
    """Rows that were sent as JSON lines.

    Raises:
        RowsRefused: See `answer_rows`.
    """
    if not 1 <= len(lines) <= MOST_ROWS:
        raise RowsRefused([_problem("body", f"{len(lines)} lines", f"1 to {MOST_ROWS:,}", "send a JSON object a line")])
    problems: list[Problem] = []
    rows: list[Line] = []
    for number, line in enumerate(lines, start=1):
        found = read_row(columns, line, f"line {number}")
        problems += found if isinstance(found, list) else []
        rows += [] if isinstance(found, list) else [found]
    if problems:
        raise RowsRefused(problems[:MOST_PROBLEMS])
    matrix = [[np.nan if (value := row[name]) is None else value for name in columns.features] for row in rows]
    return Rows(
        np.array(matrix, dtype=np.float32).reshape(len(rows), len(columns.features)),
        np.array([row[columns.stake] for row in rows], dtype=np.float64) if columns.stake else None,
        {name: [cast("str | None", row[name]) for row in rows] for name in columns.texts},
    )


def read_row(columns: Columns, line: bytes, where: str) -> Line | list[Problem]:
    """One row by name, or everything that is wrong with it.

    Args:
        columns: What it has to say.
        line: A JSON object.
        where: What a problem calls the place.
    """
    try:
        values = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return [_problem(where, "no object of numbers and nulls", "a JSON object by feature name", "mend the line")]
    return name_problems(columns, values, where) + value_problems(columns, values, where) or values


def name_problems(columns: Columns, given: Collection[str], where: str) -> list[Problem]:
    """What is wrong with the names that are given."""
    names = columns.names
    problems = []
    missing = [name for name in names if name not in given]
    if missing:
        listed = ", ".join(missing)
        problems.append(_problem(where, f"{len(missing)} features missing", listed, "give each, null where unknown"))
    if len(given) > len(names) - len(missing):
        problems.append(_problem(where, "unknown keys", "only what /v1/models lists", "leave the others out"))
    return problems


def value_problems(columns: Columns, values: Line, where: str) -> list[Problem]:
    """What is wrong with the values of one row."""
    problems = []
    numbers = [value for name, value in values.items() if name not in columns.texts and value is not None]
    if any(isinstance(value, str) for value in numbers):
        problems.append(_problem(where, "text", "a number or null for each feature", "mend the line"))
    elif any(value != value for value in numbers):  # noqa: PLR0124 - only a column of Arrow holds a NaN
        problems.append(_problem(where, "a number that is none (NaN)", "a number or null", "send null where unknown"))
    elif any(abs(value) > _LARGEST for value in numbers if not isinstance(value, str)):
        problems.append(_problem(where, "a number too large for float32", f"at most {_LARGEST:g}", "mend the number"))
    stake = values.get(columns.stake, 0.0) if columns.stake else 0.0
    if stake is None or (not isinstance(stake, str) and stake < 0):
        expected = f"0 fen or more as {columns.stake}"
        problems.append(_problem(where, "no amount at stake", expected, "say what the row is about in fen"))
    problems += [
        _problem(where, "a number", f"text or null as {name}", "put it in quotes")
        for name in columns.groups
        if not isinstance(values.get(name), str | None)
    ]
    if columns.decision and columns.decision in values:
        problems += _decision_problems(values[columns.decision], columns.decision, where)
    return problems


def _decision_problems(value: float | str | None, name: str, where: str) -> list[Problem]:
    if isinstance(value, str) and 1 <= len(value) <= LONGEST_ID:
        return []
    expected = f"text of 1 to {LONGEST_ID} characters as {name}"
    return [_problem(where, "no name of the decision", expected, "send the id of the scan")]


def _problem(where: str, found: str, expected: str, fix: str) -> Problem:
    return Problem(where=where, found=found, expected=expected, fix=fix)
