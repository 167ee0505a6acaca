"""What the service computes with, as training fits it: formulas and parts of a bundle, without a scorer that runs them.

So whoever declares a task, or is asked whether anything is new, starts without what scores.
"""

from __future__ import annotations

from serving.allocation.rules import Limits, OfferRules
from serving.manifest import Criteria, Effects, Head, Term
from serving.response import Changed, Fact, Response, Score, inclined
from serving.shrinkage import Division, Segment, Shrinkage, Shrunk, segment_count, segments_of
from serving.site_bundle import LEARNED, SiteBundle, Wider
from serving.site_features import SiteFeatures
from serving.site_gravity import Demand, Gravity, Market, Near, Spots, within_reach
from serving.site_model import Column, Learned, Linear, SiteModel, cv_plus, range_distance, scaled
from serving.site_model import analogs as site_analogs
from serving.site_model import line as site_line
from serving.site_nearby import Nearby
from serving.site_tables import LearnedStores, demand_of, own, rivals_ever, rivals_of, spots_of, trading, write_table
from serving.telemetry.reference import Binning, reference_of
from serving.worth import Earned, Valued, valued

__all__ = [
    "LEARNED",
    "Binning",
    "Changed",
    "Column",
    "Criteria",
    "Demand",
    "Division",
    "Earned",
    "Effects",
    "Fact",
    "Gravity",
    "Head",
    "Learned",
    "LearnedStores",
    "Limits",
    "Linear",
    "Market",
    "Near",
    "Nearby",
    "OfferRules",
    "Response",
    "Score",
    "Segment",
    "Shrinkage",
    "Shrunk",
    "SiteBundle",
    "SiteFeatures",
    "SiteModel",
    "Spots",
    "Term",
    "Valued",
    "Wider",
    "cv_plus",
    "demand_of",
    "inclined",
    "own",
    "range_distance",
    "reference_of",
    "rivals_ever",
    "rivals_of",
    "scaled",
    "segment_count",
    "segments_of",
    "site_analogs",
    "site_line",
    "spots_of",
    "trading",
    "valued",
    "within_reach",
    "write_table",
]
