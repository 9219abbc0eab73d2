"""Charts of gaps between packets, of who talks to whom, and of how connections begin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, TypeAlias

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, FuncFormatter, MaxNLocator, NullFormatter

from toolkit.comparison import interval_bin_shares
from toolkit.features import INTERVAL_EDGES
from toolkit.lengths import check_integer
from toolkit.plots._common import (
    COLOURS,
    DOWN,
    MARKERS,
    REST,
    UP,
    labelled,
    legend_above,
    new_axes,
    note,
    room,
    say,
    say_only,
    short,
    shorter,
    text_width,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Quantity: TypeAlias = Literal["bytes", "packets"]


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
        With one bar container for each label and direction, in that order; without any window, the words "no windows".

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
    named = labelled(tables, "feature tables")
    shares = {label: interval_bin_shares(table) for label, table in named.items()}
    ax = new_axes(ax)
    ax.set_xlabel("gap to the previous TCP packet\nwith a new sequence number")
    ax.set_ylabel("share of TCP packets,\nmean of windows")
    if all(len(table) == 0 for table in named.values()):
        say_only(ax, "no windows")
        return ax
    names = shorter(named)
    places = np.arange(len(INTERVAL_EDGES))
    width = 0.8 / (2 * len(shares))
    for i, (label, table) in enumerate(shares.items()):
        colour = COLOURS[i]
        for j, side in enumerate(("up", "down")):
            ax.bar(
                places - 0.4 + (2 * i + j + 0.5) * width,
                table[side],
                width,
                label=f"{names[label]} {side}".strip(),
                facecolor=colour if side == "up" else "white",
                edgecolor=colour,
                hatch=None if side == "up" else "////",
                linewidth=0.8,
            )
    bins = ["< 1 ms", "1–10 ms", "10–100 ms", "0.1–1 s"]
    if max(text_width(name, mpl.rcParams["xtick.labelsize"]) for name in bins) > room(ax) / len(bins):
        bins = ["\n".join(name.rsplit(" ", 1)) for name in bins]
    ax.set_xticks(places, bins)
    highest = max(float(table.to_numpy().max()) for table in shares.values())
    ax.set_ylim(0, max(highest * 1.1, 0.01))
    words = [f"{names[label]} ({len(table):,})".strip() for label, table in named.items()]
    if len(named) == 1:
        note(ax, f"windows: {len(next(iter(named.values()))):,}")
        handles = []
    else:
        handles = [Patch(color=COLOURS[i], label=label) for i, label in enumerate(words)]
    colour = "grey" if handles else COLOURS[0]
    handles += [
        Patch(facecolor=colour, edgecolor=colour, label="up"),
        Patch(facecolor="white", edgecolor=colour, hatch="////", label="down"),
    ]
    legend_above(ax, handles=handles, title="in brackets: windows" if len(named) > 1 else None)
    return ax


def plot_interval_cdf(counts: pd.DataFrame | Mapping[str, pd.DataFrame], *, ax: Axes | None = None) -> Axes:
    """Draw the cumulative distribution of the gaps between packets over a log axis, up solid and down dashed.

    Question it answers: at which gaps does a protocol pause, and how much of its traffic comes faster than that?

    Parameters
    ----------
    counts
        From `toolkit.interval_cdf`, or several by their labels (at most 7).
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        With two lines a label, up and down, over seconds. Gaps under 1 µs lift the left end of a line; thin vertical
        lines are the edges of the feature set ``interval_bins``.

    Raises
    ------
    ValueError
        If there are more than 7 or none.

    Examples
    --------
    >>> import toolkit
    >>> windows = toolkit.client_windows(toolkit.load_example("obfs4"), "10.77.0.0/24", 50)
    >>> plot_interval_cdf(toolkit.interval_cdf(windows, "10.77.0.0/24")).get_ylabel()
    'share of gaps at most so long'
    """
    named = labelled(counts, "tables of counted gaps")
    ax = new_axes(ax)
    for edge in INTERVAL_EDGES:
        ax.axvline(edge / 1e6, color=REST, linewidth=0.6, zorder=0)
    names = shorter(named)
    shown: list[float] = []
    for i, (label, table) in enumerate(named.items()):
        finite = table.iloc[:-1]
        gap = finite.index.to_numpy() / 1e6
        for j, side in enumerate(("up", "down")):
            total = int(table[side].iloc[-1])
            if total == 0:
                continue
            share = finite[side].to_numpy() / total
            ax.step(
                gap,
                share,
                where="post",
                color=COLOURS[i],
                linestyle=("-", "--")[j],
                linewidth=1.2,
                marker=MARKERS[i] if len(named) > 1 else None,
                markersize=3.5,
                markevery=(20 + 5 * i, 40),
                label=f"{names[label]} {side}".strip(),
            )
            # from the shortest gap to the longest, as far as they are counted
            shown += [gap[min(int((share <= bound).sum()), len(gap) - 1)] for bound in (0, 1 - 0.5 / total)]
    ax.set_xscale("log")
    low, high = (min(shown) / 2, max(shown) * 2) if shown else (1e-6, 1.0)
    low = max(low, 1e-6)
    if np.floor(np.log10(high)) <= np.ceil(np.log10(low)):  # there would be one label, or none
        low, high = 10 ** np.floor(np.log10(low)), 10 ** np.ceil(np.log10(high))
    ax.set_xlim(low, high)
    ax.set_ylim(0, 1.03)  # so that a line along 1 is not cut in half
    ax.xaxis.set_major_formatter(EngFormatter(unit="s"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("gap to the previous TCP packet\nwith a new sequence number")
    ax.set_ylabel("share of gaps at most so long")
    if not shown:
        say(ax, "no packets match")
        return ax
    handles = [
        Line2D([], [], color=COLOURS[i], marker=MARKERS[i] if len(named) > 1 else "", markersize=3.5,
               label=f"{names[label]} ({_gaps(table)})".strip())
        for i, (label, table) in enumerate(named.items())
    ]  # fmt: skip
    handles += [Line2D([], [], color="grey", linestyle=("-", "--")[j], label=("up", "down")[j]) for j in range(2)]
    legend_above(ax, handles=handles, title="in brackets: gaps up + down")
    return ax


def _gaps(table: pd.DataFrame) -> str:
    return f"{int(table['up'].iloc[-1]):,} + {int(table['down'].iloc[-1]):,}"


def plot_size_sequence(sequence: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the sizes of the first data packets of each connection, up above zero and down below.

    Question it answers: do connections begin alike? A handshake of fixed sizes shows as large discs at the same
    place; padding of random size as a cloud of small ones.

    Parameters
    ----------
    sequence
        From `toolkit.size_sequence`.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        With one `PathCollection` a direction: a disc for each size at each place, whose area is the share of the
        connections that have it there (but 2 square points at least, so that a single one is seen among many).

    Examples
    --------
    >>> import toolkit
    >>> sequence = toolkit.size_sequence(toolkit.load_example("trojan"), "10.77.0.0/24", n=10)
    >>> plot_size_sequence(sequence).get_ylabel()
    'payload (bytes)'
    """
    ax = new_axes(ax)
    positions = sequence.columns.to_numpy()
    sizes = sequence.to_numpy()
    ax.set_xlabel("data packet of the connection")
    ax.set_ylabel("payload (bytes)")
    ax.set_xlim(0.5, max(len(positions), 1) + 0.5)
    if not (sizes != 0).any():
        say(ax, "no packets match")
        return ax
    place = np.broadcast_to(positions, sizes.shape)
    largest = 90.0  # points squared, of a disc that stands for all connections
    for side, colour, mine in (("up", UP, sizes > 0), ("down", DOWN, sizes < 0)):
        points, counts = np.unique(np.stack([place[mine], sizes[mine]], axis=1), axis=0, return_counts=True)
        area = largest * counts / len(sizes)
        ax.scatter(points[:, 0], points[:, 1], np.maximum(area, 2.0), color=colour, alpha=0.6, linewidths=0, label=side)
    ax.axhline(0, color="black", linewidth=0.8)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{abs(value):,.0f}"))
    handles = [
        Line2D([], [], linestyle="none", marker="o", markeredgewidth=0, color=colour, alpha=0.6, label=side)
        for side, colour in (("up", UP), ("down", DOWN))
    ]
    handles += [
        Line2D([], [], linestyle="none", marker="o", markeredgewidth=0, color=REST,
               markersize=float(np.sqrt(largest * share)), label=f"{share:.0%}")
        for share in (0.1, 0.5, 1.0)
    ]  # fmt: skip
    connections = f"{len(sizes):,} connection" + ("s" if len(sizes) > 1 else "")
    legend_above(ax, handles=list(handles), title=f"area: share of {connections}", columns=5)
    return ax


