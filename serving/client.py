"""The typed client of the service: what a cash register, a mini program or a campaign tool asks with.

It needs nothing of the service but its address and a key, and knows nothing of models. A request is sent again only
where the service itself said to wait (429 or 503 with Retry-After): a scan or an event that is sent again under the
same id counts once and gets the same answer, and all other questions change nothing.

    with Client("http://127.0.0.1:8000", key=os.environ["KEY"]) as shepherd:
        answer = shepherd.score({"scan_id": "S1", "ts": datetime.now(UTC), "code_id": "C1", ...})
        if answer.action == "block": ...
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from serving.client_audiences import Audiences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pyarrow as pa

LONGEST_WAIT: Final = 10.0
"""Seconds that one wait may take, whatever Retry-After says; a longer one is the caller's to decide about."""
_AGAIN: Final = frozenset({429, 503})
_JSON: Final = "application/json"
_LINES: Final = "application/x-ndjson"
_ARROW: Final = "application/vnd.apache.arrow.stream"

T = TypeVar("T")


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong with a request."""

    where: str
    found: str
    expected: str
    fix: str


class Refused(Exception):
    """The service said no.

    Attributes:
        status: The status of HTTP.
        what: What is wrong, in a sentence.
        problems: Every problem that was found.
    """

    def __init__(self, status: int, what: str, problems: Sequence[Problem] = ()) -> None:
        self.status, self.what, self.problems = status, what, tuple(problems)
        listed = "; ".join(f"{one.where}: found {one.found}, expected {one.expected}; {one.fix}" for one in problems)
        super().__init__(f"{status} {what} {listed}".rstrip())


class Reason(msgspec.Struct, frozen=True):
    """One feature's part in a score."""

    feature: str
    value: float | None
    contribution: float
    code: str
    sentence: str
    usual: float | None = None
    sentence_zh: str | None = None


class Model(msgspec.Struct, frozen=True):
    """The model that answered."""

    task: str
    version: str
    feature_fingerprint: str


class Ring(msgspec.Struct, frozen=True):
    """The ring that a scan's member or device was in before it."""

    ring_id: str
    members: int


class Lot(msgspec.Struct, frozen=True):
    """What a lot drew, whatever the score."""

    decision_id: str
    meant: str
    allowed_at_random: bool
    propensity: float
    share: float


class ScanAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What to do about one scan; `recorded` is false where it may be sent again to be judged."""

    decision_id: str
    scan_id: str
    action: str
    probability: float | None
    expected_value_fen: float | None
    reasons: tuple[Reason, ...]
    ring: Ring | None
    lot: Lot | None
    model: Model
    degraded: str
    recorded: bool


class RowScore(msgspec.Struct, frozen=True):
    """What the model says of one row."""

    probability: float
    action: str
    expected_value_fen: float


class RowAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a batch: a chance and an action, or a place where the task puts lists in order."""

    reasons: tuple[Reason, ...]
    probability: float | None = None
    action: str | None = None
    expected_value_fen: float | None = None
    lot: Lot | None = None
    place: int | None = None
    score: float | None = None


class Margin(msgspec.Struct, frozen=True):
    """What sending earns beyond what would be earned anyway, in fen."""

    mean: float
    lower: float


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """One offer: with the margin that it is expected to earn where effects were learned, else with its chance."""

    offer_id: str
    campaign_id: str
    action: str
    reasons: tuple[Reason, ...]
    probability: float | None = None
    expected_value_fen: float | None = None
    expected_margin_fen: Margin | None = None
    expected_cost_fen: float | None = None
    redemption_probability: float | None = None
    score_fen: float | None = None


class Nothing(msgspec.Struct, frozen=True):
    """Why nothing should be sent."""

    code: str
    reason: str
    reason_zh: str | None = None


class OffersAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The offers of one member, best first; `no_offer` says why none should be sent."""

    decision_id: str
    member_id: str
    at: datetime
    model: Model
    offers: tuple[Offer, ...]
    no_offer: Nothing | None
    ruled_out: tuple[dict[str, Any], ...] = ()


class Range(msgspec.Struct, frozen=True):
    """An interval of yearly revenue in fen."""

    low_fen: float | None
    high_fen: float | None


class SiteAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What one candidate for a store would sell in a mature year, and what it takes from its neighbours."""

    site_id: str
    revenue_fen: float
    interval_80: Range
    interval_90: Range
    out_of_range: bool
    distance_ratio: float
    twins: tuple[dict[str, Any], ...]
    reasons: tuple[dict[str, Any], ...]
    cannibalisation: dict[str, Any]
    payback: dict[str, Any] | None


class LoadedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that answers now."""

    task: str
    version: str
    created: datetime
    feature_fingerprint: str
    features: tuple[str, ...]
    also_asked: tuple[str, ...]
    metrics: dict[str, float]
    parity: dict[str, float]


class EventsAnswer(msgspec.Struct, frozen=True):
    """How many rows were taken in now, and how many had come before and count once."""

    recorded: int
    repeated: int


class Versions(msgspec.Struct, frozen=True):
    """Which versions of a task answer; no challenger where none is asked."""

    champion: str
    challenger: str | None


class _Sites(msgspec.Struct, frozen=True):
    sites: tuple[SiteAnswer, ...]


class _Models(msgspec.Struct, frozen=True):
    models: tuple[LoadedModel, ...]


class _ErrorBody(msgspec.Struct, frozen=True):
    what: str
    problems: tuple[Problem, ...] = ()


class _Error(msgspec.Struct, frozen=True):
    error: _ErrorBody


class Client:
    """Asks one service; one client serves many threads, and keeps its connections.

    Args:
        address: Where the service is, such as `http://127.0.0.1:8000`.
        key: The API key; none for a service without keys on this machine.
        timeout: Seconds to wait for an answer.
        tries: How often one question is sent at most.
        sleep: Waits so many seconds.
        transport: What carries requests; the network if not given.

    Attributes:
        audiences: Asks about audiences.
    """

    def __init__(
        self,
        address: str,
        key: str | None = None,
        *,
        timeout: float = 5.0,
        tries: int = 4,
        sleep: Callable[[float], None] = time.sleep,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=address, headers=headers, timeout=timeout, transport=transport)
        self._tries, self._sleep = max(1, tries), sleep
        self.audiences = Audiences(self._asked)

    def __enter__(self) -> Self:
        """Itself, to be closed at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def score(self, scan: Mapping[str, object]) -> ScanAnswer:
        """Judge a scan as it comes; sent again under its `scan_id` it gets the same answer and counts once.

        Args:
            scan: The columns of a scan by name, moments as datetimes with a zone or ISO 8601 text.

        Raises:
            Refused: The service said no; all problems are named.
            httpx.TransportError: Nobody answered, or not in time.
        """
        return self._post("/v1/scans/score", scan, ScanAnswer)

    def score_row(self, task: str, row: Mapping[str, object]) -> RowScore:
        """Score one row of features of a task; errors as `score`."""
        return self._post(f"/v1/{_quoted(task)}/score", row, RowScore)

    def offers(self, member_id: str, at: datetime | None = None, limit: int = 10) -> OffersAnswer:
        """Ask which offer a member gets, at a moment with a zone or now; errors as `score`."""
        asked = {"limit": limit} if at is None else {"limit": limit, "at": at}
        return self._post(f"/v1/members/{_quoted(member_id)}/offers", asked, OffersAnswer)

    def offers_of_many(
        self, members: Sequence[str], at: datetime | None = None, limit: int = 10
    ) -> tuple[OffersAnswer, ...]:
        """Ask the same for up to 1,000 members, answered in their order; errors as `score`."""
        asked = {"members": list(members), "limit": limit} | ({} if at is None else {"at": at})
        return self._lines("/v1/coupon/batch", msgspec.json.encode(asked), _JSON, OffersAnswer)

    def sites(self, sites: Sequence[Mapping[str, object]]) -> tuple[SiteAnswer, ...]:
        """Forecast up to 100 candidates for stores, in their order; errors as `score`."""
        return self._post("/v1/sites/score", {"sites": list(sites)}, _Sites).sites

    def events(self, rows: Mapping[str, Sequence[Mapping[str, object]]]) -> EventsAnswer:
        """Send rows by table, all or none; sent again under their ids they count once; errors as `score`."""
        return self._post("/v1/events", rows, EventsAnswer)

    def batch(self, task: str, rows: Iterable[Mapping[str, object]]) -> tuple[RowAnswer, ...]:
        """Score up to 1,000 rows of features of a task, in their order; errors as `score`."""
        body = b"\n".join(msgspec.json.encode(row) for row in rows)
        return self._lines(f"/v1/{_quoted(task)}/batch", body, _LINES, RowAnswer)

    def batch_table(self, task: str, rows: pa.Table) -> pa.Table:
        """Score up to 1,000 rows of features of a task that stand in a table of Arrow; needs pyarrow.

        Args:
            task: The task.
            rows: A column a feature, best float32, null where unknown.

        Returns:
            A row each, in their order: the columns of `RowAnswer` that are not null.

        Raises:
            Refused: As `score`.
        """
        from pyarrow import BufferOutputStream, ipc  # noqa: PLC0415 - a caller of other questions needs none of it

        sink = BufferOutputStream()
        with ipc.new_stream(sink, rows.schema) as writer:
            writer.write_table(rows)
        path, body = f"/v1/{_quoted(task)}/batch", sink.getvalue().to_pybytes()
        with ipc.open_stream(self._asked("POST", path, body, _ARROW, _ARROW)) as reader:
            return reader.read_all()

    def decision(self, decision_id: str) -> dict[str, Any]:
        """A decision that was recorded, with what it rested on; errors as `score`."""
        found: dict[str, Any] = msgspec.json.decode(self._asked("GET", f"/v1/decisions/{_quoted(decision_id)}"))
        return found

    def models(self) -> tuple[LoadedModel, ...]:
        """The models that answer now; errors as `score`."""
        return msgspec.json.decode(self._asked("GET", "/v1/models"), type=_Models).models

    def load(self, task: str) -> Versions:
        """Let the service look at once which versions of a task are to answer, and say which do; errors as `score`."""
        return msgspec.json.decode(self._asked("POST", f"/v1/models/{_quoted(task)}/load"), type=Versions)

    def ready(self) -> bool:
        """Whether questions are answered; it is not waited for.

        Raises:
            httpx.TransportError: Nobody answered, or not in time.
        """
        return self._http.get("/readyz").is_success

    def metrics(self) -> str:
        """What the service counts, as Prometheus reads it; errors as `score`."""
        return self._asked("GET", "/metrics").decode()

    def _post(self, path: str, body: object, kind: type[T]) -> T:
        return msgspec.json.decode(self._asked("POST", path, msgspec.json.encode(body), _JSON), type=kind)

    def _lines(self, path: str, body: bytes, sent: str, kind: type[T]) -> tuple[T, ...]:
        return tuple(
            msgspec.json.decode(line, type=kind) for line in self._asked("POST", path, body, sent).splitlines()
        )

    def _asked(
        self, method: str, path: str, body: bytes | None = None, kind: str | None = None, accept: str = "*/*"
    ) -> bytes:
        headers = {"accept": accept} | ({} if kind is None else {"content-type": kind})
        for tried in range(1, self._tries + 1):
            found = self._http.request(method, path, content=body, headers=headers)
            if found.is_success:
                return found.content
            wait = _wait(found)
            if wait is None or tried == self._tries:
                raise _refused(found)
            self._sleep(wait)
        raise AssertionError  # the last try has answered or raised


def _wait(found: httpx.Response) -> float | None:
    """How long the service said to wait; None where sending again would be wrong, or the wait too long."""
    said = found.headers.get("retry-after", "")
    if found.status_code not in _AGAIN or not said.isdigit() or float(said) > LONGEST_WAIT:
        return None
    return float(said)


def _refused(found: httpx.Response) -> Refused:
    try:
        error = msgspec.json.decode(found.content, type=_Error).error
    except msgspec.DecodeError:
        return Refused(found.status_code, f"{found.reason_phrase}, from something that is not Shepherd.")
    return Refused(found.status_code, error.what, error.problems)


def _quoted(part: str) -> str:
    return quote(part, safe="")
