"""Hostile, changing and odd files: no crash, no hang, little memory, few words."""

from __future__ import annotations

import bz2
import copy
import gzip
import hashlib
import lzma
import os
import pickle
import struct
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
import writer
import zstandard
from capturing import START, read, read_broken, sent_tcp, sent_udp
from fuzzing import steps
from making import from_columns
from writer import Frame

import toolkit
from toolkit.capture import sources
from toolkit.storage import Pass

MIB = 1 << 20
HOW = ["gzip", "zstd", "xz", "bz2"]
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "xz": lzma.compress,
    "bz2": bz2.compress,
}
FRAMES = [Frame(sent_tcp(bytes([i]) * 1_000, seq=i).packet, START + i * 1_000) for i in range(200)]
small = writer.pcap(FRAMES, linktype=101)


def child(program: str, *arguments: object, status: int = 0) -> list[str]:
    """Run a program in a process of its own; give the lines it prints."""
    before = f"import os, sys, warnings\nsys.path.insert(0, {str(Path(__file__).parent)!r})\nimport toolkit\n"
    command = [sys.executable, "-c", before + textwrap.dedent(program), *map(str, arguments)]
    folder = Path(toolkit.__file__).parents[1]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=folder)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout.splitlines()


# Decompression


@cache
def bomb(how: str, start: bytes = small) -> bytes:
    """Put a gigabyte of zeros behind some bytes, in 64 members."""
    zeros = COMPRESS[how](bytes(16 * MIB))
    return COMPRESS[how](start) + zeros * 64


MEASURE = """
    from fuzzing import peak_memory
    folder, limit = sys.argv[1], int(sys.argv[2])
    warnings.simplefilter("ignore")
    toolkit.read(folder + "/small")
    before = peak_memory()
    for name in ("gzip", "zstd", "xz", "bz2"):
        try:
            found = len(toolkit.read(f"{folder}/{name}", max_decompressed=limit))
        except toolkit.CaptureError as error:
            found = str(error).partition("found ")[2]
        print(peak_memory() - before, found, sep="|")
"""


