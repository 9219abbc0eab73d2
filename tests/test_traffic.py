"""The functions of the original research code: against the reference, and each departure from the original."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from making import SECOND, from_capture, from_dicts, quick
from reference import ACK, PSH, TCP, UDP, Packet
from reference_lengths import mean_shift
from strategies import FIFTY_YEARS, LATEST, networks, packets, to_dict

import toolkit
from toolkit import FEATURES, Trace, traffic
from toolkit.traffic import (
    USE_ENTROPY,
    USE_INTERVAL,
    USE_INTERVAL_BINS,
    USE_PSH,
    USE_TCP_LEN,
    USE_TCP_LEN_BINS,
    get_window_stats,
    group_packets_by_ip_fixed_size,
    ordered_tcp_payload_length_frequency,
    ordered_udp_payload_length_frequency,
    synchronise_packets,
    window_packets_fixed_size,
    window_packets_time_series,
)

A, B, X, Y = "10.0.0.1", "10.0.0.2", "192.0.2.9", "198.51.100.7"
CLIENTS = ["10.0.0.0/24"]
START = 1_500_000_000 * SECOND


def tcp(size: int = 0, time_ns: int = START, src: str = A, dst: str = X, **other: Any) -> Packet:
    payload = other.pop("payload", b"a" * size)
    return Packet(time_ns, src, dst, TCP, 40 + len(payload), 1, 2, payload=payload, **other)


def udp(length: int = 33, src: str = A, dst: str = X) -> Packet:
    return Packet(START, src, dst, UDP, length, 1, 2, payload=b"a" * (length - (48 if ":" in src else 28)))


def dicts(given_packets: list[Packet]) -> list[dict[str, Any]]:
    return [to_dict(packet) for packet in given_packets]


def places(windows: list[list[dict[str, Any]]], whole: list[dict[str, Any]]) -> list[list[int]]:
    """Where the dictionaries in the windows stand in the whole list: the very same objects, none copied."""
    place = {id(packet): i for i, packet in enumerate(whole)}
    return [[place[id(packet)] for packet in window] for window in windows]


def numbers(windows: list[Trace]) -> list[list[int]]:
    return [(window.column("number").astype(int) - 1).tolist() for window in windows]


# Against the reference, as dictionaries and as a trace


@given(packets(whole=True), st.integers(1, 50))
@quick
def test_window_packets_fixed_size(given_packets: list[Packet], n: int) -> None:
    listed = dicts(given_packets)
    expected = reference.count_windows(given_packets, n)
    windows = window_packets_fixed_size(listed, n)
    assert all(type(window) is list for window in windows)
    assert places(windows, listed) == expected
    assert numbers(window_packets_fixed_size(from_capture(given_packets), n)) == expected


@given(packets(whole=True), st.sampled_from([1, 1_000, 999_999, 1_000_000, 60_000_000, 0.5, 123.456, LATEST // 1_000]))
@quick
def test_window_packets_time_series(given_packets: list[Packet], microseconds: float) -> None:
    listed = dicts(given_packets)
    width = int(Decimal(str(microseconds)) * 1_000)
    cut = reference.time_windows(given_packets, width)
    trace = from_capture(given_packets)
    count = max(cut, default=0) + 1
    if count > 20_000:  # more than ten million are refused; fewer take too long here
        if count > 10_000_000:
            for given_form in (listed, trace):
                with pytest.raises(ValueError, match=r"packets span [0-9,]+ windows of .* µs, more than 10,000,000"):
                    window_packets_time_series(given_form, microseconds)
        return
    expected = [cut.get(k, []) for k in range(count)] if count > 1 else []
    assert places(window_packets_time_series(listed, microseconds), listed) == expected
    assert numbers(window_packets_time_series(trace, microseconds)) == expected
    in_file_order = [sorted(window) for window in expected]
    assert places(window_packets_time_series(listed, microseconds, sort=False), listed) == in_file_order
    assert numbers(window_packets_time_series(trace, microseconds, False)) == in_file_order


@given(packets(whole=True), networks(min_size=0), st.integers(1, 6))
@quick
def test_group_packets_by_ip_fixed_size(given_packets: list[Packet], clients: list[str], n: int) -> None:
    listed = dicts(given_packets)
    pairs = [reference.client_target(packet, clients) for packet in given_packets]
    expected: dict[tuple[str, str], list[list[int]]] = {pair: [] for pair in pairs if pair}
    for pair, _, window in reference.client_windows(given_packets, clients, n):
        expected[pair].append(window)
    groups = group_packets_by_ip_fixed_size(listed, clients, n)
    assert {pair: places(windows, listed) for pair, windows in groups.items()} == expected
    assert list(groups) == list(expected)
    of_trace = group_packets_by_ip_fixed_size(from_capture(given_packets), iter(clients) if clients else clients, n)
    assert {pair: numbers(windows) for pair, windows in of_trace.items()} == expected
    assert list(of_trace) == list(expected)


@given(packets(whole=True), networks(min_size=0), st.sets(st.sampled_from(FEATURES.sets)))
@quick
def test_get_window_stats(given_packets: list[Packet], clients: list[str], chosen: set[str]) -> None:
    for given_form in (dicts(given_packets), from_capture(given_packets)):
        found, remotes, own = get_window_stats(given_form, clients, chosen)
        if not clients:
            assert (found, remotes, own) == ({}, set(), set())
            continue
        expected = reference.window_features(given_packets, clients, chosen or None)
        assert found == pytest.approx(expected, rel=1e-12, abs=1e-12)
        assert all(type(value) is float for value in found.values())
        assert (remotes, own) == reference.remote_and_clients(given_packets, clients)


@given(packets(whole=True), st.integers(0, 2**31), st.booleans())
@quick
def test_synchronise_packets(given_packets: list[Packet], seconds: int, sort: bool) -> None:
    if given_packets and max(packet.time_ns for packet in given_packets) > LATEST // 2:
        return
    listed, target = dicts(given_packets), float(seconds) + 0.25
    before = copy.deepcopy(listed)
    expected = reference.synchronise(given_packets, seconds * SECOND + 250_000_000, sort)
    moved = synchronise_packets(listed, target, sort)
    assert [Decimal(packet["time"]) * SECOND for packet in moved] == [packet.time_ns for packet in expected]
    without_time = [packet | {"time": ""} for packet in dicts(expected)]
    assert [packet | {"time": ""} for packet in moved] == without_time
    assert listed == before
    trace = synchronise_packets(from_capture(given_packets), target, sort)
    assert trace.column("time").tolist() == [packet.time_ns for packet in expected]


@given(packets(whole=True), st.sampled_from([1, 3, 5.5, 40]), st.booleans())
@quick
def test_ordered_payload_length_frequency(given_packets: list[Packet], bandwidth: float, tls_only: bool) -> None:
    listed = dicts(given_packets)
    lengths = {
        TCP: [p.payload_length for p in given_packets if p.protocol == TCP and (p.tls_type or not tls_only)],
        UDP: [p.ip_length for p in given_packets if p.protocol == UDP],
    }
    for protocol, found in (
        (TCP, ordered_tcp_payload_length_frequency(listed, tls_only, bandwidth)),
        (UDP, ordered_udp_payload_length_frequency(listed, bandwidth)),
    ):
        inside = [length for length in lengths[protocol] if length <= 1_300]
        assert all(type(length) is int for cluster in found for length in cluster)
        assert set().union(*found) == set(inside)
        assert sum(map(len, found)) == len(set(inside))
        frequency = [sum(inside.count(length) for length in cluster) for cluster in found]
        assert frequency == sorted(frequency, reverse=True)
        if inside:
            expected = mean_shift(inside, bandwidth)
            if not expected.fragile and not expected.tied:
                assert found == [set(members) for _, members, _ in expected.clusters]


def test_dictionaries_and_traces_agree_on_real_traffic() -> None:
    for name in ("obfs4", "vmess_ws_tls"):
        trace = toolkit.load_example(name)[:600]
        listed = trace.to_packets()
        again = Trace.from_packets(listed)
        clients = toolkit.example(name).clients
        assert get_window_stats(listed, clients) == get_window_stats(trace, clients)
        assert numbers(window_packets_fixed_size(again, 50)) == places(window_packets_fixed_size(listed, 50), listed)
        for tls_only in (False, True):
            expected = ordered_tcp_payload_length_frequency(trace, tls_only)
            assert ordered_tcp_payload_length_frequency(listed, tls_only) == expected
        groups = group_packets_by_ip_fixed_size(listed, clients, 20)
        of_trace = group_packets_by_ip_fixed_size(again, clients, 20)
        assert {pair: places(windows, listed) for pair, windows in groups.items()} == {
            pair: numbers(windows) for pair, windows in of_trace.items()
        }


# Each departure from the original, by its number in the docstring of `toolkit.traffic`


def test_1_most_common_lengths_are_the_most_common() -> None:
    listed = dicts([tcp(size) for size in [7, 7, 7, 5, 5, 9]])
    stats, _, _ = get_window_stats(listed, CLIENTS, [USE_TCP_LEN])
    assert (stats["top1_tcp_len_up"], stats["top2_tcp_len_up"]) == (7, 5)
    assert stats["mean_tcp_len_up"] == 40 / 6


def test_2_clusters_come_by_frequency() -> None:
    # scikit-learn ranks the centre at 114 (with 9 packets within 3 bytes) before that at 110.8, and numbers them so
    listed = dicts([tcp(110)] * 3 + [tcp(115)] * 4 + [tcp(112)] * 2)
    assert ordered_tcp_payload_length_frequency(listed) == [{110, 112}, {115}]


def test_3_udp_lengths_can_be_clustered() -> None:
    listed = dicts([udp(100), udp(52), udp(54), udp(1_301), tcp(60)])
    assert ordered_udp_payload_length_frequency(listed) == [{52, 54}, {100}]
    assert ordered_udp_payload_length_frequency(listed, bandwidth=60) == [{52, 54, 100}]
    assert ordered_udp_payload_length_frequency(dicts([tcp(60)])) == []


def test_4_the_entropy_set_can_be_left_out() -> None:
    stats, _, _ = get_window_stats(dicts([tcp(5, tcp_flags=ACK | PSH)]), CLIENTS, [USE_PSH])
    assert stats == {"push_ratio_up": 1, "push_ratio_down": 0, "up_down_ratio": 0}


def test_5_a_window_may_hold_no_tcp_packet() -> None:
    stats, remotes, clients = get_window_stats(dicts([udp(), udp(src=X, dst=A)]), CLIENTS)
    assert {name: value for name, value in stats.items() if value} == {
        "mean_interval_up": 1e6,
        "mean_interval_down": 1e6,
        "up_down_ratio": 1,
    }
    assert remotes == clients == set()


def test_6_one_packet_alone_counts() -> None:
    stats, _, _ = get_window_stats(dicts([tcp(payload=b"abcd")]), CLIENTS, [USE_ENTROPY, USE_TCP_LEN, USE_TCP_LEN_BINS])
    assert stats["mean_entropy_up"] == stats["max_entropy_up"] == stats["min_entropy_up"] == 2
    assert stats["top1_tcp_len_up"] == stats["mean_tcp_len_up"] == 4
    assert stats["bin_100_len_up"] == 1


def test_7_shares_are_over_tcp_packets() -> None:
    window = [tcp(5, tcp_seq=1), tcp(5, START + 500_000, tcp_seq=2), udp(), udp()]
    stats, _, _ = get_window_stats(dicts(window), CLIENTS, [USE_TCP_LEN_BINS, USE_INTERVAL_BINS])
    assert stats["bin_100_len_up"] == 1  # not 2 of 4
    assert stats["bin_1000_interval_up"] == 1 / 2  # not 1 of 4


@pytest.mark.parametrize(
    ("size", "bins"), [(1_499, {1_500: 1}), (1_500, {1_500: 1}), (3_000, {1_500: 2}), (3_001, {1_500: 2, 100: 1})]
)
def test_8_full_segments_fall_in_the_last_bin(size: int, bins: dict[int, int]) -> None:
    stats, _, _ = get_window_stats(dicts([tcp(size)]), CLIENTS, [USE_TCP_LEN_BINS])
    assert {name: value for name, value in stats.items() if value} == {
        f"bin_{high}_len_up": count for high, count in bins.items()
    }


def test_9_times_are_exact() -> None:
    # as floats the gap is 0.95 µs
    early, late = "1500000000.000001", "1500000000.000002"
    assert float(late) - float(early) < 1e-6
    listed = [to_dict(tcp()) | {"time": text} for text in (early, late)]
    assert places(window_packets_time_series(listed, 1), listed) == [[0], [1]]
    stats, _, _ = get_window_stats(
        [listed[0], to_dict(tcp(tcp_seq=1)) | {"time": "1500000000.001001"}], CLIENTS, [USE_INTERVAL, USE_INTERVAL_BINS]
    )
    assert stats["mean_interval_up"] == 1_000
    assert stats["bin_1000_interval_up"] == 0
    assert stats["bin_10000_interval_up"] == 0.5
    # and no window goes past its end, the last one neither
    listed = [to_dict(tcp()) | {"time": str(second)} for second in range(7)]
    assert places(window_packets_time_series(listed, 2_000_000), listed) == [[0, 1], [2, 3], [4, 5], [6]]
    assert synchronise_packets(listed, 1500000000.1)[1]["time"] == "1500000001.100000"


def test_10_too_many_windows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = dicts([tcp(), tcp(time_ns=START + FIFTY_YEARS)])
    for given_form in (listed, from_dicts([tcp(), tcp(time_ns=START + FIFTY_YEARS)])):
        with pytest.raises(ValueError, match=r"1,576,800,001 windows of 1000000 µs.*is a clock wrong\?") as caught:
            window_packets_time_series(given_form, 1_000_000)
        assert "toolkit.time_windows" in str(caught.value)
    assert traffic.MOST_WINDOWS == 10_000_000
    monkeypatch.setattr(traffic, "MOST_WINDOWS", 1_000)
    assert len(window_packets_time_series(dicts([tcp(time_ns=0), tcp(time_ns=1_000_000 - 1)]), 1)) == 1_000
    with pytest.raises(ValueError, match="packets span 1,001 windows of 1 µs, more than 1,000"):
        window_packets_time_series(dicts([tcp(time_ns=0), tcp(time_ns=1_000_000)]), 1)


def test_11_ipv6_lengths_have_the_header_in() -> None:
    v6 = to_dict(udp(52, "2001:db8::1", "2001:db8::2"))
    assert v6["len"] == 12  # what the header says
    assert ordered_udp_payload_length_frequency([v6, to_dict(udp(52))]) == [{52}]


def test_12_features_are_named_by_their_upper_edges() -> None:
    stats, _, _ = get_window_stats(dicts([tcp(5)]), CLIENTS)
    assert tuple(stats) == FEATURES.names
    assert {name for name in stats if "interval_up" in name} == {
        *("mean_interval_up", "bin_1000_interval_up", "bin_10000_interval_up"),
        *("bin_100000_interval_up", "bin_1000000_interval_up"),
    }
    assert not any("(" in name for name in stats)


def test_the_docstring_lists_them_all() -> None:
    assert traffic.__doc__ is not None
    listed = [line.split(".")[0] for line in traffic.__doc__.splitlines() if line[:2].strip(". ").isdigit()]
    tested = {name.split("_")[1] for name in globals() if name.startswith("test_") and name.split("_")[1].isdigit()}
    assert listed == sorted(tested, key=int) == [str(number) for number in range(1, 13)]


# The edges of each function


def test_constants() -> None:
    chosen = (USE_ENTROPY, USE_INTERVAL, USE_INTERVAL_BINS, USE_TCP_LEN, USE_TCP_LEN_BINS, USE_PSH)
    assert chosen == FEATURES.sets
    assert traffic.MTU_FRAME_AVOIDANCE_THRESHOLD == 1_300


def test_tcp_lengths() -> None:
    record = b"\x17\x03\x03\x00\x02ab"
    given_packets = [tcp(0)] * 3 + [tcp(payload=record, tls_type=23), tcp(7), tcp(1_300), tcp(1_301), udp()]
    assert ordered_tcp_payload_length_frequency(dicts(given_packets)) == [{0}, {7}, {1_300}]
    assert ordered_tcp_payload_length_frequency(dicts(given_packets), True) == [{7}]
    assert ordered_tcp_payload_length_frequency(dicts(given_packets), tls_only=True, bandwidth=9) == [{7}]
    assert ordered_tcp_payload_length_frequency(dicts(given_packets), bandwidth=10) == [{0, 7}, {1_300}]
    assert ordered_tcp_payload_length_frequency(from_capture(given_packets), True) == [{7}]
    assert ordered_tcp_payload_length_frequency(dicts([udp()])) == []


def test_time_series_of_less_than_a_window() -> None:
    listed = dicts([tcp(), tcp(time_ns=START + SECOND - 1)])
    assert window_packets_time_series(listed, 1_000_000) == []
    listed = dicts([tcp(), tcp(time_ns=START + SECOND)])
    assert places(window_packets_time_series(listed, 1_000_000), listed) == [[0], [1]]
    assert window_packets_time_series(listed[:1], 1) == []


def test_time_series_has_the_empty_windows() -> None:
    given_packets = [tcp(time_ns=START + 5 * SECOND), tcp(), tcp(time_ns=START + SECOND), tcp(time_ns=START)]
    listed = dicts(given_packets)
    expected: list[list[int]] = [[1, 3], [2], [], [], [], [0]]
    windows = window_packets_time_series(listed, 1_000_000)
    assert places(windows, listed) == expected
    assert len({id(window) for window in windows}) == 6
    of_trace = window_packets_time_series(from_capture(given_packets), 1_000_000)
    assert numbers(of_trace) == expected
    assert all(isinstance(window, Trace) for window in of_trace)


@pytest.mark.parametrize("width", [0, -1, -0.5, True, float("nan"), float("inf"), 0.0001])
def test_width_is_checked(width: Any) -> None:
    with pytest.raises(ValueError, match=r"`chronological_window` must be|finite number"):
        window_packets_time_series(dicts([tcp()]), width)


@pytest.mark.parametrize("n", [0, -1, True, 2.0, "2", None])
def test_window_size_is_checked(n: Any) -> None:
    with pytest.raises(ValueError, match="`window_size` must be an int of 1 or more, got"):
        window_packets_fixed_size(dicts([tcp()]), n)
    with pytest.raises(ValueError, match="`window_size` must be an int of 1 or more, got"):
        group_packets_by_ip_fixed_size(dicts([tcp()]), CLIENTS, n)
    assert window_packets_fixed_size(dicts([tcp()]), 10**30) == []


def test_nothing() -> None:
    for none in ([], from_capture([]), from_dicts([])):
        assert ordered_tcp_payload_length_frequency(none) == ordered_udp_payload_length_frequency(none) == []
        assert window_packets_fixed_size(none, 5) == window_packets_time_series(none, 5) == []
        assert group_packets_by_ip_fixed_size(none, CLIENTS, 5) == {}
        stats, remotes, clients = get_window_stats(none, CLIENTS)
        assert {name: value for name, value in stats.items() if value} == {
            "mean_interval_up": 1e6,
            "mean_interval_down": 1e6,
        }
        assert remotes == clients == set()
        assert len(synchronise_packets(none, 5.0)) == len(synchronise_packets(none, 5.0, True)) == 0
    assert group_packets_by_ip_fixed_size(dicts([tcp()]), [], 1) == {}
    assert group_packets_by_ip_fixed_size(dicts([tcp()]), ["203.0.113.0/24"], 1) == {}
    assert group_packets_by_ip_fixed_size(dicts([tcp()]), CLIENTS, 2) == {(A, X): []}
    stats, remotes, clients = get_window_stats(dicts([tcp()]), ["203.0.113.0/24"])
    assert stats["up_down_ratio"] == stats["mean_tcp_len_up"] == 0
    assert remotes == clients == set()


def test_feature_selection() -> None:
    listed = dicts([tcp(5)])
    assert get_window_stats(listed, CLIENTS, None) == get_window_stats(listed, CLIENTS, [])
    assert get_window_stats(listed, CLIENTS, USE_PSH) == get_window_stats(listed, CLIENTS, (USE_PSH,))
    assert get_window_stats(listed, CLIENTS, iter([USE_PSH])) == get_window_stats(listed, CLIENTS, {USE_PSH})
    for wrong in (["lengths"], ["push_ratio_up"], "all", [None]):
        with pytest.raises(ValueError, match=r"`feature_selection` must be of entropy, interval, .*, got "):
            get_window_stats(listed, CLIENTS, wrong)  # type: ignore[arg-type]


def test_remotes_and_clients() -> None:
    window = dicts([tcp(src=A, dst=X), tcp(src=Y, dst=B), udp(dst="203.0.113.5"), tcp(src=X, dst=Y)])
    assert get_window_stats(window, CLIENTS)[1:] == ({X, Y}, {A, B})
    assert get_window_stats(dicts([tcp(src=A, dst=B)]), CLIENTS)[1:] == ({A, B}, {A, B})


def test_synchronise_keeps_the_form_of_times() -> None:
    forms: list[Any] = ["1500000000.5", 1500000001.25, "1500000002", Decimal("1500000003.000000001"), 1500000004]
    listed = [to_dict(tcp()) | {"time": form} for form in forms]
    before = copy.deepcopy(listed)
    moved = synchronise_packets(listed, 10.0)
    assert [packet["time"] for packet in moved] == [
        *("10.000000", 10.75, "11.500000", 12.500000001, 13.5),
    ]
    assert listed == before
    assert all(new["tcp_info"] is old["tcp_info"] for new, old in zip(moved, listed, strict=True))
    fine = synchronise_packets([to_dict(tcp()) | {"time": "0.000000001"}, to_dict(tcp()) | {"time": "0"}], 0.0)
    assert [packet["time"] for packet in fine] == ["0.000000", "-0.000000001"]
    assert [Decimal(packet["time"]) for packet in synchronise_packets(fine, -1.5)] == [
        Decimal("-1.5"),
        Decimal("-1.500000001"),
    ]


@pytest.mark.parametrize("target", [5, "5", None, True, float("nan"), float("inf"), -float("inf"), 1e300, Decimal(5)])
def test_target_time_is_checked(target: Any) -> None:
    with pytest.raises(ValueError, match=r"must be a float|finite number|out of the years"):
        synchronise_packets(dicts([tcp()]), target)


def test_target_time_may_be_a_float_of_numpy() -> None:
    assert synchronise_packets(dicts([tcp()]), np.float64(1.5))[0]["time"] == "1.500000"


def test_a_broken_packet_is_named() -> None:
    listed = dicts([tcp(), tcp()])
    del listed[1]["len"]
    with pytest.raises(ValueError, match="packet 1: no field 'len'"):
        get_window_stats(listed, CLIENTS)
