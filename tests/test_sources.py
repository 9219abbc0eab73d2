"""Compressed captures, whole and broken, and files that are no captures at all."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import re
import socket
import struct
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import writer
import zstandard
from capturing import START, read, read_broken, rows, sent_tcp
from writer import Frame

import toolkit
from toolkit.capture import sources

HOW = ["gzip", "zstd", "xz", "bz2"]
NAMES = {"bz2": "bzip2"}
KEPT = "what comes before it is kept"
small = writer.pcap([Frame(sent_tcp(bytes([i]) * i).packet, START) for i in range(10)], linktype=101)


@cache
def large() -> bytes:
    """Build a capture of many compressed blocks, whatever the format."""
    choice = random.Random(1)
    payloads = [bytes(choice.choices(range(16), k=960)) for _ in range(700)]  # to half of it, evenly
    return writer.pcap([Frame(sent_tcp(payload).packet, START) for payload in payloads], linktype=101)


def compress(data: bytes, how: str) -> bytes:
    """Compress into several blocks, with a checksum at the end or in between."""
    if how == "bz2":
        return bz2.compress(data, 1)
    if how == "zstd":
        return zstandard.ZstdCompressor(write_checksum=True).compress(data)
    return writer.compress(data, how)


def start(how: str) -> Any:
    return {
        "gzip": lambda: zlib.decompressobj(wbits=31),
        "zstd": lambda: zstandard.ZstdDecompressor().decompressobj(),
        "xz": lzma.LZMADecompressor,
        "bz2": bz2.BZ2Decompressor,
    }[how]()


def decodable(packed: bytes, how: str) -> bytes:
    """Everything that comes out before the first bad byte, fed one by one."""
    stream = start(how)
    out = bytearray()
    for i in range(len(packed)):
        try:
            out += stream.decompress(packed[i : i + 1])
        except (zlib.error, zstandard.ZstdError, lzma.LZMAError, OSError):
            break
        if stream.eof:
            break
    return bytes(out)


def same(packed: bytes, plain: bytes, offset: int | str, expected: str, found: str = ".+") -> None:
    """Check that the compressed file gives the same rows and warnings as the plain one, and one warning before."""
    trace, said = read_broken(packed)
    good, also_said = read_broken(plain)
    assert rows(trace, plain) == rows(good, plain)
    assert said[1:] == also_said
    assert re.fullmatch(rf"\(offset {offset}\): expected {expected}, found {found}; {KEPT}", said[0])


@pytest.mark.parametrize("slice_size", [7, 1_000, 1 << 18])
@pytest.mark.parametrize("how", HOW)
def test_several_members(how: str, slice_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_SLICE", slice_size)
    parts = [small[:1], small[1:300], b"", small[300:]]
    packed = b"".join(compress(part, how) for part in parts)
    trace = read(packed)
    assert rows(trace, small) == rows(read(small), small)
    assert trace.source.compression == NAMES.get(how, how)
    assert trace.source.size == len(small)


@pytest.mark.parametrize("slice_size", [7, 1 << 18])
@pytest.mark.parametrize("how", HOW)
def test_zeros_between_and_behind_members_are_padding(
    how: str, slice_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_SLICE", slice_size)
    for zeros in (bytes(1), bytes(4), bytes(513)):
        packed = compress(small[:300], how) + zeros + compress(small[300:], how) + zeros
        assert rows(read(packed), small) == rows(read(small), small)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("zeros", [0, 5])
def test_other_bytes_behind_the_stream(how: str, zeros: int) -> None:
    packed = compress(small, how)
    name = NAMES.get(how, how)
    for garbage in (b"x", b"garbage" * 100_000, b"\x1f\x8c" + bytes(100)):
        found = f"{len(garbage)} other bytes after the end of the compressed stream"
        at = len(packed) + zeros
        same(packed + bytes(zeros) + garbage, small, at, f"the end of the {name} file", found)


@pytest.mark.parametrize("how", HOW)
def test_every_prefix_of_a_compressed_file(how: str) -> None:
    packed = compress(small, how)
    name = NAMES.get(how, how)
    magic = {"gzip": 2, "zstd": 4, "xz": 6, "bz2": 4}[how]
    for size in range(1, len(packed)):
        plain = decodable(packed[:size], how)
        if len(plain) < 24:
            with pytest.raises(toolkit.CaptureError) as caught:
                read(packed[:size])
            text = str(caught.value)
            if size < magic:
                assert "expected a pcap or pcapng capture, found a file that starts with" in text
            elif not plain:
                assert text.endswith(f"(offset {size}): expected more {name} data, found the end of the file; {KEPT}")
        else:
            same(packed[:size], plain, size, f"more {name} data", "the end of the file")
    assert read_broken(packed)[1] == []


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("share", [0.3, 0.5, 0.97])
def test_truncated_stream_keeps_what_came_before(how: str, share: float) -> None:
    packed = compress(large(), how)
    packed = packed[: int(len(packed) * share)]
    plain = decodable(packed, how)
    assert len(plain) > (share - 0.25) * len(large())
    same(packed, plain, len(packed), f"more {NAMES.get(how, how)} data", "the end of the file")


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("slice_size", [10_000, 1 << 18])
def test_flipped_byte_keeps_what_came_before(how: str, slice_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_SLICE", slice_size)
    packed = bytearray(compress(large(), how))
    place = len(packed) * 6 // 10
    packed[place] ^= 0xFF
    plain = decodable(bytes(packed), how)
    # bzip2 checks each block before it gives it, gzip and xz only what comes out at the end
    assert len(plain) > 0.3 * len(large())
    assert large().startswith(plain[: int(0.3 * len(large()))])
    same(bytes(packed), plain, r"\d+", f"{NAMES.get(how, how)} data")
    offset = int(re.search(r"offset (\d+)", read_broken(bytes(packed))[1][0])[1])  # type: ignore[index]
    assert place <= offset < len(packed)


@pytest.mark.parametrize("how", ["gzip", "zstd", "xz", "bz2"])
def test_flipped_byte_in_the_second_member(how: str) -> None:
    first, second = compress(small[:300], how), bytearray(compress(small[300:], how))
    second[len(second) // 2] ^= 0x55
    plain = small[:300] + decodable(bytes(second), how)
    same(first + second, plain, r"\d+", f"(more )?{NAMES.get(how, how)} data")


def test_wrong_checksum_at_the_end_loses_no_packet() -> None:
    packed = bytearray(gzip.compress(small))
    packed[-5] ^= 1
    same(bytes(packed), small, r"\d+", "gzip data", "Error -3 while decompressing data: incorrect data check")


def test_strict_stops_at_a_broken_stream() -> None:
    packed = compress(small, "gzip")
    with pytest.raises(toolkit.CaptureError, match="expected more gzip data, found the end of the file"):
        read(packed[:-1], strict=True)


@pytest.mark.parametrize("how", HOW)
def test_compressed_nothing_and_compressed_text(how: str) -> None:
    with pytest.raises(toolkit.CaptureError, match="expected a pcap or pcapng capture, found no data"):
        read(compress(b"", how))
    with pytest.raises(toolkit.CaptureError, match="that starts with the text 'hello'"):
        read(compress(b"hello", how))


def test_skippable_frames_of_zstd() -> None:
    """As pzstd and the seekable format write them."""
    skip = struct.pack("<II", 0x184D2A5E, 9) + b"skip this"
    packed = skip + compress(small[:300], "zstd") + skip + compress(small[300:], "zstd") + skip
    trace = read(packed)
    assert rows(trace, small) == rows(read(small), small)
    assert trace.source.compression == "zstd"


def test_zstd_with_a_large_window() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=28)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    packed = compressor.compress(small) + compressor.flush()
    assert len(read(packed)) == 10


def test_gzip_header_with_name_and_time() -> None:
    out = io.BytesIO()
    with gzip.GzipFile("a name.pcap", "wb", fileobj=out, mtime=1) as file:
        file.write(small)
    assert len(read(out.getvalue())) == 10


def test_bytes_are_read_only() -> None:
    for data in (small, compress(small, "gzip")):
        payload = read(data).payload(5)
        assert payload.readonly
        assert bytes(payload) == b"\5" * 5


# Files


def message(path: object) -> str:
    with pytest.raises(toolkit.CaptureError) as caught:
        toolkit.read(path)  # type: ignore[arg-type]
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(f"{path}: expected a capture file, found ")
    assert (caught.value.offset, caught.value.packet) == (None, None)
    return text.partition(", found ")[2]


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    os.chdir(path.parent)  # a socket's path is at most 107 bytes
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda path: None, "no such file"),
        (Path.mkdir, "a directory"),
        (Path.touch, "an empty file"),
        (make_fifo, "a pipe; what comes out of it cannot be read again: write it to a file first"),
        (make_socket, "a socket"),
        (lambda path: path.symlink_to("nowhere"), "no such file"),
        (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
    ],
)
def test_no_capture_file(
    make: Callable[[Path], None], found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # and back again
    path = tmp_path / "some.pcap"
    make(path)
    assert message(path) == found


def test_other_paths_that_lead_nowhere(tmp_path: Path) -> None:
    assert message("/dev/null") == message("/dev/zero") == "a device"
    path = tmp_path / "file"
    path.touch()
    assert message(path / "below") == "Not a directory"
    assert message(tmp_path / ("x" * 300)) == "File name too long"


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "some.pcap"
    path.write_bytes(small)
    path.chmod(0)
    if os.geteuid() == 0:  # who may read everything

        def refuse(*_: object, **options: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(sources, "open", refuse, raising=False)
    assert message(path) == "a file that may not be read (permission denied)"


def test_disk_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **options: object) -> None:
        raise OSError(5, "Input/output error")

    path = tmp_path / "some.pcap"
    path.write_bytes(small)
    monkeypatch.setattr(sources, "open", fail, raising=False)
    assert message(path) == "Input/output error"


def test_error_names_the_file_as_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert message("nothing.pcap") == "no such file"
    assert message(Path("nothing.pcap")) == "no such file"
