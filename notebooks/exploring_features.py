# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Exploring features
#
# A feature is a fact about an entity as of a moment: declared once, computed the same in a training table and live, and
# never seeing what came later. **The question:** how does one find a feature that is worth having, before any model?
#
# The rows are scans of a made-up brand, the label is the verdict on some of them.

# %%
import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from data.errors import GateRefused
from data.sources import open_folder
from data.world.request import Request
from data.world.simulation import simulate
from features.scan import NIGHT, SCAN, SCANS
from features.spec import DAY, DAYS_30, HOUR, WEEK, FeatureSet, column, count, distinct, entropy, share, since
from training.dataset import build, examples
from training.drift import drift
from training.exploring import alone, distributions, moved, related, through_time
from training.leakage import refuse_look_ahead
from training.tasks.fraud import TASK

# %matplotlib inline

home = Path(os.environ.get("SHEPHERD_HOME", "var")) / "notebooks"
members = int(os.environ.get("SHEPHERD_MEMBERS", "4000"))
world = simulate(Request(members=members, days=42, seed=1), home / f"world-{members}")
tables = open_folder(world.folder)
print(world.text())

# %% [markdown]
# ## Some features, declared
#
# One line a feature: an operator, a log, by whom, over how long. Name, unit, rule for null and meaning follow.

# %%
candidates = FeatureSet(
    count(SCANS, by="member_id", over=(HOUR, DAY, WEEK)),
    count(SCANS, by="device_id", over=(DAY, WEEK)),
    distinct(SCANS, "member_id", by="device_id", over=DAYS_30),
    distinct(SCANS, "device_id", by="member_id", over=DAYS_30),
    distinct(SCANS, "campaign_id", by="member_id", over=WEEK),
    entropy(SCANS, "local_hour", by="member_id", over=DAYS_30),
    share(SCANS, by="member_id", over=DAYS_30, where=NIGHT),
    since(SCANS, by="device_id", first=True),
    since(SCANS, by="member_id"),
)
for feature in candidates:
    print(f"{feature.name:<36} {feature.unit:<16} {feature.meaning}")

# %% [markdown]
# ## Computed for every scan, as of its moment

# %%
task = replace(TASK, name="explored", features=candidates, baselines=())
built = build(task, tables, home / "explored")
rows = examples(task, tables, built)
told = ~np.isnan(rows.label)
print(f"{built.rows:,} scans x {len(candidates)} features")
print(f"{told.sum():,} have a verdict, {rows.label[told].mean():.1%} of them guilty")

# %% [markdown]
# ## What does each say by itself?

# %%
alone(rows)

# %% [markdown]
# One figure hides the shape. Does the feature part the two everywhere, or only at the far end? Is it the value that
# tells, or that there is none?

# %%
distributions(rows, candidates.only(*candidates.names[::2]), outcomes=("honest", "wool party"))

# %% [markdown]
# ## Does it stay where it is?
#
# What grows with the calendar (time since a device was first seen, in tables that begin somewhere) looks wise and is
# not: the test will hold values that nobody has learned from.

# %%
through_time(rows, candidates.only("member_scan_count_7d", "device_scan_since_first", "member_entropy_local_hour_30d"))

# %%
early = rows.as_of < np.quantile(rows.as_of, 2 / 3)
moves = drift(rows.matrix[early], rows.matrix[~early], rows.features)
moved(moves, sorted(moves, key=moves.get, reverse=True))

# %% [markdown]
# ## Does it say anything new?
#
# Two features of one colour say the same thing twice; the second costs memory in the live state and adds nothing.

# %%
related(rows, rows.features)

# %% [markdown]
# ## Does it know what came later?
#
# Everything that arrived after a moment is taken away, and the features are computed again: nothing may change. A
# column that counts all of a member's scans, those to come as well, would look marvellous above. It is caught here, and
# before every export:

# %%
cut = task.split.divide(rows.as_of, rows.closes_at).test_from
print(f"{refuse_look_ahead(task, tables, cut):,} rows are the same without what came after {cut:%d %B}")

# %%
knowing = f"SELECT *, count(*) OVER (PARTITION BY member_id) AS scans_in_all FROM ({task.rows.sql})"
cheat = FeatureSet(column("scans_in_all", "scans", "All scans of this member, those to come as well"))
try:
    refuse_look_ahead(replace(task, rows=replace(task.rows, sql=knowing), features=cheat), tables, cut)
except GateRefused as refusal:
    print(refusal)

# %% [markdown]
# ## Where to put it
#
# One line in `features/scan.py` makes a feature of every scan task, live and in training; `CONTRIBUTING.md` has the
# recipe. Whether it earns its place is not for a picture to say: train with it and without it, on the same rows, and
# look at the interval of the difference (`docs/first-hour/data-scientist.md` does).

# %%
fresh = sorted(set(candidates.names) - set(SCAN.names))
print(f"{len(SCAN)} features of scans are declared already; of those above new: {', '.join(fresh)}")
