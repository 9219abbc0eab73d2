"""The features of a window, each declared once, and the one pass that computes them all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import SupportsIndex, overload

import numpy as np
import numpy.typing as npt
import pandas as pd

from toolkit._jit import Int, kernel
from toolkit.columns import Columns
from toolkit.entropy import entropy_of
from toolkit.hosts import Networks, parse_networks
from toolkit.trace import Trace
from toolkit.windows import Remainder, Windows, client_windows, nanoseconds

INTERVAL_EDGES = (1_000, 10_000, 100_000, 1_000_000)
"""Upper edges of the interval bins, in microseconds."""

LENGTH_EDGES = tuple(range(100, 1_501, 100))
"""Upper edges of the payload-length bins, in bytes."""

NO_INTERVAL = 1_000_000.0
"""`mean_interval` of a window without any, in microseconds."""


@dataclass(frozen=True)
class Feature:
    """One column of a feature table.

    Attributes
    ----------
    name
        Column name.
    set
        The set it belongs to, as `features=` and ``--features`` take it; ``"always"`` for those of every table.
    direction
        ``"up"`` (from the client), ``"down"`` (to it) or ``"both"``.
    unit
        ``"bits/byte"``, ``"µs"``, ``"bytes"``, ``"share"`` or ``"ratio"``.
    meaning
        One sentence.
    """

    name: str
    set: str
    direction: str
    unit: str
    meaning: str


class FeatureTable(tuple[Feature, ...]):
    """All features, in the order of the columns; shows as a table in a notebook.

    Examples
    --------
    >>> len(FEATURES)
    55
    >>> FEATURES["push_ratio_up"].unit
    'share'
    >>> FEATURES.sets
    ('entropy', 'interval', 'interval_bins', 'tcp_len', 'tcp_len_bins', 'psh')
    """

    __slots__ = ()

    @overload
    def __getitem__(self, key: str | SupportsIndex) -> Feature: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[Feature, ...]: ...
    def __getitem__(self, key: str | SupportsIndex | slice) -> Feature | tuple[Feature, ...]:
        """Give a feature by its name or its place."""
        if isinstance(key, str):
            for feature in self:
                if feature.name == key:
                    return feature
            raise KeyError(f"no feature {key!r}: see toolkit.FEATURES")
        return super().__getitem__(key)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all features."""
        return tuple(feature.name for feature in self)

    @property
    def sets(self) -> tuple[str, ...]:
        """Names of the sets that can be asked for."""
        return tuple(name for name in dict.fromkeys(feature.set for feature in self) if name != "always")

    def to_frame(self) -> pd.DataFrame:
        """One row a feature, indexed by name."""
        return pd.DataFrame([vars(feature) for feature in self]).set_index("name")

    def _repr_html_(self) -> str:
        return str(self.to_frame().to_html(border=0))


def _declare() -> Iterator[Feature]:
    sides = {"up": "from the client", "down": "to the client"}
    for kind, which in (("mean", "Mean"), ("max", "Largest"), ("min", "Smallest")):
        for side, words in sides.items():
            text = f"{which} Shannon entropy of the payload bytes of each TCP packet {words}; an empty payload is 0"
            yield Feature(f"{kind}_entropy_{side}", "entropy", side, "bits/byte", text)
    for side, words in sides.items():
        text = (
            f"Mean gap between successive TCP packets {words} with a sequence number not seen before; none: 1,000,000"
        )
        yield Feature(f"mean_interval_{side}", "interval", side, "µs", text)
    for low, high in zip((0, *INTERVAL_EDGES), INTERVAL_EDGES, strict=False):
        for side, words in sides.items():
            text = f"Gaps of {low:,} µs or more and under {high:,} µs, over the TCP packets {words}"
            yield Feature(f"bin_{high}_interval_{side}", "interval_bins", side, "share", text)
    for which, words in (("top1", "Most common"), ("top2", "Second most common")):
        for side, end in sides.items():
            text = f"{words} payload length of the TCP packets {end}; of equally common ones the shortest; none: 0"
            yield Feature(f"{which}_tcp_len_{side}", "tcp_len", side, "bytes", text)
    for side, words in sides.items():
        yield Feature(
            f"mean_tcp_len_{side}", "tcp_len", side, "bytes", f"Mean payload length of the TCP packets {words}"
        )
    for high in LENGTH_EDGES:
        for side, words in sides.items():
            text = f"TCP packets {words} with a payload of {high - 100:,} bytes or more and under {high:,}, over all"
            if high == LENGTH_EDGES[-1]:
                text += "; one of n >= 1,500 bytes counts n // 1,500 times here, and what is left over in its own bin"
            yield Feature(f"bin_{high}_len_{side}", "tcp_len_bins", side, "share", text)
    for side, words in sides.items():
        text = f"TCP packets {words} with ACK and PSH over those with ACK"
        yield Feature(f"push_ratio_{side}", "psh", side, "share", text)
    yield Feature(
        "up_down_ratio",
        "always",
        "both",
        "ratio",
        "Packets from the client over packets to it, of any protocol; 0 if either is 0",
    )


