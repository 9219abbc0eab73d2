"""One page about a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.plots._common import short, small, wrapped
from toolkit.plots.lengths import plot_length_clusters
from toolkit.plots.payload import plot_entropy
from toolkit.plots.timing import plot_client_pairs, plot_direction_timeline, plot_interval_bins

if TYPE_CHECKING:
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
        Where to draw; a new one of 9 by 9 inches if None.

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
    axes = figure.subplot_mosaic(
        [["timeline", "timeline"], ["lengths", "intervals"], ["entropy", "pairs"]], height_ratios=[0.7, 1, 1]
    )
    plot_direction_timeline(overview.timeline, ax=axes["timeline"])
    plot_length_clusters(overview.clusters, top=3, ax=axes["lengths"])
    plot_interval_bins(overview.features, ax=axes["intervals"])
    plot_entropy(overview.entropy, ax=axes["entropy"])
    plot_client_pairs(overview.pairs, ax=axes["pairs"])
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
