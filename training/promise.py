"""What was promised before a launch: the margin a member that decisions of `shepherd offers` were to earn."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from data.errors import UsageError
from training.interval import Interval

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_NEVER_SENT: Final = ("holdout", "opted_out")


def promised(paths: Sequence[Path]) -> Interval:
    """The margin that was promised, fen a member who could be sent something, over all the decisions of a season.

    Ends are added as if all runs erred together, so that the interval is the widest that fits.

    Args:
        paths: What `shepherd offers --json` printed, one file a run.

    Raises:
        UsageError: A file holds something else; all such files at once.
    """
    found, problems = [], []
    for path in paths:
        try:
            found.append(_of_one(json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError) as error:
            problems.append(f"{path}: found no promise ({type(error).__name__}: {error})")
    if problems or not found:
        raise UsageError(f"{'; '.join(problems) or 'no file'}; expected what `shepherd offers --json` prints")
    return Interval(sum(one.value for one in found), sum(one.low for one in found), sum(one.high for one in found))


def _of_one(said: dict[str, dict[str, float]]) -> Interval:
    could = float(str(said["members"])) - sum(said["no_offer"].get(code, 0) for code in _NEVER_SENT)
    margin = said["expected_margin_fen"]
    return Interval(margin["value"] / could, margin["low"] / could, margin["high"] / could)
