"""The filters that are given for Wireshark show, in tshark, just the packets that were selected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import writer
from capturing import ENDS, START, sent, sent_tcp, sent_udp
from hypothesis import given
from hypothesis import strategies as st
from wiresharking import frames_shown, tshark
from writer import Frame

import toolkit
from toolkit.trace import Trace
from toolkit.wireshark_filters import frames_filter

HELLO = b"\x16\x03\x01\x00\x10" + bytes(16)


@given(st.lists(st.integers(1, 60)))
def test_the_set_holds_each_number_once(numbers: list[int]) -> None:
    text = frames_filter(numbers)
    if not numbers:
        assert text == "frame.number == 0"
        return
    found: list[int] = []
    for part in text.removeprefix("frame.number in {").removesuffix("}").split(", "):
        first, _, last = part.partition("..")
        found += range(int(first), int(last or first) + 1)
    assert found == sorted(set(numbers))
    runs = sum(number - 1 not in numbers for number in set(numbers))
    assert text.count(",") == runs - 1  # no run is written out


@pytest.mark.parametrize("name", ["obfs4", "https", "meek"])
def test_a_selection_is_shown(name: str) -> None:
    path = toolkit.example(name).path
    trace = toolkit.read(path)
    for part in (trace.select(payload_only=True), trace[::7], trace[:0], trace, trace[[5, 2, 2]]):
        assert frames_shown(path, part.to_wireshark_filter()) == np.unique(part.column("number")).tolist()


def test_packets_of_several_captures_or_of_no_file_are_refused() -> None:
    trace = toolkit.load_example("obfs4")
    with pytest.raises(toolkit.ToolkitError, match=r"from 2 captures, .*: take the filter of each trace before"):
        toolkit.concat([trace, toolkit.load_example("https")]).to_wireshark_filter()
    with pytest.raises(toolkit.ToolkitError, match="from no file"):
        Trace.from_packets(trace[:2].to_packets()).to_wireshark_filter()


def numbers_of(trace: Trace, labels: Any, name: str, protocol: int, *, tls_only: bool = False) -> list[int]:
    mask = (labels >= 0) & (trace.column("protocol") == protocol)
    if tls_only:
        mask &= trace.column("tls_type") != 0
    return trace.column("number")[mask].tolist()


@pytest.mark.parametrize("tls_only", [False, True])
@pytest.mark.parametrize("name", ["obfs4", "https"])
def test_clusters_of_tcp_are_shown(name: str, tls_only: bool) -> None:
    path = toolkit.example(name).path
    trace = toolkit.read(path)
    clusters = toolkit.cluster_lengths(trace, bandwidth=20, tls_only=tls_only)
    labels = clusters.label_of(trace.column("payload_length"))
    whole = numbers_of(trace, labels, "payload_length", 6, tls_only=tls_only)
    assert frames_shown(path, clusters.to_wireshark_filter()) == whole
    for label in range(min(len(clusters), 3)):
        one = numbers_of(trace, np.where(labels == label, 0, -1), "payload_length", 6, tls_only=tls_only)
        assert len(one) > 0
        assert frames_shown(path, clusters.to_wireshark_filter(label)) == one


def tricky(tmp_path: Path) -> Path:
    """Write a capture in which the TCP or UDP header found first is often not that of the packet."""
    packets: list[bytes] = []
    for version in (4, 6):
        ends = {"ends": ENDS[version]}
        extensions: dict[str, Any] = {"extensions": [writer.hop_by_hop(), writer.authentication()]}
        extensions = extensions if version == 6 else {}
        tcp, udp = sent_tcp(HELLO, **ends).packet, sent_udp(b"q" * 40, **ends).packet
        packets += [tcp, udp, sent_tcp(b"x" * 21, **ends, **extensions).packet]
        packets.append(sent_udp(b"q" * 40, **ends, **extensions).packet)
        for other in (4, 6):
            outer = {"ends": ENDS[other]}
            packets += [sent(inner, 4 if version == 4 else 41, **outer).packet for inner in (tcp, udp)]
            kind = b"\x08\x00" if version == 4 else b"\x86\xdd"
            packets += [sent(b"\0\0" + kind + inner, 47, **outer).packet for inner in (tcp, udp)]
        error = b"\x03\x03\0\0\0\0\0\0" if version == 4 else b"\x01\x04\0\0\0\0\0\0"
        packets += [sent(error + inner, 1 if version == 4 else 58, **ends).packet for inner in (tcp, udp)]
        packets += [sent_tcp(bytes([kind]) + HELLO[1:], **ends).packet for kind in (19, 20, 24, 25)]
        packets += [sent_tcp(HELLO[:3] + size + b"x" * 16, **ends).packet for size in (b"\0\0", b"\x48\0", b"\x48\1")]
        packets += [sent_tcp(b"\x17\x03\x03\0\0", **ends).packet, sent_tcp(b"\x16\x03\x05\0\1a", **ends).packet]
    path = tmp_path / "tricky.pcap"
    frames = [Frame(writer.link("ethernet padded", packet), START + i) for i, packet in enumerate(packets)]
    path.write_bytes(writer.pcap(frames, resolution="ns"))
    return path


@pytest.mark.parametrize("tls_only", [False, True])
def test_only_the_outermost_header_counts(tmp_path: Path, tls_only: bool) -> None:
    path = tricky(tmp_path)
    trace = toolkit.read(path)
    clusters = toolkit.cluster_lengths(trace, bandwidth=2, tls_only=tls_only)
    labels = clusters.label_of(trace.column("payload_length"))
    expected = numbers_of(trace, labels, "payload_length", 6, tls_only=tls_only)
    assert 5 < len(expected) < len(trace)
    assert frames_shown(path, clusters.to_wireshark_filter()) == expected


def test_clusters_of_udp_are_shown(tmp_path: Path) -> None:
    path = tricky(tmp_path)
    trace = toolkit.read(path)
    clusters = toolkit.cluster_lengths(trace, protocol="udp", bandwidth=2)
    expected = numbers_of(trace, clusters.label_of(trace.column("ip_length")), "ip_length", 17)
    assert len(expected) == 4
    assert frames_shown(path, clusters.to_wireshark_filter()) == expected
    assert len(frames_shown(path, clusters.to_wireshark_filter(0))) == clusters.packets[0]


def test_clusters_that_have_no_filter() -> None:
    with pytest.raises(ValueError, match="came from no trace"):
        toolkit.cluster_lengths([100, 100]).to_wireshark_filter()
    clusters = toolkit.cluster_lengths(toolkit.load_example("obfs4"))
    with pytest.raises(ValueError, match="`label` must be from 0 to 90, got 91"):
        clusters.to_wireshark_filter(91)
    tshark()
    empty = toolkit.cluster_lengths(toolkit.load_example("obfs4")[:0])
    assert frames_shown(toolkit.example("obfs4").path, empty.to_wireshark_filter()) == []


def test_records_that_only_a_table_knows_have_no_filter(tmp_path: Path) -> None:
    trace = toolkit.load_example("https")
    path = toolkit.write_anonymised(trace, tmp_path / "public.pcap", key=bytes(32))
    public = toolkit.read(path)
    clusters = toolkit.cluster_lengths(public, bandwidth=20, tls_only=True)
    counted = toolkit.cluster_lengths(toolkit.length_counts(public, tls_only=True), bandwidth=20)
    for one in (clusters, counted):
        with pytest.raises(
            toolkit.ToolkitError, match=r"zeros to Wireshark\. Give the numbers of the frames instead: "
        ):
            one.to_wireshark_filter(0)
    # as the message says
    part = public.select(where="tls_type > 0")
    numbers = part[clusters.label_of(part.column("payload_length")) == 0].to_wireshark_filter()
    original = toolkit.cluster_lengths(trace, bandwidth=20, tls_only=True)
    assert len(frames_shown(path, numbers)) == original.packets[0]
    assert frames_shown(path, numbers) == frames_shown(toolkit.example("https").path, original.to_wireshark_filter(0))
    # all others have one
    lengths = toolkit.cluster_lengths(public, bandwidth=20)
    assert len(frames_shown(path, lengths.to_wireshark_filter())) == lengths.counts.sum()
    short = toolkit.cluster_lengths(public[:3], tls_only=True)  # none of them starts a record
    assert short.to_wireshark_filter() == "frame.number == 0"


def fragmented(tmp_path: Path) -> Path:
    """Write packets of either version in two fragments each, and whole ones that are as long."""
    packets = []
    for version in (4, 6):
        ends = {"ends": ENDS[version]}
        bodies = {6: writer.tcp(40_001, 443, HELLO + b"y" * 1_003), 17: writer.udp(40_001, 443, b"q" * 1_032)}
        for protocol, body in bodies.items():
            packets.append(sent(body[:800], protocol, more=True, ident=protocol + version, **ends).packet)
            packets.append(sent(body[800:], protocol, fragment=800, ident=protocol + version, **ends).packet)
            packets.append(sent(body, protocol, header=20 if protocol == 6 else 8, **ends).packet)
    path = tmp_path / "fragments.pcap"
    path.write_bytes(writer.pcap([Frame(writer.link("ethernet", packet), START) for packet in packets]))
    return path


@pytest.mark.parametrize("tls_only", [False, True])
def test_the_last_fragment_is_not_taken_for_the_whole(tmp_path: Path, tls_only: bool) -> None:
    path = fragmented(tmp_path)
    trace = toolkit.read(path)
    clusters = toolkit.cluster_lengths(trace, bandwidth=400, tls_only=tls_only)
    assert sum(clusters.packets) == 4  # two whole ones, and the first fragments, of which tshark tells no length
    assert frames_shown(path, clusters.to_wireshark_filter()) == [3, 9]
    udp = toolkit.cluster_lengths(trace, protocol="udp", bandwidth=2)
    assert (
        frames_shown(path, udp.to_wireshark_filter()) == trace.column("number")[trace.column("protocol") == 17].tolist()
    )


def test_what_the_documentation_says_is_not_shown(tmp_path: Path) -> None:
    segment, datagram = writer.tcp(40_001, 443, HELLO), writer.udp(40_001, 443, b"q" * 40)
    packets = [sent_tcp(HELLO, ends=ENDS[version]).packet for version in (4, 6)]
    packets += [writer.ipv4(*ENDS[4], 6, segment, total_length=0), writer.ipv4(*ENDS[4], 17, datagram, total_length=0)]
    packets += [
        writer.ipv6(*ENDS[6], 6, segment, payload_length=0),
        writer.ipv6(*ENDS[6], 17, datagram, payload_length=0),
    ]
    packets += [sent_tcp(HELLO, flags=0x14, ends=ENDS[version]).packet for version in (4, 6)]
    path = tmp_path / "made.pcap"
    path.write_bytes(writer.pcap([Frame(writer.link("ethernet", packet), START) for packet in packets]))
    trace = toolkit.read(path)
    assert trace.column("payload_length").tolist() == [21, 21, 21, 40, 21, 40, 21, 21]
    of = {tls: toolkit.cluster_lengths(trace, tls_only=tls) for tls in (False, True)}
    assert frames_shown(path, of[False].to_wireshark_filter()) == [1, 2, 3, 7, 8]
    assert frames_shown(path, of[True].to_wireshark_filter()) == [1, 2, 3]
    assert frames_shown(path, toolkit.cluster_lengths(trace, protocol="udp").to_wireshark_filter()) == [4]
    part = trace.select(protocol="tcp")  # as the documentation says
    assert frames_shown(path, part[of[False].label_of(part.column("payload_length")) == 0].to_wireshark_filter()) == (
        [1, 2, 3, 5, 7, 8]
    )
