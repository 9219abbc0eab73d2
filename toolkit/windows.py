"""Cut traces into windows, as ranges of an index into the trace: no packet is copied.

The definitions are in the docstrings; they hold to the nanosecond.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from toolkit.grouping import Index, Numbers, cut, group_packets, is_sorted
from toolkit.hosts import Networks, parse_networks
from toolkit.selection import has_year, is_number
from toolkit.trace import Trace

Remainder: TypeAlias = Literal["drop", "keep"]
Grouping: TypeAlias = Literal["trace", "pair"]
_MOST = 1 << 31
"""More packets than a trace can hold: row numbers have 32 bits."""


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of a trace, each a range of `order`.

    Attributes
    ----------
    trace
        What was cut.
    order
        Row numbers of the trace, int32, in the order of the windows: window ``i`` holds the rows
        ``order[start[i]:stop[i]]``. Shape (packets that belong to a group,).
    start, stop
        Shape (windows,), int64.
    window
        Number of each window within its group (its pair, its time window), from 0.
    time_window
        Number of the time window each lies in (``floor((t - t0) / width)``), or None where time was not cut.
    client, target
        Host numbers of each window's pair, or None where packets were not grouped.
    """

    trace: Trace
    order: Index
    start: Numbers
    stop: Numbers
    window: Numbers
    time_window: Numbers | None = None
    client: Index | None = None
    target: Index | None = None

    def __len__(self) -> int:
        return len(self.start)

    def rows(self, i: int) -> Index:
        """Row numbers of window `i`, in its order."""
        return self.order[self.start[i] : self.stop[i]]

    def __getitem__(self, i: int) -> Trace:
        """Window `i` as a trace of its own; negative from the end."""
        i = operator.index(i)
        return self.trace[self.rows(range(len(self))[i])]

    def __iter__(self) -> Iterator[Trace]:
        return (self[i] for i in range(len(self)))

    @classmethod
    def whole(cls, trace: Trace) -> Windows:
        """Give one window that holds all of a trace, even if that is nothing."""
        bounds = np.array([0, len(trace)], np.int64)
        return cls(trace, np.arange(len(trace), dtype=np.int32), bounds[:1], bounds[1:], np.zeros(1, np.int64))

    @property
    def dropped(self) -> int:
        """Packets of the trace that are in no window."""
        return len(self.trace) - int((self.stop - self.start).sum())

    @property
    def index(self) -> pd.Index[Any]:
        """What tells the windows apart: `client`, `target`, `time_window`, `window`, as far as they were made."""
        hosts = pd.Index(self.trace.hosts, dtype=object)
        levels: list[pd.Index[Any]] = []
        codes: list[npt.NDArray[Any]] = []
        names: list[str] = []
        for name, host in (("client", self.client), ("target", self.target)):
            if host is not None:
                levels.append(hosts)
                codes.append(host)
                names.append(name)
        for name, number in (("time_window", self.time_window), ("window", self.window)):
            if number is not None:
                values, code = np.unique(number, return_inverse=True)
                levels.append(pd.Index(values))
                codes.append(code)
                names.append(name)
        if len(names) == 1:
            return pd.Index(self.window, name="window")
        # (pandas-stubs wants lists of int for the codes)
        return pd.MultiIndex(levels=cast("Any", levels), codes=cast("Any", codes), names=names, verify_integrity=False)

    def to_frame(self) -> pd.DataFrame:
        """One row a window: packets, earliest and latest time (NaT for a window of nothing)."""
        packets = self.stop - self.start
        first = np.full(len(self), pd.NaT.value, np.int64)
        last = first.copy()
        filled = packets > 0
        if filled.any():
            time = self.trace.column("time")[self.order[: int(self.stop[-1])]]
            # start, stop, start, stop, ... of which `reduceat` gives what is from each to the next; no last stop
            edges = np.stack([self.start[filled], self.stop[filled]], axis=1).ravel()[:-1]
            first[filled] = np.minimum.reduceat(time, edges)[::2]
            last[filled] = np.maximum.reduceat(time, edges)[::2]
        return pd.DataFrame(
            {
                "packets": packets,
                "first": pd.to_datetime(first, unit="ns", utc=True),
                "last": pd.to_datetime(last, unit="ns", utc=True),
            },
            index=self.index,
        )

    def __repr__(self) -> str:
        return f"<Windows: {len(self):,} windows, {self.dropped:,} of {len(self.trace):,} packets in none>"


