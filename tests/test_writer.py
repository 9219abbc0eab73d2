"""The writer of captures against readers that others wrote: dpkt, tshark, capinfos and tcpdump.

tshark takes half a second to start, so it starts once, on one pcapng file with a section for each question.
"""

from __future__ import annotations

import bz2
import gzip
import io
import itertools
import lzma
import shutil
import subprocess
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import dpkt
import pytest
import writer
import zstandard
from writer import LINKS, Frame, ipv4, ipv6, tcp, udp

ADDRESSES = {4: ("10.1.2.3", "192.0.2.9"), 6: ("2001:db8::1", "2001:db8::9")}
START = 1_700_000_000_000_000_000
MICRO, NANO = START + 123_456_000, START + 123_456_789
Rows = list[dict[str, str]]

FIELDS = [
    *("frame.protocols", "frame.time_epoch", "frame.cap_len", "frame.len"),
    *("ip.src", "ip.dst", "ip.len", "ip.ttl", "ip.id", "ip.flags.df", "ip.frag_offset", "ip.hdr_len", "ip.proto"),
    *("ip.checksum.status", "ipv6.src", "ipv6.dst", "ipv6.plen", "ipv6.hlim"),
    *("ipv6.fraghdr.offset", "ipv6.fraghdr.more", "ipv6.fraghdr.ident"),
    *("tcp.srcport", "tcp.dstport", "tcp.seq_raw", "tcp.ack_raw", "tcp.flags", "tcp.hdr_len", "tcp.len"),
    *("sll.pkttype", "sll.hatype", "sll.halen"),
    *("tcp.checksum.status", "udp.srcport", "udp.dstport", "udp.length", "udp.checksum.status"),
]
GOOD = "1"  # a checksum status


def packet(version: int, payload: bytes = b"", *, sport: int = 40_001) -> bytes:
    """IP packet with TCP, and with all checksums right."""
    addresses = ADDRESSES[version]
    segment = tcp(sport, 443, payload, seq=5, ack=9, flags=0x18, checksum_for=addresses)
    return ipv4(*addresses, 6, segment) if version == 4 else ipv6(*addresses, 6, segment)


# One frame for each entry of LINKS, version of IP and payload length; each entry of LINKS has its interface.
CASES = [(name, version, length) for name in LINKS for version in writer.versions(name) for length in (0, 33)]
LINK_TYPES = [number for number, _ in LINKS.values()]
LINK_FRAMES = [
    Frame(writer.link(name, packet(version, b"\x99" * length)), MICRO, interface=list(LINKS).index(name))
    for name, version, length in CASES
]

# (tsresol, tsoffset, time): what each resolution can say exactly
TIMES = [
    (None, None, MICRO),
    (0, None, START + 7_000_000_000),
    (3, None, START + 123_000_000),
    (6, None, MICRO),
    (9, None, NANO),
    (12, 1_700_000_000, START + 12_345_678),  # tshark 4.0 overflows from 18.4 ms after the second on
    (9, 1_600_000_000, NANO),
    (6, -3_600, MICRO),
    (0x80, None, START + 7_000_000_000),
    (0x80 + 9, None, START + 3 * 1_953_125),
    (0x80 + 20, None, START + 511 * 1_953_125),
    (0x80 + 32, 1_600_000_000, START + 100 * 1_953_125),
]

