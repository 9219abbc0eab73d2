"""The columns of the packet table, as every module and kernel shares them."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Rows: TypeAlias = "slice | npt.NDArray[np.intp] | npt.NDArray[np.bool_]"

# What a packet was marked with (column `marks`)
FIRST_FRAGMENT = 1
LATER_FRAGMENT = 2
MALFORMED = 4  # a length or an offset that cannot be
TRUNCATED = 8  # the capture ends inside the headers
PARTIAL_CHECKSUM = 16  # holds the sum of the pseudo-header only: the network card was to finish it
LENGTH_FROM_FRAME = 32  # the IP header says 0 (segmentation offload, or a jumbogram)

NO_FRAME = 0xFFFF
"""`link_type` of a packet that came from no capture file: it has no frame."""


class Columns(NamedTuple):
    """The packet table, a row a packet: what `Trace` is made of (74 bytes a packet)."""

    time: npt.NDArray[np.int64]  # ns since 1970
    src: npt.NDArray[np.int32]  # number of the host
    dst: npt.NDArray[np.int32]
    protocol: npt.NDArray[np.uint8]
    src_port: npt.NDArray[np.uint16]
    dst_port: npt.NDArray[np.uint16]
    ip_length: npt.NDArray[np.int32]
    ttl: npt.NDArray[np.uint8]
    tcp_seq: npt.NDArray[np.uint32]
    tcp_ack: npt.NDArray[np.uint32]
    tcp_flags: npt.NDArray[np.uint16]
    payload_length: npt.NDArray[np.int32]
    payload_captured: npt.NDArray[np.int32]
    tls_type: npt.NDArray[np.uint8]
    ip_id: npt.NDArray[np.uint16]
    marks: npt.NDArray[np.uint8]
    number: npt.NDArray[np.uint32]  # of the frame in its file, from 1
    frame_offset: npt.NDArray[np.int64]  # of the frame in the bytes of the trace
    frame_length: npt.NDArray[np.int32]
    frame_captured: npt.NDArray[np.int32]
    payload_start: npt.NDArray[np.int32]  # from the start of the frame
    link_type: npt.NDArray[np.uint16]  # of the frame

    @classmethod
    def empty(cls) -> Columns:
        """Make a table of no packet."""
        return cls(
            time=np.empty(0, np.int64),
            src=np.empty(0, np.int32),
            dst=np.empty(0, np.int32),
            protocol=np.empty(0, np.uint8),
            src_port=np.empty(0, np.uint16),
            dst_port=np.empty(0, np.uint16),
            ip_length=np.empty(0, np.int32),
            ttl=np.empty(0, np.uint8),
            tcp_seq=np.empty(0, np.uint32),
            tcp_ack=np.empty(0, np.uint32),
            tcp_flags=np.empty(0, np.uint16),
            payload_length=np.empty(0, np.int32),
            payload_captured=np.empty(0, np.int32),
            tls_type=np.empty(0, np.uint8),
            ip_id=np.empty(0, np.uint16),
            marks=np.empty(0, np.uint8),
            number=np.empty(0, np.uint32),
            frame_offset=np.empty(0, np.int64),
            frame_length=np.empty(0, np.int32),
            frame_captured=np.empty(0, np.int32),
            payload_start=np.empty(0, np.int32),
            link_type=np.empty(0, np.uint16),
        )

    @classmethod
    def concatenate(cls, tables: list[Columns]) -> Columns:
        """Put tables one after the other."""
        return cls._make(np.concatenate(parts) for parts in zip(*tables, strict=True))

    def take(self, rows: Rows) -> Columns:
        """Give some of the rows, in the order asked for."""
        # every other row as a view would have the kernels compiled once more, for arrays with gaps
        taken = Columns._make(np.ascontiguousarray(column[rows]) for column in self)
        taken.freeze()
        return taken

    def freeze(self) -> None:
        """Make the columns read-only: a `Trace` never changes."""
        for column in self:
            column.flags.writeable = False
