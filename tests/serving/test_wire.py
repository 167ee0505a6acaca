from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.wire import NoMessage, fields, tagged

NUMBERS = st.integers(1, (1 << 29) - 1)
MESSAGES = st.lists(st.tuples(NUMBERS, st.binary(max_size=300)), max_size=5)


@given(MESSAGES)
def test_what_is_written_is_read_again(message: list[tuple[int, bytes]]) -> None:
    written = b"".join(tagged(number, content) for number, content in message)

    found = list(fields(written))

    assert [(field.number, bytes(field.message)) for field in found] == message
    assert b"".join(field.written for field in found) == written


@given(MESSAGES.filter(bool), st.data())
def test_a_message_that_ends_too_early_is_none(message: list[tuple[int, bytes]], data: st.DataObject) -> None:
    last = tagged(*message[-1])
    cut = data.draw(st.integers(1, len(last) - 1))

    with pytest.raises(NoMessage, match="no model"):
        list(fields(b"".join(tagged(*one) for one in message[:-1]) + last[:cut]))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        found = list(fields(content))
    except NoMessage:
        return
    assert b"".join(field.written for field in found) == content


@pytest.mark.parametrize(
    ("content", "kind", "value"),
    [(b"\x08\x96\x01", 0, 150), (b"\x0d" + bytes(4), 5, 0), (b"\x09" + bytes(8), 1, 0)],
    ids=["number", "four bytes", "eight bytes"],
)
def test_a_field_of_another_kind_has_no_message(content: bytes, kind: int, value: int) -> None:
    (field,) = fields(content)

    assert (field.number, field.kind, field.value) == (1, kind, value)
    with pytest.raises(NoMessage):
        _ = field.message


@pytest.mark.parametrize("content", [b"\x00", b"\x0b", b"\x0f", b"\x80" * 11, b"\x08" + b"\xff" * 10], ids=repr)
def test_what_the_format_does_not_have_is_refused(content: bytes) -> None:
    with pytest.raises(NoMessage):
        list(fields(content))


def test_bytes_that_are_no_text_are_refused() -> None:
    (field,) = fields(tagged(1, b"\xff"))

    with pytest.raises(NoMessage):
        _ = field.text
