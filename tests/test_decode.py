"""From frames to rows: link layers, IP, TCP, UDP and the start of a TLS record."""

from __future__ import annotations

import struct
from typing import Any

import pytest
import writer
from capturing import ENDS, START, expected_row, is_invariant, read, read_broken, rows, sent_tcp, sent_udp
from writer import LINKS, Frame

from toolkit.columns import FIRST_FRAGMENT, LATER_FRAGMENT, LENGTH_FROM_FRAME, MALFORMED, TRUNCATED

HELLO = b"\x16\x03\x01\x00\x40" + bytes(range(64))


def one(packet: bytes, **options: Any) -> dict[str, Any]:
    """Row of a packet in a raw frame."""
    data = writer.pcap([Frame(packet, START, **options)], linktype=101)
    trace = read(data)
    is_invariant(trace)
    return rows(trace, data)[0]


# Link layers

CASES = [(name, version) for name in LINKS for version in writer.versions(name)]


@pytest.mark.parametrize(("name", "version"), CASES)
def test_link(name: str, version: int) -> None:
    packets = [sent_tcp(b"\x99" * size, ends=ENDS[version]) for size in (0, 1, 33, 600)]
    frames = [Frame(writer.link(name, one.packet), START) for one in packets]
    data = writer.pcap(frames, linktype=LINKS[name][0])
    trace = read(data)
    assert rows(trace, data) == [expected_row(packets[i], frame, i + 1) for i, frame in enumerate(frames)]
    assert trace.source.link_types == (LINKS[name][0],)


@pytest.mark.parametrize(("name", "version"), CASES)
def test_frame_cut_anywhere(name: str, version: int) -> None:
    """What is read of the first bytes of a frame: never more than they say."""
    one = sent_tcp(HELLO, ports=(1, 2), seq=3, ack=4, flags=5, tls_type=22, ends=ENDS[version])
    whole = writer.link(name, one.packet)
    where = whole.index(one.packet)
    header = 20 if version == 4 else 40
    payload = where + one.start
    frames = [Frame(whole[:size], START, wire_length=len(whole)) for size in range(len(whole) + 1)]
    data = writer.pcap(frames, linktype=LINKS[name][0])
    trace = read(data)
    is_invariant(trace)
    found = {row["number"] - 1: row for row in rows(trace, data)}
    assert set(found) == set(range(where + header, len(whole) + 1))
    assert trace.source.no_header >= header - 1
    assert trace.source.bad_header == 0
    for size, row in found.items():
        have = size - where - header
        assert row["ip_length"] == len(one.packet)
        assert (row["src_port"], row["dst_port"]) == ((1, 2) if have >= 4 else (0, 0))
        assert row["tcp_seq"] == 3 * (have >= 8)
        assert row["tcp_ack"] == 4 * (have >= 12)
        assert row["tcp_flags"] == 5 * (have >= 14)
        assert row["payload_length"] == len(HELLO) * (have >= 13)
        assert row["payload_captured"] == min(max(size - payload, 0), len(HELLO))
        assert row["marks"] == (TRUNCATED if have < 20 else 0)
        assert row["tls_type"] == 22 * (have >= 25)


@pytest.mark.parametrize(
    ("kind", "between"),
    [
        (0x8847, b"\x00\x01\x01\x40"),
        (0x8100, b"\x00\x01\x88\xa8\x00\x02\x08\x00"),
        (4, b"\xaa\xaa\x03\x00\x00\x00\x08\x00"),  # LLC and SNAP
        (0x8864, b"\x11\x00\x00\x01\x00\x2d\x00\x21"),
    ],
)
def test_sll2_carries_what_ethernet_does(kind: int, between: bytes) -> None:
    frame = struct.pack(">HHIHBB8s", kind, 0, 3, 1, 0, 6, bytes(8)) + between + sent_tcp(b"abc").packet
    data = writer.pcap([Frame(frame, START)], linktype=276)
    assert rows(read(data), data)[0]["payload"] == b"abc"


