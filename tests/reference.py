"""Section 4 of the design (all but the clusters), packet by packet: slow, obvious, and exact as long as it can be.

Times are int nanoseconds; a mean is a `Fraction` until it is handed back. Nothing here comes from `toolkit`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from ipaddress import ip_address, ip_network
from itertools import pairwise
from typing import Literal, cast

ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16

Remainder = Literal["drop", "keep"]
Pair = tuple[str, str]

NO_INTERVAL = 1_000_000.0  # µs
INTERVAL_EDGES = [0, 1_000, 10_000, 100_000, 1_000_000]  # µs
LENGTH_EDGES = list(range(0, 1_501, 100))


@dataclass(frozen=True)
class Packet:
    """One packet; `payload` is what was captured, `payload_length` (if not given: all of it) what was on the wire."""

    time_ns: int
    src: str
    dst: str
    protocol: int
    ip_length: int
    src_port: int = 0
    dst_port: int = 0
    tcp_seq: int = 0
    tcp_ack: int = 0
    tcp_flags: int = 0
    payload: bytes = b""
    payload_length: int = None  # type: ignore[assignment]  # an int as soon as the packet is made
    ttl: int = 64
    tls_type: int = 0

    def __post_init__(self) -> None:
        if cast("int | None", self.payload_length) is None:
            object.__setattr__(self, "payload_length", len(self.payload))


def entropy(payload: bytes) -> float:
    """Shannon entropy in bits a byte."""
    total = len(payload)
    return math.fsum(count / total * math.log2(total / count) for count in Counter(payload).values())


# Clients


def _contains(network: str, host: str) -> bool:
    return ip_address(host) in ip_network(network)  # False if one is IPv4 and the other IPv6


def is_client(host: str, networks: Iterable[str]) -> bool:
    return any(_contains(network, host) for network in networks)


def client_target(packet: Packet, networks: Iterable[str]) -> Pair | None:
    """Find the pair of a packet: the first network that holds an end of it decides, and looks at the source first."""
    for network in networks:
        if _contains(network, packet.src):
            return packet.src, packet.dst
        if _contains(network, packet.dst):
            return packet.dst, packet.src
    return None


def remote_and_clients(packets: Iterable[Packet], networks: Sequence[str]) -> tuple[set[str], set[str]]:
    """Both ends of the TCP packets up and down; a packet between two clients has two clients and two remote ends."""
    remote, clients = set(), set()
    for packet in packets:
        if packet.protocol != TCP:
            continue
        for end, other in ((packet.src, packet.dst), (packet.dst, packet.src)):
            if is_client(end, networks):
                clients.add(end)
                remote.add(other)
    return remote, clients


# Windows


def _cut(indices: list[int], n: int, remainder: Remainder) -> list[list[int]]:
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"`n` must be an int of 1 or more, got {n!r}")
    if remainder not in ("drop", "keep"):
        raise ValueError(f"`remainder` must be 'drop' or 'keep', got {remainder!r}")
    windows = [indices[start : start + n] for start in range(0, len(indices), n)]
    return [window for window in windows if len(window) == n or remainder == "keep"]


def count_windows(packets: Sequence[Packet], n: int, remainder: Remainder = "drop") -> list[list[int]]:
    """Return the indices of the packets of each window of `n` packets."""
    return _cut(list(range(len(packets))), n, remainder)


def time_windows(packets: Sequence[Packet], width_ns: int) -> dict[int, list[int]]:
    """Return the indices of the packets of each window that has any, by its number; all in order of time."""
    if width_ns < 1:
        raise ValueError(f"`width_ns` must be 1 or more, got {width_ns}")
    windows: dict[int, list[int]] = {}
    by_time = sorted(range(len(packets)), key=lambda index: packets[index].time_ns)
    for index in by_time:
        number = (packets[index].time_ns - packets[by_time[0]].time_ns) // width_ns
        windows.setdefault(number, []).append(index)
    return windows


def client_windows(
    packets: Sequence[Packet], networks: Sequence[str], n: int, remainder: Remainder = "drop"
) -> list[tuple[Pair, int, list[int]]]:
    """Pair, number of the window within the pair, and indices; the pairs in the order of their first packet."""
    groups: dict[Pair, list[int]] = {}
    for index, packet in enumerate(packets):
        pair = client_target(packet, networks)
        if pair is not None:
            groups.setdefault(pair, []).append(index)
    return [
        (pair, number, window)
        for pair, indices in groups.items()
        for number, window in enumerate(_cut(indices, n, remainder))
    ]


# Features. Each set is a function of the TCP packets of one direction.


def _share(number: int, total: int) -> float:
    return number / total if total else 0.0


def _mean(values: Sequence[int]) -> float:
    return float(Fraction(sum(values), len(values))) if values else 0.0


def _gaps(tcp: Iterable[Packet]) -> list[int]:
    """Nanoseconds between a packet with a new sequence number and the one before it that had a new one."""
    seen: set[int] = set()
    gaps: list[int] = []
    before = None
    for packet in tcp:
        if packet.tcp_seq in seen:
            continue
        seen.add(packet.tcp_seq)
        if before is not None:
            gaps.append(abs(packet.time_ns - before.time_ns))
        before = packet
    return gaps


def _entropy(tcp: list[Packet]) -> dict[str, float]:
    values = [entropy(packet.payload) for packet in tcp]
    return {
        "mean_entropy": math.fsum(values) / len(values) if values else 0.0,
        "max_entropy": max(values, default=0.0),
        "min_entropy": min(values, default=0.0),
    }


def _interval(tcp: list[Packet]) -> dict[str, float]:
    gaps = _gaps(tcp)
    return {"mean_interval": float(Fraction(sum(gaps), 1_000 * len(gaps))) if gaps else NO_INTERVAL}


def _interval_bins(tcp: list[Packet]) -> dict[str, float]:
    gaps = _gaps(tcp)
    features = {}
    for low, high in pairwise(INTERVAL_EDGES):
        inside = [gap for gap in gaps if 1_000 * low <= gap < 1_000 * high]
        features[f"bin_{high}_interval"] = _share(len(inside), len(tcp))
    return features


def _tcp_len(tcp: list[Packet]) -> dict[str, float]:
    lengths = [packet.payload_length for packet in tcp]
    counts = Counter(lengths)
    top = [*sorted(counts, key=lambda length: (-counts[length], length)), 0, 0]
    return {"top1_tcp_len": float(top[0]), "top2_tcp_len": float(top[1]), "mean_tcp_len": _mean(lengths)}


def _tcp_len_bins(tcp: list[Packet]) -> dict[str, float]:
    full, rest = 0, []
    for packet in tcp:
        length = packet.payload_length
        if length >= 1_500:
            full += length // 1_500
            length %= 1_500
            if length == 0:
                continue
        rest.append(length)
    features = {}
    for low, high in pairwise(LENGTH_EDGES):
        inside = len([length for length in rest if low <= length < high])
        if high == 1_500:
            inside += full
        features[f"bin_{high}_len"] = _share(inside, len(tcp))
    return features


def _psh(tcp: list[Packet]) -> dict[str, float]:
    acknowledging = [packet for packet in tcp if packet.tcp_flags & ACK]
    pushing = [packet for packet in acknowledging if packet.tcp_flags & PSH]
    return {"push_ratio": _share(len(pushing), len(acknowledging))}


SETS: dict[str, Callable[[list[Packet]], dict[str, float]]] = {
    "entropy": _entropy,
    "interval": _interval,
    "interval_bins": _interval_bins,
    "tcp_len": _tcp_len,
    "tcp_len_bins": _tcp_len_bins,
    "psh": _psh,
}


def window_features(
    window: Sequence[Packet], networks: Sequence[str], sets: Iterable[str] | None = None
) -> dict[str, float]:
    """Features of a window, of the given sets (None: all) and `up_down_ratio`."""
    chosen = list(SETS) if sets is None else list(sets)
    if not set(chosen) <= set(SETS):
        raise ValueError(f"`sets` must be among {list(SETS)}, got {chosen}")
    up = [packet for packet in window if is_client(packet.src, networks)]
    down = [packet for packet in window if is_client(packet.dst, networks)]
    features: dict[str, float] = {}
    for name, compute in SETS.items():
        if name in chosen:
            for direction, packets in (("up", up), ("down", down)):
                values = compute([packet for packet in packets if packet.protocol == TCP])
                features |= {f"{feature}_{direction}": value for feature, value in values.items()}
    features["up_down_ratio"] = _share(len(up), len(down))
    return features


def client_features(
    packets: Sequence[Packet],
    networks: Sequence[str],
    time_window_ns: int,
    packet_window: int,
    remainder: Remainder = "drop",
) -> list[tuple[tuple[str, str, int, int], dict[str, float]]]:
    """(client, target, number of the time window, number of the packet window in it) and features.

    The time windows cut the whole trace; within each, each pair has packet windows that count from 0.
    """
    result = []
    for k, indices in time_windows(packets, time_window_ns).items():
        inside = [packets[index] for index in indices]
        for (client, target), w, window in client_windows(inside, networks, packet_window, remainder):
            features = window_features([inside[index] for index in window], networks)
            result.append(((client, target, k, w), features))
    return result


def synchronise(packets: Sequence[Packet], target_ns: int, sort: bool = False) -> list[Packet]:
    """Shift the packets so that the first (with `sort`: after they were put in order of time) is at `target_ns`."""
    ordered = sorted(packets, key=lambda packet: packet.time_ns) if sort else list(packets)
    return [replace(packet, time_ns=packet.time_ns + target_ns - ordered[0].time_ns) for packet in ordered]
