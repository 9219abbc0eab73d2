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
# # What can the entropy of a payload say, and what can it not?
#
# Obfuscated protocols such as obfs4 and shadowsocks send nothing but bytes that look random, from the first packet on.
# Few other protocols do. A censor can measure that. But entropy is easily misread: short payloads have little of it,
# compressed data has much, and inside TLS nearly all payloads are as random as those of obfs4.
#
# Your own capture: replace `load_example(...)` by `toolkit.read("FILE")`.

# %%
import zlib

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

import toolkit

names = ["obfs4", "shadowsocks", "https", "https_chromium"]
traces = {name: toolkit.load_example(name) for name in names}

# %% [markdown]
# ## How high can it be?
#
# 8 bits a byte need all 256 values equally often. A payload of 64 bytes has 64 values at most, so 6 bits at most, and
# random ones do not even reach that, as some values come twice. What random bytes of a length reach on average, and the
# range of 90% of them:

# %%
toolkit.entropy_ceiling([16, 64, 128, 256, 512, 1448]).round(2)

# %% [markdown]
# So "entropy above 7" is a test for length: random payloads below some 200 bytes fail it. Compare with the band of the
# same length instead, as the picture does.

# %%
toolkit.plot_entropy(toolkit.entropy_counts(traces["obfs4"]))
plt.show()

# %% [markdown]
# obfs4 follows the band from the shortest to the longest payload. And ordinary HTTPS?

# %%
toolkit.plot_entropy(toolkit.entropy_counts(traces["https"]))
plt.show()

# %% [markdown]
# Nearly the same, but for a spot at 517 bytes and 4.5 bits: the first packet of each connection. After the handshake
# TLS is encrypted too, and the 5 bytes of a record header are lost among the rest. In numbers: how many payloads lie
# below and above the band? Of random ones, 5% each.


# %%
def outside(trace):
    data = trace.select(payload_only=True)
    lengths, entropies = data.column("payload_length"), toolkit.payload_entropy(data)
    band = toolkit.entropy_ceiling(np.unique(lengths)).loc[lengths]
    return {
        "payloads": len(data),
        "below": (entropies < band["low"].to_numpy()).mean(),
        "above": (entropies > band["high"].to_numpy()).mean(),
    }


pd.DataFrame({name: outside(trace) for name, trace in traces.items()}).T.round(3)

# %% [markdown]
# obfs4 and shadowsocks are what random bytes would be. HTTPS has about three times as many below the band: handshakes,
# and short records, of which the header is a large part. Yet six of seven payloads of HTTPS are not below it. The mean
# entropy of a connection is therefore a weak feature: what tells is *where* the low ones are.
#
# High entropy is not encryption either. Text, the same numbers compressed, and random bytes, 1,448 of each:

# %%
numbers = repr(np.random.default_rng(1).integers(0, 1000, 4000).tolist()).encode()
samples = {
    "text": numbers[:1448],
    "compressed": zlib.compress(numbers)[:1448],
    "random": np.random.default_rng(2).bytes(1448),
}
pd.Series({name: toolkit.entropy(payload) for name, payload in samples.items()}, name="bits/byte").round(2)

# %% [markdown]
# Compressed text is within a tenth of a bit of random bytes, though still below their band, which begins at 7.85.
# Images, archives and video are compressed.

# %% [markdown]
# ## How do connections begin?
#
# Sizes first: the first ten data packets of each connection, up above zero and down below.

# %%
toolkit.plot_size_sequence(toolkit.size_sequence(traces["obfs4"], "10.77.0.0/24", n=10))
plt.show()

# %%
toolkit.plot_size_sequence(toolkit.size_sequence(traces["https"], "10.77.0.0/24", n=10))
plt.show()

# %% [markdown]
# HTTPS by curl begins alike each time: 517 bytes up, then the answer of the server. obfs4 begins with a handshake
# padded to a random length, mostly in full segments up. Now the entropy of the first data packet only.
# `toolkit.connections` says which connection each packet is of.