@pytest.mark.parametrize(
    ("linktype", "frame"),
    [
        (1, bytes(12) + b"\x08\x06" + bytes(28)),  # ARP
        (1, bytes(12) + b"\x00\x26\x42\x42\x03" + bytes(35)),  # spanning tree
        (1, bytes(12) + b"\x81\x00\x00\x01\x08\x06" + bytes(28)),
        (1, bytes(12) + b"\x88\x64\x11\x00\x00\x01\x00\x02\xc0\x21" + bytes(28)),  # PPP's link control
        (1, bytes(12) + b"\x88\x64\x11\x09\x00\x00\x00\x04\x00\x21\x45" + bytes(28)),  # not of a session
        (1, bytes(12) + b"\x88\x47" + bytes(40)),  # labels without end
        (1, bytes(12) + b"\x88\x47\x00\x00\x01\x40" + bytes(40)),  # neither version
        (0, b"\x07\0\0\0" + bytes(40)),
        (0, b"\x02\x00\x00\x01" + bytes(40)),
        (9, b"\xc0\x21" + bytes(40)),
        (50, b"\xff\x03\x80\x21" + bytes(40)),
        (51, b"\x11\x09\x00\x00\x00\x04\x00\x21\x45" + bytes(40)),
        (104, b"\x8f\x00\x80\x35" + bytes(40)),  # Cisco's SLARP
        (113, bytes(14) + b"\x08\x06" + bytes(28)),
        (192, b"\0\0\x07\0\x01\0\0\0" + bytes(40)),  # a header shorter than itself
        (192, b"\0\0\x08\0\x01\0\0\0" + bytes(12) + b"\x08\x06" + bytes(28)),
        (276, b"\x08\x06" + bytes(48)),
    ],
)
def test_frames_without_ip(linktype: int, frame: bytes) -> None:
    trace = read(writer.pcap([Frame(frame, START)] * 3, linktype=linktype))
    assert len(trace) == 0
    assert (trace.source.frames, trace.source.non_ip) == (3, 3)
    assert trace.health()["non-IP frames"].count == 3
    assert "3" in trace._repr_html_()


def test_unknown_link_types() -> None:
    one = sent_tcp()
    frames = [Frame(one.packet, START, interface=number) for number in (0, 1, 1, 2, 0, 1)]
    data = writer.pcapng(frames, linktypes=[101, 147, 65_000])
    trace, said = read_broken(data)
    assert said == [
        "(packet 2): expected a link type that is known, found link type 147; its 3 frames are counted but not decoded",
        "(packet 4): expected a link type that is known, found link type 65000; "
        "its 1 frames are counted but not decoded",
    ]
    assert len(trace) == 2
    assert trace.source.link_types == (101, 147, 65_000)
    assert (trace.source.frames, trace.source.unknown_link, trace.source.non_ip) == (6, 4, 0)
    assert trace.column("number").tolist() == [1, 5]


def test_unknown_link_types_inside_ppi() -> None:
    def ppi(inner: int, size: int = 8) -> bytes:
        return struct.pack("<BBHI", 0, 0, size, inner) + bytes(40)

    inside = [1, 147, 147, 192, 147]
    frames = [Frame(ppi(inner), START) for inner in inside] + [Frame(ppi(147, 7), START), Frame(ppi(147)[:7], START)]
    trace, said = read_broken(writer.pcap(frames, linktype=192))
    assert said == [
        "(packet 2): expected a link type that is known, found link type 147 inside PPI; "
        "its 3 frames are counted but not decoded",
        "(packet 4): expected a link type that is known, found link type 192 inside PPI; "
        "its 1 frames are counted but not decoded",
    ]
    assert (trace.source.frames, trace.source.unknown_link, trace.source.non_ip) == (7, 4, 3)


# IP, TCP, UDP


def test_length_of_offload_comes_from_the_frame() -> None:
    for payload in (b"ab" * 40, bytes(70_000), b""):
        packet = writer.ipv4(*ENDS[4], 6, writer.tcp(1, 2, payload), total_length=0)
        row = one(packet)
        assert (row["ip_length"], row["payload_length"]) == (len(packet), len(payload))
        assert row["marks"] == LENGTH_FROM_FRAME
        assert row["payload"] == payload
        packet = writer.ipv6(*ENDS[6], 6, writer.tcp(1, 2, payload), payload_length=0)
        row = one(packet)
        assert (row["ip_length"], row["payload_length"], row["marks"]) == (len(packet), len(payload), LENGTH_FROM_FRAME)
    packet = writer.ipv4(*ENDS[4], 17, writer.udp(1, 2, b"ab" * 40, length=0), total_length=0)
    assert one(packet)["payload_length"] == 80
    row = one(packet[:60], wire_length=len(packet))  # from the frame on the wire, not from what was kept of it
    assert (row["payload_length"], row["payload_captured"]) == (80, 60 - 28)


