"""What a fuzzer needs: inputs to begin with, changes that keep a capture a capture, and what must hold of any input."""

from __future__ import annotations

import bz2
import faulthandler
import gzip
import lzma
import random
import re
import resource
import struct
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import writer
import zstandard
from capturing import is_invariant
from corpus import captures, change, some_changes
from writer import Frame

import toolkit
from toolkit import storage
from toolkit.capture import sources
from toolkit.capture.decode import LINK_TYPES
from toolkit.trace import Trace

FOUND = Path(__file__).with_name("fuzz_inputs.zip")
"""Inputs that reach code which those made by `corpus.captures` do not: found by a long run, made few by libFuzzer."""

SECONDS = 10
"""For one input."""

MOST_WARNINGS = 12
LARGEST_OUTPUT = 1 << 22  # decompressed
LARGEST_GROWTH = 200 << 20  # bytes of memory more than before, for an input of a few kilobytes

Bytes = bytes
Mutate = Callable[[bytes, random.Random], bytes]


def seeds() -> list[bytes]:
    """Every file format, compression and link type, and what was found before."""
    made = list(captures())
    if FOUND.is_file():
        with zipfile.ZipFile(FOUND) as archive:
            made += [archive.read(name) for name in archive.namelist()]
    return made


# What must hold


@dataclass
class Examiner:
    """Read inputs one after the other, each by way of a file, and see that nothing breaks.

    Attributes
    ----------
    inputs, traces, packets
        How many inputs were read, of how many a trace came, with how many packets in all.
    slow
        Whether the kernels run as Python, so that only few packets are looked at closely.
    growth
        How many bytes of memory one input may take more than those before.
    """

    folder: Path
    slow: bool = False
    growth: int = LARGEST_GROWTH
    inputs: int = 0
    traces: int = 0
    packets: int = 0
    slowest: float = 0.0
    peak: int = field(default_factory=lambda: peak_memory())

    def __call__(self, data: bytes, *, timed: bool = True) -> Trace | None:
        """Read an input in two ways, which must agree."""
        path = self.folder / "input"
        path.write_bytes(data)
        self.inputs += 1
        if timed:
            faulthandler.dump_traceback_later(SECONDS, exit=True)  # also ends a kernel that hangs
        try:
            trace = self._look(path)
            with steps(zlib.crc32(data)):
                again = self._look(path)
        finally:
            faulthandler.cancel_dump_traceback_later()
        broken_zstd = any(
            "zstd" in problem for one in (trace, again) if one is not None for problem in one.source.problems
        )
        assert (trace is None) == (again is None) or broken_zstd
        if trace is not None and again is not None:
            assert same(trace, again)
            self.traces += 1
            self.packets += len(trace)
        before, self.peak = self.peak, max(self.peak, peak_memory())
        assert self.peak - before < self.growth + 20 * len(data), f"{self.peak - before} bytes more memory"
        return trace

    def _look(self, path: Path) -> Trace | None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if self.slow:  # numbers that wrap around, as they are meant to in compiled kernels
                warnings.simplefilter("ignore", RuntimeWarning)
            try:
                trace = toolkit.read(path, max_decompressed=LARGEST_OUTPUT)
            except toolkit.CaptureError as error:
                self._check_text(error)
                return None
        assert len(caught) <= MOST_WARNINGS
        for warning in caught:
            assert warning.category is toolkit.CaptureWarning, warning
            self._check_text(warning.message)
        assert len(trace.source.problems) + (trace.source.zero_payloads > 0) == len(caught)
        with warnings.catch_warnings():
            if self.slow:
                warnings.simplefilter("ignore", RuntimeWarning)
            self._use(trace[:100] if self.slow else trace, trace)
        return trace

    def _use(self, part: Trace, trace: Trace) -> None:
        if len(trace) < 1_000:
            is_invariant(trace)
        part.health()
        entropy = toolkit.payload_entropy(part)
        assert ((entropy >= 0) & (entropy <= 8)).all()
        assert len(part.packets) == len(part)
        for keep in (False, True):
            public = toolkit.anonymise(part, key=bytes(32), keep_payload=keep)
            assert np.array_equal(public.column("frame_captured"), part.column("frame_captured"))

    def _check_text(self, error: object) -> None:
        text = str(error)
        assert "\n" not in text
        assert len(text) < 1_000


