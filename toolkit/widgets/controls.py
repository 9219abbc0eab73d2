"""The controls of the explorer, and how each is tied to a choice."""

from __future__ import annotations

import asyncio
import html
import math
from collections.abc import Callable, Iterable
from typing import Any

import ipywidgets as w
import pandas as pd
import traitlets as t

from toolkit.features import FEATURES
from toolkit.hosts import parse_networks
from toolkit.trace import Trace
from toolkit.widgets.page import Heading
from toolkit.widgets.state import (
    LEAST_BANDWIDTH,
    MOST_BANDWIDTH,
    PROTOCOLS,
    State,
    networks_of,
    width_seconds,
    width_text,
)

WIDE = {"description_width": "9.5em"}
FULL = {"width": "auto"}
MOST_HOSTS = 2_000
"""Hosts in a list at most; the search looks at all."""

PAUSE = 0.5
"""Seconds without a key after which a network counts as typed: 10.0.0.1 comes before 10.0.0.11."""

Guard = Callable[[Callable[..., None]], Callable[..., None]]
"""Wraps a callback so that its errors are shown."""


def section(title: str, parts: Iterable[Any], *, opened: bool = False) -> w.VBox:
    """Put controls under a heading that opens and closes them."""
    inside = w.VBox(list(parts), layout=w.Layout(width="auto", display="" if opened else "none"))
    heading = Heading(title=title, opened=opened)
    heading.observe(lambda change: setattr(inside.layout, "display", "" if change["new"] else "none"), "opened")
    return w.VBox([heading, inside], layout=FULL)


def hint(words: str = "", *, wrong: bool = False) -> str:
    """Give small print."""
    return f"<span class='toolkit-hint {'toolkit-wrong' if wrong else ''}'>{html.escape(words)}</span>"


def tied(state: State, name: str, control: Any, guard: Guard, read: Any = None, write: Any = None) -> Any:
    """Tie a control to a choice, both ways; what cannot be chosen is said, and the control put back.

    Parameters
    ----------
    state, name
        The choices, and which of them this is.
    control
        Has a `value`.
    guard
        Shows errors.
    read, write
        Give the choice of a value of the control, and the reverse.
    """
    read = read or (lambda value: value)
    write = write or (lambda value: value)
    control.value = write(getattr(state, name))

    def show_choice(change: Any = None) -> None:
        value = write(getattr(state, name))
        if control.value != value:
            control.value = value

    def set_choice(change: Any) -> None:
        if change["new"] == write(getattr(state, name)):
            return  # only shown
        try:
            setattr(state, name, read(change["new"]))
        except (t.TraitError, ValueError):
            show_choice()
            raise

    control.observe(guard(set_choice), "value")
    state.observe(guard(show_choice), name)
    return control


# Hosts


