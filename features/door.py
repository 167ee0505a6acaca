"""From a mapping to the bytes that the compiled state takes: one door a log and one for rows that ask.

A buffer begins with what it holds (`D_*`), then come four integers a word (how it is made, from which given, the
column's tag, and how much of the arena a new code takes), the words themselves, and what is given: the instant, the
numbers, the length of each text, and the texts end to end. `features.lookup` makes the words of it.
"""

from __future__ import annotations

import struct
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from features.program import NULL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from features.intake import Intake
    from features.kernel import Int64
    from features.program import Word

D_WORDS, D_NUMBERS, D_TEXTS, D_GIVEN, D_FIRST_WORD, D_IDENTITY, D_NEW, D_ENTRIES = range(8)
NUMBER, CODED_NUMBER, CODED_TEXT, NOTHING = range(4)
_TEXT_WORDS: Final = 128


class Door:
    """Packs the columns of mappings into a buffer.

    Attributes:
        buffer: What the compiled state is handed.
        numbers: The columns known to hold whole numbers, in the order in which they are given.
        texts: The columns known to hold text, likewise.
    """

    def __init__(
        self, intake: Intake, words: Sequence[Word], tags: Mapping[str, tuple[int, int]], identity: int
    ) -> None:
        """A door.

        Args:
            intake: Refuses what misfits; its columns are those of the words.
            words: What to make of the columns.
            tags: For each column whose values get codes its number, and how many words of the arena a code takes.
            identity: What keeps the ids of these events apart from others; 0 where they have none.
        """
        self._intake = intake
        self._words = tuple(words)
        self._tags = tags
        self._identity = identity
        self._text_words = _TEXT_WORDS
        self._arrange()

    def pack(self, at: int, mapping: Mapping[str, object], mark: str | None = None) -> None:
        """Lays an event or row in the buffer, with the text of its id.

        Raises:
            DataError: When columns are missing or hold what they cannot.
        """
        if not self._quickly(at, mapping, mark):
            self.pack_slowly(at, mapping, mark)

    def pack_slowly(self, at: int, mapping: Mapping[str, object], mark: str | None = None) -> None:
        """The same by way of the intake, which says what is wrong and learns what columns hold."""
        plain = dict(zip(self._intake.columns, self._intake.take(mapping), strict=True))
        self._arrange()
        texts = (*self._texts_of(plain), mark)
        self._lay(at, self._numbers_of(plain), texts, [-1 if text is None else len(text) for text in texts])

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that an event or row must have."""
        return self._intake.columns

    def learn(self, kinds: Mapping[str, type | None]) -> None:
        """Takes note of what columns hold, None where all is null.

        Raises:
            DataError: When a column is known to hold something else.
        """
        self._intake.learn(kinds)
        self._arrange()

    def make_room(self, letters: int) -> None:
        """Sees that so many bytes of text fit the buffer."""
        if letters > 8 * self._text_words:
            self._text_words = -(-letters // 8) * 2
            self._arrange()

    def _quickly(self, at: int, mapping: Mapping[str, object], mark: str | None) -> bool:
        try:
            if self._unknown and any(mapping[column] is not None for column in self._unknown):
                return False
            numbers, texts = self._numbers_of(mapping), (*self._texts_of(mapping), mark)
            lengths = [-1 if text is None else len(text) for text in texts]
            if NULL in numbers or 0 in lengths:
                return False
            self._lay(at, numbers, texts, lengths)
        except (KeyError, TypeError, struct.error):
            return False
        return True

    def _lay(self, at: int, numbers: Sequence[Any], texts: Sequence[Any], lengths: list[int]) -> None:
        whole = "".join(filter(None, texts))
        content = whole.encode("utf-8", "surrogatepass")
        if len(content) != len(whole):
            lengths = [-1 if text is None else len(text.encode("utf-8", "surrogatepass")) for text in texts]
        self.make_room(len(content))
        given = [NULL if number is None else number for number in numbers]
        self._pack(self._bytes, self._given, at, *given, *lengths)
        self._bytes[self._text : self._text + len(content)] = content

    def _arrange(self) -> None:
        """Lays the buffer out for what is known of the columns by now."""
        kinds = self._intake.kinds
        columns = tuple(dict.fromkeys(word.column for word in self._words))
        self.numbers = numbers = [column for column in columns if kinds.get(column) is int]
        self.texts = texts = [column for column in columns if kinds.get(column) is str]
        self._unknown = tuple(column for column in columns if column not in kinds)
        self._numbers_of, self._texts_of = _getter(numbers), _getter(texts)
        entries, new = [], 0
        for word in self._words:
            tag, places = self._tags.get(word.column, (0, 0))
            if word.column in numbers:
                entries.append((CODED_NUMBER if word.coded else NUMBER, numbers.index(word.column), tag, places))
            elif word.column in texts:
                entries.append((CODED_TEXT, texts.index(word.column), tag, places))
            else:
                entries.append((NOTHING, 0, 0, 0))
            new += places
        first_word = D_ENTRIES + 4 * len(entries)
        given = first_word + 1 + len(entries)
        counted = 1 + len(numbers) + len(texts) + 1
        head = (len(entries), len(numbers), len(texts), given, first_word, self._identity, new)
        self.buffer: Int64 = np.zeros(given + counted + self._text_words, np.int64)
        self.buffer[:first_word] = (*head, *(word for entry in entries for word in entry))
        self._bytes = memoryview(self.buffer).cast("B")  # type: ignore[arg-type] # an array is a buffer
        self._given, self._text = 8 * given, 8 * (given + counted)
        self._pack = struct.Struct(f"{counted}q").pack_into


def _getter(columns: Sequence[str]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """The values of some columns, always as a tuple."""
    if len(columns) > 1:
        return itemgetter(*columns)
    if columns:
        (column,) = columns
        return lambda mapping: (mapping[column],)
    return lambda _: ()
