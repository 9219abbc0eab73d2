"""The TLS records of a trace, put together across TCP segments.

Sources: TLS 1.2 RFC 5246 section 6.2, TLS 1.3 RFC 8446 section 5 (record layer); TCP RFC 9293 section 3.4 (sequence
numbers). TLS over anything but TCP (DTLS, QUIC) has other records and is not looked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from toolkit._jit import Int, kernel
from toolkit.columns import LATER_FRAGMENT
from toolkit.connections import connections
from toolkit.errors import CaptureError
from toolkit.storage import Bytes, Pass
from toolkit.trace import Trace
from toolkit.windows import time_order

State: TypeAlias = npt.NDArray[np.int64]

_ROOM = 16_384  # records handed over at a time
_PIECE = 1 << 25  # bytes of payload in memory at a time
_LONGEST = 18_432  # bytes of an encrypted record at most: 2^14 + 2048 (TLS 1.2)

# What is remembered of a stream from one segment to the next
_STREAM, _POSITION, _IN_STEP, _HEADER, _LEFT, _FIRST, _LATEST, _HOLE = range(8)


class Segments(NamedTuple):
    """TCP segments with payload, by stream and within it by position, at equal positions in order of time."""

    stream: npt.NDArray[np.int64]
    position: npt.NDArray[np.int64]  # of the first byte in its stream
    start: npt.NDArray[np.int64]  # of the payload in the bytes of the trace
    captured: npt.NDArray[np.int64]
    place: npt.NDArray[np.int64]  # of the payload, if one lay behind the other
    rank: npt.NDArray[np.int64]  # in order of time


def tls_records(trace: Trace) -> pd.DataFrame:
    """Find the TLS records in the TCP streams of a trace.

    Each direction of each connection (`toolkit.connections`) is put in the order of its sequence numbers; bytes sent
    twice are those of the segment that starts earlier in that order, or else in time. A record starts where the one
    before it ends, or, while none is known, at the start of a segment, if there is a header that can be: content type
    20 to 24, version 3.0 to 3.4, at most 18,432 bytes and not empty unless it is application data. Where bytes are
    missing (lost, or cut by the snap length) inside a record, its length still says where the next one starts; where a
    header is missing, or there is none that can be, the search goes on at the start of the next segment.

    Parameters
    ----------
    trace
        Packets in any order. All packets of a connection are needed: select afterwards, by `packet`.

    Returns
    -------
    pandas.DataFrame
        One row a record, in the order of the packets that they start in. `connection` (number in
        `toolkit.connections`), `from_client` (bool), `time` (of the packet with the first byte), `content_type` (20
        change cipher spec, 21 alert, 22 handshake, 23 application data, 24 heartbeat), `version` (as on the wire:
        0x0303 for TLS 1.2 and 1.3), `length` (bytes after the header of 5), `packet` (row of the packet with the first
        byte), `last_packet` (row of the packet that brought the last of its bytes), `complete` (whether all of its
        bytes are there).

    Raises
    ------
    CaptureError
        If bytes of payloads that start a TLS record are not there any more (`toolkit.anonymise`): of such a trace only
        `tls_type` is known, and lengths of packets (``toolkit.cluster_lengths(trace, tls_only=True)``).

    Examples
    --------
    >>> import toolkit
    >>> trace = toolkit.load_example("https")
    >>> records = tls_records(trace)
    >>> records[["from_client", "content_type", "length", "packet", "last_packet"]].head(3)
       from_client  content_type  length  packet  last_packet
    0         True            22     512       3            3
    1        False            22     122       5            5
    2        False            20       1       5            5

    How many records start in each packet, and the clusters of their lengths:

    >>> records.groupby("packet").size().max()
    np.int64(4)
    >>> toolkit.cluster_lengths(records["length"], bandwidth=5, max_length=None)
    LengthClusters(74 clusters of 595 packets, bandwidth=5 bytes, 0.0% left out)
    """
    gone = int(without_tls_bytes(trace).sum())
    if gone:
        name = ", ".join(source.name for source in trace.sources)
        note = "find the records in the capture itself; `cluster_lengths(trace, tls_only=True)` goes by packets instead"
        said = f"zeros in {gone:,} packets that start one: the capture was anonymised"
        raise CaptureError(name, "the bytes of TLS records", said, note=note)
    segments, order = _segments(trace)
    state = np.array([-1, 0, 0, 0, 0, 0, 0, 0], np.int64)
    header = np.zeros(5, np.uint8)
    found = [np.empty((0, 7), np.int64)]
    for data, base, first, stop in _runs(trace, segments):
        while first < stop:
            room = np.empty((_ROOM, 7), np.int64)
            first, count = _parse(data, base, segments, first, stop, state, header, room)
            found.append(room[:count])
    room = np.empty((1, 7), np.int64)
    found.append(room[: _leave(state, header, room, 0)])
    table = np.concatenate(found)
    table = table[np.argsort(table[:, 1], kind="stable")]
    row, last = order[table[:, 1]], order[table[:, 2]]
    return pd.DataFrame(
        {
            "connection": table[:, 0] // 2,
            "from_client": table[:, 0] % 2 == 0,
            "time": pd.DatetimeIndex(trace.column("time")[row], dtype="datetime64[ns, UTC]"),
            "content_type": table[:, 3].astype(np.uint8),
            "version": table[:, 4].astype(np.uint16),
            "length": table[:, 5].astype(np.int32),
            "packet": row,
            "last_packet": last,
            "complete": table[:, 6] == 1,
        }
    )


def without_tls_bytes(trace: Trace) -> npt.NDArray[np.bool_]:
    """Tell which packets have a `tls_type` that comes from a table, since their bytes became zeros."""
    gone = np.zeros(len(trace), bool)
    columns = trace.columns
    if trace.kept_entropy is not None:
        rows = np.flatnonzero((columns.tls_type != 0) & ~np.isnan(trace.kept_entropy))
        read = (columns.payload_captured[rows] > 0).astype(np.int32)  # a byte each
        first = np.zeros(len(rows), np.uint8)
        first[read > 0] = Pass(trace.storage).frames(columns.frame_offset[rows] + columns.payload_start[rows], read)
        gone[rows] = first != columns.tls_type[rows]
    return gone


def _segments(trace: Trace) -> tuple[Segments, npt.NDArray[np.intp]]:
    """Give the segments, and all rows of the trace in order of time."""
    columns, found = trace.columns, connections(trace)
    in_time = time_order(trace)
    order = np.arange(len(trace)) if in_time is None else in_time.astype(np.intp)
    wanted = (columns.protocol == 6) & (columns.payload_length > 0) & (found.number >= 0)
    wanted &= columns.marks & LATER_FRAGMENT == 0
    rank = np.flatnonzero(wanted[order])
    row = order[rank]
    connection = found.number[row]
    up = (columns.src[row] == found.client[connection]) & (columns.src_port[row] == found.client_port[connection])
    stream = connection.astype(np.int64) * 2 + ~up
    # data in a SYN comes after the number that the SYN takes
    sequence = columns.tcp_seq[row].astype(np.int64) + (columns.tcp_flags[row] >> 1 & 1)
    position = _positions(stream, sequence, 2 * len(found))
    by_stream = np.lexsort((rank, position, stream))
    start = columns.frame_offset[row] + columns.payload_start[row]
    captured = columns.payload_captured[row].astype(np.int64)
    stream, position, start, captured, rank = (
        np.ascontiguousarray(column[by_stream]) for column in (stream, position, start, captured, rank)
    )
    return Segments(stream, position, start, captured, np.cumsum(captured) - captured, rank), order


def _runs(trace: Trace, segments: Segments) -> Iterator[tuple[Bytes, int, int, int]]:
    """Read the payloads piece by piece: the bytes, the `place` of the first, first and last segment."""
    captured = segments.captured
    first = 0
    while first < len(captured):
        base = int(segments.place[first])
        stop = max(int(np.searchsorted(segments.place + captured, base + _PIECE, side="right")), first + 1)
        piece = slice(first, stop)
        yield Pass(trace.storage).frames(segments.start[piece], captured[piece].astype(np.int32)), base, first, stop
        first = stop


@kernel
def _positions(stream: npt.NDArray[np.int64], sequence: npt.NDArray[np.int64], streams: Int) -> npt.NDArray[np.int64]:
    """Count bytes from the first segment of each stream on, beyond the 32 bits of sequence numbers."""
    before = np.full(streams, -1, np.int64)  # sequence number and position of the segment before
    place = np.zeros(streams, np.int64)
    found = np.empty(len(stream), np.int64)
    for i in range(len(stream)):
        k = stream[i]
        if before[k] >= 0:
            step = (sequence[i] - before[k]) & 0xFFFFFFFF
            place[k] += step - (step >> 31 << 32)  # half of the numbers are behind
        before[k] = sequence[i]
        found[i] = place[k]
    return found


@kernel
def _starts(header: Bytes) -> bool:
    """Whether these 5 bytes can be the header of a record."""
    size = np.int64(header[3]) << 8 | header[4]
    known = 20 <= header[0] <= 24 and header[1] == 3 and header[2] <= 4
    return bool(known and size <= _LONGEST and (size > 0 or header[0] == 23))


@kernel
def _write(state: State, header: Bytes, whole: bool, records: State, count: Int) -> Int:
    records[count, 0] = state[_STREAM]
    records[count, 1] = state[_FIRST]
    records[count, 2] = state[_LATEST]
    records[count, 3] = header[0]
    records[count, 4] = np.int64(header[1]) << 8 | header[2]
    records[count, 5] = np.int64(header[3]) << 8 | header[4]
    records[count, 6] = whole and state[_HOLE] == 0
    return count + 1


@kernel
def _leave(state: State, header: Bytes, records: State, count: Int) -> Int:
    """Give up the record in hand: what its header says is known if that is whole."""
    if state[_HEADER] == 5:
        count = _write(state, header, False, records, count)
    state[_HEADER] = 0
    return count


@kernel
def _parse(
    data: Bytes, base: Int, segments: Segments, first: Int, stop: Int, state: State, header: Bytes, records: State
) -> tuple[Int, Int]:
    """Go on with a run of segments until it ends or there is no room; the next segment and the records written."""
    count = 0
    room = len(records) - 1  # one for the record that a segment ends
    for i in range(first, stop):
        position, rank = segments.position[i], segments.rank[i]
        if segments.stream[i] != state[_STREAM]:
            if count >= room:
                return i, count
            count = _leave(state, header, records, count)
            state[_STREAM] = segments.stream[i]
            state[_POSITION] = position
            state[_IN_STEP] = 0
        end = position + segments.captured[i]
        if end <= state[_POSITION]:
            continue
        if position > state[_POSITION]:  # bytes are missing
            missing = position - state[_POSITION]
            if state[_HEADER] == 5 and missing <= state[_LEFT]:
                if count >= room:
                    return i, count
                state[_LEFT] -= missing
                state[_HOLE] = 1
                if state[_LEFT] == 0:
                    count = _leave(state, header, records, count)
            else:
                if count >= room:
                    return i, count
                count = _leave(state, header, records, count)
                state[_IN_STEP] = 0
            state[_POSITION] = position
        at = segments.place[i] - base + state[_POSITION] - position
        last = segments.place[i] - base + segments.captured[i]
        if state[_IN_STEP] == 0:
            if state[_POSITION] != position or last - at < 5 or not _starts(data[at : at + 5]):
                state[_POSITION] = end
                continue
            state[_IN_STEP] = 1
        while at < last:
            if count >= room:
                state[_POSITION] = end - (last - at)
                return i, count
            if state[_HEADER] == 0:
                state[_FIRST] = state[_LATEST] = rank
                state[_HOLE] = 0
            state[_LATEST] = max(state[_LATEST], rank)
            if state[_HEADER] < 5:
                header[state[_HEADER]] = data[at]
                state[_HEADER] += 1
                at += 1
                if state[_HEADER] < 5:
                    continue
                if not _starts(header):
                    state[_HEADER] = 0
                    state[_IN_STEP] = 0
                    break
                state[_LEFT] = np.int64(header[3]) << 8 | header[4]
            taken = min(state[_LEFT], last - at)
            state[_LEFT] -= taken
            at += taken
            if state[_LEFT] == 0:
                count = _write(state, header, True, records, count)
                state[_HEADER] = 0
        state[_POSITION] = end
    return stop, count