def same(one: Trace, other: Trace) -> bool:
    """Tell whether two traces have the same packets, hosts and warnings."""
    if any("zstd" in problem for trace in (one, other) for problem in trace.source.problems):
        return True  # what of a broken stream it takes goes by the bytes that it was fed at a time
    return (
        all(np.array_equal(a, b) for a, b in zip(one.columns, other.columns, strict=True))
        and one.hosts == other.hosts
        and described(one) == described(other)
        and all(one.payload(i) == other.payload(i) for i in range(min(len(one), 100)))
    )


def described(trace: Trace) -> str:
    """Give the source as text, without the words of a decompressor, which go by the bytes that it was fed at a time."""
    return re.sub(r"(expected \w+ data, found ).+?(; what comes before it is kept)", r"\1\2", repr(trace.source))


@contextmanager
def steps(seed: int) -> Iterator[None]:
    """Read in small steps, so that small inputs have all the seams of large ones."""
    draw = random.Random(seed)
    before = storage._FIRST, storage._MOST, sources._SLICE
    storage._FIRST = draw.choice([1, 7, 40, 300])
    storage._MOST = draw.choice([1, 64, 4_000])
    sources._SLICE = draw.choice([1, 9, 200])
    try:
        yield
    finally:
        storage._FIRST, storage._MOST, sources._SLICE = before


