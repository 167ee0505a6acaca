"""Rows as an Arrow stream say and get what JSON lines do; a hostile stream is refused before it costs anything."""

from __future__ import annotations

import contextlib
import json
import struct
import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import ipc

from serving.app import create_app
from serving.arrow_rows import ARROW, PLACE_ANSWERS, ROW_ANSWERS, answer_batch, write_stream
from serving.bundle import read, resolve
from serving.client import Client as Typed
from serving.contracts import PlaceAnswer, RowAnswer
from serving.edge import LARGEST_BATCH
from serving.rows import MOST_ROWS, Columns, RowsRefused, answer_rows, read_lines
from serving.scorer import Scorer
from tests.serving.conftest import NAMES, rows
from tests.serving.test_api import Client
from tests.serving.test_client import InProcess
from tests.serving.test_rows import LOTTERY, exported, scans  # noqa: F401 - fixtures, asked for by name

LINES = "application/x-ndjson"


@pytest.fixture(scope="module")
def scorer(home):
    return Scorer(read(resolve(home / "bundles", "coupon", "champion")))


def stream(table, **options):
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, table.schema, options=ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def lines_of(table):
    return b"\n".join(json.dumps(row).encode() for row in table.to_pylist())


def features(count=5, kind=None):
    columns = zip(NAMES, rows(count).T, strict=True)
    return pa.table({name: pa.array(values, kind or pa.float32(), from_pandas=True) for name, values in columns})


def opened(body):
    with ipc.open_stream(body) as reader:
        return reader.read_all()


def refused(scorer, body, lottery=None):
    with pytest.raises(RowsRefused) as error:
        answer_batch(scorer, body, lottery, from_arrow=True, to_arrow=False)
    return error.value.problems


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()])
def test_the_same_rows_get_the_same_bytes_whatever_they_come_as(scorer, kind):
    table = features(200, kind)
    from_lines = answer_rows(scorer, lines_of(table))

    assert answer_batch(scorer, stream(table), from_arrow=True, to_arrow=False) == from_lines
    assert answer_batch(scorer, stream(table.slice(3, 7)), from_arrow=True, to_arrow=False) == b"".join(
        line + b"\n" for line in from_lines.splitlines()[3:10]
    )


def test_an_answer_in_columns_has_the_numbers_of_lines_to_the_bit(scorer):
    table = features(200)
    said = [json.loads(line) for line in answer_rows(scorer, lines_of(table)).splitlines()]

    for from_arrow, body in ((True, stream(table)), (False, lines_of(table))):
        found = opened(answer_batch(scorer, body, from_arrow=from_arrow, to_arrow=True))
        assert found.schema.equals(ROW_ANSWERS)
        assert found.to_pylist() == said


def test_a_lot_and_groups_come_by_column_too(scans):  # noqa: F811 - the fixture
    names = Columns.of(scans.manifest, LOTTERY)
    count = 40
    told = {name: pa.array(np.linspace(0, 9, count), pa.float64()) for name in names.features}
    told[names.stake] = pa.array(range(100, 100 + count), pa.int32())
    for name in names.groups:
        told[name] = pa.array([("calm", "open", None)[row % 3] for row in range(count)]).dictionary_encode()
    told[names.decision] = pa.array([f"scan-{row}" for row in range(count)], pa.large_string())
    table = pa.table(told)

    expected = answer_rows(scans, lines_of(table), LOTTERY)

    assert answer_batch(scans, stream(table), LOTTERY, from_arrow=True, to_arrow=False) == expected
    assert opened(answer_batch(scans, stream(table), LOTTERY, from_arrow=True, to_arrow=True)).to_pylist() == [
        json.loads(line) for line in expected.splitlines()
    ]


def test_the_columns_of_answers_are_those_of_their_contracts():
    assert ROW_ANSWERS.names == list(RowAnswer.model_fields)
    assert PLACE_ANSWERS.names == list(PlaceAnswer.model_fields)
    places = [PlaceAnswer(place=2, score=0.1, reasons=()), PlaceAnswer(place=1, score=0.5, reasons=())]
    assert opened(write_stream(places)).to_pylist() == [one.model_dump() | {"reasons": []} for one in places]


VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([0, 1, -(2**63), 2**63 - 1, 2**53 + 1]),
)
DOUBLES = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(VALUES, DOUBLES, st.one_of(DOUBLES, st.text(max_size=3))), min_size=1, max_size=12))
def test_whatever_is_sent_both_say_the_same(scorer, sent):
    if any(isinstance(third, str) for *_, third in sent):
        sent = [(one, two, None if isinstance(three, float) else three) for one, two, three in sent]
    third = pa.string() if any(isinstance(three, str) for *_, three in sent) else pa.float64()
    kinds = (pa.int64(), pa.float64(), third)
    columns = zip(NAMES, zip(*sent, strict=True), kinds, strict=True)
    table = pa.table({name: pa.array(column, kind) for name, column, kind in columns})

    def told(body, from_arrow):
        try:
            return answer_batch(scorer, body, from_arrow=from_arrow, to_arrow=False)
        except RowsRefused as error:
            return error.problems

    assert told(stream(table), True) == told(lines_of(table), False)


def test_every_problem_of_values_is_said_as_of_lines(scans):  # noqa: F811 - the fixture
    names = Columns.of(scans.manifest, LOTTERY)
    good = (
        dict.fromkeys(names.features, 1.0) | {names.stake: 5.0, names.decision: "a"} | dict.fromkeys(names.groups, "g")
    )
    bad = [
        good,
        good | {names.stake: -1.0},
        good | {names.decision: "x" * 200},
        good | {names.features[0]: 1e300},
        good,
    ]
    table = pa.Table.from_pylist(bad)

    with pytest.raises(RowsRefused) as error:
        read_lines(names, lines_of(table).splitlines())

    assert refused(scans, stream(table), LOTTERY) == error.value.problems
    assert [one.where for one in error.value.problems] == ["line 2", "line 3", "line 4"]


def wrong_dictionary():
    return pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int8()), pa.array([b"a", b"b"]))


def endless(count):
    """A record batch that says it has so many rows, all null, and holds nothing."""
    schema = pa.schema([(name, pa.null()) for name in NAMES])
    batch = pa.RecordBatch.from_arrays([pa.nulls(3) for _ in NAMES], schema=schema)
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, schema) as writer:
        writer.write_batch(batch)
    body = sink.getvalue().to_pybytes()
    return body.replace(struct.pack("<q", 3), struct.pack("<q", count))


def altered(at, value):
    body = bytearray(stream(features()))
    body[at : at + len(value)] = value
    return bytes(body)


