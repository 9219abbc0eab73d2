"""Open a capture: what kind of file it is, by its first bytes, and its bytes as one read-only buffer."""

from __future__ import annotations

import bz2
import lzma
import mmap
import os
import stat
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import zstandard

from toolkit.errors import CaptureError

Progress = Callable[[int, int], None]
"""Called now and then with the bytes done and the bytes in all."""

Bytes = npt.NDArray[np.uint8]

_SLICE = 1 << 20  # compressed bytes fed at a time


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
    magic: bytes
    start: Callable[[], _Decompressor]


def _zstd() -> _Decompressor:
    return zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()  # the most that `zstd --long` writes


_COMPRESSIONS = (
    _Compression("gzip", b"\x1f\x8b", lambda: zlib.decompressobj(wbits=31)),
    _Compression("zstd", b"\x28\xb5\x2f\xfd", _zstd),
    _Compression("xz", b"\xfd7zXZ\x00", lzma.LZMADecompressor),
    _Compression("bzip2", b"BZh", bz2.BZ2Decompressor),
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
    problem
        Why the compressed stream could not be read to its end, or None.
    """

    path: str
    data: Bytes
    compression: str
    problem: CaptureError | None


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
        if head.startswith(compression.magic):
            data, problem = _decompress(name, mapped, compression, progress)
            return RawCapture(name, data, compression.name, problem)
    return RawCapture(name, mapped, "", None)


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
) -> tuple[Bytes, CaptureError | None]:
    """Decompress every member of a stream; of a broken one, all that comes before the broken place."""
    out = bytearray()
    problem = None
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
            problem = CaptureError(name, f"{compression.name} data", str(error), offset=member + offset)
            break
        position += len(piece)
        if stream.eof:
            position -= len(stream.unused_data)
            member = position
            if position < total and not packed[position : position + len(compression.magic)].tobytes().startswith(
                compression.magic
            ):
                if packed[position:].any():  # zeros are padding, as tapes and some tools leave it
                    found = f"{total - position} other bytes after the end of the compressed stream"
                    problem = CaptureError(name, f"the end of the {compression.name} file", found, offset=position)
                break
            stream = compression.start()
        if progress is not None:
            progress(min(position, total), total)
    else:
        if member < total:  # the last member never reached its end
            found = "the end of the file"
            problem = CaptureError(name, f"more {compression.name} data", found, offset=total)
    data = np.frombuffer(out, dtype=np.uint8)
    data.flags.writeable = False
    return data, problem


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
