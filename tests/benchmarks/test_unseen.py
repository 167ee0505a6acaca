"""A family that arrives at the cut taught nothing before it, and is judged after it."""

import numpy as np
import pyarrow as pa

from benchmarks.judged import Said
from benchmarks.truth import truth_table
from benchmarks.unseen import MEAN, morning, unseen_families
from data.world.request import Request

CUT = 7


def test_an_unseen_family_is_judged_and_taught_nothing(tmp_path):
    seen = {}

    def knows_families(world, since):
        """Whoever belongs to a family that was there before the cut is suspected: the best that memory can do."""
        assert since == morning(CUT)
        with world.connect() as connection:
            truth = truth_table(tmp_path / "device_farm" / "truth", "scans")
            rows = connection.sql(f"""
                SELECT scan_id, family, epoch_us(coalesce(received_at, ts)) >= {int(since.timestamp() * 1e6)}
                FROM scans JOIN {truth} AS truth USING (scan_id)
            """).fetchall()
        past = {family for _, family, late in rows if not late} - {"honest"}
        later = [(scan, family) for scan, family, late in rows if late]
        seen.update(before=past, after={family for _, family in later})
        score = np.array([family in past for _, family in later], float)
        return Said(pa.array([scan for scan, _ in later]), {"memory": score})

    request = Request(members=1_500, days=14, seed=5)
    found = unseen_families(knows_families, request, CUT, tmp_path, ("device_farm",), resamples=20)

    assert len(seen["before"]) > 4
    assert "device_farm" in seen["after"] - seen["before"]
    assert (found["device_farm"].value, found["device_farm"].high) == (0.0, 0.0)
    assert found[MEAN] == found["device_farm"]
    assert not any(tmp_path.iterdir())
