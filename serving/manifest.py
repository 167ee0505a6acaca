"""The manifest of a model bundle: what a version is, what went into it, and by which names its files lie beside it."""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

from serving.allocation.policy import OfferPolicy
from serving.holdout import Holdout
from serving.payoff import Payoff, Prices
from serving.reason_codes import OTHER
from serving.response import Response
from serving.shrinkage import Shrinkage
from serving.site_bundle import SiteBundle
from serving.telemetry.reference import Reference

FORMAT_VERSION: Final = 2
MANIFEST: Final = "manifest.json"
MODEL: Final = "model.onnx"
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""A name of a task, a version, a head or a table: it can be a file's, and leads nowhere else."""


class Feature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One input of the model, and how it speaks when it is a reason.

    Attributes:
        name: Its name.
        unit: What it counts.
        meaning: What it says in retail terms.
        null_rule: When it is null.
        code: The kind of evidence it is, stable across versions.
        sentence: The same with gaps for its value and plural, in English; empty where only the meaning is known.
        sentence_zh: Likewise in Chinese.
        usual: Its median where the outcome did not come about; None where nothing is known.
    """

    name: str
    unit: str
    meaning: str
    null_rule: str
    code: str = OTHER
    sentence: str = ""
    sentence_zh: str = ""
    usual: float | None = None


class Parity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The proof that the exported graph is the trained model, as found at export.

    Attributes:
        rows: Rows of the test set that were compared.
        edge_rows: Rows made for the comparison: thresholds, their float32 neighbours, unknown and extreme values.
        wrong_leaves: Leaves that differ, over all rows and trees.
        max_raw_difference: Largest difference of raw scores.
        max_probability_difference: Largest difference of the probability to the calibrator outside the graph.
        max_contribution_gap: Largest difference of base plus contributions to the raw score, on a sample.
    """

    rows: int
    edge_rows: int
    wrong_leaves: int
    max_raw_difference: float
    max_probability_difference: float
    max_contribution_gap: float


