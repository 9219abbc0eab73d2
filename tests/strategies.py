"""What hypothesis draws for tests: packets and client networks, with the ugly ones in."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache
from typing import Any

from hypothesis import strategies as st
from reference import ICMP, ICMP6, TCP, UDP, Packet

SECOND = 1_000_000_000
FIFTY_YEARS = 50 * 365 * 86_400 * SECOND
LATEST = 2**62  # any two times from 0 to here, and their difference, are an int64

# Each family: two clients, a client of another network, two remote hosts.
# The last two of IPv6 hold the bytes of 10.0.0.1, in front and at the end: they match no network of IPv4.
HOSTS = {
    4: ["10.0.0.1", "10.0.0.2", "10.1.2.3", "192.0.2.9", "198.51.100.7"],
    6: ["2001:db8::1", "2001:db8::2", "2001:db8:1::3", "2001:db8:ffff::9", "a00:1::", "2001:db8:ffff::a00:1"],
}
NETWORKS = [
    *("10.0.0.0/24", "10.0.0.1", "10.0.0.0/8", "10.0.0.2/32", "192.0.2.0/24", "0.0.0.0/0"),
    *("2001:db8::/64", "2001:db8::1", "2001:db8::/32", "2001:db8:ffff::9/128", "::/0"),
    *("203.0.113.0/24", "203.0.113.1", "2001:db8:dead::/48"),  # hold no host
]

_EDGES = [1_000_000, 10_000_000, 100_000_000, SECOND]  # of the bins of intervals
GAPS = [0, 0, 0, 1, 999, 1_000, 500_000, *(edge + off for edge in _EDGES for off in (-1, 0, 1)), 60 * SECOND]
SIZES = [0, 1, 95, 96, 97, 99, 100, 101, 199, 1_399, 1_400, 1_448, 1_499, 1_500, 1_501, 1_600, 3_000, 4_499, 65_000]
SEQUENCES = [0, 1, 2, 1_448, 2**31 - 1, 2**31, 2**32 - 1_448, 2**32 - 2, 2**32 - 1]
FLAGS = [0, 1, 2, 4, 8, 16, 18, 20, 24, 25, 56, 255]


@cache
def _pattern(kind: str, size: int) -> bytes:
    unit = {
        "constant": b"a",
        "two": b"ab",
        "every byte": bytes(range(256)),
        "noise": random.Random(size).randbytes(1_009),
    }[kind]
    return (unit * (size // len(unit) + 1))[:size]


# Built once: building a strategy costs more than a draw from it.
_PAIRS = [(src, dst) for family in (4, 4, 6) for src in HOSTS[family] for dst in HOSTS[family]]
_ANY_ENDS = st.sampled_from(_PAIRS)
_FEW_PAIRS = st.lists(_ANY_ENDS, min_size=1, max_size=3)
_PROTOCOLS = st.sampled_from([TCP, TCP, TCP, TCP, UDP, ICMP])
_PORTS = st.sampled_from([(40_001, 443), (443, 40_001), (1, 65_535), (65_535, 1), (443, 443)])
_SEQUENCES = st.sampled_from(SEQUENCES) | st.integers(0, 2**32 - 1)
_ACKS = st.sampled_from(SEQUENCES)
_FLAGS = st.sampled_from(FLAGS)
_TLS_TYPES = st.sampled_from([0, 0, 0, 20, 21, 22, 23])
_TTLS = st.sampled_from([64, 1, 128, 255])
_CAPTURED = st.sampled_from([None, None, None, 0, 1, 96])
_STARTS = st.sampled_from([1_700_000_000_123_456_789, 1_700_000_000 * SECOND, 0])
_STEPS = st.sampled_from([*GAPS, *GAPS, FIFTY_YEARS, *(-gap for gap in GAPS)]) | st.integers(0, 2 * SECOND)

# None of these looks like the start of a TLS record (type, 3, version): `_packet` puts one in front where it says so.
_PAYLOADS = st.one_of(
    st.sampled_from([(kind, size) for size in SIZES for kind in ("constant", "two", "every byte", "noise")]).map(
        lambda pattern: _pattern(*pattern)
    ),
    st.binary(max_size=12).filter(lambda payload: payload[1:2] != b"\x03"),
)


@st.composite
def _packet(draw: st.DrawFn, ends: st.SearchStrategy[tuple[str, str]], *, whole: bool) -> Packet:
    """Packet at time 0."""
    src, dst = draw(ends)
    protocol = draw(_PROTOCOLS)
    payload = draw(_PAYLOADS)
    sport, dport = draw(_PORTS) if protocol != ICMP else (0, 0)
    seq, ack, flags, tls_type = 0, 0, 0, 0
    if protocol == TCP:
        seq, ack, flags = draw(_SEQUENCES), draw(_ACKS), draw(_FLAGS)
        if len(payload) > 5:
            tls_type = draw(_TLS_TYPES)
    if tls_type:
        payload = bytes([tls_type, 3, 3]) + min(len(payload) - 5, 2**14).to_bytes(2, "big") + payload[5:]
    length = len(payload)
    if not whole:
        payload = payload[: draw(_CAPTURED)]
    return Packet(
        time_ns=0,
        src=src,
        dst=dst,
        protocol=ICMP6 if protocol == ICMP and ":" in src else protocol,
        ip_length=(40 if ":" in src else 20) + (20 if protocol == TCP else 8) + length,
        src_port=sport,
        dst_port=dport,
        tcp_seq=seq,
        tcp_ack=ack,
        tcp_flags=flags,
        payload=payload,
        payload_length=length,
        ttl=draw(_TTLS),
        tls_type=tls_type if len(payload) > 5 else 0,
    )


@st.composite
def packets(draw: st.DrawFn, min_size: int = 0, max_size: int = 40, *, whole: bool = False) -> list[Packet]:
    """Packets in no order of time, of all sizes, of few pairs or of many.

    Parameters
    ----------
    draw
        Given by hypothesis.
    min_size, max_size
        Number of packets.
    whole
        Leave out packets of which only the start was captured (`to_dict` cannot say that there was more).
    """
    few = draw(_FEW_PAIRS)
    ends = draw(st.sampled_from([st.sampled_from([*few, *(pair[::-1] for pair in few)]), _ANY_ENDS]))
    row = st.tuples(_packet(ends, whole=whole), _STEPS)
    rows = draw(
        st.lists(row, min_size=min_size, max_size=max_size)  # hypothesis draws short ones: 6 packets on average
        | st.lists(row, min_size=(min_size + max_size) // 2, max_size=max_size)
    )
    time = draw(_STARTS)
    result = []
    for packet, step in rows:
        result.append(replace(packet, time_ns=time))
        time += step if 0 <= time + step <= LATEST else -step
    return result


def networks(min_size: int = 1, max_size: int = 4) -> st.SearchStrategy[list[str]]:
    """Client networks: of either family, single hosts, some within others, some twice, some that hold no host."""
    return st.lists(st.sampled_from(NETWORKS), min_size=min_size, max_size=max_size)


def to_dict(packet: Packet) -> dict[str, Any]:
    """Give the packet in the form that the original research code reads; the payload is what was captured."""
    seconds, nanoseconds = divmod(abs(packet.time_ns), SECOND)
    tcp_info = tls_info = None
    if packet.protocol == TCP:
        names = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"]
        tcp_info = {
            "sport": packet.src_port,
            "dport": packet.dst_port,
            "flags": {name: bool(packet.tcp_flags >> bit & 1) for bit, name in enumerate(names)},
            "opts": [],
            "seq": packet.tcp_seq,
            "ack": packet.tcp_ack,
            "payload": packet.payload,
        }
    if packet.tls_type:
        data = packet.payload[5:][: int.from_bytes(packet.payload[3:5], "big")]
        version = int.from_bytes(packet.payload[1:3], "big")
        tls_info = {"type": packet.tls_type, "ver": version, "len": len(data), "records": 1, "data": [data]}
    return {
        "type": "IPv6" if ":" in packet.src else "IPv4",
        "src": packet.src,
        "dst": packet.dst,
        "len": packet.ip_length - (40 if ":" in packet.src else 0),  # the field of the header: of IPv6 without it
        "ttl": packet.ttl,
        "proto": {TCP: "TCP", UDP: "UDP", ICMP: "ICMP", ICMP6: "ICMPV6"}[packet.protocol],
        "time": f"{'-' if packet.time_ns < 0 else ''}{seconds}.{nanoseconds:09}",
        "tcp_info": tcp_info,
        "tls_info": tls_info,
    }
