"""What callers send: a scan to be judged, and rows of the other logs; every problem of a body is found at once.

A row is what the table's contract says (`data.contracts`), but for the columns that say when it arrived: that is now.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from data.contracts import LARGEST_FEN, LARGEST_SERIAL
from serving.contracts import LONGEST_ID, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

Text = Annotated[str, Meta(min_length=1, max_length=LONGEST_ID)]
Agent = Annotated[str, Meta(min_length=1, max_length=512)]
FIRST_YEAR, LAST_YEAR = 1970, 2199
"""The years of an instant, as it is written: clocks that were set back say 1970; beyond, some zone has no such time."""
Moment = Annotated[
    datetime, Meta(tz=True, description=f"ISO 8601 with a time zone, of the years {FIRST_YEAR} to {LAST_YEAR}.")
]
Fen = Annotated[int, Meta(ge=0, le=LARGEST_FEN)]
Earned = Annotated[int, Meta(ge=-LARGEST_FEN, le=LARGEST_FEN)]
Serial = Annotated[int, Meta(ge=0, le=LARGEST_SERIAL)]
Count = Annotated[int, Meta(ge=0, le=2**40)]
Flag = Literal[0, 1]
Share = Annotated[float, Meta(ge=0, le=1)]
MOST_ROWS: Final = 500
MOST_PROBLEMS: Final = 20

T = TypeVar("T")


class ScanBody(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One scan, as it is sent to be judged.

    Attributes:
        scan_id: The scan; a scan sent twice carries the same one.
        ts: When the phone scanned, ISO 8601 with a zone.
        code_id: The printed code, also of a forged one.
        status: What became of the code.
        prize_fen: The prize drawn by the scan.
        member_id: Who scanned.
        device_id: The phone.
        ip: The network address.
        batch_id: The production batch of the code.
        serial: The code's place in its batch.
        product_id: The product.
        campaign_id: The campaign that ran.
        lat: WGS-84 latitude in degrees.
        lon: WGS-84 longitude in degrees.
        entry: How the scan came in.
        user_agent: What the phone's browser says of itself.
        wifi_id: The wireless network.
    """

    scan_id: Text
    ts: Moment
    code_id: Text
    status: Literal["valid", "repeat", "inactive", "forged"]
    prize_fen: Fen
    member_id: Text | None = None
    device_id: Text | None = None
    ip: Text | None = None
    batch_id: Text | None = None
    serial: Serial | None = None
    product_id: Text | None = None
    campaign_id: Text | None = None
    lat: Annotated[float, Meta(ge=-90, le=90)] | None = None
    lon: Annotated[float, Meta(ge=-180, le=180)] | None = None
    entry: Literal["camera", "link"] | None = None
    user_agent: Agent | None = None
    wifi_id: Text | None = None


