"""Packets together with the row that they should become, and how to read bytes as a capture."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import writer

import toolkit
from toolkit.capture import framing
from toolkit.columns import FIRST_FRAGMENT, LATER_FRAGMENT, PARTIAL_CHECKSUM, Columns
from toolkit.trace import Trace

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
ENDS = {4: ("10.1.2.3", "192.0.2.9"), 6: ("2001:db8::1", "2001:db8::9")}


@dataclass(frozen=True)
class Sent:
    """An IP packet, and what is to be said of it; `start` is where its payload starts."""

    packet: bytes
    row: dict[str, Any]
    start: int

    @property
    def payload(self) -> bytes:
        return self.packet[self.start : self.start + self.row["payload_length"]]


def sent(
    body: bytes,
    protocol: int,
    *,
    ends: tuple[str, str] = ENDS[4],
    ttl: int = 64,
    ident: int = 0,
    options: bytes = b"",
    extensions: Sequence[tuple[int, bytes]] = (),
    fragment: int = 0,
    more: bool = False,
    header: int = 0,
    partial: bool = False,
    **row: Any,
) -> Sent:
    """Put a body into a packet. `header` is the length of that of TCP or UDP; `fragment` counts bytes."""
    if ":" in ends[0]:
        if fragment or more:
            extensions = [*extensions, writer.fragment(fragment, more, ident)]
        packet = writer.ipv6(*ends, protocol, body, hop_limit=ttl, extensions=extensions)
        ident = ident if fragment or more else 0
    else:
        flags = fragment // 8 | 0x2000 * more
        packet = writer.ipv4(
            *ends, protocol, body, ttl=ttl, ident=ident & 0xFFFF, options=options, flags_fragment=flags
        )
    expected = dict.fromkeys(("src_port", "dst_port", "tcp_seq", "tcp_ack", "tcp_flags", "tls_type"), 0)
    expected |= {"src": ends[0], "dst": ends[1], "protocol": protocol, "ttl": ttl, "ip_id": ident & 0xFFFF}
    expected |= {"ip_length": len(packet), "payload_length": len(body) - header if header else 0}
    expected["marks"] = LATER_FRAGMENT if fragment else FIRST_FRAGMENT if more else 0
    if partial and not more:  # the checksum of a fragment is not looked at
        expected["marks"] |= PARTIAL_CHECKSUM
    return Sent(packet, expected | row, len(packet) - len(body) + header)


def sent_tcp(
    payload: bytes = b"",
    *,
    ports: tuple[int, int] = (40_001, 443),
    seq: int = 0,
    ack: int = 0,
    flags: int = 0x10,
    tcp_options: bytes = b"",
    checksum: str = "none",
    tls_type: int = 0,
    ends: tuple[str, str] = ENDS[4],
    **around: Any,
) -> Sent:
    """Send a TCP segment; the checksum is "none", "right" or "partial"."""
    body = writer.tcp(
        *ports,
        payload,
        seq=seq,
        ack=ack,
        flags=flags,
        options=tcp_options,
        checksum_for=ends if checksum != "none" else None,
        partial=checksum == "partial",
    )
    fields = {"src_port": ports[0], "dst_port": ports[1], "tcp_seq": seq, "tcp_ack": ack, "tcp_flags": flags}
    header = len(body) - len(payload)
    partial = checksum == "partial"
    return sent(body, writer.TCP, ends=ends, header=header, partial=partial, tls_type=tls_type, **fields, **around)


def sent_udp(
    payload: bytes = b"",
    *,
    ports: tuple[int, int] = (40_001, 443),
    checksum: str = "none",
    ends: tuple[str, str] = ENDS[4],
    **around: Any,
) -> Sent:
    """Send a UDP datagram."""
    partial = checksum == "partial"
    body = writer.udp(*ports, payload, checksum_for=ends if checksum != "none" else None, partial=partial)
    fields = {"src_port": ports[0], "dst_port": ports[1]}
    return sent(body, writer.UDP, ends=ends, header=8, partial=partial, **fields, **around)


def expected_row(one: Sent, frame: writer.Frame, number: int, snaplen: int = 0) -> dict[str, Any]:
    """Give the row of a packet in a frame that is cut behind all headers, or not at all."""
    written, wire = frame.cut(snaplen)
    start = frame.data.index(one.packet) + one.start
    captured = min(max(len(written) - start, 0), one.row["payload_length"])
    return one.row | {
        "tls_type": one.row["tls_type"] if captured >= 5 else 0,
        "time": frame.time_ns,
        "number": number,
        "frame_length": max(wire, len(written)),
        "frame_captured": len(written),
        "payload_captured": captured,
        "payload": one.payload[:captured],
        "frame": written,
    }


def rows(trace: Trace, data: bytes) -> list[dict[str, Any]]:
    """Give every column of every packet, its payload, and its frame as it lies in `data`, the bytes of the file."""
    lists = {name: column.tolist() for name, column in zip(Columns._fields, trace.columns, strict=True)}
    hosts = trace.hosts
    found = []
    for i in range(len(trace)):
        row = {name: values[i] for name, values in lists.items()}
        row["src"], row["dst"] = hosts[row["src"]], hosts[row["dst"]]
        assert row.pop("link_type") in trace.source.link_types
        row["payload"] = bytes(trace.payload(i))
        offset = row.pop("frame_offset")
        row["frame"] = data[offset : offset + row["frame_captured"]]
        start = row.pop("payload_start")
        if row["payload"]:
            assert row["frame"][start:].startswith(row["payload"])
        found.append(row)
    return found


def frame_of(trace: Trace, row: int) -> bytes:
    """Give the bytes of a frame."""
    offset, size = int(trace.column("frame_offset")[row]), int(trace.column("frame_captured")[row])
    return bytes(trace.storage.read(offset, 0, size))


def same_columns(one: Trace, other: Trace, *but: str) -> None:
    """Check that two traces have the same columns, wherever their frames lie, but for those named."""
    for name in set(Columns._fields) - {"src", "dst", "frame_offset", *but}:
        assert one.column(name).tolist() == other.column(name).tolist(), name
    for end in ("src", "dst"):
        assert [one.hosts[i] for i in one.column(end)] == [other.hosts[i] for i in other.column(end)]


def read(data: bytes, **options: Any) -> Trace:
    """Read bytes as a capture file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "made.pcap")
        path.write_bytes(data)
        return toolkit.read(path, **options)


