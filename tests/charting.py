"""Each chart, drawn from a trace into a figure, and what to look for in what was drawn."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.transforms import Bbox

import toolkit
from toolkit.trace import Trace

PAPER: dict[str, Any] = {
    "font.family": ["STIXGeneral", "DejaVu Serif"],
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.title_fontsize": 8,
    "figure.titlesize": 9,
}
"""What a paper asks for, written out again here."""

SETS = ["entropy", "interval", "tcp_len", "psh"]

Draw = Callable[..., Axes | Figure]
"""Takes ``ax=`` or, of a grid, ``figure=``."""


def charts(
    trace: Trace, clients: Sequence[str] | str, labels: Sequence[str] = ("one", "two"), **cut: Any
) -> dict[str, Draw]:
    """Give all charts of a trace by name, each to be called with where to draw it.

    Parameters
    ----------
    trace, clients
        What they show.
    labels
        Of those that compare several: all compare the trace with itself.
    cut
        How `client_features` cuts windows.
    """
    table = toolkit.client_features(trace, clients, **cut)
    windows = toolkit.client_windows(trace, clients, 50)
    gaps = toolkit.interval_cdf(windows, clients)
    tables, counted = dict.fromkeys(labels, table), dict.fromkeys(labels, gaps)
    clusters = toolkit.cluster_lengths(trace)
    timeline, pairs = toolkit.direction_timeline(trace, clients), toolkit.client_pairs(trace, clients)
    sequence, entropy = toolkit.size_sequence(trace, clients), toolkit.entropy_counts(trace)
    bandwidths, sizes = toolkit.bandwidth_sweep(trace), toolkit.window_sweep(trace, clients)
    found: dict[str, Draw] = {
        "plot_length_clusters": lambda **at: toolkit.plot_length_clusters(clusters, **at),
        "plot_length_bins": lambda **at: toolkit.plot_length_bins(tables, **at),
        "plot_interval_bins": lambda **at: toolkit.plot_interval_bins(tables, **at),
        "plot_interval_cdf": lambda **at: toolkit.plot_interval_cdf(counted, **at),
        "plot_direction_timeline": lambda **at: toolkit.plot_direction_timeline(timeline, **at),
        "plot_size_sequence": lambda **at: toolkit.plot_size_sequence(sequence, **at),
        "plot_client_pairs": lambda **at: toolkit.plot_client_pairs(pairs, **at),
        "plot_entropy": lambda **at: toolkit.plot_entropy(entropy, **at),
        "plot_bandwidth_sweep": lambda **at: toolkit.plot_bandwidth_sweep(bandwidths, chosen=3, **at),
        "plot_window_sweep": lambda **at: toolkit.plot_window_sweep(sizes, **at),
        "plot_feature_correlation": lambda **at: toolkit.plot_feature_correlation(
            toolkit.feature_correlation(table, SETS), **at
        ),
    }
    if len(labels) > 1:
        compared = toolkit.compare_features(tables)
        found["plot_feature_comparison"] = lambda **at: toolkit.plot_feature_comparison(
            compared, top=4, columns=2, **at
        )
    page = toolkit.overview(trace, clients)
    found["plot_trace_overview"] = lambda **at: toolkit.plot_trace_overview(page, **at)
    return found


GRIDS = ("plot_feature_comparison", "plot_trace_overview")
SINGLE = (
    "plot_length_clusters",
    "plot_length_bins",
    "plot_interval_bins",
    "plot_interval_cdf",
    "plot_direction_timeline",
    "plot_size_sequence",
    "plot_client_pairs",
    "plot_entropy",
    "plot_bandwidth_sweep",
    "plot_window_sweep",
    "plot_feature_correlation",
)
ALL = (*SINGLE, *GRIDS)


@cache
def sample_charts(name: str = "obfs4", labels: tuple[str, ...] = ("one", "two")) -> dict[str, Draw]:
    """Give all charts of a packaged capture."""
    return charts(toolkit.load_example(name), toolkit.example(name).clients, labels)


def draw(chart: str, drawers: dict[str, Draw], figure: Figure) -> Figure:
    """Draw a chart into a figure of its own."""
    if chart in GRIDS:
        assert drawers[chart](figure=figure) is figure
    else:
        ax = figure.subplots()
        assert drawers[chart](ax=ax) is ax
    return figure


def paper_figure(width: float = 3.335, height: float | None = None) -> Figure:
    """Make a figure of a column (or two); at work in `mpl.rc_context(PAPER)`."""
    return Figure(figsize=(width, height or (0.8 * width if width < 5 else 0.5 * width)), layout="constrained")


def legends(figure: Figure) -> list[Legend]:
    """Legends of a figure and its axes."""
    return [*figure.legends, *(ax.get_legend() for ax in figure.axes if ax.get_legend() is not None)]


def entries(legend: Legend | None) -> list[str]:
    """Texts of a legend, in order."""
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def ticks_within(ax: Axes) -> Iterator[tuple[str, list[Text]]]:
    """Tick labels that are shown, by axis: those of ticks within the limits."""
    for name, axis in (("x", ax.xaxis), ("y", ax.yaxis)):
        low, high = sorted(axis.get_view_interval())
        slack = 1e-9 * max(abs(low), abs(high), 1e-300)
        ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
        yield (
            name,
            [
                label
                for tick in ticks
                if low - slack <= tick.get_loc() <= high + slack
                for label in (tick.label1, tick.label2)
                if label.get_visible() and label.get_text()
            ],
        )


def texts(figure: Figure) -> list[Text]:
    """Every text that is seen; tick labels only where their tick is within the limits."""
    found: list[Text] = []
    behind: set[int] = set()
    for ax in figure.axes:
        shown = {id(label) for _, labels in ticks_within(ax) for label in labels}
        for axis in (ax.xaxis, ax.yaxis):
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                behind |= {id(label) for label in (tick.label1, tick.label2)} - shown
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        if text.get_visible() and text.get_text().strip() and id(text) not in behind:
            found.append(text)
    return found


def overlap(one: Bbox, other: Bbox) -> float:
    """Pixels by which two boxes overlap, in the direction in which it is less; 0 or less if they do not."""
    return min(min(one.x1, other.x1) - max(one.x0, other.x0), min(one.y1, other.y1) - max(one.y0, other.y0))


def layout_problems(figure: Figure, *, drawn: bool = False) -> list[str]:
    """Say which texts are cut by the edge, which legends hide data, which tick labels run into each other."""
    if not drawn:
        figure.draw_without_rendering()
    problems = []
    edge = figure.bbox
    seen = texts(figure)
    for text in seen:
        box = text.get_window_extent()
        beyond = max(edge.x0 - box.x0, edge.y0 - box.y0, box.x1 - edge.x1, box.y1 - edge.y1)
        if beyond > 1:
            problems.append(f"{text.get_text()!r} is cut by {beyond:.1f} pixels")
    for legend in legends(figure):
        for ax in figure.axes:
            if overlap(legend.get_window_extent(), ax.get_window_extent()) > 1:
                problems.append(f"the legend {entries(legend)} lies over data")
    for ax in figure.axes:
        for name, labels in ticks_within(ax):
            boxes = sorted(
                ((label.get_window_extent(), label.get_text()) for label in labels), key=lambda b: (b[0].x0, b[0].y0)
            )
            for (one, first), (other, second) in itertools.combinations(boxes, 2):
                if overlap(one, other) > 0.5:
                    problems.append(f"labels {first!r} and {second!r} of the {name} axis overlap")
    inside = {id(text) for legend in legends(figure) for text in legend.findobj(Text)}
    for legend in legends(figure):
        box = legend.get_window_extent()
        for text in seen:
            if id(text) not in inside and overlap(box, text.get_window_extent()) > 1:
                problems.append(f"the legend {entries(legend)} lies over {text.get_text()!r}")
    return problems