FEATURES = FeatureTable(_declare())
"""Every feature: name, set, direction, unit, meaning. The columns of a feature table are in this order."""

_INTERVAL_NS = np.array([edge * 1_000 for edge in INTERVAL_EDGES], np.int64)


def window_features(windows: Windows, clients: Networks, features: str | Iterable[str] | None = None) -> pd.DataFrame:
    """Compute the features of each window.

    Parameters
    ----------
    windows
        Of any kind: `client_windows`, `time_windows`, `count_windows`.
    clients
        Addresses or networks of the clients: they say what is up and what is down. A packet between two clients is
        both.
    features
        Names of feature sets (``"entropy"``, ``"interval"``, ``"interval_bins"``, ``"tcp_len"``, ``"tcp_len_bins"``,
        ``"psh"``) or of single features; None for all. `up_down_ratio` is always there.

    Returns
    -------
    DataFrame
        One row a window, one float64 column a feature, in the order of `FEATURES` (which has their units); the index
        is that of the windows.

    Raises
    ------
    ValueError
        If a feature is not known, or a client is no address or network.
    NoClientError
        If no client network holds a host of the trace.

    Examples
    --------
    >>> import toolkit
    >>> trace = toolkit.load_example("obfs4")
    >>> windows = toolkit.count_windows(trace, 1000)
    >>> window_features(windows, "10.77.0.0/24", ["psh"]).columns.tolist()
    ['push_ratio_up', 'push_ratio_down', 'up_down_ratio']
    """
    chosen = feature_names(features)
    rank, networks = windows.trace.client_rank(clients)
    return compute(windows, rank < networks, chosen)


def compute(windows: Windows, inside: npt.NDArray[np.bool_], chosen: tuple[str, ...]) -> pd.DataFrame:
    """`window_features` for clients given as one boolean a host, and features by their names in order."""
    trace = windows.trace
    entropy = entropy_of(trace, inside, 6) if any("entropy" in name for name in chosen) else np.zeros(0)
    longest = int((windows.stop - windows.start).max()) if len(windows) else 0
    slots = 1 << (4 * max(longest, 16) - 1).bit_length()
    table = np.empty((len(windows), len(FEATURES)))
    _compute(windows.order, windows.start, windows.stop, trace.columns, inside, entropy, _INTERVAL_NS, slots, table)
    if len(chosen) < len(FEATURES):
        table = table[:, [FEATURES.names.index(name) for name in chosen]]
    return pd.DataFrame(table, index=windows.index, columns=list(chosen), copy=False)


def client_features(
    trace: Trace,
    clients: Networks,
    *,
    time_window: str | pd.Timedelta = "60s",
    packet_window: int = 50,
    features: str | Iterable[str] | None = None,
    remainder: Remainder = "drop",
) -> pd.DataFrame:
    """Go the whole way from packets to a feature table: time windows, pairs, fixed windows, features.

    The trace is cut into time windows; the packets of each are grouped by (client, target); each group is cut into
    windows of `packet_window` packets; each of these is a row.

    Parameters
    ----------
    trace, clients
        See `client_windows`.
    time_window
        Width of the time windows, more than zero.
    packet_window
        Packets in a window, at least 1.
    features
        See `window_features`.
    remainder
        ``"drop"`` the packets of a group that make no whole window, or ``"keep"`` them as a shorter one.

    Returns
    -------
    DataFrame
        Index (client, target, time_window, window), one float64 column a feature. Rows are in the order of time
        windows, then of each pair's first packet.

    Raises
    ------
    ValueError, NoClientError
        As `client_windows` and `window_features`.

    Examples
    --------
    >>> import toolkit
    >>> trace = toolkit.load_example("obfs4")
    >>> table = client_features(trace, toolkit.example("obfs4").clients)
    >>> table.index.names
    FrozenList(['client', 'target', 'time_window', 'window'])
    >>> bool(table["mean_entropy_down"].between(0, 8).all())
    True
    """
    chosen = feature_names(features)
    networks = parse_networks(clients)
    nanoseconds(time_window)  # None would leave out a level of the index
    windows = client_windows(trace, networks, packet_window, time_window=time_window, remainder=remainder)
    return compute(windows, trace.client_rank(networks)[0] < len(networks), chosen)