# %%
first = {}
for name, trace in traces.items():
    number = pd.Series(toolkit.connections(trace).number)[trace.column("payload_length") > 0]
    first[name] = trace[number.drop_duplicates().index]
first

# %%
toolkit.plot_entropy(toolkit.entropy_counts(toolkit.concat([first["obfs4"], first["shadowsocks"]])))
plt.show()

# %%
toolkit.plot_entropy(toolkit.entropy_counts(toolkit.concat([first["https"], first["https_chromium"]])))
plt.show()

# %% [markdown]
# Above: the first packets of obfs4 and shadowsocks, in or near the band. Below: those of curl far beneath it, at 517
# bytes. But Chromium's, 1,448 bytes, come close to the band: at 7.6 to 7.8 bits against 7.85. Its TLS hello does not
# fit into one segment, most likely for a post-quantum key in it, which is more than 1,000 bytes as good as random.
#
# ## The rule of the Great Firewall
#
# Wu et al. (USENIX Security 2023, "How the Great Firewall of China Detects and Blocks Fully Encrypted Traffic")
# inferred by measurement what was blocked: a TCP connection was *exempt* if the first data packet from the client met
# any one of
#
# 1. at most 3.4 or at least 4.6 bits set per byte, on average (random bytes: 4);
# 2. the first six bytes are printable ASCII;
# 3. more than half of the bytes are printable;
# 4. more than 20 printable bytes follow each other;
# 5. it begins as TLS or HTTP does.
#
# Not entropy, but bits set, which is cheaper; and mostly exemptions. For our first packets:


# %%
def exemptions(payload):
    values = np.frombuffer(payload, np.uint8)
    printable = (values >= 0x20) & (values <= 0x7E)
    runs = "".join("x" if one else " " for one in printable).split()
    return {
        "bits set per byte": np.bitwise_count(values).mean(),
        "first six": printable[:6].all(),
        "half": printable.mean() > 0.5,
        "run": max(map(len, runs), default=0) > 20,
        "TLS": bytes(values[:2]) == b"\x16\x03",
    }


rules = pd.concat(
    {name: pd.DataFrame([exemptions(trace.payload(i)) for i in range(len(trace))]) for name, trace in first.items()},
    names=["capture"],
)
rules["bits"] = ~rules["bits set per byte"].between(3.4, 4.6, inclusive="neither")
rules.groupby("capture", sort=False)[["bits", "first six", "half", "run", "TLS"]].sum()

# %%
fig, ax = plt.subplots(layout="constrained")
for name, bits in rules["bits set per byte"].groupby("capture", sort=False):
    ax.plot(bits, [name] * len(bits), "|", markersize=18)
ax.axvspan(3.4, 4.6, color="0.9", zorder=0)
ax.set(xlabel="bits set per byte of the first data packet (grey: not exempt by rule 1)", xlim=(1, 5))
ax.invert_yaxis()
plt.show()

# %%
exempt = rules[["bits", "first six", "half", "run", "TLS"]].any(axis=1)
pd.DataFrame(
    {
        "connections": exempt.groupby("capture", sort=False).size(),
        "not exempt": (~exempt).groupby("capture", sort=False).sum(),
    }
)

# %% [markdown]
# All 23 connections of obfs4 and 35 of 36 of shadowsocks meet no exemption. The one that escapes begins with six
# printable bytes by chance. Of HTTPS none is caught; but look at Chromium: rule 1 alone would have caught all 22, and
# only the exemption of TLS spares them. The rule lives by its exemptions, and so does whoever evades it.
#
# **What this does not show.** These are 108 connections of four programs. How many of *all other* connections the rule
# would catch, which decides whether a censor can afford it, no capture of these can say: look at the traffic that you
# have, above all at what is neither TLS nor HTTP. The rule is what the authors inferred at that time, from outside; by
# their account it was applied to some connections and some address ranges only. And passing it does not make a protocol
# hard to detect: lengths and timing (02, 03) are still there.
