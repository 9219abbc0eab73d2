"""What the charts share: colours, text sizes, what to say where there is nothing to draw.

Colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), told apart by colour-blind readers; what matters
is also told by position, hatching, marker or label, so that it survives a grey printer.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.transforms import ScaledTranslation

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.legend import Legend

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
UP, DOWN = COLOURS[:2]
REST = "#BBBBBB"
"""For what has no colour of its own: clusters beyond the largest, lines to guide the eye."""

FAINT = "#DDDDDD"
"""For many lines that guide the eye."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")

T = TypeVar("T")


def new_axes(ax: Axes | None) -> Axes:
    """Give the axes of the caller, or those of a new figure."""
    if ax is not None:
        return ax
    from matplotlib import pyplot  # only here: a figure given by the caller needs no window system

    return pyplot.subplots(layout="constrained")[1]


def small() -> float:
    """Points of small print: a little less than the text of the figure, and never less than what papers ask for."""
    return max(8.0, 0.85 * float(mpl.rcParams["font.size"]))


def say(ax: Axes, words: str) -> None:
    """Write in the middle of a chart that has nothing to draw."""
    ax.text(0.5, 0.5, words, transform=ax.transAxes, ha="center", va="center")


def note(ax: Axes, words: str) -> None:
    """Write what the reader must know, but the chart does not show, above its left edge."""
    ax.set_title(wrapped(ax, words), fontsize=small(), loc="left")


def wrapped(ax: Axes, words: str) -> str:
    """Break small print into lines no wider than the axes."""
    letters = _room(ax) / max(_width(words) / max(len(words), 1), 0.1)
    return textwrap.fill(words, max(int(letters), 10)) if words else ""


def _width(words: str) -> float:
    """Width of small print in points, in the font that it will have."""
    font = get_font(findfont(FontProperties()))
    font.set_size(small(), 72)
    font.set_text(words)
    return float(font.get_width_height()[0]) / 64


def _room(ax: Axes) -> float:
    """Width of the axes in points, nearly: the layout is not known before it is drawn."""
    return float(ax.get_position().width * ax.figure.bbox.width / ax.figure.dpi * 72)


def short(label: str, most: int = 28) -> str:
    """Give a label in so few characters that it leaves room for the chart: its beginning and its end."""
    label = " ".join(str(label).split())
    head = (most - 1) // 2
    return label if len(label) <= most else f"{label[:head]}…{label[-(most - 1 - head) :]}"


def labelled(data: T | Mapping[str, T], what: str) -> dict[str, T]:
    """Give one table, or several by their labels, as the latter; at most as many as there are colours.

    Raises
    ------
    ValueError
        If there is none, or more than can be told apart.
    """
    named: dict[str, T] = dict(data) if isinstance(data, Mapping) else {"": data}
    if not 1 <= len(named) <= len(COLOURS):
        raise ValueError(f"there must be from 1 to {len(COLOURS)} {what}, got {len(named)}")
    return named


def seconds(value: float) -> str:
    """Give a duration in seconds with the unit that suits it.

    Examples
    --------
    >>> seconds(0.001), seconds(15), seconds(300), seconds(90)
    ('1 ms', '15 s', '5 min', '90 s')
    """
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if value > size and value % size == 0:
            return f"{value / size:g} {unit}"
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value * 1e9:g} ns"


def legend_above(
    ax: Axes, *, handles: Sequence[Artist] | None = None, title: str | None = None, columns: int = 2
) -> Legend:
    """Put the legend above the axes (and above its `note`), where it hides no data."""
    found = ax.get_legend_handles_labels()[0] if handles is None else list(handles)
    above = ax.get_title(loc="left")
    lines = above.count("\n") + 1 if above else 0
    shift = ScaledTranslation(0, (small() * 1.3 * lines + 5) / 72, ax.figure.dpi_scale_trans)
    return ax.legend(
        handles=found,
        title=None if title is None else wrapped(ax, title),
        loc="lower left",
        bbox_to_anchor=(0, 1),
        bbox_transform=ax.transAxes + shift,
        ncols=_fitting(ax, [str(handle.get_label()) for handle in found], columns),
        fontsize=small(),
        title_fontsize=small(),
        alignment="left",
        frameon=False,
        borderaxespad=0,
        borderpad=0,
        handlelength=1.8,
        handletextpad=0.4,
        columnspacing=1.0,
        labelspacing=0.3,
    )


def _fitting(ax: Axes, labels: list[str], most: int) -> int:
    """Columns of a legend that fit over the axes, which it fills from top to bottom."""
    widths = [_width(label) + 3.2 * small() for label in labels]  # with the handle, and what is between the columns
    for columns in range(min(most, len(labels)), 1, -1):
        parts = np.array_split(np.array(widths), columns)
        if sum(float(part.max()) for part in parts) <= _room(ax):
            return columns
    return 1
