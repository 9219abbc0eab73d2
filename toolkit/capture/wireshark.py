"""Wireshark's dissectors as a second, independent reader: what tshark says of each frame, as the columns of a `Trace`.

Slow (some 15,000 packets a second by ``tshark -T fields``, some 1,000 by pyshark) where the native reader takes
millions (``python -m benchmarks --only engines``). It is there to be compared with, and for link types that the native
reader does not know.
"""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from toolkit.capture.beside import restore
from toolkit.capture.decode import tls_types
from toolkit.capture.tshark import BETWEEN, Tshark, find_tshark, plain_file, read_fields
from toolkit.columns import (
    FIRST_FRAGMENT,
    LATER_FRAGMENT,
    LENGTH_FROM_FRAME,
    MALFORMED,
    NO_FRAME,
    PARTIAL_CHECKSUM,
    TRUNCATED,
    Columns,
)
from toolkit.errors import CaptureError, CaptureWarning
from toolkit.hosts import Hosts
from toolkit.source import Source
from toolkit.trace import Trace

FIELDS = (
    *("frame.number", "frame.time_epoch", "frame.protocols", "frame.len", "frame.cap_len"),
    *("ip.src", "ip.dst", "ip.cur_rt", "ip.proto", "ip.len", "ip.hdr_len", "ip.ttl", "ip.id"),
    *("ip.flags.mf", "ip.frag_offset"),
    *("ipv6.src", "ipv6.dst", "ipv6.plen", "ipv6.hlim", "ipv6.nxt", "ipv6.opt.jumbo"),
    *("ipv6.hopopts.nxt", "ipv6.routing.nxt", "ipv6.dstopts.nxt", "ah.next_header", "mip6.proto", "hip.proto"),
    *("ipv6.fraghdr.nxt", "ipv6.fraghdr.ident", "ipv6.fraghdr.offset", "ipv6.fraghdr.more"),
    *("tcp.srcport", "tcp.dstport", "tcp.seq_raw", "tcp.ack_raw", "tcp.flags", "tcp.hdr_len", "tcp.len"),
    *("tcp.checksum", "tcp.urgent_pointer", "tcp.payload"),
    *("udp.srcport", "udp.dstport", "udp.length", "udp.checksum", "udp.payload"),
)
"""The fields that the columns are made of.

While a source route lasts, ``ip.dst`` is the end of the route, and ``ip.cur_rt`` what the header calls the destination.
"""

PREFERENCES = {
    # each packet as it is in its frame: without reassembly, and lengths from the headers
    "ip.defragment": "FALSE",
    "ipv6.defragment": "FALSE",
    "tcp.desegment_tcp_streams": "FALSE",
    "tcp.analyze_sequence_numbers": "FALSE",
    "ip.summary_in_tree": "TRUE",  # see `read_by_tshark`
    # a wrong checksum would end the dissection
    "ip.check_checksum": "FALSE",
    "tcp.check_checksum": "FALSE",
    "udp.check_checksum": "FALSE",
}
"""What must not depend on the settings of the user's Wireshark."""

Add = Callable[[pd.DataFrame], None]
"""Takes a chunk of frames, with a column of text for each of `FIELDS`; ``ip.cur_rt`` is the outermost header's."""
Reader = Callable[[Tshark, str, list[CaptureWarning], Add], None]
Texts = npt.NDArray[np.object_]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_NEXT_HEADER = {
    0: "ipv6.hopopts.nxt",
    43: "ipv6.routing.nxt",
    44: "ipv6.fraghdr.nxt",
    51: "ah.next_header",
    60: "ipv6.dstopts.nxt",
    135: "mip6.proto",
    139: "hip.proto",
}
_TRANSPORTS = {"tcp": 6, "udp": 17}
_KEYS = (
    *("ip.dst", "ipv6.dst", "ip.proto", "ip.flags.mf", "ip.frag_offset", "ipv6.nxt", *_NEXT_HEADER.values()),
    *("ipv6.fraghdr.offset", "ipv6.fraghdr.more"),
)
"""What decides which layers a frame has, besides their list."""
_NUMBERS = (
    *("frame.number", "frame.len", "frame.cap_len", "ip.len", "ip.hdr_len", "ip.ttl", "ip.id"),
    *("ipv6.plen", "ipv6.hlim", "ipv6.opt.jumbo"),
    *("tcp.srcport", "tcp.dstport", "tcp.seq_raw", "tcp.ack_raw", "tcp.flags", "tcp.hdr_len", "tcp.len"),
    *("tcp.checksum", "udp.srcport", "udp.dstport", "udp.length", "udp.checksum"),
)

LATEST = 2**63 - 1
"""The latest time in nanoseconds, of the year 2262."""


