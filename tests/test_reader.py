"""What is written is read: every file format, whatever is in it, however much of it."""

from __future__ import annotations

import itertools
import struct
import tempfile
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import writer
from capturing import SECOND, START, Sent, expected_row, is_invariant, read, read_broken, rows, sent_tcp, sent_udp
from capturing import sent as sent_other
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from making import quick
from writer import LINKS, Frame

import toolkit
from toolkit.capture.decode import LINK_TYPES
from toolkit.capture.framing import CHUNK

MICRO, NANO = START + 123_456_000, START + 123_456_789
thorough = settings(quick, max_examples=300)


# Files

FORMATS = {
    "pcap us": ("µs", {}, MICRO),
    "pcap ns": ("ns", {"resolution": "ns"}, NANO),
    "pcap modified": ("µs, modified", {"modified": True}, MICRO),
}


@pytest.mark.parametrize("how", ["none", "gzip", "zstd", "zstd stream", "xz", "bz2"])
@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("name", FORMATS)
def test_pcap(name: str, order: Any, how: str) -> None:
    resolution, options, time = FORMATS[name]
    packets = [sent_tcp(bytes(size), seq=size) for size in (0, 1, 600)]
    times = [time, time - 5 * SECOND, 0, (2**32 - 1) * SECOND + time % SECOND]
    frames = [Frame(writer.link(1, one.packet), when) for one, when in zip(packets * 2, times, strict=False)]
    data = writer.pcap(frames, byteorder=order, snaplen=400, **options)
    trace = read(writer.compress(data, how))
    assert rows(trace, data) == [expected_row(packets[i % 3], frame, i + 1, 400) for i, frame in enumerate(frames)]
    assert trace.source.format == f"pcap ({order} endian, {resolution})"
    assert trace.source.compression == {"none": "", "bz2": "bzip2", "zstd stream": "zstd"}.get(how, how)
    assert (trace.source.snap_length, trace.source.link_types, trace.source.size) == (400, (1,), len(data))
    assert (trace.source.frames, trace.source.packets) == (4, 4)


TIMES = [  # tsresol, tsoffset, a time that they can say exactly
    (None, None, MICRO),
    (None, None, 2**63 // SECOND * SECOND - 1_000),  # the year 2262: from the next second on, times stand still
    (0, None, START),
    (3, None, START + 123_000_000),
    (6, None, MICRO),
    (9, None, NANO),
    (9, None, 2**63 - SECOND),
    (12, 1_700_000_000, NANO),
    (12, None, 2**64 // 1_000 - 1),
    (15, 1_700_000_000, NANO),
    (19, 1_700_000_000, NANO),
    (20, 1_700_000_000, START + 123_456_789),
    (27, 1_700_000_000, START + 17),
    (28, 1_700_000_000, START + 1),
    (9, 1_600_000_000, NANO),
    (6, -3_600, MICRO),
    (6, -2_000_000_000, MICRO - 3_000_000_000 * SECOND),  # before 1970
    (9, -(2**33), 123_456_789 - 2**33 * SECOND),
    (0x80, None, START),
    (0x80 + 9, None, START + 3 * 1_953_125),
    (0x80 + 20, None, START + 511 * 1_953_125),
    (0x80 + 32, 1_600_000_000, START + 100 * 1_953_125),
    (0x80 + 33, None, START + 1_953_125),
    (0x80 + 63, 1_700_000_000, START + 1_953_125),
    (0x80 + 64, 1_700_000_000, START + SECOND // 2),
    (0x80 + 72, 1_700_000_000, START + 1_953_125),
]


@pytest.mark.parametrize("block", ["enhanced", "old"])
@pytest.mark.parametrize("order", ["little", "big"])
def test_times_of_pcapng(order: Any, block: Any) -> None:
    one = sent_tcp()
    frames = [Frame(one.packet, time, interface=number) for number, (_, _, time) in enumerate(TIMES)]
    data = writer.pcapng(
        frames,
        byteorder=order,
        block=block,
        linktypes=[101] * len(TIMES),
        tsresol=[resolution for resolution, _, _ in TIMES],
        tsoffset=[offset for _, offset, _ in TIMES],
    )
    assert read(data).column("time").tolist() == [time for _, _, time in TIMES]


def nanoseconds(stamp: int, tsresol: int, tsoffset: int) -> int:
    """Time of a stamp as whole numbers have it, kept within 292 years of 1970."""
    per_second = 1 << (tsresol & 0x7F) if tsresol & 0x80 else 10**tsresol
    time = tsoffset * SECOND + stamp * SECOND // per_second
    return time if abs(time) <= 9_223_372_035 * SECOND else (2**63 - 1) * (1 if time > 0 else -1)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 1, 2**32 - 1, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1]) | st.integers(0, 2**64 - 1),
            st.integers(0, 255),
            st.sampled_from([0, 0, 1, -1, 2**31, -(2**31), 2**62, 2**63 - 1, -(2**63)]) | st.integers(-(2**34), 2**34),
        ),
        min_size=1,
        max_size=20,
    )
)
@thorough
def test_any_time_stamp_is_rounded_down(stamps: list[tuple[int, int, int]]) -> None:
    data = writer.section_header()
    for _, tsresol, tsoffset in stamps:
        data += writer.interface(101, tsresol=tsresol, tsoffset=tsoffset)
    for number, (stamp, _, _) in enumerate(stamps):
        packet = sent_tcp().packet
        body = struct.pack("<IIIII", number, stamp >> 32, stamp & 0xFFFFFFFF, len(packet), len(packet)) + packet
        data += writer.block(6, body)
    trace = read(data)
    for found, (stamp, tsresol, tsoffset) in zip(trace.column("time").tolist(), stamps, strict=True):
        expected = nanoseconds(stamp, tsresol, tsoffset)
        # the last second within 292 years may be the very last nanosecond
        assert found == expected or (abs(expected) > 9_223_372_034 * SECOND and abs(found) == 2**63 - 1)
    assert str(trace.packets["time"].iloc[0])


