"""What the charts draw: heights, places, labels, and what they say when there is nothing to draw."""

from __future__ import annotations

import itertools

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

import toolkit
from toolkit.plots import COLOURS, REST, interval_bin_shares, plot_interval_bins, plot_length_clusters


def bars(ax: plt.Axes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Left edge, width and top of each bar that the one collection holds."""
    (collection,) = ax.collections
    corners = [path.vertices for path in collection.get_paths()]
    left = np.array([c[:, 0].min() for c in corners])
    return left, np.array([np.ptp(c[:, 0]) for c in corners]), np.array([c[:, 1].max() for c in corners])


def test_length_clusters_draws_each_length_in_its_colour() -> None:
    lengths = [0] * 7 + [100] * 5 + [101] * 3 + [600] * 2 + [900] + [1400] * 2
    clusters = toolkit.cluster_lengths(lengths, bandwidth=3)
    ax = plot_length_clusters(clusters, top=2, ax=Figure().subplots())
    left, width, top = bars(ax)
    assert left.tolist() == [99.5, 100.5, 599.5, 899.5]
    assert width.tolist() == [1, 1, 1, 1]
    assert top.tolist() == [5, 3, 2, 1]
    colours = ax.collections[0].get_facecolors()
    expected = [to_rgba(name) for name in (COLOURS[0], COLOURS[0], COLOURS[1], REST)]
    assert np.allclose(colours, expected)
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["100–101 bytes: 72.7%", "600 bytes: 18.2%", "1 more: 9.1%"]
    assert ax.get_legend().get_title().get_text() == "bandwidth 3 bytes; share of packets shown"
    assert ax.get_title(loc="left") == "not shown: 35.0% empty, 10.0% above 1,300 bytes (of 20 packets)"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("length (bytes)", "packets")
    assert ax.get_yscale() == "log"
    low, high = ax.get_xlim()
    assert low < 99.5
    assert high > 900.5
    assert ax.get_ylim()[1] > 5


def test_length_clusters_axis_of_a_trace() -> None:
    trace = toolkit.load_example("trojan")
    ax = plot_length_clusters(toolkit.cluster_lengths(trace, tls_only=True), log=False, ax=Figure().subplots())
    assert ax.get_xlabel() == "TCP payload length, TLS records only (bytes)"
    assert ax.get_yscale() == "linear"
    assert ax.get_ylim()[0] == 0


def test_length_clusters_says_when_there_is_nothing() -> None:
    ax = plot_length_clusters(toolkit.cluster_lengths([0, 0]), ax=Figure().subplots())
    assert [text.get_text() for text in ax.texts] == ["no packets match"]
    assert ax.get_legend() is None


@pytest.mark.parametrize("top", [-1, 8, True])
def test_length_clusters_wrong_top(top: int) -> None:
    with pytest.raises(ValueError, match="`top` must be from 0 to 7"):
        plot_length_clusters(toolkit.cluster_lengths([1]), top=top)


@given(st.lists(st.integers(1, 1300), max_size=60), st.booleans(), st.integers(0, 7))
def test_length_clusters_draws_any_lengths(lengths: list[int], log: bool, top: int) -> None:
    figure = Figure()
    ax = plot_length_clusters(toolkit.cluster_lengths(lengths), log=log, top=top, ax=figure.subplots())
    figure.draw_without_rendering()
    _, _, heights = bars(ax)
    assert heights.sum() == len(lengths)


def table(windows: int, **values: float) -> pd.DataFrame:
    names = [f"bin_{edge}_interval_{side}" for edge in (1000, 10000, 100000, 1000000) for side in ("up", "down")]
    return pd.DataFrame({name: np.full(windows, values.get(name, 0.0)) for name in names})


def test_interval_bin_shares_are_means_of_windows() -> None:
    two = pd.concat([table(1, bin_1000_interval_up=0.5), table(1, bin_1000_interval_up=0.1, bin_10000_interval_down=1)])
    shares = interval_bin_shares(two)
    assert shares["up"].tolist() == pytest.approx([0.3, 0, 0, 0])
    assert shares["down"].tolist() == pytest.approx([0, 0.5, 0, 0])
    assert interval_bin_shares(table(0)).to_numpy().tolist() == np.zeros((4, 2)).tolist()
    with pytest.raises(ValueError, match="no 'bin_1000_interval_up'"):
        interval_bin_shares(pd.DataFrame({"push_ratio_up": [1.0]}))


def test_interval_bins_draws_the_shares() -> None:
    tables = {"a": table(3, bin_1000_interval_up=0.5, bin_1000000_interval_down=0.25), "b": table(2)}
    ax = plot_interval_bins(tables, ax=Figure().subplots())
    heights = [[bar.get_height() for bar in container] for container in ax.containers]
    assert heights == [[0.5, 0, 0, 0], [0, 0, 0, 0.25], [0, 0, 0, 0], [0, 0, 0, 0]]
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["a up (3 windows)", "a down (3 windows)", "b up (2 windows)", "b down (2 windows)"]
    # bars stand side by side in their group: no two overlap
    edges = sorted((bar.get_x(), bar.get_x() + bar.get_width()) for container in ax.containers for bar in container)
    assert all(a[1] <= b[0] + 1e-9 for a, b in itertools.pairwise(edges))
    assert ax.get_ylim() == pytest.approx((0, 0.55))
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["< 1 ms", "1–10 ms", "10–100 ms", "0.1–1 s"]


def test_interval_bins_without_windows_and_with_too_many_tables() -> None:
    ax = plot_interval_bins(table(0), ax=Figure().subplots())
    assert [text.get_text() for text in ax.texts] == ["no windows"]
    for number in (0, 8):
        with pytest.raises(ValueError, match=f"from 1 to 7 feature tables, got {number}"):
            plot_interval_bins({str(i): table(1) for i in range(number)})


def test_a_chart_makes_one_figure_at_most_and_leaves_rcparams_alone() -> None:
    before = dict(mpl.rcParams)
    ax = plot_length_clusters(toolkit.cluster_lengths([1, 2, 3]))
    assert plt.get_fignums() == [ax.figure.number]
    plot_interval_bins(table(1), ax=Figure().subplots())
    assert plt.get_fignums() == [ax.figure.number]
    assert dict(mpl.rcParams) == before
