"""What is shown, as HTML tables: names that can be read, units, as many digits as mean something."""

from __future__ import annotations

import html
import math
from collections.abc import Callable
from typing import Any

import pandas as pd

from toolkit.features import FEATURES
from toolkit.plots import COLOURS
from toolkit.widgets.result import Result

ROWS = 20
"""Rows shown of a table that is not paged."""

_NAMES = {
    "centre": "centre (bytes)",
    "min_length": "shortest",
    "max_length": "longest",
    "mean_length": "mean (bytes)",
    "distinct_lengths": "lengths",
    "time_window": "time window (s)",
    "packet_window": "packets a window",
    "clusters_90": "clusters for 90%",
    "top5_share": "share of 5 largest",
    "bandwidth": "bandwidth (bytes)",
    "kept": "packets kept",
    "distance": "distance D",
    "first": "between",
    "second": "and",
    "at": "farthest apart at",
    "first_share": "below, first",
    "second_share": "below, second",
}
_SHARES = {"share", "kept", "first_share", "second_share"}
_WORDS = " class='toolkit-words'"
_FLAGS = "FSRPAUEC"
_PROTOCOLS = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6", 132: "SCTP"}
_RECORDS = {20: "cipher spec", 21: "alert", 22: "handshake", 23: "data", 24: "heartbeat"}


def table_of(result: Result) -> str:
    """Write the table of a tab.

    Parameters
    ----------
    result
        What is shown.

    Returns
    -------
    str
        HTML; nothing for a tab that is a picture only.
    """
    if result.clusters is not None:
        top = result.choices.top
        frame = result.clusters.to_frame()
        return _html(frame, lambda number: _swatch(COLOURS[number]) if number < top else "")
    if result.page is not None:
        return _html(packets_of(result), rows=len(result.page))
    if result.health is not None:
        findings = result.health.to_frame().sort_values("count", ascending=False, kind="stable")
        return _html(findings, rows=len(findings))
    if result.windows is not None:
        return _html(result.windows.reset_index(), index=False, rows=len(result.windows))
    if result.comparison is not None:
        distances = result.comparison.distances.copy()
        distances.insert(0, "unit", [FEATURES[name].unit if name in FEATURES.names else "" for name in distances.index])
        return _html(distances)
    if result.sweep is not None:
        return _html(result.sweep.reset_index(), index=False, rows=len(result.sweep))
    if result.choices.tab == "features" and result.tables is not None:
        return _html(next(iter(result.tables.values())).reset_index(), index=False)
    return ""


def packets_of(result: Result) -> pd.DataFrame:
    """Give the packets of a page with what one looks at first.

    Parameters
    ----------
    result
        Of the tab of packets.

    Returns
    -------
    DataFrame
        One row a packet, as text where it is not a number.
    """
    page = result.page
    assert page is not None
    assert result.beginning is not None
    ends = zip(page["src"], page["src_port"], page["dst"], page["dst_port"], strict=True)
    written = [(_end(src, src_port), _end(dst, dst_port)) for src, src_port, dst, dst_port in ends]
    return pd.DataFrame(
        {
            "frame": page["number"].to_numpy(),
            "seconds": [f"{seconds:.6f}" for seconds in (page["time"] - result.beginning) / pd.Timedelta("1s")],
            "from": [one for one, _ in written],
            "to": [other for _, other in written],
            "protocol": [_PROTOCOLS.get(number, str(number)) for number in page["protocol"]],
            "flags": [_flags(value) for value in page["tcp_flags"]],
            "IP bytes": page["ip_length"].to_numpy(),
            "payload": page["payload_length"].to_numpy(),
            "TLS record": [_RECORDS.get(kind, "") for kind in page["tls_type"]],
        },
        index=page.index,
    )


def _end(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _flags(value: int) -> str:
    return "".join(letter for i, letter in enumerate(_FLAGS) if value >> i & 1)


def _swatch(colour: Any) -> str:
    return f"<span class='toolkit-swatch' style='background:{colour}'></span>"


def _html(
    frame: pd.DataFrame, mark: Callable[[int], str] = lambda row: "", *, index: bool = True, rows: int = ROWS
) -> str:
    """Write the first rows; `mark` gives HTML that is put before a row's name."""
    names = [frame.index.name or "", *frame.columns] if index else list(frame.columns)
    head = "".join(f"<th>{html.escape(_NAMES.get(str(name), str(name)))}</th>" for name in names)
    columns = [[_cell(value, str(name)) for value in frame[name].head(rows)] for name in frame.columns]
    lines = []
    for row, name in enumerate(frame.index[:rows]):
        cells = "".join(
            f"<td{_WORDS if heading == 'meaning' else ''}>{column[row]}</td>"
            for heading, column in zip(frame.columns, columns, strict=True)
        )
        lines.append(f"<tr>{f'<th>{mark(row)}{html.escape(str(name))}</th>' if index else ''}{cells}</tr>")
    more = f"<p>{rows} of {len(frame):,} rows; a table that is saved has all.</p>" if len(frame) > rows else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>{more}"


def _cell(value: Any, name: str) -> str:
    if isinstance(value, float):
        if math.isnan(value):
            return "–"
        return f"{value:.1%}" if name in _SHARES or name.endswith("_share") else f"{value:,.4g}"
    return html.escape(f"{value:,}" if isinstance(value, int) and name not in ("frame",) else str(value))
