"""The explorer as one sees it: controls on the left, what they lead to on the right."""

from __future__ import annotations

import functools
import html
import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import ipywidgets as w
import pandas as pd
import traitlets as t
from matplotlib.figure import Figure

from toolkit._files import TABLE_SUFFIXES, write_table
from toolkit.capture.reader import read
from toolkit.connections import suggest_clients
from toolkit.errors import ToolkitError
from toolkit.figures import WIDTHS, Columns, Venue, paper, paper_width, save_figure
from toolkit.lengths import LengthClusters
from toolkit.trace import Trace
from toolkit.widgets import controls
from toolkit.widgets.code import to_code
from toolkit.widgets.compute import Computer, NothingMatchesError, Result
from toolkit.widgets.page import CopyButton, PictureWidget
from toolkit.widgets.pictures import SIZE, SIZES, WITHOUT, Pictures, draw
from toolkit.widgets.state import NAMES, TABS, State
from toolkit.widgets.work import Worker

_log = logging.getLogger(__name__)

LONG = 3_000_000
"""Packets from which work is done beside the kernel."""

_STYLE = """<style>
.toolkit-explorer { gap: 8px; }
.toolkit-side { flex: 1 1 330px; min-width: 300px; max-width: 420px; }
.toolkit-main { flex: 3 1 480px; min-width: 320px; }
.toolkit-picture { max-width: 100%; height: auto; background: white; border-radius: 2px; }
.toolkit-stale { opacity: 0.35; }
.toolkit-status { min-height: 1.6em; }
.toolkit-wrong, .toolkit-failed { color: var(--jp-error-color1, #b00020); font-weight: 600; }
.toolkit-tabs .widget-toggle-buttons { flex-flow: row wrap; }
.toolkit-table { overflow-x: auto; max-height: 30em; }
.toolkit-table .widget-html-content { line-height: 1.4; }
.toolkit-table table { font-size: 85%; font-variant-numeric: tabular-nums; border-collapse: collapse; }
.toolkit-table th, .toolkit-table td { padding: 1px 8px; text-align: right; white-space: nowrap; }
</style>"""

_remembered: dict[tuple[str, ...], tuple[dict[str, Any], dict[str, Any]]] = {}
"""The choices last made for the same captures, and what was asked for then: a cell that is run again keeps them."""


def explore(
    traces: Trace | str | os.PathLike[str] | Mapping[str, Trace | str | os.PathLike[str]] | Iterable[Any],
    **initial: Any,
) -> Explorer:
    """Explore one or several captures by hand.

    Parameters
    ----------
    traces
        A trace or the path of a capture, or several: as a list, or by their labels.
    **initial
        Choices to begin with: any field of `toolkit.widgets.state.Choices`, such as ``clients="10.0.0.0/24"`` or
        ``bandwidth=5``. Without `clients`, the hosts that open connections are taken. Run again with the same captures
        and the same `initial`, what was chosen meanwhile is kept.

    Returns
    -------
    Explorer
        Shows itself as the last line of a cell.

    Raises
    ------
    TraitError
        If a choice cannot be.
    ValueError
        If there is no capture.

    Examples
    --------
    >>> import toolkit
    >>> explorer = toolkit.explore(toolkit.load_example("obfs4"), bandwidth=5)
    >>> explorer.clusters
    LengthClusters(74 clusters of 316 packets, bandwidth=5 bytes, 77.8% left out)
    """
    captures = _captures(traces)
    key = tuple(
        f"{label} {source.sha256 or id(trace)}" for label, trace in captures.items() for source in trace.sources
    )
    asked = dict(initial)
    if key in _remembered and _remembered[key][1] == asked:
        initial = _remembered[key][0]
    elif "clients" not in initial:
        first = next(iter(captures.values()))
        initial["clients"] = suggest_clients(first) or first.hosts[:1]
    explorer = Explorer(captures, **initial)

    def remember(change: Any = None) -> None:
        _remembered[key] = ({name: getattr(explorer.state, name) for name in NAMES}, asked)

    explorer.state.observe(remember, list(NAMES))
    remember()
    return explorer


def _captures(traces: Any) -> dict[str, Trace]:
    if isinstance(traces, Trace | str | os.PathLike):
        traces = [traces]
    if isinstance(traces, Mapping):
        found = {str(label): trace if isinstance(trace, Trace) else read(trace) for label, trace in traces.items()}
    else:
        found = {}
        for each in traces:
            trace = each if isinstance(each, Trace) else read(each)
            label = name = trace.sources[0].name.split(".")[0] or "packets"
            number = 2
            while label in found:
                label, number = f"{name} {number}", number + 1
            found[label] = trace
    if not found:
        raise ValueError("`traces` must hold at least one capture, got none")
    return found


