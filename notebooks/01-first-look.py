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
# # What would a censor see in this capture?
#
# From a capture file to payload-length clusters and a table of window features, on real obfs4 traffic and on ordinary
# HTTPS. To look at your own capture, replace `load_example("obfs4")` by `toolkit.read("FILE")` and give your clients.

# %%
import pandas as pd
from matplotlib import pyplot as plt

import toolkit

toolkit.examples()

# %% [markdown]
# ## Is the capture fit to be analysed?
#
# The summary ends with its health: cut packets, offload, a clock that goes back, connections of which one side is
# missing. What is found there decides which of the numbers below can be believed.

# %%
sample = toolkit.example("obfs4")
obfs4 = toolkit.load_example("obfs4")
obfs4

# %% [markdown]
# ## Which payload lengths belong together?
#
# Mean shift merges lengths that lie within a bandwidth of each other. A protocol that pads to fixed sizes shows a few
# large clusters; obfs4 does not: its lengths spread, and differ from bridge to bridge. Segments above 1,300 bytes are
# left out, since every bulk transfer is full of them; the share left out is written above the picture.

# %%
clusters = toolkit.cluster_lengths(obfs4, bandwidth=3)
clusters

# %%
toolkit.plot_length_clusters(clusters)
plt.show()

# %% [markdown]
# ## Do the payloads look random?
#
# The band is what uniform random bytes of that length reach: 128 of them have 6.5 bits a byte, not 8. obfs4 lies within
# it from its first byte on, which is what gives it away: TLS begins with headers that any censor can read.

# %%
toolkit.plot_entropy(toolkit.entropy_counts(obfs4))
plt.show()

# %% [markdown]
# ## What is in a feature table?
#
# Time windows of 60 s, each (client, target) pair in it cut into windows of 50 packets, one row each.
# `toolkit.FEATURES` says what each column means.

# %%
table = toolkit.client_features(obfs4, sample.clients, time_window="60s", packet_window=50)
table.head()

# %%
toolkit.FEATURES.to_frame().head(8)

# %% [markdown]
# ## How does it compare with ordinary HTTPS?
#
# Gaps between packets, up and down. Both were captured over emulated paths, so what differs here is the protocols and
# the pages loaded, not a network.

# %%
https = toolkit.load_example("https")
tables = {
    "obfs4": table,
    "https": toolkit.client_features(https, toolkit.example("https").clients),
}
toolkit.plot_interval_bins(tables)
plt.show()

# %% [markdown]
# One feature at a time, farthest apart first. D is the largest distance between two curves: 1 means that one threshold
# separates all windows. With so few windows, of so few connections, it says where to look, not what a censor could do.

# %%
toolkit.plot_feature_comparison(toolkit.compare_features(tables), top=4)
plt.show()

# %% [markdown]
# ## Into a paper
#
# Inside `toolkit.paper`, a figure has the width and the font of the venue. `toolkit.save_figure` writes it as PDF and
# PNG, with the data drawn and where they come from; `toolkit figures` makes the whole standard set.

# %%
with toolkit.paper("usenix"):
    toolkit.plot_interval_cdf(
        {
            "obfs4": toolkit.interval_cdf(toolkit.client_windows(obfs4, sample.clients, 50), sample.clients),
            "https": toolkit.interval_cdf(
                toolkit.client_windows(https, toolkit.example("https").clients, 50), toolkit.example("https").clients
            ),
        }
    )
    plt.show()

# %% [markdown]
# ## Into scikit-learn
#
# One table, a column that says which is which. Split by capture and client before you train anything: windows of one
# connection resemble each other, and a split by row would let a classifier recognise the connection.

# %%
labelled = pd.concat(tables, names=["label"])
labelled.groupby("label").size()
