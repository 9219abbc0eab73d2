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
# # What is in this capture, and where is it worth looking closer?
#
# The explorer is a live view of one or several captures: pick the clients, look at payload lengths, timing and entropy,
# tune the bandwidth and the windows by eye. Everything it shows comes from functions that a notebook can call; under
# *Keep* it writes the lines that give the same view without it.

# %%
import toolkit

# %% [markdown]
# ## Two packaged captures
#
# obfs4, which makes everything look like random bytes, and ordinary HTTPS. The tabs on the right show one thing each;
# what several captures differ in is under *Intervals* and *Features*. To look at your own, give a path, a list of
# paths, or paths by label: `toolkit.explore("trace.pcap", clients="10.0.0.0/24")`.

# %%
explorer = toolkit.explore({"obfs4": toolkit.load_example("obfs4"), "https": toolkit.load_example("https")})
explorer

# %% [markdown]
# What to try first:
#
# - *Lengths*, then drag the bandwidth under *Tune*: the clusters of obfs4 merge one after the other, and at no
#   bandwidth do a few large ones stand out. *Bandwidth* shows why: the number of clusters falls without a plateau.
# - *Entropy*: obfs4 lies on the line of random bytes at every length.
# - *Windows*: how many rows a feature table would have, and how many packets fill no window.
#
# These are a few connections over emulated paths: they show what to look for, not how well a censor could do.

# %% [markdown]
# ## What was found goes on in the next cell
#
# The explorer gives what it shows: clusters, the feature tables of the captures compared, the packets selected.

# %%
explorer.clusters

# %%
{label: table.shape for label, table in explorer.features.items()}

# %%
explorer.to_code().splitlines()
