"""Frames of anonymised captures: what is left of each, and that others can read it."""

from __future__ import annotations

import struct
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import writer
from anonymising import KEY, NEW, mapped, secret_capture
from capturing import ENDS, START, frame_of, read, same_columns, sent_tcp, sent_udp
from corpus import changed_captures, frames, read_anything
from encapsulations import MADE
from hypothesis import given
from hypothesis import strategies as st
from making import quick
from wiresharking import shown
from writer import LINKS, Frame

import toolkit
from toolkit import Trace
from toolkit.capture.decode import LINK_TYPES
from toolkit.columns import FIRST_FRAGMENT, LATER_FRAGMENT, PARTIAL_CHECKSUM
from toolkit.cryptopan import pseudonyms

# Frames


def check(trace: Trace, folder: Path, keep: bool) -> bytes:
    """Anonymise in both ways, which must agree, read it again, and compare it with what it was."""
    same = toolkit.anonymise(trace, key=KEY, keep_payload=keep)
    path = toolkit.write_anonymised(trace, folder / "public.pcapng", key=KEY, keep_payload=keep)
    written = path.read_bytes()
    assert same.to_pcap(folder / "again.pcapng").read_bytes() == written
    again = toolkit.read(path, strict=True)
    same_columns(again, same)
    # nothing that was read from a frame is another
    same_columns(again, _renamed(trace), "ip_id", "marks", "number")
    assert toolkit.payload_entropy(again).tolist() == toolkit.payload_entropy(trace).tolist()
    kept = ~np.uint8(PARTIAL_CHECKSUM)
    assert (again.column("marks") & kept).tolist() == (trace.column("marks") & kept).tolist()
    for row in range(len(trace)):
        payload = bytes(trace.payload(row))
        assert bytes(again.payload(row)) == (payload if keep else bytes(len(payload)))
    return written


def _renamed(trace: Trace) -> Trace:
    return Trace(trace.columns, pseudonyms(trace._hosts, KEY), trace._data, trace.sources)


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("name", list(LINKS))
def test_every_link_type(tmp_path: Path, name: str, keep: bool) -> None:
    made = [Frame(data[:cut], START + i, len(data)) for cut in (None, 100, 70) for i, data in enumerate(frames(name))]
    trace = read(writer.pcap(made, resolution="ns", linktype=LINKS[name][0]))
    assert len(trace) > 6
    written = check(trace, tmp_path, keep)
    for original in (
        writer.MACS[:6],
        writer.MACS[6:],
        b"\xde\xad\xbe\xef",
        *(ip_address(a).packed for a in trace.hosts),
    ):
        assert original not in written


def test_every_link_type_is_among_them() -> None:
    assert {number for number, _ in LINKS.values()} == set(LINK_TYPES)


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("name", list(MADE))
def test_frames_of_other_places(tmp_path: Path, name: str, keep: bool) -> None:
    """Tunnels, fragments, extension headers, errors that quote packets; what has no IP is not there."""
    trace = read(writer.pcap([Frame(data, START) for data in MADE[name]], resolution="ns"))
    assert (len(trace) > 0) == (name != "no IP")
    check(trace, tmp_path, keep)


def test_changed_captures_are_anonymised(tmp_path: Path) -> None:
    """Also what nobody would send comes out as it went in, but for what is to go."""
    for number, data in enumerate(changed_captures(150, 12)):
        trace = read_anything(data)
        if trace is not None:
            check(trace, tmp_path, keep=number % 2 == 0)


@given(
    st.sampled_from(["tcp", "udp"]), st.sampled_from([4, 6]), st.binary(max_size=40), st.booleans(),
    st.sampled_from(["right", "partial", "none"]),
)  # fmt: skip
@quick
def test_a_packet_is_what_the_writer_makes_of_it(
    kind: str, version: int, payload: bytes, keep: bool, checksum: str
) -> None:
    ends = ENDS[version]
    new = tuple(mapped(list(ends)))
    after = payload if keep else bytes(len(payload))
    if kind == "tcp":
        numbers: dict[str, Any] = {"seq": 5, "ack": 2**32 - 1, "flags": 0x118}
        segment = sent_tcp(payload, ident=77, checksum=checksum, ends=ends, **numbers).packet
        body = writer.tcp(40_001, 443, after, checksum_for=(new[0], new[1]), **numbers)
    else:
        segment = sent_udp(payload, ident=77, checksum=checksum, ends=ends).packet
        right = None if checksum == "none" else (new[0], new[1])  # UDP without a checksum stays without
        body = writer.udp(40_001, 443, after, checksum_for=right)
    number = writer.TCP if kind == "tcp" else writer.UDP
    expected = (writer.ipv4 if version == 4 else writer.ipv6)(*new, number, body)
    same = toolkit.anonymise(read(writer.pcap([Frame(segment, START)], linktype=101)), key=KEY, keep_payload=keep)
    assert same.storage.parts[0].tobytes() == expected