def peak_memory() -> int:
    """Give the most bytes that this process had in memory."""
    status = Path("/proc/self/status")
    if status.is_file():  # what the system counts otherwise includes the process that started this one
        return 1024 * int(status.read_text().partition("VmHWM:")[2].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


# Changes


COMPRESSIONS: dict[bytes, tuple[str, Callable[[bytes], Any]]] = {
    b"\x1f\x8b": ("gzip", lambda data: zlib.decompressobj(wbits=31).decompress(data, LARGEST_OUTPUT)),
    b"\x28\xb5": ("zstd", lambda data: zstandard.ZstdDecompressor().stream_reader(data).read(LARGEST_OUTPUT)),
    b"\xfd7": ("xz", lambda data: lzma.LZMADecompressor().decompress(data, LARGEST_OUTPUT)),
    b"BZ": ("bz2", lambda data: bz2.BZ2Decompressor().decompress(data, LARGEST_OUTPUT)),
}
_UNREADABLE = (zlib.error, lzma.LZMAError, zstandard.ZstdError, OSError, EOFError, ValueError)


def unpack(data: bytes) -> tuple[bytes, str]:
    """Take away a compression, if there is one that is whole enough."""
    if data[:2] in COMPRESSIONS:
        name, decompress = COMPRESSIONS[data[:2]]
        try:
            return decompress(data), name
        except _UNREADABLE:
            pass
    return data, "none"


def pack(data: bytes, how: str, draw: random.Random) -> bytes:
    """Compress quickly, now and then into two members with something between them."""
    pieces = [data]
    if how != "none" and draw.random() < 0.2:
        cut = draw.randrange(len(data) + 1)
        pieces = [data[:cut], draw.choice([b"", b"\0\0", b"x"]), data[cut:]]
    make: Callable[[bytes], bytes] = {
        "none": bytes,
        "gzip": lambda piece: gzip.compress(piece, 1),
        "zstd": zstandard.ZstdCompressor(level=1).compress,
        "xz": lambda piece: lzma.compress(piece, preset=0),
        "bz2": lambda piece: bz2.compress(piece, 1),
    }[how]
    return b"".join(piece if i == 1 else make(piece) for i, piece in enumerate(pieces))


def split(data: bytes) -> tuple[str, str, list[bytes]]:
    """Cut a capture into its file header and records or blocks; byte order and kind, which is "" for what is none."""
    for order, mark in (("little", "<"), ("big", ">")):
        magic = int.from_bytes(data[:4], order)  # type: ignore[arg-type]
        if magic in (0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34) and len(data) >= 24:
            header = 24 if magic == 0xA1B2CD34 else 16
            pieces, place = [data[:24]], 24
            while place + header <= len(data):
                size = header + struct.unpack_from(mark + "I", data, place + 8)[0]
                pieces.append(data[place : place + size])
                place += size
            return mark, "modified" if header == 24 else "pcap", [*pieces, data[place:]]
        if data[:4] == b"\n\r\r\n" and data[8:12] == struct.pack(mark + "I", 0x1A2B3C4D):
            pieces, place = [], 0
            while place + 12 <= len(data):
                size = max(struct.unpack_from(mark + "I", data, place + 4)[0], 12)
                pieces.append(data[place : place + size])
                place += size
            return mark, "pcapng", [*pieces, data[place:]]
    return "<", "", [data]


def with_content(piece: bytes, mark: str, kind: str, edit: Callable[[bytes], bytes]) -> bytes:
    """Change the frame in a record or a block, and make its lengths right again."""
    if kind == "pcapng":
        if len(piece) < 12:
            return edit(piece)
        fixed = 28 if piece[:4] in (b"\6\0\0\0", b"\0\0\0\6") else 12 if piece[:4] in (b"\3\0\0\0", b"\0\0\0\3") else 8
        body = edit(piece[fixed:-4])
        start, padding = piece[:fixed], bytes(-(fixed + len(body)) % 4)
        if fixed == 28:
            start = start[:20] + struct.pack(mark + "II", len(body), max(len(body), len(piece)))
        size = struct.pack(mark + "I", fixed + len(body) + len(padding) + 4)
        return start[:4] + size + start[8:] + body + padding + size
    header = 24 if kind == "modified" else 16
    body = edit(piece[header:])
    return piece[:8] + struct.pack(mark + "II", len(body), len(body)) + piece[16:header] + body


def mutate(data: bytes, draw: random.Random, edit: Callable[[bytes], bytes]) -> bytes:
    """Change an input: its bytes, or a frame in it, or the order and number of its records; or compress it anew."""
    if draw.random() < 0.1:
        return edit(data)
    plain, how = unpack(data)
    mark, kind, pieces = split(plain)
    action = draw.randrange(8)
    if not kind or action == 0:
        plain = edit(plain)
    else:
        which = draw.randrange(len(pieces))
        if action <= 3:
            pieces[which] = (
                with_content(pieces[which], mark, kind, edit) if which or kind == "pcapng" else edit(pieces[0])
            )
        elif action == 4:
            pieces.insert(draw.randrange(len(pieces) + 1), pieces[which])
        elif action == 5:
            del pieces[which]
        elif action == 6:
            other = draw.choice(split(draw.choice(captures()))[2])
            pieces.insert(draw.randrange(1, len(pieces) + 1), other)
        else:
            pieces = _relabel(pieces, mark, kind, draw)
        plain = b"".join(pieces)
    if draw.random() < 0.1:
        how = draw.choice(["none", "gzip", "zstd", "xz", "bz2"])
    return pack(plain, how, draw) if draw.random() < 0.9 else edit(pack(plain, how, draw))


def _relabel(pieces: list[bytes], mark: str, kind: str, draw: random.Random) -> list[bytes]:
    """Give another link type, most often one that is known."""
    link = draw.choice([*LINK_TYPES, draw.randrange(1 << 16)])
    if kind == "pcapng":
        return [*pieces[:1], writer.interface(link, "little" if mark == "<" else "big"), *pieces[1:]]
    return [pieces[0][:20] + struct.pack(mark + "I", link), *pieces[1:]]


def edit_with(draw: random.Random) -> Callable[[bytes], bytes]:
    """Change bytes as `corpus.change` does."""
    return lambda data: change(data, some_changes(draw))


def mutants(draw: random.Random) -> Iterator[bytes]:
    """Change inputs without end, each up to a few times."""
    given = seeds()
    while True:
        data = draw.choice(given)
        for _ in range(draw.choice([1, 1, 2, 3, 6])):
            data = mutate(data, draw, edit_with(draw))
        yield data[: 1 << 16]


def random_frames(draw: random.Random) -> bytes:
    """Make a capture of random frames of a random link type: what no change of a good one leads to."""
    frames = [
        Frame(draw.randbytes(draw.randrange(80)), draw.randrange(1 << 32) * 1_000) for _ in range(draw.randrange(5))
    ]
    return writer.pcap(frames, linktype=draw.choice(list(LINK_TYPES)))


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """Make a folder, in memory where the system has such."""
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
