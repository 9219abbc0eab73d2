"""Open a capture: what kind of file it is, by its first bytes; its bytes are left in the file, or decompressed."""

from __future__ import annotations

import bz2
import lzma
import os
import re
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import zstandard

from toolkit.capture.framing import ENOUGH, starts_capture
from toolkit.errors import CaptureError, CaptureWarning
from toolkit.storage import Bytes, CaptureFile, Version

Missing = Literal["", "limit", "damage"]
Progress = Callable[[int, int], None]
"""Called now and then with the bytes done and the bytes in all."""

FLOOR = 1 << 30
RATIO = 200
CEILING = 64 << 30
"""What a compressed capture may grow to unless told otherwise: 200 times its size, at least 1 GiB, at most 64 GiB."""

_RAISE = "; if you trust the file, give more: `max_decompressed` of `read`, --max-decompressed on the command line"
_SLICE = 1 << 18  # most bytes looked at at a time
_MOST = 1 << 20  # bytes that a slice may give at once where that can be told; bzip2 can make a megabyte of one byte
_TELL = 1 << 18  # compressed bytes between two reports of progress


class _Decompressor(Protocol):
    """What the decompressors of zlib, bz2, lzma and zstandard have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


@dataclass(frozen=True)
class _Compression:
    name: str
    magic: re.Pattern[bytes]
    start: Callable[[], _Decompressor]
    slice_size: int  # compressed bytes fed at a time: of one byte zstd can make 32 KiB, xz 7, gzip 1


def _zstd() -> _Decompressor:
    return zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()  # the most that `zstd --long` writes


_COMPRESSIONS = (
    _Compression("gzip", re.compile(rb"\x1f\x8b"), lambda: zlib.decompressobj(wbits=31), 1 << 14),
    # also a frame to be skipped: pzstd starts with one, seekable files end with one
    _Compression("zstd", re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"), _zstd, 1 << 10),
    _Compression("xz", re.compile(rb"\xfd7zXZ\x00"), lzma.LZMADecompressor, 1 << 12),
    _Compression("bzip2", re.compile(rb"BZh[1-9]"), bz2.BZ2Decompressor, 1 << 14),
)
_BROKEN = (zlib.error, lzma.LZMAError, zstandard.ZstdError, OSError, EOFError, ValueError)  # what the four raise


@dataclass(frozen=True)
class RawCapture:
    """The bytes of a capture, decompressed where they were compressed.

    Attributes
    ----------
    path
        As given.
    data
        The file, or what was decompressed, read-only.
    compression
        ``"gzip"``, ``"zstd"``, ``"xz"``, ``"bzip2"`` or ``""``.
    size
        Bytes on the disk.
    version
        Which file was read, and when it was last written to.
    problem
        Why the compressed stream was not read to its end, or None.
    missing
        Why bytes are missing at the end of `data`: ``"limit"`` if more than was allowed was to come, ``"damage"`` if
        the compressed stream is cut or broken.
    """

    path: str
    data: Bytes | CaptureFile
    compression: str
    size: int
    version: Version
    problem: CaptureWarning | None
    missing: Missing = ""


def open_capture(
    path: str | os.PathLike[str], progress: Progress | None = None, max_decompressed: int | None = None
) -> RawCapture:
    """Open a file, and decompress it if it is compressed: at most to `max_decompressed` bytes.

    Raises
    ------
    CaptureError
        If there is no such file, it may not be read, it is not a regular file or it is empty.
    """
    name = os.fspath(path)
    if not isinstance(name, str):
        raise TypeError(f"`path` must be a str or a path, got {type(path).__name__}")
    if max_decompressed is not None and (isinstance(max_decompressed, bool) or not isinstance(max_decompressed, int)):
        raise TypeError(f"`max_decompressed` must be a number of bytes, got {max_decompressed!r}")
    if max_decompressed is not None and max_decompressed < 1:
        raise ValueError(f"`max_decompressed` must be at least 1 byte, got {max_decompressed}")
    file = _open(name)
    head = file.read(0, 6)
    for compression in _COMPRESSIONS:
        if compression.magic.match(head):
            limit = max_decompressed or min(max(RATIO * len(file), FLOOR), CEILING)
            try:
                data, problem, missing = _decompress(file, compression, limit, progress)
                file.check()
            finally:
                file.close()
            return RawCapture(name, data, compression.name, len(file), file.version, problem, missing)
    return RawCapture(name, file, "", len(file), file.version, None)


def _open(name: str) -> CaptureFile:
    expected = "a capture file"
    try:
        _check_kind(name, os.stat(name))  # before opening: that can do something to a device
        raw = open(name, "rb", buffering=0, opener=_at_once)  # noqa: SIM115 - the CaptureFile closes it
        file = CaptureFile(name, raw)
        _check_kind(name, os.fstat(raw.fileno()))
    except FileNotFoundError:
        raise CaptureError(name, expected, "no such file") from None
    except PermissionError:
        raise CaptureError(name, expected, "a file that may not be read (permission denied)") from None
    except OSError as error:
        raise CaptureError(name, expected, f"{error.strerror or error}") from error
    return file


def _at_once(path: str, flags: int) -> int:
    """Open a file, not waiting for the writer of a named pipe should one be there by now."""
    return os.open(path, flags | os.O_NONBLOCK)


_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def _check_kind(name: str, status: os.stat_result) -> None:
    found, note = "", ""
    if not stat.S_ISREG(status.st_mode):
        found = _KINDS.get(stat.S_IFMT(status.st_mode), "something that is not a regular file")
        if stat.S_ISFIFO(status.st_mode):
            note = "what comes out of it cannot be read again: write it to a file first"
    elif status.st_size == 0:
        found = "an empty file"
    if found:
        raise CaptureError(name, "a capture file", found, note=note)


def _decompress(
    packed: CaptureFile, compression: _Compression, limit: int, progress: Progress | None
) -> tuple[Bytes, CaptureWarning | None, Missing]:
    """Decompress every member of a stream; of a broken one, all that comes before the broken place.

    Nothing more is decompressed once the limit is reached, or it is clear that no capture comes out.
    """
    out = bytearray()
    problem = None
    missing: Missing = ""

    def note(expected: str, found: str, offset: int, more: str = "") -> CaptureWarning:
        return CaptureWarning(packed.path, expected, found, offset, note=f"what comes before it is kept{more}")

    stream = compression.start()
    slice_size = min(_SLICE, compression.slice_size)
    member = position = 0  # where the present member starts, and the next slice
    told = -_TELL  # what was reported
    block, block_at = b"", 0
    known = False  # that it is a capture
    total = len(packed)
    while position < total:
        if not block_at <= position < block_at + len(block):
            block, block_at = packed.read(position, _SLICE), position
        piece = block[position - block_at : position - block_at + slice_size]
        before = len(out)
        try:
            for part in _feed(stream, piece):
                out += part
                if len(out) > limit:
                    break
        except _BROKEN as error:
            good, offset = _salvage(compression, packed, member, position, limit - before)
            out[before:] = good
            if len(out) <= limit:
                problem, missing = note(f"{compression.name} data", str(error), offset), "damage"
                break
        if len(out) > limit:
            del out[limit:]
            expected = f"at most {limit} bytes of decompressed data (`max_decompressed`)"
            problem, missing = note(expected, "more", position, _RAISE), "limit"
            break
        if not known and len(out) >= ENOUGH:
            known = starts_capture(out[:ENOUGH])
            if not known:
                break
        position += len(piece)
        if stream.eof:
            member = position = _skip_zeros(packed, position - len(stream.unused_data))
            if position < total and not compression.magic.match(packed.read(position, 6)):
                found = f"{total - position} other bytes after the end of the compressed stream"
                problem = note(f"the end of the {compression.name} file", found, position)
                break
            stream = compression.start()
        if progress is not None and position >= told + _TELL:
            told = min(position, total)
            progress(told, total)
    else:
        if member < total:  # the last member never reached its end
            problem, missing = note(f"more {compression.name} data", "the end of the file", total), "damage"
    data = np.frombuffer(out, dtype=np.uint8)
    data.flags.writeable = False
    return data, problem, missing


def _feed(stream: _Decompressor, piece: bytes) -> Iterable[bytes]:
    """Give what a slice holds, in parts that are not large."""
    return _parts(stream, piece) if isinstance(stream, bz2.BZ2Decompressor) else (stream.decompress(piece),)


def _parts(stream: bz2.BZ2Decompressor, piece: bytes) -> Iterator[bytes]:
    yield stream.decompress(piece, _MOST)
    while not (stream.eof or stream.needs_input):
        yield stream.decompress(b"", _MOST)


def _skip_zeros(packed: CaptureFile, position: int) -> int:
    """Give the place of the next byte that is not 0: zeros are padding, as tapes and some tools leave it."""
    while position < len(packed):
        piece = np.frombuffer(packed.read(position, _SLICE), np.uint8) != 0
        if piece.any():
            return position + int(piece.argmax())
        position += len(piece)
    return position


def _salvage(compression: _Compression, packed: CaptureFile, member: int, bad: int, room: int) -> tuple[bytearray, int]:
    """Get what the slice at `bad` yields before its first bad byte (or a little over `room`), and where that byte is.

    A decompressor that raises gives nothing of the slice it was fed. So we go through the member again, whole slices
    up to the bad one, and that one byte by byte.
    """
    stream = compression.start()
    slice_size = min(_SLICE, compression.slice_size)
    for position in range(member, bad, slice_size):
        for _ in _feed(stream, packed.read(position, min(slice_size, bad - position))):
            pass
    out = bytearray()
    stop = min(bad + slice_size, len(packed))
    for position in range(bad, stop):
        try:
            for part in _feed(stream, packed.read(position, 1)):
                out += part
                if len(out) > room:
                    return out, position
        except _BROKEN:
            return out, position
        if stream.eof:  # zstd takes some streams byte by byte that it does not take at once
            return out, position + 1
    return out, stop
