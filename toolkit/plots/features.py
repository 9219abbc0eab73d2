"""Charts of feature tables: how far labelled traces are apart, what goes together."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation

from toolkit.features import FEATURES
from toolkit.lengths import check_integer
from toolkit.plots._common import COLOURS, MARKERS, REST, legend, new_axes, say, say_only, shorter, small, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from toolkit.comparison import FeatureComparison

_LINE = 1.03
"""Least height of a line of small print, over its size, in which labels do not touch."""

_LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))


def plot_feature_comparison(
    comparison: FeatureComparison, *, top: int = 8, columns: int = 4, figure: Figure | None = None
) -> Figure:
    """Draw the distribution functions of the features that tell labelled traces apart best, one panel each.

    Question it answers: which single features separate these traces, and how well? The panels are ordered by D, the
    largest vertical distance between two of the curves (Kolmogorov-Smirnov), which a grey bar marks.

    Parameters
    ----------
    comparison
        From `toolkit.compare_features`.
    top
        Panels, at least 1.
    columns
        Panels side by side, at least 1.
    figure
        Where to draw; a new one if None.

    Returns
    -------
    Figure
        With one `Axes` a feature, farthest apart first. Where fewer than two labels have windows, D is unknown; where
        none has, the panels say "no windows".

    Raises
    ------
    ValueError
        If `top` or `columns` is no int of at least 1, or there are more than 7 labels.

    Examples
    --------
    >>> import toolkit
    >>> tables = {
    ...     name: toolkit.client_features(toolkit.load_example(name), toolkit.example(name).proxied_clients)
    ...     for name in ("obfs4", "trojan")
    ... }
    >>> figure = plot_feature_comparison(toolkit.compare_features(tables), top=4)
    >>> figure.axes[0].get_title(loc="left")
    'D = 0.95'
    """
    check_integer("top", top, 1)
    check_integer("columns", columns, 1)
    labels = list(comparison.windows)
    if len(labels) > len(COLOURS):
        raise ValueError(f"there must be at most {len(COLOURS)} labels, got {len(labels)}")
    chosen = comparison.distances.head(top)
    columns = min(columns, len(chosen))
    rows = -(-len(chosen) // columns)
    if figure is None:
        from matplotlib import pyplot

        figure = pyplot.figure(figsize=(1.9 * columns + 0.3, 1.7 * rows + 0.4), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    curves = dict(list(comparison.curves.groupby(["feature", "label"], sort=False)))
    for ax, (name, row) in zip(grid.flat, chosen.iterrows(), strict=False):
        _panel(ax, str(name), row, curves, labels)
    for ax in grid.flat[len(chosen) :]:
        ax.remove()
    for ax in grid[:, 0]:
        ax.set_ylabel("share of windows")
    names = shorter(labels)
    handles = [
        Line2D([], [], color=COLOURS[i], linestyle=_LINES[i], marker=MARKERS[i], markersize=3.5,
               label=f"{names[label]} ({comparison.windows[label]:,})")
        for i, label in enumerate(labels)
    ]  # fmt: skip
    legend(figure, handles, columns + 1, loc="outside upper center", title="in brackets: windows")
    return figure


def _panel(ax: Axes, name: str, row: pd.Series[Any], curves: dict[Any, pd.DataFrame], labels: list[str]) -> None:
    """One feature: the curve of each label, and where two of them are farthest apart."""
    distance = float(row["distance"])
    mine = {i: curves[name, label] for i, label in enumerate(labels) if (name, label) in curves}
    values = [value for curve in mine.values() for value in (curve["value"].iloc[0], curve["value"].iloc[-1])]
    known = name in FEATURES.names
    ax.set_xlabel(f"{name}\n({FEATURES[name].unit})" if known else name, fontsize=small())
    if not values:
        say_only(ax, "no windows")
        return
    low, high = min(values), max(values)
    margin = 0.05 * (high - low) or 0.5
    for i, curve in mine.items():
        ax.step(
            np.concatenate([[low - margin], curve["value"], [high + margin]]),
            np.concatenate([[0], curve["share"], [1]]),
            where="post",
            color=COLOURS[i],
            linestyle=_LINES[i],
            linewidth=1.2,
            marker=MARKERS[i],
            markersize=3,
            markevery=(0.15 + 0.05 * i, 0.3),
        )
    ax.set_xlim(low - margin, high + margin)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    if distance > 0:
        ax.vlines(row["at"], *sorted((row["first_share"], row["second_share"])), color=REST, linewidth=3, zorder=0)
    ax.set_ylim(0, 1.03)
    ax.set_title(f"D = {distance:.2f}" if np.isfinite(distance) else "D unknown", loc="left", fontsize=small())


def plot_feature_correlation(correlation: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw which features go together, as the lower half of the matrix of their correlations.

    Question it answers: which features say the same, so that one of them is enough?

    Each feature has its label where all labels fit beside the axes in small print, by the size of the figure. Where
    they do not, lines part the feature sets, and each set has a bracket and one label.

    Parameters
    ----------
    correlation
        From `toolkit.feature_correlation`.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        With one `QuadMesh`, and a minus in each cell below -0.1, since a grey printer cannot tell the signs apart.

    Examples
    --------
    >>> import toolkit
    >>> table = toolkit.client_features(toolkit.load_example("obfs4"), "10.77.0.0/24")
    >>> ax = plot_feature_correlation(toolkit.feature_correlation(table, ["psh", "entropy"]))
    >>> ax.get_yticklabels()[-1].get_text()
    'push_ratio_down'
    >>> ax = plot_feature_correlation(toolkit.feature_correlation(table))
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['entropy', 'interval', 'interval_bins', 'tcp_len', 'tcp_len_bins', 'psh', 'always']
    """
    ax = new_axes(ax)
    size = len(correlation)
    if size < 2:
        say(ax, "no packets match" if size == 0 else "one feature only")
        return ax
    values = correlation.to_numpy()
    lower = np.tri(size, dtype=bool, k=-1)
    shown = np.ma.masked_array(values, ~lower)[1:, :-1]
    edges = np.arange(size) - 0.5
    mesh = ax.pcolormesh(edges, edges, shown, cmap="PuOr_r", vmin=-1, vmax=1)
    rows, columns = ([str(name) for name in names] for names in (correlation.index[1:], correlation.columns[:-1]))
    cell = _cell_size(ax, [*rows, *columns], size - 1)
    whole = cell >= _LINE * small()
    if not whole:
        cell = _cell_size(ax, list(FEATURES.sets), size - 1)
    row, column = np.nonzero(lower[1:, :-1] & (values[1:, :-1] < -0.1))
    ax.plot(
        column,
        row,
        linestyle="none",
        marker="_",
        color="black",
        markersize=min(4.0, 0.6 * cell),
        markeredgewidth=min(0.8, 0.2 * cell),
    )
    ax.figure.colorbar(mesh, ax=ax, label="correlation (− marks negative)", pad=0.02, shrink=0.8)
    ax.set_xlim(-0.5, size - 1.5)
    ax.set_ylim(size - 1.5, -0.5)
    if whole:
        ax.set_yticks(range(size - 1), rows, fontsize=small())
        ax.set_xticks(range(size - 1), columns, rotation=90, fontsize=small())
    else:
        _label_sets(ax, rows, columns, cell)
        _part_sets(ax, [*columns[:1], *rows])
    ax.set_aspect("equal")
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.tick_params(length=0)
    return ax


