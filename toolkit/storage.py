"""The bytes behind a trace: in memory, or in their file, which is read by ranges and never mapped.

A file that is mapped into memory kills the process (SIGBUS) if somebody shortens it: a notebook would be gone. Reading
a range gives an error that can be caught, and into a buffer that stays in the processor's cache it is as fast.
"""

from __future__ import annotations

import io
import os
import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from toolkit._jit import Int, kernel
from toolkit.errors import CaptureError

Bytes: TypeAlias = npt.NDArray[np.uint8]

_FIRST = 1 << 16  # bytes that a window takes at a new place
_MOST = 1 << 21  # bytes that it grows to while it goes on from where it was: few enough for the processor's cache


class Version(NamedTuple):
    """What tells whether a file is still the one that was read."""

    device: int
    inode: int
    size: int
    modified: int  # ns since 1970

    @classmethod
    def of(cls, file: io.FileIO) -> Version:
        """Look at an open file."""
        status = os.fstat(file.fileno())
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)

    def check(self, path: str, now: Version) -> None:
        """Raise `CaptureError` if it is another file now, or was written to."""
        if now == self:
            return
        if now.size != self.size:
            found = f"a file that has changed: it has {now.size} bytes now"
        elif (now.device, now.inode) != (self.device, self.inode):
            found = "another file of that name"
        else:
            found = "a file that was written to since"
        note = "read it again when nothing writes to it any more, or read a copy"
        raise CaptureError(path, f"the {self.size} bytes that were there when it was opened", found, note=note)


