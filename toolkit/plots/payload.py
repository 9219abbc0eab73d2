"""The chart of payload entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from matplotlib.colors import LinearSegmentedColormap, LogNorm

from toolkit.entropy import entropy_ceiling
from toolkit.plots._common import COLOURS, count_labels, legend_above, new_axes, note, say

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from toolkit.entropy import EntropyCounts

_SHADES = LinearSegmentedColormap.from_list("packets", ["#9ECAE1", "#4292C6", "#08519C", "#08306B"])
"""From a blue that shows on white for one packet, darker for more: the order survives a grey printer."""


def plot_entropy(counts: EntropyCounts, *, ax: Axes | None = None) -> Axes:
    """Draw payload entropy against payload length, with what uniform random bytes of that length reach.

    Question it answers: do payloads look random, or have they structure? A payload within the band of random bytes
    shows none to this measure, whatever its entropy: 128 random bytes have 6.5 bits a byte, not 8.

    Parameters
    ----------
    counts
        From `toolkit.entropy_counts`.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        With one `QuadMesh` (cells without packets are masked), the band (5th to 95th percentile of random bytes) and
        its mean.

    Examples
    --------
    >>> import toolkit
    >>> plot_entropy(toolkit.entropy_counts(toolkit.load_example("obfs4"))).get_ylabel()
    'entropy (bits/byte)'
    """
    ax = new_axes(ax)
    cells = counts.cells
    longest = _longest(counts)
    last = int(cells["length"].max()) if len(cells) else 0  # its cell may reach beyond the axis
    length = np.arange(0, last + 2 * counts.length_step, counts.length_step)
    steps = round(8 / counts.entropy_step)
    grid = np.zeros((steps, len(length) - 1))
    level = (cells["entropy"].to_numpy() / counts.entropy_step).round().astype(np.int64)
    grid[level, cells["length"].to_numpy() // counts.length_step] = cells["packets"]
    if len(cells):
        mesh = ax.pcolormesh(
            length,
            np.linspace(0, 8, steps + 1),
            np.ma.masked_equal(grid, 0),
            cmap=_SHADES,
            norm=LogNorm(1, max(int(grid.max()), 2)),
            zorder=1,
        )
        bar = ax.figure.colorbar(mesh, ax=ax, label="packets", pad=0.02)
        count_labels(bar.ax.yaxis, int(grid.max()))
    ceiling = entropy_ceiling(ceiling_lengths(counts))
    where = ceiling.index.to_numpy()
    colour = COLOURS[5]
    ax.fill_between(
        where, ceiling["low"], ceiling["high"], color=colour, alpha=0.3, linewidth=0, label="random: 5–95%", zorder=2
    )
    ax.plot(where, ceiling["mean"], color=colour, linewidth=1, label="random: mean", zorder=3)
    ax.set_xlim(0, longest)
    ax.set_ylim(0, 8.2)
    ax.set_xlabel("payload in the capture (bytes)")
    ax.set_ylabel("entropy (bits/byte)")
    total = max(counts.total_packets, 1)
    said = []
    if counts.left_out_above:
        said.append(f"not shown: {counts.left_out_above / total:.1%} above {counts.max_length:,} bytes")
    if counts.cut:
        said.append(f"{counts.cut / total:.1%} cut by the snap length")
    note(ax, "; ".join(said))
    legend_above(ax, handles=[ax.lines[-1], ax.collections[-1]])
    if not len(cells):
        say(ax, "no packets match")
    return ax


def ceiling_lengths(counts: EntropyCounts) -> npt.NDArray[np.int64]:
    """Give the payload lengths, in bytes, at which the chart has what random bytes reach."""
    return np.unique(np.geomspace(1, _longest(counts), 120).astype(np.int64))


def _longest(counts: EntropyCounts) -> int:
    """Where the axis of lengths ends."""
    lengths = counts.cells["length"]
    return min(int(lengths.max()) + counts.length_step, counts.max_length) if len(lengths) else 100
