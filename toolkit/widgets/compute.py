"""From choices to what is shown, by the functions that a notebook calls; what did not change is not computed again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar

import pandas as pd

from toolkit.comparison import compare_features, feature_correlation
from toolkit.entropy import entropy_counts
from toolkit.features import client_features
from toolkit.lengths import LengthCounts, cluster_lengths, length_counts
from toolkit.sweeps import PACKET_WINDOWS, TIME_WINDOWS, bandwidth_sweep, window_sweep
from toolkit.timing import direction_timeline, interval_cdf
from toolkit.trace import NoClientError, Trace
from toolkit.widgets.result import NothingMatchesError, Result
from toolkit.widgets.state import PROTOCOLS, Choices, width_text
from toolkit.windows import Windows, client_windows, nanoseconds

PAGE = 50
"""Packets on a page."""

_STEPS = {
    "lengths": 3, "bandwidth": 3, "intervals": 3, "entropy": 2, "windows": 3, "features": 3, "packets": 1, "health": 2,
}  # fmt: skip
"""Steps of a tab for one capture, besides its selection."""

T = TypeVar("T")
Step = Callable[[str], None]
"""Told before each step what comes; it may raise to stop the work."""


class Computer:
    """Computes results for captures, and keeps the last value of each step.

    Parameters
    ----------
    captures
        Traces by their labels.
    """

    def __init__(self, captures: Mapping[str, Trace]) -> None:
        self.captures = dict(captures)
        self._kept: dict[tuple[str, str], tuple[object, Any]] = {}

    def _step(self, name: str, label: str, key: object, compute: Callable[[], T], step: Step) -> T:
        """Give what was computed for this key last time, or compute it now."""
        kept = self._kept.get((name, label))
        if kept is not None and kept[0] == key:
            value: T = kept[1]
            return value
        step(f"{name} of {label}")
        value = compute()
        self._kept[name, label] = key, value
        return value

    def selection(self, choices: Choices, label: str, step: Step = lambda what: None) -> Trace:
        """Give the packets of a capture that the choices select.

        Raises
        ------
        NothingMatchesError
            If there are none.
        """
        trace = self.captures[label]
        found = self._step("selection", label, _selecting(choices), lambda: select(trace, choices), step)
        if not len(found):
            raise NothingMatchesError(_why_nothing(trace, choices, label))
        return found

    def result(self, choices: Choices, step: Step = lambda what: None) -> Result:
        """Compute what the chosen tab shows.

        Parameters
        ----------
        choices
            What is chosen.
        step
            Told before each step that really computes; it may raise to stop.

        Raises
        ------
        NothingMatchesError
            If no packet of the capture looked at meets the choices.
        """
        found = self.selection(choices, choices.label, step)
        parts = getattr(self, f"_{choices.tab}")(choices, found, step)
        return Result(choices=choices, packets=len(found), **parts)

    def steps(self, choices: Choices) -> int:
        """Give how many steps a tab takes at most."""
        several = len({choices.label, *choices.compared}) if choices.tab in ("intervals", "features") else 1
        return _STEPS[choices.tab] * several + 1

    def is_quick(self, choices: Choices) -> bool:
        """Whether what the tab needs is there already, up to what takes milliseconds at any number of packets."""
        selected = self._kept.get(("selection", choices.label))
        if selected is None or selected[0] != _selecting(choices):
            return False
        if choices.tab in ("lengths", "bandwidth"):
            counted = self._kept.get(("length counts", choices.label))
            return counted is not None and counted[0] == (selected[1], choices.max_length)
        return choices.tab == "packets"

    def _counts(self, choices: Choices, found: Trace, step: Step) -> LengthCounts:
        udp = choices.protocol == "udp"
        return self._step(
            "length counts",
            choices.label,
            (found, choices.max_length),
            lambda: length_counts(
                found,
                protocol="udp" if udp else "tcp",
                tls_only=choices.protocol == "tls",
                max_length=choices.max_length,
            ),
            step,
        )

    def _lengths(self, choices: Choices, found: Trace, step: Step) -> dict[str, Any]:
        counts = self._counts(choices, found, step)
        clusters = self._step(
            "clusters",
            choices.label,
            (counts, choices.bandwidth),
            lambda: cluster_lengths(counts, bandwidth=choices.bandwidth),
            step,
        )
        clustered = int(counts.counts.sum())
        note = f"{len(clusters):,} clusters of {clustered:,} {counts.quantity}s"
        if not clustered:
            note += _no_lengths(found, choices)
        return {"counts": counts, "clusters": clusters, "note": note}

    def _bandwidth(self, choices: Choices, found: Trace, step: Step) -> dict[str, Any]:
        counts = self._counts(choices, found, step)
        sweep = self._step("bandwidth sweep", choices.label, counts, lambda: bandwidth_sweep(counts), step)
        clusters = cluster_lengths(counts, bandwidth=choices.bandwidth)
        note = f"bandwidth {choices.bandwidth:g}: {len(clusters):,} clusters; click into the picture to choose another"
        if not len(clusters):
            note += _no_lengths(found, choices)
        return {"counts": counts, "sweep": sweep, "note": note}

    def _tables(self, choices: Choices, features: tuple[str, ...], step: Step) -> dict[str, pd.DataFrame]:
        """Feature tables of all captures compared; of one that has no packet, nothing."""
        tables: dict[str, pd.DataFrame] = {}
        for label, found in self._compared(choices, step).items():
            key = (found, _cut(choices), features)
            tables[label] = self._step(
                "interval bins" if choices.tab == "intervals" else "features",
                label,
                key,
                partial(_feature_table, found, choices, features),
                step,
            )
        return tables

    def _compared(self, choices: Choices, step: Step) -> dict[str, Trace]:
        """Give the selections of all captures compared; of one that has no packet, nothing."""
        labels = [choices.label, *(label for label in choices.compared if label != choices.label)]
        found: dict[str, Trace] = {}
        for label in labels:
            try:
                found[label] = self.selection(choices, label, step)
            except NothingMatchesError:
                if label == choices.label:
                    raise
        return found

    def _intervals(self, choices: Choices, found: Trace, step: Step) -> dict[str, Any]:
        tables = self._tables(choices, ("interval_bins",), step)
        gaps = {
            label: self._step(
                "gaps",
                label,
                (trace, _cut(choices)),
                partial(_gaps, trace, choices),
                step,
            )
            for label, trace in self._compared(choices, step).items()
        }
        without = tuple(label for label in choices.compared if label not in tables)
        return {"tables": tables, "gaps": gaps, "without": without, "note": _windows_of(tables, without, choices)}

    def _entropy(self, choices: Choices, found: Trace, step: Step) -> dict[str, Any]:
        counts = self._step("entropy", choices.label, found, lambda: entropy_counts(found), step)
        return {"entropy": counts, "note": f"{counts.total_packets:,} payloads"}

    def _windows(self, choices: Choices, found: Trace, step: Step) -> dict[str, Any]:
        beginning = self.captures[choices.label].start  # the clock of the controls
        timeline = self._step(
            "timeline",
            choices.label,
            (found, choices.clients),
            lambda: direction_timeline(found, choices.clients, origin=beginning),
            step,
        )
        widths, sizes = window_grid(choices)
        sweep = self._step(
            "window sweep",
            choices.label,
            (found, choices.clients, widths, sizes, choices.remainder),
            lambda: window_sweep(
                found,
                choices.clients,
                time_windows=widths,
                packet_windows=sizes,
                remainder=choices.remainder,
            ),
            step,
        )
        cut = _client_windows(found, choices)
        grouped = len(cut.order)
        inside = grouped if choices.remainder == "keep" else int((cut.stop - cut.start).sum())
        note = (
            f"{len(cut):,} windows hold {inside:,} of {len(found):,} packets; {grouped - inside:,} fill no window of "
            f"{choices.packet_window:,} within {choices.time_window} of their pair; {len(found) - grouped:,} are of no "
            "client"
        )
        return {"timeline": timeline, "edges_from": found.start - beginning, "windows": sweep, "note": note}

    def _features(self, choices: Choices, found: Trace, step: Step) -> dict[str, Any]:
        every = self._tables(choices, choices.features, step)
        tables = {label: table for label, table in every.items() if len(table)}
        without = tuple(label for label in choices.compared if label not in tables and label != choices.label)
        parts: dict[str, Any] = {"without": without, "note": _windows_of(every, without, choices)}
        if choices.label not in tables:
            return parts | {"tables": {choices.label: every[choices.label]}}
        key: object
        if len(tables) == 1:
            (table,) = tables.values()
            key = (found, _cut(choices), choices.features)
            parts["correlation"] = self._step(
                "correlation", choices.label, key, lambda: feature_correlation(table), step
            )
        else:
            key = (tuple(self._compared(choices, step).values()), _cut(choices), choices.features)
            parts["comparison"] = self._step("comparison", "all", key, lambda: compare_features(tables), step)
        return parts | {"tables": tables}

    def _packets(self, choices: Choices, found: Trace, step: Step) -> dict[str, Any]:
        pages = -(-len(found) // PAGE)
        page = min(choices.page, pages - 1)
        first = page * PAGE
        rows = found[first : first + PAGE].packets
        rows.index = pd.RangeIndex(first, first + len(rows), name="packet")
        note = f"packets {first:,} to {first + len(rows) - 1:,} of {len(found):,}, page {page + 1:,} of {pages:,}"
        beginning = self.captures[choices.label].start
        return {"page": rows, "beginning": beginning, "pages": pages, "note": note}

    def _health(self, choices: Choices, found: Trace, step: Step) -> dict[str, Any]:
        health = self._step("health", choices.label, found, found.health, step)
        return {
            "health": health,
            "note": f"{len(health.found)} of {len(health)} things looked for were found",
        }


def select(trace: Trace, choices: Choices) -> Trace:
    """Select packets as the choices say; the code that `to_code` gives does the same."""
    if not choices.clients:
        return trace[:0]
    options: dict[str, Any] = {"clients": choices.clients}
    if choices.protocol in ("tcp", "udp"):
        options["protocol"] = choices.protocol
    elif choices.protocol == "tls":
        options["where"] = "tls_type > 0"
    elif choices.protocol == "data":
        options["payload_only"] = True
    if choices.start > 0:
        options["start"] = width_text(choices.start)
    if choices.stop is not None:
        options["stop"] = width_text(choices.stop)
    try:
        found = trace.select(**options)
        return found.select(clients=choices.targets) if choices.targets and len(found) else found
    except NoClientError:
        return trace[:0]


def window_grid(choices: Choices) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Give the time windows and the packet windows of the sweep, the chosen ones among them."""
    widths, sizes = TIME_WINDOWS, PACKET_WINDOWS
    if nanoseconds(choices.time_window) not in map(nanoseconds, widths):
        widths = (*widths, choices.time_window)
    return widths, sizes if choices.packet_window in sizes else (*sizes, choices.packet_window)


