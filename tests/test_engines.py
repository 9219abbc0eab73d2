"""Wireshark's engines read what the native one reads, filter, add fields, and leave no process behind."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import signal
import stat
import struct
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pyshark
import pytest
import writer
from capturing import ENDS, START, sent, sent_tcp, sent_udp
from click.testing import CliRunner
from nbclient import NotebookClient
from wiresharking import children, column_differences, frames_shown, tshark
from writer import Frame

import toolkit
from toolkit.capture import pyshark_engine
from toolkit.capture import tshark as tshark_module
from toolkit.capture.tshark import FilterError, find_tshark
from toolkit.cli import main

HTTPS = toolkit.example("https").path
SNI = "tls.handshake.extensions_server_name"
WIRESHARK = ["tshark", "pyshark"]


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Any:
    before = children()
    yield
    assert children() <= before


def small(tmp_path: Path, count: int = 30) -> Path:
    """Write a capture of `count` datagrams, every third of which has another port."""
    path = tmp_path / "small.pcap"
    datagrams = [sent_udp(bytes([i]) * i, ports=(5_000 + i % 3, 53)) for i in range(count)]
    frames = [Frame(writer.link("ethernet", one.packet), START + i * 1_001) for i, one in enumerate(datagrams)]
    path.write_bytes(writer.pcap(frames, resolution="ns"))
    return path


# The same columns


@pytest.mark.parametrize("name", list(toolkit.examples().index))
def test_tshark_gives_the_columns_of_the_native_engine(name: str) -> None:
    tshark()
    path = toolkit.example(name).path
    native, other = toolkit.read(path, engine="native"), toolkit.read(path, engine="tshark")
    assert native.column("number").tolist() == other.column("number").tolist()
    assert native.hosts == other.hosts
    assert column_differences(native, other) == {}
    assert other.source.frames == native.source.frames
    assert other.source.format.startswith("by tshark ")


@pytest.mark.parametrize("name", ["obfs4", "meek"])
def test_pyshark_gives_the_columns_of_the_native_engine(name: str) -> None:
    tshark()
    path = toolkit.example(name).path
    native, other = toolkit.read(path, engine="native"), toolkit.read(path, engine="pyshark")
    assert native.column("number").tolist() == other.column("number").tolist()
    assert column_differences(native, other) == {}
    pd.testing.assert_frame_equal(native.packets, other.packets)


@pytest.mark.parametrize("engine", WIRESHARK)
def test_every_kind_of_packet_and_link(engine: Any, tmp_path: Path) -> None:
    tshark()
    made = []
    for ends in (("10.0.0.1", "192.0.2.9"), ("2001:db8::1", "2001:db8::9")):
        made += [
            sent_tcp(b"\x17\x03\x03\x00\x02ab", ports=(50_000, 443), ends=ends, checksum="partial").packet,
            sent_tcp(b"", flags=0x12, seq=4_294_967_295, ack=1, ends=ends, checksum="right").packet,
            sent_udp(b"x" * 200, ports=(1, 2), ends=ends, more=True, ident=77).packet,
            sent_udp(b"y" * 9, ports=(1, 2), ends=ends, fragment=1_480, ident=77).packet,
            sent_udp(b"", ports=(40_000, 9), ends=ends, checksum="partial").packet,
        ]
    inner = [sent_tcp(b"x", ports=(50_000, 443), ends=ends).packet for ends in (ENDS[4], ENDS[6])]
    made += [
        sent(inside, (4, 41)[inside[0] >> 4 == 6], ends=ends).packet for ends in (ENDS[4], ENDS[6]) for inside in inner
    ]
    made.append(sent_udp(b"\0\x01\x01\x40" + inner[0], ports=(50_000, 6_635)).packet)  # MPLS
    for name in (
        *("ethernet padded", "ethernet 88a8 8100", "ethernet pppoe", "802.11 radiotap", "sll2", "raw 101"),
        *("ethernet mpls", "ethernet mpls mpls", "ethernet 8100 mpls", "ethernet nsh", "frame relay cisco"),
    ):
        path = tmp_path / f"{name}.pcap"
        frames = [Frame(writer.link(name, packet), START + i) for i, packet in enumerate(made)]
        path.write_bytes(writer.pcap(frames, linktype=writer.LINKS[name][0], resolution="ns"))
        native, other = toolkit.read(path), toolkit.read(path, engine=engine)
        assert len(native) == len(other) == len(made)
        assert column_differences(native, other) == {}


def all_differences(packets: list[bytes], engine: Any, tmp_path: Path) -> tuple[toolkit.Trace, dict[str, Any]]:
    """Read packets by an engine: what it gives, and what the native one gives otherwise."""
    path = tmp_path / "made.pcap"
    frames = [Frame(writer.link("ethernet", packet), START + i * 1_000) for i, packet in enumerate(packets)]
    path.write_bytes(writer.pcap(frames))
    native, other = toolkit.read(path), toolkit.read(path, engine=engine)
    assert len(native) == len(other) == len(packets)
    return other, column_differences(native, other)


def route(kind: int, pointer: int, *hops: str) -> bytes:
    """Option of IPv4 with a route: 131 loose and 137 strict source routes, 7 a record (RFC 791); 4 is its first hop."""
    body = b"".join(ip_address(hop).packed for hop in hops)
    return bytes([kind, 3 + len(body), pointer]) + body


@pytest.mark.parametrize("engine", WIRESHARK)
def test_source_routes(engine: Any, tmp_path: Path) -> None:
    """The destination is what the header says: the next hop, until the route is used up."""
    tshark()
    datagram, ends, hops = writer.udp(1, 2, b"x" * 8), ("10.0.0.1", "10.0.0.2"), ("10.9.9.1", "10.9.9.2")
    loose, strict = route(131, 4, *hops), route(137, 4, *hops)
    options = [b"", loose, strict, route(131, 8, *hops), route(131, 12, *hops), route(137, 12, *hops)]
    options += [route(7, 4, *hops), route(7, 4, hops[0]) + route(131, 4, hops[1]), route(137, 0, *hops)]
    options += [b"\x83\x0a\x04" + loose[3:10], route(131, 4, hops[0]) + route(137, 4, hops[1]), route(131, 4)]
    packets = [writer.ipv4(*ends, 17, datagram, options=option) for option in options]
    packets.append(writer.ipv4(*ends, 17, datagram, options=strict, flags_fragment=9))
    for outer in (b"", loose, b"\x94\x04\0\0"):  # the last one is a router alert
        for option in (b"", strict):
            inside = writer.ipv4("172.16.0.1", "172.16.0.2", 17, datagram, options=option)
            packets.append(writer.ipv4(*ends, 4, inside, options=outer))
    other, differ = all_differences(packets, engine, tmp_path)
    assert differ == {}
    assert set(other.packets["dst"]) == {"10.0.0.2"}


@pytest.mark.parametrize("engine", WIRESHARK)
def test_several_fragment_headers(engine: Any, tmp_path: Path) -> None:
    """Each counts, the last one for the identification; none of those of a packet inside."""
    tshark()
    one, two = ("2001:db8::1", "2001:db8::9"), ("2001:db8:1::1", "2001:db8:1::9")
    datagram = writer.udp(1, 2, b"x" * 16)
    atomic, first, later = (0, False), (0, True), (8, True)

    def made(headers: Sequence[tuple[int, bytes]], inside: bytes | None = None) -> bytes:
        if inside is None:
            return writer.ipv6(*one, 17, datagram, extensions=headers)
        return writer.ipv6(*two, 41, inside, extensions=headers)

    def fragments(*kinds: tuple[int, bool]) -> list[tuple[int, bytes]]:
        return [writer.fragment(*kind, ident=7 + i) for i, kind in enumerate(kinds)]

    chains = [fragments(*kinds) for kinds in itertools.product((atomic, first, later), repeat=2)]
    chains += [fragments(first), fragments(atomic, atomic, atomic), [writer.hop_by_hop()]]
    between = [writer.hop_by_hop(), writer.authentication(), writer.destination_options()]
    chains.append([header for pair in zip(fragments(atomic, atomic, atomic), between, strict=True) for header in pair])
    packets = [made(chain) for chain in chains]
    for outer in ([], [writer.hop_by_hop()], [writer.authentication()], fragments(atomic), fragments(atomic, atomic)):
        packets += [made(outer, made([writer.fragment(*kind, ident=99)])) for kind in (atomic, first, later)]
    other, differ = all_differences(packets, engine, tmp_path)
    assert differ == {}
    # (atomic|first, any) are read to the second, (later, any) to the first header
    assert other.packets["ip_id"].tolist() == [8] * 6 + [7] * 3 + [7, 9, 0, 9] + [0] * 9 + [7] * 3 + [8] * 3


@pytest.mark.parametrize("engine", WIRESHARK)
@pytest.mark.parametrize("time", [2**63 - 1, 2**63, 2**64 - 1])
def test_a_time_after_2262_is_the_latest(engine: Any, time: int, tmp_path: Path) -> None:
    tshark()
    path = tmp_path / "late.pcapng"
    frame = writer.link("ethernet", sent_tcp(b"abc").packet)
    body = (
        struct.pack("<IIIII", 0, time >> 32, time & 0xFFFFFFFF, len(frame), len(frame)) + frame + bytes(-len(frame) % 4)
    )
    path.write_bytes(writer.section_header() + writer.interface(1) + writer.block(6, body))  # in microseconds
    native, other = toolkit.read(path), toolkit.read(path, engine=engine)
    assert native.column("time").tolist() == other.column("time").tolist() == [2**63 - 1]


@pytest.mark.shared
@pytest.mark.parametrize("folder", ["captures", "traces"])
def test_tshark_gives_the_same_columns_of_the_shared_captures(shared: Path, folder: str) -> None:
    tshark()
    # a fraction of more than a second: tshark takes it as negative
    allowed = {"fuzz-2021-06-07-c6c72a0a56.pcap": {"time"}}
    paths = sorted(shared.glob(f"{folder}/*.*cap*"))
    assert len(paths) > 10
    found = {}
    for path in paths:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", toolkit.CaptureWarning)
            native, other = toolkit.read(path), toolkit.read(path, engine="tshark")
        assert native.column("number").tolist() == other.column("number").tolist()
        differ = column_differences(native, other)
        found[path.name] = set(differ) - allowed.get(path.name, set())
    assert {name: columns for name, columns in found.items() if columns} == {}


@pytest.mark.shared
def test_pyshark_gives_the_same_columns_of_the_shared_captures(shared: Path) -> None:
    tshark()
    paths = [path for path in sorted(shared.glob("captures/*.*cap*")) if path.stat().st_size < 40_000]
    assert len(paths) > 10
    found = {}
    for path in paths:
        if not path.name.startswith("fuzz"):
            native, other = toolkit.read(path), toolkit.read(path, engine="pyshark")
            assert native.column("number").tolist() == other.column("number").tolist()
            found[path.name] = column_differences(native, other)
    assert {name: columns for name, columns in found.items() if columns} == {}


@pytest.mark.parametrize("end", ["whole", "cut"])
def test_where_tshark_stops_is_said(end: str, tmp_path: Path) -> None:
    """It stops at a custom block that is too short, which hides nothing from the native reader."""
    tshark()
    packets = [
        writer.enhanced_packet(Frame(writer.link("ethernet", sent_tcp(b"abc", seq=n).packet), START)) for n in range(20)
    ]
    path = tmp_path / "stops.pcapng"
    data = writer.section_header() + writer.interface(1) + b"".join(packets[:10])
    data += writer.block(0xBAD, b"") + b"".join(packets[10:])
    path.write_bytes(data if end == "whole" else data[:-5])
    said = (
        "found a file that appears to be damaged .*; tshark stopped there: packets behind it are in no display filter"
    )
    for options in ({"display_filter": "tcp"}, {"fields": "ip.ttl"}):
        with pytest.warns(toolkit.CaptureWarning) as caught:
            trace = toolkit.read(path, **options)  # type: ignore[call-overload]
        messages = [str(one.message) for one in caught]
        assert re.search(said, messages[-1])
        assert len(messages) == (1 if end == "whole" else 2)
        assert len(trace) == (10 if "display_filter" in options else 20 - (end == "cut"))
        with pytest.raises(toolkit.CaptureError, match=said if end == "whole" else "the last .* bytes"):
            toolkit.read(path, **options, strict=True)  # type: ignore[call-overload]
    path.write_bytes(data.replace(writer.block(0xBAD, b""), b"")[:-5])  # cut, and nothing else: said once
    with pytest.warns(toolkit.CaptureWarning) as caught:
        assert len(toolkit.read(path, display_filter="tcp")) == 19
    assert len(caught) == 1


@pytest.mark.parametrize("engine", WIRESHARK)
@pytest.mark.parametrize("how", ["gzip", "zstd", "xz", "bz2"])
def test_compressed_captures(engine: Any, how: str, tmp_path: Path) -> None:
    tshark()
    path = tmp_path / "capture.packed"
    path.write_bytes(writer.compress(small(tmp_path).read_bytes(), how))
    assert column_differences(toolkit.read(path), toolkit.read(path, engine=engine)) == {}
    assert len(toolkit.read(path, display_filter="udp.srcport == 5001")) == 10


@pytest.mark.parametrize("engine", WIRESHARK)
def test_a_cut_capture_keeps_what_is_whole(engine: Any, tmp_path: Path) -> None:
    tshark()
    path = small(tmp_path)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.warns(toolkit.CaptureWarning, match="cut short in the middle of a packet") as caught:
        trace = toolkit.read(path, engine=engine)
    assert len(trace) == 29
    assert [warning.filename for warning in caught] == [__file__]
    assert trace.source.problems == tuple(str(warning.message) for warning in caught)
    with pytest.raises(toolkit.CaptureError, match="cut short"):
        toolkit.read(path, engine=engine, strict=True)


@pytest.mark.parametrize("engine", WIRESHARK)
def test_no_packet_and_no_capture(engine: Any, tmp_path: Path) -> None:
    tshark()
    path = tmp_path / "none.pcap"
    path.write_bytes(writer.pcap([]))
    empty = toolkit.read(path, engine=engine)
    assert (len(empty), empty.source.frames, empty.hosts) == (0, 0, ())
    path.write_text("no capture at all")
    with pytest.raises(toolkit.CaptureError, match="isn't a capture file"):
        toolkit.read(path, engine=engine)
    with pytest.raises(toolkit.CaptureError, match="no such file"):
        toolkit.read(tmp_path / "absent", engine=engine)
    path.write_text("no capture")
    with pytest.raises(toolkit.CaptureError) as caught:
        toolkit.read(path, engine=engine)
    said = "a file that isn't a capture file in a format TShark understands"
    assert str(caught.value) == f"{path}: expected a capture that tshark can read, found {said}"


def damaged(tmp_path: Path, name: str) -> Path:
    """Write a capture whose 21st packet says that it has a length which cannot be."""
    path = tmp_path / name
    data = bytearray(small(tmp_path).read_bytes())
    place = 24 + sum(16 + len(writer.link("ethernet", sent_udp(bytes(i)).packet)) for i in range(20))
    data[place + 8 : place + 12] = b"\xff\xff\xff\x7f"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("engine", WIRESHARK)
@pytest.mark.parametrize("name", ["plain", "ümlaut", os.fsdecode(b"not UTF-8 \xff"), 'a "quote"', "-n"])
def test_a_damaged_capture_is_called_what_the_user_calls_it(
    engine: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tshark()
    damaged(tmp_path, name)
    monkeypatch.chdir(tmp_path)
    with pytest.warns(toolkit.CaptureWarning) as caught:
        trace = toolkit.read(name, engine=engine)
    assert len(trace) == 20
    said = "a file that appears to be damaged or corrupt (pcap: File has 2147483647-byte packet, bigger than maximum"
    found = f"{name}: expected a whole capture, found {said} of 262144); the frames before it are kept"
    assert [str(warning.message) for warning in caught] == [found]
    Path(name).write_text("no capture")
    with pytest.raises(toolkit.CaptureError) as raised:
        toolkit.read(name, engine=engine)
    found = "expected a capture that tshark can read, found a file that isn't a capture file in a format TShark"
    assert str(raised.value) == f"{name}: {found} understands"


def said_of(path: Path, **options: Any) -> tuple[int, list[str]]:
    """Read a capture: how many packets, and the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trace = toolkit.read(path, **options)
    assert trace.source.problems == tuple(str(warning.message) for warning in caught)
    return len(trace), list(trace.source.problems)