class Explorer:
    """A live view of captures. Made by `toolkit.explore`.

    Attributes
    ----------
    state
        What is chosen (`toolkit.widgets.state.State`): setting one of its traits changes the view.
    result
        What is shown (`toolkit.widgets.compute.Result`), or None where nothing matches.
    widget
        What a notebook shows.
    """

    def __init__(self, captures: Mapping[str, Trace], **initial: Any) -> None:
        self.captures = dict(captures)
        if isinstance(initial.get("clients"), str):
            initial["clients"] = (initial["clients"],)
        self.state = State(self.captures, **initial)
        self.result: Result | None = None
        self._computer = Computer(self.captures)
        self._pictures = Pictures()
        self._worker: Worker[Result] = Worker(self._show, self._failed, self._progress)
        self._build()
        self.state.observe(self._guarded(self._changed), list(NAMES))
        self._update()

    # What the next cell wants

    @property
    def features(self) -> dict[str, pd.DataFrame]:
        """Feature tables of the captures compared, by label, as the choices have them now."""
        choices = self.state.choices()
        tables = self._computer.result(type(choices)(**{**vars(choices), "tab": "features"})).tables
        assert tables is not None
        return tables

    @property
    def clusters(self) -> LengthClusters:
        """Length clusters, as the choices have them now."""
        choices = self.state.choices()
        clusters = self._computer.result(type(choices)(**{**vars(choices), "tab": "lengths"})).clusters
        assert clusters is not None
        return clusters

    @property
    def selection(self) -> Trace:
        """The packets that the choices select."""
        return self._computer.selection(self.state.choices(), self.state.label)

    @property
    def figure(self) -> Figure:
        """The picture that is shown, as a figure."""
        return self._pictures.figure

    def to_code(self) -> str:
        """Give the few lines that give this view without widgets."""
        return to_code(self.state.choices(), self.captures)

    def save_figure(
        self, name: str, *, venue: Venue = "usenix", columns: Columns = 2, folder: str | Path = "figures"
    ) -> Path:
        """Write what is shown as a paper figure, see `toolkit.save_figure`.

        The code in its JSON is that of `to_code`, but names captures without their folders.

        Raises
        ------
        ToolkitError
            If nothing is shown, or a table only.
        """
        result = self._shown()
        if result.choices.tab in WITHOUT:
            raise ToolkitError(f"the tab {result.choices.tab!r} has no picture")
        width, height = SIZES.get(result.choices.tab, SIZE)
        with paper(venue, columns):
            figure = Figure(figsize=(paper_width(venue, columns), paper_width(venue, columns) * height / width))
            draw(result, figure)
            params = {"call": to_code(result.choices, self.captures, folders=False), **vars(result.choices)}
            labels = result.tables or [result.choices.label]
            traces = [self.captures[label] for label in labels]
            return save_figure(figure, name, data=result.frames(), params=params, traces=traces, folder=folder)

    def save_table(self, path: str | Path) -> Path:
        """Write what is shown as CSV or Parquet, by the ending of `path`; several tables one after the other."""
        frames = self._shown().frames()
        name = {"features": "features", "packets": "packets", "lengths": "clusters"}.get(self._shown().choices.tab)
        parts = {label: table for label, table in frames.items() if name is None or label.startswith(name)}
        if len({table.index.nlevels for table in parts.values()}) > 1:  # one below the other they need the same index
            parts = {label: table.reset_index() for label, table in parts.items()}
        write_table(next(iter(parts.values())) if len(parts) == 1 else pd.concat(parts, names=["table"]), path)
        return Path(path)

    def save_state(self, path: str | Path) -> Path:
        """Write the choices as JSON."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(self.state.to_json(), encoding="utf-8")
        return Path(path)

    def load_state(self, path: str | Path) -> None:
        """Make the choices that a file holds.

        Raises
        ------
        ToolkitError
            If it is not JSON, or holds what cannot be chosen here; then nothing is changed.
        """
        try:
            choices = json.loads(Path(path).read_text(encoding="utf-8"))
            if not isinstance(choices, dict):
                raise ValueError("it holds no choices")
            State(self.captures, **{name: tuple(v) if isinstance(v, list) else v for name, v in choices.items()})
        except (OSError, ValueError, TypeError, t.TraitError) as error:
            raise ToolkitError(f"{path}: {error}") from error
        self.state.set(choices)

    def _shown(self) -> Result:
        if self.result is None:
            raise ToolkitError("nothing is shown: no packets match")
        return self.result

    # What one sees

    def _build(self) -> None:
        state = self.state
        self.label = controls.tied(
            state, "label",
            w.Dropdown(options=list(self.captures), description="Capture", style=controls.WIDE, layout=controls.FULL),
        )  # fmt: skip
        self.compared = controls.tied(
            state, "compared",
            w.SelectMultiple(
                options=list(self.captures), rows=min(len(self.captures), 5), description="Compared",
                style=controls.WIDE, layout=controls.FULL,
            ),
        )  # fmt: skip
        guard = self._guarded
        self.clients = controls.Hosts(state, "clients", lambda: self.captures[state.label], guard, "10.0.0.0/24")
        self.targets = controls.Hosts(state, "targets", lambda: self.captures[state.label], guard, "empty: all")
        self.clients.box.add_class("toolkit-clients")
        self.targets.box.add_class("toolkit-targets")
        longest = max(trace.duration.total_seconds() for trace in self.captures.values())
        self.protocol = controls.protocol_control(state)
        several = [self.compared] if len(self.captures) > 1 else []
        choose = w.VBox(
            [self.label, *several, self.clients.box, self.protocol, *controls.time_controls(state, longest)]
        )
        self.tuning = controls.tuning(state)
        self.keep = self._keeping()
        side = w.Accordion(
            [choose, w.VBox(self.tuning), self.targets.box, self.keep],
            titles=("Choose", "Tune", "Targets", "Keep"), selected_index=0,
        )  # fmt: skip
        self.tabs = controls.tied(
            state, "tab",
            w.ToggleButtons(options=[(name.capitalize(), name) for name in TABS], layout=controls.FULL,
                            style={"button_width": "auto"}),
        )  # fmt: skip
        self.tabs.add_class("toolkit-tabs")
        self.status = w.HTML()
        self.status.add_class("toolkit-status")
        self.picture = PictureWidget()
        self.picture.observe(guard(self._clicked), "clicked")
        self.table = w.HTML()
        self.table.add_class("toolkit-table")
        self.step = w.IntProgress(min=0, max=10, layout=w.Layout(display="none"))
        self.cancel = w.Button(description="Cancel", layout=w.Layout(display="none", width="auto"))
        self.cancel.on_click(guard(lambda button: self._cancelled()))
        self.back = w.Button(description="Earlier", layout=w.Layout(width="auto"))
        self.forth = w.Button(description="Later", layout=w.Layout(width="auto"))
        self.back.on_click(guard(lambda button: setattr(state, "page", max(state.page - 1, 0))))
        self.forth.on_click(guard(lambda button: setattr(state, "page", state.page + 1)))
        self.pages = w.HBox([self.back, self.forth], layout=w.Layout(display="none"))
        left, right = (
            w.VBox([side]),
            w.VBox([self.tabs, w.HBox([self.status, self.step, self.cancel]), self.picture, self.pages, self.table]),
        )
        left.add_class("toolkit-side")
        right.add_class("toolkit-main")
        body = w.HBox([left, right], layout=w.Layout(flex_flow="row wrap", align_items="flex-start"))
        body.add_class("toolkit-explorer")
        self.widget = w.VBox([w.HTML(_STYLE), body])

    def _keeping(self) -> Any:
        """Give the controls that take what is shown out of the notebook."""
        guard, wide, full = self._guarded, controls.WIDE, controls.FULL
        self.code = w.Textarea(rows=9, description="Code", disabled=False, style=wide, layout=full)
        self.copy = CopyButton()
        name = w.Text(value="view", description="Name", style=wide, layout=full)
        venue = w.Dropdown(options=list(WIDTHS), description="Venue", style=wide, layout=full)
        columns = w.Dropdown(options=[1, 2], value=2, description="Columns", style=wide, layout=full)
        ending = w.Dropdown(options=list(TABLE_SUFFIXES), description="Table as", style=wide, layout=full)
        figure = w.Button(description="Save figure")
        table = w.Button(description="Save table")
        state = w.Button(description="Save state")
        load = w.Button(description="Load state")
        self.name = name
        figure.on_click(
            guard(
                lambda button: self._say_written(self.save_figure(name.value, venue=venue.value, columns=columns.value))
            )
        )
        table.on_click(guard(lambda button: self._say_written(self.save_table(f"{name.value}{ending.value}"))))
        state.on_click(guard(lambda button: self._say_written(self.save_state(f"{name.value}.state.json"))))
        load.on_click(guard(lambda button: self.load_state(f"{name.value}.state.json")))
        buttons = w.HBox([figure, table, state, load], layout=w.Layout(flex_flow="row wrap"))
        return w.VBox([self.code, self.copy, name, venue, columns, ending, buttons])

    def _guarded(self, callback: Callable[..., None]) -> Callable[..., None]:
        """Show what goes wrong in a callback in the status line: else nobody would see it."""

        @functools.wraps(callback)
        def guarded(*arguments: Any) -> None:
            try:
                callback(*arguments)
            except (ToolkitError, NothingMatchesError, t.TraitError, ValueError, OSError) as error:
                self._failed(error)
            except Exception as error:
                _log.exception("the explorer failed")
                self._failed(error)

        return guarded

    def _changed(self, change: Any) -> None:
        self._update()

    def _update(self) -> None:
        choices = self.state.choices()
        packets = sum(len(trace) for trace in self.captures.values())
        long = packets > LONG and not self._computer.is_quick(choices)
        self.picture.stale = True
        if long:
            self.step.layout.display = self.cancel.layout.display = ""
            self.step.value = 0
            self._say("computing …")
        self._worker.run(lambda step: self._computer.result(choices, step), long=long)

    def _progress(self, what: str) -> None:
        self.step.value = min(self.step.value + 1, self.step.max - 1)
        self._say(f"computing: {what} …")

    def _cancelled(self) -> None:
        self._worker.cancel()
        self.step.layout.display = self.cancel.layout.display = "none"
        self._say("cancelled; what is shown belongs to earlier choices", wrong=True)

    def _show(self, result: Result) -> None:
        self.result = result
        choices = result.choices
        self.step.layout.display = self.cancel.layout.display = "none"
        picture = b"" if choices.tab in WITHOUT else self._pictures.png(result)
        self.picture.show(picture, self._description(result))
        self.picture.stale = False
        self.table.value = _table(result)
        self.pages.layout.display = "" if choices.tab == "packets" else "none"
        self.code.value = self.copy.text = to_code(choices, self.captures)
        self._say(f"{choices.label}: {result.packets:,} packets; {result.note}")

    def _description(self, result: Result) -> str:
        choices = result.choices
        return (
            f"{choices.tab} of {choices.label}, clients {', '.join(choices.clients)}, bandwidth {choices.bandwidth:g}: "
            f"{result.note}"
        )

    def _failed(self, error: Exception) -> None:
        self.step.layout.display = self.cancel.layout.display = "none"
        if isinstance(error, NothingMatchesError):
            self.result = None
            self.picture.show(b"", "no packets match")
            self.picture.stale = False
            self.table.value = ""
        words = str(error) or type(error).__name__
        known = isinstance(error, ToolkitError | ValueError | OSError | t.TraitError)
        self._say(words if known else f"{type(error).__name__}: {words}", wrong=True)

    def _say(self, words: str, *, wrong: bool = False) -> None:
        kind = "toolkit-failed" if wrong else "toolkit-said"
        self.status.value = f"<span class='{kind}' role='status'>{html.escape(words)}</span>"

    def _say_written(self, path: Path) -> None:
        self._say(f"written: {path}")

    def _clicked(self, change: Any) -> None:
        if self.state.tab != "bandwidth" or not change["new"]:
            return
        place = self._pictures.place_of(float(change["new"][0]), float(change["new"][1]))
        if place is not None:
            self.state.bandwidth = min(max(float(f"{place[0]:.3g}"), 0.5), 100.0)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self.widget._repr_mimebundle_(**options)

    def __repr__(self) -> str:
        return f"<Explorer of {', '.join(self.captures)}>"


def _table(result: Result) -> str:
    """Give what is shown as an HTML table."""
    tab = result.choices.tab
    if result.clusters is not None:
        return _html(result.clusters.to_frame().head(20))
    if result.page is not None:
        return _html(result.page)
    if result.health is not None:
        return _html(result.health)
    if result.windows is not None:
        return _html(result.windows)
    if result.comparison is not None:
        return _html(result.comparison.distances.head(20))
    if tab == "features" and result.tables is not None:
        return _html(next(iter(result.tables.values())).head(20))
    return ""


def _html(table: pd.DataFrame) -> str:
    written: str = table.to_html(border=0, float_format="{:,.3f}".format)
    return written
