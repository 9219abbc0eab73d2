"""Numbers over the bars of a histogram: where each stands is decided when they are drawn.

Only then the size of the axes is known; and so they stand right after a zoom, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.path import Path
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox, IdentityTransform

from toolkit.plots._common import small, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GAP = 1.5
"""Points between a bar and its number, and between two numbers."""

_FARTHEST = 2.5
"""Letters (of the size of the text) that a number may be away from its bar, and still belong to it for the eye."""

# sideways and up, in numbers: nearest first
_STEPS = sorted(
    ((side, up) for up in range(3) for side in (0, 1, -1, 2, -2)), key=lambda step: (step[0] ** 2 + step[1] ** 2, step)
)


def write_numbers(
    ax: Axes, lengths: npt.NDArray[Any], counts: npt.NDArray[Any], peaks: Sequence[tuple[int, int]]
) -> None:
    """Write 0, 1, 2, ... over bars: none over another or over a bar, none far from its own.

    A number that cannot stand on its bar is lifted or put beside it, with a thin line to the bar. Where there is no
    room near it, the number is left out; the first take precedence.

    Parameters
    ----------
    ax
        With the bars, of width 1.
    lengths, counts
        Middle and top of each bar, the middles ascending. Shape (bars,).
    peaks
        Middle and top of the bars that get a number, in that order.
    """
    numbers: list[_Number] = []
    for number, peak in enumerate(peaks):
        numbers.append(_Number(number, peak, numbers, lengths, counts))
        ax.add_artist(numbers[-1])


class _Number(Annotation):
    """One of the numbers; the first of them to be drawn places all. Its text is empty where it is left out."""

    def __init__(
        self,
        number: int,
        peak: tuple[int, int],
        numbers: list[_Number],
        lengths: npt.NDArray[Any],
        counts: npt.NDArray[Any],
    ) -> None:
        super().__init__(
            str(number), peak, (0, 0), textcoords="offset points", ha="center", va="baseline", fontsize=small()
        )
        self.set_in_layout(False)  # it stands within the axes
        self._numbers = numbers
        self._bars = lengths, counts

    def draw(self, renderer: Any) -> None:
        """Place all numbers if this is the first, and draw this one."""
        if self is self._numbers[0]:
            _place(self._numbers, *self._bars)
        if self.get_visible() and self.get_text():
            side, up = self.get_position()
            if side or up > _GAP + 0.01:
                self._draw_line(renderer)
            super().draw(renderer)

    def _draw_line(self, renderer: Any) -> None:
        """Draw a thin line from the bar to the foot of the number."""
        assert self.axes is not None
        foot = self.axes.transData.transform(self.xy)
        point = renderer.points_to_pixels(1)
        end = foot + np.array(self.get_position()) * point - (0, 0.5 * point)
        context = renderer.new_gc()
        context.set_linewidth(0.5 * point)
        context.set_foreground("0.3")
        renderer.draw_path(context, Path(np.array([foot, end])), IdentityTransform())
        context.restore()


def _place(numbers: Sequence[_Number], lengths: npt.NDArray[Any], counts: npt.NDArray[Any]) -> None:
    """Give each number its text and its place in points from the top of its bar, or no text."""
    ax = numbers[0].axes
    assert ax is not None
    point = ax.figure.dpi / 72
    size = small()
    wide, high = (text_width("0", size) + _GAP) * point, (0.75 * size + _GAP) * point
    tops = ax.transData.transform(np.stack([lengths, counts], axis=1).astype(float))
    byte = float(ax.transData.transform((1.0, 1.0))[0] - ax.transData.transform((0.0, 1.0))[0])
    taken: list[Bbox] = []
    for number, annotation in enumerate(numbers):
        x, y = (float(each) for each in ax.transData.transform(annotation.xy))
        annotation.set_text("")
        for side, up in _STEPS:
            middle = x + side * wide
            first, last = np.searchsorted(tops[:, 0], (middle - (wide + byte) / 2, middle + (wide + byte) / 2))
            highest = float(tops[first:last, 1].max(initial=float(ax.bbox.y0)))
            foot = max(highest, y) + _GAP * point + up * high
            box = Bbox.from_bounds(middle - wide / 2, foot, wide, high)
            far = np.hypot(side * wide, foot - y) > _FARTHEST * size * point
            # what stands above the axes begins some points higher
            inside = ax.bbox.x0 < box.x0 and box.x1 < ax.bbox.x1 and box.y1 < ax.bbox.y1 + 3 * point
            if far or not inside or _crosses(taken, box, (x, y), (middle, foot)):
                continue
            taken.append(box)
            annotation.set_text(str(number))
            annotation.set_position((side * wide / point, (foot - y) / point))
            break


def _crosses(taken: Sequence[Bbox], box: Bbox, start: tuple[float, float], end: tuple[float, float]) -> bool:
    """Whether a number, or the line to it, would run into one that stands."""
    line = np.linspace(start, end, 5)[1:]
    return any(
        (box.x0 < other.x1 and other.x0 < box.x1 and box.y0 < other.y1 and other.y0 < box.y1)
        or bool(((line > other.min) & (line < other.max)).all(axis=1).any())
        for other in taken
    )
