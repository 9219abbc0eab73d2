"""What leaves the explorer: code, figures, tables, choices; and the controls that write them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import ipywidgets as w
import pandas as pd
import traitlets as t
from matplotlib.figure import Figure

from toolkit._files import TABLE_SUFFIXES, atomically
from toolkit.errors import ToolkitError
from toolkit.figures import Columns, Venue, check_name, paper, paper_width, save_figure
from toolkit.widgets import controls
from toolkit.widgets.code import to_code
from toolkit.widgets.page import CodeWidget
from toolkit.widgets.pictures import SIZE, SIZES, WITHOUT, draw
from toolkit.widgets.result import Result
from toolkit.widgets.state import State

if TYPE_CHECKING:
    from toolkit.widgets.view import Explorer

_ENDING = ".state.json"

_TABLES = {
    "lengths": "clusters", "bandwidth": "sweep", "intervals": "bins ", "entropy": "packets", "windows": "windows",
    "features": "features ", "packets": "packets", "health": "health",
}  # fmt: skip
"""Which of the tables behind a tab is saved; those of several captures begin alike."""


def write_figure(
    explorer: Explorer, result: Result, name: str, venue: Venue, columns: Columns, folder: str | Path
) -> Path:
    """Write what is shown as a paper figure; the code in its JSON names captures without their folders."""
    choices = result.choices
    if choices.tab in WITHOUT:
        raise ToolkitError(f"the tab {choices.tab!r} has no picture")
    if not result.has_picture:
        raise ToolkitError(f"there is no picture to save: {result.note}")
    width, height = SIZES.get(choices.tab, SIZE)
    with paper(venue, columns):
        figure = Figure(figsize=(paper_width(venue, columns), paper_width(venue, columns) * height / width))
        draw(result, figure)
        params = {"call": to_code(choices, explorer.captures, result.without, folders=False), **vars(choices)}
        traces = [explorer.captures[label] for label in (result.tables or [choices.label])]
        return save_figure(figure, name, data=result.frames(), params=params, traces=traces, folder=folder)


def table_to_save(result: Result) -> pd.DataFrame:
    """Give the table of a tab; those of several captures one after the other, with their labels."""
    wanted = _TABLES[result.choices.tab]
    parts = {name.removeprefix(wanted): table for name, table in result.frames().items() if name.startswith(wanted)}
    return next(iter(parts.values())) if len(parts) == 1 else pd.concat(parts, names=["capture"])


def write_state(state: State, path: Path) -> None:
    """Write the choices as JSON."""
    with atomically(path) as temporary:
        temporary.write_text(state.to_json(), encoding="utf-8")


def read_state(state: State, path: Path) -> dict[str, Any]:
    """Read choices that can be made.

    Raises
    ------
    ToolkitError
        If there are none, or what cannot be chosen here.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        others = sorted(other.name.removesuffix(_ENDING) for other in path.parent.glob(f"*{_ENDING}"))
        there = f"there are {', '.join(others)}" if others else "there are no others beside it"
        raise ToolkitError(f"{path}: no such file; {there}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ToolkitError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    try:
        choices = json.loads(text)
    except (ValueError, RecursionError):
        raise ToolkitError(f"{path}: expected the JSON that 'Save state' writes, found something else") from None
    if not isinstance(choices, dict):
        raise ToolkitError(f"{path}: expected an object with choices, found {type(choices).__name__}")
    try:
        choices = {name: tuple(value) if isinstance(value, list) else value for name, value in choices.items()}
        State(state.labels, **(vars(state.choices()) | choices))
    except (ValueError, TypeError, OverflowError, t.TraitError) as error:
        raise ToolkitError(f"{path}: {error}") from error
    return choices


class Keeping:
    """The controls that write what is shown.

    Parameters
    ----------
    explorer
        Whose view it is.
    """

    def __init__(self, explorer: Explorer) -> None:
        self._explorer = explorer
        wide, full, guard = controls.WIDE, controls.FULL, explorer._guarded
        self.code = CodeWidget()
        self.name = w.Text(description="Name", style=wide, layout=full)
        self.venue = w.Dropdown(options=get_args(Venue), description="Venue", style=wide, layout=full)
        self.columns = w.Dropdown(options=[1, 2], value=2, description="Columns", style=wide, layout=full)
        self.ending = w.Dropdown(options=list(TABLE_SUFFIXES), description="Table as", style=wide, layout=full)
        self.figure, self.table, self.save, self.load = (
            w.Button(description=words, layout=w.Layout(width="auto"))
            for words in ("Save figure", "Save table", "Save state", "Load state")
        )
        self.figure.on_click(guard(self._figure))
        self.table.on_click(
            guard(lambda button: self._written(explorer.save_table(f"{self._name()}{self.ending.value}")))
        )
        self.save.on_click(guard(lambda button: self._written(explorer.save_state(f"{self._name()}{_ENDING}"))))
        self.load.on_click(guard(self._load))
        buttons = w.HBox([self.figure, self.table, self.save, self.load], layout=w.Layout(flex_flow="row wrap"))
        self.parts = [self.code, self.name, self.venue, self.columns, self.ending, buttons]

    def show(self, result: Result | None, code: str) -> None:
        """Show the code of a view, and what can be written of it."""
        choices = self._explorer.state.choices()
        self.code.text = code
        self.name.placeholder = re.sub(r"[^A-Za-z0-9_-]+", "-", f"{choices.label}-{choices.tab}").strip("-")
        self.figure.disabled = result is None or not result.has_picture
        self.table.disabled = result is None

    def _name(self) -> str:
        return check_name(self.name.value.strip() or self.name.placeholder)

    def _written(self, path: Path) -> None:
        self._explorer.said.say(f"written: {path}, in {Path.cwd()}")

    def _figure(self, button: Any) -> None:
        self._written(self._explorer.save_figure(self._name(), venue=self.venue.value, columns=self.columns.value))

    def _table(self, button: Any) -> None:
        self._written(self._explorer.save_table(f"{self._name()}{self.ending.value}"))

    def _load(self, button: Any) -> None:
        path = Path(f"{self._name()}{_ENDING}")
        self._explorer.load_state(path)
        self._explorer.said.say(f"loaded: {path}")