class ScanLabelBody(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One verdict on one scan that came here before; it counts from now on."""

    scan_id: Text
    is_wool: Flag
    landed_at: Moment | None = None
    origin: Literal["rule", "review", "chargeback", "audit"] | None = None


class PayoutBody(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One payment of prize money."""

    payout_id: Text
    ts: Moment
    member_id: Text
    account_id: Text
    amount_fen: Fen


class MemberBody(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One shopper who registered."""

    member_id: Text
    registered_at: Moment
    referrer_id: Text | None = None
    phone_prefix: Text | None = None
    city: Text | None = None
    channel: Text | None = None
    opted_out: Flag | None = None


class OrderLineBody(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One line of one basket; the lines of a basket come in one request."""

    line_id: Text
    order_id: Text
    ts: Moment
    product_id: Text
    quantity: Count
    amount_fen: Fen
    member_id: Text | None = None
    store_id: Text | None = None
    channel: Literal["pos", "mini_program"] | None = None
    discount_fen: Fen | None = None
    coupon_discount_fen: Fen | None = None
    margin_fen: Earned | None = None
    offer_id: Text | None = None


class SendBody(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One offer given to one member, or withheld."""

    send_id: Text
    ts: Moment
    member_id: Text
    offer_id: Text
    arm: Literal["treated", "control"]
    campaign_id: Text | None = None
    propensity: Share | None = None


class RedemptionBody(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The first use of an offer that had been sent."""

    send_id: Text
    ts: Moment
    order_id: Text | None = None


class FeedbackBody(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What came of one decision."""

    decision_id: Text
    landed_at: Moment
    outcome: Text
    allowed_at_random: Flag
    propensity: Share


class EventsBody(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Rows by table, taken in in this order: who joined, what was scanned and judged, paid, bought, sent and used."""

    members: tuple[MemberBody, ...] = ()
    scans: tuple[ScanBody, ...] = ()
    scan_labels: tuple[ScanLabelBody, ...] = ()
    payouts: tuple[PayoutBody, ...] = ()
    orders: tuple[OrderLineBody, ...] = ()
    sends: tuple[SendBody, ...] = ()
    redemptions: tuple[RedemptionBody, ...] = ()
    feedback: tuple[FeedbackBody, ...] = ()


KEYS: Final = {
    "members": "member_id",
    "scans": "scan_id",
    "scan_labels": "scan_id",
    "payouts": "payout_id",
    "orders": "order_id",
    "sends": "send_id",
    "redemptions": "send_id",
    "feedback": "decision_id",
}
"""By which column a row of each table is the same row again; the lines of an order are one."""


MOMENTS: Final = {
    "members": ("registered_at",),
    "scans": ("ts",),
    "scan_labels": ("landed_at",),
    "payouts": ("ts",),
    "orders": ("ts",),
    "sends": ("ts",),
    "redemptions": ("ts",),
    "feedback": ("landed_at",),
}
"""The columns of each table that hold an instant."""


class BodyRefused(Exception):
    """A body that breaks its contract; nothing was taken in."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        super().__init__("The request breaks its contract.")
        self.problems = tuple(problems)


_scan_decoder: Final = msgspec.json.Decoder(ScanBody)
_events_decoder: Final = msgspec.json.Decoder(EventsBody)


def read_scan(body: bytes) -> ScanBody:
    """The scan of a body.

    Raises:
        BodyRefused: It breaks its contract; every problem is named.
    """
    scan = _read(_scan_decoder, ScanBody, body)
    if not _in_range(scan.ts):
        raise BodyRefused(_problems(ScanBody, body))
    return scan


def read_events(body: bytes) -> EventsBody:
    """The rows of a body; errors as `read_scan`."""
    read = _read(_events_decoder, EventsBody, body)
    rows = sum(len(getattr(read, table)) for table in KEYS)
    if not 1 <= rows <= MOST_ROWS:
        raise BodyRefused([_problem("body", f"{rows} rows", f"1 to {MOST_ROWS}", "send some rows, or send fewer")])
    for table, columns in MOMENTS.items():
        for row in getattr(read, table):
            if not all(_in_range(getattr(row, column)) for column in columns):
                raise BodyRefused(_problems(EventsBody, body))
    return read


def content(row: Struct | tuple[Struct, ...]) -> bytes:
    """Bytes that are equal where what was sent means the same, however it was written.

    Everything that `read_scan` and `read_events` give has such bytes.
    """
    return _content(row)


def _in_range(moment: datetime | None) -> bool:
    return moment is None or FIRST_YEAR <= moment.year <= LAST_YEAR


_content: Final = msgspec.msgpack.Encoder(enc_hook=None).encode
_plain_decoder: Final = json.JSONDecoder


class _RepeatedKey(ValueError):
    """A key that an object has twice."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _RepeatedKey
    return found


def _no_constant(_: str) -> None:
    raise ValueError("no JSON")


_plain: Final = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_constant).decode


def _read(decoder: msgspec.json.Decoder[T], kind: type[T], body: bytes) -> T:
    try:
        read = decoder.decode(body)
        _plain(body.decode())  # msgspec takes the last of two equal keys
    except (ValueError, RecursionError):  # msgspec's errors are such
        raise BodyRefused(_problems(kind, body)) from None
    return read


def _problems(kind: type, body: bytes) -> list[Problem]:
    try:
        found = _plain(body.decode())
    except _RepeatedKey:
        return [_problem("body", "a key twice", "each key once", "leave one out")]
    except (ValueError, RecursionError):
        return [_problem("body", "text that is no JSON", "a JSON object in UTF-8", "mend its syntax")]
    problems = _object_problems(kind, found, "body")[:MOST_PROBLEMS]
    return problems or [_problem("body", "a number beyond all bounds", "a number of usual size", "mend the number")]


def _object_problems(kind: type, found: object, where: str) -> list[Problem]:
    if not isinstance(found, dict):
        return [_problem(where, _called(found), "a JSON object", "send an object with the keys under /docs")]
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    problems = [
        _problem(f"{where}.{name}", "nothing", _expected(field.type), "send the key")
        for name, field in fields.items()
        if field.required and name not in found
    ]
    unknown = [name for name in found if name not in fields]
    if unknown:
        named = "an unknown key" if len(unknown) == 1 else f"{len(unknown)} unknown keys"
        problems.append(_problem(where, named, f"only {', '.join(fields)}", "leave the others out"))
    for name, value in found.items():
        if name in fields:
            problems += _value_problems(fields[name].type, value, f"{where}.{name}")
    return problems


def _value_problems(kind: Any, value: object, where: str) -> list[Problem]:  # noqa: ANN401 - a type as written
    row = _row_type(kind)
    if row is not None and isinstance(value, list):
        return [one for number, each in enumerate(value) for one in _object_problems(row, each, f"{where}.{number}")]
    try:
        fits = _in_range(found) if isinstance(found := msgspec.convert(value, kind), datetime) else True
    except (ValueError, RecursionError):
        fits = False
    if fits:
        return []
    return [_problem(where, _called(value), _expected(kind), "send a value that fits, or leave an optional key out")]


def _row_type(kind: Any) -> type | None:  # noqa: ANN401 - a type as written
    inner = getattr(kind, "__args__", ())
    return inner[0] if inner and isinstance(inner[0], type) and issubclass(inner[0], Struct) else None


def _expected(kind: Any) -> str:  # noqa: ANN401 - a type as written
    """What a type wants, in words."""
    schema = msgspec.json.schema(kind)
    return " or ".join(_said(one) for one in schema.get("anyOf", [schema]))


def _said(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    kind = {"string": "text", "integer": "a whole number", "number": "a number", "array": "a list"}
    said = kind.get(schema.get("type", ""), str(schema.get("type", "an object")))
    if schema.get("format") == "date-time":
        return f"a moment of the years {FIRST_YEAR} to {LAST_YEAR} as ISO 8601 text with a time zone"
    if "maxLength" in schema:
        said += f" of {schema.get('minLength', 0)} to {schema['maxLength']} characters"
    if "minimum" in schema:
        said += f" from {schema['minimum']:,} to {schema['maximum']:,}"
    return said


def _called(value: object) -> str:
    if isinstance(value, str):
        return f"text of {len(value)} characters"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"a whole number of {len(str(abs(value)))} digits"
    return _CALLED.get(type(value), "an object")


_CALLED: Final[dict[type, str]] = {
    type(None): "nothing",
    bool: "true or false",
    float: "a number",
    list: "a list",
}


def _problem(where: str, found: str, expected: str, fix: str) -> Problem:
    return Problem(where=where, found=found, expected=expected, fix=fix)
