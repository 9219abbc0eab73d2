"""What goes each way in each time window, over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.patches import StepPatch
from matplotlib.ticker import EngFormatter, FuncFormatter

from toolkit.plots._common import DOWN, FAINT, REST, UP, legend_above, new_axes, note, room, say, seconds
from toolkit.plots.timing import Quantity
from toolkit.windows import nanoseconds

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NEAREST = 6.0
"""Points between two window edges that `plot_direction_timeline` draws; nearer ones would be a grey wall."""


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
