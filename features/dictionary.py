"""The data dictionary: `docs/features.md`, made from the declarations so that the two cannot differ.

python -m features.dictionary
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from features.catalogue import BUILT, NOT_BUILT
from features.coupon import COUPON
from features.coupon_rank import COUPON_RANK
from features.feature import Aggregate, Derived, Operator
from features.log import key_columns
from features.network import Ring
from features.next_purchase import NEXT_CATEGORY, NEXT_PRODUCT
from features.offer import OFFER
from features.place import PLACE as SPOT
from features.rfm import RFM
from features.ring import RING
from features.scan import ACCOUNT, CODES, PLACE, PRIZE, RATES, TEMPO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from features.feature import Feature
    from features.spec import FeatureSet

SETS: Final = (
    ("Purchases: recency, frequency, money", "RFM", RFM),
    ("One offer", "OFFER", OFFER),
    ("Coupon habits", "COUPON", COUPON),
    ("The next purchase: one category", "NEXT_CATEGORY", NEXT_CATEGORY),
    ("The next purchase: one product", "NEXT_PRODUCT", NEXT_PRODUCT),
    ("One coupon of a booklet", "COUPON_RANK", COUPON_RANK),
    ("Scans: tempo", "SCAN", TEMPO),
    ("Scans: device, address and place", "SCAN", PLACE),
    ("Scans: code and sequence", "SCAN", CODES),
    ("Scans: account and referral", "SCAN", ACCOUNT),
    ("Scans: prize and redemption", "SCAN", PRIZE),
    ("Scans: verdicts that have landed", "SCAN", RATES),
    ("Rings: who hangs together", "RING", RING),
    ("Sites: the trade area of a spot", "PLACE", SPOT),
)

_INTRODUCTION = """\
Made from the declarations in `features/` by `make docs`; a test holds it true.

A feature is a fact as of a moment t. A window of length W holds the events with `t - W <= seen_at < t`: never the
event that asks, nor one of its instant. `seen_at` is when we learned of an event. A day is 24 hours. Null is not zero:
a known key without history has counts of 0 and null elsewhere, a null key has nothing. A feature derived from others
is null where one that it needs is null or its result is not finite. Values are rounded to float32 once.

What a derived feature reads but no model should see by itself, such as a coordinate, is computed and not handed out."""

_ENDLESS: Final = (Operator.SINCE, Operator.SINCE_FIRST, Operator.LAST)


def features_page() -> str:
    """The page, in Markdown; `make docs` writes it and a test holds it true."""
    parts = ["# The features", "", _INTRODUCTION, ""]
    told: set[str] = set()
    for title, name, features in SETS:
        fresh = [feature for feature in features if feature.name not in told]
        told.update(feature.name for feature in fresh)
        parts += [f"## {title}", "", f"{len(fresh)} features of `{name}`.", "", *_table(fresh, features), ""]
    parts += _catalogue()
    return "\n".join(parts).rstrip() + "\n"


def _table(fresh: list[Feature], features: FeatureSet) -> Iterator[str]:
    known = {feature.name: feature for feature in features.all}
    yield "| name | entity | window | unit | null | meaning |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for feature in fresh:
        cells = (
            f"`{feature.name}`",
            ", ".join(dict.fromkeys(_entities(feature, known))),
            ", ".join(dict.fromkeys(_windows(feature, known))),
            feature.unit,
            "derived" if isinstance(feature, Derived) else feature.null_rule,
            feature.meaning,
        )
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _entities(feature: Feature, known: dict[str, Feature]) -> Iterator[str]:
    if isinstance(feature, Aggregate):
        yield " and ".join(one.removesuffix("_id").replace("_", " ") for one in key_columns(feature.key)) or "everyone"
    elif isinstance(feature, Ring):
        yield f"ring of the {feature.key.removesuffix('_id')}"
    elif isinstance(feature, Derived):
        for name in feature.inputs:
            yield from _entities(known[name], known)
    else:
        yield "spot" if feature.name in SPOT.names else "row"


def _windows(feature: Feature, known: dict[str, Feature]) -> Iterator[str]:
    if isinstance(feature, Aggregate):
        yield "lifetime" if feature.operator in _ENDLESS else feature.window.label
    elif isinstance(feature, Ring):
        yield feature.window.label if feature.window else _horizon(feature)
    elif isinstance(feature, Derived):
        for name in feature.inputs:
            yield from _windows(known[name], known)
    else:
        yield "now"


def _horizon(feature: Ring) -> str:
    """How far back a network remembers: its generations begin at fixed instants."""
    network = feature.network
    days = (network.period.microseconds or 0) // 86_400_000_000
    return f"{(network.generations - 1) * days}-{network.generations * days}d"


def _catalogue() -> Iterator[str]:
    yield "## The catalogue, and what is not built"
    yield ""
    yield "Items that practice has found worth computing. Where a feature differs from the item, it says how."
    yield ""
    yield "| no. | item | answered by | unlike the item |"
    yield "| --- | --- | --- | --- |"
    for one in BUILT:
        yield f"| {one.number} | {one.item} | {_listed(one.features)} | {one.unlike} |"
    yield ""
    yield "Not built:"
    yield ""
    yield "| no. | item | why not | nearest |"
    yield "| --- | --- | --- | --- |"
    for missing in NOT_BUILT:
        yield f"| {missing.number} | {missing.item} | {missing.reason} | {_listed(missing.near)} |"
    yield ""


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
