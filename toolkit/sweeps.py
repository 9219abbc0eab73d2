"""What comes out at many bandwidths and window sizes: to choose one by eye, and to say how much depends on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from toolkit.hosts import Networks, parse_networks
from toolkit.lengths import Floats, LengthCounts, TransportProtocol, check_integer, cluster_lengths, length_counts
from toolkit.trace import Trace
from toolkit.windows import Remainder, nanoseconds
from toolkit.windows import time_windows as groups_of

TIME_WINDOWS: tuple[str, ...] = ("1s", "5s", "15s", "60s", "300s")
PACKET_WINDOWS: tuple[int, ...] = (5, 10, 20, 50, 100, 200)


def bandwidth_sweep(
    trace_or_lengths: Trace | LengthCounts | npt.ArrayLike,
    bandwidths: Sequence[float] | Floats | None = None,
    *,
    top: int = 5,
    protocol: TransportProtocol = "tcp",
    tls_only: bool = False,
    min_length: int = 1,
    max_length: int | None = 1300,
) -> pd.DataFrame:
    """Cluster lengths at many bandwidths.

    Parameters
    ----------
    trace_or_lengths, protocol, tls_only, min_length, max_length
        Which packets, as in `length_counts`.
    bandwidths
        In bytes. By default 116 from 0.5 to 100, each about 5% wider than the one before.
    top
        How many of the largest clusters the share is of, at least 1.

    Returns
    -------
    pandas.DataFrame
        Index ``bandwidth``; ``clusters``, their number; ``clusters_90``, the fewest that hold 90% of the clustered
        packets; ``top5_share`` (or whatever `top` is), the share of the clustered packets in the `top` largest, 0 to 1.

    Raises
    ------
    ValueError
        If `top` is not an int of at least 1; else as `cluster_lengths`.

    Examples
    --------
    >>> bandwidth_sweep([100, 100, 104, 600], [1, 5], top=1)
               clusters  clusters_90  top1_share
    bandwidth
    1.0               3            3        0.50
    5.0               2            2        0.75
    """
    check_integer("top", top, 1)
    counted = length_counts(
        trace_or_lengths, protocol=protocol, tls_only=tls_only, min_length=min_length, max_length=max_length
    )
    if bandwidths is None:
        bandwidths = np.geomspace(0.5, 100, 116).round(2)
    rows = []
    for bandwidth in bandwidths:
        packets = cluster_lengths(counted, bandwidth=bandwidth).packets
        total = int(packets.sum())
        most = np.searchsorted(10 * packets.cumsum(), 9 * total) + 1 if total else 0
        rows.append((float(bandwidth), len(packets), int(most), int(packets[:top].sum()) / max(total, 1)))
    frame = pd.DataFrame(rows, columns=["bandwidth", "clusters", "clusters_90", f"top{top}_share"])
    return frame.set_index("bandwidth")


def suggest_bandwidth(
    trace_or_lengths: Trace | LengthCounts | npt.ArrayLike,
    *,
    protocol: TransportProtocol = "tcp",
    tls_only: bool = False,
    min_length: int = 1,
    max_length: int | None = 1300,
) -> float:
    """Suggest a bandwidth at which the number of clusters is stable. A heuristic: look at `bandwidth_sweep` too.

    It is the middle of the longest run (on a logarithmic scale, from 1 to 100 bytes) of bandwidths with the same
    number of clusters that hold 90% of the packets (``clusters_90``), if that number holds while the bandwidth
    doubles. Every trace comes to one cluster when the bandwidth is wide enough, and below 1 byte each length is a
    cluster of its own; so a run of one cluster counts only if no other does, and what is below 1 byte never.
    Where no number is stable, as in most traces of randomly padded protocols, it is the default of `cluster_lengths`.

    Parameters
    ----------
    trace_or_lengths, protocol, tls_only, min_length, max_length
        Which packets, as in `length_counts`, with the same errors.

    Returns
    -------
    float
        Bandwidth in bytes: 1 to 100, or 3 where no number of clusters is stable.

    Examples
    --------
    >>> clumps = [middle + offset for middle in (100, 400, 900) for offset in range(-4, 5)]
    >>> len(cluster_lengths(clumps, bandwidth=suggest_bandwidth(clumps)))
    3
    """
    sweep = bandwidth_sweep(
        trace_or_lengths, protocol=protocol, tls_only=tls_only, min_length=min_length, max_length=max_length
    )["clusters_90"].loc[1:]
    runs = [run for _, run in sweep.groupby((sweep.diff() != 0).cumsum())]
    stable = [run for run in runs if run.iloc[0] > 0 and run.index[-1] >= 2 * run.index[0]]
    if not stable:
        return 3.0
    several = [run for run in stable if run.iloc[0] > 1]
    longest = max(several or stable, key=lambda run: run.index[-1] / run.index[0])
    return float(longest.index[len(longest) // 2])


def window_sweep(
    trace: Trace,
    clients: Networks,
    *,
    time_windows: Sequence[str | pd.Timedelta] = TIME_WINDOWS,
    packet_windows: Sequence[int] = PACKET_WINDOWS,
    remainder: Remainder = "drop",
) -> pd.DataFrame:
    """Count the windows that `toolkit.client_features` would make of a trace, and the packets in them.

    Packets that fill no window are lost to the features, unless the remainder is kept: short time windows and long
    packet windows lose most.

    Parameters
    ----------
    trace, clients
        See `toolkit.client_windows`.
    time_windows
        Widths of the time windows, at least one, each more than zero.
    packet_windows
        Packets in a window, at least one, each 1 or more.
    remainder
        ``"drop"`` the packets of each group that make no whole window, or ``"keep"`` them as a shorter one, as in
        `toolkit.client_windows`.

    Returns
    -------
    DataFrame
        Index (time_window in seconds, packet_window), ascending: ``windows`` and ``packets``, their number, and
        ``kept``, the share of the packets of all pairs that are in a window, 0 to 1.

    Raises
    ------
    ValueError
        If there is no width or number, or one is out of range, or `remainder` is neither.
    NoClientError
        If no client network holds a host of the trace.

    Examples
    --------
    >>> import toolkit
    >>> window_sweep(
    ...     toolkit.load_example("obfs4"), "10.77.0.0/24", time_windows=["10s", "60s"], packet_windows=[50, 200]
    ... )
                               windows  packets      kept
    time_window packet_window
    10.0        50                  19      950  0.666667
                200                  1      200  0.140351
    60.0        50                  22     1100  0.771930
                200                  4      800  0.561404
    """
    widths = sorted({nanoseconds(width) for width in time_windows})
    for size in packet_windows:
        check_integer("packet_windows", size, 1)
    sizes = sorted(set(packet_windows))
    if not widths or not sizes:
        raise ValueError("`time_windows` and `packet_windows` must hold at least one value each, got none")
    if remainder not in ("drop", "keep"):
        raise ValueError(f"`remainder` must be one of 'drop', 'keep', got {remainder!r}")
    networks = parse_networks(clients)  # an iterator is used up at the first width
    rows = []
    for width in widths:
        groups = groups_of(trace, pd.Timedelta(width, unit="ns"), by="pair", clients=networks)
        packets = groups.stop - groups.start
        total = int(packets.sum())
        for size in sizes:
            most = min(size, total + 1)  # a size may have more than 64 bits
            windows = int((packets // most).sum())
            inside = windows * size
            if remainder == "keep":
                windows, inside = windows + int((packets % most > 0).sum()), total
            rows.append((width / 1e9, size, windows, inside, inside / max(total, 1)))
    columns = ["time_window", "packet_window", "windows", "packets", "kept"]
    return pd.DataFrame(rows, columns=columns).set_index(["time_window", "packet_window"])
