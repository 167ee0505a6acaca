"""Whether anything but behaviour tells the wool party: ids, row order, formatting, missingness, rounding.

A classifier sees only what no honest model may live on: the characters of ids and the octets of addresses, the place of
a row among those of its second and of a member among those who joined that hour, which fields are missing, digits
behind the point. It is fitted on some rings and members and scores others. Where the truth leaks nowhere, it is as good
as a coin: an area under the curve of .5.

An id that several rings or members share, such as a shop's wireless network, names a place and not its maker; it is
replaced by one drawn from those with a single owner. Families and all of them together are judged at once, so their
intervals are so wide that all of them hold .5 in 95 of 100 worlds without a leak. Models of different folds share most
of what they learn from and err together, which resampled rows do not show; intervals are widened for it by the factor
of Nadeau and Bengio (Inference for the generalization error, 2003), the root of 1 + folds / (folds - 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import lightgbm as lgb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.truth import ALL, HONEST, truth_table
from data.errors import DataError
from training.interval import Interval, Resampling
from training.metrics import Judged, roc_auc

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from data.sources import DataSet

    Flags: TypeAlias = NDArray[np.bool_]
    Reals: TypeAlias = NDArray[np.float64]
    Int64: TypeAlias = NDArray[np.int64]

CHANCE: Final = 0.5
IDS: Final = ("scan_id", "member_id", "device_id", "code_id", "wifi_id")
MASKED: Final = (*IDS[1:], "ip", "batch_id", "serial", "product_id", "campaign_id", "lat", "lon", "entry", "user_agent")

_LEVEL: Final = 0.05
_FOLDS: Final = 5
FEWEST_RINGS: Final = _FOLDS
"""Of fewer rings some folds hold none, and drawing among them says nothing of other rings."""

_WIDENED: Final = math.sqrt(1 + _FOLDS / (_FOLDS - 1))
_HONEST: Final = 30_000
_A_MEMBER: Final = 5
_A_RING: Final = 400
_SECOND: Final = 1_000_000
_HOUR: Final = 3_600 * _SECOND
_DECIMALS: Final = 6
_HALF: Final = 5
_ROUNDS: Final = 60
_PARAMETERS: Final[dict[str, Any]] = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 50,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,  # the fits are small and many
    "seed": 7,
    "verbosity": -1,
}


@dataclass(frozen=True)
class Form:
    """The form of some scans, without anything they mean.

    Attributes:
        values: One row a scan, one column a feature of form; NaN where unknown.
        names: Of the columns.
        family: Name of the family of each scan.
        unit: Code of its ring, else of its member.
    """

    values: Reals
    names: tuple[str, ...]
    family: NDArray[np.str_]
    unit: Int64


@dataclass(frozen=True)
class Leak:
    """How well form tells a family from honest people.

    Attributes:
        area: Area under the curve of the classifier, with its interval.
        telling: The three features of form that it used most, for finding the leak where there is one.
    """

    area: Interval
    telling: tuple[str, ...]

    @property
    def found(self) -> bool:
        """Whether .5 lies outside of the interval."""
        return not self.area.low <= CHANCE <= self.area.high

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        rounded = {name: round(value, 4) for name, value in self.area.as_dict().items()}
        return {**rounded, "found": self.found, "telling": list(self.telling)}


def leaks(world: DataSet, truth: Path, generator: np.random.Generator) -> dict[str, Leak]:
    """What form tells of the wool party as a whole (`all`) and of every family with `FEWEST_RINGS` rings or more.

    Args:
        world: Tables as `shepherd simulate` writes them, in Parquet; their rows are read in the order in which they
            stand, all in memory.
        truth: Its folder of truth.
        generator: Draws the scans looked at, the folds and the resamples.
    """
    form = read_form(world, truth, generator)
    wool = form.family != HONEST
    names, rings = np.unique(
        np.unique(np.column_stack([form.family, form.unit])[wool], axis=0)[:, 0], return_counts=True
    )
    families = (ALL, *names[rings >= FEWEST_RINGS].tolist())
    return {name: told(form, name, generator, _LEVEL / len(families)) for name in families}


def told(form: Form, name: str, generator: np.random.Generator, level: float, resamples: int = 1_000) -> Leak:
    """What form tells of one family, or of all of them.

    Args:
        form: Of honest scans and of the family's.
        name: Of the family, or `all`.
        generator: Draws the folds and the resamples.
        level: Chance that the interval misses the area.
        resamples: How many draws of whole rings and members.
    """
    chosen = (form.family == HONEST) | (form.family == name) | (name == ALL)
    values, unit = form.values[chosen], form.unit[chosen]
    label = (form.family[chosen] != HONEST).astype(np.float64)
    score, gain = _crossed(values, label, _folds(unit, label, generator))
    judged = Judged(label, score)
    weights = Resampling(unit, generator, resamples).weights()
    drawn = np.concatenate([roc_auc.measure(judged, block) for block in weights])
    value = roc_auc.of(label, score)
    low, high = value + _WIDENED * (np.nanpercentile(drawn, [50 * level, 100 - 50 * level]) - value)
    most = np.argsort(-gain, kind="stable")[:3]
    return Leak(Interval(value, float(low), float(high)), tuple(form.names[place] for place in most))


def _folds(unit: Int64, label: Reals, generator: np.random.Generator) -> Int64:
    """A fold for each row: rings and members stay whole, and each fold has its share of both."""
    codes, first, inverse = np.unique(unit, return_index=True, return_inverse=True)
    fold = np.empty(len(codes), np.int64)
    for value in (0.0, 1.0):
        alike = generator.permutation(np.flatnonzero(label[first] == value))
        fold[alike] = np.arange(len(alike)) % _FOLDS
    return fold[inverse]


def _crossed(values: Reals, label: Reals, fold: Int64) -> tuple[Reals, Reals]:
    """Scores by models that saw neither the row nor its ring, and how much each feature was used."""
    score, gain = np.empty(len(label)), np.zeros(values.shape[1])
    for one in range(_FOLDS):
        inside = fold == one
        data = lgb.Dataset(values[~inside], label[~inside], params=_PARAMETERS)
        booster = lgb.train(_PARAMETERS, data, num_boost_round=_ROUNDS)
        raw = np.asarray(booster.predict(values[inside], raw_score=True, num_threads=1), np.float64)
        score[inside] = _standing(raw, raw[label[inside] == 0])
        gain += booster.feature_importance("gain")
    return score, gain


def _standing(raw: Reals, honest: Reals) -> Reals:
    """The place of scores among the honest ones of their fold: models of different folds differ in their level."""
    ranked = np.sort(honest)
    below, upto = (np.searchsorted(ranked, raw, side=side) for side in ("left", "right"))
    return np.asarray((below + upto) / (2 * max(len(ranked), 1)), np.float64)


def read_form(world: DataSet, truth: Path, generator: np.random.Generator) -> Form:
    """The form of a sample of scans: a few of each member, of honest members drawn by lot and of every ring.

    Raises:
        DataError: The truth is another world's.
    """
    scans = _in_order(world, "scans")
    told_of = _truth(world, truth, scans)
    kept = _sample(told_of, generator)
    family, unit = told_of.family[kept], told_of.unit[kept]
    columns = {
        **_order(scans, kept, generator),
        **_missing(scans.select([name for name in MASKED if name in scans.column_names]).take(kept)),
        **_digits(scans.take(kept)),
        **_joined(_in_order(world, "members"), scans["member_id"].take(kept), generator),
    }
    for name in (one for one in IDS if one in scans.column_names):
        columns |= _characters(name, _owned(scans[name].take(kept), unit, generator))
    columns |= _octets(_owned(scans["ip"].take(kept), unit, generator))
    return Form(np.column_stack(list(columns.values())), tuple(columns), family, unit)


@dataclass(frozen=True)
class _Truth:
    family: NDArray[np.str_]
    unit: Int64
    member: Int64


def _in_order(world: DataSet, name: str) -> pa.Table:
    """A table with its rows as they stand."""
    return pa.concat_tables([pq.read_table(path) for path in world.files[name]], promote_options="permissive")


def _truth(world: DataSet, truth: Path, scans: pa.Table) -> _Truth:
    with world.bare_connection() as connection:
        source = truth_table(truth, "scans")
        known: pa.Table = connection.sql(f"SELECT scan_id, family, ring_id FROM {source}").to_arrow_table()
    place = pc.index_in(scans["scan_id"], value_set=known["scan_id"].combine_chunks())
    if place.null_count:
        raise DataError(
            f"{truth}: found no truth of {place.null_count} scans; expected one row a scan; "
            "give the folder that `shepherd simulate` wrote beside these tables"
        )
    family = np.asarray(known["family"].take(place).to_numpy(zero_copy_only=False), np.str_)
    member = _codes(scans["member_id"])
    ring = _codes(known["ring_id"].take(place).cast(pa.string()))
    return _Truth(family, np.where(ring >= 0, ring + member.max() + 1, member), member)


def _codes(texts: pa.ChunkedArray[Any]) -> Int64:
    """A code for each text, -1 for none."""
    coded = texts.combine_chunks().dictionary_encode().indices.fill_null(-1)
    return coded.to_numpy(zero_copy_only=False).astype(np.int64)


def _sample(told_of: _Truth, generator: np.random.Generator) -> Int64:
    """Rows to look at, in order: a few of each member, of honest members drawn by lot and of every ring."""
    shuffled = generator.permutation(len(told_of.unit))
    wool = told_of.family[shuffled] != HONEST
    honest, ours = shuffled[~wool], shuffled[wool]
    lot = generator.permutation(int(told_of.member.max()) + 2)[told_of.member[honest]]
    honest = honest[np.argsort(lot, kind="stable")]
    honest = honest[_occurrence(told_of.member[honest]) < _A_MEMBER][:_HONEST]
    ours = ours[_occurrence(told_of.member[ours]) < _A_MEMBER]
    ours = ours[_occurrence(told_of.unit[ours]) < _A_RING]
    return np.sort(np.concatenate([honest, ours])).astype(np.int64)


def _occurrence(keys: Int64) -> Int64:
    """How often each key came before in the array."""
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    starts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1])) if len(keys) else np.empty(0, np.int64)
    lengths = np.diff(np.append(starts, len(keys)))
    before = np.empty(len(keys), np.int64)
    before[order] = np.arange(len(keys)) - np.repeat(starts, lengths)
    return before


def _order(scans: pa.Table, kept: Int64, generator: np.random.Generator) -> dict[str, Reals]:
    """The place of a row among those of its second of arrival, and whether it stands before an earlier one."""
    at = _instants(scans["received_at" if "received_at" in scans.column_names else "ts"])
    place = _place_among(at // _SECOND, generator)
    earlier = np.append(0, np.diff(at)) < 0
    return {
        "row_in_second": place[kept],
        "row_out_of_order": earlier[kept].astype(np.float64),
        "row_in_instant": _place_among(at, generator)[kept],
    }


def _place_among(keys: Int64, generator: np.random.Generator | None = None) -> Reals:
    """Where each row stands among those of its key, 0 to 1; at random within its step where chance is given.

    Without it the steps would tell how crowded a second is, which is behaviour.
    """
    _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    within = 0.5 if generator is None else generator.random(len(keys))
    return np.asarray((_occurrence(keys) + within) / counts[inverse], np.float64)


def _missing(scans: pa.Table) -> dict[str, Reals]:
    return {f"no_{name}": _reals(scans[name].is_null()) for name in scans.column_names}


def _digits(scans: pa.Table) -> dict[str, Reals]:
    """Microseconds, the lag until arrival, decimals of positions, lengths of texts."""
    made = _instants(scans["ts"])
    columns = {"ts_microseconds": (made % _SECOND).astype(np.float64), "ts_zeros": _zeros(made % _SECOND)}
    if "received_at" in scans.column_names:
        arrived = _instants(scans["received_at"])
        columns |= {"lag": (arrived - made).astype(np.float64), "received_at_zeros": _zeros(arrived % _SECOND)}
    for name in ("lat", "lon"):
        if name in scans.column_names:
            columns |= _decimals(name, scans[name])
    for name in IDS:
        if name in scans.column_names:
            columns[f"{name}_length"] = _reals(pc.utf8_length(scans[name]))
    return columns


def _decimals(name: str, degrees: pa.ChunkedArray[Any]) -> dict[str, Reals]:
    """The last decimals of a position, how many of them are 0, and what lies beyond."""
    scaled = _reals(degrees) * 10**_DECIMALS
    whole = np.round(scaled)
    known = ~np.isnan(whole)
    last = np.nan_to_num(whole).astype(np.int64) % 1_000
    return {
        f"{name}_last_decimal": np.where(known, last % 10, np.nan),
        f"{name}_zeros": np.where(known, _zeros(last), np.nan),
        f"{name}_beyond": (np.abs(scaled - whole) > 0.01).astype(np.float64),
    }


def _zeros(numbers: Int64) -> Reals:
    """Noughts at the end of whole numbers."""
    ends = np.stack([numbers % 10**power == 0 for power in range(1, _DECIMALS + 1)])
    return np.asarray(ends.sum(axis=0), np.float64)


def _joined(members: pa.Table, member_id: pa.ChunkedArray[Any], generator: np.random.Generator) -> dict[str, Reals]:
    """Where a scan's member stands in the table among those who joined that hour, and the digits of that moment."""
    registered = _instants(members["registered_at"].fill_null(pa.scalar(0, members["registered_at"].type)))
    place = pc.index_in(member_id.combine_chunks(), value_set=members["member_id"].combine_chunks())
    row = place.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    known = row >= 0
    # Rows in order of time say nothing beyond it: what counts is a row's place among those of its hour less its place
    # by time, which is 0 for whoever stands where the moment puts them.
    by_row = _place_among(registered // _HOUR)
    ranked = np.lexsort((generator.random(len(registered)), registered))
    by_time = np.empty(len(registered))
    by_time[ranked] = _place_among(registered[ranked] // _HOUR)
    return {
        "member_out_of_time": np.where(known, (by_row - by_time)[row], np.nan),
        "registered_microseconds": np.where(known, registered[row] % _SECOND, np.nan),
        "registered_zeros": np.where(known, _zeros(registered[row] % _SECOND), np.nan),
    }


def _owned(texts: pa.ChunkedArray[Any], unit: Int64, generator: np.random.Generator) -> pa.Array[Any]:
    """The texts, with those of several owners replaced by others drawn at random."""
    code = _codes(texts)
    plain = texts.combine_chunks()
    known = np.flatnonzero(code >= 0)
    pairs = np.unique(np.column_stack([code[known], unit[known]]), axis=0)
    owners = np.bincount(pairs[:, 0], minlength=int(code.max(initial=-1)) + 1)
    shared = (code >= 0) & (owners[code] > 1)
    single = np.flatnonzero((code >= 0) & ~shared)
    if not len(single):
        return pa.array([None] * len(code), pa.string())
    source = np.arange(len(code))
    source[shared] = generator.choice(single, int(shared.sum()))
    replaced: pa.Array[Any] = plain.take(pa.array(source, pa.int64()))
    return replaced


def _characters(name: str, texts: pa.Array[Any]) -> dict[str, Reals]:
    """The order of ids as numbers, in two halves, and the first and the last character of each."""
    known = ~_reals(texts.is_null()).astype(np.bool_)
    longest = max((len(text) for text in texts.to_pylist() if text is not None), default=1)
    padded = np.array([(text or "").ljust(longest)[:longest] for text in texts.to_pylist()], dtype=f"U{longest}")
    letters = padded.view(np.uint32).reshape(len(padded), longest).astype(np.float64)
    weights = 128.0 ** -np.arange(_HALF)
    halves = {"head": letters[:, :_HALF], "tail": letters[:, -_HALF:]}
    columns = {f"{name}_{half}": part @ weights[: part.shape[1]] for half, part in halves.items()}
    columns |= {f"{name}_first": letters[:, 0], f"{name}_last": letters[:, -1]}
    return {label: np.where(known, values, np.nan) for label, values in columns.items()}


def _octets(addresses: pa.Array[Any]) -> dict[str, Reals]:
    parts = pc.split_pattern(addresses, ".")
    known = ~_reals(addresses.is_null()).astype(np.bool_)
    columns = {}
    for place in range(4):
        octet = pc.list_element(parts, place).cast(pa.float64())
        columns[f"octet_{place + 1}"] = np.where(known, _reals(octet), np.nan)
    return columns


def _instants(column: pa.ChunkedArray[Any]) -> Int64:
    return column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64()).to_numpy().astype(np.int64)


def _reals(column: Any) -> Reals:  # noqa: ANN401 - arrays and chunked ones alike
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
