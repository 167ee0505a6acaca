"""How far new data have moved from those that the champion was judged on: its features, and how often things came true.

What it means for a promotion, the gates say: that of drift and that of the label rate.
"""

from __future__ import annotations

from typing import Final

import msgspec

SHOWN: Final = 5


class Moved(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """New data beside those of the champion's test.

    Attributes:
        against: The champion's version; empty where there is none, and nothing is measured.
        rows: How many new rows were looked at: those of the new test, or all stores.
        features: Population stability index of each feature that both know, largest first.
        unmatched: Features of the champion that the task no longer declares, or declares with another meaning.
        weighted: The mean index, each feature counting as much as the champion leans on it; None where that is unknown.
        label: Share of the rows that came true; for sites the geometric mean of a store's yearly revenue in fen.
        label_then: The same of the champion's; None where its bundle does not say.
    """

    against: str
    rows: int
    features: dict[str, float]
    unmatched: tuple[str, ...]
    weighted: float | None
    label: float | None
    label_then: float | None

    def as_dict(self) -> dict[str, object]:
        """For JSON: the features that moved most, and the rate."""
        top = [{"feature": name, "psi": index} for name, index in list(self.features.items())[:SHOWN]]
        return {
            "against": self.against or None,
            "rows": self.rows,
            "top": top,
            "weighted": self.weighted,
            "unmatched": list(self.unmatched),
            "label_rate": self.label,
            "champion_label_rate": self.label_then,
        }

    def figures(self) -> dict[str, float]:
        """Every number of it under a flat name."""
        told = {
            "drift/weighted": self.weighted,
            "label_rate": self.label,
            "champion/label_rate": self.label_then,
            "rows": float(self.rows),
            **{f"drift/feature/{name}": index for name, index in self.features.items()},
        }
        return {name: value for name, value in told.items() if value is not None}
