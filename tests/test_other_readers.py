"""Two independent readers see the same packets: dpkt on the samples, tshark on all shared captures."""

from __future__ import annotations

import warnings
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import dpkt
import pytest
import writer
from agreement import FRAGMENT, NO_ROW, OVERFLOW, STOPPED, Agreement, by_tshark, captures, differences, main, reason
from capturing import START
from encapsulations import MADE

import toolkit
from toolkit.capture.dissection import Dissection
from toolkit.capture.tshark import WiresharkError

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


@pytest.mark.shared
def test_what_differs_in_the_shared_captures_has_a_reason(shared: Path) -> None:
    """Told by the packet itself, as `EXCEPTIONS` says it of each frame."""
    agreement = Agreement()
    paths = list(captures([shared / "captures"]))
    for path in paths:
        agreement.compare(path)
    assert agreement.open == agreement.refused == []
    assert agreement.captures == len(paths) > 40
    assert agreement.reasons[FRAGMENT] == 93 + 7  # see `EXCEPTIONS`
    assert agreement.reasons[OVERFLOW] == 1
    assert agreement.reasons[NO_ROW] == 6 + 2
    assert agreement.reasons[STOPPED] == len(CUT)


def test_the_report_finds_what_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    path = toolkit.example("https").path
    agreement = Agreement()
    agreement.compare(path)
    assert agreement.open == []
    rows = by_tshark(path)
    rows[3]["ip.ttl"], rows[5]["frame.protocols"] = ["77"], ["eth:arp"]
    rows[5]["ip.src"] = [""]
    rows[7]["frame.time_epoch"] = ["1700000000.000000001"]
    monkeypatch.setattr("agreement.by_tshark", lambda _: rows)
    agreement.compare(path)
    assert agreement.captures == 2
    ends = [said.removeprefix(f"{path}: frame ") for said in agreement.open]
    assert [end.split(":")[0] for end in ends] == ["4, ttl", "6, row", "8, time"]
    assert ends[1] == "6, row: True here, False by tshark"
    assert "3 values without a known reason" in str(agreement)


def test_a_mark_excuses_no_other_value(tmp_path: Path) -> None:
    """Of packets that are cut, what tshark does tell must be the same, and lengths must be those of the headers."""
    frames = [writer.Frame(data, START + i) for i, data in enumerate(MADE["lengths"])]
    path = tmp_path / "lengths"
    path.write_bytes(writer.pcap(frames, resolution="ns"))
    agreement = Agreement()
    agreement.compare(path)
    assert agreement.open == []
    for row in by_tshark(path):
        told = row["udp.length"][0] or row["tcp.len"][0]
        for column, ours, theirs in (("src_port", 7, 8), ("tcp_seq", 7, 8), ("tcp_flags", 7, 8), ("ttl", 7, None)):
            assert reason(column, (ours, theirs), row, False) == "" or (not told and column != "ttl")
        if told and "0" not in (row["udp.length"][0], row["ipv6.plen"][0]):
            assert reason("payload_length", (7777, 8), row, False) == ""
            assert reason("tcp_seq", (7, None), row, False) != ""


def test_the_command_changes_captures_and_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(toolkit.example("https").path)
    by_tshark(Path(path))  # or skip
    monkeypatch.setattr("sys.argv", ["agreement.py", path, "--editcap", "-s 54"])
    assert main() == 0
    out = capsys.readouterr().out
    assert out.startswith("1 captures, 1,219 frames, 1,219 packets\n")
    assert "       0 values without a known reason" in out
    assert toolkit.read(path).column("frame_captured").max() > 54
    monkeypatch.setattr("sys.argv", ["agreement.py", str(tmp_path / "none")])
    with pytest.raises(SystemExit, match="none: no such file or folder"):
        main()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WiresharkError, match="found none: install it"):
        main()


def test_exceptions_are_needed() -> None:
    """Each exception for a made capture is of a frame that exists, and says why."""
    for capture, why, columns, frames in EXCEPTIONS:
        assert len(why) > 20
        assert columns
        if capture in MADE:
            assert max(frames) <= len(MADE[capture])