def test_simple_packets_have_no_time() -> None:
    packets = [sent_tcp(bytes(size)) for size in (0, 1, 600)]
    frames = [Frame(one.packet, 0) for one in packets]
    for order in ("little", "big"):
        data = writer.pcapng(
            frames, linktypes=[101, 1], snaplens=[300, 70], block="simple", interleaved=True, byteorder=order
        )
        trace, said = read_broken(data)
        assert rows(trace, data) == [expected_row(packets[i], frame, i + 1, 300) for i, frame in enumerate(frames)]
        assert said == [
            "expected packets with a time, found 3 simple packet blocks, which have no time; "
            "they are given the time 1970-01-01 00:00: do not use their timing"
        ]
        assert trace.source.snap_length == 300


def test_modified_magic_and_frame_check_length_in_the_link_type() -> None:
    data = bytearray(writer.pcap([Frame(writer.link("ethernet fcs", sent_tcp(b"abc").packet), START)]))
    data[23] = 0x24  # the frame check sequence has 2 words of 16 bits, and the bit that says so
    trace = read(bytes(data))
    assert trace.source.link_types == (1,)
    assert trace.column("payload_length").tolist() == [3]


# Whatever is written

MAPPED = str(ip_address("::ffff:10.0.0.1"))  # Python 3.13 writes it in another way
ADDRESSES = {
    4: ["10.0.0.1", "10.0.0.2", "0.0.0.0", "255.255.255.255", "192.0.2.9"],
    6: ["2001:db8::1", "::", "::a00:1", "a00:1::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", MAPPED],
}
PAYLOADS = st.one_of(
    st.binary(max_size=40).filter(lambda payload: payload[1:2] != b"\x03"),
    st.sampled_from([0, 1, 4, 5, 6, 100, 1_300]).map(lambda size: b"\x99" * size),
)
BODIES = PAYLOADS.filter(bool)  # a length of 0 in an IPv6 header would mean another thing
RECORDS = st.tuples(
    st.sampled_from([20, 21, 22, 23, 24]),
    st.integers(0, 4),
    st.sampled_from([1, 2, 300, 16_384, 18_432]),
    st.binary(max_size=40),
)


@st.composite
def sent(draw: st.DrawFn, version: int) -> Sent:
    ends = draw(st.tuples(*[st.sampled_from(ADDRESSES[version])] * 2))
    around: dict[str, Any] = {"ends": ends, "ttl": draw(st.integers(0, 255)), "ident": draw(st.integers(0, 2**32 - 1))}
    if version == 4:
        around["options"] = draw(st.binary(max_size=40))
    else:
        around["extensions"] = draw(st.lists(st.sampled_from(EXTENSIONS), max_size=4))
    around["more"] = draw(st.sampled_from([False, False, False, True]))
    kind = draw(st.sampled_from(["tcp", "tcp", "tcp", "tls", "udp", "other", "fragment"]))
    if kind == "fragment":
        around["fragment"] = 8 * draw(st.integers(1, 2**13 - 1))
        return sent_other(draw(BODIES), draw(st.sampled_from([1, 6, 17])), **around)
    if kind == "other":
        return sent_other(draw(BODIES), draw(st.sampled_from([1, 2, 4, 41, 47, 50, 58, 89, 132, 255])), **around)
    around["ports"] = draw(st.tuples(*[st.sampled_from([0, 1, 443, 65_535])] * 2))
    around["checksum"] = draw(st.sampled_from(["none", "right", "partial"]))
    if kind == "udp":
        return sent_udp(draw(PAYLOADS), **around)
    payload = draw(PAYLOADS)
    if kind == "tls":
        around["tls_type"], minor, size, content = draw(RECORDS)
        payload = bytes([around["tls_type"], 3, minor]) + size.to_bytes(2, "big") + content
    numbers = st.integers(0, 2**32 - 1)
    around |= {"seq": draw(numbers), "ack": draw(numbers), "flags": draw(st.integers(0, 0xFFF))}
    return sent_tcp(payload, tcp_options=draw(st.binary(max_size=40)), **around)


