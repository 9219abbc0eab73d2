"""Connections, packet by packet, of dictionaries and lists: slow and obvious. Nothing here comes from `toolkit`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from reference import ACK, FIN, RST, SYN, TCP, UDP, Packet, is_client

End = tuple[str, int]


@dataclass
class Connection:
    """A connection; `rows` are its packets in order of time."""

    protocol: int
    client: End
    target: End
    rows: list[int] = field(default_factory=list)
    syn: dict[End, int] = field(default_factory=dict)  # of each sender, the sequence number of its last SYN
    answered: bool = False  # a SYN+ACK was seen
    used: bool = False  # data, FIN or RST was seen

    @property
    def has_syn(self) -> bool:
        return bool(self.syn)


def in_time(packets: Sequence[Packet]) -> list[int]:
    return sorted(range(len(packets)), key=lambda row: packets[row].time_ns)


def connections(packets: Sequence[Packet]) -> list[Connection]:
    """Find the connections, in order of their first packet."""
    found: list[Connection] = []
    latest: dict[tuple[int, frozenset[End]], Connection] = {}
    for row in in_time(packets):
        packet = packets[row]
        if packet.protocol not in (TCP, UDP) or packet.src_port == packet.dst_port == 0:
            continue
        src, dst = (packet.src, packet.src_port), (packet.dst, packet.dst_port)
        key = packet.protocol, frozenset({src, dst})
        syn = packet.protocol == TCP and bool(packet.tcp_flags & SYN)
        ack = bool(packet.tcp_flags & ACK)
        mine = latest.get(key)
        if mine is not None and syn and not ack and mine.used and mine.syn.get(src) != packet.tcp_seq:
            mine = None
        if mine is None:
            mine = latest[key] = Connection(packet.protocol, src, dst)
            found.append(mine)
        mine.rows.append(row)
        if syn and not ack:
            if not mine.syn:
                mine.client, mine.target = src, dst
            mine.syn[src] = packet.tcp_seq
        elif syn and not mine.syn and not mine.answered:
            mine.client, mine.target, mine.answered = dst, src, True
        if packet.protocol == TCP and (packet.payload_length or packet.tcp_flags & (FIN | RST)):
            mine.used = True
    return found


def suggest_clients(packets: Sequence[Packet], hosts: Sequence[str]) -> tuple[str, ...]:
    found = connections(packets)
    if any(connection.has_syn for connection in found):
        found = [connection for connection in found if connection.has_syn or connection.protocol != TCP]
    found = [connection for connection in found if connection.client[0] != connection.target[0]]
    opened = Counter(connection.client[0] for connection in found)
    accepted = Counter(connection.target[0] for connection in found)
    clients = [host for host in hosts if opened[host] > accepted[host]]
    return tuple(sorted(clients, key=lambda host: -opened[host]))


def size_sequence(
    packets: Sequence[Packet], networks: Sequence[str] | None, n: int, protocol: int
) -> list[tuple[tuple[str, int, str, int], list[int]]]:
    rows = []
    for connection in connections(packets):
        client, target = connection.client, connection.target
        if networks is not None and not is_client(client[0], networks):
            client, target = target, client
            if not is_client(client[0], networks):
                continue
        sizes: list[int] = []
        seen: set[tuple[End, int]] = set()
        for row in connection.rows:
            packet = packets[row]
            src = packet.src, packet.src_port
            if packet.payload_length == 0 or connection.protocol != protocol:
                continue
            if protocol == TCP and (src, packet.tcp_seq) in seen:
                continue
            seen.add((src, packet.tcp_seq))
            sizes.append(packet.payload_length if src == client else -packet.payload_length)
        if sizes:
            rows.append(((*client, *target), (sizes + [0] * n)[:n]))
    return rows
