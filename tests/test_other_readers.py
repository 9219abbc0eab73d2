"""Two independent readers see the same packets: dpkt on the samples, tshark on all shared captures."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import warnings
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import dpkt
import pytest
import writer
from capturing import START
from encapsulations import MADE

import toolkit
from toolkit.capture.dissection import Dissection
from toolkit.capture.tshark import WiresharkError
from toolkit.trace import Trace

# dpkt


@pytest.mark.parametrize("name", list(toolkit.examples().index))
def test_dpkt_reads_the_samples_alike(name: str) -> None:
    path = toolkit.example(name).path
    trace = toolkit.read(path)
    with path.open("rb") as file:
        frames = list(dpkt.pcap.Reader(file))
    assert trace.source.frames == len(frames) == len(trace)
    columns = [column.tolist() for column in trace.columns]
    for i, (values, (time, frame)) in enumerate(zip(zip(*columns, strict=True), frames, strict=True)):
        row = dict(zip(trace.columns._fields, values, strict=True))
        ip = dpkt.ethernet.Ethernet(frame).data
        segment = ip.data
        expected = {
            "time": round(time * 1_000_000) * 1_000,
            "src": trace.hosts.index(str(ip_address(ip.src))),
            "dst": trace.hosts.index(str(ip_address(ip.dst))),
            "protocol": ip.p,
            "ip_length": ip.len,
            "ttl": ip.ttl,
            "ip_id": ip.id,
            "src_port": segment.sport,
            "dst_port": segment.dport,
            "frame_captured": len(frame),
            "payload_length": len(segment.data),
            "payload_captured": len(segment.data),
        }
        if ip.p == 6:
            expected |= {"tcp_seq": segment.seq, "tcp_ack": segment.ack, "tcp_flags": segment.flags}
        assert {name: row[name] for name in expected} == expected
        assert bytes(trace.payload(i)) == bytes(segment.data)


# tshark

FIELDS = [
    *("frame.number", "frame.time_epoch", "frame.protocols", "frame.len", "frame.cap_len"),
    *("ip.src", "ip.dst", "ip.proto", "ip.len", "ip.ttl", "ip.id"),
    *("ipv6.src", "ipv6.dst", "ipv6.plen", "ipv6.hlim"),
    *("tcp.srcport", "tcp.dstport", "tcp.seq_raw", "tcp.ack_raw", "tcp.flags", "tcp.len"),
    *("udp.srcport", "udp.dstport", "udp.length"),
]
SETTINGS = [
    *("tcp.desegment_tcp_streams:FALSE", "tcp.check_checksum:FALSE", "tcp.analyze_sequence_numbers:FALSE"),
    *("ip.defragment:FALSE", "ipv6.defragment:FALSE"),
]
PROTOCOL = {"tcp": 6, "udp": 17}

# Where we differ on purpose: capture, what, in which frames.
_FRAGMENT = "`udp.length` is of the whole datagram, our payload length of what the first fragment has of it"
_BOGUS_IP = "an IP header that cannot be: tshark shows its addresses, we give no row (`bad IP header`)"
_BOGUS_TCP = "a TCP header that cannot be (`malformed`): tshark stops early, or takes the length as it is"
_LONG_UDP = "a UDP length of more than the packet has (`malformed`): tshark shows it, we take what there is"
_LONG_IP = "an IP length of more than the frame has (`malformed`): tshark takes the frame, we the header"
_TCP_FRAGMENT = "tshark tells no TCP length of a first fragment"
_UDP_OFFLOAD = "IP and UDP length 0, left to the network card: tshark knows this of IP only, we take the frame for both"
_IPV6_OFFLOAD = "IPv6 length 0, left to the network card: tshark knows this of IPv4 only, we take the frame for both"
_TIME = "a fraction of more than a second: tshark takes it as negative"
# IPv6 of Linux on BSD loopback, a netfilter log of the other byte order, pppd's direction
NOT_FOR_TSHARK = {"netfilter log big", "null big 10", "null little 10", "ppp pppd in", "ppp pppd out"}
TCP_FIELDS = ("tcp_seq", "tcp_ack", "tcp_flags", "payload_length")
EXCEPTIONS: list[tuple[str, str, tuple[str, ...], list[int]]] = [
    ("badpackets.pcap", _FRAGMENT, ("payload_length",), list(range(1, 94))),
    ("dns_fragmented.pcap", _FRAGMENT, ("payload_length",), [2, 5, 8, 11, 16, 38, 41]),
    ("fuzz-2006-06-26-2594.pcap", _BOGUS_IP, ("row",), [45, 55, 78, 303, 318, 551]),
    ("fuzz-2006-06-26-2594.pcap", _BOGUS_TCP, TCP_FIELDS, [86]),
    ("fuzz-2006-06-26-2594.pcap", _LONG_IP, ("payload_length",), [62, 65, 83]),
    (
        "fuzz-2006-06-26-2594.pcap",
        _LONG_UDP,
        ("payload_length",),
        [
            *(7, 21, 29, 126, 127, 140, 154, 190, 195, 213, 253, 269, 311, 328, 423, 448, 468, 480, 508, 522, 528),
            *(530, 565, 603, 689),
        ],
    ),
    ("fuzz-2006-09-29-28586.pcap", _BOGUS_IP, ("row",), [76, 91]),
    ("fuzz-2006-09-29-28586.pcap", _BOGUS_TCP, TCP_FIELDS, [27, 80, 111]),
    ("fuzz-2006-09-29-28586.pcap", _LONG_IP, ("payload_length",), [72]),
    ("fuzz-2021-06-07-c6c72a0a56.pcap", _TIME, ("time",), [1]),
    ("ip_fragmented_garbage.pcap", _BOGUS_TCP, TCP_FIELDS, [1, 314, 627, 940]),
    ("kerberos_fuzz.pcapng", _BOGUS_TCP, TCP_FIELDS, [1]),
    # made by `encapsulations.py`
    ("fragments", _FRAGMENT, ("payload_length",), [5, 11]),
    ("fragments", _TCP_FRAGMENT, ("payload_length",), [6, 12]),
    ("lengths", _UDP_OFFLOAD, ("payload_length",), [10]),
    ("lengths", _IPV6_OFFLOAD, ("ip_length", "src_port", "dst_port", *TCP_FIELDS), [11]),
]
CUT = {"fuzz-2021-10-13.pcap"}  # its first record claims 524,501 bytes


def by_tshark(path: Path) -> list[dict[str, list[str]]]:
    """Fields of each frame; a field has several values where a frame has several such headers, the outermost first."""
    program = shutil.which("tshark")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("tshark is not installed")
        pytest.skip("tshark is not installed")
    command = [program, "-n", "-r", str(path), "-T", "fields", "-E", "occurrence=a", "-E", "aggregator=,"]
    command += [word for setting in SETTINGS for word in ("-o", setting)]
    command += [word for field in FIELDS for word in ("-e", field)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or "cut short in the middle of a packet" in done.stderr, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return [dict(zip(FIELDS, [value.split(",") for value in row], strict=True)) for row in rows]


def outermost(row: dict[str, list[str]]) -> tuple[str, str]:
    """Name of the outermost IP layer ("" if there is none), and of the layer that it carries."""
    layers = [layer for layer in row["frame.protocols"][0].split(":") if not layer.startswith("ipv6.")]
    for i, layer in enumerate(layers):
        # an IPv6 packet behind the EtherType of IPv4 is shown as both
        if layer == "ipv6" or (layer == "ip" and row["ip.src"][0]):
            inside = [name for name in layers[i + 1 :] if not (layer == "ipv6" and name == "ah")]
            return layer, inside[0] if inside else ""
        if layer == "ip" and "ipv6" not in layers:
            return layer, ""
    if row["ip.src"][0] and "ip" not in layers:  # tshark 4.4 does not list it behind MPLS, but shows its fields
        return "ip", next((layer for layer in layers if layer in PROTOCOL), "")
    return "", ""


def as_columns(row: dict[str, list[str]]) -> dict[str, Any]:
    """Translate what tshark says of a frame with IP; what it does not say is None."""

    def number(field: str, more: int = 0) -> int | None:
        text = row[field][0]
        return int(text, 0) + more if text else None

    ip, inside = outermost(row)
    stamp = re.fullmatch(r"(-?\d+)\.(\d{9})", row["frame.time_epoch"][0])
    said: dict[str, Any] = {
        # none for a simple packet; a text for one with more nanoseconds than a second has (from tshark 4.4 on)
        "time": int(stamp[1]) * 10**9 + int(stamp[2]) if stamp else 0 if not row["frame.time_epoch"][0] else None,
        "src": row[f"{ip}.src"][0],
        "dst": row[f"{ip}.dst"][0],
        "frame_length": number("frame.len"),
        "frame_captured": number("frame.cap_len"),
    }
    if ip == "ip":
        said |= {"protocol": number("ip.proto"), "ip_length": number("ip.len"), "ttl": number("ip.ttl")}
        said["ip_id"] = number("ip.id")
    else:
        said |= {"ip_length": number("ipv6.plen", 40), "ttl": number("ipv6.hlim")}
    if inside in PROTOCOL:
        said["protocol"] = PROTOCOL[inside]
        said |= {"src_port": number(f"{inside}.srcport"), "dst_port": number(f"{inside}.dstport")}
    if inside == "tcp":
        said |= {"tcp_seq": number("tcp.seq_raw"), "tcp_ack": number("tcp.ack_raw"), "tcp_flags": number("tcp.flags")}
        said["payload_length"] = number("tcp.len")
    elif inside == "udp":
        said["payload_length"] = number("udp.length", -8)
    else:  # a later fragment, or another protocol
        said |= {"src_port": 0, "dst_port": 0, "payload_length": 0}
    return said


def differences(trace: Trace, rows: list[dict[str, list[str]]]) -> dict[tuple[int, str], Any]:
    """Frame and column of all that differs, with both values."""
    ours = dict(zip(trace.column("number").tolist(), zip(*trace.columns, strict=True), strict=True))
    found: dict[tuple[int, str], Any] = {}
    for row in rows:
        frame = int(row["frame.number"][0])
        has_ip = outermost(row)[0] != ""
        if (frame in ours) != has_ip:
            found[frame, "row"] = frame in ours, has_ip
        if frame not in ours or not has_ip:
            continue
        mine: dict[str, Any] = dict(zip(trace.columns._fields, ours.pop(frame), strict=True))
        mine["src"], mine["dst"] = trace.hosts[mine["src"]], trace.hosts[mine["dst"]]
        for name, value in as_columns(row).items():
            if mine[name] != value:
                found[frame, name] = mine[name], value
    for frame in ours:
        found[frame, "row"] = True, False
    return found


def unexpected(path: Path) -> dict[tuple[int, str], Any]:
    """Read a capture both ways, and give what differs and is not in `EXCEPTIONS`."""
    with warnings.catch_warnings():
        if path.name in CUT:
            warnings.simplefilter("ignore", toolkit.CaptureWarning)
        trace = toolkit.read(path)
    rows = by_tshark(path)
    assert trace.source.frames == len(rows) or path.name in CUT
    expected = {
        (frame, column)
        for capture, _, columns, frames in EXCEPTIONS
        if capture == path.name
        for frame in frames
        for column in columns
    }
    return {place: values for place, values in differences(trace, rows).items() if place not in expected}


@pytest.mark.shared
@pytest.mark.parametrize("folder", ["captures", "traces"])
def test_tshark_reads_the_shared_captures_alike(shared: Path, folder: str) -> None:
    paths = sorted(shared.glob(f"{folder}/*.*cap*"))
    assert len(paths) > 10
    found = {path.name: unexpected(path) for path in paths}
    assert {name: places for name, places in found.items() if places} == {}


@pytest.mark.parametrize("name", list(MADE))
def test_tshark_reads_made_captures_alike(name: str, tmp_path: Path) -> None:
    frames = [writer.Frame(data, START + i) for i, data in enumerate(MADE[name])]
    path = tmp_path / name
    path.write_bytes(writer.pcap(frames, resolution="ns"))
    assert unexpected(path) == {}
    found = toolkit.read(path)
    assert (len(found) == 0) == (name == "no IP")


@pytest.mark.parametrize("name", ["tunnels", "errors", "extensions", "fragments"])
def test_tshark_reads_them_alike_on_every_link(name: str, tmp_path: Path) -> None:
    """An interface for each way to carry IP, in one file."""
    made = []
    for interface, link in enumerate(writer.LINKS):
        packets = [data[14:] for data in MADE[name] if data[14] >> 4 in writer.versions(link)]
        made += [writer.Frame(writer.link(link, data), START, interface=interface) for data in packets]
    path = tmp_path / name
    path.write_bytes(writer.pcapng(made, linktypes=[number for number, _ in writer.LINKS.values()], tsresol=[9]))
    trace, rows = toolkit.read(path), by_tshark(path)
    assert len(trace) == len(made) > 4 * len(writer.LINKS)
    found: dict[str, set[str]] = {}
    for (frame, column), _ in differences(trace, rows).items():
        found.setdefault(column, set()).add(list(writer.LINKS)[made[frame - 1].interface])
    assert found.pop("row") == NOT_FOR_TSHARK
    assert found.pop("frame_captured") == found.pop("frame_length") == {"ppp direction"}  # it leaves out that byte
    if name == "fragments":  # see `EXCEPTIONS`
        assert found.pop("payload_length") | NOT_FOR_TSHARK == set(writer.LINKS)
    assert found == {}


def test_fields_of_other_frames_are_refused() -> None:
    trace = toolkit.read(toolkit.example("https").path)
    number = trace.column("number")
    same = Dissection(None, number, trace.column("frame_captured").copy(), {})
    assert len(same.narrow(trace)) == len(trace)
    same.captured[6] += 1
    with pytest.raises(WiresharkError, match=f"frame {number[6]} has .* bytes here and .* for tshark"):
        same.narrow(trace)


@pytest.mark.parametrize("link", ["ppp direction", "ethernet fcs", "802.11 radiotap"])
def test_fields_on_links_of_which_tshark_counts_less(link: str, tmp_path: Path) -> None:
    by_tshark(toolkit.example("https").path)  # or skip
    frames = [writer.Frame(writer.link(link, data[14:]), START) for data in MADE["extensions"]]
    path = tmp_path / "some.pcap"
    path.write_bytes(writer.pcap(frames, linktype=writer.LINKS[link][0]))
    trace = toolkit.read(path, fields="ipv6.hlim")
    assert trace.packets["ipv6.hlim"].astype(int).tolist() == trace.packets["ttl"].tolist()


@pytest.mark.parametrize("byteorder", ["little", "big"])
@pytest.mark.parametrize("kind", list(writer.event_blocks()))
def test_tshark_gives_the_same_frame_numbers(kind: str, byteorder: Any, tmp_path: Path) -> None:
    """Also behind blocks that it numbers like packets."""
    path = tmp_path / "events.pcapng"
    frames = [writer.Frame(data, START + i) for i, data in enumerate(MADE["fragments"])]
    event = writer.event_blocks(byteorder)[kind]
    start = writer.section_header(byteorder) + writer.interface(1, byteorder, tsresol=9)
    packets = [writer.enhanced_packet(frame, byteorder, tsresol=9) for frame in frames]
    path.write_bytes(start + event + event.join(packets[:6]) + event * 2 + b"".join(packets[6:]))
    trace = toolkit.read(path)
    rows = by_tshark(path)
    assert trace.column("number").tolist() == [2, 4, 6, 8, 10, 12, *range(15, 15 + len(packets) - 6)]
    assert trace.source.frames == trace.column("number")[-1] == len(rows)
    assert trace.source.non_ip == 8
    found = {column for _, column in differences(trace, [row for row in rows if row["frame.len"][0]])}
    assert found == {"payload_length"}  # of fragments, see `EXCEPTIONS`
    ttl = toolkit.read(path, fields="ip.ttl", display_filter="ip")
    assert ttl.packets["ip.ttl"].astype(int).tolist() == ttl.packets["ttl"].tolist()
    assert len(ttl) > 3


def test_exceptions_are_needed() -> None:
    """Each exception for a made capture is of a frame that exists, and says why."""
    for capture, reason, columns, frames in EXCEPTIONS:
        assert len(reason) > 20
        assert columns
        if capture in MADE:
            assert max(frames) <= len(MADE[capture])
