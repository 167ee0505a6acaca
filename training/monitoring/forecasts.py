"""Forecasts of sites out of the log, and what they were asked about, so that any version can be asked again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from data.errors import DataError
from serving.site_answers import asked
from serving.site_contracts import SiteBody
from serving.sites import SiteScorer
from training.monitoring.journal import DECISIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from training.bundles import Bundle
    from training.monitoring.journal import Journal
    from training.monitoring.week import Week


class Range(msgspec.Struct):
    """An interval of yearly revenue."""

    low_fen: float | None
    high_fen: float | None

    def holds(self, sold: float) -> float:
        """1 where it holds what was sold, 0 where not; NaN where stores were too few for an interval."""
        if self.low_fen is None or self.high_fen is None:
            return np.nan
        return float(self.low_fen <= sold <= self.high_fen)


class Site(msgspec.Struct):
    """What was said of one site."""

    site_id: str
    revenue_fen: float
    interval_80: Range
    interval_90: Range
    format: str | None = None
    out_of_range: bool = False


class _Answer(msgspec.Struct):
    sites: tuple[Site, ...]


_decode: Final = msgspec.json.Decoder(_Answer).decode


@dataclass(frozen=True)
class Said:
    """One site as it was forecast last.

    Attributes:
        site: What was said.
        asked: What was asked about it, as it was sent; None where the log does not say.
        version: Who said it.
        seen_at: When it was asked, microseconds since 1970 UTC.
    """

    site: Site
    asked: Mapping[str, Any] | None
    version: str
    seen_at: int


@dataclass(frozen=True)
class Forecasts:
    """What was forecast.

    Attributes:
        said: Each site once, by its id.
        versions: How many answers each version gave.
        moments: When each answer was asked for, microseconds since 1970 UTC.
    """

    said: Mapping[str, Said]
    versions: Mapping[str, int]
    moments: tuple[int, ...]


@dataclass(frozen=True)
class Asked:
    """Sites put to a version again.

    Attributes:
        features: What it is given, float32, shape (sites, features).
        revenue_fen: What it forecasts, shape (sites,).
    """

    features: NDArray[np.float32]
    revenue_fen: NDArray[np.float64]


def read_forecasts(journal: Journal, week: Week, task: str) -> Forecasts:
    """The forecasts of a task out of the log.

    Raises:
        DataError: An answer is not of this release.
    """
    said: dict[str, Said] = {}
    versions: Counter[str] = Counter()
    moments = []
    for line in journal.lines(week.first):
        record = line.record
        if line.log != DECISIONS or line.seen_at >= week.last or record is None or record.task != task:
            continue
        try:
            answer = _decode(record.answer)
        except msgspec.DecodeError as error:
            raise DataError(f"decision {record.decision_id}: its answer is not of this release: {error}") from error
        places = {one["site_id"]: one for one in record.request.get("sites", ())}
        versions[record.version] += 1
        moments.append(line.seen_at)
        said |= {one.site_id: Said(one, places.get(one.site_id), record.version, line.seen_at) for one in answer.sites}
    return Forecasts(said, dict(versions), tuple(moments))


def asked_again(bundle: Bundle, sites: Sequence[Mapping[str, Any]]) -> Asked:
    """What a version is given and says of sites today, by the tables of its own bundle.

    Args:
        bundle: The version.
        sites: As they were sent.

    Raises:
        DataError: The bundle forecasts no sites, or by declarations that are not those of this release.
    """
    scorer = SiteScorer(bundle)
    candidates = asked([SiteBody.model_validate(one) for one in sites])
    matrix = scorer.matrix(candidates)
    return Asked(matrix, scorer.forecast(candidates, matrix).revenue_fen)
