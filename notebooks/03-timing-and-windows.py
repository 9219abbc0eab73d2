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
# # What do gaps between packets say, and what do windows leave of them?
#
# A protocol that polls, or that holds packets back by a timer, shows in the time between packets. So do the path, the
# web server and the person who clicks. This notebook goes from the timeline to gaps, to the windows that features are
# computed in, and counts what each step loses.
#
# Your own capture: replace `load_example(...)` by `toolkit.read("FILE")`, and `clients` by your networks, such as
# `"10.0.0.0/24"`.

# %%
import pandas as pd
from matplotlib import pyplot as plt

import toolkit

names = ["obfs4", "meek", "https"]
traces = {name: toolkit.load_example(name) for name in names}
clients = "10.77.0.0/24"

# %% [markdown]
# ## When is traffic sent?
#
# Packets a second, up above zero and down below; the grey lines are the edges of windows of 15 s.

# %%
toolkit.plot_direction_timeline(
    toolkit.direction_timeline(traces["obfs4"], clients, "1s"), quantity="packets", edges_every="15s"
)
plt.show()

# %% [markdown]
# obfs4: bursts, which are pages loaded, and silence between them, which is whoever loads the pages. The edges fall
# where they fall: the window from 45 to 60 s is empty, and one burst straddles the edge at 75 s.

# %%
toolkit.plot_direction_timeline(
    toolkit.direction_timeline(traces["meek"], clients, "1s"), quantity="packets", edges_every="15s"
)
plt.show()

# %% [markdown]
# meek goes on between the bursts: it asks the server again and again whether there is something to fetch. That is the
# protocol, and it shows in the share of seconds that have a packet at all:

# %%
pd.Series(
    {
        name: len(toolkit.direction_timeline(trace, clients, "1s")) / trace.duration.total_seconds()
        for name, trace in traces.items()
    },
    name="share of seconds with packets",
).round(2)

# %% [markdown]
# ## Which gaps?
#
# A gap is the time between successive TCP packets of one window and direction, of those with a sequence number *not
# seen before in that window*. Packets sent again make no gap, nor do acknowledgements in a row, which all have the
# number of the next byte to be sent, nor does the data that then has this number. The first packet of a window has
# nothing before it, and makes none either.

# %%
gaps = {
    name: toolkit.interval_cdf(toolkit.client_windows(trace, clients, 50), clients) for name, trace in traces.items()
}
toolkit.plot_interval_cdf(gaps)
plt.show()

# %% [markdown]
# Read it from the steep places. meek upwards (solid) has next to nothing below 50 ms, and most of its gaps between 55
# and 100 ms. obfs4 and https have gaps at all scales, up and down. All three have gaps of a few microseconds to a
# millisecond down, as bulk data does that leaves the sender back to back.
#
# The same in four bins, as the features have it:

# %%
tables = {name: toolkit.client_features(trace, clients, packet_window=50) for name, trace in traces.items()}
toolkit.plot_interval_bins(tables)
plt.show()

# %%
pd.concat({name: toolkit.interval_bin_shares(table).sum() for name, table in tables.items()}, axis=1).round(2)

# %% [markdown]
# The four shares do not add up to 1. They are of *all* TCP packets of the direction, and about half of those that go up
# make no gap, mostly since they only acknowledge. Gaps of a second and more are in no bin either. So a low bar can mean
# "other gaps", or "fewer gaps a packet", which is another thing.

# %% [markdown]
# ## Is that step the protocol or the path?
#
# Each of the two meek clients has its own server, at its own distance. From SYN to its answer takes:

# %%
opening = traces["meek"].packets.loc[lambda packets: packets["tcp_flags"] & 2 > 0]
opening[["time", "src", "dst"]].assign(ms=lambda frame: frame["time"].diff().dt.total_seconds() * 1e3).iloc[:4]

# %%
meek = {
    client: toolkit.interval_cdf(toolkit.client_windows(traces["meek"], client, 50), client)
    for client in toolkit.example("meek").clients
}
ax = toolkit.plot_interval_cdf(meek)
ax.set_xlim(0.01, 1)  # seconds
plt.show()

# %% [markdown]
# The gaps upwards of each begin just above its own round trip, 52 and 58 ms: a poll waits for the answer to the one
# before. "Polls at most once a round trip" may be said of this meek; "pauses for 60 ms" may not. On a much shorter path
# the same polls would fall into another bin, and a classifier that was trained on this one would miss them.
#
# **The paths of all samples are emulated**: a fixed delay for each server, a little jitter, hardly any loss, no cross
# traffic. Compare the *shape* of gaps between protocols; their length in milliseconds, and how sharp the steps are,
# belong to the emulation. Each sample also has its own servers and rates, so part of what differs between samples is
# the path, too.

# %% [markdown]
# ## How long a window?
#
# Features are computed in windows: the trace is cut into time windows, the packets of each into pairs of client and
# target, and each pair into runs of so many packets. What fills no run is lost.

# %%
toolkit.plot_window_sweep(toolkit.window_sweep(traces["obfs4"], clients))
plt.show()

# %%
kept = {name: toolkit.window_sweep(trace, clients)["kept"].loc[60.0] for name, trace in traces.items()}
pd.DataFrame(kept).round(2)

# %% [markdown]
# With windows of 60 s and 50 packets, 22 rows stand for 77% of the packets of obfs4. Longer packet windows lose most,
# and not at random: 100 packets keep 91% of meek and 25% of https, whose connections go to many servers, so that a pair
# seldom has enough packets. What is left of https then are its large downloads, and "https differs from meek" would
# mean "large downloads differ from everything".
#
# Short windows keep more, but there is less in each:

# %%
rows = {}
for size in (5, 20, 50, 100):
    table = toolkit.client_features(traces["obfs4"], clients, packet_window=size, features="interval")
    none = table["mean_interval_up"] == 1_000_000
    rows[size] = {
        "windows": len(table),
        "without a gap up": none.mean(),
        "median of the others (ms)": table.loc[~none, "mean_interval_up"].median() / 1e3,
    }
pd.DataFrame(rows).T.round(2).rename_axis("packets in a window")

# %% [markdown]
# Of windows of 5 packets, more than half have no gap up at all. `mean_interval` is then 1,000,000 µs by definition,
# which is a mark and not a second: leave these rows out, or mark them, before you average. And the median of the others
# moves with the size of the window, since long gaps fall more often inside a long window than between two short ones.
# Compare traces at one window size only, and state it.
#
# **A rule to begin with**: the longest packet window at which each trace still keeps most of its packets; a time window
# about as long as a censor would have before it must decide; and both in the caption. Then try the neighbours in the
# picture: what holds at one size only does not hold.