@pytest.mark.parametrize("engine", WIRESHARK)
def test_a_compressed_capture_that_was_not_read_to_its_end(engine: Any, tmp_path: Path) -> None:
    tshark()
    plain = small(tmp_path).read_bytes()
    packed = writer.compress(plain, "gzip")
    path = tmp_path / "packed"
    limited = {"max_decompressed": len(plain) - 3}
    for data, options in ((packed[:-20], {}), (packed + b"other", {}), (packed, limited)):
        path.write_bytes(data)
        count, native = said_of(path, engine="native", **options)
        # what tshark says besides of a packet that is cut is no news
        assert said_of(path, engine=engine, **options) == (count, native[:1])
        with pytest.raises(toolkit.CaptureError) as caught:
            toolkit.read(path, engine=engine, strict=True, **options)  # type: ignore[arg-type]
        assert str(caught.value) == native[0]
    assert count == 29
    # a capture that was cut before it was compressed
    path.write_bytes(writer.compress(plain[:-3], "gzip") + b"other")
    count, said = said_of(path, engine=engine)
    assert (count, len(said)) == (29, 2)
    assert said[1].endswith("cut short in the middle of a packet; the frames before it are kept")


@pytest.mark.parametrize("engine", WIRESHARK)
def test_what_is_compressed_must_be_a_capture(engine: Any, tmp_path: Path) -> None:
    """The native engine stops there, and tshark would read its beginning as something else, or as nothing."""
    tshark()
    plain = small(tmp_path).read_bytes()
    path = tmp_path / "packed"
    inside = [b"", b"no capture", bytes(100_000), plain[:20], b"snoop\0\0\0\0\0\0\2\0\0\0\4"]
    inside += [writer.compress(bytes(100_000), how) for how in ("gzip", "bz2")]
    inside += [writer.compress(plain, how) for how in ("gzip", "zstd")]
    for data in [writer.compress(one, how) for one in inside for how in ("gzip", "bz2")] + [
        writer.compress(plain, "gzip")[:12]
    ]:
        path.write_bytes(data)
        found = []
        for each in ("native", engine):
            with pytest.raises(toolkit.CaptureError) as caught:
                toolkit.read(path, engine=each)
            found.append(str(caught.value))
        assert found[0] == found[1]


