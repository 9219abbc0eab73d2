"""What holds for every chart: figures, settings, sizes of text, room for it, and whatever data there are."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from functools import cache
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from charting import (
    ALL,
    GRIDS,
    PAPER,
    SINGLE,
    charts,
    draw,
    entries,
    layout_problems,
    legends,
    paper_figure,
    sample_charts,
    texts,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from making import from_capture
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from reference import TCP, UDP, Packet

import toolkit

YEAR = 365 * 86_400 * 10**9
HEIGHTS = {"plot_trace_overview": 8.0}


def figure_of(chart: str, width: float) -> Figure:
    return paper_figure(7 if chart == "plot_trace_overview" else width, HEIGHTS.get(chart))


@pytest.mark.parametrize("chart", ALL)
def test_figures_and_settings(chart: str) -> None:
    drawers = sample_charts()
    before = dict(mpl.rcParams)
    draw(chart, drawers, Figure())  # which asserts that what was given comes back
    assert plt.get_fignums() == []
    made = drawers[chart]()
    assert len(plt.get_fignums()) == 1
    assert (made if chart in GRIDS else made.figure) is plt.figure(plt.get_fignums()[0])
    assert dict(mpl.rcParams) == before
    with mpl.rc_context({"font.size": 17, "axes.labelsize": "x-small"}):
        inside = dict(mpl.rcParams)
        draw(chart, drawers, Figure())
        assert dict(mpl.rcParams) == inside
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("chart", ALL)
@pytest.mark.parametrize("size", [6, 8, 9, 12])
def test_no_small_print_under_8_points(chart: str, size: int) -> None:
    with mpl.rc_context(PAPER | {"font.size": size}):
        figure = draw(chart, sample_charts(), Figure(figsize=(7, 8)))
        figure.draw_without_rendering()
        assert [
            text.get_text() for text in texts(figure) if text.get_fontsize() < 8 and text.get_fontsize() != size
        ] == []
        for legend in legends(figure):
            assert all(text.get_fontsize() >= 8 for text in legend.get_texts())
        if size == 9:
            assert min(text.get_fontsize() for text in texts(figure)) >= 8


@pytest.mark.parametrize(("sample", "width"), [("obfs4", 3.335), ("obfs4", 7), ("https_chromium", 3.335)])
@pytest.mark.parametrize("chart", ALL)
def test_nothing_is_cut_or_hidden(chart: str, width: float, sample: str) -> None:
    with mpl.rc_context(PAPER):
        assert layout_problems(draw(chart, sample_charts(sample), figure_of(chart, width))) == []


@pytest.mark.parametrize("venue", ["usenix", "acm", "ieee", "lncs"])
def test_no_overview_is_cut_in_a_paper(venue: toolkit.figures.Venue) -> None:
    with toolkit.paper(venue, 2):
        width = toolkit.paper_width(venue, 2)
        assert layout_problems(draw("plot_trace_overview", sample_charts(), Figure((width, 1.15 * width)))) == []


@pytest.mark.parametrize("chart", ["plot_trace_overview", "plot_feature_comparison"])
def test_nothing_is_cut_in_a_figure_of_its_own(chart: str) -> None:
    assert layout_problems(sample_charts()[chart]()) == []


def packet(
    number: int, time: int, *, up: bool = True, size: int = 100, protocol: int = TCP, v6: bool = False
) -> Packet:
    ends = ("2001:db8:1111:2222:3333:4444:5555:6666", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff")
    client, target = ends if v6 else ("10.0.0.1", "192.0.2.9")
    return Packet(
        time_ns=time,
        src=client if up else target,
        dst=target if up else client,
        protocol=protocol,
        ip_length=(40 if v6 else 20) + (20 if protocol == TCP else 8) + size,
        src_port=40_001 if up else 443,
        dst_port=443 if up else 40_001,
        tcp_seq=number * 1500 if protocol == TCP else 0,
        tcp_ack=0,
        tcp_flags=16 if protocol == TCP else 0,
        payload=random.Random(number).randbytes(size),
        payload_length=size,
        ttl=64,
        tls_type=0,
    )


UGLY: dict[str, list[Packet]] = {
    "one packet": [packet(0, 0)],
    "one value": [packet(i, 0) for i in range(60)],
    "up only": [packet(i, i * 10**7) for i in range(60)],
    "down only": [packet(i, i * 10**7, up=False) for i in range(60)],
    "UDP only": [packet(i, i * 10**7, up=i % 2 == 0, protocol=UDP) for i in range(120)],
    "IPv6": [packet(i, i * 10**7, up=i % 2 == 0, v6=True) for i in range(120)],
    "140 years": [packet(i, i * YEAR, up=i % 2 == 0) for i in range(140)],
    "no payload": [packet(i, i * 10**7, up=i % 2 == 0, size=0) for i in range(120)],
    "125 clusters": [packet(i, i * 10**7, up=i % 2 == 0, size=7 + i * 10) for i in range(125)],
}


def draw_all(drawers: dict[str, Any]) -> None:
    """Draw each, and look whether it fits and says what it shows."""
    with mpl.rc_context(PAPER):
        for chart in drawers:
            figure = draw(chart, drawers, figure_of(chart, 3.335))
            assert layout_problems(figure) == [], chart
            if chart != "plot_feature_correlation":  # its cells are named, and its colour bar says what they are
                assert figure.axes[0].get_xlabel()
                assert figure.axes[0].get_ylabel() or chart == "plot_client_pairs"


@pytest.mark.parametrize("kind", UGLY)
def test_ugly_traces(kind: str) -> None:
    drawers = charts(from_capture(UGLY[kind]), ["10.0.0.1", "2001:db8:1111::/48"][kind == "IPv6"])
    draw_all(drawers)
    if kind == "125 clusters":
        (legend,) = legends(draw("plot_length_clusters", drawers, Figure()))
        assert len(entries(legend)) == 7
        assert entries(legend)[-1] == "119 more: 95.2%"


def test_no_packets() -> None:
    trace = toolkit.load_example("obfs4")
    drawers = charts(trace[np.zeros(len(trace), bool)], "10.77.0.0/24")
    draw_all(drawers)
    for chart in SINGLE:
        figure = draw(chart, drawers, Figure())
        words = "no windows" if chart in ("plot_length_bins", "plot_interval_bins") else "no packets match"
        assert words in [text.get_text() for ax in figure.axes for text in ax.texts], chart
        assert [entry for legend in legends(figure) for entry in entries(legend) if "nan" in entry] == []


@given(
    st.lists(
        st.builds(
            packet,
            st.integers(0, 50),
            st.integers(0, 3 * 10**9) | st.integers(0, 110 * YEAR),
            up=st.booleans(),
            size=st.sampled_from([0, 1, 99, 100, 1300, 1448, 1501, 9000]) | st.integers(1, 1500),
            protocol=st.sampled_from([TCP, TCP, TCP, UDP]),
        ),
        min_size=1,
        max_size=70,
    )
)
@settings(max_examples=4, deadline=None, derandomize=True)
def test_any_trace(packets: Sequence[Packet]) -> None:
    drawers = charts(from_capture(packets), "10.0.0.1", time_window="1s", packet_window=5)
    for chart in drawers:
        draw(chart, drawers, figure_of(chart, 3.335)).draw_without_rendering()


NASTY = [
    ("a$b$c_{", "_hidden"),
    ("$" * 200, "_" * 200),
    ("x" * 200, "W" * 200),
    ("many words " * 20, "viele Wörter " * 16),
    ("100% \\alpha^{_", "%s {} \\frac{1}"),
    ("שלום עולם " * 20, "مرحبا"),
    ("\\$5", "tab\tand\nline"),
    ("", " "),
    tuple(f"capture of the {i} day of a long measurement" for i in range(7)),
]


@cache
def measured() -> tuple[pd.DataFrame, pd.DataFrame]:
    trace, clients = toolkit.load_example("obfs4"), "10.77.0.0/24"
    windows = toolkit.client_windows(trace, clients, 50)
    return toolkit.client_features(trace, clients), toolkit.interval_cdf(windows, clients)


@pytest.mark.parametrize("labels", NASTY, ids=[str(i) for i in range(len(NASTY))])
def test_any_label(labels: tuple[str, ...]) -> None:
    table, gaps = measured()
    compared = toolkit.compare_features(dict.fromkeys(labels, table))
    drawers = {
        "plot_length_bins": lambda ax: toolkit.plot_length_bins(dict.fromkeys(labels, table), ax=ax),
        "plot_interval_bins": lambda ax: toolkit.plot_interval_bins(dict.fromkeys(labels, table), ax=ax),
        "plot_interval_cdf": lambda ax: toolkit.plot_interval_cdf(dict.fromkeys(labels, gaps), ax=ax),
        "plot_feature_comparison": lambda figure: toolkit.plot_feature_comparison(
            compared, top=2, columns=2, figure=figure
        ),
    }
    with mpl.rc_context(PAPER | {"font.family": ["STIXGeneral", "DejaVu Sans"]}):
        for chart in drawers:
            for width in (3.335, 7):
                figure = draw(chart, drawers, paper_figure(width, 4.5 if len(labels) == 7 else 3))
                if width < 7:
                    figure.savefig(io.BytesIO(), dpi="figure")
                assert layout_problems(figure, drawn=width < 7) == []
                (legend,) = legends(figure)
                shown = entries(legend)[: len(labels)]
                for label, entry in zip(labels, shown, strict=True):
                    start = " ".join(label.split())[:8]
                    assert entry.replace("\n", "").replace(" ", "").startswith(start.replace(" ", ""))
                assert not any(text.get_parse_math() for text in legend.get_texts())
                if labels[0].strip():
                    assert len(set(shown)) == len(labels)  # shortened, they are still told apart


@given(
    st.lists(
        st.text(st.characters(codec="latin-1", exclude_categories=["C"]), max_size=200),
        min_size=2,
        max_size=7,
        unique=True,
    )
)
@settings(max_examples=10, deadline=None, derandomize=True)
def test_any_text_as_a_label(labels: list[str]) -> None:
    table, _ = measured()
    with mpl.rc_context(PAPER):
        figure = paper_figure(3.335, 5)
        ax = toolkit.plot_interval_bins(dict.fromkeys(labels, table), ax=figure.subplots())
        figure.draw_without_rendering()
        assert len(entries(ax.get_legend())) == len(labels) + 2


def test_names_of_files_are_shown_as_they_are(tmp_path: Any) -> None:
    path = tmp_path / ("a$b$c_{" + "W" * 80 + ".pcap")
    path.write_bytes(toolkit.example("obfs4").path.read_bytes())
    page = toolkit.overview(toolkit.read(path))
    with mpl.rc_context(PAPER):
        figure = draw(
            "plot_trace_overview",
            {"plot_trace_overview": lambda figure: toolkit.plot_trace_overview(page, figure=figure)},
            paper_figure(7, 8),
        )
        assert layout_problems(figure) == []
        assert figure.get_suptitle().startswith("a$b$c_{")
