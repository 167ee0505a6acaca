"""A service of all tasks at once: scans, offers, redemptions and sites, with their tables, log and audiences."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.serving.live.conftest import SECRET
from tests.serving.live.conftest import bundles as bundles  # noqa: PLC0414 - fixtures of others, asked for by name
from tests.serving.live.conftest import scans as scans  # noqa: PLC0414
from tests.serving.live.conftest import world as world  # noqa: PLC0414
from tests.serving.test_coupon_decisions import night as night  # noqa: PLC0414
from tests.serving.test_coupon_decisions import place as place  # noqa: PLC0414
from tests.serving.test_site_service import folder as folder  # noqa: PLC0414
from tests.training.effect.conftest import small_task as small_task  # noqa: PLC0414

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Whole(NamedTuple):
    """What a service of everything is started with.

    Attributes:
        home: Its folder, with a champion of each task.
        variables: What the environment has to say.
    """

    home: Path
    variables: Mapping[str, str]


@pytest.fixture(scope="module")
def whole(
    home: Path,
    bundles: Path,
    world: Path,
    folder: Path,
    place: Any,
    night: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Whole:
    mine = tmp_path_factory.mktemp("whole")
    for source in (home / "bundles", bundles, folder.parents[1], place.home / "bundles"):
        shutil.copytree(source, mine / "bundles", dirs_exist_ok=True)
    shutil.copytree(place.home / "audiences", mine / "audiences")
    return Whole(
        mine,
        {
            "SHEPHERD_TABLES": str(world),
            "SHEPHERD_OFFERS": str(night.said["rows"]),
            "SHEPHERD_PRICES": str(night.said["price_file"]),
            "SHEPHERD_SECRET": SECRET,
            "SHEPHERD_HOLDOUT_KEY": "7b" * 16,
            "SHEPHERD_DEADLINE_MS": "5000",
        },
    )
