"""One row of features scored on the hot path: chance, action and worth, of no state and without a trace in the log.

The quick way reads a row straight into a type made of the model's own columns. Only a row that does not fit it is read
again by the slow checks of `serving.rows`, which name everything that is wrong: the refusals are those of a batch.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import numpy as np

from serving.contracts import Problem
from serving.rows import Columns, RowsRefused, read_row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serving.scorer import Scorer

BODY: Final = "body"
_LARGEST: Final = float(np.finfo(np.float32).max)
_NULL: Final = float("nan")
_Number = Annotated[float, msgspec.Meta(ge=-_LARGEST, le=_LARGEST)]
_Stake = Annotated[float, msgspec.Meta(ge=0, le=_LARGEST)]


class RowScore(msgspec.Struct, frozen=True):
    """What the model says of one row; nothing of it is kept.

    Attributes:
        probability: Calibrated chance of the outcome that the model predicts, 0 to 1.
        action: What to do: what earns most for this row. No lot is drawn, because nothing is logged.
        expected_value_fen: What that action earns on average, in fen.
    """

    probability: float
    action: str
    expected_value_fen: float


_encode: Final = msgspec.json.Encoder().encode


class RowScorer:
    """Scores the rows of one model, one at a time.

    Args:
        scorer: The model.
    """

    def __init__(self, scorer: Scorer) -> None:
        self._scorer, self._payoff, self._prices = scorer, scorer.manifest.payoff, scorer.manifest.prices
        self._columns = columns = Columns.of(scorer.manifest)
        self._decode = msgspec.json.Decoder(row_type(columns)).decode
        self._features = len(columns.features)
        self._pack = struct.Struct(f"{self._features}f").pack
        cap = self._payoff.cap
        self._stake = columns.names.index(columns.stake) if columns.stake else None
        self._group = columns.names.index(cap.group) if cap and cap.group else None
        self._decider = scorer.decider
        self._is_order = bool(scorer.manifest.lists)

    def answer(self, body: bytes) -> bytes:
        """Score one row, JSON in and out: see `score`."""
        return _encode(self.score(body))

    def score(self, body: bytes) -> RowScore:
        """Score one row.

        Args:
            body: A JSON object: every feature of the model by name, a number or null; and where the pay-off asks for
                them, what is at stake (a number of fen) and the group of its cap (text or null).

        Raises:
            RowsRefused: It is no such object, named as a line of a batch would be; or the model puts lists in order,
                and one row has no place.
        """
        if self._is_order:
            raise RowsRefused([_NO_CHANCE])
        row = self._read(body)
        if row is None:
            raise RowsRefused(self._problems(body))
        return self._scores([row])[0]

    def answers(self, bodies: Sequence[bytes]) -> list[bytes | None]:
        """Score some rows in one run of the model, each as `answer` would; None for one that it would refuse."""
        rows = [None if self._is_order else self._read(body) for body in bodies]
        scores = iter(self._scores([row for row in rows if row is not None]))
        return [None if row is None else _encode(next(scores)) for row in rows]

    def _read(self, body: bytes) -> tuple[Any, ...] | None:
        try:
            return msgspec.structs.astuple(self._decode(body))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    def _scores(self, rows: list[tuple[Any, ...]]) -> list[RowScore]:
        if not rows:
            return []
        packed = [self._pack(*[_NULL if value is None else value for value in row[: self._features]]) for row in rows]
        features = np.frombuffer(b"".join(packed), np.float32).reshape(len(rows), self._features)
        chances: list[float] = self._scorer.probability(features).tolist()
        return [self._score(row, chance) for row, chance in zip(rows, chances, strict=True)]

    def _score(self, row: tuple[Any, ...], probability: float) -> RowScore:
        group = None if self._group is None else row[self._group]
        price = self._prices.default if group is None else self._prices.by_group.get(group, self._prices.default)
        action, value = self._decider.decide(probability, 0.0 if self._stake is None else row[self._stake], price)
        return RowScore(probability, self._payoff.actions[action], value)

    def _problems(self, body: bytes) -> list[Problem]:
        found = read_row(self._columns, body, BODY)
        return found if isinstance(found, list) else [_UNREAD]


def row_type(columns: Columns) -> type[msgspec.Struct]:
    """The type of a row: what a body is decoded into, and what the OpenAPI page shows; its fields in their order."""
    fields = {f"column_{place}": name for place, name in enumerate(columns.names)}
    return msgspec.defstruct(
        "Row",
        [(field, _kind(columns, name)) for field, name in fields.items()],
        rename=fields,
        forbid_unknown_fields=True,
    )


def _kind(columns: Columns, name: str) -> Any:  # noqa: ANN401 - a type to decode into
    if name in columns.texts:
        return str | None
    return _Stake if name == columns.stake else _Number | None


_NO_CHANCE: Final = Problem(
    where="path.task",
    found="a task that puts lists in order",
    expected="a task whose rows have chances of their own",
    fix="send the whole list to its batch",
)
_UNREAD: Final = Problem(
    where=BODY, found="a row that cannot be read", expected="a JSON object by feature name", fix="mend the row"
)
