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
# # Is my own capture good enough, and how do I get it into a table?
#
# From recording to a saved feature table. The sample here stands for your file, and copies of it are damaged on
# purpose, so that you know the warnings before you meet them. For your own file, give `toolkit.read` its name; the
# damaged copies below need a plain pcap as tcpdump writes it.
#
# ## Recording
#
# On the machine at which you record, in a terminal (not run here; `eth0` is your interface):
#
# ```sh
# sudo ethtool -K eth0 gro off gso off tso off lro off    # packets as they are on the wire, not put together by offload
# sudo tcpdump -i eth0 -s 0 -n -w capture.pcap 'tcp or udp'    # whole packets
# sudo tcpdump -i eth0 -s 256 -n -w capture.pcap tcp    # if payloads may not be stored: lengths stay, entropy goes
# ```
#
# Start recording before the first connection, or its beginning is not there; tcpdump says at its end how many packets
# it dropped, which should be none. Better record on the router than on the client itself. Payloads are private data:
# record traffic of your own machines, or ask.

# %%
import struct
import tempfile
import warnings
from pathlib import Path

import pandas as pd
from matplotlib import pyplot as plt

import toolkit

capture = toolkit.example("mixed_obfs4").path
temporary = tempfile.TemporaryDirectory()
folder = Path(temporary.name)

# %% [markdown]
# ## Reading
#
# Any pcap or pcapng, compressed or not. The summary ends with the health of the capture.

# %%
trace = toolkit.read(capture)
trace

# %% [markdown]
# Nothing was found. That does not mean that nothing is missing: packets that the recorder dropped leave no mark that
# could be counted.
#
# ## A file that was cut
#
# The disk was full, or the copy broke off. Here is half of the file. Reading warns; the warning is caught to be shown:

