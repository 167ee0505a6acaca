"""Rows of any task as an Arrow stream: a column a feature, in and out; what is said of them is that of `serving.rows`.

What comes is looked at before it is believed: compressed bodies, columns of other kinds and too many rows are refused
from what the stream says of itself, so that a small body never becomes a large one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
from pyarrow import ipc

from serving.arrow_header import is_compressed
from serving.contracts import LONGEST_ID, PlaceAnswer, Problem
from serving.rows import (
    MOST_PROBLEMS,
    MOST_ROWS,
    Columns,
    Rows,
    RowsRefused,
    answer_rows,
    answers,
    name_problems,
    read_lines,
    value_problems,
    write_lines,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from serving.contracts import RowAnswer
    from serving.holdout import Lottery
    from serving.rows import Line
    from serving.scorer import Scorer

ARROW: Final = "application/vnd.apache.arrow.stream"
_TEXT, _NUMBER, _TRUTH = pa.string(), pa.float64(), pa.bool_()


def _told(name: str, kind: pa.DataType) -> pa.Field[Any]:
    """A column without nulls."""
    return pa.field(name, kind, nullable=False)


_REASON: Final[list[pa.Field[Any]]] = [
    _told("feature", _TEXT),
    pa.field("value", _NUMBER),
    _told("contribution", _NUMBER),
    _told("code", _TEXT),
    pa.field("usual", _NUMBER),
    _told("sentence", _TEXT),
    pa.field("sentence_zh", _TEXT),
]
_REASONS: Final = _told("reasons", pa.list_(pa.struct(_REASON)))
_LOT: Final[list[pa.Field[Any]]] = [
    _told("decision_id", _TEXT),
    _told("meant", _TEXT),
    _told("allowed_at_random", _TRUTH),
    _told("propensity", _NUMBER),
    _told("share", _NUMBER),
]
_ROW: Final[list[pa.Field[Any]]] = [
    _told("probability", _NUMBER),
    _told("action", _TEXT),
    _told("expected_value_fen", _NUMBER),
    pa.field("lot", pa.struct(_LOT)),
    _REASONS,
]
_PLACE: Final[list[pa.Field[Any]]] = [_told("place", pa.int64()), _told("score", _NUMBER), _REASONS]
ROW_ANSWERS: Final = pa.schema(_ROW)
"""The columns of `serving.contracts.RowAnswer`."""
PLACE_ANSWERS: Final = pa.schema(_PLACE)
"""The columns of `serving.contracts.PlaceAnswer`."""


def read_stream(columns: Columns, body: bytes) -> Rows:
    """Rows that were sent as an Arrow stream.

    Args:
        columns: What has to be said.
        body: A stream, not compressed, of 1 to 1,000 rows: a column of numbers a feature, null where unknown (no NaN),
            and of text where a group or the name of a decision is asked for; text may be coded by a dictionary.

    Raises:
        RowsRefused: It is no such stream; the first ten problems of all rows are named, as those of lines are.
    """
    try:
        table = _table(columns, body)
        lists = {name: _plain(table[name]) for name in columns.texts}
        numbers = {name: _floats(table[name]) for name in columns.names if name not in lists}
    except (pa.ArrowException, OSError, ValueError) as error:  # their texts repeat what was sent
        raise RowsRefused([_UNREAD]) from error
    wrong = _suspects(columns, numbers, lists, len(table))
    if wrong.any():
        raise RowsRefused(_problems(columns, table, np.flatnonzero(wrong).tolist()))
    features = np.empty((len(table), len(columns.features)), np.float32)
    for place, name in enumerate(columns.features):
        features[:, place] = numbers[name]
    return Rows(features, numbers[columns.stake] if columns.stake else None, lists)


def write_stream(found: Sequence[RowAnswer] | Sequence[PlaceAnswer]) -> bytes:
    """Answers as an Arrow stream: the columns of their contract, the numbers as JSON lines have them."""
    schema = PLACE_ANSWERS if isinstance(found[0], PlaceAnswer) else ROW_ANSWERS
    table = pa.Table.from_pylist([one.model_dump() for one in found], schema)
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def answer_batch(
    scorer: Scorer, body: bytes, lottery: Lottery | None = None, *, from_arrow: bool, to_arrow: bool
) -> bytes:
    """Score a batch.

    Args:
        scorer: The model of the task.
        body: The rows: a stream as `read_stream` says, or lines as `serving.rows.answer_rows` does.
        lottery: Lets some rows through; None where nothing is drawn.
        from_arrow: Whether the rows are a stream.
        to_arrow: Whether the answer is.

    Raises:
        RowsRefused: The rows break their contract.
    """
    if not (from_arrow or to_arrow):
        return answer_rows(scorer, body, lottery)
    columns = Columns.of(scorer.manifest, lottery)
    rows = read_stream(columns, body) if from_arrow else read_lines(columns, body.splitlines())
    found = answers(scorer, rows, lottery)
    return write_stream(found) if to_arrow else write_lines(found)


def _table(columns: Columns, body: bytes) -> pa.Table:
    """The rows of a stream, each column of a kind that can be read, and nothing in it that points elsewhere."""
    if is_compressed(body):
        raise RowsRefused([_COMPRESSED])
    with ipc.open_stream(body) as reader:
        schema = reader.schema
        problems = [] if len(set(schema.names)) == len(schema.names) else [_TWICE]
        problems += name_problems(columns, set(schema.names), "columns")
        problems += [problem for field in schema if field.name in columns.names for problem in _kind_problems(field)]
        if problems:
            raise RowsRefused(problems[:MOST_PROBLEMS])
        batches, rows = [], 0
        for batch in reader:
            rows += batch.num_rows
            if rows > MOST_ROWS:
                break
            batch.validate(full=True)
            batches.append(batch)
    if not 1 <= rows <= MOST_ROWS:
        found = "no rows" if not rows else f"more than {MOST_ROWS:,} rows"
        raise RowsRefused([_problem("body", found, f"1 to {MOST_ROWS:,}", "send less in one request")])
    return pa.Table.from_batches(batches, schema)


def _kind_problems(field: pa.Field[Any]) -> list[Problem]:
    kind = field.type
    known = kind.value_type if pa.types.is_dictionary(kind) else kind
    if _is_text(known) or (known is kind and (_is_number(kind) or pa.types.is_null(kind))):
        return []
    expected = "a column of integers, floats or text"
    return [_problem("columns", f"a column of another kind as {field.name}", expected, "cast it")]


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _plain(column: pa.ChunkedArray[Any]) -> list[Any]:
    """Values as Python has them; those of a dictionary are not copied, so that a long one stays one."""
    found: list[Any] = []
    for chunk in column.chunks:
        if isinstance(chunk, pa.DictionaryArray):
            known = chunk.dictionary.to_pylist()
            found += [None if place is None else known[place] for place in chunk.indices.to_pylist()]
        else:
            found += chunk.to_pylist()
    return found


def _floats(column: pa.ChunkedArray[Any]) -> NDArray[np.float64]:
    """Numbers as doubles, null as NaN, what is no number as infinity, which is looked at again."""
    if not (_is_number(column.type) or pa.types.is_null(column.type)):
        return np.full(len(column), np.inf)
    doubles = column.cast(pa.float64(), safe=False).combine_chunks()
    found = np.array(doubles.to_numpy(zero_copy_only=False))
    found[np.isnan(found) & np.asarray(doubles.is_valid())] = np.inf
    return found


def _suspects(
    columns: Columns, numbers: dict[str, NDArray[np.float64]], lists: dict[str, list[Any]], count: int
) -> NDArray[np.bool_]:
    """The rows in which something may be wrong."""
    wrong = np.zeros(count, np.bool_)
    largest = float(np.finfo(np.float32).max)
    for name, values in numbers.items():
        wrong |= np.abs(values) > largest
        if name == columns.stake:
            wrong |= ~(values >= 0)
    for name, texts in lists.items():
        if name == columns.decision:
            wrong |= np.array([not isinstance(one, str) or not one for one in texts])
            wrong |= np.array([isinstance(one, str) and len(one) > LONGEST_ID for one in texts])
        else:
            wrong |= np.array([not isinstance(one, str | None) for one in texts])
    return wrong


def _problems(columns: Columns, table: pa.Table, suspects: Sequence[int]) -> list[Problem]:
    """What is wrong with rows, said as of lines."""
    problems: list[Problem] = []
    for number in suspects:
        values: Line = {name: _plain(table[name].slice(number, 1))[0] for name in columns.names}
        problems += value_problems(columns, values, f"line {number + 1}")
        if len(problems) >= MOST_PROBLEMS:
            break
    return problems[:MOST_PROBLEMS]


def _problem(where: str, found: str, expected: str, fix: str) -> Problem:
    return Problem(where=where, found=found, expected=expected, fix=fix)


_UNREAD: Final = _problem(
    "body", "bytes that are no Arrow stream", "a whole stream: schema, record batches, end", "write it with Arrow IPC"
)
_COMPRESSED: Final = _problem(
    "body", "a compressed stream", "a stream whose size can be seen", "write it without compression"
)
_TWICE: Final = _problem("columns", "a column twice", "each column once", "leave one out")