def _selecting(choices: Choices) -> tuple[object, ...]:
    """Give what a selection depends on."""
    return choices.clients, choices.targets, choices.protocol, choices.start, choices.stop


def _cut(choices: Choices) -> tuple[object, ...]:
    """Give what windows of pairs depend on."""
    return choices.clients, choices.time_window, choices.packet_window, choices.remainder


def _client_windows(found: Trace, choices: Choices) -> Windows:
    return client_windows(
        found, choices.clients, choices.packet_window, time_window=choices.time_window, remainder=choices.remainder
    )


def _gaps(found: Trace, choices: Choices) -> pd.DataFrame:
    return interval_cdf(_client_windows(found, choices), choices.clients)


def _feature_table(found: Trace, choices: Choices, features: tuple[str, ...]) -> pd.DataFrame:
    return client_features(
        found,
        choices.clients,
        time_window=choices.time_window,
        packet_window=choices.packet_window,
        features=features,
        remainder=choices.remainder,
    )


def _windows_of(tables: Mapping[str, pd.DataFrame], without: Iterable[str], choices: Choices) -> str:
    words = "windows: " + ", ".join(f"{label} {len(table):,}" for label, table in tables.items())
    words += "".join(f"; {label} has no packets of these" for label in without if label not in tables)
    if not all(map(len, tables.values())):
        words += f"; no pair has {choices.packet_window:,} packets within {choices.time_window}"
    if choices.tab == "features" and not choices.features:
        words += "; no feature set is chosen: up_down_ratio is always there"
    return words


