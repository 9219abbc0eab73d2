"""Packets and client networks for hypothesis, the ugly ones in."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from reference import Packet

HOSTS = ["10.0.0.1", "10.0.0.2", "10.0.1.9", "192.0.2.7", "2001:db8::1", "2001:db8::2", "::1", "::10.0.0.1"]
NETWORKS = [
    "10.0.0.1/32", "10.0.0.0/24", "10.0.0.0/16", "0.0.0.0/0", "192.0.2.7", "203.0.113.0/24",
    "2001:db8::/64", "2001:db8::1", "::/0", "::/96",
]  # fmt: skip
GAPS = [0, 1, 999_999, 1_000_000, 1_000_001, 9_999_999, 10_000_000, 99_999_999, 100_000_000, 999_999_999, 10**9, 10**10]
SIZES = [0, 0, 1, 2, 95, 96, 97, 99, 100, 536, 1448, 1499, 1500, 1501, 1600, 3000, 4500, 65_000]


def payloads() -> st.SearchStrategy[bytes]:
    """Few bytes of any kind, or a repeated piece cut to one of the sizes that matter."""
    repeated = st.builds(
        lambda piece, size: (piece * (size // len(piece) + 1))[:size],
        st.binary(min_size=1, max_size=300),
        st.sampled_from(SIZES),
    )
    return st.binary(max_size=120) | repeated


@st.composite
def packets(draw: st.DrawFn, min_size: int = 0, max_size: int = 30) -> list[Packet]:
    """Packets in the order of a file: times mostly rise, but may stand still or go back."""
    time = draw(st.integers(0, 2 * 10**18))
    found = []
    for _ in range(draw(st.integers(min_size, max_size))):
        step = draw(st.sampled_from(GAPS) | st.integers(0, 10**11))
        time += -step if draw(st.integers(0, 7)) == 0 else step
        family = draw(st.sampled_from([HOSTS[:4], HOSTS[4:]]))
        protocol = draw(st.sampled_from([6, 6, 6, 6, 17, 1]))
        tcp = protocol == 6
        payload = draw(payloads()) if tcp else b""
        found.append(
            Packet(
                time_ns=max(time, 0),
                src=draw(st.sampled_from(family)),
                dst=draw(st.sampled_from(family)),
                protocol=protocol,
                ip_length=draw(st.integers(40, 1500)) if not tcp else 60 + len(payload),
                src_port=draw(st.sampled_from([443, 50_000])) if tcp else 0,
                dst_port=draw(st.sampled_from([443, 50_000])) if tcp else 0,
                tcp_seq=draw(st.sampled_from([0, 1, 2**31, 2**32 - 2, 2**32 - 1]) | st.integers(0, 9)) if tcp else 0,
                tcp_ack=draw(st.integers(0, 2**32 - 1)) if tcp else 0,
                tcp_flags=draw(st.sampled_from([2, 16, 18, 24, 8, 17, 4])) if tcp else 0,
                payload=payload,
                tls_type=draw(st.sampled_from([0, 22, 23])) if tcp and payload else 0,
            )
        )
    return found


def networks() -> st.SearchStrategy[list[str]]:
    """One to four client networks: overlapping, of both families, some that hold nothing."""
    return st.lists(st.sampled_from(NETWORKS), min_size=1, max_size=4)


def to_dict(packet: Packet) -> dict[str, Any]:
    """Give the packet in the form of the original research code."""
    version = 6 if ":" in packet.src else 4
    flags = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32, "ECE": 64, "CWR": 128}
    tcp = {
        "sport": packet.src_port,
        "dport": packet.dst_port,
        "flags": {name: bool(packet.tcp_flags & bit) for name, bit in flags.items()},
        "opts": [],
        "seq": packet.tcp_seq,
        "ack": packet.tcp_ack,
        "payload": packet.payload,
    }
    names = {20: "CHANGE_CIPHER_SPEC", 21: "ALERT", 22: "HANDSHAKE", 23: "APPLICATION_DATA"}
    tls = {"type": names.get(packet.tls_type), "ver": "TLS 1.2", "len": 0, "records": 1, "data": []}
    return {
        "type": f"IPv{version}",
        "src": packet.src,
        "dst": packet.dst,
        "len": packet.ip_length - (40 if version == 6 else 0),
        "ttl": packet.ttl,
        "proto": {6: "TCP", 17: "UDP", 1: "ICMP"}[packet.protocol],
        "time": f"{packet.time_ns // 10**9}.{packet.time_ns % 10**9:09d}",
        "tcp_info": tcp if packet.protocol == 6 else None,
        "tls_info": tls if packet.tls_type else None,
    }