def read_by_tshark(tshark: Tshark, path: str, problems: list[CaptureWarning], add: Add) -> None:
    """Hand over `FIELDS` as ``tshark -T fields`` gives them, in chunks."""
    for chunk in read_fields(tshark, path, ("ip", *FIELDS), problems, preferences=PREFERENCES):
        # the first value may be of a packet inside; the summary of the outermost header tells
        routed = np.flatnonzero(chunk["ip.cur_rt"] != "")
        inside = [row for row in routed if ", Via: " not in chunk["ip"][row].partition(BETWEEN)[0]]
        chunk.loc[inside, "ip.cur_rt"] = ""
        add(chunk)


def read_columns(
    reader: Reader,
    engine: str,
    path: str | os.PathLike[str],
    strict: bool,
    progress: Callable[[int, int], None] | None,
    max_decompressed: int | None,
) -> Trace:
    """Read a capture by Wireshark's dissectors: the same columns as the native reader, made of what they say.

    `marks` are less sure: ``MALFORMED`` and ``TRUNCATED`` are only those packets whose TCP or UDP header Wireshark
    could not dissect, and ``LENGTH_FROM_FRAME`` is not told for IPv4. A packet whose headers are cut has only the
    fields that Wireshark shows before it stops. The payload bytes are copied out of what it says, into memory; it does
    not tell those of a TCP reset.
    """
    tshark = find_tshark()
    name = os.fspath(path)
    problems: list[CaptureWarning] = []
    table = _Table()
    with plain_file(path, problems, max_decompressed) as plain:
        size = os.stat(name).st_size

        def add(chunk: pd.DataFrame) -> None:
            table.add(chunk)
            if progress is not None:
                progress(min(table.done, size), size)

        reader(tshark, plain, problems, add)
    columns, hosts, payloads = table.finish()
    kept = restore(Trace(columns, hosts, payloads, ()), name)
    faults = [*problems, *([kept.fault] if kept.fault else [])]
    if strict and faults:
        raise CaptureError(*faults[0].args)
    for problem in [*faults, *([kept.warning] if kept.warning else [])]:
        warnings.warn(problem, stacklevel=3)
    if progress is not None:
        progress(size, size)
    source = Source(
        path=name,
        format=f"by {engine}, {tshark.name}" if engine != "tshark" else f"by {tshark.name}",
        size=size,
        frames=table.frames,
        packets=len(columns.time),
        non_ip=table.frames - len(columns.time),
        problems=tuple(str(problem) for problem in problems),
        zero_payloads=kept.zeros,
        payload_table=kept.table,
        payload_sha256=kept.digest,
    )
    history = (f"read {source.name} by {engine}" + (f", its payloads from {kept.table}" if kept.table else ""),)
    return Trace(kept.columns, hosts, payloads, (source,), history=history, kept_entropy=kept.entropy)


