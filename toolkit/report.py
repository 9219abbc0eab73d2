"""One HTML page about a capture, whole in one file: summary, health, charts, tables."""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Callable
from pathlib import Path
from string import Template

import pandas as pd
from matplotlib.figure import Figure

from toolkit import plots
from toolkit._files import atomically
from toolkit._version import __version__
from toolkit.connections import size_sequence
from toolkit.hosts import Networks
from toolkit.overview import Overview, overview
from toolkit.sweeps import bandwidth_sweep, window_sweep
from toolkit.timing import interval_cdf
from toolkit.trace import Trace
from toolkit.windows import client_windows

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
body { font: 16px/1.45 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a;
  background: #fff; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
table { border-collapse: collapse; font-size: 0.85rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2rem 0.6rem; text-align: right; border-bottom: 1px solid #ddd; vertical-align: top; }
th { font-weight: 600; } td:first-child, tbody th { text-align: left; }
.wide { overflow-x: auto; } .note { color: #555; }
figure { margin: 1rem 0; } figcaption { color: #555; font-size: 0.9rem; }
img { max-width: 100%; height: auto; background: #fff; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(24rem, 1fr)); gap: 1rem; }
</style>
</head>
<body>
<h1>$title</h1>
<p class="note">$about</p>
$body
<p class="note">Made by traffic-toolkit $version. $provenance</p>
</body>
</html>
""")


def write_report(trace: Trace, path: str | os.PathLike[str], *, clients: Networks | None = None) -> Path:
    """Write one HTML page about a trace, which holds all its pictures and needs no network.

    Parameters
    ----------
    trace
        Packets.
    path
        Where to write it; an existing file is replaced when the page is whole.
    clients
        Addresses or networks of the clients. If None, the hosts that open connections, which the page says.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    NoClientError
        If no client network holds a host of the trace.

    Examples
    --------
    >>> import tempfile, toolkit
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = write_report(toolkit.load_example("obfs4"), f"{folder}/report.html").read_text("utf-8")
    >>> page.count("<img "), "://" in page
    (7, False)
    """
    page = overview(trace, clients)
    with atomically(path) as temporary:
        temporary.write_text(_render(page), encoding="utf-8")
    return Path(path)


def _render(page: Overview) -> str:
    trace = page.trace
    names = ", ".join(source.name for source in trace.sources)
    health = trace.health()
    found = pd.DataFrame(
        {
            "finding": [finding.name for finding in health.found],
            "found": [f"{finding.count:,} of {finding.of:,} {finding.unit}" for finding in health.found],
            "what it does to the analysis": [finding.meaning for finding in health.found],
        }
    )
    body = [
        "<h2>Summary</h2>",
        _table(trace.summary().to_frame(), header=False),
        "<h2>Health</h2>",
        _table(found, index=False) if len(found) else f"<p>{html.escape(str(health))}</p>",
        "<h2>Overview</h2>",
        _picture(
            lambda figure: plots.plot_trace_overview(page, figure=figure),
            (9, 9),
            "Timeline, payload lengths by cluster, gaps between packets, entropy, busiest pairs",
        ),
        "<h2>Closer</h2>",
        '<div class="charts">',
        *_charts(page),
        "</div>",
        "<h2>Busiest hosts</h2>",
        _table(trace.top_hosts(10)),
        "<h2>Busiest pairs of client and target</h2>",
        _table(page.pairs.head(20)),
        "<h2>Length clusters</h2>",
        f"<p>{html.escape(repr(page.clusters))}</p>",
        _table(page.clusters.to_frame().head(20)),
        "<h2>Features</h2>",
        f"<p>{len(page.features):,} windows of {page.packet_window} packets within {html.escape(page.time_window)} of "
        "one (client, target) pair; over them:</p>",
        _table(page.features.describe().T[["mean", "std", "min", "25%", "50%", "75%", "max"]])
        if len(page.features)
        else "<p>none</p>",
    ]
    who = f"Clients: {', '.join(page.clients)}"
    if page.guessed:
        who += " (not given: the hosts that open more connections than they accept, or all where none does)"
    digests = "; ".join(f"{source.name}: SHA-256 {source.sha256}" for source in trace.sources if source.path)
    return _PAGE.substitute(
        title=html.escape(f"{names}: what a censor could see"),
        about=html.escape(who),
        body="\n".join(body),
        version=__version__,
        provenance=html.escape(digests),
    )


def _charts(page: Overview) -> list[str]:
    """Charts beyond the overview, each with the question that it answers."""
    trace = page.trace.select(clients=page.clients) if len(page.trace) else page.trace
    windows = client_windows(page.trace, page.clients, page.packet_window, time_window=page.time_window)
    gaps = interval_cdf(windows, page.clients)
    sizes = size_sequence(trace, page.clients)
    bandwidths = bandwidth_sweep(trace)
    choices = window_sweep(page.trace, page.clients)
    size = (5, 3.6)
    return [
        _picture(
            lambda figure: plots.plot_interval_cdf(gaps, ax=figure.subplots()),
            size,
            "At which gaps does the traffic pause, and how much of it comes faster?",
        ),
        _picture(
            lambda figure: plots.plot_length_bins(page.features, ax=figure.subplots()),
            size,
            "How large are the packets of each direction?",
        ),
        _picture(
            lambda figure: plots.plot_size_sequence(sizes, ax=figure.subplots()),
            size,
            "Do connections begin alike? A handshake of fixed sizes shows as large discs.",
        ),
        _picture(
            lambda figure: plots.plot_bandwidth_sweep(bandwidths, chosen=page.clusters.bandwidth, ax=figure.subplots()),
            size,
            "Over which bandwidths is the number of length clusters stable?",
        ),
        _picture(
            lambda figure: plots.plot_window_sweep(choices, ax=figure.subplots()),
            size,
            "How many windows does each choice make, and how much of the traffic do they keep?",
        ),
        _picture(
            lambda figure: plots.plot_entropy(page.entropy, ax=figure.subplots()),
            size,
            "Do payloads look random? Within the band of random bytes they show no structure to this measure.",
        ),
    ]


def _picture(draw: Callable[[Figure], object], inches: tuple[float, float], caption: str) -> str:
    figure = Figure(figsize=inches, layout="constrained")
    draw(figure)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=150, metadata={"Software": None})
    data = base64.b64encode(file.getvalue()).decode("ascii")
    words = html.escape(caption)
    return f'<figure><img src="data:image/png;base64,{data}" alt="{words}"><figcaption>{words}</figcaption></figure>'


def _table(table: pd.DataFrame, *, header: bool = True, index: bool = True) -> str:
    written = table.to_html(border=0, header=header, index=index, float_format="{:,.3f}".format)
    return f'<div class="wide">{written}</div>'
