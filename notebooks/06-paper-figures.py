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
# # How does a view become a figure that can be made again?
#
# A picture in a notebook is for you. A figure in a paper has a width, a font that is legible in print, and a reader who
# asks where it comes from: which capture, which parameters, which version. Here one picture goes that way, into a
# temporary folder.
#
# Your own figure: replace `load_example("obfs4")` by `toolkit.read("FILE")`, and `folder` by the folder of your paper.

# %%
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
from matplotlib import pyplot as plt

import toolkit

temporary = tempfile.TemporaryDirectory()
folder = Path(temporary.name)
trace = toolkit.load_example("obfs4").select(start="60s")

# %% [markdown]
# ## The view
#
# Look until you know what you want to show, and with which parameters.

# %%
clusters = toolkit.cluster_lengths(trace, bandwidth=3)
toolkit.plot_length_clusters(clusters)
plt.show()

# %% [markdown]
# ## The size
#
# In a column of a paper this picture would be shrunk to half, and its text with it. Inside `toolkit.paper` it is drawn
# at its final size instead: include it without scaling. These are the widths in inches:

# %%
venues = ["usenix", "acm", "ieee", "lncs", "talk"]
pd.DataFrame({f"{n} columns": [toolkit.paper_width(venue, n) for venue in venues] for n in (1, 2)}, index=venues)

# %%
with toolkit.paper("usenix"):
    toolkit.plot_length_clusters(clusters)
    plt.show()

# %% [markdown]
# The text has at least 8 points, and what it says takes more than half of the height. Either show less, or give more
# height and keep the width:

# %%
with toolkit.paper("usenix"):
    fig, ax = plt.subplots(figsize=(toolkit.paper_width("usenix"), 2.7))
    toolkit.plot_length_clusters(clusters, top=4, ax=ax)
    plt.show()

# %% [markdown]
# What else to look at before it goes to print: whether it can be read in grey (the numbers on the bars are for that),
# whether axes have units, whether what was left out is said. Put the bandwidth into the caption, too.
#
# ## The files
#
# `save_figure` writes PDF and PNG, the data that is drawn as CSV, and a JSON that says where it comes from.

# %%
parameters = {"start": "60s", "bandwidth": 3, "call": "notebooks/06-paper-figures.ipynb"}
written = toolkit.save_figure(fig, "lengths", params=parameters, traces=[trace], folder=folder / "first")
sorted(path.name for path in written.parent.iterdir())

# %%
json.loads(written.read_text("utf-8"))

# %% [markdown]
# The capture is named by its SHA-256, which no renaming changes, and its history has the selection that was made. The
# versions are there because another matplotlib lays out text differently. **What is not there**: your code. What you do
# between the trace and the picture, the toolkit cannot see; say it in `params`, and keep the notebook beside the
# figure.
#
# The CSV is read off the drawn figure, so that a reader can draw it again, or check a bar:

# %%
pd.read_csv(written.with_suffix(".csv")).head(4)

# %% [markdown]
# `x` and `x_to` are the edges of a bar, half a byte to each side of its length; `y_to` is its height. To store a table
# of your choice instead, give `data=clusters.to_frame()`.
#
# ## The same to the byte
#
# Everything again, from the capture on, into another folder. Are the files the same?

# %%
with toolkit.paper("usenix"):
    fig, ax = plt.subplots(figsize=(toolkit.paper_width("usenix"), 2.7))
    again = toolkit.load_example("obfs4").select(start="60s")
    toolkit.plot_length_clusters(toolkit.cluster_lengths(again, bandwidth=3), top=4, ax=ax)
    toolkit.save_figure(fig, "lengths", params=parameters, traces=[again], folder=folder / "second")
    plt.close(fig)

digests = {
    path.name: [hashlib.sha256((folder / run / path.name).read_bytes()).hexdigest()[:16] for run in ("first", "second")]
    for path in sorted(written.parent.iterdir())
}
pd.DataFrame.from_dict(digests, orient="index", columns=["first", "second"]).assign(
    same=lambda two: two["first"] == two["second"]
)

# %% [markdown]
# So a figure under version control changes only if something has changed: the capture, a parameter, a version. With
# other versions of matplotlib the PDF and the PNG may differ where the CSV does not.
#
# ## Does it still come out of the capture?
#
# Of a figure of your own `verify_figure` can only check that the four files belong together, and says so:

# %%
toolkit.verify_figure(written).problems

# %% [markdown]
# The figures of the standard set it can make again. `toolkit figures` makes them on the command line, all or one; here
# by way of Python, so that the notebook runs wherever it is:

# %%
command = [sys.executable, "-m", "toolkit", "figures", "--only", "entropy", "--venue", "acm", "-o", str(folder / "set")]
subprocess.run(command, check=True, capture_output=True)
standard = folder / "set" / "entropy.json"
str(toolkit.verify_figure(standard))

# %% [markdown]
# And if somebody edits a number?

# %%
numbers = standard.with_suffix(".csv")
numbers.write_text(numbers.read_text("utf-8").replace("1440", "1400"), "utf-8")
toolkit.verify_figure(standard).problems

# %% [markdown]
# Of your own captures: `toolkit figures obfs4.pcap web.pcap --label obfs4 --label web --client 10.0.0.0/24`, and later
# `toolkit figures --check obfs4.pcap web.pcap`. **That a figure comes out again does not make it right**: it says that
# the picture belongs to the capture, not that the capture belongs to the claim.

# %%
temporary.cleanup()
