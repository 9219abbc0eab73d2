"""Charts of time: gaps between packets, what goes each way, who talks to whom, how connections begin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, TypeAlias

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, StepPatch
from matplotlib.ticker import EngFormatter, FuncFormatter, MaxNLocator, NullFormatter

from toolkit.comparison import interval_bin_shares
from toolkit.features import INTERVAL_EDGES
from toolkit.lengths import check_integer
from toolkit.plots._common import (
    COLOURS,
    DOWN,
    FAINT,
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
    seconds,
    short,
    shorter,
    text_width,
)
from toolkit.windows import nanoseconds

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Quantity: TypeAlias = Literal["bytes", "packets"]

_NEAREST = 6.0
"""Points between two window edges that `plot_direction_timeline` draws; nearer ones would be a grey wall."""


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


def plot_direction_timeline(
    timeline: pd.DataFrame,
    *,
    quantity: Quantity = "bytes",
    edges_every: str | pd.Timedelta | None = None,
    edges_from: str | pd.Timedelta | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw what goes each way in each time window: up above zero, down below.

    Question it answers: when is traffic sent, in which direction, and where do the time windows cut it?

    Parameters
    ----------
    timeline
        From `toolkit.direction_timeline`.
    quantity
        ``"bytes"`` (of whole IP packets) or ``"packets"``.
    edges_every
        Draw the edges of windows of this width, such as those of the features, and not those of the timeline.
    edges_from
        Where the first of those windows starts, as the time since the zero of the timeline (its `origin`); none is
        drawn before. The windows of `toolkit.client_windows` and `toolkit.client_features` start at the first packet of
        the trace that they cut: of a part of a trace on the clock of the whole, that is ``part.start - whole.start``.
        By default the zero.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        With two `StepPatch`, up and down, which are zero where there is no window, and their outlines. The edges of
        windows are grey lines; where they would be less than 6 points apart there are none, and the note above the
        chart says so if they were asked for.

    Raises
    ------
    ValueError
        If `quantity` is neither, `edges_every` is no duration of more than zero, `edges_from` none of zero or more, or
        given without `edges_every`.

    Examples
    --------
    >>> import toolkit
    >>> whole = toolkit.load_example("obfs4")
    >>> part = whole.select(start="20s")
    >>> timeline = toolkit.direction_timeline(part, "10.77.0.0/24", "5s", origin=whole.start)
    >>> ax = plot_direction_timeline(timeline, edges_every="60s", edges_from=part.start - whole.start)
    >>> ax.get_ylabel(), [float(time) for time in ax.get_xlim()]
    ('IP bytes in 5 s', [25.0, 145.0])
    """
    if quantity not in ("bytes", "packets"):
        raise ValueError(f"`quantity` must be 'bytes' or 'packets', got {quantity!r}")
    if edges_from is not None and edges_every is None:
        raise ValueError(f"`edges_from` goes with `edges_every`, got {edges_from!r} without")
    ax = new_axes(ax)
    ax.set_xlabel("time since the first packet (s)")
    what = "IP bytes" if quantity == "bytes" else "packets"
    if not len(timeline):
        ax.set_ylabel(what)
        say(ax, "no packets match")
        return ax
    start, stop = timeline["start"].to_numpy(), timeline["stop"].to_numpy()
    width = float(stop[0] - start[0])
    # windows that follow each other share an edge; between others lies one more step, of zero
    apart = np.flatnonzero(np.diff(timeline.index.to_numpy()) > 1) + 1
    edges = np.insert(np.append(start, stop[-1]), apart, stop[apart - 1])
    both = {}
    for side, colour, sign in (("up", UP, 1), ("down", DOWN, -1)):
        values = sign * timeline[f"{quantity}_{side}"].to_numpy()
        both[side] = np.abs(values).max()
        heights = np.insert(values, apart, 0)
        # as an artist: `ax.stairs` looks for limits, which are set below, step by step, for longer than it all takes
        ax.add_artist(StepPatch(heights, edges, baseline=0, fill=True, color=colour, linewidth=0, label=side))
        # the line keeps a window visible that is narrower than a pixel
        ax.step(edges, np.append(heights, heights[-1]), where="post", color=colour, linewidth=0.5)
    if edges_every is None:
        _draw_edges(ax, (edges[0], edges[-1]), width, 0.0, FAINT, 0.4)
    else:
        every, since = nanoseconds(edges_every) / 1e9, 0.0 if edges_from is None else _since(edges_from) / 1e9
        count = _draw_edges(ax, (edges[0], edges[-1]), every, since, REST, 0.8)
        if count:
            note(ax, f"window edges too dense to show: {count:,} windows of {seconds(every)}")
    ax.axhline(0, color="black", linewidth=0.8)
    ax.set_xlim(edges[0], edges[-1])
    ax.set_ylim(-max(both["down"] * 1.08, 1), max(both["up"] * 1.08, 1))
    si = EngFormatter(sep="")
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: si(abs(value))))
    ax.set_ylabel(f"{what} in {seconds(round(width, 9))}")
    legend_above(ax)
    return ax


def _draw_edges(ax: Axes, span: tuple[float, float], every: float, since: float, colour: str, thickness: float) -> int:
    """Draw the edges of windows within a span of time, and give 0; or how many there are, where they are too many."""
    first = max(np.ceil((span[0] - since) / every - 1e-9), 0.0)
    windows = int(np.ceil((span[1] - since) / every - 1e-9) - np.floor(max(span[0] - since, 0.0) / every + 1e-9))
    if every / (span[1] - span[0]) * room(ax) < _NEAREST:
        return max(windows, 0)
    last = np.floor((span[1] - since) / every + 1e-9)
    lines = since + every * np.arange(first, last + 1)
    ax.vlines(lines, 0, 1, transform=ax.get_xaxis_transform(), color=colour, linewidth=thickness, zorder=0.5)
    return 0


def _since(duration: str | pd.Timedelta) -> int:
    """Read a duration that may be zero."""
    return 0 if isinstance(duration, pd.Timedelta) and not duration.value else nanoseconds(duration)


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
