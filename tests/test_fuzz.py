"""Whatever the bytes are, reading them gives a trace that makes sense, or a `CaptureError`."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import fuzzing
import pytest
import writer
from capturing import START, rows
from corpus import CHANGES, Change, captures, change, changed_captures, frames, read_anything
from hypothesis import given, settings
from hypothesis import strategies as st
from making import quick
from writer import LINKS, Frame

thorough = settings(quick, max_examples=400)
changes = st.lists(
    st.tuples(st.sampled_from(list(CHANGES)), st.integers(0, 2_000), st.integers(0, 255)), min_size=1, max_size=4
)


def test_the_corpus_is_good_before_it_is_changed() -> None:
    for data in captures()[: len(LINKS)]:
        trace = read_anything(data)
        assert trace is not None
        assert trace.source.packets == trace.source.frames >= 6
        assert not trace.health()["malformed"].count


@given(st.integers(0, len(captures()) - 1), changes)
@thorough
def test_changed_capture(which: int, made: list[Change]) -> None:
    trace = read_anything(change(captures()[which], made))
    if trace is not None:
        trace.health()
        assert trace._repr_html_()
        assert len(trace.packets) == len(trace.to_packets()) == len(trace)


@given(st.sampled_from(list(LINKS)), st.integers(0, 5), changes, st.binary(min_size=200, max_size=200))
@thorough
def test_what_follows_a_frame_does_not_matter(name: str, which: int, made: list[Change], after: bytes) -> None:
    linktype = LINKS[name][0]
    frame = Frame(change(frames(name)[which], made), START, wire_length=1_514)
    alone = writer.pcap([frame], linktype=linktype)
    followed = writer.pcap([frame, Frame(after, START)], linktype=linktype)
    trace, longer = read_anything(alone), read_anything(followed)
    assert trace is not None
    assert longer is not None
    found = [row for row in rows(longer, followed) if row["number"] == 1]
    assert found == rows(trace, alone)


@given(st.sampled_from(list(LINKS)), st.binary(max_size=100))
@thorough
def test_any_bytes_as_a_frame(name: str, frame: bytes) -> None:
    trace = read_anything(writer.pcap([Frame(frame, START)], linktype=LINKS[name][0]))
    assert trace is not None
    assert trace.source.frames == 1


def test_many_changed_captures() -> None:
    traces = [read_anything(data) for data in changed_captures(5_000, 0)]
    assert sum(trace is not None for trace in traces) > 4_000
    assert sum(len(trace) for trace in traces if trace is not None) > 10_000


def test_what_was_found_before(tmp_path: Path) -> None:
    assert fuzzing.FOUND.stat().st_size < 200_000
    examine = fuzzing.Examiner(tmp_path)
    for data in fuzzing.seeds():
        examine(data, timed=False)
    assert examine.traces > len(captures())
    assert examine.inputs > examine.traces + 10


HAS_WHEEL = sys.platform == "linux" and platform.machine() == "x86_64" and sys.version_info < (3, 15)
SECONDS = 60 if os.environ.get("CI") else 3
"""Of each of the two parts of `fuzz.py`; `make fuzz` runs it for hours."""


@pytest.fixture(scope="module")
def keep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def fuzz(part: str, keep: Path) -> int:
    """Run a part of `fuzz.py`; give the number of inputs."""
    program = Path(__file__).with_name("fuzz.py")
    command = [sys.executable, program, "--only", part, "--seconds", str(SECONDS), "--keep", keep]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS + 400)
    assert done.returncode == 0, done.stdout + done.stderr
    sys.stdout.write(done.stdout)  # pytest -rP shows it
    found = re.fullmatch(rf"{part}: (\d+) inputs.*\n", done.stdout)
    assert found is not None, done.stdout
    return int(found[1])


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None and not (os.environ.get("CI") and HAS_WHEEL),
    reason="no atheris, so no fuzzing guided by coverage, only that by structure (it is made for Linux on x86-64)",
)
def test_fuzzing_guided_by_coverage(keep: Path) -> None:
    assert fuzz("guided", keep) > 50 * SECONDS


def test_fuzzing_with_array_bounds_checked(keep: Path) -> None:
    """The kernels compiled with a check of each index, which the fast ones do without."""
    assert fuzz("checked", keep) > 20 * SECONDS
