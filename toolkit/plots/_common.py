"""What the charts share: colours, text sizes, what to say where there is nothing to draw.

Colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), told apart by colour-blind readers; what matters
is also told by position, hatching, marker or label, so that it survives a grey printer.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path
from matplotlib.ticker import EngFormatter, FuncFormatter, NullFormatter
from matplotlib.transforms import ScaledTranslation

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
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


def say_only(ax: Axes, words: str) -> None:
    """Write in the middle of a chart that has not even a scale: ticks of nothing would mislead."""
    ax.set_xticks([])
    ax.set_yticks([])
    say(ax, words)


def note(ax: Axes, words: str) -> None:
    """Write what the reader must know, but the chart does not show, above its left edge."""
    ax.set_title(wrapped(ax, words), fontsize=small(), loc="left")


def wrapped(where: Axes | Figure, words: str, *, beside: float = 0.0, size: float | None = None) -> str:
    """Break small print into lines no wider than the axes or the figure, less the points of what stands beside it."""
    if not words:
        return ""
    most = 0.93 * room(where) - beside
    letters = max(int(most / max(text_width(words, size) / len(words), 0.1)), 10)
    while text_width(lines := textwrap.fill(words, letters), size) > most and letters > 10:
        letters -= 1
    return lines


def text_width(words: str, size: float | str | None = None) -> float:
    """Width of text in points, in the font that it will have; of small print if no size is given."""
    font = FontProperties(size=small() if size is None else size)
    return float(max(text_to_path.get_text_width_height_descent(line, font, False)[0] for line in words.split("\n")))


def room(where: Axes | Figure) -> float:
    """Width of the axes or the figure in points, nearly: the layout is not known before it is drawn."""
    share = 0.97
    if isinstance(where, Axes):
        place = where.get_subplotspec()
        # where the axes were put first: what is drawn again after the layout gets the same room
        figure: Any = where.figure  # or a part of one, which will do
        first = where.get_position() if place is None else place.get_position(figure)
        # axes side by side lose some of it to the labels between them
        share = first.width * (0.9 if place and place.get_gridspec().ncols > 1 else 1)
    return float(share * where.figure.bbox.width / where.figure.dpi * 72)


def count_labels(axis: Axis, highest: float) -> None:
    """Label counts on a log axis as 1, 10, 100, 1k: small raised exponents are no letters of 8 points.

    Counts under 10 get 2 and 5 as well: else there would be one label.
    """
    si = EngFormatter(sep="")
    axis.set_major_formatter(FuncFormatter(lambda value, _: si(value) if value >= 1 else ""))
    few = FuncFormatter(lambda value, _: f"{value:g}" if round(value, 6) in (2, 5) else "")
    axis.set_minor_formatter(few if highest < 10 else NullFormatter())


def short(label: str, most: int = 28) -> str:
    """Give a label in so few characters that it leaves room for the chart: its beginning and its end."""
    label = " ".join(str(label).split())
    head = (most - 1) // 2
    return label if len(label) <= most else f"{label[:head]}…{label[-(most - 1 - head) :]}"


def shorter(labels: Iterable[Any]) -> dict[Any, str]:
    """Give each label in few characters, but in as many as it takes to tell them apart."""
    given = list(labels)
    names: dict[Any, str] = {}
    for most in (28, 60, 120):
        names = {label: short(label, most) for label in given}
        if len(set(names.values())) == len(given):
            break
    return names


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
    high = 1.3 + 1.5 * (lines - 1) if lines else 0.0
    shift = ScaledTranslation(0, (small() * high + 5) / 72, ax.figure.dpi_scale_trans)
    return legend(
        ax,
        found,
        columns,
        title=None if title is None else wrapped(ax, title),
        loc="lower left",
        bbox_to_anchor=(0, 1),
        bbox_transform=ax.transAxes + shift,
        alignment="left",
        borderaxespad=0,
        borderpad=0,
    )


def legend(where: Axes | Figure, handles: Sequence[Artist], columns: int, **options: Any) -> Legend:
    """Make a legend in small print, of at most so many columns, whose labels stand as they are given."""
    beside = 3.2 * small()  # the handle, and what is between the columns
    labels = [wrapped(where, str(handle.get_label()), beside=beside) for handle in handles]
    made = where.legend(
        list(handles),
        [str(number) for number in range(len(labels))],
        ncols=_fitting(room(where), [text_width(label) + beside for label in labels], columns),
        fontsize=small(),
        title_fontsize=small(),
        frameon=False,
        handlelength=1.8,
        handletextpad=0.4,
        columnspacing=1.0,
        labelspacing=0.3,
        **options,
    )
    for text, label in zip(made.get_texts(), labels, strict=True):
        text.set_text(label)  # only now: a legend leaves out labels that begin with "_"
        text.set_parse_math(False)  # a "$" is a "$"
    return made


def _fitting(most: float, widths: list[float], columns: int) -> int:
    """Columns of a legend that fit into so many points; they are filled from top to bottom."""
    for number in range(min(columns, len(widths)), 1, -1):
        if sum(float(part.max()) for part in np.array_split(np.array(widths), number)) <= most:
            return number
    return 1