def _no_lengths(found: Trace, choices: Choices) -> str:
    """Say why there is no length to cluster, although there are packets."""
    protocols = found.column("protocol")
    if choices.protocol != "udp" and bool((protocols == 17).any()):
        return "; there are UDP packets: choose them as the protocol"
    return f"; none has a payload of 1 to {choices.max_length:,} bytes"


def _why_nothing(trace: Trace, choices: Choices, label: str) -> str:
    """Say which choice leaves no packet, and what there is."""
    top = trace.top_hosts(5)
    hosts = ", ".join(f"{host} ({sent + received:,} packets)" for host, sent, received, *_ in top.itertuples())
    busiest = f"the busiest hosts are {hosts}" if hosts else "it has no packets at all"
    if not choices.clients:
        return f"no client is chosen in {label}; {busiest}"
    theirs = len(select(trace, Choices(label, (label,), choices.clients)))
    if not theirs:
        return f"no packets match in {label}; {busiest}"
    limits = []
    if choices.targets:
        limits.append(f"the targets {', '.join(choices.targets)}")
    if choices.protocol != "all":
        limits.append(f"the protocol ({PROTOCOLS[choices.protocol]})")
    if choices.start > 0 or choices.stop is not None:
        end = f"{trace.duration.total_seconds():g}" if choices.stop is None else f"{choices.stop:g}"
        limits.append(f"the time range ({choices.start:g} to {end} s)")
    return (
        f"no packets match in {label}: of the {theirs:,} of the clients, none meets {' and '.join(limits)}; {busiest}"
    )