def host_options(table: pd.DataFrame, search: str, chosen: Iterable[str] = ()) -> list[tuple[str, str]]:
    """Give the hosts that a search finds, busiest first, each with its packets and bytes.

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
            options.append((f"{host}   {count:,} p, {_bytes(amount)}", host))
    return options


def _bytes(amount: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            return f"{amount:.3g} {unit}" if unit != "B" else f"{amount:.0f} B"
        amount /= 1000
    return ""


class Hosts:
    """A searchable list of hosts and a box for networks, for `clients` or `targets`.

    In the list those are chosen that a chosen network holds. A choice made in it takes the place of networks.

    Parameters
    ----------
    state, name
        The choices, and which of them this is.
    trace
        Gives the trace looked at.
    guard
        Shows errors of callbacks.
    empty
        What choosing none means.
    """

    def __init__(self, state: State, name: str, trace: Callable[[], Trace], guard: Guard, empty: str) -> None:
        self._state, self._name, self._trace, self._guard = state, name, trace, guard
        self.search = w.Text(
            placeholder="part of an address", description="Search", continuous_update=True, style=WIDE, layout=FULL
        )
        self.hosts = w.SelectMultiple(rows=6, description=name.capitalize(), style=WIDE, layout=FULL)
        self.found = w.HTML()
        self.networks = w.Text(
            placeholder=empty, description="Networks", continuous_update=True, style=WIDE, layout=FULL
        )
        self.verdict = w.HTML(hint())
        self._busy = False
        self._table: tuple[Trace, pd.DataFrame] | None = None
        self._waiting: asyncio.TimerHandle | None = None
        self.show()
        self.search.observe(guard(lambda change: self.show()), "value")
        self.hosts.observe(guard(self._picked), "value")
        self.networks.observe(guard(self._typed), "value")
        state.observe(guard(lambda change: self.show()), [name, "label"])
        parts = [self.search, self.hosts, self.found, self.networks, self.verdict]
        self.box = w.VBox(parts, layout=FULL)
        self.box.add_class(f"toolkit-{name}")

    def _hosts_of(self, trace: Trace) -> pd.DataFrame:
        if self._table is None or self._table[0] is not trace:
            self._table = trace, trace.top_hosts(trace.host_count)
        return self._table[1]

    def show(self) -> None:
        """Show what is chosen."""
        trace, chosen = self._trace(), getattr(self._state, self._name)
        table, words = self._hosts_of(trace), self.search.value.strip()
        inside = _inside(trace, chosen)
        self._busy = True  # what is set here was not done by the user
        try:
            options = host_options(table, words, inside)
            if list(self.hosts.options) != options:  # a long list takes the page a while
                self.hosts.value = ()  # of places that the new list may not have
                self.hosts.options = options
            self.hosts.value = tuple(value for _, value in options if value in inside)
            found = sum(words in host for host in table.index)
            self.found.value = hint(
                f"{found:,} of {len(table):,} hosts found; Ctrl or Shift chooses several"
                if words
                else f"{len(table):,} hosts, {len(inside):,} chosen; Ctrl or Shift chooses several"
            )
            typed = _listed(self.networks.value)
            if typed is not None and typed != chosen:  # what is half typed is left alone
                self.networks.value = ", ".join(chosen)
        finally:
            self._busy = False

    def _picked(self, change: Any) -> None:
        if not self._busy:
            self.networks.value = ", ".join(change["new"])
            self._take(change["new"])

    def _typed(self, change: Any) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        if self._busy:
            self.verdict.value = hint()
            return
        found = _listed(change["new"])
        if found == getattr(self._state, self._name):
            self.verdict.value = hint()
            return
        self.verdict.value = hint("" if found is not None else "not yet an address or a network")
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a script does not type
            self._guard(self._read)()
        else:
            self._waiting = loop.call_later(PAUSE, self._guard(self._read))

    def _read(self) -> None:
        """Take what was typed, or say what is wrong with it."""
        self._waiting = None
        try:
            found = networks_of(self.networks.value)
        except ValueError as error:
            self.verdict.value = hint(str(error), wrong=True)
            return
        self._take(found)

    def _take(self, networks: tuple[str, ...]) -> None:
        self.verdict.value = hint()
        setattr(self._state, self._name, networks)


def _inside(trace: Trace, networks: tuple[str, ...]) -> frozenset[str]:
    """Give the hosts of a trace that networks hold."""
    if not networks:
        return frozenset()
    rank, count = trace.client_rank(parse_networks(networks), missing_ok=True)
    return frozenset(host for host, place in zip(trace.hosts, rank.tolist(), strict=True) if place < count)


def _listed(text: str) -> tuple[str, ...] | None:
    try:
        return networks_of(text)
    except ValueError:
        return None


# Time


def time_controls(state: State, duration: float, guard: Guard) -> list[Any]:
    """Give a slider over the time of the trace, and boxes for its two ends."""
    longest = max(duration, 1e-3)
    slider = w.FloatRangeSlider(
        value=(0, longest), min=0, max=longest, step=longest / 1000, description="Time (s)", readout=False, style=WIDE,
        layout=FULL, continuous_update=False,
    )  # fmt: skip
    first = w.FloatText(description="from (s)", style=WIDE, layout=FULL)
    last = w.FloatText(description="to (s)", style=WIDE, layout=FULL)
    busy = False

    def show(change: Any = None) -> None:
        nonlocal busy
        busy = True  # the slider cannot stand where the boxes can
        try:
            stop = longest if state.stop is None else state.stop
            first.value, last.value = state.start, stop
            slider.value = (min(state.start, longest), min(stop, longest))
        finally:
            busy = False

    def choose(start: float, stop: float) -> None:
        if busy:
            return
        try:
            state.set({"start": float(start), "stop": None if stop == longest else float(stop)})
        except t.TraitError:
            show()
            raise

    show()

    def moved(change: Any) -> None:
        start, stop = change["new"]
        choose(start, longest if stop > longest - slider.step / 2 else stop)

    slider.observe(guard(moved), "value")
    for box in (first, last):
        box.observe(guard(lambda change: choose(first.value, last.value)), "value")
    state.observe(guard(show), ["start", "stop"])
    slider.add_class("toolkit-time")
    return [slider, first, last]


# Lengths, windows, features


def bandwidth_controls(state: State, guard: Guard) -> tuple[w.FloatLogSlider, w.FloatText]:
    """Give a log slider and a number for the bandwidth."""
    slider = w.FloatLogSlider(
        value=state.bandwidth, base=10, min=math.log10(LEAST_BANDWIDTH), max=math.log10(MOST_BANDWIDTH), step=0.01,
        description="Bandwidth", readout=False, style=WIDE, layout=FULL, continuous_update=True,
    )  # fmt: skip
    number = w.FloatText(description="Bandwidth (bytes)", step=0.1, style=WIDE, layout=FULL)
    tied(state, "bandwidth", number, guard)

    def differs() -> bool:
        # the page brings the value to a step of the slider, and says so: that is nobody's choice
        return abs(math.log10(slider.value / state.bandwidth)) > 0.006

    def moved(change: Any) -> None:
        if differs():
            state.bandwidth = min(max(float(f"{change['new']:.3g}"), LEAST_BANDWIDTH), MOST_BANDWIDTH)

    def chosen(change: Any) -> None:
        if differs():
            slider.value = change["new"]

    slider.observe(guard(moved), "value")
    state.observe(guard(chosen), "bandwidth")
    slider.add_class("toolkit-bandwidth")
    number.add_class("toolkit-bandwidth-number")
    return slider, number


def tuning(state: State, guard: Guard) -> list[Any]:
    """Give the controls of lengths, windows and features."""
    length = tied(state, "max_length", w.IntText(description="Longest (bytes)", style=WIDE, layout=FULL), guard)
    top = tied(state, "top", w.IntText(description="Clusters coloured", style=WIDE, layout=FULL), guard)
    width = tied(
        state, "time_window", w.FloatText(description="Time window (s)", style=WIDE, layout=FULL), guard,
        width_text, width_seconds,
    )  # fmt: skip
    packets = tied(state, "packet_window", w.IntText(description="Packets a window", style=WIDE, layout=FULL), guard)
    remainder = tied(
        state, "remainder", w.Checkbox(description="Keep windows that are not full", indent=False, layout=FULL), guard,
        lambda value: "keep" if value else "drop", lambda value: value == "keep",
    )  # fmt: skip
    return [*bandwidth_controls(state, guard), length, top, width, packets, remainder, *feature_boxes(state, guard)]


def feature_boxes(state: State, guard: Guard) -> list[Any]:
    """Give a check box for each feature set, and a list of single features, shown on demand."""
    boxes = {
        name: w.Checkbox(value=name in state.features, description=name, indent=False, layout=w.Layout(width="auto"))
        for name in FEATURES.sets
    }
    single = w.SelectMultiple(
        options=FEATURES.names, rows=6, description="Single features", style=WIDE, layout=FULL,
        value=tuple(name for name in state.features if name in FEATURES.names),
    )  # fmt: skip
    busy = False

    def picked(change: Any) -> None:
        if not busy:
            state.features = (*(name for name, box in boxes.items() if box.value), *single.value)

    def chosen(change: Any) -> None:
        nonlocal busy
        busy = True  # box by box would be choice after choice
        try:
            for name, box in boxes.items():
                box.value = name in change["new"]
            single.value = tuple(name for name in change["new"] if name in FEATURES.names)
        finally:
            busy = False

    for box in (*boxes.values(), single):
        box.observe(guard(picked), "value")
    state.observe(guard(chosen), "features")
    sets = w.HBox(list(boxes.values()), layout=w.Layout(flex_flow="row wrap"))
    return [w.HTML(hint("Feature sets")), sets, section("Single features", [single], opened=bool(single.value))]


def protocol_control(state: State, guard: Guard) -> Any:
    """Give the choice of a protocol."""
    options = [(words, name) for name, words in PROTOCOLS.items()]
    control = w.Dropdown(options=options, description="Protocol", style=WIDE, layout=FULL)
    return tied(state, "protocol", control, guard)


def capture_controls(state: State, guard: Guard) -> list[Any]:
    """Give the choice of the capture looked at, and of those it is compared with."""
    labels = state.labels
    looked_at = tied(state, "label", w.Dropdown(options=labels, description="Capture", style=WIDE, layout=FULL), guard)
    if len(labels) == 1:
        return [looked_at]
    others = w.SelectMultiple(
        rows=min(max(len(labels) - 1, 2), 5), description="Compared with", style=WIDE, layout=FULL
    )
    busy = False

    def show(change: Any = None) -> None:
        nonlocal busy
        busy = True
        try:
            others.value = ()
            others.options = [label for label in labels if label != state.label]
            others.value = tuple(label for label in state.compared if label != state.label)
        finally:
            busy = False

    def picked(change: Any) -> None:
        if not busy:
            state.compared = (state.label, *change["new"])

    show()
    others.observe(guard(picked), "value")
    state.observe(guard(show), ["label", "compared"])
    return [looked_at, others, w.HTML(hint("compared in Intervals and Features"))]
