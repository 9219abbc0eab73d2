"""Capture health: what in a trace would bias an analysis, counted."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import SupportsIndex, overload

import numpy as np
import pandas as pd

from toolkit._jit import Int, kernel, salt
from toolkit.columns import MALFORMED, PARTIAL_CHECKSUM, TRUNCATED, Columns
from toolkit.connections import connections as connections_of
from toolkit.trace import Trace

LARGEST_WIRE_FRAME = 1_600
"""Bytes. Ethernet carries 1,514, with tags and tunnels a little more; what is larger was put together by offload."""


@dataclass(frozen=True)
class Finding:
    """One thing looked for.

    Attributes
    ----------
    name
        What was looked for.
    count
        How often it was found.
    of, unit
        Out of how many of what.
    meaning
        What it does to the analysis, in one sentence.
    """

    name: str
    count: int
    of: int
    unit: str
    meaning: str

    @property
    def share(self) -> float:
        """`count` over `of`, 0 where there is nothing to count."""
        return self.count / self.of if self.of else 0.0


class Health(tuple[Finding, ...]):
    """The findings about a trace, those that did not occur included.

    Examples
    --------
    >>> import toolkit
    >>> health = toolkit.load_example("obfs4").health()
    >>> health["malformed"].count
    0
    """

    __slots__ = ()

    @overload
    def __getitem__(self, key: SupportsIndex | str) -> Finding: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[Finding, ...]: ...
    def __getitem__(self, key: SupportsIndex | str | slice) -> Finding | tuple[Finding, ...]:
        """Give a finding by its name or its place."""
        if isinstance(key, str):
            for finding in self:
                if finding.name == key:
                    return finding
            raise KeyError(f"no finding {key!r}: there are {', '.join(finding.name for finding in self)}")
        return super().__getitem__(key)

    @property
    def found(self) -> tuple[Finding, ...]:
        """Only what did occur."""
        return tuple(finding for finding in self if finding.count)

    def to_frame(self) -> pd.DataFrame:
        """One row a finding: count, share, what the share is of, and what it means."""
        rows = [(f.name, f.count, f.share, f.unit, f.meaning) for f in self]
        return pd.DataFrame(rows, columns=["finding", "count", "share", "of", "meaning"]).set_index("finding")

    def __str__(self) -> str:
        if not self.found:
            return f"nothing found of {len(self)} things looked for"
        lines = [f"{f.name}: {f.count:,} ({f.share:.2%} of {f.unit}). {f.meaning}" for f in self.found]
        rest = len(self) - len(self.found)
        return "\n".join([*lines, f"({rest} other things looked for: none found)"])

    def _repr_html_(self) -> str:
        # notebooks keep the cells of a table on one line, and to the right; colours are those of their theme
        sentence = "text-align:left;white-space:normal;max-width:45em"
        rows = "".join(
            f"<tr><td>{f.name}</td><td>{f.count:,}</td><td>{f.share:.2%} of {f.unit}</td>"
            f"<td style='{sentence}'>{html.escape(f.meaning)}</td></tr>"
            for f in self.found
        )
        rest = f"<p>{len(self) - len(self.found)} of {len(self)} things looked for were not found.</p>"
        if not rows:
            return rest
        head = f"<tr><th>finding</th><th>count</th><th>share</th><th style='{sentence}'>meaning</th></tr>"
        return f"<table>{head}{rows}</table>{rest}"


def check(trace: Trace) -> Health:
    """Count what would bias an analysis.

    What concerns frames that became no rows (non-IP, unknown link type, no or bad IP header) and payload of zeros is of
    the whole capture files; everything else is of the packets in this trace.

    - *retransmitted*: a TCP segment with payload whose connection, direction and sequence number were seen before.
    - *duplicate*: such a segment that is the very same packet again: the same IPv4 identification (not 0, which many
      systems give to all), acknowledgement, flags, window of lengths. IPv6 has no identification, there every copy
      counts as retransmitted.
    - *file faults*: reading it gave a warning (`Source.problems`).
    - *payload of zeros*: packets with payload in captures of which every payload byte is zero, and beside which there
      is no table that says what it was (`toolkit.capture.beside`).
    - *no opening*: TCP connections without a SYN of the client in the trace, see `toolkit.connections`.
    - *one-sided connections*: TCP connections (pairs of address and port) of which one direction only is in the trace.
    - *checksum offload*: the TCP or UDP checksum is the sum of the pseudo-header alone, as Linux leaves it for the
      network card: the packet was captured on the machine that sent it.
    """
    columns, sources = trace.columns, trace.sources
    frames = sum(source.frames for source in sources)
    packets = len(trace)
    marks = columns.marks
    cut = columns.payload_length.astype(np.int64) - columns.payload_captured
    cut_packets = int((cut > 0).sum())
    back = int((columns.time[1:] < columns.time[:-1]).sum())
    transport = int(np.isin(columns.protocol, (6, 17)).sum())
    segments, duplicates, retransmitted = _repeats(columns, salt())
    connections, one_sided = _sides(columns, salt())
    in_frames = "frames"
    damaged = [source for source in sources if source.problems]
    late = connections_of(trace)
    late_tcp = late.protocol == 6
    return Health(
        (
            Finding(
                "file faults",
                len(damaged),
                len(sources),
                "files",
                "Reading warned of a cut or of damage (`source.problems`): what is lost is in no count below.",
            ),
            Finding(
                "non-IP frames",
                sum(source.non_ip for source in sources),
                frames,
                in_frames,
                "They are not in the trace: ARP, link control and the like carry no traffic to classify.",
            ),
            Finding(
                "unknown link type",
                sum(source.unknown_link for source in sources),
                frames,
                in_frames,
                "They could not be decoded and are not in the trace: counts and timing miss them.",
            ),
            Finding(
                "no whole IP header",
                sum(source.no_header for source in sources),
                frames,
                in_frames,
                "Cut before the addresses were complete, not in the trace: capture with a larger snap length.",
            ),
            Finding(
                "bad IP header",
                sum(source.bad_header for source in sources),
                frames,
                in_frames,
                "The IP header contradicts itself, not in the trace: the frame is damaged or is not IP.",
            ),
            Finding(
                "truncated",
                int((marks & TRUNCATED > 0).sum()),
                packets,
                "packets",
                "The capture ends inside the headers: ports, flags or lengths of these packets are 0.",
            ),
            Finding(
                "malformed",
                int((marks & MALFORMED > 0).sum()),
                packets,
                "packets",
                "A header states a length that cannot be: the lengths of these packets are doubtful.",
            ),
            Finding(
                "payload cut",
                cut_packets,
                packets,
                "packets",
                f"{int(cut[cut > 0].sum()):,} payload bytes are not in the file (snap length): lengths are right, "
                "entropy is of the beginning only.",
            ),
            Finding(
                "payload of zeros",
                sum(source.zero_payloads for source in sources),
                sum(source.packets for source in sources),
                "packets of the file",
                "Every payload byte of a capture is zero, entropy and TLS types are of zeros: if it was anonymised, "
                "the table that was written with it (its name and .payload.parquet) is not beside it or was not taken, "
                "of which reading warned; if zeros were sent, all is well.",
            ),
            Finding(
                f"frames above {LARGEST_WIRE_FRAME:,} bytes",
                int((columns.frame_length > LARGEST_WIRE_FRAME).sum()),
                packets,
                "packets",
                "Put together or not yet cut by offload: lengths and counts are not those on the wire; capture with "
                "offload off (ethtool -K IFACE gro off gso off tso off) or on another machine.",
            ),
            Finding(
                "times going back",
                back,
                max(packets - 1, 0),
                "steps",
                "Packets are not in the order of time (several interfaces or a clock set back): intervals are taken as "
                "absolute values, time windows sort first.",
            ),
            Finding(
                "duplicate",
                duplicates,
                segments,
                "TCP segments with payload",
                "The same packet is in the capture twice (recorded on two interfaces): counts and lengths are doubled.",
            ),
            Finding(
                "retransmitted",
                retransmitted,
                segments,
                "TCP segments with payload",
                "Sent again after loss: lengths count again, intervals leave them out.",
            ),
            Finding(
                "one-sided connections",
                one_sided,
                connections,
                "TCP connections",
                "Only one direction was captured: features of the other are 0 and `up_down_ratio` is too.",
            ),
            Finding(
                "no opening",
                int((late_tcp & ~late.has_syn).sum()),
                int(late_tcp.sum()),
                "TCP connections",
                "Their SYN is not there, they began before the capture: their first packets are missing, and who is "
                "the client may be guessed.",
            ),
            Finding(
                "checksum offload",
                int((marks & PARTIAL_CHECKSUM > 0).sum()),
                transport,
                "TCP and UDP packets",
                "Captured on the machine that sent them: timing lacks the network card, sizes may not be final.",
            ),
        )
    )


@kernel
def _mix(value: np.uint64) -> np.uint64:
    value = (value ^ (value >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    return value ^ (value >> np.uint64(32))


@kernel
def _repeats(columns: Columns, salted: np.uint64) -> tuple[int, int, int]:
    """Count TCP segments with payload, and those of them seen before: the same packet, or sent again."""
    n = len(columns.time)
    segments = 0
    for row in range(n):
        segments += columns.protocol[row] == 6 and columns.payload_length[row] > 0
    size = 16
    while size < 2 * segments:
        size *= 2
    mask = size - 1
    first = np.full(size, -1, np.int64)  # row of the first segment with a sequence number
    duplicates = retransmitted = 0
    for row in range(n):
        if columns.protocol[row] != 6 or columns.payload_length[row] == 0:
            continue
        ends = (np.uint64(columns.src[row]) << np.uint64(32)) | np.uint64(columns.dst[row])
        ports = (np.uint64(columns.src_port[row]) << np.uint64(16)) | np.uint64(columns.dst_port[row])
        key = _mix(_mix(ends ^ salted) ^ (ports << np.uint64(32)) ^ np.uint64(columns.tcp_seq[row]))
        slot = np.int64(key & np.uint64(mask))
        while first[slot] >= 0:
            other = first[slot]
            if (
                columns.src[other] == columns.src[row]
                and columns.dst[other] == columns.dst[row]
                and columns.tcp_seq[other] == columns.tcp_seq[row]
                and columns.src_port[other] == columns.src_port[row]
                and columns.dst_port[other] == columns.dst_port[row]
            ):
                same = (
                    columns.ip_id[other] == columns.ip_id[row]
                    and columns.ip_id[row] != 0
                    and columns.tcp_ack[other] == columns.tcp_ack[row]
                    and columns.tcp_flags[other] == columns.tcp_flags[row]
                    and columns.payload_length[other] == columns.payload_length[row]
                )
                if same:
                    duplicates += 1
                else:
                    retransmitted += 1
                break
            slot = (slot + 1) & mask
        else:
            first[slot] = row
    return segments, duplicates, retransmitted


@kernel
def _sides(columns: Columns, salted: np.uint64) -> tuple[int, int]:
    """Count TCP connections, and those of which only one direction is there."""
    n = len(columns.time)
    size = 1024
    rows = np.full(size, -1, np.int64)  # first row of each connection
    both = np.zeros(size, np.bool_)
    connections = two_sided = 0
    for row in range(n):
        if columns.protocol[row] != 6 or (columns.src_port[row] == 0 and columns.dst_port[row] == 0):
            continue
        if 2 * connections > size:  # grow: enter all again
            old_rows, old_both = rows, both
            size *= 4
            rows = np.full(size, -1, np.int64)
            both = np.zeros(size, np.bool_)
            for k in range(len(old_rows)):
                if old_rows[k] >= 0:
                    slot = _connection_slot(columns, old_rows[k], size, salted)
                    while rows[slot] >= 0:
                        slot = (slot + 1) & (size - 1)
                    rows[slot] = old_rows[k]
                    both[slot] = old_both[k]
        slot = _connection_slot(columns, row, size, salted)
        while True:
            other = rows[slot]
            if other < 0:
                rows[slot] = row
                connections += 1
                break
            a, b = columns.src[row], columns.dst[row]
            p, q = columns.src_port[row], columns.dst_port[row]
            c, d = columns.src[other], columns.dst[other]
            r, s = columns.src_port[other], columns.dst_port[other]
            if a == d and b == c and p == s and q == r:
                # a host that talks to itself from a port to the same port has one direction only
                if not both[slot] and not (a == b and p == q):
                    both[slot] = True
                    two_sided += 1
                break
            if a == c and b == d and p == r and q == s:
                break
            slot = (slot + 1) & (size - 1)
    return connections, connections - two_sided


@kernel
def _connection_slot(columns: Columns, row: Int, size: Int, salted: np.uint64) -> Int:
    a = (np.uint64(columns.src[row]) << np.uint64(16)) | np.uint64(columns.src_port[row])
    b = (np.uint64(columns.dst[row]) << np.uint64(16)) | np.uint64(columns.dst_port[row])
    return np.int64(_mix((min(a, b) ^ salted) * np.uint64(0x9E3779B97F4A7C15) ^ max(a, b)) & np.uint64(size - 1))
