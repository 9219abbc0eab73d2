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

from toolkit._jit import salt
from toolkit.capture.beside import Kept, restore
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
from toolkit.capture.dissection import dissect, field_names, warn_of_zeros
from toolkit.capture.framing import CHUNK, NO_LINK, Frames, Framing, read_frames
from toolkit.capture.sources import RawCapture, open_capture
from toolkit.capture.wireshark import read_by_tshark, read_columns
from toolkit.columns import Columns
from toolkit.errors import CaptureError, CaptureWarning
from toolkit.hosts import Hosts
from toolkit.source import Source
from toolkit.storage import Bytes, CaptureFile
from toolkit.trace import Trace

_TELL = 1 << 22  # bytes between two reports of progress
_NAMED = 8  # unknown link types that have a warning of their own

Engine: TypeAlias = Literal["auto", "native", "tshark", "pyshark"]
ENGINES: tuple[Engine, ...] = get_args(Engine)
Progress: TypeAlias = Callable[[int, int], None]
"""Told bytes done and bytes in all."""


def read(
    path: str | os.PathLike[str],
    *,
    engine: Engine = "auto",
    display_filter: str | None = None,
    fields: str | Iterable[str] = (),
    strict: bool = False,
    progress: bool | Progress | None = None,
    max_decompressed: int | None = None,
) -> Trace:
    """Read a capture file.

    pcap and pcapng of any byte order, time resolution and interface mix, plain or compressed by gzip, zstd, xz or
    bzip2; told apart by their first bytes, never by the name. Every packet with a whole IP header is a row; link
    types and other limits are listed in `toolkit.capture.decode`. The file stays open while the trace lives, or one
    made from it, and must not be written to; payloads are read from it when they are asked for. What was compressed is
    kept in memory instead.

    An anonymised capture has no payload bytes; what was computed of them comes from the table beside it
    (`toolkit.capture.beside`), whoever makes the columns; `Trace.history` then names the table.

    Parameters
    ----------
    path
        The capture.
    engine
        Who makes the columns. ``"auto"`` and ``"native"``: the reader of this package, millions of packets a second.
        ``"tshark"`` and ``"pyshark"``: Wireshark's dissectors, some 15,000 or 1,000 packets a second, with the
        payloads in memory; the same columns for every packet that both can read, see `toolkit.capture.wireshark`.
    display_filter
        Keep only the packets that this filter in Wireshark's language keeps, for example
        ``"tls.handshake.type == 1"``. tshark says which frames these are, with the settings of your Wireshark; the
        columns are made by `engine` as ever (not ``"native"``, which is to need no Wireshark).
    fields
        Fields of Wireshark to add to `Trace.packets` under their own names, for example
        ``"tls.handshake.extensions_server_name"``, by tshark, too. They are categories of text, numbers as well
        (``.astype(int)`` makes numbers of them, ``.astype("Int64")`` where some are missing); several values in one
        frame are joined by commas.
    strict
        Raise at the first place where the capture is not what it should be, instead of a warning.
    progress
        True shows a progress bar on the error stream if that is a terminal; a function is called with bytes done and
        bytes in all.
    max_decompressed
        Most bytes that a compressed capture may grow to; what comes after is not read, as if the file ended there. By
        default 200 times the file, but 1 GiB at least and 64 GiB at most. A real capture whose payloads can be
        compressed has headers that cannot, and stays under 200 times; only a small one of nothing but zeros is above,
        and that is no danger. A bomb is 1,000 to 1,000,000 times its size. No matter the limit, decompression stops at
        once if what comes out does not start as a capture does.

    Returns
    -------
    Trace
        Packets in file order.

    Raises
    ------
    CaptureError
        If the file cannot be opened, is empty, is no capture or is written to meanwhile; with ``strict=True`` also for
        what else would be a `CaptureWarning`: a record that the end of the file cuts, a record length that cannot be,
        an unknown link type, packets without a time, more decompressed bytes than allowed.
    WiresharkError
        If tshark is needed and is absent or too old, or does not understand `display_filter` or `fields` (then also a
        `ValueError`, with tshark's own message).
    ValueError
        If the engine is unknown, or is ``"native"`` and a filter or fields are asked for.

    Warns
    -----
    CaptureWarning
        With file, offset, packet number, what was expected and what was found; every packet before it is kept. Also
        (no error with `strict`, since it may be so) if every payload byte is zero and no table is beside the capture.

    Examples
    --------
    >>> import toolkit
    >>> trace = toolkit.read(toolkit.example("obfs4").path)
    >>> trace.packets["protocol"].unique().tolist()
    [6]

    With tshark, fields of Wireshark as numbers:

    >>> trace = toolkit.read(trace.source.path, fields=["tcp.window_size_value"])  # doctest: +SKIP
    >>> trace.packets["tcp.window_size_value"].astype(int).max()  # doctest: +SKIP
    65160
    """
    if engine not in ENGINES:
        raise ValueError(f"`engine` must be one of {', '.join(ENGINES)}, got {engine!r}")
    names = field_names(fields)
    dissection = None
    if display_filter is not None or names:
        if engine == "native":
            raise ValueError("`display_filter` and `fields` need Wireshark's tshark: give engine='auto'")
        dissection = dissect(path, display_filter, names, max_decompressed)
    if progress is True:
        with tqdm(unit="B", unit_scale=True, desc=os.fspath(path), disable=None, leave=False) as bar:

            def show(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            trace = _by_engine(engine)(path, strict, show, max_decompressed)
    else:
        trace = _by_engine(engine)(path, strict, progress or None, max_decompressed)
    if dissection is None:
        return trace
    if trace.source.payload_table or trace.source.zero_payloads:
        warn_of_zeros(trace.source, display_filter, names)
    for problem in dissection.lost(trace):
        if strict:
            raise CaptureError(*problem.args)
        warnings.warn(problem, stacklevel=2)
    return dissection.narrow(trace)


def _by_engine(engine: Engine) -> Callable[[str | os.PathLike[str], bool, Progress | None, int | None], Trace]:
    if engine == "tshark":
        return bind(read_columns, read_by_tshark, engine)
    if engine == "pyshark":
        from toolkit.capture.pyshark_engine import read_by_pyshark  # half a second of imports

        return bind(read_columns, read_by_pyshark, engine)
    return _read


def _read(
    path: str | os.PathLike[str],
    strict: bool,
    progress: Progress | None,
    max_decompressed: int | None,
) -> Trace:
    capture = open_capture(path, None if progress is None else _stage(progress, 0, 3), max_decompressed)
    try:
        return _trace_of(capture, strict, progress)
    except BaseException:
        if isinstance(capture.data, CaptureFile):
            capture.data.close()  # the traceback would keep it open
        raise


def _trace_of(capture: RawCapture, strict: bool, progress: Progress | None) -> Trace:
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
    unknown = _Unknown()
    told = -_TELL
    for window, frames, count in read_frames(capture.path, data, framing):
        before = framing.frames - count
        for link, first, number in _kinds(frames.link[:count]):
            if link == NO_LINK:
                continue
            links[link] = links.get(link, 0) + number
            if link not in LINK_TYPES:
                unknown.note(f"link type {link}", before + first + 1, number)
        columns.reserve(count, framing.position, len(data))
        hosts.reserve(2 * count)
        columns.rows, hosts.known = decode(
            window.data,
            window.base,
            frames,
            count,
            before + 1,
            columns.columns,
            columns.rows,
            hosts.table,
            hosts.known,
            lost,
        )
        if lost[UNKNOWN_LINK] > unknown.frames:
            for link, first, number in _inside_ppi(window.data, frames, count):
                unknown.note(f"link type {link} inside PPI", before + first + 1, number)
        if progress is not None and framing.position >= told + _TELL:
            told = framing.position
            progress(told, len(data))
    if isinstance(data, CaptureFile):
        data.check()
    if progress is not None:
        progress(len(data), len(data))
    if capture.missing == "limit" and framing.problems and _is_cut(framing.problems[-1], len(data)):
        framing.problems.pop()  # nothing but the limit cut it
    if capture.problem is not None:
        framing.problems.insert(0, capture.problem)
    table, known = columns.finish(), hosts.finish()
    kept = restore(Trace(table, known, (data,), ()), capture.path)
    _report(framing, unknown, strict, kept)
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
        version=capture.version,
        zero_payloads=kept.zeros,
        payload_table=kept.table,
        payload_sha256=kept.digest,
    )
    history = (f"read {source.name}" + (f", its payloads from {kept.table}" if kept.table else ""),)
    return Trace(kept.columns, known, (data,), (source,), history=history, kept_entropy=kept.entropy)


