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
# # Reading a run
#
# What `shepherd run` left in MLflow, as a reviewer reads it: is the model ahead, do its probabilities hold, what do its
# actions earn, and what does it rest on. Nothing is computed here that the run did not record.
#
# `SHEPHERD_TASK=fraud` reads the newest fraud model (without it, the newest of coupons), `SHEPHERD_RUN` a run by its
# id, `SHEPHERD_HOME` another folder than `var/`.

# %%
import json
import os
from pathlib import Path

import matplotlib.pyplot as plt

from training.exploring import moved
from training.interval import Interval
from training.pictures import dots, earnings_of
from training.tracking.runs import newest
from training.tracking.stores import client, store

home = Path(os.environ.get("SHEPHERD_HOME", "var"))
task, asked = os.environ.get("SHEPHERD_TASK", "coupon"), os.environ.get("SHEPHERD_RUN")
tracked = client(store(home))
run = tracked.get_run(asked) if asked else newest(tracked, task)
record = json.loads(Path(tracked.download_artifacts(run.info.run_id, "record.json")).read_text())
print(run.info.run_name, run.data.tags["mlflow.note.content"], sep="\n\n")

# %% [markdown]
# ## Is it ahead?
#
# Each point is a figure of the test, each bar its 95 % interval; what is drawn again and again for it is the unit that
# is independent (a household, a ring, a stretch of town).

# %%
scores = {"model": record["metrics"], **record["baselines"]}
names = [name for name in record["metrics"] if not name.endswith("_fen")][:4]
figure, panels = plt.subplots(
    1, len(names), figsize=(4.2 * len(names), 0.36 * len(scores) + 1.2), layout="tight", squeeze=False
)
for panel, name in zip(panels[0], names, strict=True):
    dots(panel, {who: Interval(**figures[name]) for who, figures in scores.items() if name in figures})
    panel.set_title(name, fontsize=9)

# %% [markdown]
# ## Do the probabilities hold?
#
# Tenths of the test by predicted chance. On the line, what was said came true. A forecast of an amount has none.

# %%
bins = record["calibration"]
if bins:
    figure, panel = plt.subplots(figsize=(4.5, 4), layout="tight")
    top = max(max(each["predicted"], each["observed"]) for each in bins)
    panel.plot([0, top], [0, top], "--", color="#8a8a8a", label="as said")
    panel.plot(
        [each["predicted"] for each in bins],
        [each["observed"] for each in bins],
        "o-",
        color="#0b6e4f",
        label="tenths of the test",
    )
    panel.set_title("Whether chances hold", fontsize=9)
    panel.set_xlabel("chance that was said")
    panel.set_ylabel("share that came true")
    panel.legend(frameon=False, fontsize=7)
    panel.spines[["top", "right"]].set_visible(False)

# %% [markdown]
# ## What do the actions earn?
#
# The model's own actions, and each action for everybody. An arrow lies too far off to be drawn: its figure stands
# beside. Only money says which model is worth having.

# %%
money = {name: Interval(**found) for name, found in record["money"].items() if name != "gain_over_best_constant"}
earnings_of(money, title="money on the test") if money else "This task's actions have no price of their own."

# %% [markdown]
# ## What does the score rest on?

# %%
resting = list(record["attributions"].items())[:15][::-1]
figure, panel = plt.subplots(figsize=(8, 4.5), layout="tight")
panel.barh([name for name, _ in resting], [size for _, size in resting], color="#0b6e4f")
panel.tick_params(axis="y", labelsize=7)
panel.set_title("the fifteen heaviest features", fontsize=9)
panel.set_xlabel("mean size of the contribution to the score")
panel.spines[["top", "right"]].set_visible(False)

# %% [markdown]
# ## Has what it rests on moved?
#
# The same features: population stability index from the rows learned from to the test. 0 is no move, and beyond the
# broken line is often called large.

# %%
moved(record["drift"], [name for name, _ in reversed(resting) if name in record["drift"]])

# %% [markdown]
# ## Who gets what?
#
# The share of each outcome's rows that gets each action, and what the pay-off's cap let through.

# %%
for name, found in record["rates"].items():
    print(f"{name:<32} {found['value']:.4f} [{found['low']:.4f}, {found['high']:.4f}]")

# %% [markdown]
# ## Does it hold in every slice?

# %%
for column, values in record["slices"].items():
    for value, figures in values.items():
        shown = ", ".join(
            f"{name} {found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"
            for name, found in figures.items()
            if not name.endswith("_fen")
        )
        print(f"{column} = {value}: {shown}")

# %% [markdown]
# ## Sign it?
#
# `report.html` of the same run opens with the verdict and its three biggest risks; `shepherd promote` asks every gate
# and names the one that refuses (`docs/first-hour/reviewer.md`).