class _Table:
    """The columns while chunks of text are added."""

    def __init__(self) -> None:
        self.frames = 0
        self.done = 0  # bytes of frames
        self._tables = [Columns.empty()]
        self._hosts: dict[str, int] = {}
        self._sums: list[int] = []  # of the 16-bit words of each host's address
        self._payloads: list[npt.NDArray[np.uint8]] = []
        self._kept = 0

    def add(self, chunk: pd.DataFrame) -> None:
        self.frames += len(chunk)
        texts = {name: np.asarray(chunk[name], dtype=object) for name in FIELDS}
        texts["ip.dst"] = np.where(texts["ip.cur_rt"] == "", texts["ip.dst"], texts["ip.cur_rt"])
        self.done += int(_numbers(texts["frame.cap_len"]).sum())
        found = _layers(texts)
        keep = found[:, 0] != 0
        if keep.any():
            kept = {name: column[keep] for name, column in texts.items()}
            version, *rest = found[keep].T
            self._tables.append(self._columns(kept, version == 4, *rest))

    def finish(self) -> tuple[Columns, Hosts, tuple[npt.NDArray[np.uint8], ...]]:
        columns = Columns.concatenate(self._tables)
        columns.freeze()
        return columns, Hosts.from_strings(list(self._hosts))[0], tuple(self._payloads)

    def _columns(
        self, texts: dict[str, Texts], is4: Flags, protocol: Ints, inside: Ints, marks: Ints, fragments: Ints
    ) -> Columns:
        """Turn the rows of a chunk, each with an IP header, into columns."""
        number = {name: _numbers(texts[name]) for name in _NUMBERS}
        tcp, udp = inside == 6, inside == 17

        def transport(of_tcp: Any, of_udp: Any) -> Any:
            return np.where(tcp, of_tcp, np.where(udp, of_udp, np.zeros_like(of_udp)))

        ends = np.empty(2 * len(is4), dtype=object)
        for place, end in enumerate(("src", "dst")):
            ends[place::2] = np.where(is4, texts[f"ip.{end}"], texts[f"ipv6.{end}"])
        hosts = self._host_numbers(ends)
        plen, jumbo = number["ipv6.plen"], number["ipv6.opt.jumbo"]
        ip_length = np.where(is4, number["ip.len"], np.where((plen == 0) & (jumbo > 0), jumbo, plen) + 40)
        start, captured = self._keep(transport(texts["tcp.payload"], texts["udp.payload"]))
        whole = number["frame.cap_len"] == number["frame.len"]
        # of a first fragment tshark tells no TCP length, and the UDP length is of the whole datagram
        length = transport(number["tcp.len"], number["udp.length"] - 8)
        first = marks & FIRST_FRAGMENT > 0
        inside4 = ip_length - number["ip.hdr_len"] - transport(number["tcp.hdr_len"], np.full(len(is4), 8))
        length = np.where(first & is4, np.where(udp, np.minimum(length, inside4), inside4), length)
        length = np.where(first & ~is4 & whole, captured, length)
        length = np.where(tcp | udp, np.maximum(length, 0), 0)
        captured = np.minimum(captured, length)
        marks = marks | np.where(~is4 & (plen == 0) & (protocol != 59), LENGTH_FROM_FRAME, 0)
        cut = transport(texts["tcp.urgent_pointer"] == "", texts["udp.checksum"] == "")
        marks = marks | np.where(cut, np.where(whole, MALFORMED, TRUNCATED), 0)
        sums = np.array(self._sums, np.int64)[hosts].reshape(-1, 2).sum(axis=1) + protocol
        sums += transport(number["tcp.hdr_len"] + length, number["udp.length"])
        sums = (sums & 0xFFFF) + (sums >> 16)
        sums = (sums & 0xFFFF) + (sums >> 16)
        checksum = transport(number["tcp.checksum"], number["udp.checksum"])
        partial = (tcp | udp) & ~cut & ~first & (checksum == sums) & (checksum != 0)
        values = {
            "time": _each(texts["frame.time_epoch"], _nanoseconds),
            "src": hosts[0::2],
            "dst": hosts[1::2],
            "protocol": protocol,
            "src_port": transport(number["tcp.srcport"], number["udp.srcport"]),
            "dst_port": transport(number["tcp.dstport"], number["udp.dstport"]),
            "ip_length": ip_length,
            "ttl": np.where(is4, number["ip.ttl"], number["ipv6.hlim"]),
            "tcp_seq": np.where(tcp, number["tcp.seq_raw"], 0),
            "tcp_ack": np.where(tcp, number["tcp.ack_raw"], 0),
            "tcp_flags": np.where(tcp, number["tcp.flags"], 0),
            "payload_length": length,
            "payload_captured": captured,
            "tls_type": tls_types(self._payloads[-1], start - self._kept, np.where(tcp, captured, 0)),
            "ip_id": np.where(is4, number["ip.id"], _idents(texts["ipv6.fraghdr.ident"], fragments)) & 0xFFFF,
            "marks": marks | np.where(partial, PARTIAL_CHECKSUM, 0),
            "number": number["frame.number"],
            "frame_offset": start,
            "frame_length": number["frame.len"],
            "frame_captured": number["frame.cap_len"],
            "payload_start": np.zeros(len(is4), np.int32),
            "link_type": np.full(len(is4), NO_FRAME),  # tshark tells the payload, not the frame
        }
        self._kept += len(self._payloads[-1])
        kinds = {name: column.dtype for name, column in Columns.empty()._asdict().items()}
        return Columns(**{name: column.astype(kinds[name]) for name, column in values.items()})

    def _host_numbers(self, addresses: Texts) -> Ints:
        """Give the number of each host, new ones numbered in order of appearance."""
        codes, unique = pd.factorize(addresses)
        numbers = np.empty(len(unique), np.int64)
        for place, text in enumerate(unique):
            name = text.partition(BETWEEN)[0]
            if name not in self._hosts:
                self._hosts[name] = len(self._hosts)
                self._sums.append(int(np.frombuffer(ip_address(name).packed, ">u2").sum()))
            numbers[place] = self._hosts[name]
        return numbers[codes]

    def _keep(self, payloads: Texts) -> tuple[Ints, Ints]:
        """Keep payloads, written in hexadecimal; give where each starts and its length."""
        found = [bytes.fromhex(text.partition(BETWEEN)[0].replace(":", "")) if text else b"" for text in payloads]
        lengths = np.array([len(one) for one in found], np.int64)
        buffer = np.array(bytearray().join(found), np.uint8)
        buffer.flags.writeable = False
        self._payloads.append(buffer)
        return self._kept + np.cumsum(lengths) - lengths, lengths