def test_progress_is_told(tmp_path: Path) -> None:
    tshark()
    path = small(tmp_path)
    told: list[tuple[int, int]] = []
    toolkit.read(path, engine="tshark", progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (path.stat().st_size,) * 2
    assert all(done <= total for done, total in told)


# Filter and fields


@pytest.mark.parametrize("engine", ["auto", "tshark", "pyshark"])
def test_filter_and_fields(engine: Any) -> None:
    tshark()
    trace = toolkit.read(HTTPS, engine=engine, display_filter="tls.handshake.type == 1", fields=[SNI, "tcp.stream"])
    assert trace.column("number").tolist() == frames_shown(HTTPS, "tls.handshake.type == 1")
    assert trace.fields == (SNI, "tcp.stream")
    assert trace.packets[SNI].iloc[0] == "site02.lab.test"
    # every hello of a client holds the name in plain text
    assert all(name.encode() in bytes(trace.payload(i)) for i, name in enumerate(trace.packets[SNI]))
    assert "display_filter='tls.handshake.type == 1'" in trace.history[-1]


def test_fields_without_a_filter_go_with_the_packets(tmp_path: Path) -> None:
    tshark()
    trace = toolkit.read(HTTPS, fields=SNI)
    assert len(trace) == len(toolkit.read(HTTPS))
    named = trace.packets[SNI].notna()
    assert trace.column("number")[named].tolist() == frames_shown(HTTPS, SNI)
    rows = np.flatnonzero(named)[[3, 1]]
    expected = trace.packets[SNI].iloc[rows].tolist()
    assert trace[rows].packets[SNI].tolist() == expected
    assert trace[rows[1] : rows[1] + 1].packets[SNI].tolist() == expected[1:]
    assert trace.select(where=f"`{SNI}` == '{expected[0]}'").packets[SNI].unique().tolist() == expected[:1]
    assert trace[rows].packets[SNI].cat.categories.tolist() == sorted(set(expected))
    moved = trace.with_time(trace.column("time") + 1, "moved")
    assert moved.packets[SNI].equals(trace.packets[SNI])
    joined = toolkit.concat([trace[rows], trace])
    assert joined.packets[SNI].tolist()[:2] == expected
    assert joined.packets[SNI][2:].notna().tolist() == named.tolist()
    with pytest.raises(ValueError, match="must have the same fields"):
        toolkit.concat([trace, toolkit.read(HTTPS)])
    trace.packets.to_parquet(tmp_path / "packets.parquet")
    again = pd.read_parquet(tmp_path / "packets.parquet")
    assert (
        again[SNI].astype(object).where(named, None).tolist()
        == trace.packets[SNI].astype(object).where(named, None).tolist()
    )


def test_fields_become_numbers_as_documented() -> None:
    tshark()
    path = toolkit.example("obfs4").path
    trace = toolkit.read(path, fields=["tcp.window_size_value", "tcp.options.mss_val"])
    assert trace.packets["tcp.window_size_value"].astype(int).max() == 65_160
    sizes = trace.packets["tcp.options.mss_val"]
    assert sizes.isna().any()
    assert sizes.astype("Int64").dropna().tolist() == [int(text) for text in sizes.dropna()]


def test_several_values_are_joined_by_commas(tmp_path: Path) -> None:
    tshark()
    inner = writer.ipv4("172.16.0.1", "172.16.0.2", 17, writer.udp(1, 2, b"x"))
    packet = writer.ipv4("10.0.0.1", "10.0.0.2", 4, inner)
    path = tmp_path / "tunnel.pcap"
    path.write_bytes(writer.pcap([Frame(writer.link("ethernet", packet), START)]))
    trace = toolkit.read(path, fields=["ip.src", "dns.qry.name"])
    assert trace.packets["ip.src"].tolist() == ["10.0.0.1,172.16.0.1"]
    assert trace.packets["dns.qry.name"].isna().tolist() == [True]


def test_fields_are_refused_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="different names"):
        toolkit.read(HTTPS, fields=["ip.src", "ip.src"])
    for name in ("protocol", "src"):
        with pytest.raises(ValueError, match=f"such as 'ip.src'; '{name}' is a column that every trace has"):
            toolkit.read(HTTPS, fields=[name])
    for wrong in ("", 5):
        with pytest.raises(ValueError, match=f"different names such as 'tls.handshake.type', got {wrong!r}"):
            toolkit.read(HTTPS, fields=[wrong])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="need Wireshark's tshark"):
        toolkit.read(HTTPS, engine="native", fields=["ip.src"])
    with pytest.raises(ValueError, match="auto, native, tshark, pyshark, got 'wireshark'"):
        toolkit.read(HTTPS, engine="wireshark")  # type: ignore[arg-type]