def _is_cut(problem: CaptureWarning, size: int) -> bool:
    """Whether what is missing is the rest of a record that the end of the data cuts."""
    return problem.offset is not None and problem.found == f"the last {size - problem.offset} bytes"


def _stage(progress: Progress, first: int, last: int, *, size: int | None = None) -> Progress:
    """Report a stage of the work: from `first` to `last` quarters of a compressed file, in bytes on the disk."""

    def report(done: int, total: int) -> None:
        whole = total if size is None else size
        progress((first * total + (last - first) * done) * whole // (4 * total), whole)

    return report


class _Unknown:
    """Frames of link types that cannot be decoded: a hostile file may have thousands of such types."""

    def __init__(self) -> None:
        self.frames = 0
        self.kinds: dict[str, tuple[int, int]] = {}  # first frame of each, and how many

    def note(self, kind: str, first: int, number: int) -> None:
        """Count some frames of a kind."""
        self.frames += number
        earliest, before = self.kinds.get(kind, (first, 0))
        self.kinds[kind] = earliest, before + number


def _kinds(values: npt.NDArray[np.signedinteger]) -> list[tuple[int, int, int]]:
    """Give each value with the place where it is first, and how often it is there."""
    if (values == values[0]).all():  # nearly always
        return [(int(values[0]), 0, len(values))]
    found, first, counts = np.unique(values, return_index=True, return_counts=True)
    return list(zip(found.tolist(), first.tolist(), counts.tolist(), strict=True))


def _inside_ppi(data: Bytes, frames: Frames, count: int) -> Iterator[tuple[int, int, int]]:
    """Give the unknown link types that the PPI headers of a chunk announce, as `_kinds` does."""
    inside = np.full(count, -1, np.int64)
    rows = np.flatnonzero((frames.link[:count] == PPI) & (frames.captured[:count] >= 8))
    starts = frames.offset[rows]
    size, link, high = (data[starts + place] | data[starts + place + 1].astype(np.int64) << 8 for place in (2, 4, 6))
    inside[rows] = np.where(size >= 8, high << 16 | link, -1)
    for kind, first, number in _kinds(inside):
        if kind >= 0 and (kind == PPI or kind not in LINK_TYPES):
            yield kind, first, number


def _report(framing: Framing, unknown: _Unknown, strict: bool, kept: Kept) -> None:
    """Warn of what was not as it should be, once for each kind of trouble; raise the first if `strict`."""
    problems = framing.problems
    expected = "a link type that is known"
    kinds = sorted(unknown.kinds.items(), key=lambda item: item[1][0])  # by first frame
    for kind, (first, number) in kinds[:_NAMED]:
        note = f"its {number} frames are counted but not decoded"
        problems.append(CaptureWarning(framing.path, expected, kind, None, first, note))
    if others := kinds[_NAMED:]:
        number = sum(number for _, (_, number) in others)
        note = f"their {number} frames are counted but not decoded"
        found = f"{len(others)} other link types"
        problems.append(CaptureWarning(framing.path, expected, found, None, others[0][1][0], note))
    if framing.untimed:
        note = "they are given the time 1970-01-01 00:00: do not use their timing"
        found = f"{framing.untimed} simple packet blocks, which have no time"
        problems.append(CaptureWarning(framing.path, "packets with a time", found, None, None, note))
    faults = [*problems, *([kept.fault] if kept.fault else [])]
    if strict and faults:
        raise CaptureError(*faults[0].args)
    for problem in [*faults, *([kept.warning] if kept.warning else [])]:
        warnings.warn(problem, stacklevel=5)


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
        self.table = HostTable(np.full(0, -1, np.int32), np.empty((0, 2), np.uint64), np.empty(0, np.uint8), salt())
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
        self.table = HostTable(np.full(slots, -1, np.int32), words, family, self.table.salted)
        enter_hosts(self.table, self.known)

    def finish(self) -> Hosts:
        return Hosts(self.table.words[: self.known].copy(), self.table.family[: self.known].copy())
