"""Members who are like those of a seed list (人群扩展): ranked, with the lift of that ranking on held-out seeds.

Trees learn to tell seeds from a random sample of the other members by what was known of each at the moment. Members
are dealt into folds again and again; each is scored by a model that saw neither it nor any other of its fold. Held-out
seeds are then looked for among all members of their fold: the lift at 5 % is how many times as many of them stand in
its first 5 % as chance would put there. The same held-out scores, averaged, rank who is no seed; so the lift is that of
the ranking handed out.

Others are unlabelled, not negative: among them are members who would have been seeds, had anyone asked. Scores are
therefore an order and no probability, and the lift is a lower end where seeds are a chance part of their kind. It says
nothing about whether a coupon changes what these members do. Seeds that a filter chose are found again by that filter:
lift is then high and teaches nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from data.errors import DataError
from training.interval import Interval, Resampling, of_means
from training.learner import Binary, raw_scores
from training.member_table import known_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from data.sources import DataSet
    from features.audience.population import Population
    from features.batch import Progress
    from training.member_table import Known

FEWEST: Final = 50
"""Seeds, and members who are none, that it takes to say anything."""

SIZES: Final = (0.01, 0.05, 0.10, 0.20)
FOLDS: Final = 5
REPEATS: Final = 3
OTHERS_A_SEED: Final = 20
MOST_OTHERS: Final = 50_000
_LEARNER: Final = Binary(
    {
        "num_iterations": 120,
        "learning_rate": 0.05,
        "num_leaves": 15,
        "min_data_in_leaf": 20,
        "feature_fraction": 0.5,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
    },
    bags=1,
)


@dataclass(frozen=True)
class SizeLift:
    """How well the first members of the ranking hold seeds that were held out.

    Attributes:
        size: The share of members taken.
        lift: How many times as many held-out seeds they hold as chance would.
        baseline: The same when members are ranked by how many of their segment are seeds.
        gain: The first less the second, on the same resamples.
    """

    size: float
    lift: Interval
    baseline: Interval
    gain: Interval

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "size": self.size,
            "lift": self.lift.as_dict(),
            "baseline": self.baseline.as_dict(),
            "gain": self.gain.as_dict(),
        }


@dataclass(frozen=True)
class Lookalike:
    """A ranking of who is no seed, and how far to trust it.

    Attributes:
        ranked: member_id, rank (from 1) and score (between 0 and 1, higher is more alike), best first.
        given: Seeds on the list, each once.
        known: How many of them were members at the moment; the others were left out.
        everybody: Members at the moment.
        features: How many columns the trees saw.
        lifts: By size.
    """

    ranked: pa.Table
    given: int
    known: int
    everybody: int
    features: int
    lifts: tuple[SizeLift, ...]

    def as_dict(self) -> dict[str, object]:
        """For JSON, without the ranking."""
        return {
            "seeds": {"given": self.given, "known": self.known},
            "everybody": self.everybody,
            "ranked": self.ranked.num_rows,
            "features": self.features,
            "lifts": [one.as_dict() for one in self.lifts],
        }

    def text(self) -> str:
        """For people."""
        lines = [
            f"{self.known:,} seeds among {self.everybody:,} members, {self.features} columns known of each",
            f"{'first':>6}  {'lift on held-out seeds':>24}  {'segment match':>24}  {'gain':>24}",
            *(
                f"{100 * one.size:>4g} %  {one.lift!s:>24}  {one.baseline!s:>24}  {one.gain!s:>24}"
                for one in self.lifts
            ),
        ]
        unknown = self.given - self.known
        return "\n".join([*lines, *([f"{unknown:,} seeds were no members then and were left out"] if unknown else [])])


def lookalike(
    everybody: Population,
    data_set: DataSet,
    seeds: Sequence[str],
    generator: np.random.Generator,
    progress: Progress | None = None,
) -> Lookalike:
    """Rank the members who are no seeds by how like the seeds they are.

    Args:
        everybody: The members as of the moment; nothing seen later is read.
        data_set: The tables they were opened from.
        seeds: Ids of members; those who were none at the moment are counted and left out.
        generator: Deals the folds, samples the others and seeds the trees.
        progress: Told after each fit.

    Raises:
        DataError: Fewer than 50 seeds, or members who are none, are known; or the data lack orders or products.
    """
    known = known_of(everybody, data_set)
    members = known.members
    given = frozenset(seeds)
    seed = np.array([member in given for member in members], dtype=np.bool_)
    _require_enough(len(given), seed, everybody)
    deals = list(_held_out(lambda fit: _model_scores(known, seed, fit, generator), seed, generator, progress))
    model = np.mean([_credits(deal, seed) for deal in deals], axis=0)
    matched = [_Deal(deal.fold, _segment_scores(known.segment, seed, deal.fold)) for deal in deals]
    plain = np.mean([_credits(deal, seed) for deal in matched], axis=0)
    score = np.mean([_places(deal) for deal in deals], axis=0)
    return Lookalike(
        ranked=_ranked(members[~seed], score[~seed]),
        given=len(given),
        known=int(seed.sum()),
        everybody=len(members),
        features=len(known.names),
        lifts=_lifts(model, plain, generator),
    )


@dataclass(frozen=True)
class _Deal:
    """Members dealt into folds, and the score that each got from the other folds."""

    fold: NDArray[np.int64]
    score: NDArray[np.float64]

    def parts(self) -> Iterator[NDArray[np.intp]]:
        return (np.flatnonzero(self.fold == number) for number in range(FOLDS))


def _held_out(
    scores: Callable[[NDArray[np.bool_]], NDArray[np.float64]],
    seed: NDArray[np.bool_],
    generator: np.random.Generator,
    progress: Progress | None,
) -> Iterator[_Deal]:
    """The members dealt anew each time, seeds evenly, each scored by what was learned from the other folds."""
    for repeat in range(REPEATS):
        fold = np.empty(len(seed), np.int64)
        for group in (np.flatnonzero(seed), np.flatnonzero(~seed)):
            fold[generator.permutation(group)] = np.arange(len(group)) % FOLDS
        score = np.empty(len(seed))
        for number in range(FOLDS):
            score[fold == number] = scores(fold != number)[fold == number]
            if progress is not None:
                progress("fit", repeat * FOLDS + number + 1, REPEATS * FOLDS)
        yield _Deal(fold, score)


def _model_scores(
    known: Known,
    seed: NDArray[np.bool_],
    fit: NDArray[np.bool_],
    generator: np.random.Generator,
) -> NDArray[np.float64]:
    """The score of every member by a model of some; of the others of those a sample stands for all."""
    positive, others = np.flatnonzero(fit & seed), np.flatnonzero(fit & ~seed)
    number = min(len(others), MOST_OTHERS, max(OTHERS_A_SEED * len(positive), 1_000))
    rows = np.concatenate([positive, generator.choice(others, number, replace=False)])
    booster = _LEARNER.fit(known.names, known.matrix[rows], seed[rows].astype(np.float64), {}, generator)
    return raw_scores(booster, known.matrix)


def _segment_scores(
    segment: NDArray[np.int64], seed: NDArray[np.bool_], fold: NDArray[np.int64]
) -> NDArray[np.float64]:
    """What a sensible person would do: the share of seeds in a member's segment, among the other folds."""
    score = np.empty(len(seed))
    size = int(segment.max()) + 1
    for number in range(FOLDS):
        fit = fold != number
        seeds = np.bincount(segment[fit & seed], minlength=size)
        score[~fit] = (seeds / np.maximum(1, np.bincount(segment[fit], minlength=size)))[segment[~fit]]
    return score


