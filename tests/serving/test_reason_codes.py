"""Codes of reasons are a promise: every shipped feature has one, and keeps it."""

from __future__ import annotations

import json
from pathlib import Path

from features.coupon import COUPON
from features.place import declared
from features.rfm import RFM
from features.ring import RING
from features.scan import SCAN
from features.spec import FeatureSet, column
from serving.reason_codes import FAMILIES, OTHER, reason_code
from serving.site_features import AREA, format_name

GOLDEN = Path(__file__).parents[1] / "golden" / "reason_codes.json"
SITE = FeatureSet(
    column(AREA, "square metres", "Sales floor"), column(format_name("express"), "yes or no", "Its format is express")
)
SHIPPED = SCAN + RING + RFM + COUPON + SITE + declared(("jobs",))


def test_every_shipped_feature_has_a_code() -> None:
    assert [name for name in SHIPPED.names if reason_code(name) == OTHER] == []


def test_a_code_once_given_stays() -> None:
    golden = json.loads(GOLDEN.read_text())
    new = {name: reason_code(name) for name in SHIPPED.names if name not in golden}

    assert {name: reason_code(name) for name in golden} == golden
    assert not new, f"add these lines to {GOLDEN.name}, and never change one: {new}"


def test_every_family_claims_a_feature() -> None:
    used = {reason_code(name) for name in SHIPPED.names}

    assert {code for _, code in FAMILIES} == used
