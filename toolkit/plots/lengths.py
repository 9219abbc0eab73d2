"""Charts of payload lengths: clusters, bins."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgba_array
from matplotlib.patches import Patch
from matplotlib.text import Annotation
from matplotlib.ticker import FuncFormatter

from toolkit.comparison import length_bin_shares
from toolkit.plots._common import (
    COLOURS,
    MARKERS,
    REST,
    count_labels,
    labelled,
    legend_above,
    new_axes,
    note,
    say,
    say_only,
    shorter,
)
from toolkit.plots._numbers import write_numbers

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from toolkit.lengths import LengthClusters


def plot_length_clusters(clusters: LengthClusters, *, top: int = 6, log: bool = True, ax: Axes | None = None) -> Axes:
    """Draw the payload lengths as a histogram, a bar a length, coloured by cluster.

    Question it answers: which lengths occur often, and which of them belong together at this bandwidth?

    Parameters
    ----------
    clusters
        What `toolkit.cluster_lengths` found.
    top
        Clusters that get a colour, a number and a line in the legend (centre, width from the shortest to the longest
        length, share of the packets shown), at most 7; all others are grey. Numbers are those of the rows of
        `LengthClusters.to_frame` and of `LengthClusters.labels`, from 0. One that finds no room near its highest bar
        stands in the legend only.
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
    if isinstance(top, bool) or not 0 <= top <= len(COLOURS):
        raise ValueError(f"`top` must be from 0 to {len(COLOURS)}, got {top!r}")
    ax = new_axes(ax)
    lengths, counts = clusters.unique_lengths, clusters.counts
    bottom = 0.5 if log else 0.0  # a bar of one packet must be seen on a log axis
    left, right = lengths - 0.5, lengths + 0.5
    low = np.full(len(lengths), bottom)
    corners = np.stack([left, low, left, counts, right, counts, right, low], axis=1).reshape(-1, 4, 2)
    # an edge keeps a bar visible where a byte is narrower than a pixel; blended with the white beside it, the colour of
    # a narrow bar would be another one
    ax.add_collection(PolyCollection(list(corners), linewidths=0.6, antialiaseds=False))
    highest = int(counts.max()) if len(counts) else 1
    if log:
        ax.set_yscale("log")
        count_labels(ax.yaxis, highest)
    ax.set_ylim(bottom, highest * (3 if log else 1.2))  # room for the numbers
    first, last = (int(lengths[0]), int(lengths[-1])) if len(lengths) else (0, 1)
    margin = max((last - first) * 0.02, 1)
    ax.set_xlim(first - margin, last + margin)
    ax.set_xlabel(f"{clusters.quantity} (bytes)")
    ax.set_ylabel("packets")
    note(ax, _left_out(clusters))
    if len(lengths):
        colour_length_clusters(ax, clusters, top=top)
    else:
        say(ax, "no packets match")
    return ax


def colour_length_clusters(ax: Axes, clusters: LengthClusters, *, top: int = 6) -> None:
    """Colour what `plot_length_clusters` drew by other clusters of the same lengths: half of the work of drawing anew.

    Parameters
    ----------
    ax
        As `plot_length_clusters` left it.
    clusters
        Of the same lengths, at another bandwidth.
    top
        As in `plot_length_clusters`.

    Raises
    ------
    ValueError
        If the lengths are others than those drawn.

    Examples
    --------
    >>> import toolkit
    >>> counts = toolkit.length_counts([100, 101, 101, 600])
    >>> ax = plot_length_clusters(toolkit.cluster_lengths(counts, bandwidth=5))
    >>> colour_length_clusters(ax, toolkit.cluster_lengths(counts, bandwidth=0.5))
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['0: 101.0 · 1 · 50.0%', '1: 100.0 · 1 · 25.0%', '2: 600.0 · 1 · 25.0%']
    """
    bars = ax.collections[0]
    lengths, counts = clusters.unique_lengths, clusters.counts
    if len(bars.get_paths()) != len(lengths):
        raise ValueError(f"{len(bars.get_paths()):,} lengths are drawn, the clusters are of {len(lengths):,}")
    palette = to_rgba_array([*COLOURS[:top], REST])
    colours: Any = palette[np.minimum(clusters.labels, top)]
    bars.set_facecolor(colours)
    bars.set_edgecolor(colours)
    for text in [text for text in ax.texts if isinstance(text, Annotation)]:
        text.remove()
    table = clusters.to_frame()
    handles: list[Artist] = []
    peaks: list[tuple[int, int]] = []
    spans = zip(*(table[name].tolist() for name in ("centre", "min_length", "max_length", "share")), strict=True)
    for number, (centre, shortest, longest, share) in enumerate(itertools.islice(spans, top)):
        words = f"{number}: {centre:,.1f} · {longest - shortest + 1:,} · {share:.1%}"
        handles.append(Patch(color=COLOURS[number], label=words))
        mine = clusters.labels == number
        peak = int(counts[mine].argmax())
        peaks.append((int(lengths[mine][peak]), int(counts[mine][peak])))
    if len(table) > top:
        handles.append(Patch(color=REST, label=f"{len(table) - top:,} more: {table['share'].iloc[top:].sum():.1%}"))
    write_numbers(ax, lengths, counts, peaks)
    shown = int(counts.sum())
    title = f"bandwidth {clusters.bandwidth:g}: centre · width · share of {shown:,} packet{'s' * (shown != 1)}"
    legend_above(ax, handles=handles, title=title)