def count_windows(trace: Trace, n: int, *, remainder: Remainder = "drop") -> Windows:
    """Cut a trace into runs of exactly `n` packets, in file order.

    Parameters
    ----------
    trace
        Packets; their times play no part.
    n
        Packets in a window, at least 1.
    remainder
        ``"drop"`` the last packets that make no whole window, or ``"keep"`` them as a shorter one.

    Raises
    ------
    ValueError
        If `n` is not an int of 1 or more.

    Examples
    --------
    >>> import toolkit
    >>> windows = count_windows(toolkit.load_example("obfs4")[:105], 50)
    >>> windows
    <Windows: 2 windows, 5 of 105 packets in none>
    >>> len(windows[1])
    50
    """
    size = _window_size(n)
    _check("remainder", remainder, ("drop", "keep"))
    bounds = np.array([0, len(trace)], np.int64)
    start, stop, window, _ = cut(bounds, size, remainder == "keep")
    return Windows(trace, np.arange(len(trace), dtype=np.int32), start, stop, window)


def time_windows(
    trace: Trace,
    width: str | pd.Timedelta,
    *,
    by: Grouping = "trace",
    clients: Networks | None = None,
    partial: Remainder = "keep",
) -> Windows:
    """Cut a trace into half-open windows of equal duration.

    Window ``k`` holds the packets with ``floor((t - t0) / width) == k``, where ``t0`` is the time of the earliest
    packet of the trace, exactly. Windows that hold no packet are not stored: a clock that jumps costs nothing.

    Parameters
    ----------
    trace
        Packets in any order; they are ordered by time first (stable).
    width
        Duration of a window, for example ``"60s"`` or ``pd.Timedelta(minutes=1)``. More than zero.
    by
        ``"trace"`` cuts the whole trace, ``"pair"`` each (client, target) pair on its own, at the same edges.
    clients
        Networks of the clients, with ``by="pair"``; packets of no client are left out. See `client_windows`.
    partial
        ``"keep"`` or ``"drop"`` the last window, which the end of the trace cuts short.

    Returns
    -------
    Windows
        Index ranges into `trace`, with `time_window` numbers (and pairs).

    Raises
    ------
    ValueError
        If `width` is not a duration of more than zero, or so short that there are 2^63 windows, or `clients` are given
        without ``by="pair"`` or the other way.
    NoClientError
        If no client network holds a host of the trace.

    Examples
    --------
    >>> import toolkit
    >>> trace = toolkit.load_example("obfs4")
    >>> len(time_windows(trace, "60s", by="trace"))
    3
    """
    duration = nanoseconds(width)
    _check("by", by, ("trace", "pair"))
    _check("partial", partial, ("keep", "drop"))
    if (clients is None) == (by == "pair"):
        raise ValueError(f"by='pair' goes with `clients` and by='trace' without, got by={by!r} and clients={clients!r}")
    order = time_order(trace)
    groups = group_packets(trace, clients, order, duration)
    keep = np.ones(len(groups.key), bool)
    if partial == "drop" and len(trace):  # the last of the trace: the clients may have stopped long before
        time = trace.column("time")
        keep = groups.key < (int(time.max()) - int(time.min())) // duration
    bounds = groups.bounds
    return Windows(
        trace,
        groups.order,
        bounds[:-1][keep],
        bounds[1:][keep],
        np.zeros(int(keep.sum()), np.int64),
        groups.key[keep],
        groups.client[keep] if by == "pair" else None,
        groups.target[keep] if by == "pair" else None,
    )


def client_windows(
    trace: Trace,
    clients: Networks,
    n: int,
    *,
    time_window: str | pd.Timedelta | None = None,
    remainder: Remainder = "drop",
) -> Windows:
    """Group packets by client and target, and cut each group into windows of `n` packets.

    For each client network in the order given: if it holds the source, the packet belongs to (source, destination);
    else if it holds the destination, to (destination, source); else the next network is asked. Packets of no client
    are dropped. Groups are in the order of their first packet.

    Parameters
    ----------
    trace
        Packets, taken in file order; with `time_window` in the order of time (stable).
    clients
        Addresses or networks, IPv4 or IPv6. One network or a list.
    n
        Packets in a window, at least 1.
    time_window
        Cut into time windows of this width first (`time_windows`); the pairs of each are grouped on their own.
    remainder
        ``"drop"`` the packets of each group that make no whole window, or ``"keep"`` them as a shorter one.

    Returns
    -------
    Windows
        With `client`, `target` and `window`, and `time_window` if asked for.

    Raises
    ------
    ValueError
        If `n` is not an int of 1 or more or `time_window` not a duration of more than zero.
    NoClientError
        If no client network holds a host of the trace; the message names the busiest hosts.

    Examples
    --------
    >>> import toolkit
    >>> windows = client_windows(toolkit.load_example("obfs4"), "10.77.0.0/24", 50)
    >>> windows.to_frame().loc["10.77.0.11"]["packets"].unique().tolist()
    [50]
    """
    size = _window_size(n)
    _check("remainder", remainder, ("drop", "keep"))
    networks = parse_networks(clients)
    if time_window is None:
        groups = group_packets(trace, networks, None, None)
    else:
        groups = group_packets(trace, networks, time_order(trace), nanoseconds(time_window))
    start, stop, window, group = cut(groups.bounds, size, remainder == "keep")
    return Windows(
        trace,
        groups.order,
        start,
        stop,
        window,
        None if time_window is None else groups.key[group],
        groups.client[group],
        groups.target[group],
    )