def read_broken(data: bytes) -> tuple[Trace, list[str]]:
    """Read what may be broken: the trace, and the warnings without the name of the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "made.pcap")
        path.write_bytes(data)

        def place_on(text: str) -> str:
            assert text.startswith(str(path))
            assert "\n" not in text
            return text.removeprefix(str(path)).lstrip(": ")

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            trace = toolkit.read(path)
        assert all(warning.category is toolkit.CaptureWarning for warning in caught)
        assert all(warning.filename == __file__ for warning in caught)
        said = [place_on(str(warning.message)) for warning in caught]
        if trace.source.zero_payloads:  # said last, and no fault
            assert "nothing but zeros in the payload" in said.pop()
        assert [place_on(problem) for problem in trace.source.problems] == said
        if said:
            with pytest.raises(toolkit.CaptureError) as first:
                toolkit.read(path, strict=True)
            assert place_on(str(first.value)) == said[0]
        else:
            assert len(toolkit.read(path, strict=True)) == len(trace)
        return trace, said


def is_invariant(trace: Trace) -> None:
    """Check what holds of every trace that was read from a file, however broken."""
    columns = trace.columns
    assert trace.source.packets == len(trace)
    lost = trace.source.non_ip + trace.source.unknown_link + trace.source.no_header + trace.source.bad_header
    assert trace.source.frames == len(trace) + lost
    captured, length = columns.payload_captured, columns.payload_length
    assert (captured >= 0).all()
    assert (captured <= length).all()
    assert (length <= columns.ip_length).all()
    assert (columns.frame_captured <= framing.LONGEST).all()
    assert (columns.frame_captured <= columns.frame_length).all()
    some = captured > 0
    assert (columns.payload_start[some] > 0).all()
    assert (columns.payload_start + captured <= columns.frame_captured)[some].all()
    assert (columns.frame_offset >= 0).all()
    assert (columns.frame_offset + columns.frame_captured <= trace.source.size).all()
    for codes in (columns.src, columns.dst):
        assert ((codes >= 0) & (codes < len(trace.hosts))).all()
    assert len(set(trace.hosts)) == len(trace.hosts)
    assert (columns.number[1:] > columns.number[:-1]).all()
    assert ((columns.number >= 1) & (columns.number <= trace.source.frames)).all()
    transport = (columns.protocol == 6) | (columns.protocol == 17)
    assert not columns.src_port[~transport].any()
    assert not columns.tcp_seq[columns.protocol != 6].any()
    assert not columns.tls_type[captured < 5].any()
    for i in range(len(trace)):
        assert len(trace.payload(i)) == captured[i]
