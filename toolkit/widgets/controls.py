"""The controls of the explorer, and how each is tied to a choice."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import ipywidgets as w
import pandas as pd

from toolkit.features import FEATURES
from toolkit.trace import Trace
from toolkit.widgets.state import (
    LEAST_BANDWIDTH,
    MOST_BANDWIDTH,
    PROTOCOLS,
    State,
    networks_of,
    width_seconds,
    width_text,
)

WIDE = {"description_width": "8.5em"}
FULL = w.Layout(width="auto")
MOST_HOSTS = 2_000
"""Hosts in a list at most; the search looks at all."""

Guard = Callable[[Callable[..., None]], Callable[..., None]]


def host_options(table: pd.DataFrame, search: str, chosen: Iterable[str] = ()) -> list[tuple[str, str]]:
    """Give the hosts of a trace that a search finds, busiest first, each with its packets and bytes.

    Parameters
    ----------
    table
        All hosts, as `Trace.top_hosts` gives them.
    search
        A part of the address; empty for all.
    chosen
        Hosts that are listed whether they are found or not: a list must hold what is chosen in it.
    """
    kept = set(chosen)
    options: list[tuple[str, str]] = []
    packets = (table["sent"] + table["received"]).tolist()
    size = (table["bytes_sent"] + table["bytes_received"]).tolist()
    for host, count, amount in zip(table.index, packets, size, strict=True):
        if (search in host and len(options) < MOST_HOSTS) or host in kept:
            options.append((f"{host}   {count:,} packets, {_bytes(amount)}", host))
    return options


def _bytes(amount: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            return f"{amount:.3g} {unit}" if unit != "B" else f"{amount:.0f} B"
        amount /= 1000
    return ""


class Hosts:
    """A searchable list of hosts and a box for networks, for `clients` or `targets`.

    Parameters
    ----------
    state, name
        The choices, and which of them this is.
    trace
        Gives the trace looked at.
    guard
        Wraps callbacks so that their errors are shown.
    empty
        What choosing none means.
    """

    def __init__(self, state: State, name: str, trace: Callable[[], Trace], guard: Guard, empty: str) -> None:
        self._state, self._name, self._trace = state, name, trace
        self.search = w.Text(
            placeholder="part of an address", description="Search", continuous_update=True, style=WIDE, layout=FULL
        )
        self.hosts = w.SelectMultiple(rows=5, description=name.capitalize(), style=WIDE, layout=FULL)
        self.networks = w.Text(
            placeholder=empty, description="Networks", continuous_update=True, style=WIDE, layout=FULL
        )
        self.verdict = w.HTML(layout=w.Layout(margin="0 0 0 9em"))
        self._busy = False
        self._table: tuple[Trace, pd.DataFrame] | None = None
        self.show()
        self.search.observe(guard(lambda change: self.show()), "value")
        self.hosts.observe(guard(self._picked), "value")
        self.networks.observe(guard(self._typed), "value")
        state.observe(guard(lambda change: self.show()), [name, "label"])
        self.box = w.VBox([self.search, self.hosts, self.networks, self.verdict], layout=FULL)

    def _hosts_of(self, trace: Trace) -> pd.DataFrame:
        if self._table is None or self._table[0] is not trace:
            self._table = trace, trace.top_hosts(trace.host_count)
        return self._table[1]

    def show(self) -> None:
        """Show what is chosen."""
        chosen = getattr(self._state, self._name)
        self._busy = True  # what is set here was not done by the user
        try:
            options = host_options(self._hosts_of(self._trace()), self.search.value.strip(), chosen)
            if list(self.hosts.options) != options:  # a long list takes the page a while
                self.hosts.options = options
            there = [value for _, value in self.hosts.options]
            self.hosts.value = tuple(host for host in there if host in chosen)
            if _listed(self.networks.value) != chosen:
                self.networks.value = ", ".join(chosen)
            self.verdict.value = ""
        finally:
            self._busy = False

    def _picked(self, change: Any) -> None:
        if self._busy:
            return
        setattr(self._state, self._name, change["new"])  # networks that were typed give way: what one sees is chosen

    def _typed(self, change: Any) -> None:
        if self._busy:
            return
        try:
            found = networks_of(change["new"])
        except ValueError as error:
            self.verdict.value = f"<span class='toolkit-wrong'>{_escaped(str(error))}</span>"
            return
        self.verdict.value = ""
        setattr(self._state, self._name, found)


def _listed(text: str) -> tuple[str, ...] | None:
    try:
        return networks_of(text)
    except ValueError:
        return None


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def bandwidth_controls(state: State) -> tuple[w.FloatLogSlider, w.BoundedFloatText]:
    """Give a log slider and a number for the bandwidth."""
    slider = w.FloatLogSlider(
        value=state.bandwidth, base=10, min=math.log10(LEAST_BANDWIDTH), max=math.log10(MOST_BANDWIDTH), step=0.01,
        description="Bandwidth", readout=False, style=WIDE, layout=FULL, continuous_update=True,
    )  # fmt: skip
    number = w.BoundedFloatText(
        value=state.bandwidth, min=LEAST_BANDWIDTH, max=MOST_BANDWIDTH, step=0.1, description="bytes", style=WIDE,
        layout=FULL,
    )  # fmt: skip

    def moved(change: Any) -> None:
        # the page brings the value to a step of the slider, and says so: that is nobody's choice
        if abs(math.log10(change["new"] / state.bandwidth)) > 0.006:
            state.bandwidth = min(max(float(f"{change['new']:.3g}"), LEAST_BANDWIDTH), MOST_BANDWIDTH)

    def typed(change: Any) -> None:
        state.bandwidth = change["new"]

    def chosen(change: Any) -> None:
        number.value = change["new"]
        # the slider has no such step: moved there only if it stands elsewhere, or it would answer back
        if abs(math.log10(slider.value / change["new"])) > 0.006:
            slider.value = change["new"]

    slider.observe(moved, "value")
    number.observe(typed, "value")
    state.observe(chosen, "bandwidth")
    return slider, number


def tied(state: State, name: str, control: Any, read: Any = None, write: Any = None) -> Any:
    """Tie a control to a choice, both ways. `read` gives the choice of a value of the control, `write` the reverse."""
    read = read or (lambda value: value)
    write = write or (lambda value: value)
    control.value = write(getattr(state, name))

    def set_choice(change: Any) -> None:
        value = read(change["new"])
        if value != getattr(state, name):
            setattr(state, name, value)

    def show_choice(change: Any) -> None:
        value = write(change["new"])
        if control.value != value:
            control.value = value

    control.observe(set_choice, "value")
    state.observe(show_choice, name)
    return control


def tuning(state: State) -> list[Any]:
    """Give the controls of windows, lengths and features."""
    slider, number = bandwidth_controls(state)
    slider.add_class("toolkit-bandwidth")
    number.add_class("toolkit-bandwidth-number")
    length = tied(
        state, "max_length",
        w.BoundedIntText(min=1, max=1 << 20, description="Longest", style=WIDE, layout=FULL),
    )  # fmt: skip
    top = tied(state, "top", w.BoundedIntText(min=0, max=7, description="Clusters shown", style=WIDE, layout=FULL))
    width = tied(
        state, "time_window",
        w.BoundedFloatText(min=1e-6, max=1e9, description="Time window (s)", style=WIDE, layout=FULL),
        width_text, width_seconds,
    )  # fmt: skip
    packets = tied(
        state, "packet_window", w.BoundedIntText(min=1, max=1 << 31, description="Packets", style=WIDE, layout=FULL)
    )
    remainder = tied(
        state, "remainder", w.Checkbox(description="Keep what fills no window", indent=False, layout=FULL),
        lambda value: "keep" if value else "drop", lambda value: value == "keep",
    )  # fmt: skip
    width.add_class("toolkit-time-window")
    return [slider, number, length, top, width, packets, remainder, *feature_boxes(state)]


def feature_boxes(state: State) -> list[Any]:
    """Give a check box for each feature set, and a list of single features."""
    boxes = {
        name: w.Checkbox(value=name in state.features, description=name, indent=False, layout=w.Layout(width="auto"))
        for name in FEATURES.sets
    }
    single = w.SelectMultiple(
        options=FEATURES.names, rows=4, description="Single", style=WIDE, layout=FULL,
        value=tuple(name for name in state.features if name in FEATURES.names),
    )  # fmt: skip

    def picked(change: Any) -> None:
        state.features = (*(name for name, box in boxes.items() if box.value), *single.value)

    def chosen(change: Any) -> None:
        for name, box in boxes.items():
            box.value = name in change["new"]
        single.value = tuple(name for name in change["new"] if name in FEATURES.names)

    for box in (*boxes.values(), single):
        box.observe(picked, "value")
    state.observe(chosen, "features")
    sets = w.HBox(list(boxes.values()), layout=w.Layout(flex_flow="row wrap"))
    return [w.HTML("Feature sets"), sets, single]


def protocol_control(state: State) -> Any:
    """Give the choice of a protocol."""
    options = [(words, name) for name, words in PROTOCOLS.items()]
    return tied(state, "protocol", w.Dropdown(options=options, description="Packets", style=WIDE, layout=FULL))


def time_controls(state: State, duration: float) -> list[Any]:
    """Give a slider over the time of the trace, and boxes for its two ends."""
    longest = max(duration, 1e-3)
    slider = w.FloatRangeSlider(
        value=(state.start, min(state.stop if state.stop is not None else longest, longest)), min=0, max=longest,
        step=longest / 1000, description="Time (s)", readout=False, style=WIDE, layout=FULL, continuous_update=False,
    )  # fmt: skip
    first = w.BoundedFloatText(value=state.start, min=0, max=1e11, description="from", style=WIDE, layout=FULL)
    last = w.BoundedFloatText(
        value=longest if state.stop is None else state.stop, min=0, max=1e11, description="to", style=WIDE, layout=FULL
    )

    def set_range(start: float, stop: float) -> None:
        state.set({"start": float(start), "stop": None if stop >= longest else float(stop)})

    def show(change: Any) -> None:
        stop = longest if state.stop is None else state.stop
        first.value, last.value = state.start, stop
        slider.value = (min(state.start, longest), min(stop, longest))

    slider.observe(lambda change: set_range(*change["new"]), "value")
    for box in (first, last):
        box.observe(lambda change: set_range(first.value, last.value), "value")
    state.observe(show, ["start", "stop"])
    slider.add_class("toolkit-time")
    return [slider, first, last]
