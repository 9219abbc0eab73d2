"""`explore`: from captures, in whatever form they are given, to an `Explorer`."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from toolkit.capture.reader import read
from toolkit.connections import suggest_clients
from toolkit.trace import Trace
from toolkit.widgets.state import NAMES
from toolkit.widgets.view import Explorer


class _Remembered(NamedTuple):
    choices: dict[str, Any]
    asked: str
    explorer: weakref.ref[Explorer]


_remembered: dict[tuple[str, ...], _Remembered] = {}
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
        f"{label} {source.sha256 or id(trace)} {len(trace)} {trace.history}"
        for label, trace in captures.items()
        for source in trace.sources
    )
    asked = repr(sorted(initial.items()))
    before = _remembered.get(key)
    if before is not None and before.asked == asked:
        initial = before.choices
        if (last := before.explorer()) is not None:
            last.close()  # the cell is run again, and its output replaced
    elif "clients" not in initial:
        first = next(iter(captures.values()))
        initial["clients"] = suggest_clients(first) or first.hosts[:1]
    explorer = Explorer(captures, **initial)

    def remember(change: Any = None) -> None:
        choices = {name: getattr(state, name) for name in NAMES}
        _remembered[key] = _Remembered(choices, asked, there)

    state, there = explorer.state, weakref.ref(explorer)
    state.observe(remember, list(NAMES))
    remember()
    return explorer


def _captures(traces: Any) -> dict[str, Trace]:
    if isinstance(traces, Trace | str | os.PathLike):
        traces = [traces]
    if not isinstance(traces, Iterable):
        raise TypeError(f"`traces` must be a trace, the path of a capture, or several, got {traces!r}")
    found: dict[str, Trace] = {}
    if isinstance(traces, Mapping):
        for label, trace in traces.items():
            if str(label) in found:
                raise ValueError(f"two captures have the label {str(label)!r}")
            found[_written(str(label))] = _trace(trace)
    else:
        for each in traces:
            trace = _trace(each)
            label = name = _written(trace.sources[0].name.split(".")[0] or "packets" if trace.sources else "packets")
            number = 2
            while label in found:
                label, number = f"{name} {number}", number + 1
            found[label] = trace
    if not found:
        raise ValueError("`traces` must hold at least one capture, got none")
    return found


def _trace(value: Any) -> Trace:
    if isinstance(value, Trace):
        return value
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"expected a trace or the path of a capture, got {value!r}")
    return read(value)


def _written(label: str) -> str:
    """Give a label that can be drawn and sent: a file name may hold bytes that are no text."""
    return label.encode(errors="surrogateescape").decode(errors="replace")
