"""Read the data that a figure shows back from its artists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection, PolyCollection, QuadMesh
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle, StepPatch


def drawn_data(fig: Figure) -> pd.DataFrame:
    """Give what a figure shows, as numbers.

    Parameters
    ----------
    fig
        Any figure of lines, bars, steps, polygons, discs, meshes and images.

    Returns
    -------
    DataFrame
        One row a point, bar, polygon, disc or cell: ``axes`` (its number), ``artist`` (its type), ``series`` (number of
        the artist within the axes), ``label``, and what the type has of ``x``, ``y``, ``x_to``, ``y_to`` (the other end
        of a bar, a step, the box around a polygon, a line segment), ``size`` and ``value`` (of a cell).

    Raises
    ------
    TypeError
        If an artist holds data that cannot be read: "cannot read what a ... draws: give `data`".

    Examples
    --------
    >>> figure = Figure()
    >>> ax = figure.subplots()
    >>> container = ax.bar([1, 2], [10, 20], width=0.5)
    >>> drawn_data(figure)[["artist", "x", "x_to", "y_to"]]
          artist     x  x_to  y_to
    0  Rectangle  0.75  1.25    10
    1  Rectangle  1.75  2.25    20
    """
    parts = []
    insets = [inner for outer in fig.axes for inner in outer.child_axes if isinstance(inner, Axes)]
    for number, ax in enumerate([*fig.axes, *insets]):
        for series, artist in enumerate(_artists(ax)):
            part = pd.DataFrame(_read(artist))
            part.insert(0, "label", _label(artist))
            part.insert(0, "series", series)
            part.insert(0, "artist", type(artist).__name__)
            part.insert(0, "axes", number)
            parts.append(part)
    columns = ["axes", "artist", "series", "label", "x", "y", "x_to", "y_to", "size", "value"]
    if not parts:
        return pd.DataFrame(columns=columns)
    joined = pd.concat(parts, ignore_index=True)
    return joined[[name for name in columns if name in joined.columns]]


def _artists(ax: Axes) -> Iterator[Artist]:
    """Give what holds data: not the frame, the texts, the legend."""
    yield from ax.lines
    yield from ax.patches
    yield from ax.collections
    yield from ax.images


def _label(artist: Artist) -> str:
    label = str(artist.get_label())
    return "" if label.startswith("_") else label


def _read(artist: Artist) -> dict[str, Any]:
    if isinstance(artist, Line2D):
        return {"x": np.asarray(artist.get_xdata()), "y": np.asarray(artist.get_ydata())}
    if isinstance(artist, Rectangle):
        x, y = artist.get_xy()
        return {"x": [x], "y": [y], "x_to": [x + artist.get_width()], "y_to": [y + artist.get_height()]}
    if isinstance(artist, StepPatch):
        values, edges, baseline = (np.asarray(part) for part in artist.get_data())
        return {"x": edges[:-1], "x_to": edges[1:], "y": np.broadcast_to(baseline, values.shape), "y_to": values}
    if isinstance(artist, QuadMesh):
        mesh: Any = artist.get_coordinates()
        low, high = mesh[:-1, :-1].reshape(-1, 2), mesh[1:, 1:].reshape(-1, 2)
        return _cells(low[:, 0], low[:, 1], high[:, 0], high[:, 1], artist.get_array())
    if isinstance(artist, AxesImage):
        return _pixels(artist)
    if isinstance(artist, PathCollection):
        offsets: Any = np.ma.filled(np.ma.asarray(artist.get_offsets(), dtype=float), np.nan)
        sizes = np.asarray(artist.get_sizes(), dtype=float)
        found = {"x": offsets[:, 0], "y": offsets[:, 1], "size": np.resize(sizes, len(offsets))}
        shade = artist.get_array()
        return found if shade is None else found | {"value": np.ma.filled(np.ma.asarray(shade, float), np.nan)}
    if isinstance(artist, LineCollection):
        ends = [(*line[0], *line[-1]) for line in artist.get_segments()]
        return _boxes(ends)
    if isinstance(artist, PolyCollection):
        if len(np.asarray(artist.get_offsets())) > 1:
            raise TypeError("cannot read what a PolyCollection with offsets, such as a hexbin, draws: give `data`")
        corners = [np.asarray(path.vertices) for path in artist.get_paths()]
        if any(len(corner) > 5 for corner in corners):  # an area, not a bar: its outline
            outline = np.concatenate(corners)
            return {"x": outline[:, 0], "y": outline[:, 1]}
        return _boxes([(*corner.min(axis=0), *corner.max(axis=0)) for corner in corners])
    raise TypeError(f"cannot read what a {type(artist).__name__} draws: give `data`")


def _cells(x: Any, y: Any, x_to: Any, y_to: Any, values: Any) -> dict[str, Any]:
    """Cells of a mesh, but those that are masked."""
    shown = np.ma.asarray(values).ravel()
    keep = ~np.ma.getmaskarray(shown)
    return {"x": x[keep], "y": y[keep], "x_to": x_to[keep], "y_to": y_to[keep], "value": shown.data[keep]}


def _boxes(boxes: list[tuple[float, ...]]) -> dict[str, Any]:
    table = np.array(boxes, dtype=float).reshape(-1, 4)
    return {"x": table[:, 0], "y": table[:, 1], "x_to": table[:, 2], "y_to": table[:, 3]}


def _pixels(image: AxesImage) -> dict[str, Any]:
    shown = image.get_array()
    if shown is None or shown.ndim != 2:
        raise TypeError("cannot read what an image of colours draws: give `data`")
    left, right, bottom, top = image.get_extent()
    rows, columns = shown.shape
    across = np.linspace(left, right, columns + 1)
    down = np.linspace(top, bottom, rows + 1)  # from the first row; the extent has its ends swapped where it is below
    if image.origin == "lower":
        down = down[::-1]
    column, row = np.meshgrid(np.arange(columns), np.arange(rows))
    ends = down[row], down[row + 1]
    return _cells(
        across[column].ravel(), np.minimum(*ends).ravel(), across[column + 1].ravel(), np.maximum(*ends).ravel(), shown
    )
