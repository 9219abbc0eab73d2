"""Open a capture: what kind of file it is, by its first bytes, and its bytes as one read-only buffer."""

from __future__ import annotations

import bz2
import lzma
import mmap
import os
import re
import stat
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import zstandard

from toolkit.errors import CaptureError, CaptureWarning

Progress = Callable[[int, int], None]
"""Called now and then with the bytes done and the bytes in all."""

Bytes = npt.NDArray[np.uint8]

_SLICE = 1 << 18  # compressed bytes fed at a time


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


def _zstd() -> _Decompressor:
    return zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()  # the most that `zstd --long` writes


_COMPRESSIONS = (
    _Compression("gzip", re.compile(rb"\x1f\x8b"), lambda: zlib.decompressobj(wbits=31)),
    # also a frame to be skipped: pzstd starts with one, seekable files end with one
    _Compression("zstd", re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"), _zstd),
    _Compression("xz", re.compile(rb"\xfd7zXZ\x00"), lzma.LZMADecompressor),
    _Compression("bzip2", re.compile(rb"BZh[1-9]"), bz2.BZ2Decompressor),
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
        All bytes, read-only: the mapped file itself unless it was compressed.
    compression
        ``"gzip"``, ``"zstd"``, ``"xz"``, ``"bzip2"`` or ``""``.
    size
        Bytes on the disk.
    problem
        Why the compressed stream could not be read to its end, or None.
    """

    path: str
    data: Bytes
    compression: str
    size: int
    problem: CaptureWarning | None


def open_capture(path: str | os.PathLike[str], progress: Progress | None = None) -> RawCapture:
    """Map `path` into memory, or decompress it.

    Raises
    ------
    CaptureError
        If there is no such file, it may not be read, it is not a regular file or it is empty.
    """
    name = os.fspath(path)
    if not isinstance(name, str):
        raise TypeError(f"`path` must be a str or a path, got {type(path).__name__}")
    mapped = _map(name)
    head = bytes(mapped[:6])
    for compression in _COMPRESSIONS:
        if compression.magic.match(head):
            data, problem = _decompress(name, mapped, compression, progress)
            return RawCapture(name, data, compression.name, len(mapped), problem)
    return RawCapture(name, mapped, "", len(mapped), None)


def _map(name: str) -> Bytes:
    expected = "a capture file"
    try:
        status = os.stat(name)  # before opening: to open a named pipe would wait for its writer
        if stat.S_ISDIR(status.st_mode):
            raise CaptureError(name, expected, "a directory")
        if not stat.S_ISREG(status.st_mode):
            raise CaptureError(name, expected, "something that is not a regular file")
        if status.st_size == 0:
            raise CaptureError(name, expected, "an empty file")
        with open(name, "rb") as file:
            return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), dtype=np.uint8)
    except FileNotFoundError:
        raise CaptureError(name, expected, "no such file") from None
    except PermissionError:
        raise CaptureError(name, expected, "a file that may not be read (permission denied)") from None
    except OSError as error:
        raise CaptureError(name, expected, f"{error.strerror or error}") from error


def _decompress(
    name: str, packed: Bytes, compression: _Compression, progress: Progress | None
) -> tuple[Bytes, CaptureWarning | None]:
    """Decompress every member of a stream; of a broken one, all that comes before the broken place."""
    out = bytearray()
    problem = None

    def note(expected: str, found: str, offset: int) -> CaptureWarning:
        return CaptureWarning(name, expected, found, offset, note="what comes before it is kept")

    stream = compression.start()
    member = position = 0  # where the present member starts, and the next slice
    total = len(packed)
    while position < total:
        piece = packed[position : position + _SLICE].tobytes()
        try:
            out += stream.decompress(piece)
        except _BROKEN as error:
            good, offset = _salvage(compression, packed[member:], position - member)
            out += good
            problem = note(f"{compression.name} data", str(error), member + offset)
            break
        position += len(piece)
        if stream.eof:
            member = position = _skip_zeros(packed, position - len(stream.unused_data))
            if position < total and not compression.magic.match(packed[position : position + 6].tobytes()):
                found = f"{total - position} other bytes after the end of the compressed stream"
                problem = note(f"the end of the {compression.name} file", found, position)
                break
            stream = compression.start()
        if progress is not None:
            progress(min(position, total), total)
    else:
        if member < total:  # the last member never reached its end
            problem = note(f"more {compression.name} data", "the end of the file", total)
    data = np.frombuffer(out, dtype=np.uint8)
    data.flags.writeable = False
    return data, problem


def _skip_zeros(packed: Bytes, position: int) -> int:
    """Give the place of the next byte that is not 0: zeros are padding, as tapes and some tools leave it."""
    while position < len(packed) and packed[position] == 0:
        piece = packed[position : position + _SLICE] != 0
        position += int(piece.argmax()) if piece.any() else len(piece)
    return position


def _salvage(compression: _Compression, packed: Bytes, good: int) -> tuple[bytes, int]:
    """Get what the slice at `good` yields before its first bad byte, with the place of that byte.

    A decompressor that raises gives nothing of the slice it was fed. So we go through the member again, whole slices
    up to the bad one, and that one byte by byte.
    """
    stream: Any = compression.start()
    for position in range(0, good, _SLICE):
        stream.decompress(packed[position : min(position + _SLICE, good)].tobytes())
    out = bytearray()
    for position in range(good, min(good + _SLICE, len(packed))):
        try:
            out += stream.decompress(packed[position : position + 1].tobytes())
        except _BROKEN:
            return bytes(out), position
    return bytes(out), len(packed)
