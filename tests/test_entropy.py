"""Entropy: against the reference at 1e-12, and by hand."""

from __future__ import annotations

import math
import random
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
import reference
import reference_charts as charts
from hypothesis import given
from hypothesis import strategies as st
from making import from_capture, from_columns, quick
from reference import TCP, UDP, Packet
from strategies import packets

import toolkit
from toolkit import EntropyCounts, entropy, entropy_ceiling, entropy_counts, payload_entropy

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


# Counts by length and entropy


def cells(counted: EntropyCounts, cells_per_bit: int) -> dict[tuple[int, int], int]:
    """Give the cells by their numbers, as the reference does."""
    frame = counted.cells
    assert frame.columns.tolist() == ["length", "entropy", "packets"]
    assert (frame["packets"] > 0).all()
    assert not frame.duplicated(["length", "entropy"]).any()
    assert (frame["length"] % counted.length_step == 0).all()
    numbers = (frame["length"] // counted.length_step).tolist(), (frame["entropy"] * cells_per_bit).round().tolist()
    assert frame["entropy"].tolist() == [level / cells_per_bit for level in numbers[1]]
    return {
        (length, int(level)): packets
        for length, level, packets in zip(*numbers, frame["packets"].tolist(), strict=True)
    }


@given(
    packets(max_size=25),
    st.sampled_from([1, 2, 95, 100, 1_448, 1_500, 70_000]),
    st.sampled_from([1, 7, 20, 100, 2_000]),
    st.sampled_from([1, 2, 3, 10, 1_000]),
)
@quick
def test_entropy_counts_is_the_reference(
    given_packets: list[Packet], max_length: int, length_step: int, cells_per_bit: int
) -> None:
    trace = from_capture(given_packets)
    counted = entropy_counts(trace, max_length=max_length, length_step=length_step, cells_per_bit=cells_per_bit)
    payloads = [bytes(trace.payload(i)) for i in range(len(trace))]
    assert cells(counted, cells_per_bit) == charts.entropy_cells(payloads, max_length, length_step, cells_per_bit)
    assert counted.left_out_above == sum(len(payload) > max_length for payload in payloads)
    assert counted.total_packets == sum(len(payload) > 0 for payload in payloads)
    wire = trace.column("payload_length").tolist()
    assert counted.cut == sum(
        0 < len(payload) <= max_length and len(payload) < length for payload, length in zip(payloads, wire, strict=True)
    )
    assert (counted.length_step, counted.entropy_step, counted.max_length) == (
        length_step,
        1 / cells_per_bit,
        max_length,
    )


def of_payloads(*payloads: bytes) -> Any:
    return from_capture([Packet(0, A, X, TCP, 40 + len(payload), payload=payload) for payload in payloads])


@pytest.mark.parametrize(
    ("payload", "cell"),
    [
        (b"a", (0, 0)),
        (b"a" * 1_500, (1_500, 0)),  # the last length has a cell of its own
        (b"a" * 20, (20, 0)),
        (b"a" * 19, (0, 0)),
        (b"ab" * 9, (0, 1)),
        (b"aab" * 6, (0, 0.9)),  # 0.918
        (bytes(range(8)) * 3, (20, 3)),  # what is an edge in exact arithmetic: log2 of 24 is not
        (bytes(range(32)) * 45, (1_440, 5)),
        (bytes(range(256)) * 5, (1_280, 7.9)),  # 8 belongs to the last cell
    ],
)
def test_entropy_at_an_edge_belongs_to_the_cell_above(payload: bytes, cell: tuple[int, float]) -> None:
    counted = entropy_counts(of_payloads(payload))
    assert counted.cells.to_numpy().tolist() == [[*cell, 1]]


@pytest.mark.parametrize("cells_per_bit", [1, 3, 10, 49, 100, 997])
def test_every_whole_number_of_bits_begins_a_cell(cells_per_bit: int) -> None:
    for bits in range(8):
        for times in (1, 3, 5, 7):
            counted = entropy_counts(of_payloads(bytes(range(2**bits)) * times), cells_per_bit=cells_per_bit)
            assert counted.cells["entropy"].tolist() == [bits]


def test_entropy_counts_of_a_sample_and_of_nothing() -> None:
    trace = toolkit.load_example("https")
    counted = entropy_counts(trace)
    payloads = [bytes(trace.payload(i)) for i in range(len(trace))]
    assert cells(counted, 10) == charts.entropy_cells(payloads, 1_500, 20, 10)
    assert counted.cells.equals(counted.cells.sort_values(["length", "entropy"], ignore_index=True))
    for empty in (trace[:0], from_capture([]), of_payloads(b"", b"")):
        nothing = entropy_counts(empty)
        assert nothing.cells.shape == (0, 3)
        assert (nothing.total_packets, nothing.left_out_above, nothing.cut) == (0, 0, 0)
    long = entropy_counts(of_payloads(b"a" * 1_501, b"b" * 65_000, b"c"))
    assert (len(long.cells), long.left_out_above, long.total_packets) == (1, 2, 3)


def test_cut_payloads_count_by_what_is_in_the_file() -> None:
    given_packets = [
        Packet(0, A, X, TCP, 40 + 1_448, payload=b"ab" * 30, payload_length=1_448),
        Packet(0, A, X, TCP, 40 + 60, payload=b"ab" * 30),
        Packet(0, A, X, TCP, 40 + 1_448, payload=b"", payload_length=1_448),
        Packet(0, A, X, TCP, 40 + 4_000, payload=b"a" * 2_000, payload_length=4_000),
    ]
    counted = entropy_counts(from_capture(given_packets))
    assert counted.cells.to_numpy().tolist() == [[60, 1, 2]]
    assert (counted.cut, counted.left_out_above, counted.total_packets) == (1, 1, 3)


@pytest.mark.parametrize("option", ["max_length", "length_step", "cells_per_bit"])
@pytest.mark.parametrize("wrong", [0, -1, True, 2.0, "5", None])
def test_options_of_entropy_counts_are_numbers(option: str, wrong: Any) -> None:
    with pytest.raises(ValueError, match=f"`{option}` must be an int of at least 1, got {re.escape(repr(wrong))}"):
        entropy_counts(toolkit.load_example("obfs4"), **{option: wrong})


# The ceiling of random bytes


@pytest.mark.parametrize("n", range(1, 13))
def test_mean_of_random_bytes_is_that_of_all_possible_ones(n: int) -> None:
    ways = charts.random_entropies(n)
    assert sum(probability for probability, _ in ways) == 1
    expected = math.fsum(float(probability) * bits for probability, bits in ways)
    assert entropy_ceiling([n])["mean"].iloc[0] == pytest.approx(expected, abs=1e-9)  # it is rounded to 9 places


def _simulated(n: int) -> Any:
    """Entropies of 10,000 random payloads, of another generator than that of the band."""
    noise = np.random.default_rng(20_240_607)
    return np.array([reference.entropy(noise.bytes(n)) for _ in range(10_000)])


@pytest.mark.parametrize("n", [64, 300, 1_448])
def test_mean_and_band_of_random_bytes_are_those_of_a_simulation(n: int) -> None:
    found = _simulated(n)
    row = entropy_ceiling([n]).loc[n]
    # five standard errors of the simulation: about 1.7 in a million to fail by chance, and the seed is fixed
    assert abs(found.mean() - row["mean"]) < 5 * found.std() / math.sqrt(len(found))
    # The edges of 2,000 runs have a standard error of 0.5 percentage points, 10,000 runs one of 0.2. Entropies of
    # short payloads are few values: what lies on an edge (but for the rounding to 9 places) may be on either side.
    for below, edge in ((found - row["low"], "low"), (row["high"] - found, "high")):
        assert (below < -1e-8).mean() < 0.07, edge
        assert (below < 1e-8).mean() > 0.03, edge
    if n >= 300:
        assert 0.03 < (found < row["low"]).mean() < 0.07
        assert 0.03 < (found > row["high"]).mean() < 0.07
    assert row["low"] < row["mean"] < row["high"]


def test_ceiling_by_hand() -> None:
    found = entropy_ceiling([2, 1])
    assert found.index.tolist() == [1, 2]
    assert found.index.name == "length"
    assert found.columns.tolist() == ["mean", "low", "high"]
    assert found.loc[1].tolist() == [0, 0, 0]
    assert found.loc[2].tolist() == [0.99609375, 1, 1]
    # so many bytes are near 8; the bias of the plug-in estimator is 255 / (2 n ln 2) (Miller 1955)
    many = entropy_ceiling([65_535]).loc[65_535]
    assert many["mean"] == pytest.approx(8 - 255 / (2 * 65_535 * math.log(2)), abs=1e-5)
    assert 7.99 < many["low"] < many["mean"] < many["high"] < 8


def test_ceiling_grows_with_the_length() -> None:
    """The mean always; the band of a few bytes does not, since its edges are among few values (low: 5 to 6 bytes)."""
    found = entropy_ceiling(np.arange(1, 4_001))
    assert (np.diff(found["mean"]) > 0).all()
    apart = found.loc[100::100]
    for name in ("low", "high"):
        assert (np.diff(apart[name]) > 0).all()
    assert (np.diff(entropy_ceiling(np.arange(1_000, 65_001, 1_000)).to_numpy(), axis=0) > 0).all()
    assert (found["low"] <= found["high"]).all()
    bound = np.log2(np.minimum(found.index, 256))
    assert (found.le(bound + 1e-9, axis=0)).all(axis=None)
    assert (found >= 0).all(axis=None)


def test_ceiling_of_a_length_does_not_depend_on_the_others() -> None:
    together = entropy_ceiling([1_448, 5, 96, 7, 5, 20_000])
    assert together.index.tolist() == [5, 7, 96, 1_448, 20_000]
    for length in together.index:
        pd.testing.assert_frame_equal(entropy_ceiling([length]), together.loc[[length]], check_exact=True)
    forms: list[Any] = [np.array([96, 7], np.uint16), range(7, 97, 89), (np.int64(7), 96), pd.Series([7, 96])]
    for form in forms:
        pd.testing.assert_frame_equal(entropy_ceiling(form), together.loc[[7, 96]], check_exact=True)


def test_ceiling_is_a_copy() -> None:
    expected = entropy_ceiling([50, 60]).copy()
    spoilt = entropy_ceiling([50, 60])
    spoilt.loc[50, "mean"] = -1.0
    spoilt["high"] = 0.0
    values = entropy_ceiling([50, 60])["low"].to_numpy()
    if values.flags.writeable:
        values[:] = 0
    pd.testing.assert_frame_equal(entropy_ceiling([50, 60]), expected)


def test_ceiling_of_nothing() -> None:
    for nothing in ([], np.array([], np.int64)):
        assert entropy_ceiling(nothing).shape == (0, 3)
        assert entropy_ceiling(nothing).index.name == "length"


@pytest.mark.parametrize("wrong", [[0], [-1], [65_536], [2**70], [1.0], [5, 0.5], [True], ["5"], None, [None]])
def test_lengths_of_the_ceiling_are_from_1_to_65535(wrong: Any) -> None:
    with pytest.raises(ValueError, match=f"`lengths` must be integers from 1 to 65,535, got {re.escape(repr(wrong))}"):
        entropy_ceiling(wrong)
