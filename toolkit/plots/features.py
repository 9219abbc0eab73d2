"""Charts of feature tables: how far labelled traces are apart, what goes together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from toolkit.features import FEATURES
from toolkit.lengths import check_integer
from toolkit.plots._common import COLOURS, MARKERS, REST, legend, new_axes, say, say_only, shorter, small

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from toolkit.comparison import FeatureComparison

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
    row, column = np.nonzero(lower[1:, :-1] & (values[1:, :-1] < -0.1))
    ax.plot(column, row, linestyle="none", marker="_", color="black", markersize=4, markeredgewidth=0.8)
    ax.figure.colorbar(mesh, ax=ax, label="correlation (− marks negative)", pad=0.02, shrink=0.8)
    ax.set_yticks(range(size - 1), list(correlation.index[1:]), fontsize=small())
    ax.set_xticks(range(size - 1), list(correlation.columns[:-1]), rotation=90, fontsize=small())
    ax.invert_yaxis()
    ax.set_aspect("equal")
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.tick_params(length=0)
    return ax
