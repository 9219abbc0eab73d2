"""TLS records of TCP streams, byte by byte in dictionaries: slow and obvious. Nothing here comes from `toolkit`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from reference import SYN, TCP, Packet
from reference_connections import connections, in_time

Record = tuple[int, bool, int, int, int, int, int, bool]
"""Connection, from the client, first and last packet, content type, version, length, complete."""


def can_be(header: bytes) -> bool:
    length = int.from_bytes(header[3:5], "big")
    return (
        header[0] in (20, 21, 22, 23, 24)
        and header[1] == 3
        and header[2] in (0, 1, 2, 3, 4)
        and length <= 18_432
        and (length > 0 or header[0] == 23)
    )


def tls_records(packets: Sequence[Packet]) -> list[Record]:
    """Find the records, in the order of the packets that they start in."""
    found: list[Record] = []
    order = in_time(packets)
    when = {row: rank for rank, row in enumerate(order)}
    for number, connection in enumerate(connections(packets)):
        if connection.protocol != TCP:
            continue
        streams: dict[bool, list[int]] = defaultdict(list)
        for row in connection.rows:
            if packets[row].payload_length:
                streams[(packets[row].src, packets[row].src_port) == connection.client].append(row)
        for from_client in (True, False):
            for record in in_stream(packets, streams[from_client], when):
                found.append((number, from_client, *record))
    return sorted(found, key=lambda record: when[record[2]])


def in_stream(
    packets: Sequence[Packet], rows: list[int], when: dict[int, int]
) -> list[tuple[int, int, int, int, int, bool]]:
    """Find the records of one direction, whose segments came in the order of `rows`."""
    position = 0
    segments = []
    for i, row in enumerate(rows):
        if i:
            step = (number_of(packets[row]) - number_of(packets[rows[i - 1]])) % 2**32
            position += step - 2**32 if step >= 2**31 else step
        segments.append((position, when[row], row))
    segments.sort()
    byte: dict[int, tuple[int, int]] = {}  # of each position: its value and the packet that had it first
    starts = []
    end = -(2**63)
    for position, _, row in segments:
        payload = packets[row].payload
        if position >= end and len(payload) >= 5 and can_be(payload):
            starts.append(position)
        for i, value in enumerate(payload):
            byte.setdefault(position + i, (value, row))
        if payload:
            end = max(end, position + len(payload))
    found = []
    at = min(starts, default=None)
    while at is not None:
        header = [byte.get(at + i) for i in range(5)]
        values = bytes(one[0] for one in header if one is not None)
        if len(values) < 5 or not can_be(values):
            behind = at if len(values) < 5 else at + 4
            at = min((start for start in starts if start > behind), default=None)
            continue
        length = int.from_bytes(values[3:], "big")
        body = [byte.get(at + 5 + i) for i in range(length)]
        brought_by = [one[1] for one in [*header, *body] if one is not None]
        last = max(brought_by, key=when.__getitem__)
        version = int.from_bytes(values[1:3], "big")
        found.append((brought_by[0], last, values[0], version, length, None not in body))
        at += 5 + length
    return found


def number_of(packet: Packet) -> int:
    return packet.tcp_seq + (1 if packet.tcp_flags & SYN else 0)  # a SYN takes a number
