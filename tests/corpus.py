"""Captures with bytes changed, cut out or put in: small ones of every file format and link type."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import writer
from capturing import ENDS, START, is_invariant, read, sent_tcp, sent_udp
from capturing import sent as sent_other
from writer import LINKS, Frame

import toolkit
from toolkit.trace import Trace

HELLO = b"\x16\x03\x01\x00\x10" + bytes(range(16))
Change = tuple[str, int, int]


@cache
def packets(version: int) -> list[bytes]:
    """One packet of each kind."""
    ends = {"ends": ENDS[version]}
    extensions = [writer.hop_by_hop(), writer.authentication(), writer.routing("2001:db8::5")]
    around: dict[str, Any] = {"extensions": extensions} if version == 6 else {"options": b"\x01" * 8}
    made = [
        sent_tcp(HELLO, checksum="right", **ends),
        sent_tcp(b"abc", tcp_options=b"\x01" * 12, checksum="partial", **around, **ends),
        sent_udp(b"question", checksum="partial", **ends),
        sent_udp(b"question", more=True, **around, **ends),
        sent_other(b"later", 17, fragment=1_480, **ends),
        sent_other(b"echo request", 1, **around, **ends),
    ]
    return [one.packet for one in made]


@cache
def frames(name: str) -> list[bytes]:
    """One frame of each kind for an entry of `LINKS`."""
    return [writer.link(name, packet) for version in writer.versions(name) for packet in packets(version)]


@cache
def captures() -> list[bytes]:
    """Small captures: one of each link type, each file format, each compression."""
    made = [writer.pcap([Frame(data, START) for data in frames(name)], linktype=LINKS[name][0]) for name in LINKS]
    few = [Frame(data, START + i) for i, data in enumerate(frames("ethernet")[:3])]
    for order in ("little", "big"):
        made.append(writer.pcap(few, byteorder=order, resolution="ns"))
        whole = [Frame(frame.data, START) for frame in few]
        made.append(writer.pcap(whole, byteorder=order, modified=True))
        two = [Frame(frame.data, START, interface=i % 2) for i, frame in enumerate(whole)]
        options: dict[str, Any] = {"byteorder": order, "interleaved": True}
        made.append(writer.pcapng(two, linktypes=[1, 113], tsresol=[9, 0x80 + 20], tsoffset=[-1, 5], **options))
        made.append(writer.pcapng(whole, block="old", **options) * 2)
        made.append(writer.pcapng(whole, block="simple", **options))
    made += [writer.compress(made[0], how) for how in ("gzip", "zstd", "xz", "bz2")]
    return made


INTERESTING = [0, 1, 4, 6, 0x0F, 0x10, 0x40, 0x45, 0x60, 0x7F, 0x80, 0xF0, 0xFE, 0xFF]
CHANGES: dict[str, Callable[[bytearray, int, int], None]] = {
    "set": lambda data, place, value: data.__setitem__(place, value),
    "flip": lambda data, place, value: data.__setitem__(place, data[place] ^ value),
    "cut": lambda data, place, value: data.__delitem__(slice(place, None)),
    "remove": lambda data, place, value: data.__delitem__(slice(place, place + value)),
    "insert": lambda data, place, value: data.__setitem__(slice(place, place), bytes([value]) * (value % 9)),
    "fill": lambda data, place, value: data.__setitem__(slice(place, place + 4), bytes([value]) * 4),
}


def change(data: bytes, changes: list[Change]) -> bytes:
    """Apply changes one after the other, each anywhere."""
    changed = bytearray(data)
    for kind, place, value in changes:
        if changed:
            CHANGES[kind](changed, place % len(changed), value)
    return bytes(changed)


def some_changes(draw: random.Random) -> list[Change]:
    kinds = list(CHANGES)
    return [
        (draw.choice(kinds), draw.randrange(1 << 16), draw.choice([draw.randrange(256), draw.choice(INTERESTING)]))
        for _ in range(draw.choice([1, 1, 2, 4]))
    ]


def changed_captures(count: int, seed: int) -> Iterator[bytes]:
    """Give captures with changes anywhere, and captures of one frame with changes in it.

    With one frame, whoever reads behind its end reads behind the end of the file.
    """
    draw = random.Random(seed)
    names = list(LINKS)
    for i in range(count):
        if i % 3 == 0:
            yield change(draw.choice(captures()), some_changes(draw))
        else:
            name = draw.choice(names)
            frame = change(draw.choice(frames(name)), some_changes(draw))
            yield writer.pcap([Frame(frame, START, wire_length=draw.choice([None, 1_514]))], linktype=LINKS[name][0])


def read_anything(data: bytes) -> Trace | None:
    """Read; None if it is no capture. Any other error, and any warning that is not ours, is raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", toolkit.CaptureWarning)
        try:
            trace = read(data)
        except toolkit.CaptureError as error:
            assert "\n" not in str(error)  # noqa: PT017
            return None
    is_invariant(trace)
    return trace
