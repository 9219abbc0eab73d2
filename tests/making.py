"""Make traces to test with: from the reference's packets, by a capture file or as dictionaries, or from columns."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import writer
from hypothesis import settings
from reference import TCP, UDP, Packet, client_target
from strategies import to_dict

import toolkit
from toolkit.columns import Columns
from toolkit.hosts import Hosts
from toolkit.source import Source
from toolkit.trace import Trace

quick = settings(max_examples=60, deadline=None, derandomize=True)
"""Enough to find what is to be found, the same each time."""

SECOND = 1_000_000_000


def from_dicts(packets: Sequence[Packet]) -> Trace:
    return Trace.from_packets([to_dict(packet) for packet in packets])


def frame(packet: Packet) -> writer.Frame:
    """Raw IP, cut behind what was captured of the payload."""
    payload = packet.payload.ljust(packet.payload_length, b"\0")
    if packet.protocol == TCP:
        numbers = {"seq": packet.tcp_seq, "ack": packet.tcp_ack, "flags": packet.tcp_flags}
        body = writer.tcp(packet.src_port, packet.dst_port, payload, **numbers)
    elif packet.protocol == UDP:
        body = writer.udp(packet.src_port, packet.dst_port, payload)
    else:
        body = bytes(8) + payload
    if ":" in packet.src:
        whole = writer.ipv6(packet.src, packet.dst, packet.protocol, body, hop_limit=packet.ttl)
    else:
        whole = writer.ipv4(packet.src, packet.dst, packet.protocol, body, ttl=packet.ttl)
    assert len(whole) == packet.ip_length
    cut = len(whole) - (packet.payload_length - len(packet.payload))
    return writer.Frame(whole[:cut], packet.time_ns, len(whole))


def capture(packets: Sequence[Packet]) -> bytes:
    return writer.pcapng([frame(packet) for packet in packets], linktypes=[101], tsresol=[9])


def from_capture(packets: Sequence[Packet]) -> Trace:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "made.pcapng")
        path.write_bytes(capture(packets))
        return toolkit.read(path)


def from_columns(hosts: Sequence[str], data: bytes = b"", **columns: Any) -> Trace:
    """Make a trace of the columns given; all others are 0."""
    size = len(next(iter(columns.values())))
    values = {name: np.zeros(size, kind.dtype) for name, kind in Columns.empty()._asdict().items()}
    for name, value in columns.items():
        values[name][:] = value
    table = Columns(**values)
    table.freeze()
    source = Source(packets=size, frames=size)
    return Trace(table, Hosts.from_strings(hosts)[0], (np.frombuffer(data, np.uint8),), (source,))


def has_client(packets: Sequence[Packet], networks: Sequence[str]) -> bool:
    return any(client_target(packet, networks) for packet in packets)
