"""Whatever the bytes are, reading them gives a trace that makes sense, or a `CaptureError`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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


def test_no_array_is_read_or_written_beyond_its_end(tmp_path: Path) -> None:
    """The kernels once more, compiled with a check of each index, which the fast ones do without."""
    program = Path(__file__).with_name("corpus.py")
    environment = os.environ | {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "error", program, "3000"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split()[0]) > 2_000