AT_4, AT_6 = ADDRESSES[4], ADDRESSES[6]
AH = writer.extension(writer.AUTHENTICATION, writer.TCP, writer.authentication()[1])
ODD: dict[str, tuple[bytes, dict[str, str]]] = {
    "ipv4 fields": (
        ipv4(*AT_4, 6, tcp(1, 2, b"abc"), ttl=3, ident=0xBEEF, flags_fragment=0x4000, options=b"\x01\x01\x01"),
        {"ip.ttl": "3", "ip.id": "0xbeef", "ip.flags.df": "1", "ip.hdr_len": "24", "ip.checksum.status": GOOD}
        | {"tcp.len": "3"},
    ),
    "ipv4 fragment": (
        ipv4(*AT_4, 6, b"later part", ident=7, flags_fragment=2),
        {"ip.frag_offset": "2", "ip.id": "0x0007", "ip.len": "30", "tcp.srcport": ""},
    ),
    "ipv4 length 0": (ipv4(*AT_4, 6, tcp(1, 2, b"ab" * 40), total_length=0), {"tcp.len": "80"}),
    "ipv4 length 48": (ipv4(*AT_4, 6, tcp(1, 2, b"ab" * 40), total_length=48), {"ip.len": "48", "tcp.len": "8"}),
    "ipv4 ah": (ipv4(*AT_4, 51, AH + tcp(1, 2, b"abc")), {"ip.proto": "51", "tcp.len": "3"}),
    "ipv6 fields": (ipv6(*AT_6, 6, tcp(1, 2, b"abc"), hop_limit=9), {"ipv6.hlim": "9", "ipv6.plen": "23"}),
    "ipv6 length 0": (
        ipv6(*AT_6, 6, tcp(1, 2, b"ab" * 40), payload_length=0),
        {"ipv6.plen": "0", "tcp.len": ""},  # unlike IPv4, tshark goes no further
    ),
    "ipv6 extensions": (
        ipv6(
            *AT_6,
            6,
            tcp(1, 2, b"abcde", checksum_for=AT_6),
            extensions=[
                writer.hop_by_hop(b"\x05\x02\0\0"),
                writer.destination_options(b"\x01\x08" + bytes(8)),
                writer.routing("2001:db8::5", "2001:db8::6"),
                writer.authentication(bytes(20)),
                writer.destination_options(),
            ],
        ),
        {"tcp.len": "5", "tcp.checksum.status": GOOD}
        | {"frame.protocols": "raw:ipv6:ipv6.hopopts:ipv6.dstopts:ipv6.routing:ah:ipv6.dstopts:tcp"},
    ),
    "ipv6 first fragment": (
        ipv6(*AT_6, 6, tcp(1, 2, b"abcd"), extensions=[writer.fragment(0, True, 99)]),
        {"ipv6.fraghdr.offset": "0", "ipv6.fraghdr.more": "1", "ipv6.fraghdr.ident": "0x00000063"},
    ),
    "ipv6 later fragment": (
        ipv6(*AT_6, 6, b"abcd", extensions=[writer.fragment(1448, False, 98)]),
        {"ipv6.fraghdr.offset": "181", "ipv6.fraghdr.more": "0", "tcp.srcport": ""},
    ),
    "tcp fields": (
        ipv4(*AT_4, 6, tcp(1, 65_535, seq=2**32 - 1, ack=2**31, flags=0x1C2, options=b"\x02\x04\x05\xb4\x01\x03\x03")),
        {"tcp.dstport": "65535", "tcp.seq_raw": "4294967295", "tcp.ack_raw": "2147483648", "tcp.flags": "0x01c2"}
        | {"tcp.hdr_len": "28", "tcp.len": "0"},
    ),
    "tcp data offset": (ipv4(*AT_4, 6, tcp(1, 2, b"ab" * 40, data_offset=7)), {"tcp.hdr_len": "28", "tcp.len": "72"}),
    "tcp odd": (ipv4(*AT_4, 6, tcp(1, 2, b"abc", checksum_for=AT_4)), {"tcp.checksum.status": GOOD}),
    "udp": (
        ipv4(*AT_4, 17, udp(7_000, 8_000, b"abc", checksum_for=AT_4)),
        {"udp.srcport": "7000", "udp.dstport": "8000", "udp.length": "11", "udp.checksum.status": GOOD},
    ),
    "udp ipv6": (ipv6(*AT_6, 17, udp(7_000, 8_000, b"", checksum_for=AT_6)), {"udp.checksum.status": GOOD}),
    "udp length": (ipv4(*AT_4, 17, udp(7_000, 8_000, b"abc", length=9)), {"udp.length": "9"}),
}

CUT = [Frame(packet(4, b"x" * 100), START), Frame(packet(4, b"x" * 100)[:60], START, wire_length=1000)]

SECTIONS: dict[str, tuple[list[Frame], bytes]] = {}


def section(name: str, frames: list[Frame], **options: object) -> None:
    """Add a section to the file that tshark reads."""
    SECTIONS[name] = frames, writer.pcapng(frames, **options)  # type: ignore[arg-type]


section("links little", LINK_FRAMES, linktypes=LINK_TYPES)
section("links big", LINK_FRAMES, linktypes=LINK_TYPES, byteorder="big", block="old", interleaved=True)
for _order in ("little", "big"):
    for _block in ("enhanced", "old"):
        section(
            f"times {_order} {_block}",
            [Frame(packet(4), time, interface=number) for number, (_, _, time) in enumerate(TIMES)],
            byteorder=_order,
            block=_block,
            linktypes=[101] * len(TIMES),
            tsresol=[resolution for resolution, _, _ in TIMES],
            tsoffset=[offset for _, offset, _ in TIMES],
        )