def frame(packet: bytes, *, keep: bool = False, size: int | None = None) -> bytes:
    """Anonymise one packet, of which `size` bytes were captured."""
    trace = read(writer.pcap([Frame(packet[:size], START, len(packet))], linktype=101))
    return toolkit.anonymise(trace, key=KEY, keep_payload=keep).storage.parts[0].tobytes()


def test_checksums_that_cannot_be_known_are_0() -> None:
    for keep in (False, True):
        assert frame(sent_tcp(b"abc", more=True, checksum="right").packet, keep=keep)[36:38] == b"\0\0"
        assert frame(sent_udp(b"abc", more=True, checksum="right").packet, keep=keep)[26:28] == b"\0\0"
    cut = sent_tcp(b"abcdef").packet
    assert frame(cut, keep=True, size=43)[36:38] == b"\0\0"
    # zeros that were cut off are known to be zeros
    assert (
        frame(cut, size=43)
        == writer.ipv4(*NEW, 6, writer.tcp(40_001, 443, bytes(6), checksum_for=(NEW[0], NEW[1])))[:43]
    )


def test_a_udp_checksum_of_0_is_written_as_all_ones() -> None:
    (port,) = struct.unpack(">H", writer.udp(0, 443, checksum_for=(NEW[0], NEW[1]))[6:])
    assert frame(sent_udp(ports=(port, 443), checksum="right").packet)[26:28] == b"\xff\xff"


def test_a_udp_length_left_to_the_network_card() -> None:
    body = writer.udp(40_001, 443, bytes(50), length=0, checksum_for=ENDS[4])
    after = writer.udp(40_001, 443, bytes(50), length=0, checksum_for=(NEW[0], NEW[1]))
    assert frame(writer.ipv4(*ENDS[4], 17, body, total_length=0)) == writer.ipv4(*NEW, 17, after, total_length=0)


def test_a_right_checksum_may_look_like_one_left_to_the_network_card() -> None:
    for_new = {"checksum_for": (NEW[0], NEW[1])}
    right, partial = (
        int.from_bytes(writer.tcp(40_001, 443, partial=partial, **for_new)[16:18], "big") for partial in (False, True)
    )
    packet = sent_tcp(seq=(right - partial) % 0xFFFF).packet  # it takes as much off the checksum
    trace = toolkit.anonymise(read(writer.pcap([Frame(packet, START)], linktype=101)), key=KEY)
    assert trace.column("marks").tolist() == [PARTIAL_CHECKSUM]


def test_frames_do_not_touch_each_other() -> None:
    """Also such that are cut inside their options, of which nothing may go into the next one."""
    options = b"\x01\x01\x08\x0a12345678" + b"\x02\x04\x05\xb4" * 3
    packet = sent_tcp(b"payload", tcp_options=options).packet
    made = [Frame(packet[:size], START, len(packet)) for size in range(20, len(packet) + 1)]
    traces = [read(writer.pcap(made, linktype=101)), *(read(secret_capture(seed, seed)[0]) for seed in range(8))]
    for trace in traces:
        alone = [toolkit.anonymise(trace[row : row + 1], key=KEY) for row in range(len(trace))]
        whole = toolkit.anonymise(trace, key=KEY).storage.parts[0].tobytes()
        assert whole == b"".join(one.storage.parts[0].tobytes() for one in alone)


# For others


MACSEC = b"\x88\xe5"
AF_INET6 = (b"\x0a\0\0\0", b"\0\0\0\x0a")  # of Linux, on BSD loopback
CHECKS = [word for layer in ("ip", "tcp", "udp") for word in ("-o", f"{layer}.check_checksum:TRUE")]