def _layers(texts: dict[str, Texts]) -> Ints:
    """Find the outermost IP layer of each frame: version, protocol, transport (0 for none), marks, fragment headers."""
    keys = texts["frame.protocols"]
    for name in _KEYS:
        # of the destinations only how many there are
        keys = keys + "\t" + (_each(texts[name], _count).astype(str) if name.endswith(".dst") else texts[name])
    codes, unique = pd.factorize(keys)
    return np.array([_outermost(*key.split("\t")) for key in unique], np.int64).reshape(-1, 5)[codes]


def _count(text: str) -> int:
    """Count the values of a field."""
    return text.count(BETWEEN) + 1 if text else 0


def _outermost(listed: str, packets4: str, packets6: str, *rest: str) -> tuple[int, int, int, int, int]:
    fields = dict(zip(_KEYS[2:], rest, strict=True))
    layers = [layer for layer in listed.split(":") if not layer.startswith("ipv6.")]
    shown = {"ip": int(packets4), "ipv6": int(packets6)}
    # an IPv6 packet behind the EtherType of IPv4 is shown as both
    place = next((i for i, name in enumerate(layers) if name == "ipv6" or (name == "ip" and shown["ip"])), -1)
    outer = layers[place] if place >= 0 else ""
    if "mpls" in layers[: place if place >= 0 else None]:  # behind which tshark 4.4 does not list it
        unlisted = [name for name in shown if shown[name] > layers.count(name)]
        if unlisted:
            outer, place = unlisted[0], layers.index("mpls")
            while layers[place + 1 : place + 2] == ["mpls"]:
                place += 1
    if not outer or not shown[outer]:
        return 0, 0, 0, 0, 0
    version, rest_of = 6 if outer == "ipv6" else 4, layers[place + 1 :]
    if version == 6:
        protocol, marks, fragments = _behind_extensions(fields)
        rest_of = [layer for layer in rest_of if layer != "ah"]
    else:
        protocol, fragments = _first(fields["ip.proto"]), 0
        offset, more = _first(fields["ip.frag_offset"]), _first(fields["ip.flags.mf"])
        marks = LATER_FRAGMENT if offset else FIRST_FRAGMENT if more else 0
    inside = _TRANSPORTS.get(rest_of[0], 0) if rest_of and not marks & LATER_FRAGMENT else 0
    return version, protocol, inside if inside == protocol else 0, marks, fragments


def _behind_extensions(fields: dict[str, str]) -> tuple[int, int, int]:
    """Follow the chain of IPv6 headers: the protocol at its end, what it says of fragments, and in how many headers."""
    protocol, marks = _first(fields["ipv6.nxt"]), 0
    met: Counter[int] = Counter()
    while protocol in _NEXT_HEADER:
        place = met[protocol]
        values = fields[_NEXT_HEADER[protocol]].split(BETWEEN)
        if place >= len(values) or not values[place]:
            break
        met[protocol] += 1
        if protocol == 44:
            offset, more = (_nth(fields[f"ipv6.fraghdr.{name}"], place) for name in ("offset", "more"))
            marks |= LATER_FRAGMENT if offset else FIRST_FRAGMENT if more else 0
        protocol = int(values[place])
        if marks & LATER_FRAGMENT:
            break
    return protocol, marks, met[44]


def _idents(texts: Texts, fragments: Ints) -> Ints:
    """Read what the last fragment header of each packet says, 0 without one; those behind are of packets inside."""
    found = np.zeros(len(texts), np.int64)
    for row in np.flatnonzero(fragments):
        found[row] = _nth(texts[row], fragments[row] - 1)
    return found


def _each(texts: Texts, convert: Callable[[str], int]) -> Ints:
    """Convert texts, each different one once."""
    codes, unique = pd.factorize(texts)
    return np.array([convert(text) for text in unique], np.int64)[codes]


def _nth(text: str, place: int) -> int:
    """Read one of the values of a field as a number, 0 for none."""
    return _first(BETWEEN.join(text.split(BETWEEN)[place:]))


def _first(text: str) -> int:
    """Read the first value of a field as a number, 0 for none."""
    value = text.partition(BETWEEN)[0]
    # since 4.2 the value of a bit is a word
    return {"True": 1, "False": 0, "": 0}[value] if value in ("True", "False", "") else int(value, 0)


def _numbers(texts: Texts) -> Ints:
    return _each(texts, _first)


def _nanoseconds(text: str) -> int:
    """Read a time such as ``1444236893.450580000``; 0 for a frame without one, or with one that cannot be.

    Kept within int64, as the native reader does.
    """
    found = re.fullmatch(r"(-?\d+)\.(\d{9})", text)
    time = int(found[1]) * 1_000_000_000 + int(found[2]) if found else 0
    return max(min(time, LATEST), -LATEST)