def plot_client_pairs(
    pairs: pd.DataFrame, *, quantity: Quantity = "bytes", top: int = 8, ax: Axes | None = None
) -> Axes:
    """Draw what the busiest pairs of client and target exchanged: up to the right, down to the left.

    Question it answers: whose traffic is in this capture, and does one pair outweigh the others?

    Parameters
    ----------
    pairs
        From `toolkit.client_pairs`.
    quantity
        ``"bytes"`` (of whole IP packets) or ``"packets"``.
    top
        Pairs shown, at least 1; how many more there are, and their share, is said above the chart.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        With two bar containers, up and down, the busiest pair at the top.

    Raises
    ------
    ValueError
        If `quantity` is neither, or `top` no int of at least 1.

    Examples
    --------
    >>> import toolkit
    >>> pairs = toolkit.client_pairs(toolkit.load_example("obfs4"), "10.77.0.0/24")
    >>> plot_client_pairs(pairs).get_yticklabels()[0].get_text()
    '10.77.0.11 – 10.77.1.1'
    """
    if quantity not in ("bytes", "packets"):
        raise ValueError(f"`quantity` must be 'bytes' or 'packets', got {quantity!r}")
    check_integer("top", top, 1)
    ax = new_axes(ax)
    what = "IP bytes" if quantity == "bytes" else "packets"
    ax.set_xlabel(f"{what} down | up")
    if not len(pairs):
        say(ax, "no packets match")
        return ax
    total = pairs[f"{quantity}_up"] + pairs[f"{quantity}_down"]
    ordered = pairs.iloc[np.argsort(-total.to_numpy(), kind="stable")]
    shown = ordered.head(top)
    places = np.arange(len(shown))
    for side, colour, sign in (("up", UP, 1), ("down", DOWN, -1)):
        ax.barh(places, sign * shown[f"{quantity}_{side}"], 0.7, color=colour, label=side)
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_yticks(places, _pair_names(ax, list(shown.index)))
    ax.set_ylim(max(len(shown), 4) - 0.5, -0.5)
    si = EngFormatter(sep="")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: si(abs(value))))
    rest = len(ordered) - len(shown)
    if rest:
        share = total.to_numpy()[np.argsort(-total.to_numpy(), kind="stable")][top:].sum() / max(total.sum(), 1)
        ax.set_xlabel(f"{what} down | up\nnot shown: {rest:,} pair{'s' * (rest > 1)} with {share:.1%}")
    legend_above(ax)
    return ax


def _pair_names(ax: Axes, pairs: list[tuple[str, str]]) -> list[str]:
    """Name each pair in no more than 0.7 of the width of the axes: addresses of IPv6 are long."""
    names: list[str] = []
    for most in range(39, 6, -2):
        names = [f"{short(client, most)} – {short(target, most)}" for client, target in pairs]
        if max(text_width(name, mpl.rcParams["ytick.labelsize"]) for name in names) <= 0.7 * room(ax):
            break
    return names
