# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # How well does a classifier tell fully encrypted protocols from HTTPS, honestly counted?
#
# From feature tables to scikit-learn, without the three mistakes that make results too good: windows of one client on
# both sides of the split; a result without the number of groups behind it; a precision at a mix of traffic that no
# censor sees.
#
# Your own captures: put them into `captures` below, as `toolkit.read("FILE")`, with your networks as `clients`. What
# counts is how many independent captures and clients there are, not how many packets.

# %%
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import RocCurveDisplay
from sklearn.model_selection import (
    LeaveOneGroupOut,
    StratifiedGroupKFold,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
)

import toolkit

captures = {name: toolkit.load_example(name) for name in ("obfs4", "shadowsocks", "https", "https_chromium")}
clients = "10.77.0.0/24"

# %% [markdown]
# ## One table
#
# Windows of 20 packets, so that there are enough of them; `03-timing-and-windows` says what that costs. The name of the
# capture becomes the first level of the index.

# %%
table = pd.concat(
    {name: toolkit.client_features(trace, clients, packet_window=20) for name, trace in captures.items()},
    names=["capture"],
)
capture = table.index.get_level_values("capture")
encrypted = capture.isin(["obfs4", "shadowsocks"])
group = capture + " " + table.index.get_level_values("client")
pd.Series(group, name="windows").value_counts(sort=False)

# %% [markdown]
# 248 windows, but only 6 clients with an encrypted protocol and 5 without. A group here is one client in one capture:
# its windows share the path, the pages, often the server and the connection. The numbers to keep in mind, and to
# report, are 6 and 5.

# %% [markdown]
# ## Split by rows, and split by groups
#
# First with the timing features only, as they know most about the path. One curve for each of three folds. On the left
# rows are dealt at random, so that most of a client's windows are in training when the others are tested; on the right
# each client is on one side only.

# %%
forest = RandomForestClassifier(100, min_samples_leaf=2, random_state=0)
splits = {
    "by rows (leaks)": list(StratifiedKFold(3, shuffle=True, random_state=0).split(table, encrypted)),
    "by groups": list(StratifiedGroupKFold(3, shuffle=True, random_state=0).split(table, encrypted, group)),
}
timing = [feature.name for feature in toolkit.FEATURES if feature.set == "interval_bins"]

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 5), layout="constrained")
for ax, (title, folds) in zip(axes, splits.items(), strict=True):
    for number, (train, test) in enumerate(folds, start=1):
        forest.fit(table[timing].iloc[train], encrypted[train])
        RocCurveDisplay.from_estimator(
            forest,
            table[timing].iloc[test],
            encrypted[test],
            ax=ax,
            name=f"fold {number}, {group[test].nunique()} groups",
        )
    ax.plot([0, 1], [0, 1], ":", color="0.5")
    ax.set(title=title, xlabel="share of HTTPS windows called encrypted", ylabel="share of the others called encrypted")
plt.show()

# %% [markdown]
# The same forest, the same rows, and lower curves on the right. The difference is what the forest had learnt about
# these clients and their paths, and would not have about yours. For each set of features, and for all:

# %%
sets = {name: [feature.name for feature in toolkit.FEATURES if feature.set == name] for name in toolkit.FEATURES.sets}
areas = {
    name: {
        title: cross_val_score(forest, table[columns], encrypted, cv=folds, scoring="roc_auc").mean()
        for title, folds in splits.items()
    }
    for name, columns in {**sets, "all": list(table.columns)}.items()
}
pd.DataFrame(areas).T.assign(difference=lambda areas: areas.iloc[:, 0] - areas.iloc[:, 1]).round(2)

# %% [markdown]
# Timing loses most, about 0.08, most likely since it knows the path; packet lengths lose little. `psh` even gains,
# which says how much three folds of 11 groups wander by chance: differences of 0.02 here mean nothing. With all
# features 0.97 becomes 0.94, which still looks good. It is not yet the end.

# %% [markdown]
# ## Each client in turn
#
# Leaving out one group at a time makes the most of few groups. Each group is of one class, so it has no curve of its
# own, and scores of different forests do not belong on one scale: fix a threshold beforehand, and count.