def test_ipv6_with_nothing_in_it() -> None:
    row = one(writer.ipv6(*ENDS[6], writer.NO_NEXT, b""))
    assert (row["protocol"], row["ip_length"], row["payload_length"], row["marks"]) == (59, 40, 0, 0)
    extensions = [writer.hop_by_hop(), (writer.NO_NEXT, b"")]
    row = one(writer.ipv6(*ENDS[6], writer.NO_NEXT, b"", extensions=extensions[:1]))
    assert (row["protocol"], row["ip_length"], row["marks"]) == (59, 48, 0)


@pytest.mark.parametrize("version", [4, 6])
def test_tunnels_count_by_the_outermost_header(version: int) -> None:
    inner = sent_tcp(b"abc", ends=("10.9.9.9", "10.8.8.8")).packet
    for protocol, body in ((4, inner), (47, b"\0\0\x08\0" + inner)):
        wrap = writer.ipv4 if version == 4 else writer.ipv6
        row = one(wrap(*ENDS[version], protocol, body))
        assert (row["src"], row["dst"]) == ENDS[version]
        assert (row["protocol"], row["src_port"], row["payload_length"]) == (protocol, 0, 0)


def test_payload_is_what_the_headers_say_not_what_the_frame_has() -> None:
    packet = writer.ipv4(*ENDS[4], 6, writer.tcp(1, 2, b"abc")) + b"trailer"
    row = one(packet)
    assert (row["ip_length"], row["payload"], row["marks"]) == (43, b"abc", 0)
    packet = writer.ipv4(*ENDS[4], 17, writer.udp(1, 2, b"abcdef", length=11))
    assert one(packet)["payload"] == b"abc"


BAD = {
    "version 5": (bytes([0x55]) + sent_tcp().packet[1:], None),
    "header of 16 bytes": (bytes([0x44]) + sent_tcp().packet[1:], None),
    "total under header": (writer.ipv4(*ENDS[4], 6, writer.tcp(1, 2), total_length=19), None),
    "total over frame": (writer.ipv4(*ENDS[4], 6, writer.tcp(1, 2, b"abc"), total_length=1_043), (1_003, b"abc")),
    "total cuts tcp": (writer.ipv4(*ENDS[4], 6, writer.tcp(1, 2, b"abc"), total_length=39), (0, b"")),
    "data offset 4": (writer.ipv4(*ENDS[4], 6, writer.tcp(1, 2, b"abc", data_offset=4)), (0, b"")),
    "data offset 15": (writer.ipv4(*ENDS[4], 6, writer.tcp(1, 2, b"abc", data_offset=15)), (0, b"")),
    "udp length 7": (writer.ipv4(*ENDS[4], 17, writer.udp(1, 2, b"abc", length=7)), (0, b"")),
    "udp length 99": (writer.ipv4(*ENDS[4], 17, writer.udp(1, 2, b"abc", length=99)), (3, b"abc")),
    "udp length 0": (writer.ipv4(*ENDS[4], 17, writer.udp(1, 2, b"abc", length=0)), (0, b"")),
    "no room for ports": (writer.ipv4(*ENDS[4], 6, b"abc"), (0, b"")),
    "extension over end": (
        writer.ipv6(*ENDS[6], 6, b"", extensions=[(writer.HOP_BY_HOP, bytes(6))])[:41] + b"\xff" + bytes(6),
        (0, b""),
    ),
    "half an extension": (writer.ipv6(*ENDS[6], writer.HOP_BY_HOP, b"\x06"), (0, b"")),
    "half a fragment header": (writer.ipv6(*ENDS[6], writer.FRAGMENT, b"\x06" + bytes(5)), (0, b"")),
}


