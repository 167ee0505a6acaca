"""Answers about offers out of the log, and what was sent, redeemed and bought since, joined."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from data.errors import DataError
from training.monitoring.drifted import Bins
from training.monitoring.journal import DECISIONS
from training.monitoring.rescored import Rescored
from training.monitoring.week import moment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from data.sources import DataSet
    from serving.ledger.record import Record
    from training.bundles import Bundle
    from training.monitoring.journal import Journal
    from training.monitoring.week import Week

DAYS: Final = 28
"""Purchases of so many days after a send count for it, in both arms alike."""

TABLES: Final = ("sends", "redemptions", "orders")
NOTHING_KNOWN: Final = "nothing"
"""Why nothing was given where the answer does not say it."""

_WINDOW: Final = DAYS * 86_400_000_000


class Margin(msgspec.Struct):
    """What a send was said to earn beyond what would be bought anyway, in fen."""

    mean: float


class Offer(msgspec.Struct):
    """One offer of an answer: the chance is called otherwise where effects were learned."""

    offer_id: str
    action: str
    campaign_id: str | None = None
    probability: float | None = None
    redemption_probability: float | None = None
    expected_margin_fen: Margin | None = None

    @property
    def chance(self) -> float | None:
        """The chance that it is redeemed if it is sent; None where the model says none."""
        return self.redemption_probability if self.probability is None else self.probability


class NoOffer(msgspec.Struct):
    """Why nothing was given."""

    code: str


class _Answer(msgspec.Struct):
    member_id: str
    offers: tuple[Offer, ...]
    no_offer: NoOffer | None = None


_decode: Final = msgspec.json.Decoder(_Answer).decode


@dataclass(frozen=True)
class Given:
    """An answer that gave an offer, or none.

    Attributes:
        seen_at: When it was asked, microseconds since 1970 UTC.
        member: Who was asked about.
        offer: What was given; None for nothing.
        why: Why nothing was given; empty where something was.
        version: Who answered.
        row: Its place among the rows that the challenger was asked about; None where it was not.
    """

    seen_at: int
    member: str
    offer: Offer | None
    why: str
    version: str
    row: int | None = None


@dataclass
class Heard:
    """What was sent and what came of it, each once by its id.

    Attributes:
        sends: By id, each with its moment as `at`.
        redeemed: Ids of the sends that were.
        margins: By member and line, when it was bought and what it earned.
    """

    sends: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    redeemed: set[str] = field(default_factory=set)
    margins: dict[str, dict[str, tuple[int, float]]] = field(default_factory=dict)

    def hear(self, table: str, row: Mapping[str, Any]) -> None:
        """Take in a row of one of the tables."""
        if table == "sends":
            self.sends.setdefault(row["send_id"], {**row, "at": moment(row["ts"])})
        elif table == "redemptions":
            self.redeemed.add(row["send_id"])
        elif table == "orders" and row.get("member_id") and row.get("margin_fen") is not None:
            bought = self.margins.setdefault(row["member_id"], {})
            bought.setdefault(row["line_id"], (moment(row["ts"]), float(row["margin_fen"])))

    def read(self, data_set: DataSet) -> None:
        """Take in the tables of a folder.

        Raises:
            DataError: It has none of them, or they cannot be read.
        """
        tables = [name for name in TABLES if name in data_set.files]
        if not tables:
            raise DataError(f"{data_set.root}: found none of the tables {', '.join(TABLES)}, expected some of them")
        with data_set.connect() as connection:
            for table in tables:
                for row in connection.sql(f'SELECT * FROM "{table}"').to_arrow_table().to_pylist():
                    self.hear(table, row)

    def margin(self, send: Mapping[str, Any]) -> float:
        """What the member's purchases earned in the days after a send, in fen."""
        bought = self.margins.get(send["member_id"], {}).values()
        return sum(margin for at, margin in bought if send["at"] <= at < send["at"] + _WINDOW)


@dataclass
class Answers:
    """Everything that the log says of a week of offers.

    Attributes:
        given: The answers in their order.
        heard: What came of them.
        forgotten: Answers about members who were forgotten since; they are in nothing else.
        without_features: Answers whose record does not say what the model was given, of those that name an offer.
        bins: By version, how what it was given and what it said fell into the bins of its bundle.
        prints: By version, the declarations of its features.
        challenger: Is asked about the same rows, where it is given the same features; None where there is none.
    """

    bins: Mapping[str, Bins | None]
    prints: Mapping[str, str] = field(default_factory=dict)
    challenger: Rescored | None = None
    given: list[Given] = field(default_factory=list)
    heard: Heard = field(default_factory=Heard)
    forgotten: int = 0
    without_features: int = 0

    def add(self, seen_at: int, record: Record) -> None:
        """Take in an answer.

        Raises:
            DataError: It is not of this release.
        """
        try:
            answer = _decode(record.answer)
        except msgspec.DecodeError as error:
            raise DataError(f"decision {record.decision_id}: its answer is not of this release: {error}") from error
        place = next((place for place, one in enumerate(answer.offers) if one.action == "send"), None)
        offer = None if place is None else answer.offers[place]
        why = "" if offer else answer.no_offer.code if answer.no_offer else NOTHING_KNOWN
        chances = [one.chance for one in answer.offers if one.chance is not None]
        bins, first = self.bins.get(record.version), None
        self.without_features += bool(answer.offers) and not record.features
        if bins is not None:
            bins.add(record.features, chances)
        asked = self.challenger
        if asked is not None and self.prints.get(record.version) == asked.scorer.manifest.feature_fingerprint:
            first = asked.add(record.features, chances, answer.member_id)
        row = None if first is None or place is None else first + place
        self.given.append(Given(seen_at, answer.member_id, offer, why, record.version, row))

    def sent(self) -> list[tuple[Given, Mapping[str, Any]]]:
        """Each answer with the first send of its offer to its member after it; a send belongs to one answer."""
        waiting: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for send in sorted(self.heard.sends.values(), key=lambda one: one["at"]):
            if send["arm"] == "treated":
                waiting.setdefault((send["member_id"], send["offer_id"]), []).append(send)
        found = []
        for one in self.given:
            sends = waiting.get((one.member, one.offer.offer_id), []) if one.offer is not None else []
            place = next((place for place, send in enumerate(sends) if send["at"] >= one.seen_at), None)
            if place is not None:
                found.append((one, sends.pop(place)))
        return found


def read_offers(
    journal: Journal, week: Week, task: str, bundles: Mapping[str, Bundle], challenger: Bundle | None = None
) -> Answers:
    """The week of a task out of the log.

    Args:
        journal: The log.
        week: From when to when.
        task: Whose answers.
        bundles: The versions that are still there, into whose bins features are put.
        challenger: Asked about the same offers; None where there is none.
    """
    found = Answers(
        {name: Bins.of(one) for name, one in bundles.items()},
        {name: one.manifest.feature_fingerprint for name, one in bundles.items()},
        None if challenger is None else Rescored.of(challenger),
    )
    for line in journal.lines(week.first):
        record = line.record
        if record is None:
            found.forgotten += line.forgotten and line.log == DECISIONS and line.seen_at < week.last
        elif line.log in TABLES:
            for row in record.request["lines"] if line.log == "orders" else (record.request,):
                found.heard.hear(line.log, row)
        elif line.log == DECISIONS and line.seen_at < week.last and record.task == task:
            found.add(line.seen_at, record)
    return found
