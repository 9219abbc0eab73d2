"""Entropy: against the reference at 1e-12, and by hand."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from making import from_capture, from_columns, quick
from reference import TCP, UDP, Packet
from strategies import packets

import toolkit
from toolkit import entropy, payload_entropy

EDGES = [0, 1, 2, 3, 4, 94, 95, 96, 97, 98, 99, 100, 255, 256, 257, 1_448, 65_000, 65_535, 65_536, 70_000]
A, X = "10.0.0.1", "192.0.2.9"


def near(value: float) -> Any:
    return pytest.approx(value, rel=0, abs=1e-12)


@pytest.mark.parametrize("size", EDGES)
@pytest.mark.parametrize("values", [1, 2, 3, 17, 256])
def test_entropy_is_the_reference(size: int, values: int) -> None:
    noise = random.Random(size * values)
    payload = bytes(noise.randrange(values) * 255 // values for _ in range(size))
    assert entropy(payload) == near(reference.entropy(payload))


@given(st.integers(0, 3_000), st.integers(1, 256), st.randoms(use_true_random=False))
@quick
def test_entropy_of_random_lengths(size: int, values: int, noise: Any) -> None:
    payload = bytes(noise.choices(range(values), k=size))
    found = entropy(payload)
    assert found == near(reference.entropy(payload))
    assert 0 <= found <= math.log2(max(len(set(payload)), 1)) + 1e-12
    assert found <= 8
    assert entropy(payload[::-1]) == near(found)
    assert entropy(payload + payload) == near(found)


@pytest.mark.parametrize(
    ("payload", "bits"),
    [
        (b"", 0),
        (b"a", 0),
        (b"a" * 65_000, 0),
        (b"a" * 3_000_000, 0),
        (b"aabb", 1),
        (b"aabc", 1.5),
        (b"aaab", 2 - 0.75 * math.log2(3)),
        (bytes(range(256)), 8),
        (bytes(range(256)) * 10_000, 8),
        (b"ab" * 1_000_000, 1),
    ],
    ids=lambda value: f"{value[:4].hex()} {len(value)}" if isinstance(value, bytes) else None,
)
def test_entropy_by_hand(payload: bytes, bits: float) -> None:
    assert entropy(payload) == near(bits)
    assert entropy(bytearray(payload)) == entropy(memoryview(payload)) == entropy(payload)


def test_one_value_has_no_entropy() -> None:
    for size in range(200):
        assert 0 <= entropy(b"a" * size) < 1e-12


@pytest.mark.parametrize("size", [2**20, 2**20 + 1, 2**21 + 5])
def test_entropy_of_much(size: int) -> None:
    payload = random.Random(1).randbytes(1_000) * (size // 1_000 + 1)
    assert entropy(payload[:size]) == near(reference.entropy(payload[:size]))


def test_entropy_keeps_no_counts() -> None:
    """The histogram is left empty for the next payload, whichever way it was filled."""
    sizes = [5, 200, 95, 96, 65_536, 3]
    payloads = [random.Random(size).randbytes(size) for size in sizes]
    trace = from_capture([Packet(0, A, X, TCP, 40 + len(p), payload=p) for p in payloads if len(p) < 65_000])
    expected = [reference.entropy(payload) for payload in payloads if len(payload) < 65_000]
    assert payload_entropy(trace).tolist() == near(expected)
    for payload in payloads * 2:
        assert entropy(payload) == near(reference.entropy(payload))


@pytest.mark.parametrize("wrong", ["text", 5, None, [1, 2], memoryview(b"abcd")[::2]])
def test_entropy_takes_bytes(wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError, BufferError)):
        entropy(wrong)


@given(packets())
@quick
def test_payload_entropy_is_the_reference(given_packets: list[Packet]) -> None:
    trace = from_capture(given_packets)
    found = payload_entropy(trace)
    assert found.shape == (len(trace),)
    assert found.dtype == np.float64
    for value, packet in zip(found, given_packets, strict=True):
        if packet.protocol in (TCP, UDP):
            assert value == near(reference.entropy(packet.payload))
    half = payload_entropy(trace[::2])
    assert half.tolist() == found[::2].tolist()
    assert payload_entropy(trace[::-1]).tolist() == found[::-1].tolist()


def test_payload_entropy_of_more_hosts_than_packets() -> None:
    """What is looked up by host has the length of the hosts, not of the packets."""
    ends = [(f"10.0.{i}.{j}", f"10.1.{i}.{j}") for i in range(20) for j in range(50)]
    trace = from_capture([Packet(0, src, dst, TCP, 44, payload=b"abcd") for src, dst in ends])
    assert trace.host_count == len(trace.hosts) == 2 * len(trace)
    for _ in range(20):
        assert payload_entropy(trace).tolist() == [2] * len(trace)
        assert payload_entropy(trace[-1:]).tolist() == [2]


def test_payload_entropy_of_joined_traces() -> None:
    parts = [toolkit.load_example("obfs4")[:300], toolkit.load_example("https")[100:400]]
    separate = np.concatenate([payload_entropy(part) for part in parts])
    assert payload_entropy(toolkit.concat(parts)).tolist() == separate.tolist()
    assert payload_entropy(toolkit.concat(parts)[::-1]).tolist() == separate[::-1].tolist()
    assert separate.max() <= 8
    assert separate.min() == 0


def test_payload_entropy_of_nothing() -> None:
    assert payload_entropy(toolkit.load_example("obfs4")[:0]).shape == (0,)
    assert payload_entropy(from_capture([])).shape == (0,)


def test_payload_of_more_than_64_kibibytes() -> None:
    """Offload can put together more than an IP packet holds, and counts of 65,536 do not fit 16 bits."""
    data = bytes(70_000) + b"ab" * 35_000
    trace = from_columns(
        [A, X],
        data,
        time=[0, 1, 2],
        dst=1,
        protocol=6,
        frame_offset=[0, 70_000, 69_000],
        payload_captured=[70_000, 70_000, 2_000],
        payload_length=[70_000, 70_000, 2_000],
    )
    expected = [reference.entropy(part) for part in (data[:70_000], data[70_000:], data[69_000:71_000])]
    assert payload_entropy(trace).tolist() == near(expected)
    assert bytes(trace.payload(2)) == data[69_000:71_000]


def test_entropy_is_the_function_not_its_module() -> None:
    """Importing the module of that name must not put it in the place of the function."""
    code = "import toolkit, toolkit.features, toolkit.entropy; toolkit.client_features; print(toolkit.entropy(b'ab'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1.0\n"
