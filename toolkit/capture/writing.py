"""From a `Trace` back to a capture file: pcap with nanoseconds, and pcapng.

pcap: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html; pcapng:
https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-02.html.

The rules, in one place:

- A frame is written as it was captured, to the byte, with its length on the wire and its time to the nanosecond.
- Only rows are written. Frames that gave none (without IP, of an unknown link type, with an IP header that is cut or
  cannot be) are not; fragments and packets with a broken transport header are rows, and are written.
- What stood around the frames (comments, names, interfaces, statistics, the computer's hardware and system) is not.
- pcap holds one link type, and times from 1970 to 2106. pcapng holds any mix and any time.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from toolkit._files import atomically
from toolkit._jit import Int, kernel
from toolkit.capture.beside import COMPRESSED, payload_table, table_path, write_payload_table
from toolkit.capture.decode import LINK_TYPES
from toolkit.capture.framing import CHUNK, LONGEST
from toolkit.columns import NO_FRAME, Columns
from toolkit.errors import ToolkitError
from toolkit.storage import Bytes, Pass
from toolkit.trace import Trace

Format: TypeAlias = Literal["pcap", "pcapng"]
Piece: TypeAlias = "tuple[Columns, Bytes]"
"""Some rows, and their frames, one behind the other."""

_SECOND = 1_000_000_000
_PIECE = 1 << 25  # bytes of frames written at a time
_RECORD = np.dtype([("seconds", "<u4"), ("nanoseconds", "<u4"), ("captured", "<u4"), ("length", "<u4")])
_BLOCK = np.dtype(
    [("type", "<u4"), ("total", "<u4"), ("interface", "<u4"), ("high", "<u4"), ("low", "<u4"), *_RECORD.descr[2:]]
)


def to_pcap(trace: Trace, path: str | os.PathLike[str], *, format: Format | None = None) -> Path:
    """Write the frames of a trace as a capture file, which is there whole or not at all.

    Read again, it gives the same packets, column by column; only `number` counts anew. Packets are written in the order
    of the trace. Not more than 64 MiB are held at a time. A table of payloads that lies beside an earlier file of that
    name (`toolkit.capture.beside`) goes with it.

    Parameters
    ----------
    trace
        Packets of one or several captures.
    path
        Where to write; an existing file is replaced.
    format
        ``"pcap"`` (with nanoseconds) or ``"pcapng"``; None takes pcapng for a name that ends in ``.pcapng``, else pcap.
        Only pcapng can hold frames of several link types, or times before 1970 or after 2106.

    Returns
    -------
    Path
        `path`. A trace without its payload bytes (`toolkit.anonymise`) has a table beside it, see
        `toolkit.capture.beside`.

    Raises
    ------
    ValueError
        If `format` is neither, or `path` is a folder or a capture that the trace came from.
    ToolkitError
        If packets came from no capture file, or the format cannot hold the link types or the times.

    Examples
    --------
    >>> import tempfile, toolkit
    >>> trace = toolkit.load_example("obfs4").select(port=443)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = toolkit.read(trace.to_pcap(f"{folder}/part.pcap"))
    >>> bool((again.column("time") == trace.column("time")).all())
    True
    """

    def pieces() -> Iterator[Piece]:
        for rows in row_ranges(trace):
            columns = trace.columns.take(rows)
            yield columns, frames_of(trace, columns)

    return write_pieces(trace, path, format, pieces(), kept=trace.kept_entropy is not None)


def frames_of(trace: Trace, columns: Columns) -> Bytes:
    """Give the frames of some rows of a trace, one behind the other."""
    return Pass(trace.storage).frames(columns.frame_offset, columns.frame_captured)


def row_ranges(trace: Trace) -> Iterator[slice]:
    """Cut a trace into ranges of rows whose frames take at most 32 MiB (or are one frame)."""
    captured = trace.column("frame_captured")
    for first in range(0, len(trace), CHUNK):
        ends = np.cumsum(captured[first : first + CHUNK], dtype=np.int64)
        row = done = 0
        while row < len(ends):
            stop = max(int(np.searchsorted(ends, done + _PIECE, side="right")), row + 1)
            yield slice(first + row, first + stop)
            row, done = stop, int(ends[stop - 1])


def write_pieces(
    trace: Trace, path: str | os.PathLike[str], format: Format | None, pieces: Iterable[Piece], *, kept: bool
) -> Path:
    """Write `pieces`, which have the link types and times of `trace`; with `kept`, the table of its payloads, too."""
    target = Path(path)
    if format not in ("pcap", "pcapng", None):
        raise ValueError(f"`format` must be 'pcap' or 'pcapng', got {format!r}")
    if target.is_dir():
        raise ValueError(f"{os.fspath(path)} is a folder: give the name of a file in it")
    if target.exists():
        for source in trace.sources:
            if source.path and Path(source.path).exists() and target.samefile(source.path):
                raise ValueError(f"{os.fspath(path)} is the capture that is read: give another `path`")
    if table_path(target).exists():  # that of public.pcap is also that of public.pcap.gz
        others = [target.with_name(f"{target.name}{end}") for end in COMPRESSED]
        if there := [other.name for other in others if other.exists()]:
            raise ValueError(f"{table_path(target).name} belongs to {there[0]}, too: give another `path`")
    if target.suffix.lower() in COMPRESSED:
        raise ValueError(f"captures are written uncompressed, got {os.fspath(path)!r}: compress the file afterwards")
    links = _link_types(trace)
    bounds = (int(trace.column("time").min()), int(trace.column("time").max())) if len(trace) else (0, 0)
    snap = _snap_length(trace)
    if format == "pcapng" or (format is None and target.suffix.lower() == ".pcapng"):
        header, records = _pcapng(links, snap, bounds[0])
    else:
        _fits_pcap(trace, path, links, bounds)
        header, records = _pcap(links[0] if links else 1, snap)
    with contextlib.ExitStack() as stack:
        temporary = stack.enter_context(atomically(target))
        if kept:
            beside = stack.enter_context(atomically(table_path(target)))
            write_payload_table(payload_table(trace), beside)
        with open(temporary, "wb") as file:
            file.write(header)
            for columns, data in pieces:
                _write(file, columns, data, records)
    if not kept:  # one of an earlier file of that name would be taken for this one's
        table_path(target).unlink(missing_ok=True)
    return target


def _link_types(trace: Trace) -> list[int]:
    links: list[int] = np.unique(trace.column("link_type")).tolist()
    if NO_FRAME in links:
        row = int(np.argmax(trace.column("link_type") == NO_FRAME))
        raise ToolkitError(f"packet {row} came from no capture file: it has no frame to write")
    return links


def _snap_length(trace: Trace) -> int:
    stated = [source.snap_length or LONGEST for source in trace.sources]
    return max([*stated, int(trace.column("frame_captured").max())]) if len(trace) else max(stated, default=LONGEST)


def _fits_pcap(trace: Trace, path: str | os.PathLike[str], links: list[int], bounds: tuple[int, int]) -> None:
    """Check that pcap can hold the frames."""
    name = os.fspath(path)
    if len(links) > 1:
        link = trace.column("link_type")
        found = ", ".join(
            f"{LINK_TYPES.get(number, 'link type')} ({number}, {int((link == number).sum()):,} packets)"
            for number in links
        )
        raise ToolkitError(
            f"{name}: a pcap file holds one link type, found {found}: select the packets of one, or use pcapng"
        )
    for extreme, which in ((bounds[0], np.argmin), (bounds[1], np.argmax)):
        if not 0 <= extreme < _SECOND << 32:
            row = int(which(trace.column("time")))
            found = f"found {pd.Timestamp(extreme, tz='UTC')} (packet {row})"
            raise ToolkitError(
                f"{name}: a pcap file holds times from 1970-01-01 to 2106-02-07, {found}: use pcapng, "
                "or move the times (`toolkit.synchronise`)"
            )


Records: TypeAlias = "Callable[[Columns], tuple[npt.NDArray[Any], npt.NDArray[np.int64], npt.NDArray[np.int64]]]"
"""From rows to what stands before each frame, to the bytes that each takes in all, and how many of these come after."""


def _pcap(link: int, snap: int) -> tuple[bytes, Records]:
    """Give the header of a pcap file, and how its records are made."""
    header = np.array([0xA1B23C4D, 4 << 16 | 2, 0, 0, snap, link], "<u4").tobytes()

    def records(columns: Columns) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        heads = np.empty(len(columns.time), _RECORD)
        heads["seconds"], heads["nanoseconds"] = np.divmod(columns.time, _SECOND)
        heads["captured"], heads["length"] = columns.frame_captured, columns.frame_length
        after = np.zeros(len(heads), np.int64)
        return heads, _RECORD.itemsize + columns.frame_captured.astype(np.int64), after

    return header, records


def _pcapng(links: list[int], snap: int, earliest: int) -> tuple[bytes, Records]:
    """Give the section header and the interfaces of a pcapng file, one a link type, and how its packets are made."""
    # time stamps are unsigned: times before 1970 are counted from another second
    base = min(earliest // _SECOND, 0)
    section = [0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0xFFFFFFFF, 0xFFFFFFFF, 28]
    options = [9 | 1 << 16, 9]  # time resolution, a byte: 10^-9 s
    options += [14 | 8 << 16, base & 0xFFFFFFFF, base >> 32 & 0xFFFFFFFF] if base else []
    options += [0]
    total = 20 + 4 * len(options)
    words = [*section, *(word for link in links for word in (1, total, link, snap, *options, total))]

    def records(columns: Columns) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        captured = columns.frame_captured.astype(np.int64)
        after = -captured % 4 + 4
        size = _BLOCK.itemsize + captured + after
        heads = np.empty(len(captured), _BLOCK)
        # unsigned, in which what runs over comes right again
        stamp = columns.time.astype(np.uint64) - np.uint64(base * _SECOND % (1 << 64))
        heads["type"], heads["total"] = 6, size
        heads["interface"] = np.searchsorted(links, columns.link_type)
        heads["high"], heads["low"] = stamp >> np.uint64(32), stamp & np.uint64(0xFFFFFFFF)
        heads["captured"], heads["length"] = captured, columns.frame_length
        return heads, size, after

    return np.array(words, "<u4").tobytes(), records


def _write(file: IO[bytes], columns: Columns, data: Bytes, records: Records) -> None:
    heads, size, after = records(columns)
    ends = np.cumsum(size)
    starts = ends - size
    out = np.zeros(int(ends[-1]) if len(ends) else 0, np.uint8)
    _place(heads, starts, out)
    if after.any():  # pcapng says the length of a block again at its end
        _place(size.astype("<u4"), ends - 4, out)
    _copy(data, columns.frame_captured, starts + heads.dtype.itemsize, out)
    file.write(out.data)


def _place(values: npt.NDArray[Any], starts: npt.NDArray[np.int64], out: Bytes) -> None:
    """Put the bytes of each value at its start."""
    size = values.dtype.itemsize
    out[starts[:, None] + np.arange(size)] = values.view(np.uint8).reshape(-1, size)


@kernel
def _copy(data: Bytes, captured: npt.NDArray[np.int32], place: npt.NDArray[np.int64], out: Bytes) -> None:
    """Copy frames that lie one behind the other, each to its place."""
    first: Int = 0
    for row in range(len(captured)):
        size = np.int64(captured[row])
        out[place[row] : place[row] + size] = data[first : first + size]
        first += size
