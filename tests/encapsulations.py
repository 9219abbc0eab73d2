"""Frames that captures of other places hold: tunnels, fragments, extension headers, errors that quote packets, lengths.

Each entry is a list of Ethernet frames, to be read by the toolkit and by tshark.
"""

from __future__ import annotations

import struct
from typing import Any

import writer
from capturing import ENDS, sent, sent_tcp, sent_udp

TCP4 = sent_tcp(b"hello", ports=(1_234, 8_080), seq=5, ack=6).packet
UDP4 = sent_udp(b"hello", ports=(4_000, 9_999)).packet
TCP6 = sent_tcp(b"hello", ports=(1_234, 8_080), ends=ENDS[6]).packet
UDP6 = sent_udp(b"hello", ports=(4_000, 9_999), ends=ENDS[6]).packet
IN_ETHERNET = writer.link("ethernet", TCP4)


def _tunnels() -> list[bytes]:
    two = (ENDS[4], ENDS[6])
    made = [sent(inner, number, ends=ends).packet for ends in two for inner, number in ((TCP4, 4), (TCP6, 41))]
    made += [sent(bytes.fromhex("00000800") + TCP4, 47, ends=ends).packet for ends in two]  # GRE
    made += [sent(bytes.fromhex("00006558") + IN_ETHERNET, 47).packet]  # GRE with Ethernet
    made += [sent(bytes.fromhex("3001880b 0000 0001 00000000 ff030021") + TCP4, 47).packet]  # PPTP
    over_udp = {
        4_789: bytes.fromhex("0800000000007b00") + IN_ETHERNET,  # VXLAN
        6_081: bytes.fromhex("0000655800007b00") + IN_ETHERNET,  # Geneve
        2_152: struct.pack(">BBHI", 0x30, 0xFF, len(TCP4), 7) + TCP4,  # GTP
        3_544: TCP6,  # Teredo
        1_701: bytes.fromhex("0002 0001 0001 ff03 0021") + TCP4,  # L2TP
        4_500: bytes(4) + TCP4,
    }
    made += [sent_udp(inner, ports=(50_000, port)).packet for port, inner in over_udp.items()]
    made += [sent(TCP4[20:], number).packet for number in (33, 132, 136, 97, 137, 253, 50, 108)]
    made.append(sent(writer.extension(51, 6, writer.authentication()[1]) + TCP4[20:], 51).packet)
    return made


def _errors() -> list[bytes]:
    """ICMP errors, which quote a packet."""
    made = [sent(bytes.fromhex("0303000000000000") + inner, 1).packet for inner in (TCP4, UDP4, TCP4[:28])]
    return made + [sent(bytes.fromhex("0104000000000000") + inner, 58, ends=ENDS[6]).packet for inner in (TCP6, UDP6)]


def _extensions() -> list[bytes]:
    kinds = [writer.hop_by_hop(), writer.destination_options(), writer.routing("2001:db8::5"), writer.authentication()]
    six: dict[str, Any] = {"ends": ENDS[6]}
    made = []
    for n in range(len(kinds) + 1):
        made += [
            sent_tcp(b"abc", **six, extensions=kinds[:n]).packet,
            sent_udp(b"abc", **six, extensions=kinds[n:]).packet,
        ]
        made.append(sent(bytes(8), 58, **six, extensions=kinds[:n]).packet)
    made += [writer.ipv6(*ENDS[6], 59, b"abcdefgh"), writer.ipv6(*ENDS[6], 50, bytes(24))]
    made += [writer.ipv6(*ENDS[6], 44, bytes.fromhex("0600000000000001") + TCP6[40:])]  # a fragment that is whole
    return made


def _fragments() -> list[bytes]:
    made = []
    for ends in (ENDS[4], ENDS[6]):
        made += [
            sent_udp(b"y" * 60, ends=ends, fragment=at, more=more, ident=9).packet
            for at, more in ((64, True), (64, False))
        ]
        made.append(sent_tcp(b"y" * 60, ends=ends, fragment=80).packet)
        made.append(sent(b"\x08" + bytes(60), 1, ends=ends, more=True).packet)
        made.append(sent_udp(b"y" * 60, ends=ends, more=True, ident=9).packet)
        made.append(sent_tcp(b"y" * 60, ends=ends, more=True).packet)
    return made


def _lengths() -> list[bytes]:
    ends = ENDS[4]
    options = b"\x02\x04\x05\xb4\x01\x03\x03\x07\x01\x01\x08\x0a" + bytes(8)
    return [
        writer.ipv4(*ends, 6, writer.tcp(1, 2, bytes(3_000)), total_length=0),  # left to the network card
        writer.ipv4(*ends, 17, writer.udp(1, 2, bytes(30), length=8)),
        writer.ipv4(*ends, 17, writer.udp(1, 2, bytes(30), length=20)),
        writer.ipv4(*ends, 6, writer.tcp(1, 2, bytes(30)), total_length=45),  # with a trailer
        writer.ipv4(*ends, 6, writer.tcp(1, 2, bytes(30)), options=b"\x07\x07\x04\0\0\0\0\0"),
        writer.ipv4(*ends, 6, writer.tcp(1, 2, bytes(30), flags=0xFF8, options=options)),
        writer.ipv4(*ends, 6, writer.tcp(0, 0)),
        writer.ipv4("0.0.0.0", "255.255.255.255", 17, writer.udp(68, 67, b"\1\1\6\0" + bytes(240))),
        writer.ipv6(*ENDS[6], 6, writer.tcp(1, 2, bytes(30)), payload_length=25),
        writer.ipv4(*ends, 17, writer.udp(1, 2, bytes(30), length=0), total_length=0),
        writer.ipv6(*ENDS[6], 6, writer.tcp(1, 2, bytes(3_000)), payload_length=0),
    ]


def _no_ip() -> list[bytes]:
    """Whole frames without IP, or with one that cannot be found without more knowledge."""
    kinds = {
        "888e": bytes.fromhex("01000000"),  # EAPOL
        "0806": bytes(28),  # ARP
        "88cc": bytes(20),  # LLDP
        "9000": bytes(46),  # loopback
        "8863": bytes.fromhex("110900000000"),  # PPPoE discovery
        "8864": bytes.fromhex("1100 0001 0010 c021 0101 000e") + bytes(10),  # PPPoE with LCP
        "8847": struct.pack(">I", 16 << 12 | 1 << 8 | 64) + bytes(4) + IN_ETHERNET,  # MPLS with Ethernet
        "88e5": bytes(4) + TCP4,  # MACsec
    }
    return [writer.MACS + bytes.fromhex(kind) + content for kind, content in kinds.items()] + [
        writer.MACS + bytes.fromhex("0007 424203 000000 00"),  # spanning tree
        writer.MACS + struct.pack(">H", 8 + len(TCP4)) + bytes.fromhex("aaaa03 00000c 0800") + TCP4,  # another OUI
        writer.MACS,
    ]


def _frames(packets: list[bytes]) -> list[bytes]:
    return [writer.link("ethernet", packet) for packet in packets]


MADE = {
    "tunnels": _frames(_tunnels()),
    "errors": _frames(_errors()),
    "extensions": _frames(_extensions()),
    "fragments": _frames(_fragments()),
    "lengths": _frames(_lengths()),
    "no IP": _no_ip(),
}