@pytest.mark.parametrize("engine", ["auto", "tshark", "pyshark"])
def test_what_tshark_says_of_a_bad_filter(engine: Any) -> None:
    tshark()
    with pytest.raises(FilterError, match="was unexpected in this context"):
        toolkit.read(HTTPS, engine=engine, display_filter="ip foo")
    with pytest.raises(toolkit.WiresharkError, match=r"aren't valid:\s+no\.such\.field"):
        toolkit.read(HTTPS, engine=engine, fields=["no.such.field"])
    with pytest.raises(ValueError, match="must be a filter"):
        toolkit.read(HTTPS, engine=engine, display_filter=" ")


# tshark that is absent, or old


def false_tshark(folder: Path, says: str) -> str:
    program = folder / "tshark"
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(folder)


def test_the_error_without_tshark_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tshark_module, "_usual_places", list)
    for options in ({"engine": "tshark"}, {"engine": "pyshark"}, {"display_filter": "tcp"}, {"fields": "ip.src"}):
        with pytest.raises(toolkit.WiresharkError) as caught:
            toolkit.read(HTTPS, **options)  # type: ignore[arg-type]
        for words in ("found none", "apt-get install tshark", "brew install", "Windows", "engine='native'"):
            assert words in str(caught.value)
    assert len(toolkit.read(HTTPS)) == 1_219


