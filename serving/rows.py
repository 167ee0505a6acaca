"""Rows of any task, as JSON lines: features in; chance, action and reasons out, a line each, in the same order."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from serving.contracts import Problem, ReasonBody, RowAnswer
from serving.decisions import decide
from serving.reasons import explain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from serving.scorer import Scorer

MOST_ROWS: Final = 1_000
MOST_PROBLEMS: Final = 10
_LARGEST: Final = float(np.finfo(np.float32).max)
_decode = msgspec.json.Decoder(dict[str, float | None]).decode


class RowsRefused(Exception):
    """Lines that cannot be scored; nothing was."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("The rows break their contract.")
        self.problems = tuple(problems)


def answer_rows(scorer: Scorer, body: bytes) -> bytes:
    """Score every line.

    Args:
        scorer: The model of the task.
        body: A JSON object a line: every feature of the model by name, a number or null.

    Returns:
        A `RowAnswer` a line.

    Raises:
        RowsRefused: A line is no such object; the first ten problems of all lines are named.
    """
    matrix = _matrix(scorer.manifest.feature_names, body.splitlines())
    probability, contributions = scorer.probability(matrix), scorer.contributions(matrix)
    action, value = decide(probability, scorer.manifest.payoff)
    lines = (
        RowAnswer(
            probability=float(chance),
            action=scorer.manifest.payoff.actions[chosen],
            expected_value_fen=float(worth),
            reasons=tuple(ReasonBody(**asdict(reason)) for reason in explain(scorer.manifest.features, row, moved)),
        )
        for chance, chosen, worth, row, moved in zip(probability, action, value, matrix, contributions, strict=True)
    )
    return b"".join(line.model_dump_json().encode() + b"\n" for line in lines)


def _matrix(names: Sequence[str], lines: Sequence[bytes]) -> NDArray[np.float32]:
    """The lines as float32, shape (rows, features), NaN for null."""
    if not 1 <= len(lines) <= MOST_ROWS:
        raise RowsRefused([_problem("body", f"{len(lines)} lines", f"1 to {MOST_ROWS:,}", "send a JSON object a line")])
    problems: list[Problem] = []
    matrix = np.full((len(lines), len(names)), np.nan, dtype=np.float32)
    for number, line in enumerate(lines, start=1):
        found = _row(names, line, number)
        if isinstance(found, list):
            problems += found
        else:
            matrix[number - 1] = found
    if problems:
        raise RowsRefused(problems[:MOST_PROBLEMS])
    return matrix


def _row(names: Sequence[str], line: bytes, number: int) -> NDArray[np.float32] | list[Problem]:
    where = f"line {number}"
    try:
        values = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return [_problem(where, "no object of numbers and nulls", "a JSON object by feature name", "mend the line")]
    problems = []
    missing = [name for name in names if name not in values]
    if missing:
        listed = ", ".join(missing)
        problems.append(_problem(where, f"{len(missing)} features missing", listed, "give each, null where unknown"))
    if len(values) > len(names) - len(missing):
        problems.append(_problem(where, "unknown keys", "only the features under /v1/models", "leave the others out"))
    if any(value is not None and abs(value) > _LARGEST for value in values.values()):
        problems.append(_problem(where, "a number too large for float32", f"at most {_LARGEST:g}", "mend the number"))
    row = [np.nan if (value := values.get(name)) is None else value for name in names]
    return problems or np.array(row, dtype=np.float32)


def _problem(where: str, found: str, expected: str, fix: str) -> Problem:
    return Problem(where=where, found=found, expected=expected, fix=fix)
