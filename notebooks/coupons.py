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
# # Which coupon earns more than it costs (千人千券)?
#
# Who redeems a coupon would often have bought anyway: the likeliest to redeem are the ones to whom it is wasted money.
# **The question:** whom does an offer make buy who would not have bought, and is that worth what it takes off the rest?
#
# Nobody can see both what a member does with an offer and without it. What can be had is a lot: the brand sends some
# offers and withholds some by chance, and then what is compared is fair. The data here are such a brand's, made up.

# %%
import os
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from data.sources import open_folder
from data.world.request import Request
from data.world.simulation import simulate
from training.dataset import examples
from training.effect.study import fit_effects
from training.exploring import distributions, moved, through_time
from training.interval import Resampling
from training.pictures import ahead, budgets, earnings_of, sliced
from training.pipeline import fit
from training.tasks.offers import EFFECT, TASK
from training.uplift_curves import budget_curve, calibration
from training.uplift_metrics import Arms

# %matplotlib inline

home = Path(os.environ.get("SHEPHERD_HOME", "var")) / "notebooks"
members = int(os.environ.get("SHEPHERD_MEMBERS", "5000"))
world = simulate(Request(members=members, days=90, seed=7), home / f"coupons-{members}")
tables = open_folder(world.folder)
print(world.text())

# %% [markdown]
# ## What redeeming hangs on
#
# First the side of the cost: the chance that an offer that is sent is redeemed. Each tenth of a feature's values among
# offers that were redeemed, and among those that were not.

# %%
redemption = fit(TASK, tables, home=home / "coupons", trials=1)
rows = examples(TASK, tables, redemption.built)
heaviest = TASK.features.only(*list(redemption.record.attributions)[:6])
distributions(rows, heaviest, outcomes=("ignored", "redeemed"))

# %%
through_time(rows, heaviest.only(*heaviest.names[:3]), days=14)

# %%
moved(redemption.record.drift, list(redemption.record.attributions)[:12])

# %%
ahead(redemption.record)

# %%
sliced(redemption.record, "average_precision")

# %% [markdown]
# ## What sending changes
#
# Several learners of the effect, each judged on members it had not seen. One that is not surely better than the first
# is not taken: with few members an ambitious learner finds effects that are not there.

# %%
effects = fit_effects(EFFECT, tables, home=home / "coupons", redemption=redemption.model)
said = effects.record
print(f"{said.rows['train']:,} draws of the lot to learn from, {said.rows['test']:,} of later waves to judge on")
print(f"taken: {said.learner}")
earnings_of(
    {name: figures["value"] for name, figures in said.learners.items()},
    "fen a row, on rows not seen",
    "learners of the effect",
)

# %% [markdown]
# ## Does it earn more than what one would do instead?
#
# Later waves, judged by the lot alone. `propensity` sends to the likeliest to redeem for the same expected cost; it is
# what most coupon engines do.

# %%
earnings_of(
    {name: figures["value"] for name, figures in said.policies.items()}, title="margin less cost of each policy"
)

# %% [markdown]
# The same as a lead of ours over each, on the same resamples: above 0 where we are ahead.

# %%
lead = {f"ahead of {name}": one["gain"] for name, one in said.policies.items() if "gain" in one}
earnings_of(lead, title="our lead over each policy", ours=False)

# %% [markdown]
# Margin added against cost, down three rankings. The best 10 % of the members come first; where a curve bends down,
# offers cost more than they bring.

# %%
test = effects.test
worth = effects.model.value(test.matrix)
arms = Arms(test.treated.astype(float), test.propensity)
draws = partial(Resampling, test.unit, np.random.default_rng(0), 200)
curves = {
    "ours: value for money": worth.lower(EFFECT.caution) / np.maximum(worth.cost, 1.0),
    "likeliest to redeem": worth.redeems,
    "drawn by lot": np.random.default_rng(1).random(len(test)),
}
budgets(
    {name: budget_curve(arms, test.goods_margin_fen, test.cost_fen, score, draws()) for name, score in curves.items()}
)

# %% [markdown]
# ## Does the effect that is said come true?

# %%
fifths = calibration(arms, test.purchased, effects.model.purchase.effect(test.matrix), draws(), parts=5)
came = {f"said {fifth.predicted:+.3f}": fifth.observed for fifth in fifths}
earnings_of(came, "chance to buy that was added", "fifths of the offers, by the effect that was said", ours=False)

# %% [markdown]
# ## What no brand can see: the truth
#
# The simulation knows what each offer does to each member. Rank correlation with the margin that sending truly gains,
# of what our model says and of the chance to redeem:

# %%
truth = pd.read_parquet(world.folder / "truth" / "effects").set_index(["member_id", "offer_id"])["margin_fen"]
asked = pd.read_parquet(redemption.built.path, columns=["row_id", "member_id", "offer_id"]).set_index("row_id")
asked = asked.loc[test.row_id].astype(str)
beside = pd.DataFrame({"ours": worth.mean, "chance to redeem": worth.redeems})
beside["truth"] = truth.reindex(pd.MultiIndex.from_frame(asked)).to_numpy()
print(beside.corr(method="spearman")["truth"].round(3).to_string())

# %% [markdown]
# ## What it would mean to ship
#
# The verdict hangs on the lead over sending to nobody and to everybody:

# %%
for name in ("send_none", "send_all", "propensity"):
    print(f"ahead of {name:<10} {said.policies[name]['gain']} fen a row")
print(f"would be sent: {(worth.lower(EFFECT.caution) > 0).mean():.0%} of {len(test):,} offers")

# %% [markdown]
# An interval that holds 0 is no proof, and a few thousand draws seldom give one: the cheapest next step is then another
# wave with a lot, and not another model. `shepherd run --task offers` does all of this with gates; after a launch
# `shepherd holdout` says what the coupons truly brought.