EXTENSIONS = [
    writer.hop_by_hop(),
    writer.hop_by_hop(b"\x05\x02\0\0\x01\x08" + bytes(8)),
    writer.destination_options(b"\x01\x7c" + bytes(124)),
    writer.routing("2001:db8::5", "2001:db8::6"),
    writer.authentication(),
    writer.authentication(bytes(20)),
]


@st.composite
def section(draw: st.DrawFn) -> tuple[bytes, list[tuple[Sent, Frame, int]]]:
    """Draw a pcap file or a section of a pcapng file, and what is in it, with the snap length."""
    names = draw(st.lists(st.sampled_from(list(LINKS)), min_size=1, max_size=4))
    count = len(names)
    what = []
    for number in draw(st.lists(st.integers(0, count - 1), max_size=12)):
        name = names[number]
        one = draw(sent(draw(st.sampled_from(writer.versions(name)))))
        time = START + SECOND * draw(st.integers(-100, 100))
        what.append((one, Frame(writer.link(name, one.packet), time, interface=number)))
    # it cuts no header: those of IPv6 here have up to 40 + 4 * 130 bytes
    snaplens = draw(st.lists(st.sampled_from([0, 0, 700, 705]), min_size=count, max_size=count))
    data = writer.pcapng(
        [frame for _, frame in what],
        byteorder=draw(st.sampled_from(["little", "big"])),
        linktypes=[LINKS[name][0] for name in names],
        snaplens=snaplens,
        tsresol=[draw(st.sampled_from([None, 0, 6, 9, 0x80 + 20])) for _ in names],
        tsoffset=[draw(st.sampled_from([None, 0, 1_600_000_000, -3_600])) for _ in names],
        block=draw(st.sampled_from(["enhanced", "old"])),
        interleaved=draw(st.booleans()),
    )
    return data, [(one, frame, snaplens[frame.interface]) for one, frame in what]


@given(st.lists(section(), min_size=1, max_size=3), st.sampled_from(["none", "none", "gzip", "zstd", "xz", "bz2"]))
@thorough
def test_pcapng_whatever_is_in_it(sections: list[tuple[bytes, list[tuple[Sent, Frame, int]]]], how: str) -> None:
    data = b"".join(data for data, _ in sections)
    everything = [each for _, what in sections for each in what]
    trace = read(writer.compress(data, how))
    is_invariant(trace)
    assert rows(trace, data) == [
        expected_row(one, frame, number, snaplen) for number, (one, frame, snaplen) in enumerate(everything, start=1)
    ]
    addresses = [one.row[end] for one, _, _ in everything for end in ("src", "dst")]
    assert list(trace.hosts) == list(dict.fromkeys(addresses))
    assert set(trace.source.link_types) <= set(LINK_TYPES)


@given(st.data(), st.sampled_from(list(LINKS)), st.sampled_from(list(FORMATS)), st.sampled_from(["little", "big"]))
@thorough
def test_pcap_whatever_is_in_it(data: st.DataObject, name: str, kind: str, order: Any) -> None:
    _, options, time = FORMATS[kind]
    packets = data.draw(st.lists(st.sampled_from(writer.versions(name)).flatmap(sent), max_size=8))
    assume("snap" not in name or all(len(one.packet) <= 1492 for one in packets))  # 802.3 holds no more
    frames = [Frame(writer.link(name, one.packet), time + i * SECOND) for i, one in enumerate(packets)]
    written = writer.pcap(frames, byteorder=order, linktype=LINKS[name][0], snaplen=700, **options)
    trace = read(written)
    is_invariant(trace)
    expected = [
        expected_row(one, frame, i + 1, 700) for i, (one, frame) in enumerate(zip(packets, frames, strict=True))
    ]
    assert rows(trace, written) == expected


# Size


