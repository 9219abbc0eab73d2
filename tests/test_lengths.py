"""Length clusters: against scikit-learn, against a plain reference, and their edges."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import replace
from itertools import chain

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from making import from_columns
from reference_lengths import mean_shift
from sklearn.cluster import MeanShift

import toolkit
from toolkit.lengths import (
    LengthClusters,
    LengthCounts,
    cluster_lengths,
    length_counts,
)
from toolkit.sweeps import bandwidth_sweep, suggest_bandwidth
from toolkit.trace import Trace

quick = settings(max_examples=150, deadline=None, derandomize=True)

BANDWIDTHS = st.sampled_from([1, 2, 3, 5, 40, 100, 0.3, 0.5, 0.7, 2.5, 2.7, 7.3])
SMALL = st.lists(st.integers(0, 40), min_size=1, max_size=60)
UGLY = st.lists(st.sampled_from([0, 1, 2, 3, 100, 1_300, 1_448, 1_500, 65_000, 65_535]), min_size=1, max_size=30)
CONSTANT = st.builds(lambda length, n: [length] * n, st.integers(0, 1_500), st.integers(1, 30))
CLUMPED = st.lists(
    st.builds(
        lambda middle, offsets: [max(middle + offset, 0) for offset in offsets],
        st.integers(0, 1_500),
        st.lists(st.integers(-6, 6), min_size=1, max_size=25),
    ),
    min_size=1,
    max_size=6,
).map(lambda clumps: list(chain.from_iterable(clumps)))
LENGTHS = st.one_of(SMALL, UGLY, CONSTANT, CLUMPED)


@pytest.fixture
def trace() -> Trace:
    return from_columns(
        ["10.0.0.1"],
        protocol=np.array([6, 6, 17, 6, 1, 17, 6, 6], np.uint8),
        payload_length=np.array([0, 100, 72, 1_448, 8, 172, 101, 600], np.int32),
        ip_length=np.array([40, 140, 100, 1_488, 36, 200, 141, 640], np.int32),
        tls_type=np.array([0, 23, 0, 22, 0, 0, 0, 23], np.uint8),
    )


def whole(lengths, bandwidth) -> LengthClusters:
    return cluster_lengths(lengths, bandwidth=bandwidth, min_length=0, max_length=None)


def scikit_learn(lengths: np.ndarray, bandwidth: float) -> MeanShift:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Binning data failed")
        return MeanShift(bandwidth=bandwidth, bin_seeding=True).fit(np.column_stack([lengths, np.zeros_like(lengths)]))


def assert_same(found: LengthClusters, expected: list[tuple[float, list[int], int]]) -> None:
    assert found.centres == pytest.approx([centre for centre, _, _ in expected], rel=1e-9)
    assert [inside.tolist() for inside in found.lengths] == [inside for _, inside, _ in expected]
    assert found.packets.tolist() == [packets for _, _, packets in expected]


def assert_as_scikit_learn(lengths: list[int], bandwidth: float, tied: set[int]) -> None:
    """Compare all but the lengths that are exactly half-way between two centres: scikit-learn may do either."""
    values = np.array(lengths)
    model, found = scikit_learn(values, bandwidth), whole(lengths, bandwidth)
    theirs = model.cluster_centers_[model.labels_, 0]
    ours = found.centres[found.label_of(values)]
    clear = ~np.isin(values, list(tied))
    assert ours[clear] == pytest.approx(theirs[clear], rel=1e-9)
    if clear.all():
        assert np.sort(found.centres) == pytest.approx(np.unique(theirs), rel=1e-9)
        assert sorted(found.packets) == sorted(np.unique(theirs, return_counts=True)[1])


@quick
@given(LENGTHS, BANDWIDTHS)
def test_finds_what_the_plain_reference_finds(lengths, bandwidth):
    expected = mean_shift(lengths, bandwidth)
    assume(not expected.fragile)
    assert_same(whole(lengths, bandwidth), expected.clusters)


@quick
@given(LENGTHS, BANDWIDTHS)
def test_finds_what_scikit_learn_finds(lengths, bandwidth):
    expected = mean_shift(lengths, bandwidth)
    assume(not expected.fragile)
    assert_as_scikit_learn(lengths, bandwidth, expected.tied)


@pytest.mark.parametrize("bandwidth", [3, 2.7, 20])
@pytest.mark.parametrize("kind", ["clumps", "ramp", "flat", "large"])
def test_finds_what_scikit_learn_finds_in_more_packets(kind, bandwidth):
    rng = np.random.default_rng(1)
    lengths = {
        "clumps": np.rint(rng.choice([60, 150, 586, 1_200], 2_000) + rng.normal(0, 8, 2_000)).astype(int),
        "ramp": np.repeat(np.arange(1, 120), np.arange(1, 120) // 4),
        "flat": rng.integers(1, 300, 2_000),
        "large": rng.choice([1_499, 1_500, 1_502, 32_768, 64_990, 65_000, 65_003, 65_535], 500),
    }[kind].tolist()
    weights = Counter(lengths)
    # the reference is quadratic: it only has to tell the ties, which depend on the centres alone
    centres = np.sort(scikit_learn(np.array(lengths), bandwidth).cluster_centers_[:, 0])
    middles = (centres[1:] + centres[:-1]) / 2
    tied = {length for length in weights if np.abs(middles - length).min(initial=1) < 1e-9}
    assert len(tied) < len(weights) / 4
    assert_as_scikit_learn(lengths, bandwidth, tied)


@pytest.mark.parametrize(
    ("lengths", "bandwidth", "expected"),
    [
        ([5], 3, [(5, [5], 1)]),
        ([5, 5], 3, [(5, [5], 2)]),
        ([5, 6], 3, [(5.5, [5, 6], 2)]),
        ([0, 65_535], 3, [(0, [0], 1), (65_535, [65_535], 1)]),
        ([7] * 1_000, 0.5, [(7, [7], 1_000)]),
        ([1, 2, 2, 3], 0.01, [(2, [2], 2), (1, [1], 1), (3, [3], 1)]),
        ([1, 65_535, 65_535], 1e300, [(131_071 / 3, [1, 65_535], 3)]),
        ([1, 65_535], 5e-324, [(1, [1], 1), (65_535, [65_535], 1)]),
        # on the edge of the window: within
        ([10, 13], 3, [(11.5, [10, 13], 2)]),
        # as many packets: the one with the smaller length first
        ([50, 50, 10, 10, 90], 3, [(10, [10], 2), (50, [50], 2), (90, [90], 1)]),
        # exactly half-way (20, 14, 15, 22): to the centre with more packets within the bandwidth
        ([14, 17, 20, 26], 5, [(17, [14, 17, 20], 3), (23, [26], 1)]),
        ([10, 11, 11, 14, 19], 4, [(11.5, [10, 11, 14], 4), (16.5, [19], 1)]),
        ([12, 15, 17, 19], 2, [(18, [15, 17, 19], 3), (12, [12], 1)]),
        ([18, 18, 22, 25, 27], 4, [(74 / 3, [22, 25, 27], 3), (58 / 3, [18], 2)]),
    ],
)
def test_examples(lengths, bandwidth, expected):
    assert_same(whole(lengths, bandwidth), expected)


@quick
@given(LENGTHS, BANDWIDTHS, st.randoms(use_true_random=False))
def test_counted_lengths_in_any_order_and_form_cluster_the_same(lengths, bandwidth, random):
    expected = whole(lengths, bandwidth)
    unique, counts = np.unique(lengths, return_counts=True)
    counted = LengthCounts(unique_lengths=unique, counts=counts, left_out_below=0, left_out_above=0)
    shuffled = random.sample(lengths, len(lengths))
    narrow = replace(counted, unique_lengths=unique.astype(np.uint16), counts=counts.astype(np.int32))
    forms = [counted, narrow, shuffled, np.array(shuffled, np.uint16), pd.Series(shuffled, dtype="int32"), expected]
    for form in forms:
        found = cluster_lengths(form, bandwidth=bandwidth) if isinstance(form, LengthCounts) else whole(form, bandwidth)
        np.testing.assert_array_equal(found.centres, expected.centres)
        np.testing.assert_array_equal(found.labels, expected.labels)
        np.testing.assert_array_equal(found.packets, expected.packets)


@quick
@given(LENGTHS, BANDWIDTHS)
def test_clusters_partition_the_lengths(lengths, bandwidth):
    found = whole(lengths, bandwidth)
    assert sorted(np.concatenate(found.lengths)) == sorted(set(lengths))
    assert found.packets.sum() == found.counts.sum() == found.total_packets == len(lengths)
    assert len(found) == len(found.centres) == len(found.lengths) == len(found.packets)
    order = [(-packets, inside[0]) for packets, inside in zip(found.packets, found.lengths, strict=True)]
    assert order == sorted(order)
    for label, inside in enumerate(found.lengths):
        assert (found.label_of(inside) == label).all()
        assert (found.labels[np.isin(found.unique_lengths, inside)] == label).all()


@quick
@given(st.lists(st.integers(0, 70_000)), st.integers(0, 1_500), st.none() | st.integers(0, 2_000))
def test_counts(lengths, min_length, extra):
    max_length = None if extra is None else min_length + extra
    longest = 70_000 if max_length is None else max_length
    counted = length_counts(lengths, min_length=min_length, max_length=max_length)
    kept = Counter(length for length in lengths if min_length <= length <= longest)
    assert dict(zip(counted.unique_lengths.tolist(), counted.counts.tolist(), strict=True)) == kept
    assert counted.unique_lengths.tolist() == sorted(kept)
    assert counted.left_out_below == sum(length < min_length for length in lengths)
    assert counted.left_out_above == sum(length > longest for length in lengths)
    assert counted.total_packets == len(lengths)


def test_trace_columns_and_filters(trace):
    tcp = cluster_lengths(trace)
    assert [inside.tolist() for inside in tcp.lengths] == [[100, 101], [600]]
    assert (tcp.left_out_below, tcp.left_out_above, tcp.total_packets, tcp.left_out_share) == (1, 1, 5, 0.4)
    tls = length_counts(trace, tls_only=True)
    assert tls.unique_lengths.tolist() == [100, 600]
    assert (tls.left_out_below, tls.left_out_above) == (0, 1)
    udp = length_counts(trace, protocol="udp", min_length=150)
    assert udp.unique_lengths.tolist() == [200]
    assert (udp.left_out_below, udp.left_out_above) == (1, 0)
    assert length_counts(trace, min_length=0, max_length=None).unique_lengths.tolist() == [0, 100, 101, 600, 1_448]


def test_sample_trace_agrees_with_its_packet_table():
    trace = toolkit.load_example("https")
    packets = trace.packets
    tls = packets.query("protocol == 6 and tls_type != 0 and 1 <= payload_length <= 1300")["payload_length"]
    found = cluster_lengths(trace, tls_only=True)
    assert found.total_packets == ((packets["protocol"] == 6) & (packets["tls_type"] != 0)).sum()
    assert_same(found, mean_shift(tls.tolist(), 3.0).clusters)


@pytest.mark.parametrize("nothing", [[], np.array([], np.int32), pd.Series([], dtype="int64"), [0, 0, 1_448]])
def test_no_packet_left_is_no_cluster(nothing):
    found = cluster_lengths(nothing)
    assert len(found) == 0
    assert found.lengths == ()
    assert found.to_frame().shape == (0, 6)
    assert found.label_of([0, 5]).tolist() == [-1, -1]
    assert found.left_out_share == (1 if len(nothing) else 0)
    assert "0 clusters of 0 packets" in found._repr_html_()
    assert suggest_bandwidth(nothing) == 3
    assert (bandwidth_sweep(nothing) == 0).all(axis=None)


def test_lengths_too_long_to_cluster_may_be_left_out():
    found = cluster_lengths([100, 2**31 - 1, 2**40, 5_000])
    assert (found.total_packets, found.left_out_above) == (4, 3)
    with pytest.raises(ValueError, match=r"at most 1,048,576 bytes, got 1,099,511,627,776: give a `max_length`"):
        cluster_lengths([100, 2**40], max_length=None)


def test_label_of_lengths_that_are_not_there():
    found = cluster_lengths([10, 12, 500, 500, 500])
    assert found.label_of([500, 10, 11, 12, 0, 501, 2**40]).tolist() == [0, 1, -1, 1, -1, -1, -1]
    assert found.label_of([]).tolist() == []


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint32", "uint64", "Int64", "UInt8"])
def test_any_integer_type(dtype):
    lengths = pd.Series([100, 101, 101, 7], dtype=dtype)
    found = cluster_lengths(lengths)
    assert found.packets.tolist() == [3, 1]
    assert found.label_of(lengths).tolist() == [0, 0, 0, 1]
    assert cluster_lengths([1_000]).label_of(lengths).tolist() == [-1] * 4


def test_frame_and_text():
    found = cluster_lengths([0, 100, 100, 101, 104, 600, 1_448], bandwidth=5)
    frame = found.to_frame()
    assert frame.columns.tolist() == ["centre", "min_length", "max_length", "distinct_lengths", "packets", "share"]
    assert frame.iloc[0].tolist() == [101.25, 100, 104, 3, 4, 0.8]
    assert frame["share"].sum() == 1
    assert frame.index.name == "cluster"
    assert str(found) == "LengthClusters(2 clusters of 5 packets, bandwidth=5 bytes, 28.6% left out)"
    assert str(length_counts([0, 5])) == "LengthCounts(1 lengths of 1 packets, 50.0% left out)"
    assert "101.250" in found._repr_html_()


def test_results_cannot_be_changed():
    found = cluster_lengths([100, 101, 600])
    for array in (found.unique_lengths, found.counts, found.centres, found.packets, found.labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_sweep():
    sweep = bandwidth_sweep([100] * 6 + [104] * 3 + [600], [1, 5, 1_000], top=1)
    assert sweep.index.tolist() == [1, 5, 1_000]
    assert sweep["clusters"].tolist() == [3, 2, 1]
    assert sweep["clusters_90"].tolist() == [2, 1, 1]
    assert sweep["top1_share"].tolist() == [0.6, 0.9, 1]


def test_sweep_counts_the_cluster_that_completes_90_percent_exactly():
    assert bandwidth_sweep([100] * 9 + [600], [1])["clusters_90"].tolist() == [1]
    assert bandwidth_sweep([100] * 8 + [600] * 2, [1])["clusters_90"].tolist() == [2]


def test_default_sweep_goes_from_half_a_byte_to_100():
    bandwidths = bandwidth_sweep([100]).index
    assert (bandwidths[0], bandwidths[-1]) == (0.5, 100)
    assert 1.0 in bandwidths
    assert (np.diff(bandwidths) > 0).all()


@pytest.mark.parametrize("clumps", [2, 3, 10, 40])
@pytest.mark.parametrize(("spread", "gap"), [(1, 20), (2, 40), (4, 60)])
@pytest.mark.parametrize("shape", ["flat", "bell"])
def test_suggested_bandwidth_finds_the_clumps(clumps, spread, gap, shape):
    rng = np.random.default_rng(7)
    size = (clumps, 400)
    offsets = rng.integers(-spread, spread + 1, size) if shape == "flat" else np.rint(rng.normal(0, spread / 2, size))
    lengths = (100 + gap * np.arange(clumps)[:, None] + offsets).astype(int).ravel()
    counted = length_counts(lengths, max_length=None)
    assert len(cluster_lengths(counted, bandwidth=suggest_bandwidth(counted))) == clumps


def test_suggested_bandwidth_where_there_is_little_to_suggest():
    rng = np.random.default_rng(7)
    assert suggest_bandwidth(rng.integers(1, 1_300, 20_000)) == 3, "no structure: the default"
    one = (500 + rng.integers(-3, 4, 1_000)).tolist()
    assert len(cluster_lengths(one, bandwidth=suggest_bandwidth(one))) == 1
    assert len(cluster_lengths([52], bandwidth=suggest_bandwidth([52]))) == 1


@pytest.mark.parametrize("bandwidth", [0, -1, float("nan"), float("inf"), True, "3", None])
def test_bad_bandwidth(bandwidth):
    with pytest.raises(ValueError, match=f"`bandwidth` must be a finite number of bytes above 0, got {bandwidth!r}"):
        cluster_lengths([1], bandwidth=bandwidth)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_length": -1}, "`min_length` must be an int of at least 0, got -1"),
        ({"min_length": 1.5}, "`min_length` must be an int of at least 0, got 1.5"),
        ({"min_length": True}, "`min_length` must be an int of at least 0, got True"),
        ({"min_length": 10, "max_length": 9}, "`max_length` must be an int of at least 10, got 9"),
        ({"protocol": "sctp"}, "`protocol` must be 'tcp' or 'udp', got 'sctp'"),
        ({"protocol": "udp", "tls_only": True}, "`tls_only` is for TCP, got protocol='udp'"),
        ({"protocol": "udp"}, "`protocol` and `tls_only` need a Trace, got lengths"),
        ({"tls_only": True}, "`protocol` and `tls_only` need a Trace, got lengths"),
    ],
)
@pytest.mark.parametrize("function", [length_counts, cluster_lengths, suggest_bandwidth, bandwidth_sweep])
def test_bad_filters(function, options, message):
    with pytest.raises(ValueError, match=message):
        function([1, 2], **options)


@pytest.mark.parametrize("options", [{"min_length": 0}, {"max_length": None}, {"protocol": "udp"}, {"tls_only": True}])
def test_counted_lengths_take_no_filters(options):
    with pytest.raises(ValueError, match="counted lengths take no filters: give them to `length_counts`"):
        cluster_lengths(length_counts([1, 2]), **options)


@pytest.mark.parametrize(
    ("lengths", "error", "message"),
    [
        ([1.0, 2.0], TypeError, "lengths must be integers, got float64"),
        ([True, False], TypeError, "lengths must be integers, got bool"),
        (["1"], TypeError, "lengths must be integers, got <U1"),
        ([[1, 2]], ValueError, "lengths must have one dimension, got 2"),
        (5, ValueError, "lengths must have one dimension, got 0"),
        ([5, -1], ValueError, "lengths must not be negative, got -1"),
    ],
)
def test_bad_lengths(lengths, error, message):
    with pytest.raises(error, match=message):
        cluster_lengths(lengths)


@pytest.mark.parametrize("top", [0, True, 2.0])
def test_bad_top(top):
    with pytest.raises(ValueError, match=f"`top` must be an int of at least 1, got {top}"):
        bandwidth_sweep([1], top=top)
