"""Traces written as capture files, against the writer of the tests, our reader and tshark."""

from __future__ import annotations

import os
import random
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import writer
from capturing import START, frame_of, read, same_columns, sent_tcp, sent_udp
from corpus import changed_captures, frames, read_anything
from hypothesis import given
from hypothesis import strategies as st
from making import SECOND, from_columns, from_dicts, quick
from reference import TCP, Packet
from wiresharking import shown
from writer import LINKS, Frame

import toolkit
from toolkit import ToolkitError, Trace
from toolkit.capture import writing

LATEST = (1 << 32) * SECOND - 1
EARLIEST, LAST = np.iinfo(np.int64).min + 1, np.iinfo(np.int64).max
HELLO = sent_tcp(b"hello").packet


def bytes_of(trace: Trace, **options: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return trace.to_pcap(Path(folder, "written"), **options).read_bytes()


def same(one: Trace, other: Trace) -> None:
    """Check that two traces have the same packets, wherever they lie."""
    assert len(one) == len(other)
    same_columns(one, other, "number")
    for row in range(len(one)):
        assert one.payload(row) == other.payload(row)
        assert frame_of(one, row) == frame_of(other, row)


TIMES = st.integers(0, LATEST) | st.sampled_from([0, 1, SECOND - 1, SECOND, START, 2**31 * SECOND, LATEST])


@st.composite
def some_frames(draw: st.DrawFn, name: str, times: st.SearchStrategy[int]) -> list[Frame]:
    """Frames of a link type, of all kinds of packets, in any order of time, some longer on the wire."""
    data = st.sampled_from(frames(name))
    longer = st.sampled_from([None, 0, 1, 1_000_000, 2**31 - 1_000_000])
    one = st.tuples(data, times, longer)
    return [
        Frame(data, time, None if more is None else len(data) + more)
        for data, time, more in draw(st.lists(one, max_size=8))
    ]


@given(st.data())
@quick
def test_pcap_is_what_the_writer_writes(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(list(LINKS)))
    snaplen = data.draw(st.sampled_from([262_144, 120, 64]))
    made = data.draw(some_frames(name, TIMES))
    options: dict[str, Any] = {"resolution": "ns", "linktype": LINKS[name][0], "snaplen": snaplen}
    file = writer.pcap(made, **options)
    trace = read(file)
    rows = data.draw(st.permutations(range(len(trace))))[: data.draw(st.integers(0, len(trace)))]
    part = trace[rows] if data.draw(st.booleans()) else trace
    # every one of these frames that is not cut inside its IP header is a row
    order = [int(number) - 1 for number in part.column("number")]
    again = bytes_of(part)
    if order:
        assert again == writer.pcap([made[i] for i in order], **options)
    same(part, read(again))


@given(st.data())
@quick
def test_pcapng_is_what_the_writer_writes(data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(list(LINKS)), min_size=1, max_size=4, unique_by=lambda n: LINKS[n][0]))
    names.sort(key=lambda name: LINKS[name][0])
    times = st.integers(EARLIEST + 3 * SECOND, LAST - 2 * SECOND) | TIMES  # nearer, the reader takes them for the end
    given_frames = [
        Frame(frame.data, frame.time_ns, frame.wire_length, number)
        for number, name in enumerate(names)
        for frame in data.draw(some_frames(name, times))
    ]
    earliest = min((frame.time_ns for frame in given_frames), default=0)
    offset = earliest // SECOND if earliest < 0 else None
    links = [LINKS[name][0] for name in names]
    options: dict[str, Any] = {"linktypes": links, "snaplens": [262_144], "tsresol": [9], "tsoffset": [offset]}
    file = writer.pcapng(given_frames, **options)
    trace = read(file)
    assert len(trace) == len(given_frames)
    again = bytes_of(trace, format="pcapng")
    if {frame.interface for frame in given_frames} == set(range(len(names))):
        assert again == file
    same(trace, read(again))


@pytest.mark.parametrize("time", [EARLIEST, EARLIEST + 3 * SECOND, -1, 0, LATEST + 1, LAST])
def test_times_that_only_pcapng_holds(time: int) -> None:
    data = read(writer.pcapng([Frame(HELLO, 5)], linktypes=[101], tsresol=[9]))
    trace = data.with_time(np.array([time], np.int64), "moved")
    assert read(bytes_of(trace, format="pcapng")).column("time").tolist() == [time]
    if time == 0:
        assert read(bytes_of(trace)).column("time").tolist() == [time]
    else:
        with pytest.raises(
            ToolkitError, match=r"written: a pcap file holds times from 1970-01-01 to 2106-02-07, found "
        ):
            bytes_of(trace)