def addresses(trace: Trace, inside: npt.NDArray[np.bool_]) -> tuple[set[str], set[str]]:
    """Give the remote and the client addresses of the TCP packets of a trace.

    Parameters
    ----------
    trace
        Packets.
    inside
        One boolean a host: whether it is a client.

    Returns
    -------
    remotes, clients : set of str
        A host that a client talks to is a remote, even if it is a client as well.
    """
    tcp = trace.column("protocol") == 6
    src, dst = trace.column("src")[tcp], trace.column("dst")[tcp]
    up, down = inside[src], inside[dst]
    own = np.unique(np.concatenate([src[up], dst[down]]))
    other = np.unique(np.concatenate([dst[up], src[down]]))
    return {trace.hosts[i] for i in other}, {trace.hosts[i] for i in own}


def feature_names(features: str | Iterable[str] | None) -> tuple[str, ...]:
    """Give the columns that a choice of sets and features means, in the order of `FEATURES`.

    Raises
    ------
    ValueError
        If a name is neither a set nor a feature.
    """
    if features is None:
        return FEATURES.names
    wanted = [features] if isinstance(features, str) else list(features)
    known = {*FEATURES.sets, *FEATURES.names}
    for name in wanted:
        if name not in known:
            raise ValueError(f"no feature set or feature {name!r}: the sets are {', '.join(FEATURES.sets)}")
    return tuple(f.name for f in FEATURES if f.set == "always" or f.set in wanted or f.name in wanted)


