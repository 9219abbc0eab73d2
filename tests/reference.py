"""The definitions, written out: slow, obvious, standard library only. What every fast algorithm is tested against.

Times are ints of nanoseconds, packets plain objects, windows lists of indices.
"""

from __future__ import annotations

import ipaddress
import itertools
import math
from collections import Counter
from dataclasses import dataclass, replace
from fractions import Fraction

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
SETS = ("entropy", "interval", "interval_bins", "tcp_len", "tcp_len_bins", "psh")
SIDES = ("up", "down")


@dataclass(frozen=True)
class Packet:
    time_ns: int
    src: str
    dst: str
    protocol: int = 6
    ip_length: int = 40
    src_port: int = 0
    dst_port: int = 0
    tcp_seq: int = 0
    tcp_ack: int = 0
    tcp_flags: int = 0
    payload: bytes = b""
    ttl: int = 64
    tls_type: int = 0


def entropy(payload: bytes) -> float:
    """Shannon entropy in bits per byte; 0 for no bytes."""
    n = len(payload)
    return math.fsum(-count / n * math.log2(count / n) for count in Counter(payload).values()) if n else 0.0


def holds(network: str, host: str) -> bool:
    address, net = ipaddress.ip_address(host), ipaddress.ip_network(network)
    return address.version == net.version and address in net


def is_client(host: str, networks: list[str]) -> bool:
    return any(holds(network, host) for network in networks)


def pair(packet: Packet, networks: list[str]) -> tuple[str, str] | None:
    """Client and target: the first network that holds the source or, failing that, the destination."""
    for network in networks:
        if holds(network, packet.src):
            return packet.src, packet.dst
        if holds(network, packet.dst):
            return packet.dst, packet.src
    return None


def count_windows(rows: list[int], n: int, remainder: str = "drop") -> list[list[int]]:
    windows = [rows[i : i + n] for i in range(0, len(rows), n)]
    return [window for window in windows if len(window) == n or remainder == "keep"]


def time_windows(packets: list[Packet], width: int) -> dict[int, list[int]]:
    """Rows by window number, in the order of time (stable)."""
    rows = sorted(range(len(packets)), key=lambda row: packets[row].time_ns)
    windows: dict[int, list[int]] = {}
    for row in rows:
        windows.setdefault((packets[row].time_ns - packets[rows[0]].time_ns) // width, []).append(row)
    return windows


def groups(packets: list[Packet], rows: list[int], networks: list[str]) -> dict[tuple[str, str], list[int]]:
    """Rows by pair, in the order of each pair's first packet."""
    found: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        key = pair(packets[row], networks)
        if key is not None:
            found.setdefault(key, []).append(row)
    return found


def client_windows(
    packets: list[Packet], networks: list[str], n: int, remainder: str = "drop", width: int | None = None
) -> list[tuple[tuple[str, str, int, int], list[int]]]:
    """Give (client, target, time window, number of the window in its group) and the rows of each window."""
    cut = {0: list(range(len(packets)))} if width is None else time_windows(packets, width)
    return [
        ((client, target, k, number), window)
        for k, rows in cut.items()
        for (client, target), members in groups(packets, rows, networks).items()
        for number, window in enumerate(count_windows(members, n, remainder))
    ]


def length_bin(length: int) -> dict[int, int]:
    """Upper edges of the bins a payload length counts in, and how often."""
    bins: Counter[int] = Counter()
    if length >= 1500:
        bins[1500] += length // 1500
        length %= 1500
        if length == 0:
            return bins
    bins[(length // 100 + 1) * 100] += 1
    return bins


def window_features(window: list[Packet], networks: list[str]) -> dict[str, float]:
    """All features of one window."""
    values: dict[str, float] = {}
    sides = {
        "up": [packet for packet in window if is_client(packet.src, networks)],
        "down": [packet for packet in window if is_client(packet.dst, networks)],
    }
    for side, packets in sides.items():
        tcp = [packet for packet in packets if packet.protocol == 6]
        total = len(tcp)
        entropies = [entropy(packet.payload) for packet in tcp] or [0.0]
        values[f"mean_entropy_{side}"] = math.fsum(entropies) / len(entropies)
        values[f"max_entropy_{side}"] = max(entropies)
        values[f"min_entropy_{side}"] = min(entropies)
        fresh = [packet for i, packet in enumerate(tcp) if packet.tcp_seq not in {p.tcp_seq for p in tcp[:i]}]
        gaps = [abs(later.time_ns - sooner.time_ns) for sooner, later in itertools.pairwise(fresh)]
        values[f"mean_interval_{side}"] = float(Fraction(sum(gaps), 1000 * len(gaps))) if gaps else 1_000_000.0
        for low, high in ((0, 1_000), (1_000, 10_000), (10_000, 100_000), (100_000, 1_000_000)):
            inside = [gap for gap in gaps if low * 1000 <= gap < high * 1000]
            values[f"bin_{high}_interval_{side}"] = len(inside) / total if total else 0.0
        lengths = Counter(len(packet.payload) for packet in tcp)
        common = sorted(lengths, key=lambda length: (-lengths[length], length))
        values[f"top1_tcp_len_{side}"] = common[0] if common else 0
        values[f"top2_tcp_len_{side}"] = common[1] if len(common) > 1 else 0
        values[f"mean_tcp_len_{side}"] = sum(len(packet.payload) for packet in tcp) / total if total else 0.0
        bins: Counter[int] = Counter()
        for packet in tcp:
            bins.update(length_bin(len(packet.payload)))
        for high in range(100, 1501, 100):
            values[f"bin_{high}_len_{side}"] = bins[high] / total if total else 0.0
        acks = [packet for packet in tcp if packet.tcp_flags & ACK]
        pushes = [packet for packet in acks if packet.tcp_flags & PSH]
        values[f"push_ratio_{side}"] = len(pushes) / len(acks) if acks else 0.0
    up, down = len(sides["up"]), len(sides["down"])
    values["up_down_ratio"] = up / down if up and down else 0.0
    return values


def addresses(window: list[Packet], networks: list[str]) -> tuple[set[str], set[str]]:
    """Remote and client addresses of the TCP packets."""
    remotes, clients = set(), set()
    for packet in window:
        if packet.protocol == 6:
            for own, other in ((packet.src, packet.dst), (packet.dst, packet.src)):
                if is_client(own, networks):
                    clients.add(own)
                    remotes.add(other)
    return remotes, clients


def client_features(
    packets: list[Packet], networks: list[str], width: int, n: int, remainder: str = "drop"
) -> list[tuple[tuple[str, str, int, int], dict[str, float]]]:
    return [
        (key, window_features([packets[row] for row in rows], networks))
        for key, rows in client_windows(packets, networks, n, remainder, width)
    ]


def synchronise(packets: list[Packet], target_ns: int, sort: bool = False) -> list[Packet]:
    ordered = sorted(packets, key=lambda packet: packet.time_ns) if sort else packets
    return [replace(packet, time_ns=packet.time_ns - ordered[0].time_ns + target_ns) for packet in ordered]
