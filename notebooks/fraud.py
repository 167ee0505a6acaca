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
# # Which scans are the wool party's (羊毛党)?
#
# Every product carries a code, every scan may win a prize, and some who scan are in the business of winning. The brand
# hears of few of them, late, and not always rightly. **The question:** can a scan be judged at its own moment, by what
# was known then, well enough that stopping prizes pays, while honest shoppers notice nothing?
#
# The data are a made-up brand's, so that at the end the truth can be asked, which no real brand has.

# %%
import os
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from data.sources import open_folder
from data.world.request import Request
from data.world.simulation import simulate
from training.curves import draw
from training.dataset import examples
from training.drift import weighted
from training.exploring import distributions, moved, through_time
from training.interval import Resampling
from training.payoff import chosen_actions, money
from training.pictures import ahead, earnings_of, sliced, treated_as
from training.pipeline import fit
from training.report.curve import curves_of
from training.tasks.fraud import TASK

# %matplotlib inline

home = Path(os.environ.get("SHEPHERD_HOME", "var")) / "notebooks"
members = int(os.environ.get("SHEPHERD_MEMBERS", "4000"))
world = simulate(Request(members=members, days=42, seed=1), home / f"world-{members}")
tables = open_folder(world.folder)
print(world.text())

# %% [markdown]
# ## One fit, judged once
#
# Features of every scan as of its moment, trees that look back only, probabilities calibrated on rows unseen, and one
# look at the last two weeks. `trials=1` keeps the task's own parameters; `shepherd train --task fraud` searches.

# %%
fitted = fit(TASK, tables, home=home / "fraud", trials=1)
record = fitted.record
rows = examples(TASK, tables, fitted.built)
print(f"{record.rows['train']:,} verdicts learned from, {record.rows['unlabelled']:,} scans without one;")
print(
    f"{record.rows['test']:,} verdicts to judge on, from {record.test_from:%d %B} on, {record.positives['test']} guilty"
)

# %% [markdown]
# ## What the features say
#
# The six that the score leans on most: how often each tenth of their values is met among scans found guilty and among
# scans found honest. Where the lines part, the feature tells; one that is `unknown` for one side tells as well.

# %%
heaviest = TASK.features.only(*list(record.attributions)[:6])
distributions(rows, heaviest, outcomes=("honest", "wool party"))

# %% [markdown]
# Do they stay where they were? A feature that grows with the calendar was learned on values that never come again.

# %%
through_time(rows, heaviest.only(*heaviest.names[:3]))

# %%
moved(record.drift, list(record.attributions)[:12])

# %%
print(f"weighted by what the model leans on: {weighted(record):.3f} (the gate refuses above 1)")

# %% [markdown]
# ## Is it better than what one would do instead?
#
# An analyst's limits, chosen on the same past; the same trees without rings; a forest that looks for the unusual. Bars
# are 95 % intervals over rings of people who belong together, drawn again and again.

# %%
ahead(record, ["average_precision", "tpr_at_fpr_0.01"])

# %% [markdown]
# ## What do the actions earn?
#
# A score is worth nothing until it is an action. The pay-off turns each probability into pay, reduce, step up, hold or
# block, whichever earns most for the prize at stake, with a cap on honest scans held or blocked.

# %%
draw(curves_of(fitted), record.attributions)["money"]

# %%
treated_as(record, TASK.payoff.actions, TASK.payoff.outcomes)

# %% [markdown]
# ## Where is it weak?

# %%
sliced(record, "average_precision")

# %% [markdown]
# ## What no brand can see: the truth
#
# The same model asked about **every** scan of the last two weeks, verdict or not, and held against who really scanned.

# %%
later = np.flatnonzero(rows.as_of >= record.test_from.timestamp() * 1_000_000)
truth = pd.read_parquet(world.folder / "truth" / "scans").set_index("scan_id").loc[rows.row_id[later]]
who = truth["family"].astype(str).to_numpy()
guilty = (who != "honest").astype(float)
chance, stakes = fitted.model.probability(rows.matrix[later]), rows.stakes.at(later)
actions = chosen_actions(TASK.payoff, chance, stakes, fitted.model.prices)
seen = pd.DataFrame({"who": who, "chance": chance, "prize_fen": stakes.fen, "stopped_fen": stakes.fen * (actions > 0)})
by_family = seen.groupby("who").agg(
    scans=("chance", "size"),
    mean_chance=("chance", "mean"),
    prize_fen=("prize_fen", "sum"),
    stopped=("stopped_fen", "sum"),
)
print(by_family.round(2).to_string())

# %% [markdown]
# In money, each way of acting over all those scans:

# %%
draws = partial(Resampling, rows.unit[later], np.random.default_rng(0))
won = money(TASK.payoff, chance, guilty, draws, stakes, fitted.model.prices)
gain = won.pop("gain_over_best_constant")
earnings_of(won, "fen a scan", "what each way of acting earns; an arrow lies too far off to draw")

# %% [markdown]
# ## What it would mean to ship
#
# Beside paying everybody, which is what happens today:

# %%
honest = guilty == 0
harmed = (actions[honest] >= TASK.payoff.actions.index("hold")).mean()
print(f"a thousand scans: {1000 * gain.value:,.0f} fen more [{1000 * gain.low:,.0f}, {1000 * gain.high:,.0f}]")
print(f"honest scans held or blocked: {harmed:.2%} (the cap is {TASK.payoff.cap.rate:.2%})")

# %% [markdown]
# If the lower end is above nothing and honest shoppers are spared, `shepherd train --task fraud` exports this model
# with its proofs, `shepherd promote fraud` asks the gates, and `shepherd serve` acts on it. If the interval holds 0, as
# it may in a world this small, the gates say so, and the brand goes on paying everybody until more verdicts are in.
