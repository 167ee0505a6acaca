"""What goes over the wire: every body of the HTTP surface, checked on entry and shown in the OpenAPI page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

LONGEST_ID = 128
MOST_OFFERS = 100
MOST_MEMBERS = 1_000


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

    code: Literal["no_running_campaign", "nothing_pays", "unknown_member"]
    reason: str


class OffersAnswer(_Body):
    """The offers of one member at one moment, best first; `no_offer` says so when none should be sent."""

    decision_id: str = Field(description="Names this answer: the same question to the same model has the same id.")
    member_id: str
    at: datetime
    model: ModelName
    offers: tuple[OfferBody, ...] = Field(description="Every running offer by falling probability, up to the limit.")
    no_offer: NoOffer | None = Field(description="Set when none of the running offers is worth sending.")


class MarginBody(_Body):
    """What sending an offer is expected to earn beyond what would be earned anyway, its cost taken off."""

    mean: float = Field(description="In fen.")
    lower: float = Field(description="What of it can be counted on; this is what decides.")


class DecidedOfferBody(_Body):
    """One offer that no rule rules out, and whether this member gets it."""

    offer_id: str
    campaign_id: str
    action: Literal["send", "skip"]
    expected_margin_fen: MarginBody
    expected_cost_fen: float = Field(ge=0, description="Chance of redemption times face value.")
    redemption_probability: float = Field(ge=0, le=1)
    score_fen: float = Field(description="The lower margin less what budget and stock charge; sent only above 0.")
    reasons: tuple[ReasonBody, ...] = Field(description="What moves the chance of redemption.")


class RuleBody(_Body):
    """One rule that rules an offer out."""

    code: str = Field(description="Name of the rule; stable across versions.")
    found: float | None = Field(description="What was found; null where the rule holds no number, or nobody knows it.")
    limit: float | None
    sentence: str
    sentence_zh: str


class RuledOutBody(_Body):
    """An offer that this member cannot get, with every reason."""

    offer_id: str
    campaign_id: str
    reasons: tuple[RuleBody, ...]


class UnknownRuleBody(_Body):
    """A rule that rules nothing out here, because what it asks for is not known of this member."""

    code: str
    sentence: str
    sentence_zh: str


class PolicyName(_Body):
    """The rules and prices that decided."""

    fingerprint: str = Field(description="Hash of them: equal ones answer equally.")
    budgets: dict[str, float] = Field(description="What a fen of expected cost has to earn beyond itself, by budget.")
    caution: float = Field(description="How many standard deviations below its mean a margin is counted on.")


class NothingSent(_Body):
    """Why this member gets nothing."""

    code: Literal[
        "unknown_member", "no_running_campaign", "opted_out", "holdout", "fraud_risk", "all_ruled_out", "nothing_pays"
    ]
    reason: str
    reason_zh: str


class DecisionAnswer(_Body):
    """Which offer one member gets at one moment, at most one; `no_offer` says why there is none."""

    decision_id: str = Field(description="Names this answer: the same question to the same model has the same id.")
    member_id: str
    at: datetime
    model: ModelName
    policy: PolicyName
    offers: tuple[DecidedOfferBody, ...] = Field(description="Offers that may be sent by falling score, to the limit.")
    ruled_out: tuple[RuledOutBody, ...] = Field(description="Every other offer of a running campaign.")
    unknown: tuple[UnknownRuleBody, ...] = Field(description="Rules that could not be held against this member.")
    no_offer: NothingSent | None = Field(description="Set when nothing should be sent.")


class MembersQuestion(_Body):
    """Many members at once: by their ids, or those of a saved audience."""

    members: tuple[Annotated[str, Field(min_length=1, max_length=LONGEST_ID)], ...] | None = Field(
        default=None, min_length=1, max_length=MOST_MEMBERS, description="Their ids."
    )
    audience: str | None = Field(
        default=None, min_length=1, max_length=LONGEST_ID, description="Name of a saved audience that was counted."
    )
    offset: int = Field(default=0, ge=0, strict=True, description="Where in the audience to start.")
    count: int = Field(
        default=MOST_MEMBERS, ge=1, le=MOST_MEMBERS, strict=True, description="How many of the audience at most."
    )
    at: Annotated[AwareDatetime, BeforeValidator(_text_to_utc)] | None = Field(
        default=None, description="The moment to answer for, ISO 8601 with a time zone; now if not given."
    )
    limit: int = Field(default=10, ge=1, le=MOST_OFFERS, strict=True, description="How many offers of each at most.")

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.members is None) == (self.audience is None):
            raise ValueError("either members or audience is given")
        return self


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
