"""What the charts draw of entropy, sweeps, features and a whole trace, against numbers worked out here."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from charting import entries, layout_problems, ticks_within
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection, QuadMesh
from matplotlib.colors import LogNorm, to_hex
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from scipy.optimize import isotonic_regression
from scipy.stats import ks_2samp

import toolkit
from toolkit.plots import (
    plot_bandwidth_sweep,
    plot_entropy,
    plot_feature_comparison,
    plot_feature_correlation,
    plot_trace_overview,
    plot_window_sweep,
)
from toolkit.plots.features import _spread

BLUE, ORANGE, GREEN, RED, GREY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#bbbbbb"


def new() -> Axes:
    return Figure().subplots()


def only(ax: Axes, kind: type) -> Any:
    (found,) = (each for each in ax.collections if isinstance(each, kind))
    return found


def filled(mesh: QuadMesh) -> dict[tuple[float, float], float]:
    """Middle of each cell that is not masked, and its value."""
    corners = mesh.get_coordinates()
    middle = (corners[:-1, :-1] + corners[1:, 1:]) / 2
    values = np.ma.asarray(mesh.get_array()).reshape(middle.shape[:2])
    shown = ~np.ma.getmaskarray(values)
    places = middle[shown].round(6).tolist()
    return {(x, y): value for (x, y), value in zip(places, values.data[shown].tolist(), strict=True)}


def made_entropy(**changed: Any) -> toolkit.EntropyCounts:
    cells = pd.DataFrame({"length": [0, 100, 100], "entropy": [0.0, 6.5, 7.9], "packets": [3, 40, 7]})
    options = {"length_step": 20, "entropy_step": 0.1, "max_length": 1500, "left_out_above": 0, "cut": 0}
    return toolkit.EntropyCounts(**{"cells": cells, **options, **changed})


def test_entropy() -> None:
    ax = plot_entropy(made_entropy(), ax=new())
    mesh = only(ax, QuadMesh)
    assert filled(mesh) == {(10, 0.05): 3, (110, 6.55): 40, (110, 7.95): 7}
    assert mesh.get_array().size == 6 * 80  # as far as there are packets; all others are masked
    assert isinstance(mesh.norm, LogNorm)
    assert (mesh.norm.vmin, mesh.norm.vmax) == (1, 40)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("payload in the capture (bytes)", "entropy (bits/byte)")
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 120), (0, 8.2))
    assert entries(ax.get_legend()) == ["random: mean", "random: 5–95%"]
    assert ax.get_title(loc="left") == ""
    assert ax.figure.axes[1].get_ylabel() == "packets"
    (line,) = ax.lines
    lengths = line.get_xdata().tolist()
    assert (lengths[0], lengths[-1]) == (1, 120)
    ceiling = toolkit.entropy_ceiling(lengths)
    assert line.get_ydata() == pytest.approx(ceiling["mean"].to_numpy())
    band = only(ax, PolyCollection).get_paths()[0].vertices
    for place, length in enumerate(lengths):
        heights = band[band[:, 0] == length][:, 1]
        assert (heights.min(), heights.max()) == pytest.approx(tuple(ceiling[["low", "high"]].iloc[place]))
    assert to_hex(line.get_color()) == RED


def test_entropy_notes_what_is_not_shown() -> None:
    ax = plot_entropy(made_entropy(left_out_above=50, cut=5), ax=Figure(figsize=(9, 5)).subplots())
    assert ax.get_title(loc="left") == "not shown: 50.0% above 1,500 bytes; 5.0% cut by the snap length"
    ax = plot_entropy(made_entropy(cut=5), ax=new())
    assert ax.get_title(loc="left") == "10.0% cut by the snap length"


def test_bandwidth_sweep() -> None:
    rows = {"clusters": [40, 9, 2], "clusters_90": [20, 5, 1], "top3_share": [0.2, 0.5, 1.0]}
    sweep = pd.DataFrame(rows, index=pd.Index([0.5, 4.0, 60.0], name="bandwidth"))
    ax = plot_bandwidth_sweep(sweep, chosen=4, ax=new())
    every, most, chosen = ax.lines
    left, right = ax.figure.axes
    assert left is ax
    assert right.get_shared_x_axes().joined(ax, right)
    (share,) = right.lines
    for line, values, colour in ((every, [40, 9, 2], BLUE), (most, [20, 5, 1], GREEN), (share, [0.2, 0.5, 1], RED)):
        assert line.get_xdata().tolist() == [0.5, 4, 60]
        assert line.get_ydata().tolist() == values
        assert to_hex(line.get_color()) == colour
    assert chosen.get_xdata() == [4, 4]
    assert entries(ax.get_legend()) == ["all clusters", "clusters for 90%", "share of 3 largest", "chosen: 4"]
    drawn = [(to_hex(each.get_color()), each.get_linestyle()) for each in ax.get_legend().get_lines()]
    assert drawn == [(BLUE, "-"), (GREEN, "-."), (RED, "--"), ("#000000", ":")]
    assert (ax.get_xscale(), ax.get_yscale(), right.get_yscale()) == ("log", "log", "linear")
    assert ax.get_ylim() == pytest.approx((0.8, 60))
    assert right.get_ylim() == (0, 1.02)
    assert right.yaxis.get_major_formatter()(0.5, 0) == "50%"
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0.5", "1", "2", "5", "10", "20", "50"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("bandwidth (bytes)", "clusters")
    assert right.get_ylabel() == "share of packets"
    assert right.spines["right"].get_visible()
    low, high = ax.get_xlim()
    assert low <= 0.5
    assert high >= 60
    assert len(plot_bandwidth_sweep(sweep, ax=new()).lines) == 2


@pytest.mark.parametrize("columns", [["clusters"], ["top5_share"], ["clusters", "top1_share", "top2_share"]])
def test_bandwidth_sweep_of_another_table(columns: list[str]) -> None:
    table = pd.DataFrame(1.0, index=[1.0], columns=columns)
    with pytest.raises(ValueError, match=f"`sweep` must come from `bandwidth_sweep`, got a table of {columns[0]}"):
        plot_bandwidth_sweep(table)


def test_window_sweep() -> None:
    index = pd.MultiIndex.from_product([[0.001, 60.0], [5, 1000, 2000]], names=["time_window", "packet_window"])
    rows = {"windows": [7, 0, 1234, 98_765, 1_250_000, 2], "packets": 0, "kept": [0.1, 0.0, 0.9, 0.54, 0.56, 1.0]}
    ax = plot_window_sweep(pd.DataFrame(rows, index=index), ax=new())
    mesh = only(ax, QuadMesh)
    cells = {(0, 0): 0.1, (1, 0): 0.0, (2, 0): 0.9, (0, 1): 0.54, (1, 1): 0.56, (2, 1): 1.0}
    assert filled(mesh) == cells
    assert (mesh.norm.vmin, mesh.norm.vmax) == (0, 1)
    texts = {text.get_position(): (text.get_text(), text.get_color()) for text in ax.texts}
    numbers = ["7", "0", "1.2k", "99k", "1.2M", "2"]
    colours = ["black", "black", "white", "black", "white", "white"]
    assert texts == dict(zip(cells, zip(numbers, colours, strict=True), strict=True))
    assert [label.get_text() for label in ax.get_xticklabels()] == ["5", "1,000", "2,000"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["1 ms", "60 s"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("packets in a window", "time window")
    assert ax.get_title(loc="left") == "numbers: windows made"
    bar = ax.figure.axes[1]
    assert bar.get_ylabel() == "packets kept"
    assert bar.yaxis.get_major_formatter()(0.25, 0) == "25%"


def test_window_sweep_frames_the_chosen_cell() -> None:
    sweep = toolkit.window_sweep(toolkit.load_example("obfs4"), "10.77.0.0/24")
    assert plot_window_sweep(sweep, ax=new()).patches[:] == []
    for width in ("15s", pd.Timedelta(seconds=15), "15000ms"):
        ax = plot_window_sweep(sweep, chosen=(width, 50), ax=new())
        frames = ax.patches[:]
        assert {frame.get_bbox().bounds for frame in frames} == {(2.5, 1.5, 1, 1)}  # 5, 10, 20, 50; 1 s, 5 s, 15 s
        assert not any(frame.get_fill() for frame in frames)
        assert to_hex(frames[-1].get_edgecolor()) == RED
        assert ax.get_title(loc="left") == "numbers: windows made; framed: chosen"
    for wrong in (("15s", 51), ("14s", 50), ("15s", 2**70)):
        words = (
            f"1 s, 5 s, 15 s, 60 s, 5 min with one of the packet windows 5, 10, 20, .*got \\('{wrong[0]}', {wrong[1]}"
        )
        with pytest.raises(ValueError, match=words):
            plot_window_sweep(sweep, chosen=wrong)
    with pytest.raises(ValueError, match="must have a unit"):
        plot_window_sweep(sweep, chosen=("15", 50))


def made_tables() -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(7)
    shifts = {"b": (0, 0, 0), "a": (3, 0.3, 0), "c": (1, 2, 0.5)}
    names = ["push_ratio_up", "mean_tcp_len_down", "mean_entropy_up"]
    sizes = {"b": 40, "a": 25, "c": 31}
    return {
        label: pd.DataFrame({name: rng.normal(s, 1, sizes[label]) for name, s in zip(names, shift, strict=True)})
        for label, shift in shifts.items()
    }


def test_feature_comparison() -> None:
    tables = made_tables()
    figure = plot_feature_comparison(toolkit.compare_features(tables), figure=Figure(figsize=(8, 3)))
    pairs = [("b", "a"), ("b", "c"), ("a", "c")]
    want: dict[str, Any] = {}
    for name in tables["b"]:
        found = [(ks_2samp(tables[x][name], tables[y][name]), x, y) for x, y in pairs]
        want[name] = max(found, key=lambda each: each[0].statistic)
    ordered = sorted(want, key=lambda name: -want[name][0].statistic)
    assert len({round(each[0].statistic, 2) for each in want.values()}) == 3
    assert [ax.get_xlabel().split("\n")[0] for ax in figure.axes] == ordered
    units = {"push_ratio_up": "share", "mean_tcp_len_down": "bytes", "mean_entropy_up": "bits/byte"}
    for ax, name in zip(figure.axes, ordered, strict=True):
        result, first, second = want[name]
        assert ax.get_title(loc="left") == f"D = {result.statistic:.2f}"
        assert ax.get_xlabel() == f"{name}\n({units[name]})"
        # the curves: of each label, the share of windows at most so large
        assert [to_hex(line.get_color()) for line in ax.lines] == [BLUE, ORANGE, GREEN]
        assert len({line.get_linestyle() for line in ax.lines}) == 3
        for line, values in zip(ax.lines, tables.values(), strict=True):
            assert line.get_drawstyle() == "steps-post"
            x, y = line.get_xdata(), line.get_ydata()
            assert y[1:-1] == pytest.approx([(values[name] <= place).mean() for place in x[1:-1]])
            assert (y[0], y[-1]) == (0, 1)
            assert np.isin(values[name], x).all()
        (bar,) = only(ax, LineCollection).get_segments()
        assert to_hex(only(ax, LineCollection).get_color()[0]) == GREY
        shares = sorted((tables[label][name] <= result.statistic_location).mean() for label in (first, second))
        assert bar[:, 0] == pytest.approx(result.statistic_location)
        assert bar[:, 1] == pytest.approx(shares)
        assert shares[1] - shares[0] == pytest.approx(result.statistic)
        low, high = ax.get_xlim()
        assert low < min(table[name].min() for table in tables.values())
        assert high > max(table[name].max() for table in tables.values())
        assert ax.get_ylim() == (0, 1.03)
    assert [ax.get_ylabel() for ax in figure.axes] == ["share of windows", "", ""]
    (legend,) = figure.legends
    assert entries(legend) == ["b (40)", "a (25)", "c (31)"]
    assert legend.get_title().get_text() == "in brackets: windows"
    assert [to_hex(line.get_color()) for line in legend.get_lines()] == [BLUE, ORANGE, GREEN]
    assert [line.get_linestyle() for line in legend.get_lines()] == [li.get_linestyle() for li in figure.axes[0].lines]


def test_feature_comparison_draws_as_many_panels_as_asked_for() -> None:
    compared = toolkit.compare_features(made_tables())
    figure = plot_feature_comparison(compared, columns=2, figure=Figure())
    assert [ax.get_subplotspec().get_geometry()[:2] for ax in figure.axes] == [(2, 2)] * 3
    assert [ax.get_ylabel() != "" for ax in figure.axes] == [True, False, True]
    assert len(plot_feature_comparison(compared, top=1, figure=Figure()).axes) == 1


def test_feature_comparison_without_windows_says_so_and_has_no_scale() -> None:
    tables = made_tables()
    none = toolkit.compare_features({label: table[:0] for label, table in tables.items()})
    figure = plot_feature_comparison(none, figure=Figure(figsize=(8, 3), layout="constrained"))
    assert layout_problems(figure) == []
    for ax in figure.axes:
        assert [text.get_text() for text in ax.texts] == ["no windows"]
        assert ax.get_title(loc="left") == ""
        assert [label.get_text() for _, labels in ticks_within(ax) for label in labels] == []
        assert ax.get_xlabel()
    assert entries(figure.legends[0]) == ["b (0)", "a (0)", "c (0)"]
    one = toolkit.compare_features({"b": tables["b"], "a": tables["a"][:0]})
    figure = plot_feature_comparison(one, figure=Figure(figsize=(8, 3)))
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["D unknown"] * 3
    assert [len(ax.lines) for ax in figure.axes] == [1] * 3


def test_feature_comparison_wrong_arguments() -> None:
    tables = made_tables()
    compared = toolkit.compare_features(tables)
    for name in ("top", "columns"):
        for value in (0, True, 2.0):
            with pytest.raises(ValueError, match=f"`{name}` must be an int of at least 1, got {value}"):
                plot_feature_comparison(compared, **{name: value})
    eight = toolkit.compare_features({str(i): tables["a"] for i in range(8)})
    with pytest.raises(ValueError, match="there must be at most 7 labels, got 8"):
        plot_feature_comparison(eight)


def test_feature_correlation() -> None:
    names = ["one", "two", "three", "four"]
    values = np.eye(4)
    below = {(1, 0): 0.9, (2, 0): -0.1, (2, 1): -0.11, (3, 0): -0.95, (3, 1): 0.0, (3, 2): 0.2}
    for (row, column), value in below.items():
        values[row, column] = values[column, row] = value
    ax = plot_feature_correlation(pd.DataFrame(values, index=names, columns=names), ax=new())
    mesh = only(ax, QuadMesh)
    # the rows begin with the second feature, the columns end with the last but one
    assert filled(mesh) == {(column, row - 1): value for (row, column), value in below.items()}
    assert (mesh.norm.vmin, mesh.norm.vmax) == (-1, 1)
    (marks,) = ax.lines
    assert set(zip(marks.get_xdata(), marks.get_ydata(), strict=True)) == {(1, 1), (0, 2)}  # -0.1 itself has none
    assert (marks.get_marker(), marks.get_linestyle()) == ("_", "None")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["two", "three", "four"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["one", "two", "three"]
    bottom, top = ax.get_ylim()
    assert bottom > top  # the first at the top
    assert ax.figure.axes[1].get_ylabel() == "correlation (− marks negative)"


ALL_FEATURES = pd.DataFrame(
    np.random.default_rng(3).normal(size=(80, len(toolkit.FEATURES.names))), columns=list(toolkit.FEATURES.names)
).corr()
SETS = ["entropy", "interval", "interval_bins", "tcp_len", "tcp_len_bins", "psh", "always"]


@pytest.mark.parametrize("inches", [(7.2, 5), (3.335, 3.2), (4.8, 4.5), (6.4, 4.8)])
def test_feature_correlation_of_many_features_labels_their_sets(inches: tuple[float, float]) -> None:
    figure = Figure(figsize=inches, layout="constrained")
    ax = plot_feature_correlation(ALL_FEATURES, ax=figure.subplots())
    assert layout_problems(figure) == []
    assert [label.get_text() for label in ax.get_yticklabels()] == SETS
    assert [label.get_text() for label in ax.get_xticklabels()] == SETS[:-1]  # the last feature has no column
    sets = [toolkit.FEATURES[name].set for name in ALL_FEATURES.index]
    rows = {name: [i - 1 for i, each in enumerate(sets) if each == name and i] for name in SETS}
    assert rows["tcp_len_bins"] == list(range(21, 51))
    for ticks, names in ((ax.get_yticks(), SETS), (ax.get_xticks(), SETS[:-1])):
        assert sorted(ticks) == list(ticks)
        assert abs(ticks[4] - (35.5 if len(names) == 7 else 36.5)) < 1  # in the middle
    lines = [each for each in ax.collections if isinstance(each, LineCollection)]
    spans = [np.asarray(each.get_segments()) for each in lines]
    vertical, horizontal, across, down = spans
    for brackets, axis, shift, names in ((vertical, 1, 1, SETS), (horizontal, 0, 0, SETS[:-1])):
        for (start, stop), name in zip(brackets[:, :, axis], names, strict=True):
            places = [i - shift for i, each in enumerate(sets) if each == name and 0 <= i - shift < 54]
            assert places[0] - 0.5 < start < places[0] <= places[-1] < stop < places[-1] + 0.5
    firsts = [sets.index(name) for name in SETS[1:]]
    assert [segment[0][1] for segment in across] == [first - 1.5 for first in firsts]  # above its first row
    assert [segment[0][0] for segment in down] == [first - 0.5 for first in firsts]  # left of its first column
    assert all(segment[1][0] == segment[0][1] + 1 for segment in across)  # up to the edge of the half
    assert all(segment[0][1] == segment[0][0] - 1 for segment in down)


def test_feature_correlation_labels_each_feature_where_there_is_room() -> None:
    for size, inches, whole in ((55, 12, True), (55, 7, False), (16, 5, True), (16, 3, False)):
        part = ALL_FEATURES.iloc[:size, :size]
        figure = Figure(figsize=(inches, inches), layout="constrained")
        ax = plot_feature_correlation(part, ax=figure.subplots())
        assert layout_problems(figure) == []
        labels = [label.get_text() for label in ax.get_yticklabels()]
        assert (labels == list(part.index[1:])) == whole
    strangers = part.set_axis([f"mine {i}" for i in range(16)]).set_axis([f"mine {i}" for i in range(16)], axis=1)
    ax = plot_feature_correlation(strangers, ax=Figure(figsize=(2, 2)).subplots())
    assert [label.get_text() for label in ax.get_yticklabels()] == ["other"]


def test_feature_correlation_in_a_talk_does_not_let_labels_touch() -> None:
    table = toolkit.client_features(toolkit.load_example("obfs4"), "10.77.0.0/24")
    with toolkit.paper("talk"):
        figure = Figure(figsize=(6, 5.7))
        plot_feature_correlation(
            toolkit.feature_correlation(table, ["entropy", "interval", "tcp_len", "psh"]), ax=figure.subplots()
        )
        assert layout_problems(figure) == []


@given(st.lists(st.floats(0, 60), min_size=1, max_size=8).map(sorted), st.floats(0.1, 9))
def test_labels_that_are_spread_are_so_far_apart_and_no_farther(places: list[float], apart: float) -> None:
    found = _spread(places, apart)
    assert all(b - a >= apart - 1e-6 for a, b in itertools.pairwise(found))
    line = isotonic_regression(np.array(places) - apart * np.arange(len(places))).x  # nearest in the sum of squares
    assert found == pytest.approx(list(line + apart * np.arange(len(places))))


def test_feature_correlation_of_one_or_no_feature() -> None:
    for size, words in ((0, "no packets match"), (1, "one feature only")):
        ax = plot_feature_correlation(pd.DataFrame(np.ones((size, size))), ax=new())
        assert [text.get_text() for text in ax.texts] == [words]


def test_trace_overview() -> None:
    trace = toolkit.load_example("obfs4")
    figure = plot_trace_overview(toolkit.overview(trace), figure=Figure(figsize=(9, 9)))
    labels = [
        "time since the first packet (s)",
        "TCP payload length (bytes)",
        "gap to the previous TCP packet\nwith a new sequence number",
        "payload in the capture (bytes)",
        "IP bytes down | up",
    ]
    assert [ax.get_xlabel() for ax in figure.axes[:5]] == labels
    assert len(figure.axes) == 6
    assert figure.axes[5].get_ylabel() == "packets"
    numbers = [text.get_text() for text in figure.axes[1].texts if isinstance(text, Annotation)]
    assert sorted(numbers) == ["0", "1", "2"]
    assert (
        figure.get_suptitle().replace("\n", " ")
        == "obfs4.pcap: 1,425 packets of 6 hosts in 140.3 s clients: 10.77.0.11, 10.77.0.12, 10.77.0.13 "
        "(the hosts that open connections)"
    )
    given = plot_trace_overview(toolkit.overview(trace, "10.77.0.11"), figure=Figure(figsize=(9, 9)))
    assert given.get_suptitle().endswith("\nclients: 10.77.0.11")


@pytest.mark.parametrize("length", [19, 20, 1480, 1499, 1500])
def test_entropy_at_the_end_of_the_axis(length: int) -> None:
    cells = pd.DataFrame({"length": [length // 20 * 20], "entropy": [7.9], "packets": [3]})
    counts = toolkit.EntropyCounts(cells, 20, 0.1, 1500, 0, 0)
    ax = toolkit.plot_entropy(counts, ax=Figure().subplots())
    (mesh,) = [each for each in ax.collections if isinstance(each, QuadMesh)]
    values = mesh.get_array()
    assert values.compressed().tolist() == [3]
    assert np.argwhere(~values.mask).tolist() == [[79, length // 20]]
    assert ax.get_xlim()[1] >= length // 20 * 20


def test_the_shades_of_two_window_sweeps_mean_the_same() -> None:
    sweep = toolkit.window_sweep(toolkit.load_example("obfs4"), "10.77.0.0/24", packet_windows=[200])
    (mesh,) = [each for each in toolkit.plot_window_sweep(sweep, ax=Figure().subplots()).collections]
    assert mesh.get_clim() == (0, 1)
