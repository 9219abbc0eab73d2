"""One page about a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.plots._common import short, small, wrapped
from toolkit.plots.lengths import plot_length_clusters
from toolkit.plots.payload import plot_entropy
from toolkit.plots.timeline import plot_direction_timeline
from toolkit.plots.timing import plot_client_pairs, plot_interval_bins

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from toolkit.overview import Overview


def plot_trace_overview(overview: Overview, *, figure: Figure | None = None) -> Figure:
    """Draw one page about a trace: timeline, length clusters, interval bins, entropy, busiest pairs.

    Question it answers: what is in this capture, and where is it worth looking closer?

    Parameters
    ----------
    overview
        From `toolkit.overview`.
    figure
        Where to draw; a new one of 9 by 9 inches if None. Under 6 inches of width, fewer charts stand side
        by side, and the busiest pairs are 4, not 8.

    Returns
    -------
    Figure
        With the axes in that order (those of the colour bar last).

    Examples
    --------
    >>> import toolkit
    >>> figure = plot_trace_overview(toolkit.overview(toolkit.load_example("obfs4")))
    >>> [ax.get_xlabel() for ax in figure.axes][:2]
    ['time since the first packet (s)', 'TCP payload length (bytes)']
    """
    if figure is None:
        from matplotlib import pyplot

        figure = pyplot.figure(figsize=(9, 9), layout="constrained")
    narrow = figure.get_figwidth() < 6
    axes: dict[str, Axes] = figure.subplot_mosaic(
        # letters are the first of the names; what has long labels gets the whole width where there is little
        "tt;ll;ie;pp" if narrow else "tt;li;ep",
        height_ratios=[0.6, 0.8, 0.9, 1.2] if narrow else [0.7, 1, 1],
    )
    plot_direction_timeline(overview.timeline, ax=axes["t"])
    plot_length_clusters(overview.clusters, top=3, ax=axes["l"])
    plot_interval_bins(overview.features, ax=axes["i"])
    plot_entropy(overview.entropy, ax=axes["e"])
    plot_client_pairs(overview.pairs, top=4 if narrow else 8, ax=axes["p"])
    if narrow and (legend := axes["p"].get_legend()) is not None:
        legend.remove()  # it is that of the timeline
    trace = overview.trace
    names = short(", ".join(source.name for source in trace.sources), 60)
    clients = short(", ".join(overview.clients), 60) + (
        " (the hosts that open connections)" if overview.guessed else ""
    )
    size = max(small(), 9.0)
    held = f"{len(trace):,} packets of {trace.host_count:,} hosts in {trace.duration.total_seconds():,.1f} s"
    lines = (wrapped(figure, words, size=size) for words in (f"{names}: {held}", f"clients: {clients}"))
    figure.suptitle(
        "\n".join(lines),
        fontsize=size,
        ha="left",
        x=0.01,
        parse_math=False,
    )
    return figure
