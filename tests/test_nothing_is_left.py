"""What anonymising takes out of frames is not there any more, wherever it stood."""

from __future__ import annotations

import random

import numpy as np
import pytest
import writer
from anonymising import KEY, SECRET_BITS, secret_capture, secret_header
from capturing import ENDS, START, read, sent_tcp
from hypothesis import given
from hypothesis import strategies as st
from making import quick
from writer import LINKS, Frame

import toolkit

TCP_OPTIONS = {
    # kind and length, what is left of them
    "segment size": (b"\x02\x04\x05\xb4", b"\x02\x04\x05\xb4"),
    "window scale, SACK": (b"\x03\x03\x07\x04\x02", b"\x03\x03\x07\x04\x02"),
    "SACK blocks": (b"\x05\x0a" + b"12345678", b"\x05\x0a" + b"12345678"),
    "time stamps": (b"\x08\x0a" + b"12345678", b"\x01" * 10),
    "fast open cookie": (b"\x22\x0a" + b"12345678", b"\x01" * 10),
    "multipath address": (b"\x1e\x08" + b"123456", b"\x01" * 8),
    "SACK of no length": (b"\x05\x09" + b"1234567", b"\x01" * 9),
    "segment size of another length": (b"\x02\x06" + b"1234", b"\x01" * 6),
    "a length of 0": (b"\x01\x09\x00\x02\x04\x05\xb4\x01", b"\x01" * 8),
    "a length beyond the end": (b"\x01\x01\x01\x01\x02\x06SX", b"\x01" * 8),
    "only a kind": (b"\x01\x01\x01\x09", b"\x01" * 4),
    "bytes after the end": (b"\x02\x04\x05\xb4\x00SECRET!", b"\x02\x04\x05\xb4" + bytes(8)),
}


@pytest.mark.parametrize("options", TCP_OPTIONS)
def test_tcp_options(options: str) -> None:
    before, after = TCP_OPTIONS[options]
    before += bytes(-len(before) % 4)
    after += bytes(-len(after) % 4)
    packet = sent_tcp(b"payload", tcp_options=before).packet
    same = toolkit.anonymise(read(writer.pcap([Frame(packet, START)], linktype=101)), key=KEY)
    assert same.storage.parts[0].tobytes()[40 : 40 + len(before)] == after


@pytest.mark.parametrize("name", list(LINKS))
def test_no_secret_of_a_link_layer_is_left(name: str) -> None:
    for version in writer.versions(name):
        packet = sent_tcp(b"abc", ends=ENDS[version]).packet
        whole = writer.link(name, packet)
        place = whole.index(packet)
        headers = {secret_header(name, whole[:place], random.Random(seed)) for seed in range(30)}
        assert len(headers) > 20 or name not in SECRET_BITS
        made = [Frame(header + whole[place:], START) for header in headers]
        trace = read(writer.pcap(made, linktype=LINKS[name][0]))
        assert len(trace) == len(made)
        written = toolkit.anonymise(trace, key=KEY).storage.parts[0].tobytes()
        assert written == written[: len(whole)] * len(made)


@pytest.mark.parametrize(("name", "size"), [("sll", 2), ("ppp direction", 1), ("ppp pppd in", 1), ("ppp pppd out", 1)])
def test_the_direction_of_a_frame_stays(name: str, size: int) -> None:
    before = writer.link(name, sent_tcp(b"abc").packet)
    same = toolkit.anonymise(read(writer.pcap([Frame(before, START)], linktype=LINKS[name][0])), key=KEY)
    assert same.storage.parts[0].tobytes()[:size] == before[:size]


SEEDS = st.integers(0, 2**32)


@given(SEEDS, SEEDS, SEEDS)
@quick
def test_nothing_that_is_to_be_hidden_changes_a_byte(one: int, other: int, choice: int) -> None:
    """Two captures that differ only in what is to be hidden become the same one."""
    with_table = []
    for secret in (one, other):
        data, hidden = secret_capture(secret, choice)
        trace = read(data)
        assert trace.source.packets == trace.source.frames
        same = toolkit.anonymise(trace, key=KEY)
        written = same.storage.parts[0].tobytes()
        for each in hidden:
            assert each not in written
        with_table.append((written, [column.tolist() for column in same.columns._replace(tls_type=same.columns.marks)]))
    assert with_table[0] == with_table[1]


def test_payload_may_be_kept_but_nothing_else_is() -> None:
    """With `keep_payload`, what two captures differ in is in the payload of TCP and UDP, and in checksums."""
    for choice in range(40):
        one, other = (toolkit.anonymise(read(secret_capture(s, choice)[0]), key=KEY, keep_payload=True) for s in (1, 2))
        a, b = (trace.storage.parts[0].copy() for trace in (one, other))
        for trace, data in ((one, a), (other, b)):
            for row in range(len(trace)):
                first = int(trace.column("frame_offset")[row] + trace.column("payload_start")[row])
                data[first : first + int(trace.column("payload_captured")[row])] = 0
        differ = np.flatnonzero(a != b)
        allowed: set[int] = set()
        for row in range(len(one)):
            first = int(one.column("frame_offset")[row])
            last = first + int(one.column("payload_start")[row])
            body = one.column("protocol")[row]
            if body in (6, 17) and one.column("payload_length")[row]:
                allowed |= set(range(first, last))
        assert set(differ.tolist()) <= allowed
