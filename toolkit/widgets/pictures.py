"""The pictures of the explorer: drawn by `toolkit.plots` on a figure without a window, given as PNG."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from PIL import Image

from toolkit import plots
from toolkit.lengths import LengthClusters
from toolkit.plots import COLOURS, colour_length_clusters
from toolkit.timing import direction_timeline
from toolkit.trace import Trace
from toolkit.widgets.result import Result
from toolkit.widgets.state import Choices

SIZES = {"windows": (7.2, 5.6), "features": (7.2, 5.0)}
"""Inches of the picture of a tab, where they are not `SIZE`."""

SIZE = (7.2, 4.2)
DPI = 100
EVERYWHERE = ("0.0.0.0/0", "::/0")
CHOSEN = "#dce6f2"
"""Behind the chosen range of time."""

WITHOUT = ("packets", "health")
"""Tabs that are tables only."""


def draw(result: Result, figure: Figure) -> None:
    """Draw what a tab shows.

    Parameters
    ----------
    result
        Of a tab that has a picture.
    figure
        An empty one, of any size.
    """
    choices = result.choices
    if result.clusters is not None:
        plots.plot_length_clusters(result.clusters, top=choices.top, ax=figure.subplots())
    elif result.sweep is not None:
        plots.plot_bandwidth_sweep(result.sweep, chosen=choices.bandwidth, ax=figure.subplots())
    elif result.gaps is not None and result.tables is not None:
        left, right = figure.subplots(1, 2)
        plots.plot_interval_bins(result.tables, ax=left)
        plots.plot_interval_cdf(result.gaps, ax=right)
    elif result.entropy is not None:
        plots.plot_entropy(result.entropy, ax=figure.subplots())
    elif result.timeline is not None and result.windows is not None:
        above, below = figure.subplots(2, 1)
        width = choices.time_window
        plots.plot_direction_timeline(result.timeline, edges_every=width, edges_from=result.edges_from, ax=above)
        plots.plot_window_sweep(result.windows, chosen=(width, choices.packet_window), ax=below)
    elif result.comparison is not None:
        plots.plot_feature_comparison(result.comparison, figure=figure)
    elif result.correlation is not None:
        plots.plot_feature_correlation(result.correlation, ax=figure.subplots())


class Pictures:
    """Draws one result after the other, and no more of it than has changed."""

    def __init__(self) -> None:
        self.figure = Figure(SIZE, dpi=DPI)
        self._canvas: Any = FigureCanvasAgg(self.figure)  # (its methods are not declared)
        self._result: Result | None = None
        self._png = b""
        self._times: tuple[Trace, pd.DataFrame] | None = None
        self._time_key: object = None
        self._time_png = b""
        self._behind: Any = None  # pixels of what stays while the colours of the lengths change

    def png(self, result: Result) -> bytes:
        """Draw a result.

        Parameters
        ----------
        result
            Of a tab that has a picture.

        Returns
        -------
        bytes
            A PNG.
        """
        before, self._result = self._result, None  # what fails half-way is no ground for the next
        if before is not None and result.looks_like(before):
            self._result = result
            return self._png
        if before is not None and result.clusters is not None and result.has_lengths_of(before):
            self._colour(result.clusters, result.choices.top)
        else:
            self.figure = Figure(SIZES.get(result.choices.tab, SIZE), dpi=DPI, layout="constrained")
            self._canvas = FigureCanvasAgg(self.figure)
            self._behind = None
            draw(result, self.figure)
            self._canvas.draw()
            self.figure.set_layout_engine("none")  # laid out once: the axes shall not jump while a slider is dragged
        self._png = _encoded(np.asarray(self._canvas.buffer_rgba()))
        self._result = result
        return self._png

    def _colour(self, clusters: LengthClusters, top: int) -> None:
        """Draw other clusters of the same lengths: axes, ticks and words around them take half of the time."""
        ax = self.figure.axes[0]
        if self._behind is None:
            for artist in _moving(ax):
                artist.set_visible(False)
            self._canvas.draw()
            self._behind = self._canvas.copy_from_bbox(self.figure.bbox)
        colour_length_clusters(ax, clusters, top=top)
        self._canvas.restore_region(self._behind)
        for artist in _moving(ax):
            artist.set_visible(True)
            ax.draw_artist(artist)

    def time(self, trace: Trace, choices: Choices) -> bytes:
        """Draw the packets of a whole capture over time, with the chosen range.

        Parameters
        ----------
        trace
            The capture.
        choices
            Their `start` and `stop`.

        Returns
        -------
        bytes
            A small PNG; nothing for a capture without packets.
        """
        if not len(trace):
            return b""
        if self._times is None or self._times[0] is not trace:
            self._times = trace, direction_timeline(trace, EVERYWHERE)
        longest = max(trace.duration.total_seconds(), 1e-3)
        stop = longest if choices.stop is None else min(choices.stop, longest)
        key = id(trace), choices.start, stop
        if key == self._time_key:
            return self._time_png
        timeline = self._times[1]
        figure = Figure((3.2, 0.4), dpi=DPI)
        canvas: Any = FigureCanvasAgg(figure)
        ax = figure.add_axes((0, 0, 1, 1), xlim=(0, longest))
        ax.axvspan(min(choices.start, longest), stop, color=CHOSEN, linewidth=0)
        ax.fill_between(timeline["start"], timeline["packets_up"], step="post", color=COLOURS[0], linewidth=0.5)
        ax.set_ylim(0)
        ax.set_axis_off()
        canvas.draw()
        self._time_key, self._time_png = key, _encoded(np.asarray(canvas.buffer_rgba()))
        return self._time_png

    def place_of(self, x: float, y: float) -> tuple[float, float] | None:
        """Give the data under a point of the picture, in shares of its width and height from the top left.

        Returns
        -------
        tuple of float
            In the first axes; None beside them.
        """
        if not self.figure.axes:
            return None
        ax = self.figure.axes[0]
        width, height = self.figure.bbox.size
        point: Any = (x * width, (1 - y) * height)
        if not ax.bbox.contains(*point):
            return None
        at = ax.transData.inverted().transform(point)
        return float(at[0]), float(at[1])


def _moving(ax: Axes) -> list[Artist]:
    """Give what other clusters change, and the frame that lies over it, from the bottom to the top."""
    legend = ax.get_legend()
    numbers = [text for text in ax.texts if isinstance(text, Annotation)]
    return [ax.collections[0], *ax.spines.values(), *numbers, *([] if legend is None else [legend])]


def _encoded(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    # fast rather than small: it goes to the same machine
    Image.fromarray(pixels[..., :3]).save(file, "png", compress_level=1)
    return file.getvalue()
