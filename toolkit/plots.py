"""Charts. Each takes what a tested function computed and `ax=None`, and returns the `Axes`.

Colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), told apart by colour-blind readers; what matters
is also told by position, hatching or label, so that it survives a grey printer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from toolkit.features import INTERVAL_EDGES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from toolkit.lengths import LengthClusters

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
REST = "#BBBBBB"
"""For clusters beyond those that have a colour."""


def plot_length_clusters(clusters: LengthClusters, *, top: int = 6, log: bool = True, ax: Axes | None = None) -> Axes:
    """Draw the payload lengths as a histogram, a bar a length, coloured by cluster.

    Question it answers: which lengths occur often, and which of them belong together at this bandwidth?

    Parameters
    ----------
    clusters
        What `toolkit.cluster_lengths` found.
    top
        Clusters that get a colour and a line in the legend, at most 7; all others are grey.
    log
        Packets on a log axis.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        With one `PolyCollection` that holds every bar, in the order of `clusters.unique_lengths`.

    Raises
    ------
    ValueError
        If `top` is not from 0 to 7.

    Examples
    --------
    >>> import toolkit
    >>> ax = plot_length_clusters(toolkit.cluster_lengths(toolkit.load_example("obfs4")))
    >>> ax.get_xlabel()
    'TCP payload length (bytes)'
    """
    from matplotlib.collections import PolyCollection
    from matplotlib.patches import Patch

    if isinstance(top, bool) or not 0 <= top <= len(COLOURS):
        raise ValueError(f"`top` must be from 0 to {len(COLOURS)}, got {top!r}")
    ax = _axes(ax)
    lengths, counts = clusters.unique_lengths, clusters.counts
    bottom = 0.5 if log else 0.0  # a bar of one packet must be seen on a log axis
    left, right = lengths - 0.5, lengths + 0.5
    low = np.full(len(lengths), bottom)
    corners = np.stack([left, low, left, counts, right, counts, right, low], axis=1).reshape(-1, 4, 2)
    palette = np.array([*COLOURS[:top], REST])
    colours = palette[np.minimum(clusters.labels, top)]
    # an edge of half a point keeps a bar visible where a byte is narrower than a pixel
    bars = PolyCollection(list(corners), facecolors=list(colours), edgecolors=list(colours), linewidths=0.5)
    ax.add_collection(bars)
    table = clusters.to_frame()
    spans = zip(table["min_length"].tolist(), table["max_length"].tolist(), table["share"].tolist(), strict=True)
    handles = [
        Patch(color=colour, label=f"{_span(first, last)}: {share:.1%}")
        for colour, (first, last, share) in zip(COLOURS[:top], spans, strict=False)
    ]
    if len(table) > top:
        rest = f"{len(table) - top} more: {table['share'].iloc[top:].sum():.1%}"
        handles.append(Patch(color=REST, label=rest))
    if handles:
        title = f"bandwidth {clusters.bandwidth:g} bytes; share of packets shown"
        ax.legend(handles=handles, title=title, fontsize="small", title_fontsize="small", frameon=False)
    else:
        ax.text(0.5, 0.5, "no packets match", transform=ax.transAxes, ha="center", va="center")
    if log:
        ax.set_yscale("log")
    highest = int(counts.max()) if len(counts) else 1
    ax.set_ylim(bottom, highest * (20 if log else 1.05))  # room for the legend above
    first, last = (int(lengths[0]), int(lengths[-1])) if len(lengths) else (0, 1)
    margin = max((last - first) * 0.02, 1)
    ax.set_xlim(first - margin, last + margin)
    ax.set_xlabel(f"{clusters.quantity} (bytes)")
    ax.set_ylabel("packets")
    ax.set_title(_left_out(clusters), fontsize="small", loc="left")
    return ax


def interval_bin_shares(table: pd.DataFrame) -> pd.DataFrame:
    """Average the interval bins of a feature table over its windows.

    Parameters
    ----------
    table
        From `toolkit.client_features` or `toolkit.window_features`, with the set ``"interval_bins"``.

    Returns
    -------
    DataFrame of shape (4, 2)
        Share of the TCP packets whose gap to the one before lies in the bin; index: upper edge in µs, columns ``up``
        and ``down``.

    Raises
    ------
    ValueError
        If the table has no interval bins.

    Examples
    --------
    >>> import toolkit
    >>> trace = toolkit.load_example("obfs4")
    >>> interval_bin_shares(toolkit.client_features(trace, "10.77.0.0/24")).index.tolist()
    [1000, 10000, 100000, 1000000]
    """
    names = {side: [f"bin_{edge}_interval_{side}" for edge in INTERVAL_EDGES] for side in ("up", "down")}
    missing = [name for side in names.values() for name in side if name not in table.columns]
    if missing:
        raise ValueError(f"the feature table has no {missing[0]!r}: compute it with the set 'interval_bins'")
    shares = {side: table[columns].mean().to_numpy() if len(table) else np.zeros(4) for side, columns in names.items()}
    return pd.DataFrame(shares, index=pd.Index(INTERVAL_EDGES, name="upper edge (µs)"))


def plot_interval_bins(tables: pd.DataFrame | Mapping[str, pd.DataFrame], *, ax: Axes | None = None) -> Axes:
    """Draw how the gaps between packets spread over the interval bins, up and down side by side.

    Question it answers: are packets sent back to back, at the pace of the path, or held back by a timer?

    Parameters
    ----------
    tables
        A feature table with the set ``"interval_bins"``, or several by their labels (at most 7).
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        With one bar container for each label and direction, in that order.

    Raises
    ------
    ValueError
        If a table has no interval bins, or there are more than 7 or none.

    Examples
    --------
    >>> import toolkit
    >>> trace = toolkit.load_example("obfs4")
    >>> ax = plot_interval_bins(toolkit.client_features(trace, "10.77.0.0/24"))
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['< 1 ms', '1–10 ms', '10–100 ms', '0.1–1 s']
    """
    named = {"": tables} if isinstance(tables, pd.DataFrame) else dict(tables)
    if not 1 <= len(named) <= len(COLOURS):
        raise ValueError(f"`tables` must hold from 1 to {len(COLOURS)} feature tables, got {len(named)}")
    shares = {label: interval_bin_shares(table) for label, table in named.items()}
    ax = _axes(ax)
    places = np.arange(len(INTERVAL_EDGES))
    width = 0.8 / (2 * len(shares))
    for i, (label, table) in enumerate(shares.items()):
        colour = COLOURS[i]
        for j, side in enumerate(("up", "down")):
            words = f"{label} {side}".strip()
            ax.bar(
                places - 0.4 + (2 * i + j + 0.5) * width,
                table[side],
                width,
                label=f"{words} ({len(named[label]):,} windows)",
                facecolor=colour if side == "up" else "white",
                edgecolor=colour,
                hatch=None if side == "up" else "////",
            )
    ax.set_xticks(places, ["< 1 ms", "1–10 ms", "10–100 ms", "0.1–1 s"])
    ax.set_xlabel("gap to the previous TCP packet with a new sequence number")
    ax.set_ylabel("share of TCP packets, mean of windows")
    highest = max(float(table.to_numpy().max()) for table in shares.values())
    ax.set_ylim(0, max(highest * 1.1, 0.01))
    ax.legend(fontsize="small", frameon=False)
    if all(len(table) == 0 for table in named.values()):
        ax.text(0.5, 0.5, "no windows", transform=ax.transAxes, ha="center", va="center")
    return ax


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    from matplotlib import pyplot  # only here: a figure given by the caller needs no window system

    return pyplot.subplots(layout="constrained")[1]


def _span(first: int, last: int) -> str:
    return f"{first:,} bytes" if first == last else f"{first:,}–{last:,} bytes"


def _left_out(clusters: LengthClusters) -> str:
    """Say what is not in the picture."""
    total = max(clusters.total_packets, 1)
    parts = []
    if clusters.left_out_below:
        shorter = "empty" if clusters.min_length == 1 else f"under {clusters.min_length:,} bytes"
        parts.append(f"{clusters.left_out_below / total:.1%} {shorter}")
    if clusters.left_out_above:
        parts.append(f"{clusters.left_out_above / total:.1%} above {clusters.max_length:,} bytes")
    return f"not shown: {', '.join(parts)} (of {clusters.total_packets:,} packets)" if parts else ""