section("odd", [Frame(data, MICRO) for data, _ in ODD.values()], linktypes=[101])
section("cut", CUT, linktypes=[101], snaplens=[80], interleaved=True)
section("simple", CUT[:1] * 2, linktypes=[101], snaplens=[70], block="simple", byteorder="big", interleaved=True)


def needs(program: str) -> str:
    """Path of a program, or skip the test."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


@pytest.fixture(scope="module")
def tshark(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rows]:
    """Fields of each frame as tshark reads them, by section."""
    path = tmp_path_factory.mktemp("tshark") / "all.pcapng"
    path.write_bytes(b"".join(data for _, data in SECTIONS.values()))
    command = [needs("tshark"), "-n", "-r", str(path), "-T", "fields", "-E", "occurrence=l"]
    for layer in ("ip", "tcp", "udp"):
        command += ["-o", f"{layer}.check_checksum:TRUE"]
    command += [word for field in FIELDS for word in ("-e", field)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    flags = {"True": "1", "False": "0"}  # as tshark writes them from 4.2 on
    values = [[flags.get(value, value) for value in line.split("\t")] for line in lines]
    rows = iter([dict(zip(FIELDS, row, strict=True)) for row in values])
    said = {name: list(itertools.islice(rows, len(frames))) for name, (frames, _) in SECTIONS.items()}
    assert not list(rows)
    return said


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("name", LINKS)
def test_link_for_tshark(tshark: dict[str, Rows], name: str, order: str) -> None:
    for row, (case, version, length) in zip(tshark[f"links {order}"], CASES, strict=True):
        if case != name:
            continue
        if name in {"null little 10", "null big 10"} and version == 6:
            assert row["frame.protocols"] == "null:data"  # tshark does not know this number for IPv6
            continue
        if (name, order) in {("netfilter log", "big"), ("netfilter log big", "little")}:
            continue  # tshark takes the byte order to be that of the file
        if name in {"ppp pppd in", "ppp pppd out"}:
            assert row["frame.protocols"] == "data"  # nor this link type, but tcpdump does: see below
            continue
        prefix, other = ("ip", "ipv6") if version == 4 else ("ipv6", "ip")
        assert (row[f"{prefix}.src"], row[f"{prefix}.dst"]) == ADDRESSES[version]
        assert row[f"{other}.src"] == ""
        assert (row["tcp.srcport"], row["tcp.dstport"], row["tcp.len"]) == ("40001", "443", str(length))
        assert row["tcp.checksum.status"] == GOOD
        assert row["ip.checksum.status"] == (GOOD if version == 4 else "")
        assert row["frame.time_epoch"] == "1700000000.123456000"
        if name.startswith("sll"):  # sent by us, Ethernet, 6 bytes of address
            assert (row["sll.pkttype"], row["sll.hatype"], row["sll.halen"]) == ("4", "1", "6")


@pytest.mark.parametrize("block", ["enhanced", "old"])
@pytest.mark.parametrize("order", ["little", "big"])
def test_times_for_tshark(tshark: dict[str, Rows], order: str, block: str) -> None:
    said = [row["frame.time_epoch"] for row in tshark[f"times {order} {block}"]]
    assert said == [f"{time // 10**9}.{time % 10**9:09}" for _, _, time in TIMES]


@pytest.mark.parametrize("name", ODD)
def test_odd_packet_for_tshark(tshark: dict[str, Rows], name: str) -> None:
    row = tshark["odd"][list(ODD).index(name)]
    expected = ODD[name][1]
    assert {field: row[field].removesuffix(":data") for field in expected} == expected


def test_snap_length_for_tshark(tshark: dict[str, Rows]) -> None:
    def lengths(name: str) -> list[tuple[str, str, str]]:
        return [(row["frame.cap_len"], row["frame.len"], row["tcp.len"]) for row in tshark[name]]

    assert lengths("cut") == [("80", "140", "100"), ("60", "1000", "100")]
    assert lengths("simple") == [("70", "140", "100")] * 2
    assert {row["frame.time_epoch"] for row in tshark["simple"]} == {""}


def test_pppd_for_tcpdump(tmp_path: Path) -> None:
    path = tmp_path / "pppd.pcap"
    frames = [Frame(writer.link(f"ppp pppd {way}", packet(v, b"abc")), MICRO) for way in ("in", "out") for v in (4, 6)]
    path.write_bytes(writer.pcap(frames, linktype=166))
    said = subprocess.run([needs("tcpdump"), "-nvtr", str(path)], capture_output=True, text=True, check=True).stdout
    assert said.count("(correct)") == said.count("length 3\n") == len(frames)


def test_null_and_pppd_by_hand() -> None:
    inside = packet(6)
    assert writer.link("null little 10", inside) == b"\x0a\0\0\0" + inside
    assert writer.link("null big 10", inside) == b"\0\0\0\x0a" + inside
    assert writer.link(166, inside) == b"\x00\x03\x00\x57" + inside
    assert writer.link("ppp pppd out", packet(4)) == b"\x01\x03\x00\x21" + packet(4)


PCAPS = [
    (order, resolution, modified)
    for order in ("little", "big")
    for resolution, modified in (("us", False), ("ns", False), ("us", True))
]


@pytest.mark.parametrize("how", ["none", "gzip"])
def test_pcap_for_capinfos(tmp_path: Path, how: str) -> None:
    frames = [Frame(packet(4, b"x" * 100), MICRO), Frame(packet(6), MICRO + 10**9)]
    kinds = {("us", False): "pcap", ("ns", False): "nsecpcap", ("us", True): "modpcap"}
    paths, expected = [], []
    for number, (order, resolution, modified) in enumerate(PCAPS):
        data = writer.pcap(frames, byteorder=order, resolution=resolution, modified=modified, linktype=101, snaplen=70)
        paths.append(tmp_path / str(number))
        paths[-1].write_bytes(writer.compress(data, how))
        zeros = "000" if resolution == "ns" else ""
        first, last = f"1700000000.123456{zeros}", f"1700000001.123456{zeros}"
        expected.append([str(paths[-1]), kinds[resolution, modified], "rawip", "70", "2", "200", first, last])
    # a table without header, with commas, without quotes, times in seconds; then which columns
    command = [needs("capinfos"), "-TrmNSM", "-tElcdae", *map(str, paths)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    rows = [line.split(",") for line in said]
    assert [row[:4] + row[-4:] for row in rows] == expected


@pytest.mark.parametrize(("order", "resolution", "modified"), PCAPS)
def test_pcap_for_dpkt(order: str, resolution: str, modified: bool) -> None:
    times = [MICRO, START - 5_000_000_000, MICRO + 1_000] + [NANO] * (resolution == "ns")
    frames = [Frame(writer.link("ethernet", packet(4, bytes(number))), time) for number, time in enumerate(times)]
    data = writer.pcap(frames, byteorder=order, resolution=resolution, modified=modified, snaplen=1_500)
    reader = dpkt.pcap.Reader(io.BytesIO(data))
    assert (reader.datalink(), reader.snaplen) == (1, 1_500)
    read = list(reader)
    assert [data for _, data in read] == [frame.data for frame in frames]
    if resolution == "ns":  # dpkt gives a Decimal here, a float for microseconds
        assert [int(time * 10**9) for time, _ in read] == times
    else:
        assert [round(time * 10**6) * 1_000 for time, _ in read] == times


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("block", ["enhanced", "old"])
@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize(("resolution", "offset"), [(None, None), (9, None), (12, 1_700_000_000), (6, -3_600)])
def test_pcapng_for_dpkt(order: str, block: str, interleaved: bool, resolution: int | None, offset: int | None) -> None:
    frames = [Frame(writer.link("ethernet", packet(4, bytes(n))), MICRO + n * 10**9) for n in range(5)]
    data = writer.pcapng(
        frames, byteorder=order, tsresol=[resolution], tsoffset=[offset], block=block, interleaved=interleaved
    )
    reader = dpkt.pcapng.Reader(io.BytesIO(data))
    assert reader.datalink() == 1
    read = list(reader)
    assert [data for _, data in read] == [frame.data for frame in frames]
    assert [round(time * 10**6) * 1_000 for time, _ in read] == [frame.time_ns for frame in frames]


# dpkt does not look for LLC behind a VLAN tag, nor into these
NOT_FOR_DPKT = ("8100 snap", "hsr", "metadata", "802.1ah", "trill", "macsec", "arista", "nsh")
ETHERNET = [name for name, (number, _) in LINKS.items() if number == 1 and not name[9:].startswith(NOT_FOR_DPKT)]


@pytest.mark.parametrize(("name", "version"), [(name, n) for name in ETHERNET for n in writer.versions(name)])
def test_packet_for_dpkt(name: str, version: int) -> None:
    data = dpkt.ethernet.Ethernet(writer.link(name, packet(version, b"payload")))
    while not isinstance(data, (dpkt.ip.IP, dpkt.ip6.IP6)):
        data = data.data
    assert tuple(str(ip_address(address)) for address in (data.src, data.dst)) == ADDRESSES[version]
    segment = data.data
    assert (segment.sport, segment.dport, segment.seq, segment.ack) == (40_001, 443, 5, 9)
    assert (segment.flags, segment.off, bytes(segment.data)) == (0x18, 5, b"payload")
    written = segment.sum, getattr(data, "sum", None)
    segment.sum = data.sum = 0  # dpkt then computes them anew
    again = type(data)(bytes(data))
    assert (again.data.sum, getattr(again, "sum", None)) == written


def test_udp_for_dpkt() -> None:
    data = dpkt.ip.IP(ipv4(*AT_4, 17, udp(53, 5_353, b"question", checksum_for=AT_4)))
    assert (data.p, data.data.sport, data.data.dport, data.data.ulen) == (17, 53, 5_353, 16)
    assert data.data.data == b"question"


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(("build", "place"), [(tcp, 16), (udp, 6)])
@pytest.mark.parametrize("payload", [b"", b"odd", b"even"])
def test_network_card_finishes_partial_checksum(
    build: Callable[..., bytes], place: int, version: int, payload: bytes
) -> None:
    """What a card does: sum the segment as it is, with the partial sum in its place, and put in the complement."""
    addresses = ADDRESSES[version]
    partial = build(1, 2, payload, checksum_for=addresses, partial=True)
    right = build(1, 2, payload, checksum_for=addresses)
    assert partial != right
    finished = dpkt.in_cksum(partial).to_bytes(2, "big")
    assert partial[:place] + finished + partial[place + 2 :] == right


def test_udp_checksum_is_never_zero() -> None:
    sums = {udp(1, 2, number.to_bytes(2, "big"), checksum_for=AT_4)[6:8] for number in range(2**16)}
    assert b"\0\0" not in sums
    assert b"\xff\xff" in sums
    assert udp(1, 2, b"ab")[6:8] == b"\0\0"


@pytest.mark.parametrize(
    ("how", "undo"),
    [
        ("none", bytes),
        ("gzip", gzip.decompress),
        ("zstd", zstandard.ZstdDecompressor().decompress),
        ("zstd stream", lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data)),
        ("xz", lzma.decompress),
        ("bz2", bz2.decompress),
    ],
)
def test_compress(how: str, undo: Callable[[bytes], bytes]) -> None:
    data = writer.pcap(LINK_FRAMES)
    assert undo(writer.compress(data, how)) == data
    assert how == "none" or len(writer.compress(data, how)) < len(data)


@pytest.mark.parametrize(
    ("tsresol", "tsoffset", "time"),
    [
        (None, None, NANO),
        (0, None, MICRO),
        (0x80 + 9, None, START + 1),
        (0x80 + 20, None, MICRO),
        (12, None, START),  # more than 64 bits
        (9, 1_700_000_001, START),  # before the offset
        (127, None, START),
    ],
)
def test_time_that_cannot_be_written(tsresol: int | None, tsoffset: int | None, time: int) -> None:
    with pytest.raises(ValueError, match=f"{time} ns cannot be written"):
        writer.pcapng([Frame(b"", time)], tsresol=[tsresol], tsoffset=[tsoffset])


def test_what_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="not a whole number of us"):
        writer.pcap([Frame(b"", NANO)])
    with pytest.raises(ValueError, match="only microseconds"):
        writer.pcap([], resolution="ns", modified=True)
    with pytest.raises(ValueError, match="interface 0"):
        writer.simple_packet(Frame(b"abc", START, wire_length=5))
    with pytest.raises(ValueError, match="at most 1500"):
        writer.link("ethernet snap", packet(4, bytes(1_500)))
    with pytest.raises(ValueError, match="whole units"):
        writer.extension(writer.DESTINATION, 6, b"abc")
    with pytest.raises(ValueError, match="needs `checksum_for`"):
        tcp(1, 2, partial=True)
