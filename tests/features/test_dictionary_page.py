from pathlib import Path

import pytest

from features.catalogue import BUILT, NOT_BUILT
from features.dictionary import SETS, features_page
from features.spec import FeatureSet

PAGE = Path(__file__).parents[2] / "docs" / "features.md"
LINES = features_page().splitlines()
EVERY = FeatureSet(*(features for _, _, features in SETS))


def test_the_page_is_as_the_declarations_are():
    assert PAGE.read_text(encoding="utf-8") == features_page(), "run `make docs`"


@pytest.mark.parametrize("feature", list(EVERY), ids=lambda feature: feature.name)
def test_every_feature_has_one_line(feature):
    lines = [line for line in LINES if line.startswith(f"| `{feature.name}` |")]
    assert len(lines) == 1
    assert feature.meaning in lines[0]


def test_every_item_of_the_catalogue_is_built_or_says_why_not():
    numbers = sorted([one.number for one in BUILT] + [one.number for one in NOT_BUILT])
    assert numbers == list(range(1, 79))
    assert all(one.reason for one in NOT_BUILT)


def test_the_catalogue_names_features_that_exist():
    named = [*(name for one in BUILT for name in one.features), *(name for one in NOT_BUILT for name in one.near)]
    assert set(named) <= set(EVERY.names)
