"""The explorer as one sees it: controls on the left, what they lead to on the right."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import ipywidgets as w
import pandas as pd
import traitlets as t
from matplotlib.figure import Figure

from toolkit._files import write_table
from toolkit.errors import ToolkitError
from toolkit.figures import Columns, Venue
from toolkit.lengths import LengthClusters
from toolkit.trace import Trace
from toolkit.widgets import controls
from toolkit.widgets.code import to_code
from toolkit.widgets.compute import Computer
from toolkit.widgets.keep import Keeping, read_state, table_to_save, write_figure, write_state
from toolkit.widgets.page import STYLE, Manners, Message, PictureWidget, Tabs
from toolkit.widgets.pictures import Pictures
from toolkit.widgets.result import NothingMatchesError, Result
from toolkit.widgets.state import LEAST_BANDWIDTH, MOST_BANDWIDTH, NAMES, TABS, Choices, State
from toolkit.widgets.tables import table_of
from toolkit.widgets.work import Worker

_log = logging.getLogger(__name__)

LONG = 3_000_000
"""Packets from which work is done beside the kernel."""


class Explorer:
    """A live view of captures. Made by `toolkit.explore`.

    Attributes
    ----------
    state
        What is chosen (`toolkit.widgets.state.State`): setting one of its traits changes the view.
    result
        What is shown (`toolkit.widgets.compute.Result`), or None where nothing matches. While long work runs, and after
        it was cancelled, it belongs to earlier choices: those in ``result.choices``.
    widget
        What a notebook shows.
    """

    def __init__(self, captures: Mapping[str, Trace], **initial: Any) -> None:
        self.captures = dict(captures)
        for name in ("compared", "clients", "targets", "features"):
            if isinstance(initial.get(name), str):
                initial[name] = (initial[name],)
        self.state = State(self.captures, **initial)
        self.result: Result | None = None
        self._computer = Computer(self.captures)
        self._pictures = Pictures()
        self._worker: Worker[Result] = Worker(self._show_or_say, self._not_computed, self._progress)
        self._build()
        self._asked: Choices | None = None
        self.state.observe(self._guarded(self._changed), list(NAMES))
        self._guarded(self._update)()

    # What the next cell wants

    @property
    def features(self) -> dict[str, pd.DataFrame]:
        """Feature tables of the captures compared, by label, as the choices have them now."""
        tables = self._now("features").tables
        assert tables is not None
        return tables

    @property
    def clusters(self) -> LengthClusters:
        """Length clusters, as the choices have them now."""
        clusters = self._now("lengths").clusters
        assert clusters is not None
        return clusters

    @property
    def selection(self) -> Trace:
        """The packets that the choices select."""
        choices = self.state.choices()
        return self._worker.at_once(lambda: self._computer.selection(choices, choices.label))

    @property
    def figure(self) -> Figure:
        """The picture that is shown, as a figure; a `ToolkitError` if there is none."""
        if not self._shown().has_picture:
            raise ToolkitError(f"there is no picture: {self._shown().note}")
        return self._pictures.figure

    def to_code(self) -> str:
        """Give the few lines that give this view without widgets."""
        choices = self.state.choices()
        shown = self.result is not None and self.result.choices == choices
        return to_code(choices, self.captures, self.result.without if self.result is not None and shown else ())

    def save_figure(
        self, name: str, *, venue: Venue = "usenix", columns: Columns = 2, folder: str | Path = "figures"
    ) -> Path:
        """Write what is shown as a paper figure, see `toolkit.save_figure`.

        Raises
        ------
        ToolkitError
            If nothing is shown, or a table only, or not what is chosen.
        """
        return write_figure(self, self._shown(), name, venue, columns, folder)

    def save_table(self, path: str | Path) -> Path:
        """Write what is shown as CSV or Parquet, by the ending of `path`; of the packets all, not only the page.

        Raises
        ------
        ToolkitError
            If nothing is shown, or not what is chosen.
        """
        result = self._shown()
        write_table(self.selection.packets if result.page is not None else table_to_save(result), path)
        return Path(path)

    def save_state(self, path: str | Path) -> Path:
        """Write the choices as JSON."""
        write_state(self.state, Path(path))
        return Path(path)

    def load_state(self, path: str | Path) -> None:
        """Make the choices that a file holds.

        Raises
        ------
        ToolkitError
            If it is not JSON, or holds what cannot be chosen here; then nothing is changed.
        """
        self.state.set(read_state(self.state, Path(path)))

    def close(self) -> None:
        """Let go of what it holds; its view in a notebook goes with it."""
        self._worker.close()
        for part in _parts(self.widget):
            part.close()

    def _now(self, tab: str) -> Result:
        choices = replace(self.state.choices(), tab=tab)
        return self._worker.at_once(lambda: self._computer.result(choices))

    def _shown(self) -> Result:
        if self._worker.busy:
            raise ToolkitError("what is chosen is still being computed")
        if self.result is None:
            raise ToolkitError(f"nothing is shown: {self.status.text}")
        if self.result.choices != self.state.choices():
            raise ToolkitError("what is shown belongs to earlier choices: wait for it, or choose 'Compute'")
        return self.result

    # What one sees

    def _build(self) -> None:
        state, guard = self.state, self._guarded
        self.clients = controls.Hosts(state, "clients", lambda: self.captures[state.label], guard, "10.0.0.0/24")
        self.targets = controls.Hosts(state, "targets", lambda: self.captures[state.label], guard, "empty: all")
        self.protocol = controls.protocol_control(state, guard)
        self.choosing = controls.capture_controls(state, guard)
        longest = max(trace.duration.total_seconds() for trace in self.captures.values())
        self.time = controls.time_controls(state, longest, guard)
        self.when = PictureWidget(kind="toolkit-when")
        self.tuning = controls.tuning(state, guard)
        self.keep = Keeping(self)
        side = w.VBox(
            [
                controls.section(
                    "Choose",
                    [*self.choosing, self.clients.box, self.protocol, self.when, *self.time],
                    opened=True,
                ),
                controls.section("Targets", [self.targets.box]),
                controls.section("Tune", self.tuning, opened=True),
                controls.section("Keep", self.keep.parts),
            ]
        )
        self.tabs = controls.tied(state, "tab", Tabs(options=list(TABS)), guard)
        self.status, self.said = Message(), Message()
        self.picture = PictureWidget()
        self.picture.observe(guard(self._clicked), "clicked")
        self.table = w.HTML()
        self.table.add_class("toolkit-table")
        self.step = w.IntProgress(min=0, layout=w.Layout(display="none", width="8em", flex="0 0 auto"))
        self.cancel = w.Button(layout=w.Layout(display="none", width="auto", flex="0 0 auto"))
        self.cancel.on_click(guard(self._cancelled))
        self.pages = self._paging()
        status = w.HBox([self.status, self.step, self.cancel], layout=w.Layout(align_items="flex-start"))
        status.add_class("toolkit-status")
        self.main = w.VBox([self.tabs, status, self.said, self.picture, self.pages])
        self.main.add_class("toolkit-main")
        side.add_class("toolkit-side")
        self.body = w.Box([self.main, side, self.table, Manners()])
        self.body.add_class("toolkit-explorer")
        self.widget = w.VBox([w.HTML(STYLE), self.body])
        self.widget.add_class("toolkit-page")

    def _paging(self) -> Any:
        """Give the buttons of the pages of packets."""

        def button(words: str, page: Callable[[int, int], int]) -> w.Button:
            made = w.Button(description=words, layout=w.Layout(width="auto"))

            def go(_: Any) -> None:
                if self.result is not None:
                    last = self.result.pages - 1
                    self.state.page = min(max(page(self.state.page, last), 0), last)

            made.on_click(self._guarded(go))
            return made

        self.first = button("First", lambda page, last: 0)
        self.back = button("Earlier", lambda page, last: page - 1)
        self.forth = button("Later", lambda page, last: page + 1)
        self.last = button("Last", lambda page, last: last)
        return w.HBox([self.first, self.back, self.forth, self.last], layout=w.Layout(display="none"))

    def _guarded(self, callback: Callable[..., None]) -> Callable[..., None]:
        """Show what goes wrong in a callback: else nobody would see it."""

        @functools.wraps(callback)
        def guarded(*arguments: Any) -> None:
            try:
                callback(*arguments)
            except Exception as error:
                self.said.say(_words(error), wrong=True)

        return guarded

    def _changed(self, change: Any) -> None:
        if self.state.choices() != self._asked:  # several that were set at once are one view
            self._update()

    def _update(self) -> None:
        self._asked = choices = self.state.choices()
        packets = sum(len(trace) for trace in self.captures.values())
        quick = self._computer.is_quick(choices)
        long = packets > LONG and not quick
        self.said.say("")
        if not quick:  # else the page would be told twice in the time of a key press
            self._set_stale(True)
            self.keep.show(None, self.to_code())
        if long:
            self.step.max, self.step.value = self._computer.steps(choices), 0
            self.cancel.description = "Cancel"
            self.step.layout.display = self.cancel.layout.display = ""
            self.status.say("computing …")
        self._worker.run(lambda step: self._computer.result(choices, step), long=long)

    def _set_stale(self, stale: bool) -> None:
        """Show pale what belongs to earlier choices."""
        for part in (self.main, self.table):
            (part.add_class if stale else part.remove_class)("toolkit-stale")

    def _progress(self, what: str) -> None:
        self.step.value = min(self.step.value + 1, self.step.max - 1)
        self.status.say(f"computing: {what} …")

    def _cancelled(self, button: Any) -> None:
        if self.cancel.description != "Cancel":
            self._update()
            return
        self._worker.cancel()
        self.step.layout.display = "none"
        self.cancel.description = "Compute"
        self.status.say("cancelled: what is shown belongs to earlier choices", wrong=True)

    def _show_or_say(self, result: Result) -> None:
        try:
            self._show(result)
        except Exception as error:  # the worker has nobody to tell
            self._not_computed(error)

    def _show(self, result: Result) -> None:
        choices = result.choices
        if choices.page >= result.pages:
            self.state.page = result.pages - 1  # which shows it
            return
        self.step.layout.display = self.cancel.layout.display = "none"
        picture = self._pictures.png(result) if result.has_picture else b""
        self.result = result
        self.picture.show(picture, self._description(result))
        self.picture.clickable = choices.tab == "bandwidth"
        self.table.value = table_of(result)
        self.when.show(self._pictures.time(self.captures[choices.label], choices), "packets over time")
        (self.body.remove_class if picture else self.body.add_class)("toolkit-no-picture")
        self.pages.layout.display = "" if choices.tab == "packets" else "none"
        self.first.disabled = self.back.disabled = choices.page == 0
        self.last.disabled = self.forth.disabled = choices.page == result.pages - 1
        self.keep.show(result, self.to_code())
        self.status.say(f"{choices.label}: {result.packets:,} packets; {result.note}")
        self._set_stale(False)

    def _description(self, result: Result) -> str:
        choices = result.choices
        return (
            f"{choices.tab} of {choices.label}, clients {', '.join(choices.clients)}, bandwidth {choices.bandwidth:g}: "
            f"{result.note}"
        )

    def _not_computed(self, error: Exception) -> None:
        """Say why there is nothing to show; what is still there belongs to earlier choices."""
        self.step.layout.display = self.cancel.layout.display = "none"
        nothing = isinstance(error, NothingMatchesError)
        self._set_stale(not nothing)
        self.keep.show(None, self.to_code())
        if nothing:
            self.result = None
            self.picture.show(b"", "no packets match")
            self.table.value = ""
            self.pages.layout.display = "none"
        self.status.say(_words(error), wrong=True)

    def _clicked(self, change: Any) -> None:
        if self.state.tab != "bandwidth" or not change["new"]:
            return
        place = self._pictures.place_of(float(change["new"][0]), float(change["new"][1]))
        if place is not None:
            self.state.bandwidth = min(max(float(f"{place[0]:.3g}"), LEAST_BANDWIDTH), MOST_BANDWIDTH)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self.widget._repr_mimebundle_(**options)

    def __repr__(self) -> str:
        return f"<Explorer of {', '.join(self.captures)}>"


def _parts(widget: Any) -> Iterator[Any]:
    """Give a widget and all that it is made of."""
    for part in getattr(widget, "children", ()):
        yield from _parts(part)
    for name in ("layout", "style"):
        if isinstance(part := getattr(widget, name, None), w.Widget):
            yield part
    yield widget


def _words(error: Exception) -> str:
    """Say what went wrong; what is not the user's doing is logged with its traceback as well."""
    words = str(error) or type(error).__name__
    if isinstance(error, ToolkitError | ValueError | OSError | t.TraitError):
        return words
    _log.error("the explorer failed", exc_info=error)
    return f"{type(error).__name__}: {words}"