@pytest.mark.parametrize("name", BAD)
def test_headers_that_cannot_be(name: str) -> None:
    packet, expected = BAD[name]
    data = writer.pcap([Frame(sent_tcp().packet, START), Frame(packet, START)], linktype=101)
    trace = read(data)
    is_invariant(trace)
    if expected is None:
        assert (len(trace), trace.source.bad_header) == (1, 1)
        assert trace.health()["bad IP header"].count == 1
    else:
        row = rows(trace, data)[1]
        assert (row["payload_length"], row["payload"], row["marks"]) == (*expected, MALFORMED)
        assert trace.health()["malformed"].count == 1


@pytest.mark.parametrize("version", [4, 6])
def test_fragments(version: int) -> None:
    body = writer.udp(53, 5_353, bytes(range(200)))
    ends = ENDS[version]
    first = sent_udp(bytes(range(200)), ports=(53, 5_353), ends=ends, more=True, ident=7)
    if version == 4:
        packets = [
            writer.ipv4(*ends, 17, body[:104], ident=7, flags_fragment=0x2000),
            writer.ipv4(*ends, 17, body[104:], ident=7, flags_fragment=13),
        ]
    else:
        packets = [
            writer.ipv6(*ends, 17, body[:104], extensions=[writer.fragment(0, True, 7)]),
            writer.ipv6(*ends, 17, body[104:], extensions=[writer.fragment(104, False, 7)]),
        ]
    found = [one(packet) for packet in packets]
    names = ("src_port", "dst_port", "payload_length", "ip_id", "protocol", "marks")
    assert [tuple(row[name] for name in names) for row in found] == [
        (53, 5_353, 96, 7, 17, FIRST_FRAGMENT),
        (0, 0, 0, 7, 17, LATER_FRAGMENT),
    ]
    assert found[0]["payload"] == first.payload[:96]


@pytest.mark.parametrize(
    ("payload", "tls_type"),
    [
        (b"\x16\x03\x01\x00\x05", 22),
        (b"\x17\x03\x03\x00\x00", 23),  # empty application data is sent to hide lengths
        (b"\x16\x03\x03\x00\x00", 0),
        (b"\x14\x03\x03\x00\x01\x01", 20),
        (b"\x18\x03\x03\x00\x03", 24),
        (b"\x13\x03\x03\x00\x03", 0),
        (b"\x19\x03\x03\x00\x03", 0),
        (b"\x16\x02\x03\x00\x03", 0),
        (b"\x16\x03\x05\x00\x03", 0),
        (b"\x17\x03\x03\x48\x00", 23),
        (b"\x17\x03\x03\x48\x01", 0),
        (b"\x16\x03\x01\x00", 0),
    ],
)
def test_start_of_a_tls_record(payload: bytes, tls_type: int) -> None:
    assert one(sent_tcp(payload).packet)["tls_type"] == tls_type
    assert one(sent_udp(payload).packet)["tls_type"] == 0


def test_payload_of_65000_bytes() -> None:
    payload = bytes(range(250)) * 260
    row = one(sent_tcp(payload).packet)
    assert (row["payload"], row["ip_length"]) == (payload, 65_040)


# What is no packet, or stays one

MACS = writer.MACS
FOUR, SIX = sent_tcp(b"abc").packet, sent_tcp(b"abc", ends=ENDS[6]).packet


def rows_of(link: int, frame: bytes) -> int:
    trace = read(writer.pcap([Frame(frame, START)], linktype=link))
    assert trace.source.frames == 1
    return len(trace)


@pytest.mark.parametrize(
    ("link", "before", "there"),
    [
        (1, MACS + b"\x86\xdd", True),
        (9, b"\xff\x03\x00\x57", True),
        (0, b"\x18\0\0\0", True),
        (0, b"\xdd\x86\0\0", True),
        (107, bytes.fromhex("1841038e"), True),
        (226, bytes.fromhex("011a0000 00000000") + bytes(16), True),
        (1, MACS + bytes.fromhex("894f 0fc2 0102 000001ff"), True),
    ],
)
def test_a_packet_said_to_be_of_ipv6_is_none_if_it_says_ipv4(link: int, before: bytes, there: bool) -> None:
    """As for tshark."""
    assert rows_of(link, before + SIX) == there
    assert rows_of(link, before + FOUR) == 0


