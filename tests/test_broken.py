"""Captures that end too early, or whose lengths cannot be: nothing good is lost, and the message says what is wrong."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import writer
from capturing import ENDS, START, read, read_broken, rows, sent_tcp, sent_udp
from writer import Frame

import toolkit

ARP = bytes(12) + b"\x08\x06" + bytes(28)
FRAMES = [
    Frame(writer.link(1, sent_tcp(b"first").packet), START),
    Frame(ARP, START + 1_000),
    Frame(writer.link(1, sent_udp(b"second", ends=ENDS[6]).packet), START + 2_000),
    Frame(writer.link("ethernet 8100", sent_tcp(bytes(70)).packet)[:100], START + 1_000, wire_length=1_000),
    Frame(writer.link(1, sent_tcp(b"", ends=ENDS[6]).packet), START + 5_000),
    Frame(writer.link(1, sent_tcp(b"last").packet), START + 6_000),
]
NOTE = "the {} frames before it are kept"


@dataclass
class Pieces:
    """A capture, cut into its headers, records and blocks."""

    pieces: list[bytes] = field(default_factory=list)
    is_frame: list[bool] = field(default_factory=list)

    def add(self, piece: bytes, is_frame: bool = False) -> None:
        self.pieces.append(piece)
        self.is_frame.append(is_frame)

    @property
    def data(self) -> bytes:
        return b"".join(self.pieces)

    def before(self, size: int) -> tuple[int, int, bytes]:
        """Count whole frames in the first bytes; where the first piece starts that is not whole, and that piece."""
        position = frames = 0
        for piece, is_frame in zip(self.pieces, self.is_frame, strict=True):
            if position + len(piece) > size:
                return frames, position, piece
            position += len(piece)
            frames += is_frame
        return frames, position, b""

    def cuts(self) -> list[int]:
        """Give each of the first 200 bytes, and each of the last three records."""
        last = sum(len(piece) for piece in self.pieces[-3:])
        size = len(self.data)
        assert size > 200 + last
        return [*range(1, 200), *range(size - last, size + 1)]


@cache
def pcap(order: Any, modified: bool) -> Pieces:
    made = Pieces()
    options = {"byteorder": order, "modified": modified}
    made.add(writer.pcap([], **options))
    for frame in FRAMES:
        made.add(writer.pcap([frame], **options)[24:], is_frame=True)
    assert made.data == writer.pcap(FRAMES, **options)
    return made


@cache
def pcapng(order: Any) -> Pieces:
    made = Pieces()
    for section, frames in (("little", FRAMES[:3]), (order, FRAMES[3:])):
        made.add(writer.section_header(section))
        made.add(writer.interface(1, section))
        for frame in frames:
            made.add(writer.name_resolution_block(section))
            made.add(writer.enhanced_packet(frame, section), is_frame=True)
    return made


def whole(made: Pieces) -> list[dict[str, Any]]:
    return rows(read(made.data), made.data)


def check(made: Pieces, size: int, said: list[str], found: list[dict[str, Any]], good: list[dict[str, Any]]) -> int:
    """Compare what was read of the first bytes with what was read of all; where the first bad byte is."""
    frames, position, piece = made.before(size)
    assert found == [row for row in good if row["number"] <= frames]
    if position == size:
        assert said == []
    else:
        assert len(said) == 1
        assert said[0].startswith(f"(packet {frames + 1}, offset {position}): expected a ")
        assert said[0].endswith("; " + NOTE.format(frames))
        assert len(piece) > size - position
    return position


@pytest.mark.parametrize("how", ["none", "gzip"])
@pytest.mark.parametrize("modified", [False, True])
@pytest.mark.parametrize("order", ["little", "big"])
def test_every_prefix_of_a_pcap(order: str, modified: bool, how: str) -> None:
    made = pcap(order, modified)
    good = whole(made)
    assert len(good) == len(FRAMES) - 1
    header = 24 if modified else 16
    for size in made.cuts():
        prefix = made.data[:size]
        if size < 24:
            with pytest.raises(toolkit.CaptureError) as caught:
                read(writer.compress(prefix, how))
            if size < 4:
                assert "expected a pcap or pcapng capture, found a file that starts with " in str(caught.value)
            else:
                assert f"(offset 0): expected a pcap file header of 24 bytes, found {size} bytes" in str(caught.value)
            continue
        trace, said = read_broken(writer.compress(prefix, how))
        position = check(made, size, said, rows(trace, prefix), good)
        left = size - position
        if left:
            wanted = len(made.before(size)[2]) if left >= header else f"at least {header}"
            assert f": expected a record of {wanted} bytes, found the last {left} bytes; " in said[0]


@pytest.mark.parametrize("how", ["none", "gzip"])
@pytest.mark.parametrize("order", ["little", "big"])
def test_every_prefix_of_a_pcapng(order: str, how: str) -> None:
    made = pcapng(order)
    good = whole(made)
    assert len(good) == len(FRAMES) - 1
    second = len(b"".join(made.pieces[:8]))  # where the second section starts
    for size in [*made.cuts(), *range(second - 1, second + 60)]:
        prefix = made.data[:size]
        if size < 28:
            expected = "a pcap or pcapng capture" if size < 4 else "a pcapng section header with"
            with pytest.raises(toolkit.CaptureError, match=rf"\(offset 0\): expected {expected}"):
                read(writer.compress(prefix, how))
            continue
        trace, said = read_broken(writer.compress(prefix, how))
        position = check(made, size, said, rows(trace, prefix), good)
        left = size - position
        if left and position == second and left >= 4:
            start = prefix[second + 4 : second + 12].hex(" ") or "the end of the file"
            assert f"with the byte-order magic 1a2b3c4d and a length of 28 or more, found {start};" in said[0]
        elif left:
            wanted = len(made.before(size)[2]) if left >= 8 else "at least 12"
            assert f": expected a block of {wanted} bytes, found the last {left} bytes; " in said[0]


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("length", [262_145, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_record_length_that_cannot_be(order: str, length: int) -> None:
    made = pcap(order, False)
    data = bytearray(made.data)
    place = len(b"".join(made.pieces[:4]))
    data[place + 8 : place + 12] = length.to_bytes(4, order)
    trace, said = read_broken(bytes(data))
    assert rows(trace, made.data) == whole(made)[:2]
    assert said == [
        f"(packet 4, offset {place}): expected a record of at most 262144 captured bytes, "
        f"found a record length of {length}; {NOTE.format(3)}"
    ]


def test_longest_record() -> None:
    packet = writer.ipv4(*ENDS[4], 6, writer.tcp(1, 2, bytes(262_144 - 40)), total_length=0)
    data = writer.pcap([Frame(packet, START), FRAMES[0]], linktype=101)
    assert read(data).column("payload_length").tolist()[0] == 262_144 - 40
    data = writer.pcapng([Frame(packet, START), FRAMES[0]], linktypes=[101])
    assert read(data).column("payload_length").tolist()[0] == 262_144 - 40
    longer = writer.pcapng([FRAMES[0], Frame(packet + b"\0", START)], linktypes=[1])
    trace, said = read_broken(longer)
    assert len(trace) == 1
    assert ": expected a packet of at most 262144 captured bytes, found 262145; the 1 frames before" in said[0]
    simple = writer.pcapng([Frame(packet + b"\0", START)], linktypes=[101], block="simple")
    assert len(read_broken(simple)[0]) == 0


def test_length_on_the_wire_that_cannot_be() -> None:
    """Some writers put 0 there, or less than what they captured."""
    for wire in (0, 10):
        frames = [Frame(frame.data, frame.time_ns, wire_length=wire) for frame in FRAMES]
        for data in (writer.pcap(frames), writer.pcapng(frames)):
            trace = read(data)
            assert trace.column("frame_length").tolist() == trace.column("frame_captured").tolist()
            assert trace.column("payload_length").tolist() == [5, 6, 70, 0, 4]
    huge = writer.pcap([Frame(FRAMES[0].data, START, wire_length=2**32 - 1)])
    assert read(huge).column("frame_length").tolist() == [2**31 - 1]


def block(kind: int, length: int, body: bytes = b"", trailer: int | None = None) -> bytes:
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length if trailer is None else trailer)


LENGTHS = "a block whose two lengths agree and hold its contents"
GOOD_BODY = struct.pack("<IIIII", 0, 0, 0, 4, 4) + b"abcd"
BAD_BLOCKS = {
    "length 0": (block(6, 0), LENGTHS, "block type 0x6 with length 0"),
    "length 8": (block(6, 8), LENGTHS, "block type 0x6 with length 8"),
    "length 13": (block(0x99, 13, b"a"), LENGTHS, "block type 0x99 with length 13"),
    "length 14 of more": (block(0x99, 14, bytes(64)), LENGTHS, "block type 0x99 with length 14"),
    "lengths differ": (block(0x99, 16, b"abcd", 20), LENGTHS, "block type 0x99 with length 16, repeated as 20"),
    "short packet": (block(6, 28, bytes(16)), LENGTHS, "block type 0x6 with length 28"),
    "short old packet": (block(2, 28, bytes(16)), LENGTHS, "block type 0x2 with length 28"),
    "short simple packet": (block(3, 12), LENGTHS, "block type 0x3 with length 12"),
    "short interface": (block(1, 16, bytes(4)), LENGTHS, "block type 0x1 with length 16"),
    "captured more than there is": (
        block(6, 36, struct.pack("<IIIII", 0, 0, 0, 5, 5) + b"abcd"),
        LENGTHS,
        "block type 0x6 with length 36",
    ),
    "captured too much": (
        block(6, 36, struct.pack("<IIIII", 0, 0, 0, 2**32 - 1, 5) + b"abcd"),
        "a packet of at most 262144 captured bytes",
        "4294967295",
    ),
    "no such interface": (
        block(6, 36, struct.pack("<I", 2) + GOOD_BODY[4:]),
        "a packet of one of the section's 1 interfaces",
        "interface 2",
    ),
    "no such interface, old": (
        block(2, 36, struct.pack("<HH", 9, 0xFFFF) + GOOD_BODY[4:]),
        "a packet of one of the section's 1 interfaces",
        "interface 9",
    ),
    "longer than the file": (struct.pack("<II", 6, 4_000) + GOOD_BODY, "a block of 4000 bytes", "the last 32 bytes"),
    "longest of all": (struct.pack("<II", 6, 2**32 - 4), "a block of 4294967292 bytes", "the last 8 bytes"),
    "section of 24 bytes": (
        struct.pack("<IIIHHI", 0x0A0D0D0A, 24, 0x1A2B3C4D, 1, 0, 24),
        "a pcapng section header with the byte-order magic 1a2b3c4d and a length of 28 or more",
        "18 00 00 00 4d 3c 2b 1a",
    ),
    "section without byte order": (
        block(0x0A0D0D0A, 28, bytes(16)),
        "a pcapng section header with the byte-order magic 1a2b3c4d and a length of 28 or more",
        "1c 00 00 00 00 00 00 00",
    ),
    "version 2": (writer.section_header(major=2), "pcapng version 1", "version 2"),
}


@pytest.mark.parametrize("name", BAD_BLOCKS)
def test_block_that_cannot_be(name: str) -> None:
    bad, expected, found = BAD_BLOCKS[name]
    before = writer.section_header() + writer.interface(1) + writer.enhanced_packet(FRAMES[0])
    after = writer.enhanced_packet(FRAMES[0]) if not name.startswith("long") else b""
    trace, said = read_broken(before + bad + after)
    assert rows(trace, before) == rows(read(before), before)
    assert said == [f"(packet 2, offset {len(before)}): expected {expected}, found {found}; {NOTE.format(1)}"]


def test_packet_before_any_interface() -> None:
    frame = Frame(b"", START)
    for packet in (writer.enhanced_packet(frame), writer.old_packet(frame), writer.simple_packet(frame)):
        trace, said = read_broken(writer.section_header() + packet)
        assert len(trace) == 0
        assert said == [
            "(packet 1, offset 28): expected a packet of one of the section's 0 interfaces, found interface 0; "
            + NOTE.format(0)
        ]


def test_interfaces_are_numbered_anew_in_each_section() -> None:
    first = writer.pcapng([Frame(FRAMES[0].data, START, interface=1)], linktypes=[101, 1])
    second = writer.section_header("big") + writer.enhanced_packet(Frame(b"", START, interface=1), "big")
    trace, said = read_broken(first + second)
    assert len(trace) == 1
    assert "the section's 0 interfaces, found interface 1" in said[0]
    assert trace.source.format == "pcapng (little and big endian)"


@pytest.mark.parametrize(
    "options",
    [
        struct.pack("<HH", 9, 1),  # cut before its value
        struct.pack("<HHI", 9, 4, 9),  # of another length than the format has
        struct.pack("<HHI", 14, 4, 9),
        struct.pack("<HH", 9, 0xFFFF) + bytes(4),
        struct.pack("<HHHH", 0, 0, 9, 1) + b"\x09\0\0\0",  # behind the end of the options
        b"\x09\0",
    ],
)
def test_broken_options_of_an_interface_are_as_none(options: bytes) -> None:
    body = struct.pack("<HHI", 1, 0, 0) + options
    data = writer.section_header() + writer.block(1, body) + writer.enhanced_packet(FRAMES[0])
    assert read(data).column("time").tolist() == [START]


SMALL = {
    "a text": (b"hello, world\n", "a file that starts with the text 'hello, world'"),
    "a short text": (b"hi", "a file that starts with the text 'hi'"),
    "binary": (b"PK\x03\x04abc", "a file that starts with 50 4b 03 04"),
    "one byte": (b"\xa1", "a file that starts with a1"),
    "cut magic": (b"\xd4\xc3\xb2", "a file that starts with d4 c3 b2"),
    "zeros": (bytes(100), "a file that starts with 00 00 00 00"),
}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("strict", [False, True])
def test_what_is_no_capture(name: str, strict: bool, tmp_path: Path) -> None:
    data, found = SMALL[name]
    path = tmp_path / "some.pcap"
    path.write_bytes(data)
    with pytest.raises(toolkit.CaptureError) as caught:
        toolkit.read(path, strict=strict)
    assert str(caught.value) == f"{path} (offset 0): expected a pcap or pcapng capture, found {found}"
    error = caught.value
    assert (error.path, error.offset, error.packet, error.found) == (str(path), 0, None, found)