def test_the_message_names_the_packet_out_of_time(tmp_path: Path) -> None:
    trace = read(writer.pcapng([Frame(HELLO, START)] * 3, linktypes=[101], tsresol=[9]))
    trace = trace.with_time(np.array([0, 5, -1], np.int64), "moved")
    with pytest.raises(
        ToolkitError, match=r"found 1969-12-31 23:59:59.999999999\+00:00 \(packet 2\): use pcapng, or move"
    ):
        trace.to_pcap(tmp_path / "out.pcap")
    assert not list(tmp_path.iterdir())


def test_link_types_that_do_not_go_together(tmp_path: Path) -> None:
    ethernet = read(writer.pcap([Frame(writer.link(1, HELLO), START)] * 2))
    raw = read(writer.pcap([Frame(HELLO, START)], linktype=101))
    both = toolkit.concat([ethernet, raw])
    with pytest.raises(ToolkitError, match=r"found Ethernet \(1, 2 packets\), raw IP \(101, 1 packets\): select the"):
        both.to_pcap(tmp_path / "out.pcap")
    assert not list(tmp_path.iterdir())
    same(both, toolkit.read(both.to_pcap(tmp_path / "out.pcapng")))
    same(both[:2], toolkit.read(both[:2].to_pcap(tmp_path / "out.pcap")))


def test_several_captures_and_parts_of_them(tmp_path: Path) -> None:
    samples = [toolkit.load_example(name) for name in ("obfs4", "shadowsocks")]
    both = toolkit.concat([samples[1], samples[0].select(payload_only=True), samples[0][::-1]])
    same(both, toolkit.read(both.to_pcap(tmp_path / "both.pcap")))
    moved = toolkit.synchronise(samples[0], "2020-02-29")
    same(moved, toolkit.read(moved.to_pcap(tmp_path / "moved.pcap")))


def test_frames_that_are_no_rows_are_not_written(tmp_path: Path) -> None:
    arp = writer.MACS + b"\x08\x06" + bytes(28)
    trace = read(writer.pcap([Frame(arp, START), Frame(writer.link(1, HELLO), START)]))
    again = toolkit.read(trace.to_pcap(tmp_path / "out.pcap"))
    assert (trace.source.frames, again.source.frames) == (2, 1)
    assert again.column("number").tolist() == [1]


def test_what_stood_around_the_frames_is_not_written() -> None:
    file = writer.pcapng([Frame(writer.link(1, HELLO), START)], interleaved=True)
    assert b"a.test" in file
    assert b"eth0" in file
    assert b"a comment" in file
    again = bytes_of(read(file), format="pcapng")
    assert not any(word in again for word in (b"a.test", b"eth0", b"a comment"))


def test_changed_captures_come_back() -> None:
    """Also frames that nobody would send: the marks of what is wrong with them come back."""
    for data in changed_captures(300, 11):
        trace = read_anything(data)
        if trace is not None:
            same(trace, read(bytes_of(trace, format="pcapng")))


def test_no_packets() -> None:
    trace = read(writer.pcap([Frame(HELLO, START)], linktype=101))[:0]
    for form in ("pcap", "pcapng"):
        assert len(read(bytes_of(trace, format=form))) == 0


@pytest.mark.parametrize("ending", ["pcap", "pcapng", "PCAPNG", "cap", ""])
def test_the_ending_chooses(tmp_path: Path, ending: str) -> None:
    trace = read(writer.pcap([Frame(HELLO, START)], linktype=101))
    path = trace.to_pcap(tmp_path / f"out.{ending}")
    wanted = "pcapng (little endian)" if ending.lower() == "pcapng" else "pcap (little endian, ns)"
    assert toolkit.read(path).source.format == wanted
    assert os.listdir(tmp_path) == [path.name]
    assert toolkit.read(trace.to_pcap(path, format="pcapng")).source.format == "pcapng (little endian)"


def test_what_cannot_be_written(tmp_path: Path) -> None:
    packet = Packet(START, "10.0.0.1", "10.0.0.2", TCP, 45, payload=b"hello")
    with pytest.raises(ToolkitError, match="packet 0 came from no capture file: it has no frame to write"):
        from_dicts([packet]).to_pcap(tmp_path / "out.pcap")
    path = tmp_path / "in.pcap"
    path.write_bytes(writer.pcap([Frame(HELLO, START)], linktype=101))
    trace = toolkit.read(path)
    with pytest.raises(ToolkitError, match="packet 1 came from no capture file"):
        toolkit.concat([trace, from_dicts([packet])]).to_pcap(tmp_path / "out.pcap")
    with pytest.raises(ValueError, match="`format` must be 'pcap' or 'pcapng', got 'erf'"):
        trace.to_pcap(tmp_path / "out.pcap", format="erf")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"in\.pcap is the capture that is read"):
        trace.to_pcap(path)
    with pytest.raises(ValueError, match=rf"{tmp_path.name} is a folder: give the name of a file in it"):
        trace.to_pcap(tmp_path)
    with pytest.raises(NotADirectoryError, match=r"Not a directory: '.*in\.pcap'"):
        trace.to_pcap(path / "out.pcap")
    astray = from_columns(["10.0.0.1"], b"abc", frame_offset=[2], frame_captured=[20], link_type=[101])
    with pytest.raises(IndexError, match="bytes 2 to 22 are wanted of a capture of 3"):
        astray.to_pcap(tmp_path / "out.pcap")
    assert os.listdir(tmp_path) == ["in.pcap"]


