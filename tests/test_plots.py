"""What the charts draw of lengths, gaps and time, against numbers worked out here."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from charting import entries, overlap, ticks_within
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch
from matplotlib.text import Text
from matplotlib.textpath import TextPath
from matplotlib.transforms import Bbox

import toolkit
from toolkit.plots import (
    COLOURS,
    colour_length_clusters,
    plot_client_pairs,
    plot_direction_timeline,
    plot_interval_bins,
    plot_interval_cdf,
    plot_length_bins,
    plot_length_clusters,
    plot_size_sequence,
)

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#e69f00", "#009e73", "#bbbbbb"
LENGTHS = [0] * 7 + [100] * 5 + [101] * 3 + [600] * 2 + [900] + [1400] * 2


def new() -> Axes:
    return Figure().subplots()


def said(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def hexes(colours: Any) -> list[str]:
    return [to_hex(colour) for colour in colours]


def bars(ax: Axes) -> dict[float, tuple[float, float, float, str]]:
    """Middle of each bar of the histogram: its width, foot, top and colour."""
    (collection,) = ax.collections
    assert isinstance(collection, PolyCollection)
    found = {}
    for path, colour in zip(collection.get_paths(), collection.get_facecolors(), strict=True):
        x, y = path.vertices[:, 0], path.vertices[:, 1]
        found[(x.min() + x.max()) / 2] = (np.ptp(x), y.min(), y.max(), to_hex(colour))
    return found


def test_length_clusters() -> None:
    ax = plot_length_clusters(toolkit.cluster_lengths(LENGTHS, bandwidth=3), top=2, ax=new())
    assert bars(ax) == {
        100: (1, 0.5, 5, BLUE),
        101: (1, 0.5, 3, BLUE),
        600: (1, 0.5, 2, ORANGE),
        900: (1, 0.5, 1, GREY),
    }
    legend = ax.get_legend()
    # mean of 5 packets of 100 and 3 of 101: 100.4; shares of the 11 packets shown: 8, 2, 1
    assert entries(legend) == ["0: 100.4 · 2 · 72.7%", "1: 600.0 · 1 · 18.2%", "1 more: 9.1%"]
    assert legend.get_title().get_text() == "bandwidth 3: centre · width · share of 11 packets"
    assert hexes(handle.get_facecolor() for handle in legend.get_patches()) == [BLUE, ORANGE, GREY]
    assert ax.get_title(loc="left") == "of 20 packets, not shown: 35.0% empty, 10.0% above 1,300 bytes"
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_yscale()) == ("length (bytes)", "packets", "log")
    assert [(text.get_text(), text.xy) for text in ax.texts] == [("0", (100, 5)), ("1", (600, 2))]
    assert ax.get_xlim()[0] < 99.5
    assert ax.get_xlim()[1] > 900.5
    assert ax.get_ylim() == (0.5, 15)


def test_length_clusters_on_a_linear_axis() -> None:
    ax = plot_length_clusters(toolkit.cluster_lengths(LENGTHS), log=False, ax=new())
    assert {bar[1:3] for bar in bars(ax).values()} == {(0, 5), (0, 3), (0, 2), (0, 1)}
    assert ax.get_yscale() == "linear"
    assert ax.get_ylim() == pytest.approx((0, 6))
    assert entries(ax.get_legend())[-1] == "2: 900.0 · 1 · 9.1%"  # no more: all have a colour


def test_length_clusters_notes_what_a_minimum_leaves_out() -> None:
    ax = plot_length_clusters(toolkit.cluster_lengths([0, 1, 5, 50, 51], min_length=6, max_length=None), ax=new())
    assert ax.get_title(loc="left") == "of 5 packets, not shown: 60.0% under 6 bytes"
    ax = plot_length_clusters(toolkit.cluster_lengths([50, 51]), ax=new())
    assert ax.get_title(loc="left") == ""


def test_length_clusters_names_its_quantity_and_numbers_only_the_largest() -> None:
    trace = toolkit.load_example("trojan")
    ax = plot_length_clusters(toolkit.cluster_lengths(trace, tls_only=True), top=0, ax=new())
    assert ax.get_xlabel() == "TCP payload length, TLS records only (bytes)"
    assert said(ax) == []
    assert {bar[3] for bar in bars(ax).values()} == {GREY}
    (words,) = entries(ax.get_legend())
    assert words.endswith("more: 100.0%")


def test_length_clusters_has_as_many_artists_for_many_lengths_as_for_few() -> None:
    few, many = ([length for length in range(1, last, 10)] for last in (101, 1300))
    axes = [plot_length_clusters(toolkit.cluster_lengths(lengths), ax=new()) for lengths in (few, many)]
    assert [len(bars(ax)) for ax in axes] == [10, 130]
    assert len(axes[0].get_children()) == len(axes[1].get_children())


@pytest.mark.parametrize(("highest", "shown"), [(1, ["1", "2"]), (6, ["1", "2", "5", "10"])])
def test_length_clusters_labels_few_packets_with_whole_numbers(highest: int, shown: list[str]) -> None:
    ax = plot_length_clusters(toolkit.cluster_lengths([70] * highest), ax=new())
    ax.figure.draw_without_rendering()
    assert sorted((label.get_text() for label in dict(ticks_within(ax))["y"]), key=int) == shown


@pytest.mark.parametrize("top", [-1, 8, True])
def test_length_clusters_wrong_top(top: int) -> None:
    with pytest.raises(ValueError, match=f"`top` must be from 0 to 7, got {top}"):
        plot_length_clusters(toolkit.cluster_lengths([1]), top=top)


def test_length_clusters_are_numbered_as_their_table_and_labels_are() -> None:
    clusters = toolkit.cluster_lengths(toolkit.load_example("obfs4"))
    ax = plot_length_clusters(clusters, ax=new())
    table, bar = clusters.to_frame(), bars(ax)
    for entry in entries(ax.get_legend())[:6]:
        number, centre = entry.split(" · ")[0].split(": ")
        assert f"{table.loc[int(number), 'centre']:,.1f}" == centre
    for text in ax.texts:
        length = text.xy[0]
        assert clusters.labels[clusters.unique_lengths == length].tolist() == [int(text.get_text())]
        assert bar[length][3] == COLOURS[int(text.get_text())].lower()


def drawn(clusters: Any, size: tuple[float, float], dpi: int = 100, **options: Any) -> Axes:
    figure = Figure(figsize=size, dpi=dpi, layout="constrained")
    FigureCanvasAgg(figure)
    ax = plot_length_clusters(clusters, ax=figure.subplots(), **options)
    for _ in range(2):
        figure.canvas.draw()  # the layout comes to rest at the second
    return ax


def pixels(ax: Axes) -> np.ndarray:
    canvas: Any = ax.figure.canvas
    return np.asarray(canvas.buffer_rgba())[..., :3]


@pytest.mark.parametrize("dpi", [100, 300])
@pytest.mark.parametrize("log", [True, False])
def test_narrow_bars_have_the_colours_of_the_legend(dpi: int, log: bool) -> None:
    """Nothing but them and white is inside the axes: no shade between the two."""
    lengths = [length for length in range(1, 1300, 6) for _ in range(1 + length % 7)]
    clusters = toolkit.cluster_lengths(lengths, bandwidth=2)
    ax = drawn(clusters, (7.2, 4.2), dpi, log=log, top=7)
    for artist in (*ax.texts, *ax.spines.values()):
        artist.set_visible(False)
    ax.figure.canvas.draw()
    box = ax.bbox
    rows = slice(ax.figure.bbox.height - box.y1 + 5, ax.figure.bbox.height - box.y0 - 5)
    inside = pixels(ax)[int(rows.start) : int(rows.stop), int(box.x0) + 5 : int(box.x1) - 5]
    palette = {tuple(bytes.fromhex(colour[1:])) for colour in ("#ffffff", GREY, *COLOURS)}
    found, counts = np.unique(inside.reshape(-1, 3), axis=0, return_counts=True)
    assert set(map(tuple, found.tolist())) == palette
    assert counts.min() >= dpi  # of each a bar's worth
    # and each bar is there
    canvas_height = inside.shape[0]
    foot = inside[int(0.97 * canvas_height)] if log else inside[-1]
    for length, label in zip(clusters.unique_lengths, clusters.labels, strict=True):
        place = ax.transData.transform((length, 1))[0] - int(box.x0) - 5
        near = foot[max(int(place) - 2, 0) : int(place) + 3].tolist()
        assert list(bytes.fromhex([*COLOURS, GREY][min(label, 7)][1:])) in near


LENGTH_COUNTS = st.dictionaries(
    st.integers(1, 60) | st.integers(1, 1300), st.integers(1, 40) | st.just(5_000), min_size=1, max_size=60
)


@given(LENGTH_COUNTS, st.sampled_from([0.5, 3, 30]), st.booleans(), st.sampled_from([(7.2, 4.2), (3.335, 4)]))
@settings(max_examples=25, deadline=None, derandomize=True, phases=[Phase.generate])
def test_numbers_over_the_bars_can_be_read(
    counts: dict[int, int], bandwidth: float, log: bool, size: tuple[float, float]
) -> None:
    lengths = [length for length, count in counts.items() for _ in range(count)]
    clusters = toolkit.cluster_lengths(lengths, bandwidth=bandwidth)
    ax = drawn(clusters, size, log=log, top=7)
    shown = [text for text in ax.texts if text.get_text()]
    assert ax.texts[0].get_text() == "0"  # the largest has its number always
    boxes = [ink(text) for text in shown]
    for one, other in itertools.combinations(boxes, 2):
        assert overlap(one, other) <= 0
    for text, box in zip(shown, boxes, strict=True):
        assert ax.bbox.padded(2 * 100 / 72).contains(*box.min)  # inside the axes, but for 2 points
        assert ax.bbox.padded(2 * 100 / 72).contains(*box.max)
        x, y = ax.transData.transform(text.xy)
        assert np.hypot((box.x0 + box.x1) / 2 - x, box.y0 - y) < 2.6 * text.get_fontsize() * 100 / 72
        for length, count in counts.items():
            (left, top), right = (
                ax.transData.transform((length - 0.5, count)),
                ax.transData.transform((length + 0.5, 1))[0],
            )
            assert not (left < box.x1 and box.x0 < right and top > box.y0)  # no bar behind it
    if len(clusters.packets) == 1:
        assert shown[0].get_position() == pytest.approx((0, 1.5))


def ink(text: Text) -> Bbox:
    """Box of what is drawn of a number, measured in the font: the box of the text has room below for other letters."""
    drawn_at = text.get_window_extent()
    shape = TextPath((0, 0), text.get_text(), size=text.get_fontsize()).get_extents()
    below = TextPath((0, 0), "p", size=text.get_fontsize()).get_extents()
    point = text.figure.dpi / 72
    base = drawn_at.y0 - below.y0 * point
    return Bbox.from_extents(drawn_at.x0, base + shape.y0 * point, drawn_at.x1, base + shape.y1 * point)


@pytest.mark.parametrize("size", [(7.2, 4.2), (3.335, 3.5), (3.9, 3.5), (4.4, 3.5), (5, 3.5)])
def test_other_colours_are_the_picture_drawn_anew(size: tuple[float, float]) -> None:
    counts = toolkit.length_counts(toolkit.load_example("trojan"))
    ax = drawn(toolkit.cluster_lengths(counts, bandwidth=2), size)
    for bandwidth in (0.5, 30, 5):
        clusters = toolkit.cluster_lengths(counts, bandwidth=bandwidth)
        colour_length_clusters(ax, clusters)
        ax.figure.canvas.draw()
        assert np.array_equal(pixels(ax), pixels(drawn(clusters, size)))


def length_table(windows: int, **values: float) -> pd.DataFrame:
    names = [f"bin_{edge}_len_{side}" for edge in range(100, 1501, 100) for side in ("up", "down")]
    return pd.DataFrame({name: np.full(windows, values.get(name, 0.0)) for name in names})


def test_length_bins() -> None:
    one = pd.concat([length_table(1, bin_100_len_up=0.5), length_table(1, bin_100_len_up=0.1, bin_1500_len_down=0.8)])
    ax = plot_length_bins({"b": one, "a": length_table(3, bin_200_len_down=0.25)}, ax=new())
    steps = [patch for patch in ax.patches if isinstance(patch, StepPatch)]
    want = np.zeros((4, 15))
    want[0, 0], want[1, 14], want[3, 1] = 0.3, -0.4, -0.25
    assert np.array([step.get_data().values for step in steps]) == pytest.approx(want)
    assert all(step.get_data().edges.tolist() == list(range(0, 1501, 100)) for step in steps)
    assert hexes(step.get_edgecolor() for step in steps) == [BLUE, BLUE, ORANGE, ORANGE]
    marks = [line for line in ax.lines if line.get_linestyle() == "None"]
    assert np.array([line.get_ydata() for line in marks]) == pytest.approx(want)
    assert marks[0].get_xdata().tolist() == list(range(50, 1500, 100))
    assert [line.get_marker() for line in marks] == ["o", "o", "s", "s"]
    assert entries(ax.get_legend()) == ["b (2)", "a (3)"]
    assert ax.get_legend().get_title().get_text() == "in brackets: windows"
    assert hexes(handle.get_color() for handle in ax.get_legend().get_lines()) == [BLUE, ORANGE]
    assert ax.get_ylim() == pytest.approx((-0.46, 0.46))
    assert ax.get_xlim() == (0, 1500)
    assert ax.yaxis.get_major_formatter()(-0.25, 0) == "0.25"
    assert ax.get_xlabel() == "TCP payload length (bytes), bins of 100"
    assert ax.get_ylabel() == "share of TCP packets,\nmean of windows"
    up, down = ax.texts
    assert (up.get_text(), down.get_text()) == ("up", "down")
    assert up.get_position()[1] > 0.5 > down.get_position()[1]


def interval_table(windows: int, **values: float) -> pd.DataFrame:
    names = [f"bin_{edge}_interval_{side}" for edge in (1000, 10000, 100000, 1000000) for side in ("up", "down")]
    return pd.DataFrame({name: np.full(windows, values.get(name, 0.0)) for name in names})


def test_interval_bins() -> None:
    tables = {
        "b": pd.concat([interval_table(1, bin_1000_interval_up=0.5), interval_table(2, bin_1000000_interval_down=0.3)]),
        "a": interval_table(2, bin_10000_interval_up=0.1),
    }
    ax = plot_interval_bins(tables, ax=new())
    heights = [[bar.get_height() for bar in container] for container in ax.containers]
    assert heights == [pytest.approx(row) for row in [[1 / 6, 0, 0, 0], [0, 0, 0, 0.2], [0, 0.1, 0, 0], [0] * 4]]
    assert [container.get_label() for container in ax.containers] == ["b up", "b down", "a up", "a down"]
    assert entries(ax.get_legend()) == ["b (3)", "a (2)", "up", "down"]
    assert ax.get_legend().get_title().get_text() == "in brackets: windows"
    faces = [to_hex(container[0].get_facecolor()) for container in ax.containers]
    assert faces == [BLUE, "#ffffff", ORANGE, "#ffffff"]
    assert [container[0].get_hatch() for container in ax.containers] == [None, "////", None, "////"]
    assert [handle.get_hatch() for handle in ax.get_legend().get_patches()] == [None, None, None, "////"]
    edges = sorted((bar.get_x(), bar.get_x() + bar.get_width()) for container in ax.containers for bar in container)
    assert all(a[1] <= b[0] + 1e-9 for a, b in itertools.pairwise(edges))  # no two overlap
    for container in ax.containers:
        assert all(abs(bar.get_x() + bar.get_width() / 2 - place) < 0.4 for place, bar in enumerate(container))
    assert ax.get_ylim() == pytest.approx((0, 0.22))
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["< 1 ms", "1–10 ms", "10–100 ms", "0.1–1 s"]
    assert ax.get_xlabel() == "gap to the previous TCP packet\nwith a new sequence number"
    assert ax.get_ylabel() == "share of TCP packets,\nmean of windows"


def test_interval_bins_of_one_table_says_how_many_windows() -> None:
    ax = plot_interval_bins(interval_table(3, bin_1000_interval_up=0.5), ax=new())
    assert ax.get_title(loc="left") == "windows: 3"
    assert entries(ax.get_legend()) == ["up", "down"]


def counted(up: list[float], down: list[float]) -> pd.DataFrame:
    """Gaps in microseconds, counted the slow way."""
    edges = [*(round(10 ** (k / 40), 3) for k in range(361)), float("inf")]
    sides = {"up": up, "down": down}
    return pd.DataFrame({side: [sum(g <= e for g in gaps) for e in edges] for side, gaps in sides.items()}, index=edges)


def value_at(line: Any, x: float) -> float:
    """Height of a line of steps."""
    assert line.get_drawstyle() == "steps-post"
    return float(line.get_ydata()[np.flatnonzero(line.get_xdata() <= x)[-1]])


def test_interval_cdf() -> None:
    tables = {"b": counted([100, 2_000, 2_000, 500_000], [10]), "a": counted([], [5_000_000, 10])}
    ax = plot_interval_cdf(tables, ax=new())
    edges = [line.get_xdata()[0] for line in ax.lines if len(line.get_xdata()) == 2]
    assert edges == [0.001, 0.01, 0.1, 1]
    lines = [line for line in ax.lines if len(line.get_xdata()) > 2]
    assert [line.get_label() for line in lines] == ["b up", "b down", "a down"]
    assert [line.get_linestyle() for line in lines] == ["-", "--", "--"]
    assert hexes(line.get_color() for line in lines) == [BLUE, BLUE, ORANGE]
    assert [line.get_marker() for line in lines] == ["o", "o", "s"]
    up = lines[0]  # in seconds
    assert [value_at(up, x) for x in (9e-5, 1.1e-4, 1.9e-3, 2.2e-3, 0.4, 0.6)] == [0, 0.25, 0.25, 0.75, 0.75, 1]
    assert [value_at(lines[2], x) for x in (1.1e-5, 4, 6)] == [0.5, 0.5, 1]
    assert entries(ax.get_legend()) == ["b (4 + 1)", "a (0 + 2)", "up", "down"]
    assert ax.get_legend().get_title().get_text() == "in brackets: gaps up + down"
    assert [handle.get_linestyle() for handle in ax.get_legend().get_lines()] == ["-", "-", "-", "--"]
    assert ax.get_xscale() == "log"
    low, high = ax.get_xlim()
    assert low < 1e-5
    assert high > 5
    assert ax.get_ylim() == (0, 1.03)
    assert ax.xaxis.get_major_formatter()(0.01) == "10 ms"
    assert ax.get_xlabel() == "gap to the previous TCP packet\nwith a new sequence number"
    assert ax.get_ylabel() == "share of gaps at most so long"


def test_interval_cdf_of_gaps_in_one_decade_has_two_labels_at_least() -> None:
    ax = plot_interval_cdf(counted([20_000] * 3, [21_000]), ax=new())
    ax.figure.draw_without_rendering()
    low, high = ax.get_xlim()
    labels = [tick.label1.get_text() for tick in ax.xaxis.get_major_ticks() if low <= tick.get_loc() <= high]
    assert {"10 ms", "100 ms"} <= set(labels)
    assert not [label for label in ax.get_xticklabels(minor=True) if label.get_text()]


def test_direction_timeline() -> None:
    rows = {"start": [0.0, 2, 8], "stop": [2.0, 4, 10], "packets_up": [3, 0, 1], "packets_down": [1, 2, 0]}
    rows |= {"bytes_up": [300, 0, 100], "bytes_down": [40, 80, 0]}
    timeline = pd.DataFrame(rows, index=pd.Index([0, 1, 4], name="time_window"))
    ax = plot_direction_timeline(timeline, ax=new())
    up, down = (patch for patch in ax.patches if isinstance(patch, StepPatch))
    assert up.get_data().edges.tolist() == [0, 2, 4, 8, 10]
    assert up.get_data().values.tolist() == [300, 0, 0, 100]  # zero in the two windows that are not there
    assert down.get_data().values.tolist() == [-40, -80, 0, 0]
    assert hexes(patch.get_facecolor() for patch in (up, down)) == [BLUE, ORANGE]
    assert up.get_fill()
    assert entries(ax.get_legend()) == ["up", "down"]
    assert hexes(handle.get_facecolor() for handle in ax.get_legend().get_patches()) == [BLUE, ORANGE]
    (lines,) = (each for each in ax.collections if isinstance(each, LineCollection))
    assert [segment[0][0] for segment in lines.get_segments()] == [0, 2, 4, 6, 8, 10]  # every edge of the clock
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time since the first packet (s)", "IP bytes in 2 s")
    assert ax.get_xlim() == (0, 10)
    assert ax.get_ylim() == pytest.approx((-86.4, 324))
    assert ax.yaxis.get_major_formatter()(-2_000, 0) == "2k"
    packets = plot_direction_timeline(timeline, quantity="packets", ax=new())
    assert packets.patches[0].get_data().values.tolist() == [3, 0, 0, 1]
    assert packets.get_ylabel() == "packets in 2 s"


def test_direction_timeline_with_the_edges_of_other_windows() -> None:
    timeline = toolkit.direction_timeline(toolkit.load_example("obfs4"), "10.77.0.0/24", "1s")
    ax = plot_direction_timeline(timeline, edges_every="60s", ax=new())
    (lines,) = [each for each in ax.collections if isinstance(each, LineCollection)]
    assert [segment[0, 0] for segment in lines.get_segments()] == [0, 60, 120]
    with pytest.raises(ValueError, match="must have a unit"):
        plot_direction_timeline(timeline, edges_every="60", ax=new())


def edges_drawn(ax: Axes) -> list[float]:
    """Give the times of the grey lines."""
    return [
        round(float(segment[0, 0]), 6)
        for each in ax.collections
        if isinstance(each, LineCollection)
        for segment in each.get_segments()
    ]


def test_direction_timeline_of_a_part_on_the_clock_of_the_whole() -> None:
    whole = toolkit.load_example("obfs4")
    part = whole.select(start="22s")
    timeline = toolkit.direction_timeline(part, "10.77.0.0/24", "1s", origin=whole.start)
    first = (part.start - whole.start).total_seconds()
    assert 25 < first < 26
    ax = plot_direction_timeline(timeline, edges_every="30s", edges_from=part.start - whole.start, ax=new())
    assert edges_drawn(ax) == [round(first + 30 * k, 6) for k in range(4)]  # and none before
    # they are where the windows of the features start
    windows = toolkit.client_windows(part, "10.77.0.0/24", 1, time_window="30s").to_frame()
    time = (windows["first"] - whole.start).dt.total_seconds()
    number = windows.index.get_level_values("time_window")
    assert (np.digitize(time, edges_drawn(ax)) - 1 == number).all()
    assert ax.get_xlim() == (25, 141)
    zero = plot_direction_timeline(timeline, edges_every="30s", edges_from=pd.Timedelta(0), ax=new())
    assert edges_drawn(zero) == edges_drawn(plot_direction_timeline(timeline, edges_every="30s", ax=new()))
    assert edges_drawn(zero) == [30, 60, 90, 120]
    later = plot_direction_timeline(timeline, edges_every="30s", edges_from="90s", ax=new())
    assert edges_drawn(later) == [90, 120]
    with pytest.raises(ValueError, match="`edges_from` goes with `edges_every`, got '1s' without"):
        plot_direction_timeline(timeline, edges_from="1s")
    with pytest.raises(ValueError, match="more than 0 s"):
        plot_direction_timeline(timeline, edges_every="1s", edges_from="-1s", ax=new())


@pytest.mark.parametrize("inches", [3.335, 7.2])
def test_direction_timeline_draws_window_edges_that_can_be_told_apart(inches: float) -> None:
    columns = dict.fromkeys(("packets_up", "packets_down", "bytes_up", "bytes_down"), 1)
    most = 0
    for windows in range(20, 110, 3):
        number = np.arange(windows)
        timeline = pd.DataFrame({"start": number * 0.1, "stop": number * 0.1 + 0.1, **columns}, index=number)
        for every in (None, "100ms"):
            figure = Figure(figsize=(inches, 3), layout="constrained")
            ax = plot_direction_timeline(timeline, edges_every=every, ax=figure.subplots())
            figure.draw_without_rendering()
            apart = ax.bbox.width / 100 * 72 / windows
            if found := edges_drawn(ax):
                assert len(found) == windows + 1
                assert apart > 5.9
                most = windows
            else:
                assert apart < 8.5  # the estimate of the width may be that far off
            dense = f"window edges too dense to show: {windows} windows of 100 ms"
            assert ax.get_title(loc="left").replace("\n", " ") == ("" if found or every is None else dense)
    assert 20 < most < 105


def test_direction_timeline_counts_the_windows_whose_edges_are_not_shown() -> None:
    timeline = toolkit.direction_timeline(toolkit.load_example("obfs4"), "10.77.0.0/24", "1s")
    ax = plot_direction_timeline(timeline, edges_every="1s", edges_from="100.5s", ax=new())
    # 141 s: from 100.5 to 141 there begin 41
    assert ax.get_title(loc="left").replace("\n", " ") == "window edges too dense to show: 41 windows of 1 s"
    assert edges_drawn(ax) == []


def test_without_windows_the_bins_say_so_and_have_no_scale() -> None:
    for plot, table in ((plot_interval_bins, interval_table), (plot_length_bins, length_table)):
        for empty in (table(0), {"a": table(0), "b": table(0)}):
            ax = plot(empty, ax=new())
            assert said(ax) == ["no windows"]
            assert ticks_within_all(ax) == []
            assert ax.get_xlabel()
            assert ax.get_ylabel()
            assert (ax.get_legend(), ax.patches[:], ax.lines[:]) == (None, [], [])
        ax = plot({"a": table(0), "b": table(1)}, ax=new())
        assert "no windows" not in said(ax)
        assert "a (0)" in entries(ax.get_legend())


def ticks_within_all(ax: Axes) -> list[str]:
    ax.figure.draw_without_rendering()
    return [label.get_text() for _, labels in ticks_within(ax) for label in labels]


def test_size_sequence() -> None:
    sizes = pd.DataFrame([[500, -90, 0], [500, 20, -7], [500, -90, 0], [400, -90, 0]], columns=[1, 2, 3])
    ax = plot_size_sequence(sizes, ax=new())
    up, down = ax.collections

    def discs(side: Any) -> dict[tuple[int, int], float]:
        return {tuple(at): size for at, size in zip(side.get_offsets().tolist(), side.get_sizes(), strict=True)}

    assert discs(up) == pytest.approx({(1, 500): 67.5, (1, 400): 22.5, (2, 20): 22.5})  # 90 is all connections
    assert discs(down) == pytest.approx({(2, -90): 67.5, (3, -7): 22.5})
    assert hexes((up.get_facecolor()[0], down.get_facecolor()[0])) == [BLUE, ORANGE]
    legend = ax.get_legend()
    assert entries(legend) == ["up", "down", "10%", "50%", "100%"]
    areas = [handle.get_markersize() ** 2 for handle in legend.get_lines()[2:]]
    assert areas == pytest.approx([9, 45, 90])
    assert legend.get_title().get_text() == "area: share of 4 connections"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("data packet of the connection", "payload (bytes)")
    assert ax.get_xlim() == (0.5, 3.5)
    assert ax.get_ylim()[0] < -90
    assert ax.get_ylim()[1] > 500
    assert ax.yaxis.get_major_formatter()(-1_448, 0) == "1,448"


def made_pairs() -> pd.DataFrame:
    index = pd.MultiIndex.from_tuples([("10.0.0.1", "1.1.1.1"), ("10.0.0.2", "2.2.2.2"), ("10.0.0.3", "3.3.3.3")])
    rows = {"bytes_up": [100, 900, 50], "bytes_down": [200, 50, 100], "packets_up": [9, 5, 1]}
    return pd.DataFrame(rows | {"packets_down": [8, 5, 1]}, index=index)


def test_client_pairs() -> None:
    ax = plot_client_pairs(made_pairs(), top=2, ax=new())
    up, down = ax.containers
    assert [bar.get_width() for bar in up] == [900, 100]
    assert [bar.get_width() for bar in down] == [-50, -200]
    assert hexes(side[0].get_facecolor() for side in (up, down)) == [BLUE, ORANGE]
    assert [bar.get_y() + bar.get_height() / 2 for bar in up] == pytest.approx([0, 1])
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["10.0.0.2 – 2.2.2.2", "10.0.0.1 – 1.1.1.1"]
    bottom, top = ax.get_ylim()
    assert bottom > 1.35 > -0.35 > top  # the first is at the top
    assert ax.get_xlabel() == "IP bytes down | up\nnot shown: 1 pair with 10.7%"  # 150 of 1,400 bytes
    assert entries(ax.get_legend()) == ["up", "down"]
    assert ax.get_xlim()[0] <= -200
    assert ax.get_xlim()[1] >= 900
    assert ax.xaxis.get_major_formatter()(-3_000, 0) == "3k"
    packets = plot_client_pairs(made_pairs(), quantity="packets", ax=new())
    assert [bar.get_width() for bar in packets.containers[0]] == [9, 5, 1]
    assert packets.get_xlabel() == "packets down | up"


def test_client_pairs_shortens_addresses_of_ipv6() -> None:
    long = "2001:db8:1111:2222:3333:4444:5555:6666"
    pairs = made_pairs().iloc[:1].set_axis(pd.MultiIndex.from_tuples([(long, "192.0.2.9")]))
    narrow = plot_client_pairs(pairs, ax=Figure(figsize=(3.335, 3)).subplots())
    assert narrow.get_yticklabels()[0].get_text().startswith("2001:")
    assert "…" in narrow.get_yticklabels()[0].get_text()
    wide = plot_client_pairs(pairs, ax=Figure(figsize=(12, 3)).subplots())
    assert wide.get_yticklabels()[0].get_text() == f"{long} – 192.0.2.9"


def test_wrong_arguments() -> None:
    timeline = toolkit.direction_timeline(toolkit.load_example("obfs4"), "10.77.0.0/24")
    with pytest.raises(ValueError, match="`quantity` must be 'bytes' or 'packets', got 'bits'"):
        plot_direction_timeline(timeline, quantity="bits")
    with pytest.raises(ValueError, match="`quantity` must be 'bytes' or 'packets', got 'bits'"):
        plot_client_pairs(made_pairs(), quantity="bits")
    for top in (0, True, 1.5):
        with pytest.raises(ValueError, match=f"`top` must be an int of at least 1, got {top}"):
            plot_client_pairs(made_pairs(), top=top)
    for number in (0, 8):
        for plot, one, what in (
            (plot_interval_bins, interval_table(1), "feature tables"),
            (plot_length_bins, length_table(1), "feature tables"),
            (plot_interval_cdf, counted([1], [2]), "tables of counted gaps"),
        ):
            with pytest.raises(ValueError, match=f"there must be from 1 to 7 {what}, got {number}"):
                plot({str(i): one for i in range(number)})
    for plot, column in ((plot_interval_bins, "bin_1000_interval_up"), (plot_length_bins, "bin_100_len_up")):
        with pytest.raises(ValueError, match=f"the feature table has no '{column}': compute it with the set"):
            plot(pd.DataFrame({"push_ratio_up": [1.0]}))
