"""A feature set: the declarations that a model is fed with. Everything needed to write one is imported from here.

>>> baskets = Log("baskets", entities=("member_id",))
>>> habits = FeatureSet(count(baskets, by="member_id", over=(DAYS_30, LIFETIME)), since(baskets, by="member_id"))
>>> habits.names
('member_basket_count_30d', 'member_basket_count_lifetime', 'member_basket_since')
"""

from __future__ import annotations

import difflib
import inspect
from typing import TYPE_CHECKING

from data.errors import UsageError
from features.feature import Aggregate, Declared, Derived, Fact, Feature, Operator
from features.fingerprint import fingerprint
from features.log import GAP, Key, Log, Where
from features.network import (
    Edge,
    Marks,
    Network,
    Ring,
    ring_bad_marks,
    ring_bad_nodes,
    ring_edges,
    ring_marks,
    ring_nodes,
    ring_recent,
)
from features.operators import (
    column,
    count,
    derived,
    distinct,
    entropy,
    last,
    maximum,
    mean,
    minimum,
    share,
    since,
    std,
    sum_,
)
from features.window import DAY, DAYS_30, HOUR, LIFETIME, MIN_5, WEEK, Window, days

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "DAY",
    "DAYS_30",
    "GAP",
    "HOUR",
    "LIFETIME",
    "MIN_5",
    "WEEK",
    "Aggregate",
    "Derived",
    "Edge",
    "Fact",
    "Feature",
    "FeatureSet",
    "Key",
    "Log",
    "Marks",
    "Network",
    "Operator",
    "Ring",
    "Where",
    "Window",
    "column",
    "count",
    "days",
    "derived",
    "distinct",
    "entropy",
    "last",
    "maximum",
    "mean",
    "minimum",
    "ring_bad_marks",
    "ring_bad_nodes",
    "ring_edges",
    "ring_marks",
    "ring_nodes",
    "ring_recent",
    "share",
    "since",
    "std",
    "sum_",
]


class FeatureSet:
    """Features in a fixed order, held against each other.

    The same declaration twice is one feature; two declarations of one name are an error. What a derived feature reads
    must be in the set. Sets are joined with ``+``, or by naming a set among the features of another, and thinned with
    `only`, which keeps what the remaining derived features need as silent inputs.

    Raises:
        UsageError: When declarations are wrong; the message lists everything that is.
    """

    def __init__(self, *features: Declared | FeatureSet, silent: Iterable[Feature] = ()) -> None:
        flat = list(_flat(features))
        inputs = [*silent, *(one for part in features if isinstance(part, FeatureSet) for one in part.silent)]
        self._features = {feature.name: feature for feature in flat}
        self._silent = {feature.name: feature for feature in inputs if feature.name not in self._features}
        problems = [problem for feature in self.all for problem in _problems(feature)]
        _refuse([*_clashes([*flat, *inputs]), *problems, *_unresolved(self._features | self._silent)])

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the features, in the order of a model's inputs."""
        return tuple(self._features)

    @property
    def silent(self) -> tuple[Feature, ...]:
        """Features computed only because a derived one needs them."""
        return tuple(self._silent.values())

    @property
    def all(self) -> tuple[Feature, ...]:
        """All features that are computed: those handed out, then the silent ones."""
        return (*self._features.values(), *self._silent.values())

    def only(self, *names: str) -> FeatureSet:
        """The set with just these features handed out, in this order."""
        unknown = [name for name in names if name not in self._features]
        _refuse([f"no feature {name!r} in the set{_hint(name, self._features)}" for name in unknown])
        known = self._features | self._silent
        silent = [known[name] for name in _needed(names, known) if name not in names]
        return FeatureSet(*(self._features[name] for name in names), silent=silent)

    def fingerprint(self) -> str:
        """The sha256 of the declarations and of the plan's version, in hexadecimal; wording does not enter."""
        return fingerprint(self.names, self.all)

    def __add__(self, other: FeatureSet) -> FeatureSet:
        """The features of both, each once."""
        return FeatureSet(self, other)

    def __iter__(self) -> Iterator[Feature]:
        """The features handed out, in order."""
        return iter(self._features.values())

    def __len__(self) -> int:
        """How many features are handed out."""
        return len(self._features)

    def __getitem__(self, name: str) -> Feature:
        """The feature of that name; KeyError when the set has none."""
        return self._features[name]