def _label_sets(ax: Axes, rows: list[str], columns: list[str], cell: float) -> None:
    """Give each feature set a bracket and a label; `cell` is the least size of one in points."""
    apart = 1.1 * _LINE * small() / cell
    gap = min(1.0 / cell, 0.2)
    for axis, names, across in ((ax.yaxis, rows, False), (ax.xaxis, columns, True)):
        blocks = _blocks(names)
        middles = [(first + last) / 2 for _, first, last in blocks]
        axis.set_ticks(
            _spread(middles, apart), [name for name, _, _ in blocks], fontsize=small(), rotation=90 if across else 0
        )
        axis.set_tick_params(pad=7)
        draw = ax.hlines if across else ax.vlines
        place = ax.get_xaxis_transform() if across else ax.get_yaxis_transform()
        x, y = (0.0, -4.0) if across else (-4.0, 0.0)
        outside = ScaledTranslation(x / 72, y / 72, ax.figure.dpi_scale_trans)
        draw(
            [0] * len(blocks),
            [first - 0.5 + gap for _, first, _ in blocks],
            [last + 0.5 - gap for _, _, last in blocks],
            transform=place + outside,
            color="black",
            linewidth=0.8,
            clip_on=False,
        )


def _part_sets(ax: Axes, names: list[str]) -> None:
    """Part the feature sets by lines across the matrix; its rows are all of `names` but the first."""
    firsts = np.array([first for _, first, _ in _blocks(names)[1:]])
    # of the features before it a set is parted in its first row, of those after it in its first column
    ax.hlines(firsts - 1.5, -0.5, firsts - 0.5, color="0.4", linewidth=0.5)
    ax.vlines(firsts - 0.5, firsts - 1.5, len(names) - 1.5, color="0.4", linewidth=0.5)


def _blocks(names: list[str]) -> list[tuple[str, int, int]]:
    """Give the runs of features of one set: its name, and the first and the last of their places."""
    sets = [FEATURES[name].set if name in FEATURES.names else "other" for name in names]
    found = []
    for name, run in itertools.groupby(range(len(sets)), key=sets.__getitem__):
        places = list(run)
        found.append((name, places[0], places[-1]))
    return found


def _spread(places: list[float], apart: float) -> list[float]:
    """Move ascending places no more than it takes for them to be so far apart; what touches moves as one.

    Examples
    --------
    >>> _spread([0, 5, 6, 20], 3)
    [0.0, 4.0, 7.0, 20.0]
    """
    # less the room that those before it take, each only needs to be no lower than the last: isotonic regression
    runs: list[tuple[float, int]] = []  # middle, number
    for number, place in enumerate(places):
        run = (place - apart * number, 1)
        while runs and runs[-1][0] > run[0]:
            middle, size = runs.pop()
            run = ((middle * size + run[0] * run[1]) / (size + run[1]), size + run[1])
        runs.append(run)
    line = [middle for middle, size in runs for _ in range(size)]
    return [float(middle + apart * number) for number, middle in enumerate(line)]


def _cell_size(ax: Axes, labels: list[str], cells: int) -> float:
    """Give the least points of a cell of a square matrix beside its labels and its colour bar."""
    width, height = (side / ax.figure.dpi * 72 for side in ax.figure.bbox.size)
    spec = ax.get_subplotspec()
    if spec is not None:
        rows, columns = spec.get_gridspec().get_geometry()
        width, height = width * len(spec.colspan) / columns, height * len(spec.rowspan) / rows
    else:
        share = ax.get_position(original=True)
        width, height = width * share.width, height * share.height
    beside = max(text_width(label) for label in labels) + 8
    bar = 0.05 * width + 2.4 * _points(mpl.rcParams["ytick.labelsize"]) + 2 * _points(mpl.rcParams["axes.labelsize"])
    return max(min(width - bar, height) - beside, 1.0) / cells


def _points(size: float | str) -> float:
    return float(FontProperties(size=size).get_size_in_points())
