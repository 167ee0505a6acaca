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

# %%
import json
import os
from pathlib import Path

import matplotlib.pyplot as plt

from training.tracking.runs import EXPERIMENT
from training.tracking.stores import client, store

home = Path(os.environ.get("SHEPHERD_HOME", "var"))
task = os.environ.get("SHEPHERD_TASK", "coupon")
tracked = client(store(home))
experiment = tracked.get_experiment_by_name(EXPERIMENT.format(task=task))
run = tracked.search_runs([experiment.experiment_id], "attributes.status = 'FINISHED'", max_results=1)[0]
record = json.loads(Path(tracked.download_artifacts(run.info.run_id, "record.json")).read_text())
print(run.info.run_name, "·", run.data.tags["mlflow.note.content"], sep="\n")

# %% [markdown]
# ## Is it ahead?
#
# Each point is a figure of the test, each bar its 95 % interval over households.

# %%
scores = {"model": record["metrics"], **record["baselines"]}
names = list(record["metrics"])
figure, panels = plt.subplots(1, len(names), figsize=(4.5 * len(names), 2.6), layout="tight", squeeze=False)
for panel, name in zip(panels[0], names, strict=True):
    for height, (who, figures) in enumerate(reversed(scores.items())):
        found = figures[name]
        panel.plot([found["low"], found["high"]], [height, height], color="#8a8a8a")
        panel.plot(found["value"], height, "o", color="#0b6e4f" if who == "model" else "#8a8a8a")
    panel.set_yticks(range(len(scores)), list(reversed(scores)))
    panel.set_title(name)
    panel.spines[["top", "right"]].set_visible(False)

# %% [markdown]
# ## Do the probabilities hold, and who gets a booklet?
#
# Tenths of the test by predicted chance. On the line, what was said came true.

# %%
bins = record["calibration"]
figure, panel = plt.subplots(figsize=(4.5, 4), layout="tight")
top = max(max(each["predicted"], each["observed"]) for each in bins)
panel.plot([0, top], [0, top], "--", color="#8a8a8a")
panel.plot([each["predicted"] for each in bins], [each["observed"] for each in bins], "o-", color="#0b6e4f")
panel.set_xlabel("chance that was said")
panel.set_ylabel("share that came true")
panel.spines[["top", "right"]].set_visible(False)

# %% [markdown]
# ## What do the actions earn?
#
# Fen a row: the model's own actions, and each action for everybody.

# %%
money = {name: found for name, found in record["money"].items() if name != "gain_over_best_constant"}
figure, panel = plt.subplots(figsize=(6, 0.6 * len(money) + 1), layout="tight")
for height, (who, found) in enumerate(money.items()):
    panel.barh(height, found["value"], color="#0b6e4f" if who == "model" else "#c8c8c8")
    panel.plot([found["low"], found["high"]], [height, height], color="black", linewidth=1)
panel.set_yticks(range(len(money)), list(money))
panel.set_xlabel("fen a row")
panel.spines[["top", "right"]].set_visible(False)

# %% [markdown]
# ## What does the score rest on?

# %%
resting = list(record["attributions"].items())[:15]
figure, panel = plt.subplots(figsize=(8, 4.5), layout="tight")
panel.barh([name for name, _ in reversed(resting)], [size for _, size in reversed(resting)], color="#0b6e4f")
panel.set_xlabel("mean size of the contribution to the score")
panel.spines[["top", "right"]].set_visible(False)

# %% [markdown]
# ## Has what it rests on moved?
#
# The same features: population stability index from the rows learned from to the test. 0 is no move, and beyond the
# broken line is often called large.

# %%
figure, panel = plt.subplots(figsize=(8, 4.5), layout="tight")
panel.barh(
    [name for name, _ in reversed(resting)], [record["drift"][name] for name, _ in reversed(resting)], color="#0b6e4f"
)
panel.axvline(0.25, color="#8a8a8a", linestyle="--")
panel.set_xlabel("population stability index")
panel.spines[["top", "right"]].set_visible(False)

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
            f"{name} {found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]" for name, found in figures.items()
        )
        print(f"{column} = {value}: {shown}")

# %% [markdown]
# ## Sign it?
#
# `report.html` of the same run opens with the verdict and its three biggest risks; `shepherd promote` asks every gate
# and names the one that refuses (`docs/first-hour/reviewer.md`).
