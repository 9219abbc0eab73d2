"""The seven functions of the original research code, under their own names and signatures.

They take a list of packet dictionaries (`toolkit.capture.dictionaries`) or a `Trace`. Windows come back as lists of
the very dictionaries that went in, or as traces. Someone who used the original changes one import; new code is better
off with `toolkit.client_features`, `toolkit.cluster_lengths` and the like, which do the same at full speed.

Where they depart from the original code, on purpose (its own documentation says what they do; its code did otherwise):

1. the "most common" payload lengths are the most common (it took the least common);
2. clusters come by frequency (they came in label order);
3. UDP lengths can be clustered (it always raised TypeError);
4. the entropy set can be left out (that raised UnboundLocalError);
5. a window may hold no TCP packet (that raised ValueError);
6. one packet alone in a direction counts (it was treated as none);
7. shares are over the TCP packets of the direction (they were over all of its packets);
8. a payload of 1,500 bytes falls in the last bin (in none; and a multiple of 1,500 added a phantom empty packet);
9. times are exact (float epochs moved edges by up to 1 µs, and the last time window took one packet past its end);
10. a list of more than ten million windows is refused (one bad clock value exhausted the memory);
11. IPv6 lengths have the header in, as IPv4 lengths do;
12. features are named by their upper edges, ``bin_1000_interval_up`` (not ``bin_(0, 1000)_interval_up``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, TypeAlias, overload

import numpy as np

from toolkit.capture.dictionaries import nanoseconds_of, seconds_text
from toolkit.features import FEATURES, addresses, compute, feature_names
from toolkit.hosts import Networks, parse_networks
from toolkit.lengths import cluster_lengths
from toolkit.trace import Trace
from toolkit.windows import Windows, client_windows, shift_to, time_order

Packet: TypeAlias = dict[str, Any]
Packets: TypeAlias = "Sequence[Packet] | Trace"

USE_ENTROPY = "entropy"
USE_INTERVAL = "interval"
USE_INTERVAL_BINS = "interval_bins"
USE_TCP_LEN = "tcp_len"
USE_TCP_LEN_BINS = "tcp_len_bins"
USE_PSH = "psh"

MTU_FRAME_AVOIDANCE_THRESHOLD = 1_300
"""Longer payloads are left out of the clusters: full segments would be the first cluster of any bulk transfer."""

MOST_WINDOWS = 10_000_000


def ordered_tcp_payload_length_frequency(
    packets: Packets, tls_only: bool = False, bandwidth: float = 3
) -> list[set[int]]:
    """Cluster TCP payload lengths; the most frequent cluster first.

    Parameters
    ----------
    packets
        Packets; those other than TCP are ignored, and so are payloads above 1,300 bytes. Empty payloads count.
    tls_only
        Only packets whose payload starts a TLS record.
    bandwidth
        Radius of the mean shift, in bytes.

    Returns
    -------
    list of set of int
        The lengths in each cluster.

    Examples
    --------
    >>> import toolkit
    >>> clusters = ordered_tcp_payload_length_frequency(toolkit.load_example("obfs4"))
    >>> 0 in clusters[0]  # acknowledgements
    True
    """
    return _clusters(_trace(packets), bandwidth, protocol="tcp", tls_only=tls_only)


def ordered_udp_payload_length_frequency(packets: Packets, bandwidth: float = 3) -> list[set[int]]:
    """Cluster the IP lengths of UDP packets; the most frequent cluster first.

    Parameters
    ----------
    packets
        Packets; those other than UDP are ignored, and so are packets above 1,300 bytes.
    bandwidth
        Radius of the mean shift, in bytes.

    Returns
    -------
    list of set of int
        The lengths in each cluster.

    Examples
    --------
    >>> packet = {"type": "IPv4", "src": "10.0.0.1", "dst": "10.0.0.2", "len": 52, "ttl": 64, "proto": "UDP",
    ...           "time": "0.5", "tcp_info": None, "tls_info": None}
    >>> ordered_udp_payload_length_frequency([packet, packet | {"len": 54}, packet | {"len": 100}])
    [{52, 54}, {100}]
    """
    return _clusters(_trace(packets), bandwidth, protocol="udp", tls_only=False)


def _clusters(trace: Trace, bandwidth: float, *, protocol: Any, tls_only: bool) -> list[set[int]]:
    clusters = cluster_lengths(
        trace,
        bandwidth=bandwidth,
        protocol=protocol,
        tls_only=tls_only,
        min_length=0,
        max_length=MTU_FRAME_AVOIDANCE_THRESHOLD,
    )
    return [set(lengths.tolist()) for lengths in clusters.lengths]


@overload
def window_packets_fixed_size(packets: Trace, window_size: int) -> list[Trace]: ...
@overload
def window_packets_fixed_size(packets: Sequence[Packet], window_size: int) -> list[list[Packet]]: ...
def window_packets_fixed_size(packets: Packets, window_size: int) -> list[Any]:
    """Cut packets into windows of exactly `window_size`, the remainder dropped.

    Raises
    ------
    ValueError
        If `window_size` is not an int of 1 or more.

    Examples
    --------
    >>> import toolkit
    >>> [len(window) for window in window_packets_fixed_size(toolkit.load_example("obfs4")[:105], 50)]
    [50, 50]
    """
    if isinstance(window_size, bool) or not isinstance(window_size, int | np.integer) or window_size < 1:
        raise ValueError(f"`window_size` must be an int of 1 or more, got {window_size!r}")
    size = int(window_size)
    return [packets[i : i + size] for i in range(0, len(packets) - size + 1, size)]


@overload
def window_packets_time_series(packets: Trace, chronological_window: float, sort: bool = True) -> list[Trace]: ...
@overload
def window_packets_time_series(
    packets: Sequence[Packet], chronological_window: float, sort: bool = True
) -> list[list[Packet]]: ...
def window_packets_time_series(packets: Packets, chronological_window: float, sort: bool = True) -> list[Any]:
    """Cut packets into windows of equal duration, the empty ones between included.

    Window ``k`` holds the packets with ``floor((t - t0) / width) == k``, ``t0`` the earliest time.

    Parameters
    ----------
    packets
        Packets.
    chronological_window
        Width, in microseconds, more than 0.
    sort
        Order each window by time (stable); else packets keep the order they have.

    Returns
    -------
    list of windows
        From the first to the last that holds a packet; an empty list where the packets span less than one window.

    Raises
    ------
    ValueError
        If the width is not more than 0, or there would be more than ten million windows.

    Examples
    --------
    >>> import toolkit
    >>> [len(window) for window in window_packets_time_series(toolkit.load_example("obfs4"), 60_000_000)]
    [369, 517, 539]
    """
    if isinstance(chronological_window, bool) or not chronological_window > 0:
        raise ValueError(f"`chronological_window` must be more than 0 µs, got {chronological_window!r}")
    trace = _trace(packets)
    if not len(trace):
        return []
    width = nanoseconds_of(chronological_window) // 1_000_000
    if width < 1:
        raise ValueError(f"`chronological_window` must be 0.001 µs or more, got {chronological_window!r}")
    time = trace.column("time")
    span = int(time.max()) - int(time.min())
    if span < width:
        return []
    count = span // width + 1
    if count > MOST_WINDOWS:
        raise ValueError(
            f"packets span {count:,} windows of {chronological_window} µs, more than {MOST_WINDOWS:,}: "
            "is a clock wrong? toolkit.time_windows stores no empty window"
        )
    order = time_order(trace) if sort else None
    rows = np.arange(len(trace)) if order is None else order
    number = (time[rows].view(np.uint64) - np.uint64(int(time.min()) % (1 << 64))) // np.uint64(width)
    by_window = np.argsort(number, kind="stable")
    rows = rows[by_window]
    edges = np.searchsorted(number[by_window], np.arange(count + 1, dtype=np.uint64))
    if isinstance(packets, Trace):
        nothing = packets[rows[:0]]  # the same for all windows that hold nothing
        return [packets[rows[a:b]] if a < b else nothing for a, b in pairwise(edges)]
    sorted_packets = [packets[row] for row in rows.tolist()]
    return [sorted_packets[a:b] for a, b in pairwise(edges.tolist())]


def group_packets_by_ip_fixed_size(
    packets: Packets, clients: Networks, window_size: int
) -> dict[tuple[str, str], list[Any]]:
    """Group packets by client and target, and cut each group into windows of exactly `window_size`.

    Parameters
    ----------
    packets
        Packets, in the order they came.
    clients
        Client networks or addresses. See `toolkit.client_windows` for how a packet finds its pair.
    window_size
        Packets in a window.

    Returns
    -------
    dict
        Windows by (client, target), in the order of each pair's first packet; a pair with too few packets has none.
        Empty without clients.

    Raises
    ------
    ValueError
        If `window_size` is not an int of 1 or more.

    Examples
    --------
    >>> import toolkit
    >>> groups = group_packets_by_ip_fixed_size(toolkit.load_example("obfs4"), ["10.77.0.0/24"], 50)
    >>> sorted({client for client, target in groups})
    ['10.77.0.11', '10.77.0.12', '10.77.0.13']
    """
    window_packets_fixed_size([], window_size)  # complains of the size
    trace = _trace(packets)
    if _none(clients) or not len(trace):
        return {}
    networks = parse_networks(clients)
    if not (trace.client_rank(networks, missing_ok=True)[0] < len(networks)).any():
        return {}
    groups = client_windows(trace, networks, max(len(trace), 1), remainder="keep")  # each pair whole
    assert groups.client is not None
    assert groups.target is not None
    result: dict[tuple[str, str], list[Any]] = {}
    for i, (client, target) in enumerate(zip(groups.client.tolist(), groups.target.tolist(), strict=True)):
        rows = groups.rows(i)
        members: Packets = packets[rows] if isinstance(packets, Trace) else [packets[row] for row in rows.tolist()]
        result[trace.hosts[client], trace.hosts[target]] = window_packets_fixed_size(members, window_size)
    return result


def get_window_stats(
    windowed_packets: Packets, client_ips: Networks, feature_selection: Iterable[str] | None = None
) -> tuple[dict[str, float], set[str], set[str]]:
    """Compute the features of one window.

    Parameters
    ----------
    windowed_packets
        The packets of the window.
    client_ips
        Addresses or networks of the clients.
    feature_selection
        Any of the ``USE_...`` constants; None or nothing for all.

    Returns
    -------
    stats : dict
        Values by the names in `toolkit.FEATURES`.
    remotes, clients : set of str
        The remote and the client addresses of the TCP packets in the window. Without clients all three are empty.

    Raises
    ------
    ValueError
        If a feature set is not known.

    Examples
    --------
    >>> import toolkit
    >>> window = toolkit.load_example("obfs4")[:50]
    >>> stats, remotes, clients = get_window_stats(window, ["10.77.0.0/24"], [USE_PSH])
    >>> sorted(stats)
    ['push_ratio_down', 'push_ratio_up', 'up_down_ratio']
    """
    one = isinstance(feature_selection, str)
    wanted = [str(feature_selection)] if one else list(feature_selection or ()) or None
    for name in wanted or ():
        if name not in FEATURES.sets:
            raise ValueError(f"`feature_selection` must be of {', '.join(FEATURES.sets)}, got {name!r}")
    if _none(client_ips):
        return {}, set(), set()
    trace = _trace(windowed_packets)
    rank, networks = trace.client_rank(client_ips, missing_ok=True)
    inside = rank < networks
    table = compute(Windows.whole(trace), inside, feature_names(wanted))
    remotes, clients = addresses(trace, inside)
    return {str(name): float(value) for name, value in table.iloc[0].items()}, remotes, clients


@overload
def synchronise_packets(packets: Trace, target_time: float, sort: bool = False) -> Trace: ...
@overload
def synchronise_packets(packets: Sequence[Packet], target_time: float, sort: bool = False) -> list[Packet]: ...
def synchronise_packets(packets: Packets, target_time: float, sort: bool = False) -> Any:
    """Shift packets in time so that the first has the time `target_time`. The input is untouched.

    Parameters
    ----------
    packets
        Packets.
    target_time
        Seconds since 1970, a float as in the original; taken as it prints, to the nanosecond.
    sort
        Order by time first (stable).

    Returns
    -------
    list of dict or Trace
        Times are given in the form the packet had: text (six decimals, or nine where it takes them) or a float.

    Raises
    ------
    ValueError
        If `target_time` is not a finite float.

    Examples
    --------
    >>> import toolkit
    >>> synchronise_packets(toolkit.load_example("obfs4"), 1500000000.25).start
    Timestamp('2017-07-14 02:40:00.250000+0000', tz='UTC')
    """
    if not isinstance(target_time, float):
        raise ValueError(f"`target_time` must be a float, seconds since 1970, got {target_time!r}")
    target = nanoseconds_of(target_time)
    trace = _trace(packets)
    moved = shift_to(trace, target, sort=sort)
    if isinstance(packets, Trace):
        return moved
    order = time_order(trace) if sort else None
    rows = range(len(trace)) if order is None else order.tolist()
    result = []
    for row, time in zip(rows, moved.column("time").tolist(), strict=True):
        text = seconds_text(time)
        result.append(packets[row] | {"time": text if isinstance(packets[row]["time"], str) else float(text)})
    return result


def _trace(packets: Packets) -> Trace:
    return packets if isinstance(packets, Trace) else Trace.from_packets(packets)


def _none(clients: Networks) -> bool:
    return isinstance(clients, Sequence | set | frozenset) and len(clients) == 0