class Criteria(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a version has to show on the test to become champion, as its task declared it.

    Attributes:
        metrics: Names of those that decide.
        rivals: What would be used instead of the model, which has to be ahead of each.
        ablations: The model with something left out; none may be surely better than the model.
        inapplicable: Gates that have no meaning for the task, such as calibration of an order.
    """

    metrics: tuple[str, ...] = ()
    rivals: tuple[str, ...] = ()
    ablations: tuple[str, ...] = ()
    inapplicable: tuple[str, ...] = ()


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One further forest of a bundle, in a graph of its own, and how it is asked.

    Attributes:
        kind: Whether its answer is a chance (its graph's probability) or an amount (its graph's raw score; the
            probability that every graph has means nothing then).
        score_base: Raw score before anything is known.
        parity: The proof of its graph.
        sees_arm: Whether it has one column behind the features: 1 where the offer is sent, 0 where it is withheld.
        dose: The column that is 0 where the offer is withheld; None where there is none.
    """

    kind: Literal["chance", "amount"]
    score_base: float
    parity: Parity
    sees_arm: bool = False
    dose: int | None = None


class Term(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One summand of an effect: what a head says, with the offer sent or withheld, times a weight."""

    head: str
    weight: float
    sent: bool


class Effects(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an offer changes and what that is worth, beside the chance that it is redeemed.

    Attributes:
        learner: How the effect was learned.
        heads: The further forests, by name.
        terms: The summands of the effect on the chance to buy.
        constant: What is added to them.
        shrinkage: How the effect is drawn towards its segment.
        basket: The head that says what a basket that the offer won earns.
        usual: The head that says what those earn who buy without it.
        top_up: The head that says what redeeming adds to a purchase made anyway.
        face_value: The feature that says what redeeming takes off.
        caution: How many standard deviations below its mean a value is counted on.
        price: What a fen of cost has to bring beyond itself, at the budget that the report compares policies at.
        policy: The rules and prices by which offers are given out; None for `price` and the usual limits.
        response: Who is won and who is put off, in place of the summands; None where they are not told apart.
    """

    learner: str
    heads: dict[str, Head]
    terms: tuple[Term, ...]
    constant: float
    shrinkage: Shrinkage
    basket: str
    usual: str
    top_up: str
    face_value: str
    caution: float
    price: float
    policy: OfferPolicy | None = None
    response: Response | None = None

    def problems(self, features: tuple[str, ...]) -> list[str]:
        """What effects ask of heads and features that the model does not have."""
        response = self.response
        asked = {self.basket, self.usual, self.top_up, *(term.head for term in self.terms)}
        asked |= {response.anyway} if response else set()
        facts = (*response.gain.facts, *response.loss.facts) if response else ()
        unknown = sorted(asked - set(self.heads))
        named = (
            self.face_value,
            *(one.feature for one in self.shrinkage.divisions),
            *(name for one in facts for name in one.asks),
        )
        strange = [name for name in named if name not in features]
        problems = [f"found no heads {unknown} that effects ask, expected each"] * bool(unknown)
        return problems + [f"found the features {strange} in effects, expected the model's"] * bool(strange)


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a bundle is: read it before trusting a number that came out of it.

    Attributes:
        format_version: Of this file; a reader refuses one that it does not know.
        task: Name of the task.
        version: Name of this version among the task's.
        features: Inputs of the model in their order.
        feature_fingerprint: Hash of the declarations that computed them.
        payoff: What each action is worth under each outcome.
        prices: What keeping the pay-off's cap on harm costs.
        calibrator: Kind and numbers of the calibrator; it is part of the graph and stands here to be read.
        score_base: Raw score before anything is known; contributions are added to it.
        versions: Software that made the bundle.
        data_hash: Hash of the data it was trained on.
        created: UTC instant, ISO 8601.
        parity: The proof of the graph.
        metrics: Figures of the test set.
        files: sha256 of every other file.
        criteria: What the figures have to show before it becomes champion.
        holdout: How many decisions a lot lets through whatever the score; None where the task has none. The lot's key
            is the service's own and stands in no bundle.
        lists: The column that names a row's list, where the model puts the rows of a list in order: its score is then
            no probability, and it has neither calibrator nor actions. Empty where rows are decided one by one.
        effects: What an offer changes, where the model is of offers; None elsewhere.
        site: How what a site sells is forecast, where the model is of sites; None elsewhere.
        reference: How features and scores were spread over the test, which live drift is measured against: the score is
            the chance, the raw score of an order, or the logarithm of a site's forecast revenue while held out. None
            where the bundle was written without it, and no drift is shown.
        champion: The version that it was compared with when it was written, in money and in how often things came true;
            empty where there was none.
        declaration: Hash of all that its task declared; empty where it was made before these were kept.
    """

    format_version: int
    task: str
    version: str
    features: tuple[Feature, ...]
    feature_fingerprint: str
    payoff: Payoff
    prices: Prices
    calibrator: dict[str, str | float | tuple[float, ...]]
    score_base: float
    versions: dict[str, str]
    data_hash: str
    created: str
    parity: Parity
    metrics: dict[str, float]
    files: dict[str, str]
    criteria: Criteria = Criteria()
    holdout: Holdout | None = None
    lists: str = ""
    effects: Effects | None = None
    site: SiteBundle | None = None
    reference: Reference | None = None
    champion: str = ""
    declaration: str = ""

    @property
    def head_names(self) -> tuple[str, ...]:
        """Names of the further forests."""
        return (*(self.effects.heads if self.effects else ()), *(self.site.heads if self.site else ()))

    @property
    def table_names(self) -> tuple[str, ...]:
        """Names of the tables that answers rest on."""
        return self.site.tables if self.site else ()

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the inputs in their order."""
        return tuple(feature.name for feature in self.features)

    def parity_as_dict(self) -> dict[str, int | float]:
        """The proof as plain names and numbers."""
        return msgspec.structs.asdict(self.parity)

    def problems(self, task: str, version: str) -> list[str]:
        """What contradicts itself in it, or the folder `TASK/VERSION` that it lies in; nothing for one of export's."""
        problems = []
        expected = (MODEL, *sorted(map(head_file, self.head_names)), *sorted(map(table_file, self.table_names)))
        if set(self.files) != set(expected):
            problems.append(
                f"found the files {sorted(self.files)} in {MANIFEST}, expected exactly {', '.join(expected)}"
            )
        wrong = [name for name in (*self.head_names, *self.table_names) if not NAME.fullmatch(name)]
        if wrong:
            problems.append(
                f"found {len(wrong)} names of heads and tables that are none, expected letters, digits, dot, dash and "
                "underscore"
            )
        if self.reference:
            problems += self.reference.problems(len(self.features))
        if self.effects:
            problems += self.effects.problems(self.feature_names)
        if (self.task, self.version) != (task, version):
            problems.append(
                f"found task {self.task!r} and version {self.version!r} in {MANIFEST}, expected those of the "
                f"folder, {task!r} and {version!r}"
            )
        if not self.features or len(set(self.feature_names)) != len(self.features):
            problems.append("found no features, or one twice, expected each name once")
        return problems


def head_file(name: str) -> str:
    """The file of a head's graph, beside that of the model.

    >>> head_file("basket")
    'head-basket.onnx'
    """
    return f"head-{name}.onnx"


def table_file(name: str) -> str:
    """The file of a table, beside the model.

    >>> table_file("cells")
    'table-cells.parquet'
    """
    return f"table-{name}.parquet"