def checksums(trace: Trace, row: int) -> set[str]:
    """Give the checksums of a packet that can be seen to be right: there, and with all the bytes that they are of."""
    column = {name: int(values[row]) for name, values in trace.columns._asdict().items()}
    source = ip_address(trace.hosts[column["src"]]).packed
    frame = frame_of(trace, row)
    start = frame.index(source) - (12 if len(source) == 4 else 8)
    ip, on_wire = frame[start:], column["frame_length"] - start
    found = {"ip"} if len(source) == 4 and len(ip) >= 4 * (ip[0] & 15) else set()
    if column["marks"] & (FIRST_FRAGMENT | LATER_FRAGMENT):
        return found
    name = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6"}.get(column["protocol"], "")
    length = column["ip_length"]
    if name == "icmp":  # it does not count its length: what there is on the wire is taken for all
        length = min(length, on_wire)
    if not name or length > len(ip):
        return found
    of_udp = length - column["payload_length"] - 2
    none = name == "udp" and ip[of_udp : of_udp + 2] == b"\0\0"
    return found if none else found | {name}


@pytest.mark.parametrize("keep", [False, True])
def test_tshark_finds_every_checksum_right(tmp_path: Path, keep: bool) -> None:
    """Twenty nasty captures in one, of which tshark also sees the addresses that it should."""
    parts = [read(secret_capture(seed, seed)[0]) for seed in range(20)]
    trace = toolkit.concat([part for part in parts if len(part)])
    path = toolkit.write_anonymised(trace, tmp_path / "public.pcapng", key=KEY, keep_payload=keep)
    written = path.read_bytes()
    kept = b"".join(bytes(trace.payload(row)) for row in range(len(trace))) if keep else b""
    for seed in range(20):
        for each in secret_capture(seed, seed)[1]:
            assert each in kept or each not in written
    status = ["ip", "tcp", "udp", "icmp", "icmpv6"]
    fields = [*(f"{layer}.checksum.status" for layer in status), "ip.src", "ipv6.src"]
    rows = shown(path, fields, *CHECKS, "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE")
    again = toolkit.read(path)
    for row, values in enumerate(rows):
        if frame_of(again, row)[12:14] == MACSEC and again.column("link_type")[row] == 1:
            continue  # tshark 4.4 takes the last 16 bytes for a check of integrity, also where a frame is cut
        statuses, ends = dict(zip(status, values, strict=False)), values[len(status) :]
        assert "0" not in statuses.values(), row
        if not any(ends):  # not known to tshark: pppd's direction, big-endian netfilter logs, AF_INET6 of Linux
            assert again.column("link_type")[row] in (166, 239) or frame_of(again, row)[:4] in AF_INET6
            continue
        good = {layer for layer, value in statuses.items() if value == "1"}
        assert good == checksums(again, row), row
    assert {end for values in rows for end in values[len(status) :]} - {""} == set(mapped([ENDS[4][0], ENDS[6][0]]))


def test_tshark_finds_ip_behind_every_link_layer_that_it_did(tmp_path: Path) -> None:
    """What is left of a header is enough for others, too: the same layers, and IP with the new address."""
    made = [Frame(frames(name)[0], START, interface=i) for i, name in enumerate(LINKS)]
    before, after = tmp_path / "before.pcapng", tmp_path / "after.pcapng"
    before.write_bytes(writer.pcapng(made, linktypes=[number for number, _ in LINKS.values()], tsresol=[9]))
    toolkit.write_anonymised(toolkit.read(before), after, key=KEY, keep_payload=True)
    found = [shown(path, ["frame.protocols", "ip.src", "ipv6.src", "_ws.malformed"]) for path in (before, after)]
    assert len(found[0]) == len(LINKS)
    names = dict(zip(("", ENDS[4][0], ENDS[6][0]), ("", *mapped([ENDS[4][0], ENDS[6][0]])), strict=True))
    # pppd's link type and big-endian netfilter logs are not known to tshark
    assert sum(bool(four or six) for _, four, six, _ in found[0]) >= len(LINKS) - 3
    assert found[1] == [[layers, names[four], names[six], bad] for layers, four, six, bad in found[0]]


def test_every_checksum_of_a_real_capture(tmp_path: Path) -> None:
    path = toolkit.write_anonymised(toolkit.load_example("https"), tmp_path / "public.pcap", key=KEY)
    bad = "ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0 || _ws.malformed"
    assert shown(path, ["frame.number"], *CHECKS, "-Y", bad) == []
    good = "tcp.checksum.status == 1 && ip.checksum.status == 1"
    assert len(shown(path, ["frame.number"], *CHECKS, "-Y", good)) == len(toolkit.load_example("https"))