def plot_length_bins(tables: pd.DataFrame | Mapping[str, pd.DataFrame], *, ax: Axes | None = None) -> Axes:
    """Draw how payload lengths spread over bins of 100 bytes: up above zero, down below.

    Question it answers: how large are the packets of each direction, and does that differ between traces?

    Parameters
    ----------
    tables
        A feature table with the set ``"tcp_len_bins"``, or several by their labels (at most 7).
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        With two `StepPatch` a label, up and down, in the order of the labels; without any window, the words "no
        windows".

    Raises
    ------
    ValueError
        If a table has no length bins, or there are more than 7 or none.

    Examples
    --------
    >>> import toolkit
    >>> trace = toolkit.load_example("obfs4")
    >>> plot_length_bins(toolkit.client_features(trace, "10.77.0.0/24")).get_xlabel()
    'TCP payload length (bytes), bins of 100'
    """
    named = labelled(tables, "feature tables")
    shares = {label: length_bin_shares(table) for label, table in named.items()}
    ax = new_axes(ax)
    ax.set_xlabel("TCP payload length (bytes), bins of 100")
    ax.set_ylabel("share of TCP packets,\nmean of windows")
    if all(len(table) == 0 for table in named.values()):
        say_only(ax, "no windows")
        return ax
    names = shorter(named)
    handles: list[Artist] = []
    for i, (label, share) in enumerate(shares.items()):
        edges = np.append(0, share.index.to_numpy())
        words = f"{names[label]} ({len(named[label]):,})".strip()
        for sign, side in ((1, "up"), (-1, "down")):
            height = sign * share[side].to_numpy()
            ax.stairs(height, edges, baseline=0, color=COLOURS[i], linewidth=1.2)
            # a marker in each bin tells the traces apart without colour
            marks = ax.plot(
                edges[1:] - 50,
                height,
                MARKERS[i],
                color=COLOURS[i],
                markersize=3.5,
                label=words if side == "up" else None,
            )
            handles += marks if side == "up" else []
    ax.axhline(0, color="black", linewidth=0.8)
    highest = max(max(float(share.to_numpy().max()) for share in shares.values()) * 1.15, 0.01)
    ax.set_ylim(-highest, highest)
    ax.set_xlim(0, 1500)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{abs(value):g}"))
    ax.text(0.98, 0.97, "up", transform=ax.transAxes, ha="right", va="top")
    ax.text(0.98, 0.03, "down", transform=ax.transAxes, ha="right", va="bottom")
    legend_above(ax, handles=handles, title="in brackets: windows")
    return ax


def _left_out(clusters: LengthClusters) -> str:
    """Say what is not in the picture."""
    total = max(clusters.total_packets, 1)
    parts = []
    if clusters.left_out_below:
        shorter = "empty" if clusters.min_length == 1 else f"under {clusters.min_length:,} bytes"
        parts.append(f"{clusters.left_out_below / total:.1%} {shorter}")
    if clusters.left_out_above:
        parts.append(f"{clusters.left_out_above / total:.1%} above {clusters.max_length:,} bytes")
    return f"of {clusters.total_packets:,} packets, not shown: {', '.join(parts)}" if parts else ""
