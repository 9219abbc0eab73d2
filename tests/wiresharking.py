"""What the tests of Wireshark's engines share: whether tshark is there, and what it says of a capture."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from toolkit.columns import LENGTH_FROM_FRAME, MALFORMED
from toolkit.trace import Trace

PLACES = ("frame_offset", "payload_start", "link_type")  # each engine has the payloads in bytes of its own


def tshark() -> str:
    """Path of tshark; without it the test is skipped, in CI it fails."""
    program = shutil.which("tshark")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("tshark is not installed")
        pytest.skip("tshark is not installed")
    return program


def shown(path: Path, fields: Sequence[str], *options: str) -> list[list[str]]:
    """Values of fields, the first of each, in every frame of a capture, by tshark with these options."""
    listed = [word for name in fields for word in ("-e", name)]
    command = [tshark(), "-n", "-r", str(path), *options, "-T", "fields", "-E", "occurrence=f", *listed]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


def frames_shown(path: Path, display_filter: str) -> list[int]:
    """Numbers of the frames that tshark shows through a display filter, with its own defaults."""
    return [int(number) for (number,) in shown(path, ["frame.number"], "-Y", display_filter)]


def children() -> set[int]:
    """Give the processes that this one has started and not waited for, the dead included."""
    listed = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return {int(number) for file in listed for number in file.read_text().split()}


def column_differences(one: Trace, other: Trace) -> dict[str, list[tuple[int, object, object]]]:
    """Frame number and both values of all that differs in frames that both have, and that are not malformed."""
    number = np.intersect1d(one.column("number"), other.column("number"))
    rows = [np.searchsorted(trace.column("number"), number) for trace in (one, other)]
    sound = one.column("marks")[rows[0]] & MALFORMED == 0
    number, rows = number[sound], [part[sound] for part in rows]
    found: dict[str, list[tuple[int, object, object]]] = {}
    for name in one.columns._fields:
        values = [trace.column(name)[part] for trace, part in zip((one, other), rows, strict=True)]
        if name in PLACES:
            continue
        if name in ("src", "dst"):
            hosts = [np.array(trace.hosts, dtype=object) for trace in (one, other)]
            values = [names[codes] for names, codes in zip(hosts, values, strict=True)]
        if name == "marks":  # tshark does not tell that an IPv4 header says 0
            values = [marks & ~np.uint8(LENGTH_FROM_FRAME) for marks in values]
        differ = np.flatnonzero(values[0] != values[1])
        if len(differ):
            found[name] = [(int(number[i]), values[0][i], values[1][i]) for i in differ]
    payloads = [(n, bytes(one.payload(i)), bytes(other.payload(j))) for n, i, j in zip(number, *rows, strict=True)]
    if wrong := [(int(n), *both) for n, *both in payloads if both[0] != both[1]]:
        found["payload"] = wrong
    return found