def test_an_old_tshark_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", false_tshark(tmp_path, "TShark (Wireshark) 3.4.10 (Git v3.4.10)"))
    with pytest.raises(toolkit.WiresharkError, match=r"4\.0 or newer, found tshark 3\.4\.10: install it"):
        toolkit.read(HTTPS, engine="tshark")
    monkeypatch.setenv("PATH", false_tshark(tmp_path, "something else"))
    with pytest.raises(toolkit.WiresharkError, match="tell its version, found 'something else"):
        find_tshark()


def test_info_tells_the_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tshark()
    result = CliRunner().invoke(main, ["info", str(HTTPS)])
    assert find_tshark().name in result.stdout
    assert "pyshark 0." in result.stdout
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tshark_module, "_usual_places", list)
    said = CliRunner().invoke(main, ["info", str(HTTPS)]).stdout
    assert "found none" in said
    assert "; the native engine, which reads captures here, needs none; pyshark 0." in said
    assert "engine=" not in said  # that is Python


@pytest.mark.parametrize("engine", WIRESHARK)
def test_a_tshark_that_fails_is_no_empty_trace(engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = Path(false_tshark(tmp_path, "TShark (Wireshark) 4.2.0"), "tshark")
    fails = 'case $1 in --version | -v) ;; *) echo "of no use $*" >&2; exit 3 ;; esac\n'
    program.write_text(program.read_text().replace("\n", "\n" + fails, 1))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    path = small(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(toolkit.WiresharkError, match=r"of no use .*-r small\.pcap") as caught:
        toolkit.read(path.name, engine=engine)
    assert str(path) not in str(caught.value)  # nobody's folders in a message


# Processes, threads, event loops


def interrupt_when_started(before: set[int], seen: list[set[int]]) -> threading.Thread:
    """Interrupt the main thread, as Ctrl-C does, a while after it has started a process."""

    def interrupt() -> None:
        for _ in range(400):
            time.sleep(0.01)
            if children() - before:
                break
        time.sleep(0.3)
        seen.append(children() - before)
        os.kill(os.getpid(), signal.SIGINT)

    watcher = threading.Thread(target=interrupt)
    watcher.start()
    return watcher


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let Ctrl-C interrupt, which a shell switches off in what it starts in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("hangs", [False, True])
@pytest.mark.parametrize("engine", WIRESHARK)
def test_an_interrupt_ends_tshark(engine: Any, hangs: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tshark()
    path = tmp_path / "long.pcap"
    frame = Frame(writer.link("ethernet", sent_udp(b"x" * 900).packet), START)
    path.write_bytes(writer.pcap([frame] * 60_000))
    if hangs:
        program = Path(false_tshark(tmp_path, "TShark (Wireshark) 4.2.0"), "tshark")
        waits = "case $1 in --version | -v) ;; *) exec sleep 60 ;; esac\n"
        program.write_text(program.read_text().replace("\n", "\n" + waits, 1))
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    find_tshark()  # asked for its version once
    before = children()
    seen: list[set[int]] = []
    watcher = interrupt_when_started(before, seen)
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        toolkit.read(path, engine=engine)
    assert time.monotonic() - start < 30
    watcher.join()
    assert seen[0]  # it did run
    assert not children() - before
    assert not [thread for thread in threading.enumerate() if thread.name == "pyshark"]


@pytest.mark.parametrize("engine", WIRESHARK)
def test_an_error_while_reading_ends_tshark(engine: Any, tmp_path: Path) -> None:
    tshark()

    def fail(done: int, total: int) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        toolkit.read(small(tmp_path), engine=engine, progress=fail)
    assert not [thread for thread in threading.enumerate() if thread.name == "pyshark"]


def test_inside_a_running_event_loop(tmp_path: Path) -> None:
    tshark()
    path = small(tmp_path)

    async def use() -> toolkit.Trace:
        return toolkit.read(path, engine="pyshark")

    assert column_differences(toolkit.read(path), asyncio.run(use())) == {}


def test_after_pyshark_was_used_by_hand(tmp_path: Path) -> None:
    """What pyshark does to asyncio by itself (until Python 3.11 it works) must not make ours wait."""
    path = small(tmp_path)
    program = (
        "import sys, time, warnings, pyshark, toolkit\n"
        f"if sys.version_info < (3, 12):\n    print(len(list(pyshark.FileCapture({str(path)!r}))))\n"
        "start = time.monotonic()\n"
        f"print(len(toolkit.read({str(path)!r}, engine='pyshark')), time.monotonic() - start < 20)\n"
    )
    tshark()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.splitlines()[-1] == "30 True", done.stderr
    assert "Unknown child process" not in done.stderr


PYTHON_314 = """
import asyncio, concurrent.futures, sys, types, warnings

gone = "get_child_watcher set_child_watcher AbstractChildWatcher SafeChildWatcher FastChildWatcher PidfdChildWatcher"
for name in [*gone.split(), "MultiLoopChildWatcher", "ThreadedChildWatcher"]:
    if hasattr(asyncio, name):
        delattr(asyncio, name)

def get_event_loop():
    return asyncio.get_running_loop()  # it makes none any more

def deprecated(*arguments):
    raise DeprecationWarning("since Python 3.14")

asyncio.get_event_loop = get_event_loop
asyncio.get_event_loop_policy = asyncio.set_event_loop_policy = deprecated
import toolkit
from toolkit.capture import pyshark_engine
pyshark_engine.sys = types.SimpleNamespace(platform=sys.platform, version_info=(3, 14))
warnings.simplefilter("error")

def use():
    return len(toolkit.read(sys.argv[1], engine="pyshark"))

async def inside():
    return use()

with concurrent.futures.ThreadPoolExecutor() as pool:
    print(use(), pool.submit(use).result(), asyncio.run(inside()), use())
"""
"""What `asyncio` is from Python 3.14 on: no watchers, no loop that is made when asked for, no policies."""


def test_without_what_python_314_took_away(tmp_path: Path) -> None:
    tshark()
    command = [sys.executable, "-c", PYTHON_314, str(small(tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert (done.stdout, done.stderr) == ("30 30 30 30\n", "")


def test_pyshark_keeps_no_packet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tshark()
    made: list[pyshark.FileCapture] = []
    start: Callable[..., Any] = pyshark.FileCapture
    monkeypatch.setattr(pyshark, "FileCapture", lambda *a, **k: made.append(start(*a, **k)) or made[-1])
    sizes: list[int] = []
    monkeypatch.setattr(pyshark_engine, "_CHUNK", 7)
    toolkit.read(small(tmp_path), engine="pyshark", progress=lambda done, total: sizes.append(done))
    assert len(made) == 1
    assert len(made[0]) == 0
    assert len(sizes) == 6  # chunks of 7, 7, 7, 7, 2, and the end


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_in_a_kernel(tmp_path: Path) -> None:
    tshark()
    cells = [
        "import toolkit",
        f"trace = toolkit.read({str(small(tmp_path))!r}, engine='pyshark')\nprint(len(trace), bytes(trace.payload(3)))",
        f"print(len(toolkit.read({str(small(tmp_path))!r}, engine='pyshark', display_filter='udp.srcport == 5002')))",
        "import psutil\nprint(psutil.Process().children())",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    root = str(Path(toolkit.__file__).parents[1])
    env = os.environ | {"PYTHONPATH": root}
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute(env=env)
    outputs = [output for cell in notebook.cells for output in cell.outputs]
    assert [output.get("text", "").strip() for output in outputs] == [r"30 b'\x03\x03\x03'", "10", "[]"]