def _flat(features: Iterable[Declared | FeatureSet]) -> Iterator[Feature]:
    for one in features:
        if isinstance(one, Feature):
            yield one
        else:
            yield from one


def _refuse(problems: list[str]) -> None:
    if problems:
        raise UsageError("\n".join(["the feature declarations are wrong:", *(f"  - {one}" for one in problems)]))


def _clashes(features: list[Feature]) -> list[str]:
    first: dict[str, Feature] = {}
    twice = [feature.name for feature in features if first.setdefault(feature.name, feature) != feature]
    return [
        f"{name}: declared twice with different definitions; rename one, or mark its log `qualified`" for name in twice
    ]


def _problems(feature: Feature) -> list[str]:
    found = [] if feature.name.isidentifier() else ["the name is no identifier; use letters, digits and _"]
    if isinstance(feature, Aggregate):
        found += _aggregate_problems(feature)
    if isinstance(feature, Derived):
        found += _function_problems(feature)
    if isinstance(feature, Ring):
        found += feature.problems()
    return [f"{feature.name}: {problem}" for problem in found]


def _aggregate_problems(feature: Aggregate) -> list[str]:
    log, window = feature.log, feature.window
    found = feature.where.problems() if feature.where else []
    if feature.key not in log.entities:
        found.append(f"log {log.name!r} is not declared for key {feature.key!r}; it has {log.entities!r}")
    if window.microseconds is not None and window.microseconds <= 0:
        found.append(f"window {window.label!r} has no length")
    if feature.cap is not None and feature.cap < 1:
        found.append(f"cap {feature.cap}; expected at least 1")
    if window.microseconds is None and feature.operator is Operator.DISTINCT and feature.cap is None:
        found.append("a lifetime distinct grows for ever in a live state; give it a cap or a window")
    if window.microseconds is None and feature.operator is Operator.ENTROPY:
        found.append("a lifetime entropy grows for ever in a live state; give it a window")
    return found


def _function_problems(feature: Derived) -> list[str]:
    if feature.code is None:
        return ["takes a plain Python function or lambda"]
    parameters = inspect.signature(feature.function).parameters.values()
    plain = all(
        one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD and one.default is inspect.Parameter.empty
        for one in parameters
    )
    if not parameters or not plain:
        return ["its function takes input features as plain parameters without defaults"]
    if len(parameters) != len(feature.inputs):
        return [f"`of` names {len(feature.inputs)} inputs, its function takes {len(parameters)}"]
    return []


def _unresolved(known: dict[str, Feature]) -> list[str]:
    found = []
    for feature in known.values():
        for name in feature.inputs if isinstance(feature, Derived) else ():
            if name not in known:
                found.append(f"{feature.name}: needs {name!r}, which is not in the set{_hint(name, known)}")
            elif feature.name in _needed([name], known):
                found.append(f"{feature.name}: is computed from itself through {name!r}")
    return found


def _needed(names: Iterable[str], known: dict[str, Feature]) -> tuple[str, ...]:
    """These features and whatever they are derived from, each once."""
    found: dict[str, None] = {}
    waiting = list(reversed(list(names)))
    while waiting:
        name = waiting.pop()
        if name in found or name not in known:
            continue
        found[name] = None
        feature = known[name]
        waiting += reversed(feature.inputs) if isinstance(feature, Derived) else ()
    return tuple(found)


def _hint(name: str, known: Iterable[str]) -> str:

    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
