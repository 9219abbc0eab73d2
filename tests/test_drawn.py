"""What `drawn_data` reads off a figure is what was drawn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Wedge

from toolkit.drawn import drawn_data


def drawn(draw) -> pd.DataFrame:
    fig = Figure()
    draw(fig.subplots())
    return drawn_data(fig)


def test_lines_bars_and_steps():
    table = drawn(lambda ax: ax.plot([1, 2], [3.5, 4], label="a"))
    assert table.to_dict("list") == {
        "axes": [0, 0], "artist": ["Line2D"] * 2, "series": [0, 0], "label": ["a", "a"], "x": [1, 2], "y": [3.5, 4],
    }  # fmt: skip
    table = drawn(lambda ax: ax.bar([1, 2], [10, -20], width=0.5, bottom=[1, 0]))
    assert table[["x", "x_to", "y", "y_to"]].to_numpy().tolist() == [[0.75, 1.25, 1, 11], [1.75, 2.25, 0, -20]]
    table = drawn(lambda ax: ax.stairs([1, 2], [0, 5, 7], baseline=0, fill=True))
    assert table[["x", "x_to", "y", "y_to"]].to_numpy().tolist() == [[0, 5, 0, 1], [5, 7, 0, 2]]


def test_discs_segments_and_polygons():
    table = drawn(lambda ax: ax.scatter([1, 2], [3, 4], s=[5, 6]))
    assert table[["x", "y", "size"]].to_numpy().tolist() == [[1, 3, 5], [2, 4, 6]]
    table = drawn(lambda ax: ax.vlines([1, 2], [0, 1], [5, 6]))
    assert table[["x", "y", "x_to", "y_to"]].to_numpy().tolist() == [[1, 0, 1, 5], [2, 1, 2, 6]]
    square = [[(0, 0), (1, 0), (1, 2), (0, 2)], [(5, 1), (6, 1), (6, 3), (5, 3)]]
    table = drawn(lambda ax: ax.add_collection(PolyCollection(square)))
    assert table[["x", "y", "x_to", "y_to"]].to_numpy().tolist() == [[0, 0, 1, 2], [5, 1, 6, 3]]


def test_cells_of_meshes_and_images():
    values = np.ma.masked_equal([[1, 2], [3, 0]], 0)
    table = drawn(lambda ax: ax.pcolormesh([0, 1, 5], [0, 2, 4], values))
    expected = [[0, 0, 1, 2, 1], [1, 0, 5, 2, 2], [0, 2, 1, 4, 3]]
    assert table[["x", "y", "x_to", "y_to", "value"]].to_numpy().tolist() == expected
    for origin, rows in (("lower", [1, 2, 3, 4]), ("upper", [3, 4, 1, 2])):
        table = drawn(lambda ax, origin=origin: ax.imshow([[1, 2], [3, 4]], origin=origin, extent=(0, 2, 0, 2)))
        table = table.sort_values(["y", "x"])
        assert table["value"].tolist() == rows
        assert table[["x", "x_to", "y", "y_to"]].to_numpy().tolist() == [
            [0, 1, 0, 1], [1, 2, 0, 1], [0, 1, 1, 2], [1, 2, 1, 2],
        ]  # fmt: skip


def test_areas_shades_and_insets():
    table = drawn(lambda ax: ax.fill_between([0, 1, 2], [1, 2, 3]))
    assert {(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)} <= set(zip(table["x"], table["y"], strict=True))
    table = drawn(lambda ax: ax.scatter([1, 2], [3, 4], c=[0.5, 0.25]))
    assert table["value"].tolist() == [0.5, 0.25]
    table = drawn(lambda ax: ax.inset_axes([0, 0, 0.5, 0.5]).plot([7], [8]))
    assert table[["axes", "x", "y"]].to_numpy().tolist() == [[1, 7, 8]]
    with pytest.raises(TypeError, match="such as a hexbin"):
        drawn(lambda ax: ax.hexbin([1, 2, 3], [1, 2, 3]))


def test_axes_and_series_are_numbered_and_nothing_is_nothing():
    fig = Figure()
    left, right = fig.subplots(1, 2)
    left.plot([1], [1], label="_hidden")
    right.plot([2], [2], label="shown")
    right.plot([3], [3])
    table = drawn_data(fig)
    assert table[["axes", "series", "label"]].to_numpy().tolist() == [[0, 0, ""], [1, 0, "shown"], [1, 1, ""]]
    assert len(drawn_data(Figure())) == 0


@pytest.mark.parametrize("patch", [Circle((0, 0), 1), Wedge((0, 0), 1, 0, 90)])
def test_what_cannot_be_read_is_named(patch):
    with pytest.raises(TypeError, match=f"cannot read what a {type(patch).__name__} draws: give `data`"):
        drawn(lambda ax: ax.add_patch(patch))


def test_a_picture_of_colours_cannot_be_read():
    with pytest.raises(TypeError, match="an image of colours"):
        drawn(lambda ax: ax.imshow(np.zeros((2, 2, 3))))