def _credits(deal: _Deal, seed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """For each seed and size the chance that it stands in the first part of its fold, shape (seeds, sizes).

    Of members with one score a random order is meant, so a seed among them counts in part.
    """
    found = np.zeros((len(seed), len(SIZES)))
    for part in deal.parts():
        ranked = np.sort(deal.score[part])
        above = len(part) - np.searchsorted(ranked, deal.score[part], "right")
        equal = len(part) - above - np.searchsorted(ranked, deal.score[part], "left")
        room = np.array(SIZES) * len(part) - above[:, None]
        found[part] = np.clip(room / equal[:, None], 0, 1)
    return found[seed]


def _places(deal: _Deal) -> NDArray[np.float64]:
    """Of each member the share of its fold that it stands above, equals half."""
    place = np.empty(len(deal.score))
    for part in deal.parts():
        ranked = np.sort(deal.score[part])
        middle = np.searchsorted(ranked, deal.score[part], "left") + np.searchsorted(ranked, deal.score[part], "right")
        place[part] = middle / (2 * len(part))
    return place


def _lifts(
    model: NDArray[np.float64], plain: NDArray[np.float64], generator: np.random.Generator
) -> tuple[SizeLift, ...]:
    sizes = np.array(SIZES)
    columns = np.hstack([model / sizes, plain / sizes, (model - plain) / sizes])
    figures = of_means(columns, Resampling(np.arange(len(columns)), generator))
    return tuple(
        SizeLift(size, *(figures[place + len(SIZES) * part] for part in range(3))) for place, size in enumerate(SIZES)
    )


def _ranked(members: NDArray[np.object_], score: NDArray[np.float64]) -> pa.Table:
    order = np.argsort(-score, kind="stable")  # members stand in order of their id, and so do equals
    return pa.table(
        {
            "member_id": pa.array(members[order], pa.string()),
            "rank": pa.array(np.arange(1, len(order) + 1)),
            "score": pa.array(score[order]),
        }
    )


def _require_enough(given: int, seed: NDArray[np.bool_], everybody: Population) -> None:
    known, others = int(seed.sum()), int((~seed).sum())
    if known < FEWEST:
        raise DataError(
            f"seeds: found {known:,} members as of {everybody.at.isoformat()} (of {given:,} ids given), expected at "
            f"least {FEWEST}; give more seeds, check that the ids are those of the table of members, or ask as of later"
        )
    if others < FEWEST:
        raise DataError(f"seeds: found {others:,} members who are none, expected at least {FEWEST}; give fewer seeds")
