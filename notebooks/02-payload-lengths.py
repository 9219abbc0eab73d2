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
# # Which payload lengths belong together, and at which bandwidth?
#
# Encryption hides what is said, not how long it is. A handshake of fixed size, a frame with a fixed header, a padding
# rule: each puts packets at certain lengths. Mean shift merges lengths that lie close together; what "close" means is
# the bandwidth, and it is yours to choose. Here obfs4, which pads at random, against trojan, which looks like TLS.
#
# Your own capture: replace `load_example("obfs4")` by `toolkit.read("FILE")`, and keep the packets of your clients with
# `.select(clients="10.0.0.0/24")`.

# %%
from matplotlib import pyplot as plt

import toolkit

obfs4, trojan = toolkit.load_example("obfs4"), toolkit.load_example("trojan")

# %% [markdown]
# ## Why are empty payloads and full segments left out?
#
# First with everything in. Lengths are TCP payload lengths on the wire, from the headers.

# %%
everything = toolkit.cluster_lengths(obfs4, bandwidth=3, min_length=0, max_length=None)
toolkit.plot_length_clusters(everything)
plt.show()

# %%
everything.to_frame().head(4).round(3)

# %% [markdown]
# Two bars hold three of four packets: 41% carry no payload, nearly all of them acknowledgements, and 33% are segments
# of 1,448 bytes, as many as fit into one frame on this path. Both are TCP at work. The 1,448 is the path's: with
# another MTU or other TCP options it is another number, so a rule that is learnt from it knows the path, not obfs4.
# That is why `cluster_lengths` keeps 1 to 1,300 bytes unless told otherwise, and says how many packets that leaves out.
#
# What is lost by it: full segments are still a sign of bulk transfer, and a length that the protocol chose by itself
# above 1,300 is not seen. Where that matters, set `max_length`, and look at the share left out again.

# %%
clusters = {
    name: toolkit.cluster_lengths(trace, bandwidth=3) for name, trace in {"obfs4": obfs4, "trojan": trojan}.items()
}
clusters["obfs4"]

# %%
toolkit.plot_length_clusters(clusters["obfs4"])
plt.show()

# %%
toolkit.plot_length_clusters(clusters["trojan"])
plt.show()

# %% [markdown]
# The first picture is obfs4, the second trojan. obfs4 has no cluster above 5% of the packets: 316 packets in 91
# clusters. trojan has tall bars at a few lengths; its six largest clusters hold half of the packets. The counts are on
# a log axis: what looks half as tall is several times rarer. A cluster of ten packets can be one page that was loaded
# twice, so ask next in how many connections it occurs.

# %% [markdown]
# ## Is a cluster the protocol, or one connection?
#
# `label_of` gives the cluster of each length, `toolkit.connections` the connection of each packet.

# %%
packets = trojan.packets.assign(
    cluster=clusters["trojan"].label_of(trojan.column("payload_length")),
    connection=toolkit.connections(trojan).number,
    up=trojan.packets["src"].isin(toolkit.example("trojan").clients),
)
packets[packets["cluster"] >= 0].groupby("cluster").agg(
    shortest=("payload_length", "min"),
    longest=("payload_length", "max"),
    packets=("up", "size"),
    connections=("connection", "nunique"),
    share_up=("up", "mean"),
).head(8).round(2)

# %% [markdown]
# The first seven occur in each, or all but one, of the 34 connections, and several go one way, or nearly: 514–518 bytes
# up, 757 down. These come most likely from the protocol and its TLS library; the eighth, in 15 connections, need not.
# Now the same for obfs4: its largest cluster occurs in 12 of 23 connections, in both directions alike.

# %%
packets = obfs4.packets.assign(
    cluster=clusters["obfs4"].label_of(obfs4.column("payload_length")),
    connection=toolkit.connections(obfs4).number,
    up=obfs4.packets["src"].isin(toolkit.example("obfs4").clients),
)
packets[packets["cluster"] >= 0].groupby("cluster").agg(
    shortest=("payload_length", "min"),
    longest=("payload_length", "max"),
    packets=("up", "size"),
    connections=("connection", "nunique"),
    share_up=("up", "mean"),
).head(8).round(2)

# %% [markdown]
# ## How to choose the bandwidth?
#
# Sweep it, and look for a range over which the number of clusters holds still. There the lengths have gaps of their
# own; elsewhere the number of clusters is the bandwidth's.

# %%
toolkit.plot_bandwidth_sweep(toolkit.bandwidth_sweep(obfs4), chosen=toolkit.suggest_bandwidth(obfs4))
plt.show()

# %% [markdown]
# There is no such range: the curve falls from one cluster a length to a handful, without a step to stand on. That is a
# finding about obfs4 here. `suggest_bandwidth` then gives the default, 3 bytes, and a cluster is no more than a bin.
# Say "lengths within 3 bytes", and not "obfs4 has 91 kinds of packet".
#
# meek, which polls a web server, is otherwise:

# %%
meek = toolkit.load_example("meek")
suggested = toolkit.suggest_bandwidth(meek)
toolkit.plot_bandwidth_sweep(toolkit.bandwidth_sweep(meek), chosen=suggested)
plt.show()

# %%
toolkit.cluster_lengths(meek, bandwidth=suggested).to_frame().head(3).round(3)

# %% [markdown]
# From 1 to 2 bytes the number of clusters that hold 90% of the packets stays at 22, and two of them, at 136–137 bytes
# down and at 154 bytes up, hold 71% of the packets: most likely polls with nothing to say, and their answers. But the
# sample has two connections, one a client: it says that both poll alike, not that all of meek does.

# %% [markdown]
# ## TLS records only
#
# `tls_only=True` keeps segments whose payload *starts* with a TLS record. The rest of a record that spans segments is
# left out: its length says where TCP cut, not what was sent. For trojan, which is all TLS, this drops:

# %%
records = toolkit.length_counts(trojan, tls_only=True)
toolkit.length_counts(trojan), records

# %%
toolkit.plot_length_clusters(toolkit.cluster_lengths(records, bandwidth=3))
plt.show()

# %% [markdown]
# 653 packets become 562. The length is still that of the segment, and one segment can hold several short records. For
# obfs4 nothing is left, which tells it from TLS better than any cluster does:

# %%
toolkit.length_counts(obfs4, tls_only=True)

# %% [markdown]
# ## A stable number can be a wrong one
#
# The TLS records of ordinary HTTPS: the suggestion is a wide bandwidth.

# %%
https = toolkit.length_counts(toolkit.load_example("https"), tls_only=True)
toolkit.plot_bandwidth_sweep(toolkit.bandwidth_sweep(https), chosen=toolkit.suggest_bandwidth(https))
plt.show()

# %%
toolkit.cluster_lengths(https, bandwidth=toolkit.suggest_bandwidth(https)).to_frame().head(3).round(3)

# %% [markdown]
# Four clusters hold 90% of the packets from about 30 to 70 bytes of bandwidth. It is stable, since the lengths have
# wide gaps, and of little use, since all records of 31 to 86 bytes are one cluster, with 57% of the packets. Which
# scale means something only knowledge of the protocol can say. State the bandwidth with every cluster you report.
#
# **What this does not show.** The samples are 23 to 34 connections of one version of each program, on emulated paths,
# and two for meek. Lengths that repeat here are candidates; whether they separate a protocol from all other traffic
# needs many captures of both, which is what `05-features-to-scikit-learn` is about.