@pytest.mark.parametrize("start", [small, b""], ids=["a capture", "no capture"])
def test_a_bomb_takes_little_memory(start: bytes, tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(gzip.compress(small))
    for how in HOW:
        (tmp_path / how).write_bytes(bomb(how, start))
        assert (tmp_path / how).stat().st_size < 2 * MIB
    expected = "200" if start else "a file that starts with 00 00 00 00"
    # without a capture at the start it is over with the first slice, whatever the limit
    lines = [line.split("|") for line in child(MEASURE, tmp_path, 8 * MIB if start else 1 << 40)]
    assert [found for _, found in lines] == [expected] * 4
    assert max(int(grown) for grown, _ in lines) < 160 * MIB


@pytest.mark.parametrize(("how", "pattern"), [("zstd", b"rle"), ("bz2", b"")])
def test_a_slice_that_would_give_everything_at_once(how: str, pattern: bytes, tmp_path: Path) -> None:
    """The worst of each: blocks of zstd of 4 bytes that give 128 KiB, and of bzip2 of 39 bytes that give 46 MB."""
    if pattern:
        head = b"\x28\xb5\x2f\xfd\x00\x88"  # a window of 128 MiB, no size
        block = struct.pack("<I", 1 << 1 | (128 << 10) << 3)[:3] + b"\0"
        data = COMPRESS["zstd"](small) + head + block * (1 << 18)  # 32 GiB
    else:
        data = bz2.compress(small) + bz2.compress(bytes(400 * MIB))
        assert len(data) < 16_000
    for name in HOW:
        (tmp_path / name).write_bytes(data)
    (tmp_path / "small").write_bytes(gzip.compress(small))
    lines = [line.split("|") for line in child(MEASURE, tmp_path, 8 * MIB)]
    assert [found for _, found in lines] == ["200"] * 4
    assert max(int(grown) for grown, _ in lines) < 160 * MIB


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("members", [1, 3])
def test_what_comes_before_the_limit_is_kept(how: str, members: int, tmp_path: Path) -> None:
    record = len(small[24:]) // 200
    pieces = [small[i * len(small) // members : (i + 1) * len(small) // members] for i in range(members)]
    path = tmp_path / "some.pcap"
    path.write_bytes(b"".join(COMPRESS[how](piece) for piece in pieces))
    for limit in (24, 24 + 50 * record, len(small) - 1, len(small), len(small) + 1):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            trace = toolkit.read(path, max_decompressed=limit)
        said = [str(warning.message) for warning in caught]
        assert len(trace) == min((limit - 24) // record, 200)
        assert trace.source.size == min(limit, len(small))
        assert trace.health()["file faults"].count == (limit < len(small))
        if limit < len(small):
            assert f"expected at most {limit} bytes of decompressed data (`max_decompressed`), found more" in said[0]
            assert said[0].endswith("`max_decompressed` of `read`, --max-decompressed on the command line")
            assert len(said) == 1  # the limit may cut a record, which is no news
            with pytest.raises(toolkit.CaptureError, match="max_decompressed"):
                toolkit.read(path, max_decompressed=limit, strict=True)
        else:
            assert said == []


@pytest.mark.parametrize("how", HOW)
def test_default_limit(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """200 times the file; small files have more room, and none has more than the ceiling."""
    assert (sources.RATIO, sources.FLOOR, sources.CEILING) == (200, 1 << 30, 64 << 30)
    path = tmp_path / "some.pcap"
    path.write_bytes(COMPRESS[how](small + bytes(4 * MIB)))  # each 16 zeros are a record
    size = path.stat().st_size
    assert 200 * size > 100_000
    for floor, ceiling, limit in [
        (1, 1 << 40, 200 * size),
        (MIB, 1 << 40, max(MIB, 200 * size)),
        (1, 100_000, 100_000),
    ]:
        monkeypatch.setattr(sources, "FLOOR", floor)
        monkeypatch.setattr(sources, "CEILING", ceiling)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert toolkit.read(path).source.size == min(limit, len(small) + 4 * MIB)


def test_limit_must_be_a_number_of_bytes(tmp_path: Path) -> None:
    path = tmp_path / "some.pcap"
    path.write_bytes(small)
    assert len(toolkit.read(path, max_decompressed=1)) == 200  # it is not compressed
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="at least 1 byte, got"):
            toolkit.read(path, max_decompressed=wrong)
    for kind in (True, 1e9, "1 GiB"):
        with pytest.raises(TypeError, match="must be a number of bytes, got"):
            toolkit.read(path, max_decompressed=kind)  # type: ignore[arg-type]


def test_compressed_twice_is_no_capture() -> None:
    with pytest.raises(toolkit.CaptureError, match="a file that starts with 1f 8b 08"):
        read(gzip.compress(gzip.compress(small)))


# Files that change

USE = """
    folder, when, *changes = sys.argv[1:]
    def look(trace):
        bytes(trace.payload(len(trace) - 1))
        bytes(trace.payload(0))
    uses = {
        "payload": look,
        "entropy": toolkit.payload_entropy,
        "part": lambda trace: toolkit.payload_entropy(trace[5:9]),
        "backwards": lambda trace: toolkit.payload_entropy(trace[::-1]),
        "features": lambda trace: toolkit.client_features(trace, "10.0.0.0/8"),
        "to_packets": lambda trace: trace.to_packets(),
        "concat": lambda trace: toolkit.payload_entropy(toolkit.concat([trace, toolkit.load_example("obfs4")])),
        "sha256": lambda trace: trace.source.sha256,
        "health": lambda trace: trace.health(),
        "packets": lambda trace: trace.packets["time"].max(),
    }
    def half(path): os.truncate(path, os.path.getsize(path) // 2)
    def empty(path): os.truncate(path, 0)
    def append(path):
        with open(path, "ab") as file: file.write(bytes(100))
    def rewrite(path):
        with open(path, "r+b") as file: file.write(bytes(100))
        os.utime(path, (1, 1))
    def replace(path):
        with open(path + "x", "wb") as file: file.write(b"other")
        os.replace(path + "x", path)
    def delete(path): os.remove(path)
    for change in changes:
        path = os.path.join(folder, change)
        trace = toolkit.read(path)
        for use in uses.values():
            if when == "used": use(trace)
        globals()[change](path)
        for name, use in uses.items():
            try:
                use(trace)
                print(change, name, "good")
            except toolkit.CaptureError as error:
                print(change, name, str(error).removeprefix(path))
"""
IN_FILE = ["payload", "entropy", "part", "backwards", "features", "to_packets", "concat"]
IN_MEMORY = ["health", "packets"]
CHANGES = ["half", "empty", "append", "rewrite", "replace", "delete"]


@pytest.mark.parametrize("when", ["used", "unused"])
def test_file_that_changes_while_the_trace_lives(when: str, tmp_path: Path) -> None:
    data = small + writer.pcap(FRAMES * 10, linktype=101)[24:]  # more than a window
    for change in CHANGES:
        (tmp_path / change).write_bytes(data)
    lines = [line.split(" ", 2) for line in child(USE, tmp_path, when, *CHANGES)]
    found = {(change, name): said for change, name, said in lines}
    assert len(lines) == len(found) == len(CHANGES) * (len(IN_FILE) + 1 + len(IN_MEMORY))
    sizes = {"half": len(data) // 2, "empty": 0, "append": len(data) + 100}
    for change in CHANGES:
        assert {found[change, name] for name in IN_MEMORY} == {"good"}
        said = {found[change, name] for name in IN_FILE}
        expected = f": expected the {len(data)} bytes that were there when it was opened, found "
        if change in ("replace", "delete"):
            assert said == {"good"}
        else:
            now = "a file that was written to since"
            if change in sizes:
                now = f"a file that has changed: it has {sizes[change]} bytes now"
            assert said == {expected + now + "; read it again when nothing writes to it any more, or read a copy"}
        if when == "used":
            assert found[change, "sha256"] == "good"  # of what was read, computed once
        elif change == "delete":
            assert found[change, "sha256"] == (
                ": expected the file that the packets were read from, to compute its SHA-256, found No such file or "
                "directory; put it back, or read it where it is now"
            )
        else:
            assert found[change, "sha256"].startswith(expected)


WHILE_READING = """
    from toolkit.capture import reader
    folder, *sizes = sys.argv[1:]
    decode = reader.decode
    for size in sizes:
        path = os.path.join(folder, size)
        def meanwhile(*arguments):
            os.truncate(path, int(size))
            return decode(*arguments)
        reader.decode = meanwhile
        try:
            print(toolkit.read(path))
        except toolkit.CaptureError as error:
            print(str(error).partition("found ")[2])
"""


def test_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    sizes = [0, 1_000, 100_000, 50_000_000]
    for size in sizes:
        (tmp_path / str(size)).write_bytes(writer.pcap(FRAMES * 40, linktype=101))  # many windows
    note = "read it again when nothing writes to it any more, or read a copy"
    assert child(WHILE_READING, tmp_path, *sizes) == [
        f"a file that has changed: it has {size} bytes now; {note}" for size in sizes
    ]


def test_compressed_file_that_changes_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "some.pcap"
    path.write_bytes(gzip.compress(small, 0))
    feed = sources._feed

    def meanwhile(*arguments: Any) -> Any:
        with path.open("ab") as file:
            file.write(b"x")
        return feed(*arguments)

    monkeypatch.setattr(sources, "_feed", meanwhile)
    with pytest.raises(toolkit.CaptureError, match="a file that has changed: it has"):
        toolkit.read(path)


def test_compressed_capture_needs_its_file_no_more(tmp_path: Path) -> None:
    path = tmp_path / "some.pcap"
    path.write_bytes(gzip.compress(small))
    trace = toolkit.read(path)
    path.write_bytes(b"")
    assert bytes(trace.payload(7)) == b"\7" * 1_000
    assert toolkit.payload_entropy(trace).tolist() == [0.0] * 200


def test_disk_that_fails_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "some.pcap"
    path.write_bytes(small)
    trace = toolkit.read(path)

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pread", fail)
    monkeypatch.setattr(os, "preadv", fail)
    for use in (lambda: trace.payload(3), lambda: toolkit.payload_entropy(trace), lambda: toolkit.read(path)):
        with pytest.raises(toolkit.CaptureError, match="expected a file that can be read, found Input/output error"):
            use()


def test_payloads_from_threads(tmp_path: Path) -> None:
    path = tmp_path / "some.pcap"
    path.write_bytes(small)
    trace = toolkit.read(path)
    bad: list[int] = []

    def look(step: int) -> None:
        bad.extend(i for i in range(0, 200, step) if bytes(trace.payload(i)) != bytes([i]) * 1_000)

    threads = [threading.Thread(target=look, args=(step,)) for step in (1, 2, 3, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bad == []


def test_pickled_trace_opens_the_file_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("some.pcap")
    path.write_bytes(small)
    trace = toolkit.read(path)
    kept = pickle.dumps(trace)
    assert len(kept) < len(small) / 2
    monkeypatch.chdir("/")
    for again in (pickle.loads(kept), copy.deepcopy(trace)):
        assert [bytes(again.payload(i)) for i in (0, 199)] == [b"\0" * 1_000, b"\xc7" * 1_000]
    (tmp_path / path).write_bytes(small)
    os.utime(tmp_path / path, (1, 1))
    with pytest.raises(toolkit.CaptureError, match="found a file that was written to since"):
        pickle.loads(kept)
    os.rename(tmp_path / path, tmp_path / "other")
    with pytest.raises(toolkit.CaptureError, match="expected the capture file of the trace, found No such file"):
        pickle.loads(kept)
    (tmp_path / path).write_bytes(small)
    with pytest.raises(toolkit.CaptureError, match="found another file of that name"):
        pickle.loads(kept)


# What is given back

HELD = """
    import gc, resource
    def rss():
        with open("/proc/self/statm") as file: return int(file.read().split()[1]) * resource.getpagesize()
    def held(path):
        with open("/proc/self/maps") as file: maps = file.read().count(path)
        links = [os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd")]
        return sum(os.path.exists(link) and os.readlink(link) == path for link in links), maps
    path, broken = sys.argv[1:]
    warnings.simplefilter("ignore")
    trace = toolkit.read(path)
    toolkit.payload_entropy(trace)
    print(held(path))
    part = trace[:3]
    both = toolkit.concat([part, toolkit.load_example("obfs4")])
    payload = trace.payload(0)
    del trace, part
    print(held(path), len(both.payload(0)))
    del both
    print(held(path))
    for bad in (broken, os.path.dirname(path)):
        try:
            toolkit.read(bad)
        except toolkit.CaptureError:
            print(held(bad))
    for strict in (True, False):
        try:
            toolkit.read(path[:-1] + "2", strict=strict)
        except toolkit.CaptureError:
            print(held(path[:-1] + "2"))
    for round in range(250):
        one = toolkit.read(path)
        toolkit.payload_entropy(one)
        if round == 50: before = rss()
    print(len(os.listdir("/proc/self/fd")) < 30)
    print(rss() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
def test_file_and_memory_are_given_back(tmp_path: Path) -> None:
    data = writer.pcap(FRAMES * 20, linktype=101)  # 4 MB
    (tmp_path / "cap1").write_bytes(data)
    (tmp_path / "cap2").write_bytes(data[:-5])
    (tmp_path / "text").write_bytes(b"hello, world" * 100)
    *held, few, grown = child(HELD, tmp_path / "cap1", tmp_path / "text")
    # open while something refers to it; mapped never; closed after errors
    assert held == ["(1, 0)", "(1, 0) 1000", "(0, 0)", "(0, 0)", "(0, 0)", "(0, 0)"]
    assert few == "True"
    assert int(grown) < 4 * MIB


# Words


def test_a_million_malformed_packets_give_no_warning_each() -> None:
    packet = bytearray(sent_udp(b"abc").packet)
    packet[24:26] = b"\xff\xff"  # the length of UDP
    record = np.frombuffer(writer.pcap([Frame(bytes(packet), START)], linktype=101)[24:], np.uint8)
    trace, said = read_broken(writer.pcap([], linktype=101) + np.tile(record, 1_000_000).tobytes())
    assert said == []
    assert trace.health()["malformed"].count == len(trace) == 1_000_000


def test_a_million_frames_without_a_good_header_are_counted() -> None:
    record = np.frombuffer(writer.pcap([Frame(b"\x4f" * 10, START)], linktype=101)[24:], np.uint8)
    trace, said = read_broken(writer.pcap([], linktype=101) + np.tile(record, 1_000_000).tobytes())
    assert (len(trace), said) == (0, [])
    assert trace.source.no_header == 1_000_000


@pytest.mark.parametrize("inside", [False, True])
def test_thousands_of_unknown_link_types_are_summed_up(inside: bool) -> None:
    kinds = list(range(22_000, 2_000, -1))  # they are told in the order of their first frames
    if inside:
        frames = [Frame(struct.pack("<BBHI", 0, 0, 8, kind), START) for kind in kinds]
        data = writer.pcap(frames, linktype=192)
    else:
        frames = [Frame(b"abcdefgh", START, interface=i) for i in range(len(kinds))]
        data = writer.pcapng(frames, linktypes=kinds)
    started = time.process_time()
    trace, said = read_broken(data)
    assert time.process_time() - started < 20  # it was hours
    assert trace.source.unknown_link == len(kinds)
    where = " inside PPI" if inside else ""
    assert said[:8] == [
        f"(packet {i + 1}): expected a link type that is known, found link type {22_000 - i}{where}; "
        "its 1 frames are counted but not decoded"
        for i in range(8)
    ]
    assert said[8:] == [
        "(packet 9): expected a link type that is known, found 19992 other link types; "
        "their 19992 frames are counted but not decoded"
    ]


# Time


def test_a_great_many_interfaces() -> None:
    """Each was listed anew with every other: 100,000 took an hour."""
    frame = Frame(FRAMES[0].data, START, interface=99_999)
    data = writer.section_header() + writer.interface(101) * 100_000 + writer.enhanced_packet(frame)
    started = time.process_time()
    assert len(read(data)) == 1
    assert time.process_time() - started < 20


def test_interface_with_a_great_many_options() -> None:
    body = struct.pack("<HHI", 101, 0, 0) + struct.pack("<HH", 77, 0) * MIB + struct.pack("<HHI", 9, 1, 9)
    data = writer.section_header() + writer.block(1, body) + writer.enhanced_packet(Frame(FRAMES[0].data, 5_000))
    assert read(data).column("time").tolist() == [5]  # the resolution comes last, and is of nanoseconds


@pytest.mark.parametrize("how", HOW)
def test_a_great_many_empty_members(how: str) -> None:
    data = COMPRESS[how](b"") * 20_000 + COMPRESS[how](small)
    started = time.process_time()
    assert len(read(data)) == 200
    assert time.process_time() - started < 20


def test_addresses_made_to_collide() -> None:
    """All of them fell into one place of the table of hosts: 100,000 took 6 s, ten times as many 100 times as long."""
    count = 200_000
    high = np.arange(1, count + 1, dtype=np.uint64)
    low = high * np.uint64(0x9E3779B97F4A7C15)
    records = np.zeros((count, 16 + 40), np.uint8)
    records[:, [8, 12]] = 40
    records[:, 16], records[:, 22] = 0x60, 59
    for place, half in ((24, high), (32, low), (40, high), (48, low)):
        records[:, place : place + 8] = half.astype(">u8").view(np.uint8).reshape(count, 8)
    data = writer.pcap([], linktype=101) + records.tobytes()
    started = time.process_time()
    assert read(data).host_count == count
    assert time.process_time() - started < 10


# Paths


def test_link_to_a_capture_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real.pcap").write_bytes(small)
    link = tmp_path / "link.pcap"
    link.symlink_to("real.pcap")
    trace = toolkit.read(link)
    assert (len(trace), trace.source.path) == (200, str(link))
    assert trace.source.sha256 == hashlib.sha256(small).hexdigest()


INFO = [sys.executable, "-m", "toolkit", "info", "/dev/stdin"]


def test_standard_input_may_be_a_file(tmp_path: Path) -> None:
    path = tmp_path / "some.pcap"
    path.write_bytes(small)
    with path.open("rb") as file:
        done = subprocess.run(INFO, stdin=file, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "200" in done.stdout


def test_standard_input_that_is_a_pipe_is_an_error() -> None:
    done = subprocess.run(INFO, input=small, capture_output=True, check=False, timeout=60)
    assert done.returncode == 1
    expected = (
        "expected a capture file, found a pipe; what comes out of it cannot be read again: write it to a file first"
    )
    assert done.stderr.decode().strip() == f"Error: /dev/stdin: {expected}"


def test_pipe_that_took_the_place_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between looking and opening; without a writer, to open it would wait for ever."""
    path = tmp_path / "some.pcap"
    os.mkfifo(path)
    (tmp_path / "file").write_bytes(small)
    status, stat = os.stat(tmp_path / "file"), os.stat
    monkeypatch.setattr(os, "stat", lambda name, **more: status if name == str(path) else stat(name, **more))
    with pytest.raises(toolkit.CaptureError, match="found a pipe"):
        toolkit.read(path)


# Windows


@pytest.mark.parametrize("seed", range(20))
def test_entropy_in_any_order_by_small_steps(seed: int, tmp_path: Path) -> None:
    draw = np.random.default_rng(seed)
    parts = []
    for name in ("gzip", "plain", "zstd", "other"):
        payloads = [draw.integers(0, 1 + draw.integers(256), draw.integers(1_400), np.uint8) for _ in range(40)]
        frames = [Frame(sent_tcp(payload.tobytes()).packet, START) for payload in payloads]
        data = writer.pcap(frames, linktype=101)
        path = tmp_path / name
        path.write_bytes(COMPRESS.get(name, bytes)(data))
        parts.append(toolkit.read(path)[draw.permutation(40)])
    trace = toolkit.concat(parts)[draw.permutation(160)[:100]]
    if seed % 2:
        trace = trace[np.argsort(trace.column("frame_offset"))]
    expected = [reference.entropy(bytes(trace.payload(i))) for i in range(100)]
    offset, captured = trace.column("frame_offset"), trace.column("frame_captured")
    frames = [trace.storage.read(int(offset[i]), 0, int(captured[i])) for i in range(100)]
    with steps(seed):
        assert Pass(trace.storage).frames(offset, captured).tobytes() == b"".join(frames)
        assert toolkit.payload_entropy(trace).tolist() == pytest.approx(expected, abs=1e-9)
    assert toolkit.payload_entropy(trace).tolist() == pytest.approx(expected, abs=1e-9)


def test_columns_that_point_outside_of_the_bytes() -> None:
    for columns in ({"frame_offset": 1}, {"payload_start": 1}, {"payload_captured": 5}, {"frame_offset": 4}):
        trace = from_columns(["10.0.0.1"], b"abcd", **({"time": [0], "payload_captured": 4} | columns))
        with pytest.raises(IndexError):
            toolkit.payload_entropy(trace)


# Blocks


@pytest.mark.parametrize("size", [1_000, 70_000, 3 * MIB])
def test_block_longer_than_a_window(size: int) -> None:
    """Of any kind: unknown, an interface with a long comment, a packet with one."""
    comment = struct.pack("<HH", 1, 4) + b"long"
    interface = writer.block(1, struct.pack("<HHI", 101, 0, 0) + comment * (size // 8))
    packet = FRAMES[3].data
    body = struct.pack("<IIIII", 0, *divmod(START // 1_000, 1 << 32), len(packet), len(packet))
    long_packet = writer.block(6, body + packet + bytes(-len(packet) % 4) + comment * (size // 8))
    unknown = writer.block(0x99, bytes(size))
    data = writer.section_header() + interface + unknown + long_packet + unknown + writer.enhanced_packet(FRAMES[4])
    trace = read(data)
    assert [bytes(trace.payload(i)) for i in range(2)] == [b"\3" * 1_000, b"\4" * 1_000]
    at = len(data) - len(writer.enhanced_packet(FRAMES[4]))
    for cut in (at - 1, at - size + 50):
        cut_trace, said = read_broken(data[:cut])
        assert len(cut_trace) == 1
        start = at - size - 12
        assert f"offset {start}): expected a block of {size + 12} bytes, found the last {cut - start} bytes" in said[0]
