"""Charts of what comes out at many bandwidths and window sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from toolkit.plots._common import COLOURS, count_labels, legend_above, new_axes, note, say, seconds, small
from toolkit.windows import nanoseconds

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_bandwidth_sweep(sweep: pd.DataFrame, *, chosen: float | None = None, ax: Axes | None = None) -> Axes:
    """Draw the number of clusters (left axis) and the share of the largest (right axis) over the bandwidth.

    Question it answers: over which bandwidths is the number of clusters stable, so that it says something about the
    protocol and not about the bandwidth?

    Parameters
    ----------
    sweep
        From `toolkit.bandwidth_sweep`.
    chosen
        A bandwidth to mark, in bytes.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        The left one, with the line of the number of clusters, and that of the clusters which hold 90% of the packets;
        the right one is its twin.

    Raises
    ------
    ValueError
        If `sweep` has not the columns of a sweep.

    Examples
    --------
    >>> import toolkit
    >>> plot_bandwidth_sweep(toolkit.bandwidth_sweep(toolkit.load_example("obfs4"))).get_xlabel()
    'bandwidth (bytes)'
    """
    share = [name for name in sweep.columns if str(name).startswith("top") and str(name).endswith("_share")]
    if len(share) != 1 or "clusters" not in sweep.columns:
        raise ValueError(f"`sweep` must come from `bandwidth_sweep`, got a table of {', '.join(map(str, sweep))}")
    ax = new_axes(ax)
    right = ax.twinx()
    right.spines["right"].set_visible(True)
    top = share[0].removeprefix("top").removesuffix("_share")
    many, most, part = COLOURS[0], COLOURS[2], COLOURS[5]
    handles = []
    for column, colour, line, words in (
        ("clusters", many, "-", "all clusters"),
        ("clusters_90", most, "-.", "clusters for 90%"),
    ):
        handles += ax.step(sweep.index, sweep[column], line, where="post", color=colour, linewidth=1.3, label=words)
    handles += right.plot(
        sweep.index, sweep[share[0]], "--", color=part, linewidth=1.3, label=f"share of {top} largest"
    )
    if chosen is not None:
        ax.axvline(chosen, color="black", linewidth=0.8, linestyle=":")
        handles.append(Line2D([], [], color="black", linewidth=0.8, linestyle=":", label=f"chosen: {chosen:g}"))
    highest = max(float(sweep["clusters"].max()) if len(sweep) else 1, 1)
    ax.set_ylim(0.8, highest * 1.5)  # before the scale, which cannot find limits for no clusters
    ax.set_xscale("log")
    ax.set_yscale("log")
    count_labels(ax.yaxis, highest)
    ticks = [
        tick for tick in (0.5, 1, 2, 5, 10, 20, 50, 100) if len(sweep) and sweep.index[0] <= tick <= sweep.index[-1]
    ]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.set_xticks([], minor=True)
    right.set_ylim(0, 1.02)
    right.yaxis.set_major_formatter(PercentFormatter(1))
    ax.set_xlabel("bandwidth (bytes)")
    ax.set_ylabel("clusters")
    right.set_ylabel("share of packets")
    if not len(sweep) or not sweep["clusters"].any():
        say(ax, "no packets match")
    legend_above(ax, handles=list(handles))
    return ax


def plot_window_sweep(
    sweep: pd.DataFrame, *, chosen: tuple[str | pd.Timedelta, int] | None = None, ax: Axes | None = None
) -> Axes:
    """Draw how many windows each choice makes (numbers), and which share of the packets they keep (shade).

    Question it answers: how many rows will the feature table have, and how much of the traffic do they stand for?

    Parameters
    ----------
    sweep
        From `toolkit.window_sweep`.
    chosen
        A time window and a number of packets of the sweep, whose cell gets a frame.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        With one `QuadMesh`, one text a cell, and one `Rectangle` where a cell is chosen.

    Raises
    ------
    ValueError
        If `chosen` is not in the sweep.

    Examples
    --------
    >>> import toolkit
    >>> sweep = toolkit.window_sweep(toolkit.load_example("obfs4"), "10.77.0.0/24")
    >>> [text.get_text() for text in plot_window_sweep(sweep, chosen=("60s", 50)).texts[:3]]
    ['263', '120', '53']
    """
    kept = sweep["kept"].unstack()
    frame = None if chosen is None else _cell(kept, *chosen)
    ax = new_axes(ax)
    shares, windows = kept.to_numpy(), sweep["windows"].unstack().to_numpy()
    rows, columns = shares.shape
    mesh = ax.pcolormesh(
        np.arange(columns + 1) - 0.5,
        np.arange(rows + 1) - 0.5,
        shares,
        cmap="Blues",
        vmin=0,
        vmax=1,
        edgecolors="white",
        linewidth=1,
    )
    for row in range(rows):
        for column in range(columns):
            dark = bool(shares[row, column] > 0.55)
            ax.text(
                column,
                row,
                _brief(int(windows[row, column])),
                ha="center",
                va="center",
                fontsize=small(),
                color="white" if dark else "black",
            )
    ax.figure.colorbar(mesh, ax=ax, label="packets kept", format=PercentFormatter(1), pad=0.02)
    ax.set_xticks(range(columns), [f"{n:,}" for n in kept.columns])
    ax.set_yticks(range(rows), [seconds(width) for width in kept.index])
    ax.tick_params(length=0)
    ax.set_xlabel("packets in a window")
    ax.set_ylabel("time window")
    if frame is not None:
        row, column = frame
        for width, colour in ((3.5, "white"), (2.0, COLOURS[5])):  # the white one parts it from every shade
            ax.add_patch(
                Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=colour, linewidth=width, clip_on=False)
            )
    note(ax, "numbers: windows made" + ("; framed: chosen" if frame else ""))
    if not windows.any():
        say(ax, "no packets match")
    return ax


def _cell(kept: pd.DataFrame, time_window: str | pd.Timedelta, packet_window: int) -> tuple[int, int]:
    """Give the row and the column of a choice."""
    width = nanoseconds(time_window) / 1e9
    if width not in kept.index or packet_window not in kept.columns:
        widths, sizes = ", ".join(seconds(each) for each in kept.index), ", ".join(f"{n:,}" for n in kept.columns)
        raise ValueError(
            f"`chosen` must be one of the time windows {widths} with one of the packet windows {sizes} of the sweep, "
            f"got {(time_window, packet_window)!r}"
        )
    return list(kept.index).index(width), [*kept.columns].index(packet_window)


def _brief(count: int) -> str:
    """Give a count in at most four characters, so that it fits into its cell.

    Examples
    --------
    >>> _brief(999), _brief(1_234), _brief(98_765), _brief(1_250_000)
    ('999', '1.2k', '99k', '1.2M')
    """
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.1f}{unit}" if count < 9.95 * size else f"{count / size:.0f}{unit}"
    return str(count)
