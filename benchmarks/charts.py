"""How long the charts take, from a trace of a million packets: computing their data, and drawing them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from matplotlib.figure import Figure

import toolkit
from benchmarks import traces
from benchmarks.measure import cpu_here, in_turns
from benchmarks.report import Row

Draw = Callable[[Figure], object]


def _on_axes(plot: Callable[..., object], data: Any, **options: Any) -> Draw:
    return lambda figure: plot(data, ax=figure.subplots(), **options)


def _charts(trace: toolkit.Trace) -> dict[str, tuple[Callable[[], Any], Callable[[Any], Draw]]]:
    """Give for each chart what computes its data, and what draws them."""
    clients = traces.CLIENTS

    def windows() -> toolkit.Windows:
        return toolkit.client_windows(trace, clients, 50, time_window="60s")

    def table() -> Any:
        return toolkit.client_features(trace, clients)

    def compared() -> Any:
        half = len(trace) // 2
        return toolkit.compare_features(
            {"first": toolkit.client_features(trace[:half], clients), "second": table().iloc[len(table()) // 2 :]}
        )

    def simple(name: str, **options: Any) -> Callable[[Any], Draw]:
        return lambda data: _on_axes(getattr(toolkit, name), data, **options)

    return {
        "plot_length_clusters": (lambda: toolkit.cluster_lengths(trace), simple("plot_length_clusters")),
        "plot_length_bins": (table, simple("plot_length_bins")),
        "plot_interval_bins": (table, simple("plot_interval_bins")),
        "plot_interval_cdf": (lambda: toolkit.interval_cdf(windows(), clients), simple("plot_interval_cdf")),
        "plot_direction_timeline": (
            lambda: toolkit.direction_timeline(trace, clients),
            simple("plot_direction_timeline"),
        ),
        "plot_direction_timeline, 10,000 windows": (
            lambda: toolkit.direction_timeline(trace, clients, trace.duration / 10_000),
            simple("plot_direction_timeline"),
        ),
        "plot_size_sequence": (lambda: toolkit.size_sequence(trace, clients), simple("plot_size_sequence")),
        "plot_client_pairs": (lambda: toolkit.client_pairs(trace, clients), simple("plot_client_pairs")),
        "plot_entropy": (lambda: toolkit.entropy_counts(trace), simple("plot_entropy")),
        "plot_bandwidth_sweep": (lambda: toolkit.bandwidth_sweep(trace), simple("plot_bandwidth_sweep", chosen=3)),
        "plot_window_sweep": (lambda: toolkit.window_sweep(trace, clients), simple("plot_window_sweep")),
        "plot_feature_comparison": (
            compared,
            lambda data: lambda figure: toolkit.plot_feature_comparison(data, figure=figure),
        ),
        "plot_feature_correlation, 55 features": (
            lambda: toolkit.feature_correlation(table()),
            simple("plot_feature_correlation"),
        ),
    }


def _drawn(draw: Draw, inches: tuple[float, float] = (7, 4)) -> None:
    """Draw a chart and render it as a notebook shows it."""
    figure = Figure(figsize=inches, layout="constrained", dpi=100)
    draw(figure)
    figure.savefig(io.BytesIO(), format="png")


def charts(quick: bool) -> Iterator[Row]:
    """Draw each chart after its data, and the overview with them."""
    packets = 100_000 if quick else 1_000_000
    repeats = 3 if quick else 9
    path: Path = traces.capture(traces.LARGE, packets)
    trace = toolkit.read(path)
    for name, (compute, drawing) in _charts(trace).items():
        data = compute()  # compiles what is not compiled
        draw = drawing(data)
        _drawn(draw)
        cases = {
            "data": lambda compute=compute: cpu_here(compute),
            "drawn": lambda draw=draw: cpu_here(lambda: _drawn(draw)),
        }
        samples = in_turns(cases, repeats)
        took = f"data {1e3 * median(samples['data']):,.0f} ms"
        yield Row("charts", name, 1e3 * median(samples["drawn"]), "ms", 300, detail=took, samples=samples)

    def whole() -> None:
        page = toolkit.overview(trace, traces.CLIENTS)
        _drawn(lambda figure: toolkit.plot_trace_overview(page, figure=figure), (7, 8))

    whole()
    values = [cpu_here(whole) for _ in range(repeats)]
    what = f"plot_trace_overview of {packets:,} packets, data included"
    yield Row("charts", what, median(values), "s", 2, samples={"overview": values})
    yield _against_bars(toolkit.cluster_lengths(trace), repeats)


def _against_bars(clusters: toolkit.LengthClusters, repeats: int) -> Row:
    """Compare to what a notebook would do without: a patch a bar."""

    def bars(figure: Figure) -> None:
        ax = figure.subplots()
        ax.bar(clusters.unique_lengths, clusters.counts, width=1, color=[f"C{label % 10}" for label in clusters.labels])
        ax.set_yscale("log")

    cases = {
        "toolkit": lambda: cpu_here(lambda: _drawn(_on_axes(toolkit.plot_length_clusters, clusters))),
        "ax.bar": lambda: cpu_here(lambda: _drawn(bars)),
    }
    samples = in_turns(cases, repeats)
    middle = {name: median(values) for name, values in samples.items()}
    detail = f"toolkit {1e3 * middle['toolkit']:.0f} ms, ax.bar {1e3 * middle['ax.bar']:.0f} ms"
    what = f"plot_length_clusters of {len(clusters.unique_lengths):,} lengths: faster than ax.bar"
    return Row("charts", what, middle["ax.bar"] / middle["toolkit"], "×", None, True, detail, samples)
