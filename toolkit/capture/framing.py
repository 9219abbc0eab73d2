"""From the bytes of a capture to its frames: where each lies, how long it was on the wire, when it came.

pcap: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html, and the "modified" format of Alexey Kuznetzov
(magic ``a1b2cd34``), whose record headers are 24 bytes. pcapng:
https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-02.html.

Frames come in chunks, so that the caller can decode one while it is still in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from toolkit._jit import Int, kernel
from toolkit.errors import CaptureError, CaptureWarning
from toolkit.storage import Bytes, CaptureFile, Window

CHUNK = 16_384
"""Frames handed over at a time."""

LONGEST = 262_144
"""No frame is longer: a record that claims more is not a record (the limit of libpcap and of Wireshark)."""

FULL, END, CUT, TOO_LONG, BAD_BLOCK, SECTION, INTERFACE, NO_INTERFACE = range(8)
"""Why a kernel came back: the chunk is full, the data is at its end, or what it met."""


class Frames(NamedTuple):
    """Columns of one chunk of frames."""

    offset: npt.NDArray[np.int64]  # of the first byte of the frame
    captured: npt.NDArray[np.int32]  # bytes in the file
    length: npt.NDArray[np.int32]  # bytes on the wire
    time: npt.NDArray[np.int64]  # ns since 1970
    link: npt.NDArray[np.int32]  # link type, `NO_LINK` for a block without a packet

    @classmethod
    def empty(cls) -> Frames:
        """Make room for one chunk."""
        narrow = [np.empty(CHUNK, np.int32) for _ in range(3)]
        return cls(np.empty(CHUNK, np.int64), narrow[0], narrow[1], np.empty(CHUNK, np.int64), narrow[2])


class Interfaces(NamedTuple):
    """The interfaces of a pcapng section, as the kernel wants them."""

    link: npt.NDArray[np.int32]
    snap: npt.NDArray[np.int64]  # no limit: 0
    power: npt.NDArray[np.int64]  # units of time in a second: 10^power, or 2^-power where negative
    offset: npt.NDArray[np.int64]  # seconds to add


@dataclass
class Framing:
    """What is learned about a capture while its frames are read.

    Attributes
    ----------
    format
        ``"pcap"`` or ``"pcapng"``, with byte order and resolution.
    snap_length
        The largest of the file's interfaces, 0 for none stated.
    position
        Bytes read so far.
    frames
        Frames read so far.
    problems
        What was not as it should be, in order.
    """

    path: str
    format: str = ""
    snap_length: int = 0
    position: int = 0
    frames: int = 0
    untimed: int = 0
    problems: list[CaptureWarning] = field(default_factory=list)

    def stop(self, expected: str, found: str) -> None:
        """Note why no more can be read."""
        note = f"the {self.frames} frames before it are kept"
        problem = CaptureWarning(self.path, expected, found, self.position, self.frames + 1, note)
        self.problems.append(problem)


_PCAP_MAGICS = {0xA1B2C3D4: (1_000, 16, "µs"), 0xA1B23C4D: (1, 16, "ns"), 0xA1B2CD34: (1_000, 24, "µs, modified")}
_SECTION_BLOCK = 0x0A0D0D0A
_EVENT_BLOCKS = (9, 0x0BAD, 0x4000_0BAD, 0x204, 0x216, 0x221)
"""Blocks that Wireshark numbers like packets, though they hold none: systemd journal, custom, sysdig."""
NO_LINK = -1
"""Link type of what has a frame number and is no packet."""
_BYTE_ORDER = 0x1A2B3C4D


ENOUGH = 12
"""Bytes by which it is told whether a capture starts with them, and that are shown if none does."""


def starts_capture(start: bytes | bytearray) -> bool:
    """Tell whether a file that starts with these bytes may be a pcap or pcapng capture."""
    both = [int.from_bytes(start[:4], order) for order in ("little", "big")]
    return both[0] == _SECTION_BLOCK or any(magic in _PCAP_MAGICS for magic in both)


def read_frames(path: str, source: Bytes | CaptureFile, framing: Framing) -> Iterator[tuple[Window, Frames, int]]:
    """Give the frames of a capture in chunks of at most `CHUNK`, with how many there are in each.

    They lie in the window, and their offsets are in its data. Window and arrays are the same ones each time. `framing`
    is kept up to date.

    Raises
    ------
    CaptureError
        If it is no capture, or its file header is cut.
    """
    window = Window(source)
    window.load(0, 24)
    data = window.data
    magic = int.from_bytes(data[:4].tobytes(), "little")
    swapped = int.from_bytes(data[:4].tobytes(), "big")
    if magic == _SECTION_BLOCK and len(data) >= 4:
        return _read_pcapng(path, window, len(source), framing)
    for value, big in ((magic, False), (swapped, True)):
        if value in _PCAP_MAGICS:
            if len(data) < 24:
                raise CaptureError(path, "a pcap file header of 24 bytes", f"{len(data)} bytes", 0)
            return _read_pcap(window, len(source), framing, *_PCAP_MAGICS[value], big)
    start = data[:4].tobytes()
    found = f"a file that starts with {start.hex(' ')}"
    if start and all(32 <= byte < 127 or byte in b"\t\r\n" for byte in start):
        found = f"a file that starts with the text {data[:12].tobytes().decode('ascii', 'replace')!r}"
    raise CaptureError(path, "a pcap or pcapng capture", found if start else "no data", 0)


def _read_pcap(
    window: Window, size: int, framing: Framing, unit: int, header: int, resolution: str, big: bool
) -> Iterator[tuple[Window, Frames, int]]:
    order = "big" if big else "little"
    framing.format = f"pcap ({order} endian, {resolution})"
    framing.snap_length = _u32(window.data, 16, big)
    link = _u32(window.data, 20, big) & 0xFFFF  # above: the length of the frame check sequence
    frames = Frames.empty()
    frames.link[:] = link
    framing.position = 24
    while True:
        place = framing.position - window.base
        count, place, status, _ = _hop_pcap(window.data, place, big, header, unit, frames)
        framing.position = window.base + place
        framing.frames += count
        if count:
            yield window, frames, count
        if status == FULL:
            continue
        left = size - framing.position
        if status == TOO_LONG:
            claimed = _u32(window.data, place + 8, big)
            return framing.stop(f"a record of at most {LONGEST} captured bytes", f"a record length of {claimed}")
        if left == 0:
            return None
        there = len(window.data) - place
        need = header + (_u32(window.data, place + 8, big) if there >= header else 0)
        if need > left:
            wanted = f"{need}" if there >= header else f"at least {header}"
            return framing.stop(f"a record of {wanted} bytes", f"the last {left} bytes")
        window.load(framing.position, need)


def _u16(data: Bytes, position: int, big: bool) -> int:
    return int.from_bytes(data[position : position + 2].tobytes(), "big" if big else "little")


def _u32(data: Bytes, position: int, big: bool) -> int:
    return int.from_bytes(data[position : position + 4].tobytes(), "big" if big else "little")


@kernel
def _word(data: Bytes, position: Int, big: bool) -> Int:
    """Read an unsigned 32-bit integer."""
    a, b, c, d = (
        np.int64(data[position]),
        np.int64(data[position + 1]),
        np.int64(data[position + 2]),
        np.int64(data[position + 3]),
    )
    if big:
        return (a << 24) | (b << 16) | (c << 8) | d
    return (d << 24) | (c << 16) | (b << 8) | a


_AHEAD = 131_072  # bytes fetched into the cache at a time: small enough for its second level
_LINE = 64  # bytes of a cache line


@kernel
def _fetch(data: Bytes, first: Int, stop: Int) -> Int:
    """Bring a range into the processor's cache, and give a sum so that the compiler does not leave it out.

    To follow the chain, each load must wait for the one before, about 100 ns each if it goes to memory. These loads
    do not wait for each other.
    """
    total = 0
    for i in range(first, stop, _LINE):
        total += data[i]
    return total


@kernel
def _hop_pcap(
    data: Bytes, position: Int, big: bool, header: Int, unit: Int, frames: Frames
) -> tuple[Int, Int, int, Int]:
    """Follow the chain of record headers until the chunk is full or the chain ends."""
    end = len(data)
    room = len(frames.offset)
    count = 0
    ahead = position
    fetched = 0
    while count < room:
        left = end - position
        if left < header:
            return count, position, END if left == 0 else CUT, fetched
        if position + header > ahead:
            ahead = min(position + _AHEAD, end)
            fetched += _fetch(data, position, ahead)
        captured = _word(data, position + 8, big)
        if captured > LONGEST:
            return count, position, TOO_LONG, fetched
        if captured > left - header:
            return count, position, CUT, fetched
        frames.time[count] = _word(data, position, big) * 1_000_000_000 + _word(data, position + 4, big) * unit
        frames.offset[count] = position + header
        frames.captured[count] = captured
        # some writers put 0, or less than they captured
        frames.length[count] = max(captured, min(_word(data, position + 12, big), 0x7FFFFFFF))
        position += header + captured
        count += 1
    return count, position, FULL, fetched


def _read_pcapng(path: str, window: Window, size: int, framing: Framing) -> Iterator[tuple[Window, Frames, int]]:
    frames = Frames.empty()
    big = False
    orders: list[str] = []
    interfaces = _Interfaces()
    while True:
        place = framing.position - window.base
        count, place, status, untimed, _ = _hop_pcapng(window.data, place, big, interfaces.table, frames)
        framing.position = window.base + place
        framing.frames += count
        framing.untimed += untimed
        framing.format = f"pcapng ({' and '.join(orders)} endian)"
        if count:
            yield window, frames, count
        if status == FULL:
            continue
        left = size - framing.position
        need = _pcapng_need(window.data[place:], left, big, status)
        if need > len(window.data) - place and need <= left:
            window.load(framing.position, need)
            continue
        block = window.data[place:]
        if status == SECTION:
            big = block[8:12].tobytes() == _BYTE_ORDER.to_bytes(4, "big")
            little = block[8:12].tobytes() == _BYTE_ORDER.to_bytes(4, "little")
            length = _u32(block, 4, big)
            if not (big or little) or length < 28 or length % 4 or length > left:
                expected = "a pcapng section header with the byte-order magic 1a2b3c4d and a length of 28 or more"
                start = block[4:12].tobytes().hex(" ") or "the end of the file"
                if framing.frames == 0 and not orders:
                    raise CaptureError(path, expected, start, framing.position)
                return framing.stop(expected, start)
            major = _u16(block, 12, big)
            if major != 1:
                expected, found = "pcapng version 1", f"version {major}"
                if framing.frames == 0 and not orders:
                    raise CaptureError(path, expected, found, framing.position)
                return framing.stop(expected, found)
            order = "big" if big else "little"
            if order not in orders:
                orders.append(order)
            interfaces = _Interfaces()  # they are numbered anew in each section
            framing.position += length
        elif status == INTERFACE:
            length = _u32(block, 4, big)
            snap = interfaces.add(block[8 : length - 4], big)
            framing.snap_length = max(framing.snap_length, snap)
            framing.position += length
        else:
            _explain_pcapng(block, left, framing, status, big, len(interfaces.table.link))
            return None


def _pcapng_need(block: Bytes, left: int, big: bool, status: int) -> int:
    """Give the bytes that must be at hand to go on with a block: all of it, of a section header the fixed part."""
    if status == END:
        return min(left, 1)
    if status == SECTION:
        return min(left, 28)
    if status != CUT:
        return 0
    return _u32(block, 4, big) if len(block) >= 8 else min(left, 8)


def _explain_pcapng(block: Bytes, left: int, framing: Framing, status: int, big: bool, interfaces: int) -> None:
    if status == CUT:
        wanted = f"a block of {_u32(block, 4, big)} bytes" if left >= 8 else "a block of at least 12 bytes"
        framing.stop(wanted, f"the last {left} bytes")
    elif status == BAD_BLOCK:
        length = _u32(block, 4, big)
        trailer = _u32(block, length - 4, big) if 12 <= length <= len(block) and length % 4 == 0 else None
        found = f"block type {_u32(block, 0, big):#x} with length {length}"
        found += f", repeated as {trailer}" if trailer not in (None, length) else ""
        framing.stop("a block whose two lengths agree and hold its contents", found)
    elif status == TOO_LONG:
        framing.stop(f"a packet of at most {LONGEST} captured bytes", f"{_u32(block, 20, big)}")
    elif status == NO_INTERFACE:
        kind = _u32(block, 0, big)
        number = 0 if kind == 3 else _u16(block, 8, big) if kind == 2 else _u32(block, 8, big)
        framing.stop(f"a packet of one of the section's {interfaces} interfaces", f"interface {number}")


class _Interfaces:
    """The interfaces of a section while they are found; a file may have a great many."""

    def __init__(self) -> None:
        self._room = Interfaces(np.empty(4, np.int32), *(np.empty(4, np.int64) for _ in range(3)))
        self._number = 0
        self.table = Interfaces._make(column[:0] for column in self._room)

    def add(self, body: Bytes, big: bool) -> int:
        """Enter the interface that a block describes, and give its snap length."""
        snap = _u32(body, 4, big)
        if self._number == len(self._room.link):
            self._room = Interfaces._make(np.concatenate([column, column]) for column in self._room)
        values = (_u16(body, 0, big), snap, *_time_options(body, big))
        column: Any
        for column, value in zip(self._room, values, strict=True):
            column[self._number] = value
        self._number += 1
        self.table = Interfaces._make(column[: self._number] for column in self._room)
        return snap


@kernel
def _time_options(body: Bytes, big: bool) -> tuple[Int, Int]:
    """Find time resolution (power) and time offset among the options of an interface."""
    power: Int = 6
    offset: Int = 0
    position: Int = 8
    while position + 4 <= len(body):
        word = _word(body, position, big)
        code, length = (word >> 16, word & 0xFFFF) if big else (word & 0xFFFF, word >> 16)
        value = position + 4
        if code == 0 or value + length > len(body):
            break
        if code == 9 and length == 1:  # if_tsresol: the top bit says whether the power is of 2 or of 10
            power = np.int64(body[value] & 0x7F)
            if body[value] & 0x80:
                power = -power
        elif code == 14 and length == 8:  # if_tsoffset
            first, second = _word(body, value, big), _word(body, value + 4, big)
            offset = (first << 32) | second if big else (second << 32) | first
        position = value + length + (-length % 4)
    return power, offset


@kernel
def _nanoseconds(high: Int, low: Int, power: Int, offset: Int) -> Int:
    """Turn a pcapng time stamp (two 32-bit halves) into whole nanoseconds, rounded down, kept within int64."""
    latest = np.uint64(0x7FFFFFFFFFFFFFFF)
    stamp = (np.uint64(high) << np.uint64(32)) | np.uint64(low)
    if power < 0:  # units of 2^-k seconds
        k = -power
        if k >= 64:
            seconds, fraction = np.uint64(0), stamp
        else:
            seconds = stamp >> np.uint64(k)
            fraction = stamp & ((np.uint64(1) << np.uint64(k)) - np.uint64(1))
        # fraction * 10^9 / 2^k in two halves, since the product has up to 94 bits
        upper = (fraction >> np.uint64(32)) * np.uint64(1_000_000_000)
        lower = (fraction & np.uint64(0xFFFFFFFF)) * np.uint64(1_000_000_000)
        if k <= 32:
            rest = lower >> np.uint64(k)
        elif k - 32 < 64:
            rest = (upper + (lower >> np.uint64(32))) >> np.uint64(k - 32)
        else:
            rest = np.uint64(0)
    else:
        unit = np.uint64(1)
        for _ in range(min(power, 19)):
            unit *= np.uint64(10)
        seconds, fraction = stamp // unit, stamp % unit
        if power > 19:  # finer than any stamp of 64 bits can fill
            seconds, fraction = np.uint64(0), stamp
            for _ in range(min(power, 40) - 19):
                fraction //= np.uint64(10)
        if power <= 9:
            rest = fraction
            for _ in range(9 - power):
                rest *= np.uint64(10)
        else:
            rest = fraction
            for _ in range(min(power, 19) - 9):
                rest //= np.uint64(10)
    if seconds > np.uint64(0x3FFFFFFFFFFFFFFF):
        return np.int64(latest)
    whole = np.int64(seconds) + max(min(offset, 1 << 62), -(1 << 62))
    if whole > 9_223_372_035:
        return np.int64(latest)
    if whole < -9_223_372_035:
        return -np.int64(latest)
    return whole * 1_000_000_000 + np.int64(rest)


@kernel
def _hop_pcapng(
    data: Bytes, position: Int, big: bool, interfaces: Interfaces, frames: Frames
) -> tuple[Int, Int, int, int, Int]:
    """Follow the chain of blocks; come back for a section header or an interface, which are parsed outside."""
    end = len(data)
    room = len(frames.offset)
    count = untimed = fetched = 0
    ahead = position
    while count < room:
        left = end - position
        if left == 0:
            return count, position, END, untimed, fetched
        if position + 8 > ahead:
            ahead = min(position + _AHEAD, end)
            fetched += _fetch(data, position, ahead)
        if left < 4:
            return count, position, CUT, untimed, fetched
        kind = _word(data, position, big)
        if kind == _SECTION_BLOCK:  # the same in both byte orders
            return count, position, SECTION, untimed, fetched
        if left < 8:
            return count, position, CUT, untimed, fetched
        length = _word(data, position + 4, big)
        if length < 12 or length % 4 != 0:
            return count, position, BAD_BLOCK, untimed, fetched
        if length > left:
            return count, position, CUT, untimed, fetched
        if _word(data, position + length - 4, big) != length:
            return count, position, BAD_BLOCK, untimed, fetched
        if kind == 1:
            if length < 20:
                return count, position, BAD_BLOCK, untimed, fetched
            return count, position, INTERFACE, untimed, fetched
        if kind == 6 or kind == 2:  # enhanced packet; its predecessor differs in the interface number
            if length < 32:
                return count, position, BAD_BLOCK, untimed, fetched
            number = _word(data, position + 8, big)
            if kind == 2:
                number = (number >> 16) if big else (number & 0xFFFF)
            captured = _word(data, position + 20, big)
            wire = _word(data, position + 24, big)
            body = position + 28
            if captured > LONGEST:
                return count, position, TOO_LONG, untimed, fetched
            if captured > length - 32:
                return count, position, BAD_BLOCK, untimed, fetched
            if number >= len(interfaces.link):
                return count, position, NO_INTERFACE, untimed, fetched
            frames.time[count] = _nanoseconds(
                _word(data, position + 12, big),
                _word(data, position + 16, big),
                interfaces.power[number],
                interfaces.offset[number],
            )
        elif kind == 3:  # simple packet: of the first interface, without a time
            if length < 16:
                return count, position, BAD_BLOCK, untimed, fetched
            number = 0
            if len(interfaces.link) == 0:
                return count, position, NO_INTERFACE, untimed, fetched
            wire = _word(data, position + 8, big)
            body = position + 12
            captured = min(wire, length - 16)
            if interfaces.snap[0] > 0:
                captured = min(captured, interfaces.snap[0])
            if captured > LONGEST:
                return count, position, TOO_LONG, untimed, fetched
            frames.time[count] = 0
            untimed += 1
        elif kind in _EVENT_BLOCKS:
            number = -1
            body = position
            captured = wire = 0
            frames.time[count] = 0
        else:
            position += length
            continue
        frames.offset[count] = body
        frames.captured[count] = captured
        frames.length[count] = max(captured, min(wire, 0x7FFFFFFF))
        frames.link[count] = interfaces.link[number] if number >= 0 else NO_LINK
        position += length
        count += 1
    return count, position, FULL, untimed, fetched