def test_an_earlier_file_stays_until_the_new_one_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = read(writer.pcap([Frame(HELLO, START)], linktype=101))
    path = tmp_path / "out.pcap"
    path.write_bytes(b"earlier")

    def full(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(writing, "_write", full)
    with pytest.raises(OSError, match="disk full"):
        trace.to_pcap(path)
    assert path.read_bytes() == b"earlier"
    assert os.listdir(tmp_path) == ["out.pcap"]


def test_pieces_are_small() -> None:
    """Large frames and many: no piece has over 32 MiB of frames but for a larger frame, and all rows are there once."""
    draw = random.Random(3)
    sizes = [draw.choice([0, 60, 1_514, 262_144]) for _ in range(40_000)]
    trace = from_columns(["10.0.0.1"], frame_captured=sizes)
    ranges = list(writing.row_ranges(trace))
    assert [row for part in ranges for row in range(part.start, part.stop)] == list(range(len(sizes)))
    assert max(sum(sizes[part]) for part in ranges) <= 1 << 25
    assert max(part.stop - part.start for part in ranges) <= 16_384
    large = from_columns(["10.0.0.1"], frame_captured=[1 << 26, 5])
    assert list(writing.row_ranges(large)) == [slice(0, 1), slice(1, 2)]


@pytest.mark.parametrize("form", ["pcap", "pcapng"])
def test_tshark_reads_it(tmp_path: Path, form: str) -> None:
    times = [0, 1, START + 123_456_789, LATEST]
    data = [HELLO, sent_udp(b"question").packet, sent_tcp(b"x" * 1000).packet, HELLO]
    made = [Frame(packet, time, 2_000) for packet, time in zip(data, times, strict=True)]
    trace = read(writer.pcap(made, resolution="ns", linktype=101, snaplen=100))
    path = trace.to_pcap(tmp_path / f"out.{form}")
    fields = ["frame.time_epoch", "frame.len", "frame.cap_len", "ip.src", "ip.len", "tcp.dstport", "frame.encap_type"]
    assert shown(path, fields[:-1]) == [
        [
            f"{time // SECOND}.{time % SECOND:09d}",
            "2000",
            str(min(len(packet), 100)),
            "10.1.2.3",
            str(len(packet)),
            port,
        ]
        for packet, time, port in zip(data, times, ["443", "", "443", "443"], strict=True)
    ]


def test_tshark_reads_a_mixture_from_before_1970(tmp_path: Path) -> None:
    times = [-1, -5 * SECOND + 1, START]
    made = [
        Frame(writer.link(link, HELLO), time, interface=i)
        for i, (link, time) in enumerate(zip((1, 101, 276), times, strict=True))
    ]
    trace = read(writer.pcapng(made, linktypes=[1, 101, 276], tsresol=[9], tsoffset=[-5]))
    path = trace.to_pcap(tmp_path / "out.pcapng")
    rows = shown(path, ["frame.time_epoch", "frame.interface_id", "frame.protocols"])
    # tshark up to 4.0 writes the whole second before, and the nanoseconds since
    written = [["-0.000000001", "-1.999999999"], ["-4.999999999", "-5.000000001"], ["1700000000.000000000"]]
    assert all(row[0] in ways for row, ways in zip(rows, written, strict=True))
    assert [[number, layers.split(":")[0]] for _, number, layers in rows] == [["0", "eth"], ["1", "raw"], ["2", "sll"]]


def test_the_table_of_a_compressed_capture_is_not_lost(tmp_path: Path) -> None:
    public = toolkit.anonymise(toolkit.load_example("obfs4"), key=bytes(32))
    path = public.to_pcap(tmp_path / "public.pcap")
    path.rename(tmp_path / "public.pcap.gz")
    with pytest.raises(ValueError, match=r"public\.pcap\.payload\.parquet belongs to public\.pcap\.gz, too"):
        public[:5].to_pcap(path)
    with pytest.raises(ValueError, match="captures are written uncompressed"):
        public.to_pcap(tmp_path / "other.pcap.gz")
    assert len(pd.read_parquet(tmp_path / "public.pcap.payload.parquet")) == len(public)
