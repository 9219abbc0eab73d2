"""`read`: from a capture file to a `Trace`."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial as bind
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from toolkit.capture.decode import (
    BAD_HEADER,
    LINK_TYPES,
    NO_HEADER,
    NON_IP,
    PPI,
    UNKNOWN_LINK,
    HostTable,
    decode,
    enter_hosts,
)
from toolkit.capture.dissection import dissect, field_names
from toolkit.capture.framing import CHUNK, Frames, Framing, read_frames
from toolkit.capture.sources import Bytes, open_capture
from toolkit.capture.wireshark import read_by_tshark, read_columns
from toolkit.columns import Columns
from toolkit.errors import CaptureError, CaptureWarning
from toolkit.hosts import Hosts
from toolkit.source import Source
from toolkit.trace import Trace

Engine: TypeAlias = Literal["auto", "native", "tshark", "pyshark"]
ENGINES: tuple[Engine, ...] = get_args(Engine)

_PROGRESS_STEP = 16  # chunks between two reports of progress: a quarter of a million packets


def read(
    path: str | os.PathLike[str],
    *,
    engine: Engine = "auto",
    display_filter: str | None = None,
    fields: str | Iterable[str] = (),
    strict: bool = False,
    progress: bool | Callable[[int, int], None] | None = None,
) -> Trace:
    """Read a capture file.

    pcap and pcapng of any byte order, time resolution and interface mix, plain or compressed by gzip, zstd, xz or
    bzip2; told apart by their first bytes, never by the name. Every packet with a whole IP header is a row; link
    types and other limits are listed in `toolkit.capture.decode`. The file stays mapped while the trace lives.

    Parameters
    ----------
    path
        The capture.
    engine
        Who makes the columns. ``"auto"`` and ``"native"``: the reader of this package, millions of packets a second.
        ``"tshark"`` and ``"pyshark"``: Wireshark's dissectors, some thousands or hundreds of packets a second, with the
        payloads in memory; the same columns for every packet that both can read, see `toolkit.capture.wireshark`.
    display_filter
        Keep only the packets that this filter in Wireshark's language keeps, for example
        ``"tls.handshake.type == 1"``. tshark says which frames these are, with the settings of your Wireshark; the
        columns are made by `engine` as ever (not ``"native"``, which is to need no Wireshark).
    fields
        Fields of Wireshark to add to `Trace.packets` as columns of text under their own names, for example
        ``"tls.handshake.extensions_server_name"``; several values in one frame are joined by commas. By tshark, too.
    strict
        Raise at the first place where the capture is not what it should be, instead of a warning.
    progress
        True shows a progress bar on the error stream if that is a terminal; a function is called with bytes done and
        bytes in all.

    Returns
    -------
    Trace
        Packets in file order.

    Raises
    ------
    CaptureError
        If the file cannot be opened, is empty or is no capture; with ``strict=True`` also for what else would be a
        `CaptureWarning`: a record that the end of the file cuts, a record length that cannot be, an unknown link type,
        packets without a time.
    WiresharkError
        If tshark is needed and is absent or too old, or does not understand `display_filter` or `fields` (then also a
        `ValueError`, with tshark's own message).
    ValueError
        If the engine is unknown, or is ``"native"`` and a filter or fields are asked for.

    Warns
    -----
    CaptureWarning
        With file, offset, packet number, what was expected and what was found; every packet before it is kept.

    Examples
    --------
    >>> import toolkit
    >>> trace = toolkit.read(toolkit.example("obfs4").path)
    >>> trace.packets["protocol"].unique().tolist()
    [6]
    """
    if engine not in ENGINES:
        raise ValueError(f"`engine` must be one of {', '.join(ENGINES)}, got {engine!r}")
    names = field_names(fields)
    dissection = None
    if display_filter is not None or names:
        if engine == "native":
            raise ValueError("`display_filter` and `fields` need Wireshark's tshark: give engine='auto'")
        dissection = dissect(path, display_filter, names)
    if progress is True:
        with tqdm(unit="B", unit_scale=True, desc=os.fspath(path), disable=None, leave=False) as bar:

            def show(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            trace = _by_engine(engine)(path, strict, show)
    else:
        trace = _by_engine(engine)(path, strict, progress or None)
    return trace if dissection is None else dissection.narrow(trace)


def _by_engine(engine: Engine) -> Callable[[str | os.PathLike[str], bool, Callable[[int, int], None] | None], Trace]:
    if engine == "tshark":
        return bind(read_columns, read_by_tshark, engine)
    if engine == "pyshark":
        from toolkit.capture.pyshark_engine import read_by_pyshark  # half a second of imports

        return bind(read_columns, read_by_pyshark, engine)
    return _read


def _read(path: str | os.PathLike[str], strict: bool, progress: Callable[[int, int], None] | None) -> Trace:
    capture = open_capture(path, None if progress is None else _stage(progress, 0, 3))
    data = capture.data
    if capture.problem is not None and (strict or not len(data)):
        raise CaptureError(*capture.problem.args)
    if progress is not None and capture.compression:
        progress = _stage(progress, 3, 4, size=capture.size)
    framing = Framing(capture.path)
    columns = _Table()
    hosts = _HostTable()
    lost = np.zeros(4, np.int64)
    links: dict[int, int] = {}
    unknown: dict[str, tuple[int, int]] = {}  # link type: first frame of it, and how many
    for step, (frames, count) in enumerate(read_frames(capture.path, data, framing)):
        for link, number in _count(frames.link[:count]):
            links[link] = links.get(link, 0) + number
            if link not in LINK_TYPES:
                _note(unknown, f"link type {link}", frames.link[:count] == link, framing.frames - count)
        columns.reserve(count, framing.position, len(data))
        hosts.reserve(2 * count)
        columns.rows, hosts.known = decode(
            data,
            frames,
            count,
            framing.frames - count + 1,
            columns.columns,
            columns.rows,
            hosts.table,
            hosts.known,
            lost,
        )
        if lost[UNKNOWN_LINK] > sum(number for _, number in unknown.values()):
            for link, found in _inside_ppi(data, frames, count):
                _note(unknown, f"link type {link} inside PPI", found, framing.frames - count)
        if progress is not None and step % _PROGRESS_STEP == 0:
            progress(framing.position, len(data))
    if progress is not None:
        progress(len(data), len(data))
    if capture.problem is not None:
        framing.problems.insert(0, capture.problem)
    _report(framing, unknown, strict)
    source = Source(
        path=capture.path,
        format=framing.format,
        compression=capture.compression,
        link_types=tuple(sorted(links)),
        snap_length=framing.snap_length,
        size=len(data),
        frames=framing.frames,
        packets=columns.rows,
        non_ip=int(lost[NON_IP]),
        unknown_link=int(lost[UNKNOWN_LINK]),
        no_header=int(lost[NO_HEADER]),
        bad_header=int(lost[BAD_HEADER]),
        problems=tuple(str(problem) for problem in framing.problems),
    )
    return Trace(columns.finish(), hosts.finish(), (data,), (source,), history=(f"read {source.name}",))


def _stage(
    progress: Callable[[int, int], None], first: int, last: int, *, size: int | None = None
) -> Callable[[int, int], None]:
    """Report a stage of the work: from `first` to `last` quarters of a compressed file, in bytes on the disk."""

    def report(done: int, total: int) -> None:
        whole = total if size is None else size
        progress((first * total + (last - first) * done) * whole // (4 * total), whole)

    return report


def _note(unknown: dict[str, tuple[int, int]], kind: str, found: npt.NDArray[np.bool_], before: int) -> None:
    """Count the frames of a chunk that are of an unknown kind; `before` is how many frames come before the chunk."""
    first, number = unknown.get(kind, (before + int(np.argmax(found)) + 1, 0))
    unknown[kind] = first, number + int(found.sum())


def _inside_ppi(data: Bytes, frames: Frames, count: int) -> Iterator[tuple[int, npt.NDArray[np.bool_]]]:
    """Give the unknown link types that the PPI headers of a chunk announce, and the frames that have each."""
    inside = np.full(count, -1, np.int64)
    rows = np.flatnonzero((frames.link[:count] == PPI) & (frames.captured[:count] >= 8))
    starts = frames.offset[rows]
    size, link = (data[starts + place] | data[starts + place + 1].astype(np.int64) << 8 for place in (2, 4))
    inside[rows] = np.where(size >= 8, link, -1)
    for link in np.unique(inside[rows]).tolist():
        if link >= 0 and (link == PPI or link not in LINK_TYPES):
            yield link, inside == link


def _report(framing: Framing, unknown: dict[str, tuple[int, int]], strict: bool) -> None:
    """Warn of what was not as it should be, once for each kind of trouble; raise the first if `strict`."""
    problems = framing.problems
    for kind, (first, number) in unknown.items():
        note = f"its {number} frames are counted but not decoded"
        problems.append(CaptureWarning(framing.path, "a link type that is known", kind, None, first, note))
    if framing.untimed:
        note = "they are given the time 1970-01-01 00:00: do not use their timing"
        found = f"{framing.untimed} simple packet blocks, which have no time"
        problems.append(CaptureWarning(framing.path, "packets with a time", found, None, None, note))
    if strict and problems:
        raise CaptureError(*problems[0].args)
    for problem in problems:
        warnings.warn(problem, stacklevel=4)


def _count(values: np.ndarray[tuple[int], np.dtype[np.int32]]) -> list[tuple[int, int]]:
    if (values == values[0]).all():  # nearly always
        return [(int(values[0]), len(values))]
    found, counts = np.unique(values, return_counts=True)
    return list(zip(found.tolist(), counts.tolist(), strict=True))


class _Table:
    """The packet columns while they grow. No row is copied: the allocator moves the pages."""

    def __init__(self) -> None:
        self.columns = Columns.empty()
        self.rows = 0

    def reserve(self, count: int, done: int, size: int) -> None:
        """Make room for `count` rows more, and by the looks of it for the rest of the file."""
        if self.rows + count <= len(self.columns.time):
            return
        # from the share of the file that is read; 2% more, so that an even file needs no second time
        expected = int((self.rows + count) * (size / max(done, 1)) * 1.02)
        self._resize(min(max(self.rows + count, expected), int(1.25 * self.rows) + 64 * CHUNK))

    def _resize(self, rows: int) -> None:
        for column in self.columns:
            column.resize(rows, refcheck=False)

    def finish(self) -> Columns:
        self._resize(self.rows)
        self.columns.freeze()
        return self.columns


class _HostTable:
    """The hash of hosts while it grows."""

    def __init__(self) -> None:
        self.table = HostTable(np.full(0, -1, np.int32), np.empty((0, 2), np.uint64), np.empty(0, np.uint8))
        self.known = 0

    def reserve(self, count: int) -> None:
        """Make room for `count` hosts more, at most half of the slots taken."""
        wanted = self.known + count
        if 2 * wanted <= len(self.table.slots):
            return
        slots = 1 << (4 * wanted - 1).bit_length()
        words = np.zeros((slots // 2, 2), np.uint64)
        family = np.zeros(slots // 2, np.uint8)
        words[: self.known] = self.table.words[: self.known]
        family[: self.known] = self.table.family[: self.known]
        self.table = HostTable(np.full(slots, -1, np.int32), words, family)
        enter_hosts(self.table, self.known)

    def finish(self) -> Hosts:
        return Hosts(self.table.words[: self.known].copy(), self.table.family[: self.known].copy())