# %%
whole = capture.read_bytes()
(folder / "half.pcap").write_bytes(whole[: len(whole) // 2])
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    half = toolkit.read(folder / "half.pcap")
[str(warning.message).replace(f"{folder}/", "") for warning in caught]

# %%
half

# %% [markdown]
# All packets before the cut are kept, and are right. What is lost is the end: 29 s of 136 s are left. Connections that
# were open at the cut look short, and a client that came later is missing altogether:

# %%
sorted(set(toolkit.suggest_clients(trace)) - set(toolkit.suggest_clients(half)))

# %% [markdown]
# The health report has it as *file faults*; where the cut is, `source.problems` says. With `strict=True`, reading
# raises instead.

# %%
[finding.name for finding in half.health().found], len(half.source.problems)

# %% [markdown]
# ## A small snap length
#
# tcpdump with `-s 96` keeps 96 bytes of each packet. The same from a whole capture, by rewriting its records (times,
# stored length, length on the wire, bytes):


# %%
def snapped(data, size):
    parts, position = [data[:24]], 24
    while position < len(data):
        seconds, micros, stored, on_wire = struct.unpack_from("<4I", data, position)
        frame = data[position + 16 : position + 16 + stored][:size]
        parts += [struct.pack("<4I", seconds, micros, len(frame), on_wire), frame]
        position += 16 + stored
    return b"".join(parts)


(folder / "snap96.pcap").write_bytes(snapped(whole, 96))
short = toolkit.read(folder / "snap96.pcap")
short.health()

# %% [markdown]
# No warning this time: nothing is broken. What does it do to the analysis? Lengths come from the headers and stay as
# they were. Entropy is of 30 bytes where it was of 1,448:

# %%
pd.DataFrame(
    {
        name: {
            "length clusters": len(toolkit.cluster_lengths(which, bandwidth=3).packets),
            "highest entropy": toolkit.payload_entropy(which).max(),
        }
        for name, which in {"whole": trace, "96 bytes": short}.items()
    }
).round(2)

# %%
toolkit.plot_entropy(toolkit.entropy_counts(short, length_step=2))
plt.show()

# %% [markdown]
# The axis says "payload in the capture". A classifier between the two could tell them apart by the snap length alone.
# Never compare entropies of captures with different ones. With 50 bytes even the TCP header is not whole:

# %%
(folder / "snap50.pcap").write_bytes(snapped(whole, 50))
toolkit.read(folder / "snap50.pcap").health()

# %% [markdown]
# ## One direction only, the beginning missing, everything twice

# %%
one_way = trace.select(where="src_port in (443, 3735)")  # what servers send
late = trace.select(start="60s")
twice = toolkit.concat([trace, trace])
names = ["one-sided connections", "duplicate", "times going back"]
health = {"one way": one_way, "late": late, "twice": twice}
pd.DataFrame({name: {found: which.health()[found].count for found in names} for name, which in health.items()})

# %% [markdown]
# - *One-sided*: up or down features are all 0 (`mean_interval` 1,000,000), by definition and not by behaviour. Do not
#   use them, or record elsewhere.
# - *Duplicate*: each packet recorded on two interfaces. Counts and lengths double; select one interface.
# - *Times going back*: windows in time sort first; gaps are taken as absolute values. A few steps of microseconds are
#   harmless.
# - A late start is not found by the health report. `toolkit.connections` says of how many the opening is missing:

# %%
toolkit.connections(late)

# %% [markdown]
# ## Who are the clients?
#
# Features need to know what is up and what is down. `suggest_clients` takes the hosts that open connections: a guess
# for a first look. `top_hosts` says who is busiest, which need not be a client.

# %%
toolkit.suggest_clients(trace)

# %%
trace.top_hosts(5)

# %%
clients = "10.77.0.0/24"
toolkit.plot_client_pairs(toolkit.client_pairs(trace, clients))
plt.show()

# %% [markdown]
# One download outweighs all the rest: more than half of the bytes are between 10.77.0.12 and one server. Whatever is
# averaged over packets is about that download. Name the clients yourself in anything you report, as a network or as a
# list.
#
# ## Two captures on one clock
#
# Two captures of different days, or of machines whose clocks differ, are put on one clock by their first packets.

# %%
obfs4 = toolkit.synchronise(toolkit.load_example("obfs4"), "2026-01-01")
https = toolkit.synchronise(toolkit.load_example("https"), "2026-01-01")
both = toolkit.concat([obfs4, https])
both

# %%
toolkit.plot_direction_timeline(toolkit.direction_timeline(both, clients, "1s"), quantity="packets", edges_every="15s")
plt.show()

# %% [markdown]
# They now overlap. Packets stay in the order of the files, hence the one step back in time. **What it does not do**: it
# moves a trace as a whole, and the first packets need not be of the same event. And hosts are told apart by address
# only: 10.77.0.11 is in both captures and counts as *one* client from here on. For a table with a label, keep the
# traces apart and join the tables:

# %%
tables = {
    name: toolkit.client_features(toolkit.load_example(name), clients, time_window="60s", packet_window=50)
    for name in ("obfs4", "https")
}
labelled = pd.concat(tables, names=["label"])
labelled.groupby(["label", "client"]).size().unstack()

# %% [markdown]
# ## Saving the table
#
# Parquet keeps the types and is small (it needs `pyarrow`, the extra `parquet`); CSV can be read by everything. Of CSV,
# name the index on reading.

# %%
labelled.to_parquet(folder / "features.parquet")
labelled.to_csv(folder / "features.csv")
from_csv = pd.read_csv(folder / "features.csv", index_col=labelled.index.names)
{
    "parquet": pd.read_parquet(folder / "features.parquet").equals(labelled),
    "csv": from_csv.equals(labelled),
    "largest difference in csv": float((from_csv - labelled).abs().to_numpy().max()),
}

# %% [markdown]
# Write beside it what the table came from; a year later nobody knows the window sizes.

# %%
{"sha256": trace.source.sha256, "history": trace.history, "toolkit": toolkit.__version__}

# %%
temporary.cleanup()