@kernel
def _compute(
    order: npt.NDArray[np.int32],
    start: npt.NDArray[np.int64],
    stop: npt.NDArray[np.int64],
    columns: Columns,
    inside: npt.NDArray[np.bool_],
    entropy: npt.NDArray[np.float64],
    interval_edges: npt.NDArray[np.int64],
    slots: Int,
    out: npt.NDArray[np.float64],
) -> None:
    """Fill one row of `out` a window. Arrays of two rows are for up (0) and down (1)."""
    # sequence numbers and lengths seen in this window and direction; a slot is taken if it has the window's stamp
    mask = np.uint64(slots - 1)
    seen = np.empty(slots, np.int64)
    seen_stamp = np.full(slots, -1, np.int64)
    length_key = np.empty(slots, np.int64)
    length_count = np.empty(slots, np.int64)
    length_stamp = np.full(slots, -1, np.int64)
    used = np.empty(slots, np.uint64)
    packets = np.empty(2, np.int64)
    tcp = np.empty(2, np.int64)
    last = np.empty(2, np.int64)
    fresh = np.empty(2, np.int64)
    gap_seconds = np.empty(2, np.int64)
    gap_rest = np.empty(2, np.int64)
    length_sum = np.empty(2, np.int64)
    acks = np.empty(2, np.int64)
    pushes = np.empty(2, np.int64)
    entropy_sum, entropy_max, entropy_min = np.empty(2), np.empty(2), np.empty(2)
    gap_bins = np.empty((4, 2), np.int64)
    length_bins = np.empty((15, 2), np.int64)
    top = np.empty((2, 2), np.int64)  # rank, direction
    top_count = np.empty((2, 2), np.int64)
    for w in range(len(start)):
        for d in range(2):
            packets[d] = tcp[d] = last[d] = fresh[d] = gap_seconds[d] = gap_rest[d] = 0
            length_sum[d] = acks[d] = pushes[d] = 0
            entropy_sum[d] = entropy_max[d] = 0.0
            entropy_min[d] = 8.0
        gap_bins[:] = 0
        length_bins[:] = 0
        top[:] = 0
        top_count[:] = 0
        n_used = 0
        for i in range(start[w], stop[w]):
            row = np.uint64(order[i])  # unsigned: numba would look whether it counts from the end
            is_tcp = columns.protocol[row] == 6
            for d in range(2):
                host = np.uint64(columns.src[row] if d == 0 else columns.dst[row])
                if not inside[host]:
                    continue
                packets[d] += 1
                if not is_tcp:
                    continue
                tcp[d] += 1
                if len(entropy) > 0:
                    value = entropy[row]
                    entropy_sum[d] += value
                    entropy_max[d] = max(entropy_max[d], value)
                    entropy_min[d] = min(entropy_min[d], value)
                # gaps between packets with new sequence numbers
                key = (np.int64(columns.tcp_seq[row]) << 1) | d
                slot = ((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)) & mask
                while seen_stamp[slot] == w and seen[slot] != key:
                    slot = (slot + np.uint64(1)) & mask
                if seen_stamp[slot] != w:
                    seen_stamp[slot] = w
                    seen[slot] = key
                    time = columns.time[row]
                    if fresh[d] > 0:
                        # unsigned: a broken clock may jump by more than 2^63 ns
                        if time >= last[d]:
                            gap = np.uint64(time) - np.uint64(last[d])
                        else:
                            gap = np.uint64(last[d]) - np.uint64(time)
                        gap_seconds[d] += np.int64(gap // np.uint64(1_000_000_000))
                        gap_rest[d] += np.int64(gap % np.uint64(1_000_000_000))
                        for b in range(4):
                            if gap < np.uint64(interval_edges[b]):
                                gap_bins[b, d] += 1
                                break
                    last[d] = time
                    fresh[d] += 1
                length = np.int64(columns.payload_length[row])
                length_sum[d] += length
                whole = length // 1500
                length_bins[14, d] += whole
                if whole == 0 or length % 1500:
                    length_bins[length % 1500 // 100, d] += 1
                key = (length << 1) | d
                slot = ((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)) & mask
                while length_stamp[slot] == w and length_key[slot] != key:
                    slot = (slot + np.uint64(1)) & mask
                if length_stamp[slot] != w:
                    length_stamp[slot] = w
                    length_key[slot] = key
                    length_count[slot] = 0
                    used[n_used] = slot
                    n_used += 1
                length_count[slot] += 1
                flags = columns.tcp_flags[row]
                if flags & 16:
                    acks[d] += 1
                    if flags & 8:
                        pushes[d] += 1
        for u in range(n_used):
            slot = used[u]
            length, d, count = length_key[slot] >> 1, length_key[slot] & 1, length_count[slot]
            if count > top_count[0, d] or (count == top_count[0, d] and length < top[0, d]):
                top[1, d], top_count[1, d] = top[0, d], top_count[0, d]
                top[0, d], top_count[0, d] = length, count
            elif count > top_count[1, d] or (count == top_count[1, d] and length < top[1, d]):
                top[1, d], top_count[1, d] = length, count
        # the order of FEATURES
        for d in range(2):
            total = tcp[d]
            out[w, 0 + d] = entropy_sum[d] / total if total > 0 else 0.0
            out[w, 2 + d] = entropy_max[d]
            out[w, 4 + d] = entropy_min[d] if total > 0 else 0.0
            gaps = fresh[d] - 1
            if gaps > 0:
                out[w, 6 + d] = (np.float64(gap_seconds[d]) * 1e6 + np.float64(gap_rest[d]) / 1e3) / gaps
            else:
                out[w, 6 + d] = 1_000_000.0
            for b in range(4):
                out[w, 8 + 2 * b + d] = gap_bins[b, d] / total if total > 0 else 0.0
            out[w, 16 + d] = top[0, d]
            out[w, 18 + d] = top[1, d]
            out[w, 20 + d] = length_sum[d] / total if total > 0 else 0.0
            for b in range(15):
                out[w, 22 + 2 * b + d] = length_bins[b, d] / total if total > 0 else 0.0
            out[w, 52 + d] = pushes[d] / acks[d] if acks[d] > 0 else 0.0
        out[w, 54] = packets[0] / packets[1] if packets[1] > 0 else 0.0