# %%
scores = cross_val_predict(forest, table, encrypted, groups=group, cv=LeaveOneGroupOut(), method="predict_proba")[:, 1]
called = pd.Series(scores >= 0.5, name="called").groupby(group, sort=False)
called.agg(windows="size", called_encrypted="sum", share="mean").round(2)

# %% [markdown]
# Overall about 8 of 10 windows are called right on both sides, but the clients differ: from none to a third of the
# windows of HTTPS are false alarms. That spread over clients, not the third digit of an area, is the uncertainty to
# report.
#
# ## A program that was never seen
#
# A new client is the easy case. What of a new program? The same with one whole *capture* left out:

# %%
unseen = cross_val_predict(forest, table, encrypted, groups=capture, cv=LeaveOneGroupOut(), method="predict_proba")[
    :, 1
]
called = pd.Series(unseen >= 0.5, name="called").groupby(capture, sort=False)
called.agg(windows="size", called_encrypted="sum", share="mean").round(2)

# %% [markdown]
# That is another result. A forest that knows only obfs4 misses most of shadowsocks, and one that has never seen
# Chromium calls half of it encrypted. What had been learnt was these four programs, not "fully encrypted". If you claim
# that a *kind* of protocol can be detected, leave out whole programs.
#
# And a capture that played no part so far: in `mixed_obfs4` 10.77.0.11 uses obfs4, the others browse.

# %%
mixed = toolkit.client_features(toolkit.load_example("mixed_obfs4"), clients, packet_window=20)
forest.fit(table, encrypted)
called = pd.Series(forest.predict(mixed), name="called").groupby(mixed.index.get_level_values("client"))
called.agg(windows="size", called_encrypted="sum")

# %% [markdown]
# All 6 windows of obfs4 are found, and 28 of 50 of a client that browses are false alarms: most of its packets are one
# download, about five times as large as any in training. A row of areas around 0.94 did not say so.
#
# ## Base rates
#
# Here every other window is of an encrypted protocol. On a border it is one in thousands or millions, and the
# precision, which is the share of alarms that are right, depends on that as much as on the classifier.

# %%
hits = (scores >= 0.5)[encrypted].mean()
false_alarms = (scores >= 0.5)[~encrypted].mean()
rarity = np.geomspace(1e-6, 0.5, 200)
fig, ax = plt.subplots(layout="constrained")
for rate, style in ((false_alarms, "-"), (1e-3, "--"), (1e-5, ":")):
    precision = rarity * hits / (rarity * hits + (1 - rarity) * rate)
    ax.plot(rarity, precision, style, label=f"false alarms: {rate:.2g}")
ax.set(
    xscale="log", xlabel="share of windows that are of an encrypted protocol", ylabel="share of alarms that are right"
)
ax.legend()
plt.show()

# %%
rarity = np.array([0.5, 1e-2, 1e-4])
pd.DataFrame(
    {"share of windows": rarity, "alarms that are right": rarity * hits / (rarity * hits + (1 - rarity) * false_alarms)}
)

# %% [markdown]
# At one window in two, 81% of the alarms are right; at one in 10,000, fewer than one in a thousand. To be of use there,
# false alarms would have to be at about one in 100,000 (dotted). And from 111 windows of HTTPS no such rate could be
# claimed even if not one of them were a false alarm: of n independent windows without an alarm, one can say that the
# rate is below about 3/n, here 3%. For 0.001% it takes 300,000 independent windows, and these are not independent.
#
# **What this shows, and what it does not.** The code is what you need; the samples are too few for a claim about any
# protocol: 3 clients each, one version of each program, emulated paths, one set of pages. For a claim, record many
# captures: several days, paths, programs and versions on both sides. With them, the same lines hold:
#
# ```python
# captures = {path.stem: toolkit.read(path) for path in sorted(Path("captures").glob("*.pcap"))}
# encrypted = capture.str.startswith("obfs4")  # however your files are named
# group = capture  # or capture + client, whichever is the larger unit that things are shared in
# ```
#
# Choose features and thresholds on a part of the groups, look at the rest once, and state how many groups there were.
