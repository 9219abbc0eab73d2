"""Where packets lie in time: what each direction carries from window to window, and the gaps between packets."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from toolkit.hosts import Networks
from toolkit.selection import nanoseconds_of
from toolkit.trace import Trace
from toolkit.windows import Windows, client_windows, nanoseconds, time_order, time_windows

GAP_EDGES = np.geomspace(1, 1e9, 9 * 40 + 1).round(3)
"""Where `interval_cdf` counts, in microseconds: 40 lengths a decade from 1 µs to 1,000 s."""

_WIDTHS = ("1ms", "10ms", "100ms", "1s", "5s", "15s", "60s", "5min", "15min", "1h", "6h", "1D", "7D")


def interval_cdf(windows: Windows, clients: Networks) -> pd.DataFrame:
    """Count the gaps between packets that are at most so long.

    A gap is what the feature sets ``interval`` and ``interval_bins`` are made of: the time between successive TCP
    packets of a window and direction with a sequence number not seen before in it.

    Parameters
    ----------
    windows
        Of any kind; no gap reaches over the end of a window.
    clients
        Addresses or networks of the clients: they say what is up and what is down.

    Returns
    -------
    DataFrame of shape (362, 2)
        Index ``gap``, in µs: 361 lengths from 1 µs to 1,000 s, evenly spread on a log scale, and infinity, where the
        number of all gaps stands; columns ``up`` and ``down``, the number of gaps of at most that length.

    Raises
    ------
    NoClientError
        If no client network holds a host of the trace.

    Examples
    --------
    >>> import toolkit
    >>> windows = toolkit.client_windows(toolkit.load_example("obfs4"), "10.77.0.0/24", 50)
    >>> interval_cdf(windows, "10.77.0.0/24").loc[[1_000, 1_000_000, float("inf")]]
                up  down
    gap
    1000.0      84   238
    1000000.0  280   539
    inf        302   561
    """
    rank, networks = windows.trace.client_rank(clients)
    inside = rank < networks
    edges = (GAP_EDGES * 1_000).round().astype(np.uint64)
    counts = {}
    for side, end in (("up", "src"), ("down", "dst")):
        gaps = np.sort(_gaps(windows, inside[windows.trace.column(end)]))
        counts[side] = np.append(np.searchsorted(gaps, edges, side="right"), len(gaps))
    return pd.DataFrame(counts, index=pd.Index(np.append(GAP_EDGES, np.inf), name="gap"))


def _gaps(windows: Windows, side: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint64]:
    """Gaps of one direction in nanoseconds; `side` says of each packet whether it belongs to it."""
    trace = windows.trace
    size = windows.stop - windows.start
    # windows follow each other in `order`, but what lies in none may lie between them
    window = np.repeat(np.arange(len(windows)), size)
    before = np.cumsum(size) - size
    place = np.arange(int(size.sum())) + np.repeat(windows.start - before, size)
    row = windows.order[place]
    keep = side[row] & (trace.column("protocol")[row] == 6)
    row, window = row[keep], window[keep]
    key = (window.astype(np.uint64) << np.uint64(32)) | trace.column("tcp_seq")[row]
    _, first = np.unique(key, return_index=True)
    first.sort()
    time, window = trace.column("time")[row[first]], window[first]
    later, earlier = np.maximum(time[1:], time[:-1]), np.minimum(time[1:], time[:-1])
    # unsigned: a broken clock may jump by more than 2^63 ns
    gaps: npt.NDArray[np.uint64] = (later.view(np.uint64) - earlier.view(np.uint64))[window[1:] == window[:-1]]
    return gaps


def direction_timeline(
    trace: Trace,
    clients: Networks,
    width: str | pd.Timedelta | None = None,
    *,
    origin: str | pd.Timestamp | pd.Timedelta | None = None,
) -> pd.DataFrame:
    """Add up what goes each way in each time window.

    Window ``k`` holds the packets with ``floor((t - origin) / width) == k``, exactly.

    Parameters
    ----------
    trace
        Packets in any order.
    clients
        Addresses or networks of the clients. A packet between two of them is both up and down; one of none, neither.
    width
        Width of the windows. If None, the first of 1 ms, 10 ms, 100 ms, 1 s, 5 s, 15 s, 1 min, 5 min, 15 min, 1 h, 6 h,
        1 day, 7 days of which the trace spans 240 at most, else the last.
    origin
        Time at which window 0 starts, and from which ``start`` and ``stop`` count: an absolute time (UTC if it names no
        zone), or a duration since the earliest packet, as in `Trace.select`; never after the earliest packet. If None,
        that of the earliest packet, as in `time_windows`. A part of a trace is on the clock of the whole with
        ``origin=whole.start``: its windows are then some of those of the whole. Without any packet it says nothing.

    Returns
    -------
    DataFrame
        One row a window that holds a packet, index ``time_window`` (its number): ``start`` and ``stop`` in seconds
        since the origin; ``packets_up``, ``packets_down``; ``bytes_up``, ``bytes_down``, of whole IP packets.

    Raises
    ------
    ValueError
        If `width` is not a duration of more than zero, or so short that there are 2^63 windows, or `origin` is no time
        or after the earliest packet.
    TypeError
        If `origin` is a number.
    NoClientError
        If no client network holds a host of the trace.

    Examples
    --------
    >>> import toolkit
    >>> direction_timeline(toolkit.load_example("obfs4"), "10.77.0.0/24", "60s")[["start", "packets_up", "bytes_down"]]
                 start  packets_up  bytes_down
    time_window
    0              0.0         177      164251
    1             60.0         239      275483
    2            120.0         239      291196
    """
    time = trace.column("time")
    earliest, latest = (int(time.min()), int(time.max())) if len(trace) else (0, 0)
    ahead = 0  # nanoseconds from the origin to the earliest packet
    if origin is not None and len(trace):
        ahead = earliest - nanoseconds_of("origin", origin, earliest)
        if ahead < 0:
            raise ValueError(f"`origin` must not be after the earliest packet ({trace.start}), got {origin!r}")
    if width is None:
        spans = ((ahead + latest - earliest) // nanoseconds(each) - ahead // nanoseconds(each) for each in _WIDTHS)
        width = next((each for each, windows in zip(_WIDTHS, spans, strict=True) if windows < 240), _WIDTHS[-1])
    windows = _windows_from(trace, nanoseconds(width), earliest, latest, ahead)
    rank, networks = trace.client_rank(clients)
    inside = (rank < networks)[np.stack([trace.column("src"), trace.column("dst")])][:, windows.order]
    sums = _sums(windows, inside[0], inside[1])
    number = windows.time_window
    assert number is not None  # these are time windows
    step = nanoseconds(width) / 1e9
    names = ["packets_up", "packets_down", "bytes_up", "bytes_down"]
    columns = {"start": number * step, "stop": (number + 1) * step} | {name: sums[name] for name in names}
    return pd.DataFrame(columns, index=pd.Index(number, name="time_window"))


def _windows_from(trace: Trace, width: int, earliest: int, latest: int, ahead: int) -> Windows:
    """Cut a trace into windows that start `ahead` nanoseconds before the earliest packet."""
    if ahead == 0:
        return time_windows(trace, pd.Timedelta(width, unit="ns"))
    before, within = divmod(ahead, width)
    if (ahead + latest - earliest) // width > np.iinfo(np.int64).max:
        raise ValueError(
            f"windows of {width} ns are too short for a trace that ends {latest - earliest + ahead} ns after `origin`"
        )
    order = time_order(trace)
    if order is None:
        order = np.arange(len(trace), dtype=np.int32)
    # unsigned and in two parts: time since the earliest packet may take all of 64 bits
    since = trace.column("time")[order].view(np.uint64) - np.uint64(earliest % (1 << 64))
    step = np.uint64(width)
    later = since % step >= np.uint64(width - within)  # those that the origin moves over an edge
    key = (since // step).astype(np.int64) + later + before
    start = np.flatnonzero(np.diff(key, prepend=-1))
    return Windows(trace, order, start, np.append(start[1:], len(key)), np.zeros(len(start), np.int64), key[start])


def client_pairs(trace: Trace, clients: Networks) -> pd.DataFrame:
    """Add up what each client exchanged with each target.

    Parameters
    ----------
    trace, clients
        See `toolkit.client_windows`, whose pairs these are.

    Returns
    -------
    DataFrame
        Index (client, target), most packets first: ``packets_up``, ``packets_down``, ``bytes_up``, ``bytes_down`` (of
        whole IP packets), ``payload_up``, ``payload_down`` (bytes of transport payload), ``first`` and ``last`` (times
        of the earliest and the latest packet).

    Raises
    ------
    NoClientError
        If no client network holds a host of the trace.

    Examples
    --------
    >>> import toolkit
    >>> pairs = client_pairs(toolkit.load_example("obfs4"), "10.77.0.0/24")
    >>> pairs[["packets_up", "packets_down", "payload_down"]]
                          packets_up  packets_down  payload_down
    client     target
    10.77.0.11 10.77.1.1         236           297        301943
    10.77.0.13 10.77.1.3         222           235        184473
    10.77.0.12 10.77.1.2         197           238        204290
    """
    windows = client_windows(trace, clients, max(len(trace), 1), remainder="keep")
    packets = windows.stop - windows.start
    assert windows.client is not None  # these are windows of pairs
    up = trace.column("src")[windows.order] == np.repeat(windows.client, packets)
    frame = windows.to_frame()
    table = pd.DataFrame(_sums(windows, up, ~up), index=windows.index)
    table[["first", "last"]] = frame[["first", "last"]]
    table = table.reset_index("window", drop=True)
    return table.iloc[np.argsort(-packets, kind="stable")]


def _sums(windows: Windows, up: npt.NDArray[np.bool_], down: npt.NDArray[np.bool_]) -> dict[str, npt.NDArray[Any]]:
    """Packets and bytes of each window, each way; the windows lie end to end, and `up` and `down` with them."""
    trace = windows.trace
    columns = {
        "packets": np.ones(len(windows.order), np.int64),
        "bytes": trace.column("ip_length")[windows.order],
        "payload": trace.column("payload_length")[windows.order],
    }
    sums: dict[str, npt.NDArray[Any]] = {}
    for name, values in columns.items():
        for side, mine in (("up", up), ("down", down)):
            chosen = np.where(mine, values, 0)
            sums[f"{name}_{side}"] = (
                np.add.reduceat(chosen, windows.start, dtype=np.int64) if len(windows) else np.zeros(0, np.int64)
            )
    return sums