def test_no_packet() -> None:
    for data in (writer.pcap([]), writer.pcapng([]), writer.section_header()):
        trace = read(data)
        assert (len(trace), trace.source.frames, trace.hosts) == (0, 0, ())
        assert trace.health().found == ()
        assert trace._repr_html_()


def many(count: int) -> bytes:
    """Build a capture of `count` packets between 2 * `count` hosts, quickly."""
    record = np.frombuffer(writer.pcap([Frame(sent_tcp(b"abcd").packet, START)], linktype=101)[24:], np.uint8)
    table = np.tile(record, (count, 1))
    hosts = np.arange(2 * count, dtype=">u4").view(np.uint8).reshape(count, 2, 4)
    table[:, 16 + 12 : 16 + 16], table[:, 16 + 16 : 16 + 20] = hosts[:, 1], hosts[:, 0]
    table[:, 4:8] = np.arange(count, dtype="<u4").view(np.uint8).reshape(count, 4)
    return writer.pcap([], linktype=101) + table.tobytes()


@pytest.mark.parametrize("count", [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 50_000])
def test_more_than_one_chunk_and_many_hosts(count: int) -> None:
    trace = read(many(count))
    is_invariant(trace)
    assert len(trace) == trace.source.frames == count
    assert trace.column("number").tolist() == list(range(1, count + 1))
    # in order of first appearance: the source of a packet is the higher of its two
    assert trace.column("src").tolist() == list(range(0, 2 * count, 2))
    assert trace.column("dst").tolist() == list(range(1, 2 * count, 2))
    for number in (0, 1, 2 * count - 2, 2 * count - 1):
        assert trace.hosts[number] == str(ip_address(number ^ 1))
    assert len(trace.hosts) == 2 * count
    assert (np.diff(trace.column("time")) == 1_000).all()
    assert bytes(trace.payload(count - 1)) == b"abcd"


def test_more_than_one_chunk_of_pcapng() -> None:
    frames = [Frame(sent_tcp(bytes(i % 3), seq=i).packet, START + i * 1_000) for i in range(CHUNK + 5)]
    trace = read(writer.pcapng(frames, linktypes=[101]))
    assert trace.column("tcp_seq").tolist() == list(range(CHUNK + 5))
    assert trace.column("payload_length").tolist() == [i % 3 for i in range(CHUNK + 5)]


def test_packets_again_after_many_unknown_links() -> None:
    frames = [Frame(sent_tcp().packet, START, interface=int(i != CHUNK + 3)) for i in range(CHUNK + 5)]
    trace, said = read_broken(writer.pcapng(frames, linktypes=[101, 147]))
    assert trace.column("number").tolist() == [CHUNK + 4]
    assert f"its {CHUNK + 4} frames" in said[0]


# Progress


@pytest.mark.parametrize("how", ["none", "gzip", "zstd", "xz", "bz2"])
def test_progress(how: str, tmp_path: Path) -> None:
    path = tmp_path / "some.pcap"
    path.write_bytes(writer.compress(many(20 * CHUNK if how == "none" else CHUNK), how))
    calls: list[tuple[int, int]] = []
    toolkit.read(path, progress=lambda done, total: calls.append((done, total)))
    size = path.stat().st_size
    assert {total for _, total in calls} == {size}
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    assert calls[-1] == (size, size)
    assert len(calls) > 2
    assert all(isinstance(done, int) for done, _ in calls)


def test_progress_bar_is_for_terminals(capfd: pytest.CaptureFixture[str]) -> None:
    read(many(CHUNK + 1), progress=True)
    assert capfd.readouterr() == ("", "")


def test_progress_bar(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    read(many(CHUNK + 1), progress=True)
    assert "made.pcap" in capfd.readouterr().err


def test_path_may_be_text_or_a_path(tmp_path: Path) -> None:
    path = tmp_path / "no suffix at all"
    path.write_bytes(writer.pcap([Frame(sent_tcp().packet, START)], linktype=101))
    for given_path in (path, str(path)):
        trace = toolkit.read(given_path)
        assert trace.source.path == str(path)
        assert trace.history == ("read no suffix at all",)
    with pytest.raises(TypeError, match="must be a str or a path, got bytes"):
        toolkit.read(bytes(path))  # type: ignore[arg-type]


def test_trace_outlives_its_file() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "gone.pcap")
        path.write_bytes(writer.pcap([Frame(sent_tcp(b"abc").packet, START)], linktype=101))
        trace = toolkit.read(path)
    assert bytes(trace.payload(0)) == b"abc"
    assert [bytes(part) for part in itertools.repeat(trace.payload(-1), 2)] == [b"abc"] * 2
    with pytest.raises(TypeError, match="read-only"):
        trace.payload(0)[0] = 1
