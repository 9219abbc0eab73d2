"""What files cost that are made to cost much: memory for ever new hosts, time for empty blocks and members."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
import zstandard

import toolkit
from benchmarks import traces
from benchmarks.measure import cpu_here, in_turns, pass_in_child
from benchmarks.report import Row

_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 101)  # of a pcap file of raw IP
_SECTION = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
_PIECES = {
    "section header": _SECTION,
    "interface": struct.pack("<IIHHII", 1, 20, 101, 0, 0, 20),
    "unknown block": struct.pack("<III", 0x0BAD, 12, 12),
}
"""What a pcapng file is repeated of."""
_MEMBERS = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
}
_HOSTS = np.dtype([("record", "<u4", 4), ("start", "u1", 12), ("ends", ">u4", 2)])


def limits(quick: bool) -> Iterator[Row]:
    """Measure the memory factor and the times of ``tests/README.md``."""
    # the second number is just above a power of two hosts, when the hash has grown
    for packets in (300_000,) if quick else (3_000_000, 4_300_000):
        yield _memory(packets)
    yield from _times(2_000 if quick else 50_000, 3 if quick else 5)


def _memory(packets: int) -> Row:
    path = _file("new-hosts", packets)
    table = np.zeros(packets, _HOSTS)
    table["record"] = 0, 0, 20, 20
    table["start"] = np.frombuffer(bytes.fromhex("45000014 00000000 40110000"), np.uint8)
    table["ends"] = np.arange(2 * packets).reshape(-1, 2)
    path.write_bytes(_HEADER + table.tobytes())
    size = path.stat().st_size
    _, peak = pass_in_child(path, None, traces.capture(traces.TINY, 5_000), 1)
    path.unlink()
    what = f"read {packets:,} packets of {_HOSTS.itemsize} bytes, each between two new hosts: peak memory"
    detail = f"{peak / 1e6:,.0f} MB, {peak / packets:.0f} bytes a packet"
    return Row("limits", what, peak / size, "× the file", detail=detail, samples={"bytes": [peak]})


def _times(count: int, repeats: int) -> Iterator[Row]:
    files = {what: _SECTION + piece * count for what, piece in _PIECES.items()}
    files |= {f"empty {how} member": pack(_HEADER) + pack(b"") * count for how, pack in _MEMBERS.items()}
    paths = {what: _file(what.replace(" ", "-"), count) for what in files}
    for what, data in files.items():
        paths[what].write_bytes(data)
    cases = {what: lambda path=path: cpu_here(lambda: toolkit.read(path)) for what, path in paths.items()}
    in_turns(cases, 1)  # compiles what is not compiled
    for what, values in in_turns(cases, repeats).items():
        paths[what].unlink()
        detail = f"median of {repeats} readings, {1_000 * median(values):.3g} ms each"
        yield Row(
            "limits", f"{what}, of {count:,}", 1e6 * median(values) / count, "µs", None, False, detail, {what: values}
        )


def _file(name: str, count: int) -> Path:
    return traces.folder() / f"limits-{name}-{count}"