@pytest.mark.parametrize(("kind", "there"), [(1, True), (778, True), (824, False)])
def test_messages_of_the_kernel_are_no_packets(kind: int, there: bool) -> None:
    """ARPHRD_NETLINK has a family where the EtherType of other devices is."""
    assert rows_of(113, struct.pack(">HHH8sH", 4, kind, 6, bytes(8), 0x0800) + FOUR) == there
    assert rows_of(276, struct.pack(">HHIHBB8s", 0x0800, 0, 3, kind, 4, 6, bytes(8)) + FOUR) == there


@pytest.mark.parametrize(("version", "size"), [(0x10, 8), (0x110, 8), (0x20, 6), (0x120, 6)])
def test_time_stamps_of_arista(version: int, size: int) -> None:
    def frame(kind: int, version: int) -> bytes:
        return MACS + struct.pack(">HHH", 0xD28B, kind, version) + bytes(size) + b"\x08\0" + FOUR

    assert rows_of(1, frame(1, version)) == 1
    assert rows_of(1, frame(2, version)) == 0
    assert rows_of(1, frame(1, version + 0x200)) == 0


@pytest.mark.parametrize("control", range(256))
def test_macsec_is_looked_into_if_nothing_is_encrypted(control: int) -> None:
    """Bits 4 (changed) and 8 (encrypted) must be 0, and 0x80 (the version)."""
    sci = bytes(8) if control & 0x20 else b""
    frame = MACS + b"\x88\xe5" + bytes([control, 0, 0, 0, 0, 1]) + sci + b"\x08\0" + FOUR
    assert rows_of(1, frame) == (control & 0x8C == 0)


@pytest.mark.parametrize(
    ("link", "before"),
    [(107, "184103 00 80"), (100, "aaaa03"), (1, MACS.hex() + "0040 aaaa03"), (10, "50" + "00" * 12 + "aaaa03")],
)
@pytest.mark.parametrize(
    ("organisation", "there"), [("000000", True), ("00000c", False), ("0080c2", False), ("800000", False)]
)
def test_the_organisation_of_snap(link: int, before: str, organisation: str, there: bool) -> None:
    """Only 0 says that an EtherType follows."""
    assert rows_of(link, bytes.fromhex(before + organisation + "0800") + FOUR) == there


def test_an_old_organisation_of_snap() -> None:
    """0000F8: bridges of IEEE 802.1H, with an EtherType as well."""
    assert rows_of(100, bytes.fromhex("aaaa03 0000f8 0800") + FOUR) == 1


@pytest.mark.parametrize(("fragment", "there"), [(0, True), (1, False), (15, False)])
def test_later_fragments_of_802_11_have_no_header(fragment: int, there: bool) -> None:
    frame = bytearray(writer.link("802.11", FOUR))
    frame[22] = 0x10 | fragment
    assert rows_of(105, bytes(frame)) == there


@pytest.mark.parametrize("kind", [0, 43, 60, 135, 139, 140])
def test_each_extension_header_is_walked(kind: int) -> None:
    packet = writer.ipv6(*ENDS[6], kind, bytes([6, 1]) + bytes(14) + SIX[40:])
    trace = read(writer.pcap([Frame(packet, START)], linktype=101))
    assert (trace.column("protocol").tolist(), trace.column("payload_length").tolist()) == ([6], [3])
    assert (
        trace.column("src_port").tolist()
        == read(writer.pcap([Frame(SIX, START)], linktype=101)).column("src_port").tolist()
    )


@pytest.mark.parametrize("length", [0, 7, 12, 5_000])
def test_a_wrong_udp_length_leaves_the_ports(length: int) -> None:
    packet = bytearray(sent_udp(b"abc", ports=(4_000, 9_999)).packet)
    packet[24:26] = length.to_bytes(2, "big")
    trace = read(writer.pcap([Frame(bytes(packet), START)], linktype=101))
    assert trace.column("marks").tolist() == [MALFORMED]
    assert (trace.column("src_port").tolist(), trace.column("dst_port").tolist()) == ([4_000], [9_999])
    assert trace.column("payload_length").tolist() == [3 if length > 11 else 0]