def synchronise(trace: Trace, target: str | pd.Timestamp, *, sort: bool = False) -> Trace:
    """Shift a trace in time so that its first packet has the time `target`. Exact; the input is untouched.

    Parameters
    ----------
    trace
        Packets. Without any, it is returned as it is.
    target
        An absolute time; UTC if it names no zone.
    sort
        Order the packets by time first (stable), so that the earliest has the target time; else it is the first in
        file order.

    Raises
    ------
    ValueError
        If `target` is no time, or times would leave the years 1677 to 2262 that 64 bits of nanoseconds hold.

    Examples
    --------
    >>> import toolkit
    >>> synchronise(toolkit.load_example("obfs4"), "2020-01-01").start
    Timestamp('2020-01-01 00:00:00+0000', tz='UTC')
    """
    return shift_to(trace, _absolute(target), sort=sort)


def shift_to(trace: Trace, target: int, *, sort: bool) -> Trace:
    """`synchronise` to a time in nanoseconds since 1970."""
    order = time_order(trace) if sort else None
    if order is not None:
        trace = trace[order]
    if not len(trace):
        return trace
    time = trace.column("time")
    shift = target - int(time[0])
    latest = np.iinfo(np.int64).max
    if not (-latest <= int(time.min()) + shift and int(time.max()) + shift <= latest):
        raise ValueError(f"a shift by {shift} ns takes packets out of the years 1677 to 2262")
    # the shift itself may need 65 bits; modulo 2^64 the sum is right, since the result fits
    moved = (time.view(np.uint64) + np.uint64(shift % (1 << 64))).view(np.int64)
    return trace.with_time(moved, f"synchronise to {pd.Timestamp(target, tz='UTC')}")


def _absolute(target: Any) -> int:
    wanted = f"`target` must be a time such as '2020-01-01 12:00', got {target!r}"
    if isinstance(target, bool | int | float | np.number):
        raise TypeError(wanted)
    if isinstance(target, str) and not has_year(target):
        raise ValueError(wanted)
    stamp = pd.Timestamp(target)
    if pd.isna(stamp):
        raise ValueError(wanted)
    stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp
    return int(stamp.as_unit("ns").value)


def time_order(trace: Trace) -> Index | None:
    """Rows in order of time (stable), or None where they are already."""
    time = trace.column("time")
    if is_sorted(time):
        return None
    return np.argsort(time, kind="stable").astype(np.int32)


def nanoseconds(width: Any) -> int:
    """Read a duration of more than zero: text with a unit, or an object (of pandas, numpy or the standard library)."""
    number = isinstance(width, bool | int | float | np.number) and not isinstance(width, np.timedelta64)
    if number or (isinstance(width, str) and is_number(width)):
        raise ValueError(f"a duration must have a unit, such as '60s' or a pandas.Timedelta, got {width!r}")
    try:
        duration = pd.Timedelta(width)
        value = 0 if pd.isna(duration) else int(duration.as_unit("ns").value)
    except ValueError as error:
        raise ValueError(f"a duration must be such as '60s' or a pandas.Timedelta, got {width!r}: {error}") from None
    if value <= 0:
        raise ValueError(f"a window's duration must be more than 0 s, got {width!r}")
    return value


def _window_size(n: int) -> int:
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise ValueError(f"the number of packets in a window must be an int of 1 or more, got {n!r}")
    return min(int(n), _MOST)


def _check(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"`{name}` must be one of {', '.join(map(repr, allowed))}, got {value!r}")