class CaptureFile:
    """The bytes of a file that stays open while something refers to this.

    It may be renamed, replaced or deleted meanwhile: what was opened is what is read. If it is written to, longer or
    shorter, reading raises `CaptureError`; so does a disk that fails.

    Attributes
    ----------
    path
        As given.
    version
        What was opened.
    close
        Closes the file before nothing refers to it any more.
    """

    def __init__(self, path: str, file: io.FileIO) -> None:
        self.path = path
        self.version = Version.of(file)
        self._absolute = os.path.abspath(path)
        self._file = file
        self.close = weakref.finalize(self, file.close)

    def __len__(self) -> int:
        return self.version.size

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the path, not the bytes."""
        return _open_again, (self.path, self._absolute, self.version)

    def __deepcopy__(self, memo: dict[int, Any]) -> CaptureFile:
        """Share the open file: nothing changes it."""
        return self

    def check(self) -> None:
        """Raise `CaptureError` if the file was written to since it was opened."""
        self.version.check(self.path, Version.of(self._file))

    def fill(self, buffer: Bytes, first: int) -> None:
        """Read as many bytes as `buffer` has, from byte `first` on."""
        done = 0
        while done < len(buffer):
            try:
                count = os.preadv(self._file.fileno(), [buffer[done:].data], first + done)
            except OSError as error:
                raise CaptureError(self.path, "a file that can be read", error.strerror or str(error), first) from error
            if count == 0:
                self.check()
                raise CaptureError(self.path, f"{len(buffer)} bytes", f"{done} bytes", first)
            done += count

    def read(self, first: int, size: int) -> bytes:
        """Give bytes; fewer at the end of the file."""
        size = min(size, len(self) - first)
        try:
            found = os.pread(self._file.fileno(), size, first)
        except OSError as error:
            raise CaptureError(self.path, "a file that can be read", error.strerror or str(error), first) from error
        if len(found) == size:
            return found
        buffer = np.empty(size, np.uint8)  # a very long range may come in parts
        self.fill(buffer, first)
        return buffer.tobytes()


def _open_again(path: str, absolute: str, version: Version) -> CaptureFile:
    try:
        file = open(absolute, "rb", buffering=0)  # noqa: SIM115 - the CaptureFile closes it
    except OSError as error:
        raise CaptureError(path, "the capture file of the trace", error.strerror or str(error)) from error
    again = CaptureFile(path, file)
    version.check(path, again.version)
    return again


class Window:
    """A stretch of bytes that is moved along a capture; what is in memory is one stretch, without a copy.

    Attributes
    ----------
    data
        The bytes, read-only; others after each `load`.
    base
        Where they start.
    """

    def __init__(self, source: Bytes | CaptureFile) -> None:
        self._source = source
        self._buffer = np.empty(0, np.uint8)
        self._step = 0
        self.base = 0
        self.data = source.view() if isinstance(source, np.ndarray) else self._buffer[:0]
        self.data.flags.writeable = False  # a kernel would be compiled once more for an array that can be written

    def load(self, first: int, least: int) -> None:
        """Have at least `least` bytes from `first` on."""
        if isinstance(self._source, np.ndarray):
            return
        follows = self.base <= first <= self.base + len(self.data) + _FIRST
        self._step = min(2 * self._step, _MOST) if follows and self._step else _FIRST
        size = min(max(self._step, least), len(self._source) - first)
        if size > len(self._buffer):
            self._buffer = np.empty(size, np.uint8)
        data = self._buffer[:size]
        self._source.fill(data, first)
        data.flags.writeable = False
        self.data, self.base = data, first


class Storage:
    """The bytes of one capture after the other, under one count of offsets."""

    def __init__(self, parts: Sequence[Bytes | CaptureFile]) -> None:
        self.parts = tuple(parts)
        self.bases = np.cumsum([0] + [len(part) for part in self.parts], dtype=np.int64)

    def part_of(self, offset: int) -> int:
        """Give the number of the part that holds a byte."""
        return int(np.searchsorted(self.bases, offset, side="right")) - 1

    def read(self, offset: int, skip: int, size: int) -> memoryview:
        """Give `size` bytes, read-only, `skip` behind the `offset` of their frame."""
        number = self.part_of(offset)
        part, first = self.parts[number], offset - int(self.bases[number]) + skip
        if isinstance(part, np.ndarray):
            return part.data[first : first + size]
        found = part.read(first, size)
        part.check()
        return memoryview(found)

    def check(self) -> None:
        """Raise `CaptureError` if a file was written to since it was opened."""
        for part in self.parts:
            if isinstance(part, CaptureFile):
                part.check()


class Pass:
    """One pass over the bytes of a `Storage`: the stretch at hand, moved to where it is wanted."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._number = -1
        self._window = Window(np.empty(0, np.uint8))

    @property
    def data(self) -> Bytes:
        """The stretch at hand."""
        return self._window.data

    @property
    def base(self) -> int:
        """Offset of its first byte."""
        return self._window.base + int(self._storage.bases[max(self._number, 0)])

    def load(self, offset: int, skip: int, size: int) -> None:
        """Move to `size` bytes that are `skip` behind the `offset` of their frame."""
        number = self._storage.part_of(offset)
        if number != self._number:
            self._number = number
            self._window = Window(self._storage.parts[number])
        first = offset - int(self._storage.bases[number]) + skip
        self._window.load(first, size)
        stop = self._window.base + len(self._window.data)
        if first + size > stop:  # never of what was read from a capture
            raise IndexError(f"bytes {first} to {first + size} are wanted of a capture of {stop}")

    def frames(self, offset: npt.NDArray[np.int64], captured: npt.NDArray[np.int32]) -> Bytes:
        """Give the frames at these offsets, one behind the other in the order asked for."""
        place = np.cumsum(captured, dtype=np.int64) - captured
        out = np.empty(int(captured.sum(dtype=np.int64)), np.uint8)
        order = np.argsort(offset, kind="stable")
        done = 0
        while True:
            done = _copy(self.data, self.base, offset, captured, order, done, place, out)
            if done == len(order):
                break
            self.load(int(offset[order[done]]), 0, int(captured[order[done]]))
        self._storage.check()
        out.flags.writeable = False
        return out


@kernel
def _copy(
    data: Bytes,
    base: Int,
    offset: npt.NDArray[np.int64],
    captured: npt.NDArray[np.int32],
    order: npt.NDArray[np.intp],
    done: Int,
    place: npt.NDArray[np.int64],
    out: Bytes,
) -> Int:
    """Go on after `done` frames until one is not in `data`; give how many are done then."""
    for i in range(done, len(order)):
        row = order[i]
        first, size = offset[row] - base, np.int64(captured[row])
        if size == 0:
            continue
        if first < 0 or first + size > len(data):
            return i
        out[place[row] : place[row] + size] = data[first : first + size]
    return len(order)