HOSTILE = {
    "nothing": b"",
    "no Arrow": b"PK\x03\x04" + bytes(60),
    "JSON lines": b'{"a": 1}\n' * 3,
    "an Arrow file": b"ARROW1\0\0" + stream(features()),
    "the schema alone": stream(features(0))[:-8],
    "no rows": stream(features(0)),
    "no columns": stream(pa.table({})),
    "half a stream": stream(features())[: len(stream(features())) // 2],
    "without its last byte of data": stream(features(1000))[:-20],
    "a dictionary of bytes": stream(pa.table({name: wrong_dictionary() for name in NAMES})),
    "a dictionary of numbers": stream(pa.table({name: pa.array([1.5, 2.5]).dictionary_encode() for name in NAMES})),
    "columns of text": stream(pa.table(dict.fromkeys(NAMES, pa.array(["1"])))),
    "columns of truth": stream(pa.table(dict.fromkeys(NAMES, pa.array([True])))),
    "columns of moments": stream(pa.table(dict.fromkeys(NAMES, pa.array([0], pa.timestamp("us"))))),
    "columns of lists": stream(pa.table(dict.fromkeys(NAMES, pa.array([[1.0]])))),
    "columns of structures": stream(pa.table(dict.fromkeys(NAMES, pa.array([{"a": 1.0}])))),
    "columns of decimals": stream(pa.table(dict.fromkeys(NAMES, pa.array([1], pa.decimal128(5))))),
    "columns of runs": stream(
        pa.table(dict.fromkeys(NAMES, pa.RunEndEncodedArray.from_arrays([2_000_000_000], [1.0]).slice(0, 3)))
    ),
    "a column missing": stream(features().drop_columns([NAMES[1]])),
    "a column too many": stream(features().append_column("password", pa.array(range(5)))),
    "a column twice": stream(features().append_column(NAMES[0], pa.array(range(5)))),
    "10,000 columns": stream(pa.table({f"c{number}": [1] for number in range(10_000)})),
    "NaN": stream(pa.table(dict.fromkeys(NAMES, pa.array([float("nan")])))),
    "infinity": stream(pa.table(dict.fromkeys(NAMES, pa.array([float("inf")])))),
    "a thousand rows and one": stream(features(MOST_ROWS + 1)),
    "2**60 rows of nothing": endless(2**60),
    "less than no rows": endless(-5),
    "a head of 2 GB": struct.pack("<Ii", 0xFFFFFFFF, 2**31 - 1) + bytes(64),
    "a head of less than nothing": struct.pack("<Ii", 0xFFFFFFFF, -8) + bytes(64),
    "a bomb of zstd": stream(pa.table(dict.fromkeys(NAMES, pa.array(np.zeros(40_000_000)))), compression="zstd"),
    "a bomb of lz4": stream(pa.table(dict.fromkeys(NAMES, pa.array(np.zeros(4_000_000)))), compression="lz4"),
    "a compressed dictionary": stream(
        pa.table({name: pa.array(["x" * 10_000]).dictionary_encode() for name in NAMES}), compression="zstd"
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_hostile_is_refused_and_costs_no_memory(scorer, name):
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    try:
        problems = refused(scorer, HOSTILE[name])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert 1 <= len(problems) <= 10
    assert peak < 8 * 1024 * 1024
    assert pa.total_allocated_bytes() - before < 8 * 1024 * 1024


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(at=st.integers(0, 1_000), value=st.binary(min_size=1, max_size=8), cut=st.integers(0, 1_200))
def test_a_damaged_stream_is_answered_or_refused(scorer, at, value, cut):
    body = altered(at, value)
    for one in (body, body[:cut], body[cut:]):
        with contextlib.suppress(RowsRefused):  # nothing else may come of it
            assert answer_batch(scorer, one, from_arrow=True, to_arrow=False)


def test_a_long_text_that_many_rows_name_is_one_text(scans):  # noqa: F811 - the fixture
    names = Columns.of(scans.manifest)
    count = 1_000
    told = {name: pa.nulls(count, pa.float32()) for name in names.features} | {names.stake: pa.array([1.0] * count)}
    (group,) = names.groups
    told[group] = pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int8()), pa.array(["x" * 500_000]))

    tracemalloc.start()
    try:
        answer_batch(scans, stream(pa.table(told)), from_arrow=True, to_arrow=False)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 64 * 1024 * 1024


def test_over_http_kind_and_accept_choose_each_for_itself(settings):
    table = features(20)
    with Client(create_app(settings)) as client:

        def asked(body, kind, accept):
            headers = {"content-type": kind} | ({"accept": accept} if accept else {})
            return client.post("/v1/coupon/batch", content=body, headers=headers)

        said = asked(lines_of(table), LINES, "")
        columns = asked(stream(table), ARROW, "")
        both = asked(stream(table), f"{ARROW}; v=1", f"text/plain, {ARROW};q=0.9")
        mixed = asked(lines_of(table), LINES, ARROW)
        bomb = asked(HOSTILE["a bomb of zstd"], ARROW, ARROW)
        large = asked(bytes(LARGEST_BATCH + 1), ARROW, ARROW)

    assert [one.status_code for one in (said, columns, both, mixed, bomb, large)] == [200, 200, 200, 200, 422, 413]
    assert columns.content == said.content
    assert (columns.headers["content-type"], both.headers["content-type"]) == (LINES, ARROW)
    assert both.content == mixed.content
    assert opened(both.content).to_pylist() == [json.loads(line) for line in said.content.splitlines()]
    assert bomb.json()["error"]["problems"][0]["found"] == "a compressed stream"


def test_the_typed_client_sends_and_gets_tables(settings):
    table = features(20)
    with Typed("http://shepherd", transport=InProcess(create_app(settings))) as client:
        found = client.batch_table("coupon", table)
        lines = client.batch("coupon", table.to_pylist())

    assert found.schema.equals(ROW_ANSWERS)
    assert found["probability"].to_pylist() == [one.probability for one in lines]
