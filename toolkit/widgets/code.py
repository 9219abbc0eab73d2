"""The few lines that give a view without widgets, ready to paste."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from toolkit.datasets import example, examples
from toolkit.source import Source
from toolkit.sweeps import PACKET_WINDOWS, TIME_WINDOWS
from toolkit.trace import Trace
from toolkit.widgets.compute import PAGE, window_grid
from toolkit.widgets.state import Choices, width_text


def to_code(
    choices: Choices, captures: Mapping[str, Trace], without: Iterable[str] = (), *, folders: bool = True
) -> str:
    """Write the code for a view.

    Parameters
    ----------
    choices
        What is chosen.
    captures
        Traces by their labels; a capture is read by the name that it was read by.
    without
        Labels of captures that have nothing to compare, see `Result.without`.
    folders
        Whether the names of captures have their folders. In a file that is passed on, these would tell of the machine
        it is from.

    Returns
    -------
    str
        Python. After it has run, ``shown`` is what the explorer's `result` has for this tab, ``selection`` the packets.

    Examples
    --------
    >>> import toolkit
    >>> from toolkit.widgets.state import Choices
    >>> trace = toolkit.load_example("obfs4")
    >>> print(to_code(Choices("obfs4", ("obfs4",), ("10.77.0.11",), bandwidth=5.0), {"obfs4": trace}))
    import toolkit
    <BLANKLINE>
    trace = toolkit.load_example("obfs4")
    clients = ["10.77.0.11"]
    selection = trace.select(clients=clients)
    shown = toolkit.cluster_lengths(selection, bandwidth=5)
    toolkit.plot_length_clusters(shown, top=6)
    <BLANKLINE>
    """
    left_out = {choices.label, *without}
    labels = [choices.label, *(label for label in choices.compared if label not in left_out)]
    several = choices.tab in ("intervals", "features") and len(labels) > 1
    lines = ["import toolkit", ""]
    if several:
        lines += ["traces = {"]
        lines += [f"    {_quoted(label)}: {_reading(captures[label], folders)}," for label in labels]
        lines += ["}"]
    else:
        lines += [f"trace = {_reading(captures[choices.label], folders)}"]
    for label in labels if several else [choices.label]:
        if changes := _changes(captures[label]):
            lines += [f"# {label!r} was changed after reading, do that here: {'; '.join(changes)}"]
    lines += [f"clients = {_listed(choices.clients)}"]
    selecting = _selecting(choices)
    if several:
        lines += [f"selections = {{label: trace{selecting} for label, trace in traces.items()}}"]
    else:
        lines += [f"selection = trace{selecting}"]
    return "\n".join([*lines, *_TAB[choices.tab](choices, several)]) + "\n"


def _reading(trace: Trace, folders: bool) -> str:
    reads = [_read(source, folders) for source in trace.sources]
    return reads[0] if len(reads) == 1 else f"toolkit.concat([{', '.join(reads)}])"


def _changes(trace: Trace) -> tuple[str, ...]:
    """Give what was done with a trace before it was explored, which its files do not tell."""
    read = len(trace.sources) if len(trace.sources) == 1 else len(trace.sources) + 1  # and one step for the concat
    return trace.history[read:]


def _read(source: Source, folders: bool) -> str:
    for name in examples().index:
        if example(name).sha256 == source.sha256:
            return f"toolkit.load_example({_quoted(name)})"
    return f"toolkit.read({_quoted(source.path if folders else source.name)})"


def _selecting(choices: Choices) -> str:
    options = ["clients=clients"]
    if choices.protocol in ("tcp", "udp"):
        options.append(f"protocol={_quoted(choices.protocol)}")
    elif choices.protocol == "tls":
        options.append('where="tls_type > 0"')
    elif choices.protocol == "data":
        options.append("payload_only=True")
    if choices.start > 0:
        options.append(f'start="{width_text(choices.start)}"')
    if choices.stop is not None:
        options.append(f'stop="{width_text(choices.stop)}"')
    targets = f".select(clients={_listed(choices.targets)})" if choices.targets else ""
    return f".select({', '.join(options)}){targets}"


def _counting(choices: Choices) -> str:
    options = []
    if choices.protocol == "udp":
        options.append('protocol="udp"')
    if choices.protocol == "tls":
        options.append("tls_only=True")
    if choices.max_length != 1300:
        options.append(f"max_length={choices.max_length}")
    return "".join(f", {option}" for option in options)


def _windows(choices: Choices) -> str:
    options = f'time_window="{choices.time_window}", packet_window={choices.packet_window}'
    return options + (', remainder="keep"' if choices.remainder == "keep" else "")


def _lengths(choices: Choices, several: bool) -> list[str]:
    return [
        f"shown = toolkit.cluster_lengths(selection, bandwidth={_number(choices.bandwidth)}{_counting(choices)})",
        f"toolkit.plot_length_clusters(shown, top={choices.top})",
    ]


def _bandwidth(choices: Choices, several: bool) -> list[str]:
    return [
        f"shown = toolkit.bandwidth_sweep(selection{_counting(choices)})",
        f"toolkit.plot_bandwidth_sweep(shown, chosen={_number(choices.bandwidth)})",
    ]


def _table(choices: Choices, features: str, several: bool, name: str) -> list[str]:
    call = f"toolkit.client_features({{}}, clients, {_windows(choices)}, features={features})"
    if several:
        rows = call.format("selection")
        return [f"{name} = {{", f"    label: {rows}", "    for label, selection in selections.items()", "}"]
    return [f"{name} = {{{_quoted(choices.label)}: {call.format('selection')}}}"]


def _intervals(choices: Choices, several: bool) -> list[str]:
    keep = ', remainder="keep"' if choices.remainder == "keep" else ""
    options = f'{choices.packet_window}, time_window="{choices.time_window}"{keep}'
    gaps = f"toolkit.interval_cdf(toolkit.client_windows(selection, clients, {options}), clients)"
    if several:
        counted = ["gaps = {", f"    label: {gaps}", "    for label, selection in selections.items()", "}"]
    else:
        counted = [f"gaps = {{{_quoted(choices.label)}: {gaps}}}"]
    return [
        *_table(choices, '"interval_bins"', several, "shown"),
        "toolkit.plot_interval_bins(shown)",
        *counted,
        "toolkit.plot_interval_cdf(gaps)",
    ]


def _entropy(choices: Choices, several: bool) -> list[str]:
    return ["shown = toolkit.entropy_counts(selection)", "toolkit.plot_entropy(shown)"]


def _timeline(choices: Choices, several: bool) -> list[str]:
    widths, sizes = window_grid(choices)
    grid = ""
    if widths != TIME_WINDOWS:
        grid += f", time_windows={_listed(widths)}"
    if sizes != PACKET_WINDOWS:
        grid += f", packet_windows={list(sizes)}"
    if choices.remainder == "keep":
        grid += ', remainder="keep"'
    return [
        "timeline = toolkit.direction_timeline(selection, clients, origin=trace.start)",
        f'edges = {{"edges_every": "{choices.time_window}", "edges_from": selection.start - trace.start}}',
        "toolkit.plot_direction_timeline(timeline, **edges)",
        f"shown = toolkit.window_sweep(selection, clients{grid})",
        f'toolkit.plot_window_sweep(shown, chosen=("{choices.time_window}", {choices.packet_window}))',
    ]


def _features(choices: Choices, several: bool) -> list[str]:
    lines = _table(choices, _listed(choices.features), several, "shown")
    if several:
        return [*lines, "toolkit.plot_feature_comparison(toolkit.compare_features(shown))"]
    return [
        *lines,
        f"toolkit.plot_feature_correlation(toolkit.feature_correlation(shown[{_quoted(choices.label)}]))",
    ]


def _packets(choices: Choices, several: bool) -> list[str]:
    return ["shown = selection.packets", f"shown.iloc[{PAGE * choices.page}:{PAGE * (choices.page + 1)}]"]


def _health(choices: Choices, several: bool) -> list[str]:
    return ["shown = selection.health()", "shown"]


_TAB = {
    "lengths": _lengths,
    "bandwidth": _bandwidth,
    "intervals": _intervals,
    "entropy": _entropy,
    "windows": _timeline,
    "features": _features,
    "packets": _packets,
    "health": _health,
}


def _number(value: float) -> str:
    return repr(value).removesuffix(".0")


def _quoted(text: str) -> str:
    """Write a text as Python does, but between double quotes where it can be."""
    written = repr(text)
    return f'"{written[1:-1]}"' if written[0] == "'" and '"' not in text else written


def _listed(values: tuple[str, ...]) -> str:
    return f"[{', '.join(map(_quoted, values))}]"
