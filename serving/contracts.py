"""What goes over the wire: every body of the HTTP surface, checked on entry and shown in the OpenAPI page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

LONGEST_ID = 128
MOST_OFFERS = 100


class _Body(BaseModel):
    """A body with exactly the declared keys, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _text_to_utc(value: object) -> datetime:
    """ISO 8601 text with a zone, as UTC; a bare number is refused because its unit would be a guess."""
    if not isinstance(value, str):
        raise ValueError("a moment is ISO 8601 text with a time zone")  # noqa: TRY004 - pydantic collects ValueError
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("a moment is written as 2017-12-10T12:00:00Z") from None  # the first message repeats the text
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone, such as Z or +08:00")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("a moment lies between the years 1 and 9999 in UTC") from error


class OffersQuestion(_Body):
    """Which offers, as of when."""

    at: Annotated[AwareDatetime, BeforeValidator(_text_to_utc)] | None = Field(
        default=None,
        description="The moment to answer for, ISO 8601 with a time zone; now if not given.",
        examples=["2017-12-10T12:00:00Z"],
    )
    limit: int = Field(
        default=10, ge=1, le=MOST_OFFERS, strict=True, description="How many offers at most, best first."
    )


class ModelName(_Body):
    """The model that answered."""

    task: str
    version: str
    feature_fingerprint: str = Field(description="Hash of the feature declarations that it was trained on.")


class ReasonBody(_Body):
    """One feature's part in a score."""

    feature: str
    value: float | None = Field(description="Null where it is not known.")
    contribution: float = Field(description="What it added to the raw score, along the paths of the trees.")
    code: str = Field(description="The kind of evidence; stable across versions of the model.")
    usual: float | None = Field(description="Median of the feature where the outcome did not come about.")
    sentence: str
    sentence_zh: str | None = Field(description="The same in Chinese; null where the feature has no Chinese words.")


class OfferBody(_Body):
    """One offer of a running campaign, scored for this member."""

    offer_id: str
    campaign_id: str
    probability: float = Field(ge=0, le=1, description="Calibrated chance of the outcome that the model predicts.")
    action: str = Field(description="What earns most for this offer.")
    expected_value_fen: float = Field(description="What that action earns on average, in fen.")
    reasons: tuple[ReasonBody, ...]


class LotBody(_Body):
    """What a log has to keep of the lot that lets some decisions through, whatever the score."""

    decision_id: str = Field(description="As it was sent; the same id always draws the same lot.")
    meant: str = Field(description="What earns most for this row, before the lot.")
    allowed_at_random: bool = Field(description="Whether the lot let it through.")
    propensity: float = Field(gt=0, le=1, description="The chance with which the action was taken.")
    share: float = Field(ge=0, lt=1, description="The chance with which the lot falls on its like.")


class RowAnswer(_Body):
    """One row of a task, scored: a line of the answer of `/v1/{task}/batch`."""

    probability: float = Field(ge=0, le=1, description="Calibrated chance of the outcome that the model predicts.")
    action: str = Field(description="What to do: what earns most for this row, unless a lot lets it through.")
    expected_value_fen: float = Field(description="What the action that earns most earns on average, in fen.")
    lot: LotBody | None = Field(
        description="Null where no lot was drawn: the task has no holdout, or the service no key. The action is then "
        "the one that earns most."
    )
    reasons: tuple[ReasonBody, ...]


class PlaceAnswer(_Body):
    """One row of a task that puts lists in order: a line of the answer of `/v1/{task}/batch`. No probability."""

    place: int = Field(ge=1, description="Place of the row among the rows of its list that were sent; 1 comes first.")
    score: float = Field(description="What orders the rows of one list; it compares nothing across lists.")
    reasons: tuple[ReasonBody, ...]


class NoOffer(_Body):
    """Why nothing should be sent."""

    code: Literal["no_running_campaign", "nothing_pays"]
    reason: str


class OffersAnswer(_Body):
    """The offers of one member at one moment, best first; `no_offer` says so when none should be sent."""

    decision_id: str = Field(description="Names this answer: the same question to the same model has the same id.")
    member_id: str
    at: datetime
    model: ModelName
    offers: tuple[OfferBody, ...] = Field(description="Every running offer by falling probability, up to the limit.")
    no_offer: NoOffer | None = Field(description="Set when none of the running offers is worth sending.")


class ThresholdBody(_Body):
    """The probabilities at which an action is taken."""

    action: str
    low: float
    high: float
    stake_fen: float | None = Field(description="What is at stake there, in fen; null where the pay-off has no stake.")


class LoadedModel(_Body):
    """A model that answers now, and what it rests on."""

    task: str
    version: str
    created: datetime
    feature_fingerprint: str
    features: tuple[str, ...]
    also_asked: tuple[str, ...] = Field(
        description="What a row must say besides: the fen at stake, the group of the cap on harm (a campaign), and "
        "where a lot is drawn its decision_id."
    )
    thresholds: tuple[ThresholdBody, ...] = Field(description="Derived from the pay-off; empty with over two outcomes.")
    metrics: dict[str, float]
    parity: dict[str, int | float] = Field(description="The proof that it is the model that was trained.")


class ModelsAnswer(_Body):
    """All models that answer now."""

    models: tuple[LoadedModel, ...]


class StateAnswer(_Body):
    """The answer of a probe."""

    status: Literal["alive", "ready"]


class Problem(_Body):
    """One thing that is wrong with a request."""

    where: str
    found: str
    expected: str
    fix: str


class ErrorDetail(_Body):
    """What is wrong, and every problem that was found."""

    what: str
    problems: tuple[Problem, ...]


class ErrorAnswer(_Body):
    """The body of every answer that is not a success; it never repeats what was sent."""

    error: ErrorDetail
