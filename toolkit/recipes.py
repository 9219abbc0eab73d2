"""How each of the standard figures is made: what is computed from which captures, how it is drawn, what it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import pandas as pd
from matplotlib.figure import Figure

from toolkit import plots
from toolkit.capture.reader import read
from toolkit.comparison import compare_features, feature_correlation, interval_bin_shares, length_bin_shares
from toolkit.connections import size_sequence
from toolkit.datasets import example
from toolkit.entropy import EntropyCounts, entropy_ceiling, entropy_counts
from toolkit.features import client_features
from toolkit.lengths import LengthClusters, cluster_lengths
from toolkit.overview import overview
from toolkit.plots.payload import ceiling_lengths
from toolkit.sweeps import bandwidth_sweep, window_sweep
from toolkit.timing import direction_timeline, interval_cdf
from toolkit.trace import Trace
from toolkit.windows import client_windows

SAMPLES = ("obfs4", "meek", "shadowsocks", "https")
"""The packaged captures that the standard set is made of, the one in question first."""

Data: TypeAlias = pd.DataFrame | Mapping[str, pd.DataFrame]


@dataclass(frozen=True, eq=False)
class Capture:
    """A trace with what a figure must know of it.

    Attributes
    ----------
    label
        What the traffic is called in legends.
    trace
        All packets of one file.
    clients
        Addresses or networks of the clients.
    """

    label: str
    trace: Trace
    clients: tuple[str, ...]


@dataclass(frozen=True)
class Options:
    """What the standard figures depend on besides the captures: see `toolkit.client_features`, `cluster_lengths`."""

    bandwidth: float = 3.0
    time_window: str = "60s"
    packet_window: int = 50


class Drawing(NamedTuple):
    """What is drawn, and how."""

    data: Data
    draw: Callable[[Figure], object]


@dataclass(frozen=True)
class Recipe:
    """One of the standard figures.

    Attributes
    ----------
    columns
        Columns of the page that it takes.
    height
        Over its width.
    caption
        What it shows and the question it answers.
    compute
        From the captures (the one in question first) to the drawing.
    compares
        Whether all captures are drawn, or the first only.
    fewest
        Captures that it needs.
    """

    columns: Literal[1, 2]
    height: float
    caption: str
    compute: Callable[[Sequence[Capture], Options], Drawing]
    compares: bool = False
    fewest: int = 1


def _features(capture: Capture, options: Options) -> pd.DataFrame:
    table = client_features(
        capture.trace, capture.clients, time_window=options.time_window, packet_window=options.packet_window
    )
    # the logarithms of one processor differ from those of another in the last bit, and ranks would show it
    return table.round(9)


def _tables(captures: Sequence[Capture], options: Options) -> dict[str, pd.DataFrame]:
    return {capture.label: _features(capture, options) for capture in captures}


def _length_clusters(captures: Sequence[Capture], options: Options) -> Drawing:
    first = captures[0]
    found = cluster_lengths(first.trace.select(clients=first.clients), bandwidth=options.bandwidth)
    return Drawing(_histogram(found), lambda figure: plots.plot_length_clusters(found, top=5, ax=figure.subplots()))


def _histogram(found: LengthClusters) -> pd.DataFrame:
    columns = {"length": found.unique_lengths, "packets": found.counts, "cluster": found.labels}
    return pd.DataFrame(columns).set_index("length")


def _length_bins(captures: Sequence[Capture], options: Options) -> Drawing:
    tables = _tables(captures, options)
    data = {label: length_bin_shares(table) for label, table in tables.items()}
    return Drawing(data, lambda figure: plots.plot_length_bins(tables, ax=figure.subplots()))


def _interval_bins(captures: Sequence[Capture], options: Options) -> Drawing:
    tables = _tables(captures, options)
    data = {label: interval_bin_shares(table) for label, table in tables.items()}
    return Drawing(data, lambda figure: plots.plot_interval_bins(tables, ax=figure.subplots()))


def _interval_cdf(captures: Sequence[Capture], options: Options) -> Drawing:
    counts = {
        capture.label: interval_cdf(
            client_windows(capture.trace, capture.clients, options.packet_window, time_window=options.time_window),
            capture.clients,
        )
        for capture in captures
    }
    return Drawing(counts, lambda figure: plots.plot_interval_cdf(counts, ax=figure.subplots()))


def _direction_timeline(captures: Sequence[Capture], options: Options) -> Drawing:
    timeline = direction_timeline(captures[0].trace, captures[0].clients)
    return Drawing(timeline, lambda figure: plots.plot_direction_timeline(timeline, ax=figure.subplots()))


def _size_sequence(captures: Sequence[Capture], options: Options) -> Drawing:
    sequence = size_sequence(captures[0].trace, captures[0].clients)
    return Drawing(sequence, lambda figure: plots.plot_size_sequence(sequence, ax=figure.subplots()))


def _entropy(captures: Sequence[Capture], options: Options) -> Drawing:
    counts = entropy_counts(captures[0].trace.select(clients=captures[0].clients))
    return Drawing(_entropy_data(counts), lambda figure: plots.plot_entropy(counts, ax=figure.subplots()))


def _entropy_data(counts: EntropyCounts) -> dict[str, pd.DataFrame]:
    return {"packets": counts.cells, "random bytes": entropy_ceiling(ceiling_lengths(counts))}


def _bandwidth_sweep(captures: Sequence[Capture], options: Options) -> Drawing:
    sweep = bandwidth_sweep(captures[0].trace.select(clients=captures[0].clients))
    return Drawing(
        sweep, lambda figure: plots.plot_bandwidth_sweep(sweep, chosen=options.bandwidth, ax=figure.subplots())
    )


def _window_sweep(captures: Sequence[Capture], options: Options) -> Drawing:
    sweep = window_sweep(captures[0].trace, captures[0].clients)
    return Drawing(sweep, lambda figure: plots.plot_window_sweep(sweep, ax=figure.subplots()))


def _feature_comparison(captures: Sequence[Capture], options: Options) -> Drawing:
    compared = compare_features(_tables(captures, options))
    top = compared.distances.head(8)
    curves = compared.curves[compared.curves["feature"].isin(top.index)].set_index(["feature", "label"])
    return Drawing(
        {"distance": top, "curve": curves}, lambda figure: plots.plot_feature_comparison(compared, figure=figure)
    )


def _feature_correlation(captures: Sequence[Capture], options: Options) -> Drawing:
    table = pd.concat(_tables(captures, options).values())
    correlation = feature_correlation(table, ["entropy", "interval", "tcp_len", "psh"])
    return Drawing(correlation, lambda figure: plots.plot_feature_correlation(correlation, ax=figure.subplots()))


def _trace_overview(captures: Sequence[Capture], options: Options) -> Drawing:
    first = captures[0]
    page = overview(
        first.trace,
        first.clients,
        bandwidth=options.bandwidth,
        time_window=options.time_window,
        packet_window=options.packet_window,
    )
    data = {
        "timeline": page.timeline,
        "length clusters": _histogram(page.clusters),
        "interval bins": interval_bin_shares(page.features),
        "entropy": page.entropy.cells,
        "random bytes": entropy_ceiling(ceiling_lengths(page.entropy)),
        "pairs": page.pairs.head(8),
    }
    return Drawing(data, lambda figure: plots.plot_trace_overview(page, figure=figure))


RECIPES: dict[str, Recipe] = {
    "length-clusters": Recipe(
        1, 0.8,
        "TCP payload lengths of {first}, a bar a length, coloured by mean-shift cluster at a bandwidth of "
        "{bandwidth:g} bytes. Which lengths occur often, and which belong together?",
        _length_clusters,
    ),
    "length-bins": Recipe(
        1, 0.75,
        "Share of TCP packets by payload length, up above zero and down below, as the mean over windows. How large are "
        "the packets of each direction, and does that differ?",
        _length_bins,
        compares=True,
    ),
    "interval-bins": Recipe(
        1, 0.8,
        "Share of TCP packets by the gap to the one before, as the mean over windows. Gaps of 1 s and more are in no "
        "bin, nor is the first packet of a window. Are packets sent back to back, at the pace of the path, or held "
        "back by a timer?",
        _interval_bins,
        compares=True,
    ),
    "interval-cdf": Recipe(
        1, 0.85,
        "Distribution of the gaps between packets, up (solid) and down (dashed); the vertical lines are the edges of "
        "the interval bins. At which gaps does a protocol pause?",
        _interval_cdf,
        compares=True,
    ),
    "direction-timeline": Recipe(
        2, 0.32,
        "Bytes that {first} sends up and down in each time window. When is traffic sent, and in which direction?",
        _direction_timeline,
    ),
    "size-sequence": Recipe(
        1, 0.75,
        "Payload sizes of the first data packets of each connection of {first}; the area of a disc is the share of "
        "connections. Do connections begin alike?",
        _size_sequence,
    ),
    "entropy": Recipe(
        1, 0.75,
        "Entropy of each payload of {first} over its length, with what uniform random bytes of that length reach. Do "
        "payloads look random, or have they structure?",
        _entropy,
    ),
    "bandwidth-sweep": Recipe(
        1, 0.75,
        "Length clusters of {first} over the bandwidth: their number, how many hold 90% of the packets, and the share "
        "of the five largest. Where is the number stable?",
        _bandwidth_sweep,
    ),
    "window-sweep": Recipe(
        1, 0.7,
        "Windows made of {first} (numbers) and packets kept (shade) for each choice of window sizes. How many rows "
        "will the feature table have, and for how much of the traffic do they stand?",
        _window_sweep,
    ),
    "feature-comparison": Recipe(
        2, 0.55,
        "The features that tell the traces apart best, by the Kolmogorov-Smirnov distance D (grey bar) of the two "
        "curves farthest apart. Which single feature separates them?",
        _feature_comparison,
        compares=True,
        fewest=2,
    ),
    "feature-correlation": Recipe(
        1, 0.95,
        "Spearman correlation of features over the windows of all traces. Which say the same?",
        _feature_correlation,
        compares=True,
    ),
    "trace-overview": Recipe(
        2, 1.15,
        "One page about {first}. What is in this capture, and where is it worth looking closer?",
        _trace_overview,
    ),
}  # fmt: skip
"""The standard figures by name, in the order of the index page."""


def sample_captures() -> list[Capture]:
    """Give the packaged captures that the standard set is made of; of proxies, the clients that used one."""
    samples = [example(name) for name in SAMPLES]
    return [Capture(s.name, read(s.path), s.proxied_clients or s.clients) for s in samples]
